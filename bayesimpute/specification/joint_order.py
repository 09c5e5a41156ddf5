"""The models of one joint distribution in order, and the missing values that stand in others'.

Functions of such values must have a value for all that their models can draw.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.registry import resolve
from bayesimpute.specification.aliases import BOUNDED, POSITIVE, PROPORTION
from bayesimpute.specification.compatible import parents_first, two_equations
from bayesimpute.specification.expressions import evaluate, names_in
from bayesimpute.specification.groupings import averaging
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.screening import stays_missing
from bayesimpute.specification.specification import (
    Passive,
    Specification,
    Target,
    Term,
    computed_from,
    models_of,
)
from bayesimpute.wrappers.base import innermost, layers, method_text
from bayesimpute.wrappers.by_group import ByGroup
from bayesimpute.wrappers.delta import Delta
from bayesimpute.wrappers.only_where import OnlyWhere

#: How far beyond the observed values, in their range, a draw may lie; looked at in so many places.
REACH, PLACES = 2.0, 41


def check_domain(name: str, target: Target, specification: Specification) -> None:
    """Refuse what would be no number for a value that a variable's model can draw.

    Raises
    ------
    SpecificationError
        Naming function, variable and value, with the models that cannot draw it.
    """
    table = specification.table
    if table.variables[name].kind is not Kind.NUMERIC or target.kind is not None:
        return
    of = mean_of(name, table) or name
    observed = table.values[of][~table.missing(of)]
    far = REACH * (observed.max() - observed.min())
    low, high = _support(target)
    low, high = max(low, observed.min() - far), min(high, observed.max() + far)
    near = (high - low) * np.array([1e-6, 1e-4, 1e-3, 1e-2])
    for place in (*(low + near), *np.linspace(low, high, PLACES)[1:-1], *(high - near)):
        for owner, expression, values in _computed(name, float(place), specification):
            known = np.ones(table.n_rows, dtype=bool)
            for each in names_in(expression):
                known &= np.isfinite(values[each])
            if (known & ~np.isfinite(evaluate(expression, values))).any():
                raise SpecificationError(
                    f"{expression!r} in the model of {owner!r} has no value at {name} = "
                    f"{place:.4g}, which the model of {name!r} ({method_text(target.method)}) can "
                    f"draw. Give {name!r} a model that stays where it has one, method={{{name!r}: "
                    f"{POSITIVE!r}}} for positive numbers, {BOUNDED!r} with bounds in "
                    "model_options=; or analyse a column that holds the function."
                )


def _support(target: Target) -> tuple[float, float]:
    """Between what the values of a model lie."""
    low, high = getattr(resolve(innermost(target.method)), "support", (-np.inf, np.inf))
    lower, upper = target.options.get("lower"), target.options.get("upper")
    return (low if lower is None else float(lower), high if upper is None else float(upper))


def _computed(
    name: str, place: float, specification: Specification
) -> Iterator[tuple[str, str, Mapping[str, np.ndarray]]]:
    """Give what is computed from a variable, whose model has it, and columns with it at a place."""
    values = dict(specification.table.values)
    values[name] = np.full(specification.table.n_rows, place)
    changed = {name}
    with np.errstate(all="ignore"):
        for each in specification.passive_order:
            passive = specification.targets[each]
            if isinstance(passive, Passive) and not changed.isdisjoint(passive.inputs):
                yield each, passive.expression, values
                values[each] = np.broadcast_to(
                    evaluate(passive.expression, values), values[name].shape
                )
                changed.add(each)
        for child in specification.targets.values():
            for term in child.terms if isinstance(child, Target) else ():
                for factor in term.factors:
                    if factor not in values and not changed.isdisjoint(names_in(factor)):
                        yield child.name, factor, values


def joint_order(
    targets: Mapping[str, Target | Passive], wanted: Sequence[str], known: Container[str]
) -> tuple[str, ...]:
    """Order models so that each comes after those it is given, as near to a wanted order as can be.

    `known` are the columns of the data.

    Raises
    ------
    SpecificationError
        If they go round in a circle, which it names.
    """
    models = models_of(targets)
    modelled = {name: models[name] for name in wanted if name in models}
    return tuple(
        parents_first(
            {
                n: (sources_of(target, targets, known) | _rows_by(target)) & set(modelled)
                for n, target in modelled.items()
            }
        )
    )


def _rows_by(target: Target) -> set[str]:
    """Complete columns that say which rows a model is of, and so are given to it."""
    around = [each for each in layers(target.method) if isinstance(each, ByGroup | OnlyWhere)]
    return {column for each in around for column in each.reads() or ()}


def sources_of(
    target: Target, targets: Mapping[str, Target | Passive], known: Container[str]
) -> set[str]:
    """Columns that the terms of a model depend on, through passive ones too, of those `known`."""
    found = {name for term in target.terms for name in sources_of_term(term, targets, known)}
    return found | ({target.around} if target.around else set())


def sources_of_term(
    term: Term, targets: Mapping[str, Target | Passive], known: Container[str]
) -> set[str]:
    """Columns that a term depends on, through passive ones too.

    `known` are the columns of the data: the name of one may read as arithmetic, ``"sbp-dbp"``.
    """
    columns = set(term.read_columns(known))
    return columns.union(*(computed_from(name, targets) for name in columns))


def with_live(specification: Specification, check: bool = True) -> Specification:
    """Give the specification of one joint distribution: with its live cells.

    A missing cell is live where it stands in a model of which the value is known, or is live
    itself. Only such cells tell their own model something: where nothing that follows is known, a
    value and all that is made of it integrate out.

    Raises
    ------
    SpecificationError
        If a live cell has what no joint distribution can take: ``post=``, a method without
        density.
    """
    table, targets, order = specification.table, specification.targets, specification.visit_sequence
    models, live = models_of(targets), dict[str, np.ndarray]()
    for name in reversed(order):
        target = models[name]
        staying = stays_missing({name: target.method}, table).get(name)
        missing = np.isnan(specification.known[name])
        if staying is not None:
            missing &= ~staying
        follows = np.zeros(table.n_rows, dtype=bool)
        for other in order[order.index(name) + 1 :]:
            child = models[other]
            terms = [t for t in child.terms if name in sources_of_term(t, targets, table.variables)]
            if not terms and child.around != name:
                continue
            says = ~np.isnan(specification.known[other]) | live[other] | selects(child)
            whole = averaging(child, [term.label for term in terms], table)
            follows |= says if whole is None else _anywhere(says, table, whole)
        if target.level == 2:
            seen = _anywhere(~missing, table, target.cluster)
            live[name] = _anywhere(follows, table, target.cluster) & ~seen
        else:
            live[name] = missing & follows
        if check and live[name].any():
            check_domain(name, target, specification)
        for wrapper in layers(target.method):
            if isinstance(wrapper, OnlyWhere):
                live[name] &= wrapper.known_rows(name, table)
        if not check:  # new rows of models that have been checked
            continue
        _check_wrappers(name, target, table, bool(live[name].any()))
        if target.post is not None and live[name].any():
            raise SpecificationError(
                f"post of {name!r}: its missing values are drawn from its model times those it "
                "stands in, which a function applied afterwards would undo; use a model with the "
                f"bounds ({BOUNDED!r}, {POSITIVE!r}, {PROPORTION!r}), or on='conditional'."
            )
    return replace(specification, live=live)


def _check_wrappers(name: str, target: Target, table: Table, live: bool) -> None:
    """Refuse conditions that change with what is drawn, and a δ that is no number.

    A δ is in the joint distribution where shifted values are live only.
    """
    for wrapper in layers(target.method):
        shifts = isinstance(wrapper, Delta)
        if shifts and not live:
            continue
        reads = wrapper.reads()
        incomplete = [n for n in reads or () if table.missing(n).any()]
        if reads is None or incomplete:
            what = f"{incomplete[0]!r}, which is incomplete" if incomplete else "any column"
            raise SpecificationError(
                f"method of {name!r}: {wrapper} depends on {what}. In imputation compatible with "
                "an analysis the rows of a model must not change with what is drawn; use a "
                "condition on complete columns written as text, or on='conditional'."
            )
        if isinstance(wrapper, Delta) and wrapper.is_drawn:
            raise SpecificationError(
                f"method of {name!r}: {wrapper} has a distribution for δ. Missing values of "
                f"{name!r} stand in other models, which would tell something of δ; give numbers, "
                "one run for each, or on='conditional'."
            )


def selects(child: Target) -> bool:
    """Whether a model speaks of rows in which its own value is missing."""
    return two_equations(child.method)


def _anywhere(rows: np.ndarray, table: Table, cluster: str | None) -> np.ndarray:
    """Rows of clusters with any of the given rows."""
    if cluster is None:
        return rows
    codes = table.clusters(cluster).codes
    return np.asarray((np.bincount(codes, rows) > 0)[codes])
