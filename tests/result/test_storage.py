"""The file: what comes back is what went in, and a wrong file is refused in one sentence."""

import datetime as dt
import pickle
import zipfile
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import h5netcdf
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xarray as xr

import bayesimpute as bi
from bayesimpute.errors import DataError, FileFormatError, SpecificationError
from bayesimpute.opening import open_file
from bayesimpute.result.frame_store import decode_frame, encode_frame
from bayesimpute.result.seal import LENGTH, seal
from bayesimpute.result.storage import GROUP, to_netcdf


@pytest.fixture
def path(imputations, tmp_path):
    to_netcdf(imputations, tmp_path / "imp.nc")
    return tmp_path / "imp.nc"


def test_a_result_comes_back_whole(imputations, path):
    opened = open_file(path)
    for original, again in zip(
        imputations.complete("all", include=True), opened.complete("all", include=True), strict=True
    ):
        pd.testing.assert_frame_equal(original, again)
    for group in imputations.datatree.children:
        xr.testing.assert_identical(
            imputations.datatree[group].to_dataset(), opened.datatree[group].to_dataset()
        )
    pd.testing.assert_frame_equal(imputations.events, opened.events)
    pd.testing.assert_frame_equal(imputations.predictors, opened.predictors)
    assert opened.method == imputations.method
    assert opened.specification.targets == imputations.specification.targets
    assert opened.specification.visit_sequence == imputations.specification.visit_sequence
    assert opened.history.states == imputations.history.states
    assert opened.history.adaptation == imputations.history.adaptation
    assert list(opened.history.chain_share) == ["mood", "girl", "town"]
    for name, shares in imputations.history.chain_share.items():
        np.testing.assert_array_equal(opened.history.chain_share[name], shares)
    assert opened.history.seed == 2**127 + 1
    assert opened.history.events == imputations.history.events
    assert opened.created_at == imputations.created_at
    for name, cells in imputations.specification.where.items():
        np.testing.assert_array_equal(cells, opened.specification.where[name])


def test_cluster_ids_of_mixed_types_come_back_with_their_types(path, pupils):
    again = open_file(path).data["school"].tolist()
    assert [(type(a), a) for a in again] == [(type(a), a) for a in pupils["school"]]


def test_arviz_reads_the_same_file(path, imputations):
    tree = xr.open_datatree(path, engine="h5netcdf")
    np.testing.assert_array_equal(
        tree["posterior"]["popular.mean"], imputations.history.chain_mean["popular"]
    )
    tree.close()


def test_writing_again_replaces_the_file_and_leaves_nothing_beside_it(imputations, path):
    to_netcdf(imputations, path)
    assert [file.name for file in path.parent.iterdir()] == ["imp.nc"]


def test_a_write_that_fails_leaves_the_old_file(make_imputations, path):
    before = path.read_bytes()
    odd = pd.DataFrame({"x": [1.0, np.nan, 2], "odd": [object(), object(), object()]})
    with pytest.raises(DataError, match=r"'odd'.*object"):
        to_netcdf(make_imputations(odd), path)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


def test_writing_into_a_missing_folder_says_so(imputations, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        to_netcdf(imputations, tmp_path / "none" / "imp.nc")


def _truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flipped(path):
    content = bytearray(path.read_bytes())
    for k in range(len(content) // 4, len(content), 97):
        content[k] ^= 0xFF
    path.write_bytes(content)


def _foreign(path):
    xr.Dataset({"temperature": ("time", [1.0, 2.0])}).to_netcdf(path, engine="h5netcdf")


def _foreign_with_seal(path):
    _foreign(path)
    seal(path)


@contextmanager
def _changed(path):
    """Our group, open for changes by someone who knows how to seal the file again."""
    path.write_bytes(path.read_bytes()[:-LENGTH])
    with h5netcdf.File(path, "a") as file:
        yield file[GROUP]
    seal(path)


def _newer(path):
    with _changed(path) as group:
        group.attrs["format_version"] = 99


def _contradictory(path):
    with _changed(path) as group:
        text = bytes(np.asarray(group["description"][...]).astype(np.uint8))
        text = text.replace(b'"iterations": 6', b'"iterations": 7')
        group["description"][...] = np.frombuffer(text, dtype=np.uint8)


def _turned_shares(path):
    with _changed(path) as group:
        text = bytes(np.asarray(group["description"][...]).astype(np.uint8))
        text = text.replace(b'"shape": [4, 6, 3]', b'"shape": [4, 3, 6]')
        group["description"][...] = np.frombuffer(text, dtype=np.uint8)


def _one_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _pickled(path):
    path.write_bytes(pickle.dumps({"m": 20}))


def _zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("imp.nc", "nothing")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_truncated, "not a whole result of bayesimpute: .*cut off"),
        (_flipped, "of another program, or cut off|damaged"),
        (_one_bit, "is damaged: its checksum does not fit"),
        (_foreign, "not a whole result of bayesimpute: of another program"),
        (_foreign_with_seal, "is not a result of bayesimpute"),
        (_newer, "format version 99"),
        (_contradictory, "is damaged: its contents do not fit together \\(ValueError"),
        (_turned_shares, "is damaged: .*\\(4, 3, 6\\) shares of the categories of 'mood'"),
        (_pickled, "is not a netCDF-4 file"),
        (_zipped, "is damaged, or not a result of bayesimpute"),
        (lambda path: path.write_text("school,popular\n1,5\n"), "is not a netCDF-4 file"),
        (lambda path: path.write_bytes(b""), "is not a netCDF-4 file"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_file_is_refused_in_one_sentence(path, spoil, sentence):
    spoil(path)
    with pytest.raises(FileFormatError, match=sentence) as caught:
        open_file(path)
    assert "\n" not in str(caught.value) and "imp.nc" in str(caught.value)


def test_a_missing_file_and_a_folder_are_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        open_file(tmp_path / "none.nc")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        open_file(tmp_path)


def _own_method(design):
    return design


def test_own_callables_are_not_stored_but_can_be_given_again(make_imputations, pupils, tmp_path):
    imp = make_imputations(
        pupils[["school", "popular", "weight"]],
        {"popular": _own_method},
        priors={"sigma": object()},
        options={"donors": 3},
    )
    to_netcdf(imp, tmp_path / "own.nc")
    opened = open_file(tmp_path / "own.nc")
    pd.testing.assert_frame_equal(opened.complete(1), imp.complete(1))
    with pytest.raises(SpecificationError, match=r"methods=\{'popular': …\}.*_own_method.*priors="):
        opened.extend(1)
    again = open_file(
        tmp_path / "own.nc",
        methods={"popular": _own_method},
        priors={"popular": {"sigma": 1.0}},
    )
    target = again.specification.targets["popular"]
    assert target.method is _own_method
    assert dict(target.priors) == {"sigma": 1.0} and dict(target.options) == {"donors": 3}
    with pytest.raises(SpecificationError, match="already holds"):
        open_file(tmp_path / "own.nc", methods={"weight": _own_method})


def test_a_stored_method_cannot_be_exchanged_when_opening(path):
    with pytest.raises(SpecificationError, match=r"'popular'.*already holds"):
        open_file(path, methods={"popular": "pmm"})


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, 2, 3], dtype="int8"),
        pd.Series([2**63, 1, 3], dtype="uint64"),
        pd.Series([0.1, np.nan, -0.0]),
        pd.Series([True, False, True]),
        pd.Series([2**53 + 1, None, 3], dtype="Int64"),
        pd.Series([None, None, None], dtype="Int64"),
        pd.Series([0.1, None, 3], dtype="Float64"),
        pd.Series([True, None, False], dtype="boolean"),
        pd.Series(["a", None, "None"], dtype="str"),
        pd.Series(["a", None, "NA"], dtype="string"),
        pd.Series(["1", 1, 1.0], dtype=object),
        pd.Series([None, float("nan"), pd.NA], dtype=object),
        pd.Series(["b", None, "a"], dtype=pd.CategoricalDtype(["b", "a", "c"], ordered=True)),
        pd.Series([2, 1, None], dtype=pd.CategoricalDtype([1, 2])),
        pd.Series(pd.Categorical([True, None, False])),
        pd.Series(pd.to_datetime(["2001-02-03", None, "1999-01-01"])),
        pd.Series(pd.to_datetime(["2001-02-03", None, "1999-01-01"]).tz_localize("Europe/Madrid")),
        pd.Series(pd.to_timedelta(["1 day", None, "2 s"])),
        pd.Series([(1, "a"), (2, "b"), None], dtype=object),
        pd.Series([pd.Timestamp("2001-02-03", tz="UTC"), pd.Interval(0, 1), b"x"], dtype=object),
        pd.cut(pd.Series([1.0, 5.0, np.nan]), [0, 2, 6]),
    ],
    ids=lambda column: str(column.dtype),
)
def test_a_column_of_any_dtype_is_stored_exactly(column):
    frame = pd.DataFrame({"x": column})
    again = decode_frame(*encode_frame(frame))
    pd.testing.assert_frame_equal(frame, again)
    assert [type(v) for v in frame["x"]] == [type(v) for v in again["x"]]


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(4, 10, 2, name="row"),
        pd.Index(["c", "a", "b"], name="who"),
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["school", None]),
        pd.date_range("2001-01-01", periods=3, tz="UTC"),
        pd.CategoricalIndex(["x", "y", "x"]),
        pd.date_range("2001-01-01", periods=3, freq=pd.DateOffset(months=1)),
        pd.date_range("2001-12-24", periods=3, freq=pd.offsets.CDay(holidays=["2001-12-25"])),
    ],
    ids=lambda index: type(index).__name__,
)
def test_any_index_is_stored_exactly(index):
    frame = pd.DataFrame({"x": [1.0, 2, 3], "y": ["a", "b", "c"]}, index=index)
    frame.columns.name = "columns"
    again = decode_frame(*encode_frame(frame))
    pd.testing.assert_frame_equal(frame, again, check_freq=False)


def test_times_in_the_hour_that_a_clock_shows_twice_are_told_apart():
    zone = ZoneInfo("Europe/Madrid")
    hours = pd.date_range("2020-10-25 00:30", periods=2, freq="h", tz="UTC").tz_convert(zone)
    of_python = [dt.datetime(2020, 10, 25, 2, 30, tzinfo=zone, fold=k) for k in (0, 1)]
    column = pd.Series([*hours, *of_python], dtype=object)
    again = decode_frame(*encode_frame(pd.DataFrame({"x": column})))["x"]
    assert [(str(t), t.tzinfo, t.fold) for t in again] == [
        (str(t), t.tzinfo, t.fold) for t in column
    ]


def test_what_could_not_be_read_again_is_refused_when_it_is_written():
    nameless = dt.timezone(dt.timedelta(hours=1), "of our own")
    column = pd.Series([pd.Timestamp("2001-01-01", tz=nameless), "x"], dtype=object)
    with pytest.raises(DataError, match=r"'x'.*of our own"):
        encode_frame(pd.DataFrame({"x": column}))
    money = pd.Series([1, 2], dtype=pd.ArrowDtype(pa.decimal128(5, 2)))
    with pytest.raises(DataError, match=r"'x'.*astype\('float64'\)"):
        encode_frame(pd.DataFrame({"x": money}))
    index = pd.Index([1, 2], name=pd.Period("2001"))
    with pytest.raises(DataError, match=r"index.*Period"):
        encode_frame(pd.DataFrame({"x": [1.0, 2.0]}, index=index))


def test_large_bounds_and_seeds_are_read_again(tmp_path):
    rng = np.random.default_rng(1)
    income = np.where(np.arange(60) % 5, rng.uniform(1e5, 4e6, 60), np.nan)
    imp = bi.impute(
        pd.DataFrame({"income": income, "x": rng.normal(size=60)}),
        method={"income": "normal.truncated"}, seed=10**70, m=1, iterations=1, progress=False,
        model_options={"income": {"lower": 0, "upper": 5_000_000}},
    )  # fmt: skip
    imp.to_netcdf(tmp_path / "imp.nc")
    opened = open_file(tmp_path / "imp.nc")
    assert opened.history.seed == 10**70
    assert opened.specification.targets == imp.specification.targets
