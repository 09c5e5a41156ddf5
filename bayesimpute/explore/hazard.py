r"""``bi.nelsonaalen``: the cumulative hazard of each row, for imputing in survival data.

.. math::
    H(t) = \sum_{t_k \le t} \frac{d_k}{n_k}\ (\text{Breslow}),\qquad
    H(t) = \sum_{t_k \le t} \sum_{l=0}^{d_k - 1} \frac{1}{n_k - l}\ (\text{Efron})

with :math:`d_k` events among the :math:`n_k` rows at risk at time :math:`t_k`. White & Royston
(2009), Statistics in Medicine 28, 1982-1998: where a covariate of a Cox model is missing, its
imputation model needs the event indicator and H(t).
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.arrays import Array
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import DataError
from bayesimpute.explore.columns import check_columns


@checked
def nelsonaalen(
    df: pd.DataFrame,
    time: str,
    status: str,
    ties: Literal["efron", "breslow"] = "efron",
    strata: str | None = None,
) -> "pd.Series[float]":
    """Nelson–Aalen estimate of the cumulative hazard at each row's own time.

    Put it into the data as a column before imputing covariates of a survival model, beside
    the status (White & Royston 2009).

    Parameters
    ----------
    df
        The data.
    time
        Column of times to the event or to censoring.
    status
        Column that is 1 (True) where the event happened and 0 (False) where it was censored.
    ties
        ``"efron"`` (default, as mice's ``nelsonaalen``, which takes it from survival): d events
        at the same time among n at risk add 1/n + 1/(n−1) + … ; ``"breslow"``: they add d/n, the
        textbook sum. Without ties they agree.
    strata
        Column of groups (clusters, say) each with a hazard of its own; None for one.

    Returns
    -------
    pandas.Series
        float64, index of `df`, named ``"nelsonaalen"``. NaN where the time is missing. A row whose
        status is missing is not counted at risk, and gets the hazard at its time.

    Raises
    ------
    SpecificationError
        An unknown column or `ties`.
    DataError
        Times that are no finite numbers, a status that is not 0/1 or boolean, or a missing stratum.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> df = pd.DataFrame({"time": [1, 2, 2, 3], "died": [1, 1, 1, 0]})
    >>> bi.nelsonaalen(df, "time", "died").round(3).tolist()
    [0.25, 1.083, 1.083, 1.083]
    >>> bi.nelsonaalen(df, "time", "died", ties="breslow").round(3).tolist()
    [0.25, 0.917, 0.917, 0.917]
    """
    table = Table.from_frame(df)
    for argument, name in {"time=": time, "status=": status, "strata=": strata}.items():
        if name is not None:
            check_columns([name], table.frame, argument)
    times, events, groups = _times(table, time), _events(table, status), _strata(table, strata)
    hazard = np.full(table.n_rows, np.nan)
    for group in np.unique(groups):
        rows = groups == group
        hazard[rows] = cumulative_hazard(times[rows], events[rows], ties)
    unsorted = np.empty(table.n_rows)
    unsorted[table.rows] = hazard
    return pd.Series(unsorted, index=df.index, name="nelsonaalen")


def cumulative_hazard(times: Array, events: Array, ties: str) -> Array:
    """Give H at each row's time, (row,).

    Parameters
    ----------
    times
        (row,), NaN where unknown.
    events
        1 for an event, 0 for censoring, NaN where unknown, (row,).
    ties
        ``"efron"`` or ``"breslow"``.
    """
    known = ~(np.isnan(times) | np.isnan(events))
    moments, position = np.unique(times[known], return_inverse=True)
    died = np.bincount(position, events[known], len(moments))
    left = np.bincount(position, minlength=len(moments))
    at_risk = left[::-1].cumsum()[::-1]
    if ties == "breslow":
        steps = died / at_risk
    else:
        steps = np.array(
            [(1 / (n - np.arange(int(d)))).sum() for n, d in zip(at_risk, died, strict=True)]
        )
    hazard = np.append(0.0, np.cumsum(steps))
    at = hazard[np.searchsorted(moments, times, side="right")]
    return np.where(np.isnan(times), np.nan, at)


def _times(table: Table, name: str) -> Array:
    if table.variables[name].kind is not Kind.NUMERIC:
        raise DataError(
            f"Column {name!r} is no column of numbers; time= needs times as numbers. Of dates, "
            "take the difference from the start: (df.end - df.start).dt.days."
        )
    negative = table.values[name] < 0
    if negative.any():
        row = table.frame.index[table.rows[int(negative.argmax())]]
        raise DataError(
            f"Column {name!r}, given as time=, is negative in {int(negative.sum())} row(s), the "
            f"first at index {row}; times count from the start of observation."
        )
    return table.values[name]


def _events(table: Table, name: str) -> Array:
    variable, values = table.variables[name], table.values[name]
    observed = values[~np.isnan(values)]
    if len(observed) == 0:
        raise DataError(f"status column {name!r} has no observed value.")
    boolean = variable.categories == (False, True)
    if not boolean and (variable.kind is not Kind.NUMERIC or not np.isin(observed, (0, 1)).all()):
        found = variable.categories or np.unique(observed)[:4].tolist()
        raise DataError(
            f"status column {name!r} must be 1 for an event and 0 for censoring, or boolean; it "
            f"holds {', '.join(map(str, found))}. Recode it: df[{name!r}] == <the event>."
        )
    return values


def _strata(table: Table, name: str | None) -> npt.NDArray[np.int64]:
    """Give the number of the stratum of each row, (row,)."""
    if name is None:
        return np.zeros(table.n_rows, dtype=np.int64)
    cells = table.frame[name].iloc[table.rows]
    if cells.isna().any():
        raise DataError(
            f"strata column {name!r} is missing in {int(cells.isna().sum())} row(s), the first at "
            f"index {cells.index[cells.isna().to_numpy()][0]}; fill it in or drop the rows."
        )
    return pd.factorize(cells)[0]
