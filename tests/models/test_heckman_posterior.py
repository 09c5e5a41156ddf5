"""The selection kernels against their textbook models sampled by PyMC's own NUTS."""

from dataclasses import replace

import numpy as np
import pytest
import xarray

from bayesimpute.registry import resolve
from tests.calibration.heckman_scenario import PRIORS, Prior, Task
from tests.models.test_linear_posterior import agreement, draws_of_kernel, draws_of_model


def data(method):
    """8 clusters of 20 rows, two of them without a seen value."""
    prior = Prior(Task(method, "systematic"), 4)
    rng = np.random.default_rng(8)
    _, y, seen = prior.draw(1, rng)
    seen = prior.structural(seen)
    return replace(prior.design, y=np.where(seen, y, 0.0), fit=seen, draw=~seen)


class WithPriors:
    def __init__(self, name):
        self.method = resolve(name)

    def kernel(self, design, priors, options):
        return self.method.kernel(design, PRIORS, options)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["heckman", "heckman.binary", "heckman.robust"])
def test_the_kernel_draws_from_the_textbook_model(name):
    design, method = data(name), WithPriors(name)
    options = dict(method.method.options)
    ours = draws_of_kernel(method, design, options, 3000)
    theirs = dict(draws_of_model(method.method.model(design, PRIORS, options), 3000).items())
    size = theirs["correlation"].shape[-1]
    below = theirs["correlation"].values[:, :, *np.tril_indices(size, -1)]
    theirs["correlation_below"] = xarray.DataArray(below)
    ours["correlation_below"] = ours.pop("correlation")
    worst = agreement(ours, theirs)
    assert set(worst) >= {"rho[0]", "selection_beta[1]", "sd_atanh_rho[0]", "selection_sd_x1[0]"}
    assert max(worst.values()) < 4.0, worst
