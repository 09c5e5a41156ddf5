"""One target: its method, level, cluster, terms and options, checked and decided."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import ClusterIndex, Kind, Table, lies_within
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.registry import resolve
from bayesimpute.roles import Role
from bayesimpute.specification.aliases import LIKELIHOODS, MATCHING, NUMBER, SHARES, Alias
from bayesimpute.specification.defaults import usable_as_predictor
from bayesimpute.specification.expressions import evaluate, names_in, with_category_codes
from bayesimpute.specification.formula_reader import ParsedFormula, parse_formula
from bayesimpute.specification.groupings import above, check_groupings, in_order, placed_terms
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.requests import Request, clusters_of, method_name, nearest, terms_of
from bayesimpute.specification.screening import (
    alias_of,
    check_read_columns,
    check_target,
    cluster_events,
    has_fixed_clusters,
    screen,
    surely_fitted,
    term_columns,
    terms_inside,
)
from bayesimpute.specification.specification import Grouping, Passive, Target, Term, computed_from
from bayesimpute.specification.survival import check_indicators, with_event
from bayesimpute.wrappers.base import Scope, decide, innermost, layers

OPTIONS = {"selection_only": "selection", "outcome_only": "outcome"}


def placed(
    target: str, terms: Sequence[Term], options: Mapping[str, Any], columns: Collection[str] = ()
) -> tuple[Term, ...]:
    """Put the terms that options name into one equation.

    An analysis has the terms of its outcome only, so that `columns`, which it does not name, may
    be added for the selection.

    Raises
    ------
    SpecificationError
        If an option names no term of the model, or two name the same.
    """
    equation: dict[str, str] = {}
    labels = [term.label for term in terms]
    for option, where in OPTIONS.items():
        names = options.get(option, ())
        for label in (names,) if isinstance(names, str) else names:
            if label in columns and label not in labels and where == "selection":
                terms = [*terms, Term(label, (label,))]
                labels.append(label)
            if label not in labels:
                raise SpecificationError(
                    f"model_options of {target!r}: {option} names {label!r}, which is no term of "
                    f"its model; the terms are {', '.join(labels) or 'none'}."
                )
            if label in equation:
                raise SpecificationError(
                    f"model_options of {target!r}: {label!r} cannot be both in the selection only "
                    "and in the outcome only."
                )
            equation[label] = where
    return tuple(replace(term, equation=equation.get(term.label, term.equation)) for term in terms)


def selection_events(
    target: str,
    terms: Sequence[Term],
    options: Mapping[str, Any],
    table: Table,
    clusters: ClusterIndex | None,
    level: int,
    ignored: np.ndarray,
) -> list[Event]:
    """Say what the data can and cannot tell of the selection.

    Raises
    ------
    SpecificationError
        If ρ is fixed at a value that is no correlation.
    """

    def event(severity: str, action: str, text: str) -> Event:
        return Event(severity, "specification", target, action, text)

    rho = options.get("rho")
    if rho is not None and not (isinstance(rho, int | float) and -1 < rho < 1):
        raise SpecificationError(
            f"model_options of {target!r}: rho={rho!r} must be a number between −1 and 1 (both "
            "excluded), or None to estimate it."
        )
    events = []
    missing = table.missing(target) & ~ignored
    seen = ~table.missing(target) & ~ignored
    if clusters is not None and level == 1:
        n_seen = np.bincount(clusters.codes[seen], minlength=clusters.n)
        n_missing = np.bincount(clusters.codes[missing], minlength=clusters.n)
        empty, full = (n_seen == 0) & (n_missing > 0), (n_missing == 0) & (n_seen > 0)
        if empty.any() and not options.get("select_whole_clusters", False):
            missing = missing & ~empty[clusters.codes]
            events.append(
                event(
                    "info",
                    "clusters outside the selection",
                    f"{int(empty.sum())} cluster(s) have no observed {target!r}, the first "
                    f"{str(clusters.labels[int(empty.argmax())])!r}: that says nothing of single "
                    "rows, so they are drawn from the population of clusters and not taken as "
                    "selected against; select_whole_clusters=True in model_options does.",
                )
            )
        if full.any():
            events.append(
                event(
                    "info",
                    "clusters without gaps",
                    f"{int(full.sum())} cluster(s) have every {target!r} observed, the first "
                    f"{str(clusters.labels[int(full.argmax())])!r}: their selection is drawn "
                    "towards that of the others.",
                )
            )
    if not missing.any():
        events.append(
            event(
                "warning",
                "no selection to learn from",
                f"No row that could have been seen has {target!r} missing, so nothing is known of "
                "the selection and ρ keeps its prior; a model without selection "
                f"({NUMBER!r}) says "
                "the same and is faster.",
            )
        )
    if not any(term.equation == "selection" and term.fixed for term in terms) and rho is None:
        events.append(
            event(
                "warning",
                "no exclusion restriction",
                f"No predictor of {target!r} is in the selection only (code −3, or selection_only "
                "in model_options): ρ is known only through the normal shape of the errors. Look "
                "at imp.identification() and at fixed values of ρ (rho=).",
            )
        )
    return events


#: Most distinct numbers that a method for categories takes as categories.
MOST_CODED = 30

#: What every sampler understands; a model builder has no options of its own.
BUILDER_OPTIONS = {"transitions": 10, "tune": 500}


def build_target(
    name: str,
    chosen: Any,
    table: Table,
    request: Request,
    ignored: np.ndarray,
    defaults: pd.DataFrame | None,
    passives: Mapping[str, Passive],
    unimputed: Sequence[str],
) -> tuple[Target, tuple[Event, ...]]:
    """Decide one target's model: method, level, cluster, terms, options.

    Raises
    ------
    DataError, SpecificationError
        Naming the target and what to do.
    """
    alias = alias_of(chosen, name, table.variables[name].kind)
    implementation = resolve(alias.method)
    kind = _kind(name, method_name(chosen), implementation, table)
    modelling = resolve(innermost(alias.method))
    selects = getattr(modelling, "two_equations", False)
    events: list[Event] = []
    more: Sequence[Event]
    formula: ParsedFormula | None = None
    if name in request.formulas:
        formula = parse_formula(request.formulas[name], name, table.variables)
        terms, groupings, more = _of_formula(name, formula, request.clusters, alias)
        events.extend(more)
    else:
        matrix = request.predictors if request.predictors is not None else defaults
        assert matrix is not None
        row: pd.Series[Any] = matrix.loc[[name]].iloc[0]
        if defaults is not None:
            row, more = _default_row(row, name, table, passives, unimputed)
            events.extend(more)
        elif request.clusters:
            row, more = _with_cluster(row, name, table.columns_of(request.clusters))
            events.extend(more)
        coded = clusters_of(row, name)
        # of "school/class", columns stand for the groupings that cluster= makes of them
        of_argument = set(coded) == set(table.columns_of(request.clusters))
        made = request.clusters if of_argument else coded
        terms = terms_of(row, name, table, selects)
        groupings = tuple(map(Grouping, made))
    terms = _checked_terms(name, terms, table)
    for term in terms:
        for column in _columns_of(term, table):
            if column in unimputed:
                raise SpecificationError(
                    f"{column!r} predicts {name!r} but stays incomplete; give {column!r} a "
                    "method (or its bi.only_where an otherwise=), or take it out of the "
                    f"predictors of {name!r}."
                )
    groupings = _ordered(name, groupings, table)
    means = tuple(term.label for term in terms if term.cluster_mean)
    if formula is None:  # codes 3 and 4 ask for the means of all groupings
        groupings = (*groupings[:1], *(replace(each, means=means) for each in groupings[1:]))
    random_intercept = True
    if groupings and formula is not None:
        terms, random_intercept, others = placed_terms(terms, groupings)
        groupings = (groupings[0], *others)
    cluster = groupings[0].name if groupings else None
    clusters = table.clusters(cluster) if cluster is not None else None
    if alias.clustered and clusters is None:
        raise SpecificationError(
            f"Method {method_name(chosen)!r} of {name!r} needs clusters; give cluster=, or code "
            "the cluster variable −2 in the predictors."
        )
    options = {**alias.options, **_options(name, implementation, request.model_options, table)}
    if selects:
        terms = placed(name, terms, options, table.variables if name in request.analysed else ())
    if formula is not None and formula.event is not None:
        options = with_event(name, formula.event, modelling, options)
    latent = mean_of(name, table)
    observed = ~table.missing(latent or name) & ~ignored
    if not latent and len(np.unique(table.values[name][observed])) < 2:
        raise DataError(
            f"Variable {name!r} has fewer than two different observed values in the rows that may "
            "be used; there is no spread to impute from. Drop it, or set its method to ''."
        )
    check_target(name, innermost(alias.method), table)
    events.extend(_empty_categories(name, table, observed))
    level, unit, more = _level(name, alias, groupings, request.clusters, table, formula)
    events.extend(more)
    further = groupings[1:]
    if level == 2:
        assert unit is not None
        cluster, clusters = unit, table.clusters(unit)
        but_unit = [each for each in groupings if each.name != unit]
        further = above(clusters, but_unit, table)
        lost = [each for each in but_unit if each not in further]
        events.extend(_left_out(name, unit, lost, table))
        terms, more = _at_level_2(name, terms)
        events.extend(more)
    elif cluster is not None:
        check_groupings([each.name for each in groupings], table, name)
    if selects:
        events.extend(selection_events(name, terms, options, table, clusters, level, ignored))
    of_clusters = clusters if level == 2 else None
    events.extend(check_indicators(name, modelling, options, table, of_clusters))
    method = alias.method
    fitted = observed
    if any(layers(method)):
        check_read_columns(name, method, unimputed)
        coded = tuple(np.unique(table.values[name][~table.missing(name)]).tolist())
        scope = Scope(
            name,
            kind or table.variables[name].kind,
            coded if kind else table.variables[name].categories,
            level,
            cluster,
            clusters,
            tuple(term.label for term in terms if term.random),
            table,
            observed,
            table.missing(name),
        )
        method, more = decide(method, scope)
        events.extend(more)
        fitted = surely_fitted(name, method, table, observed)
        terms, more = terms_inside(name, method, terms, table, clusters, fitted)
        events.extend(more)
    terms, more = screen(name, terms, table, clusters if level == 1 else None, fitted)
    events.extend(more)
    further, more = _kept(name, further, terms, table, formula is not None)
    events.extend(more)
    for each in further if level == 1 else ():
        more = cluster_events(
            name, table.clusters(each.name), table.values[name], bool(each.slopes)
        )
        events.extend(more)
    if clusters is not None and level == 1 and not has_fixed_clusters(method):
        slopes = any(term.random for term in terms)
        events.extend(cluster_events(name, clusters, table.values[name], slopes))
    return (
        Target(
            name,
            method,
            cluster,
            level,
            terms,
            random_intercept,
            request.priors.get(name, {}),
            options,
            checked_post(name, request.post),
            kind,
            groupings=further,
        ),
        tuple(events),
    )


def _kind(name: str, chosen: str, implementation: Any, table: Table) -> Kind | None:
    """Kind a numeric target is treated as by a method for categories; None for its own.

    Raises
    ------
    SpecificationError
        If the method cannot impute this kind of variable.
    """
    variable = table.variables[name]
    kinds = getattr(implementation, "kinds", frozenset(Kind))
    if variable.kind in kinds:
        return None
    words = {
        Kind.NUMERIC: "numbers",
        Kind.BINARY: "two categories",
        Kind.NOMINAL: "categories",
        Kind.ORDINAL: "ordered categories",
    }
    takes = ", ".join(words[kind] for kind in words if kind in kinds)
    if variable.kind is Kind.NUMERIC:
        values = table.values[name]
        distinct = len(np.unique(values[~np.isnan(values)]))
        if distinct <= 2 and Kind.BINARY in kinds:
            return Kind.BINARY
        for kind in (Kind.ORDINAL, Kind.NOMINAL):
            if kind in kinds and distinct <= MOST_CODED:
                return kind
        raise SpecificationError(
            f"Method {chosen!r} imputes {takes}, but {name!r} is numeric with {distinct} different "
            f"values; use a method for numbers ({NUMBER!r}, {MATCHING!r}), or"
            " make it a category first."
        )
    raise SpecificationError(
        f"Method {chosen!r} imputes {takes}, but {name!r} is {variable.kind} "
        f"({variable.dtype}); use {MATCHING!r}, which takes every kind of variable, or "
        f"{LIKELIHOODS[variable.kind]!r}, which keeps its likelihood."
    )


def _empty_categories(name: str, table: Table, observed: np.ndarray) -> list[Event]:
    """Say which categories of a target no row to learn from has."""
    seen = set(table.values[name][observed].tolist())
    labels = [
        repr(label)
        for code, label in enumerate(table.variables[name].categories)
        if float(code) not in seen
    ]
    if not labels:
        return []
    return [
        Event(
            "warning",
            "specification",
            name,
            "empty category",
            f"No row to learn from has {name!r} = {', '.join(labels)}. A model of categories "
            f"imputes it as rarely as prior and data allow, {MATCHING!r} and {SHARES!r} never; "
            "take it out of the categories if it cannot occur.",
        )
    ]


def _default_row(
    row: "pd.Series[Any]",
    name: str,
    table: Table,
    passives: Mapping[str, Passive],
    unimputed: Sequence[str],
) -> tuple["pd.Series[Any]", list[Event]]:
    """Take out of a default row what would be wrong in it, saying so."""
    row = row.copy()
    events = []
    for label in row.index[row == Role.FIXED]:
        column = str(label)
        if column in unimputed:
            why = "it stays incomplete, having no method or one for some of its rows only"
        elif not usable_as_predictor(table, column):
            why = "it names rows or is neither number nor category"
        elif column in passives and name in computed_from(column, passives):
            why = f"it is computed from {name!r}, and the two would drive each other"
        else:
            continue
        row[label] = int(Role.NONE)
        events.append(
            Event(
                "info",
                "specification",
                name,
                "predictor left out",
                f"{column!r} does not predict {name!r} by default: {why}.",
            )
        )
    return row, events


def _ordered(name: str, groupings: Sequence[Grouping], table: Table) -> tuple[Grouping, ...]:
    """Put the grouping of most clusters first."""
    by_name = {each.name: each for each in groupings}
    ordered = tuple(by_name[each] for each in in_order(list(by_name), table))
    if len(ordered) == 1 and table.clusters(ordered[0].name).n < 2:
        raise DataError(
            f"Cluster variable {ordered[0].name!r} has a single cluster; two levels need at least "
            "two. Leave cluster= out."
        )
    return ordered


def _kept(
    name: str,
    groupings: Sequence[Grouping],
    terms: Sequence[Term],
    table: Table,
    means_by_name: bool,
) -> tuple[tuple[Grouping, ...], list[Event]]:
    """Leave out slopes and means of terms that are gone, or do not vary within the clusters.

    That a mean is left out is said where it was asked for by name.
    """
    by_label = {term.label: term for term in terms}
    kept: list[Grouping] = []
    events: list[Event] = []
    for each in groupings:
        clusters = table.clusters(each.name)
        varying = {
            label
            for label, term in by_label.items()
            if not all(clusters.is_level2(column) for column in term_columns(term, table).T)
        }
        slopes = tuple(slope for slope in each.slopes if slope[0] in varying)
        means = tuple(label for label in each.means if label in varying)
        lost = {
            "slope left out": dict(each.slopes).keys() - varying,
            "cluster mean left out": set(each.means) - varying if means_by_name else set(),
        }
        for action, labels in lost.items():
            # of terms that are gone altogether it was said before
            for label in sorted(by_label.keys() & labels):
                message = (
                    f"{label!r} in {name!r}: it does not vary within clusters of {each.name!r}, so "
                    f"it has no {action.removesuffix(' left out')} by {each.name!r}."
                )
                events.append(Event("warning", "specification", name, action, message))
        kept.append(replace(each, slopes=slopes, means=means))
    return tuple(kept), events


def _left_out(name: str, unit: str, groupings: Sequence[Grouping], table: Table) -> Iterator[Event]:
    """Say which groupings a variable of clusters has no effects of, though they cross these."""
    for each in groupings:
        if lies_within(table.clusters(each.name), table.clusters(unit)):
            continue  # its clusters are parts of those that have a value
        yield Event(
            "info",
            "specification",
            name,
            "grouping left out",
            f"{name!r} has one value in each cluster of {unit!r}, and these lie in several "
            f"clusters of {each.name!r}: its model has no effects by {each.name!r}.",
        )


def _with_cluster(
    row: "pd.Series[Any]", name: str, columns: Sequence[str]
) -> tuple["pd.Series[Any]", list[Event]]:
    """Row of a user's matrix with the columns of ``cluster=`` coded −2, unless others are."""
    if (row == Role.CLUSTER).any():
        return row, []
    row = row.copy()
    before = {column: int(row[column]) for column in columns}
    row[list(columns)] = int(Role.CLUSTER)
    codes = ", ".join(f"{column!r} is coded {code}" for column, code in before.items())
    return row, [
        Event(
            "info",
            "specification",
            name,
            "cluster added",
            f"{codes} in row {name!r} of predictors and taken as −2, because cluster= names it; "
            "for a single-level model of some targets leave cluster= out and code −2 in the other "
            "rows.",
        )
    ]


def _of_formula(
    name: str, formula: ParsedFormula, clusters: Sequence[str], alias: Alias
) -> tuple[tuple[Term, ...], tuple[Grouping, ...], list[Event]]:
    """Give the groupings of a formula: its own, or those of ``cluster=`` if it needs any."""
    if formula.groupings:
        return formula.terms, formula.groupings, []
    of_arguments = tuple(map(Grouping, clusters))
    if alias.level == 2:
        return formula.terms, of_arguments, []
    if any(term.cluster_mean for term in formula.terms):
        if not clusters:
            raise SpecificationError(
                f"Formula of {name!r} has a cluster mean but no clusters; give cluster=, or add "
                "'(1 | cluster)'."
            )
        return formula.terms, (Grouping(clusters[0], False),), []
    if not clusters:
        return formula.terms, (), []
    random = " + ".join(f"(1 | {cluster})" for cluster in clusters)
    return (
        formula.terms,
        (),
        [
            Event(
                "info",
                "specification",
                name,
                "single level",
                f"The formula of {name!r} has no '{random}', so its model has one level.",
            )
        ],
    )


def _at_level_2(name: str, terms: Sequence[Term]) -> tuple[tuple[Term, ...], list[Event]]:
    """Terms of a model with one row a cluster: each is a cluster mean, and none can vary."""
    events = [
        Event(
            "info",
            "specification",
            name,
            "level 2",
            f"{term.label!r} predicts the level-2 variable {name!r} by its cluster mean; a slope "
            "by cluster or a further cluster mean has no meaning there and is left out.",
        )
        for term in terms
        if term.random or term.cluster_mean
    ]
    fixed = (replace(term, fixed=True, random=False, cluster_mean=False) for term in terms)
    return tuple(fixed), events


def _columns_of(term: Term, table: Table) -> tuple[str, ...]:
    """Columns of the data a term depends on."""
    return tuple(
        name
        for factor in term.factors
        for name in ((factor,) if factor in table.variables else names_in(factor))
    )


def _checked_terms(name: str, terms: Sequence[Term], table: Table) -> tuple[Term, ...]:
    """Terms whose functions have a value wherever their columns are observed."""
    checked = []
    for term in terms:
        for column in _columns_of(term, table):
            if table.variables[column].kind is Kind.OTHER:
                raise SpecificationError(
                    f"{column!r} ({table.variables[column].dtype}) cannot predict {name!r}: it is "
                    "neither a number nor a category; convert it first."
                )
        factors = []
        for factor in term.factors:
            coded = with_category_codes(factor, table)
            if factor not in table.variables:
                observed = np.ones(table.n_rows, dtype=bool)
                for column in names_in(factor):
                    observed &= ~table.missing(column)
                n = int((~np.isfinite(evaluate(coded, table.values)))[observed].sum())
                if n:
                    raise SpecificationError(
                        f"{factor!r}, which predicts {name!r}, is not a finite number in {n} "
                        f"row(s); correct {', '.join(map(repr, names_in(factor)))} there, or use "
                        "another function."
                    )
            factors.append(coded)
        checked.append(replace(term, factors=tuple(factors)))
    return tuple(checked)


def _level(
    name: str,
    alias: Alias,
    groupings: Sequence[Grouping],
    clusters: Sequence[str],
    table: Table,
    formula: ParsedFormula | None,
) -> tuple[int, str | None, tuple[Event, ...]]:
    """Level of a target, and whose property it is at level 2.

    What never varies within clusters is recognised as a property of clusters, of several groupings
    the one with the fewest clusters.
    """
    names = dict.fromkeys([*(each.name for each in groupings), *clusters])
    if alias.level == 2:
        if not names:
            raise SpecificationError(
                f"Variable {name!r}: a level-2 method needs clusters; give cluster=."
            )
        fewest_first = in_order(list(names), table)[::-1]
        values = table.values[name]
        for each in fewest_first:
            if table.clusters(each).is_level2(values):
                return 2, each, ()
        nearest_to = table.clusters(fewest_first[-1])
        varying = nearest_to.varying(values)
        label = nearest_to.labels[int(varying.argmax())]
        raise DataError(
            f"Variable {name!r} is to be imputed at level 2, but it varies within "
            f"{int(varying.sum())} cluster(s), the first {label!r} of {fewest_first[-1]!r}; "
            "correct the data, or use a level-1 method."
        )
    if not groupings or formula is not None:
        return 1, None, ()
    for grouping in reversed(groupings):
        if not is_of_clusters(table.clusters(grouping.name), table.values[name]):
            continue
        return (
            2,
            grouping.name,
            (
                Event(
                    "info",
                    "specification",
                    name,
                    "level 2",
                    f"{name!r} never varies within clusters of {grouping.name!r}: it is imputed "
                    "with one value a cluster; a value known from another row of the cluster is "
                    "used as it is.",
                ),
            ),
        )
    return 1, None, ()


def is_of_clusters(clusters: ClusterIndex, values: np.ndarray) -> bool:
    """Whether the values show a property of clusters: they never vary where they could."""
    repeated = clusters.n_observed(values) >= 2
    return clusters.is_level2(values) and bool(repeated.sum() >= max(2, clusters.n / 2))


def _options(
    name: str, implementation: Any, given: Mapping[Any, Mapping[str, Any]], table: Table
) -> dict[str, Any]:
    known = getattr(implementation, "options", BUILDER_OPTIONS)
    options: dict[str, Any] = {}
    for key in ("*", name):
        for option, value in given.get(key, {}).items():
            if option in known:
                options[option] = value
            elif key != "*":
                raise SpecificationError(
                    f"model_options of {name!r}: there is no option {option!r}; its method has "
                    f"{', '.join(known) or 'none'}.{nearest(option, known)}"
                )
    for option, value in options.items():
        if isinstance(known[option], bool):
            if not isinstance(value, bool):
                raise SpecificationError(
                    f"model_options of {name!r}: {option}={value!r} must be True or False."
                )
        elif isinstance(known[option], int) and (
            not isinstance(value, int) or isinstance(value, bool) or value < 1
        ):
            raise SpecificationError(
                f"model_options of {name!r}: {option}={value!r} must be a whole number from 1."
            )
    return options


def checked_post(name: str, post: Mapping[str, Any]) -> Any:
    """Give the post function of a target, None without one."""
    function = post.get(name)
    if function is not None and not callable(function):
        raise SpecificationError(
            f"post of {name!r} must be a function post(values, data, rng), for example "
            "bi.squeeze(0, 10)."
        )
    return function
