"""Separated binary outcomes: found by a linear program, in the terms and imputations concerned."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

import bayesimpute as bi
from bayesimpute.errors import AnalysisError, ImputationWarning
from bayesimpute.pooling.estimates import estimates_from
from bayesimpute.pooling.separation import separated_terms, separating_direction


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(8)
    x = rng.normal(size=90)
    return pd.DataFrame({"x": x, "t": np.arange(90) % 2, "y": (x + rng.normal(size=90) > 0) * 1})


def fitted(frame, formula="y ~ x + t"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimates_from(smf.glm(formula, frame, family=sm.families.Binomial()).fit())


def test_a_sound_fit_is_not_separated_in_any_units(frame):
    for scale in (1e-6, 1.0, 1e6):
        assert separated_terms(fitted(frame.assign(x=frame["x"] * scale))) == ()
    rare = frame.assign(y=(frame.index < 2) * 1)  # one event with t = 0 and one with t = 1
    assert separated_terms(fitted(rare, "y ~ t")) == ()


def test_quasi_complete_and_complete_separation_are_told_apart_by_terms(frame):
    quasi = frame.assign(y=np.where(frame["t"] == 1, 1, frame["y"]))
    assert separated_terms(fitted(quasi)) == ("t",)
    complete = frame.assign(y=(frame["x"] > 0) * 1)
    assert "x" in separated_terms(fitted(complete))
    tiny = complete.assign(x=complete["x"] * 1e-6)
    assert "x" in separated_terms(fitted(tiny))


def test_what_statsmodels_says_of_the_same_is_not_repeated(frame):
    complete = frame.assign(y=(frame["x"] > 0) * 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bi.fit([complete, complete], "y ~ x", family="binomial")
    told = [str(each.message) for each in caught]
    assert sum("separat" in text for text in told) == 1


def test_only_the_imputations_concerned_are_named(frame):
    quasi = frame.assign(y=np.where(frame["t"] == 1, 1, frame["y"]))
    with pytest.warns(ImputationWarning, match=r"imputation 2: .* separated by 't'.*fit_posterior"):
        bi.fit([frame, quasi, frame], "y ~ x + t", family="binomial")


def test_shares_of_successes_count_on_both_sides():
    x = np.column_stack([np.ones(4), [0.0, 0.0, 1.0, 1.0]])
    assert separating_direction(np.array([0.0, 0.0, 1.0, 1.0]), x).any()
    assert not separating_direction(np.array([0.0, 0.5, 0.5, 1.0]), x).any()


def test_a_linear_model_of_a_binary_outcome_is_none_of_these(frame):
    complete = frame.assign(y=(frame["x"] > 0) * 1)
    assert separated_terms(estimates_from(smf.ols("y ~ x", complete).fit())) == ()


def test_an_outcome_of_three_categories_that_never_mixes_warns(frame):
    k = np.where(frame["t"] == 1, 2, np.arange(90) // 2 % 3)
    frames = [frame.assign(k=k)] * 2
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bi.fit(frames, lambda d: smf.mnlogit("k ~ x + t", d).fit(disp=0))
    assert any("separated by '1: t', '2: t'" in str(each.message) for each in caught)


def test_a_fit_that_ends_in_a_singular_matrix_says_what_that_means(frame):
    def analysis(data):
        return np.linalg.inv(np.zeros((2, 2)))

    with pytest.raises(AnalysisError, match=r"Singular matrix \(a predictor .* separate a binary"):
        bi.fit([frame], analysis)


@pytest.mark.slow
def test_what_is_advised_for_separated_data_gives_a_finite_answer(frame):
    bambi = pytest.importorskip("bambi")
    quasi = [frame.assign(y=np.where(frame["t"] == 1, 1, frame["y"]))] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        posteriors = bi.fit_posterior(
            quasi, lambda d: bambi.Model("y ~ x + t", d, family="bernoulli"), draws=300
        )
        assert posteriors.pool().table["sd"].max() < 10
