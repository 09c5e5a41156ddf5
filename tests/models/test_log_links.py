"""Means that are log-linear can run away from the data; that is said and not drawn."""

import numpy as np
import pytest

from bayesimpute.errors import SamplingError
from bayesimpute.registry import resolve
from tests.models.test_linear_posterior import make_design


@pytest.mark.parametrize(
    ("method", "kind", "unit"), [("gamma", "positive", 1.0), ("gamma", "positive", 1e9),
                                 ("poisson", "count", 1.0), ("negative_binomial", "count", 1.0),
                                 ("negative_binomial", "count", 1e13)],
)  # fmt: skip
def test_a_mean_far_beyond_the_data_is_refused(method, kind, unit):
    design = make_design(kind, slope=False)
    design.y[:] = design.y * unit
    implementation = resolve(method)
    likelihood = implementation.likelihood(design, implementation.options, None)
    draw = implementation.values(likelihood, design, implementation.options, None)
    extra, rng = np.full(len(implementation.positive()), 0.5), np.random.default_rng(1)
    near = np.full((3, 1), np.log(unit) + 2.0)
    assert (draw(near, extra, np.empty(0), rng) < 1e3 * unit).all()
    with pytest.raises(SamplingError, match="extrapolates far beyond the data"):
        draw(near + 40.0, extra, np.empty(0), rng)


def test_positive_numbers_that_round_to_zero_are_drawn_next_to_it():
    design, gamma = make_design("positive", slope=False), resolve("gamma")
    likelihood = gamma.likelihood(design, gamma.options, None)
    draw = gamma.values(likelihood, design, gamma.options, None)
    eta, variation = np.zeros((2000, 1)), np.full(1, 25.0)
    numbers = (eta, variation, np.empty(0), np.random.default_rng(1))
    assert (likelihood.values(*numbers) == 0).any()
    assert (draw(*numbers) > 0).all()
