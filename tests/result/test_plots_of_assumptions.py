"""Propensity, average effects, ρ, and facets by imputation: what is drawn are the numbers."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import bayesimpute as bi
from bayesimpute.plots import style

mpl.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def df():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(10), 20)
    x = rng.normal(size=200)
    y = 1 + x + 0.5 * rng.normal(size=10)[g] + rng.normal(size=200)
    kind = pd.Categorical(rng.choice(["a", "b", "c"], 200))
    frame = pd.DataFrame({"g": g, "x": x, "y": y, "kind": kind, "late": y > 1})
    frame.loc[rng.random(200) < 1 / (1 + np.exp(1 - 1.5 * x)), "y"] = np.nan
    frame.loc[rng.random(200) < 0.15, "kind"] = np.nan
    return frame.sample(frac=1, random_state=1)


@pytest.fixture(scope="module")
def imp(df):
    return bi.impute(df.drop(columns="late"), method={"y": "normal", "kind": "sample"}, m=3,
                     iterations=3, seed=1, progress=False)  # fmt: skip


def test_propensity_is_the_mean_of_logistic_regressions(imp, df):
    found = imp.propensity("y", ["x", "kind"])
    assert found.index.equals(df.index)
    assert (found["missing"] == df["y"].isna()).all()
    chances = []
    for frame in imp.complete("all"):
        columns = [np.ones(200), frame["x"], frame["kind"] == "b", frame["kind"] == "c"]
        design = np.column_stack(columns).astype(float)
        fitted = sm.Logit(df["y"].isna().astype(float), design).fit(disp=0)
        chances.append(fitted.predict(design))
    np.testing.assert_allclose(found["propensity"], np.mean(chances, axis=0), atol=1e-6)


def test_values_stand_at_their_propensity(imp, df):
    figure = imp.plot.propensity("y", ["x"], imputation=2)
    above, below = figure.axes
    chance = imp.propensity("y", ["x"])["propensity"]
    completed, gone = imp.complete(2)["y"], df["y"].isna()
    for colour, rows in ((style.OBSERVED, ~gone), (style.IMPUTED, gone)):
        (dots,) = [each for each in above.lines
                   if each.get_color() == colour and each.get_linestyle() == "None"]  # fmt: skip
        drawn = pd.DataFrame(dots.get_xydata()).sort_values([0, 1]).to_numpy()
        expected = pd.DataFrame({0: chance[rows], 1: completed[rows]}).sort_values([0, 1])
        np.testing.assert_allclose(drawn, expected)
    for line in below.lines:
        assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(1, abs=0.02)


def test_propensity_draws_observed_values_though_some_are_imputed_anew(df):
    data = df[["x", "y"]]
    where = data.isna()
    where.loc[data.index[:100], "y"] = True
    where.loc[data.index[100:], "y"] = False
    imp = bi.impute(data, method="sample", m=2, iterations=1, where=where, seed=1, progress=False)
    (above, _) = imp.plot.propensity("y", ["x"]).axes
    dots = {line.get_color(): line.get_ydata() for line in above.lines
            if line.get_linestyle() == "None"}  # fmt: skip
    np.testing.assert_array_equal(np.sort(dots[style.OBSERVED]), np.sort(data["y"].dropna()))
    gone = int(data["y"].iloc[:100].isna().sum())
    assert len(dots[style.IMPUTED]) == gone
    words = [text.get_text() for text in above.figure.legends[0].get_texts()]
    assert words[1] == f"imputed ({gone}), imputation 1"


def test_what_has_no_propensity_says_so(imp):
    with pytest.raises(bi.SpecificationError, match="was not imputed"):
        imp.plot.propensity("x")
    with pytest.raises(bi.SpecificationError, match="no imputation"):
        imp.plot.propensity("y", imputation=4)
    with pytest.raises(bi.SpecificationError, match="nope"):
        imp.propensity("y", ["nope"])


def test_what_stays_incomplete_predicts_no_propensity():
    df = pd.DataFrame({"x": [1.0, None, 2, None], "y": [None, 2.0, 1, None], "z": [1, 2, 1, 3]})
    filled = df.fillna({"x": 1.5}).assign(y=[1.0, 2, 1, None])
    imp = bi.from_completed([filled, filled], incomplete=df)
    with pytest.raises(bi.SpecificationError, match="no predictor that is complete"):
        imp.propensity("x", ["y"])
    assert imp.propensity("x").equals(imp.propensity("x", ["z"]))


def test_average_effects_of_a_logit_are_those_of_statsmodels(df):
    data = df[["late", "x", "g"]].assign(two=df["g"] > 4)
    fits = bi.fit([data] * 2, "late ~ x + two", family="binomial")
    found = fits.average_effects([data] * 2)
    design = np.column_stack([np.ones(200), data["x"], data["two"]]).astype(float)
    margins = sm.Logit(data["late"].astype(float), design).fit(disp=0).get_margeff(dummy=True)
    assert list(found.index) == ["x", "two: True − False"]
    np.testing.assert_allclose(found["estimate"], margins.margeff, rtol=1e-5)
    np.testing.assert_allclose(found["std_error"], margins.margeff_se, rtol=1e-4)


def test_average_effects_at_one_row_are_slopes_and_a_predictor_that_lacks_is_named():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(30, 3)), columns=["x", "z", "y"])
    fits = bi.fit([frame, frame], "y ~ x + z")
    found = fits.average_effects(frame.iloc[:1])
    for name in ("x", "z"):
        assert found.loc[name, "estimate"] == pytest.approx(fits[0].model.params[name], rel=1e-6)
    with pytest.raises(bi.AnalysisError, match="newdata lacks 'z'"):
        fits.average_effects(frame[["x"]])


@pytest.mark.parametrize("right", ["I(k^2)", "abs(k)"])
def test_slopes_that_cancel_are_an_average_of_nothing(right):
    frame = pd.DataFrame({"k": [-2, -1, 0, 1, 2] * 4})
    fits = [frame.assign(y=np.random.default_rng(seed).normal(size=20)) for seed in (1, 2)]
    effects = bi.fit(fits, f"y ~ {right}").average_effects(frame)
    assert effects["estimate"].abs().max() < 1e-8


@pytest.mark.parametrize("right", ["I(k > 1)", "k + I(k > 1)", "factor(k > 1)", "I(k == 1)"])
def test_what_jumps_with_a_number_has_no_average_slope(right):
    frame = pd.DataFrame({"k": [0, 1, 2, 3] * 5, "y": np.random.default_rng(1).normal(size=20)})
    fits = bi.fit([frame, frame], f"y ~ {right}")
    with pytest.raises(bi.AnalysisError, match=r"'k' cannot be averaged: .* jumps or stays level"):
        fits.average_effects(frame)


def test_average_effects_of_products_hold_at_the_mean(imp):
    fits = bi.fit(imp.complete("all"), "y ~ x * kind + I(x^2) + (1 | g)")
    found = fits.average_effects(imp)
    assert list(found.index) == ["x", "kind: b − a", "kind: c − a"]
    by_hand = []
    for each, frame in zip(fits, imp.complete("all"), strict=True):
        beta = dict(zip(each.terms, each.estimate, strict=True))
        shares = [(frame["kind"] == label).mean() for label in "bc"]
        square = next(value for name, value in beta.items() if "^" in name or "**" in name)
        slope = beta["x"] + 2 * square * frame["x"].mean()
        slope += sum(beta[f"x:kind{k}"] * share for k, share in zip("bc", shares, strict=True))
        by_hand.append([slope, beta["kindb"] + beta["x:kindb"] * frame["x"].mean()])
    np.testing.assert_allclose(found["estimate"].iloc[:2], np.mean(by_hand, axis=0), rtol=1e-6)


def test_cluster_means_are_held_and_are_no_effect_of_their_own(imp):
    frames = imp.complete("all")
    fits = bi.fit(frames, "y ~ x + cluster_mean(x) + (1 | g)")
    within = fits.pool().table.loc["x", "estimate"]
    assert fits.average_effects(imp)["estimate"].tolist() == pytest.approx([within])
    with pytest.raises(bi.AnalysisError, match="no predictor whose effect"):
        bi.fit(frames, "y ~ cluster_mean(x) + (1 | g)").average_effects(imp)


def test_effects_are_drawn_with_their_intervals(imp):
    fits = bi.fit(imp.complete("all"), "y ~ x + kind")
    found = fits.average_effects(imp)
    figure = imp.plot.effects(fits)
    for ax, (name, row) in zip(figure.axes, found.iterrows(), strict=True):
        assert ax.get_title(loc="left") == name
        ends = next(each for each in ax.lines if each.get_linewidth() == 2.6).get_xdata()
        np.testing.assert_allclose(ends, [row["conf_low"], row["conf_high"]])
        assert len(ax.collections[0].get_segments()) == 3
    with pytest.raises(bi.AnalysisError, match="no predictor 'nope'"):
        imp.plot.effects(fits, ["nope"])
    with pytest.raises(bi.AnalysisError, match="by formula"):
        imp.plot.effects(imp.fit(lambda d: {"estimate": d["x"].mean(), "std_error": 0.1}))


def test_rho_has_prior_and_posterior_by_cluster():
    rng = np.random.default_rng(1)
    df = pd.DataFrame({"g": np.repeat([1, 2, 3], 25), "x": rng.normal(size=75)})
    df["y"] = df["x"] + rng.normal(size=75)
    df.loc[rng.random(75) < 0.3, "y"] = np.nan
    df.loc[df["g"] == 3, "y"] = np.nan
    imp = bi.impute(df, "g", method={"y": "heckman"}, m=2, iterations=6, seed=1, progress=False)
    (ax,) = imp.plot.rho("y").axes
    found = imp.identification()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["all clusters", "1", "2", "3"]
    posterior = [line.get_xdata() for line in ax.lines if line.get_linewidth() == 1.4][:4]
    np.testing.assert_allclose(posterior, found[["5%", "95%"]], atol=1e-9)
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [dot.get_markerfacecolor() for dot in dots] == ["black"] * 3 + ["white"]
    prior = next(line.get_xdata() for line in ax.lines if line.get_linewidth() == 5)
    np.testing.assert_allclose(prior, -prior[::-1], atol=0.1)  # symmetric around 0
    with pytest.raises(bi.SpecificationError, match="was not imputed"):
        imp.plot.rho("x")


def test_rho_needs_a_selection_model(imp):
    with pytest.raises(bi.SpecificationError, match="heckman"):
        imp.plot.rho("y")


def test_a_panel_an_imputation_shows_that_one_beside_the_observed(imp):
    figure = imp.plot.density("kind", by=".imp")
    assert len(figure.axes) == 3
    cells = imp.cells("kind")
    for number, ax in enumerate(figure.axes, start=1):
        assert ax.get_title(loc="left") == f"imputation {number}"
        for k, at in ((0, 0), (number, 1)):
            own = cells.loc[cells[".imp"] == k, "value"].value_counts(normalize=True, sort=False)
            drawn = [bar.get_height() for bar in ax.containers[at]]
            np.testing.assert_allclose(drawn, own.to_numpy())
    axes = imp.plot.strip("y", by=".imp", groups=[1, 3]).axes
    words = [[tick.get_text() for tick in ax.get_xticklabels()] for ax in axes]
    assert words == [["obs.", "imp."]] * 2
    with pytest.raises(bi.SpecificationError, match="imputation 9"):
        imp.plot.density("y", by=".imp", groups=[9])
