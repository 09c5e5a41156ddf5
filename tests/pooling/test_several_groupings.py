"""Analyses with several grouping factors: against REML written out, and pooled by Rubin's rules."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import bayesimpute as bi
from bayesimpute.pooling.estimates import estimates_from
from bayesimpute.pooling.formula_models import fit_formula

# the imputations are by schools only, which `imp.fit` says
pytestmark = pytest.mark.filterwarnings("ignore::bayesimpute.ImputationWarning")


@pytest.fixture(scope="module")
def classes():
    study = bi.simulate.simulate_classes(3, schools=9, classes=3, pupils=5, slope_sd=0.6)
    df = study.complete.copy()
    first = df.groupby("school")["class"].transform("min")
    return df.assign(room=df["class"] - first + 1)  # numbered from 1 in each school


@pytest.fixture(scope="module")
def ratings():
    return bi.simulate.simulate_ratings(4, subjects=12, items=9).complete


def indicator(codes):
    return (codes.to_numpy()[:, None] == np.unique(codes)).astype(float)


def reml(y, x, parts):
    """Variances of parts and residual by REML, from the covariance matrix of all rows."""

    def negative(logs):
        variances = np.exp(logs)
        v = variances[-1] * np.eye(len(y))
        for variance, z in zip(variances[:-1], parts, strict=True):
            v += variance * z @ z.T
        inverse = np.linalg.inv(v)
        information = x.T @ inverse @ x
        beta = np.linalg.solve(information, x.T @ inverse @ y)
        rest = y - x @ beta
        determinants = np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]
        return 0.5 * (determinants + rest @ inverse @ rest)

    found = optimize.minimize(negative, np.zeros(len(parts) + 1), method="BFGS")
    return np.exp(found.x)


SCORE = ["ses", "size", "public"]


def columns(df, names):
    return np.column_stack([np.ones(len(df)), df[names].to_numpy(dtype=float)])


def components_of(df, formula):
    return fit_formula(df, formula).variance_components


def test_nested_factors_have_the_variances_of_reml(classes):
    expected = reml(
        classes["score"].to_numpy(), columns(classes, SCORE),
        [indicator(classes["school"]), indicator(classes["class"])],
    )  # fmt: skip
    fixed = "score ~ ses + size + public"
    for formula, name in (
        (f"{fixed} + (1 | school) + (1 | class)", "class"),
        (f"{fixed} + (1 | school/class)", "school:class"),
        (f"{fixed} + (1 | school/room)", "school:room"),
    ):
        found = components_of(classes, formula)
        names = ["Intercept~~Intercept|school", f"Intercept~~Intercept|{name}",
                 "Residual~~Residual"]  # fmt: skip
        np.testing.assert_allclose([found[key] for key in names], expected, rtol=2e-3)
        shares = expected[:2] / expected.sum()
        np.testing.assert_allclose([found["ICC|school"], found[f"ICC|{name}"]], shares, rtol=2e-3)


def test_crossed_factors_have_the_variances_of_reml(ratings):
    expected = reml(
        ratings["rating"].to_numpy(), columns(ratings, ["age", "length"]),
        [indicator(ratings["subject"]), indicator(ratings["item"])],
    )  # fmt: skip
    found = components_of(ratings, "rating ~ age + length + (1 | subject) + (1 | item)")
    names = ["Intercept~~Intercept|subject", "Intercept~~Intercept|item", "Residual~~Residual"]
    np.testing.assert_allclose([found[key] for key in names], expected, rtol=2e-3)
    assert found["ICC|item"] == pytest.approx(expected[1] / expected.sum(), rel=2e-3)


def test_a_slope_of_one_factor_beside_intercepts_of_another(classes):
    ses = classes["ses"].to_numpy()[:, None]
    expected = reml(
        classes["score"].to_numpy(), columns(classes, SCORE),
        [indicator(classes["school"]), ses * indicator(classes["school"]),
         indicator(classes["class"])],
    )  # fmt: skip
    found = components_of(
        classes, "score ~ ses + size + public + (1 + ses || school) + (1 | class)"
    )
    names = ["Intercept~~Intercept|school", "ses~~ses|school", "Intercept~~Intercept|class"]
    np.testing.assert_allclose([found[key] for key in names], expected[:3], rtol=5e-3, atol=1e-4)
    assert {"ICC|school", "ICC|class"} <= set(found)


def test_a_factor_in_two_parts_has_one_share(classes):
    found = components_of(classes, "score ~ ses + (1 | school) + (0 + ses | school)")
    total = found["Intercept~~Intercept|school"] + found["Residual~~Residual"]
    assert found["ICC|school"] == pytest.approx(found["Intercept~~Intercept|school"] / total)
    assert sum(name.startswith("ICC|") for name in found) == 1


@pytest.fixture(scope="module")
def imp():
    study = bi.simulate.simulate_classes(5, schools=15, classes=3, pupils=6)
    df = study.complete.assign(score=study.incomplete["score"], late=study.complete["score"] > 1.2)
    return bi.impute(df, "school", method={"score": "normal"}, m=4, iterations=2, seed=1,
                     progress=False)  # fmt: skip


def test_components_of_all_factors_are_pooled(imp):
    formula = "score ~ ses + public + (1 | school) + (1 | class)"
    fits = imp.fit(formula)
    pooled = fits.pool()
    each = [fit_formula(data, formula) for data in imp.complete("all")]
    names = ["Intercept~~Intercept|school", "Intercept~~Intercept|class", "Residual~~Residual",
             "ICC|school", "ICC|class"]  # fmt: skip
    assert set(names) == set(pooled.variance_components.index)
    for name in names:
        own = [estimates_from(one).variance_components[name] for one in each]
        assert pooled.variance_components.loc[name] == pytest.approx(np.mean(own))
    assert pooled.table.loc["ses", "estimate"] == pytest.approx(
        np.mean([one.estimate[one.terms.index("ses")] for one in each])
    )


def test_terms_are_tested_with_several_factors(imp):
    full = imp.fit("score ~ ses + public + (1 | school) + (1 | class)", reml=False)
    less = imp.fit("score ~ public + (1 | school) + (1 | class)", reml=False)
    for test in (bi.D1, bi.D3, bi.D4):
        assert test(full, less).p_value < 0.01
    generalised = imp.fit("late ~ ses + (1 | school) + (1 | class)", family="binomial").pool()
    assert {"Intercept~~Intercept|school", "Intercept~~Intercept|class"} == set(
        generalised.variance_components.index
    )


def test_predictions_and_slashes_are_pooled(imp):
    pooled = imp.fit("score ~ ses + (1 | school/class)").pool()
    assert {"ICC|school", "ICC|school:class"} <= set(pooled.variance_components.index)


# -- looking at the data --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def incomplete():
    return bi.simulate.simulate_classes(1, schools=30, classes=3, pupils=8).incomplete


def test_a_summary_by_several_factors_is_that_by_each(incomplete):
    both = bi.missing_summary(incomplete, ["school", "class"])
    assert list(both["level"]) == ["school", "class", "row", "row", "class", "school"]
    for factor in ("school", "class"):
        one = bi.missing_summary(incomplete, factor)
        for key in ("systematic", "sporadic_clusters", "icc"):
            others = [name for name in both.index if name not in ("school", "class")]
            expected, found = one.loc[others, key], both.loc[others, f"{key}|{factor}"]
            pd.testing.assert_series_equal(found, expected, check_names=False)
    assert both.loc[["school", "class"], ["icc|school", "icc|class"]].isna().all().all()
    assert list(bi.missing_summary(incomplete, ["class"]).columns)[4:6] == [
        "level", "systematic|class"
    ]  # fmt: skip


def test_patterns_by_several_factors_are_those_of_their_combinations(incomplete):
    df = incomplete.assign(kind=np.where(incomplete["class"] % 2, "a", "b"))
    found = bi.missing_pattern(df, ["kind", "school"])
    assert found.index.names == ["kind", "school", "pattern", "n_rows"]
    part = df[(df["kind"] == "b") & (df["school"] == 3)]
    rows = found.xs(("b", 3)).reset_index()
    order = [name for name in found.columns if name != "n_missing"]
    alone = bi.missing_pattern(part[order]).reset_index()
    pd.testing.assert_frame_equal(rows[sorted(rows)], alone[sorted(rows)], check_dtype=False)
    assert len(found.xs("missing", level="pattern")) == len(df.groupby(["kind", "school"]))


@pytest.mark.parametrize("look", [bi.missing_summary, bi.missing_pattern])
def test_columns_that_are_none_are_named(incomplete, look):
    with pytest.raises(bi.SpecificationError, match="'room', which is no column"):
        look(incomplete, ["school", "room"])
    with pytest.raises(bi.SpecificationError, match="each once"):
        look(incomplete, ["school", "school"])


@pytest.mark.parametrize("factor", ["school", "class"])
def test_pictures_go_by_any_factor(imp, factor):
    import matplotlib.pyplot as plt

    figure = imp.plot.density("score", by=factor)
    titles = [ax.get_title(loc=place) for ax in figure.axes for place in ("left", "center")]
    assert f"{factor} 2" in titles
    bi.plot_pattern(imp.data[["school", "class", "score"]], cluster=factor)
    plt.close("all")
