"""What mice takes and passes over is taken and passed over here, with an event."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.specification.specification import one_a_fact
from bayesimpute.specification.specify import specify


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 5)), columns=list("abcde"))
    frame["f"] = frame["c"] - 2 * frame["d"]
    frame.loc[:7, "a"] = np.nan
    frame.loc[10:15, "b"] = np.nan
    return frame


def messages(specification, action):
    return [event.message for event in specification.events if event.action == action]


def test_where_none_gives_the_data_back(frame):
    imp = bi.impute(frame, where="none", m=2, iterations=1, seed=1, progress=False)
    assert imp.complete(2).equals(frame)
    assert imp.events["action"].tolist() == ["nothing imputed"]


@pytest.mark.parametrize("form", ["array", "frame", "frame with column names"])
def test_a_square_matrix_without_labels_is_in_column_order(frame, form):
    codes = np.ones((6, 6), dtype=int)
    codes[0, 2] = 0
    given = codes if form == "array" else pd.DataFrame(codes)
    if form == "frame with column names":
        given.columns = frame.columns
    named = pd.DataFrame(codes, index=frame.columns, columns=frame.columns)
    ours, theirs = (specify(frame, predictors=p).predictors for p in (given, named))
    assert ours.equals(theirs) and ours.loc["a", "c"] == 0


def test_a_matrix_of_another_shape_is_refused(frame):
    with pytest.raises(bi.SpecificationError, match=r"6 × 6 array.*shape \(5, 5\)"):
        specify(frame, predictors=np.eye(5))


def test_complete_columns_are_passed_over_in_visits_and_formulas(frame):
    specification = specify(
        frame, visit_sequence=["c", "b", "a"], formulas={"c": "c ~ a", "d": "d ~ a", "a": "a ~ c"}
    )
    assert specification.visit_sequence == ("b", "a")
    assert messages(specification, "not visited") == [
        "visit_sequence names 'c', of which no cell is imputed by a model: passed over."
    ]
    assert messages(specification, "formula not used") == [
        "formulas names 'c', 'd', complete in these data: no model is made of it."
    ]


def test_a_repeated_predictor_is_said_once_for_all_targets_and_by_its_own_parts(frame):
    said = one_a_fact(specify(frame).events)
    assert [event.message for event in said if event.action == "predictor dropped"] == [
        "'f' does not predict 'a', 'b': it is an exact combination of other predictors (c, d)."
    ]


@pytest.fixture
def kinds():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=60),
            "yes": rng.integers(0, 2, 60) * 1.0,
            "colour": rng.choice(["red", "blue", "green"], 60),
            "grade": pd.Categorical(rng.choice(["a", "b", "c"], 60), ordered=True),
            "name": [f"person {k}" for k in range(60)],
        }
    )
    for k, column in enumerate(frame):
        frame.loc[5 * k : 5 * k + 4, column] = np.nan
    return frame


def test_without_a_method_impute_takes_that_of_make_method_and_says_why(kinds):
    imp = bi.impute(kinds, m=1, iterations=1, seed=1, progress=False)
    assert imp.method == bi.make_method(kinds)
    assert imp.method == {
        "number": "pmm",
        "yes": "logistic",
        "colour": "categorical",
        "grade": "ordinal",
        "name": "pmm",
    }
    said = imp.events.query("action == 'default method'")["message"]
    assert said.str.contains("'yes' by 'logistic'.*only ever 0 or 1").sum() == 1
    filled = imp.complete(1)
    assert filled["yes"].dtype == float and set(filled["yes"]) == {0.0, 1.0}


def test_columns_that_a_dict_does_not_name_get_the_default(kinds):
    specification = specify(kinds, method={"number": "normal", "colour": ""})
    assert specification.methods["number"] == "normal" and specification.methods["colour"] == ""
    assert specification.methods["yes"] == "logistic"
    assert not any("'number'" in text for text in messages(specification, "default method"))


def test_the_default_of_yes_no_variables_and_categories_is_what_is_suggested(kinds):
    suggested = bi.suggest_methods(kinds)
    for name in ("yes", "colour", "grade"):
        assert suggested[name] == bi.make_method(kinds)[name]


def test_a_predictor_constant_in_the_complete_rows_only_is_kept_whatever_the_rounding():
    rng = np.random.default_rng(1)
    n = 61
    other = np.where(np.arange(n) < 20, np.nan, rng.normal(size=n))
    x = np.where(np.isnan(other), rng.normal(size=n), 0.1)  # the mean of which is rounded
    y = np.where(np.arange(n) % 7 == 0, np.nan, rng.normal(size=n))
    for frame in ({"y": y, "other": other, "x": x}, {"y": y, "x": x, "other": other}):
        terms = specify(pd.DataFrame(frame)).targets["y"].terms
        assert {term.label for term in terms} == {"other", "x"}
