"""One result, one netCDF file: ArviZ reads the chains in it, ``bi.open`` the whole.

The groups of ``imp.datatree`` are stored as they are. Beside them the group ``bayesimpute`` holds
the user's frame, the specification and the resumable states, as JSON text and numeric arrays.
Nothing is pickled, so that opening a stranger's file runs no code. A checksum ends the file.
"""

import io
import json
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.arguments import checked
from bayesimpute.files import check_target, write
from bayesimpute.result.codec import encode
from bayesimpute.result.frame_store import encode_frame
from bayesimpute.result.run import Run
from bayesimpute.result.seal import sealed
from bayesimpute.specification.latent_means import without_fixed_priors

if TYPE_CHECKING:
    import xarray as xr

GROUP = "bayesimpute"
#: Bytes, which are stored in place: text would go to a heap of any length (see `reading`).
FORMAT = b"bayesimpute imputations"
FORMAT_VERSION = 3


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
    stored[GROUP] = _own_group(run)
    # in memory first: the HDF5 library ends the process when a disk is full
    content = io.BytesIO()
    stored.to_netcdf(content, engine="h5netcdf")
    write(path, sealed(content.getvalue()))


def _own_group(run: Run) -> "xr.Dataset":
    import xarray as xr

    specification = run.specification
    frame, arrays = encode_frame(specification.table.frame)
    stored = replace(run, specification=without_fixed_priors(specification))
    whole = {"frame": frame, **encode(stored, Run, arrays)}
    text = json.dumps(whole, allow_nan=False).encode()
    arrays = {"description": np.frombuffer(text, dtype=np.uint8), **arrays}
    return xr.Dataset(
        {
            name: ((f"{name}_length",), array.astype(np.uint8) if array.dtype == bool else array)
            for name, array in arrays.items()
        },
        attrs={"format": np.bytes_(FORMAT), "format_version": FORMAT_VERSION},
    )
