"""One analysis reduced to what pooling needs, whichever package fitted it."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.adapters import adapted
from bayesimpute.pooling.variance_components import (
    level_names,
    mixedlm_components,
    statsmodels_components,
)

#: What an analysis may return, for error texts.
UNDERSTOOD = (
    "a fit of statsmodels, mixedlm or lifelines, a posterior, an object with params and "
    "cov_params() or bse, a tuple (estimates, covariance matrix) or (estimates, standard errors), "
    "or a dict with 'estimates' and 'covariance' or 'std_errors'"
)


def nearest(name: str, known: Iterable[object]) -> str:
    """``"; did you mean 'x'?"`` if something known is spelled like `name`, else what is known."""
    names = [str(each) for each in known]
    close = difflib.get_close_matches(str(name), names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"; there are {shown}" if names else ""


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
        Observations minus parameters, variance parameters included; None if unknown.
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
        A fit of statsmodels, mixedlm or lifelines, a posterior of PyMC or Bambi (see
        `bayesimpute.pooling.adapters.adapted`), any object with ``params`` and ``cov_params()`` or
        ``bse``, a tuple (estimates, covariance matrix or standard errors), or a dict with
        ``estimates`` and ``covariance`` or ``std_errors``, and if known ``df_residual``,
        ``variance_components``, ``log_likelihood``.

    Returns
    -------
    Estimates

    Raises
    ------
    AnalysisError
        None of these, or shapes that differ, or values that are not finite.

    Examples
    --------
    >>> estimates_from(([1.0, 2.0], [0.1, 0.2])).variances.round(2)
    array([0.01, 0.04])
    """
    if isinstance(result, Estimates):
        return result
    if all(hasattr(result, name) for name in ("fixef", "vcov", "VarCorr")):
        return _from_mixedlm(result)
    if (known := adapted(result)) is not None:
        return replace(_from_mapping(known), model=result)
    if isinstance(result, Mapping):
        return _from_mapping(result)
    if isinstance(result, tuple) and len(result) == 2:
        return _from_mapping({"estimates": result[0], "uncertainty": result[1]})
    if hasattr(result, "params") and (hasattr(result, "cov_params") or hasattr(result, "bse")):
        return _from_params(result)
    raise AnalysisError(f"the analysis returned {type(result).__name__}; return {UNDERSTOOD}.")


def _from_mixedlm(result: Any) -> Estimates:
    terms = tuple(level_names(list(result.fixef()), result.matrices.category_levels))
    log_likelihood = result.logLik()
    return Estimates(
        terms,
        np.array(list(result.fixef().values()), dtype=float),
        np.array(result.vcov(), dtype=float),
        mixedlm_components(result),
        # mixedlm's own df_residual() leaves out the variance parameters; lme4 counts them.
        float(result.nobs() - log_likelihood.df),
        float(log_likelihood),
        result,
    )


def _from_mapping(result: Mapping[str, Any]) -> Estimates:
    estimates = result.get("estimates", result.get("estimate"))
    kinds = ("covariance", "std_errors", "std_error", "uncertainty")
    kind = next((name for name in kinds if name in result), None)
    if estimates is None or kind is None:
        raise AnalysisError(f"the analysis returned a dict with {list(result)}; return a dict "
                            "with 'estimates' and 'covariance' or 'std_errors'.")  # fmt: skip
    q = pd.Series(estimates) if np.ndim(estimates) or isinstance(estimates, Mapping) else (
        pd.Series([estimates], index=["estimate"])
    )  # fmt: skip
    return Estimates(
        tuple(str(term) for term in q.index),
        _numbers(q, "estimates"),
        _covariance(result[kind], q.index),
        dict(result.get("variance_components", {})),
        result.get("df_residual"),
        result.get("log_likelihood"),
        result,
    )


def _from_params(result: Any) -> Estimates:
    mixed = hasattr(result, "fe_params") and hasattr(result, "cov_re")
    params = result.fe_params if mixed else result.params
    if np.ndim(params) != 1:
        raise AnalysisError(
            f"params of {type(result).__name__} has {np.ndim(params)} dimensions; return "
            "(estimates, covariance) with one name for each estimate."
        )
    if not isinstance(params, pd.Series):
        names = getattr(getattr(result, "model", None), "exog_names", None)
        known = names is not None and len(names) == len(params)
        params = pd.Series(params, index=names if known else None)
    uncertainty = result.cov_params if hasattr(result, "cov_params") else result.bse
    uncertainty = uncertainty() if callable(uncertainty) else uncertainty
    components = statsmodels_components(result) if mixed else {}
    df = getattr(result, "df_resid", None)
    if mixed:
        df = float(result.nobs - len(result.params) - 1)
    log_likelihood = getattr(result, "llf", None)
    return Estimates(
        tuple(str(term) for term in params.index),
        _numbers(params, "params"),
        _covariance(uncertainty, params.index),
        components,
        None if df is None or not np.isfinite(df) else float(df),
        None if log_likelihood is None else float(log_likelihood),
        result,
    )


def _numbers(values: Any, what: str) -> np.ndarray:
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise AnalysisError(f"{what} of the analysis are not numbers: {error}") from error


def _covariance(uncertainty: Any, terms: pd.Index) -> np.ndarray:
    """(k, k) from a matrix or from standard errors, matched by label where there are labels."""
    if isinstance(uncertainty, Mapping):
        uncertainty = pd.Series(uncertainty)
    if isinstance(uncertainty, pd.DataFrame | pd.Series):
        absent = [term for term in terms if term not in uncertainty.index]
        if absent:
            raise AnalysisError(
                f"the analysis gives no variance for {absent[0]!r}; label covariance or standard "
                "errors like the estimates."
            )
        square = isinstance(uncertainty, pd.DataFrame)
        uncertainty = uncertainty.loc[terms, terms] if square else uncertainty[terms]
    values = np.atleast_1d(_numbers(uncertainty, "variances"))
    if values.ndim != 1:
        return values
    if (values < 0).any():
        raise AnalysisError(
            f"the standard error of {terms[int(np.argmax(values < 0))]!r} is negative."
        )
    covariance = np.full((len(values), len(values)), np.nan)
    np.fill_diagonal(covariance, values**2)
    return covariance
