"""Frames of polars and Arrow come in as they are, and come out the same kind."""

import datetime
import decimal
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import bayesimpute as bi
from bayesimpute import interchange
from bayesimpute.errors import DataError, FileFormatError
from bayesimpute.interchange import given, taken

N = 60
SHORT = {"m": 2, "iterations": 1, "seed": 1, "method": "sample", "progress": False}
COLUMNS = ("whole", "small", "real", "text", "true", "label", "level", "day")
#: Dates are imputed where a method is named for them.
DATED = {**SHORT, "method": dict.fromkeys(COLUMNS, "sample")}


def made(gaps: bool = True) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=int(k)) for k in range(N)]
    columns = {
        "whole": rng.integers(0, 30, N),
        "small": rng.integers(0, 9, N),
        "real": rng.normal(size=N),
        "text": rng.choice(["a", "b", "None"], N),
        "true": rng.random(N) < 0.5,
        "label": rng.choice(["x", "y", "z"], N),
        "level": rng.choice(["low", "mid"], N),
        "day": days,
        "number": range(N),
    }
    types = {
        "whole": pl.Int32,
        "small": pl.UInt8,
        "label": pl.Categorical,
        "level": pl.Enum(["low", "mid", "high"]),
    }
    df = pl.DataFrame(columns, schema_overrides=types)
    if not gaps:
        return df
    masks = {name: pl.Series(rng.random(N) < 0.15) for name in df.columns}
    return df.with_columns(pl.when(~masks[name]).then(pl.col(name)).alias(name) for name in COLUMNS)


@pytest.fixture(scope="module")
def df() -> pl.DataFrame:
    return made()


@pytest.fixture(scope="module")
def imp(df):
    return bi.impute(df, **DATED)


def as_in(found: pl.DataFrame, frame: pl.DataFrame) -> None:
    """Observed cells are the user's, and no other is missing."""
    assert found.schema == frame.schema and found.null_count().row(0) == (0,) * frame.width
    for name in frame.columns:
        seen = frame[name].is_not_null()
        assert found[name].filter(seen).equals(frame[name].filter(seen)), name


def test_polars_comes_back_with_its_types_and_observed_cells(imp, df):
    for k in (1, 2):
        as_in(imp.complete(k), df)
    assert imp.data.equals(df) and imp.complete(0).equals(df)
    assert imp.missing.sum().row(0) == df.null_count().row(0)
    assert [frame.equals(imp.complete(k)) for k, frame in enumerate(imp, 1)] == [True, True]
    assert all(isinstance(frame, pl.DataFrame) for frame in imp.complete("all"))
    long = imp.complete("long", include=True)
    assert long.height == 3 * N and long.filter(pl.col(".imp") == 0).drop(".imp", ".id").equals(df)
    broad = imp.complete("broad")
    assert broad["day.2"].equals(imp.complete(2)["day"].alias("day.2"))
    assert broad.schema["level.1"] == df.schema["level"]


def test_values_are_those_of_the_same_pandas_frame(imp, df):
    plain = bi.impute(taken(df)[0], **DATED)
    pd.testing.assert_frame_equal(taken(imp.complete(2))[0], plain.complete(2), check_dtype=False)
    assert isinstance(plain.complete(1), pd.DataFrame)


def test_arrow_comes_back_as_a_table_of_the_same_schema(df):
    table = df.to_arrow()
    table = table.set_column(3, "text", table["text"].cast(pa.string()))
    at = table.schema.get_field_index("number")
    number = pa.field("number", pa.int64(), nullable=False, metadata={"unit": "none"})
    table = table.cast(table.schema.set(at, number))
    found = bi.impute(table, **SHORT).complete(1)
    assert isinstance(found, pa.Table) and found.schema.equals(table.schema, check_metadata=True)
    batches = bi.impute(table.to_batches()[0], **SHORT).complete(1)
    assert found.equals(batches)


def test_a_file_remembers_the_kind_and_says_where_the_library_is_absent(
    imp, df, tmp_path, monkeypatch
):
    imp.to_netcdf(tmp_path / "imp.nc")
    again = bi.open(tmp_path / "imp.nc")
    assert again.complete(2).equals(imp.complete(2)) and again.data.schema == df.schema
    assert again.extend(1).complete(1).schema == df.schema
    there = interchange.find_spec
    monkeypatch.setattr(
        interchange, "find_spec", lambda name: None if name == "polars" else there(name)
    )
    plain = bi.open(tmp_path / "imp.nc")
    assert isinstance(plain.complete(1), pd.DataFrame)
    assert "frames of pandas" in plain.events["action"].tolist()
    plain.to_netcdf(tmp_path / "again.nc")
    assert bi.open(tmp_path / "again.nc").events.equals(plain.events)
    monkeypatch.undo()
    assert bi.open(tmp_path / "again.nc").complete(2).equals(imp.complete(2))


@pytest.mark.parametrize("wrong", [{"kind": "os"}, {"schema": b"no schema"}])
def test_a_file_with_a_kind_or_a_schema_that_is_none_is_refused(imp, tmp_path, wrong):
    origin = replace(imp.specification.origin, **wrong)
    damaged = replace(imp, specification=replace(imp.specification, origin=origin))
    damaged.to_netcdf(tmp_path / "imp.nc")
    with pytest.raises(FileFormatError, match="damaged"):
        bi.open(tmp_path / "imp.nc")


def test_a_checkpoint_of_a_polars_frame_is_gone_on_with_from_the_pandas_one(df, tmp_path):
    path = tmp_path / "c.nc"
    bi.impute(df, checkpoint=path, **SHORT)
    more = bi.impute(taken(df)[0], checkpoint=path, **{**SHORT, "iterations": 2})
    assert more.iterations == 2 and isinstance(more.complete(1), pd.DataFrame)


def test_nan_and_null_are_both_missing_and_it_is_said():
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({"x": rng.normal(size=20), "y": rng.normal(size=20)})
    frame = frame.with_columns(
        x=pl.when(pl.int_range(20) < 3).then(None).otherwise(pl.col("x")),
        y=pl.when(pl.int_range(20) < 3).then(float("nan")).otherwise(pl.col("y")),
    )
    imp = bi.impute(frame, **SHORT)
    said = imp.events.query("action == 'NaN is missing'")
    assert said["variable"].tolist() == ["y"]
    done = imp.complete(1)
    assert done["x"].null_count() == 0 and not done["y"].is_nan().any()


def test_what_a_type_cannot_hold_widens():
    frame = pl.DataFrame({"x": [1, 2, None, 4, 5, 6], "y": [1.0, 2.5, 3, 4, 5, 7]})
    halves = {"x": lambda values, data, rng: values + 0.5}
    widened = bi.impute(frame, post=halves, **SHORT).complete(1)
    assert widened.schema["x"] == pl.Float64 and widened["x"][0] == 1.0
    money = [decimal.Decimal("1.10"), None, decimal.Decimal("2.25"), decimal.Decimal("3.00")]
    table = pa.table({"x": pa.array(money, pa.decimal128(6, 2)), "y": [1, 2, 3, 4]})
    found = bi.impute(table, **SHORT).complete(1)
    assert found.schema.field("x").type == pa.decimal128(6, 2)
    assert found["x"].to_pylist()[0] == decimal.Decimal("1.10")


def test_labels_that_another_column_has_are_none_of_this_one():
    everywhere = pl.DataFrame({"x": ["a", "b", "c"]}, schema={"x": pl.Categorical})
    frame, _ = taken(everywhere.filter(pl.col("x") != "c"))
    assert list(frame["x"].cat.categories) == ["a", "b"] and not frame["x"].cat.ordered
    ordered, _ = taken(pl.DataFrame({"x": ["b"]}, schema={"x": pl.Enum(["a", "b"])}))
    assert list(ordered["x"].cat.categories) == ["a", "b"] and ordered["x"].cat.ordered


@pytest.mark.parametrize("kind", ["polars", "arrow"])
def test_what_takes_a_frame_takes_any(df, kind):
    whole = made(gaps=False)
    frame = df if kind == "polars" else df.to_arrow()
    full = whole if kind == "polars" else whole.to_arrow()
    plain = taken(df)[0]
    pd.testing.assert_frame_equal(bi.missing_summary(frame), bi.missing_summary(plain))
    pd.testing.assert_frame_equal(bi.missing_pattern(df=frame), bi.missing_pattern(plain))
    assert bi.make_method(frame) == bi.make_method(plain)
    assert str(bi.suggest_methods(frame)) == str(bi.suggest_methods(plain))
    kept = bi.complete_cases(frame)
    assert type(kept) is type(frame) and kept.shape == bi.complete_cases(plain).shape
    assert bi.incomplete_cases(frame).shape[0] == N - kept.shape[0]
    amputed = bi.ampute(full, patterns=[["real"]], seed=1)
    assert type(amputed.incomplete) is type(full) and "real" in repr(amputed)
    deduced = bi.deduce(frame, "small := whole * 0 + 1", tolerance=1e9).data
    assert type(deduced) is type(frame)


def test_new_rows_analyses_and_long_files_of_polars(imp, df, tmp_path):
    new = df.head(4).with_columns(text=pl.lit(None, pl.String))
    for frame in imp.impute_new(new):
        as_in(frame, new)
    with pytest.warns(bi.ImputationWarning, match="does not hold all"):
        fits = imp.fit("real ~ whole")
    again = bi.fit(imp.complete("all"), "real ~ whole")
    pd.testing.assert_frame_equal(fits.pool().table, again.pool().table)
    assert len(fits.predict(df.select("whole").drop_nulls())) == N - df["whole"].null_count()
    assert (
        imp.fit(
            lambda frame: {
                "estimates": {"mean": frame["real"].mean()},
                "std_errors": {"mean": frame["real"].sem()},
            }
        )
        is not None
    )
    imp.to_long(tmp_path / "long.csv")
    assert pd.read_csv(tmp_path / "long.csv").shape == (3 * N, df.width + 2)
    assert imp.assign(twice=lambda d: 2 * d["real"]).complete(1)["twice"].dtype == pl.Float64
    assert imp.query("number < 30").complete(1).schema == df.schema


def test_imputations_of_polars_made_elsewhere_are_taken_in(imp, df):
    one = bi.from_completed(imp.complete("all"), incomplete=df)
    two = bi.from_completed(imp.complete("long", include=True))
    for found in (one, two):
        assert found.complete(2).equals(imp.complete(2))


@pytest.mark.parametrize(("frame", "words"), [
    (made().lazy(), "LazyFrame; collect it first"),
    (pa.table([[1, 2], [3, 4]], names=["x", "x"]), "occurs more than once"),
    (pl.DataFrame(), "no columns"),
    ({"x": [1]}, "must be a pandas DataFrame"),
])  # fmt: skip
def test_what_is_no_table_is_refused_in_a_sentence(frame, words):
    with pytest.raises(DataError, match=words):
        bi.impute(frame, **SHORT)


def test_without_pyarrow_it_is_said_what_to_install(df, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DataError, match="pip install pyarrow"):
        bi.missing_summary(df)


def test_columns_of_every_type_go_through_and_back():
    now = datetime.datetime(2020, 1, 1, 12, 30, 1)
    frame = pl.DataFrame({
        "when": [now, None],
        "zoned": pl.Series([now, None]).dt.replace_time_zone("Europe/Berlin"),
        "span": [datetime.timedelta(hours=1), None],
        "time": [datetime.time(3, 4), None],
        "nothing": pl.Series([None, None], dtype=pl.Null),
        "float32": pl.Series([1.5, None], dtype=pl.Float32),
        "large": pl.Series([2**63 + 1, None], dtype=pl.UInt64),
        "yes": pl.Series([True, None]),
        "list": [[1, 2], None],
        "pair": [{"a": 1}, {"a": 2}],
        "bytes": [b"1", None],
    })  # fmt: skip
    plain, origin = taken(frame)
    assert given(plain, origin).equals(frame) and given(plain, origin).schema == frame.schema
