"""The analysis as the chains drew it: in the words of the formula, on the scale of the data."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import AnalysisError

FORMULA = "y ~ x * c + (1 + x | g)"


def simulated(rows=600, clusters=60):
    """Draw x far from 0, where the intercept is; the last category is the commonest."""
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(clusters), rows // clusters)
    x = rng.normal(5, 1, rows)
    c = rng.choice(3, rows, p=[0.2, 0.3, 0.5])
    level, slope = rng.normal(0, 0.7, clusters)[g], rng.normal(0, 0.4, clusters)[g]
    y = 2 + level + (1 + slope) * x + np.array([0, 1, -1])[c] + 0.3 * x * (c == 1)
    y += rng.normal(0, 0.8, rows)
    frame = pd.DataFrame(
        {"g": g, "x": x, "c": pd.Categorical.from_codes(c, ["p", "q", "r"]), "y": y}
    )
    frame.loc[[3, 100], "x"] = np.nan
    return frame


@pytest.fixture(scope="module")
def imp():
    return bi.impute(simulated(), analysis=FORMULA, m=2, iterations=150, seed=1, progress=False)


def test_it_says_what_rubins_rules_say_where_hardly_anything_is_missing(imp):
    table = imp.analysis
    assert table.index.tolist() == [
        "(Intercept)", "x", "cq", "cr", "x:cq", "x:cr",
        "sd((Intercept) | g)", "sd(x | g)", "cor((Intercept), x | g)", "sigma", "icc(g)",
    ]  # fmt: skip
    coefficients = table.iloc[:6]
    off = (coefficients["estimate"] - coefficients["pooled"]) / coefficients["std_error"]
    assert off.abs().max() < 0.5, off
    np.testing.assert_allclose(coefficients["sd"], coefficients["std_error"], rtol=0.3)
    assert abs(table.at["sigma", "estimate"] / table.at["sigma", "pooled"] - 1) < 0.05
    assert abs(table.at["sd(x | g)", "estimate"] - table.at["sd(x | g)", "pooled"]) < 0.06
    # at x = 0, five SDs from the data, where the chains have it at their mean
    at_zero = table.loc["sd((Intercept) | g)"]
    assert abs(at_zero["estimate"] - at_zero["pooled"]) < 2.5 * at_zero["sd"]
    assert (table["r_hat"] < 1.1).all() and (table["ess_bulk"] > 50).all()


def test_fit_without_a_formula_is_of_the_analysis(imp):
    fits = imp.fit()
    assert fits.formula == FORMULA
    pd.testing.assert_series_equal(
        fits.pool().table["estimate"], imp.analysis["pooled"][:6], check_names=False
    )


def test_the_other_families_keep_their_own_parameters():
    frame = simulated().assign(n=lambda d: np.random.default_rng(1).poisson(2, len(d)))
    imp = bi.impute(
        frame[["g", "x", "n"]],
        analysis="n ~ x + (1 | g)",
        family="negative_binomial",
        m=1,
        iterations=4,
        seed=1,
        progress=False,
    )
    assert imp.analysis.index.tolist() == [
        "(Intercept)", "x", "sd((Intercept) | g)", "overdispersion"
    ]  # fmt: skip
    assert imp.analysis["pooled"].isna().all()
    with pytest.raises(bi.AnalysisError, match=r"no package here fits .*imp\.analysis"):
        imp.fit()


def test_chained_equations_have_none(imp):
    other = bi.impute(
        imp.data, analysis=FORMULA, on="conditional", m=1, iterations=1, progress=False
    )
    with pytest.raises(bi.SpecificationError, match="made by chained equations"):
        other.analysis  # noqa: B018


def test_several_analyses_are_told_apart_by_outcome():
    frame = simulated(120, 12)[["g", "x", "y"]].assign(z=lambda d: d["x"].fillna(5) > 5)
    imp = bi.impute(frame, analysis=["y ~ x + (1 | g)", "z ~ y"], m=2, iterations=2, progress=False)
    assert imp.analysis.index.get_level_values(0).unique().tolist() == ["y", "z"]
    with pytest.raises(bi.AnalysisError, match="give a formula; 'y ~ x"):
        imp.fit()


@pytest.mark.parametrize("formula", [
    "y ~ c / x", "y ~ x:c", "y ~ x:c:t + t", "y ~ c:t", "y ~ I(x ** 2):c + x",
    "y ~ bs( x,df =4) * t", "y ~ c + ns(x,  knots=c(4, 6))",
])  # fmt: skip
def test_a_model_has_all_columns_of_its_analysis(formula):
    frame = simulated(120, 12)
    frame["t"] = np.arange(120) % 7 > 2
    frame.loc[::5, "x"] = np.nan
    frame.loc[1::6, "y"] = np.nan
    imp = bi.impute(frame, analysis=formula, m=2, iterations=4, seed=1, progress=False)
    table, terms = imp.analysis, imp.fit()[0].terms
    assert table.index.tolist() == [*terms, "sigma"]
    assert table.loc[list(terms), "pooled"].notna().all()


@pytest.mark.parametrize(("formula", "text"), [
    ("y ~ scale(x):c", r"scale\(x\):c: a product with scale\(\) needs 'c' as a term of its own"),
    ("y ~ ns(x, df=3):t + c", "needs 't' as a term of its own"),
    ("y ~ poly(x, 2) + offset(g)", "a conditional model has no offset"),
])  # fmt: skip
def test_an_analysis_that_no_model_can_have_is_refused(formula, text):
    frame = simulated(120, 12).assign(t=np.arange(120) % 7 > 2)
    with pytest.raises(bi.SpecificationError, match=text):
        bi.impute(frame, analysis=formula, m=2, iterations=1, seed=1, progress=False)


@pytest.fixture(scope="module")
def lines():
    """Two groups with a line each, their predictor far from 0; a third line elsewhere."""
    rng = np.random.default_rng(2)
    df = pd.DataFrame({"arm": ["a", "b"] * 40, "g": np.arange(80) % 5, "w": rng.normal(size=80)})
    df["x"] = 10 + rng.normal(size=80) + 2 * df["w"]
    df["y"] = np.where(df["arm"] == "a", 6 - df["x"], 1 + 2 * df["x"]) + 0.01 * rng.normal(size=80)
    df.loc[df["w"] < 0, "y"] = -99.0
    df.loc[::9, "x"] = np.nan
    return df


def test_each_group_of_a_model_has_coefficients_of_its_own(lines):
    inside = bi.by_group("normal", "arm")
    imp = bi.impute(
        lines, analysis="y ~ x", method={"y": bi.only_where(inside, "w >= 0", otherwise=-99)},
        m=2, iterations=6, seed=1, progress=False,
    )  # fmt: skip
    found = imp.analysis["estimate"]
    wanted = {"(Intercept)[a]": 6, "x[a]": -1, "(Intercept)[b]": 1, "x[b]": 2}
    assert set(found.index) == {*wanted, "sigma[a]", "sigma[b]"}
    np.testing.assert_allclose(found[list(wanted)], list(wanted.values()), atol=0.3)


def test_coefficients_of_rows_where_a_condition_holds_are_at_0_of_the_predictors(lines):
    rows = lines[lines["arm"] == "b"]
    imp = bi.impute(
        rows, analysis="y ~ x", method={"y": bi.only_where("normal", "w >= 0", otherwise=-99)},
        m=2, iterations=6, seed=1, progress=False,
    )  # fmt: skip
    np.testing.assert_allclose(imp.analysis["estimate"][["(Intercept)", "x"]], [1, 2], atol=0.3)


def test_fixed_effects_of_clusters_are_no_parameters_of_the_formula(lines):
    imp = bi.impute(
        lines, cluster="g", analysis="y ~ x + (1 | g)", m=1, iterations=1, seed=1,
        method={"y": bi.fixed_clusters("normal")}, progress=False,
    )  # fmt: skip
    with pytest.raises(AnalysisError, match="fixed effects of clusters"):
        _ = imp.analysis
