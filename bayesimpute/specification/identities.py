"""Columns that others give exactly: which is computed, which cells follow, and what is said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Kind, Table
from bayesimpute.roles import Role
from bayesimpute.specification.aliases import MATCHING
from bayesimpute.specification.defaults import default_method
from bayesimpute.specification.expressions import names_in
from bayesimpute.specification.relations import (
    NearRelation,
    Relation,
    category_relations,
    linear_relations,
)
from bayesimpute.specification.requests import Request
from bayesimpute.specification.specification import Log, Passive, Target, computed_from, fill_known
from bayesimpute.specification.suggest import choose, facts_of
from bayesimpute.wording import listed


@dataclass
class Plan:
    """What follows from the identities in the data.

    Attributes
    ----------
    passives
        Columns that are computed.
    known_from
        Column imputed by a model -> expressions that give some of its missing cells.
    redundant
        Column -> columns that hold all it says, so that it need not predict beside them.
    kept_out
        Target that keeps its model -> columns that would give it exactly.
    events
        One an identity.
    """

    passives: dict[str, Passive] = field(default_factory=dict)
    known_from: dict[str, tuple[str, ...]] = field(default_factory=dict)
    redundant: dict[str, set[str]] = field(default_factory=dict)
    kept_out: dict[str, set[str]] = field(default_factory=dict)
    events: Log = field(default_factory=Log)

    def informed(self, target: Target) -> Target:
        """Give a target what follows of its missing cells."""
        return replace(target, known_from=self.known_from.get(target.name, ()))

    def without_circles(self, predictors: pd.DataFrame | None) -> pd.DataFrame | None:
        """Take out of a predictor matrix what the identities make circular or say twice."""
        if predictors is None or not (self.passives or self.kept_out):
            return predictors
        matrix = predictors.copy()
        for target in matrix.index:
            row = matrix.loc[target].copy()
            circular = {n for n in self.passives if target in computed_from(n, self.passives)}
            for column in circular | self.kept_out.get(target, set()):
                row[column] = int(Role.NONE)
            for column, holders in self.redundant.items():
                said = all(row[each] != Role.NONE for each in holders)
                if said and target not in holders and row[column] == Role.FIXED:
                    row[column] = int(Role.NONE)
            matrix.loc[target] = row
        return matrix


def identities_of(
    table: Table,
    chosen: Mapping[str, Any],
    method: Any,
    cells: Mapping[str, np.ndarray],
    request: Request,
    apart: Sequence[str],
) -> Plan:
    """Find identities in what is to be imputed, and decide what is computed.

    Parameters
    ----------
    table
        The data.
    chosen
        Column -> method, of what gets values.
    method, request
        What the user said.
    cells
        Cells that get values.
    apart
        Columns that are computed at the user's wish, or stay missing in part.
    """
    clusters = set(table.columns_of(request.clusters))
    if request.predictors is not None:
        coded = (request.predictors == Role.CLUSTER).any()
        clusters |= set(coded.index[coded])
    usable = [
        name
        for name, variable in table.variables.items()
        if variable.kind is not Kind.OTHER
        and name not in clusters
        and name not in apart
        and (name in chosen or not table.missing(name).any())
    ]
    targets = [name for name in usable if name in chosen and table.missing(name).any()]
    said = {*request.formulas, *request.priors, *request.post, *request.model_options}
    free = [
        name
        for name in targets
        if name not in said
        and not (cells[name] & ~table.missing(name)).any()
        and _left_open(name, chosen[name], method, table)
    ]
    given_a_name = [name for name in targets if isinstance(chosen[name], str)]
    return plan_identities(table, usable, targets, free, given_a_name)


def _left_open(name: str, chosen: Any, method: Any, table: Table) -> bool:
    """Whether the method of a column is no choice of its own: a default, or one for all."""
    if not isinstance(chosen, str):
        return False
    if not isinstance(method, Mapping) or name not in method:
        return True
    if chosen in (MATCHING, default_method(table, name)[0]):
        return True
    return chosen == choose(facts_of(table, name, None))[0]  # taken over from bi.suggest_methods


def plan_identities(
    table: Table,
    usable: Sequence[str],
    targets: Sequence[str],
    free: Sequence[str],
    deducible: Sequence[str],
) -> Plan:
    """Find identities and decide what is computed.

    Parameters
    ----------
    table
        The data.
    usable
        Columns that may be part of an identity: not clusters, nor what stays incomplete.
    targets
        Incomplete columns that get values.
    free
        Of these, the ones for which the user chose nothing of their own.
    deducible
        Those of which single cells may follow from the others: not columns that a method of the
        user's own shifts or draws in its own way.
    """
    plan = Plan()
    relations, near = find_relations(table, usable, targets)
    for relation in relations:
        computed = _computed(relation, table, plan, free, deducible)
        if computed is None:
            _keep(plan, relation, table, targets)
        else:
            _compute(plan, relation, computed, table, deducible)
    _what_is_known_already(plan, table)
    for each in near:
        plan.events.warning(
            each.target,
            "nearly exact",
            f"{each.target!r} is nearly given by {listed(each.others)} (R² {each.r_squared:.6f}), "
            f"but in {each.deviating} of {each.rows} rows not exactly: models impute as ever. If "
            "they are the same quantity, rounded or mistyped, correct them, or compute one with a "
            "passive method ('~ I(...)').",
        )
    return plan


def find_relations(
    table: Table, usable: Sequence[str], targets: Sequence[str]
) -> tuple[list[Relation], list[NearRelation]]:
    """Identities among the columns of a table that give a target."""
    columns = {name: table.values[name] for name in usable}
    numbers = {n: v for n, v in columns.items() if table.variables[n].kind is Kind.NUMERIC}
    linear, near = linear_relations(numbers, [name for name in targets if name in numbers])
    linear = [relation for relation in linear if _holds_between_groups(relation, table)]
    together = [set(relation.names) for relation in linear]
    coded = [
        relation
        for relation in category_relations(columns, targets)
        if not any(set(relation.names) <= names for names in together)
        and _holds_between_groups(relation, table)
    ]
    return [*linear, *coded], near


def _holds_between_groups(relation: Relation, table: Table) -> bool:
    """Whether an identity is one, too, where rows that only repeat each other count once.

    Properties of schools say in a thousand rows of pupils no more than in one row a school, and
    a few schools agree by chance. Any column may be what groups the rows, named as cluster or not.
    A code itself, or a third name of what it stands for, is none: it gives a group's own value.
    """
    columns = {name: table.values[name] for name in relation.names}
    for name, values in table.values.items():
        if relation.is_code and name in relation.names:
            continue
        known = values[~np.isnan(values)]
        if not 2 <= len(np.unique(known)) <= len(known) / 2:
            continue
        once = {each: _one_a_group(column, values) for each, column in columns.items()}
        if any(column is None for column in once.values()):
            continue
        reduced = {each: column for each, column in once.items() if column is not None}
        if _names_the_groups(relation, reduced):
            continue
        numbers = {n: v for n, v in reduced.items() if table.variables[n].kind is Kind.NUMERIC}
        linear, _ = linear_relations(numbers, list(numbers))
        found = [*linear, *category_relations(reduced, list(reduced))]
        if not any(set(each.names) == set(relation.names) for each in found):
            return False
    return True


def _names_the_groups(relation: Relation, reduced: Mapping[str, np.ndarray]) -> bool:
    """Whether what a code is read from is known in all groups, and another in each."""
    if not relation.is_code:
        return False
    sources = [n for n in relation.names if {*relation.expressions} - {n}]
    return all(
        not np.isnan(reduced[n]).any() and len(np.unique(reduced[n])) == len(reduced[n])
        for n in sources
    )


def _one_a_group(column: np.ndarray, groups: np.ndarray) -> np.ndarray | None:
    """Value of each group, NaN where it has none; None if it varies within a group."""
    rows = ~np.isnan(column) & ~np.isnan(groups)
    if (~np.isnan(column) & np.isnan(groups)).any():
        return None
    labels, codes = np.unique(groups[~np.isnan(groups)], return_inverse=True)
    values = column[~np.isnan(groups)]
    seen = rows[~np.isnan(groups)]
    result = np.full(len(labels), np.nan)
    result[codes[seen]] = values[seen]
    return None if (result[codes[seen]] != values[seen]).any() else result


def _computed(
    relation: Relation, table: Table, plan: Plan, free: Sequence[str], deducible: Sequence[str]
) -> str | None:
    """Column that is computed: the one that leaves fewest rows in contradiction."""
    missing = {name: table.missing(name) for name in relation.names}
    candidates = [
        name
        for name in relation.names
        if name in free
        and missing[name].any()
        and name in relation.expressions
        and name not in plan.passives
        and not any(name in computed_from(each, plan.passives) for each in relation.names)
    ]
    numeric = [n for n in candidates if table.variables[n].kind is Kind.NUMERIC]
    return min(
        numeric or candidates,
        key=lambda name: (
            _contradicting(name, relation, missing, deducible),
            -int(missing[name].sum()),
            -relation.names.index(name),
        ),
        default=None,
    )


def _contradicting(
    computed: str, relation: Relation, missing: Mapping[str, np.ndarray], deducible: Sequence[str]
) -> int:
    """Rows in which the computed column is known and what is missing of the others is drawn."""
    others = [name for name in relation.names if name != computed]
    gaps = np.sum([missing[name] for name in others], axis=0)
    drawn = np.any(
        [missing[name] for name in others if name not in deducible] or [gaps > 1], axis=0
    )
    return int((~missing[computed] & (drawn | (gaps > 1))).sum())


def _compute(
    plan: Plan, relation: Relation, computed: str, table: Table, deducible: Sequence[str]
) -> None:
    expression = relation.expressions[computed]
    others = [name for name in relation.names if name != computed]
    inputs = names_in(expression) if not relation.is_code else tuple(others)
    plan.passives[computed] = Passive(computed, expression, inputs, found=True)
    numeric = [n for n in relation.names if table.variables[n].kind is Kind.NUMERIC]
    # indicators of categories hold what a number for them says, and not the reverse
    mixed = len(relation.names) == 2 and len(numeric) == 1
    redundant = numeric[0] if mixed and "→" not in relation.text else computed
    plan.redundant[redundant] = set(relation.names) - {redundant}
    for name in others:
        if name in deducible and table.missing(name).any() and name in relation.expressions:
            plan.known_from[name] = (*plan.known_from.get(name, ()), relation.expressions[name])
    missing = {name: table.missing(name) for name in relation.names}
    plan.events.info(
        computed,
        "computed exactly",
        f"{relation.text} in all {relation.rows} rows in which all are known: {computed!r} is "
        f"not imputed by a model but computed, {passive_text(expression)!r}, and does not "
        f"predict beside {listed(others)}. A missing value that follows from known ones is "
        "computed from them. A method other than the default, or a formula, keeps the model.",
    )
    rows = _contradicting(computed, relation, missing, deducible)
    if rows:
        plan.events.warning(
            computed,
            "identity not kept",
            f"In {rows} row(s) {computed!r} is known and what is missing of {listed(others)} "
            f"is drawn by models, so that {relation.text} need not hold there. Where it "
            "has to, leave one of the columns out and compute it from the others afterwards.",
        )


def passive_text(expression: str) -> str:
    """Passive method of an expression."""
    return f"~ I({expression})"


def _keep(plan: Plan, relation: Relation, table: Table, targets: Sequence[str]) -> None:
    """Leave the models the user chose, without the predictor that gives their target exactly."""
    members = [
        n for n in relation.names if n in targets and n in relation.expressions
        and n not in plan.passives
    ]  # fmt: skip
    if not members:
        return
    gaps = {name: int(table.missing(name).sum()) for name in relation.names}
    for name in members:
        out = max((n for n in relation.names if n != name), key=lambda n: gaps[n])
        plan.kept_out.setdefault(name, set()).add(out)
    out_of = "; ".join(
        f"{listed(sorted(plan.kept_out[name]))} does not predict {name!r}" for name in members
    )
    plan.events.warning(
        members[0],
        "identity not kept",
        f"{relation.text} in all {relation.rows} rows in which all are known, but "
        f"{listed(members)} keep{'s' * (len(members) == 1)} the model asked for: imputed "
        f"values need not fulfil it. {out_of[0].upper()}{out_of[1:]} by default, which would "
        "leave no error to draw.",
    )


def _what_is_known_already(plan: Plan, table: Table) -> None:
    """Columns of which every missing cell follows from known ones are computed once and for all."""
    known = fill_known(
        table.values,
        {
            **plan.known_from,
            **{name: (passive.expression,) for name, passive in plan.passives.items()},
        },
    )
    for name, expressions in list(plan.known_from.items()):
        if name in plan.passives:
            del plan.known_from[name]
        elif not np.isnan(known[name]).any() and len(expressions) == 1:
            plan.passives[name] = Passive(name, expressions[0], (), found=True)
            del plan.known_from[name]
    for name, passive in plan.passives.items():
        if not np.isnan(known[name]).any() and passive.inputs:
            alone = fill_known(table.values, {name: (passive.expression,)})
            if not np.isnan(alone[name]).any():
                plan.passives[name] = Passive(name, passive.expression, (), found=True)
