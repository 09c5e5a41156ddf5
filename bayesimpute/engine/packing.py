"""Arrays to bytes and back, without pickle: states that wait in a file for ``extend``."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesimpute.method import Adaptation

FIELDS = ("step_size", "variance", "start_mean", "start_sd")


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Named arrays as npz bytes."""
    buffer = io.BytesIO()
    named: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    np.savez(buffer, **named)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, np.ndarray]:
    """Read what :func:`pack` wrote; object arrays are refused."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def pack_adaptations(adaptations: Mapping[str, Adaptation]) -> bytes:
    """One adaptation a target, as bytes."""
    return pack(
        {
            f"{field}|{name}": np.asarray(getattr(adaptation, field))
            for name, adaptation in adaptations.items()
            for field in FIELDS
        }
    )


def unpack_adaptations(data: bytes) -> dict[str, Adaptation]:
    """Read what :func:`pack_adaptations` wrote."""
    arrays = unpack(data)
    names = dict.fromkeys(key.split("|", 1)[1] for key in arrays)
    return {
        name: Adaptation(
            float(arrays[f"step_size|{name}"]),
            *(arrays[f"{field}|{name}"] for field in FIELDS[1:]),
        )
        for name in names
    }
