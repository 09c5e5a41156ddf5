"""Facets: rows divided by a cluster or another categorical variable, and which parts are shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.encoding import sorted_labels
from bayesimpute.errors import SpecificationError
from bayesimpute.wording import did_you_mean, listed

#: Panels of one figure; more would be too small to read.
MOST_PANELS = 30


@dataclass(frozen=True, eq=False)
class Facets:
    """Parts of the rows, each a panel.

    Attributes
    ----------
    names
        Title of each.
    codes
        Panel of each row, int (row,), −1 where it is in none.
    remark
        What was left out, for the reader of the figure; empty if nothing was.
    """

    names: list[str]
    codes: np.ndarray
    remark: str = ""


def facets(
    by: "pd.Series[Any] | None",
    groups: Iterable[Any] | Any | None,
    shown: np.ndarray,
    counted: str = "imputed cells",
) -> Facets:
    """Divide rows by the labels of a column; parts with nothing to show are left out.

    Parameters
    ----------
    by
        Column with a label for each row; None: one part with all rows.
    groups
        Labels to show, in this order; by default all, or those with most to show if there are more
        than 30, in ascending order (categories in their own), missing labels last.
    shown
        What makes a part worth a panel: bool (row,), such as the imputed cells.
    counted
        What `shown` are, for the remark.

    Returns
    -------
    Facets

    Raises
    ------
    SpecificationError
        Labels that are measurements rather than groups, a group that does not exist or has
        nothing to show, or `groups` without `by`.
    """
    if by is None:
        if groups is not None:
            raise SpecificationError("groups= chooses values of by=, which is not given.")
        return Facets([""], np.zeros(len(shown), dtype=np.int64))
    labels, codes = _coded(by)
    if len(labels) > MOST_PANELS and any(
        isinstance(label, float) and not label.is_integer() for label in labels
    ):
        raise SpecificationError(
            f"by={by.name!r} has {len(labels)} distinct numbers; facets need clusters or "
            "categories, such as pd.cut makes of numbers."
        )
    names = [*(_title(str(by.name), label) for label in labels), f"{by.name} missing"]
    codes = np.where(codes < 0, len(labels), codes)
    counts = np.bincount(codes[shown], minlength=len(labels) + 1)
    remark = ""
    if groups is not None:
        chosen = np.array(_asked(str(by.name), groups, labels, counts))
    else:
        chosen = np.flatnonzero(counts)
        if len(chosen) > MOST_PANELS:
            remark = (
                f"{MOST_PANELS} of {len(chosen)} values of {by.name}: those with most {counted}"
            )
            chosen = np.sort(np.argsort(-counts, kind="stable")[:MOST_PANELS])
    panel = np.full(len(labels) + 1, -1)
    panel[chosen] = np.arange(len(chosen))
    return Facets([names[k] for k in chosen], panel[codes], remark)


def written(label: Any) -> str:
    """Write a label; whole numbers without decimals."""
    whole = isinstance(label, float | np.floating) and float(label).is_integer()
    return f"{label:.0f}" if whole else str(label)


def _title(name: str, label: Any) -> str:
    """Title of a panel; a number says nothing without the name of its column."""
    number = isinstance(label, bool | int | float | np.number | np.bool_)
    return f"{name} {written(label)}" if number else written(label)


def _coded(by: "pd.Series[Any]") -> tuple[list[Any], np.ndarray]:
    """Labels that occur, in order, and the position of each row's label, −1 where it is missing."""
    codes, found = pd.factorize(by)
    labels = found.tolist()
    if isinstance(by.dtype, pd.CategoricalDtype):
        order = [label for label in by.dtype.categories if label in set(labels)]
    else:
        order = list(sorted_labels(labels))
    position = {label: k for k, label in enumerate(order)}
    return order, np.array([*(position[label] for label in labels), -1])[codes]


def _asked(
    name: str, groups: Iterable[Any] | Any, labels: Sequence[Any], counts: np.ndarray
) -> list[int]:
    """Positions of the groups that a user asks for."""
    single = isinstance(groups, str | tuple) or not isinstance(groups, Iterable)
    asked = [groups] if single else list(groups)
    if not asked:
        raise SpecificationError("groups= is empty; leave it out to see all.")
    for group in asked:
        if group not in labels:
            near = did_you_mean(group, labels) or f" There are {listed(labels, 12)}."
            raise SpecificationError(f"groups=: {name!r} has no value {group!r}.{near}")
        if counts[labels.index(group)] == 0:
            raise SpecificationError(
                f"groups=: where {name} is {written(group)} nothing was missing; leave it out."
            )
    return [labels.index(group) for group in asked]
