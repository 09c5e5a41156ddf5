"""One result, one Zarr store in a zip file, for those whose other data are Zarr.

The groups of ``imp.datatree`` are Zarr groups. What only we read, and must read without trust, is
the sealed content of `bayesimpute.result.storage`, as the bytes of one array. So opening is that of
a netCDF file, in which no codec of a stranger runs and damage is noticed.
"""

import io
import tempfile
import zipfile
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import checked
from bayesimpute.errors import FileFormatError, SpecificationError
from bayesimpute.files import check_target, write
from bayesimpute.result.codec import Arrays
from bayesimpute.result.run import Run
from bayesimpute.result.storage import GROUP, content_of, own_group, read_arrays

if TYPE_CHECKING:
    import xarray as xr

#: Where the bytes of our array lie in the store: uncompressed, in one chunk.
CONTENT = f"{GROUP}/content/c/0"


@checked
def to_zarr(run: Run, path: str | PathLike[str]) -> None:
    """Write a result to a Zarr store in one zip file, all or nothing.

    ``bi.open`` opens it, equal to the one that was written. Others read the groups of
    ``imp.datatree`` from ``zarr.storage.ZipStore(path, mode="r")``, as ``arviz.from_zarr`` does.
    The file is written beside its final place and then renamed, so that an interrupted write leaves
    what was there before. Needs Zarr: ``pip install "bayesimpute[zarr]"``.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    path
        File to write, such as ``"imp.zarr.zip"``; an existing one is replaced.

    Raises
    ------
    SpecificationError
        If Zarr is not installed.
    FileNotFoundError
        If the folder does not exist.
    DataError
        If a column holds values a file without code cannot hold.

    Notes
    -----
    Own methods, priors and ``post`` functions are code and are not stored; their text is.
    """
    import xarray as xr

    try:
        from zarr.storage import MemoryStore
    except ImportError:
        raise SpecificationError(
            "to_zarr needs Zarr, which is not installed: pip install 'bayesimpute[zarr]'."
        ) from None
    check_target(path)
    own = content_of(xr.DataTree.from_dict({GROUP: own_group(run)}))
    array = np.frombuffer(own, dtype=np.uint8)
    stored = run.datatree.map_over_datasets(_plain)
    stored[GROUP] = xr.Dataset({"content": (("byte",), array)})
    kept: dict[str, Any] = {}
    whole = {f"/{GROUP}": {"content": {"compressors": None, "chunks": array.shape}}}
    stored.to_zarr(MemoryStore(kept), zarr_format=3, consolidated=False, encoding=whole)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as packed:
        for name, each in kept.items():
            packed.writestr(name, each.to_bytes())
    write(path, content.getvalue())


def _plain(data: "xr.Dataset") -> "xr.Dataset":
    """Text of any length, which has a place in Zarr's format; that of a fixed length has none."""
    fixed = [name for name, each in data.variables.items() if each.dtype.kind == "U"]
    return data.assign({name: data[name].astype(object) for name in fixed})


def read_zarr(path: Path) -> Arrays:
    """Read the arrays of our group.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        Name -> array (1-d, numbers).

    Raises
    ------
    FileFormatError
        If it is not a result, or is damaged.
    """
    advice = "give a file written by imp.to_zarr() or imp.to_netcdf()"
    try:
        with zipfile.ZipFile(path) as packed:
            content = packed.getinfo(CONTENT)
            packs = content.compress_type != zipfile.ZIP_STORED
            if packs or content.file_size > path.stat().st_size:
                raise FileFormatError(f"{str(path)!r} is not a result of bayesimpute; {advice}.")
            held = packed.read(content)
    except (zipfile.BadZipFile, KeyError, OSError, RuntimeError, ValueError) as problem:
        raise FileFormatError(
            f"{str(path)!r} is damaged, or not a result of bayesimpute; {advice}."
        ) from problem
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / path.name
        inside.write_bytes(held)
        return read_arrays(inside)
