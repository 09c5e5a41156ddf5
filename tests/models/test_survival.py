"""Times to an event, some censored: against other packages, known truth, other units."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import statsmodels.api as sm
from scipy import stats

import bayesimpute as bi
from bayesimpute.data.table import Kind
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.method import Design
from bayesimpute.models.piecewise import PiecewiseLikelihood, cutpoints_of
from bayesimpute.models.weibull import WeibullLikelihood
from bayesimpute.registry import resolve
from tests import calls
from tests.models.test_linear_posterior import draws_of_kernel

METHODS = ("weibull", "piecewise")


def made(rows=600, clusters=1, sd=0.0, unit=1.0, seed=2, shape=1.5):
    """Weibull times in clusters, censored by the end of the study, and their design."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(2, 3, rows), rng.random(rows) < 0.4]).astype(float)
    cluster = np.arange(rows) % clusters
    frailty = sd * rng.normal(size=clusters)
    log_ratio = 0.2 * (x[:, 0] - 2) - 0.7 * x[:, 1] + frailty[cluster]
    times = (rng.standard_exponential(rows) * np.exp(-log_ratio)) ** (1 / shape)
    limit = rng.uniform(0.3, 2.0, rows)
    event = (times <= limit).astype(float)
    two = clusters > 1
    return Design(
        "time", Kind.NUMERIC, (), np.minimum(times, limit) * unit, x, ("x1", "x2"),
        np.ones((rows, int(two))), ("intercept",) * two, cluster, clusters,
        np.ones(rows, bool), np.zeros(rows, bool), columns={"event": event},
    )  # fmt: skip


def summary(method, design, draws=400, **options):
    method = resolve(method)
    drawn = draws_of_kernel(method, design, {**method.options, **options}, draws)
    return {name: (values.mean(axis=0), values.std(axis=0)) for name, values in drawn.items()}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of lifelines
def test_a_weibull_model_of_one_level_is_that_of_lifelines():
    from lifelines import WeibullAFTFitter

    design = made()
    found = summary("weibull", design)
    frame = pd.DataFrame(design.x, columns=["x1", "x2"])
    frame["time"], frame["event"] = design.y, design.columns["event"]
    fit = WeibullAFTFitter().fit(frame, "time", "event")
    shape = np.exp(fit.params_["rho_", "Intercept"])
    hazard_ratios = -shape * fit.params_["lambda_"][["x1", "x2"]].to_numpy()
    mean, sd = found["beta"]
    assert np.abs((mean - hazard_ratios) / sd).max() < 0.25
    assert found["shape"][0] == pytest.approx(shape, abs=0.25 * found["shape"][1][0])
    partial = sm.PHReg(design.y, design.x, design.columns["event"]).fit()
    np.testing.assert_allclose(sd, partial.bse, rtol=0.15)


def test_a_piecewise_model_of_one_level_is_a_poisson_regression_of_the_intervals():
    # Holford (1980), Laird & Olivier (1981): the likelihoods are the same
    design = made()
    cutpoints = cutpoints_of(design, resolve("piecewise").options)
    assert len(cutpoints) == 9
    found = summary("piecewise", design)
    start, end = np.append(0, cutpoints), np.append(cutpoints, np.inf)
    spent = np.clip(design.y[:, None], start, end) - start
    row, interval = np.nonzero(spent > 0)
    died = design.columns["event"][row] * (design.y[row] <= end[interval])
    dummies = np.eye(10)[interval]
    centred = (design.x - design.x.mean(axis=0))[row]
    fit = sm.GLM(
        died, np.column_stack([centred, dummies]), sm.families.Poisson(),
        offset=np.log(spent[row, interval]),
    ).fit()  # fmt: skip
    assert died.sum() == design.columns["event"].sum()
    for name, ours in (("beta", fit.params[:2]), ("log_hazard", fit.params[2:])):
        mean, sd = found[name]
        assert np.abs((mean - ours) / sd).max() < 0.3, name
    np.testing.assert_allclose(found["beta"][1], fit.bse[:2], rtol=0.15)
    np.testing.assert_allclose(found["log_hazard"][1], fit.bse[2:], rtol=0.2)


@pytest.mark.parametrize("method", METHODS)
def test_frailties_have_the_spread_that_made_them(method):
    found = summary(method, made(1200, 60, sd=0.7), 300)
    assert found["sd_intercept"][0] == pytest.approx(0.7, abs=0.2)
    assert found["beta"][0] == pytest.approx([0.2, -0.7], abs=0.2)


@pytest.mark.parametrize("method", METHODS)
def test_another_unit_of_time_changes_the_log_hazard_by_its_logarithm_and_nothing_else(method):
    years, days = (summary(method, made(200, 5, 0.5, unit), 30) for unit in (1.0, 365.25))
    for name in years:
        moved = np.log(365.25) if name in ("intercept", "log_hazard") else 0.0
        np.testing.assert_allclose(years[name][0] - moved, days[name][0], rtol=1e-6)
        np.testing.assert_allclose(years[name][1], days[name][1], rtol=1e-5)


@pytest.mark.parametrize(
    ("likelihood", "positive", "free"),
    [
        (WeibullLikelihood(1.7, True), [1.4], []),
        (PiecewiseLikelihood(np.array([0.7, 1.5]), 1.5, True), [], [0.9, -0.6]),
    ],
)
def test_drawn_times_have_the_survival_function_of_the_likelihood(likelihood, positive, free):
    given, n = (np.array(positive), np.array(free)), 20_000
    eta = np.full((n, 1), -0.3)
    drawn = likelihood.values(eta, *given, np.random.default_rng(1))
    # of a time censored there, the log likelihood is the log survival function
    rows = np.column_stack([drawn, np.zeros(n)])
    assert (
        stats.kstest(np.exp(likelihood.log_density(rows, eta, *given, 1.0)), "uniform").pvalue
        > 0.01
    )


@pytest.mark.parametrize(
    "likelihood", [WeibullLikelihood(1.0, False), PiecewiseLikelihood(np.ones(1), 1.5, False)]
)
def test_a_time_that_is_not_positive_has_no_density(likelihood):
    rows, given = (
        np.array([[0.0, 1.0], [-2.0, 1.0], [2.0, 1.0]]),
        (np.ones(1), np.ones(likelihood.free)),
    )
    density = likelihood.log_density(rows, np.zeros((3, 1)), *given, 1.0)
    assert list(np.isfinite(density)) == [False, False, True]


@pytest.mark.parametrize(
    ("likelihood", "positive", "free"),
    [
        (WeibullLikelihood(1.7, True), [1.4], []),
        (PiecewiseLikelihood(np.array([0.7, 1.5]), 1.5, True), [], [0.9, -0.6]),
    ],
)
def test_log_densities_of_rows_add_up_to_what_is_sampled(likelihood, positive, free):
    design, rng = made(50), np.random.default_rng(0)
    y, eta = np.column_stack([design.y, design.columns["event"]]), rng.normal(size=(50, 1))
    given = (np.array(positive), np.array(free))
    total = calls.density(likelihood, y, eta, *given)[0]
    assert likelihood.log_density(y, eta, *given, 1.0).sum() == pytest.approx(total, rel=1e-12)


def test_intervals_hold_equally_many_events():
    design = made(200)
    cutpoints = cutpoints_of(design, {"intervals": 5, "cutpoints": None})
    seen = design.y[design.columns["event"] > 0]
    events = np.bincount(np.searchsorted(cutpoints, seen))
    assert len(events) == 5 and np.ptp(events) <= 1


def test_with_ties_each_interval_holds_an_event():
    design = made(200)
    tied = replace(design, y=np.ceil(design.y * 2) / 2)
    options = resolve("piecewise").options
    cutpoints = cutpoints_of(tied, options)
    seen = tied.y[tied.columns["event"] > 0]
    assert 1 <= len(cutpoints) < 4
    assert (np.bincount(np.searchsorted(cutpoints, seen), minlength=len(cutpoints) + 1) > 0).all()
    alike = replace(design, y=np.ones(200))
    assert cutpoints_of(alike, options).size == 0  # then one hazard for all time
    assert summary("piecewise", alike, 20)["log_hazard"][0].shape == (1,)


BAD_OPTIONS = {
    "whole number from 1": {"intervals": 0},
    "ascending times above 0": {"cutpoints": (2, 1)},
    "not both": {"cutpoints": (1, 2), "intervals": 3},
    "is not finite": {"cutpoints": (1, np.inf)},
}


@pytest.mark.parametrize("text", BAD_OPTIONS)
def test_impossible_intervals_are_refused(text):
    method = resolve("piecewise")
    with pytest.raises(SpecificationError, match=text):
        method.kernel(made(50), {}, {**method.options, **BAD_OPTIONS[text]})


@pytest.mark.parametrize(
    ("prior", "text"),
    [
        (pm.Normal.dist(0, 1), "must be a zero-sum normal"),
        (pm.ZeroSumNormal.dist(1, shape=4), "for 4 intervals, the model has 3"),
    ],
)
def test_priors_of_the_hazards_are_zero_sum_normals_of_all_intervals(prior, text):
    method, options = resolve("piecewise"), {"intervals": 3}
    with pytest.raises(SpecificationError, match=text):
        method.kernel(made(50), {"departure": prior}, {**method.options, **options})
    flat = {"departure": pm.ZeroSumNormal.dist(0.01, shape=3)}
    drawn = method.kernel(made(50), flat, {**method.options, **options})
    rng = np.random.default_rng(0)
    adaptation = drawn.adapt(made(50), rng)
    visit = drawn.visit(made(50), adaptation, drawn.start(adaptation, rng), rng, True)
    assert np.ptp(visit.parameters["log_hazard"]) < 0.1


@pytest.mark.parametrize("method", METHODS)
def test_gaps_in_censored_times_and_data_without_events_are_refused(method):
    method, design = resolve(method), made(50)
    with pytest.raises(SpecificationError, match="not imputed"):
        method.kernel(replace(design, draw=np.arange(50) < 3), {}, method.options)
    with pytest.raises(SpecificationError, match="no row that may be used has the event"):
        method.kernel(replace(design, columns={"event": np.zeros(50)}), {}, method.options)
    with pytest.raises(SpecificationError, match="not positive, such as 0"):
        method.kernel(replace(design, y=design.y * (np.arange(50) > 0)), {}, method.options)


@pytest.mark.parametrize("method", METHODS)
def test_times_far_beyond_the_data_are_not_drawn(method):
    method, design = resolve(method), made(50)
    likelihood = method.likelihood(design, method.options, None)
    draw = method.values(likelihood, design, method.options, None)
    given = (np.ones(1), np.zeros(likelihood.free), np.random.default_rng(0))
    with pytest.raises(SamplingError, match="far beyond"):
        draw(np.full((5, 1), -99.0), *given)


@pytest.fixture(scope="module")
def df():
    rng = np.random.default_rng(4)
    design = made(240, 8, 0.5)
    age, stage = (design.x[:, 0] - 2) / 3, design.x[:, 1].astype(int)
    df = pd.DataFrame({"time": design.y, "died": design.columns["event"] > 0, "age": age})
    df["stage"], df["centre"] = np.where(stage, "late", "early"), design.cluster
    df.loc[rng.random(240) < 0.3, "age"] = np.nan
    df.loc[rng.random(240) < 0.2, "stage"] = np.nan
    return df


@pytest.fixture(scope="module", params=METHODS)
def imp(df, request):
    return bi.impute(
        df, "centre", analysis="Surv(time, died) ~ age * stage + (1 | centre)",
        family=request.param, m=2, iterations=6, seed=1, cores=1, progress=False,
    )  # fmt: skip


def test_a_run_has_the_answer_in_the_words_of_the_formula(imp, df):
    table = imp.analysis
    assert list(table.index[:4]) == ["(Intercept)", "age", "stagelate", "age:stagelate"]
    assert table.loc["age", "estimate"] == pytest.approx(0.6, abs=0.4)
    assert "sd((Intercept) | centre)" in table.index
    assert len(imp.congenial("Surv(time, died) ~ age * stage + (1 | centre)")) == 0
    hazards = table.filter(like="log_hazard[", axis=0)["estimate"]
    if len(hazards):  # at 0 of the predictors, as the intercept
        assert hazards.mean() == pytest.approx(table.loc["(Intercept)", "estimate"])
    with pytest.raises(bi.AnalysisError, match="no random part"):
        imp.fit()
    fits = imp.fit("Surv(time, died) ~ age * stage")
    assert fits[0].terms == ("age", "stagelate", "age:stagelate")


def test_a_run_is_told_checked_and_kept(imp, tmp_path):
    assert "hazard h_ij(t)" in imp.equations()["time"]
    assert isinstance(imp.model("time"), pm.Model)
    for call in (imp.plot_ppc, imp.plot_loo_pit, imp.overimpute):
        with pytest.raises(SpecificationError, match="Kaplan-Meier"):
            call("time")
    assert imp.predictive("time", draws=2)["log_likelihood"]["time"].shape == (2, 2, 240)
    imp.to_netcdf(tmp_path / "run.nc")
    more = bi.open(tmp_path / "run.nc").extend(1, progress=False)
    pd.testing.assert_frame_equal(
        more.complete("long"), imp.extend(1, progress=False).complete("long")
    )


@pytest.mark.slow
def test_priors_that_need_the_plain_model_see_the_events_too():
    method, design = resolve("weibull"), made(60)
    prior = {"beta": pm.Laplace.dist(0, 1)}
    kernel = method.kernel(design, prior, {**method.options, "tune": 100})
    rng = np.random.default_rng(0)
    adaptation = kernel.adapt(design, rng)
    first = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, True)
    half = design.rows(np.arange(60) < 30)
    assert kernel.visit(half, adaptation, first.state, rng, False).values.size == 0
