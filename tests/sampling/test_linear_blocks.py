"""Effects in blocks that are independent of each other, in the sampler of linear predictors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta, halfnorm, multivariate_normal

from bayesimpute.registry import resolve
from tests.models.test_linear_posterior import make_design


def posterior_of(kind, method, blocks):
    """Posterior of a model with three effects, at a state away from everything's centre."""
    design = make_design(kind, slope=True)
    design = replace(
        design,
        z=np.column_stack([design.z, design.x[:, 1]]),
        random_effects=("intercept", "x1", "x2"),
        blocks_z=blocks,
    )
    implementation = resolve(method)
    posterior = implementation.kernel(design, {}, dict(implementation.options))._posterior
    posterior.observe(design, None)
    return posterior, 0.4 * np.random.default_rng(4).normal(size=posterior.sizes.size)


def differences(density, at, step=1e-6):
    return [
        (density(at + step * e)[0] - density(at - step * e)[0]) / (2 * step)
        for e in np.eye(len(at))
    ]


@pytest.mark.parametrize(("kind", "method"), [("binary", "logistic"), ("nominal", "categorical")])
@pytest.mark.parametrize("blocks", [(0, 1, 0), (0, 1, 2)])
def test_gradients_are_those_of_the_value(kind, method, blocks):
    posterior, state = posterior_of(kind, method, blocks)
    posterior._fix_effects(state)
    part = posterior._centred_part(state)
    slope = posterior._centred_density(part)[1]
    assert slope == pytest.approx(differences(posterior._centred_density, part), rel=1e-5, abs=1e-5)
    posterior._standardise(state)
    part = state[posterior.sizes.shape]
    slope = posterior._shape_density(part)[1]
    assert slope == pytest.approx(differences(posterior._shape_density, part), rel=1e-5, abs=1e-5)


def test_effects_have_the_density_of_their_blocks():
    """Of x1 (block 1) apart from that of intercept and x2 (block 0), by SciPy."""
    posterior, state = posterior_of("binary", "logistic", (0, 1, 0))
    size = posterior.sizes
    assert size.correlations == 1
    effects = state[size.b].reshape(size.clusters, 3)[posterior._rows.seen]
    posterior._fix_effects(state)

    def dense(part):
        sd, r = np.exp(part[:3]), np.tanh(part[3])
        two = np.array([[sd[0] ** 2, r * sd[0] * sd[2]], [r * sd[0] * sd[2], sd[2] ** 2]])
        value = multivariate_normal.logpdf(effects[:, [0, 2]], np.zeros(2), two).sum()
        value += multivariate_normal.logpdf(effects[:, 1], 0.0, sd[1] ** 2).sum()
        value += (halfnorm.logpdf(sd) + part[:3]).sum()
        return value + beta.logpdf(r / 2 + 0.5, 2, 2) + np.log(1 - r**2)

    parts = [posterior._centred_part(state) + shift for shift in (0.0, 0.3, -0.5)]
    ours = [posterior._centred_density(part)[0] for part in parts]
    assert np.diff(ours) == pytest.approx(np.diff([dense(part) for part in parts]), rel=1e-9)


def test_effects_of_all_categories_share_the_block():
    """An effect of one category is correlated with its namesakes of the others."""
    posterior, _ = posterior_of("nominal", "categorical", (0, 1, 2))
    names = [f"{e}{c}" for c in "bc" for e in ("i", "x", "z")]
    assert posterior.sizes.blocks.labels(names) == ("ib~ic", "xb~xc", "zb~zc")
