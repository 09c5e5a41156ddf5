"""Values that follow from others are filled, with a record; what contradicts is reported."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesimpute as bi
from bayesimpute.explore.deduce import parse
from bayesimpute.specification.expressions import evaluate

BMI = "BMI = Weight / Height**2"


@pytest.fixture
def bodies():
    height = np.array([1.6, 1.7, 1.8, 1.9, 2.0])
    weight = np.array([60.0, 70.0, 80.0, 90.0, 100.0])
    return pd.DataFrame(
        {"Height": height, "Weight": weight, "BMI": weight / height**2}, index=list("vwxyz")
    )


def test_whichever_term_is_missing_is_solved_for(bodies):
    df = bodies.copy()
    df.loc["v", "Height"] = df.loc["w", "Weight"] = df.loc["x", "BMI"] = np.nan
    df.loc["y", ["Height", "BMI"]] = np.nan
    found = bi.deduce(df, BMI)
    expected = bodies.copy()
    expected.loc["y", ["Height", "BMI"]] = np.nan
    pd.testing.assert_frame_equal(found.data, expected, rtol=1e-12)
    assert found.log["row"].tolist() == ["x", "w", "v"]
    assert found.log["variable"].tolist() == ["BMI", "Weight", "Height"]
    assert found.log["rule"].tolist() == [
        "BMI = Weight / Height ** 2",
        "Weight = BMI * Height ** 2",
        "Height = (Weight / BMI) ** (1 / 2)",
    ]
    np.testing.assert_allclose(found.log["value"].astype(float), [80 / 1.8**2, 70.0, 1.6])
    assert found.contradictions.empty
    assert found.unsolved.empty
    assert repr(found).startswith("3 values deduced: 1 of 'BMI', 1 of 'Weight', 1 of 'Height'")


IDENTITIES = [
    "y = a + b - c",
    "y = a - (b - c)",
    "y = a * b / c",
    "y = a / (b * c)",
    "y = -a + 2 * b / c",
    "log(y) = log(a) + b * log(c)",
    "y = exp(a) * sqrt(b) - log10(c)",
    "y = log1p(a) / expm1(b) + log2(c)",
    "y = a ** 3 + b ** -1 - c ** 0.5",
    "y + a = tanh(b) * (c - 1)",
    "sqrt(y) = a ** b + c",
    "I(a + b) / 2 = np.exp(y) - c",
    "y = +a * 3 ** b * c",
    "2 * y = (a + 1) ** 2 * (b + c)",
]


@pytest.mark.parametrize("rule", IDENTITIES)
def test_every_variable_of_an_identity_comes_back(rule):
    rng = np.random.default_rng(1)
    columns = {name: rng.uniform(1.2, 3.0, 20) for name in "abc"}
    identity = parse(rule)
    solved = identity.solve("y")
    columns["y"] = evaluate(solved.expression, columns)
    usable = np.isfinite(columns["y"])
    assert usable.any()
    for name in identity.variables:
        back = evaluate(identity.solve(name).expression, columns)
        np.testing.assert_allclose(back[usable], columns[name][usable], rtol=1e-8)


def test_odd_powers_have_negative_roots():
    df = pd.DataFrame({"y": [-8.0, 27.0], "a": [np.nan, np.nan]})
    np.testing.assert_allclose(bi.deduce(df, "y = a ** 3").data["a"], [-2, 3])


def test_of_two_roots_neither_is_taken_where_the_data_have_both_signs():
    df = pd.DataFrame({"y": [4.0, 9.0], "a": [np.nan, -3.0]})
    found = bi.deduce(df, "y = a ** 2")
    assert found.data["a"].isna().tolist() == [True, False]
    assert found.unsolved["reason"].tolist() == ["two solutions: a is negative in some rows"]
    assert bi.deduce(df.abs(), "y = a ** 2").data["a"].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("rule", "row"),
    [
        ("y = a ** 2", {"y": -4.0, "a": np.nan}),
        ("y = sqrt(a)", {"y": -1.0, "a": np.nan}),
        ("y = a / b", {"y": 2.0, "a": np.nan, "b": 0.0}),
        ("y = exp(a)", {"y": 0.0, "a": np.nan}),
        ("y = a / b", {"y": np.nan, "a": 1.0, "b": 0.0}),
    ],
)
def test_where_there_is_no_solution_nothing_is_filled(rule, row):
    found = bi.deduce(pd.DataFrame([row]), rule)
    assert found.log.empty
    assert found.unsolved["reason"].tolist() == ["no solution"]
    assert "no single solution" in repr(found)


def test_a_value_that_follows_serves_the_next_rule():
    df = pd.DataFrame({"a": [1.0], "b": [np.nan], "c": [np.nan], "d": [np.nan]})
    rules = ["d = c + 1", "c = b + 1", "b = a + 1"]
    for order in (rules, rules[::-1]):
        assert bi.deduce(df, order).data.iloc[0].tolist() == [1, 2, 3, 4]


def test_observed_contradictions_are_reported_and_left(bodies):
    df = bodies.copy()
    df.loc["x", "BMI"] = 30.0
    df.loc["y", "BMI"] *= 1.004  # rounding
    with pytest.warns(bi.ImputationWarning, match=r"1 row\(s\) contradict .* index 'x'"):
        found = bi.deduce(df, BMI)
    pd.testing.assert_frame_equal(found.data, df)
    assert found.contradictions["row"].tolist() == ["x"]
    assert found.contradictions["left"].tolist() == [30.0]
    assert found.contradictions["right"].tolist() == pytest.approx([80 / 1.8**2])
    with pytest.warns(bi.ImputationWarning, match=r"2 row\(s\)"):
        bi.deduce(df, BMI, tolerance=1e-6)


def test_properties_of_clusters_are_copied_from_other_rows():
    df = pd.DataFrame(
        {
            "site": ["a", "a", "a", "b", "b", "c"],
            "town": ["Ede", None, "Ede", None, "Ulm", None],
            "beds": pd.array([10, 10, None, None, 20, None], dtype="Int64"),
            "founded": pd.to_datetime(["1990-01-01", None, None, "2000-01-01", None, None]),
            "kind": pd.Categorical([None, "x", "x", "y", None, None], ["y", "x"]),
        }
    )
    found = bi.deduce(df, cluster="site", level2=["town", "beds", "founded", "kind"])
    data = found.data
    assert data["town"].tolist()[:5] == ["Ede"] * 3 + ["Ulm"] * 2
    assert data["beds"].tolist()[:5] == [10, 10, 10, 20, 20]
    assert data["founded"].dt.year.tolist()[:5] == [1990] * 3 + [2000] * 2
    assert data["kind"].tolist()[:5] == ["x"] * 3 + ["y"] * 2
    assert data.iloc[5, 1:].isna().all()
    assert (data.dtypes == df.dtypes).all()
    assert set(found.log["rule"]) == {"same site"}
    assert len(found.log) == 9


def test_by_default_they_are_those_that_impute_takes_as_level_2(shared_data):
    df = shared_data("popmis")
    df.loc[::3, "texp"] = np.nan
    found = bi.deduce(df, cluster="school")
    pd.testing.assert_series_equal(found.data["texp"], shared_data("popmis")["texp"] * 1.0)
    assert set(found.log["variable"]) == {"texp"}


def test_a_property_that_differs_within_clusters_is_an_error_naming_them():
    df = pd.DataFrame({"g": ["a", "a", "b", "b"], "size": [1, 2, 3, 3]})
    with pytest.raises(bi.DataError, match=r"'size'.* of 1 cluster\(s\) of 'g': 'a'"):
        bi.deduce(df, cluster="g", level2=["size"])


def test_clusters_and_identities_work_together():
    df = pd.DataFrame(
        {
            "g": ["a", "a", "b", "b"],
            "pupils": [20.0, np.nan, np.nan, 30.0],
            "teachers": [np.nan, 2.0, 3.0, np.nan],
            "ratio": [np.nan, np.nan, np.nan, np.nan],
        }
    )
    rule = "ratio = pupils / teachers"
    found = bi.deduce(df, rule, cluster="g", level2=["pupils", "teachers", "ratio"])
    assert found.data["ratio"].tolist() == [10.0] * 4


def test_one_way_rules_fill_the_left_side_only():
    df = pd.DataFrame(
        {"age": [17.0, 18.0, np.nan, 40.0], "adult": pd.array([None, None, True, False], "boolean")}
    )
    with pytest.warns(bi.ImputationWarning, match="contradict"):
        found = bi.deduce(df, "adult := age >= 18")
    assert found.data["adult"].tolist() == [False, True, True, False]
    assert np.isnan(found.data.loc[2, "age"])
    assert found.contradictions["row"].tolist() == [3]
    with pytest.raises(bi.SpecificationError, match="no inverse"):
        bi.deduce(df, "adult = age >= 18")


def test_a_left_side_may_be_any_name():
    df = pd.DataFrame({"age": [10.0, 20.0], "class": [np.nan] * 2, "wt.loss": [np.nan] * 2})
    found = bi.deduce(df, ["class := age / 10", "wt.loss := age + age**2"])
    assert found.data["class"].tolist() == [1, 2] and found.data["wt.loss"].tolist() == [110, 420]


def test_what_was_rounded_off_large_numbers_is_no_contradiction():
    before = [0.1 + 0.2, 1.6e9, 1.6e9, 0.0]
    df = pd.DataFrame(
        {"before": before, "after": [0.3, 1.6e9 + 0.1, np.nan, 1e-9], "change": [0, 0.1, 0.1, 0]}
    )
    with pytest.warns(bi.ImputationWarning, match="1 row"):
        found = bi.deduce(df, "change = after - before", tolerance=0.0)
    assert found.contradictions["row"].tolist() == [3] and found.unsolved.empty
    assert found.data["after"].tolist()[2] == 1.6e9 + 0.1
    flags = pd.DataFrame({"x": [-2.0, -2.0], "high": [True, False]})
    with pytest.warns(bi.ImputationWarning, match="1 row"):
        assert bi.deduce(flags, "high := x >= -2").contradictions["row"].tolist() == [1]


def test_names_and_labels_of_any_kind():
    df = pd.DataFrame({"body weight": [np.nan, 60.0], "größe": [2.0, 2.0], "b.m.i": [20.0, None]})
    found = bi.deduce(df, "`b.m.i` = `body weight` / größe**2")
    assert found.data.iloc[:, 0].tolist() == [80, 60]
    assert found.data.iloc[:, 2].tolist() == [20, 15]
    assert found.log["rule"].tolist()[1] == "`body weight` = `b.m.i` * größe ** 2"
    sexes = pd.DataFrame({"sex": ["f", "m"], "base": [1.0, 2.0], "limit": [np.nan, np.nan]})
    assert bi.deduce(sexes, "limit = base + (sex == 'm')").data["limit"].tolist() == [1, 3]


def test_whole_numbers_stay_whole_where_they_can():
    df = pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": pd.array([None, 3], "Int64")})
    found = bi.deduce(df, "b = a * 2").data
    assert found["b"].tolist() == [2, 3]
    assert str(found["b"].dtype) == "Int64"
    assert found["a"].tolist() == [1, 1.5]
    assert str(found["a"].dtype) == "Float64"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_of_rows_and_columns_and_labels_of_clusters_change_nothing(seed):
    rng = np.random.default_rng(seed)
    n = 12
    df = pd.DataFrame(
        {
            "g": rng.integers(0, 4, n),
            "Height": rng.uniform(1.5, 2, n),
            "Weight": rng.uniform(50, 90, n),
        }
    )
    df["BMI"] = df["Weight"] / df["Height"] ** 2
    df["size"] = df["g"] * 10.0
    complete = df.copy()
    gone = rng.random((n, 4)) < 0.3
    df = df.mask(np.column_stack([np.zeros(n, dtype=bool), gone]))
    df["g"] = complete["g"]
    found = bi.deduce(df, BMI, "g", ["size"])
    filled = found.data.notna() & df.isna()
    assert len(found.log) == filled.to_numpy().sum()
    np.testing.assert_allclose(
        found.data.where(filled, 0.0).astype(float), complete.where(filled, 0.0), rtol=1e-10
    )
    pd.testing.assert_frame_equal(found.data.where(df.notna()), df)
    shuffled = df.iloc[rng.permutation(n)][df.columns[rng.permutation(5)]]
    shuffled["g"] = shuffled["g"].map("dbac".__getitem__)
    other = bi.deduce(shuffled, BMI, "g", ["size"]).data.loc[df.index, df.columns]
    pd.testing.assert_frame_equal(other.drop(columns="g"), found.data.drop(columns="g"))


def test_the_users_frame_is_left_alone(bodies):
    bodies.loc["v", "BMI"] = np.nan
    before = bodies.copy(deep=True)
    bi.deduce(bodies, BMI)
    pd.testing.assert_frame_equal(bodies, before)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("BMI == Weight", "not one equation"),
        ("BMI", "not one equation"),
        ("BMI = Weight = Height", "not one equation"),
        ("BMI = ", "not one equation"),
        ("BMI = Weight /", "cannot be read"),
        ("BMI = Weigth / Height**2", "Did you mean 'Weight'"),
        ("BMI = open('x')", "not available"),
        ("BMI + 1 := Weight", "one variable"),
        ("1 = 2", "names no variable"),
        ("name = Weight", "is nominal, a number is needed"),
        ("BMI = name * 2", "categories of 'name' as numbers"),
        (3, "not int"),
        ("BMI = round(Weight)", "'round\\(Weight\\)' has no inverse here"),
        ("BMI = Weight * (1 + Weight)", "occurs 2 times"),
        ("BMI = sin(Weight)", "no inverse"),
        ("BMI = Weight ** 0", "no inverse"),
        ("BMI = Height % Weight", "no inverse"),
    ],
)
def test_rules_that_cannot_be_used_say_why(bodies, rule, message):
    df = bodies.assign(name=list("abcde"))
    df.loc["v", "Weight"] = np.nan
    with pytest.raises(bi.SpecificationError, match=message):
        bi.deduce(df, rule if isinstance(rule, str) else [rule])


def test_other_arguments_that_cannot_be_used_say_why(bodies):
    with pytest.raises(bi.SpecificationError, match="give cluster="):
        bi.deduce(bodies, BMI, level2=["BMI"])
    with pytest.raises(bi.SpecificationError, match="tolerance=-1"):
        bi.deduce(bodies, BMI, tolerance=-1)
    with pytest.raises(bi.SpecificationError, match="rules= takes texts"):
        bi.deduce(bodies, 5)
    with pytest.raises(bi.SpecificationError, match="level2= names 'beds'"):
        bi.deduce(bodies.assign(g=1), cluster="g", level2=["beds"])
