"""A joint block through bi.impute: a number, two categories and three ordered ones in clusters."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import SpecificationError

BLOCK = dict.fromkeys(("y", "s", "o"), "joint")
RUN = {"cluster": "g", "m": 2, "iterations": 2, "seed": 3, "progress": False}


def simulated(clusters=12, rows=30, seed=1):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(clusters), rows)
    x = rng.normal(size=len(g))
    residual = np.array([[1, 0.6, 0.5], [0.6, 1, 0.4], [0.5, 0.4, 1]])
    latent = rng.multivariate_normal(np.zeros(3), residual, len(g))
    latent += (rng.normal(size=(clusters, 3)) * 0.5)[g] + np.outer(x, [0.5, 0.8, 0.3])
    ordered = np.digitize(latent[:, 2], [-0.5, 0.6])
    return pd.DataFrame(
        {
            "g": g,
            "x": x,
            "y": 10 + 3 * latent[:, 0],
            "s": np.where(latent[:, 1] > 0, "yes", "no"),
            "o": pd.Categorical.from_codes(ordered, ["lo", "mid", "hi"], ordered=True),
        }
    )


@pytest.fixture(scope="module")
def complete():
    return simulated()


@pytest.fixture(scope="module")
def data(complete):
    rng = np.random.default_rng(2)
    df = complete.copy()
    for name in BLOCK:
        df.loc[rng.random(len(df)) < 0.25, name] = None
    df.loc[df["g"] < 2, "y"] = np.nan
    df.loc[df["g"] == 3, "o"] = None
    return df


@pytest.fixture(scope="module")
def imp(data):
    return bi.impute(data, method=BLOCK, **RUN)


def test_labels_order_and_observed_values_survive(data, imp):
    for done in imp.complete("all"):
        assert not done.isna().any().any()
        assert list(done["o"].cat.categories) == ["lo", "mid", "hi"] and done["o"].cat.ordered
        assert set(done["s"]) == {"yes", "no"}
        pd.testing.assert_series_equal(done.dtypes, data.dtypes)
        for name in BLOCK:
            seen = data[name].notna()
            assert done.loc[seen, name].equals(data.loc[seen, name])


def test_the_block_is_one_model_visited_once(imp):
    assert imp.specification.visit_sequence == ("y",)
    assert set(imp.history.parameters["y"]) >= {"residual_correlation", "cutpoints", "sigma"}
    assert imp.history.parameters["s"] == {}
    assert (imp.events["action"] == "joint block").sum() == 1
    equations = imp.equations()
    assert equations["s"].startswith("s*_ij = b0_j + β1·x_ij + ε_ij,  s_ij = k if c_(k−1)")
    assert "ε_ij of (y*, s*, o*) ~ N(0, Σ)" in equations["s"]
    assert imp.model("s").named_vars.keys() == imp.model("y").named_vars.keys()


def test_imputed_values_of_one_row_belong_together():
    full = simulated(10, 120)
    df = full.copy()
    gone = np.random.default_rng(5).random(len(df)) < 0.4
    df.loc[gone, ["y", "s"]] = None
    drawn = bi.impute(
        df, cluster="g", m=4, iterations=3, method=dict.fromkeys(("y", "s"), "joint"), seed=1,
        progress=False,
    )  # fmt: skip

    def difference(frame):
        part = frame[gone]
        return part.loc[part["s"] == "yes", "y"].mean() - part.loc[part["s"] == "no", "y"].mean()

    found = np.mean([difference(frame) for frame in drawn.complete("all")])
    assert found == pytest.approx(difference(full), abs=0.7)  # 3.2 here, 1.3 without their Σ and C


def test_rows_and_seeds(data, imp):
    mixed = data.sample(frac=1, random_state=4)
    again = bi.impute(mixed, method=BLOCK, **RUN)
    for name in BLOCK:
        assert imp.complete(1)[name].equals(again.complete(1)[name].reindex(data.index))
    other = bi.impute(data, method=BLOCK, **{**RUN, "seed": 4})
    assert not imp.complete(1)["y"].equals(other.complete(1)["y"])


def test_a_file_holds_the_block(data, imp, tmp_path):
    imp.to_netcdf(tmp_path / "imp.nc")
    opened = bi.open(tmp_path / "imp.nc")
    longer, wanted = opened.extend(1), imp.extend(1)
    for name in BLOCK:
        assert longer.complete(2)[name].equals(wanted.complete(2)[name])


def test_delta_shifts_one_member_only(data):
    plain = bi.impute(data, method=BLOCK, **RUN)
    method = {**BLOCK, "y": bi.delta("joint", 100.0), "s": bi.delta("joint", 50.0)}
    shifted = bi.impute(data, method=method, **RUN)
    gone = data["y"].isna()
    difference = shifted.complete(1)["y"][gone] - plain.complete(1)["y"][gone]
    np.testing.assert_allclose(difference.astype(float), 100.0)
    assert (shifted.complete(1)["s"][data["s"].isna()] == "yes").all()
    assert shifted.complete(1)["o"].equals(plain.complete(1)["o"])


def test_cells_asked_for_are_drawn_without_their_own_value():
    """Over-imputed values must not be remembered by the latent values of their row."""
    n = 400
    rng = np.random.default_rng(1)
    latent = rng.multivariate_normal([0, 0], [[1, 0.95], [0.95, 1]], n)
    df = pd.DataFrame({"a": latent[:, 0] > 0, "b": latent[:, 1] > 0}).astype(object)
    df = df.replace({True: "yes", False: "no"})
    where = pd.DataFrame({"a": np.arange(n) < 200, "b": np.arange(n) >= 390})
    imp = bi.impute(
        df, where=where, m=20, iterations=3, method={"a": "joint", "b": "joint"}, seed=1,
        progress=False,
    )  # fmt: skip
    drawn = np.mean([frame["a"][:200] == "yes" for frame in imp.complete("all")], axis=0)
    given_b = [drawn[(df["b"][:200] == b) & (df["a"][:200] == "yes")].mean() for b in ("yes", "no")]
    own = [drawn[(df["b"][:200] == "yes") & (df["a"][:200] == a)].mean() for a in ("yes", "no")]
    assert given_b[0] - given_b[1] > 0.6
    assert own[0] - own[1] < 0.15


def test_level_two_members_form_a_block_of_clusters(data):
    df = data.drop(columns=["y", "s", "o"])
    rng = np.random.default_rng(3)
    size = rng.normal(size=12)
    df["size"] = size[df["g"]]
    df["urban"] = np.where(size + rng.normal(size=12) > 0, "yes", "no")[df["g"]]
    df.loc[df["g"].isin([1, 5]), "size"] = np.nan
    df.loc[df["g"].isin([2, 5]), "urban"] = None
    imp = bi.impute(df, method={"size": "joint", "urban": "joint"}, **RUN)
    for done in imp.complete("all"):
        assert (done.groupby("g")[["size", "urban"]].nunique() == 1).all().all()


def test_what_is_computed_from_members_predicts_none_of_them(data):
    df = data.assign(twice=2 * data["y"])
    imp = bi.impute(df, method={**BLOCK, "twice": "~ I(2 * y)"}, **RUN)
    assert (imp.predictors.loc[list(BLOCK), ["twice", *BLOCK]] == 0).all().all()
    assert (imp.predictors.loc[list(BLOCK), "x"] != 0).all()
    done = imp.complete(1)
    np.testing.assert_allclose(done["twice"], 2 * done["y"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": {**BLOCK, "y": bi.by_group("joint", "x2")}}, "only be shifted"),
        ({"model_options": {"y": {"tune": 40}, "s": {"tune": 50}}}, "tune=50 of 's' contradicts"),
        ({"method": {**BLOCK, "n": "joint"}}, "'n' is nominal"),
        ({"priors": {"s": {"sigma": 1}}}, "parameter 'sigma' is 1, not a PyMC distribution"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(data, arguments, words):
    df = data.assign(x2=np.resize(["a", "b"], len(data)), n=np.resize(["a", "b", "c"], len(data)))
    df.loc[5, "n"] = None
    method = {**BLOCK, "n": "sample"}
    with pytest.raises(SpecificationError, match=words):
        bi.impute(df, **{**RUN, "method": method, **arguments})
