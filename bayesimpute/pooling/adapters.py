"""Fits of packages that keep estimates under names of their own, as what pooling reads.

Nothing is imported: a package is recognised by the attributes its fits have. Every adapter hands
on the standard errors that the fit prints beside the covariance it takes, and `Reported` compares.
"""

from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.adapters_draws import (
    is_labelled,
    is_posterior,
    posterior_dataset,
    scalar_draws,
)
from bayesimpute.pooling.adapters_params import from_params, has_params
from bayesimpute.pooling.reported import Reported, differing
from bayesimpute.pooling.variance_components import level_names, mixedlm_components


def adapted(result: Any) -> Reported | None:
    """Read what a fit of a known package reports; None for any other object.

    Parameters
    ----------
    result
        - mixedlm: lmer and glmer, with their variance components;
        - statsmodels, linearmodels, and whatever has ``params`` with ``cov_params()``, ``cov`` or
          ``bse``;
        - lifelines: ``CoxPHFitter`` and every parametric fitter, regression or not. Of a model
          with several linear predictors a term is named ``"lambda_:age"``. Robust and clustered
          standard errors are those it prints; their covariances it does not keep;
        - pyfixest: standard errors of whichever ``vcov``, and the df of its own intervals;
        - a posterior (what PyMC and Bambi sample: a DataTree with the group ``posterior``, or a
          Dataset with the dimensions chain and draw): posterior means, and the posterior
          covariance as the squared standard errors of Rubin's rules, which takes each posterior
          as normal; `bayesimpute.pool_posteriors` does without.

    Returns
    -------
    Reported or None

    Raises
    ------
    AnalysisError
        Draws without the dimensions chain and draw, or a fit whose covariance is not the one of
        the standard errors it prints.

    Examples
    --------
    >>> import xarray as xr
    >>> draws = xr.Dataset({"slope": (("chain", "draw"), [[1.0, 2.0, 3.0]])})
    >>> adapted(draws).estimates.to_dict()
    {'slope': 2.0}
    """
    if is_mixedlm(result):
        return _from_mixedlm(result)
    if is_posterior(result):
        return _from_posterior(result)
    if is_labelled(result):
        raise AnalysisError(
            f"the analysis returned a {type(result).__name__} without the dimensions chain and "
            "draw; return a posterior as pm.sample and Bambi give it."
        )
    if hasattr(result, "variance_matrix_") and hasattr(result, "params_"):
        return _from_lifelines(result)
    if all(callable(getattr(result, name, None)) for name in ("coef", "se", "confint", "tidy")):
        return _from_pyfixest(result)
    return from_params(result) if has_params(result) else None


def is_mixedlm(result: Any) -> bool:
    """Whether an object is a fit of lmer or glmer."""
    return all(hasattr(result, name) for name in ("fixef", "vcov", "VarCorr"))


def _from_mixedlm(result: Any) -> Reported:
    names = level_names(list(result.fixef()), result.matrices.category_levels)
    log_likelihood = result.logLik()
    return Reported(
        pd.Series(list(result.fixef().values()), index=names),
        np.array(result.vcov(), dtype=float),
        # mixedlm's own df_residual() leaves out the variance parameters; lme4 counts them.
        df_residual=float(result.nobs() - log_likelihood.df),
        log_likelihood=float(log_likelihood),
        variance_components=mixedlm_components(result),
    )


def _from_posterior(result: Any) -> Reported:
    names, draws = scalar_draws(posterior_dataset(result))
    flat = draws.reshape(-1, len(names))
    if len(flat) < 2:
        raise AnalysisError("the posterior has a single draw; its variance needs more.")
    covariance = np.atleast_2d(np.cov(flat, rowvar=False))
    return Reported(pd.Series(flat.mean(axis=0), index=list(names)), covariance)


def _from_lifelines(result: Any) -> Reported:
    values = pd.Series(result.params_, dtype=float)
    names = [_term(label) for label in values.index]
    covariance: Any = np.asarray(result.variance_matrix_, dtype=float)
    errors = np.asarray(result.summary["se(coef)"], dtype=float)
    if differing(covariance, errors) is not None:
        covariance = None  # robust=True and cluster_col change the errors and not the matrix
    partial = hasattr(result, "hazard_ratios_") and not isinstance(values.index, pd.MultiIndex)
    seen = np.asarray(result.event_observed, dtype=float)
    # Cox's partial likelihood has one factor an event, as mice and survival count; the full
    # likelihood of a parametric model has one a person.
    df = float((seen.sum() if partial else seen.size) - len(values))
    return Reported(
        pd.Series(values.to_numpy(), index=names),
        covariance,
        errors,
        df if df > 0 else None,
        float(result.log_likelihood_),
    )


def _term(label: Any) -> str:
    """``("lambda_", "age")`` becomes ``"lambda_:age"``."""
    return ":".join(str(part) for part in label) if isinstance(label, tuple) else str(label)


def _from_pyfixest(result: Any) -> Reported:
    if hasattr(result, "fetch_model"):
        raise AnalysisError(
            "the analysis returned several models of pyfixest at once; return one of them, "
            "fit.fetch_model(0)."
        )
    table = result.tidy()
    estimates, errors = table["Estimate"], table["Std. Error"]
    quantile = ((table["97.5%"] - table["2.5%"]) / 2 / errors).to_numpy(dtype=float)
    # where the interval is longest beside its estimate it says its quantile most exactly
    at = int(np.argmax((errors / np.maximum(np.abs(estimates), 1e-300)).to_numpy(dtype=float)))
    return Reported(estimates, std_errors=errors, df_residual=df_of_quantile(float(quantile[at])))


def df_of_quantile(quantile: float, level: float = 0.95) -> float | None:
    """Degrees of freedom of the t distribution whose interval is `quantile` errors to each side.

    Whole numbers are given back as such; None stands for the normal distribution.

    Examples
    --------
    >>> df_of_quantile(2.0930240544)
    19.0
    """
    from scipy import optimize, stats

    upper = (1 + level) / 2

    def excess(share: float) -> float:
        return float(stats.t.ppf(upper, 1 / share)) - quantile

    if not excess(1e-7) < 0:
        return None
    df = 1 / float(optimize.brentq(excess, 1e-7, 1.0, xtol=1e-15))
    return float(round(df)) if abs(df - round(df)) < 1e-3 * max(df, 1) ** 0.5 else df
