"""``bi.flux``: how well a variable connects to the others (van Buuren 2018, §4.1.3)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.data.table import check_frame
from bayesimpute.errors import SpecificationError
from bayesimpute.explore.columns import check_columns
from bayesimpute.explore.pairs import missing_pairs


@checked
def flux(df: pd.DataFrame, local: Sequence[str] | None = None) -> pd.DataFrame:
    r"""Influx and outflux of each variable, with the shares beside them (mice's ``flux``).

    With the counts of :func:`missing_pairs`, sums over all variables k,

    .. math::
        \text{influx}_j = \frac{\sum_k mr_{jk}}{\sum_k (mr_{jk} + rr_{jk})},\quad
        \text{outflux}_j = \frac{\sum_k rm_{jk}}{\sum_k (rm_{jk} + mm_{jk})}

    where the denominators are all observed and all missing cells of the data
    (van Buuren 2018, Flexible Imputation of Missing Data, eq. 4.1 and 4.2).

    Parameters
    ----------
    df
        The data.
    local
        Variables to show, and whose connections with the *other* columns of the list alone are
        counted; None for all. As if the rest of the columns were not there.

    Returns
    -------
    pandas.DataFrame
        A row a variable:

        ``pobs``
            Share observed.
        ``influx``
            How well its missing values connect to observed ones of other variables: 0 for a
            complete variable, 1 for one without values in otherwise complete data.
        ``outflux``
            How well its observed values connect to missing ones of others: 1 for a complete
            variable, 0 for one without values. High is a useful predictor.
        ``ainb``
            Mean share, over the other variables, of its missing values where the other is
            observed.
        ``aout``
            Mean share of its observed values where the other is missing.
        ``fico``
            Share of incomplete rows among those where it is observed.

        NaN where a share is of nothing: ``outflux`` in complete data, ``aout`` and ``fico`` of a
        variable without values, ``ainb`` and ``aout`` of a single column; the ``ainb`` of a
        complete variable is 0, as in mice.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names.
    SpecificationError
        If `local` names no column.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> bi.flux(study.incomplete)[["pobs", "influx", "outflux"]].round(2).loc["popular"].to_dict()
    {'pobs': 0.6, 'influx': 0.35, 'outflux': 0.0}
    """
    check_frame(df)
    if local is not None:
        names = [local] if isinstance(local, str) else list(local)
        if not names:
            raise SpecificationError("local= names no variable; leave it out to take all.")
        check_columns(names, df, "local=")
        df = df[list(dict.fromkeys(names))]
    pairs = missing_pairs(df)
    rr, rm, mr, mm = (pairs[name].to_numpy().astype(np.float64) for name in pairs)
    complete = df.notna().all(axis=1).to_numpy()
    observed = np.diagonal(rr)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "pobs": observed / len(df),
            "influx": mr.sum(axis=1) / (mr + rr).sum(axis=1),
            "outflux": rm.sum(axis=1) / (rm + mm).sum(axis=1),
            "ainb": _mean_of_others(np.nan_to_num(mr / (mr + mm))),
            "aout": _mean_of_others(rm / (rm + rr)),
            "fico": (observed - complete.sum()) / observed,
        }
    return pd.DataFrame(columns, index=pd.Index(df.columns))


def _mean_of_others(shares: np.ndarray) -> np.ndarray:
    """Row means without the diagonal."""
    n = len(shares)
    others = shares[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    return np.asarray(others.mean(axis=1)) if n > 1 else np.full(n, np.nan)
