"""What was read, of this or an earlier version, fits together and is what the writer would write.

Types are held against annotations when a file is decoded (`codec`); here is what only the whole
can tell. A frame may be of any types: it is taken apart again and must give the description and
the arrays it came from, so that no second list of what a file may hold is kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.engine.history import History
from bayesimpute.findings import SEVERITIES
from bayesimpute.registry import METHODS
from bayesimpute.result import json_values
from bayesimpute.result.codec import CALLABLE, LARGEST, RECORD, Arrays
from bayesimpute.result.frame_store import encode_frame
from bayesimpute.result.json_values import form_of_lines, to_lines
from bayesimpute.result.restored import NotStored
from bayesimpute.roles import Role
from bayesimpute.specification.expressions import names_in
from bayesimpute.specification.requests import TWO_EQUATIONS
from bayesimpute.specification.specification import Passive, Specification, Target
from bayesimpute.wrappers.base import Wrapper

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
    return {
        **description,
        "frame": _frame_of_first_version(frame, arrays),
        "specification": specification,
    }


def _frame_of_first_version(frame: dict[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Version 1 has cells of text and of objects in the description."""
    index = dict(frame["index"])
    if "levels" in index:
        index["levels"] = [
            _column_of_first_version(each, f"index_{k}", arrays)
            for k, each in enumerate(index["levels"])
        ]
    columns = [
        _column_of_first_version(column, f"column_{k}", arrays)
        for k, column in enumerate(frame["columns"])
    ]
    return {**frame, "columns": columns, "index": index}


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
        "targets": {target["name"]: _target(target) for target in stored["targets"]},
        "where": {name: cells(f"where_{k}") for k, name in enumerate(stored["where"])},
        "ignore": cells("ignore"),
        "methods": dict(stored["methods"]),
        "monitors": {name: {CALLABLE: text} for name, text in monitors.items()},
        "live": live or None,
    }


def _target(stored: Mapping[str, Any]) -> dict[str, Any]:
    changed = {key: _object(stored[key]) for key in ("method", "post") if key in stored}
    return {**stored, **changed}


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
        changed["groups"] = [list(pair) for pair in json_values.decode(stored["groups"])]
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


def check_run(specification: Specification, history: History) -> None:
    """Raise ValueError unless a specification and a history fit together."""
    for problem in _problems(specification, history):
        raise ValueError(problem)


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


def _problems(specification: Specification, history: History) -> Iterator[str]:
    for event in (*specification.events, *history.events):
        if event.severity not in SEVERITIES:
            yield "an event"
    for name, target in specification.targets.items():
        if target.name != name:
            yield f"name of {name!r}"
        if isinstance(target, Target):
            yield from _wrong_target(target, specification)
    yield from _wrong_specification(specification)
    yield from _wrong_history(history, specification)


def _wrong_target(target: Target, specification: Specification) -> Iterator[str]:
    names = specification.table.variables
    for term in target.terms:
        if term.equation not in ("both", *TWO_EQUATIONS.values()):
            yield f"equation of a predictor of {target.name!r}"
        for factor in term.factors:
            if factor not in names and not set(names_in(factor)) <= names.keys():
                yield f"predictors of {target.name!r}"
    columns = set(specification.table.columns_of(target.clusters))
    if target.level not in (1, 2) or not columns <= names.keys():
        yield f"level or cluster of {target.name!r}"
    labels = {term.label for term in target.terms}
    for each in target.groupings:
        if not {*dict(each.slopes), *each.means} <= labels:
            yield f"effects by {each.name!r} in the model of {target.name!r}"
    known = isinstance(target.method, Wrapper | NotStored)
    if not known and target.method not in METHODS:
        yield f"method of {target.name!r}"
    if any(member not in specification.targets for member in target.block):
        yield f"block of {target.name!r}"
    for option, value in target.options.items():
        if _largest(value) > LARGEST:
            yield f"option {option!r} of {target.name!r} is out of bounds"


def _largest(value: Any) -> float:
    """Largest size of a whole number in an option."""
    if isinstance(value, int):
        return abs(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return max(map(_largest, value), default=0)
    return 0


def _wrong_specification(specification: Specification) -> Iterator[str]:
    names, targets = list(specification.table.variables), specification.targets
    passives = {name for name, target in targets.items() if isinstance(target, Passive)}
    if not targets.keys() <= set(names):
        yield "targets that are no columns"
    if not set(specification.visit_sequence) <= targets.keys():
        yield "visit sequence"
    if set(specification.passive_order) != passives:
        yield "order of passive variables"
    if set(specification.where) != set(targets):
        yield "cells to impute"
    live = specification.live or {}
    if live and set(live) != targets.keys() - passives:
        yield "live cells"
    for mask in (specification.ignore, *specification.where.values(), *live.values()):
        if mask.shape != (specification.table.n_rows,):
            yield "cells to impute"
    for name, mask in live.items():
        if (mask & ~np.isnan(specification.known[name])).any():
            yield "live cells that are observed"
    for analysed in specification.analyses:
        if analysed.outcome not in names:
            yield "outcome of an analysis"
    if set(specification.methods) != set(names):
        yield "methods"
    matrix = specification.predictors
    known = [int(role) for role in Role]
    if not {*matrix.index, *matrix.columns} <= set(names):
        yield "predictors"
    elif not np.isin(matrix.to_numpy(), known).all():
        yield "codes of predictors"


def _wrong_history(history: History, specification: Specification) -> Iterator[str]:
    m, iterations = history.m, history.iterations
    if set(history.imputed) != set(specification.where) or len(history.states) != m or m < 1:
        yield "chains"
        return
    for target, draws in history.imputed.items():
        if draws.shape != (m, int(specification.where[target].sum())):
            yield f"{draws.shape} imputed values of {target!r}"
    for what in ("chain_mean", "chain_sd"):
        for target, means in getattr(history, what).items():
            if target not in specification.targets or means.shape != (m, iterations):
                yield f"{means.shape} chain means of {target!r}"
    for target, shares in history.chain_share.items():
        variable = specification.table.variables.get(target)
        wanted = (m, iterations, len(variable.categories) if variable is not None else -1)
        if shares.shape != wanted:
            yield f"{shares.shape} shares of the categories of {target!r}"
    for groups in (history.parameters, history.statistics):
        for target, values in groups.items():
            for name, each in values.items():
                if target not in specification.targets or each.shape[:2] != (m, iterations):
                    yield f"{each.shape} draws of {name!r} of {target!r}"
                labels = history.labels.get(target, {}).get(name, ())
                of_parameter = groups is history.parameters
                if of_parameter and each.shape[2:] not in ((), (len(labels),)):
                    yield f"labels of {name!r} of {target!r}"
    for name, followed in history.monitored.items():
        if name not in specification.monitors or followed.shape[:2] != (m, iterations):
            yield f"{followed.shape} values of monitor {name!r}"
    numbers = (history.imputed, history.chain_mean, history.chain_sd, history.chain_share)
    if any(each.dtype.kind != "f" for group in numbers for each in group.values()):
        yield "draws that are no numbers"
