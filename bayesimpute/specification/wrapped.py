"""Wrappers in a specification: what is inside them, and what they change of terms and rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.events import Event
from bayesimpute.specification.aliases import ALIASES, Alias, look_up
from bayesimpute.specification.screening import term_columns
from bayesimpute.specification.specification import Term
from bayesimpute.wrappers.base import Wrapper, innermost, layers
from bayesimpute.wrappers.by_group import ByGroup
from bayesimpute.wrappers.fixed_clusters import FixedClusters
from bayesimpute.wrappers.only_where import OnlyWhere


def alias_of(chosen: Any, target: str, kind: Kind) -> Alias:
    """Give what a method stands for, for a target of this kind.

    Inside wrappers, names become canonical.

    Raises
    ------
    SpecificationError
        If a name does not exist.
    """
    if isinstance(chosen, str):
        alias = look_up(chosen, target)
        binary = alias.binary if kind is Kind.BINARY else None
        return replace(alias, method=binary or alias.method)
    if isinstance(chosen, Wrapper):
        inside = alias_of(chosen.method, target, kind)
        around: Any = replace(chosen, method=inside.method)
        return replace(inside, method=around)
    return Alias(chosen)


def alias_events(chosen: Mapping[str, Any]) -> tuple[Event, ...]:
    """Say where a name stands for a method that works another way than people know it to."""
    events = []
    for target, method in chosen.items():
        name = innermost(method)
        alias = ALIASES.get(name) if isinstance(name, str) else None
        if alias is not None and alias.said:
            text = f"Method {name!r} of {target!r} is {alias.method!r} here: {alias.said}."
            events.append(Event("info", "specification", target, "method renamed", text))
    return tuple(events)


def stays_missing(chosen: Mapping[str, Any], table: Table) -> dict[str, np.ndarray]:
    """Rows in which a variable stays missing by its method: variable -> bool (row,).

    Raises
    ------
    SpecificationError
        If a condition cannot be used.
    """
    found = {}
    for name, method in chosen.items():
        rows = np.zeros(table.n_rows, dtype=bool)
        for wrapper in layers(method):
            if isinstance(wrapper, OnlyWhere):
                wrapper.check(name, table)
                rows |= wrapper.left_missing(name, table)
        if rows.any():
            found[name] = rows
    return found


def check_read_columns(target: str, method: Any, unimputed: Sequence[str]) -> None:
    """Refuse a wrapper that reads a column with gaps nobody fills.

    Raises
    ------
    SpecificationError
        Naming wrapper and column.
    """
    for wrapper in layers(method):
        for column in wrapper.reads() or ():
            if column in unimputed:
                raise SpecificationError(
                    f"Method {str(wrapper)!r} of {target!r} reads {column!r}, which stays "
                    f"incomplete; impute {column!r} in every row."
                )


def surely_fitted(target: str, method: Any, table: Table, rows: np.ndarray) -> np.ndarray:
    """Keep of `rows` those that are fitted to whatever the missing values are, bool (row,)."""
    for wrapper in layers(method):
        if isinstance(wrapper, OnlyWhere):
            known = rows & wrapper.known_rows(target, table)
            # a function of incomplete columns says nothing before they are complete
            rows = known if known.any() else rows
    return rows


def terms_inside(
    target: str,
    method: Any,
    terms: Sequence[Term],
    table: Table,
    clusters: ClusterIndex | None,
    fitted: np.ndarray,
) -> tuple[tuple[Term, ...], tuple[Event, ...]]:
    """Terms of the model inside the wrappers, and what was changed.

    Parameters
    ----------
    target, method, terms, table, clusters
        Of the model.
    fitted
        Rows that are surely fitted to, bool (row,).
    """
    events: list[Event] = []
    for wrapper in layers(method):
        if isinstance(wrapper, ByGroup):
            terms, more = _without_group(target, terms, wrapper.by)
            events.extend(more)
        if isinstance(wrapper, OnlyWhere):
            terms, more = _without_condition(target, terms, wrapper, table, fitted)
            events.extend(more)
        if isinstance(wrapper, FixedClusters) and clusters is not None:
            terms, more = _within_clusters(target, terms, table, clusters)
            events.extend(more)
    return tuple(terms), tuple(events)


def has_fixed_clusters(method: Any) -> bool:
    """Whether the clusters of a method are fixed effects."""
    return any(isinstance(wrapper, FixedClusters) for wrapper in layers(method))


def _without_group(
    target: str, terms: Sequence[Term], by: str
) -> tuple[tuple[Term, ...], list[Event]]:
    """Leave out what is constant in each group: the grouping column, also in products."""
    events = []
    kept: list[Term] = []
    factors_kept = {term.factors for term in terms}
    for term in terms:
        if by not in term.factors:
            kept.append(term)
            continue
        rest = tuple(factor for factor in term.factors if factor != by)
        if rest and rest not in factors_kept:
            factors_kept.add(rest)
            kept.append(replace(term, label=":".join(rest), factors=rest))
        events.append(
            Event(
                "info",
                "specification",
                target,
                "predictor left out",
                f"{term.label!r} does not predict {target!r} as it stands: the model of each "
                f"{by!r} is its own, and {by!r} is constant in it.",
            )
        )
    return tuple(kept), events


def _without_condition(
    target: str,
    terms: Sequence[Term],
    wrapper: OnlyWhere,
    table: Table,
    fitted: np.ndarray,
) -> tuple[tuple[Term, ...], list[Event]]:
    """Leave out what the condition holds constant."""
    events = []
    kept = []
    read = set(wrapper.reads() or ())
    for term in terms:
        block = term_columns(term, table)[fitted]
        block = block[~np.isnan(block).any(axis=1)]
        if set(term.factors) <= read and len(block) and (np.ptp(block, axis=0) == 0).all():
            events.append(
                Event(
                    "info",
                    "specification",
                    target,
                    "predictor left out",
                    f"{term.label!r} does not predict {target!r}: it is constant where the "
                    "condition of its bi.only_where holds.",
                )
            )
        else:
            kept.append(term)
    return tuple(kept), events


def _within_clusters(
    target: str, terms: Sequence[Term], table: Table, clusters: ClusterIndex
) -> tuple[tuple[Term, ...], list[Event]]:
    """Leave out what is constant within clusters: the fixed effects hold it."""
    events = []
    kept = []
    for term in terms:
        constant = all(clusters.is_level2(column) for column in term_columns(term, table).T)
        if constant or term.cluster_mean:
            what = repr(term.label) if constant else f"the cluster mean of {term.label!r}"
            events.append(
                Event(
                    "info",
                    "specification",
                    target,
                    "predictor left out",
                    f"{what} does not predict {target!r}: it is constant within clusters, whose "
                    "fixed effects hold it.",
                )
            )
        if not constant:
            kept.append(replace(term, cluster_mean=False))
    return tuple(kept), events
