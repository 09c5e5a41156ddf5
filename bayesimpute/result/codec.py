"""Data classes, arrays and single values as JSON with arrays beside it, and back.

What a field may hold is said by its annotation, and by nothing else here: `encode` and `decode`
walk along the annotations of a data class, so that a new field is stored as soon as it is written
down, and nothing of another type is read into one. Code is never stored; its text is.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd

from bayesimpute.data.table import Table
from bayesimpute.engine.history import History
from bayesimpute.findings import SEVERITIES
from bayesimpute.registry import METHODS, resolve
from bayesimpute.result import frame_store
from bayesimpute.result.frame_store import encode_frame, form_of_lines, to_lines
from bayesimpute.result.restored import NotStored
from bayesimpute.roles import Role
from bayesimpute.specification.expressions import names_in
from bayesimpute.specification.post import Squeeze
from bayesimpute.specification.requests import TWO_EQUATIONS
from bayesimpute.specification.specification import Passive, Specification, Target
from bayesimpute.wrappers.base import Wrapper, innermost
from bayesimpute.wrappers.catalogue import WRAPPERS
from bayesimpute.wrappers.delta import amount_text, is_distribution

type Arrays = dict[str, np.ndarray]

CALLABLE = "__callable__"
RECORD = "__wrapper__"
#: Data classes that may stand where anything may, by the names files know them by.
RECORDS: Mapping[str, type] = MappingProxyType({**WRAPPERS, "squeeze": Squeeze})

#: Largest whole number that stands in JSON as it is; a seed may be larger, and stands as text.
LARGEST = 1_000_000
_DIGITS = re.compile(r"\d{1,4000}")
#: Most of what an option of a method counts: sweeps, donors, trees.
MOST = 2**31


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
        return frame_store.encode_value(held)
    except frame_store.NotStorable:
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
        value = frame_store.decode_value(stored)
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
    dtype = np.dtype(frame_store.known_dtype(stored["dtype"]))
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
    dtypes = map(frame_store.known_dtype, stored["dtypes"])
    frame = pd.DataFrame(codes, index=rows, columns=columns)
    frame = frame.astype(dict(zip(columns, dtypes, strict=True)))
    if _encode_matrix(frame) != stored:
        raise ValueError("a matrix is not as it is written")
    return frame


#: How version 2 marked bounds that values are moved to, and pairs of a label and an amount.
SQUEEZE, PAIRS = "__squeeze__", "__pairs__"


def as_now(description: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Give a description of any version as it is now.

    Parameters
    ----------
    description
        As stored; it is told from what it holds whether a part is of an earlier version.
    arrays
        Those of the file; cells that a description of version 1 holds are added.
    """
    frame, specification = description["frame"], description["specification"]
    if isinstance(specification["targets"], list):
        specification = _of_second_version(specification, frame["rows"])
    # version 1 has cells of text and of objects in the description
    index, columns = dict(frame["index"]), enumerate(frame["columns"])
    if "levels" in index:
        levels = enumerate(index["levels"])
        index["levels"] = [
            _column_of_first_version(each, f"index_{k}", arrays) for k, each in levels
        ]
    now = [_column_of_first_version(each, f"column_{k}", arrays) for k, each in columns]
    return {
        **description,
        "frame": {**frame, "columns": now, "index": index},
        "specification": specification,
    }


def _column_of_first_version(stored: Mapping[str, Any], key: str, arrays: Arrays) -> Any:
    if stored["as"] in ("text", "object") and "values" in stored:
        arrays[key] = to_lines(pd.Series(stored["values"], dtype=object), lambda cell: cell)
        return {**{name: each for name, each in stored.items() if name != "values"}, "array": key}
    within = {"labels": f"{key}_labels", "left": f"{key}_left", "right": f"{key}_right"}
    within["cells"] = key
    return {
        name: _column_of_first_version(each, within[name], arrays) if name in within else each
        for name, each in stored.items()
    }


def _of_second_version(stored: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Version 2 has lists where there are mappings now, and arrays of cells by their numbers."""

    def cells(name: str) -> dict[str, Any]:
        return {"array": name, "shape": [rows], "dtype": "|b1"}

    live = {name: cells(f"live_{k}") for k, name in enumerate(stored.get("live", ()))}
    monitors = stored.get("monitors", {})
    return {
        **stored,
        "targets": {
            target["name"]: target
            | {k: _object(target[k]) for k in ("method", "post") if k in target}
            for target in stored["targets"]
        },
        "where": {name: cells(f"where_{k}") for k, name in enumerate(stored["where"])},
        "ignore": cells("ignore"),
        "methods": dict(stored["methods"]),
        "monitors": {name: {CALLABLE: text} for name, text in monitors.items()},
        "live": live or None,
    }


def _object(stored: Any) -> Any:
    """Give a method with those within, or what is done to values."""
    if isinstance(stored, dict) and SQUEEZE in stored:
        return {RECORD: "squeeze", **dict(zip(("low", "high"), stored[SQUEEZE], strict=True))}
    if not (isinstance(stored, dict) and RECORD in stored):
        return stored
    changed = {key: _object(part) for key, part in stored.items()}
    if "amounts" in stored:
        changed["amounts"] = stored["amounts"][PAIRS]
    if "groups" in stored:
        changed["groups"] = [list(pair) for pair in frame_store.decode_value(stored["groups"])]
    return changed


type Forms = dict[str, tuple[int, np.dtype[Any]]]


def forms(arrays: Arrays) -> Forms:
    """Length of each array, and type as it is stored: truth values are bytes."""
    return {
        name: (array.size, np.dtype("u1") if array.dtype == bool else array.dtype)
        for name, array in arrays.items()
    }


def check_frame(frame: pd.DataFrame, description: Any, found: Forms) -> None:
    """Raise ValueError unless a frame is what its file says.

    Parameters
    ----------
    frame
        As restored.
    description, found
        What it was restored from, and the forms of the arrays in the file.
    """
    written, arrays = encode_frame(frame, form_of_lines)
    if not _agrees(description, written):
        raise ValueError("its description is not as it is written")
    for name, form in forms(arrays).items():
        if found.get(name) != form:
            raise ValueError(f"array {name!r} is not as it is written")


def _agrees(stored: Any, written: Any) -> bool:
    """Whether JSON says what is written; what a file of an older version lacks must be empty."""
    if isinstance(stored, dict) and isinstance(written, Mapping):
        return stored.keys() <= written.keys() and all(
            _agrees(stored[key], each) if key in stored else not each
            for key, each in written.items()
        )
    if isinstance(stored, list) and isinstance(written, list | tuple):
        return len(stored) == len(written) and all(map(_agrees, stored, written))
    if isinstance(stored, bool) or isinstance(written, bool):
        return stored is written
    return isinstance(written, type(stored)) and stored == written  # text may be of an enumeration


def check_run(specification: Specification, history: History) -> None:
    """Raise ValueError unless a specification and a history fit together."""
    for wrong, what in _problems(specification, history):
        if wrong:
            raise ValueError(what)


#: Whether something is wrong, and what.
type Problems = Iterator[tuple[object, str]]


def _problems(specification: Specification, history: History) -> Problems:
    table, targets = specification.table, specification.targets
    names = table.variables.keys()
    severities = {event.severity for event in (*specification.events, *history.events)}
    yield severities - set(SEVERITIES), "an event"
    for name, target in targets.items():
        yield target.name != name, f"name of {name!r}"
        if isinstance(target, Target):
            yield from _of_target(target, specification)
    passives = {name for name, target in targets.items() if isinstance(target, Passive)}
    yield not targets.keys() <= names, "targets that are no columns"
    yield not set(specification.visit_sequence) <= targets.keys(), "visit sequence"
    yield set(specification.passive_order) != passives, "order of passive variables"
    yield specification.where.keys() != targets.keys(), "cells to impute"
    live = specification.live or {}
    yield live and live.keys() != targets.keys() - passives, "live cells"
    for mask in (specification.ignore, *specification.where.values(), *live.values()):
        yield mask.shape != (table.n_rows,), "cells to impute"
    for name, mask in live.items():
        seen = ~np.isnan(specification.known[name])
        yield (mask & seen).any(), "live cells that are observed"
    yield not {each.outcome for each in specification.analyses} <= names, "outcome of an analysis"
    yield specification.methods.keys() != names, "methods"
    matrix = specification.predictors
    yield not {*matrix.index, *matrix.columns} <= names, "predictors"
    roles = [int(role) for role in Role]
    yield not np.isin(matrix.to_numpy(), roles).all(), "codes of predictors"
    yield from _of_history(history, specification)


def _of_target(target: Target, specification: Specification) -> Problems:
    names, name = specification.table.variables.keys(), target.name
    equations = {"both", *TWO_EQUATIONS.values()}
    for term in target.terms:
        yield term.equation not in equations, f"equation of a predictor of {name!r}"
        for factor in term.factors:
            known = factor in names or set(names_in(factor)) <= names
            yield not known, f"predictors of {name!r}"
    columns = set(specification.table.columns_of(target.clusters))
    yield target.level not in (1, 2) or not columns <= names, f"level or cluster of {name!r}"
    labels = {term.label for term in target.terms}
    for each in target.groupings:
        known = {*dict(each.slopes), *each.means} <= labels
        yield not known, f"effects by {each.name!r} in the model of {name!r}"
    of_method = isinstance(target.method, Wrapper | NotStored) or target.method in METHODS
    yield not of_method, f"method of {name!r}"
    yield not set(target.block) <= specification.targets.keys(), f"block of {name!r}"
    method = innermost(target.method)
    counts = resolve(method).options if isinstance(method, str) and method in METHODS else {}
    for option, value in target.options.items():
        whole = isinstance(counts.get(option), int) and isinstance(value, int)
        yield whole and abs(value) > MOST, f"option {option!r} of {name!r} is out of bounds"


def _of_history(history: History, specification: Specification) -> Problems:
    m, iterations, targets = history.m, history.iterations, specification.targets
    chains = (m, iterations)
    yield history.imputed.keys() != specification.where.keys(), "chains"
    yield len(history.states) != m or m < 1, "chains"
    for name, draws in history.imputed.items():
        wanted = (m, int(specification.where[name].sum()))
        yield draws.shape != wanted, f"{draws.shape} imputed values of {name!r}"
    for name, means in (*history.chain_mean.items(), *history.chain_sd.items()):
        known = name in targets and means.shape == chains
        yield not known, f"{means.shape} chain means of {name!r}"
    for name, shares in history.chain_share.items():
        variable = specification.table.variables.get(name)
        known = variable is not None and shares.shape == (*chains, len(variable.categories))
        yield not known, f"{shares.shape} shares of the categories of {name!r}"
    for of_models in (history.parameters, history.statistics):
        for target, values in of_models.items():
            for name, each in values.items():
                known = target in targets and each.shape[:2] == chains
                yield not known, f"{each.shape} draws of {name!r} of {target!r}"
                labels = history.labels.get(target, {}).get(name, ())
                fit = of_models is history.statistics or each.shape[2:] in ((), (len(labels),))
                yield not fit, f"labels of {name!r} of {target!r}"
    for name, followed in history.monitored.items():
        known = name in specification.monitors and followed.shape[:2] == chains
        yield not known, f"{followed.shape} values of monitor {name!r}"
    numbers = (history.imputed, history.chain_mean, history.chain_sd, history.chain_share)
    kinds = {each.dtype.kind for group in numbers for each in group.values()}
    yield kinds - {"f"}, "draws that are no numbers"
