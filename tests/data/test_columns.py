"""Every kind of column comes out as it went in, or is refused before sampling with the way out."""

import datetime as dt
import enum
import json
import uuid
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.data.dates import date_cells, encode_dates
from bayesimpute.data.encoding import encode, recoded
from bayesimpute.data.table import Table
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.result.frame_store import decode_frame, encode_frame
from bayesimpute.specification.requests import remedy

pa = pytest.importorskip("pyarrow")

N = 24
NUMBERS = np.random.default_rng(3).permutation(N)
DAYS = pd.Series(pd.Timestamp("2020-03-20") + pd.to_timedelta(7 * NUMBERS, unit="D"))
LABELS = [str(k % 3) for k in NUMBERS]


def objects(cells):
    column = pd.Series([None] * N, dtype=object)
    for k, cell in enumerate(cells):
        column.iat[k] = cell
    return column


def arrow(cells, kind):
    return pd.Series(pd.array(cells, dtype=pd.ArrowDtype(kind)))


def category(cells):
    return pd.Series(pd.Categorical(cells))


#: Values and categories: gaps in them are imputed.
IMPUTED = {
    "float16": pd.Series(NUMBERS * 1.5, dtype="f2"),
    "float32": pd.Series(NUMBERS * 1.5, dtype="f4"),
    "longdouble": pd.Series((NUMBERS / 3).astype(np.longdouble)),
    "Int64": pd.Series(NUMBERS, dtype="Int64"),
    "UInt8": pd.Series(NUMBERS, dtype="UInt8"),
    "Float64": pd.Series(NUMBERS * 1.5, dtype="Float64"),
    "boolean": pd.Series(NUMBERS < 9, dtype="boolean"),
    "string": pd.Series(LABELS, dtype="string"),
    "string python": pd.Series(LABELS, dtype="string[python]"),
    "string pyarrow": pd.Series(LABELS, dtype="string[pyarrow]"),
    "arrow text": arrow(LABELS, pa.string()),
    "arrow large text": arrow(LABELS, pa.large_string()),
    "arrow int64": arrow(NUMBERS, pa.int64()),
    "arrow int8": arrow(NUMBERS, pa.int8()),
    "arrow float": arrow(NUMBERS * 1.5, pa.float32()),
    "arrow bool": arrow(NUMBERS < 9, pa.bool_()),
    "object bool": objects(bool(k < 9) for k in NUMBERS),
    "object float": objects(float(k) for k in NUMBERS),
    "object text": objects(LABELS),
    "numpy text": objects(map(np.str_, LABELS)),
    "half a pair": objects("\ud800" * (k % 2) + "a\0" for k in NUMBERS),
    "mixed": objects(["a", 1, 2.5][k % 3] for k in NUMBERS),
    "tuples": objects((k % 3, "a") for k in NUMBERS),
    "of integers": category(NUMBERS % 3),
    "of floats": category(NUMBERS % 3 / 2),
    "of booleans": category(NUMBERS < 9),
    "of tuples": category([(k % 3, "a") for k in NUMBERS]),
    "of a mixture": category([[1, "a", 2.5][k % 3] for k in NUMBERS]),
    "of intervals": pd.Series(pd.cut(NUMBERS, 3)),
    "of dates": DAYS.dt.month.map(lambda k: pd.Timestamp(2020, k, 1)).astype("category"),
    "of zoned dates": pd.Series(DAYS.dt.tz_localize("UTC").dt.floor("70D")).astype("category"),
    "of periods": DAYS.dt.to_period("M").astype("category"),
    "of durations": pd.Series(pd.to_timedelta(NUMBERS % 3, unit="D")).astype("category"),
    "of days": category([dt.date(2020, 1, 1 + k % 3) for k in NUMBERS]),
    "of decimals": category([Decimal(int(k % 3)) for k in NUMBERS]),
    "of bytes": category([bytes([k % 3]) for k in NUMBERS]),
    "of complex": category(NUMBERS % 3 + 1j),
    "of arrow text": arrow(LABELS, pa.string()).astype("category"),
}

#: Neither: gaps in them stay.
DATES = {
    "seconds": DAYS.astype("M8[s]"),
    "nanoseconds": DAYS.astype("M8[ns]") + pd.Timedelta(1, "ns"),
    "zoned": DAYS.dt.tz_localize("Europe/Berlin"),
    "offset": DAYS.dt.tz_localize("+02:00"),
    "durations": (DAYS - DAYS[0]).astype("m8[ms]"),
    "periods": DAYS.dt.to_period("W"),
}
OTHERS = {
    "complex": pd.Series(NUMBERS + 1j, dtype="c8"),
    "decimals": objects(Decimal(int(k)) / 3 for k in NUMBERS),
    "bytes": objects(bytes([65 + k % 3]) for k in NUMBERS),
    "lists": objects([int(k), [{"a": (1, 2)}]] for k in NUMBERS),
    "intervals": pd.Series(pd.arrays.IntervalArray.from_breaks(np.arange(N + 1.0))),
    "object intervals": objects(pd.Interval(k % 3, 3) for k in NUMBERS),
    "object days": objects(day.date() for day in DAYS),
    "object times": objects(dt.time(int(k)) for k in NUMBERS),
    "object stamps": objects(DAYS),
    "object durations": objects(dt.timedelta(int(k)) for k in NUMBERS),
    "uuids": objects(uuid.UUID(int=int(k)) for k in NUMBERS),
    "arrow stamps": arrow(list(DAYS), pa.timestamp("us")),
    "arrow zoned": arrow(list(DAYS.dt.tz_localize("UTC")), pa.timestamp("ns", tz="UTC")),
    "arrow days": arrow([day.date() for day in DAYS], pa.date32()),
    "arrow durations": arrow(list(DAYS - DAYS[0]), pa.duration("us")),
}
WITHOUT_GAPS = {
    "uint8": pd.Series(NUMBERS, dtype="u1"),
    "bool": pd.Series(NUMBERS < 9),
    "sparse integers": pd.Series(pd.arrays.SparseArray(NUMBERS % 3, fill_value=0)),
    "sparse bool": pd.Series(pd.arrays.SparseArray(NUMBERS < 9)),
}


def with_gaps(column):
    gaps = column.copy()
    gaps.iloc[[2, 7, 11]] = None
    return gaps


class Measured(pd.DataFrame):
    """A frame of the user's own class."""

    @property
    def _constructor(self):
        return Measured


@pytest.fixture(scope="module")
def frame():
    columns = {name: with_gaps(column) for name, column in (IMPUTED | DATES | OTHERS).items()}
    dense = with_gaps(pd.Series(NUMBERS % 4 * 1.0))
    columns["sparse"] = dense.astype(pd.SparseDtype("float64", np.nan))
    frame = Measured(columns | WITHOUT_GAPS)
    frame.attrs = {"source": "ward"}
    return frame


@pytest.fixture(scope="module")
def run(frame):
    return bi.impute(frame, m=2, iterations=1, seed=1, progress=False, method="sample")


def assert_observed_cells_equal(completed, frame):
    assert completed.columns.equals(frame.columns) and completed.index.equals(frame.index)
    pd.testing.assert_series_equal(completed.dtypes, frame.dtypes)
    for name in frame:
        seen = frame[name].notna().to_numpy()
        pd.testing.assert_series_equal(completed[name][seen], frame[name][seen])


def test_every_kind_comes_out_as_it_went_in(run, frame):
    completed = run.complete(1)
    assert_observed_cells_equal(completed, frame)
    left = completed.isna().any()
    assert set(left.index[left]) == {*DATES, *OTHERS}
    assert type(completed) is Measured and completed.attrs == frame.attrs
    stacked = run.complete("stacked")
    assert_observed_cells_equal(stacked.iloc[:N], frame)


def test_every_kind_is_put_into_arrays_and_text_and_comes_back(frame):
    description, arrays = encode_frame(frame)
    back = decode_frame(json.loads(json.dumps(description)), arrays)
    pd.testing.assert_frame_equal(back, pd.DataFrame(frame))


#: One for each way to put a column into the file, which takes long for many columns.
IN_FILE = [
    "Int64", "arrow text", "mixed", "of intervals", "of periods", "zoned", "durations", "periods",
    "complex", "lists", "arrow zoned", "object stamps", "sparse",
]  # fmt: skip


def test_a_file_gives_each_way_back_and_goes_on(frame, tmp_path):
    few = pd.DataFrame(frame[IN_FILE])
    run = bi.impute(few, m=2, iterations=1, seed=1, progress=False, method="sample")
    run.to_netcdf(tmp_path / "few.nc")
    opened = bi.open(tmp_path / "few.nc")
    pd.testing.assert_frame_equal(opened.data, few)
    pd.testing.assert_frame_equal(opened.complete(2), run.complete(2))
    further = run.extend(1, progress=False)
    pd.testing.assert_frame_equal(opened.extend(1, progress=False).complete(1), further.complete(1))


def test_gaps_that_stay_are_an_event_and_a_finding_each(run):
    stay = run.events.query("action == 'gaps stay'")
    assert sorted(stay["variable"]) == sorted({*DATES, *OTHERS})
    assert (stay["severity"] == "warning").all()
    told = dict(zip(stay["variable"], stay["message"], strict=True))
    assert "3 missing cell(s)" in told["zoned"] and "method={'zoned': 'pmm'}" in told["zoned"]
    found = run.diagnose().query("finding == 'gaps stay'")
    assert sorted(found["variable"]) == sorted(stay["variable"])
    idle = run.events.query("action == 'no predictor'")
    assert sorted(idle["variable"]) == sorted({*DATES, *OTHERS})


def test_gaps_that_the_user_leaves_are_an_event_but_no_finding():
    frame = pd.DataFrame({"x": [1.0, 2, None, 4], "y": [None, 2.0, 3, 5]})
    imp = bi.impute(frame, m=2, iterations=1, seed=1, method={"x": "", "y": "sample"})
    event = imp.events.query("action == 'gaps stay'").iloc[0]
    assert (event["variable"], event["severity"]) == ("x", "info")


def test_dates_are_imputed_on_request_and_come_out_as_dates():
    frame = pd.DataFrame({name: with_gaps(column) for name, column in DATES.items()})
    method = dict.fromkeys(DATES, "sample")
    imp = bi.impute(frame, m=2, iterations=1, seed=1, progress=False, method=method)
    for completed in imp:
        assert_observed_cells_equal(completed, frame)
        for name in frame:
            assert completed[name].isin(frame[name].dropna()).all()
    assert not {"gaps stay", "no predictor"} & set(imp.events["action"])


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_days_of_a_zone_stay_days_over_a_change_of_its_clocks(unit):
    days = pd.Series(pd.date_range("2020-03-01", periods=12, freq="5D", tz="Europe/Berlin"))
    days = days.dt.as_unit(unit)
    ticks, numbers = encode_dates(days)
    between = pd.Series(date_cells("day", days.dtype, ticks, np.append(numbers + 1.3, np.nan)))
    pd.testing.assert_series_equal(between[:-1], days, check_names=False)
    assert pd.isna(between.iloc[-1])
    hours = pd.Series(pd.date_range("2020-10-24 22:00", periods=9, freq="h", tz="UTC"))
    hours = hours.dt.tz_convert("Europe/Berlin").dt.as_unit(unit)  # 02:00 is there twice
    ticks, numbers = encode_dates(hours)
    assert list(date_cells("hour", hours.dtype, ticks, numbers)) == list(hours)


def test_dates_follow_their_predictors_predict_others_and_keep_to_whole_days(tmp_path):
    x = np.random.default_rng(1).normal(size=80)
    when = pd.Series(pd.Timestamp("2020-06-01") + pd.to_timedelta(np.round(100 * x), unit="D"))
    frame = pd.DataFrame({"x": x, "when": when.dt.tz_localize("UTC"), "y": 2 * x})
    frame.loc[:9, "when"] = pd.NaT
    frame.loc[5:20, "y"] = np.nan
    method = {"when": "normal", "y": "pmm"}
    predictors = bi.make_predictors(frame)
    imp = bi.impute(
        frame.assign(y=frame["y"] + np.sin(9 * x)), m=2, iterations=2, seed=1, method=method
    )
    assert imp.predictors.loc["y", "when"] == 1 and predictors.loc["y", "when"] == 0
    filled = imp.complete(1)["when"]
    off = (filled[:10].dt.tz_localize(None) - when[:10]) / pd.Timedelta(days=1)
    assert off.abs().max() < 20 and (filled == filled.dt.normalize()).all()
    imp.to_netcdf(tmp_path / "dates.nc")
    opened = bi.open(tmp_path / "dates.nc")
    pd.testing.assert_frame_equal(opened.extend(1).complete(2), imp.extend(1).complete(2))


def test_a_date_beyond_its_dtype_is_said(frame):
    table = Table.from_frame(pd.DataFrame({"when": DATES["nanoseconds"]}), dates=("when",))
    with pytest.raises(DataError, match="'when' lies beyond the dates that datetime64"):
        table.decode("when", table.values["when"] + 1e6)


class Arm(enum.Enum):
    """Labels of the user's own class."""

    CARE, DRUG = 1, 2


REFUSED = {
    "arrow decimals": arrow([Decimal(int(k)) / 4 for k in NUMBERS], pa.decimal128(10, 2)),
    "arrow times": arrow([dt.time(int(k)) for k in NUMBERS], pa.time64("us")),
    "arrow dictionary": arrow(
        pa.array(LABELS).dictionary_encode(), pa.dictionary(pa.int32(), pa.string())
    ),
    "arrow lists": arrow([[int(k)] for k in NUMBERS], pa.list_(pa.int64())),
    "arrow records": arrow([{"a": int(k)} for k in NUMBERS], pa.struct([("a", pa.int64())])),
    "arrow bytes": arrow([bytes([k]) for k in NUMBERS], pa.binary()),
    "sets": objects({int(k)} for k in NUMBERS),
    "fractions": objects(Fraction(int(k), 3) for k in NUMBERS),
    "paths": objects(PurePosixPath(str(k)) for k in NUMBERS),
    "members": objects([Arm.CARE, Arm.DRUG][k % 2] for k in NUMBERS),
    "records": objects(np.array([(k, 0) for k in NUMBERS], dtype="i4,f4")),
    "geometries": objects(object() for _ in NUMBERS),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("gaps", [False, True])
def test_what_no_file_holds_is_refused_before_sampling_and_the_remedy_works(name, gaps):
    column = with_gaps(REFUSED[name]) if gaps else REFUSED[name]
    df = pd.DataFrame({"x": NUMBERS * 1.0, "y": with_gaps(pd.Series(NUMBERS * 2.0)), name: column})
    arguments = {"m": 2, "iterations": 1, "seed": 1, "progress": False, "method": "sample"}
    with pytest.raises(DataError, match=name) as refused:
        bi.impute(df, **arguments)
    said = str(refused.value)
    code = said[said.index("df[") :].removesuffix(".").partition(", or leave")[0]
    df[name] = eval(code, {"df": df})
    completed = bi.impute(df, **arguments).complete(1)
    assert_observed_cells_equal(completed, df)


@pytest.mark.parametrize("name", [*OTHERS, *DATES])
def test_the_remedy_makes_a_number_a_category_or_a_date_that_is_imputed(name):
    df = pd.DataFrame({"x": NUMBERS * 1.0, name: with_gaps((OTHERS | DATES)[name])})
    arguments = {"m": 2, "iterations": 1, "seed": 1, "progress": False}
    if name in OTHERS:
        with pytest.raises(SpecificationError, match="convert it first: df"):
            bi.impute(df, method={name: "sample"}, **arguments)
    code = remedy(Table.from_frame(df), name).partition(" = ")[2]
    df[name] = eval(code, {"df": df, "pd": pd})
    completed = bi.impute(df, method={name: "sample"}, **arguments).complete(1)
    assert not completed[name].isna().any()


INDEXES = {
    "several levels": pd.MultiIndex.from_arrays(
        [DAYS, pd.Categorical(LABELS), range(N)], names=["day", None, ("a", 1)]
    ),
    "dates": pd.date_range("2020", periods=N, tz="UTC", name="day"),
    "durations": pd.timedelta_range("1D", periods=N),
    "repeated": pd.Index([1] * N),
    "range": pd.RangeIndex(5, 5 + 2 * N, 2, name="id"),
    "intervals": pd.interval_range(0, N),
    "categories": pd.CategoricalIndex(LABELS),
    "periods": pd.period_range("2020", periods=N, freq="M"),
    "objects": pd.Index([1, "a"] * (N // 2), dtype=object),
    "tuples": pd.Index([(1, k) for k in range(N)], tupleize_cols=False),
    "missing": pd.Index([np.nan] * N),
    "nullable": pd.Index(range(N), dtype="Int64"),
    "arrow": pd.Index(pd.array(range(N), dtype="int64[pyarrow]")),
}


@pytest.mark.parametrize("name", INDEXES)
def test_any_index_comes_back_from_completing_and_from_the_file(name):
    frame = pd.DataFrame({"x": NUMBERS * 1.0, "y": with_gaps(pd.Series(NUMBERS * 2.0))})
    frame = frame.set_axis(INDEXES[name])
    pd.testing.assert_frame_equal(decode_frame(*encode_frame(frame)), frame)
    completed = Table.from_frame(frame).completed({"y": np.zeros(N)})
    pd.testing.assert_index_equal(completed.index, frame.index)


def test_cells_of_other_data_become_the_labels_of_these():
    variable, _ = encode(pd.Series([True, False, None], dtype=object, name="x"))
    column, numbers = recoded(pd.Series([1.0, None, 0.0]), variable, np.arange(2.0), "here", "new")
    assert [type(cell) for cell in column] == [bool, type(None), bool]
    np.testing.assert_array_equal(numbers, [1.0, np.nan, 0.0])
    variable, _ = encode(pd.Series(pd.Categorical([7, 8, 9]), name="x"))
    with pytest.raises(DataError, match=r"'x' is 9 in 1 row\(s\), new\. Known are '7', '8'\."):
        recoded(pd.Series([9, 7]), variable, np.arange(2.0), "here", "new")


def test_numbers_as_objects_of_other_data_stay_the_users_own_cells():
    variable, _ = encode(pd.Series([1, 2, None], dtype=object, name="x"))
    given = pd.Series([10**25, None, 7], dtype=object)  # a float would be another number
    column, numbers = recoded(given, variable, np.empty(0), "here", "new")
    pd.testing.assert_series_equal(column, given)
    np.testing.assert_array_equal(numbers, [1e25, np.nan, 7.0])
    assert recoded(given.dropna().map(str), variable, np.empty(0), "here", "new")[0].dtype == float
