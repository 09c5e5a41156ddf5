"""Sums of trees as a method: what it finds by itself, and its way through all that others go."""

import sys

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

import bayesimpute as bi
from bayesimpute.data.table import Kind
from bayesimpute.method import Design
from bayesimpute.registry import resolve

QUIET = {"progress": False, "seed": 1}


@pytest.fixture(scope="module")
def interaction():
    """A slope that is there in one of two groups only, which no formula says."""
    rng = np.random.default_rng(8)
    n = 800
    group, x, school = rng.integers(0, 2, n), rng.normal(size=n), rng.integers(0, 20, n)
    y = x * group + 0.5 * rng.normal(size=20)[school] + 0.6 * rng.normal(size=n)
    df = pd.DataFrame({"school": school, "group": np.array(["a", "b"])[group], "x": x, "y": y})
    return df, df.assign(y=np.where(rng.random(n) < 0.4, np.nan, y))


@pytest.fixture(scope="module")
def imp(interaction):
    return bi.impute(interaction[1], "school", method={"y": "rf"}, m=4, iterations=5, **QUIET)


def difference(df):
    """Slope in the second group less that in the first."""
    slopes = [np.polyfit(each["x"], each["y"], 1)[0] for _, each in df.groupby("group")]
    return slopes[1] - slopes[0]


def test_an_interaction_nobody_named_is_found(interaction, imp):
    complete, incomplete = interaction
    gone = incomplete["y"].isna()
    found = np.mean([difference(each[gone]) for each in imp.complete("all")])
    assert found == pytest.approx(difference(complete[gone]), abs=0.2)
    default = bi.impute(incomplete, "school", method={"y": "pmm"}, m=4, iterations=5, **QUIET)
    lost = np.mean([difference(each[gone]) for each in default.complete("all")])
    assert lost < 0.5 * found


def test_names_of_mice_are_said_to_be_another_model(imp):
    events = imp.events[imp.events["action"] == "method renamed"]
    assert list(events["variable"]) == ["y"]
    assert "'rf' of 'y' is 'bart' here" in events["message"].iloc[0]


def test_parameters_are_those_of_the_data(imp):
    drawn = imp.history.parameters["y"]
    assert set(drawn) == {"intercept", "sd_trees", "sd_intercept", "sigma"}
    assert drawn["sigma"].mean() == pytest.approx(0.6, abs=0.08)
    assert drawn["sd_intercept"].mean() == pytest.approx(0.5, abs=0.2)


def test_it_goes_through_equation_report_and_check(imp, tmp_path):
    assert imp.equations()["y"].startswith("y_ij = β0 + b0_j + f(group_ij, x_ij) + ε_ij,")
    imp.report(tmp_path / "report.html")
    assert "A sum of regression trees (BART) in" in (tmp_path / "report.html").read_text("utf-8")
    drawn = imp.predictive("y", draws=10)["posterior_predictive"]["y"]
    assert drawn.shape[-1] == imp.data["y"].notna().sum()
    table = imp.compare_models("y", {"trees": {}, "a line": "normal"}, draws=100).table
    assert table.index[0] == "trees"


def test_it_goes_through_a_file_and_on(imp, tmp_path):
    imp.to_netcdf(tmp_path / "run.nc")
    more = bi.open(tmp_path / "run.nc").extend(1, progress=False)
    pd.testing.assert_frame_equal(
        more.complete("long"), imp.extend(1, progress=False).complete("long")
    )


KINDS = {
    "two": (Kind.BINARY, ("no", "yes")),
    "ordered": (Kind.ORDINAL, ("low", "middle", "high")),
    "unordered": (Kind.NOMINAL, ("p", "q", "r")),
}


@pytest.fixture(scope="module")
def categories():
    """Categories that hang on a bend of x: those in the middle have the others' predictors."""
    rng = np.random.default_rng(9)
    n = 600
    x, ward = rng.normal(size=n), rng.integers(0, 12, n)
    bend = 2.0 * (np.abs(x) < 0.7) - 1.0 + 0.4 * rng.normal(size=12)[ward]
    df = pd.DataFrame({"ward": ward, "x": x})
    latent = bend + rng.normal(size=n)
    codes = {
        "two": (latent > 0).astype(int),
        "ordered": np.searchsorted([-0.8, 0.8], latent),
        "unordered": (np.array([bend, -bend, 0 * bend]) + rng.normal(size=(3, n))).argmax(0),
    }
    for name, (kind, labels) in KINDS.items():
        ordered = kind is Kind.ORDINAL
        df[name] = pd.Categorical.from_codes(codes[name], list(labels), ordered=ordered)
    gone = rng.random(n) < 0.35
    return df, gone


@pytest.mark.parametrize("name", KINDS)
def test_categories_hang_on_a_bend(categories, name):
    complete, gone = categories
    df = complete[["ward", "x", name]].copy()
    df.loc[gone, name] = None
    imp = bi.impute(df, "ward", method={name: "bart"}, m=4, iterations=4, **QUIET)

    def shares(frame):
        middle = np.abs(frame["x"]) < 0.7
        return pd.crosstab(middle, frame[name], normalize="index").to_numpy()

    found = np.mean([shares(each[gone]) for each in imp.complete("all")], axis=0)
    np.testing.assert_allclose(found, shares(complete[~gone]), atol=0.12)
    assert imp.predictive(name, draws=5)["posterior_predictive"][name].size


def design_of(kind, labels, y, clustered=True):
    rng = np.random.default_rng(10)
    n = len(y)
    fit = np.arange(n) % 4 > 0
    return Design(
        "y", kind, labels, np.where(fit, y, np.nan), rng.normal(size=(n, 2)), ("u", "v"),
        np.ones((n, int(clustered))), ("intercept",) if clustered else (), np.arange(n) % 5,
        5, fit, ~fit,
    )  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_categories_have_chances_that_are_one_together(name):
    kind, labels = KINDS[name]
    design = design_of(kind, labels, np.arange(40) % len(labels) * 1.0)
    kernel = resolve("bart").kernel(design, {}, {"trees": 5, "transitions": 2, "tune": 20})
    rng = np.random.default_rng(1)
    adaptation = kernel.adapt(design, rng)
    visit = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, False)
    assert visit.state.size == kernel.size
    density = kernel.log_density(design, visit.state, rng)
    rows = design.rows(design.draw)
    each = [
        np.exp(density(Design(**{**fields(rows), "y": np.full(len(rows.y), float(code))})))
        for code in range(len(labels))
    ]
    np.testing.assert_allclose(np.sum(each, axis=0), 1.0, atol=1e-6)
    # and values are drawn with these chances
    eta = kernel._eta(rows, kernel._apart(visit.state))
    levels = kernel._apart(visit.state).levels
    drawn = [kernel._model.latent.values(eta, levels, 1.0, rng) for _ in range(4000)]
    seen = [(np.array(drawn) == code).mean(axis=0) for code in range(len(labels))]
    np.testing.assert_allclose(seen, each, atol=0.045)


def fields(design):
    return {k: v for k, v in vars(design).items() if k != "memo"}


def test_values_go_with_the_unit_of_the_target():
    y = np.random.default_rng(2).normal(size=60)
    found = []
    for unit in (1.0, 1024.0):
        design = design_of(Kind.NUMERIC, (), y * unit)
        kernel = resolve("bart").kernel(design, {}, {"trees": 5, "transitions": 2, "tune": 20})
        rng = np.random.default_rng(3)
        adaptation = kernel.adapt(design, rng)
        visit = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, True)
        found.append([*visit.values, visit.parameters["sigma"], visit.parameters["sd_trees"]])
    np.testing.assert_allclose(found[1], np.array(found[0]) * 1024.0)


def test_without_predictors_it_is_the_normal_model_of_a_cluster():
    # with no rule to find, intercept, effects and both SDs have the posterior of `normal`
    rng = np.random.default_rng(4)
    cluster = np.arange(80) % 8
    y = 3.0 + 1.5 * rng.normal(size=8)[cluster] + rng.normal(size=80)
    nothing = np.zeros((80, 0))
    fit = np.arange(80) % 5 > 0
    design = Design(
        "y", Kind.NUMERIC, (), np.where(fit, y, np.nan), nothing, (), np.ones((80, 1)),
        ("intercept",), cluster, 8, fit, ~fit,
    )  # fmt: skip
    means = {}
    for method, options in (("bart", {"trees": 3}), ("normal", {})):
        implementation = resolve(method)
        kernel = implementation.kernel(design, {}, {**implementation.options, **options})
        rng = np.random.default_rng(5)
        adaptation = kernel.adapt(design, rng)
        state = kernel.start(adaptation, rng)
        drawn = []
        for k in range(700):
            visit = kernel.visit(design, adaptation, state, rng, k == 0)
            state = visit.state
            drawn.append([visit.parameters["sigma"], visit.parameters["sd_intercept"],
                          visit.values.mean()])  # fmt: skip
        means[method] = np.mean(drawn, axis=0), np.std(drawn, axis=0)
    np.testing.assert_allclose(means["bart"][0], means["normal"][0], atol=0.09)
    np.testing.assert_allclose(means["bart"][1], means["normal"][1], rtol=0.2)


@pytest.mark.slow
def test_pymc_bart_finds_the_same_function():
    # its particle sampler is another algorithm, with priors a little different
    pytest.importorskip("pymc_bart")
    rng = np.random.default_rng(6)
    n = 250
    x = np.column_stack([rng.normal(size=n), rng.integers(0, 2, n)])
    truth = np.where(x[:, 1] > 0, np.sin(2 * x[:, 0]), 0.0)
    y = truth + 0.3 * rng.normal(size=n)
    everyone = np.ones(n, dtype=bool)
    design = Design("y", Kind.NUMERIC, (), y, x, ("x", "g"), np.zeros((n, 0)), (),
                    np.zeros(n, dtype=int), 1, everyone, everyone)  # fmt: skip
    method = resolve("bart")
    with method.model(design, {}, dict(method.options)) as model:
        drawn = pm.sample(300, tune=300, chains=2, cores=1, random_seed=1, progressbar=False)
    posterior = drawn["posterior"].dataset
    theirs = posterior["intercept"] + posterior["sd_trees"] * posterior["trees"]
    theirs = theirs.mean(["chain", "draw"]).to_numpy()
    kernel = method.kernel(design, {}, dict(method.options))
    adaptation = kernel.adapt(design, rng)
    state, ours = kernel.start(adaptation, rng), []
    for k in range(150):
        state = kernel.visit(design, adaptation, state, rng, k == 0).state
        ours.append(kernel._eta(design, kernel._apart(state))[:, 0])
    ours = kernel._model.centre + kernel._model.unit * np.mean(ours, axis=0)
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.15
    assert np.corrcoef(ours, theirs)[0, 1] > 0.93
    assert len(model.free_RVs) == 4


def test_a_model_can_be_had_and_run_forward(imp):
    pytest.importorskip("pymc_bart")
    model = imp.model("y")
    assert {"intercept", "sd_trees", "trees", "sd_intercept", "sigma"} <= set(model.named_vars)
    table = imp.priors("y").set_index("parameter")
    assert "HalfNormal" in table.loc["sd_trees", "distribution"]
    tree = imp.prior_predictive("y", draws=200)
    f = tree["prior"]["trees"].to_numpy()[0]
    assert f.std(axis=0).mean() == pytest.approx(1.0, abs=0.1)
    assert tree["prior_predictive"]["y_observed"].shape[1] == 200


def test_its_share_of_variance_is_that_of_a_model_without_predictors(interaction):
    complete = interaction[0]
    arguments = {"draws": 100, "chains": 2, "seed": 1}
    found = bi.icc(complete, "y", "school", method="bart", **arguments)
    assert float(found) == pytest.approx(
        float(bi.icc(complete, "y", "school", method="normal", **arguments)), abs=0.05
    )


def test_a_covariate_of_an_analysis_may_be_modelled_by_trees(interaction):
    df = interaction[0].drop(columns="school").copy()
    truth = np.polyfit(df["x"], df["y"], 1)[0]
    df.loc[np.random.default_rng(1).random(len(df)) < 0.3, "x"] = np.nan
    imp = bi.impute(df, analysis="y ~ x * group", method={"x": "bart"}, m=3, iterations=6, **QUIET)
    found = np.mean([np.polyfit(each["x"], each["y"], 1)[0] for each in imp.complete("all")])
    assert found == pytest.approx(truth, abs=0.1)
    with pytest.raises(bi.SpecificationError, match=r"method 'bart' of 'x' cannot be"):
        imp.joint_model()


def test_a_shift_moves_what_is_imputed(interaction):
    df = interaction[1]
    plain, moved = (
        bi.impute(df, "school", method={"y": m}, m=2, iterations=2, **QUIET)
        for m in ("bart", bi.delta("bart", 5.0))
    )
    gone = df["y"].isna()
    means = [each.complete(1).loc[gone, "y"].mean() for each in (plain, moved)]
    assert means[1] - means[0] == pytest.approx(5.0, abs=0.3)


def test_priors_are_replaced_in_the_targets_unit(interaction):
    df = interaction[1].assign(y=interaction[1]["y"] * 100)
    priors = {"y": {"sigma": pm.Uniform.dist(90, 95), "intercept": pm.Normal.dist(0, 1)}}
    imp = bi.impute(df, "school", method={"y": "bart"}, priors=priors, m=2, iterations=3, **QUIET)
    drawn = imp.history.parameters["y"]
    assert drawn["sigma"].min() > 90 and drawn["sigma"].max() < 95
    assert np.abs(drawn["intercept"]).max() < 5


REFUSED = {
    "random slopes, and 'x' is to have one": {"formulas": {"y": "y ~ x + (1 + x | school)"}},
    "trees=0 must be a whole number from 1": {"model_options": {"y": {"trees": 0}}},
    "has no parameter 'beta'": "beta",
    "takes a normal prior on intercept": "intercept",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_it_cannot_do_is_said_before_the_work(interaction, words):
    given = REFUSED[words]
    if isinstance(given, str):
        given = {"priors": {"y": {given: pm.StudentT.dist(3)}}}
    with pytest.raises(bi.SpecificationError, match=words):
        bi.impute(interaction[1], "school", method={"y": "bart"}, m=2, **QUIET, **given)


def test_imputing_needs_no_pymc_bart_and_its_model_says_so(imp, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymc_bart", None)
    imp.extend(1, progress=False)
    with pytest.raises(bi.SpecificationError, match=r"pip install 'bayesimpute\[bart\]'"):
        imp.model("y")


def test_a_variable_of_clusters_and_a_single_level(interaction):
    rng = np.random.default_rng(3)
    df = pd.DataFrame({"school": np.repeat(np.arange(40), 3), "x": rng.normal(size=120)})
    size = rng.normal(size=40)
    df["z"], df["size"] = np.repeat(np.abs(size) + 0.1 * rng.normal(size=40), 3), size[df["school"]]
    df.loc[df["school"] % 5 == 0, "z"] = np.nan
    imp = bi.impute(df, "school", method={"z": "bart"}, m=2, iterations=3, **QUIET)
    assert set(imp.history.parameters["z"]) == {"intercept", "sd_trees", "sigma"}
    completed = imp.complete(1)
    assert (completed.groupby("school")["z"].nunique() == 1).all()
    assert stats.spearmanr(completed["z"], np.abs(completed["size"])).statistic > 0.6


def test_a_number_with_two_values_keeps_them(interaction):
    df = interaction[1].drop(columns="y").copy()
    df["smokes"] = np.where(df["x"] + np.random.default_rng(1).normal(size=len(df)) > 1, 2, 1)
    gone = np.random.default_rng(2).random(len(df)) < 0.3
    share = (df["smokes"] == 2).mean()
    imp = bi.impute(
        df.assign(smokes=df["smokes"].mask(gone)), "school", method={"smokes": "cart"}, m=3,
        iterations=3, **QUIET,
    )  # fmt: skip
    assert set(imp.complete("long")["smokes"]) == {1, 2}
    assert (imp.complete("long")["smokes"] == 2).mean() == pytest.approx(share, abs=0.05)
    drawn = imp.predictive("smokes", draws=5)["posterior_predictive"]["smokes"]
    assert set(np.unique(drawn)) == {1, 2}


def test_categories_have_equations_of_their_own(categories):
    df = categories[0].assign(**{name: categories[0][name].mask(categories[1]) for name in KINDS})
    method = dict.fromkeys(KINDS, "bart")
    options = {"tune": 5, "transitions": 1}
    imp = bi.impute(
        df, "ward", method=method, model_options=dict.fromkeys(KINDS, options), m=2, iterations=1,
        **QUIET,
    )  # fmt: skip
    found = imp.equations()
    assert found["two"].startswith("P(two_ij = “yes”) = Φ(β0 + b0_j + f(x_ij, ")
    assert found["ordered"].startswith("P(ordered_ij ≤ k) = Φ(c_k − η_ij),  η_ij = b0_j + f(")
    assert "η_k = β0_k + b0_jk + f_k(x_ij, " in found["unordered"]


def test_subjects_and_items_have_effects_beside_the_trees():
    study = bi.simulate.simulate_ratings(1, subjects=30, items=20)
    imp = bi.impute(
        study.incomplete, ["subject", "item"], method={"rating": "bart"}, m=3, iterations=6,
        priors={"rating": {"sd_intercept|item": pm.HalfNormal.dist(2)}}, **QUIET,
    )  # fmt: skip
    drawn = imp.history.parameters["rating"]
    complete = study.complete.set_index(["subject", "item"])["rating"].unstack()
    for factor, axis in (("subject", 1), ("item", 0)):
        spread = np.sqrt(drawn[f"sd_intercept|{factor}"] ** 2 + 0.35**2).mean()
        assert spread == pytest.approx(complete.mean(axis=axis).std(), abs=0.3)
    assert "β0 + b0_j + d0_k + f(age_j, length_i)" in imp.equations()["rating"]
    pytest.importorskip("pymc_bart")
    assert {"sd_intercept|subject", "effect|item"} <= set(imp.model("rating").named_vars)
    table = imp.priors("rating").set_index("parameter")
    assert table.loc["sd_intercept|item", "replaced"]


def test_an_interaction_needs_no_term_for_an_analysis_and_a_predictor_does(imp):
    assert "an interaction" not in str(imp.congenial("y ~ x * group + (1 | school)"))
    linear = bi.impute(imp.data, "school", method={"y": "normal"}, m=2, iterations=1, **QUIET)
    assert "an interaction" in str(linear.congenial("y ~ x * group + (1 | school)"))
    without = bi.impute(
        imp.data, formulas={"y": "y ~ x + (1 | school)"}, method={"y": "bart"}, m=2, iterations=1,
        **QUIET,
    )  # fmt: skip
    assert "group" in str(without.congenial("y ~ x * group + (1 | school)"))


def test_the_outcome_of_an_analysis_has_its_model(interaction):
    with pytest.raises(bi.SpecificationError, match=r"'bart' has no coefficients; leave its"):
        bi.impute(interaction[1], analysis="y ~ x * group", method={"y": "bart"}, m=2, **QUIET)


def test_a_whole_cluster_has_the_density_of_its_covariance_matrix():
    y = 10.0 * np.random.default_rng(2).normal(size=40)
    design = design_of(Kind.NUMERIC, (), y)
    kernel = resolve("bart").kernel(design, {}, {"trees": 5, "transitions": 2, "tune": 20})
    rng = np.random.default_rng(1)
    adaptation = kernel.adapt(design, rng)
    state = kernel.start(adaptation, rng)
    found = kernel.predict(design, adaptation, state, rng, False, by_cluster=True)
    rows, at = design.rows(design.fit), kernel._apart(found.state)
    unit = kernel._model.unit
    mean = kernel._model.centre + unit * (
        kernel._eta(rows, at)[:, 0] - at.effects[0][0][rows.cluster]
    )
    sd, sigma = found.parameters["sd_intercept"], found.parameters["sigma"]
    for j in range(5):
        own = rows.cluster == j
        covariance = sigma**2 * np.eye(own.sum()) + sd**2
        expected = stats.multivariate_normal(mean[own], covariance).logpdf(rows.y[own])
        assert found.by_cluster[j] == pytest.approx(expected)
