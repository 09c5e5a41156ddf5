"""The little language of conditions."""

import numpy as np
import pandas as pd
import pytest

from bayesimpute.data.table import Table
from bayesimpute.errors import SpecificationError
from bayesimpute.wrappers.conditions import check_condition, condition_columns, truth

TABLE = Table.from_frame(
    pd.DataFrame(
        {
            "sex": ["f", "m", None, "f"],
            "age": [10.0, 20, 30, np.nan],
            "last visit": [1, 2, 3, 4],
            "grade": pd.Categorical(["low", "high", "low", "mid"], ["low", "mid", "high"], True),
            "ill": [True, False, True, False],
        }
    )
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("sex == 'f'", [1, 0, np.nan, 1]),
        ("sex != 'f'", [0, 1, np.nan, 0]),
        ("not sex == 'f'", [0, 1, np.nan, 0]),
        ("age >= 20", [0, 1, 1, np.nan]),
        ("10 < age <= 20", [0, 1, 0, np.nan]),
        ("age >= 20 and sex == 'f'", [0, 0, np.nan, np.nan]),
        ("age >= 20 or sex == 'f'", [1, 1, 1, 1]),
        ("sex in ['m', 'f']", [1, 1, np.nan, 1]),
        ("sex not in ('m',)", [1, 0, np.nan, 1]),
        ("age in [10, 30]", [1, 0, 1, np.nan]),
        ("`last visit` > 2 and not ill", [0, 0, 0, 1]),
        ("ill == True", [1, 0, 1, 0]),
        ("grade >= 'mid'", [0, 1, 0, 1]),
        ("log(`last visit`) < 1", [1, 1, 0, 0]),
        ("age == -1 or age in [-1, 20]", [0, 1, 0, np.nan]),
    ],
)
def test_a_condition_is_true_false_or_unknown(condition, expected):
    check_condition(condition, TABLE)
    np.testing.assert_array_equal(truth(condition, TABLE, TABLE.values), expected)


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("", "cannot be read"),
        ("sex = 'f'", "cannot be read"),
        ("age", "alone is neither true nor false"),
        ("age + 1", "neither true nor false"),
        ("1 < 2", "no comparison"),
        ("True", "neither true nor false"),
        ("__import__('os').system('true') == 0", "no comparison|not available|not allowed"),
        ("age.mean() > 1", "no comparison|not available|not allowed"),
        ("age in []", "empty"),
        ("sex > 'f'", "not ordered"),
        ("sex == 'x'", "not a category"),
        ("size > 1", "no column"),
    ],
)
def test_what_is_no_condition_is_named(condition, says):
    with pytest.raises(SpecificationError, match=says):
        condition_columns(condition)
        check_condition(condition, TABLE)


def test_columns_are_found_inside_lists_and_products():
    assert condition_columns("a in [1] or (b * c > 2 and not d == 'x')") == ("a", "b", "c", "d")
