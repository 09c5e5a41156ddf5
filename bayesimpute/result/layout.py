"""What was read fits together, and the frame is what the writer would write of it.

Types are held against annotations when a file is decoded (`codec`); here is what only the whole
can tell. A frame may be of any types: it is taken apart again and must give the description and
the arrays it came from, so that no second list of what a file may hold is kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.engine.history import History
from bayesimpute.findings import SEVERITIES
from bayesimpute.registry import METHODS
from bayesimpute.result.cells import form_of_lines
from bayesimpute.result.codec import LARGEST, Arrays
from bayesimpute.result.frame_store import encode_frame
from bayesimpute.result.restored import NotStored
from bayesimpute.roles import Role
from bayesimpute.specification.expressions import names_in
from bayesimpute.specification.predictors import TWO_EQUATIONS
from bayesimpute.specification.specification import Passive, Specification, Target
from bayesimpute.wrappers.base import Wrapper

type Forms = dict[str, tuple[int, np.dtype[Any]]]


def forms(arrays: Arrays) -> Forms:
    """Length of each array, and type as it is stored: truth values are bytes."""
    return {
        name: (array.size, np.dtype("u1") if array.dtype == bool else array.dtype)
        for name, array in arrays.items()
    }


def check_frame(frame: pd.DataFrame, description: Any, found: Forms) -> None:
    """Raise ValueError unless a frame is what its file says.

    Parameters
    ----------
    frame
        As restored.
    description, found
        What it was restored from, and the forms of the arrays in the file.
    """
    written, arrays = encode_frame(frame, form_of_lines)
    if not _agrees(description, written):
        raise ValueError("its description is not as it is written")
    for name, form in forms(arrays).items():
        if found.get(name) != form:
            raise ValueError(f"array {name!r} is not as it is written")


def check_run(specification: Specification, history: History) -> None:
    """Raise ValueError unless a specification and a history fit together."""
    for problem in _problems(specification, history):
        raise ValueError(problem)


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
        if event.severity not in SEVERITIES:
            yield "an event"
    for name, target in specification.targets.items():
        if target.name != name:
            yield f"name of {name!r}"
        if isinstance(target, Target):
            yield from _wrong_target(target, specification)
    yield from _wrong_specification(specification)
    yield from _wrong_history(history, specification)


def _wrong_target(target: Target, specification: Specification) -> Iterator[str]:
    names = specification.table.variables
    for term in target.terms:
        if term.equation not in ("both", *TWO_EQUATIONS.values()):
            yield f"equation of a predictor of {target.name!r}"
        for factor in term.factors:
            if factor not in names and not set(names_in(factor)) <= names.keys():
                yield f"predictors of {target.name!r}"
    columns = set(specification.table.columns_of(target.clusters))
    if target.level not in (1, 2) or not columns <= names.keys():
        yield f"level or cluster of {target.name!r}"
    labels = {term.label for term in target.terms}
    for each in target.groupings:
        if not {*dict(each.slopes), *each.means} <= labels:
            yield f"effects by {each.name!r} in the model of {target.name!r}"
    known = isinstance(target.method, Wrapper | NotStored)
    if not known and target.method not in METHODS:
        yield f"method of {target.name!r}"
    if any(member not in specification.targets for member in target.block):
        yield f"block of {target.name!r}"
    for option, value in target.options.items():
        if _largest(value) > LARGEST:
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
        if analysed.outcome not in names:
            yield "outcome of an analysis"
    if set(specification.methods) != set(names):
        yield "methods"
    matrix = specification.predictors
    known = [int(role) for role in Role]
    if not {*matrix.index, *matrix.columns} <= set(names):
        yield "predictors"
    elif not np.isin(matrix.to_numpy(), known).all():
        yield "codes of predictors"


def _wrong_history(history: History, specification: Specification) -> Iterator[str]:
    m, iterations = history.m, history.iterations
    if set(history.imputed) != set(specification.where) or len(history.states) != m or m < 1:
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
