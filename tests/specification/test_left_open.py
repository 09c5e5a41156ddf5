"""What mice takes and passes over is taken and passed over here, with an event."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
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
    assert messages(specify(frame), "predictor dropped") == [
        "'f' does not predict 'a', 'b': it is an exact combination of other predictors (c, d)."
    ]
