"""Arrays of a result file, read without trusting it.

HDF5 can point elsewhere (links, external and virtual storage), declare gigabytes that are nowhere,
and unpack filters. The writer uses none of it: every array lies in one piece within the file. What
lies otherwise is refused before a byte of it is allocated.
"""

from pathlib import Path
from typing import Any

import numpy as np

from bayesimpute.errors import FileFormatError
from bayesimpute.result.seal import ADVICE, check_seal
from bayesimpute.result.storage import FORMAT, FORMAT_VERSION, GROUP, Arrays

#: How netCDF says in an attribute that a dataset only gives a dimension its length.
ONLY_A_DIMENSION = b"This is a netCDF dimension but not a netCDF variable"
#: Longest attribute of ours in bytes: a version is a number, a format a few words.
LONGEST = 1024


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
            if _attribute(group, "format") != FORMAT:
                raise _Foreign("it is of another program")
            version = int(_attribute(group, "format_version"))
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


def _attribute(group: Any, name: str) -> Any:
    """Give a short text or a number."""
    attribute = group.attrs.get_id(name)
    if int(np.prod(attribute.shape, dtype=object)) > 1 or attribute.dtype.itemsize > LONGEST:
        raise _Foreign(f"its attribute {name!r} is no single value")
    value = np.ravel(group.attrs[name])[0]
    return value.decode() if isinstance(value, bytes) else value


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
    return bytes(dataset.attrs.get("NAME", b"")).startswith(ONLY_A_DIMENSION)


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
