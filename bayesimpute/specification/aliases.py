"""Method names of mice, miceadds and micemd, and exactly what each becomes here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.registry import METHODS
from bayesimpute.wording import did_you_mean


@dataclass(frozen=True)
class Alias:
    """What a name stands for.

    Attributes
    ----------
    method
        Canonical method.
    level
        2 for a target with one value a cluster, else 1.
    options
        Options the name implies.
    clustered
        Whether the name asks for a two-level model.
    binary
        Canonical method of a target with two categories, if another.
    said
        What people who know the name should hear of the method they get; empty for nothing.
    """

    method: str
    level: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    clustered: bool = False
    binary: str | None = None
    said: str = ""


_TWO_LEVEL = Alias("normal", clustered=True)
_HETEROSCEDASTIC = Alias("normal", options={"heteroscedastic": True}, clustered=True)

#: Trees of mice are one fitted tree, or many on bootstrap samples, and donors from its leaves.
_TREES = Alias(
    "bart",
    said="a sum of regression trees with a prior, from whose posterior values are drawn, in place "
    "of donors from the leaves of fitted trees",
)

#: One level: ``norm``, ``midastouch`` has no twin and is left out on purpose. The two-level
#: names differ in R by algorithm, not by model, except for the residual variance.
ALIASES: Mapping[str, Alias] = MappingProxyType(
    {name: Alias(name) for name in METHODS}
    | {
        "norm": Alias("normal"),
        "2l.lmer": _TWO_LEVEL,
        "2l.pan": _TWO_LEVEL,
        "2l.continuous": _TWO_LEVEL,
        "2l.glm.norm": _TWO_LEVEL,
        "2l.norm": _HETEROSCEDASTIC,
        "2l.2stage.norm": _HETEROSCEDASTIC,
        "2l.pmm": Alias("pmm", clustered=True),
        "2l.2stage.pmm": Alias("pmm", clustered=True),
        "polr": Alias("ordinal"),
        "polyreg": Alias("categorical"),
        "2l.glm.pois": Alias("poisson", clustered=True),
        "2l.2stage.pois": Alias("poisson", clustered=True),
        "logreg": Alias("logistic"),
        "2l.bin": Alias("logistic", clustered=True),
        "2l.binary": Alias("logistic", clustered=True),
        "2l.glm.bin": Alias("logistic", clustered=True),
        "2l.2stage.bin": Alias("logistic", clustered=True),
        "rf": _TREES,
        "cart": _TREES,
        "2l.2stage.heckman": Alias("heckman", binary="heckman.binary"),
        "2l.heckman": Alias("heckman", binary="heckman.binary"),
        "2l.jomo": Alias("joint", clustered=True),
        "jomoImpute": Alias("joint", clustered=True),
        "panImpute": Alias("joint", clustered=True),
        "2lonly.norm": Alias("normal", level=2),
        "2lonly.pmm": Alias("pmm", level=2),
    }
)

#: Models of mice and its relatives that this version does not have, with what to use meanwhile.
_ABSENT: Mapping[str, str] = MappingProxyType(
    {
        name: "pmm"
        for name in (
            "logreg.boot",
            "2lonly.mean",
            "mean",
            "midastouch",
            "norm.boot",
            "norm.nob",
            "norm.predict",
            "quadratic",
            "ri",
            "lasso.norm",
        )
    }
)

#: Statsmodels', R's and our names of a family of distributions, and the method it is.
FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "gaussian": "normal",
        "binomial": "logistic",
        "bernoulli": "logistic",
        "multinomial": "categorical",
        "cumulative": "ordinal",
        "negativebinomial": "negative_binomial",
        "student": "normal.robust",
    }
)

# What the package names where it decides, advises or gives an example.
NUMBER = "normal"
YES_NO = "logistic"
UNORDERED = "categorical"
ORDERED = "ordinal"
MATCHING = "pmm"
SHARES = "sample"
IN_ONE_BLOCK = "joint"
SELECTION = "heckman"
HEAVY_TAILED = "normal.robust"
BOUNDED = "normal.truncated"
POSITIVE = "gamma"
PROPORTION = "beta"
COUNT = "poisson"
SPREAD_COUNT = "negative_binomial"
MATCHING_IN_CLUSTERS = "2l.pmm"
MATCHING_OF_CLUSTERS = "2lonly.pmm"
NORMAL_OF_CLUSTERS = "2lonly.norm"
#: Families of ``Surv(time, event)``, the default first: it assumes less of the hazard.
SURVIVAL = ("piecewise", "weibull")

#: The method with the plainest likelihood of each kind of variable.
LIKELIHOODS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.NUMERIC: NUMBER,
        Kind.BINARY: YES_NO,
        Kind.NOMINAL: UNORDERED,
        Kind.ORDINAL: ORDERED,
    }
)
#: mice's default for each kind of variable, in our names.
MICE_DEFAULTS: Mapping[Kind, str] = MappingProxyType({**LIKELIHOODS, Kind.NUMERIC: MATCHING})
#: mice's own names of those defaults.
MICE_NAMES: Mapping[str, str] = MappingProxyType(
    {"logreg": "logistic", "polyreg": "categorical", "polr": "ordinal", "pmm": "pmm"}
)


def look_up(name: str, target: str | None = None) -> Alias:
    """Give what a method name stands for, for a target or, inside a wrapper, for any.

    Raises
    ------
    SpecificationError
        If there is no such method: with the nearest name, or, for a model of another package,
        with what this version offers instead.
    """
    if name in ALIASES:
        return ALIASES[name]
    of = f" of variable {target!r}" if target is not None else ""
    if name in _ABSENT:
        raise SpecificationError(
            f"Method {name!r}{of} is not in this version; "
            f"use {_ABSENT[name]!r}, which takes every kind of variable."
        )
    raise SpecificationError(
        f"Method {name!r}{of} does not exist; there are "
        f"{', '.join(METHODS)}, and the names that mice gives them."
        f"{did_you_mean(name, [*ALIASES, *_ABSENT])}"
    )
