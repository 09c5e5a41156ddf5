"""Arrays of a result file, read without trusting it.

HDF5 can point elsewhere (links, external and virtual storage), declare gigabytes that are nowhere,
and unpack filters. The writer uses none of it: every array lies in one piece within the file. What
lies otherwise is refused before a byte of it is allocated.

Nor is text of any length asked of HDF5: it lies in a heap that bears no checksum, and HDF5 may
never come back from a damaged one. Our attributes are a number and text of a fixed length. Files
of version 1 have the name of the format in that heap, and there it is left unread: it tells
nothing that the group's name, the version and a description that fits every array do not.
"""

from pathlib import Path
from typing import Any

import numpy as np

from bayesimpute.errors import FileFormatError
from bayesimpute.result.codec import Arrays
from bayesimpute.result.seal import ADVICE, check_seal
from bayesimpute.result.storage import FORMAT, FORMAT_VERSION, GROUP

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
                return _arrays(group, path.stat().st_size)
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


def _arrays(group: Any, size: int) -> Arrays:
    """Read every array that is not only a dimension, together no more than the file holds."""
    datasets = {name: _member(group, name) for name in group}
    held = {name: each for name, each in datasets.items() if not _is_dimension(each)}
    for name, dataset in held.items():
        _check_storage(name, dataset, size)
    if sum(dataset.nbytes for dataset in held.values()) > size:
        raise _Foreign("its arrays declare more than the file holds")
    return {name: dataset[()] for name, dataset in held.items()}


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
