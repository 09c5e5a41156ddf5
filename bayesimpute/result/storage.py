"""One result, one netCDF file: ArviZ reads the chains in it, ``bi.open`` the whole.

The groups of ``imp.datatree`` are stored as they are. Beside them the group ``bayesimpute`` holds
the user's frame, the specification and the resumable states, as JSON text and numeric arrays.
Nothing is pickled, so that opening a stranger's file runs no code.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.data.table import Table
from bayesimpute.errors import FileFormatError
from bayesimpute.result import restored
from bayesimpute.result.frame_store import decode_frame, encode_frame
from bayesimpute.result.history_store import decode_history, encode_history
from bayesimpute.result.imputations import Imputations
from bayesimpute.result.specification_store import decode_specification, encode_specification

if TYPE_CHECKING:
    import xarray as xr

GROUP = "bayesimpute"
FORMAT = "bayesimpute imputations"
FORMAT_VERSION = 1

type Arrays = dict[str, np.ndarray]


def to_netcdf(imputations: Imputations, path: str | PathLike[str]) -> None:
    """Write a result to one netCDF-4 file, all or nothing.

    The file is written beside its final place and then renamed, so that an interrupted write
    leaves what was there before.

    Parameters
    ----------
    imputations
        The result.
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
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path.parent)!r} to write {path.name!r}.")
    stored = imputations.datatree.copy()
    stored[GROUP] = _own_group(imputations)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        stored.to_netcdf(temporary, engine="h5netcdf")
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def open_file(
    path: str | PathLike[str],
    *,
    methods: Mapping[str, Any] | None = None,
    priors: Mapping[str, Mapping[str, Any]] | None = None,
    post: Mapping[str, Any] | None = None,
    model_options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Imputations:
    """Open a result written by ``imp.to_netcdf``; public as ``bi.open``.

    Parameters
    ----------
    path
        The file.
    methods, priors, post, model_options
        Target -> the user's own object, or (`priors`, `model_options`) target -> name -> object:
        code the file could not hold. Needed for ``extend`` and ``model`` only; completing,
        fitting, diagnosing and plotting work without.

    Returns
    -------
    Imputations
        Equal to the one that was written.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is not such a file, is damaged, or was written by a newer version.
    SpecificationError
        If an argument gives something the file already holds.

    Examples
    --------
    >>> imp.to_netcdf("popularity.nc")  # doctest: +SKIP
    >>> bi.open("popularity.nc").m  # doctest: +SKIP
    20
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{str(path)!r} {what}; give a file written by imp.to_netcdf().")
    groups = _read(path)
    try:
        imputations = _restore(groups)
    except FileFormatError:
        raise
    except Exception as problem:  # whatever a damaged file leads to, the user gets one sentence
        raise FileFormatError(
            f"{str(path)!r} is damaged: its contents do not fit together "
            f"({type(problem).__name__}: {problem}). Write it again with imp.to_netcdf()."
        ) from problem
    specification = restored.give_again(
        imputations.specification, methods or {}, priors or {}, post or {}, model_options or {}
    )
    return replace(imputations, specification=specification)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _own_group(imputations: Imputations) -> "xr.Dataset":
    import xarray as xr

    frame, arrays = encode_frame(imputations.specification.table.frame)
    specification, cells = encode_specification(imputations.specification)
    history, states = encode_history(imputations.history)
    description = {
        "frame": frame,
        "specification": specification,
        "history": history,
        "created_at": imputations.created_at,
        "versions": dict(imputations.versions),
    }
    text = np.frombuffer(json.dumps(description, allow_nan=False).encode(), dtype=np.uint8)
    everything = {
        name: array.astype(np.uint8) if array.dtype == bool else array
        for name, array in {"description": text, **arrays, **cells, **states}.items()
    }
    return xr.Dataset(
        {name: ((f"{name}_length",), array) for name, array in everything.items()},
        attrs={
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "sha256": _fingerprint(everything),
        },
    )


def _fingerprint(arrays: Arrays) -> str:
    """Digest of names and contents, to notice a damaged file whose structure is still sound."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + b"\0")
        digest.update(np.ascontiguousarray(arrays[name]).view(np.uint8))
    return digest.hexdigest()


def _read(path: Path) -> Arrays:
    """Arrays of our group, description included; everything in memory, the file closed again."""
    import h5py

    advice = "give a file written by imp.to_netcdf()"
    if not _is_hdf5(path):
        raise FileFormatError(f"{str(path)!r} is not a netCDF-4 file; {advice}.")
    try:
        with h5py.File(path, "r") as file:
            group = file.get(GROUP)
            attributes = dict(group.attrs) if group is not None else {}
            ours = str(attributes.get("format")) == FORMAT
            version = int(np.ravel(attributes["format_version"])[0]) if ours else 0
            readable = ours and version <= FORMAT_VERSION
            arrays = {n: np.asarray(values) for n, values in group.items()} if readable else {}
        arrays = {n: values for n, values in arrays.items() if not n.endswith("_length")}
        sound = str(attributes.get("sha256")) == _fingerprint(arrays)
    except Exception as problem:  # a damaged file fails in as many ways as HDF5 has parts
        raise FileFormatError(f"{str(path)!r} is damaged or cut off; {advice}.") from problem
    if not ours:
        raise FileFormatError(
            f"{str(path)!r} is a netCDF-4 file, but not a result of bayesimpute; {advice}."
        )
    if not readable:
        raise FileFormatError(
            f"{str(path)!r} has format version {version}; this bayesimpute reads up to "
            f"{FORMAT_VERSION}. Update bayesimpute to open it."
        )
    if not sound:
        raise FileFormatError(f"{str(path)!r} is damaged: its checksum does not fit; {advice}.")
    return arrays


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _restore(arrays: Arrays) -> Imputations:
    description = json.loads(arrays["description"].astype(np.uint8).tobytes().decode())
    table = Table.from_frame(decode_frame(description["frame"], arrays))
    imputations = Imputations(
        decode_specification(description["specification"], arrays, table),
        decode_history(description["history"], arrays),
        created_at=description["created_at"],
        versions=description["versions"],
    )
    _check_shapes(imputations)
    return imputations


def _check_shapes(imputations: Imputations) -> None:
    history, where = imputations.history, imputations.specification.where
    for target, draws in history.imputed.items():
        if draws.shape != (history.m, int(where[target].sum())):
            raise ValueError(f"{draws.shape} imputed values of {target!r}")
    for target, means in history.chain_mean.items():
        if means.shape != (history.m, history.iterations):
            raise ValueError(f"{means.shape} chain means of {target!r}")
