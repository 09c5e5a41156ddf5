"""Compiled priors serve every distribution that is the same, and no other."""

import numpy as np
import pymc as pm
import pytensor
import pytest

from bayesimpute.sampling.scales import PriorKey, scale_priors

SAME = {
    "gamma": lambda: pm.Gamma.dist(2, 0.1),
    "gamma by moments": lambda: pm.Gamma.dist(mu=2, sigma=1),
    "half normal": lambda: pm.HalfNormal.dist(0.3),
    "normal of a vector": lambda: pm.Normal.dist(np.arange(3.0), 1),
    "log-normal": lambda: pm.LogNormal.dist(0, 1),
    "exponential": lambda: pm.Exponential.dist(1),
}
OTHERS = [
    pm.Gamma.dist(2, 0.2),
    pm.Gamma.dist(2, 0.1, shape=2),
    pm.InverseGamma.dist(2, 0.1),
    pm.Gamma.dist(3, 0.1),
]


@pytest.mark.parametrize("make", SAME.values(), ids=SAME)
def test_the_same_distribution_made_twice_has_one_key(make):
    one, other = PriorKey.of(make()), PriorKey.of(make())
    assert one == other
    assert hash(one) == hash(other)
    assert len({PriorKey.of(each()) for each in SAME.values()}) == len(SAME)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_another_distribution_has_another_key(other):
    assert PriorKey.of(SAME["gamma"]()) != PriorKey.of(other)


def scaled(factor):
    return pm.CustomDist.dist(1.0, dist=lambda m, size: factor * pm.HalfNormal.dist(m, size=size))


#: The same numbers in distributions made of others, or of a user's code.
COMPOSED = {
    "truncated gamma": pm.Truncated.dist(pm.Gamma.dist(2, 1), lower=0.1),
    "truncated log-normal": pm.Truncated.dist(pm.LogNormal.dist(2, 1), lower=0.1),
    "truncated Weibull": pm.Truncated.dist(pm.Weibull.dist(2, 1), lower=0.1),
    "censored gamma": pm.Censored.dist(pm.Gamma.dist(2, 1), lower=0.1, upper=None),
    "gamma or gamma": pm.Mixture.dist([0.5, 0.5], [pm.Gamma.dist(2, 1), pm.Gamma.dist(2, 1)]),
    "gamma or Weibull": pm.Mixture.dist([0.5, 0.5], [pm.Gamma.dist(2, 1), pm.Weibull.dist(2, 1)]),
    "code": scaled(1),
    "other code": scaled(2),
}


def test_distributions_made_of_others_are_told_apart():
    assert len({PriorKey.of(each) for each in COMPOSED.values()}) == len(COMPOSED)


def test_parameters_that_can_change_are_only_themselves():
    scale = pytensor.shared(0.3)
    assert PriorKey.of(pm.HalfNormal.dist(scale)) == PriorKey.of(pm.HalfNormal.dist(scale))
    twin = pytensor.shared(0.3)
    assert PriorKey.of(pm.HalfNormal.dist(scale)) != PriorKey.of(pm.HalfNormal.dist(twin))


def test_priors_are_compiled_once():
    scales = {"sd_intercept": 1.0, "nu": 1.0}
    one, other, third = (
        scale_priors(scales, {"nu": pm.Gamma.dist(2, rate)}) for rate in (0.1, 0.1, 0.3)
    )
    assert one.function is other.function
    assert one.function is not third.function
    at = np.array([0.2, 1.1])
    assert one(at)[0] != pytest.approx(third(at)[0])
