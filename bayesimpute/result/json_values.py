"""Single values, and columns of cells, as JSON and back: exactly, and nothing is executed."""

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd

TAG = "__type__"
#: Dtypes of fixed small size, and text of NumPy of moderate length.
_DTYPE = re.compile(
    r"[<>|=]?[biufc]\d{1,2}|[<>|=]?U\d{1,4}|u?int\d{1,2}|float\d{1,3}|complex\d{1,3}|bool|object"
    r"|U?Int\d{1,2}|Float\d{1,2}|boolean|[\w :,()/+.-]{1,80}(\[[^\[\]]{1,60}\])?\[pyarrow\]"
)


#: Brackets within brackets that are read; nothing is written that is nested deeper.
DEEPEST = 200
#: Containers within containers that are written, each as three brackets at most.
MOST_LEVELS = 50
#: Text that stands between quotation marks, where brackets are no brackets.
_QUOTED = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
#: Characters of the text of a point in time.
_LONGEST_TIME = 64


class NotStorable(TypeError):
    """A value of a type that has no exact JSON form here."""


def parse(text: bytes) -> Any:
    """Read JSON, unless it is nested deeper than anything that is written.

    Raises
    ------
    ValueError
        If it is not JSON, or nested too deeply.

    Examples
    --------
    >>> parse(b'[1, "[[["]')
    [1, '[[[']
    """
    if text.count(b"[") + text.count(b"{") > DEEPEST:
        left = np.frombuffer(_QUOTED.sub(b"", text), dtype=np.uint8)
        opening = (left == ord("[")) | (left == ord("{"))
        closing = (left == ord("]")) | (left == ord("}"))
        deepest = int(np.cumsum(opening.astype(np.int64) - closing).max(initial=0))
        if deepest > DEEPEST:
            raise ValueError(f"JSON nested {deepest:,} deep; {DEEPEST} is the most that is written")
    return json.loads(str(text, "utf-8"))


def encode(value: Any, level: int = 0) -> Any:
    """JSON form of a value.

    None, bool, int, finite float and str stand for themselves; containers keep their kind; other
    types become ``{"__type__": name, "value": text}``.

    Parameters
    ----------
    value
        What is to be stored.
    level
        Containers it is within.

    Raises
    ------
    NotStorable
        For any other type, and for containers that are nested without end or nearly so.

    Examples
    --------
    >>> encode((1, "a"))
    {'__type__': 'tuple', 'value': [1, 'a']}
    """
    kind = type(value)
    if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
        return value
    if level > MOST_LEVELS:
        raise NotStorable(f"{kind.__qualname__} within {MOST_LEVELS} others")
    if kind is list:
        return [encode(each, level + 1) for each in value]
    if kind is dict:
        pairs = [[encode(part, level + 1) for part in pair] for pair in value.items()]
        return _tagged("dict", pairs)
    if kind is tuple:
        return _tagged("tuple", [encode(each, level + 1) for each in value])
    if kind is np.ndarray and value.dtype.kind in "biuf":
        return _tagged("array", [value.dtype.str, list(value.shape), value.ravel().tolist()])
    for name, (known, write, _) in _SCALARS.items():
        if kind is known:
            return _tagged(name, write(value))
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        return _tagged("numpy", [value.dtype.str, encode(value.item())])
    raise NotStorable(f"{kind.__module__}.{kind.__qualname__}")


def decode(stored: Any) -> Any:
    """Value of its JSON form; the inverse of `encode`.

    Raises
    ------
    ValueError
        If `stored` was not made by `encode`.
    """
    if isinstance(stored, list):
        return [decode(each) for each in stored]
    if not isinstance(stored, dict):
        return stored
    name, content = stored.get(TAG), stored.get("value")
    if name == "dict" and isinstance(content, list):
        return {decode(key): decode(each) for key, each in content}
    if name == "tuple" and isinstance(content, list):
        return tuple(decode(each) for each in content)
    if name == "array" and isinstance(content, list):
        dtype, shape, flat = content
        return np.array(flat, dtype=_plain(dtype, "biuf")).reshape(shape)
    if name == "numpy" and isinstance(content, list):
        return _plain(content[0]).type(decode(content[1]))
    if isinstance(name, str) and name in _SCALARS:
        return _SCALARS[name][2](content)
    raise ValueError(f"unknown stored type {name!r:.60}")


def _tagged(name: str, content: Any) -> dict[str, Any]:
    return {TAG: name, "value": content}


def known_dtype(code: Any) -> Any:
    """Name of a dtype of numbers, as it is stored; any other could ask for any amount of memory.

    Raises
    ------
    ValueError
        If it is another.

    Examples
    --------
    >>> known_dtype("<f8"), known_dtype("Int64"), known_dtype("double[pyarrow]")
    ('<f8', 'Int64', 'double[pyarrow]')
    """
    if not isinstance(code, str) or not _DTYPE.fullmatch(code):
        raise ValueError(f"unknown stored dtype {code!r:.60}")
    return code


def _plain(code: Any, kinds: str = "biufU") -> np.dtype:
    dtype = np.dtype(known_dtype(code))
    if dtype.kind not in kinds:
        raise ValueError(f"unknown stored dtype {code!r:.60}")
    return dtype


def _timestamp(content: Sequence[Any]) -> pd.Timestamp:
    text, unit, zone = content
    if len(text) > _LONGEST_TIME or (zone is not None and zone.startswith("dateutil")):
        raise ValueError(f"unknown stored time {text!r:.60} {zone!r:.60}")  # it would read a file
    return pd.Timestamp(text, tz=zone).as_unit(unit)


# name -> (exact type, value to JSON, JSON to value)
_SCALARS: Mapping[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "float": (float, repr, float),
    "NA": (type(pd.NA), lambda _: None, lambda _: pd.NA),
    "NaT": (type(pd.NaT), lambda _: None, lambda _: pd.NaT),
    "timestamp": (
        pd.Timestamp,
        lambda t: [t.tz_localize(None).isoformat(), t.unit, None if t.tz is None else str(t.tz)],
        _timestamp,
    ),
    "timedelta": (
        pd.Timedelta,
        lambda t: [int(t.value), t.unit],
        lambda c: pd.Timedelta(c[0], unit="ns").as_unit(c[1]),
    ),
    "datetime": (dt.datetime, lambda t: t.isoformat(), dt.datetime.fromisoformat),
    "date": (dt.date, lambda t: t.isoformat(), dt.date.fromisoformat),
    "time": (dt.time, lambda t: t.isoformat(), dt.time.fromisoformat),
    "duration": (
        dt.timedelta,
        lambda t: [t.days, t.seconds, t.microseconds],
        lambda c: dt.timedelta(*c),
    ),
    "decimal": (Decimal, str, Decimal),
    "uuid": (UUID, str, UUID),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "interval": (
        pd.Interval,
        lambda i: [encode(i.left), encode(i.right), i.closed],
        lambda c: pd.Interval(decode(c[0]), decode(c[1]), c[2]),
    ),
}


#: Cells on a line of bytes: few enough to hold twice while a file is opened, enough to be fast.
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
        for k, cell in enumerate(map(decode, line)):
            part[k] = held.setdefault(cell, cell) if isinstance(cell, str) else cell
        parts.append(part)
    return np.concatenate(parts) if parts else np.empty(0, dtype=object)


def _lines(stored: np.ndarray) -> Iterator[list[Any]]:
    """Cells of one line after the other, each in memory only while it is looked at."""
    if stored.dtype != np.uint8:
        raise ValueError("cells are not stored as bytes")
    for line in re.finditer(rb"[^\n]+", stored.data):
        cells = parse(line.group())
        if not isinstance(cells, list) or len(cells) > PER_LINE:
            raise ValueError("cells are not as they are written")
        yield cells
