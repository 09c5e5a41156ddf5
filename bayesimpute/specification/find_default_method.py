"""micemd's documented rule for choosing a two-level method, in micemd's own method names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.wording import did_you_mean

#: R's column classes that the rule tells apart.
CLASSES = ("factor", "integer", "numeric")

_ENDINGS = {"factor": "bin", "integer": "pois", "numeric": "norm"}


@dataclass(frozen=True)
class Limits:
    """Limits of the rule, with micemd's defaults.

    Attributes
    ----------
    I_small
        Most clusters that count as few.
    ni_small
        Most observed values that make a cluster small.
    prop_small
        With a larger share of small clusters, the one-stage method is chosen.
    """

    I_small: int = 7
    ni_small: int = 100
    prop_small: float = 0.4


def checked_limits(limits: Limits) -> Limits:
    """Refuse limits that are no numbers, or are out of range.

    Raises
    ------
    SpecificationError
        Naming the limit.
    """
    for name, value in vars(limits).items():
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or not value >= 0 or (name == "prop_small" and value > 1):
            allowed = "a share from 0 to 1" if name == "prop_small" else "a number from 0"
            raise SpecificationError(f"{name}={value!r} must be {allowed}.")
    return limits


def r_classes(table: Table, given: Mapping[str, Any] | None) -> dict[str, str]:
    """R's class of each column: as given, or else as its pandas dtype suggests.

    Categories, text and booleans are factors, whole-number dtypes integers, the rest numeric: a
    column of whole numbers that pandas holds as floats because some are missing is numeric here,
    and integer where R read it from a file.

    Raises
    ------
    SpecificationError
        If a column or a class does not exist.
    """
    if given is not None and not isinstance(given, Mapping):
        raise SpecificationError(
            "classes must be a dict from column to R's class, such as {'Age': 'numeric'}."
        )
    for name, value in (given or {}).items():
        if name not in table.variables:
            raise SpecificationError(
                f"classes names {name!r}, which is no column of the data."
                f"{did_you_mean(name, table.variables)}"
            )
        if value not in CLASSES:
            raise SpecificationError(
                f"classes gives {value!r} for {name!r}; the rule knows {', '.join(CLASSES)}."
            )
    return {name: (given or {}).get(name, _by_dtype(table, name)) for name in table.variables}


def _by_dtype(table: Table, name: str) -> str:
    variable = table.variables[name]
    if variable.categories:
        return "factor"
    whole = variable.kind is Kind.NUMERIC and pd.api.types.is_integer_dtype(variable.dtype)
    return "integer" if whole else "numeric"


def documented_rule(
    values: np.ndarray, clusters: ClusterIndex, r_class: str, limits: Limits
) -> tuple[str, str]:
    """Give the method of one incomplete column, and why.

    micemd documents that clusters with *observed* values are counted; its code counts those with
    missing ones. This is the documented rule.

    Parameters
    ----------
    values
        float64 (row,), NaN where missing.
    clusters
        Cluster of each row.
    r_class
        One of `CLASSES`.
    limits
        What is few, and what is small.

    Returns
    -------
    method, reason
    """
    count = clusters.n_observed(values)
    count = count[count > 0]
    few = len(count) <= limits.I_small
    small = float(np.mean(count <= limits.ni_small)) if len(count) else 0.0
    counted = (
        f"{len(count)} clusters have observed values ({'at most' if few else 'more than'} "
        f"I_small={limits.I_small:g})"
    )
    if r_class == "factor" and not few:
        return "2l.jomo", f"A factor, and {counted}."
    stage = "glm" if small > limits.prop_small else "2stage"
    share = (
        f"{small:.0%} of them have at most ni_small={limits.ni_small:g} "
        f"({'more than' if stage == 'glm' else 'not more than'} prop_small={limits.prop_small:g})"
    )
    article = "An" if r_class == "integer" else "A"
    return (
        f"2l.{stage}.{_ENDINGS[r_class]}",
        f"{article} {r_class} column; {counted}, and {share}.",
    )
