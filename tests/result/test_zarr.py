"""A result as a Zarr store in one file: the same that a netCDF file gives back."""

import sys
import zipfile

import arviz as az
import pandas as pd
import pytest
import xarray as xr
from zarr.storage import ZipStore

from bayesimpute.errors import FileFormatError, SpecificationError
from bayesimpute.opening import open_file
from bayesimpute.result.storage import CONTENT, to_netcdf, to_zarr


@pytest.fixture
def path(imputations, tmp_path):
    to_zarr(imputations, tmp_path / "imp.zarr.zip")
    return tmp_path / "imp.zarr.zip"


def test_a_store_gives_back_what_a_file_does(imputations, path, tmp_path):
    to_netcdf(imputations, tmp_path / "imp.nc")
    opened, other = open_file(path), open_file(tmp_path / "imp.nc")
    pd.testing.assert_frame_equal(opened.complete("long"), imputations.complete("long"))
    assert opened.history.states == other.history.states == imputations.history.states
    assert opened.specification.targets == other.specification.targets
    assert opened.fingerprint == other.fingerprint


def test_other_programs_read_its_groups(imputations, path):
    tree = az.from_zarr(ZipStore(path, mode="r"), consolidated=False)
    for group in imputations.datatree.children:
        xr.testing.assert_equal(tree[group].to_dataset(), imputations.datatree[group].to_dataset())


def test_opening_needs_no_zarr(imputations, path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    assert open_file(path).m == imputations.m


def test_writing_says_that_it_needs_zarr(imputations, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr.storage", None)
    with pytest.raises(SpecificationError, match=r"bayesimpute\[zarr\]"):
        to_zarr(imputations, tmp_path / "imp.zarr.zip")


def repacked(path, change, compression=zipfile.ZIP_STORED):
    """Write the store anew with other content."""
    with zipfile.ZipFile(path) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    members[CONTENT] = change(members[CONTENT])
    with zipfile.ZipFile(path, "w", compression) as packed:
        for name, content in members.items():
            if content is not None:
                packed.writestr(name, content)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: None,
        lambda content: b"",
        lambda content: content[:-100],
        lambda content: content[:5000] + b"?" + content[5001:],
        lambda content: b"\x80\x04N.",
    ],
)
def test_a_store_that_was_changed_is_refused(path, change):
    repacked(path, change)
    with pytest.raises(FileFormatError):
        open_file(path)


def test_a_store_that_unpacks_to_more_is_refused(path):
    repacked(path, lambda content: bytes(10**7), zipfile.ZIP_DEFLATED)
    with pytest.raises(FileFormatError):
        open_file(path)


@pytest.mark.parametrize("cut", [3, 1000, -30])
def test_a_store_that_was_cut_off_is_refused(path, cut):
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(FileFormatError):
        open_file(path)


def test_what_was_there_stays_where_writing_fails(imputations, path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "no space")))
    with pytest.raises(OSError, match="cannot be written"):
        to_zarr(imputations, path)
    assert path.read_bytes() == before
