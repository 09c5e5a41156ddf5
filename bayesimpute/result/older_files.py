"""Descriptions in files of earlier versions, put as the writer puts them now."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bayesimpute.result import json_values
from bayesimpute.result.cells import to_lines
from bayesimpute.result.codec import CALLABLE, RECORD, Arrays

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
