"""What an analysis may return that is no estimate with a variance, and what to do in its place."""

from typing import Any

from bayesimpute.errors import AnalysisError

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
