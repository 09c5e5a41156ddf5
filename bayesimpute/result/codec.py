"""Data classes, arrays and single values as JSON with arrays beside it, and back.

What a field may hold is said by its annotation, and by nothing else here: `encode` and `decode`
walk along the annotations of a data class, so that a new field is stored as soon as it is written
down, and nothing of another type is read into one. Code is never stored; its text is.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd

from bayesimpute.data.table import Table
from bayesimpute.result import json_values
from bayesimpute.result.restored import NotStored
from bayesimpute.specification.post import Squeeze
from bayesimpute.wrappers.catalogue import WRAPPERS
from bayesimpute.wrappers.delta import amount_text, is_distribution

type Arrays = dict[str, np.ndarray]

CALLABLE = "__callable__"
RECORD = "__wrapper__"
#: Data classes that may stand where anything may, by the names files know them by.
RECORDS: Mapping[str, type] = MappingProxyType({**WRAPPERS, "squeeze": Squeeze})

#: Largest whole number that stands in JSON as it is; a seed may be larger, and stands as text.
LARGEST = 1_000_000
_DIGITS = re.compile(r"\d{1,60}")


def encode(value: Any, hint: Any, arrays: Arrays, name: str = "") -> Any:
    """JSON form of a value.

    Parameters
    ----------
    value
        Of the type that `hint` says.
    hint
        Annotation: a data class, ``Mapping``, ``tuple``, a union, an array, bytes, text, numbers;
        ``Any`` and ``Callable`` for anything.
    arrays
        Takes the arrays within, flat, which the JSON form refers to by their names.
    name
        Of an array if it is one, or the beginning of the names of those within.
    """
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return None if value is None else _encode_one_of(value, inner, arrays, name)
    if kind is Mapping:
        return {
            key: encode(each, inner[1], arrays, f"{name}_{k}")
            for k, (key, each) in enumerate(value.items())
        }
    if kind is tuple:
        parts = zip(value, _parts(inner, len(value)), strict=True)
        return [encode(each, of, arrays, f"{name}_{k}") for k, (each, of) in enumerate(parts)]
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return {key: encode(getattr(value, key), of, arrays, key) for key, of in hints.items()}
    if kind in (np.ndarray, bytes):
        array = np.frombuffer(value, dtype=np.uint8) if kind is bytes else np.asarray(value)
        arrays[name] = np.ascontiguousarray(array).ravel()
        return {"array": name, "shape": list(array.shape), "dtype": array.dtype.str}
    if kind is pd.DataFrame:
        return _encode_matrix(value)
    if kind is int:
        return value if value <= LARGEST else str(value)
    if _is_plain(kind):
        return kind(value)
    return encode_object(value)


def decode(stored: Any, hint: Any, arrays: Arrays, table: Table | None = None) -> Any:
    """Value of its JSON form; the inverse of `encode`.

    Parameters
    ----------
    stored
        JSON form.
    hint
        Annotation.
    arrays
        Those the form refers to are taken out.
    table
        The data, which `encode` leaves out.

    Raises
    ------
    ValueError, TypeError, KeyError, AttributeError
        If `stored` was not made by `encode`.
    """
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        none = stored is None and NoneType in inner
        return None if none else _decode_one_of(stored, inner, arrays, table)
    if kind is Mapping:
        return {key: decode(each, inner[1], arrays, table) for key, each in stored.items()}
    if kind is tuple:
        of_type(stored, list)
        parts = zip(stored, _parts(inner, len(stored)), strict=True)
        return tuple(decode(each, of, arrays, table) for each, of in parts)
    if isinstance(kind, type) and is_dataclass(kind):
        return _decode_record(stored, kind, arrays, table)
    if kind in (np.ndarray, bytes):
        array = _decode_array(stored, arrays)
        return array.tobytes() if kind is bytes else array
    if kind is pd.DataFrame:
        return _decode_matrix(stored)
    if kind is int:
        whole = int(stored) if isinstance(stored, str) and _DIGITS.fullmatch(stored) else stored
        if type(whole) is not int or whole < 0 or (whole is stored and whole > LARGEST):
            raise ValueError(f"{stored!r:.60} is not as it is written")
        return whole
    if _is_plain(kind):
        return kind(of_type(stored, str)) if issubclass(kind, StrEnum) else of_type(stored, kind)
    value = decode_object(stored)
    return of_type(value, float) if kind is float else value


def encode_object(held: Any) -> Any:
    """JSON form of anything; of code and of what else cannot be stored the text."""
    for name, kind in RECORDS.items():
        if type(held) is kind:
            return {RECORD: name, **encode(held, kind, {})}
    try:
        return json_values.encode(held)
    except json_values.NotStorable:
        return {CALLABLE: text_of(held)}


def decode_object(stored: Any) -> Any:
    """Value of its JSON form; `NotStored` where only a text is known.

    Raises
    ------
    ValueError
        If `stored` was not made by `encode_object`.
    """
    if isinstance(stored, dict) and CALLABLE in stored:
        value: Any = NotStored(of_type(stored[CALLABLE], str))
    elif isinstance(stored, dict) and RECORD in stored:
        held = {key: part for key, part in stored.items() if key != RECORD}
        value = decode(held, RECORDS[stored[RECORD]], {})
    else:
        value = json_values.decode(stored)
    if encode_object(value) != stored:
        raise ValueError("a value is not as it is written")
    return value


def text_of(held: Any) -> str:
    """Text by which code can be told from other code, the same in every process."""
    if isinstance(held, NotStored):
        return held.text
    if is_distribution(held):
        import pytensor

        graph = pytensor.dprint(held, file="str")
        return f"{amount_text(held)} #{hashlib.sha256(graph.encode()).hexdigest()[:8]}"
    named = getattr(held, "__qualname__", None)
    return str(named or re.sub(r" at 0x[0-9a-fA-F]+", "", repr(held)))


def of_type(stored: Any, kind: type) -> Any:
    """Give back what is exactly of a type.

    Raises
    ------
    ValueError
        If it is of another.
    """
    if type(stored) is not kind:
        raise ValueError(f"{stored!r:.60} is no {kind.__name__}")
    return stored


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    """Annotation of each field of a data class that is stored; the data are stored as a frame."""
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind) if hints[f.name] is not Table}


def _parts(inner: tuple[Any, ...], length: int) -> tuple[Any, ...]:
    """Annotation of each part of a tuple."""
    return (inner[0],) * length if inner[-1] is Ellipsis else inner


def _is_plain(kind: Any) -> bool:
    return kind in (str, bool) or (isinstance(kind, type) and issubclass(kind, StrEnum))


def _encode_one_of(value: Any, inner: tuple[Any, ...], arrays: Arrays, name: str) -> Any:
    kinds = [kind for kind in inner if kind is not NoneType]
    if len(kinds) == 1:
        return encode(value, kinds[0], arrays, name)
    if all(map(is_dataclass, kinds)):
        kind = type(value)
        return {"as": kind.__name__.lower(), **encode(value, kind, arrays, name)}
    return encode_object(value)


def _decode_one_of(stored: Any, inner: tuple[Any, ...], arrays: Arrays, table: Table | None) -> Any:
    kinds = [kind for kind in inner if kind is not NoneType]
    if len(kinds) == 1:
        return decode(stored, kinds[0], arrays, table)
    if all(map(is_dataclass, kinds)):
        by_name = {kind.__name__.lower(): kind for kind in kinds}
        held = {key: part for key, part in stored.items() if key != "as"}
        return decode(held, by_name[stored["as"]], arrays, table)
    return decode_object(stored)


def _decode_record(stored: Any, kind: type, arrays: Arrays, table: Table | None) -> Any:
    hints = _hints(kind)
    given = {f.name: table for f in fields(kind) if f.name not in hints}
    return kind(
        **{key: decode(part, hints[key], arrays, table) for key, part in stored.items()}, **given
    )


def _decode_array(stored: Any, arrays: Arrays) -> np.ndarray:
    """Take out an array of the type and shape it had; truth values are stored as bytes."""
    dtype = np.dtype(json_values.known_dtype(stored["dtype"]))
    array = arrays.pop(stored["array"])
    if array.dtype != (np.uint8 if dtype.kind == "b" else dtype) or array.size != np.prod(
        of_type(stored["shape"], list), dtype=float
    ):
        raise ValueError(f"array {stored['array']!r} is not as it is written")
    return array.astype(dtype, copy=False).reshape(stored["shape"])


def _encode_matrix(frame: pd.DataFrame) -> dict[str, Any]:
    """Whole numbers by row and column, both with names."""
    return {
        "rows": list(frame.index),
        "columns": list(frame.columns),
        "codes": frame.to_numpy(dtype=np.int64).tolist(),
        "dtypes": [str(dtype) for dtype in frame.dtypes],
    }


def _decode_matrix(stored: Any) -> pd.DataFrame:
    rows, columns = stored["rows"], stored["columns"]
    codes = np.array(stored["codes"], dtype=np.int64).reshape(len(rows), len(columns))
    dtypes = map(json_values.known_dtype, stored["dtypes"])
    frame = pd.DataFrame(codes, index=rows, columns=columns)
    frame = frame.astype(dict(zip(columns, dtypes, strict=True)))
    if _encode_matrix(frame) != stored:
        raise ValueError("a matrix is not as it is written")
    return frame
