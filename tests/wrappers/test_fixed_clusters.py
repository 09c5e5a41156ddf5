"""fixed_clusters: an indicator a cluster, as a dummy-coded regression has."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi

RUN = {"cluster": "school", "iterations": 3, "seed": 3}


def least_squares(df, clusters):
    """Coefficients and their SEs of y ~ x + indicators of `clusters`."""
    seen = df.dropna()
    columns = [np.ones(len(seen)), seen["x"], *(seen["school"] == c for c in clusters)]
    design = np.column_stack(columns).astype(float)
    beta, rest, _, _ = np.linalg.lstsq(design, seen["y"].to_numpy(), rcond=None)
    sigma2 = rest[0] / (len(seen) - design.shape[1])
    return beta, np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * sigma2), np.sqrt(sigma2)


def test_coefficients_are_those_of_a_dummy_coded_regression(trial):
    df = trial.loc[trial["arm"] == "a", ["school", "x", "y"]]
    imp = bi.impute(df, m=60, method={"y": bi.fixed_clusters("normal")}, **RUN)
    draws = imp.history.parameters["y"]
    labels = imp.history.labels["y"]["beta"]
    assert labels[0] == "x" and len(labels) == 8
    most = df.dropna()["school"].value_counts()
    reference = most[most == most.max()].index
    named = [label.removeprefix("school[").removesuffix("]") for label in labels[1:]]
    assert set(df["school"]) - set(named) <= set(reference)
    beta, se, sigma = least_squares(df, named)
    beta, se = beta[1:], se[1:]
    mean, spread = draws["beta"].mean(axis=(0, 1)), draws["beta"].std(axis=(0, 1))
    # 180 draws: a Monte Carlo SE of 0.075 posterior SDs, and the weak prior beside it
    assert (np.abs(mean - beta) < 0.35 * se).all()
    np.testing.assert_allclose(spread, se, rtol=0.25)
    assert draws["sigma"].mean() == pytest.approx(sigma, rel=0.05)
    # predictors are centred, so the intercept is the mean
    assert draws["intercept"].mean() == pytest.approx(df["y"].mean(), abs=0.05)
    assert "sd_intercept" not in draws


@pytest.mark.parametrize("method", ["pmm", "2l.norm", "own"])
def test_other_methods_take_fixed_clusters(trial, builder, method):
    far = trial.assign(y=trial["y"] + 100 * trial["school"].isin(["s1", "s6"]))
    inside = builder if method == "own" else method
    imp = bi.impute(far, m=2, method={"y": bi.fixed_clusters(inside)}, **RUN)
    gone = far["y"].isna()
    for school in far["school"].unique():
        drawn = imp.complete(2).loc[gone & (far["school"] == school), "y"]
        assert (drawn > 50).all() == (school in ("s1", "s6"))


def test_what_the_clusters_hold_already_leaves_the_model(trial):
    number = trial["school"].str[1:].astype(float)
    matrix = bi.make_predictors(trial.assign(size=number), cluster="school")
    matrix.loc["y", "x"] = 3
    method = {"y": bi.fixed_clusters("pmm")}
    imp = bi.impute(trial.assign(size=number), m=1, method=method, predictors=matrix, **RUN)
    messages = " ".join(imp.events["message"])
    assert "'size' does not predict 'y'" in messages
    assert "the cluster mean of 'x' does not predict 'y'" in messages
    assert "drawn from the population" not in messages
    assert imp.equations()["y"].startswith("y_ij = (β0 + α_j) + β1·arm_ij + β2·x_ij + β3·sex_ij")


def test_the_textbook_model_has_the_indicators(trial):
    imp = bi.impute(trial, m=1, method={"y": bi.fixed_clusters("normal")}, **RUN)
    model = imp.model("y")
    assert sum(str(name).startswith("school[") for name in model.coords["predictor"]) == 7
    assert "sd_intercept" not in model.named_vars


def test_groups_have_their_own_clusters(trial):
    nested = trial.assign(arm=np.where(trial["school"].isin(["s0", "s1", "s2"]), "a", "b"))
    method = {"y": bi.by_group(bi.fixed_clusters("normal"), "arm")}
    imp = bi.impute(nested, m=1, method=method, **RUN)
    labels = imp.history.labels["y"]
    assert sum(label.startswith("school[") for label in labels["beta[a]"]) == 2
    assert sum(label.startswith("school[") for label in labels["beta[b]"]) == 4


def test_a_cluster_without_observed_values_is_refused(trial):
    df = trial.copy()
    df.loc[df["school"].isin(["s2", "s5"]), "y"] = np.nan
    with pytest.raises(bi.DataError, match=r"in 2 cluster\(s\) of 'school' \(s2, s5\)"):
        bi.impute(df, m=1, method={"y": bi.fixed_clusters("normal")}, **RUN)


def test_a_cluster_without_observed_values_in_one_group_is_refused(trial):
    df = trial.copy()
    df.loc[(df["school"] == "s2") & (df["arm"] == "b"), "y"] = np.nan
    with pytest.raises(bi.DataError, match=r"of 'school' where arm is b \(s2\)"):
        method = bi.by_group(bi.fixed_clusters("normal"), "arm")
        bi.impute(df, m=1, method={"y": method}, **RUN)


def test_a_cluster_that_a_changing_condition_leaves_empty_is_named(trial):
    noise = np.random.default_rng(5).normal(scale=0.1, size=400)  # a copy would be computed
    df = trial.assign(z=(trial["x"] + noise).mask(np.arange(400) % 5 == 0))
    here = (df["school"] == "s2").to_numpy()
    only = np.flatnonzero(here & df["z"].isna())[0]  # may be chosen, or not
    df.loc[here & ~(df["z"] < 0), "y"] = np.nan
    df.loc[df.index[only], "y"] = 1.0
    method = bi.only_where(bi.fixed_clusters("normal"), "z > 0", otherwise=0)
    with pytest.raises(bi.SamplingError, match=r"not always observed in cluster 's2'"):
        bi.impute(df, m=1, method={"y": method}, **{**RUN, "iterations": 10})


def test_slopes_by_cluster_are_refused(trial):
    matrix = bi.make_predictors(trial, cluster="school")
    matrix.loc["y", "x"] = 2
    with pytest.raises(bi.SpecificationError, match="the slope of 'x' varies by cluster"):
        bi.impute(trial, m=1, method={"y": bi.fixed_clusters("pmm")}, predictors=matrix, **RUN)


@pytest.mark.parametrize(
    ("change", "method", "cluster", "says"),
    [
        ({}, "normal", None, "its model has no clusters"),
        ({}, "2l.norm", None, r"'fixed_clusters\(2l.norm\)' of 'y' needs clusters"),
        ({"level": 2}, "2lonly.pmm", "school", "one value a cluster"),
    ],
)
def test_models_without_clusters_in_them_are_refused(trial, change, method, cluster, says):
    df = trial
    if change:
        number = trial["school"].str[1:].astype(float)
        df = trial.assign(y=number.mask(number == 3))
    with pytest.raises(bi.SpecificationError, match=says):
        bi.impute(
            df,
            **{**RUN, "cluster": cluster},
            m=1,
            method={"y": bi.fixed_clusters(method)},
            predictors=None,
        )


def test_the_data_are_left_alone(trial):
    before = trial.copy(deep=True)
    bi.impute(trial, m=1, method={"y": bi.fixed_clusters("normal")}, **RUN)
    pd.testing.assert_frame_equal(trial, before)
