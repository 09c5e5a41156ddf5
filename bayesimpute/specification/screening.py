"""Terms a model cannot use are removed or changed here, each with an event that says why.

Columns may have so many categories that no model can use or learn them: names, free text,
identifiers. Each category has a coefficient, and an indicator in every row: rows × categories in
memory, and the cube of the categories in time.

Wrappers change terms and rows too: what is constant within a group, a condition, a cluster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bayesimpute.data.table import ClusterIndex, Kind, Table, indicator_order
from bayesimpute.errors import SpecificationError
from bayesimpute.registry import resolve
from bayesimpute.specification.aliases import ALIASES, MATCHING, Alias, look_up
from bayesimpute.specification.expressions import evaluate
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.specification import Log, Term
from bayesimpute.wording import listed
from bayesimpute.wrappers.base import Wrapper, innermost, layers, method_text
from bayesimpute.wrappers.by_group import ByGroup
from bayesimpute.wrappers.fixed_clusters import FixedClusters
from bayesimpute.wrappers.only_where import OnlyWhere

#: Categories of which there may be any number of rows.
FEW = 50
#: Rows a category has to have on average, where there are more categories than that.
ROWS_EACH = 3
#: Most indicators of all such terms of a model.
MOST = 500
#: Most indicators times rows of all such terms of a model; 160 MB.
CELLS = 20_000_000


def too_many(categories: int, rows: int) -> bool:
    """Whether so many categories of one column are too many for so many rows.

    Examples
    --------
    >>> too_many(40, 50), too_many(400, 500), too_many(400, 5000), too_many(2000, 100_000)
    (False, True, False, True)
    """
    return categories > FEW and (categories * ROWS_EACH > rows or _too_large(categories, rows))


def _too_large(indicators: int, rows: int) -> bool:
    return indicators > MOST or indicators * rows > CELLS


def crowded_terms(terms: Sequence[Term], table: Table, rows: int) -> dict[Term, int]:
    """Terms of so many categories that a model cannot have them, those with the most first.

    Parameters
    ----------
    terms
        Terms asked for.
    table
        The data.
    rows
        Rows the model is fitted to.

    Returns
    -------
    dict
        Term -> indicators. What is left has few categories each, or not too many together.
    """
    sizes = {term: _indicators_of(term, table) for term in terms}
    left = sum(size for size in sizes.values() if size > FEW)
    found = {}
    for term, size in sorted(sizes.items(), key=lambda each: -each[1]):
        if size > FEW and (too_many(size, rows) or _too_large(left, rows)):
            found[term] = size
            left -= size
    return found


def _indicators_of(term: Term, table: Table) -> int:
    """Give the columns of numbers that a term stands for; categories never seen have none."""
    sizes = [
        len(indicator_order(table.values[factor], len(table.variables[factor].categories))) - 1
        for factor in term.factors
        if factor in table.variables and table.variables[factor].kind is not Kind.NUMERIC
    ]
    return int(np.prod(sizes, dtype=float))


def check_target(name: str, method: Any, table: Table) -> None:
    """Refuse a target of so many categories that a model with parameters for each cannot be.

    Raises
    ------
    SpecificationError
        Naming all such columns that are incomplete, and what to do.
    """
    if not (getattr(resolve(method), "by_category", False) and _is_crowded(name, table)):
        return
    others = [n for n in table.variables if n != name and table.missing(n).any()]
    names: Sequence[str] = [name, *(n for n in others if _is_crowded(n, table))]
    shown = listed(names, 8)
    raise SpecificationError(
        f"{name!r} has {len(table.variables[name].categories):,} categories in "
        f"{int((~table.missing(name)).sum()):,} rows, too many for {method_text(method)!r}. "
        f"Names and free text: leave the column out, df.drop(columns={list(names)!r}), or its gaps "
        f"open, method={{{name!r}: ''}}. Or join rare categories into one, or take the value of a "
        f"similar row, method={{{name!r}: {MATCHING!r}}}. Such columns with gaps: {shown}."
    )


def _is_crowded(name: str, table: Table) -> bool:
    variable = table.variables[name]
    if variable.kind is Kind.NUMERIC:
        return False
    return too_many(len(variable.categories), int((~table.missing(name)).sum()))


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
    events: Log,
) -> tuple[Term, ...]:
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
    events
        Gets what was changed, and why.
    """
    kept: list[Term] = []
    columns: list[np.ndarray] = []
    crowded = crowded_terms(terms, table, int(fitted.sum()))
    unseen = [term for term in terms if any(mean_of(each, table) for each in term.factors)]
    for term in terms:
        if term in unseen:  # a latent mean: the data show nothing of it
            continue
        if term in crowded:
            events.warning(
                target,
                "too many categories",
                f"{term.label!r} does not predict {target!r}: in {table.n_rows:,} rows, its "
                f"{crowded[term]:,} indicators are too many, alone or with those of other columns. "
                "Join rare categories into one, or make the column the cluster, whose effects are "
                "partially pooled.",
            )
            continue
        block = term_columns(term, table)
        if block.shape[1] == 0 or _is_constant(block[fitted]):
            _say_dropped(target, term, "it is constant where the target is observed", events)
            continue
        if clusters is not None and clusters.all_level2(block):
            what = f"{term.label!r} in {target!r}: it does not vary within clusters, so "
            if term.random:
                why = "a slope by cluster cannot be told from the random intercept."
                events.warning(target, "slope made fixed", f"{what}{why}")
            if term.cluster_mean:
                why = "it is its own cluster mean."
                events.warning(target, "cluster mean dropped", f"{what}{why}")
            fixed = term.fixed or term.random or term.cluster_mean
            term = replace(term, fixed=fixed, random=False, cluster_mean=False)
        kept.append(term)
        columns.append(block[fitted])
    kept = _independent(target, kept, columns, events)
    order = [term.label for term in terms]
    return tuple(sorted([*kept, *unseen], key=lambda term: order.index(term.label)))


def _is_constant(block: np.ndarray) -> bool:
    """Whether no column differs over the rows that are known in all."""
    seen = block[~np.isnan(block).any(axis=1)]
    return len(seen) == 0 or bool((np.ptp(seen, axis=0) == 0).all())


def _say_dropped(target: str, term: Term, why: str, events: Log) -> None:
    events.warning(
        target, "predictor dropped", f"{term.label!r} does not predict {target!r}: {why}."
    )


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
    target: str, terms: Sequence[Term], columns: Sequence[np.ndarray], events: Log
) -> list[Term]:
    """Drop each term whose columns are exact combinations of earlier ones."""
    kept: list[Term] = []
    everything = np.hstack(columns) if columns else np.empty((0, 0))
    complete = ~np.isnan(everything).any(axis=1)
    if complete.sum() <= everything.shape[1] + 1:
        return list(terms)  # too few complete rows to tell; proper priors carry it
    basis = [np.full(int(complete.sum()), 1 / np.sqrt(complete.sum()))]
    labels: list[str] = []
    independent: list[np.ndarray] = []  # of the terms kept, with the label of each
    for term, block in zip(terms, columns, strict=True):
        own = False
        fresh: list[np.ndarray] = []
        repeated: list[np.ndarray] = []
        for column in block[complete].T:
            scaled = column - column.mean()
            # the mean of equal numbers is rounded, and leaves something where nothing varies
            size = float(np.linalg.norm(scaled)) if np.ptp(column) > 0 else 0.0
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
        if own or not (term.fixed or term.random):
            kept.append(term)
            basis.extend(fresh)
        else:
            others = ", ".join(_with_coefficient(repeated, independent, labels))
            why = f"it is an exact combination of other predictors ({others})"
            _say_dropped(target, term, why, events)
    return kept


def _with_coefficient(
    repeated: Sequence[np.ndarray], independent: Sequence[np.ndarray], labels: Sequence[str]
) -> list[str]:
    """Labels of the columns that the repeated ones are made of."""
    slopes = np.linalg.lstsq(np.column_stack(independent), np.column_stack(repeated), rcond=None)[0]
    used = np.abs(slopes).max(axis=1) > COEFFICIENT
    return list(dict.fromkeys(label for label, own in zip(labels, used, strict=True) if own))


def say_of_clusters(
    target: str, table: Table, grouping: str, random_slopes: bool, events: Log
) -> None:
    """Say what a reader should know of the clusters of a two-level target."""
    clusters = table.clusters(grouping)
    systematic = clusters.systematic(table.values[target])
    if systematic.any():
        labels = [str(clusters.labels[j]) for j in np.flatnonzero(systematic)]
        shown = ", ".join(labels[:5]) + (", …" if len(labels) > 5 else "")
        events.info(
            target,
            "systematically missing",
            f"{target!r} is missing in the whole of {len(labels)} cluster(s) ({shown}); their "
            "effects are drawn from the population of clusters.",
        )
    informative = int((~systematic).sum())
    if informative <= 5:
        events.warning(
            target,
            "few clusters",
            f"{target!r} is observed in only {informative} clusters: what is drawn for the spread "
            "between clusters depends on its prior; look at it with priors=.",
        )
    if (clusters.sizes == 1).any():
        what = "slopes" if random_slopes else "the spread within clusters"
        events.info(
            target,
            "clusters of one row",
            f"{int((clusters.sizes == 1).sum())} cluster(s) have one row; they say little of "
            f"{what} in the model of {target!r}.",
        )


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


def say_renamed(chosen: Mapping[str, Any], events: Log) -> None:
    """Say where a name stands for a method that works another way than people know it to."""
    for target, method in chosen.items():
        name = innermost(method)
        alias = ALIASES.get(name) if isinstance(name, str) else None
        if alias is not None and alias.said:
            text = f"Method {name!r} of {target!r} is {alias.method!r} here: {alias.said}."
            events.info(target, "method renamed", text)


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
    events: Log,
) -> tuple[Term, ...]:
    """Terms of the model inside the wrappers.

    Parameters
    ----------
    target, method, terms, table, clusters
        Of the model.
    fitted
        Rows that are surely fitted to, bool (row,).
    events
        Gets what was changed.
    """
    for wrapper in layers(method):
        if isinstance(wrapper, ByGroup):
            terms = _without_group(target, terms, wrapper.by, events)
        if isinstance(wrapper, OnlyWhere):
            terms = _without_condition(target, terms, wrapper, table, fitted, events)
        if isinstance(wrapper, FixedClusters) and clusters is not None:
            terms = _within_clusters(target, terms, table, clusters, events)
    return tuple(terms)


def has_fixed_clusters(method: Any) -> bool:
    """Whether the clusters of a method are fixed effects."""
    return any(isinstance(wrapper, FixedClusters) for wrapper in layers(method))


def _say_left_out(target: str, what: str, why: str, events: Log) -> None:
    events.info(target, "predictor left out", f"{what} does not predict {target!r}{why}.")


def _without_group(target: str, terms: Sequence[Term], by: str, events: Log) -> list[Term]:
    """Leave out what is constant in each group: the grouping column, also in products."""
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
        why = f" as it stands: the model of each {by!r} is its own, and {by!r} is constant in it"
        _say_left_out(target, repr(term.label), why, events)
    return kept


def _without_condition(
    target: str,
    terms: Sequence[Term],
    wrapper: OnlyWhere,
    table: Table,
    fitted: np.ndarray,
    events: Log,
) -> list[Term]:
    """Leave out what the condition holds constant."""
    kept = []
    for term in terms:
        block = term_columns(term, table)[fitted]
        if (
            set(term.factors) <= set(wrapper.reads() or ())
            and not np.isnan(block).any(axis=1).all()
            and _is_constant(block)
        ):
            why = ": it is constant where the condition of its bi.only_where holds"
            _say_left_out(target, repr(term.label), why, events)
        else:
            kept.append(term)
    return kept


def _within_clusters(
    target: str, terms: Sequence[Term], table: Table, clusters: ClusterIndex, events: Log
) -> list[Term]:
    """Leave out what is constant within clusters: the fixed effects hold it."""
    kept = []
    for term in terms:
        constant = clusters.all_level2(term_columns(term, table))
        if constant or term.cluster_mean:
            what = repr(term.label) if constant else f"the cluster mean of {term.label!r}"
            why = ": it is constant within clusters, whose fixed effects hold it"
            _say_left_out(target, what, why, events)
        if not constant:
            kept.append(replace(term, cluster_mean=False))
    return kept
