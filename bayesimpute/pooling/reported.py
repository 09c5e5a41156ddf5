"""What a fit reports of itself, under one set of names, and its covariance checked against it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.errors import AnalysisError

#: Relative difference of two standard errors that rounding explains.
ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Reported:
    """Estimates of one fit and how uncertain the fit says they are.

    Attributes
    ----------
    estimates
        By term.
    covariance
        Matrix, labelled like the estimates or without labels; None if only errors are known.
    std_errors
        Standard errors that the fit prints. With `covariance` they must be the roots of its
        diagonal; alone they are all that is known.
    df_residual
        Degrees of freedom the fit infers with; None if unknown.
    log_likelihood
        None if unknown.
    variance_components
        By name, as mitml names them.
    """

    estimates: pd.Series
    covariance: Any = None
    std_errors: Any = None
    df_residual: float | None = None
    log_likelihood: float | None = None
    variance_components: Mapping[str, float] = field(default_factory=dict)

    def numbers(self) -> np.ndarray:
        """Estimates as an array, (k,)."""
        return numbers(self.estimates, "estimates")

    def covariance_matrix(self) -> np.ndarray:
        """Covariances (k, k), NaN off the diagonal where only standard errors are known.

        Raises
        ------
        AnalysisError
            A term without a variance, a matrix that is not square or not symmetric, a negative
            standard error, or a covariance that is not the one of the standard errors.
        """
        terms = self.estimates.index
        errors = None if self.std_errors is None else _errors(self.std_errors, terms)
        if self.covariance is None:
            if errors is None:
                raise AnalysisError("the analysis gives estimates and no variances.")
            matrix = np.full((len(errors), len(errors)), np.nan)
            np.fill_diagonal(matrix, errors**2)
            return matrix
        matrix = _matrix(self.covariance, terms)
        if errors is not None and (differs := differing(matrix, errors)) is not None:
            own = float(np.sqrt(matrix[differs, differs]))
            raise AnalysisError(
                f"the covariance matrix gives {terms[differs]!r} the standard error {own:.4g}, but "
                f"the one reported is {errors[differs]:.4g}; return a dict with the ones you mean: "
                "{'estimates': …, 'covariance': …} or {'estimates': …, 'std_errors': …}."
            )
        return matrix


def differing(matrix: np.ndarray, errors: np.ndarray) -> int | None:
    """First term whose standard error is not the root of the diagonal; None if there is none.

    Examples
    --------
    >>> differing(np.diag([0.01, 0.04]), np.array([0.1, 0.3]))
    1
    """
    own = np.sqrt(np.maximum(np.diagonal(matrix), 0))
    if own.shape != errors.shape:
        return 0
    wrong = ~np.isclose(own, errors, rtol=ROUNDING, atol=0, equal_nan=True)
    return int(np.argmax(wrong)) if wrong.any() else None


def _matrix(covariance: Any, terms: pd.Index) -> np.ndarray:
    if isinstance(covariance, pd.DataFrame):
        _refuse_absent(terms, covariance.index)
        _refuse_absent(terms, covariance.columns)
        covariance = covariance.loc[terms, terms]
    values = numbers(covariance, "covariances")
    k = len(terms)
    if values.size == 1 == k:
        values = values.reshape(1, 1)
    if values.shape != (k, k):
        raise AnalysisError(
            f"there are {k} estimates and a covariance of shape {values.shape}; it must be "
            f"({k}, {k}), one row and one column an estimate."
        )
    known = np.isfinite(values) & np.isfinite(values.T)
    scale = np.sqrt(np.abs(np.outer(np.diagonal(values), np.diagonal(values))))
    if (np.abs(values - values.T) > ROUNDING * scale)[known].any():
        raise AnalysisError("the covariance matrix of the analysis is not symmetric.")
    return values


def _errors(errors: Any, terms: pd.Index) -> np.ndarray:
    if isinstance(errors, Mapping):
        errors = pd.Series(errors)
    if isinstance(errors, pd.Series):
        _refuse_absent(terms, errors.index)
        errors = errors[terms]
    values = np.atleast_1d(numbers(errors, "standard errors"))
    if values.shape != (len(terms),):
        raise AnalysisError(
            f"there are {len(terms)} estimates and standard errors of shape {values.shape}; give "
            "one an estimate."
        )
    if (values < 0).any():
        raise AnalysisError(
            f"the standard error of {terms[int(np.argmax(values < 0))]!r} is negative."
        )
    return values


def _refuse_absent(terms: pd.Index, labels: pd.Index) -> None:
    absent = [term for term in terms if term not in labels]
    if absent:
        raise AnalysisError(
            f"the analysis gives no variance for {absent[0]!r}; label covariance or standard "
            "errors like the estimates."
        )


def numbers(values: Any, what: str) -> np.ndarray:
    """Real numbers as floats; text that looks like numbers is none.

    Examples
    --------
    >>> numbers([1, 2.5], "estimates")
    array([1. , 2.5])
    """
    try:
        given = np.asarray(values)
        text = given.dtype.kind in "USOT" and any(isinstance(v, str) for v in given.ravel())
        if text or given.dtype.kind in "cmMV":
            raise TypeError(f"they are {'text' if text else given.dtype}")
        return np.array(given, dtype=float)
    except (TypeError, ValueError) as error:
        raise AnalysisError(f"{what} of the analysis are not numbers: {error}") from error
