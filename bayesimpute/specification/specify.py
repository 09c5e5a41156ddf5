"""From the user's words to a frozen specification, everything checked before any work."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.clusters import ClusterIndex, cluster_index
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.registry import resolve
from bayesimpute.roles import Role
from bayesimpute.specification.aliases import Alias, look_up
from bayesimpute.specification.cells import cells_wanted, rows_ignored
from bayesimpute.specification.defaults import make_predictors, usable_as_predictor
from bayesimpute.specification.expressions import evaluate, names_in, read, with_category_codes
from bayesimpute.specification.formulas import ParsedFormula, parse_formula
from bayesimpute.specification.order import passive_order, visit_order
from bayesimpute.specification.predictors import (
    check_predictors,
    cluster_of,
    effective_row,
    terms_of,
)
from bayesimpute.specification.screening import cluster_events, screen
from bayesimpute.specification.specification import Passive, Specification, Target, Term

DEFAULT_METHOD = "pmm"
#: What every sampler understands; a model builder has no options of its own.
BUILDER_OPTIONS = {"transitions": 10, "tune": 500}


@dataclass(frozen=True)
class _Request:
    """What the user asked for, by target; defaults filled in nowhere."""

    cluster: str | None
    predictors: pd.DataFrame | None
    formulas: Mapping[str, str]
    priors: Mapping[str, Mapping[str, Any]]
    post: Mapping[str, Any]
    model_options: Mapping[Any, Mapping[str, Any]]


def specify(
    df: pd.DataFrame,
    cluster: str | None = None,
    method: Mapping[str, Any] | str | None = None,
    predictors: pd.DataFrame | None = None,
    formulas: Mapping[str, str] | None = None,
    priors: Mapping[str, Mapping[str, Any]] | None = None,
    post: Mapping[str, Any] | None = None,
    where: Any = None,
    ignore: Any = None,
    visit_sequence: str | Sequence[str] | None = None,
    model_options: Mapping[Any, Mapping[str, Any]] | None = None,
) -> Specification:
    """Check everything and decide everything that is decided before the first draw.

    Parameters are those of :func:`bayesimpute.impute`.

    Returns
    -------
    Specification

    Raises
    ------
    DataError
        If the data cannot be imputed as they are.
    SpecificationError
        If the arguments contradict each other or the data.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, None]})
    >>> specify(df).visit_sequence
    ('y',)
    """
    table = Table.from_frame(df)
    if cluster is not None and cluster not in table.variables:
        raise SpecificationError(
            f"cluster={cluster!r} is no column of the data.{_nearest(cluster, table.variables)}"
        )
    request = _Request(
        cluster,
        check_predictors(predictors, table) if predictors is not None else None,
        _by_column(formulas, table, "formulas"),
        _by_column(priors, table, "priors"),
        _by_column(post, table, "post"),
        _option_blocks(model_options, table),
    )
    for name, distributions in request.priors.items():
        if not isinstance(distributions, Mapping):
            raise SpecificationError(
                f"priors of {name!r} must be a dict from parameter to distribution, such as "
                "{'sigma': pm.HalfNormal.dist(1)}."
            )
    cells = cells_wanted(where, table)
    ignored = rows_ignored(ignore, table)
    chosen = _methods(method, table, cells, cluster, request)
    events: list[Event] = []

    passives = _passives(chosen, table)
    order = passive_order(passives)
    unimputed = [
        name
        for name in table.incomplete()
        if name not in chosen and table.variables[name].kind is not Kind.OTHER
    ]
    defaults = make_predictors(table.frame, cluster) if request.predictors is None else None
    targets: dict[str, Target | Passive] = {}
    for name, chosen_method in chosen.items():
        if name in passives:
            targets[name] = passives[name]
            continue
        targets[name], more = _target(
            name, chosen_method, table, request, ignored, defaults, passives, unimputed
        )
        events.extend(more)
    for name in (*request.formulas, *request.priors, *request.post):
        if not isinstance(targets.get(name), Target):
            raise SpecificationError(
                f"{name!r} is named in formulas, priors or post, but no model imputes it; models "
                f"impute {', '.join(k for k, v in targets.items() if isinstance(v, Target))}."
            )
    for option in request.model_options.get("*", {}):
        models = [t for t in targets.values() if isinstance(t, Target)]
        if not any(option in t.options for t in models):
            raise SpecificationError(
                f"model_options: no method of this run has an option {option!r}; each has its own, "
                "such as donors (pmm), heteroscedastic (normal), transitions, tune."
            )
    sequence, more = visit_order(visit_sequence, targets, table)
    matrix = pd.DataFrame(
        int(Role.NONE), index=list(table.variables), columns=list(table.variables)
    )
    for name, target in targets.items():
        if isinstance(target, Target):
            row = effective_row(target.terms, target.cluster, list(table.variables))
            matrix.loc[name] = pd.Series(row)
    return Specification(
        table=table,
        targets=targets,
        visit_sequence=sequence,
        passive_order=order,
        where={name: cells[name] for name in targets},
        ignore=ignored,
        methods={name: _method_name(chosen.get(name, "")) for name in table.variables},
        predictors=matrix,
        events=(*events, *more),
    )


def _methods(
    method: Mapping[str, Any] | str | None,
    table: Table,
    cells: Mapping[str, np.ndarray],
    cluster: str | None,
    request: _Request,
) -> dict[str, Any]:
    """Choose the method of every column that gets values, in column order."""
    clusters = {cluster} if cluster is not None else set()
    if request.predictors is not None:
        asked = [name for name, mask in cells.items() if mask.any()]
        coded = request.predictors.loc[asked] == Role.CLUSTER
        clusters |= {str(name) for name in coded.columns[coded.any()]}
    wanted = [
        name
        for name, mask in cells.items()
        if mask.any()
        and table.variables[name].kind is not Kind.OTHER
        and not (name in clusters and not table.missing(name).any())
    ]
    if isinstance(method, Mapping):
        for name in method:
            if name not in table.variables:
                raise SpecificationError(
                    f"method names {name!r}, which is no column of the data."
                    f"{_nearest(name, table.variables)}"
                )
        given = dict(method)
        for name, value in given.items():
            if value not in ("", None) and table.variables[name].kind is Kind.OTHER:
                raise SpecificationError(
                    f"method gives {value!r} for {name!r} ({table.variables[name].dtype}), which "
                    "is neither a number nor a category; convert it first."
                )
            if value not in ("", None) and name not in wanted:
                raise SpecificationError(
                    f"method gives {value!r} for {name!r}, which has no cell to impute; leave it "
                    "out, or ask for cells with where=."
                )
    elif method is None or isinstance(method, str) or callable(method):
        given = dict.fromkeys(wanted, method if method is not None else DEFAULT_METHOD)
    else:
        raise SpecificationError(
            f"method must be a dict from column to method, or one method, not "
            f"{type(method).__name__}."
        )
    for name in sorted(clusters):
        if table.missing(name).any():
            cluster_index(table, name)
    chosen = {name: given.get(name, DEFAULT_METHOD) for name in wanted}
    chosen = {name: value for name, value in chosen.items() if value not in ("", None)}
    if not chosen:
        raise DataError(
            "There is nothing to impute: no missing cell has a method. Complete data need no "
            "imputation; observed cells are imputed anew with where=."
        )
    for name, value in chosen.items():
        if table.missing(name).all() and not _is_passive(value):
            raise DataError(
                f"Variable {name!r} has no observed value; there is nothing to learn from. Drop "
                "it, or set its method to ''."
            )
    return chosen


def _is_passive(method: Any) -> bool:
    return isinstance(method, str) and method.lstrip().startswith("~")


def _passives(chosen: Mapping[str, Any], table: Table) -> dict[str, Passive]:
    passives = {}
    for name, value in chosen.items():
        if not _is_passive(value):
            continue
        text = value.lstrip()[1:].strip()
        try:
            read(text)
        except SpecificationError as error:
            raise SpecificationError(f"Passive method of {name!r}: {error}") from None
        inputs = names_in(text)
        for column in inputs:
            if column not in table.variables:
                raise SpecificationError(
                    f"Passive method of {name!r}, {value!r}: there is no column {column!r}."
                    f"{_nearest(column, table.variables)}"
                )
            if table.missing(column).any() and column not in chosen:
                raise SpecificationError(
                    f"Passive method of {name!r} uses {column!r}, which stays incomplete; give "
                    f"{column!r} a method."
                )
        if name in inputs:
            raise SpecificationError(
                f"Passive method of {name!r} uses {name!r} itself; a cycle cannot be computed."
            )
        if table.variables[name].kind is not Kind.NUMERIC:
            raise SpecificationError(
                f"Passive method of {name!r}: only numeric variables can be computed."
            )
        passives[name] = Passive(name, with_category_codes(text, table), inputs)
    return passives


def _target(
    name: str,
    chosen: Any,
    table: Table,
    request: _Request,
    ignored: np.ndarray,
    defaults: pd.DataFrame | None,
    passives: Mapping[str, Passive],
    unimputed: Sequence[str],
) -> tuple[Target, tuple[Event, ...]]:
    alias = look_up(chosen, name) if isinstance(chosen, str) else Alias(chosen)
    implementation = resolve(alias.method)
    variable = table.variables[name]
    if variable.kind not in getattr(implementation, "kinds", frozenset(Kind)):
        raise SpecificationError(
            f"Method {chosen!r} imputes numbers, but {name!r} is {variable.kind} "
            f"({variable.dtype}); use 'pmm', which takes every kind of variable."
        )
    events: list[Event] = []
    more: Sequence[Event]
    formula: ParsedFormula | None = None
    random_intercept = True
    if name in request.formulas:
        formula = parse_formula(request.formulas[name], name, table.variables)
        terms, cluster, more = _formula_cluster(name, formula, request.cluster, alias)
        random_intercept = formula.random_intercept
        events.extend(more)
    else:
        matrix = request.predictors if request.predictors is not None else defaults
        assert matrix is not None
        row: pd.Series[Any] = matrix.loc[[name]].iloc[0]
        if defaults is not None:
            row, more = _default_row(row, name, table, passives, unimputed)
            events.extend(more)
        elif request.cluster is not None:
            row, more = _with_cluster(row, name, request.cluster)
            events.extend(more)
        cluster = cluster_of(row, name)
        terms = terms_of(row, name, table)
    terms = _checked_terms(name, terms, table)
    for term in terms:
        for column in _columns_of(term, table):
            if column in unimputed:
                raise SpecificationError(
                    f"{column!r} predicts {name!r} but stays incomplete; give {column!r} a "
                    f"method, or take it out of the predictors of {name!r}."
                )
    clusters = cluster_index(table, cluster) if cluster is not None else None
    if cluster is not None and clusters is not None and clusters.n < 2:
        raise DataError(
            f"Cluster variable {cluster!r} has a single cluster; two levels need at least two. "
            "Leave cluster= out."
        )
    if alias.clustered and clusters is None:
        raise SpecificationError(
            f"Method {chosen!r} of {name!r} needs clusters; give cluster=, or code the cluster "
            "variable −2 in the predictors."
        )
    observed = ~table.missing(name) & ~ignored
    if len(np.unique(table.values[name][observed])) < 2:
        raise DataError(
            f"Variable {name!r} has fewer than two different observed values in the rows that may "
            "be used; there is no spread to impute from. Drop it, or set its method to ''."
        )
    level, more = _level(name, alias, clusters, cluster, table, formula)
    events.extend(more)
    if level == 2:
        terms, more = _at_level_2(name, terms)
        events.extend(more)
    elif clusters is not None and clusters.n == table.n_rows:
        raise DataError(
            f"Cluster variable {cluster!r} has another value in every row, so clusters cannot be "
            f"told from residuals in the model of {name!r}; give the variable that groups rows."
        )
    terms, more = screen(name, terms, table, clusters if level == 1 else None, observed)
    events.extend(more)
    if clusters is not None and level == 1:
        slopes = any(term.random for term in terms)
        events.extend(cluster_events(name, clusters, table.values[name], slopes))
    return (
        Target(
            name,
            alias.method,
            cluster,
            level,
            terms,
            random_intercept,
            request.priors.get(name, {}),
            {**alias.options, **_options(name, implementation, request.model_options, table)},
            _checked_post(name, request.post),
        ),
        tuple(events),
    )


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
            why = "it stays incomplete, having no method"
        elif not usable_as_predictor(table, column):
            why = "it names rows or is neither number nor category"
        elif column in passives and name in _sources(column, passives):
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


def _with_cluster(
    row: "pd.Series[Any]", name: str, cluster: str
) -> tuple["pd.Series[Any]", list[Event]]:
    """Row of a user's matrix with the column of ``cluster=`` coded −2, unless it has another."""
    if (row == Role.CLUSTER).any():
        return row, []
    row = row.copy()
    before, row[cluster] = int(row[cluster]), int(Role.CLUSTER)
    return row, [
        Event(
            "info",
            "specification",
            name,
            "cluster added",
            f"{cluster!r} is coded {before} in row {name!r} of predictors and is taken as −2, "
            "because cluster= names it; for a single-level model of some targets leave cluster= "
            "out and code −2 in the other rows.",
        )
    ]


def _formula_cluster(
    name: str, formula: ParsedFormula, cluster: str | None, alias: Alias
) -> tuple[tuple[Term, ...], str | None, list[Event]]:
    """Cluster of a formula's model: that of its random part, or of ``cluster=`` if it needs one."""
    if formula.cluster is not None:
        return formula.terms, formula.cluster, []
    if alias.level == 2:
        return formula.terms, cluster, []
    if any(term.cluster_mean for term in formula.terms):
        if cluster is None:
            raise SpecificationError(
                f"Formula of {name!r} has a cluster mean but no clusters; give cluster=, or add "
                "'(1 | cluster)'."
            )
        return formula.terms, cluster, []
    if cluster is None:
        return formula.terms, None, []
    return (
        formula.terms,
        None,
        [
            Event(
                "info",
                "specification",
                name,
                "single level",
                f"The formula of {name!r} has no '(1 | {cluster})', so its model has one level.",
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


def _sources(passive: str, passives: Mapping[str, Passive]) -> set[str]:
    found: set[str] = set()
    queue = [passive]
    while queue:
        for name in passives[queue.pop()].inputs:
            if name not in found:
                found.add(name)
                if name in passives:
                    queue.append(name)
    return found


def _level(
    name: str,
    alias: Alias,
    clusters: ClusterIndex | None,
    cluster: str | None,
    table: Table,
    formula: ParsedFormula | None,
) -> tuple[int, tuple[Event, ...]]:
    """Level of a target; one constant within clusters is recognised as a cluster's property."""
    if alias.level == 2:
        if clusters is None:
            raise SpecificationError(
                f"Variable {name!r}: a level-2 method needs clusters; give cluster=."
            )
        varying = clusters.varying(table.values[name])
        if varying.any():
            label = clusters.labels[int(varying.argmax())]
            raise DataError(
                f"Variable {name!r} is to be imputed at level 2, but it varies within "
                f"{int(varying.sum())} cluster(s), the first {label!r} of {cluster!r}; correct "
                "the data, or use a level-1 method."
            )
        return 2, ()
    if clusters is None or formula is not None:
        return 1, ()
    values = table.values[name]
    repeated = clusters.n_observed(values) >= 2
    if not clusters.is_level2(values) or repeated.sum() < max(2, clusters.n / 2):
        return 1, ()
    return 2, (
        Event(
            "info",
            "specification",
            name,
            "level 2",
            f"{name!r} never varies within clusters of {cluster!r}: it is imputed with one value "
            "a cluster; a value known from another row of the cluster is used as it is.",
        ),
    )


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
                    f"{', '.join(known) or 'none'}.{_nearest(option, known)}"
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


def _option_blocks(given: Any, table: Table) -> Mapping[Any, Mapping[str, Any]]:
    """Options by column, ``"*"`` for every target whose method knows them."""
    if given is None:
        return {}
    for key, block in given.items() if isinstance(given, Mapping) else [("", None)]:
        if not isinstance(block, Mapping):
            raise SpecificationError(
                "model_options must be a dict of dicts, such as {'popular': {'donors': 10}} or "
                "{'*': {'donors': 10}} for every target."
            )
        if key is not None and key != "*" and key not in table.variables:
            raise SpecificationError(
                f"model_options: {key!r} is neither a column nor '*' (all targets)."
                f"{_nearest(key, table.variables)}"
            )
    return {"*" if key is None else key: block for key, block in given.items()}


def _checked_post(name: str, post: Mapping[str, Any]) -> Any:
    function = post.get(name)
    if function is not None and not callable(function):
        raise SpecificationError(
            f"post of {name!r} must be a function post(values, data, rng), for example "
            "bi.squeeze(0, 10)."
        )
    return function


def _by_column(given: Any, table: Table, argument: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise SpecificationError(
            f"{argument} must be a dict from column to value, not {type(given).__name__}."
        )
    for name in given:
        if name not in table.variables:
            raise SpecificationError(
                f"{argument} names {name!r}, which is no column of the data."
                f"{_nearest(name, table.variables)}"
            )
    return dict(given)


def _method_name(method: Any) -> str:
    if isinstance(method, str):
        return method
    return str(getattr(method, "__name__", type(method).__name__))


def _nearest(name: Any, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(str(name), list(known), 1)
    return f" Did you mean {near[0]!r}?" if near else f" There are {', '.join(known)}."
