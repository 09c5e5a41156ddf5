"""Analyses reduced to what pooling needs, whichever package fitted them; m of them as arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isroutine
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.adapters import adapted
from bayesimpute.pooling.plain import (
    frames_by_imputation,
    from_frame,
    from_mapping,
    from_tuple,
    spelled,
)
from bayesimpute.pooling.reported import Reported
from bayesimpute.pooling.term_names import position_of

#: What an analysis may return, for error texts.
UNDERSTOOD = (
    "a fit of statsmodels, linearmodels, pyfixest, mixedlm or lifelines, a posterior, an object "
    "with params and cov_params() or bse, a tidy table (term, estimate, std_error), a tuple "
    "(estimates, covariance matrix), or a dict with 'estimates' and 'covariance', 'std_errors' or "
    "'variances'"
)

#: Names under which results of tests keep a p value.
P_VALUES = ("pvalue", "p_value", "pval", "p")

#: Parts of the names of SciPy's results, and what pools that test.
_WAYS = (
    (("pearsonr", "significance", "somers"),
     "a correlation is pooled by bi.pool_correlation(imp, ['x', 'y']), rank correlations with "
     "method='spearman'"),
    (("ttest",),
     "a t test is a regression: imp.fit('y ~ group').pool() compares two groups, "
     "imp.fit('y ~ 1').pool() a mean with 0, imp.fit('I(y - x) ~ 1').pool() pairs"),
    (("contrast",),
     "hypotheses about terms of a fit are pooled by imp.fit('y ~ x').test(['x = 0'])"),
    (("linregress", "slopes"), "a regression is pooled by imp.fit('y ~ x').pool()"),
    (("chi2", "kruskal", "friedman", "power", "bartlett", "normaltest", "statisticalresult"),
     "χ² statistics of the imputations, in a list with one an imputation, are pooled by "
     "bi.pool_chi2(statistics, df)"),
    (("oneway", "levene", "alexander"),
     "an analysis of variance is pooled by imp.fit('y ~ group').anova(), and F statistics, in a "
     "list with one an imputation, by bi.pool_F(statistics, df)"),
)  # fmt: skip
_ANY_TEST = (
    "two-sided p values of the imputations are pooled as χ² with 1 df, "
    "bi.pool_chi2([scipy.stats.chi2.isf(p, 1) for p in p_values], 1), and an estimate through a "
    "model of it, imp.fit('y ~ group').pool(), or as a dict {'estimate': …, 'std_error': …}"
)


def refuse_test(result: Any) -> None:
    """Refuse the result of a significance test: whatever has a p value and was no known fit.

    Parameters
    ----------
    result
        Whatever an analysis returned.

    Raises
    ------
    AnalysisError
        Says what pools this test.
    """
    name = type(result).__name__
    if any(hasattr(result, p) for p in P_VALUES):
        way = next(
            (text for parts, text in _WAYS if any(part in name.lower() for part in parts)),
            _ANY_TEST,
        )
        raise AnalysisError(
            f"the analysis returned {name}, whose p value is no variance, and Rubin's rules need "
            f"an estimate with its own; {way}."
        )


def refuse_without_covariance(result: Any) -> None:
    """Refuse fits whose coefficients have no covariance: scikit-learn, penalised, Bambi unfitted.

    Raises
    ------
    AnalysisError
        Says what to return in their place.
    """
    if all(hasattr(result, name) for name in ("get_params", "fit", "predict")):
        name = type(result).__name__
        known = (
            "has coef_ but no covariance of them" if hasattr(result, "coef_") else "has no estimate"
        )
        raise AnalysisError(
            f"{name} {known}, and without one Rubin's rules cannot pool. Pool what it predicts: "
            "bi.pool_predictions(imp, estimator, target). Or fit the same model in statsmodels, or "
            "return {'estimates': coefficients, 'std_errors': …} with bootstrap standard errors."
        )
    if hasattr(result, "params"):
        raise AnalysisError(
            f"{type(result).__name__} has params but no covariance of them (of a penalised fit?), "
            "and without one Rubin's rules cannot pool; fit without the penalty, or return "
            "{'estimates': …, 'std_errors': …}."
        )
    if is_bambi_model(result):
        raise AnalysisError(
            f"the analysis returned a Bambi {type(result).__name__} that is not fitted; return "
            "what model.fit(...) returns."
        )


def is_bambi_model(result: Any) -> bool:
    """Whether an object is a Bambi model, fitted or not; its draws are another object."""
    kind = type(result)  # some properties of the object itself warn
    return all(hasattr(kind, name) for name in ("build", "fit", "plot_priors", "prior_predictive"))


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
        How a formula became columns (`bayesimpute.pooling.formula_design.ModelDesign`); None where
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


def as_estimates(fits: Any) -> tuple[Estimates, ...]:
    """One `Estimates` an imputation, of ``Fits`` or of any collection of analyses.

    Parameters
    ----------
    fits
        What ``imp.fit`` returns; a list of fits, or a dict of them by imputation; one long tidy
        frame in which every term comes once an imputation.

    Examples
    --------
    >>> len(as_estimates([(1.0, [[0.1]]), (1.2, [[0.1]])]))
    2
    """
    given = getattr(fits, "estimates", fits)
    if isinstance(given, pd.DataFrame):
        given = frames_by_imputation(given)
    elif isinstance(given, Mapping) and "estimate" not in spelled(given):
        given = list(given.values())
    if not _is_collection(given):
        raise AnalysisError(
            f"{type(fits).__name__} is no set of fits; give what imp.fit(...) returns, or a list "
            "with the analysis of each completed data set."
        )
    analyses = list(given)
    if not analyses:
        raise AnalysisError("There is no analysis in the list; give one a completed data set.")
    return tuple(_numbered(each, number) for number, each in enumerate(analyses, start=1))


def _is_collection(given: Any) -> bool:
    """Whether there is an analysis an element; other packages' fits and posteriors are none."""
    mixes = callable(getattr(given, "pool", None))  # posteriors, which are mixed and not averaged
    single = isinstance(given, str | bytes | Mapping) or hasattr(given, "_fields")
    return isinstance(given, Iterable) and not single and not mixes


def _numbered(analysis: Any, number: int) -> Estimates:
    try:
        return estimates_from(analysis)
    except AnalysisError as error:
        raise AnalysisError(f"Imputation {number}: {error}") from error


def aligned(estimates: tuple[Estimates, ...]) -> tuple[tuple[str, ...], Array, Array]:
    """Terms of the first analysis, estimates (m, k) and covariances (m, k, k) in their order.

    Raises
    ------
    AnalysisError
        A term is in one analysis and not in another, or the models differ.
    """
    _refuse_other_models(estimates)
    terms = estimates[0].terms
    order = [_positions(terms, each, i) for i, each in enumerate(estimates, start=1)]
    pairs = list(zip(estimates, order, strict=True))
    return (
        terms,
        np.array([each.estimate[at] for each, at in pairs]),
        np.array([each.covariance[np.ix_(at, at)] for each, at in pairs]),
    )


def _positions(terms: tuple[str, ...], each: Estimates, number: int) -> list[int]:
    found = [position_of(term, each.terms) for term in terms]
    order = [position for position in found if position is not None]
    if not len(set(order)) == len(terms) == len(each.terms):
        only = sorted(set(terms) ^ set(each.terms))
        raise AnalysisError(
            f"Imputations 1 and {number} do not have the same terms: {', '.join(only)} is in one "
            "only. A category may be absent from one completed data set; merge rare categories."
        )
    return order


def _refuse_other_models(estimates: tuple[Estimates, ...]) -> None:
    first, *others = (model_kind(each.model) for each in estimates)
    for number, kind in enumerate(others, start=2):
        if kind != first:
            raise AnalysisError(
                f"Imputation {number} was analysed by another model ({', '.join(kind)}) than "
                f"imputation 1 ({', '.join(first)}); fit the same to each."
            )


def model_kind(result: Any) -> tuple[str, ...]:
    """Tell what a fit is a fit of: its class, model, family and link, and kind of covariance.

    Examples
    --------
    >>> model_kind({"estimate": 1.0, "variance": 1.0})
    ('dict',)
    """
    model = getattr(result, "model", None)
    family = getattr(model, "family", getattr(result, "family", None))
    parts = (result, model, family, getattr(family, "link", None))
    names = [type(part).__name__ for part in parts if part is not None and not isroutine(part)]
    covariance = getattr(result, "cov_type", None)
    return (*names, covariance) if isinstance(covariance, str) else tuple(names)


def complete_data_df(estimates: tuple[Estimates, ...], dfcom: float | None = None) -> float:
    """`dfcom` if given, else the smallest residual df of the fits; infinity if one is unknown."""
    if dfcom is not None:
        return float(dfcom)
    known = [each.df_residual for each in estimates if each.df_residual is not None]
    if len(known) < len(estimates) or not min(known) > 0:
        return float("inf")
    return float(min(known))


def several(estimates: Sequence[Any], what: str) -> int:
    """Count the imputations; `what` needs at least two."""
    if len(estimates) < 2:
        raise AnalysisError(
            f"{what} needs at least 2 imputations, because it compares them; there is "
            f"{len(estimates)}."
        )
    return len(estimates)
