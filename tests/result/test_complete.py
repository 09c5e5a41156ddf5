"""Completed data: the user's frame, and nothing of it changed but the missing cells."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import SpecificationError


def test_completed_frame_has_the_users_rows_columns_and_dtypes(imputations, pupils):
    completed = imputations.complete(2)
    pd.testing.assert_index_equal(completed.index, pupils.index)
    pd.testing.assert_index_equal(completed.columns, pupils.columns)
    assert completed.dtypes.to_dict() == pupils.dtypes.to_dict()
    assert list(completed["mood"].cat.categories) == ["low", "mid", "high"]
    assert completed["mood"].cat.ordered


def test_no_cell_is_left_missing_and_no_observed_cell_changes(imputations, pupils):
    for completed in imputations:
        assert not completed.isna().any(axis=None)
        for name in pupils:
            seen = pupils[name].notna()
            pd.testing.assert_series_equal(completed.loc[seen, name], pupils.loc[seen, name])


def test_imputed_cells_are_those_of_the_chain_in_the_users_row_order(imputations):
    table, where = imputations.specification.table, imputations.specification.where["popular"]
    rows = table.rows[where]
    for k, completed in enumerate(imputations):
        expected = imputations.history.imputed["popular"][k]
        np.testing.assert_array_equal(completed["popular"].to_numpy()[rows], expected)


def test_original_data_are_action_zero_and_are_a_copy(imputations, pupils):
    original = imputations.complete(0)
    pd.testing.assert_frame_equal(original, pupils)
    original.loc[5, "popular"] = 99
    pd.testing.assert_frame_equal(imputations.data, pupils)


def test_long_appends_imp_and_id_as_the_last_two_columns(imputations, pupils):
    long = imputations.complete("long")
    assert list(long.columns) == [*pupils.columns, ".imp", ".id"]
    assert long[".imp"].tolist() == [k for k in (1, 2, 3, 4) for _ in range(12)]
    assert long[".id"].tolist() == list(pupils.index) * 4
    assert long["mood"].dtype == pupils["mood"].dtype
    with_original = imputations.complete("long", include=True)
    assert with_original[".imp"].unique().tolist() == [0, 1, 2, 3, 4]
    assert with_original["popular"].isna().sum() == 3


def test_stacked_is_long_without_the_two_columns(imputations):
    long = imputations.complete("long").drop(columns=[".imp", ".id"])
    pd.testing.assert_frame_equal(imputations.complete("stacked"), long)


def test_a_sequence_of_numbers_stacks_these(imputations):
    both = imputations.complete([3, 1])
    expected = pd.concat([imputations.complete(3), imputations.complete(1)], ignore_index=True)
    pd.testing.assert_frame_equal(both, expected)
    assert len(imputations.complete(np.array([1, 2, 3]), include=True)) == 48


def test_all_is_a_list_and_include_puts_the_original_first(imputations, pupils):
    frames = imputations.complete("all", include=True)
    assert len(frames) == 5
    pd.testing.assert_frame_equal(frames[0], pupils)
    pd.testing.assert_frame_equal(frames[4], imputations.complete(4))


def test_broad_and_repeated_differ_only_in_column_order(imputations, pupils):
    broad = imputations.complete("broad")
    repeated = imputations.complete("repeated")
    assert list(broad.columns[:11]) == [f"{name}.1" for name in pupils] + ["school.2"]
    assert list(repeated.columns[:5]) == [
        "school.1",
        "school.2",
        "school.3",
        "school.4",
        "popular.1",
    ]
    pd.testing.assert_frame_equal(broad[repeated.columns], repeated)
    pd.testing.assert_index_equal(broad.index, pupils.index)
    assert imputations.complete("repeated", include=True).columns[0] == "school.0"


@pytest.mark.parametrize("action", [5, -1, "wide", [], [1, 9], True, 1.0, None, ["long"]])
def test_an_impossible_action_is_refused_in_one_sentence(imputations, action):
    with pytest.raises(SpecificationError, match=r"imputation|shapes"):
        imputations.complete(action)


def test_long_refuses_data_that_already_have_imp(make_imputations):
    frame = pd.DataFrame({".imp": [1.0, 2, 3], "x": [1.0, np.nan, 2]})
    with pytest.raises(SpecificationError, match=r"already have \.imp"):
        make_imputations(frame).complete("long")


def test_long_keeps_multiindex_labels_as_tuples(make_imputations):
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)])
    frame = pd.DataFrame({"x": [1.0, np.nan, 2]}, index=index)
    assert make_imputations(frame).complete("long")[".id"].tolist() == list(index) * 4


def test_the_result_is_frozen_and_introduces_itself(imputations):
    with pytest.raises(AttributeError):
        imputations.history = None
    text = repr(imputations)
    assert "m = 4, 6 iterations" in text and "popular" in text and "1 warning in .events" in text
    assert "<table>" in imputations._repr_html_()
    assert len(imputations) == 4 and imputations.missing["popular"].sum() == 3
    assert imputations.events["action"].tolist() == ["predictor dropped", "tie"]


def test_rows_of_unsorted_dates_stay_in_their_order_side_by_side():
    dates = pd.to_datetime(["2020-01-03", "2020-01-01", "2020-01-02"])
    df = pd.DataFrame({"x": [1.0, None, 3.0]}, index=dates)
    imp = bi.from_completed([df.fillna(k) for k in (5.0, 6.0)], incomplete=df)
    broad = imp.complete("broad")  # pandas warns of an order of its own
    pd.testing.assert_index_equal(broad.index, dates)
    assert broad.loc["2020-01-01"].tolist() == [5.0, 6.0]
