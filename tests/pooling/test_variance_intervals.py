"""Intervals of variance components: against nlme and glmmTMB, against algebra, at the boundary."""

import mixedlm
import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.pooling.variance_intervals import pooled_parameters, variance_parameters

# of mixedlm's own data sets
pytestmark = pytest.mark.filterwarnings("ignore:The 'float_precision' argument")

SLEEP = "Reaction ~ Days + (1 + Days | Subject)"
PENICILLIN = "diameter ~ (1 | plate) + (1 | sample)"
# R: sqrt(diag(vcov(glmmTMB(...), full = TRUE))) and the delta method for r and the ICC
GLMMTMB = {
    (SLEEP, True): [0.235899, 0.210741, 0.326427, 0.058925, 0.496739],
    (SLEEP, False): [0.234535, 0.207645, 0.325657, None, None],
    (PENICILLIN, True): [0.157875, 0.317296, 0.065938, 0.666743, None],
}


@pytest.mark.parametrize(("formula", "reml"), list(GLMMTMB))
def test_standard_errors_are_those_of_glmmtmb(formula, reml):
    data = mixedlm.load_sleepstudy() if formula == SLEEP else mixedlm.load_penicillin()
    found = variance_parameters(mixedlm.lmer(formula, data, REML=reml))
    pairs = zip(found.std_error, GLMMTMB[formula, reml], strict=True)
    for ours, theirs in [pair for pair in pairs if pair[1] is not None]:
        assert ours == pytest.approx(theirs, rel=2e-4)


def test_an_interval_is_that_of_nlme():
    formula = "Reaction ~ Days + (1 + Days || Subject)"
    table = pooled_parameters([mixedlm.lmer(formula, mixedlm.load_sleepstudy())])
    expected = {
        "sd((Intercept) | Subject)": [25.051328, 16.085359, 39.014924],
        "sd(Days | Subject)": [5.988172, 4.025233, 8.908353],
        "sigma": [25.565285, 22.79177, 28.67630],
    }
    for term, numbers in expected.items():
        own = table.loc[term, ["estimate", "conf_low", "conf_high"]].astype(float)
        np.testing.assert_allclose(own, numbers, rtol=2e-4)


def test_a_count_model_has_the_errors_of_glmmtmb():
    ticks = mixedlm.load_grouseticks()
    family = mixedlm.families.Poisson()
    fitted = mixedlm.glmer("TICKS ~ cHEIGHT + (1 | BROOD)", ticks, family=family)
    found = variance_parameters(fitted)
    assert found.names == ("sd((Intercept) | BROOD)",)
    assert found.std_error[0] == pytest.approx(0.085981, rel=2e-3)


@pytest.fixture(scope="module")
def frames():
    """Complete data of which the outcome of a third of the rows differs by imputation."""
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(25), 8)
    x = rng.normal(size=200)
    y = x + rng.normal(0, 0.8, 25)[g] + rng.normal(size=200)
    again = rng.random(200) < 0.3
    level = (x + rng.normal(0, 0.8, 25)[g])[None] + rng.normal(size=(6, 200))
    made = [pd.DataFrame({"g": g, "x": x, "y": np.where(again, each, y)}) for each in level]
    return [each.assign(late=each["y"] > 0.3) for each in made]


def test_balanced_data_without_predictors_have_a_closed_form(frames):
    data = frames[0]
    n, j = 8, 25
    within = data.groupby("g")["y"].var().mean()  # mean squares of the analysis of variance
    between = n * data.groupby("g")["y"].mean().var()
    table = pooled_parameters([bi.fit([data], "y ~ 1 + (1 | g)")[0].model])
    assert table.loc["sigma", "estimate"] == pytest.approx(within**0.5, rel=1e-3)
    # log of the mean squares: independent, with variance 2 / df each (observed information)
    tau2 = (between - within) / n
    spread = [2 * between**2 / (j - 1), 2 * within**2 / (j * (n - 1))]
    error_log_sd = np.sqrt(sum(spread)) / n / (2 * tau2)
    ratio = between / within
    error_logit = np.sqrt(2 / (j - 1) + 2 / (j * (n - 1))) * ratio / (ratio - 1)
    assert table.loc["sd((Intercept) | g)", "std_error"] == pytest.approx(error_log_sd, rel=2e-3)
    assert table.loc["icc(g)", "std_error"] == pytest.approx(error_logit, rel=2e-3)


def test_rubins_rules_combine_on_the_scale(frames):
    fits = bi.fit(frames, "y ~ x + (1 | g)")
    table = fits.pool(ci_prob=0.9).random_effects
    each = [variance_parameters(one.model) for one in fits]
    k = each[0].names.index("icc(g)")
    logit = np.array([[one.transformed[k]] for one in each])
    shares = [one.variance_components["ICC|g"] for one in fits]
    np.testing.assert_allclose(1 / (1 + np.exp(-logit[:, 0])), shares, rtol=1e-6)
    errors = np.array([[one.std_error[k] ** 2] for one in each])
    pooled = bi.pool(logit, errors, ci_prob=0.9).table.iloc[0]
    row = table.loc["icc(g)"]
    for column in ("estimate", "conf_low", "conf_high"):
        assert row[column] == pytest.approx(1 / (1 + np.exp(-pooled[column])))
    assert (row["df"], row["fmi"]) == pytest.approx((pooled["df"], pooled["fmi"]))
    sd = table.loc["sd((Intercept) | g)"]
    assert 0 < sd["conf_low"] < sd["estimate"] < sd["conf_high"]


def test_an_interval_without_an_upper_end_is_no_failure(frames):
    apart = frames[1].assign(y=3.0 * frames[1]["y"])
    found = bi.fit([frames[0], apart], "y ~ x + (1 | g)").pool(ci_prob=0.9999).random_effects
    assert found.loc["sigma", "df"] < 2 and np.isinf(found.loc["sigma", "conf_high"])
    assert found.loc["sigma", "conf_low"] >= 0 and found.loc["icc(g)", "conf_high"] <= 1


def test_a_logistic_model_has_the_share_of_the_latent_variable(frames):
    fits = bi.fit(frames, "late ~ x + (1 | g)", family="binomial")
    table = fits.pool().random_effects
    sd, icc = table.loc["sd((Intercept) | g)"], table.loc["icc(g)"]
    assert icc["estimate"] == pytest.approx(
        sd["estimate"] ** 2 / (sd["estimate"] ** 2 + np.pi**2 / 3)
    )
    assert icc["std_error"] == pytest.approx(2 * sd["std_error"])


def test_an_sd_at_zero_is_said_and_has_no_interval(frames):
    rng = np.random.default_rng(1)
    alike = frames[0].assign(y=rng.normal(size=200))
    alike["y"] -= alike.groupby("g")["y"].transform("mean")
    with pytest.warns(bi.ImputationWarning, match="singular"):
        pooled = bi.fit([*frames, alike], "y ~ x + (1 | g)").pool()
    table = pooled.random_effects
    at = table["at_boundary"]
    assert (at["sd((Intercept) | g)"], at["icc(g)"], at["sigma"]) == (1, 1, 0)
    assert (
        table.loc[["sd((Intercept) | g)", "icc(g)"], ["conf_low", "conf_high"]]
        .isna()
        .to_numpy()
        .all()
    )
    assert np.isfinite(table.loc["sigma", "conf_low"])
    assert "in 1 of 7 imputations" in str(pooled)


def test_where_every_component_is_at_zero_there_is_a_table_all_the_same(frames):
    # of a logistic model no residual SD is left to have an interval
    late = np.tile([0, 1], 100)
    alike = frames[0].assign(late=late)
    with pytest.warns(bi.ImputationWarning, match="singular"):
        pooled = bi.fit([alike] * 2, "late ~ 1 + (1 | g)", family="binomial").pool()
    table = pooled.random_effects
    assert list(table["at_boundary"]) == [2, 2]
    assert table[["conf_low", "conf_high"]].isna().to_numpy().all()
    assert "in 2 of 2 imputations" in str(pooled)


def test_a_correlation_of_one_leaves_the_sds_their_intervals():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(30), 10)
    x = rng.normal(size=300)
    u = rng.normal(size=30)[g]
    data = pd.DataFrame({"g": g, "x": x, "y": u + u * x + rng.normal(size=300)})
    with pytest.warns(bi.ImputationWarning, match="singular"):
        fits = bi.fit([data] * 2, "y ~ x + (1 + x | g)")
    table = fits.pool().random_effects
    assert table.loc["cor((Intercept), x | g)", "at_boundary"] == 2
    assert table.loc[["sd((Intercept) | g)", "sd(x | g)"], "conf_low"].notna().all()


def test_numbers_and_other_fits_have_none(frames):
    assert bi.pool([1.0, 2.0], [1.0, 1.0]).random_effects.empty
    assert bi.fit(frames, "y ~ x").pool().random_effects.empty


def test_the_analysis_of_the_chains_has_the_posterior_of_the_icc(frames):
    data = frames[0].assign(y=frames[0]["y"].where(np.arange(200) % 7 > 0))
    imp = bi.impute(data.drop(columns="late"), analysis="y ~ x + (1 | g)", m=3, iterations=40,
                    seed=1, progress=False)  # fmt: skip
    table = imp.analysis
    sd, sigma = table.loc["sd((Intercept) | g)", "estimate"], table.loc["sigma", "estimate"]
    row = table.loc["icc(g)"]
    assert row["estimate"] == pytest.approx(sd**2 / (sd**2 + sigma**2), abs=0.02)
    assert 0 < row["ci_low"] < row["pooled"] < row["ci_high"] < 1
    assert row["pooled_low"] == pytest.approx(row["ci_low"], abs=0.08)


@pytest.mark.filterwarnings("ignore:.*onverge")
@pytest.mark.parametrize("reml", [True, False])
def test_fits_of_statsmodels_have_those_of_glmmtmb(reml):
    import statsmodels.formula.api as smf

    data = mixedlm.load_sleepstudy().sample(frac=1, random_state=1)  # in no order
    model = smf.mixedlm("Reaction ~ Days", data, groups="Subject", re_formula="~ Days")
    fitted = model.fit(reml=reml, method="lbfgs")
    found = variance_parameters(fitted)
    same = variance_parameters(mixedlm.lmer(SLEEP, data, REML=reml))
    assert found.names == tuple(name.replace("Subject", "Group") for name in same.names)
    np.testing.assert_allclose(found.transformed, same.transformed, rtol=2e-3)
    pairs = zip(found.std_error, GLMMTMB[SLEEP, reml], strict=True)
    for ours, theirs in [pair for pair in pairs if pair[1] is not None]:
        assert ours == pytest.approx(theirs, rel=2e-3)


def test_variance_components_of_statsmodels_have_those_of_glmmtmb():
    import statsmodels.formula.api as smf

    data = mixedlm.load_penicillin()
    fitted = smf.mixedlm(
        "diameter ~ 1", data, groups=np.ones(len(data)), re_formula="0",
        vc_formula={"plate": "0 + C(plate)", "sample": "0 + C(sample)"},
    ).fit()  # fmt: skip
    found = variance_parameters(fitted)
    assert found.names[:3] == ("sd((Intercept) | plate)", "sd((Intercept) | sample)", "sigma")
    ours = found.std_error[:4]
    for one, theirs in zip(ours, GLMMTMB[PENICILLIN, True][:4], strict=True):
        assert one == pytest.approx(theirs, rel=2e-3)


def test_components_within_groups_are_where_their_rows_are(frames):
    import statsmodels.formula.api as smf

    rng = np.random.default_rng(5)
    data = frames[0].assign(part=np.tile([0, 0, 0, 1, 1, 2, 2, 2], 25))
    data["y"] += rng.normal(size=75)[data["g"] * 3 + data["part"]]
    data = data.sample(frac=1, random_state=2)
    fitted = smf.mixedlm(
        "y ~ x", data, groups="g", re_formula="1", vc_formula={"part": "0 + C(part)"}
    ).fit()
    found = variance_parameters(fitted)
    same = variance_parameters(mixedlm.lmer("y ~ x + (1 | g/part)", data))
    order = [same.names.index(name) for name in _names_of_nested(same.names)]
    np.testing.assert_allclose(found.transformed[:3], same.transformed[order], rtol=5e-3, atol=5e-3)
    np.testing.assert_allclose(found.std_error[:3], same.std_error[order], rtol=1e-2)


def _names_of_nested(names):
    """Those of the groups, of the parts within, and the residual."""
    (part,) = (name for name in names if name.startswith("sd(") and "part" in name)
    (group,) = (name for name in names if name.startswith("sd(") and "part" not in name)
    return group, part, "sigma"


@pytest.mark.filterwarnings("ignore:.*onverge", "ignore:.*optimiz")
def test_pooled_fits_of_statsmodels_are_those_of_mixedlm_pooled(frames):
    import statsmodels.formula.api as smf

    models = [smf.mixedlm("y ~ x", each, groups="g") for each in frames]
    pooled = bi.pool([each.fit(method=["powell", "lbfgs"]) for each in models])
    ours = pooled.random_effects
    same = bi.fit(frames, "y ~ x + (1 | g)").pool().random_effects
    assert list(ours.index) == ["sd((Intercept) | Group)", "sigma", "icc(Group)"]
    numbers = ["estimate", "conf_low", "conf_high", "std_error", "fmi"]
    np.testing.assert_allclose(ours[numbers].astype(float), same[numbers].astype(float), rtol=5e-3)
    # stopped where nothing says that it is a maximum
    early = bi.pool([models[0].fit(maxiter=1, method="cg"), models[1].fit(method="powell")])
    assert early.random_effects["conf_low"].isna().all()
    assert "the fit has not converged" in str(early)


def test_a_fit_whose_parameters_the_data_do_not_tell_apart_says_so(frames):
    twice = [each.assign(h=each["g"]) for each in frames]
    pooled = bi.fit(twice, "y ~ x + (1 | g) + (1 | h)").pool()
    table = pooled.random_effects
    assert table[["conf_low", "conf_high"]].isna().to_numpy().all()
    assert (table["at_boundary"] == 0).all()
    said = str(pooled)
    assert "no maximum" in said and "smaller than its standard error" not in said
    # what it advises
    simpler = bi.fit(twice, "y ~ x + (1 | g)").pool()
    assert simpler.random_effects["conf_low"].notna().all()
    assert "no interval" not in str(simpler)


def test_what_is_advised_at_the_boundary_has_an_answer(frames):
    rng = np.random.default_rng(1)
    data = frames[0].assign(y=rng.normal(size=200))[["g", "x", "y"]]
    data["y"] -= data.groupby("g")["y"].transform("mean")
    data.loc[rng.random(200) < 0.1, "y"] = np.nan
    formula = "y ~ x + (1 | g)"
    imp = bi.impute(data, cluster="g", m=2, iterations=6, seed=1, analysis=formula, progress=False)
    with pytest.warns(bi.ImputationWarning, match="singular"):
        pooled = imp.fit(formula).pool()
    assert "smaller than its standard error" in str(pooled)
    assert "interval" not in str(imp.fit("y ~ x").pool()).partition("\n")[2]
    with pytest.warns(bi.ImputationWarning, match="singular"):
        analysis = imp.analysis
    (own,) = analysis.index[analysis.index.str.startswith("sd")]
    assert analysis.loc[own, ["ci_low", "ci_high"]].gt(0).all()


@pytest.mark.slow
def test_the_posterior_that_is_advised_at_the_boundary_has_an_interval(frames):
    import bambi

    data = frames[0].assign(y=frames[0]["x"] + np.tile([-1.0, 1, 2, -2, 3, -3, 0.5, -0.5], 25))
    data.loc[:20, "y"] = np.nan
    imp = bi.impute(data[["g", "x", "y"]], cluster="g", m=2, iterations=4, seed=1, progress=False)
    fits = imp.fit_posterior(
        lambda frame: bambi.Model("y ~ x + (1 | g)", frame).fit(
            draws=200, tune=500, chains=2, target_accept=0.99, random_seed=1, progressbar=False
        )
    )
    with pytest.warns(bi.ImputationWarning, match="m = 2 is few"):
        pooled = fits.pool()
    low, high = pooled.table.loc["1|g_sigma", ["low", "high"]]
    assert 0 < low < high
