"""Rows never seen: drawn as the run draws rows that it does not learn from."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import DataError, SpecificationError


def data(seed=5, clusters=12, each=40):
    """Rows of clusters; half of them are new, those of the last two clusters among them."""
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(clusters), each)
    n = len(school)
    effect = rng.normal(0, 0.8, clusters)[school]
    size = rng.normal(size=clusters)[school]
    x = rng.normal(size=n) + 0.4 * size
    arm = rng.choice(["a", "b"], n)
    eta = 1 + 0.8 * x + effect + 0.5 * (arm == "b")
    df = pd.DataFrame(
        {
            "school": [f"s{k}" for k in school],
            "size": size,
            "x": x,
            "arm": arm,
            "y": eta + rng.normal(size=n),
            "yes": np.where(eta + rng.logistic(size=n) > 1, "yes", "no"),
            "count": rng.poisson(np.exp(0.4 * eta)),
        }
    )
    df["grade"] = pd.cut(eta + rng.logistic(size=n), [-np.inf, 0, 2, np.inf], labels=["l", "m", "h"])
    df["kind"] = np.where(rng.random(n) < 0.4, "u", np.where(eta > 1, "v", "w"))
    new = (rng.random(n) < 0.4) | (school >= clusters - 2)
    return df, new


def with_gaps(df, name, seed=1, share=0.4):
    """Gaps at random, but for the variable's clusters: there, whole ones."""
    rng = np.random.default_rng(seed)
    out = df.copy()
    if name == "size":
        out.loc[out["school"].isin(["s1", "s4", "s11"]), name] = np.nan
        return out
    gaps = rng.random(len(out)) < share
    out[name] = out[name].astype(float) if name == "count" else out[name]
    out.loc[gaps, name] = None
    return out


def numbers(column):
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy(float)
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        return pd.Categorical(column).codes.astype(float)
    return column.to_numpy(float)


def run(name, method, *, m=60, extra=(), **arguments):
    """Impute with the new rows among the data, but never learnt from."""
    df, new = data()
    df = with_gaps(df, name)
    known = ["school", "size", "x", "arm", name, *extra]
    df = df[[column for column in df.columns if column in known]]
    imp = bi.impute(
        df, cluster="school", m=m, iterations=2, ignore=new, seed=3, progress=False,
        method={name: method}, cores=2, **arguments,
    )  # fmt: skip
    return imp, df[new]


def assert_alike(imp, rows, name):
    """Means over rows agree chain by chain, and spreads over all."""
    cells = rows[name].isna().to_numpy()
    completed = imp.impute_new(rows)
    mine = np.stack([numbers(frame[name])[cells] for frame in completed])
    theirs = np.stack([numbers(frame.loc[rows.index, name])[cells] for frame in imp])
    assert mine.shape == theirs.shape and np.isfinite(mine).all()
    difference = mine.mean(axis=1) - theirs.mean(axis=1)
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert abs(difference.mean()) <= 4.5 * error, (difference.mean(), error)
    assert 0.8 < mine.std() / theirs.std() < 1.25
    # rows differ as they do in the run: their means over chains agree
    own, of_run = mine.mean(axis=0), theirs.mean(axis=0)
    spread = np.sqrt((mine.var(axis=0) + theirs.var(axis=0)) / len(mine)) + 1e-9
    assert np.mean(np.abs(own - of_run) < 3.5 * spread) > 0.95


def builder(design):
    import pymc as pm

    with pm.Model(coords=design.coords) as model:
        x = pm.Data("x", design.x, dims=("row", "predictor"))
        cluster = pm.Data("cluster_index", design.cluster, dims="row")
        y = pm.Data("y", design.y, dims="row")
        beta = pm.Normal("beta", 0, 3, dims="predictor")
        sd = pm.HalfNormal("sd", 2)
        b = pm.Normal("b", 0, sd, dims="cluster")
        sigma = pm.HalfNormal("sigma", 2)
        mean = pm.Normal("intercept", 0, 5) + x @ beta + b[cluster]
        pm.Normal("likelihood", mean, sigma, observed=y, dims="row")
    return model


CASES = {
    "normal": ("y", "normal", {}),
    "σ by cluster": ("y", "normal", {"model_options": {"y": {"heteroscedastic": True}}}),
    "slopes": ("y", "normal", {"formulas": {"y": "y ~ x + arm + (1 + x | school)"}}),
    "cluster means": ("y", "normal", {"formulas": {"y": "y ~ x + cluster_mean(x) + (1 | school)"}}),
    "pmm": ("y", "pmm", {}),
    "pmm of categories": ("kind", "pmm", {}),
    "student_t": ("y", "normal.robust", {}),
    "logistic": ("yes", "logistic", {}),
    "ordinal": ("grade", "ordinal", {}),
    "categorical": ("kind", "categorical", {}),
    "poisson": ("count", "poisson", {}),
    "negative_binomial": ("count", "negative_binomial", {}),
    "sample": ("y", "sample", {}),
    "heckman": ("y", "heckman", {}),
    "heckman.binary": ("yes", "heckman.binary", {}),
    "delta": ("y", bi.delta("normal", -2), {}),
    "delta of a category": ("kind", bi.delta("categorical", by_category={"u": 1.5}), {}),
    "delta by cluster": ("y", bi.delta("pmm", by_cluster={"s1": 1.0, "s2": -3.0}), {}),
    "by group": ("y", bi.by_group("normal", "arm"), {}),
    "only where": ("y", bi.only_where("normal", "arm == 'a'", otherwise=7.0), {}),
    "clusters fixed": ("y", bi.fixed_clusters("normal"), {}),
    "own model": ("y", builder, {}),
    "level 2": ("size", "2lonly.norm", {}),
}
#: Cases that know the effects of the clusters they were fitted to, and no others.
NO_NEW_CLUSTERS = ("clusters fixed", "own model")


@pytest.mark.parametrize("case", CASES)
def test_new_rows_are_drawn_as_the_run_draws_rows_it_does_not_learn_from(case):
    name, method, arguments = CASES[case]
    if case == "clusters fixed":  # which refuse clusters without values
        df, new = data()
        df = with_gaps(df, name)[["school", "x", "arm", "y"]]
        df, new = df[~df["school"].isin(["s10", "s11"])], new[~df["school"].isin(["s10", "s11"])]
        imp = bi.impute(df, cluster="school", m=60, iterations=2, ignore=new, seed=3,
                        progress=False, method={name: method})  # fmt: skip
        rows = df[new]
    else:
        imp, rows = run(name, method, **arguments)
    assert_alike(imp, rows, name)


def with_several_gaps():
    df, new = data()
    df = df[["school", "arm", "x", "y", "grade", "yes"]]
    for k, name in enumerate(("x", "y", "grade")):
        df = with_gaps(df, name, seed=k, share=0.3)
    return df, new


@pytest.mark.parametrize("method", [
    {"x": "normal", "y": "pmm", "grade": "ordinal"},
    {("x", "y", "grade"): "joint"},
])  # fmt: skip
def test_several_missing_values_of_a_row_are_drawn_together(method):
    df, new = with_several_gaps()
    imp = bi.impute(df, cluster="school", m=60, iterations=6, ignore=new, seed=2, method=method,
                    progress=False)  # fmt: skip
    for name in ("x", "y", "grade"):
        assert_alike(imp, df[new], name)
    # and so do they go together: the correlation of what is imputed in both
    both = (df["x"].isna() & df["y"].isna())[new].to_numpy()
    mine = [np.corrcoef(f["x"][both], f["y"][both])[0, 1] for f in imp.impute_new(df[new])]
    theirs = [
        np.corrcoef(f.loc[new, "x"][both], f.loc[new, "y"][both])[0, 1] for f in imp
    ]
    error = np.sqrt((np.var(mine) + np.var(theirs)) / len(mine))
    assert abs(np.mean(mine) - np.mean(theirs)) < 4.5 * error


@pytest.mark.parametrize("analysis", [
    "y ~ x * arm + I(x**2) + (1 + x | school)",
    "yes ~ x + grade + (1 | school)",
    "y ~ x + latent_mean(x) + (1 | school)",
    "y ~ x + cluster_mean(x) + (1 | school)",
])  # fmt: skip
def test_what_stands_in_an_analysis_is_drawn_with_it(analysis):
    df, new = with_several_gaps()
    df = df[["school", "arm", "x", "grade", "yes" if "yes" in analysis else "y"]]
    method = {"x": "normal", "grade": "ordinal"}
    imp = bi.impute(df, m=60, iterations=3, ignore=new, seed=2, analysis=analysis,
                    method=method, progress=False)  # fmt: skip
    rows = df[new & ~df["school"].isin(["s10", "s11"])]
    for name in ("x", "y", "grade"):
        if name in df:
            assert_alike(imp, rows, name)
