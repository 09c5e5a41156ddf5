"""Fits of packages that keep estimates under names of their own, as what pooling reads.

Nothing is imported: a package is recognised by the attributes its fits have. Every adapter hands
on the standard errors that the fit prints beside the covariance it takes, and `Reported` compares.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
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
from bayesimpute.pooling.reported import Reported, differing


def mixedlm_components(result: Any) -> dict[str, float]:
    """Components of a mixedlm fit, and of a linear one the share of each grouping factor.

    As in mitml, the ICC is that of the random intercept, Intercept / (Intercept + Residual); with
    random slopes beside it, it holds where those predictors are 0. With several factors, nested or
    crossed, all intercepts are in the denominator: shares of variance (Goldstein 2011, §2.11), of
    which two rows have those of the clusters they are both in as their correlation.

    Examples
    --------
    >>> import mixedlm
    >>> sleep = mixedlm.lmer("Reaction ~ Days + (1 | Subject)", mixedlm.load_sleepstudy())
    >>> list(mixedlm_components(sleep))
    ['Intercept~~Intercept|Subject', 'Residual~~Residual', 'ICC|Subject']
    """
    estimated = result.VarCorr()
    residual = getattr(estimated, "residual", None)
    components: dict[str, float] = {}
    for group, block in estimated.groups.items():
        names = level_names(block.term_names, result.matrices.category_levels)
        names = ["Intercept" if name == "(Intercept)" else name for name in names]
        for i, name in enumerate(names):
            components[f"{name}~~{name}|{group}"] = float(block.cov[i, i])
        for i, j in combinations(range(len(names)), 2):
            components[f"{names[i]}~~{names[j]}|{group}"] = float(block.cov[i, j])
    intercepts = [name for name in components if name.startswith("Intercept~~Intercept|")]
    if residual is not None:
        components["Residual~~Residual"] = float(residual)
        total = sum(components[name] for name in intercepts) + float(residual)
        for name in intercepts:
            group = name.removeprefix("Intercept~~Intercept|")
            components[f"ICC|{group}"] = components[name] / total
    return components


def level_names(names: Iterable[str], levels: Mapping[str, Iterable[Any]]) -> list[str]:
    """Coefficient names as R writes them: mixedlm's ``"sex.1"`` becomes ``"sexmale"``.

    mixedlm numbers the columns of a categorical variable from 1 and leaves the first category
    out; without an intercept it writes the labels of all of them.

    Examples
    --------
    >>> level_names(["(Intercept)", "sex.1:age"], {"sex": ["female", "male"]})
    ['(Intercept)', 'sexmale:age']
    """
    split = [name.split(":") for name in names]
    spelled: dict[str, str] = {}
    for variable, categories in levels.items():
        labels = [str(label) for label in categories]
        prefix = f"{variable}."
        suffixes = {
            factor.removeprefix(prefix)
            for factors in split
            for factor in factors
            if factor.startswith(prefix)
        }
        numbered = {str(i): label for i, label in enumerate(labels) if i}
        if not suffixes <= set(numbered):
            numbered = {label: label for label in labels}
        spelled |= {prefix + s: variable + numbered[s] for s in suffixes if s in numbered}
    return [":".join(spelled.get(factor, factor) for factor in factors) for factors in split]


#: What the grouping factor of a fit of statsmodels is called, which has no name for it.
STATSMODELS_GROUP = "Group"


def is_statsmodels_mixed(result: Any) -> bool:
    """Whether an object is a fit of statsmodels' MixedLM."""
    return hasattr(result, "fe_params") and hasattr(result, "cov_re")


def statsmodels_components(result: Any) -> dict[str, float]:
    """Components of a fit of statsmodels' MixedLM, whose grouping factor has no name."""
    between = np.asarray(result.cov_re, dtype=float)
    names = [str(name) for name in result.model.data.exog_re_names]
    pairs = [(i, i) for i in range(len(names))] + list(combinations(range(len(names)), 2))
    components = {
        f"{names[i]}~~{names[j]}|{STATSMODELS_GROUP}": float(between[i, j]) for i, j in pairs
    }
    components["Residual~~Residual"] = float(result.scale)
    return components


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
    mixed = is_statsmodels_mixed(result)
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
