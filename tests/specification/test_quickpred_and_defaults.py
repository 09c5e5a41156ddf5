"""mice's defaults and quickpred, number by number."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.specification.aliases import MICE_NAMES

ORDERED = {"gen": [f"G{k}" for k in range(1, 6)], "phb": [f"P{k}" for k in range(1, 7)]}


def as_in_r(name, shared_data):
    """The CSV with the column classes R had."""
    df = shared_data("nhanes" if name == "nhanes2" else name)
    if name == "nhanes2":
        df["age"] = df["age"].map({1: "20-39", 2: "40-59", 3: "60-99"})
        df["hyp"] = df["hyp"].map({1: "no", 2: "yes"})
    if name == "boys":
        for column, labels in ORDERED.items():
            df[column] = pd.Categorical(df[column], labels, ordered=True)
        regions = ["north", "east", "west", "south", "city"]
        df["reg"] = pd.Categorical(df["reg"], regions)
    return df


@pytest.mark.parametrize("name", ["nhanes", "nhanes2", "boys", "mammalsleep", "employee"])
def test_make_method_gives_the_defaults_of_mice(name, shared_data, reference):
    expected = reference("defaults")["make.method"][name]
    ours = bi.make_method(as_in_r(name, shared_data))
    assert ours == {k: MICE_NAMES.get(v, v) for k, v in expected.items()}


def test_make_predictors_gives_the_default_matrix_of_mice(shared_data, reference):
    expected = reference("defaults")["make.predictorMatrix"]["nhanes2"]
    matrix = bi.make_predictors(as_in_r("nhanes2", shared_data))
    assert matrix.to_numpy().tolist() == expected["values"]


CALLS = {
    "default": {},
    "mincor.3_minpuc.5": {"mincor": 0.3, "minpuc": 0.5},
    "minpuc.5": {"minpuc": 0.5},
    "spearman": {"method": "spearman"},
}


@pytest.mark.parametrize("name", ["nhanes", "boys", "mammalsleep"])
@pytest.mark.parametrize("call", [*CALLS, "include_exclude"])
def test_quickpred_equals_that_of_mice(name, call, shared_data, reference):
    expected = reference("quickpred")["quickpred"][name][call]
    df = as_in_r(name, shared_data)
    arguments = CALLS.get(call, {"include": df.columns[0], "exclude": df.columns[1]})
    ours = bi.quickpred(df, **arguments)
    assert list(ours.index) == expected["rows"]
    assert np.array_equal(ours.to_numpy(), np.array(expected["values"]))


def test_quickpred_never_chooses_the_cluster(shared_data):
    matrix = bi.quickpred(shared_data("popmis"), cluster="school")
    assert set(matrix.loc["popular"][["school"]]) == {-2}
    assert matrix.loc["popular", ["texp", "sex"]].tolist() == [1, 1]


def test_limits_with_labels_belong_to_their_columns_in_any_order():
    rng = np.random.default_rng(1)
    df = pd.DataFrame(rng.normal(size=(40, 3)), columns=list("abc"))
    df.loc[:9, "a"], df.loc[5:14, "b"] = np.nan, np.nan
    limits = pd.Series({"c": 1.0, "a": 0.0, "b": 1.0})
    expected = bi.quickpred(df, mincor=[0.0, 1.0, 1.0])
    assert expected.loc["a"].tolist() == [0, 1, 1] and not expected.loc["b"].any()
    pd.testing.assert_frame_equal(bi.quickpred(df, mincor=limits), expected)
    matrix = pd.DataFrame({name: limits for name in "bca"})
    pd.testing.assert_frame_equal(bi.quickpred(df, mincor=matrix), expected)
