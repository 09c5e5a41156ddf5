"""Likelihoods with a selection equation against scipy; draws against known moments."""

import numpy as np
import pytest
from scipy import stats

from bayesimpute.sampling.selection import (
    DRAWN,
    SEEN,
    UNSEEN,
    VALUE_ONLY,
    BinarySelectionLikelihood,
    SelectionLikelihood,
)
from tests import calls

N = 60
NONE = np.empty(0)


def rows(binary):
    rng = np.random.default_rng(1)
    seen = (rng.random(N) < 0.6).astype(float)
    y = (rng.random(N) < 0.5).astype(float) if binary else rng.normal(size=N)
    return np.column_stack([np.where(seen > 0, y, 0.0), seen, np.ones(N)])


LIKELIHOODS = {
    "normal": (SelectionLikelihood, 4),
    "binary": (BinarySelectionLikelihood, 3),
}


@pytest.mark.parametrize("rho", [None, -0.7])
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_gradients_are_those_of_the_value(name, rho):
    kind, equations = LIKELIHOODS[name]
    likelihood, y = kind(rho), rows(name == "binary")
    eta = np.random.default_rng(2).normal(size=(N, equations))
    _, by_eta, _, _ = calls.density(likelihood, y, eta, NONE, NONE)
    for i, r in np.ndindex(eta.shape):
        ends = []
        for step in (1e-6, -1e-6):
            at = eta.copy()
            at[i, r] += step
            ends.append(calls.density(likelihood, y, at, NONE, NONE)[0])
        assert by_eta[i, r] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=2e-5, abs=2e-5)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_value_is_that_of_a_bivariate_normal(name):
    kind, equations = LIKELIHOODS[name]
    binary = name == "binary"
    y = rows(binary)
    eta = np.random.default_rng(2).normal(size=(N, equations))
    expected = 0.0
    for (value, seen, _), at in zip(y, eta, strict=True):
        rho = np.tanh(at[-1])
        if not seen:
            expected += stats.norm.logcdf(-at[1])
        elif binary:
            sign = 2 * value - 1
            both = stats.multivariate_normal.cdf(
                [sign * at[0], at[1]], cov=[[1, sign * rho], [sign * rho, 1]]
            )
            expected += np.log(both)
        else:
            sigma = np.exp(at[2])
            e = (value - at[0]) / sigma
            expected += stats.norm.logpdf(value, at[0], sigma) + 0.5 * np.log(2 * np.pi)
            expected += stats.norm.logcdf((at[1] + rho * e) / np.sqrt(1 - rho**2))
    found = calls.density(kind(), y, eta, NONE, NONE)[0]
    assert found == pytest.approx(expected, rel=1e-6)


#: Linear predictors (outcome, selection, log σ, atanh ρ), and how near eight nodes of quadrature
#: and the simulation come there.
PLACES = {
    "middle": ((0.3, 0.2, -0.2, 0.5), 0.02),
    "rarely seen": ((-0.2, -0.8, 0.4, -0.6), 0.03),
    "independent": ((0.8, 0.6, 0.0, 0.0), 0.02),
    "strong": ((0.1, -0.3, 0.3, 1.1), 0.1),
}
#: What a row may know, by name: whether its value is seen; the value in any case, with and without.
KNOWN = {"seen or not": UNSEEN, "a value and whether it is seen": DRAWN, "a value": VALUE_ONLY}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("name", "known"),
    [*(("normal", each) for each in KNOWN), ("binary", "seen or not")],
)
def test_information_is_the_mean_outer_product_of_simulated_scores(name, known, place):
    kind = LIKELIHOODS[name][0]
    binary, otherwise = name == "binary", KNOWN[known]
    (outcome, selection, log_sigma, t), near = PLACES[place]
    at = [outcome, selection, t] if binary else [outcome, selection, log_sigma, t]
    n, rng = 200_000, np.random.default_rng(3)
    e, u = rng.multivariate_normal([0, 0], [[1, np.tanh(t)], [np.tanh(t), 1]], n).T
    value = (outcome + e > 0) if binary else outcome + np.exp(log_sigma) * e
    what = np.where(selection + u > 0, SEEN, otherwise)
    if otherwise == VALUE_ONLY:
        what[:] = VALUE_ONLY
    y = np.column_stack([np.where(what == UNSEEN, 0.0, value), what, np.ones(n)])
    eta = np.tile(at, (n, 1))
    score = calls.density(kind(), y, eta, NONE, NONE)[1]
    # rows whose value is seen and those whose value is not are the same in expectation
    few = slice(100)
    found = calls.information(kind(), np.where(y == SEEN, otherwise, y)[few], eta[few], NONE, NONE)
    np.testing.assert_array_equal(found, np.broadcast_to(found[0], found.shape))
    fisher = score.T @ score / n
    size = np.sqrt(np.diag(fisher))
    units = np.outer(size, size) + (np.outer(size, size) == 0)
    np.testing.assert_allclose(found[0] / units, fisher / units, atol=near)
    assert np.linalg.eigvalsh(found[0]).min() > -1e-10


def test_unseen_values_have_the_moments_of_truncation():
    """Mean −ρσφ/Φ and variance σ²(1 − ρ²λ(λ − η)) of Greene (2012, theorem 19.5)."""
    n, rho, sigma, selection = 400_000, 0.8, 1.5, 0.4
    eta = np.tile([0.0, selection, np.log(sigma), np.arctanh(rho)], (n, 1))
    rng = np.random.default_rng(4)
    likelihood = SelectionLikelihood()
    for seen, sign in ((0.0, -1.0), (1.0, 1.0)):
        drawn = likelihood.draw(eta, NONE, np.full(n, seen), rng)
        hazard = stats.norm.pdf(selection) / stats.norm.cdf(sign * selection)
        mean = sign * rho * sigma * hazard
        variance = sigma**2 * (1 - rho**2 * hazard * (hazard + sign * selection))
        assert drawn.mean() == pytest.approx(mean, abs=0.01)
        assert drawn.var() == pytest.approx(variance, rel=0.01)
    free = likelihood.draw(eta, NONE, np.full(n, np.nan), rng)
    assert free.mean() == pytest.approx(0, abs=0.01) and free.std() == pytest.approx(1.5, abs=0.01)


def test_unseen_categories_have_their_bivariate_probability():
    n, rho = 200_000, 0.7
    eta = np.tile([0.2, 0.4, np.arctanh(rho)], (n, 1))
    drawn = BinarySelectionLikelihood().draw(eta, NONE, np.zeros(n), np.random.default_rng(5))
    both = stats.multivariate_normal.cdf([0.2, -0.4], cov=[[1, -rho], [-rho, 1]])
    assert drawn.mean() == pytest.approx(both / stats.norm.cdf(-0.4), abs=0.005)
