"""Columns of very many categories: names, free text, identifiers."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import SpecificationError
from bayesimpute.specification.screening import FEW, MOST
from bayesimpute.specification.specification import one_a_fact
from bayesimpute.specification.specify import specify


def texts(rows, labels, gaps=False, columns=4):
    rng = np.random.default_rng(1)
    df = pd.DataFrame({"x": rng.normal(size=rows)})
    for k in range(columns):
        df[f"text {k}"] = [f"label {code}" for code in rng.permutation(np.arange(rows) % labels)]
        if gaps:
            df.loc[k::11, f"text {k}"] = None
    df["y"] = df["x"] + rng.normal(size=rows)
    df.loc[::7, "y"] = np.nan
    return df


def peak(rows, labels):
    df = texts(rows, labels)
    tracemalloc.start()
    try:
        specify(df)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_columns_of_very_many_categories_do_not_predict_and_an_event_says_so():
    df = texts(2000, 900)
    imp = bi.impute(df, m=2, iterations=1, seed=1, progress=False, cores=1)
    said = imp.events[imp.events["action"] == "too many categories"]
    assert len(said) == 4 and (said["variable"] == "y").all()
    assert "'text 0' does not predict 'y': in 2,000 rows, its 899 ind" in said["message"].iloc[0]
    without = bi.impute(df[["x", "y"]], m=2, iterations=1, seed=1, progress=False, cores=1)
    assert imp.complete(1)["y"].equals(without.complete(1)["y"])


def test_one_event_a_column_whatever_it_would_predict():
    df = texts(2000, 900)
    df.loc[3::9, "x"] = np.nan
    said = [e for e in one_a_fact(specify(df).events) if e.action == "too many categories"]
    assert len(said) == 4 and all("predict 'x', 'y': in 2,000" in e.message for e in said)


def test_memory_grows_with_rows_and_labels_not_with_their_product():
    small = peak(1000, 600)  # and everything that is imported late is
    small, large = peak(1000, 600), peak(4000, 2400)
    assert large < 6 * small  # sixteen times as many rows × labels


@pytest.mark.parametrize(("rows", "labels", "left"), [(120, FEW, 4), (400, 90, 4), (900, 200, 2)])
def test_what_is_left_is_few_or_often_enough_and_not_too_much_together(rows, labels, left):
    terms = [term for term in specify(texts(rows, labels)).targets["y"].terms if term.label != "x"]
    assert len(terms) == left and left * labels <= MOST


def test_categories_in_products_are_counted_by_their_indicators():
    df = texts(900, 40, columns=2)
    formulas = {"y": "y ~ x + `text 0` * `text 1`"}
    specification = specify(df, formulas=formulas)
    assert [term.label for term in specification.targets["y"].terms][:1] == ["x"]
    assert [e.action for e in specification.events].count("too many categories") == 1


@pytest.mark.parametrize("method", [None, "categorical", "polyreg"])
def test_a_target_of_very_many_categories_is_refused_before_work_with_its_way_out(method):
    df = texts(2000, 900, gaps=True).assign(g=np.arange(2000) % 20)
    incomplete = [name for name in df if df[name].isna().any()]
    methods = None if method is None else {**dict.fromkeys(incomplete, method), "y": "normal"}
    sentence = r"'text 0' has 897 categories in 1,818 rows, too many .* 'text 0', .* 'text 3'\.$"
    with pytest.raises(SpecificationError, match=sentence):
        bi.impute(df, cluster="g" if method else None, method=methods, progress=False)
    run = {"m": 2, "iterations": 1, "seed": 1, "progress": False, "cores": 1}
    donors = {**dict.fromkeys(incomplete, "pmm")}
    assert not bi.impute(df, method=donors, **run).complete(1).isna().any().any()
    left = {**dict.fromkeys(incomplete, ""), "y": "normal"}
    done = bi.impute(df, method=left, **run).complete(1)
    assert done.columns[done.isna().any()].tolist() == incomplete[:-1]
    dropped = df.drop(columns=incomplete[:-1])
    assert not bi.impute(dropped, **run).complete(1).isna().any().any()


def test_an_analysis_with_such_a_column_is_not_certified():
    found = bi.congenial("y ~ x + `text 0`", texts(2000, 900, columns=1))
    assert found["variable"].tolist() == ["y"]


def test_categories_that_never_occur_do_not_crowd_a_predictor_out():
    df = texts(60, 3, columns=1)
    declared = [*sorted(set(df["text 0"])), *(f"elsewhere {k}" for k in range(200))]
    df["text 0"] = pd.Categorical(df["text 0"], declared)
    for formulas in (None, {"y": "y ~ x + `text 0`"}):
        assert specify(df, formulas=formulas).predictors.loc["y", "text 0"] == 1
