"""Fits of packages that keep estimates under names of their own, as what pooling reads.

Nothing is imported: a package is recognised by the attributes its fits have.
"""

from collections.abc import Mapping
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


def adapted(result: Any) -> Mapping[str, Any] | None:
    """Estimates and covariance of a fit this module knows; None for any other object.

    Parameters
    ----------
    result
        - lifelines: ``CoxPHFitter`` and every parametric fitter, regression or not. Of a model
          with several linear predictors a term is named ``"lambda_:age"``;
        - a posterior (what PyMC and Bambi sample: a DataTree with the group ``posterior``, or a
          Dataset with the dimensions chain and draw): posterior means, and the posterior
          covariance as the squared standard errors of Rubin's rules, which takes each posterior
          as normal; `bayesimpute.pool_posteriors` does without.

    Returns
    -------
    dict or None
        ``estimates``, ``covariance``, and if known ``df_residual`` and ``log_likelihood``, as
        `bayesimpute.pooling.estimates.estimates_from` reads them.

    Raises
    ------
    AnalysisError
        An estimator of scikit-learn, whose coefficients have no covariance, or a Bambi model that
        is not fitted: what to return in its place.

    Examples
    --------
    >>> import xarray as xr
    >>> draws = xr.Dataset({"slope": (("chain", "draw"), [[1.0, 2.0, 3.0]])})
    >>> adapted(draws)["estimates"].to_dict()
    {'slope': 2.0}
    """
    if is_posterior(result):
        return _from_posterior(result)
    if is_labelled(result):
        raise AnalysisError(
            f"the analysis returned a {type(result).__name__} without the dimensions chain and "
            "draw; return a posterior as pm.sample and Bambi give it."
        )
    if hasattr(result, "variance_matrix_") and hasattr(result, "params_"):
        return _from_lifelines(result)
    if hasattr(result, "get_params") and hasattr(result, "fit") and hasattr(result, "predict"):
        raise AnalysisError(_no_covariance(result))
    if is_bambi_model(result):
        raise AnalysisError(
            f"the analysis returned a Bambi {type(result).__name__} that is not fitted; return "
            "what model.fit(...) returns."
        )
    return None


def is_bambi_model(result: Any) -> bool:
    """Whether an object is a Bambi model, fitted or not; its draws are another object."""
    kind = type(result)  # some properties of the object itself warn
    return all(hasattr(kind, name) for name in ("build", "fit", "plot_priors", "prior_predictive"))


def _no_covariance(result: Any) -> str:
    name = type(result).__name__
    known = "has coef_ but no covariance of them" if hasattr(result, "coef_") else "has no estimate"
    return (
        f"{name} {known}, and without one Rubin's rules cannot pool. Pool what it predicts: "
        "bi.pool_predictions(imp, estimator, target). Or fit the same model in statsmodels, or "
        "return (coefficients, standard errors) with bootstrap standard errors."
    )


def _from_posterior(result: Any) -> dict[str, Any]:
    names, draws = scalar_draws(posterior_dataset(result))
    flat = draws.reshape(-1, len(names))
    if len(flat) < 2:
        raise AnalysisError("the posterior has a single draw; its variance needs more.")
    covariance = np.atleast_2d(np.cov(flat, rowvar=False))
    return {
        "estimates": pd.Series(flat.mean(axis=0), index=list(names)),
        "covariance": pd.DataFrame(covariance, index=list(names), columns=list(names)),
    }


def _from_lifelines(result: Any) -> dict[str, Any]:
    params = result.params_
    values = pd.Series(params, dtype=float)
    names = [_term(label) for label in values.index]
    covariance = pd.DataFrame(np.asarray(result.variance_matrix_, dtype=float), names, names)
    partial = hasattr(result, "baseline_hazard_") and not isinstance(values.index, pd.MultiIndex)
    seen = np.asarray(result.event_observed, dtype=float)
    # Cox's partial likelihood has one factor an event, as mice and survival count; the full
    # likelihood of a parametric model has one a person.
    df = float((seen.sum() if partial else seen.size) - len(values))
    return {
        "estimates": pd.Series(values.to_numpy(), index=names),
        "covariance": covariance,
        "df_residual": df if df > 0 else None,
        "log_likelihood": float(result.log_likelihood_),
    }


def _term(label: Any) -> str:
    """``("lambda_", "age")`` becomes ``"lambda_:age"``."""
    return ":".join(str(part) for part in label) if isinstance(label, tuple) else str(label)
