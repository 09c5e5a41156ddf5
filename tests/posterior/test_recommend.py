"""How many imputations: von Hippel's numbers, and errors that really shrink to what was asked."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import AnalysisError
from bayesimpute.posterior.pooled import fmi_interval, imputations_for


def pooled_with(fmi, m, seed=1):
    """Rubin's rules where T = 1 and B is exactly what gives this fraction."""
    between = fmi / (1 + 1 / m)
    estimates = np.zeros((m, 1))
    estimates[:2, 0] = np.array([1, -1]) * np.sqrt(between * (m - 1) / 2)
    return bi.pool(estimates, np.full((m, 1), 1 - fmi), terms=["x"])


def test_the_quadratic_rule_rounds_up():
    # 1 + ½ (γ / 0.05)² by hand, rounded up
    assert imputations_for([0.1, 0.3, 0.5, 0.7, 0.9], 0.05).tolist() == [3, 19, 51, 99, 163]
    assert imputations_for(0.0, 0.05) == 2


def test_missing_information_of_a_first_stage_has_its_interval():
    # logit 0.39 = −0.447, ± 1.96 √(2/5) = 1.240
    low, high = fmi_interval(0.39, 5)
    assert (float(low), float(high)) == pytest.approx((0.156, 0.688), abs=0.001)


def test_the_standard_error_repeats_as_well_as_was_asked_for():
    cv, fmi = 0.05, 0.5
    m = int(imputations_for(fmi, cv))
    rng = np.random.default_rng(1)
    between = fmi * rng.chisquare(m - 1, 20_000) / (m - 1)
    errors = np.sqrt(1 - fmi + (1 + 1 / m) * between)
    assert errors.std() / errors.mean() == pytest.approx(cv, rel=0.05)


def test_estimates_and_interval_ends_repeat_as_well_as_was_asked_for():
    needed = bi.recommend_m(pooled_with(0.5, 20), mc_error=0.1).loc["x"]
    rng = np.random.default_rng(2)
    m = int(needed["m_interval"])
    draws = rng.normal(0, np.sqrt(0.5), (20_000, m))
    ends = draws.mean(axis=1) + 1.96 * np.sqrt(0.5 + (1 + 1 / m) * draws.var(axis=1, ddof=1))
    assert ends.std() == pytest.approx(0.1, rel=0.07)
    few = draws[:, : int(needed["m_estimate"])].mean(axis=1)
    assert few.std() == pytest.approx(0.1, rel=0.05)


def test_posteriors_get_the_same_advice_as_rubins_rules():
    rng = np.random.default_rng(3)
    centres = rng.normal(0, 1, 400)
    posteriors = [{"x": rng.normal(centre, 1, (2, 100))} for centre in centres]
    mixed = bi.recommend_m(bi.pool_posteriors(posteriors, seed=1)).loc["x"]
    rubin = bi.recommend_m(bi.pool(centres[:, None], np.ones((400, 1)), terms=["x"])).loc["x"]
    assert mixed["m_std_error"] == pytest.approx(rubin["m_std_error"], rel=0.15)
    assert mixed["m_estimate"] == pytest.approx(rubin["m_estimate"], rel=0.1)
    # quantiles repeat less well than normal ends: over 400 replications of m = 60 with an error of
    # 0.20, where 0.1 √2 is asked for
    assert rubin["m_interval"] < mixed["m_interval"]
    assert mixed["m_interval"] == pytest.approx(60 * 0.2**2 / 0.02, rel=0.25)
    assert mixed["m"] == max(mixed[["m_std_error", "m_estimate", "m_interval"]])


def test_fits_are_pooled_first():
    frames = [pd.DataFrame({"x": range(6), "y": [1, 2, 3, 5, 4, 6 + i]}) for i in range(5)]
    fits = bi.fit(frames, "y ~ x")
    assert bi.recommend_m(fits, terms=["x"]).equals(bi.recommend_m(fits.pool(), terms=["x"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cv": 0}, "cv=0 must be a number above 0"),
        ({"mc_error": -1}, "mc_error=-1 must be a number above 0"),
        ({"terms": ["xx"]}, "did you mean 'x'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(AnalysisError, match=message):
        bi.recommend_m(pooled_with(0.5, 20), **arguments)


def test_something_else_is_refused():
    with pytest.raises(AnalysisError, match="not list"):
        bi.recommend_m([1, 2])
    with pytest.warns(bi.ImputationWarning), pytest.raises(AnalysisError, match="m = 1"):
        bi.recommend_m(bi.pool([[1.0]], [[1.0]]))
