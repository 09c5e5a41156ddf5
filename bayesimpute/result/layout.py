"""What was read is what the writer writes: the same names, types and shapes throughout.

A restored result is taken apart again and must give the description and the arrays it came from.
So nothing that the writer does not write gets in, and no second list of what a file holds is kept.
Types that survive the round trip unnoticed are held against the annotations of the data classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_type_hints

import numpy as np

from bayesimpute.arguments import fits
from bayesimpute.engine.history import History
from bayesimpute.events import Event
from bayesimpute.findings import SEVERITIES
from bayesimpute.registry import METHODS
from bayesimpute.result.imputations import Imputations
from bayesimpute.result.restored import NotStored
from bayesimpute.result.storage import Arrays, described
from bayesimpute.roles import Role
from bayesimpute.specification.expressions import names_in
from bayesimpute.specification.predictors import TWO_EQUATIONS
from bayesimpute.specification.specification import Analysed, Passive, Specification, Target, Term
from bayesimpute.wrappers.base import Wrapper

#: Largest whole number that an option of a method may be: more is no setting but an attack.
LARGEST_OPTION = 1_000_000


type Forms = dict[str, tuple[int, np.dtype[Any]]]


def forms(arrays: Arrays) -> Forms:
    """Length of each array, and type as it is stored: truth values are bytes."""
    return {
        name: (array.size, np.dtype("u1") if array.dtype == bool else array.dtype)
        for name, array in arrays.items()
    }


def left_over(description: Any, found: Forms, written: Any, arrays: Arrays) -> Forms:
    """Give the forms of the arrays of a file that do not belong to a part of it.

    Parameters
    ----------
    description, found
        Description of the part, and forms of arrays, as stored.
    written, arrays
        The same of what was restored, as it is written.

    Raises
    ------
    ValueError
        If they differ.
    """
    if not _agrees(description, written):
        raise ValueError("its description is not as it is written")
    expected = forms(arrays)
    for name, form in expected.items():
        if found.get(name) != form:
            raise ValueError(f"array {name!r} is not as it is written")
    return {name: form for name, form in found.items() if name not in expected}


def check_layout(imputations: Imputations, description: Mapping[str, Any], found: Forms) -> None:
    """Raise ValueError unless a result is what its file says, and the file nothing more.

    Parameters
    ----------
    imputations
        As restored.
    description
        What it was restored from, the frame's aside.
    found
        Forms of the arrays it was restored from, the frame's aside.
    """
    for problem in _problems(imputations.specification, imputations.history):
        raise ValueError(problem)
    if not isinstance(imputations.created_at, str) or not fits(
        imputations.versions, Mapping[str, str]
    ):
        raise ValueError("time or versions are no text")
    for name in left_over(description, found, *described(imputations)):
        raise ValueError(f"array {name!r} is not as it is written")


def _agrees(stored: Any, written: Any) -> bool:
    """Whether JSON says what is written; what a file of an older version lacks must be empty."""
    if isinstance(stored, dict) and isinstance(written, Mapping):
        return stored.keys() <= written.keys() and all(
            _agrees(stored[key], each) if key in stored else not each
            for key, each in written.items()
        )
    if isinstance(stored, list) and isinstance(written, list | tuple):
        return len(stored) == len(written) and all(map(_agrees, stored, written))
    if isinstance(stored, bool) or isinstance(written, bool):
        return stored is written
    return isinstance(written, type(stored)) and stored == written  # text may be of an enumeration


def _problems(specification: Specification, history: History) -> Iterator[str]:
    for event in (*specification.events, *history.events):
        yield from _wrong_fields(event, Event)
        if event.severity not in SEVERITIES or not 0 <= event.imputation <= LARGEST_OPTION:
            yield "an event"
    for target in specification.targets.values():
        yield from _wrong_fields(target, type(target))
        if isinstance(target, Target):
            yield from _wrong_target(target, specification)
    yield from _wrong_specification(specification)
    yield from _wrong_history(history, specification)


def _wrong_fields(record: Any, kind: type) -> Iterator[str]:
    """Fields of a data class that are not of their type."""
    hints = get_type_hints(kind)
    for field in fields(record):
        if field.name not in ("method", "post", "table") and not fits(
            getattr(record, field.name), hints[field.name]
        ):
            yield f"{kind.__name__}.{field.name} is of another type"


def _wrong_target(target: Target, specification: Specification) -> Iterator[str]:
    names = specification.table.variables
    for term in target.terms:
        yield from _wrong_fields(term, Term)
        if term.equation not in ("both", *TWO_EQUATIONS.values()):
            yield f"equation of a predictor of {target.name!r}"
        for factor in term.factors:
            if factor not in names and not set(names_in(factor)) <= names.keys():
                yield f"predictors of {target.name!r}"
    if target.level not in (1, 2) or (target.cluster is not None and target.cluster not in names):
        yield f"level or cluster of {target.name!r}"
    known = isinstance(target.method, Wrapper | NotStored)
    if not known and target.method not in METHODS:
        yield f"method of {target.name!r}"
    if any(member not in specification.targets for member in target.block):
        yield f"block of {target.name!r}"
    for option, value in target.options.items():
        if _largest(value) > LARGEST_OPTION:
            yield f"option {option!r} of {target.name!r} is out of bounds"


def _largest(value: Any) -> float:
    """Largest size of a whole number in an option."""
    if isinstance(value, int):
        return abs(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return max(map(_largest, value), default=0)
    return 0


def _wrong_specification(specification: Specification) -> Iterator[str]:
    names, targets = list(specification.table.variables), specification.targets
    passives = {name for name, target in targets.items() if isinstance(target, Passive)}
    if not targets.keys() <= set(names):
        yield "targets that are no columns"
    if not set(specification.visit_sequence) <= targets.keys():
        yield "visit sequence"
    if set(specification.passive_order) != passives:
        yield "order of passive variables"
    if set(specification.where) != set(targets):
        yield "cells to impute"
    live = specification.live or {}
    if live and set(live) != targets.keys() - passives:
        yield "live cells"
    for mask in (specification.ignore, *specification.where.values(), *live.values()):
        if mask.shape != (specification.table.n_rows,):
            yield "cells to impute"
    for name, mask in live.items():
        if (mask & ~np.isnan(specification.known[name])).any():
            yield "live cells that are observed"
    for analysed in specification.analyses:
        yield from _wrong_fields(analysed, Analysed)
        if analysed.outcome not in names:
            yield "outcome of an analysis"
    methods = dict(specification.methods)
    if not fits(methods, Mapping[str, str]) or set(methods) != set(names):
        yield "methods"
    matrix = specification.predictors
    known = [int(role) for role in Role]
    if not {*matrix.index, *matrix.columns} <= set(names):
        yield "predictors"
    elif not np.isin(matrix.to_numpy(), known).all():
        yield "codes of predictors"


def _wrong_history(history: History, specification: Specification) -> Iterator[str]:
    m, iterations = history.m, history.iterations
    if not fits(m, int) or not fits(iterations, int) or m < 1 or iterations < 0 or history.seed < 0:
        yield "m, iterations or seed"
        return
    if not fits(history.labels, Mapping[str, Mapping[str, Sequence[str]]]):
        yield "labels of parameters"
        return
    if set(history.imputed) != set(specification.where) or len(history.states) != m:
        yield "chains"
        return
    for target, draws in history.imputed.items():
        if draws.shape != (m, int(specification.where[target].sum())):
            yield f"{draws.shape} imputed values of {target!r}"
    for what in ("chain_mean", "chain_sd"):
        for target, means in getattr(history, what).items():
            if target not in specification.targets or means.shape != (m, iterations):
                yield f"{means.shape} chain means of {target!r}"
    for target, shares in history.chain_share.items():
        variable = specification.table.variables.get(target)
        wanted = (m, iterations, len(variable.categories) if variable is not None else -1)
        if shares.shape != wanted:
            yield f"{shares.shape} shares of the categories of {target!r}"
    for groups in (history.parameters, history.statistics):
        for target, values in groups.items():
            for name, each in values.items():
                if target not in specification.targets or each.shape[:2] != (m, iterations):
                    yield f"{each.shape} draws of {name!r} of {target!r}"
                labels = history.labels.get(target, {}).get(name, ())
                of_parameter = groups is history.parameters
                if of_parameter and each.shape[2:] not in ((), (len(labels),)):
                    yield f"labels of {name!r} of {target!r}"
    for name, followed in history.monitored.items():
        if name not in specification.monitors or followed.shape[:2] != (m, iterations):
            yield f"{followed.shape} values of monitor {name!r}"
    numbers = (history.imputed, history.chain_mean, history.chain_sd, history.chain_share)
    if any(each.dtype.kind != "f" for group in numbers for each in group.values()):
        yield "draws that are no numbers"
