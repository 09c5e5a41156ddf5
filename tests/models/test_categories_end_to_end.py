"""Categories and counts through bi.impute: labels survive, and hard data do not stop it."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import SpecificationError

QUICK = {"m": 2, "iterations": 2, "seed": 1, "progress": False}


def study(n=300, seed=0):
    rng = np.random.default_rng(seed)
    site = rng.integers(0, 6, n)
    x = rng.normal(size=n)
    eta = x + rng.normal(size=6)[site] * 0.6
    grade = pd.Categorical.from_codes(
        np.digitize(eta + rng.logistic(size=n), [-0.5, 1.2]), ["low", "mid", "high"], ordered=True
    )
    kind = np.array(["red", "green", "blue"], dtype=object)[
        np.argmax(rng.gumbel(size=(n, 3)) + np.column_stack([0 * eta, eta, -eta]), axis=1)
    ]
    df = pd.DataFrame(
        {
            "site": site,
            "x": x,
            "smoker": pd.array(eta + rng.logistic(size=n) > 0, dtype="boolean"),
            "finding": (eta + rng.logistic(size=n) > 1).astype(float),
            "grade": grade,
            "kind": pd.Categorical(kind),
            "visits": rng.poisson(np.exp(0.4 * eta)).astype(float),
        }
    )
    for name in ("smoker", "finding", "grade", "kind", "visits"):
        df.loc[rng.random(n) < 0.25, name] = None
    return df


METHOD = {
    "smoker": "logistic",
    "finding": "logistic",
    "grade": "ordinal",
    "kind": "categorical",
    "visits": "poisson",
}


@pytest.fixture(scope="module")
def imp():
    return bi.impute(study(), cluster="site", method=METHOD, **QUICK)


def test_dtypes_labels_and_order_survive(imp):
    done, before = imp.complete(1), study()
    assert not done.isna().any().any()
    pd.testing.assert_series_equal(done.dtypes, before.dtypes)
    assert list(done["grade"].cat.categories) == ["low", "mid", "high"]
    assert done["grade"].cat.ordered
    assert set(done["finding"]) == {0.0, 1.0}
    assert (done["visits"] == done["visits"].round()).all() and (done["visits"] >= 0).all()


def test_observed_cells_are_untouched(imp):
    before, done = study(), imp.complete(2)
    for name in METHOD:
        seen = before[name].notna()
        assert (done.loc[seen, name] == before.loc[seen, name]).all()


def test_shuffled_rows_and_renamed_sites_give_the_same_imputations(imp):
    df = study()
    order = np.random.default_rng(5).permutation(len(df))
    renamed = df.iloc[order].assign(site=lambda d: "s" + (9 - d["site"]).astype(str))
    other = bi.impute(renamed, cluster="site", method=METHOD, **QUICK)
    pd.testing.assert_frame_equal(
        other.complete(1).sort_index().drop(columns="site"), imp.complete(1).drop(columns="site")
    )


def test_extending_equals_one_longer_run(imp):
    longer = bi.impute(study(), cluster="site", method=METHOD, **{**QUICK, "iterations": 3})
    pd.testing.assert_frame_equal(imp.extend(1, progress=False).complete(1), longer.complete(1))


def test_categories_by_name_of_peers():
    df = study()
    peers = {"smoker": "2l.bin", "grade": "polr", "kind": "polyreg", "visits": "2l.glm.pois"}
    imp = bi.impute(
        df[["site", "x", "smoker", "grade", "kind", "visits"]], cluster="site", method=peers,
        **{**QUICK, "iterations": 1},
    )  # fmt: skip
    assert not imp.complete(1).isna().any().any()


def test_separation_rare_events_and_lone_rows_do_not_stop_it():
    rng = np.random.default_rng(1)
    n = 120
    x = rng.normal(size=n)
    df = pd.DataFrame(
        {
            "site": [*range(20), *rng.integers(20, 25, n - 20)],  # twenty sites of one row
            "x": x,
            "split": np.where(x > 0, "yes", "no"),  # x separates it perfectly
            "rare": (np.arange(n) == 3).astype(float),  # a single event
        }
    )
    df.loc[rng.random(n) < 0.2, "split"] = None
    df.loc[rng.random(n) < 0.2, "rare"] = None
    df.loc[3, "rare"] = 1.0
    method = {"split": "logistic", "rare": "logistic"}
    imp = bi.impute(df, cluster="site", method=method, **{**QUICK, "iterations": 5})
    done = imp.complete("long")
    gone = df["split"].isna()
    again = pd.concat([frame.loc[gone & (df["x"].abs() > 1)] for frame in imp.complete("all")])
    assert ((again["split"] == "yes") == (again["x"] > 0)).mean() > 0.8
    assert done["rare"].mean() < 0.1
    beta = imp.datatree["posterior"]["split.beta"].values
    assert np.isfinite(beta).all() and np.abs(beta).max() < 100


def test_an_empty_category_is_named_in_an_event_and_stays_rare():
    df = study()
    df["grade"] = df["grade"].cat.add_categories(["extreme"])
    imp = bi.impute(
        df[["site", "x", "grade"]], cluster="site", method={"grade": "ordinal"},
        **{**QUICK, "iterations": 1},
    )  # fmt: skip
    said = imp.events[imp.events["action"] == "empty category"]
    assert "extreme" in said["message"].iloc[0]
    assert list(imp.complete(1)["grade"].cat.categories)[-1] == "extreme"
    assert (imp.complete(1)["grade"] == "extreme").mean() < 0.05


def test_delta_moves_log_odds_and_shares_of_categories():
    df = study()[["site", "x", "smoker", "kind"]]
    run = {"cluster": "site", "m": 4, "iterations": 2, "seed": 2, "progress": False}
    plain = bi.impute(df, method={"smoker": "logistic", "kind": "categorical"}, **run)
    moved = bi.impute(
        df,
        method={
            "smoker": bi.delta("logistic", 2.0),
            "kind": bi.delta("categorical", by_category={"red": 3.0}),
        },
        **run,
    )

    def share(imp, name, value):
        gone = df[name].isna()
        return np.mean([(frame.loc[gone, name] == value).mean() for frame in imp.complete("all")])

    assert share(moved, "smoker", True) > share(plain, "smoker", True) + 0.15
    assert share(moved, "kind", "red") > share(plain, "kind", "red") + 0.3


BAD = {
    "letters for counts": ("kind", "poisson", "kind"),
    "numbers for two categories": ("x", "logistic", "different values"),
    "three categories for two": ("kind", "logistic", "categorical"),
    "no order": ("kind", "ordinal", "categorical"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_method_for_another_kind_of_variable_is_refused(case):
    name, method, words = BAD[case]
    df = study()
    df.loc[3, "x"] = None
    with pytest.raises(SpecificationError, match=words):
        bi.impute(df[["site", "x", "kind"]], cluster="site", method={name: method}, **QUICK)


@pytest.mark.parametrize(
    ("column", "method", "options", "words"),
    [
        ("x", "poisson", {}, "no counts"),
        ("x", "normal.truncated", {}, "needs bounds"),
        ("x", "normal.truncated", {"lower": 0}, "beyond its bounds"),
        ("x", "normal.censored", {"lower": 9, "upper": 0}, "less than"),
        ("x", "normal.censored", {"lower": "a"}, "must be a number"),
    ],
)
def test_values_and_bounds_that_do_not_fit_are_refused(column, method, options, words):
    df = study()[["site", "x"]]
    df.loc[3, "x"] = None
    with pytest.raises(SpecificationError, match=words):
        bi.impute(
            df, cluster="site", method={column: method}, model_options={column: options}, **QUICK
        )


def test_values_stay_inside_the_bounds_and_reach_them_where_censored():
    rng = np.random.default_rng(3)
    df = pd.DataFrame({"x": rng.normal(size=200)})
    df["score"] = np.clip(2 * df["x"] + rng.normal(size=200), -2, 2)
    df.loc[rng.random(200) < 0.3, "score"] = None
    gone = df["score"].isna()
    for method, at_bounds in (("normal.truncated", False), ("normal.censored", True)):
        bounds = {"score": {"lower": -2, "upper": 2}}
        imp = bi.impute(df, method={"score": method}, model_options=bounds, **QUICK)
        drawn = imp.complete(1).loc[gone, "score"]
        assert drawn.between(-2, 2).all()
        assert (drawn.abs() == 2).any() == at_bounds
