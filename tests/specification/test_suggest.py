"""A method for every column, and why: micemd's documented rule, and our own."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi

CLUSTER = {"obesity": "Cluster", "chem97na": "School", "ipdna": "centre"}
ARGUMENTS = {
    "default": {},
    "seed_args": {"I_small": 7, "ni_small": 100, "prop_small": 0.4},
    "I3": {"I_small": 3},
    "I3_ni1000": {"I_small": 3, "ni_small": 1000},
    "ni1000_prop.1": {"ni_small": 1000, "prop_small": 0.1},
}


@pytest.mark.parametrize("data", CLUSTER)
@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_the_documented_rule_of_micemd_is_reproduced(data, arguments, shared_data, reference):
    r = reference("find_default_method")["find.defaultMethod"][data]
    ours = bi.suggest_methods(
        shared_data(data),
        CLUSTER[data],
        rule="find.defaultMethod",
        classes=r["classes"],
        **ARGUMENTS[arguments],
    )
    assert ours == r[arguments]


def test_classes_come_from_the_dtypes_and_decide():
    df = pd.DataFrame(
        {
            "g": np.repeat(np.arange(10), 3),
            "whole": pd.array([1, 2, None] * 10, dtype="Int64"),
            "float": [1.0, 2.0, np.nan] * 10,
            "text": ["a", "b", None] * 10,
            "yes": pd.array([True, False, None] * 10, dtype="boolean"),
            "date": [pd.Timestamp(2001, 1, 1), pd.NaT, pd.NaT] * 10,
        }
    )
    rule = {"cluster": "g", "rule": "find.defaultMethod"}
    expected = {"g": "", "whole": "2l.glm.pois", "float": "2l.glm.norm", "text": "2l.jomo"}
    assert bi.suggest_methods(df, **rule) == {**expected, "yes": "2l.jomo", "date": ""}
    told = bi.suggest_methods(df, **rule, classes={"whole": "numeric", "text": "integer"})
    assert (told["whole"], told["text"]) == ("2l.glm.norm", "2l.glm.pois")


def test_clusters_with_observed_values_are_counted_as_micemd_documents():
    # its code counts clusters with missing values: 2 here, and would say that these are few
    df = pd.DataFrame({"g": np.repeat(np.arange(10), 3), "x": pd.Categorical(["a", "b", "a"] * 10)})
    df.loc[[0, 29], "x"] = None
    chosen = bi.suggest_methods(df, "g", rule="find.defaultMethod")
    assert chosen["x"] == "2l.jomo"
    assert "10 clusters have observed values (more than I_small=7)" in chosen.reasons["x"]


N = 600
RNG = np.random.default_rng(3)
SCHOOL = np.repeat(np.arange(30), 20)
EFFECT = RNG.normal(size=30)
COLUMNS = {
    "normal": ("normal", RNG.normal(50, 5, N), "symmetric"),
    "clustered": ("normal", 50 + 5 * EFFECT[SCHOOL] + RNG.normal(size=N), "symmetric"),
    "skewed": ("pmm", 40 + RNG.exponential(1, N), "long right tail"),
    "left": ("pmm", 40 - RNG.exponential(1, N), "long left tail"),
    "heavy": ("normal.robust", 50 + RNG.standard_t(3, N), "heavy tails"),
    "outlier": ("normal.robust", np.append(RNG.normal(50, 1, N - 1), 90), "heavy tails"),
    "near zero": ("pmm", np.abs(RNG.normal(1.5, 1, N)), "never negative"),
    "spike": ("pmm", np.where(RNG.random(N) < 0.2, 50, RNG.normal(50, 5, N)), "exactly 50"),
    "age": ("normal", np.round(RNG.normal(45, 9, N)), "Whole numbers"),
    "zero-one": ("logistic", RNG.integers(0, 2, N), "0 or 1"),
    "one-two": ("logistic", RNG.integers(1, 3, N), "1 or 2"),
    "grades": ("ordinal", RNG.integers(1, 6, N), "grades of a scale"),
    "score": ("pmm", RNG.binomial(10, 0.5, N), "score"),
    "rating": ("pmm", np.clip(np.round(RNG.normal(5, 2.4, N)), 0, 10), "score"),
    "count": ("poisson", RNG.poisson(1.5, N), "about their mean"),
    "larger count": ("poisson", RNG.poisson(6, N), "about their mean"),
    "varying count": (
        "poisson",
        RNG.poisson(np.exp(0.6 + 0.5 * EFFECT[SCHOOL])),
        "within clusters",
    ),
    "overdispersed": ("negative_binomial", RNG.negative_binomial(2, 0.4, N), "times their mean"),
    "bool": ("logistic", pd.array(RNG.integers(0, 2, N).astype(bool), dtype="boolean"), "Two"),
    "text": ("categorical", RNG.choice(["a", "b", "c"], N), "without order"),
    "ordered": (
        "ordinal",
        pd.Categorical(RNG.choice(["lo", "mid", "hi"], N), ["lo", "mid", "hi"], ordered=True),
        "order is kept",
    ),
    "ids": ("", [f"person {k}" for k in range(N)], "identify rows"),
    "constant": ("", np.ones(N), "equal"),
    "nothing": ("", np.full(N, np.nan), "Nothing is observed"),
    "date": ("", pd.date_range("2001-01-01", periods=N), "Neither a number nor"),
}


@pytest.fixture(scope="module")
def every():
    df = pd.DataFrame({"school": SCHOOL} | {name: each[1] for name, each in COLUMNS.items()})
    df = df.astype({"text": object})
    for k, name in enumerate(COLUMNS):
        df.loc[df.index[k % 20 :: 20], name] = None
    return bi.suggest_methods(df, "school", "likelihood"), df


@pytest.mark.parametrize("name", COLUMNS)
def test_each_kind_of_variable_gets_its_likelihood_and_a_reason(name, every):
    method, _, word = COLUMNS[name]
    suggested, _ = every
    assert suggested[name] == method, suggested.reasons[name]
    assert word in suggested.reasons[name]


def test_only_what_draws_between_whole_numbers_is_to_be_rounded(every):
    suggested, df = every
    assert "post=" in suggested.reasons["age"] and "post=" not in suggested.reasons["clustered"]
    matched = bi.suggest_methods(df[["school", "age"]], "school")
    assert matched["age"] == "pmm" and "post=" not in matched.reasons["age"]


def test_spread_between_clusters_is_not_overdispersion(every):
    _, df = every
    assert (
        bi.suggest_methods(df[["varying count"]], rule="likelihood")["varying count"]
        == "negative_binomial"
    )


def systematic(values):
    df = pd.DataFrame({"school": SCHOOL, "x": values}, dtype=float)
    df.loc[(df["school"] == 3) | (df.index % 7 == 0), "x"] = np.nan
    return bi.suggest_methods(df, "school", "likelihood")


def test_systematic_missingness_is_explained_by_what_the_method_does():
    drawn = systematic(COLUMNS["normal"][1])
    assert "1 cluster without any value are drawn from the population" in drawn.reasons["x"]
    matched = systematic(COLUMNS["skewed"][1])
    assert "only values seen in other clusters" in matched.reasons["x"]
    assert matched.table.loc["x", "clusters_systematic"] == 1
    assert matched.table.loc["x", "clusters_sporadic"] == 29


def test_a_level_2_variable_is_judged_by_one_value_a_cluster():
    # 30 schools' values are too few donors; 600 repeated rows would seem enough
    skewed = np.random.default_rng(1).exponential(1, 30)[SCHOOL] + 10
    df = pd.DataFrame({"school": SCHOOL, "texp": skewed})
    df.loc[df["school"].isin([4, 5]), "texp"] = np.nan
    suggested = bi.suggest_methods(df, "school", "likelihood")
    assert suggested["texp"] == "normal"
    assert "Only 28 observed values" in suggested.reasons["texp"]
    assert "one value a cluster" in suggested.reasons["texp"]
    assert suggested.table.loc["texp", "level"] == 2


def test_a_handful_of_whole_numbers_are_not_taken_as_grades():
    df = pd.DataFrame({"x": [7, 9, 10, 11, 12, 15, 9, 10, None]})
    assert bi.suggest_methods(df, rule="likelihood") == {"x": "normal"}


def test_by_default_impute_and_make_method_take_what_is_suggested(every):
    likelihoods, df = every
    usable = [name for name in df if name not in ("constant", "nothing")]
    suggested = bi.suggest_methods(df, "school")
    assert {n: suggested[n] for n in usable} == bi.make_method(df[usable])
    assert suggested["normal"] == suggested["count"] == suggested["heavy"] == "pmm"
    assert suggested["zero-one"] == "logistic" and suggested["ordered"] == "ordinal"
    for name, method in likelihoods.items():
        says = f"rule='likelihood' takes {method!r}" in suggested.reasons[name]
        assert says == (method not in ("", suggested[name]))
    small = df[["school", "normal", "zero-one", "text", "count"]].iloc[:150]
    imp = bi.impute(small, "school", m=1, iterations=1, seed=1)
    assert imp.method == dict(bi.suggest_methods(small, "school"))


def test_few_clusters_say_that_the_prior_matters():
    df = pd.DataFrame({"g": np.repeat(np.arange(4), 50), "x": RNG.normal(size=200)})
    df.loc[:9, "x"] = np.nan
    assert "With values in 4 clusters only, the prior" in bi.suggest_methods(df, "g").reasons["x"]
    assert "prior" not in bi.suggest_methods(df[["x"]]).reasons["x"]


def test_rare_and_empty_categories_are_named():
    values = ["a"] * 60 + ["b"] * 35 + ["c"] * 3 + [None] * 2
    df = pd.DataFrame({"x": pd.Categorical(values, ["a", "b", "c", "d"])})
    reason = bi.suggest_methods(df).reasons["x"]
    assert "1 of the categories never occur" in reason and "rarest has 3 observed" in reason


def test_what_is_suggested_can_be_imputed(every):
    _, df = every
    small = df[["school", "normal", "skewed", "ids"]].iloc[:200]
    suggested = bi.suggest_methods(small, "school")
    imp = bi.impute(small, "school", m=1, iterations=1, method=suggested, seed=1)
    assert imp.method == dict(suggested)
    assert not imp.complete(1)[["normal", "skewed"]].isna().any(axis=None)


def test_suggestions_show_themselves_and_do_not_change(every):
    suggested, df = every
    assert list(suggested) == list(df.columns) and len(suggested) == len(df.columns)
    text = repr(suggested)
    assert "complete columns: 1" in text and "negative_binomial  Counts whose" in text
    assert "school" not in text.splitlines()[1]
    assert "<td>overdispersed</td><td><code>negative_binomial</code>" in suggested._repr_html_()
    table = suggested.table
    table.loc["normal", "method"] = "pmm"
    assert suggested.table.loc["normal", "method"] == "normal"
    with pytest.raises(TypeError):
        suggested["normal"] = "pmm"
    with pytest.raises(TypeError):
        suggested.methods["normal"] = "pmm"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"rule": "micemd"},
            "rule='micemd' must be one of 'default', 'likelihood', 'find.defaultMethod'",
        ),
        ({"cluster": "shool"}, "Did you mean 'school'"),
        ({"rule": "find.defaultMethod"}, "counts clusters; give cluster="),
        ({"classes": {"x": "factor"}}, "belong to rule='find.defaultMethod'"),
        ({"I_small": 3}, "belong to rule='find.defaultMethod'"),
    ],
)
def test_wrong_arguments_are_named(arguments, sentence):
    df = pd.DataFrame({"school": [1, 1, 2], "x": [1.0, None, 2]})
    with pytest.raises(bi.SpecificationError, match=sentence):
        bi.suggest_methods(df, **arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"classes": {"y": "factor"}}, "'y', which is no column"),
        ({"classes": {"x": "character"}}, "'character' for 'x'.*factor, integer, numeric"),
        ({"classes": "factor"}, "must be a dict"),
        ({"prop_small": 40}, "prop_small=40 must be a number from 0 to 1"),
        ({"ni_small": "many"}, "ni_small='many' must be a whole number"),
        ({"I_small": float("nan")}, "I_small=nan"),
    ],
)
def test_wrong_arguments_of_the_documented_rule_are_named(arguments, sentence):
    df = pd.DataFrame({"school": [1, 1, 2], "x": [1.0, None, 2]})
    with pytest.raises(bi.SpecificationError, match=sentence):
        bi.suggest_methods(df, "school", rule="find.defaultMethod", **arguments)


@pytest.mark.parametrize("rule", ["default", "likelihood"])
@pytest.mark.parametrize("sizes", [[1] * 60, [1] * 50 + [2] * 5])
def test_clusters_in_which_nothing_varies_leave_the_spread_of_all(rule, sizes):
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(len(sizes)), sizes)
    own = pd.DataFrame(
        {"y": rng.normal(size=len(sizes)), "n": rng.negative_binomial(1, 0.2, len(sizes))}
    )
    df = own.iloc[group].reset_index(drop=True).astype(float)
    df.loc[:5] = np.nan
    alone = bi.suggest_methods(df, rule=rule)
    methods = bi.suggest_methods(df.assign(group=group), "group", rule=rule)
    assert {name: methods[name] for name in alone} == dict(alone)
