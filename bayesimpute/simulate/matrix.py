"""Which methods are calibrated, and on which data: the matrix of ``make sbc``.

Every method of the registry is in it, a new one without a word here, unless it is named below.
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

NOT_FROM_A_MODEL = frozenset({"pmm", "sample"})
"""Methods that copy observed values: their imputed values are no draws from a likelihood."""

NOT_BY_ONE_VARIABLE = frozenset({"joint", "heckman", "heckman.binary", "heckman.robust"})
"""Methods of several targets, or of what is missing: calibrated in ``tests/calibration``."""


MORE: Mapping[str, tuple[str, tuple[str, ...], Mapping[str, Any]]] = MappingProxyType(
    {
        "normal, σ by cluster": (
            "normal",
            ("sporadic", "systematic"),
            {"effects": "intercept", "options": {"heteroscedastic": True}},
        ),
        "normal, an independent slope": (
            "normal",
            ("sporadic", "systematic"),
            {"effects": "independent slope", "predictors": 2},
        ),
        "logistic, an independent slope": (
            "logistic",
            ("sporadic",),
            {"effects": "independent slope", "predictors": 2},
        ),
    }
)
"""A name for a method with other options -> the method, its data, its arguments."""


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


def matrix() -> tuple[Cell, ...]:
    """Give all cells, method by method."""
    plain = tuple(
        Cell(name, data, name, {**DATA[data], **_arguments(name, data)})
        for name in METHODS
        if name not in NOT_FROM_A_MODEL | NOT_BY_ONE_VARIABLE
        for data in DATA
    )
    more = tuple(
        Cell(name, data, method, {**DATA[data], **_arguments(method, data), **arguments})
        for name, (method, on, arguments) in MORE.items()
        for data in on
    )
    return plain + more
