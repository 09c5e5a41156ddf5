"""by_group: each group as if imputed alone."""

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest

import bayesimpute as bi

RUN = {"cluster": "school", "iterations": 3, "seed": 3}


def imputed(imp, df, rows=None, name="y"):
    """Imputed values, (imputation, cell)."""
    gone = df[name].isna() if rows is None else df[name].isna() & rows
    return np.array([completed.loc[gone, name] for completed in imp.complete("all")])


@pytest.mark.parametrize("method", ["normal", "pmm"])
def test_each_group_is_imputed_as_if_alone(trial, method):
    trial = trial.drop(columns="sex")  # its reference category may differ by arm
    together = bi.impute(trial, m=30, method={"y": bi.by_group(method, "arm")}, **RUN)
    for arm in ("a", "b"):
        rows = trial["arm"] == arm
        alone = bi.impute(trial[rows].drop(columns="arm"), m=30, method={"y": method}, **RUN)
        ours = imputed(together, trial, rows)
        theirs = imputed(alone, trial[rows])
        # a cell's mean over 30 imputations has an SE of about 0.2 (SD 1), twice in a difference
        assert np.abs(ours.mean(axis=0) - theirs.mean(axis=0)).max() < 1.2
        assert ours.mean() == pytest.approx(theirs.mean(), abs=0.1)
        assert ours.std(axis=0).mean() == pytest.approx(theirs.std(axis=0).mean(), rel=0.1)
        for name, draws in alone.history.parameters["y"].items():
            mine = together.history.parameters["y"][f"{name}[{arm}]"]
            spread = 5 * draws.std(axis=(0, 1)) / np.sqrt(30)
            assert (np.abs(mine.mean(axis=(0, 1)) - draws.mean(axis=(0, 1))) < spread).all(), name


@pytest.mark.parametrize("method", ["normal", "logistic"])
def test_each_group_has_the_effects_of_several_groupings(method):
    rng = np.random.default_rng(4)
    n = 300
    shop, item, arm = rng.integers(0, 6, n), rng.integers(0, 4, n), rng.choice(["a", "b"], n)
    level = 4.0 * np.where(arm == "a", item - 1.5, 1.5 - item) + 2.0 * (shop % 2)
    if method == "logistic":
        y = np.where(level > 1, "yes", "no")
        gone = rng.random(n) < 0.2
        df = pd.DataFrame({"y": y, "shop": shop, "item": item, "arm": arm})
        df.loc[gone, "y"] = None
    else:
        y, gone = level + rng.normal(0, 0.2, n), rng.random(n) < 0.2
        df = pd.DataFrame({"y": y, "shop": shop, "item": item, "arm": arm})
        df.loc[gone, "y"] = np.nan
    imp = bi.impute(
        df, m=2, iterations=2, seed=3, progress=False, method={"y": bi.by_group(method, "arm")},
        formulas={"y": "y ~ (1 | shop) + (1 | item)"},
    )  # fmt: skip
    assert {"sd_intercept|item[a]", "sd_intercept|shop[b]"} <= imp.history.labels["y"].keys()
    for frame in [*imp, *(each.loc[gone] for each in imp.impute_new(df))]:
        drawn = frame.loc[gone[: len(frame)] if len(frame) == n else slice(None), "y"]
        if method == "logistic":
            assert (drawn == y[gone]).mean() > 0.8
        else:
            assert np.abs(drawn - y[gone]).mean() < 1


def test_random_draws_come_from_the_own_group(trial):
    far = trial.assign(y=trial["y"] + np.where(trial["arm"] == "b", 1000, 0))
    imp = bi.impute(far, m=3, method={"y": bi.by_group("sample", "arm")}, **RUN)
    for arm in ("a", "b"):
        rows = far["arm"] == arm
        assert set(imputed(imp, far, rows).ravel()) <= set(far.loc[rows, "y"].dropna())


def test_a_users_model_is_fitted_in_each_group(trial, builder):
    imp = bi.impute(trial, m=4, method={"y": bi.by_group(builder, "arm")}, **RUN)
    assert imp.method["y"] == "by_group(own_model, arm)"
    slope = {k: v.mean(axis=(0, 1))[0] for k, v in imp.history.parameters["y"].items() if "sl" in k}
    assert slope["slope[a]"] == pytest.approx(2, abs=0.4)
    assert slope["slope[b]"] == pytest.approx(-1, abs=0.4)


def test_parameters_are_named_by_group_in_diagnostics_and_tree(trial):
    imp = bi.impute(
        trial, m=2, method={"y": bi.by_group("normal", "arm")}, **{**RUN, "iterations": 4}
    )
    table = imp.diagnostics()
    assert not table.duplicated(["variable", "quantity"]).any()
    for label in ("a", "b"):
        assert {f"sigma[{label}]", f"beta[{label}][x]"} <= set(table["quantity"])
        assert imp.datatree["posterior"][f"y.beta[{label}]"].shape == (2, 4, 2)


def test_the_grouping_column_leaves_the_model_and_its_products(trial):
    imp = bi.impute(
        trial,
        m=1,
        method={"y": bi.by_group("normal", "arm")},
        formulas={"y": "y ~ x + arm + sex:arm + (1 | school)"},
        **{k: v for k, v in RUN.items() if k != "cluster"},
    )
    assert [term.label for term in imp.specification.targets["y"].terms] == ["x", "sex"]
    assert (imp.events["action"] == "predictor left out").sum() == 2
    assert "separately for each arm" in imp.equations()["y"]


@pytest.mark.parametrize("method", ["logistic", "categorical"])
def test_groups_of_categories_stand_side_by_side_too(trial, method):
    labels = ["low", "high"] if method == "logistic" else ["low", "mid", "high"]
    shuffled = np.random.default_rng(1).permutation(trial["x"])
    cut = pd.Series(pd.cut(shuffled, len(labels), labels=labels, ordered=False), trial.index)
    cut = cut.where(trial["y"].notna())
    imp = bi.impute(trial.assign(y=cut), m=1, method={"y": bi.by_group(method, "arm")}, **RUN)
    joined = imp.model("y")
    assert {"beta[a]", "beta[b]"} <= set(joined.named_vars)
    with pytensor.config.change_flags(mode="FAST_COMPILE"):  # for one evaluation
        assert np.isfinite(list(joined.point_logps().values())).all()


def test_the_textbook_model_holds_all_groups_side_by_side(trial):
    imp = bi.impute(trial, m=1, method={"y": bi.by_group("normal", "arm")}, **RUN)
    joined = imp.model("y")
    assert {"sigma[a]", "sigma[b]", "beta[a]", "y_observed[b]"} <= set(joined.named_vars)
    total = 0.0
    at = joined.initial_point()
    cheap = {"mode": "FAST_COMPILE"}  # for one evaluation
    for arm in ("a", "b"):
        rows = trial["arm"] == arm
        alone = bi.impute(trial[rows].drop(columns="arm"), m=1, method={"y": "normal"}, **RUN)
        model = alone.model("y")
        point = {}
        for variable in model.free_RVs:
            value = model.rvs_to_values[variable].name
            other = joined.rvs_to_values[joined[f"{variable.name}[{arm}]"]].name
            point[value] = at[other]
        total += float(model.compile_logp(**cheap)(point))
    assert float(joined.compile_logp(**cheap)(at)) == pytest.approx(total)
    pm.sample_prior_predictive(10, model=joined, random_seed=1, compile_kwargs=cheap)


@pytest.mark.slow  # its density is that of its parts, and it runs forward: the test before
def test_the_joined_model_can_be_sampled(trial):
    imp = bi.impute(trial, m=1, method={"y": bi.by_group("normal", "arm")}, **RUN)
    with imp.model("y"):
        drawn = pm.sample(100, tune=200, chains=1, random_seed=1, progressbar=False, cores=1)
    assert float(drawn["posterior"]["sigma[a]"].mean()) == pytest.approx(1, abs=0.2)
    assert drawn["posterior"]["beta[b]"].dims[-1] == "predictor[b]"


def test_renaming_the_groups_changes_no_value(trial):
    run = {**RUN, "m": 2}
    method = {"y": bi.by_group("normal", "arm")}
    renamed = trial.assign(arm=trial["arm"].map({"a": "z", "b": "c"}))
    one, other = (bi.impute(df, method=method, **run) for df in (trial, renamed))
    assert np.array_equal(imputed(one, trial), imputed(other, renamed))


def test_a_group_without_gaps_and_numbers_as_groups(trial):
    whole = trial.assign(arm=(trial["arm"] == "b") * 1).copy()
    rows = whole["arm"] == 1
    whole.loc[rows, "y"] = whole.loc[rows, "y"].fillna(0.0)
    imp = bi.impute(whole, m=2, method={"y": bi.by_group("normal", "arm")}, **RUN)
    assert np.isfinite(imp.history.parameters["y"]["sigma[1]"]).all()
    assert not imp.complete(1).isna().any().any()


def test_a_level_2_target_is_grouped_by_a_variable_of_the_clusters(trial):
    number = trial["school"].str[1:].astype(int)
    df = trial.drop(columns=["y", "arm"]).assign(
        kind=np.where(number % 2 == 0, "even", "odd"), size=number * 1.0 + 100 * (number % 2)
    )
    df.loc[number.isin([2, 3]), "size"] = np.nan
    method = bi.by_group("sample", "kind")
    imp = bi.impute(df, m=2, method={"size": method}, **RUN)
    assert imp.complete(1).loc[number == 2, "size"].unique()[0] in (0, 4, 6)
    assert imp.complete(2).loc[number == 3, "size"].unique()[0] in (101, 105, 107)


def test_a_wrapper_may_be_the_method_of_every_column(trial):
    df = trial.assign(x=trial["x"].mask(np.arange(400) % 7 == 0))
    imp = bi.impute(df, method=bi.by_group("pmm", "arm"), m=1, **RUN)
    assert imp.method["x"] == imp.method["y"] == "by_group(pmm, arm)"


@pytest.mark.parametrize(
    ("by", "change", "error", "says"),
    [
        (
            "arms",
            {},
            bi.SpecificationError,
            r"by_group of 'y'.*no column 'arms'.*Did you mean 'arm'",
        ),
        ("y", {}, bi.SpecificationError, "grouped by itself"),
        ("school", {}, bi.SpecificationError, "'school' is the cluster"),
        ("arm", {"arm": None}, bi.DataError, "'arm' is missing in 1 row"),
        ("day", {"day": pd.Timestamp("2026-01-01")}, bi.SpecificationError, "neither a number nor"),
        ("arm", {"y": np.nan}, bi.DataError, r"'y' has fewer than two.* where arm is b"),
    ],
)
def test_a_bad_group_is_named_before_work_starts(trial, by, change, error, says):
    df = trial.copy()
    for name, value in change.items():
        if name == "arm":
            df.loc[5, "arm"] = value
        elif name == "y":
            df.loc[df["arm"] == "b", "y"] = value
        else:
            df[name] = value
    with pytest.raises(error, match=says):
        bi.impute(df, m=1, method={"y": bi.by_group("normal", by)}, **RUN)


def test_a_group_that_varies_within_clusters_is_refused_for_a_level_2_target(trial):
    df = trial.drop(columns="y").assign(size=trial["school"].str[1:].astype(float))
    df.loc[df["school"] == "s2", "size"] = np.nan
    with pytest.raises(bi.DataError, match="one value a cluster, but 'arm' varies"):
        bi.impute(df, m=1, method={"size": bi.by_group("pmm", "arm")}, **RUN)
