"""Effects in blocks that are independent of each other, in the sampler of linear predictors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import bernoulli, beta, halfnorm, multivariate_normal, norm

from bayesimpute.registry import resolve
from bayesimpute.sampling import linear_densities, linear_whitening
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
    return posterior, design, 0.4 * np.random.default_rng(4).normal(size=posterior.sizes.size)


def standing(posterior, design, state):
    """All that the densities need, as the state has it, whitened there."""
    data = posterior._observe(design, None)
    rows, everything = posterior._rows(data), np.arange(posterior.sizes.shape.stop)
    moving = linear_densities.stand(data.model, rows, state, everything)
    return linear_whitening.whiten(moving, linear_whitening.curvature_at(moving))


def densities(posterior, design, state, move):
    """Density of one move, and its gradient, as a function of its part alone."""
    moving, _ = standing(posterior, design, state)
    names = {1: "coefficient_density", 2: "centred_density", 3: "shape_density"}

    def density(part):
        gradient = np.zeros(part.size)
        return getattr(linear_densities, names[move])(part, moving, gradient), gradient

    return density


def centred_part(posterior, state):
    return np.append(state[: posterior.sizes.effects], state[posterior.sizes.partial])


def differences(density, at, step=1e-6):
    return [
        (density(at + step * e)[0] - density(at - step * e)[0]) / (2 * step)
        for e in np.eye(len(at))
    ]


@pytest.mark.parametrize(("kind", "method"), [("binary", "logistic"), ("nominal", "categorical")])
@pytest.mark.parametrize("blocks", [(0, 1, 0), (0, 1, 2)])
def test_gradients_are_those_of_the_value(kind, method, blocks):
    posterior, design, state = posterior_of(kind, method, blocks)
    clusters = len(np.unique(design.cluster[design.fit]))
    coordinates = np.random.default_rng(5).normal(
        size=clusters * posterior.sizes.effects + int(posterior.sizes.fixed.sum())
    )
    parts = {1: coordinates, 2: centred_part(posterior, state), 3: state[posterior.sizes.shape]}
    for move, part in parts.items():
        density = densities(posterior, design, state, move)
        assert density(part)[1] == pytest.approx(differences(density, part), rel=1e-5, abs=1e-5)


def test_effects_have_the_density_of_their_blocks():
    """Of x1 (block 1) apart from that of intercept and x2 (block 0), by SciPy."""
    posterior, design, state = posterior_of("binary", "logistic", (0, 1, 0))
    size = posterior.sizes
    assert size.correlations == 1
    effects = state[size.b].reshape(size.clusters, 3)[np.unique(design.cluster[design.fit])]
    centred = densities(posterior, design, state, 2)

    def dense(part):
        sd, r = np.logaddexp(0.0, part[:3]), np.tanh(part[3])
        two = np.array([[sd[0] ** 2, r * sd[0] * sd[2]], [r * sd[0] * sd[2], sd[2] ** 2]])
        value = multivariate_normal.logpdf(effects[:, [0, 2]], np.zeros(2), two).sum()
        value += multivariate_normal.logpdf(effects[:, 1], 0.0, sd[1] ** 2).sum()
        value += (
            halfnorm.logpdf(sd, scale=[1.0, 0.5, 0.5]) + part[:3] - sd
        ).sum()  # sd = log(1 + eᵘ)
        return value + beta.logpdf(r / 2 + 0.5, 2, 2) + np.log(1 - r**2)

    parts = [centred_part(posterior, state) + shift for shift in (0.0, 0.3, -0.5)]
    ours = [centred(part)[0] for part in parts]
    assert np.diff(ours) == pytest.approx(np.diff([dense(part) for part in parts]), rel=1e-9)


def test_scales_given_standardised_effects_have_the_density_of_the_model():
    """Likelihood, half-normal scales and a Beta(2, 2) correlation, by SciPy, in move 3."""
    posterior, design, state = posterior_of("binary", "logistic", (0, 1, 0))
    rows, point = design.rows(design.fit), posterior.point(state)
    z = posterior.units.z(rows)
    fixed = posterior.units.x(rows) @ point.beta[0]
    standard = np.linalg.solve(point.factor, point.effects.T).T[rows.cluster]

    def dense(part):
        sd, r = np.logaddexp(0.0, part[:3]), np.tanh(part[3])
        factor = np.array([[1.0, 0, 0], [0, 1, 0], [r, 0, np.sqrt(1 - r * r)]])
        eta = fixed + (z * (standard @ (sd[:, None] * factor).T)).sum(axis=1)
        value = bernoulli.logpmf(rows.y.astype(int), 1 / (1 + np.exp(-eta))).sum()
        value += (
            halfnorm.logpdf(sd, scale=[1.0, 0.5, 0.5]) + part[:3] - sd
        ).sum()  # sd = log(1 + eᵘ)
        return value + beta.logpdf(r / 2 + 0.5, 2, 2) + np.log(1 - r**2)

    shape = densities(posterior, design, state, 3)
    parts = [state[posterior.sizes.shape] + shift for shift in (0.0, 0.3, -0.5)]
    ours = [shape(part)[0] for part in parts]
    assert np.diff(ours) == pytest.approx(np.diff([dense(part) for part in parts]), rel=1e-8)


def test_coefficients_have_the_density_of_the_model():
    """Likelihood, priors of β and normal effects, by SciPy, in the coordinates of move 1."""
    posterior, design, state = posterior_of("binary", "logistic", (0, 1, 0))
    rows, point = design.rows(design.fit), posterior.point(state)
    x, z = posterior.units.x(rows), posterior.units.z(rows)
    seen = np.unique(rows.cluster)
    moving, u = standing(posterior, design, state)
    assert linear_whitening.place(moving, u) == pytest.approx(state, abs=1e-10)

    def dense(u):
        moved = linear_whitening.place(moving, u)
        packed, by_cluster = moved[posterior.sizes.beta], moved[posterior.sizes.b].reshape(-1, 3)
        effects = by_cluster[seen]
        eta = x @ packed + (z * by_cluster[rows.cluster]).sum(axis=1)
        value = bernoulli.logpmf(rows.y.astype(int), 1 / (1 + np.exp(-eta))).sum()
        value += norm.logpdf(packed, 0, 2.5).sum()
        psi = point.factor @ point.factor.T
        return value + multivariate_normal.logpdf(effects, np.zeros(3), psi).sum()

    rng = np.random.default_rng(8)
    size = len(seen) * 3 + int(posterior.sizes.fixed.sum())
    at = [rng.normal(size=size) for _ in range(3)]
    ours = [densities(posterior, design, state, 1)(u)[0] for u in at]
    assert np.diff(ours) == pytest.approx(np.diff([dense(u) for u in at]), rel=1e-8)


def test_effects_of_all_categories_share_the_block():
    """An effect of one category is correlated with its namesakes of the others."""
    posterior, _, _ = posterior_of("nominal", "categorical", (0, 1, 2))
    names = [f"{e}{c}" for c in "bc" for e in ("i", "x", "z")]
    assert posterior.sizes.blocks.labels(names) == ("ib~ic", "xb~xc", "zb~zc")
