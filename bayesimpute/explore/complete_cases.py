"""Rows with everything observed, and the others."""

import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.data.table import check_frame


@checked
def complete_cases(df: pd.DataFrame) -> pd.DataFrame:
    """Rows in which no value is missing, as a new frame.

    Their number, ``len(bi.complete_cases(df))``, is mice's ``ncc``.

    Parameters
    ----------
    df
        Any frame.

    Returns
    -------
    pandas.DataFrame
        Columns, dtypes and index labels of `df`.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> bi.complete_cases(pd.DataFrame({"age": [1, 2], "bmi": [20.5, None]}))
       age   bmi
    0    1  20.5
    """
    check_frame(df)
    return df[df.notna().all(axis=1)].copy()


@checked
def incomplete_cases(df: pd.DataFrame) -> pd.DataFrame:
    """Rows in which at least one value is missing, as a new frame.

    Their number, ``len(bi.incomplete_cases(df))``, is mice's ``nic``.

    Parameters
    ----------
    df
        Any frame.

    Returns
    -------
    pandas.DataFrame
        Columns, dtypes and index labels of `df`.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> bi.incomplete_cases(pd.DataFrame({"age": [1, 2], "bmi": [20.5, None]}))
       age  bmi
    1    2  NaN
    """
    check_frame(df)
    return df[df.isna().any(axis=1)].copy()
