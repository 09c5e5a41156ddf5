"""The user's monitored quantities, evaluated on completed data without touching the chain."""

import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.engine.completed import completed_frame
from bayesimpute.engine.failures import FAILURES
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.method import Array
from bayesimpute.specification.specification import Specification

type Labels = Mapping[str, tuple[str, ...]]


def try_monitors(specification: Specification, values: Mapping[str, Array]) -> Labels:
    """Evaluate every monitor once on start data, so that a wrong function is met before any work.

    Parameters
    ----------
    specification
        Of the run.
    values
        Completed data, variable -> (row,).

    Returns
    -------
    dict
        Monitor -> labels of its elements, ``()`` for a number.

    Raises
    ------
    SpecificationError
        Naming the monitor and what it gave.
    """
    if not specification.monitors:
        return {}
    imputed = {name: values[name][specification.where[name]] for name in specification.targets}
    frame = completed_frame(specification, imputed)
    labels = {}
    for name, function in specification.monitors.items():
        try:
            labels[name], _ = _numbers(function, frame)
        except FAILURES as error:
            raise SpecificationError(
                f"monitor {name!r} fails on the start data, before anything is imputed: "
                f"{_sentence(error)}. It is called with a completed data frame and must give a "
                "number, or a dict or Series of numbers."
            ) from error
    return labels


def reading(function: Callable[..., Any], labels: tuple[str, ...], frame: pd.DataFrame) -> Array:
    """Evaluate one monitor on one completed data set.

    Parameters
    ----------
    function
        The user's function; it gets a copy of `frame`.
    labels
        Those the elements must have, ``()`` for a number.
    frame
        Completed data.

    Returns
    -------
    ndarray
        () or (k,).

    Raises
    ------
    SamplingError
        If the function fails or gives something else than finite numbers with these labels.
    """
    try:
        given, values = _numbers(function, frame)
    except FAILURES as error:
        raise SamplingError(_sentence(error)) from error
    if given != labels:
        raise SamplingError(
            f"it gave {_named(given)} here and {_named(labels)} at the start; it must give the "
            "same elements in the same order for any completed data"
        )
    return values


def _named(labels: tuple[str, ...]) -> str:
    return f"the elements {', '.join(labels)}" if labels else "one number"


def _sentence(error: BaseException) -> str:
    own = isinstance(error, _NoNumbers)
    text = " ".join(str(error).split()).rstrip(".")
    return text if own else f"{type(error).__name__}: {text}".rstrip(": ")


class _NoNumbers(ValueError):
    """What a monitor gave is not what a chain can record."""


def _numbers(function: Callable[..., Any], frame: pd.DataFrame) -> tuple[tuple[str, ...], Array]:
    result = function(frame.copy())
    if isinstance(result, pd.Series):
        result = dict(zip(result.index, result, strict=True)) if result.index.is_unique else None
        if result is None:
            raise _NoNumbers("it gave a Series whose labels repeat")
    if not isinstance(result, Mapping):
        return (), np.array(_number(result, "it"))
    if not result:
        raise _NoNumbers("it gave an empty dict or Series")
    labels = tuple(str(label) for label in result)
    if len(set(labels)) < len(labels):
        raise _NoNumbers("it gave labels that read the same")
    values = [_number(each, f"its {label!r}") for label, each in result.items()]
    return labels, np.array(values)


def _number(value: Any, what: str) -> float:
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, numbers.Real):
        raise _NoNumbers(f"{what} is {type(value).__name__} {str(value)[:60]!r}, not a number")
    if not np.isfinite(float(value)):
        raise _NoNumbers(f"{what} is {float(value)}, not a finite number")
    return float(value)
