"""Specification and history as JSON, for the file; data and draws are arrays beside it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Table
from bayesimpute.events import Event
from bayesimpute.result import json_values
from bayesimpute.result.restored import NotStored
from bayesimpute.specification.post import Squeeze
from bayesimpute.specification.specification import Passive, Specification, Target, Term

type Arrays = dict[str, np.ndarray]

CALLABLE = "__callable__"
SQUEEZE = "__squeeze__"


def encode_specification(specification: Specification) -> tuple[dict[str, Any], Arrays]:
    """Take apart everything but the table into a description (JSON) and bool arrays."""
    arrays = {
        f"where_{k}": np.asarray(cells, dtype=bool)
        for k, cells in enumerate(specification.where.values())
    }
    arrays["ignore"] = np.asarray(specification.ignore, dtype=bool)
    predictors = specification.predictors
    description = {
        "targets": [_encode_target(target) for target in specification.targets.values()],
        "visit_sequence": list(specification.visit_sequence),
        "passive_order": list(specification.passive_order),
        "where": list(specification.where),
        "methods": [[name, str(method)] for name, method in specification.methods.items()],
        "predictors": {
            "rows": list(predictors.index),
            "columns": list(predictors.columns),
            "codes": predictors.to_numpy(dtype=np.int64).tolist(),
            "dtypes": [str(dtype) for dtype in predictors.dtypes],
        },
        "events": encode_events(specification.events),
    }
    return description, arrays


def decode_specification(
    description: Mapping[str, Any], arrays: Mapping[str, np.ndarray], table: Table
) -> Specification:
    """Rebuild the specification; what could not be stored becomes `NotStored`."""
    targets = [_decode_target(stored) for stored in description["targets"]]
    stored = description["predictors"]
    shape = (len(stored["rows"]), len(stored["columns"]))
    codes = np.array(stored["codes"], dtype=np.int64).reshape(shape)
    predictors = pd.DataFrame(codes, index=stored["rows"], columns=stored["columns"])
    return Specification(
        table=table,
        targets={target.name: target for target in targets},
        visit_sequence=tuple(description["visit_sequence"]),
        passive_order=tuple(description["passive_order"]),
        where={
            name: arrays[f"where_{k}"].astype(bool) for k, name in enumerate(description["where"])
        },
        ignore=arrays["ignore"].astype(bool),
        methods=dict(description["methods"]),
        predictors=predictors.astype(dict(zip(predictors.columns, stored["dtypes"], strict=True))),
        events=decode_events(description["events"]),
    )


def encode_events(events: tuple[Event, ...]) -> list[dict[str, Any]]:
    """Events as plain records."""
    return [asdict(event) for event in events]


def decode_events(stored: list[dict[str, Any]]) -> tuple[Event, ...]:
    """Events of their records."""
    return tuple(Event(**record) for record in stored)


def _encode_target(target: Target | Passive) -> dict[str, Any]:
    if isinstance(target, Passive):
        return {"as": "passive", **asdict(target)}
    return {
        "as": "target",
        "name": target.name,
        "method": _encode_object(target.method),
        "cluster": target.cluster,
        "level": target.level,
        "terms": [asdict(term) for term in target.terms],
        "random_intercept": target.random_intercept,
        "priors": {key: _encode_object(prior) for key, prior in target.priors.items()},
        "options": {key: _encode_object(option) for key, option in target.options.items()},
        "post": _encode_object(target.post),
    }


def _decode_target(stored: dict[str, Any]) -> Target | Passive:
    fields = {key: value for key, value in stored.items() if key != "as"}
    if stored["as"] == "passive":
        return Passive(**{**fields, "inputs": tuple(fields["inputs"])})
    return Target(
        **{
            **fields,
            "method": _decode_object(fields["method"]),
            "terms": tuple(
                Term(**{**term, "factors": tuple(term["factors"])}) for term in fields["terms"]
            ),
            "priors": {key: _decode_object(prior) for key, prior in fields["priors"].items()},
            "options": {key: _decode_object(option) for key, option in fields["options"].items()},
            "post": _decode_object(fields["post"]),
        }
    )


def _encode_object(held: Any) -> Any:
    if isinstance(held, NotStored):
        return {CALLABLE: held.text}
    if type(held) is Squeeze:
        return {SQUEEZE: [json_values.encode(held.low), json_values.encode(held.high)]}
    try:
        return json_values.encode(held)
    except json_values.NotStorable:
        return {CALLABLE: repr(held)}


def _decode_object(stored: Any) -> Any:
    if isinstance(stored, dict) and CALLABLE in stored:
        return NotStored(stored[CALLABLE])
    if isinstance(stored, dict) and SQUEEZE in stored:
        return Squeeze(*map(json_values.decode, stored[SQUEEZE]))
    return json_values.decode(stored)
