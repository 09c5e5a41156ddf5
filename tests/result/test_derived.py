"""Derived columns and rows of imputations."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import DataError, SpecificationError


@pytest.fixture(scope="module")
def imp():
    rng = np.random.default_rng(2)
    n = 150
    df = pd.DataFrame({"g": np.arange(n) % 5, "x": rng.normal(size=n)}, index=np.arange(n)[::-1])
    df["y"] = df["x"] + rng.normal(size=n)
    df["c"] = np.where(df["y"] + rng.normal(size=n) > 0, "u", "v")
    for name in ("y", "c"):
        df.loc[rng.random(n) < 0.25, name] = None
    return bi.impute(df, cluster="g", m=3, iterations=2, seed=4, progress=False)


def test_derived_columns_are_those_of_each_completed_frame(imp, tmp_path):
    more = imp.assign(
        z=lambda df: df["y"] ** 2,
        high=lambda df: df["z"] > 1,
        both=lambda df: df["c"] + df["g"].astype(str),
        k=7,
        whole=lambda df: df["y"].round().astype("Int64"),
        day=pd.Timestamp("2020-02-02"),
    )
    for k, frame in enumerate(imp, start=1):
        expected = frame.assign(
            z=frame["y"] ** 2,
            high=frame["y"] ** 2 > 1,
            both=frame["c"] + frame["g"].astype(str),
            k=7,
            whole=frame["y"].round().astype("Int64"),
            day=pd.Timestamp("2020-02-02"),
        )
        pd.testing.assert_frame_equal(more.complete(k), expected, check_dtype=False)
    missing = imp.data["y"].isna()
    assert (more.data["z"].isna() == missing).all()
    assert not more.data["high"][~missing].isna().any() and more.data["k"].notna().all()
    direct = bi.fit(imp.complete("all"), "I(y^2) ~ x").pool().table
    np.testing.assert_allclose(more.fit("z ~ x").pool().table["t"], direct["t"])
    more.to_netcdf(tmp_path / "more.nc")
    again = bi.open(tmp_path / "more.nc")
    pd.testing.assert_frame_equal(again.complete("long"), more.complete("long"))
    assert more.method["y"] == "pmm" and more.iterations == 2  # what is known stays


def test_rows_that_a_condition_chooses(imp, tmp_path):
    some = imp.query("x > 0 and g != 3")
    for k, frame in enumerate(imp, start=1):
        pd.testing.assert_frame_equal(some.complete(k), frame.query("x > 0 and g != 3"))
    pd.testing.assert_frame_equal(some.data, imp.data.query("x > 0 and g != 3"))
    some.to_netcdf(tmp_path / "some.nc")
    again = bi.open(tmp_path / "some.nc")
    pd.testing.assert_frame_equal(again.complete("long"), some.complete("long"))
    assert imp.query("x < 99") is imp
    further = some.assign(w=lambda df: df["y"] - df["x"]).query("x > 1")
    assert (further.complete(2)["w"] == (imp.complete(2)["y"] - imp.complete(2)["x"])[
        further.complete(2).index]).all()  # fmt: skip


def test_pictures_and_diagnosis_work_and_models_are_refused(imp):
    for derived in (imp.assign(z=lambda df: df["y"] ** 2), imp.query("x > 0")):
        derived.plot.density("y")
        derived.cells("y")
        assert "columns or rows of a run" in set(derived.diagnose()["finding"])
        for call in (
            lambda d: d.extend(1), lambda d: d.more(9), lambda d: d.model("y"),
            lambda d: d.impute_new(d.data), lambda d: d.predictive("y"),
        ):  # fmt: skip
            with pytest.raises(SpecificationError, match="ask the run itself"):
                call(derived)


def test_columns_computed_from_completed_data_are_not_said_to_be_imputed(imp, tmp_path):
    derived = imp.assign(z=lambda df: 1e6 * df["y"], w=lambda df: df["z"] > 0)
    rows = imp.query("x > 0")
    for each, count in ((derived, 150), (rows, len(rows.data))):
        page = each.report(tmp_path / "page.html").read_text("utf-8")
        cells = int(rows.data.isna().sum().sum() if each is rows else imp.data.isna().sum().sum())
        assert f"m = 3 imputations of {cells} cells in {count} rows and 4 columns" in page
        assert "<h1>Multiple imputation of y, c</h1>" in page
        assert ("z and w were computed from each completed data set." in page) == (each is derived)
    assert not {"z", "w"} & set(derived.diagnose()["variable"])


def test_what_cannot_be_derived_is_said(imp):
    with pytest.raises(SpecificationError, match="'y' is there already"):
        imp.assign(y=0)
    with pytest.raises(DataError, match="'z' of imputation 1: KeyError"):
        imp.assign(z=lambda df: df["nosuch"])
    with pytest.raises(DataError, match="neither number nor category"):
        imp.assign(z=lambda df: pd.Timestamp("2020-02-02") + pd.to_timedelta(df["y"], "D"))
    with pytest.raises(DataError, match="holds in some imputations"):
        imp.query("y > 0")
    with pytest.raises(DataError, match="cannot be evaluated"):
        imp.query("nosuch > 0")
    with pytest.raises(DataError, match="in no row"):
        imp.query("x > 99")


@pytest.fixture(scope="module")
def elsewhere():
    df = pd.DataFrame({"x": [1.0, None, 3.0, None], "g": list("aabb")}, index=[30, 20, 10, 0])
    return bi.from_completed([df.fillna(2.0), df.fillna(7.0)], incomplete=df)


def test_columns_computed_across_rows_are_those_of_each_completed_frame(elsewhere):
    columns = {
        "mean": lambda df: df.groupby("g")["x"].transform("mean"),
        "rank": lambda df: df["x"].rank(),
        "above": lambda df: df["x"] > df["x"].mean(),
        "run": 1,
    }
    more = elsewhere.assign(**columns)
    for k, frame in enumerate(elsewhere, start=1):
        pd.testing.assert_frame_equal(more.complete(k), frame.assign(**columns), check_dtype=False)
    assert more.data["rank"].isna().tolist() == [False, True, True, True]


def test_conditions_read_the_labels_of_rows(elsewhere):
    assert elsewhere.query("index > 15").complete(2).index.tolist() == [30, 20]
    df = elsewhere.data.set_index(
        pd.MultiIndex.from_arrays([[1, 1, 2, 2], [0, 1, 0, 0]], names=["a", "b"])
    )
    imp = bi.from_completed([df.fillna(2.0)], incomplete=df)
    pd.testing.assert_frame_equal(
        imp.query("b == 0 and g == 'b'").complete(1), df.fillna(2.0).query("b == 0 and g == 'b'")
    )
