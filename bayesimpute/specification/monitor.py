"""Quantities the user follows along the chains: checked here, evaluated by the engine."""

from collections.abc import Callable, Mapping
from typing import Any

from bayesimpute.data.table import Table
from bayesimpute.errors import SpecificationError

type Monitors = Mapping[str, Callable[..., Any]]


def checked_monitors(monitor: Any, table: Table) -> dict[str, Callable[..., Any]]:
    """Check ``monitor=`` of :func:`bayesimpute.impute`; None is an empty one.

    Raises
    ------
    SpecificationError
        If it is no dict from name to function, or a name is empty or that of a column, which
        would give two quantities one name in ``imp.diagnostics()``.
    """
    if monitor is None:
        return {}
    if not isinstance(monitor, Mapping):
        raise SpecificationError(
            f"monitor must be a dict from name to function, such as "
            f"{{'mean_bmi': lambda data: data['bmi'].mean()}}, not {type(monitor).__name__}."
        )
    for name, function in monitor.items():
        if not isinstance(name, str) or not name.strip():
            raise SpecificationError(f"monitor: the name {name!r} must be text that is not empty.")
        if name in table.variables:
            raise SpecificationError(
                f"monitor {name!r} has the name of a column; give it another, such as "
                f"{'monitored_' + name!r}."
            )
        if not callable(function):
            raise SpecificationError(
                f"monitor {name!r} must be a function of a completed data frame that gives a "
                f"number, such as lambda data: data['bmi'].mean(), not {type(function).__name__}."
            )
    return dict(monitor)
