"""The chains and NUTS on the one joint model give the same posterior."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import AnalysisError, SpecificationError

QUICK = {"draws": 20, "tune": 20, "chains": 2, "cores": 1, "progressbar": False}
RUN = {"seed": 1, "progress": False}


def in_clusters(clusters, rows, seed=3):
    """Generator, number of rows, cluster of each, an effect of each cluster in all its rows."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(clusters), rows)
    return rng, len(g), g, 0.5 * rng.normal(size=clusters)[g]


def missing(rng, values, share):
    return np.where(rng.random(len(values)) < share, np.nan, values)


def labelled(rng, codes, share=0.0):
    codes = np.where(rng.random(len(codes)) < share, -1, codes)
    return pd.Categorical.from_codes(codes.astype(int), ["p", "q", "r"][: codes.max() + 1])


def interaction():
    rng, n, g, level = in_clusters(12, 12)
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    y = x + z + 0.5 * x * z + level + rng.normal(size=n)
    df = pd.DataFrame({"g": g, "z": z, "x": missing(rng, x, 0.35), "y": y})
    return df, {"analysis": "y ~ x * z + (1 | g)"}


def random_slope():
    rng, n, g, level = in_clusters(12, 12)
    slope = 0.6 * rng.normal(size=12)[g]
    x = rng.normal(size=n) + 0.5 * rng.normal(size=12)[g]
    y = missing(rng, x * (1 + slope) + level + rng.normal(size=n), 0.2)
    return pd.DataFrame({"g": g, "x": missing(rng, x, 0.3), "y": y}), {
        "analysis": "y ~ x + (1 + x | g)"
    }


def square():
    rng, n, _, _ = in_clusters(1, 120)
    x = rng.normal(size=n)
    y = x + 0.6 * x**2 + rng.normal(size=n)
    return pd.DataFrame({"x": missing(rng, x, 0.35), "y": y}), {"analysis": "y ~ x + I(x**2)"}


def binary_covariate():
    rng, n, _, _ = in_clusters(1, 150)
    z = rng.normal(size=n)
    b = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    y = (rng.random(n) < 1 / (1 + np.exp(-(b - 0.5 + 0.5 * z)))).astype(int)
    df = pd.DataFrame({"z": z, "b": labelled(rng, b, 0.35), "y": labelled(rng, y)})
    return df, {"analysis": "y ~ b * z"}


def of_clusters():
    rng, n, g, level = in_clusters(25, 6)
    w, x = rng.normal(size=25), rng.normal(size=n)
    y = 0.5 * w[g] + x + 0.5 * w[g] * x + level + rng.normal(size=n)
    df = pd.DataFrame({"g": g, "w": missing(rng, w, 0.35)[g], "x": x, "y": y})
    return df, {"analysis": "y ~ w * x + (1 | g)"}


def counts():
    rng, n, _, _ = in_clusters(1, 120)
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    y = rng.poisson(np.exp(0.3 + 0.4 * x + 0.3 * z)).astype(float)
    df = pd.DataFrame({"z": z, "x": missing(rng, x, 0.35), "y": y})
    return df, {"analysis": "y ~ x + z", "family": "poisson"}


def not_at_random():
    rng, n, _, _ = in_clusters(1, 250)
    z, w = rng.normal(size=(2, n))
    x, e = 0.5 * z + rng.normal(size=n), rng.normal(size=n)
    y, seen = x + e, 0.5 + 0.5 * x + w + 0.6 * e + 0.8 * rng.normal(size=n) > 0
    a = 0.5 * x + y + rng.normal(size=n)  # auxiliary: the unseen outcomes stand in its model
    df = pd.DataFrame(
        {"z": z, "w": w, "x": missing(rng, x, 0.3), "y": np.where(seen, y, np.nan), "a": a}
    )
    options = {"y": {"selection_only": ["w"]}}
    given = {"family": "heckman", "model_options": options, "formulas": {"a": "a ~ x + y"}}
    return df, {"analysis": "y ~ x + z + w", **given}


def of_all_kinds():
    rng, n, g, level = in_clusters(20, 6)
    w, o = (rng.random(20) < 0.5).astype(int), rng.integers(0, 3, n)
    x = rng.normal(size=n) + 0.5 * (o == 2)
    y = x + 0.5 * w[g] * x + 0.7 * (o == 1) + level + rng.normal(size=n)
    of_cluster = labelled(rng, w)
    of_cluster[[1, 4, 6, 11]] = np.nan
    df = pd.DataFrame(
        {
            "g": g,
            "w": of_cluster[g],
            "o": labelled(rng, o, 0.08),
            "x": missing(rng, x, 0.25),
            "y": y,
        }
    )
    return df, {"analysis": "y ~ w * x + o + (1 | g)"}


CASES = (interaction, random_slope, square, binary_covariate, of_clusters, counts, not_at_random,
         of_all_kinds)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_chains_and_nuts_agree(case):
    df, given = case()
    imp = bi.impute(df, m=6, iterations=400, **given, **RUN)
    options = {"draws": 1000, "tune": 700, "target_accept": 0.9, "progressbar": False}
    table = bi.compare_joint(imp, seed=2, discard=40, **options)
    assert table["joint"]["r_hat"].max() < 1.03 and table["chains"]["r_hat"].max() < 1.03
    assert table["difference"].abs().max().max() < 4.0


@pytest.fixture(scope="module")
def small():
    df, given = square()
    return bi.impute(df.head(40), m=2, iterations=40, **given, **RUN)


def test_every_parameter_of_the_chains_is_compared(small):
    table = bi.compare_joint(small, seed=1, **QUICK)
    assert list(table.index) == [
        "x.intercept", "x.sigma", "y.intercept", "y.beta[x]", "y.beta[I(x ** 2)]", "y.sigma",
    ]  # fmt: skip
    assert set(table.columns.levels[0]) == {"chains", "difference", "joint"}
    draws = small.history.parameters["y"]["sigma"][:, 20:]
    assert table["chains"].loc["y.sigma", "mean"] == pytest.approx(draws.mean())
    gap = table["chains"]["mean"] - table["joint"]["mean"]
    assert (np.sign(gap) == np.sign(table["difference"]["mean"])).all()


def test_too_few_iterations_are_refused_before_any_work(small):
    with pytest.raises(AnalysisError, match=r"at least 20 must be left.*imp\.extend"):
        bi.compare_joint(small, discard=39)


# --- what has no joint model ----------------------------------------------------------------------


def refused(df, match, **given):
    imp = bi.impute(df, m=1, iterations=1, **given, **RUN)
    with pytest.raises(SpecificationError, match=match):
        imp.joint_model()


def test_chained_equations_are_no_joint_distribution():
    df, _ = square()
    refused(df, r"chained equations.*analysis=", method="normal")


def test_missing_counts_cannot_be_moved_by_nuts():
    df, _ = counts()
    df = df.assign(x=df["y"], y=df["z"])
    df.loc[::5, "x"] = np.nan
    refused(df[["x", "y"]], "missing counts of 'x'", analysis="y ~ x", method={"x": "poisson"})


def test_groups_within_groups_are_refused():
    df, _ = square()
    df["arm"], df["half"] = np.resize(["a", "b"], len(df)), np.arange(len(df)) < len(df) / 2
    method = {"x": bi.by_group(bi.by_group("normal", "arm"), "half")}
    refused(df, r"'x' is by_group\(by_group\(normal, arm\), half\)", analysis="y ~ x",
            method=method)  # fmt: skip


def test_parameters_of_each_group_are_compared():
    df, _ = square()
    df["arm"] = np.resize(["a", "b"], len(df))
    method = {"x": bi.by_group("normal", "arm")}
    imp = bi.impute(df, m=2, iterations=40, analysis="y ~ x", method=method, **RUN)
    assert {"x.sigma[a]", "x.sigma[b]"} < set(bi.compare_joint(imp, seed=1, **QUICK).index)


def test_too_many_combinations_are_not_summed_over():
    rng, n, g, level = in_clusters(3, 300)
    b = labelled(rng, rng.integers(0, 2, n), 0.5)
    df = pd.DataFrame({"g": g, "b": b, "y": level + rng.normal(size=n)})
    refused(
        df, r"cluster means of 'b' see so many missing categories.*at most 200",
        analysis="y ~ b + cluster_mean(b) + (1 | g)",
    )  # fmt: skip
