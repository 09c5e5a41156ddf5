"""Terms a model cannot use are removed or changed here, each with an event that says why."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Kind, Table, indicator_order
from bayesimpute.events import Event
from bayesimpute.specification.crowded import crowded_terms
from bayesimpute.specification.expressions import evaluate
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.specification import Term

#: Share of a column's variance that must be its own; below, it repeats others.
OWN_VARIANCE = 1e-8
#: Coefficient of a standardised column from which it is part of a combination.
COEFFICIENT = 1e-3


def screen(
    target: str,
    terms: Sequence[Term],
    table: Table,
    clusters: ClusterIndex | None,
    fitted: np.ndarray,
) -> tuple[tuple[Term, ...], tuple[Event, ...]]:
    """Remove constant and collinear terms; make impossible slopes fixed.

    Parameters
    ----------
    target
        Name of the target.
    terms
        Terms asked for.
    table
        The data.
    clusters
        Clusters of the model, None without.
    fitted
        Rows the model is fitted to, bool (row,).

    Returns
    -------
    terms, events
    """
    events: list[Event] = []
    kept: list[Term] = []
    columns: list[np.ndarray] = []
    crowded = crowded_terms(terms, table, int(fitted.sum()))
    unseen = [term for term in terms if any(mean_of(each, table) for each in term.factors)]
    for term in terms:
        if term in unseen:  # a latent mean: the data show nothing of it
            continue
        if term in crowded:
            events.append(_crowded(target, term, crowded[term], table.n_rows))
            continue
        block = term_columns(term, table)
        seen = block[fitted]
        seen = seen[~np.isnan(seen).any(axis=1)]
        if block.shape[1] == 0 or len(seen) == 0 or (np.ptp(seen, axis=0) == 0).all():
            events.append(_dropped(target, term, "it is constant where the target is observed"))
            continue
        if clusters is not None and all(clusters.is_level2(column) for column in block.T):
            if term.random:
                events.append(
                    _changed(
                        target,
                        term,
                        "slope made fixed",
                        "it does not vary within clusters, "
                        "so a slope by cluster cannot be told from the random intercept",
                    )
                )
            if term.cluster_mean:
                events.append(
                    _changed(
                        target,
                        term,
                        "cluster mean dropped",
                        "it does not vary within clusters, so it is its own cluster mean",
                    )
                )
            fixed = term.fixed or term.random or term.cluster_mean
            term = replace(term, fixed=fixed, random=False, cluster_mean=False)
        kept.append(term)
        columns.append(block[fitted])
    kept, repeated = _independent(target, kept, columns)
    order = [term.label for term in terms]
    kept = sorted([*kept, *unseen], key=lambda term: order.index(term.label))
    return tuple(kept), (*events, *repeated)


def term_columns(term: Term, table: Table) -> np.ndarray:
    """Columns of a term on the incomplete data, NaN where missing, (row, column)."""
    block = np.ones((table.n_rows, 1))
    for factor in term.factors:
        variable = table.variables.get(factor)
        values = table.values[factor] if variable is not None else evaluate(factor, table.values)
        if variable is not None and variable.kind is not Kind.NUMERIC:
            codes = indicator_order(values, len(variable.categories))[1:]
            part = np.column_stack(
                [np.where(np.isnan(values), np.nan, values == code) for code in codes]
                or [np.empty((len(block), 0))]
            )
        else:
            part = np.asarray(values, dtype=float)[:, None]
        block = (block[:, :, None] * part[:, None, :]).reshape(len(block), -1)
    return block


def _independent(
    target: str, terms: Sequence[Term], columns: Sequence[np.ndarray]
) -> tuple[list[Term], list[Event]]:
    """Drop each term whose columns are exact combinations of earlier ones."""
    events: list[Event] = []
    kept: list[Term] = []
    everything = np.hstack(columns) if columns else np.empty((0, 0))
    complete = ~np.isnan(everything).any(axis=1)
    if complete.sum() <= everything.shape[1] + 1:
        return list(terms), events  # too few complete rows to tell; proper priors carry it
    basis = [np.full(int(complete.sum()), 1 / np.sqrt(complete.sum()))]
    labels: list[str] = []
    independent: list[np.ndarray] = []  # of the terms kept, with the label of each
    for term, block in zip(terms, columns, strict=True):
        own = False
        fresh: list[np.ndarray] = []
        repeated: list[np.ndarray] = []
        for column in block[complete].T:
            scaled = column - column.mean()
            size = float(np.linalg.norm(scaled))
            if size == 0:
                own = True  # constant in these rows only: they cannot tell
                continue
            rest = scaled / size
            for _ in range(2):  # twice, because once leaves rounding behind
                for direction in [*basis, *fresh]:
                    rest = rest - direction * float(direction @ rest)
            remainder = float(np.linalg.norm(rest))
            if remainder**2 > OWN_VARIANCE:
                own = True
                fresh.append(rest / remainder)
                independent.append(scaled / size)
                labels.append(term.label)
            else:
                repeated.append(scaled / size)
        if own:
            kept.append(term)
            basis.extend(fresh)
        elif term.fixed or term.random:
            others = ", ".join(_with_coefficient(repeated, independent, labels))
            events.append(
                _dropped(target, term, f"it is an exact combination of other predictors ({others})")
            )
        else:
            kept.append(term)
    return kept, events


def _with_coefficient(
    repeated: Sequence[np.ndarray], independent: Sequence[np.ndarray], labels: Sequence[str]
) -> list[str]:
    """Labels of the columns that the repeated ones are made of."""
    slopes = np.linalg.lstsq(np.column_stack(independent), np.column_stack(repeated), rcond=None)[0]
    used = np.abs(slopes).max(axis=1) > COEFFICIENT
    return list(dict.fromkeys(label for label, own in zip(labels, used, strict=True) if own))


def _dropped(target: str, term: Term, why: str) -> Event:
    return Event(
        "warning",
        "specification",
        target,
        "predictor dropped",
        f"{term.label!r} does not predict {target!r}: {why}.",
    )


def _crowded(target: str, term: Term, indicators: int, rows: int) -> Event:
    return Event(
        "warning",
        "specification",
        target,
        "too many categories",
        f"{term.label!r} does not predict {target!r}: in {rows:,} rows, its {indicators:,} "
        "indicators are too many, alone or with those of other columns. Join rare categories into "
        "one, or make the column the cluster, whose effects are partially pooled.",
    )


def _changed(target: str, term: Term, action: str, why: str) -> Event:
    return Event(
        "warning", "specification", target, action, f"{term.label!r} in {target!r}: {why}."
    )


def cluster_events(
    target: str, clusters: ClusterIndex, values: np.ndarray, random_slopes: bool
) -> tuple[Event, ...]:
    """Say what a reader should know of the clusters of a two-level target."""
    events = []
    systematic = clusters.systematic(values)
    if systematic.any():
        labels = [str(clusters.labels[j]) for j in np.flatnonzero(systematic)]
        shown = ", ".join(labels[:5]) + (", …" if len(labels) > 5 else "")
        events.append(
            Event(
                "info",
                "specification",
                target,
                "systematically missing",
                f"{target!r} is missing in the whole of {len(labels)} cluster(s) ({shown}); their "
                "effects are drawn from the population of clusters.",
            )
        )
    informative = int((~systematic).sum())
    if informative <= 5:
        events.append(
            Event(
                "warning",
                "specification",
                target,
                "few clusters",
                f"{target!r} is observed in only {informative} clusters: what is drawn for the "
                "spread between clusters depends on its prior; look at it with priors=.",
            )
        )
    if (clusters.sizes == 1).any():
        what = "slopes" if random_slopes else "the spread within clusters"
        events.append(
            Event(
                "info",
                "specification",
                target,
                "clusters of one row",
                f"{int((clusters.sizes == 1).sum())} cluster(s) have one row; they say little of "
                f"{what} in the model of {target!r}.",
            )
        )
    return tuple(events)
