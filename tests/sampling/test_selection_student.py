"""The Student-t selection likelihood against quadrature and rejection sampling."""

import numpy as np
import pytest
from scipy import integrate, stats

from bayesimpute.sampling.selection import SelectionLikelihood, StudentSelectionLikelihood, between
from tests import calls

NU = 5.0
NONE = np.empty(0)
ETA = np.array([0.3, 0.4, np.log(1.5), np.arctanh(0.7)])


def row(value, seen, root=1.0):
    return np.array([[value if seen else 0.0, float(seen), root]])


@pytest.mark.parametrize("rho", [None, -0.7])
def test_gradients_are_those_of_the_value(rho):
    rng = np.random.default_rng(1)
    seen = (rng.random(40) < 0.6).astype(float)
    y = np.column_stack([rng.normal(size=40) * seen, seen, np.sqrt(rng.gamma(2, 0.5, size=40))])
    eta = rng.normal(size=(40, 4))
    likelihood, positive = StudentSelectionLikelihood(rho), np.array([NU])
    _, by_eta, by_nu, _ = calls.density(likelihood, y, eta, positive, NONE)
    assert by_nu == 0.0
    for i, r in np.ndindex(eta.shape):
        ends = []
        for step in (1e-6, -1e-6):
            at = eta.copy()
            at[i, r] += step
            ends.append(calls.density(likelihood, y, at, positive, NONE)[0])
        assert by_eta[i, r] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=2e-5, abs=2e-5)


@pytest.mark.parametrize(("value", "seen"), [(2.9, True), (-4.0, True), (0.0, False)])
def test_the_marginal_is_the_weighted_likelihood_over_the_weights(value, seen):
    likelihood = StudentSelectionLikelihood()

    def given(w, nu):
        y = row(value, seen, np.sqrt(w))
        # the density of y given w has the root of w before it, which no η changes
        front = np.sqrt(w) / np.sqrt(2 * np.pi) if seen else 1.0
        lp = calls.density(likelihood, y, ETA[None], np.array([nu]), NONE)[0]
        return front * np.exp(lp) * stats.gamma.pdf(w, nu / 2, scale=2 / nu)

    both = []
    for nu in (NU, 2.5):
        integral = integrate.quad(given, 0, np.inf, args=(nu,), epsabs=1e-13, limit=400)[0]
        both.append(np.log(integral) - likelihood.marginal(row(value, seen), ETA[None], nu))
    assert both[0] == pytest.approx(both[1], abs=1e-7)  # what is left is free of ν


@pytest.mark.parametrize(("value", "seen"), [(2.9, True), (-4.0, True), (0.0, False)])
def test_weights_have_their_conditional_moments(value, seen):
    likelihood, n = StudentSelectionLikelihood(), 100_000
    y, eta = np.repeat(row(value, seen), n, axis=0), np.tile(ETA, (n, 1))
    drawn = likelihood.weights(y, eta, NU, np.random.default_rng(2))

    def moment(k):
        def density(w):
            y = row(value, seen, np.sqrt(w))
            lp = calls.density(likelihood, y, ETA[None], np.array([NU]), NONE)[0]
            front = np.sqrt(w) if seen else 1.0
            return w**k * front * np.exp(lp) * stats.gamma.pdf(w, NU / 2, scale=2 / NU)

        return integrate.quad(density, 0, np.inf, epsabs=1e-13, limit=400)[0]

    total, first, second = (moment(k) for k in range(3))
    assert drawn.mean() == pytest.approx(first / total, rel=0.015)
    assert (drawn**2).mean() == pytest.approx(second / total, rel=0.03)


def test_unseen_values_are_those_of_a_simulated_selection():
    n, rng = 400_000, np.random.default_rng(3)
    rho, sigma = np.tanh(ETA[3]), np.exp(ETA[2])
    w = rng.gamma(NU / 2, 2 / NU, size=n)
    u = rng.normal(size=n)
    e = (rho * u + np.sqrt(1 - rho**2) * rng.normal(size=n)) / np.sqrt(w)
    u /= np.sqrt(w)
    y, seen = ETA[0] + sigma * e, ETA[1] + u > 0
    likelihood = StudentSelectionLikelihood()
    for state, chosen in ((0.0, ~seen), (1.0, seen), (np.nan, np.ones(n, bool))):
        size = 200_000
        drawn = likelihood.draw(np.tile(ETA, (size, 1)), np.array([NU]), np.full(size, state), rng)
        for q in (0.01, 0.1, 0.5, 0.9, 0.99):
            at = np.quantile(y[chosen], q)
            assert (drawn < at).mean() == pytest.approx(q, abs=0.004), (state, q)


def test_many_degrees_of_freedom_are_the_normal_model():
    rng = np.random.default_rng(4)
    n, nu = 500, 1e7
    seen = (rng.random(n) < 0.6).astype(float)
    y = np.column_stack([rng.normal(size=n) * seen, seen, np.ones(n)])
    eta = 0.5 * rng.normal(size=(n, 4))
    student, normal = StudentSelectionLikelihood(), SelectionLikelihood()
    moved = eta + 0.1 * rng.normal(size=(n, 4))
    gain = student.marginal(y, moved, nu) - student.marginal(y, eta, nu)
    # the marginal leaves out log σ, which is free of ν
    gain -= (moved[:, 2] - eta[:, 2]) @ seen
    expected = np.diff([calls.density(normal, y, at, NONE, NONE)[0] for at in (eta, moved)])
    assert gain == pytest.approx(expected, rel=1e-4)
    assert student.weights(y, eta, nu, rng) == pytest.approx(np.ones(n), abs=0.01)


@pytest.mark.parametrize("end", [-9.0, 0.0, 9.0])
def test_truncated_draws_stay_where_they_belong_far_out_too(end):
    rng, n = np.random.default_rng(5), 20_000
    for above, side in ((1.0, 1), (0.0, -1)):
        drawn = between(
            np.full(n, NU), np.zeros(n), np.ones(n), np.full(n, above), np.full(n, end), rng
        )
        assert (side * (drawn - end) >= -1e-9 * abs(end)).all()
        tail = stats.t.sf if above else stats.t.cdf
        middle = np.median(drawn)
        assert tail(middle, NU) == pytest.approx(0.5 * tail(end, NU), rel=0.03)


def test_rows_far_out_and_many_degrees_of_freedom_end_a_move():
    """There the distribution function underflows, whatever ν."""
    likelihood, rng = StudentSelectionLikelihood(), np.random.default_rng(6)
    y, eta = row(0.0, False), np.array([[0.0, 60.0, 0.0, 0.0]])

    def log_prior(extra):
        return (0.0 if np.log(1e5) < extra[0] < np.log(1e7) else -np.inf), np.exp(extra)

    assert np.isfinite(likelihood.marginal(y, eta, 1e6))
    moved, _ = likelihood.refresh(y, eta, np.array([np.log(1e6)]), log_prior, rng)
    assert np.log(1e5) < moved[0] < np.log(1e7)
