"""Selection models through bi.impute, where values are missing because of what they are."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayesimpute as bi
from bayesimpute.errors import SpecificationError
from bayesimpute.result.checks import (
    NOT_OBSERVED,
    OWN_LITTLE,
    OWN_SPEAKS,
    TOO_FEW,
    Estimate,
    _of_its_own,
    _own,
    estimated,
)

RUN = {"m": 4, "iterations": 3, "seed": 2, "progress": False}


def simulated(rho=0.7, clusters=10, rows=100, seed=1):
    """The design of Muñoz et al. (2023) with slopes that do not vary; y, r and who was seen."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(clusters), rows)
    n = len(g)
    x1, x2, x3 = (rng.random(n) < 0.6).astype(float), rng.normal(size=n), rng.normal(size=n)
    effects = rng.multivariate_normal([0, 0], 0.3 * np.array([[1, 0.4], [0.4, 1]]), clusters)[g]
    u = rng.normal(size=n)
    e = rho * u + np.sqrt(1 - rho**2) * rng.normal(size=n)
    y = 0.3 + x1 + x2 + effects[:, 0] + e
    seen = -0.2 + 0.8 * x1 - 0.7 * x2 + 1.2 * x3 + effects[:, 1] + u > 0
    seen[g < 2] = False
    df = pd.DataFrame({"g": [f"c{k}" for k in g], "x1": x1, "x2": x2, "x3": x3})
    return df.assign(y=np.where(seen, y, np.nan)), y, seen


def coded(df):
    predictors = bi.make_predictors(df, cluster="g")
    predictors.loc["y", "x3"] = bi.Role.SELECTION_ONLY
    return predictors


@pytest.fixture(scope="module")
def study():
    return simulated()


@pytest.fixture(scope="module")
def imp(study):
    df, _, _ = study
    return bi.impute(
        df, cluster="g", method={"y": "heckman"}, predictors=coded(df), **{**RUN, "m": 10}
    )


def test_unseen_values_are_where_they_are(study, imp):
    df, y, seen = study
    unseen = ~seen & (df["g"].to_numpy() > "c1")
    drawn = np.mean([frame["y"].to_numpy()[unseen] for frame in imp.complete("all")])
    at_random = bi.impute(
        df.drop(columns="x3"), cluster="g", method={"y": "normal"}, **{**RUN, "m": 10}
    )
    plain = np.mean([frame["y"].to_numpy()[unseen] for frame in at_random.complete("all")])
    truth = y[unseen].mean()
    assert plain > truth + 0.5  # the posterior's SD is 0.2, the model at random is sure and wrong
    assert abs(drawn - truth) < 0.5 * abs(plain - truth)
    rho = imp.history.parameters["y"]["rho"][:, 1:]
    # 600 draws have mean 0.79 and SD 0.07, so the smallest of 20 may well lie above the truth
    assert abs(rho.mean() - 0.7) < 2.5 * rho.std() and rho.mean() > 0.4


def test_predictors_are_in_the_equations_they_are_coded_for(imp):
    labels = imp.history.labels["y"]
    assert labels["beta"] == ("x1", "x2")
    assert labels["selection_beta"] == ("x1", "x2", "x3")
    assert imp.predictors.loc["y", "x3"] == bi.Role.SELECTION_ONLY
    assert {"seen", "unseen"} <= {v.name for v in imp.model("y").potentials}


def test_a_formula_names_the_equations_in_options(study):
    df, _, _ = study
    run = bi.impute(
        df, formulas={"y": "y ~ x1 + x2 + x3 + (1 + x3 | g)"}, method={"y": "heckman"},
        model_options={"y": {"selection_only": ("x3",), "outcome_only": "x2"}}, **RUN,
    )  # fmt: skip
    labels = run.history.labels["y"]
    assert labels["beta"] == ("x1", "x2") and labels["selection_beta"] == ("x1", "x3")
    assert "selection_sd_x3" in labels and "sd_x3" not in labels


def test_effects_are_those_of_the_formula(study):
    df, _, _ = study
    options = {"y": {"selection_only": ("x3",)}}

    def labels(random):
        run = bi.impute(
            df, formulas={"y": f"y ~ x1 + x2 + x3 + {random}"}, method={"y": "heckman"},
            model_options=options, m=2, iterations=1, seed=1, progress=False,
        )  # fmt: skip
        assert len(run.identification()) in (1, 11)  # with a row a cluster where ρ varies
        return run.history.labels["y"]

    independent = labels("(1 + x1 || g)")
    spreads = ["intercept", "selection intercept", "log_sigma", "atanh_rho"]
    pairs = [f"{a}~{b}" for k, b in enumerate(spreads) for a in spreads[:k]]
    assert set(independent["correlation"]) == {*pairs, "x1~selection x1"}
    # without a random intercept σ and ρ do not vary either
    slope = labels("(0 + x1 | g)")
    assert slope["correlation"] == ("x1~selection x1",)
    assert "sd_atanh_rho" not in slope and "cluster_rho" not in slope


def test_identification_says_what_is_known_of_rho(study, imp):
    df, _, _ = study
    found = imp.identification().iloc[0]
    assert found["exclusion"] == "x3" and found["strength"] > 5
    assert found["contraction"] > 0.5 and found["verdict"] == "the data speak of ρ"
    fixed = bi.impute(
        df, cluster="g", method={"y": "heckman"}, predictors=coded(df),
        model_options={"y": {"rho": 0.5}}, **RUN,
    )  # fmt: skip
    assert "rho" not in fixed.history.parameters["y"]
    assert fixed.identification().iloc[0]["verdict"] == "ρ is fixed"
    without = bi.impute(df, cluster="g", method={"y": "heckman"}, **RUN)
    actions = set(without.events["action"])
    assert {"no exclusion restriction", "clusters outside the selection"} <= actions
    assert "no exclusion restriction" not in set(imp.events["action"])


def test_identification_tells_clusters_apart(study, imp):
    df, _, _ = study
    found = imp.extend(8).identification()
    assert found["cluster"].isna().tolist() == [True] + [False] * 10
    clusters = found.iloc[1:].set_index("cluster")
    assert set(clusters.index) == set(df["g"])
    # nothing is seen in the first two: all that is known of their ρ is that of any new cluster
    empty, others = clusters.loc[["c0", "c1"]], clusters.drop(index=["c0", "c1"])
    assert (empty["verdict"] == NOT_OBSERVED).all() and (empty["own"] == 0).all()
    assert not others["verdict"].str.contains("no observed value").any()
    assert others["own"].dropna().between(0, 1).all()
    undecided = others["verdict"].str.startswith(TOO_FEW)
    assert (others["own"].isna() == undecided).all()
    assert ((clusters["contraction"] > 0.3) & clusters["5%"].lt(clusters["rho"])).all()


def test_shares_and_verdicts_that_noise_could_flip_are_not_given():
    rng = np.random.default_rng(1)
    sd, population = np.full((10, 200), 0.5), np.tanh(0.1 * rng.normal(size=(10, 200)))
    away = 0.5 * rng.normal(size=(10, 200))

    def shared(spread, chains=10, draws=200, apart=0.0):
        shift = apart * rng.normal(size=(chains, 1))
        rho = np.tanh(np.arctanh(population) + spread * away + np.resize(shift, (10, 1)))
        return estimated(_own, *(each[:chains, :draws] for each in (rho, population, sd)))

    own, verdict = _of_its_own(shared(0.4))  # 1 − 0.4² of the variance is gone
    assert own == pytest.approx(0.84, abs=0.02) and verdict == OWN_SPEAKS
    own, verdict = _of_its_own(shared(1.0))
    assert 0 <= own < 0.05 and verdict == OWN_LITTLE
    # a share of −1.23: the chains have not met; a few draws; one chain
    for share in (Estimate(-1.23, 0.5), shared(0.9, 3, 4), shared(0.4, 1), shared(1.0, apart=0.6)):
        own, verdict = _of_its_own(share)
        assert np.isnan(own) and verdict.startswith("too few draws to say whether its own rows")


def test_the_error_of_what_is_computed_from_draws_is_that_of_independent_chains():
    rng = np.random.default_rng(2)
    chains = rng.normal(size=(200, 10, 1)) + 0.1 * rng.normal(size=(200, 10, 50))
    found = [estimated(np.mean, each) for each in chains]
    held = [abs(each.value) < each.margin for each in found]
    assert 0.9 < np.mean(held) < 0.99  # within chains there is next to nothing to be learnt


def test_rho_of_each_group_is_its_own():
    rng = np.random.default_rng(3)
    n = 160
    x, z = rng.normal(size=n), rng.normal(size=n)
    y = np.where(z + rng.normal(size=n) > -0.3, x + rng.normal(size=n), np.nan)
    df = pd.DataFrame({"x": x, "z": z, "y": y, "arm": np.resize(["a", "b"], n)})
    arguments = {"m": 3, "iterations": 3, "seed": 1, "progress": False}
    run = bi.impute(df, method={"y": bi.by_group("heckman", "arm")}, **arguments)
    found = run.identification()
    assert found["group"].tolist() == ["a", "b"] and found["cluster"].isna().all()
    for group, rho in zip("ab", found["rho"], strict=True):
        drawn = run.history.parameters["y"][f"rho[{group}]"][:, 1:]
        assert rho == pytest.approx(drawn.mean())
    assert found["verdict"].str.startswith(TOO_FEW).all()  # six draws say nothing


def test_whoever_relies_on_the_prior_is_warned(study):
    rng = np.random.default_rng(0)
    few = pd.DataFrame({"x": rng.normal(size=24), "y": rng.normal(size=24)})
    few.loc[::3, "y"] = np.nan
    arguments = {"method": {"y": "heckman"}, "seed": 1, "progress": False}
    with pytest.warns(bi.ImputationWarning, match=r"little of ρ of 'y'.*bi.sensitivity"):
        run = bi.impute(few, m=20, iterations=15, **arguments)
    assert run.identification().iloc[0]["verdict"].startswith("the data say little")
    fixed = {"model_options": {"y": {"rho": 0.3}}}
    bi.impute(few, m=20, iterations=15, **fixed, **arguments)  # nothing to warn of


def test_heavy_tails_do_not_pass_for_selection():
    """Outliers, and selection that has nothing to do with them."""
    rng = np.random.default_rng(4)
    n = 600
    x, z = rng.normal(size=n), rng.normal(size=n)
    y = x + rng.standard_t(2.5, size=n)
    df = pd.DataFrame({"x": x, "z": z, "y": np.where(0.5 * z + rng.normal(size=n) > 0, y, np.nan)})
    options = {"y": {"selection_only": ("z",)}}
    drawn = {}
    for method in ("heckman", "heckman.robust"):
        run = bi.impute(
            df, method={"y": method}, formulas={"y": "y ~ x + z"}, model_options=options,
            m=8, iterations=8, seed=3, progress=False,
        )  # fmt: skip
        drawn[method] = run.history.parameters["y"]
    nu = drawn["heckman.robust"]["nu"][:, 4:]
    assert 1.5 < nu.mean() < 6
    assert drawn["heckman.robust"]["sigma"].mean() < 0.8 * drawn["heckman"]["sigma"].mean()
    rho = {name: parameters["rho"][:, 4:] for name, parameters in drawn.items()}
    assert abs(rho["heckman.robust"].mean()) < 2.5 * rho["heckman.robust"].std()
    assert "t(ν)" in run.equations()["y"]


def test_peers_name_goes_by_the_kind_of_the_target(study):
    df, y, seen = study
    answer = np.where(y > 0.8, "yes", "no").astype(object)
    answer[~seen] = None
    run = bi.impute(
        df.assign(y=answer), cluster="g", method={"y": "2l.2stage.heckman"}, predictors=coded(df),
        **{**RUN, "m": 1},
    )  # fmt: skip
    assert run.equations()["y"].startswith("y*") and set(run.complete(1)["y"]) == {"yes", "no"}


def test_the_file_goes_on_bit_for_bit(study, tmp_path):
    df, _, _ = study
    arguments = {"cluster": "g", "method": {"y": "2l.2stage.heckman"}, "predictors": coded(df)}
    bi.impute(df, **arguments, **{**RUN, "iterations": 2}).to_netcdf(tmp_path / "imp.nc")
    opened = bi.open(tmp_path / "imp.nc").extend(1)
    whole = bi.impute(df, **arguments, **RUN)
    assert opened.complete(3)["y"].equals(whole.complete(3)["y"])
    mixed = df.sample(frac=1, random_state=1)
    again = bi.impute(mixed, **{**arguments, "method": {"y": "heckman"}}, **RUN)
    assert again.complete(3)["y"].reindex(df.index).equals(whole.complete(3)["y"])


def test_without_selection_it_is_the_normal_model(study):
    df, _, _ = study
    one = df[df["g"] > "c1"].drop(columns=["g", "x3"]).reset_index(drop=True)
    many = {**RUN, "m": 40, "iterations": 2}
    fixed = bi.impute(one, method={"y": "heckman"}, model_options={"y": {"rho": 0.0}}, **many)
    normal = bi.impute(one, method={"y": "normal"}, **many)
    # the intercept is where predictors have their mean: over all rows here, over seen rows there
    seen = one["y"].notna()
    moved = (one.loc[seen, ["x1", "x2"]].mean() - one[["x1", "x2"]].mean()).to_numpy()
    drawn = {name: [] for name in ("intercept", "beta", "sigma")}
    for run in (fixed, normal):
        found = run.history.parameters["y"]
        shift = moved if run is fixed else 0 * moved
        drawn["intercept"].append(found["intercept"] + found["beta"] @ shift)
        drawn["beta"].append(found["beta"])
        drawn["sigma"].append(found["sigma"])
    for name, pair in drawn.items():
        a, b = (values.reshape(80, -1) for values in pair)
        error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / 80)
        assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) < 4 * error).all(), name
        assert (np.abs(np.log(a.std(axis=0) / b.std(axis=0))) < 0.4).all(), name


def test_binary_targets_and_wrappers(study):
    df, y, seen = study
    one = {**RUN, "m": 1}
    answer = np.where(y > 0.8, 2, 1)  # coded 1 and 2, as in many a questionnaire
    binary = df.assign(y=np.where(seen, answer, np.nan))
    run = bi.impute(
        binary, cluster="g", method={"y": "heckman.binary"}, predictors=coded(df), **one
    )
    assert all(set(frame["y"].unique()) == {1.0, 2.0} for frame in run.complete("all"))
    shifted = bi.impute(
        df, cluster="g", method={"y": bi.delta("heckman", 50.0)}, predictors=coded(df), **one
    )
    plain = bi.impute(df, cluster="g", method={"y": "heckman"}, predictors=coded(df), **one)
    np.testing.assert_allclose(
        shifted.complete(1)["y"][~seen] - plain.complete(1)["y"][~seen], 50.0
    )


@pytest.mark.parametrize(
    "method",
    [
        bi.by_group("heckman", "arm"),
        bi.only_where("heckman", "arm == 'a'"),
        bi.fixed_clusters("heckman"),
    ],
)
def test_wrappers_go_around_it(study, method):
    df, _, seen = study
    part = df[df["g"] > "c1"].reset_index(drop=True)
    part["arm"] = np.resize(["a", "a", "b"], len(part))
    run = bi.impute(
        part, cluster="g", method={"y": method}, predictors=coded(part), **{**RUN, "m": 2}
    )
    done = run.complete(1)["y"]
    wanted = part["arm"] == "a" if "only_where" in str(method) else np.ones(len(part), dtype=bool)
    assert done[wanted].notna().all() and seen.any()
    assert done[part["y"].notna()].equals(part["y"].dropna())


def test_matched_values_were_observed(study):
    df, _, _ = study
    run = bi.impute(
        df, cluster="g", method={"y": "heckman"}, predictors=coded(df),
        model_options={"y": {"pmm": True}}, **RUN,
    )  # fmt: skip
    assert set(run.complete(1)["y"]) <= set(df["y"].dropna())


def test_whole_clusters_count_as_selected_only_if_said(study):
    df, _, _ = study
    run = {**RUN, "m": 8}
    arguments = {"cluster": "g", "method": {"y": "heckman"}, "predictors": coded(df)}
    options = {"model_options": {"y": {"select_whole_clusters": True}}}
    absent = df["g"] < "c2"
    counted, plain = (
        bi.impute(df, **arguments, **extra, **run).history.parameters["y"]["selection_intercept"]
        for extra in (options, {})
    )
    assert counted.mean() < plain.mean() - 0.2 and absent.sum() == 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model_options": {"y": {"rho": 1.0}}}, "between −1 and 1"),
        ({"model_options": {"y": {"selection_only": ("z",)}}}, "names 'z'"),
        ({"model_options": {"y": {"selection_only": "x1", "outcome_only": "x1"}}}, "both"),
        ({"method": {"y": "normal"}}, "for models with a selection equation"),
        ({"method": {"y": "heckman.binary"}}, "is numeric with"),
        ({"priors": {"y": {"rho": pm.Normal.dist()}}}, "no parameter 'rho'"),
        ({"priors": {"y": {"atanh_rho": pm.Laplace.dist(0, 1)}}}, "normal priors"),
    ],
)
def test_bad_input_is_said_before_any_work(study, arguments, words):
    df, _, _ = study
    given = {"cluster": "g", "method": {"y": "heckman"}, "predictors": coded(df), **RUN}
    with pytest.raises(SpecificationError, match=words):
        bi.impute(df, **{**given, **arguments})


def test_no_variation_in_the_selection_is_an_event(study):
    df, y, _ = study
    whole = df.assign(y=np.where(df["g"] > "c1", y, np.nan))
    run = bi.impute(whole, cluster="g", method={"y": "heckman"}, **{**RUN, "m": 2})
    assert {"no selection to learn from", "clusters without gaps"} <= set(run.events["action"])
    assert np.isfinite(run.complete(1)["y"]).all()


def test_an_observed_value_that_is_asked_for_is_drawn_as_a_seen_one_in_ignored_rows_too():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 400))
    seen, ignored = y + x + 0.5 * rng.normal(size=400) > 0, rng.random(400) < 0.5
    df = pd.DataFrame({"x": x, "y": np.where(seen, y, np.nan)})
    imp = bi.impute(
        df, method={"y": "heckman"}, model_options={"y": {"rho": 0.9}}, where="all",
        ignore=ignored, **{**RUN, "m": 10},
    )  # fmt: skip
    drawn = np.mean([frame["y"] for frame in imp], axis=0)
    of_seen = drawn[seen & ~ignored].mean()
    assert of_seen > drawn[~seen].mean() + 0.6
    assert drawn[seen & ignored].mean() == pytest.approx(of_seen, abs=0.3)
