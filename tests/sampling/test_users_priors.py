"""Priors that are no distribution of their parameter are refused, and not taken for another one."""

import numpy as np
import pymc as pm
import pytest

from bayesimpute.errors import SpecificationError
from bayesimpute.registry import resolve
from bayesimpute.sampling.priors import check_distribution, normal_moments
from bayesimpute.sampling.scales import scale_priors
from tests.models.test_linear_posterior import make_design

NO_SCALES = {
    "allows numbers below 0": [
        lambda: pm.Normal.dist(0, 1),
        lambda: pm.Uniform.dist(-1, 1),
        lambda: pm.TruncatedNormal.dist(0, 1, lower=-0.5),
    ],
    "no density": [lambda: pm.DiracDelta.dist(1.0)],
    "one number": [lambda: pm.HalfNormal.dist([1.0, 2.0])],
}


@pytest.mark.parametrize(("text", "make"), [(t, m) for t, ms in NO_SCALES.items() for m in ms])
def test_what_is_no_prior_of_a_scale_is_refused(text, make):
    with pytest.raises(SpecificationError, match=f"'sd'.*{text}|{text}.*'sd'"):
        scale_priors({"sd": 1.0, "other": 1.0}, {"sd": make()})


@pytest.mark.parametrize(
    "make", [lambda: pm.Uniform.dist(0.5, 2), lambda: pm.LogNormal.dist(7, 0.01)]
)
def test_narrow_priors_of_scales_are_taken(make):
    assert scale_priors({"sd": 1.0}, {"sd": make()}).replaced.all()


def test_normal_priors_have_a_shape_that_fits_a_finite_mean_and_a_positive_sd():
    one_each = pm.Normal.dist(np.arange(2.0), 1)
    assert normal_moments(one_each, 2, 0.0, 1.0)[0].tolist() == [0.0, 1.0]
    for prior, size in ((one_each, 3), (one_each, (2, 2)), (pm.Normal.dist(0, 1, shape=3), 2)):
        with pytest.raises(SpecificationError, match="shape"):
            normal_moments(prior, size, 0.0, 1.0)
    for mean, sd in ((0, -1), (0, 0), (0, np.inf), (np.nan, 1)):
        with pytest.raises(SpecificationError, match="no distribution"):
            normal_moments(pm.Normal.dist(mean, sd), 2, 0.0, 1.0)


def test_a_prior_with_a_random_parameter_is_refused_and_not_drawn_once():
    random = pm.Normal.dist(0, 1)
    with pytest.raises(SpecificationError, match="a distribution itself"):
        normal_moments(pm.Normal.dist(random, 1), 2, 0.0, 1.0)
    assert normal_moments(pm.Normal.dist(0, tau=4), 1, 0.0, 1.0)[1].tolist() == [0.5]


def test_concentrations_of_shares_are_positive():
    method = resolve("ordinal")
    with pytest.raises(SpecificationError, match=r"'share' are \[-1\.0, 1\.0, 1\.0\]"):
        prior = {"share": pm.Dirichlet.dist([-1.0, 1, 1])}
        method.kernel(make_design("ordinal", False), prior, method.options)
    with pytest.raises(SpecificationError, match="'share' is 1, not a PyMC distribution"):
        method.kernel(make_design("ordinal", False), {"share": 1}, method.options)


def test_a_constant_is_no_distribution():
    import pytensor.tensor as pt

    with pytest.raises(SpecificationError, match="not a PyMC distribution"):
        check_distribution("y", "beta", pt.as_tensor(1.0))
