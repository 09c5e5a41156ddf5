"""Specification and history as JSON, for the file; data and draws are arrays beside it."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Kind, Table
from bayesimpute.events import Event
from bayesimpute.result import json_values
from bayesimpute.result.restored import NotStored
from bayesimpute.specification.latent_means import without_intercept
from bayesimpute.specification.post import Squeeze
from bayesimpute.specification.specification import (
    Analysed,
    Passive,
    Specification,
    Target,
    Term,
)
from bayesimpute.wrappers.amounts import amount_text, is_distribution
from bayesimpute.wrappers.base import Wrapper
from bayesimpute.wrappers.catalogue import WRAPPERS

type Arrays = dict[str, np.ndarray]

CALLABLE = "__callable__"
SQUEEZE = "__squeeze__"
WRAPPER = "__wrapper__"
PAIRS = "__pairs__"


def encode_specification(specification: Specification) -> tuple[dict[str, Any], Arrays]:
    """Take apart everything but the table into a description (JSON) and bool arrays."""
    arrays = {
        f"where_{k}": np.asarray(cells, dtype=bool)
        for k, cells in enumerate(specification.where.values())
    }
    arrays["ignore"] = np.asarray(specification.ignore, dtype=bool)
    live = specification.live or {}
    for k, cells in enumerate(live.values()):
        arrays[f"live_{k}"] = np.asarray(cells, dtype=bool)
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
        "monitors": {name: _text(held) for name, held in specification.monitors.items()},
        "analyses": [asdict(each) for each in specification.analyses],
        "live": list(live),
    }
    return description, arrays


def decode_specification(
    description: Mapping[str, Any], arrays: Mapping[str, np.ndarray], table: Table
) -> Specification:
    """Rebuild the specification; what could not be stored becomes `NotStored`."""
    targets = [
        without_intercept(target, table) if isinstance(target, Target) and target.around else target
        for target in map(_decode_target, description["targets"])
    ]
    stored = description["predictors"]
    shape = (len(stored["rows"]), len(stored["columns"]))
    codes = np.array(stored["codes"], dtype=np.int64).reshape(shape)
    predictors = pd.DataFrame(codes, index=stored["rows"], columns=stored["columns"])
    dtypes = map(json_values.known_dtype, stored["dtypes"])
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
        predictors=predictors.astype(dict(zip(predictors.columns, dtypes, strict=True))),
        events=decode_events(description["events"]),
        monitors={
            name: NotStored(text)  # type: ignore[misc]  # to be given again before it is called
            for name, text in description.get("monitors", {}).items()
        },
        analyses=tuple(Analysed(**each) for each in description.get("analyses", [])),
        live={
            name: arrays[f"live_{k}"].astype(bool)
            for k, name in enumerate(description.get("live", []))
        }
        or None,
    )


def encode_events(events: tuple[Event, ...]) -> list[dict[str, Any]]:
    """Events as plain records."""
    return [asdict(event) for event in events]


def decode_events(stored: list[dict[str, Any]]) -> tuple[Event, ...]:
    """Events of their records."""
    return tuple(Event(**record) for record in stored)


def prior_text(prior: Any) -> str:
    """Text by which a prior can be told from another: its family, and a hash of its graph."""
    if isinstance(prior, NotStored):
        return prior.text
    if not is_distribution(prior):
        return repr(prior)
    import pytensor

    graph = pytensor.dprint(prior, file="str")
    return f"{amount_text(prior)} #{hashlib.sha256(graph.encode()).hexdigest()[:8]}"


def _text(function: Any) -> str:
    """Text of a monitor: whose it is, without the place in memory that ``repr`` adds."""
    if isinstance(function, NotStored):
        return function.text
    return str(getattr(function, "__qualname__", type(function).__qualname__))


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
        "priors": {
            key: {CALLABLE: prior_text(prior)}
            for key, prior in target.priors.items()
            if not (target.around and key == "intercept")  # it is 0, whoever reads it
        },
        "options": {key: _encode_object(option) for key, option in target.options.items()},
        "post": _encode_object(target.post),
        "kind": None if target.kind is None else str(target.kind),
        "block": list(target.block),
        "known_from": list(target.known_from),
        "around": target.around,
    }


def _decode_target(stored: dict[str, Any]) -> Target | Passive:
    held = {key: value for key, value in stored.items() if key != "as"}
    if stored["as"] == "passive":
        return Passive(**{**held, "inputs": tuple(held["inputs"])})
    return Target(
        **{
            **held,
            "method": _decode_object(held["method"]),
            "terms": tuple(
                Term(**{**term, "factors": tuple(term["factors"])}) for term in held["terms"]
            ),
            "priors": {key: _decode_object(prior) for key, prior in held["priors"].items()},
            "options": {key: _decode_object(option) for key, option in held["options"].items()},
            "post": _decode_object(held["post"]),
            "kind": None if held.get("kind") is None else Kind(held["kind"]),
            "block": tuple(held.get("block", ())),
            "known_from": tuple(held.get("known_from", ())),
        }
    )


def _encode_object(held: Any) -> Any:
    if isinstance(held, NotStored):
        return {CALLABLE: held.text}
    if type(held) is Squeeze:
        return {SQUEEZE: [json_values.encode(held.low), json_values.encode(held.high)]}
    for name, kind in WRAPPERS.items():
        if type(held) is kind:
            return {WRAPPER: name, **{f.name: _encode_part(held, f.name) for f in fields(held)}}
    try:
        return json_values.encode(held)
    except json_values.NotStorable:
        return {CALLABLE: repr(held)}


def _encode_part(wrapper: Wrapper, name: str) -> Any:
    """One field of a wrapper; pairs of a label and an amount each by itself."""
    held = getattr(wrapper, name)
    if name == "amounts":
        return {PAIRS: [[_encode_object(part) for part in pair] for pair in held]}
    return _encode_object(held)


def _decode_object(stored: Any) -> Any:
    if isinstance(stored, dict) and WRAPPER in stored:
        parts = {key: _decode_object(part) for key, part in stored.items() if key != WRAPPER}
        return WRAPPERS[stored[WRAPPER]](**parts)
    if isinstance(stored, dict) and PAIRS in stored:
        return tuple(tuple(map(_decode_object, pair)) for pair in stored[PAIRS])
    if isinstance(stored, dict) and CALLABLE in stored:
        return NotStored(stored[CALLABLE])
    if isinstance(stored, dict) and SQUEEZE in stored:
        return Squeeze(*map(json_values.decode, stored[SQUEEZE]))
    return json_values.decode(stored)
