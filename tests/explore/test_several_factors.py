"""icc, missing_model, missing_tests and deduce with several grouping factors."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.explore.icc import factor_shares
from bayesimpute.sampling.variance_shares import share_softmax

BOTH = ["school", "class"]


@pytest.fixture(scope="module")
def study():
    return bi.simulate.simulate_classes(1, schools=30, classes=3, pupils=8)


def test_shares_are_those_of_lmer_and_the_posterior_surrounds_them(study):
    found = bi.icc(study.complete, "score", BOTH, draws=100, seed=1)
    table = found.table
    assert list(table.index) == ["class", "school", "within"]
    # lme4: VarCorr(lmer(score ~ 1 + (1 | school) + (1 | class)))
    np.testing.assert_allclose(table["reml"], [0.24098, 0.19154, 0.56748], rtol=1e-3)
    assert (table["reml"].between(table["low"], table["high"])).all()
    assert abs(table["mean"] - table["reml"]).max() < 0.03
    factors = table.loc[["class", "school"]]
    assert (factors["reml_low"] < factors["reml"]).all()
    assert abs(factors["reml_low"] - factors["low"]).max() < 0.08
    assert table["mean"].sum() == pytest.approx(1.0)
    assert found.draws["class"].shape == (4, 100)
    assert list(factors["n_clusters"]) == [90, 30]
    assert "'school'" in repr(found)


def test_crossed_shares_are_those_of_lmer():
    df = bi.simulate.simulate_ratings(4, subjects=40, items=20).complete
    table = bi.icc(df, "rating", ["item", "subject"], draws=50, seed=1).table
    np.testing.assert_allclose(
        table["reml"].loc[["subject", "item", "within"]], [0.38238, 0.21209, 0.40552], rtol=1e-3
    )
    assert (table["reml"].between(table["low"], table["high"])).all()


def test_a_category_has_shares_of_its_latent_variable(study):
    df = study.complete.assign(late=study.complete["score"] > 1.2)
    found = bi.icc(df, "late", BOTH, draws=60, seed=1)
    assert found.method == "logistic"
    assert found.table["mean"].sum() == pytest.approx(1.0)
    # the latent variable is nearly the score itself
    assert found.table.loc["class", "mean"] == pytest.approx(0.24, abs=0.12)


def test_shares_of_one_softmax_grouping_are_those_without_another():
    rng = np.random.default_rng(1)
    sd, correlation = rng.uniform(0.5, 1.5, (2, 3, 2)), rng.uniform(-0.5, 0.5, (2, 3, 1))
    draws = {"sd_intercept|a": sd, "correlation|a": correlation,
             "sd_intercept|b": 1e-6 * sd, "correlation|b": correlation}  # fmt: skip
    shares = factor_shares(share_softmax, draws, ["a", "b"])
    alone = share_softmax({"sd_intercept": sd, "correlation": correlation})
    np.testing.assert_allclose(shares["a"], alone, rtol=1e-9)
    same = factor_shares(share_softmax, draws | {"sd_intercept|b": sd}, ["a", "b"])
    np.testing.assert_allclose(same["a"], alone / (1 + alone))  # odds o become o / (1 + 2 o)
    np.testing.assert_allclose(same["a"], same["b"])


def test_missingness_is_alike_within_the_factor_it_goes_by(study):
    rng = np.random.default_rng(1)
    df = study.complete.copy()
    by_school = rng.normal(0, 2, df["school"].max() + 1)[df["school"]]
    df.loc[rng.random(len(df)) < 1 / (1 + np.exp(1 - by_school)), "score"] = np.nan
    model = bi.missing_model(df, "score", ["ses"], BOTH, draws=60, seed=1)
    icc = model.between.loc[["icc|school", "icc|class"], "estimate"]
    assert icc.iloc[0] > 0.3 > 0.15 > icc.iloc[1]
    assert set(model.between.index) >= {"sd_intercept|school", "sd_intercept|class"}
    assert model.cluster == ("class", "school")
    assert "'school'" in repr(model)
    tests = bi.missing_tests(df, BOTH).set_index("variable")
    assert tests.loc["school", "p_value"] < 1e-6


def test_tests_by_several_factors_are_those_by_each(study):
    both = bi.missing_tests(study.incomplete, BOTH)
    for factor in BOTH:
        one = bi.missing_tests(study.incomplete, factor)
        pd.testing.assert_series_equal(
            both.loc[~both["variable"].isin(BOTH), f"p_cluster|{factor}"],
            one.loc[~one["variable"].isin(BOTH), "p_cluster"],
            check_names=False,
        )
        pd.testing.assert_frame_equal(
            both.loc[both["variable"] == factor, ["test", "p_value"]],
            one.loc[one["variable"] == factor, ["test", "p_value"]],
        )


def test_properties_of_schools_and_of_classes_are_each_filled():
    df = pd.DataFrame(
        {
            "school": ["a", "a", "a", "b", "b"],
            "class": [1, 1, 2, 3, 3],
            "town": ["X", None, None, "Y", "Y"],
            "room": [7.0, None, 8.0, None, 9.0],
        }
    )
    found = bi.deduce(df, cluster=BOTH, level2=["town", "room"])
    assert found.data["town"].tolist() == ["X", "X", "X", "Y", "Y"]
    assert found.data["room"].tolist() == [7, 7, 8, 9, 9]
    assert set(found.log["rule"]) == {"same school", "same class"}
    with pytest.raises(bi.DataError, match=r"differs between rows .* 'class'"):
        bi.deduce(df.assign(room=[7.0, 6, 8, 9, 9]), cluster=BOTH, level2=["room"])


def test_factors_that_cannot_be_told_apart_are_refused(study):
    df = study.incomplete.assign(same=study.incomplete["school"] * 2, alone=1)
    for cluster, match in ((["school", "same"], "same way"), (["school", "alone"], "single")):
        with pytest.raises(bi.DataError, match=match):
            bi.icc(df, "score", cluster)
        with pytest.raises(bi.DataError, match=match):
            bi.missing_model(df, "score", cluster=cluster)
    for call in (bi.deduce, bi.missing_tests):
        with pytest.raises(bi.SpecificationError, match="'room', which is no column"):
            call(df, cluster=["school", "room"])
    with pytest.raises(bi.SpecificationError, match="another column"):
        bi.icc(df, "school", BOTH)
