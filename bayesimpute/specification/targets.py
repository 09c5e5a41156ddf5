"""One target: its method, level, cluster, terms and options, checked and decided.

Models of why values are missing come first: which equation a predictor is in, and what cannot be
learnt.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import ClusterIndex, Kind, Table, lies_within
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.registry import resolve
from bayesimpute.roles import Role
from bayesimpute.specification import screening
from bayesimpute.specification.aliases import LIKELIHOODS, MATCHING, NUMBER, SHARES, Alias
from bayesimpute.specification.defaults import usable_as_predictor
from bayesimpute.specification.expressions import evaluate, names_in, with_category_codes
from bayesimpute.specification.formula_reader import ParsedFormula, parse_formula
from bayesimpute.specification.formula_terms import lacking_margins
from bayesimpute.specification.groupings import above, check_groupings, in_order, placed_terms
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.requests import Request, clusters_of, remedy, terms_of
from bayesimpute.specification.specification import (
    Grouping,
    Log,
    Passive,
    Target,
    Term,
    computed_from,
)
from bayesimpute.specification.survival import check_indicators, with_event
from bayesimpute.wording import did_you_mean, listed
from bayesimpute.wrappers.base import Scope, decide, innermost, layers, method_text

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
    rho = options.get("rho")
    if rho is not None and not (isinstance(rho, int | float) and -1 < rho < 1):
        raise SpecificationError(
            f"model_options of {target!r}: rho={rho!r} must be a number between −1 and 1 (both "
            "excluded), or None to estimate it."
        )
    events = Log()
    missing = table.missing(target) & ~ignored
    seen = ~table.missing(target) & ~ignored
    if clusters is not None and level == 1:
        n_seen = np.bincount(clusters.codes[seen], minlength=clusters.n)
        n_missing = np.bincount(clusters.codes[missing], minlength=clusters.n)
        empty, full = (n_seen == 0) & (n_missing > 0), (n_missing == 0) & (n_seen > 0)
        if empty.any() and not options.get("select_whole_clusters", False):
            missing = missing & ~empty[clusters.codes]
            events.info(
                target,
                "clusters outside the selection",
                f"{int(empty.sum())} cluster(s) have no observed {target!r}, the first "
                f"{str(clusters.labels[int(empty.argmax())])!r}: that says nothing of single "
                "rows, so they are drawn from the population of clusters and not taken as "
                "selected against; select_whole_clusters=True in model_options does.",
            )
        if full.any():
            events.info(
                target,
                "clusters without gaps",
                f"{int(full.sum())} cluster(s) have every {target!r} observed, the first "
                f"{str(clusters.labels[int(full.argmax())])!r}: their selection is drawn "
                "towards that of the others.",
            )
    if not missing.any():
        events.warning(
            target,
            "no selection to learn from",
            f"No row that could have been seen has {target!r} missing, so nothing is known of "
            "the selection and ρ keeps its prior; a model without selection "
            f"({NUMBER!r}) says the same and is faster.",
        )
    if not any(term.equation == "selection" and term.fixed for term in terms) and rho is None:
        events.warning(
            target,
            "no exclusion restriction",
            f"No predictor of {target!r} is in the selection only (code −3, or selection_only "
            "in model_options): ρ is known only through the normal shape of the errors. Look "
            "at imp.identification() and at fixed values of ρ (rho=).",
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
    events = Log()
    alias = screening.alias_of(chosen, name, table.variables[name].kind)
    implementation = resolve(alias.method)
    kind = _kind(name, method_text(chosen), implementation, table)
    modelling = resolve(innermost(alias.method))
    selects = getattr(modelling, "two_equations", False)
    formula: ParsedFormula | None = None
    if name in request.formulas:
        formula = parse_formula(request.formulas[name], name, table.variables)
        terms = _with_margins(name, formula.terms, table, events)
        groupings = _groupings_of(name, formula, request.clusters, alias, events)
    else:
        matrix = request.predictors if request.predictors is not None else defaults
        assert matrix is not None
        row: pd.Series[Any] = matrix.loc[[name]].iloc[0].copy()
        if defaults is not None:
            _default_row(row, name, table, passives, unimputed, events)
        elif request.clusters:
            _with_cluster(row, name, table.columns_of(request.clusters), events)
        coded = clusters_of(row, name)
        # of "school/class", columns stand for the groupings that cluster= makes of them
        of_argument = set(coded) == set(table.columns_of(request.clusters))
        terms = terms_of(row, name, table, selects)
        groupings = tuple(map(Grouping, request.clusters if of_argument else coded))
    terms = _checked_terms(name, terms, table, unimputed)
    groupings = _ordered(name, groupings, table)
    random_intercept = True
    if formula is None:  # codes 3 and 4 ask for the means of all groupings
        means = tuple(term.label for term in terms if term.cluster_mean)
        groupings = (*groupings[:1], *(replace(each, means=means) for each in groupings[1:]))
    elif groupings:
        terms, random_intercept, others = placed_terms(terms, groupings)
        groupings = (groupings[0], *others)
    cluster = groupings[0].name if groupings else None
    if alias.clustered and cluster is None:
        raise SpecificationError(
            f"Method {method_text(chosen)!r} of {name!r} needs clusters; give cluster=, or code "
            "the cluster variable −2 in the predictors."
        )
    options = {**alias.options, **_options(name, implementation, request.model_options)}
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
    screening.check_target(name, innermost(alias.method), table)
    _say_empty_categories(name, table, observed, events)
    unit = _unit(name, alias, groupings, request.clusters, table, formula, events)
    level = 1 if unit is None else 2
    further = groupings[1:]
    if unit is not None:
        cluster = unit
        but_unit = [each for each in groupings if each.name != unit]
        further = above(table.clusters(unit), but_unit, table)
        _say_left_out(name, unit, [g for g in but_unit if g not in further], table, events)
        terms = _at_level_2(name, terms, events)
    elif cluster is not None:
        check_groupings([each.name for each in groupings], table, name)
    clusters = table.clusters(cluster) if cluster is not None else None
    if selects:
        events += selection_events(name, terms, options, table, clusters, level, ignored)
    events += check_indicators(name, modelling, options, table, clusters if level == 2 else None)
    method = alias.method
    fitted = observed
    if any(layers(method)):
        screening.check_read_columns(name, method, unimputed)
        numbers = tuple(np.unique(table.values[name][~table.missing(name)]).tolist())
        scope = Scope(
            name,
            kind or table.variables[name].kind,
            numbers if kind else table.variables[name].categories,
            level,
            cluster,
            clusters,
            tuple(term.label for term in terms if term.random),
            table,
            observed,
            table.missing(name),
        )
        method, decided = decide(method, scope)
        events += decided
        fitted = screening.surely_fitted(name, method, table, observed)
        terms = screening.terms_inside(name, method, terms, table, clusters, fitted, events)
    terms = screening.screen(name, terms, table, clusters if level == 1 else None, fitted, events)
    further = _kept(name, further, terms, table, formula is not None, events)
    if level == 1:
        for each in further:
            screening.say_of_clusters(name, table, each.name, bool(each.slopes), events)
        if cluster is not None and not screening.has_fixed_clusters(method):
            slopes = any(term.random for term in terms)
            screening.say_of_clusters(name, table, cluster, slopes, events)
    priors, post = request.priors.get(name, {}), checked_post(name, request.post)
    target = Target(name, method, cluster, level, terms, random_intercept, priors, options, post)
    return replace(target, kind=kind, groupings=further), tuple(events)


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


def _say_empty_categories(name: str, table: Table, observed: np.ndarray, events: Log) -> None:
    """Say which categories of a target no row to learn from has."""
    seen = set(table.values[name][observed].tolist())
    categories = enumerate(table.variables[name].categories)
    labels = [repr(label) for code, label in categories if float(code) not in seen]
    if labels:
        events.warning(
            name,
            "empty category",
            f"No row to learn from has {name!r} = {', '.join(labels)}. A model of categories "
            f"imputes it as rarely as prior and data allow, {MATCHING!r} and {SHARES!r} never; "
            "take it out of the categories if it cannot occur.",
        )


def _default_row(
    row: "pd.Series[Any]",
    name: str,
    table: Table,
    passives: Mapping[str, Passive],
    unimputed: Sequence[str],
    events: Log,
) -> None:
    """Take out of a default row what would be wrong in it, saying so."""
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
        message = f"{column!r} does not predict {name!r} by default: {why}."
        events.info(name, "predictor left out", message)


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
    events: Log,
) -> tuple[Grouping, ...]:
    """Leave out slopes and means of terms that are gone, or do not vary within the clusters.

    That a mean is left out is said where it was asked for by name.
    """
    labels = {term.label for term in terms}
    kept = []
    for each in groupings:
        clusters = table.clusters(each.name)
        varying = {
            t.label for t in terms if not clusters.all_level2(screening.term_columns(t, table))
        }
        lost = {"slope left out": dict(each.slopes).keys() - varying}
        if means_by_name:
            lost["cluster mean left out"] = set(each.means) - varying
        for action, gone in lost.items():
            # of terms that are gone altogether it was said before
            for label in sorted(labels & gone):
                message = (
                    f"{label!r} in {name!r}: it does not vary within clusters of {each.name!r}, so "
                    f"it has no {action.removesuffix(' left out')} by {each.name!r}."
                )
                events.warning(name, action, message)
        slopes = tuple(slope for slope in each.slopes if slope[0] in varying)
        means = tuple(label for label in each.means if label in varying)
        kept.append(replace(each, slopes=slopes, means=means))
    return tuple(kept)


def _say_left_out(
    name: str, unit: str, groupings: Sequence[Grouping], table: Table, events: Log
) -> None:
    """Say which groupings a variable of clusters has no effects of, though they cross these."""
    for each in groupings:
        # others' clusters are parts of those that have a value
        if not lies_within(table.clusters(each.name), table.clusters(unit)):
            events.info(
                name,
                "grouping left out",
                f"{name!r} has one value in each cluster of {unit!r}, and these lie in several "
                f"clusters of {each.name!r}: its model has no effects by {each.name!r}.",
            )


def _with_cluster(row: "pd.Series[Any]", name: str, columns: Sequence[str], events: Log) -> None:
    """Code the columns of ``cluster=`` −2 in a row of a user's matrix, unless others are."""
    if (row == Role.CLUSTER).any():
        return
    codes = ", ".join(f"{column!r} is coded {int(row[column])}" for column in columns)
    row[list(columns)] = int(Role.CLUSTER)
    events.info(
        name,
        "cluster added",
        f"{codes} in row {name!r} of predictors and taken as −2, because cluster= names it; for a "
        "single-level model of some targets leave cluster= out and code −2 in the other rows.",
    )


def _groupings_of(
    name: str, formula: ParsedFormula, clusters: Sequence[str], alias: Alias, events: Log
) -> tuple[Grouping, ...]:
    """Give the groupings of a formula: its own, or those of ``cluster=`` if it needs any."""
    if formula.groupings:
        return formula.groupings
    if alias.level == 2:
        return tuple(map(Grouping, clusters))
    if any(term.cluster_mean for term in formula.terms):
        if not clusters:
            raise SpecificationError(
                f"Formula of {name!r} has a cluster mean but no clusters; give cluster=, or add "
                "'(1 | cluster)'."
            )
        return (Grouping(clusters[0], False),)
    if clusters:
        random = " + ".join(f"(1 | {cluster})" for cluster in clusters)
        message = f"The formula of {name!r} has no '{random}', so its model has one level."
        events.info(name, "single level", message)
    return ()


def _at_level_2(name: str, terms: Sequence[Term], events: Log) -> tuple[Term, ...]:
    """Terms of a model with one row a cluster: each is a cluster mean, and none can vary."""
    for term in terms:
        if term.random or term.cluster_mean:
            events.info(
                name,
                "level 2",
                f"{term.label!r} predicts the level-2 variable {name!r} by its cluster mean; a "
                "slope by cluster or a further cluster mean has no meaning there and is left out.",
            )
    return tuple(replace(term, fixed=True, random=False, cluster_mean=False) for term in terms)


def _with_margins(name: str, terms: Sequence[Term], table: Table, events: Log) -> tuple[Term, ...]:
    """Put terms before others that R would give all categories in their place."""
    kinds = {name: variable.kind for name, variable in table.variables.items()}
    categorical = {name for name, kind in kinds.items() if kind not in (Kind.NUMERIC, Kind.OTHER)}
    fixed = [term.factors for term in terms if term.fixed]
    lacking = lacking_margins(fixed, categorical, True)
    found: dict[str, Term] = {}
    for term in terms:
        margins = [Term(":".join(each), each) for each in lacking if set(each) < set(term.factors)]
        for each in (*margins, term):  # a margin may be there already, varying by cluster only
            old = found.get(each.label)
            found[each.label] = each if old is None else old.and_also(each)
    if lacking:
        events.info(
            name,
            "margin added",
            f"{listed(map(':'.join, lacking))} in the model of {name!r}: products with categories "
            "alone have, as in R, all of these categories, which are written as what holds of the "
            "reference and differences from it.",
        )
    return tuple(found.values())


def _checked_terms(
    name: str, terms: Sequence[Term], table: Table, unimputed: Sequence[str]
) -> tuple[Term, ...]:
    """Terms of known columns whose functions have a value wherever these are observed."""
    checked = []
    for term in terms:
        for column in term.read_columns(table.variables):
            if table.variables[column].kind is Kind.OTHER:
                raise SpecificationError(
                    f"{column!r} ({table.variables[column].dtype}) cannot predict {name!r}: it is "
                    f"neither a number nor a category; {remedy(table, column)}."
                )
        factors = tuple(with_category_codes(factor, table) for factor in term.factors)
        for factor, coded in zip(term.factors, factors, strict=True):
            if factor in table.variables:
                continue
            names = names_in(factor)
            observed = ~np.any([table.missing(column) for column in names], axis=0)
            n = int((~np.isfinite(evaluate(coded, table.values)) & observed).sum())
            if n:
                raise SpecificationError(
                    f"{factor!r}, which predicts {name!r}, is not a finite number in {n} row(s); "
                    f"correct {', '.join(map(repr, names))} there, or use another function."
                )
        checked.append(replace(term, factors=factors))
    for term in checked:
        for column in term.read_columns(table.variables):
            if column in unimputed:
                raise SpecificationError(
                    f"{column!r} predicts {name!r} but stays incomplete; give {column!r} a "
                    "method (or its bi.only_where an otherwise=), or take it out of the "
                    f"predictors of {name!r}."
                )
    return tuple(checked)


def _unit(
    name: str,
    alias: Alias,
    groupings: Sequence[Grouping],
    clusters: Sequence[str],
    table: Table,
    formula: ParsedFormula | None,
    events: Log,
) -> str | None:
    """Give whose property a target of level 2 is; None at level 1.

    What never varies within clusters is recognised as a property of clusters, of several groupings
    the one with the fewest clusters.
    """
    values = table.values[name]
    if alias.level == 2:
        names = dict.fromkeys([*(each.name for each in groupings), *clusters])
        if not names:
            raise SpecificationError(
                f"Variable {name!r}: a level-2 method needs clusters; give cluster=."
            )
        most_first = in_order(list(names), table)
        for each in most_first[::-1]:
            if table.clusters(each).is_level2(values):
                return each
        varying = table.clusters(most_first[0]).varying(values)
        label = table.clusters(most_first[0]).labels[int(varying.argmax())]
        raise DataError(
            f"Variable {name!r} is to be imputed at level 2, but it varies within "
            f"{int(varying.sum())} cluster(s), the first {label!r} of {most_first[0]!r}; "
            "correct the data, or use a level-1 method."
        )
    for grouping in reversed(groupings) if formula is None else ():
        if table.clusters(grouping.name).has_property(values):
            events.info(
                name,
                "level 2",
                f"{name!r} never varies within clusters of {grouping.name!r}: it is imputed with "
                "one value a cluster; a value known from another row of the cluster is used as it "
                "is.",
            )
            return grouping.name
    return None


def _options(
    name: str, implementation: Any, given: Mapping[Any, Mapping[str, Any]]
) -> dict[str, Any]:
    known = getattr(implementation, "options", BUILDER_OPTIONS)
    options: dict[str, Any] = {}
    for key in ("*", name):
        for option, value in given.get(key, {}).items():
            if option in known:
                # a number of NumPy is that number
                options[option] = value.item() if isinstance(value, np.generic) else value
            elif key != "*":
                raise SpecificationError(
                    f"model_options of {name!r}: there is no option {option!r}; its method has "
                    f"{', '.join(known) or 'none'}.{did_you_mean(option, known)}"
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
