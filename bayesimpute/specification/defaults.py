"""What is used where the user says nothing: methods and predictors as mice chooses them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.data.table import Kind, Table
from bayesimpute.roles import Role
from bayesimpute.specification.aliases import MATCHING, MICE_DEFAULTS, YES_NO
from bayesimpute.specification.groupings import checked_groupings

REASONS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.BINARY: "two categories",
        Kind.NOMINAL: "categories without order",
        Kind.ORDINAL: "ordered categories",
    }
)


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
    if not usable_as_predictor(table, name):
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
    return default_predictors(table, checked_groupings(cluster, table)[0])


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
    labels as values, it would bring a column a row.
    """
    variable = table.variables[name]
    if variable.kind is Kind.OTHER:
        return False
    observed = int((~table.missing(name)).sum())
    return not (variable.categories and len(variable.categories) > max(observed / 2, 20))
