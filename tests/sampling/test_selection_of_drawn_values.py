"""Selection models where a value is drawn though it is not seen, and where seeing says nothing."""

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
    StudentSelectionLikelihood,
)

ROWS = 40
NONE = np.empty(0)


def rows(equations, binary=False):
    rng = np.random.default_rng(3)
    known = np.resize([SEEN, UNSEEN, DRAWN, VALUE_ONLY], ROWS)
    value = rng.normal(size=ROWS)
    if binary:
        value = (value > 0).astype(float)
    y = np.column_stack([np.where(known == UNSEEN, 0.0, value), known, np.ones(ROWS)])
    eta = rng.normal(size=(ROWS, equations)) * ([1, 1, 0.3, 0.5] if equations == 4 else [1, 1, 0.5])
    return y, eta


@pytest.mark.parametrize("likelihood", [SelectionLikelihood(), BinarySelectionLikelihood()])
def test_what_the_sampler_climbs_is_the_density_of_the_rows(likelihood):
    y, eta = rows(likelihood.equations, likelihood.equations == 3)

    def compiled(at):
        columns, extra = np.ascontiguousarray(y.T), np.empty(0)
        given = (columns, np.ascontiguousarray(at.T), extra, likelihood.constants)
        return likelihood.density(given)

    def total(at):
        return likelihood.log_density(y, at, NONE, NONE, 1.0).sum()

    other = eta + 0.2
    wanted = total(other) - total(eta)
    assert float(compiled(other)[0] - compiled(eta)[0]) == pytest.approx(wanted, rel=1e-8)
    gradient = compiled(eta)[1]
    for r in range(likelihood.equations):
        for i in range(8):
            step = np.zeros_like(eta)
            step[i, r] = 1e-5
            slope = (total(eta + step) - total(eta - step)) / 2e-5
            assert gradient[r, i] == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_seen_and_drawn_share_the_density_of_the_value():
    y, eta = rows(4)
    likelihood = SelectionLikelihood()

    def share(known):
        return np.exp(likelihood.log_density(with_code(y, known), eta, NONE, NONE, 1.0))

    np.testing.assert_allclose(share(SEEN) + share(DRAWN), share(VALUE_ONLY))
    student = StudentSelectionLikelihood()
    each = [
        np.exp(student.log_density(with_code(y, known), eta, np.array([4.0]), NONE, 1.0))
        for known in (SEEN, DRAWN, VALUE_ONLY)
    ]
    np.testing.assert_allclose(each[0] + each[1], each[2])


def with_code(y, known):
    return np.column_stack([y[:, 0], np.full(len(y), known), y[:, 2]])


def test_degrees_of_freedom_move_on_the_density_of_the_rows():
    y, eta = rows(4)
    likelihood = StudentSelectionLikelihood()
    low, high = (
        likelihood.log_density(y, eta, np.array([nu]), NONE, 1.0).sum() for nu in (3.0, 7.0)
    )
    gap = likelihood.marginal(y, eta, 7.0) - likelihood.marginal(y, eta, 3.0)
    assert gap == pytest.approx(high - low, rel=1e-9)


@pytest.mark.parametrize("known", [SEEN, UNSEEN, DRAWN, VALUE_ONLY])
def test_weights_have_their_distribution_given_what_is_known(known):
    nu, e, selection, t = 4.0, 1.3, 0.4, 0.6
    likelihood, rng = StudentSelectionLikelihood(), np.random.default_rng(4)
    n = 40_000
    eta = np.tile([0.0, selection, 0.0, t], (n, 1))
    y = np.tile([0.0 if known == UNSEEN else e, known, 1.0], (n, 1))
    drawn = likelihood.weights(y, eta, nu, rng)
    w = np.linspace(1e-4, 12, 20_001)
    root, density = np.sqrt(w), stats.gamma.pdf(w, nu / 2, scale=2 / nu)
    if known == UNSEEN:
        density = density * stats.norm.cdf(-root * selection)
    else:
        density = density * root * stats.norm.pdf(root * e)
        at = root * (selection * np.cosh(t) + e * np.sinh(t))
        if known != VALUE_ONLY:
            density = density * stats.norm.cdf(known * at)
    mean = (w * density).sum() / density.sum()
    assert drawn.mean() == pytest.approx(mean, abs=5 * drawn.std() / np.sqrt(n))
