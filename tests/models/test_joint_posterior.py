"""The block's kernel against its textbook model sampled by PyMC's own NUTS; visits nearly apart."""

import numpy as np
import pytest
import xarray

from bayesimpute.models.joint import Joint
from tests.calibration.joint_scenario import NAMES, PRIORS, Prior, with_gaps
from tests.models.test_linear_posterior import agreement, draws_of_kernel, draws_of_model


class WithPriors(Joint):
    def kernel(self, design, priors, options):
        return super().kernel(design, PRIORS, options)


@pytest.fixture
def design():
    """8 clusters of 12 rows; no y in two clusters, no category s in two others."""
    prior = Prior("systematic", 2)
    rng = np.random.default_rng(6)
    _, values = prior.draw(0, rng)
    return with_gaps(prior.design, values, prior.hide("systematic", rng))


def by_member(drawn, kernel):
    """Our draws by the textbook model's names."""
    out = {}
    for name, values in drawn.items():
        if name in ("correlation", "residual_correlation"):
            out[name] = values
            continue
        for k, label in enumerate(kernel.labels[name]):
            member = label.split(": ")[1 if name == "beta" else 0]
            out.setdefault(f"{name}[{member}]", []).append(values[:, k])
    return {
        name: np.column_stack(values) if isinstance(values, list) else values
        for name, values in out.items()
    }


def compare(design, n, draws):
    method, options = WithPriors(), dict(Joint.options)
    kernel = method.kernel(design, {}, options)
    ours = by_member(draws_of_kernel(method, design, options, n), kernel)
    theirs = dict(draws_of_model(Joint().model(design, PRIORS, options), draws).items())
    for name in ("correlation", "residual_correlation"):
        below = theirs[name].values[:, :, *np.tril_indices(3, -1)]
        theirs[f"{name}_below"] = xarray.DataArray(below)
        ours[f"{name}_below"] = ours.pop(name)
    worst = agreement(ours, theirs)
    expected = {f"cutpoints[{NAMES[2]}][1]", "sigma[y][0]", "correlation_below[2]"}
    assert set(worst) >= expected | {"residual_correlation_below[2]", "sd_intercept[s][0]"}
    assert max(worst.values()) < 4.0, worst


@pytest.mark.slow
def test_the_kernel_draws_from_the_textbook_model(design):
    compare(design, 4000, 4000)


def test_successive_visits_are_nearly_independent(design):
    drawn = draws_of_kernel(WithPriors(), design, dict(Joint.options), 200)
    found = {
        f"{name}[{k}]": np.corrcoef(column[:-1], column[1:])[0, 1]
        for name, values in drawn.items()
        for k, column in enumerate(values.T)
    }
    print(found)
    assert max(found.values()) < 0.75, found
