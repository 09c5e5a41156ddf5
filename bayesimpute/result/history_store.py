"""The chains as numeric arrays, with a JSON description that says which is which."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesimpute.engine.history import History
from bayesimpute.result import json_values
from bayesimpute.result.specification_store import decode_events, encode_events

type Arrays = dict[str, np.ndarray]


def encode_history(history: History) -> tuple[dict[str, Any], Arrays]:
    """Numbers and names as JSON, draws and states as flat arrays with their shapes."""
    arrays: Arrays = {}

    def kept(values: np.ndarray) -> dict[str, Any]:
        key = f"draws_{len(arrays)}"
        arrays[key] = np.ascontiguousarray(values).ravel()
        return {"array": key, "shape": list(values.shape), "dtype": values.dtype.str}

    by_target = {
        "imputed": history.imputed,
        "chain_mean": history.chain_mean,
        "chain_sd": history.chain_sd,
        "chain_share": history.chain_share,
        "monitored": history.monitored,
    }
    nested = {"parameters": history.parameters, "statistics": history.statistics}
    description: dict[str, Any] = {
        "m": history.m,
        "iterations": history.iterations,
        "seed": str(history.seed),
        "events": encode_events(history.events),
        "labels": {
            target: {name: list(labels) for name, labels in of_target.items()}
            for target, of_target in history.labels.items()
        },
    }
    description["monitor_labels"] = {
        name: list(labels) for name, labels in history.monitor_labels.items()
    }
    for what, values in by_target.items():
        description[what] = {target: kept(np.asarray(each)) for target, each in values.items()}
    for what, groups in nested.items():
        description[what] = {
            target: {name: kept(np.asarray(each)) for name, each in of_target.items()}
            for target, of_target in groups.items()
        }
    description["states"] = [kept(np.frombuffer(each, dtype=np.uint8)) for each in history.states]
    description["adaptation"] = kept(np.frombuffer(history.adaptation, dtype=np.uint8))
    return description, arrays


def decode_history(description: Mapping[str, Any], arrays: Arrays) -> History:
    """Rebuild the history from `encode_history`'s description and arrays, which are taken out."""
    # a file of a run before monitors or shares were known has none
    description = {"monitored": {}, "monitor_labels": {}, "chain_share": {}, **description}

    def found(stored: Mapping[str, Any]) -> np.ndarray:
        dtype = json_values.known_dtype(stored["dtype"])
        return arrays.pop(stored["array"]).astype(dtype, copy=False).reshape(stored["shape"])

    def by_target(what: str) -> dict[str, np.ndarray]:
        return {target: found(each) for target, each in description[what].items()}

    def nested(what: str) -> dict[str, dict[str, np.ndarray]]:
        return {
            target: {name: found(each) for name, each in of_target.items()}
            for target, of_target in description[what].items()
        }

    return History(
        m=description["m"],
        iterations=description["iterations"],
        imputed=by_target("imputed"),
        chain_mean=by_target("chain_mean"),
        chain_sd=by_target("chain_sd"),
        parameters=nested("parameters"),
        labels={
            target: {name: tuple(labels) for name, labels in of_target.items()}
            for target, of_target in description["labels"].items()
        },
        statistics=nested("statistics"),
        states=tuple(found(each).tobytes() for each in description["states"]),
        adaptation=found(description["adaptation"]).tobytes(),
        seed=int(description["seed"]),
        events=decode_events(description["events"]),
        monitored=by_target("monitored"),
        monitor_labels={
            name: tuple(labels) for name, labels in description["monitor_labels"].items()
        },
        chain_share=by_target("chain_share"),
    )
