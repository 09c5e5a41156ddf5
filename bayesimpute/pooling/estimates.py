"""One analysis reduced to what pooling needs, whichever package fitted it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.adapters import adapted
from bayesimpute.pooling.plain import from_frame, from_mapping, from_tuple
from bayesimpute.pooling.refusals import UNDERSTOOD, refuse_test, refuse_without_covariance
from bayesimpute.pooling.reported import Reported


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates of one completed data set.

    Attributes
    ----------
    terms
        Names of the k estimates.
    estimate
        (k,).
    covariance
        (k, k); NaN off the diagonal where only standard errors are known.
    variance_components
        Variances and covariances of the random effects, of the residual, and the ICC, by name.
    df_residual
        Degrees of freedom of the complete data: observations minus parameters, variance
        parameters included; clusters minus 1, or events minus parameters, where the fit infers
        with these. None if unknown.
    log_likelihood
        None if unknown.
    model
        What the fitting package returned.
    design
        How a formula became columns (`bayesimpute.pooling.model_design.ModelDesign`); None where
        the analysis was no formula.
    """

    terms: tuple[str, ...]
    estimate: np.ndarray
    covariance: np.ndarray
    variance_components: Mapping[str, float] = field(default_factory=dict)
    df_residual: float | None = None
    log_likelihood: float | None = None
    model: Any = field(default=None, repr=False)
    design: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        k = len(self.terms)
        if not k:
            raise AnalysisError("the analysis has no estimate; add a term.")
        if len(set(self.terms)) != k:
            raise AnalysisError(f"Terms are named twice: {list(self.terms)}; name each once.")
        if self.estimate.shape != (k,) or self.covariance.shape != (k, k):
            raise AnalysisError(
                f"{k} terms, but estimates of shape {self.estimate.shape} and a covariance of "
                f"shape {self.covariance.shape}; they must be ({k},) and ({k}, {k})."
            )
        for wrong, why in (
            (~np.isfinite(self.estimate), "the estimate of {} is not a finite number"),
            (~np.isfinite(self.variances), "the variance of {} is not a finite number"),
            (self.variances < 0, "the variance of {} is negative"),
        ):
            if wrong.any():
                named = why.format(repr(self.terms[int(np.argmax(wrong))]))
                raise AnalysisError(f"{named}; simplify the analysis model or look at the data.")

    @property
    def variances(self) -> np.ndarray:
        """Squared standard errors, (k,)."""
        return np.diagonal(self.covariance)

    def _repr_html_(self) -> str:
        rows = zip(self.terms, self.estimate, np.sqrt(self.variances), strict=True)
        table = html.table(["term", "estimate", "std_error"], rows, (1, 2))
        components = html.table(["variance component", ""], self.variance_components.items(), (1,))
        return html.plain(
            "Estimates of one data set", table, components if self.variance_components else ""
        )


def estimates_from(result: Any) -> Estimates:
    """Estimates of whatever an analysis returned.

    Parameters
    ----------
    result
        - a fit of statsmodels, linearmodels, pyfixest, mixedlm or lifelines, or a posterior of
          PyMC or Bambi (see `bayesimpute.pooling.adapters.adapted`);
        - any object with ``params`` and ``cov_params()`` or ``bse``;
        - a tidy frame with the columns term, estimate and std_error (``std.error``,
          ``Std. Error``, …) or variance;
        - a dict with ``estimates`` and ``covariance``, ``std_errors`` or ``variances``, numbers or
          vectors by name, and if known ``df_residual``, ``variance_components``,
          ``log_likelihood``;
        - a tuple (estimates, covariance matrix). Two numbers or two vectors are refused: they do
          not say whether the second is a standard error, a variance or something else.

    Returns
    -------
    Estimates

    Raises
    ------
    AnalysisError
        None of these (for results of significance tests it says what pools them), shapes that
        differ, values that are not finite, or a covariance that is not the one the fit prints.

    Examples
    --------
    >>> estimates_from({"estimate": 1.0, "variance": 0.04}).variances.round(2)
    array([0.04])
    >>> estimates_from(({"x": 1.0, "z": 2.0}, [[0.1, 0.0], [0.0, 0.2]])).terms
    ('x', 'z')
    """
    if isinstance(result, Estimates):
        return result
    reported = _reported(result)
    df = reported.df_residual
    return Estimates(
        tuple(str(term) for term in reported.estimates.index),
        reported.numbers(),
        reported.covariance_matrix(),
        reported.variance_components,
        None if df is None or np.isnan(df) else float(df),
        reported.log_likelihood,
        result,
    )


def _reported(result: Any) -> Reported:
    if (known := adapted(result)) is not None:
        return known
    refuse_without_covariance(result)
    if isinstance(result, Mapping):
        return from_mapping(result)
    if isinstance(result, pd.DataFrame):
        return from_frame(result)
    refuse_test(result)
    if isinstance(result, tuple):
        return from_tuple(result)
    raise AnalysisError(f"the analysis returned {type(result).__name__}; return {UNDERSTOOD}.")
