"""Predictor matrix: checked, and turned into the terms of each model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.roles import Role
from bayesimpute.specification.aliases import SELECTION
from bayesimpute.specification.expressions import names_in
from bayesimpute.specification.specification import Term

MEANS = (Role.FIXED_WITH_MEAN, Role.RANDOM_WITH_MEAN)
SLOPES = (Role.RANDOM, Role.RANDOM_WITH_MEAN)
#: Codes that place a predictor in one of two equations.
TWO_EQUATIONS = {Role.SELECTION_ONLY: "selection", Role.OUTCOME_ONLY: "outcome"}


def check_predictors(predictors: Any, table: Table) -> pd.DataFrame:
    """Give the matrix with a row and a column for every column of the data.

    Raises
    ------
    SpecificationError
        If it is neither a frame nor a square array, names unknown columns, or holds anything but
        the codes of :class:`~bayesimpute.roles.Role`.
    """
    names = list(table.variables)
    predictors = _labelled(predictors, names)
    if not isinstance(predictors, pd.DataFrame):
        raise SpecificationError(
            f"predictors must be a DataFrame with a row a target and a column a predictor, or a "
            f"{len(names)} × {len(names)} array in the order of the columns, not "
            f"{_described(predictors)}; start from bi.make_predictors(df)."
        )
    for label in [*predictors.index, *predictors.columns]:
        if label not in names:
            raise SpecificationError(
                f"predictors: {label!r} is no column of the data; there are {', '.join(names)}."
            )
    if predictors.index.has_duplicates or predictors.columns.has_duplicates:
        raise SpecificationError("predictors: a row or column label occurs twice; remove one.")
    codes = {int(role) for role in Role}
    for target in predictors.index:
        for name in predictors.columns:
            code: Any = predictors.at[target, name]
            if code not in codes:  # 2.0 is, 1.5 and NaN are not
                raise SpecificationError(
                    f"predictors: {code!r} in row {target!r}, column {name!r} is no code; codes "
                    f"are {', '.join(f'{int(r)} ({r.name})' for r in Role)}."
                )
    for axis, labels in {"row": predictors.index, "column": predictors.columns}.items():
        lacking = [name for name in names if name not in labels]
        if lacking:
            raise SpecificationError(
                f"predictors must be square: it has no {axis} for {lacking[0]!r}; start from "
                "bi.make_predictors(df) and edit its cells."
            )
    matrix = predictors.loc[names, names].astype(int)
    values = matrix.to_numpy(copy=True)
    np.fill_diagonal(values, int(Role.NONE))
    return pd.DataFrame(values, index=names, columns=names)


def check_rows(predictors: Any, table: Table) -> pd.DataFrame:
    """Give some rows of the matrix, with a column for every column of the data, 0 where none is.

    Raises
    ------
    SpecificationError
        As :func:`check_predictors`; rows and columns that are not there are no fault.
    """
    names = list(table.variables)
    predictors = _labelled(predictors, names)
    if not isinstance(predictors, pd.DataFrame):
        check_predictors(predictors, table)  # says what it is instead
    rows, columns = (list(dict.fromkeys([*names, *axis])) for axis in predictors.axes)
    whole = check_predictors(
        predictors.reindex(index=rows, columns=columns, fill_value=int(Role.NONE))
        if predictors.index.is_unique and predictors.columns.is_unique
        else predictors,
        table,
    )
    return whole.loc[list(predictors.index)]


def _labelled(predictors: Any, names: Sequence[str]) -> Any:
    """Name the rows and columns of a square matrix without labels, in column order."""
    if isinstance(predictors, np.ndarray) and predictors.shape == (len(names), len(names)):
        return pd.DataFrame(predictors, index=list(names), columns=list(names))
    if isinstance(predictors, pd.DataFrame) and predictors.shape == (len(names), len(names)):
        predictors = predictors.copy()
        if isinstance(predictors.index, pd.RangeIndex):
            predictors.index = pd.Index(names)
        if isinstance(predictors.columns, pd.RangeIndex):
            predictors.columns = pd.Index(names)
    return predictors


def _described(predictors: Any) -> str:
    kind = type(predictors).__name__
    shape = getattr(predictors, "shape", None)
    return kind if shape is None else f"{kind} of shape {shape}"


def clusters_of(row: "pd.Series[Any]", target: str) -> tuple[str, ...]:
    """Columns coded −2 in a row of the matrix.

    Raises
    ------
    SpecificationError
        If there are slopes or cluster means without one.
    """
    clusters = tuple(str(name) for name in row.index[row == Role.CLUSTER])
    if clusters:
        return clusters
    for name, code in row.items():
        if code in (*SLOPES, *MEANS):
            raise SpecificationError(
                f"predictors of {target!r}: code {code} of {name!r} needs clusters; code the "
                "cluster variable −2 in this row, or use 1."
            )
    return ()


def terms_of(
    row: "pd.Series[Any]", target: str, table: Table, two_equations: bool = False
) -> tuple[Term, ...]:
    """Terms of a model from its row of the matrix.

    `two_equations` says whether the model has a selection equation beside its outcome's.

    Raises
    ------
    SpecificationError
        If a code belongs to models with two equations, or a column cannot be a predictor.
    """
    terms = []
    for label, code in row.items():
        name, role = str(label), Role(int(code))
        if role in (Role.NONE, Role.CLUSTER):
            continue
        if role in TWO_EQUATIONS and not two_equations:
            raise SpecificationError(
                f"predictors of {target!r}: code {int(role)} of {name!r} is for models with a "
                f"selection equation ({SELECTION!r}); the model of this target has one equation, "
                "use 1 or 2."
            )
        if table.variables[name].kind is Kind.OTHER:
            raise SpecificationError(
                f"predictors of {target!r}: {name!r} ({table.variables[name].dtype}) is neither a "
                "number nor a category; convert it, or set its code to 0."
            )
        terms.append(
            Term(
                name,
                (name,),
                random=role in SLOPES,
                cluster_mean=role in MEANS,
                equation=TWO_EQUATIONS.get(role, "both"),
            )
        )
    return tuple(terms)


def effective_row(
    terms: Sequence[Term], clusters: Sequence[str], names: Sequence[str]
) -> dict[str, int]:
    """Codes that say what a model uses: of a column, the most its terms make of it."""
    row = dict.fromkeys(names, int(Role.NONE))
    for term in terms:
        used = [n for f in term.factors for n in ((f,) if f in row else names_in(f))]
        for name in used:
            if name in row and term.equation != "both":
                only = next(code for code, name in TWO_EQUATIONS.items() if name == term.equation)
                row[name] = int(only)
            elif name in row:
                random = term.random or row[name] in SLOPES
                mean = term.cluster_mean or row[name] in MEANS
                row[name] = int(
                    (Role.RANDOM_WITH_MEAN if mean else Role.RANDOM)
                    if random
                    else (Role.FIXED_WITH_MEAN if mean else Role.FIXED)
                )
    return row | dict.fromkeys(clusters, int(Role.CLUSTER))
