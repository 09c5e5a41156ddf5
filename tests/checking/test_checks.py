"""Posterior predictive draws, overimputation, LOO-PIT and comparison, from end to end."""

import warnings

import arviz
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from arviz_stats.base import array_stats
from scipy import integrate, stats

import bayesimpute as bi
from bayesimpute.checking.compare import ModelComparison
from bayesimpute.checking.overimputation import (
    difference_from_uniform,
    loo_pit,
    randomised_pit,
    weighted_quantiles,
)
from bayesimpute.checking.predictive import draw_replicated
from bayesimpute.checking.psis import leave_one_out
from bayesimpute.checking.replay import check_draws, predictions
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.models.pmm import nearest_others
from bayesimpute.registry import resolve

SCHOOLS, PUPILS = 15, 20


def study(seed=1, spread=0.5):
    """15 schools with a number, a yes/no, three categories, a count and a school's own number."""
    rng = np.random.default_rng(seed)
    n = SCHOOLS * PUPILS
    school = np.repeat(np.arange(SCHOOLS), PUPILS)
    x = rng.normal(size=n)
    effect = rng.normal(size=SCHOOLS)[school] * spread
    number = 3 + x + effect + rng.normal(size=n)
    binary = pd.Categorical.from_codes((x + effect + rng.logistic(size=n) > 0) * 1, ["no", "yes"])
    codes = np.digitize(x + rng.logistic(size=n), [-0.8, 0.8])
    frame = pd.DataFrame(
        {
            "school": school,
            "x": x,
            "number": number,
            "binary": binary,
            "kind": pd.Categorical.from_codes(codes, ["a", "b", "c"]),
            "level": pd.Categorical.from_codes(codes, ["l", "m", "h"], ordered=True),
            "count": rng.poisson(np.exp(0.5 + 0.3 * x)).astype(float),
            "size": rng.normal(size=SCHOOLS)[school],
        }
    )
    for k, name in enumerate(["number", "binary", "kind", "level", "count"]):
        frame.loc[(np.arange(n) + k) % 6 == 0, name] = None
    frame.loc[school == 3, "size"] = np.nan
    return frame


ONE = {"transitions": 1, "tune": 20}


def imputed(frame, method, cluster="school", options=None, **more):
    columns = [c for c in frame if c in (*method, "x", "arm", cluster)]
    given = {name: {**ONE, **(options or {}).get(name, {})} for name in method}
    given = {n: {k: v for k, v in o.items() if method[n] != "sample"} for n, o in given.items()}
    return bi.impute(
        frame[columns], cluster=cluster, method=method, m=2, iterations=2, seed=1,
        progress=False, model_options=given, **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def mixed():
    """Four kinds of variable, one imputed by each other kind of method."""
    method = {"number": "normal", "binary": "logistic", "count": "pmm", "size": "2lonly.pmm"}
    return imputed(study(), method)


def test_predictions_are_in_arviz_schema_and_leave_the_chains_alone(mixed):
    before = mixed.history.states
    tree = mixed.predictive("number", draws=30, seed=3)
    again = mixed.predictive("number", draws=30, seed=3)
    assert mixed.history.states is before
    drawn = tree["posterior_predictive"]["number"]
    assert drawn.dims == ("chain", "draw", "row")
    seen = mixed.data["number"].dropna()
    assert drawn.shape == (2, 30, len(seen))
    np.testing.assert_array_equal(tree["observed_data"]["number"], seen)
    np.testing.assert_array_equal(drawn["row"], np.flatnonzero(mixed.data["number"].notna()))
    np.testing.assert_array_equal(drawn["cluster"], mixed.data["school"][seen.index])
    np.testing.assert_array_equal(drawn, again["posterior_predictive"]["number"])
    other = mixed.predictive("number", draws=30, seed=4)["posterior_predictive"]["number"]
    assert not np.array_equal(drawn, other)
    density = tree["log_likelihood"]["number"].values.reshape(60, -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few draws: Pareto k
        elpd = float(arviz.loo(tree, reff=1).elpd)
    assert elpd == pytest.approx(leave_one_out(density).log_score(density).sum())


def test_rows_keep_their_places_when_the_frame_is_shuffled(mixed):
    frame = study().sample(frac=1, random_state=2)
    method = {"number": "normal", "binary": "logistic", "count": "pmm", "size": "2lonly.pmm"}
    other = imputed(frame, method)
    a, b = (each.predictive("number", draws=4, seed=1) for each in (mixed, other))
    labels = frame.index.to_numpy()[b["observed_data"]["row"]]
    np.testing.assert_array_equal(frame.loc[labels, "number"], b["observed_data"]["number"])
    order = np.argsort(labels)
    np.testing.assert_array_equal(
        a["posterior_predictive"]["number"], b["posterior_predictive"]["number"][..., order]
    )


def test_categories_are_codes_with_labels_and_level_2_rows_are_clusters(mixed):
    binary = mixed.predictive("binary", draws=3)["posterior_predictive"]["binary"]
    assert binary.attrs["categories"] == ["no", "yes"]
    assert set(np.unique(binary)) == {0, 1}
    size = mixed.predictive("size", draws=3)
    assert size["observed_data"]["size"].sizes["row"] == SCHOOLS - 1
    assert 3 not in size["observed_data"]["row"]
    assert "log_likelihood" not in size.children  # donated values have no density


def test_no_row_is_its_own_donor_and_pools_are_the_nearest_others():
    rng = np.random.default_rng(1)
    predicted = np.round(rng.normal(size=60), 1)  # many ties
    chosen = np.array([nearest_others(predicted, 4, rng) for _ in range(400)])
    assert (chosen != np.arange(60)).all()
    distance = np.abs(predicted[:, None] - predicted)
    np.fill_diagonal(distance, np.inf)
    furthest = np.sort(distance, axis=1)[:, 3]
    assert (np.abs(predicted[chosen] - predicted) <= furthest + 1e-9).all()
    # ties at random: every row that may be in the pool of row 0 is drawn at some time
    may = np.flatnonzero(distance[0] < furthest[0] + 1e-9)
    assert set(chosen[:, 0]) == set(may)


def test_a_sampled_value_knows_nothing_of_its_own_row():
    design_frame = pd.DataFrame({"v": [1.0, 1.0, 1.0, 2.0, 3.0, None]})
    imp = bi.impute(design_frame, method="sample", m=1, iterations=1, seed=1, progress=False)
    drawn = imp.predictive("v", draws=3000)["posterior_predictive"]["v"].values[0]
    share = (drawn[:, 3] == 2.0).mean()  # seen once: without itself (0 + 1/3) of 5
    assert share == pytest.approx((1 / 3) / 5, abs=0.015)
    assert (drawn[:, 0] == 1.0).mean() == pytest.approx((2 + 1 / 3) / 5, abs=0.03)


@pytest.mark.parametrize(
    ("method", "variable", "options"),
    [
        pytest.param("normal.robust", "number", {}, marks=pytest.mark.slow),
        pytest.param(
            "normal.truncated", "number", {"lower": -9, "upper": 14}, marks=pytest.mark.slow
        ),
        pytest.param("heckman", "number", {}, marks=pytest.mark.slow),
        pytest.param("heckman.robust", "number", {"pmm": True}, marks=pytest.mark.slow),
        pytest.param("heckman.binary", "binary", {}, marks=pytest.mark.slow),
        pytest.param("ordinal", "level", {}, marks=pytest.mark.slow),
        pytest.param("categorical", "kind", {}, marks=pytest.mark.slow),
        ("pmm", "kind", {}),
        pytest.param("negative_binomial", "count", {}, marks=pytest.mark.slow),
        (bi.delta("normal", -50), "number", {}),
        (bi.by_group("normal", "arm"), "number", {}),
        (bi.only_where("normal", "arm == 1", otherwise=0), "number", {}),
        (bi.fixed_clusters("logistic"), "binary", {}),
    ],
    ids=str,
)
def test_every_method_is_overimputed(method, variable, options):
    frame = study().assign(arm=np.arange(SCHOOLS * PUPILS) % 2)
    imp = imputed(frame, {variable: method}, options={variable: options})
    found = imp.overimpute(draws=50)
    row = found.table.loc[variable]
    assert row["left_out"] == "weights"
    modelled = frame["arm"] == 1 if "only_where" in str(method) else frame["arm"] >= 0
    assert row["n"] == frame.loc[modelled, variable].notna().sum()
    assert 0.8 < row["coverage"] < 0.97  # δ = −50 would not come near
    assert found.cells["pit"].between(0, 1).all()
    np.testing.assert_allclose(found.by_cluster()["n"].sum(), row["n"])


@pytest.mark.slow
def test_a_joint_block_is_overimputed_member_by_member():
    imp = imputed(study(), {"number": "joint", "binary": "joint"})
    table = imp.overimpute(draws=50).table
    assert list(table.index) == ["number", "binary"]
    assert table["coverage"].between(0.83, 0.96).all()
    assert (table["left_out"] == "weights").all()
    tree = imp.predictive("binary", draws=2)
    assert tree["log_likelihood"]["binary"].attrs["measure"] == "probability"


def test_a_kernel_of_ones_own_is_predicted_by_visits_and_said_not_to_be_left_out():
    class Plain:
        kinds = resolve("sample").kinds
        options = {}  # noqa: RUF012

        def model(self, design, priors, options):
            raise NotImplementedError

        def kernel(self, design, priors, options):
            inside = resolve("sample").kernel(design, priors, options)

            class Kernel:
                labels = inside.labels
                adapt, start, visit = inside.adapt, inside.start, inside.visit

            return Kernel()

    frame = study()[["x", "number"]]
    imp = bi.impute(frame, method={"number": Plain()}, m=2, iterations=1, progress=False, seed=1)
    found = imp.overimpute(draws=50)
    assert found.table.loc["number", "left_out"] == "not"
    with pytest.raises(SpecificationError, match="no density for each value"):
        imp.compare_models("number", {"own": {}}, draws=100)


def test_a_wrong_model_is_seen_in_loo_pit_and_a_right_one_is_not():
    rng = np.random.default_rng(5)
    x = rng.normal(size=600)
    right = pd.DataFrame({"x": x, "y": x + rng.normal(size=600)})
    wrong = right.assign(y=x + rng.exponential(size=600) ** 2)
    p = {}
    for name, frame in {"right": right, "wrong": wrong}.items():
        frame.loc[::10, "y"] = np.nan
        imp = bi.impute(frame, method="normal", m=2, iterations=1, seed=1, progress=False)
        p[name] = loo_pit(imp.specification, imp.history, "y", 100, 1).p
    assert p["right"] > 0.05
    assert p["wrong"] < 1e-3


def test_that_intervals_of_few_donors_hold_fewer_is_said():
    rng = np.random.default_rng(0)
    x = rng.normal(size=150)
    frame = pd.DataFrame({"x": x, "y": x + rng.normal(size=150)})
    frame.loc[:19, "y"] = np.nan
    imp = bi.impute(frame, method="pmm", m=2, iterations=1, seed=1, progress=False)
    found = imp.overimpute(draws=50)
    assert found.table.loc["y", "coverage"] == pytest.approx(4 / 6, abs=0.1)  # of 5 donors
    assert found.matched == ("y",) and "(of 5 donors 67 %)" in repr(found)


@pytest.mark.slow
def test_intervals_are_those_of_cells_that_were_not_seen():
    """With as many predictors as a few rows bear, a cell's own posterior flatters it."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 14))
    frame = pd.DataFrame(x, columns=[f"x{k}" for k in range(14)])
    frame["y"] = x @ rng.normal(size=14) + rng.normal(size=40)
    frame.loc[0, "y"] = np.nan
    imp = bi.impute(frame, method="normal", m=2, iterations=2, seed=1, progress=False)
    found = imp.overimpute(draws=500)
    tree = imp.predictive("y", draws=500)
    drawn = tree["posterior_predictive"]["y"].values.reshape(1000, -1)
    y = tree["observed_data"]["y"].values
    in_sample = np.abs(y - drawn.mean(axis=0))
    left_out = np.abs(y - found.cells["mean"].to_numpy())
    exact = []
    for k in range(1, 40):  # ridge regression with the same priors, the row left out
        rows = np.delete(np.arange(1, 40), k - 1)
        design = np.column_stack([np.ones(38), x[rows]])
        beta = np.linalg.lstsq(design, frame["y"].to_numpy()[rows], rcond=None)[0]
        exact.append(np.abs(frame["y"].to_numpy()[k] - np.append(1, x[k]) @ beta))
    assert left_out.mean() == pytest.approx(np.mean(exact), rel=0.15)
    assert in_sample.mean() < 0.8 * np.mean(exact)


def test_a_band_holds_uniform_places_as_often_as_it_says():
    rng = np.random.default_rng(7)
    inside = 0
    for _ in range(300):
        _, difference, lower, upper, p = difference_from_uniform(rng.random(200), 0.9)
        held = bool(((difference >= lower) & (difference <= upper)).all())
        inside += held
        assert held == (p > 0.1) or abs(p - 0.1) < 0.01
    assert 0.85 < inside / 300 < 0.95


def test_places_among_tied_draws_are_uniform_and_among_weighted_ones_weighted():
    rng = np.random.default_rng(9)
    draws, observed = rng.poisson(1.0, (49, 3000)), rng.poisson(1.0, 3000)
    pit = randomised_pit(draws, observed, np.full((49, 3000), 1 / 49), rng)
    assert stats.kstest(pit, "uniform").pvalue > 0.01
    weights = np.zeros((49, 3000))
    weights[0], weights[1] = 0.9, 0.1
    draws[0], draws[1] = -1, 99
    pit = randomised_pit(draws, observed, weights, rng)
    assert np.abs(pit - 0.9 * 49 / 50).max() <= 1 / 50
    equal = np.full((99, 1), 1 / 99)
    ends = weighted_quantiles(np.arange(1.0, 100)[:, None], equal, (0.05, 0.95))
    np.testing.assert_allclose(ends[:, 0], [5, 95])


def test_smoothed_weights_are_those_of_arviz():
    rng = np.random.default_rng(3)
    log_likelihood = rng.standard_t(3, size=(300, 8)) * np.linspace(0.1, 3, 8)
    found = leave_one_out(log_likelihood)
    weights, k = array_stats.psislw(log_likelihood.T.copy(), axis=-1)
    np.testing.assert_allclose(found.log_weights, weights.T, atol=1e-10)
    np.testing.assert_allclose(found.pareto_k, k, atol=1e-10)
    level = leave_one_out(np.full((100, 2), -1.5))
    np.testing.assert_allclose(np.exp(level.log_weights), 0.01)
    assert (level.pareto_k < 0.7).all()


def log_marginal(x, y, scales):
    """Log density of all of y in the normal model without clusters, by quadrature over σ."""
    centre_y, scale_y, centre_x, scale_x = scales
    z = np.column_stack([np.ones(len(y)), x - centre_x])
    sd = 2.5 * scale_y / np.append(1.0, scale_x)

    def integrand(sigma):
        covariance = z * sd**2 @ z.T + sigma**2 * np.eye(len(y))
        density = stats.multivariate_normal(np.full(len(y), centre_y), covariance).logpdf(y)
        return np.exp(density + 60) * stats.halfnorm.pdf(sigma, scale=scale_y)

    return np.log(integrate.quad(integrand, 0.05, 8, limit=100, epsrel=1e-7)[0]) - 60


@pytest.mark.slow
def test_loo_is_that_of_refits_without_each_row(made):
    design = made("number", clustered=False)
    keep = np.flatnonzero(design.fit)[:14]
    design = design.rows(keep)
    method = resolve("normal")
    options = {**method.options, "transitions": 2}
    kernel = method.kernel(design, {}, options)
    rng = np.random.default_rng(1)
    adaptation = kernel.adapt(design, rng)
    state = kernel.predict(design, adaptation, kernel.start(adaptation, rng), rng, True).state
    drawn = predictions("y", kernel, design, adaptation, state, 1500, rng)
    density = np.array([each.log_likelihood for each in drawn])
    found = leave_one_out(density)
    x, y = design.x, design.y
    scales = (y.mean(), y.std(), x.mean(axis=0), x.std(axis=0))
    whole = log_marginal(x, y, scales)
    exact = [
        whole - log_marginal(np.delete(x, k, 0), np.delete(y, k), scales) for k in range(len(y))
    ]
    good = found.pareto_k < 0.7
    assert good.sum() >= 12
    np.testing.assert_allclose(found.log_score(density)[good], np.array(exact)[good], atol=0.12)
    in_sample = np.log(np.exp(density).mean(axis=0))
    assert np.abs(in_sample - exact)[good].max() > 0.2  # what weights have to make up for


def test_the_model_that_made_the_data_predicts_best():
    frame = study(spread=1.5)
    imp = imputed(frame, {"number": "normal"})
    models = {
        "made them": "number ~ x + (1 | school)",
        "pooled": "number ~ x",
        "nothing": {"formula": "number ~ 1 + (1 | school)"},
        "as imputed": {},
    }
    found = imp.compare_models("number", models, draws=100)
    assert set(found.table.index[:2]) == {"made them", "as imputed"}
    table = found.table
    assert abs(table.loc["made them", "elpd"] - table.loc["as imputed", "elpd"]) < 1.5
    assert table.loc["pooled", "difference"] < -3 * table.loc["pooled", "difference_se"]
    assert table.loc["nothing", "weight"] < 0.1
    assert table["weight"].sum() == pytest.approx(1)
    np.testing.assert_allclose(found.pointwise.sum(), table["elpd"][found.pointwise.columns])
    assert len(found.pointwise) == frame["number"].notna().sum()
    again = imp.compare_models("number", models, draws=100)
    pd.testing.assert_frame_equal(table, again.table)


@pytest.mark.slow
def test_whole_clusters_left_out_reward_effects_drawn_from_their_population():
    imp = imputed(study(spread=1.5), {"number": "normal"})
    models = {"two levels": "number ~ x + (1 | school)", "pooled": "number ~ x"}
    found = imp.compare_models("number", models, draws=100, unit="cluster")
    assert found.table.index[0] == "two levels"
    assert len(found.pointwise) == SCHOOLS
    assert found.table.loc["two levels", "integration_se"] == 0  # closed form


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"m": "pmm"}, "overimpute"),
        ({"m": {"method": "heckman", "options": {"pmm": True}}}, "overimpute"),
        ({"m": "joint"}, "several variables together"),
        ({"m": {"fromula": "number ~ x"}}, "fromula"),
        ({"m": "number ~ nosuch"}, "nosuch"),
        ({}, "dict from label"),
        ({"a": {}, "b": "2lonly.norm"}, "level"),
    ],
)
def test_models_that_cannot_be_compared_are_refused_with_what_to_do(models, message):
    imp = imputed(study(), {"number": "normal"})
    with pytest.raises((SpecificationError, DataError), match=message):
        imp.compare_models("number", models, draws=100)


@pytest.mark.slow
def test_probabilities_are_not_compared_with_densities():
    imp = imputed(study(), {"count": "poisson"})
    with pytest.raises(SpecificationError, match="cannot be"):
        imp.compare_models("count", {"count": {}, "normal": "normal"}, draws=100)
    with pytest.raises(SpecificationError, match="fixed"):
        imp.compare_models("count", {"f": bi.fixed_clusters("poisson")}, draws=100, unit="cluster")


def test_variables_without_a_model_are_refused():
    frame = study()
    frame["twice"] = frame["number"] * 2
    imp = bi.impute(
        frame[["x", "number", "twice"]], method={"number": "pmm", "twice": "~ I(number * 2)"},
        m=1, iterations=1, seed=1, progress=False,
    )  # fmt: skip
    with pytest.raises(SpecificationError, match="is computed"):
        imp.predictive("twice")
    with pytest.raises(SpecificationError, match="not imputed"):
        imp.overimpute("x")
    with pytest.raises(SpecificationError, match="Did you mean 'number'"):
        imp.predictive("numbr")
    with pytest.raises(SpecificationError, match="draws=100"):
        imp.overimpute("number", draws=20)
    with pytest.raises(SpecificationError, match="level"):
        imp.overimpute("number", level=90)


@pytest.mark.slow
def test_a_users_pymc_model_is_checked_and_compared():
    def builder(design):
        with pm.Model(coords=design.coords) as model:
            x = pm.Data("x", design.x, dims=("row", "predictor"))
            y = pm.Data("y", design.y, dims="row")
            mean = pm.Normal("a", 0, 5) + x @ pm.Normal("beta", 0, 5, dims="predictor")
            pm.Normal("out", mean, pm.HalfNormal("sigma", 5), observed=y, dims="row")
        return model

    frame = study()[["x", "number"]]
    imp = bi.impute(frame, method={"number": builder}, m=2, iterations=1, seed=1, progress=False)
    assert 0.85 < imp.overimpute(draws=50).table.loc["number", "coverage"] < 0.95
    found = imp.compare_models("number", {"own": {}, "normal": "normal"}, draws=100).table
    assert abs(found["difference"]).max() < 1.5


def test_curves_of_replicated_data_are_of_all_chains():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 33, 20)) + 10 * np.arange(3)[:, None, None]  # (chain, draw, row)
    groups = {
        "posterior_predictive": xr.Dataset({"x": (("chain", "draw", "row"), values)}),
        "observed_data": xr.Dataset({"x": ("row", values[0, 0])}),
    }
    (ax,) = draw_replicated(xr.DataTree.from_dict(groups), None, None).axes
    peaks = [line.get_xdata()[line.get_ydata().argmax()] for line in ax.lines[:-1]]
    assert np.bincount(np.round(np.array(peaks) / 10).astype(int)).tolist() == [17, 16, 17]
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words[1] == "model (50 of 99 data sets)"


@pytest.mark.slow
def test_pictures_are_drawn_for_numbers_and_categories(mixed):
    for name in ("number", "binary", "count", "size"):
        assert mixed.plot_ppc(name, draws=5).axes
    assert mixed.plot_loo_pit("number", draws=50).axes
    found = mixed.overimpute(["number", "binary"], draws=50)
    assert len(found.plot().axes) == 3  # two panels and the bar of tones
    assert "observed cells" in repr(found)
    assert found.calibration("binary")["category"].unique().tolist() == ["yes"]
    compared = mixed.compare_models("number", {"now": {}, "pooled": "number ~ x"}, draws=100)
    assert compared.plot().axes
    assert "left out" in compared._repr_html_()


def test_a_run_without_models_has_nothing_to_overimpute():
    frame = pd.DataFrame({"x": np.arange(12.0), "y": np.where(np.arange(12) % 3, 0.0, np.nan)})
    imp = bi.impute(frame, method={"y": "~ I(x * 2)"}, m=2, iterations=1, seed=1, progress=False)
    for names in (None, []):
        with pytest.raises(SpecificationError, match="needs a variable with a model"):
            imp.overimpute(names)


@pytest.mark.parametrize(
    ("chains", "words"),
    [(1, "^draws=50 are too few .* use draws=200"), (3, "of 3 imputations are 150 .* draws=67")],
)
def test_too_few_draws_are_counted_over_the_chains_that_are_weighed_together(chains, words):
    with pytest.raises(SpecificationError, match=words):
        check_draws(50, chains, 200)


def test_one_large_k_in_one_of_two_imputations_is_not_none():
    table = pd.DataFrame({"elpd": [-1.0], "large_k": [0.5]}, ["a"])
    found = ModelComparison("y", "row", table, pd.DataFrame({"a": [-1.0]}), 2)
    assert "in up to 1 row(s)" in repr(found)


def test_clusters_that_read_the_same_are_not_one():
    labels = pd.Series([1, "1", (1, 2)] * 20, dtype=object)
    frame = pd.DataFrame({"g": labels, "kind": labels, "y": np.arange(60.0)})
    frame.loc[:5, ["y", "kind"]] = None
    imp = bi.impute(
        frame, cluster="g", method=dict.fromkeys(["y", "kind"], "sample"), m=2, iterations=1,
        seed=1, progress=False,
    )  # fmt: skip
    found = imp.overimpute("y", draws=50).by_cluster()
    assert found["n"].tolist() == [18, 18, 18]
    (ax,) = imp.plot_density("kind").axes
    words = ["(1, 2)", "'1'", "1"]
    assert sorted(tick.get_text() for tick in ax.get_xticklabels()) == sorted(words)
    plt.close("all")


def test_labels_may_be_tuples_and_no_variables_are_all():
    rng = np.random.default_rng(3)
    labels = [("a", 1), ("b", 2), ("c", 3)]
    cells = [labels[k] if row % 6 else None for row, k in enumerate(rng.integers(0, 3, 60))]
    frame = pd.DataFrame({"c": pd.Series(cells, dtype=object), "x": rng.normal(size=60)})
    found = imputed(frame, {"c": "categorical"}, cluster=None).overimpute(draws=60)
    seen = [cell for cell in cells if cell is not None]
    assert found.cells["observed"].tolist() == seen
    groups = found.calibration("c")
    assert groups["category"].unique().tolist() == labels
    shares = groups.groupby("category")["share"].mean()
    sizes = groups.groupby("category").size()
    assert sizes.nunique() == 1 and shares.sum() == pytest.approx(1.0)
    assert len(found.plot(variables=[]).axes) == 1
