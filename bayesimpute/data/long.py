"""Completed data in one long frame, as mice, Stata, SAS, SPSS and Blimp write them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.errors import DataError
from bayesimpute.wording import did_you_mean, listed

#: Column that numbers the imputations: mice and this package, Stata, SAS, SPSS.
NUMBERS = (".imp", "_mi_m", "_Imputation_", "Imputation_")
#: Column that tells the rows: mice and this package, Stata.
ROWS = (".id", "_mi_id")
#: Further columns of such frames that are no data.
BESIDE = ("_mi_miss",)


def split_long(
    frame: pd.DataFrame, imputation: str | None, row: str | None
) -> tuple[pd.DataFrame | None, list[pd.DataFrame]]:
    """Take a long frame apart.

    Parameters
    ----------
    frame
        Completed data one under the other, those of imputation 0 being the incomplete ones.
    imputation, row
        Columns that number imputations and tell rows; None for the usual names.

    Returns
    -------
    incomplete, completed
        Imputation 0, None without any, and 1 … m in their order.

    Raises
    ------
    DataError
        If no column numbers the imputations, or rows differ between them.

    Examples
    --------
    >>> long = pd.DataFrame({".imp": [0, 0, 1, 1], ".id": [7, 8, 7, 8], "x": [1, None, 1, 2.5]})
    >>> incomplete, completed = split_long(long, None, None)
    >>> len(completed), completed[0]["x"].tolist(), list(completed[0].index)
    (1, [1.0, 2.5], [7, 8])
    """
    number = _named(frame, imputation, NUMBERS, "imputation")
    if number is None:
        raise DataError(
            f"No column of the long frame numbers the imputations ({listed(NUMBERS)}); name it: "
            "imputation='…'."
        )
    label = _named(frame, row, ROWS, "row")
    beside = [name for name in (number, label, *BESIDE) if name in frame.columns]
    try:
        numbers = frame[number].astype(float)
    except (TypeError, ValueError):
        numbers = pd.Series(np.nan, index=frame.index)
    if numbers.isna().any() or (numbers != numbers.round()).any() or (numbers < 0).any():
        raise DataError(f"Column {number!r} must hold whole numbers from 0, one in every row.")
    parts = {}
    for k, part in frame.groupby(numbers.astype(int), sort=True):
        plain = part.drop(columns=beside)
        if label is None:
            parts[k] = plain.reset_index(drop=True)
        else:
            parts[k] = plain.set_axis(pd.Index(part[label].to_numpy()), axis=0)
    incomplete = parts.pop(0, None)
    if not parts:
        raise DataError(f"Column {number!r} holds 0 only: there is no imputation.")
    return incomplete, list(parts.values())


def _named(
    frame: pd.DataFrame, given: str | None, usual: Sequence[str], argument: str
) -> str | None:
    if given is not None:
        if given not in frame.columns:
            near = did_you_mean(given, frame.columns)
            raise DataError(f"{argument}={given!r} is no column of the long frame.{near}")
        return given
    return next((name for name in usual if name in frame.columns), None)


def as_frames(completed: Any) -> list[pd.DataFrame]:
    """Give completed data sets as a list.

    Raises
    ------
    DataError
        If they are no frames.
    """
    given = completed.values() if isinstance(completed, Mapping) else completed
    try:
        frames = list(given)
    except TypeError:
        frames = []
    if not frames or not all(isinstance(frame, pd.DataFrame) for frame in frames):
        raise DataError(
            "Give the completed data as a list (or dict) of data frames, or as one long frame with "
            f"a column that numbers the imputations ({listed(NUMBERS)})."
        )
    return frames
