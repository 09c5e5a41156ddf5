"""What a fit reports of itself, whichever package made it, under one set of names.

Nothing is imported: a package is recognised by the attributes its fits have. Every adapter hands
on the standard errors that the fit prints beside the covariance it takes, and `Reported` compares.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.errors import AnalysisError
from bayesimpute.wording import did_you_mean, listed

if TYPE_CHECKING:
    import xarray as xr


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


SAMPLE = ("chain", "draw")


def is_posterior(result: Any) -> bool:
    """Whether an object holds draws with the dimensions chain and draw.

    Examples
    --------
    >>> import xarray as xr
    >>> is_posterior(xr.Dataset({"slope": (("chain", "draw"), [[1.0, 2.0]])}))
    True
    >>> is_posterior({"estimates": [1.0], "std_errors": [0.1]})
    False
    """
    group = labelled_group(result)
    return group is not None and set(SAMPLE) <= {str(dim) for dim in group.dims}


def labelled_group(result: Any, name: str = "posterior") -> "xr.Dataset | None":
    """Give a group of what a sampler returned, or that group itself; None where it has none.

    Parameters
    ----------
    result
        A DataTree, a Dataset, or ArviZ's InferenceData before version 1.
    name
        Of the group.
    """
    import xarray as xr

    if isinstance(result, xr.DataTree):
        result = result[name] if name in result.children else result
    elif not isinstance(result, xr.Dataset):
        result = getattr(result, name, None)
    if isinstance(result, xr.DataTree):
        return result.to_dataset()
    return result if isinstance(result, xr.Dataset) else None


def chosen_variables(dataset: "xr.Dataset", names: Sequence[str] | None) -> list[str]:
    """Variables that have draws, all or those asked for.

    Raises
    ------
    AnalysisError
        One of `names` is not there, or nothing has draws.
    """
    drawn = [str(k) for k, array in dataset.data_vars.items() if set(SAMPLE) <= set(array.dims)]
    if not drawn:
        raise AnalysisError("The posterior has no variable with the dimensions chain and draw.")
    if names is None:
        return drawn
    wanted = [names] if isinstance(names, str) else list(names)
    absent = [name for name in wanted if name not in drawn]
    if absent or not wanted:
        raise AnalysisError(
            f"names: the posterior has no {listed(absent) or 'variable'}; it has "
            f"{listed(drawn, 12)}.{did_you_mean(absent[0] if absent else '', drawn)}"
        )
    return wanted


def scalar_draws(dataset: "xr.Dataset") -> tuple[tuple[str, ...], np.ndarray]:
    """Every scalar of a posterior, named ``"beta[sex]"`` as the diagnostics name it.

    Parameters
    ----------
    dataset
        With variables over chain, draw and any further dimensions.

    Returns
    -------
    names
        (k,).
    draws
        (chain, draw, k), float.

    Raises
    ------
    AnalysisError
        A variable holds no numbers.

    Examples
    --------
    >>> import xarray as xr
    >>> draws = xr.DataArray([[[1, 2]]], dims=("chain", "draw", "x"), coords={"x": ["sex", "age"]})
    >>> scalar_draws(xr.Dataset({"beta": draws}))[0]
    ('beta[sex]', 'beta[age]')
    """
    names: list[str] = []
    columns: list[np.ndarray] = []
    for variable in chosen_variables(dataset, None):
        array = dataset[variable]
        inner = [dim for dim in array.dims if dim not in SAMPLE]
        if array.dtype.kind not in "biuf":
            raise AnalysisError(f"The draws of {variable!r} are not numbers.")
        values = np.asarray(array.transpose(*SAMPLE, *inner).values, dtype=float)
        labels = [
            array[dim].values if dim in array.coords else range(array.sizes[dim]) for dim in inner
        ]
        for at in np.ndindex(values.shape[2:]):
            label = ", ".join(str(labels[axis][i]) for axis, i in enumerate(at))
            names.append(f"{variable}[{label}]" if inner else variable)
        columns.append(values.reshape(*values.shape[:2], -1))
    return tuple(names), np.concatenate(columns, axis=2)


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
        components |= _named_components(block.cov, names, group)
    if residual is not None:
        intercepts = {g: components.get(f"Intercept~~Intercept|{g}") for g in estimated.groups}
        between = {g: variance for g, variance in intercepts.items() if variance is not None}
        components["Residual~~Residual"] = float(residual)
        total = sum(between.values()) + float(residual)
        components |= {f"ICC|{group}": variance / total for group, variance in between.items()}
    return components


def _named_components(covariance: Any, names: Sequence[str], group: Any) -> dict[str, float]:
    """Variances, then covariances of pairs, by the names that mitml gives them."""
    pairs = [*zip(range(len(names)), range(len(names)), strict=True)]
    pairs += combinations(range(len(names)), 2)
    return {f"{names[i]}~~{names[j]}|{group}": float(covariance[i, j]) for i, j in pairs}


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
    names = [str(name) for name in result.model.data.exog_re_names]
    components = _named_components(np.asarray(result.cov_re, dtype=float), names, STATSMODELS_GROUP)
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
        # the residual variance is a parameter too
        float(result.nobs - len(result.params) - 1)
        if mixed
        else residual_df(result, len(estimates)),
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
    if (group := labelled_group(result)) is not None:
        if not is_posterior(group):
            raise AnalysisError(
                f"the analysis returned a {type(result).__name__} without the dimensions chain and "
                "draw; return a posterior as pm.sample and Bambi give it."
            )
        return _from_posterior(group)
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


def _from_posterior(posterior: "xr.Dataset") -> Reported:
    names, draws = scalar_draws(posterior)
    flat = draws.reshape(-1, len(names))
    if len(flat) < 2:
        raise AnalysisError("the posterior has a single draw; its variance needs more.")
    covariance = np.atleast_2d(np.cov(flat, rowvar=False))
    return Reported(pd.Series(flat.mean(axis=0), index=list(names)), covariance)


def _from_lifelines(result: Any) -> Reported:
    values = pd.Series(result.params_, dtype=float)
    names = [one_name(label) for label in values.index]
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


def one_name(label: Any) -> str:
    """Name of a term; ``("lambda_", "age")`` becomes ``"lambda_:age"``."""
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
