"""Cells of text and of objects as JSON in an array of bytes, a line for every so many cells.

As one JSON text with the rest they would have to be in memory several times over when a file is
opened; so they are read a line at a time.
"""

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.result import json_values

#: Cells on a line: few enough to hold twice, enough for JSON to be fast.
PER_LINE = 4096


def to_lines(series: "pd.Series[Any]", encode: Callable[[Any], Any]) -> np.ndarray:
    """Write cells as lines of JSON.

    Parameters
    ----------
    series
        The cells.
    encode
        Gives a cell as what JSON can hold.

    Returns
    -------
    numpy.ndarray
        Bytes, uint8 (byte,).
    """
    return np.frombuffer(b"".join(_written(series, encode)), dtype=np.uint8)


def form_of_lines(series: "pd.Series[Any]", encode: Callable[[Any], Any]) -> np.ndarray:
    """Length and type of what `to_lines` gives, as an array that takes no memory."""
    return np.broadcast_to(np.uint8(0), sum(map(len, _written(series, encode))))


def _written(series: "pd.Series[Any]", encode: Callable[[Any], Any]) -> Iterator[bytes]:
    cells = map(encode, series)
    while line := list(islice(cells, PER_LINE)):
        yield json.dumps(line, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def text_of(stored: np.ndarray, dtype: Any) -> Any:
    """Cells of text, of a dtype of pandas, from the bytes of `to_lines`."""
    parts = [pd.Series(line, dtype=dtype) for line in _lines(stored)]
    return pd.concat(parts, ignore_index=True).array if parts else pd.array([], dtype=dtype)


def objects_of(stored: np.ndarray) -> np.ndarray:
    """Cells of any kind, dtype object, from the bytes of `to_lines`; equal text is held once."""
    held: dict[str, str] = {}
    parts = []
    for line in _lines(stored):
        part = np.empty(len(line), dtype=object)
        for k, cell in enumerate(map(json_values.decode, line)):
            part[k] = held.setdefault(cell, cell) if isinstance(cell, str) else cell
        parts.append(part)
    return np.concatenate(parts) if parts else np.empty(0, dtype=object)


def _lines(stored: np.ndarray) -> Iterator[list[Any]]:
    """Cells of one line after the other, each in memory only while it is looked at."""
    if stored.dtype != np.uint8:
        raise ValueError("cells are not stored as bytes")
    for line in re.finditer(rb"[^\n]+", stored.data):
        cells = json_values.parse(line.group())
        if not isinstance(cells, list) or len(cells) > PER_LINE:
            raise ValueError("cells are not as they are written")
        yield cells
