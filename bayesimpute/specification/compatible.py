"""Models that are one joint distribution with the analysis that will be fitted.

An interaction, a power, or a random slope of an incomplete predictor has no conditional model of
the kind chained equations use. What has one is the joint distribution

    p(outcome | covariates) · p(covariate 1 | covariates after it) · … · p(auxiliaries | all these),

the outcome's model being the analysis itself. Here its parts are chosen and put in order; a missing
covariate is then drawn from its own model times all in which it stands
(:mod:`bayesimpute.engine.live_cells`), as in Bartlett et al. (2015, Statistical Methods in Medical
Research 24, 462-487) and Erler et al. (2016, Statistics in Medicine 35, 2955-2974).

First the analyses themselves are read: formulas, families, and the methods these are.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Table
from bayesimpute.errors import SpecificationError
from bayesimpute.events import Event
from bayesimpute.registry import resolve
from bayesimpute.roles import Role
from bayesimpute.specification import aliases
from bayesimpute.specification.defaults import (
    default_method,
    default_predictors,
    names_rows,
    usable_as_predictor,
)
from bayesimpute.specification.expressions import names_in
from bayesimpute.specification.formula_reader import read_formula
from bayesimpute.specification.formula_terms import Formula
from bayesimpute.specification.groupings import in_order
from bayesimpute.specification.latent_means import latent_means, mean_of
from bayesimpute.specification.requests import Request, is_passive
from bayesimpute.specification.specification import Analysed, Log, sources_first
from bayesimpute.specification.survival import check_outcomes
from bayesimpute.wording import did_you_mean, listed
from bayesimpute.wrappers.base import innermost, layers


def read_analyses(
    analysis: str | Sequence[str],
    family: str | Sequence[str] | Mapping[str, str] | None,
    table: Table,
) -> list[Analysed]:
    """Read formulas and families; an outcome that predicts another comes before it.

    Raises
    ------
    SpecificationError
        If a formula does not parse, an outcome is analysed twice, or a family is unknown.
    """
    formulas = [analysis] if isinstance(analysis, str) else list(analysis)
    if not formulas:
        raise SpecificationError("analysis: there is no formula in the list.")
    read: dict[str, Formula] = {}
    for text in formulas:
        if not isinstance(text, str):
            raise SpecificationError(
                f"analysis={text!r} must be a formula, such as 'y ~ x * z + (1 + x | g)'."
            )
        try:
            formula = read_formula(text, tuple(table.variables))
        except SpecificationError as error:
            raise SpecificationError(f"analysis {text!r}: {error}") from None
        outcome = formula.outcome
        if outcome is None:
            raise SpecificationError(
                f"analysis {text!r}: its outcome must be a column, or Surv(time, event) of two; of "
                "a function of one make a column of its own, such as df['log_y'] = "
                "np.log(df['y'])."
            )
        unknown = [name for name in formula.names if name not in table.variables]
        if unknown:
            raise SpecificationError(
                f"analysis {text!r}: there is no column {unknown[0]!r}."
                f"{did_you_mean(unknown[0], table.variables)}"
            )
        if outcome in read:
            raise SpecificationError(
                f"analysis: {outcome!r} is the outcome of two formulas, {read[outcome].text!r} and "
                f"{text!r}; a joint distribution has one model of it. Give the larger one."
            )
        if outcome in formula.predictors:
            raise SpecificationError(
                f"analysis {text!r}: the outcome {outcome!r} predicts itself; take it out on the "
                "right."
            )
        read[outcome] = formula
    families = _families(family, list(read))
    check_outcomes(read, families, table)
    ordered = parents_first({name: set(each.predictors) & set(read) for name, each in read.items()})
    found = []
    for name in ordered:
        formula = read[name]
        default = (
            aliases.SURVIVAL[0] if formula.event else with_density(default_method(table, name)[0])
        )
        family = families.get(name) or default
        found.append(Analysed(formula.text, name, family, formula.event))
    return found


def _families(family: Any, outcomes: Sequence[str]) -> dict[str, str]:
    """Give the method by outcome."""
    if family is None:
        return {}
    if isinstance(family, str):
        given = dict.fromkeys(outcomes, family)
    elif isinstance(family, Mapping):
        given = dict(family)
        for name in given:
            if name not in outcomes:
                raise SpecificationError(
                    f"family names {name!r}, which is no outcome; those are {listed(outcomes)}."
                )
    else:
        given = dict(zip(outcomes, family, strict=False))
        if len(list(family)) != len(outcomes):
            raise SpecificationError(
                f"family has {len(list(family))} entries for {len(outcomes)} analyses; give one "
                "for all, one for each, or a dict by outcome."
            )
    return {name: aliases.FAMILIES.get(str(held), held) for name, held in given.items()}


def with_density(method: str) -> str:
    """Give the model with a likelihood: matching has none."""
    return method if method and gives_density(method) else aliases.NUMBER


def parents_first(parents: Mapping[str, Collection[str]]) -> list[str]:
    """Order models, what each depends on before it."""

    def refusal(circle: list[str]) -> str:
        return (
            f"analysis: the models go round in a circle, {' → '.join(circle[::-1])}, so that they "
            "are no joint distribution; take one of these out of the right-hand side of the next "
            "(formulas= or predictors=)."
        )

    return sources_first(parents, refusal)


def two_equations(method: Any) -> bool:
    """Whether a method has a second equation, of whether a value is seen."""
    return bool(getattr(_implementation(innermost(method)), "two_equations", False))


def gives_density(inside: Any) -> bool:
    """Whether a method, without wrappers, knows the density of values: one of donors does not."""
    return bool(getattr(_implementation(inside), "has_density", True))


def has_coefficients(inside: Any) -> bool:
    """Whether predictors act by coefficients in a method, without wrappers, and by no others."""
    return not getattr(_implementation(inside), "any_function", False)


def _implementation(inside: Any) -> Any:
    """Give the method object of a name, the user's own, or nothing for a passive one."""
    if not isinstance(inside, str):
        return resolve(inside)
    return None if not inside or is_passive(inside) else resolve(aliases.look_up(inside).method)


@dataclass(frozen=True)
class Plan:
    """What analyses ask of the models of all columns.

    Attributes
    ----------
    analyses
        In the order of their outcomes: one that predicts another comes before it.
    methods
        Of each column that gets a model, or is left out ("").
    order
        Columns with a model, each after those it is given by default.
    formulas
        Of the outcomes.
    predictors
        Which columns may predict which, for the others.
    events
        What was decided.
    """

    analyses: tuple[Analysed, ...]
    methods: Mapping[str, Any]
    order: tuple[str, ...]
    formulas: Mapping[str, str]
    predictors: pd.DataFrame
    events: tuple[Event, ...]


def plan_analyses(
    analysis: str | Sequence[str],
    family: str | Sequence[str] | Mapping[str, str] | None,
    table: Table,
    request: Request,
    method: Any,
    written: Mapping[str, str],
) -> Plan:
    """Choose the models of one joint distribution in which the analyses are.

    Parameters
    ----------
    analysis
        Formulas.
    family
        One for all, one for each, or by outcome; default by kind of outcome.
    table
        The data.
    request
        Cluster, formulas and options of the user; ``selection_only`` may name columns that the
        analysis does not.
    method
        What the user says of single columns; a name for all incomplete ones.
    written
        Formula -> the same as its model has it, where that is another text.

    Raises
    ------
    SpecificationError
        Naming formula and column.
    """
    analyses = read_analyses(analysis, family, table)
    outcomes = [each.outcome for each in analyses]
    survival = {name for each in analyses if each.event for name in (each.outcome, each.event)}
    texts = (*(each.formula for each in analyses), *request.formulas.values())
    # columns by which effects vary in any formula number clusters and measure nothing
    groups = {name for text in texts for name in _named_in(text, table)[1]}
    found = _clusters_of(analyses, table)
    clusters = request.clusters or (found[0] if len(found) == 1 else ())
    columns = set(table.columns_of(clusters))
    given = _given(method, table, outcomes)
    passive = {name for name, held in given.items() if is_passive(held)}
    for name in outcomes:
        if name in passive:
            raise SpecificationError(
                f"analysis: its outcome {name!r} is computed by a passive method; compute it in "
                "the data and give it no method, or analyse what it is computed from."
            )
    named = _with_sources(analyses, table, given, passive, request.formulas)
    if request.rows is not None:
        coded = request.rows.isin([int(Role.NONE), int(Role.CLUSTER)]).all()
        named += [str(name) for name in coded.index[~coded] if name not in named]
    for name in outcomes:
        only = request.model_options.get(name, {}).get("selection_only", ())
        only = (only,) if isinstance(only, str) else only
        named += [each for each in only if each in table.variables]
    # groups and conditions are given to a model as its predictors are
    read = {c for held in given.values() for each in layers(held) for c in each.reads() or ()}
    named += [name for name in table.variables if name in read and name not in named]
    covariates = [name for name in named if name not in outcomes and name not in columns]
    latent = latent_means(table)
    covariates += [name for name in latent.values() if name not in covariates]
    modelled = [
        name
        for name in covariates
        if (table.missing(name).any() or name in latent.values()) and name not in passive
    ]
    others = [
        name
        for name in table.variables
        if name not in (*covariates, *outcomes, *survival, *groups, *columns)
        and name not in (*passive, *latent)
        and usable_as_predictor(table, name)
        and not names_rows(table, name)
        and len(np.unique(table.values[name][~table.missing(name)])) > 1
    ]
    levels = _levels(others, table, clusters)
    unused = [n for n in others if n in levels and n not in given and not table.missing(n).any()]
    others = [name for name in others if name not in unused]
    order = [*_ordered(modelled, table, clusters), *outcomes, *_ordered(others, table, clusters)]
    order = parents_first({name: _asked_for(name, request, table) & set(order) for name in order})
    methods = {
        name: given[name] if name in given else _method_of(name, analyses, table) for name in order
    }
    methods |= {name: given[name] for name in given if name in passive}
    left_out = [name for name, held in methods.items() if held in ("", None)]
    for name in left_out:
        if name in (*outcomes, *modelled):
            raise SpecificationError(
                f"method: {name!r} is in an analysis and must have a model, not {methods[name]!r}."
            )
    order = [name for name in order if name not in left_out]
    _check_densities(methods, order)
    for name in outcomes:
        if not has_coefficients(inside := innermost(methods[name])):
            raise SpecificationError(
                f"method: the model of {name!r} is to be the analysis, and {inside!r} has no "
                "coefficients; leave its method out. Covariates may be imputed by it."
            )
    return Plan(
        tuple(analyses),
        methods,
        tuple(order),
        {each.outcome: written.get(each.formula, each.formula) for each in analyses},
        _predictors(
            [name for name in order if name not in survival],
            covariates,
            passive,
            table,
            clusters,
            _selected(methods),
        ),
        (
            *_log(analyses, modelled, [n for n in order if n in others], unused, methods),
            *_say_one_level([] if request.clusters else found),
        ),
    )


def _asked_for(name: str, request: Request, table: Table) -> set[str]:
    """Columns that the user has a variable depend on, which therefore come before it."""
    found: set[str] = set()
    if name in request.formulas:
        found |= set(read_formula(request.formulas[name], tuple(table.variables)).predictors)
    if request.rows is not None and name in request.rows.index:
        row = request.rows.loc[name]
        found |= {str(other) for other, code in row.items() if code != Role.NONE}
    return found - {name}


def _method_of(name: str, analyses: Iterable[Analysed], table: Table) -> str:
    of_outcomes = {each.outcome: each.family for each in analyses}
    if mean_of(name, table) is not None:
        return aliases.NORMAL_OF_CLUSTERS
    return of_outcomes.get(name) or with_density(default_method(table, name)[0])


def _given(method: Any, table: Table, outcomes: Collection[str]) -> dict[str, Any]:
    """Methods the user names, by column."""
    if method is None:
        return {}
    if isinstance(method, Mapping):
        for name in method:
            if name not in table.variables:
                raise SpecificationError(
                    f"method names {name!r}, which is no column of the data."
                    f"{did_you_mean(name, table.variables)}"
                )
        return dict(method)
    return {name: method for name in table.incomplete() if name not in outcomes}


def _clusters_of(analyses: Iterable[Analysed], table: Table) -> list[tuple[str, ...]]:
    """Give the groupings of the analyses, those of ``cluster=`` where it names none."""
    found: dict[tuple[str, ...], None] = {}
    for each in analyses:
        read = read_formula(each.formula, tuple(table.variables))
        names = dict.fromkeys(":".join(part.groups) for part in read.random)
        if names and set(table.columns_of(names)) <= table.variables.keys():
            found[tuple(in_order(names, table))] = None
    return list(found)


def _named_in(text: str, table: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Predictors and groups of a formula; none of one that is refused where its model is made."""
    try:
        read = read_formula(text, tuple(table.variables))
    except SpecificationError:
        return (), ()
    return tuple(read.predictors), tuple(read.groups)


def _with_sources(
    analyses: Iterable[Analysed],
    table: Table,
    methods: Mapping[str, Any],
    passive: Collection[str],
    formulas: Mapping[str, str],
) -> list[str]:
    """Columns that the analyses name right of the ~, and those that these are made of.

    A passive one is made of its expression's, one with a formula of the user's of those it names.
    """
    found: list[str] = []
    queue = [name for each in analyses for name in _named_in(each.formula, table)[0]]
    while queue:
        name = queue.pop(0)
        if name in found or name not in table.variables:
            continue
        found.append(name)
        if name in passive:
            queue += list(names_in(methods[name].strip()[1:].strip()))
        elif name in formulas:
            queue += _named_in(formulas[name], table)[0]
    return found


def _ordered(names: Iterable[str], table: Table, clusters: Sequence[str]) -> list[str]:
    """Variables of clusters first, those of few before those of many, then fewest missing first."""
    names = list(names)
    levels = _levels(names, table, clusters)
    return sorted(names, key=lambda name: (-levels.get(name, -1), int(table.missing(name).sum())))


def _levels(names: Iterable[str], table: Table, clusters: Sequence[str]) -> dict[str, int]:
    """Variables that the data show to be of clusters, with the position of their grouping.

    Of several groupings it is that with the fewest clusters; a latent mean is of the first one.
    """
    found = dict.fromkeys(latent_means(table), 0)
    for name in names:
        for position, cluster in enumerate(clusters):
            if table.clusters(cluster).has_property(table.values[name]):
                found[name] = position
    return found


def _selected(methods: Mapping[str, Any]) -> set[str]:
    """Outcomes that are missing not at random: they predict nothing else."""
    modelled = {name: held for name, held in methods.items() if held and not is_passive(held)}
    return {name for name, held in modelled.items() if two_equations(held)}


def _predictors(
    order: Sequence[str],
    covariates: Collection[str],
    passive: Collection[str],
    table: Table,
    clusters: Sequence[str],
    selected: Collection[str],
) -> pd.DataFrame:
    """Which columns predict which: those before them, and complete covariates.

    A variable of clusters is not given incomplete ones of rows: through their mean it would tie all
    missing values of a cluster together, for little that it tells of them.
    """
    matrix = default_predictors(table, clusters)
    matrix[list(latent_means(table))] = int(Role.NONE)
    level2 = _levels(order, table, clusters).keys()
    incomplete = set(table.incomplete())
    given = [name for name in covariates if name not in order and name not in passive]
    for position, name in enumerate(order):
        allowed = {*given, *order[:position]} - set(selected)
        if name in level2:
            allowed -= incomplete - level2
        for other in matrix.columns:
            if other not in allowed and matrix.at[name, other] != Role.CLUSTER:
                matrix.loc[name, other] = int(Role.NONE)
    return matrix


def _check_densities(methods: Mapping[str, Any], order: Sequence[str]) -> None:
    for name in order:
        inside = innermost(methods[name])
        if not gives_density(inside):
            raise SpecificationError(
                f"method: {inside!r} of {name!r} has no density, which imputation compatible with "
                f"an analysis needs; use a model with one ({aliases.NUMBER!r}, "
                f"{aliases.HEAVY_TAILED!r}, {aliases.POSITIVE!r}), or on='conditional' for chained "
                "equations."
            )


def _log(
    analyses: Sequence[Analysed],
    modelled: Sequence[str],
    others: Sequence[str],
    unused: Sequence[str],
    methods: Mapping[str, Any],
) -> Log:
    """Say what was decided."""
    log = Log()
    for each in analyses:
        log.info(
            each.outcome,
            "model of the analysis",
            f"{each.formula} by {each.family!r}: the analysis is the model of its outcome, and "
            "missing predictors are drawn from their own models times it.",
        )
    if modelled:
        text = listed([f"{name} ({methods[name]})" for name in modelled])
        log.info("", "models of covariates", f"In this order, without the outcome: {text}.")
    else:
        log.info(
            "",
            "nothing to be compatible with",
            "No incomplete column stands right of the ~ of an analysis: nothing needs imputing "
            "for it.",
        )
    if others:
        kept_out = {
            "the time to the event": any(each.event for each in analyses),
            "what is missing not at random": bool(_selected(methods)),
        }
        but = "".join(f" but {what}" for what, is_there in kept_out.items() if is_there)
        log.info(
            "",
            "auxiliary variables",
            f"{listed(others)}: in no analysis, so each has a model given all that is{but}, and "
            "informs what is missing there. Leave a column out of the data, or set its method to "
            "'', to save its time.",
        )
    if unused:
        log.info(
            "",
            "not used",
            f"{listed(unused)}: in no analysis, complete, and of clusters, which are few; no model "
            "takes it in, unless `method` names one, or a formula or row of predictors names it.",
        )
    return log


def _say_one_level(groupings: Sequence[tuple[str, ...]]) -> Log:
    """Say that analyses of different groupings leave the models of other columns without any."""
    log = Log()
    if len(groupings) > 1:
        log.warning(
            "",
            "single level",
            f"The analyses group rows differently ({'; '.join(map(listed, groupings))}), so that "
            "models of other columns have no effects by cluster; name the clusters: cluster=.",
        )
    return log


def checked_analyses(
    analysis: str | Sequence[str] | None,
    family: Any,
    on: str,
    table: Table,
    request: Request,
    method: Any,
    written: Mapping[str, str],
) -> tuple[tuple[Analysed, ...], Plan | None]:
    """Read ``analysis=``, ``family=`` and ``on=``; the plan is None for chained equations.

    Raises
    ------
    SpecificationError
        If they cannot be used.
    """
    if on not in ("analysis", "conditional"):
        raise SpecificationError(
            f"on={on!r} must be 'analysis' (imputation compatible with analysis=) or "
            "'conditional' (chained equations)."
        )
    if analysis is None:
        if family is not None:
            raise SpecificationError("family= is that of an analysis; give analysis='y ~ x'.")
        return (), None
    if on == "conditional":
        return tuple(read_analyses(analysis, family, table)), None
    plan = plan_analyses(analysis, family, table, request, method, written)
    return plan.analyses, plan


def joined(request: Request, plan: Plan, where: Any, visit_sequence: Any) -> Request:
    """Put the formulas of a plan into a request.

    Raises
    ------
    SpecificationError
        If the request says what contradicts a joint distribution.
    """
    if visit_sequence is not None:
        raise SpecificationError(
            "visit_sequence: the models of an analysis have an order of their own, outcomes after "
            "what predicts them; leave it out, or give on='conditional'."
        )
    if not (where is None or (isinstance(where, str) and where == "missing")):
        raise SpecificationError(
            "where: imputation compatible with an analysis draws what is missing, all of it; "
            "leave it out, or give on='conditional'."
        )
    for name, text in plan.formulas.items():
        if name in request.formulas:
            raise SpecificationError(
                f"formulas: {name!r} is the outcome of the analysis {text!r}, which is its model."
            )
    formulas = {**request.formulas, **plan.formulas}
    matrix = None
    if request.rows is not None:
        matrix = plan.predictors.copy()
        matrix.loc[request.rows.index] = request.rows
    return replace(request, formulas=formulas, analysed=tuple(plan.formulas), predictors=matrix)
