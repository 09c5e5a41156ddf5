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
    panels
        Title and rows, bool (row,), of each.
    remark
        What was left out, for the reader of the figure; empty if nothing was.
    """

    panels: list[tuple[str, np.ndarray]]
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
        return Facets([("", np.ones(len(shown), dtype=bool))])
    labels, codes = _coded(by)
    if len(labels) > MOST_PANELS and not _countable(labels):
        raise SpecificationError(
            f"by={by.name!r} has {len(labels)} distinct numbers; facets need clusters or "
            "categories, such as pd.cut makes of numbers."
        )
    codes = np.where(codes < 0, len(labels), codes)
    counts = np.bincount(codes[shown], minlength=len(labels) + 1)
    if groups is not None:
        return _asked(by, groups, labels, codes, counts)
    chosen = np.flatnonzero(counts)
    remark = ""
    if len(chosen) > MOST_PANELS:
        remark = f"{MOST_PANELS} of {len(chosen)} values of {by.name}: those with most {counted}"
        chosen = np.sort(np.argsort(-counts, kind="stable")[:MOST_PANELS])
    names = [*(_title(by, label) for label in labels), f"{by.name} missing"]
    return Facets([(names[k], codes == k) for k in chosen], remark)


def written(label: Any) -> str:
    """Write a label; whole numbers without decimals."""
    whole = isinstance(label, float | np.floating) and float(label).is_integer()
    return f"{label:.0f}" if whole else str(label)


def _countable(labels: Sequence[Any]) -> bool:
    """Whether labels can be ids: anything but numbers with decimals."""
    return all(not isinstance(label, float) or label.is_integer() for label in labels)


def _title(by: "pd.Series[Any]", label: Any) -> str:
    """Title of a panel; a number says nothing without the name of its column."""
    text = written(label)
    number = isinstance(label, bool | int | float | np.number | np.bool_)
    return f"{by.name} {text}" if number else text


def _coded(by: "pd.Series[Any]") -> tuple[list[Any], np.ndarray]:
    """Labels that occur, in order, and the position of each row's label, −1 where it is missing."""
    if isinstance(by.dtype, pd.CategoricalDtype):
        codes = by.cat.codes.to_numpy()
        used = np.unique(codes[codes >= 0])
        positions = np.where(codes >= 0, np.searchsorted(used, codes), -1)
        return [by.cat.categories[k] for k in used], positions
    labels = list(sorted_labels(by.dropna().tolist()))
    position = {label: k for k, label in enumerate(labels)}
    gone = by.isna().to_numpy()
    found = [-1 if missing else position[cell] for cell, missing in zip(by, gone, strict=True)]
    return labels, np.array(found, dtype=np.int64)


def _asked(
    by: "pd.Series[Any]",
    groups: Iterable[Any] | Any,
    labels: Sequence[Any],
    codes: np.ndarray,
    counts: np.ndarray,
) -> Facets:
    single = isinstance(groups, str | tuple) or not isinstance(groups, Iterable)
    asked = [groups] if single else list(groups)
    panels = []
    for group in asked:
        if group not in labels:
            near = did_you_mean(group, labels) or f" There are {listed(labels, 12)}."
            raise SpecificationError(f"groups=: {by.name!r} has no value {group!r}.{near}")
        at = labels.index(group)
        if counts[at] == 0:
            raise SpecificationError(
                f"groups=: where {by.name} is {written(group)} nothing was missing; leave it out."
            )
        panels.append((_title(by, group), codes == at))
    if not panels:
        raise SpecificationError("groups= is empty; leave it out to see all.")
    return Facets(panels)
