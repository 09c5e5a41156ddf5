"""Arrays to bytes and back, without pickle: states that wait in a file for ``extend``."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesimpute.data.names import original_text, safe_text
from bayesimpute.method import Adaptation

FIELDS = ("step_size", "variance", "start_mean", "start_sd")


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Named arrays as npz bytes."""
    buffer = io.BytesIO()
    named: dict[str, Any] = {safe_text(name): np.asarray(array) for name, array in arrays.items()}
    np.savez(buffer, **named)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, np.ndarray]:
    """Read what :func:`pack` wrote; object arrays are refused."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {original_text(name): archive[name] for name in archive.files}


def pack_adaptations(adaptations: Mapping[str, Adaptation]) -> bytes:
    """One adaptation a target, as bytes."""
    arrays: dict[str, np.ndarray] = {}
    for name, adaptation in adaptations.items():
        _flatten(adaptation, "", name, arrays)
    return pack(arrays)


def unpack_adaptations(data: bytes) -> dict[str, Adaptation]:
    """Read what :func:`pack_adaptations` wrote."""
    arrays = unpack(data)
    names = dict.fromkeys(key.split("|", 2)[2] for key in arrays)
    return {name: _gathered("", name, arrays) for name in names}


def _flatten(adaptation: Adaptation, path: str, name: str, arrays: dict[str, np.ndarray]) -> None:
    """Put the fields of an adaptation and of its parts under ``field|path|name``."""
    for field in FIELDS:
        arrays[f"{field}|{path}|{name}"] = np.asarray(getattr(adaptation, field))
    for k, part in enumerate(adaptation.parts):
        _flatten(part, f"{path}/{k}", name, arrays)


def _gathered(path: str, name: str, arrays: Mapping[str, np.ndarray]) -> Adaptation:
    step_size, variance, mean, sd = (arrays[f"{field}|{path}|{name}"] for field in FIELDS)
    parts: list[Adaptation] = []
    while f"{FIELDS[0]}|{path}/{len(parts)}|{name}" in arrays:
        parts.append(_gathered(f"{path}/{len(parts)}", name, arrays))
    return Adaptation(float(step_size), variance, mean, sd, tuple(parts))
