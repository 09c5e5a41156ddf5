"""Which methods are calibrated, and on which data: the matrix of ``make sbc``.

Every method of the registry is in it, a new one without a word here, by what its class says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bayesimpute.registry import METHODS, resolve

DATA: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "sporadic": {"pattern": "sporadic"},
        "systematic": {"pattern": "systematic"},
        "random intercept": {"pattern": "sporadic", "effects": "intercept"},
        "level 2": {"pattern": "level 2"},
    }
)
"""Name of the data -> arguments of :func:`bayesimpute.simulate.sbc`."""


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix: a method on some data."""

    model: str
    data: str
    method: str
    arguments: Mapping[str, Any] = field(hash=False)

    def __str__(self) -> str:
        return f"{self.model}, {self.data}"


def _arguments(method: str, data: str) -> Mapping[str, Any]:
    """Give what the method's file says: typical values, or options it cannot do without."""
    of_method = getattr(resolve(method), "calibration", None)
    return of_method(data) if of_method else {}


def _by_one_variable(method: Any) -> bool:
    """Whether its values are drawn from a likelihood of one target, missing at random.

    Others copy observed values, or are calibrated in ``tests/calibration``.
    """
    likelihood = getattr(method, "has_likelihood", True)
    several = getattr(method, "block", False) or getattr(method, "two_equations", False)
    return likelihood and not several


def matrix() -> tuple[Cell, ...]:
    """Give all cells, method by method, then those with other options or predictors."""
    methods = {name: resolve(name) for name in METHODS}
    methods = {name: method for name, method in methods.items() if _by_one_variable(method)}
    plain = tuple(
        Cell(name, data, name, {**DATA[data], **_arguments(name, data)})
        for name in methods
        for data in DATA
    )
    more = tuple(
        Cell(f"{name}, {what}", data, name, {**DATA[data], **_arguments(name, data), **arguments})
        for name, method in methods.items()
        for what, (on, arguments) in getattr(method, "calibrated_too", {}).items()
        for data in on
    )
    return plain + more
