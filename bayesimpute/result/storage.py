"""One result, one netCDF file: written, sealed, and read without trusting it.

The groups of ``imp.datatree`` are stored as they are. Beside them the group ``bayesimpute`` holds
the user's frame, the specification and the resumable states, as JSON text and numeric arrays.
Nothing is pickled, so that opening a stranger's file runs no code. A checksum ends the file.

Every variable of a netCDF file takes milliseconds to write, whatever its length. So all our arrays
but the frame's columns lie one behind the other in one of bytes, and an index says what each is (up
to version 3 they were variables); and while a run goes on, its checkpoint is our group alone.

The HDF5 library may never return from a damaged file (tried: a few flipped bits made it loop), so
a file is checked as plain bytes first. HDF5 ignores what follows its own end, so that other
programs read a sealed file as any other.

HDF5 can point elsewhere (links, external and virtual storage), declare gigabytes that are nowhere,
and unpack filters. The writer uses none of it: every array lies in one piece within the file. What
lies otherwise is refused before a byte of it is allocated.

Nor is text of any length asked of HDF5: it lies in a heap that bears no checksum, and HDF5 may
never come back from a damaged one. Our attributes are a number and text of a fixed length. Files
of version 1 have the name of the format in that heap, and there it is left unread: it tells
nothing that the group's name, the version and a description that fits every array do not.
"""

import io
import json
import tempfile
import zipfile
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import checked
from bayesimpute.errors import FileFormatError, SpecificationError
from bayesimpute.files import check_target, write
from bayesimpute.result.codec import Arrays, encode, forms
from bayesimpute.result.frame_store import encode_frame, parse
from bayesimpute.result.run import Run
from bayesimpute.result.seal import ADVICE, check_seal, sealed
from bayesimpute.specification.latent_means import without_fixed_priors

if TYPE_CHECKING:
    import xarray as xr


GROUP = "bayesimpute"
#: Bytes, which are stored in place: text would go to a heap of any length (see above).
FORMAT = b"bayesimpute imputations"
FORMAT_VERSION = 4
#: Version since which arrays lie in one, and what our group has since then.
FIRST_OF_ONE_ARRAY = 4
PARTS = ("description", "index", "arrays")


@checked
def to_netcdf(run: Run, path: str | PathLike[str]) -> None:
    """Write a result to one netCDF-4 file, all or nothing.

    The file is written beside its final place and then renamed, so that an interrupted write
    leaves what was there before.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    path
        File to write; an existing one is replaced.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    DataError
        If a column holds values a file without code cannot hold.

    Notes
    -----
    Own methods, priors and ``post`` functions are code and are not stored; their text is.
    """
    check_target(path)
    stored = run.datatree.copy()
    stored[GROUP] = own_group(run)
    write(path, content_of(stored))


def to_checkpoint(run: Run, path: Path) -> None:
    """Write what `bayesimpute.open` reads and nothing else, all or nothing."""
    write(path, content_of(_own_tree(run)))


def content_of(stored: "xr.DataTree") -> bytes:
    """Give the sealed content of a file."""
    # in memory first: the HDF5 library ends the process when a disk is full
    content = io.BytesIO()
    stored.to_netcdf(content, engine="h5netcdf")
    return sealed(content.getvalue())


def own_group(run: Run) -> "xr.Dataset":
    """Give what only `bayesimpute.open` reads: description and arrays of the whole run."""
    import xarray as xr

    specification = run.specification
    frame, columns = encode_frame(specification.table.frame)
    arrays: Arrays = {}
    stored = replace(run, specification=without_fixed_priors(specification))
    whole = {"frame": frame, **encode(stored, Run, arrays)}
    index = {name: (kind.str, size) for name, (size, kind) in forms(arrays).items()}
    texts = (json.dumps(each, allow_nan=False).encode() for each in (whole, index))
    content = [np.ascontiguousarray(array).view(np.uint8) for array in arrays.values()]
    parts = (*(np.frombuffer(text, dtype=np.uint8) for text in texts), np.concatenate(content))
    held = {n: each.astype(np.uint8) if each.dtype == bool else each for n, each in columns.items()}
    held |= dict(zip(PARTS, parts, strict=True))
    return xr.Dataset(
        {name: ((f"length_{each.size}",), each) for name, each in held.items()},
        attrs={"format": np.bytes_(FORMAT), "format_version": FORMAT_VERSION},
    )


def _own_tree(run: Run) -> "xr.DataTree":
    import xarray as xr

    return xr.DataTree.from_dict({GROUP: own_group(run)})


#: How netCDF says in an attribute that a dataset only gives a dimension its length.
ONLY_A_DIMENSION = b"This is a netCDF dimension but not a netCDF variable"
#: Longest attribute of ours in bytes: a version is a number, a format a few words.
LONGEST = 1024
#: Version since which the name of the format is text of a fixed length.
FIRST_OF_FIXED_LENGTH = 2


class _Foreign(Exception):
    """What the writer would not have written."""


def read_arrays(path: Path) -> Arrays:
    """Read the arrays of our group, description included; the file is closed again.

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
        If it is not a result, is damaged, of a newer version, or stored in another way than
        ``imp.to_netcdf`` stores.
    """
    import h5py

    check_seal(path)
    try:
        with h5py.File(path, "r") as file:
            group = _member(file, GROUP)
            if not isinstance(group, h5py.Group):
                raise _Foreign(f"{GROUP} is no group")
            version = _version(group)
            if version <= FORMAT_VERSION:
                held = _held(group, path.stat().st_size)
                if version < FIRST_OF_ONE_ARRAY:
                    return {name: dataset[()] for name, dataset in held.items()}
                return _apart(held)
    except _Foreign as problem:
        raise FileFormatError(
            f"{str(path)!r} is not a result of bayesimpute: {problem}; {ADVICE}."
        ) from None
    except Exception as problem:  # a file sealed by someone else fails in as many ways as HDF5 has
        raise FileFormatError(
            f"{str(path)!r} is not a result of bayesimpute; {ADVICE}."
        ) from problem
    raise FileFormatError(
        f"{str(path)!r} has format version {version}; this bayesimpute reads up to "
        f"{FORMAT_VERSION}. Update bayesimpute to open it."
    )


def _member(group: Any, name: str) -> Any:
    """Give a member that is in the file itself and not behind a link."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise _Foreign(f"{name!r} is a link")
    return group[name]


def _version(group: Any) -> int:
    """Give the version of the format, which is to be ours."""
    version = _attribute(group, "format_version")
    if version.dtype.kind not in "iu":
        raise _Foreign("its version is no number")
    if int(version) >= FIRST_OF_FIXED_LENGTH and bytes(_attribute(group, "format")) != FORMAT:
        raise _Foreign("it is of another program")
    return int(version)


def _attribute(holder: Any, name: str) -> Any:
    """Give a number, or text of a fixed length; its type is looked at before its value."""
    attribute = holder.attrs.get_id(name)
    size, kind = attribute.dtype.itemsize, attribute.dtype.kind
    if kind not in "iuS" or size > LONGEST or attribute.shape not in ((), (1,)):
        raise _Foreign(f"its attribute {name!r} is no number and no text of a fixed length")
    value = np.empty(1, attribute.dtype).reshape(attribute.shape)
    attribute.read(value)
    return value.reshape(())[()]


def _held(group: Any, size: int) -> dict[str, Any]:
    """Give every array that is not only a dimension, together no more than the file holds."""
    datasets = {name: _member(group, name) for name in group}
    held = {name: each for name, each in datasets.items() if not _is_dimension(each)}
    for name, dataset in held.items():
        _check_storage(name, dataset, size)
    if sum(dataset.nbytes for dataset in held.values()) > size:
        raise _Foreign("its arrays declare more than the file holds")
    return held


def _apart(held: dict[str, Any]) -> Arrays:
    """Cut our array into those of its index, each read by itself: nothing is held twice."""
    if not set(PARTS) <= set(held) or any(held[name].dtype != np.uint8 for name in PARTS):
        raise _Foreign("its arrays are not those of a result")
    description, index, content = (held[name] for name in PARTS)
    arrays, start = {}, 0
    for name, (text, size) in parse(index[()].tobytes()).items():
        kind = np.dtype(text)
        stop = start + size * kind.itemsize
        if kind.kind not in "iuf" or not start <= stop <= content.size or name in held:
            raise _Foreign(f"{name!r:.60} is no array within the file")
        arrays[name] = content[start:stop].view(kind)
        start = stop
    if start != content.size:
        raise _Foreign("its arrays declare less than the file holds")
    columns = {name: each[()] for name, each in held.items() if name not in PARTS}
    return arrays | columns | {PARTS[0]: description[()]}


def _is_dimension(dataset: Any) -> bool:
    if "NAME" not in dataset.attrs:
        return False
    name = _attribute(dataset, "NAME")
    return isinstance(name, bytes) and name.startswith(ONLY_A_DIMENSION)


def _check_storage(name: str, dataset: Any, size: int) -> None:
    """Refuse an array that does not lie in one piece within the file."""
    import h5py

    if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 1:
        raise _Foreign(f"{name!r} is no array")
    if dataset.dtype.kind not in "iuf":
        raise _Foreign(f"{name!r} is no array of numbers")
    if dataset.size == 0:
        return
    created = dataset.id.get_create_plist()
    if dataset.external or dataset.is_virtual:
        raise _Foreign(f"{name!r} is stored in another file")
    if created.get_layout() == h5py.h5d.CHUNKED or created.get_nfilters() > 0:
        raise _Foreign(f"{name!r} is stored in pieces or compressed")
    if dataset.id.get_storage_size() != dataset.nbytes or dataset.nbytes > size:
        raise _Foreign(f"{name!r} declares more than the file holds")


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
    own = content_of(_own_tree(run))
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
