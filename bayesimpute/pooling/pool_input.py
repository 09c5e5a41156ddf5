"""Estimates and variances as users hand them to ``pool``, checked and as arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.reported import numbers


def checked_estimates(
    estimates: Any, variances: Any, terms: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray, pd.Index]:
    """Bring estimates to (m, k), variances to (m, k) or (m, k, k), and name the k terms."""
    if terms is None and isinstance(estimates, pd.DataFrame):
        terms = list(estimates.columns)
    if isinstance(estimates, pd.DataFrame) and isinstance(variances, pd.DataFrame):
        if set(estimates.columns) != set(variances.columns):
            raise AnalysisError(
                f"estimates have the columns {list(estimates.columns)}, variances "
                f"{list(variances.columns)}; they must be the same terms."
            )
        variances = variances[estimates.columns]
    try:
        q, u = numbers(estimates, "estimates"), numbers(variances, "variances")
    except AnalysisError as error:
        raise AnalysisError(
            f"estimates and variances must be numbers, one row an imputation, all of the same "
            f"length: {error}"
        ) from error
    if q.ndim == 1:
        q, u = q[:, None], u[:, None] if u.ndim == 1 else u
    if q.ndim != 2 or q.size == 0:
        raise AnalysisError(
            f"estimates have the shape {q.shape}; give (m,) or (m, terms), one row an imputation."
        )
    m, k = q.shape
    if u.shape not in ((m, k), (m, k, k)):
        raise AnalysisError(
            f"estimates are {m} imputations of {k} terms, variances have the shape {u.shape}; "
            f"give {(m, k)} squared standard errors or {(m, k, k)} covariance matrices."
        )
    names = pd.Index([str(i) for i in range(k)] if terms is None else terms, name="term")
    if len(names) != k:
        raise AnalysisError(f"{len(names)} terms are named, but there are {k} estimates.")
    if names.has_duplicates:
        twice = names[names.duplicated()][0]
        raise AnalysisError(f"terms names {twice!r} more than once; each estimate needs its own.")
    if u.ndim == 3:
        _refuse_no_covariance(u)
    each = np.diagonal(u, axis1=1, axis2=2) if u.ndim == 3 else u
    finite = np.isfinite(q) & np.isfinite(each)
    _refuse(~finite, names, "is not a finite number; see why that analysis failed, or leave it out")
    _refuse(each < 0, names, "has a negative variance; give squared standard errors")
    return q, u, names


def _refuse_no_covariance(matrices: np.ndarray) -> None:
    """Raise unless every finite matrix is symmetric and has no negative eigenvalue."""
    for number, matrix in enumerate(matrices, start=1):
        if not np.isfinite(matrix).all():
            continue
        size = np.abs(matrix).max()
        if not np.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-9 * size):
            raise AnalysisError(
                f"variances of imputation {number} are no covariance matrix: it is not symmetric."
            )
        if np.linalg.eigvalsh(matrix)[0] < -1e-8 * size:
            raise AnalysisError(
                f"variances of imputation {number} are no covariance matrix: a combination of "
                "terms would have a negative variance (correlations beyond 1)."
            )


def refuse_numbers_alone(
    estimates: Any, terms: Sequence[str] | None, variance_components: Sequence[Any]
) -> None:
    """Refuse what is pooled without variances and holds no analyses that bring theirs."""
    if hasattr(estimates, "complete"):
        raise AnalysisError(
            "these are imputations; fit an analysis to them first: imp.fit('y ~ x').pool()."
        )
    if hasattr(estimates, "table"):
        raise AnalysisError(f"{type(estimates).__name__} is pooled already.")
    listed = list(estimates) if isinstance(estimates, list | tuple | pd.Series | np.ndarray) else []
    alone = listed and isinstance(listed[0], int | float | np.number | list | np.ndarray)
    if alone or isinstance(estimates, int | float):
        raise AnalysisError(
            "estimates are pooled with their variances: bi.pool(estimates, variances), squared "
            "standard errors in the same shape; or give the fits themselves, bi.pool([fit, …])."
        )
    if terms is not None or variance_components:
        raise AnalysisError(
            "fits bring their terms and variance components; terms and variance_components belong "
            "to numbers, bi.pool(estimates, variances, terms=…)."
        )


def _refuse(wrong: np.ndarray, names: pd.Index, why: str) -> None:
    if wrong.any():
        imputation, term = np.argwhere(wrong)[0]
        raise AnalysisError(
            f"The estimate of {names[term]!r} in imputation {imputation + 1} {why}."
        )


def checked_df(dfcom: float | None) -> float:
    """Turn None into infinity; refuse what is not positive."""
    complete = np.inf if dfcom is None else dfcom
    if not isinstance(complete, int | float | np.number) or not complete > 0:
        raise AnalysisError(
            f"dfcom is {dfcom!r}; the complete-data degrees of freedom must be positive "
            "(n minus the number of parameters), or None for a large sample."
        )
    return float(complete)
