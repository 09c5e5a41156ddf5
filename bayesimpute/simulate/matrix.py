"""Which methods are calibrated, and on which data: the matrix of ``make sbc``.

Every method of the registry is in it, a new one without a word here, unless it is named below.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bayesimpute.registry import METHODS

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


def _counts(data: str) -> Mapping[str, Any]:
    """Priors under which counts stay in the hundreds, in unseen clusters too."""
    import pymc as pm

    priors = {"intercept": pm.Normal.dist(1.0, 0.5), "beta": pm.Normal.dist(0.0, 0.3)}
    if data != "level 2":
        priors["sd_intercept"] = pm.HalfNormal.dist(0.5)
    if data in ("sporadic", "systematic"):
        priors["sd_x1"] = pm.HalfNormal.dist(0.3)
    return {"typical": (0, 0, 1, 1, 2, 3, 4, 6, 9, 14), "priors": priors}


ARGUMENTS: Mapping[str, Callable[[str], Mapping[str, Any]]] = MappingProxyType(
    {
        "poisson": _counts,
        "negative_binomial": _counts,
        "normal.truncated": lambda data: {
            "typical": (-1.4, -0.8, -0.4, 0.0, 0.3, 0.8, 1.6),
            "options": {"lower": -1.5, "upper": 2.0},
        },
        "normal.censored": lambda data: {
            "typical": (-1.0, -1.0, -0.6, -0.3, 0.0, 0.3, 0.7, 1.2, 1.2),
            "options": {"lower": -1.0, "upper": 1.2},
        },
    }
)
"""Method -> further arguments by data, such as typical values or options it cannot do without."""

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
    return ARGUMENTS[method](data) if method in ARGUMENTS else {}


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
