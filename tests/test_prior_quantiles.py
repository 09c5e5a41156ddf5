"""Quantiles of priors that have a closed form are exact."""

import numpy as np
import pymc as pm
import pytensor
import pytest
from pytensor.compile.mode import Mode
from scipy import stats

from bayesimpute.prior.parameters import FAMILIES, _elements

P = (0.05, 0.5, 0.95)
CASES = {
    "Normal": (lambda: pm.Normal("v", 1, 2), stats.norm(1, 2)),
    "HalfNormal": (lambda: pm.HalfNormal("v", 1.5), stats.halfnorm(scale=1.5)),
    "StudentT": (lambda: pm.StudentT("v", nu=3, mu=1, sigma=2), stats.t(3, 1, 2)),
    "HalfStudentT": (lambda: pm.HalfStudentT("v", nu=3, sigma=2), stats.foldnorm),
    "Cauchy": (lambda: pm.Cauchy("v", 1, 2), stats.cauchy(1, 2)),
    "HalfCauchy": (lambda: pm.HalfCauchy("v", 2), stats.halfcauchy(scale=2)),
    "Laplace": (lambda: pm.Laplace("v", 1, 2), stats.laplace(1, 2)),
    "LogNormal": (lambda: pm.LogNormal("v", 1, 2), stats.lognorm(2, scale=np.e)),
    "Exponential": (lambda: pm.Exponential("v", 4.0), stats.expon(scale=0.25)),
    "Gamma": (lambda: pm.Gamma("v", 2.0, 4.0), stats.gamma(2, scale=0.25)),
    "InverseGamma": (lambda: pm.InverseGamma("v", 3.0, 2.0), stats.invgamma(3, scale=2)),
    "Beta": (lambda: pm.Beta("v", 2.0, 3.0), stats.beta(2, 3)),
    "Uniform": (lambda: pm.Uniform("v", 1, 4), stats.uniform(1, 3)),
    "TruncatedNormal": (
        lambda: pm.TruncatedNormal("v", mu=1, sigma=2, lower=0, upper=4),
        stats.truncnorm(-0.5, 1.5, 1, 2),
    ),
    "Weibull": (lambda: pm.Weibull("v", 2.0, 3.0), stats.weibull_min(2, scale=3)),
}


@pytest.mark.parametrize("family", CASES)
def test_a_closed_form_is_exact_and_takes_no_draws(family):
    build, expected = CASES[family]
    with pm.Model() as model:
        variable = build()
    ((label, text, found),) = _elements(model, variable, lambda: pytest.fail("draws were made"))
    if family == "HalfStudentT":
        expected_values = stats.t(3, 0, 2).ppf((1 + np.array(P)) / 2)
    else:
        expected_values = expected.ppf(P)
    np.testing.assert_allclose(found, expected_values, rtol=1e-6)
    assert label == "" and text.startswith(family) and (family in FAMILIES or family == "Weibull")


@pytest.mark.parametrize(("n", "eta"), [(2, 2.0), (4, 1.0)])
def test_a_correlation_of_an_lkj_matrix_is_a_stretched_beta(n, eta):
    with pm.Model() as model:
        factor = pm.LKJCorr("correlation_factor", n=n, eta=eta)
    # 1,500 draws by Python take a tenth of what compiling for them takes, of the scan inside too
    by_python = Mode(linker="py", optimizer="fast_compile")
    with pytensor.config.change_flags(mode=by_python, cxx=""):
        draws = pm.draw(factor, draws=1500, random_seed=1)
    ((_, _, found),) = _elements(model, factor, lambda: draws)
    shape = eta - 1 + n / 2
    np.testing.assert_allclose(found, 2 * stats.beta(shape, shape).ppf(P) - 1, rtol=1e-6, atol=1e-9)
    matrices = draws @ np.swapaxes(draws, 1, 2)
    drawn = np.quantile(matrices[:, 1, 0], P)
    np.testing.assert_allclose(found, drawn, atol=0.08)


def test_elements_of_a_vector_have_their_own_and_what_depends_on_others_is_drawn():
    with pm.Model(coords={"k": ["a", "b"]}) as model:
        scale = pm.HalfNormal("scale", 1)
        vector = pm.Normal("v", [0.0, 5.0], [1.0, 2.0], dims="k")
        nested = pm.Normal("n", 0, scale)
    first, second = _elements(model, vector, lambda: pytest.fail("draws were made"))
    assert (first[0], second[0]) == ("a", "b")
    np.testing.assert_allclose(first[2], stats.norm(0, 1).ppf(P), atol=1e-12)
    np.testing.assert_allclose(second[2], stats.norm(5, 2).ppf(P))
    ((_, _, found),) = _elements(model, nested, lambda: np.ones(3))
    assert found == (1.0, 1.0, 1.0)
