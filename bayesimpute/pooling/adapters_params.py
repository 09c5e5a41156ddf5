"""Fits with ``params``: statsmodels, linearmodels, and whatever follows their names."""

from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.reported import Reported
from bayesimpute.pooling.variance_components import statsmodels_components

#: Where a fit has its covariance matrix, and where its standard errors.
COVARIANCES = ("cov_params", "cov")
ERRORS = ("bse", "std_errors")


def has_params(result: Any) -> bool:
    """Whether an object has ``params`` and says how uncertain they are."""
    return hasattr(result, "params") and any(
        hasattr(result, name) for name in (*COVARIANCES, *ERRORS)
    )


def from_params(result: Any) -> Reported:
    """Estimates, covariance, standard errors and degrees of freedom of a fit.

    Parameters
    ----------
    result
        Of a model with one equation, or one an outcome (``MNLogit``), whose terms are named
        ``"high: age"``. Of ``MixedLM`` the fixed effects; its variance components go with them.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> fit = SimpleNamespace(params=pd.Series({"x": 1.0}), bse=pd.Series({"x": 0.5}))
    >>> from_params(fit).covariance_matrix()
    array([[0.25]])
    """
    covariance, errors = _first(result, COVARIANCES), _first(result, ERRORS)
    mixed = hasattr(result, "fe_params") and hasattr(result, "cov_re")
    params = result.fe_params if mixed else result.params
    if np.ndim(params) == 2:
        return _several_equations(result, params, covariance, errors)
    estimates = _named(result, params, covariance)
    if mixed:
        errors = result.bse_fe
    elif isinstance(errors, np.ndarray | list | tuple):
        errors = np.asarray(errors)
    return Reported(
        estimates,
        covariance,
        errors,
        _mixed_df(result) if mixed else residual_df(result, len(estimates)),
        _log_likelihood(result),
        statsmodels_components(result) if mixed else {},
    )


def _first(result: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        value = getattr(result, name, None)
        if value is not None:
            return value() if callable(value) else value
    return None


def _named(result: Any, params: Any, covariance: Any) -> pd.Series:
    """Estimates by name: their own names, those of the model's columns, those of the matrix."""
    if isinstance(params, pd.Series):
        return params
    names = getattr(getattr(result, "model", None), "exog_names", None)
    if (names is None or len(names) != len(params)) and isinstance(covariance, pd.DataFrame):
        names = list(covariance.index)
    known = names is not None and len(names) == len(params)
    return pd.Series(params, index=names if known else None)


def _several_equations(result: Any, params: Any, covariance: Any, errors: Any) -> Reported:
    """One column an equation, the covariances of one column after the other."""
    values = np.asarray(params, dtype=float)
    matrix = np.asarray(covariance, dtype=float)
    if matrix.shape != (values.size, values.size):
        raise AnalysisError(
            f"params of {type(result).__name__} has the shape {values.shape}; return (estimates, "
            "covariance) with one name for each estimate."
        )
    labels = getattr(covariance, "index", None)
    if isinstance(labels, pd.MultiIndex):
        names = [f"{outcome}: {term}" for outcome, term in labels]
    else:
        rows = getattr(getattr(result, "model", None), "exog_names", None) or range(len(values))
        names = [f"{j}: {row}" for j in range(1, values.shape[1] + 1) for row in rows]
    return Reported(
        pd.Series(values.ravel(order="F"), index=names),
        matrix,
        None if errors is None else np.asarray(errors, dtype=float).ravel(order="F"),
        residual_df(result, values.size),
        _log_likelihood(result),
    )


def residual_df(result: Any, parameters: int) -> float | None:
    """Degrees of freedom of the complete data, as the fit infers with and mice counts them.

    Clusters minus 1 where the covariance is clustered (statsmodels), events minus parameters for
    Cox's partial likelihood, else rows minus parameters. None if the fit does not tell, or takes
    them as infinite.
    """
    status = getattr(getattr(result, "model", None), "status", None)
    if status is not None:
        return float(np.sum(status)) - parameters
    for name in ("df_resid_inference", "df_resid"):
        df = getattr(result, name, None)
        if df is not None:
            return float(df) if np.isfinite(df) else None
    rows = getattr(result, "nobs", None)
    return None if rows is None else float(rows) - parameters


def _mixed_df(result: Any) -> float:
    """Observations minus all parameters, the residual variance too."""
    return float(result.nobs - len(result.params) - 1)


def _log_likelihood(result: Any) -> float | None:
    for name in ("llf", "loglik"):
        try:
            value = getattr(result, name, None)
        except NotImplementedError:  # how statsmodels says that a model has none
            continue
        if value is not None and np.ndim(value) == 0 and np.isfinite(value):
            return float(value)
    return None
