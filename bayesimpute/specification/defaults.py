"""What is used where the user says nothing: methods and predictors as mice chooses them.

Predictors by correlation, as mice's ``quickpred`` chooses them, are the other matrix to begin with.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.roles import Role
from bayesimpute.specification.aliases import MATCHING, MICE_DEFAULTS, YES_NO
from bayesimpute.specification.groupings import checked_groupings

REASONS: Mapping[Kind, str] = {
    Kind.BINARY: "two categories",
    Kind.NOMINAL: "categories without order",
    Kind.ORDINAL: "ordered categories",
}


@checked
def make_method(df: pd.DataFrame) -> dict[str, str]:
    """Give the method ``impute`` takes for each column where the user names none.

    It is mice's default, with one addition: a number that is only ever 0 or 1 is a yes/no
    variable. :func:`~bayesimpute.suggest_methods` gives the same, and its reasons.

    Parameters
    ----------
    df
        Any frame.

    Returns
    -------
    dict
        Column -> ``"pmm"`` for numbers, ``"logistic"`` for 0/1 and two categories,
        ``"categorical"`` for more, ``"ordinal"`` for ordered ones, ``"pmm"`` for labels that name
        rows; ``""`` for complete columns, dates and other objects.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> bi.make_method(pd.DataFrame({"age": [1, 2], "bmi": [20.5, None]}))
    {'age': '', 'bmi': 'pmm'}
    """
    table = Table.from_frame(df)
    incomplete = table.incomplete()
    return {
        name: default_method(table, name)[0] if name in incomplete else ""
        for name in table.variables
    }


def default_method(table: Table, name: str) -> tuple[str, str]:
    """Give the method of a column for which the user names none, and the reason in the plural."""
    kind = table.variables[name].kind
    if kind is Kind.OTHER:
        return "", "neither numbers nor categories"
    if kind is Kind.NUMERIC:
        values = table.values[name]
        if set(np.unique(values[~np.isnan(values)])) == {0.0, 1.0}:
            return YES_NO, "numbers that are only ever 0 or 1"
        return MATCHING, "numbers"
    if names_rows(table, name):
        return MATCHING, "labels that name rows rather than categories"
    return MICE_DEFAULTS[kind], REASONS[kind]


@checked
def make_predictors(df: pd.DataFrame, cluster: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Give mice's default predictor matrix: every column predicts every other.

    Parameters
    ----------
    df
        Any frame.
    cluster
        Column of cluster ids: coded −2 in every row, which gives each model a random intercept.
        Several, nested or crossed, as a list: a random intercept for each.

    Returns
    -------
    pandas.DataFrame
        Square, row = target, of :class:`~bayesimpute.roles.Role` codes. Dates and other columns
        that are neither numbers nor categories are coded 0.

    Raises
    ------
    SpecificationError
        If there is no such cluster column.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> df = pd.DataFrame({"school": [1, 1], "x": [1.0, 2.0], "y": [3.0, None]})
    >>> bi.make_predictors(df, cluster="school").loc["y"].tolist()
    [-2, 1, 0]
    """
    table = Table.from_frame(df)
    return default_predictors(table, checked_groupings(cluster, table))


def default_predictors(table: Table, clusters: Sequence[str]) -> pd.DataFrame:
    """Predictor matrix that :func:`make_predictors` gives, of data already read."""
    names = list(table.variables)
    matrix = pd.DataFrame(int(Role.FIXED), index=names, columns=names)
    for name in names:
        matrix.loc[name, name] = int(Role.NONE)
        if table.variables[name].kind is Kind.OTHER:
            matrix[name] = int(Role.NONE)
    columns = list(table.columns_of(clusters))
    matrix[columns] = int(Role.CLUSTER)
    matrix.loc[columns] = int(Role.NONE)
    return matrix


def usable_as_predictor(table: Table, name: str) -> bool:
    """Whether a column can be a predictor by default.

    Not dates and other objects, and not text that identifies rows: with more than half as many
    labels as values, it would bring a column a row. Categories that never occur bring none.
    """
    if table.variables[name].kind is Kind.OTHER:
        return False
    if not names_rows(table, name):
        return True
    seen = np.unique(table.values[name][~table.missing(name)])
    return len(seen) <= _most_labels(table, name)


def names_rows(table: Table, name: str) -> bool:
    """Whether a column has too many labels, seen or not, for a model to tell them apart."""
    return len(table.variables[name].categories) > _most_labels(table, name)


def _most_labels(table: Table, name: str) -> float:
    return max(int((~table.missing(name)).sum()) / 2, 20)


@checked
def quickpred(
    df: pd.DataFrame,
    mincor: Any = 0.1,
    minpuc: Any = 0.0,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    method: Literal["pearson", "kendall", "spearman"] = "pearson",
    cluster: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Select predictors by their correlation with target or missingness.

    A column is a predictor of an incomplete target if the larger of two absolute correlations
    exceeds `mincor`: that of predictor and target, and that of predictor and the target's being
    observed. Then predictors with too few usable cases go, `exclude` goes, and `include` comes.

    Parameters
    ----------
    df
        Any frame; categories enter by their codes.
    mincor
        Scalar, one number a target, or a square matrix (default 0.1): in the order of the columns,
        or a Series or DataFrame labelled by them.
    minpuc
        Least share of the target's missing cases in which the predictor is observed; same forms
        (default 0: all).
    include, exclude
        Columns that always, or never, are predictors; `include` wins.
    method
        ``"pearson"``, ``"kendall"`` or ``"spearman"``.
    cluster
        Column of cluster ids, or several: never chosen, coded −2 for every target.

    Returns
    -------
    pandas.DataFrame
        Square, row = target, codes 0 and 1 (and −2).

    Raises
    ------
    SpecificationError
        If a named column, or `method`, does not exist, or a matrix has the wrong shape.

    References
    ----------
    van Buuren, Boshuizen & Knook (1999), Statistics in Medicine 18, 681-694.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> df = pd.DataFrame({"x": [1.0, 2, 3, 4], "y": [1.0, 2, 3, None]})
    >>> bi.quickpred(df).loc["y"].tolist()
    [1, 0]
    """
    table = Table.from_frame(df)
    names = list(table.variables)
    include, exclude = _columns(include, names, "include"), _columns(exclude, names, "exclude")
    clusters = table.columns_of(checked_groupings(cluster, table))
    values = pd.DataFrame({name: table.values[name] for name in names})
    observed = values.notna()
    n = len(names)
    association = values.corr(method=method).abs().fillna(0.0).to_numpy()
    response = np.zeros((n, n))
    for i, name in enumerate(names):
        indicator = observed[name].astype(float)
        if indicator.std() > 0:
            # a predictor constant where the target is seen has no correlation, which counts as 0
            with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                response[i] = values.corrwith(indicator, method=method).abs().fillna(0.0)
    chosen = np.maximum(association, response) > _matrix(mincor, names, "mincor")
    least = _matrix(minpuc, names, "minpuc")
    if (least != 0).any():
        seen = observed.to_numpy().astype(float)
        usable = (1 - seen).T @ seen
        cases = (1 - seen).sum(axis=0)[:, None]
        share = np.divide(usable, cases, out=np.zeros((n, n)), where=cases > 0)
        chosen &= share >= least
    matrix = pd.DataFrame(chosen.astype(int), index=names, columns=names)
    matrix[list(exclude)] = int(Role.NONE)
    matrix[list(include)] = int(Role.FIXED)
    matrix[list(clusters)] = int(Role.CLUSTER)
    for name in names:
        matrix.loc[name, name] = int(Role.NONE)
        if observed[name].all():
            matrix.loc[name] = int(Role.NONE)
    return matrix


def _columns(given: str | Sequence[str], names: list[str], argument: str) -> tuple[str, ...]:
    chosen = (given,) if isinstance(given, str) else tuple(given)
    for name in chosen:
        if name not in names:
            raise SpecificationError(
                f"quickpred: {argument} names {name!r}, which is no column; there are "
                f"{', '.join(names)}."
            )
    return chosen


def _matrix(given: Any, names: list[str], argument: str) -> np.ndarray:
    n = len(names)
    labelled = isinstance(given, pd.Series | pd.DataFrame)
    if labelled and all(set(labels) == set(names) for labels in given.axes):
        given = given.loc[(names,) * given.ndim]  # in whatever order it names them
    value = np.asarray(given)
    if value.dtype.kind not in "iuf" or not ((value >= 0) & (value <= 1)).all():
        raise SpecificationError(
            f"quickpred: {argument}={given!r:.60} must be numbers from 0 to 1: a correlation, or a "
            "share of cases."
        )
    if value.shape not in ((), (n,), (n, n)):
        raise SpecificationError(
            f"quickpred: {argument} must be a number, {n} numbers (one a target) or a {n}×{n} "
            f"matrix, not of shape {value.shape}."
        )
    return np.broadcast_to(value[:, None] if value.ndim == 1 else value, (n, n)).astype(float)
