"""A user's frame in and out: dtypes, canonical row order, clusters."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesimpute as bi
from bayesimpute.data.table import Kind, Table, canonical_rows, indicator_order

COLUMNS = {
    "int64": pd.Series([3, 1, 2, 5], dtype="int64"),
    "int8": pd.Series([3, 1, 2, 5], dtype="int8"),
    "float64": pd.Series([3.5, np.nan, 2.0, -1.0]),
    "float32": pd.Series([3.5, np.nan, 2.0, -1.0], dtype="float32"),
    "Int64": pd.Series([3, None, 2, 5], dtype="Int64"),
    "UInt8": pd.Series([3, None, 2, 5], dtype="UInt8"),
    "Float64": pd.Series([3.5, None, 2.0, 5.0], dtype="Float64"),
    "bool": pd.Series([True, False, True, True]),
    "boolean": pd.Series([True, None, False, True], dtype="boolean"),
    "str": pd.Series(["b", None, "a", "b"]),
    "string": pd.Series(["b", None, "a", "b"], dtype="string"),
    "text objects": pd.Series(["b", None, "a", "b"], dtype=object),
    "mixed objects": pd.Series(["b", None, 7, "b"], dtype=object),
    "numbers as objects": pd.Series([1, None, 2.5, 3], dtype=object),
    "truth as objects": pd.Series([True, None, False, True], dtype=object),
    "categorical": pd.Series(pd.Categorical(["b", None, "a", "b"], ["c", "b", "a"])),
    "ordered": pd.Series(pd.Categorical(["lo", None, "hi", "lo"], ["lo", "mid", "hi"], True)),
    "integer categories": pd.Series(pd.Categorical([30, None, 10, 30], [30, 10])),
    "datetime": pd.Series(pd.to_datetime(["2020-01-01", None, "2021-01-01", "2022-01-01"])),
    "lists": pd.Series([[1], None, [2], [3]], dtype=object),
}
EMPTY = {"x": [1.0, np.nan]}


def encoded(column: pd.Series) -> Table:
    return Table.from_frame(column.rename("x").to_frame())


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_comes_out_as_it_went_in(name: str) -> None:
    column = COLUMNS[name].rename("x")
    column.index = pd.Index([4, 2, 3, 1])
    frame = column.to_frame()
    before = frame.copy(deep=True)
    table = Table.from_frame(frame)
    pd.testing.assert_series_equal(table.decode("x", table.values["x"]), before["x"])
    pd.testing.assert_frame_equal(frame, before)
    assert table.missing("x")[np.argsort(table.rows)].tolist() == before["x"].isna().tolist()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Int64", Kind.NUMERIC),
        ("numbers as objects", Kind.NUMERIC),
        ("boolean", Kind.BINARY),
        ("truth as objects", Kind.BINARY),
        ("str", Kind.BINARY),
        ("mixed objects", Kind.BINARY),
        ("categorical", Kind.NOMINAL),
        ("ordered", Kind.ORDINAL),
        ("datetime", Kind.OTHER),
        ("lists", Kind.OTHER),
    ],
)
def test_the_kind_follows_from_the_dtype(name: str, kind: Kind) -> None:
    assert encoded(COLUMNS[name]).variables["x"].kind is kind


@pytest.mark.parametrize(
    ("name", "values", "cells"),
    [
        ("boolean", 0.0, False),
        ("str", 0.0, "a"),
        ("string", 1.0, "b"),
        ("text objects", 0.0, "a"),
        ("mixed objects", 0.0, 7),
        ("categorical", 0.0, "c"),
        ("ordered", 1.0, "mid"),
        ("integer categories", 1.0, 10),
        ("Int64", 9.0, 9),
        ("Float64", 9.5, 9.5),
        ("float64", 9.5, 9.5),
        ("numbers as objects", 9.5, 9.5),
    ],
)
def test_an_imputed_cell_gets_the_users_label_and_dtype(name, values, cells) -> None:
    column = COLUMNS[name]
    table = encoded(column)
    filled = table.values["x"].copy()
    filled[1] = values
    out = table.decode("x", filled)
    assert out.dtype == column.dtype
    assert out.iloc[1] == cells
    assert out.drop(1).equals(column.drop(1).rename("x"))


def test_ordered_categories_stay_ordered() -> None:
    table = encoded(COLUMNS["ordered"])
    out = table.decode("x", np.array([0.0, 2.0, 2.0, 0.0]))
    assert out.cat.ordered and list(out.cat.categories) == ["lo", "mid", "hi"]


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        ("int64", 4.0, "int64"),
        ("int64", 4.5, "float64"),
        ("Int64", 4.5, "Float64"),
        ("int8", 400.0, "int64"),
        ("uint8", -1.0, "int64"),
        ("UInt8", -1.0, "Int64"),
        ("int64", 2.0**63, "float64"),
        ("Int64", -1e19, "Float64"),
        ("uint64", -1.0, "float64"),
        ("int64[pyarrow]", 4.5, "double[pyarrow]"),
        ("uint8[pyarrow]", -1.0, "int64[pyarrow]"),
    ],
)
def test_integers_widen_only_if_they_must(dtype, value, expected) -> None:
    table = encoded(pd.Series([1, 2], dtype=dtype))
    out = table.decode("x", np.array([1.0, value]))
    assert out.dtype == expected
    assert out.tolist() == [1, value]


def test_large_integers_keep_every_digit() -> None:
    column = pd.Series([2**62 + 1, 5], dtype="int64")
    table = encoded(column)
    assert table.decode("x", np.array([2.0**62, 6.0])).tolist() == [2**62 + 1, 6]


@pytest.mark.parametrize("code", [-1.0, 0.5, 2.0])
def test_a_code_without_category_is_an_error(code: float) -> None:
    with pytest.raises(bi.DataError, match="category positions 0 to 1"):
        encoded(COLUMNS["str"]).decode("x", np.array([1.0, code, 0.0, 1.0]))


def test_arrays_cannot_be_written_to_and_the_frame_is_a_copy() -> None:
    frame = pd.DataFrame(EMPTY)
    table = Table.from_frame(frame)
    with pytest.raises(ValueError, match="read-only"):
        table.values["x"][0] = 2
    frame.loc[0, "x"] = 99
    assert table.frame.loc[0, "x"] == 1


@given(st.permutations(range(6)))
@settings(max_examples=30, deadline=None)
def test_shuffled_rows_give_the_same_arrays_and_clusters(order: list[int]) -> None:
    frame = pd.DataFrame(
        {
            "x": [1.0, None, 3.0, 4.0, None, 6.0],
            "group": list("baabca"),
            "kind": pd.Categorical(["u", "v", None, "u", "w", "v"]),
        },
        index=[f"id{k}" for k in range(6)],
    )
    table, shuffled = Table.from_frame(frame), Table.from_frame(frame.iloc[order])
    for name in frame:
        np.testing.assert_array_equal(table.values[name], shuffled.values[name])
    one, other = table.clusters("group"), shuffled.clusters("group")
    assert one.codes.tolist() == other.codes.tolist() and one.labels == other.labels
    # and a value drawn for a canonical row reaches the same row of the user
    filled = np.arange(6.0)
    pd.testing.assert_series_equal(
        table.decode("x", filled), shuffled.decode("x", filled).loc[frame.index]
    )


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        ([3, 1, 2], [1, 2, 0]),
        ([1, 1, 0], [0, 1, 2]),
        (["b", "a", "c"], [1, 0, 2]),
        ([1, "a", 2], [0, 1, 2]),
        ([2.0, np.nan, 1.0], [0, 1, 2]),
        (pd.MultiIndex.from_tuples([(1, "b"), (1, "a"), (0, "c")]), [2, 1, 0]),
    ],
)
def test_canonical_order_sorts_labels_that_can_be_sorted(index, rows) -> None:
    labels = index if isinstance(index, pd.Index) else pd.Index(index)
    assert canonical_rows(labels).tolist() == rows


IDS = ["s1", "s2", "s1", "s3", "s3", "s2"]


@pytest.mark.parametrize(
    "ids",
    [
        pd.Series(IDS),
        pd.Series(IDS, dtype=object),
        pd.Series(pd.Categorical(IDS, ["unused", "s3", "s2", "s1"])),
        pd.Series([9, 4, 9, 1, 1, 4]),
        pd.Series([9, 4, 9, 1, 1, 4], dtype="Int64"),
        pd.Series([2**60, 2**60 + 1, 2**60, 2**60 + 2, 2**60 + 2, 2**60 + 1]),
        pd.Series(["9", 9, "9", 1, 1, 9], dtype=object),
        pd.Series(pd.to_datetime(["2020", "2019", "2020", "2018", "2018", "2019"])),
    ],
    ids=["str", "object", "categorical", "int", "Int64", "huge", "mixed", "datetime"],
)
def test_clusters_are_numbered_by_first_appearance_whatever_their_names(ids: pd.Series) -> None:
    index = Table.from_frame(pd.DataFrame({"id": ids})).clusters("id")
    assert index.codes.tolist() == [0, 1, 0, 2, 2, 1]
    assert index.n == 3
    assert index.sizes.tolist() == [2, 2, 2]
    assert index.first_rows.tolist() == [0, 1, 3]
    assert index.labels == tuple(ids.iloc[[0, 1, 3]])
    assert not any(isinstance(label, np.number) for label in index.labels)


def test_levels_and_patterns_of_missingness_within_clusters() -> None:
    index = Table.from_frame(pd.DataFrame({"id": IDS})).clusters("id")
    nan = np.nan
    assert index.is_level2(np.array([1.0, 2.0, 1.0, nan, nan, 2.0]))
    varying = np.array([1.0, 2.0, 7.0, nan, nan, nan])
    assert not index.is_level2(varying)
    assert index.varying(varying).tolist() == [True, False, False]
    assert index.systematic(varying).tolist() == [False, False, True]
    assert index.sporadic(varying).tolist() == [False, True, False]
    assert index.n_observed(varying).tolist() == [2, 1, 0]


def test_the_reference_is_the_most_frequent_category_seen() -> None:
    assert indicator_order(np.array([1.0, 2.0, 2.0, np.nan, 0.0]), 4) == (2, 1, 0)
    assert indicator_order(np.array([1.0, 2.0]), 3) == (1, 2)
    assert indicator_order(np.array([np.nan]), 3) == ()


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), min_size=1, max_size=12))
@settings(max_examples=50, deadline=None)
def test_reordered_categories_give_the_same_indicators(order, cells) -> None:
    labels = ["p", "q", "r", "s"]
    words = [labels[k] for k in cells]

    def indicators(categories: list[str]) -> list[str]:
        table = encoded(pd.Series(pd.Categorical(words, categories)))
        return [categories[k] for k in indicator_order(table.values["x"], 4)]

    assert indicators(labels) == indicators([labels[k] for k in order])
