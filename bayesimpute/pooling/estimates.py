"""Analyses reduced to what pooling needs, whichever package fitted them; m of them as arrays.

They come as fits (`reported`) or written down by hand: a dict, a pair with a covariance matrix, a
tidy frame, arrays. Terms are compared by what they are: ``x:z`` is ``z:x``, ``I(x^2)`` is
``I(x ** 2)``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import isroutine
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.reported import Reported, adapted, numbers, one_name
from bayesimpute.specification.expressions import canonical

#: How an intercept is named by R, patsy and formulaic, and by ``statsmodels.add_constant``.
INTERCEPTS = ("(Intercept)", "Intercept", "const")

_CALL = re.compile(r"([A-Za-z_][\w.]*\(.*\))([^()]*)", re.DOTALL)


@lru_cache(maxsize=4096)
def term_key(label: str) -> tuple[str, ...]:
    """Factors of a term, each in one spelling, in one order.

    Examples
    --------
    >>> term_key("x:log( z )") == term_key("log(z):x"), term_key("I(x^2)") == term_key("I(x ** 2)")
    (True, True)
    """
    if label in INTERCEPTS:
        return (INTERCEPTS[0],)
    return tuple(sorted(_spelled(part) for part in _factors(label)))


def position_of(term: str, terms: Sequence[str]) -> int | None:
    """Index of the same term, whatever its spelling; None if it is not there, or there twice."""
    if term in terms:
        return terms.index(term)
    found = [i for i, each in enumerate(terms) if term_key(each) == term_key(term)]
    return found[0] if len(found) == 1 else None


def _factors(label: str) -> list[str]:
    """Split at colons that stand in no brackets, quotation marks or backticks."""
    parts, depth, quote = [""], 0, ""
    for sign in label:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "`'\"":
            quote = sign
        else:
            depth += (sign in "([") - (sign in ")]")
        if sign == ":" and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _spelled(factor: str) -> str:
    """One spelling of a function, what follows it (a category, a number) kept."""
    called = _CALL.fullmatch(factor.strip())
    return canonical(called[1]) + called[2] if called else factor.strip()


#: Spellings of each quantity, in lower case and without signs ("std.error" is "stderror").
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "estimate": ("estimate", "estimates", "coef", "coefs", "coefficient", "coefficients"),
    "std_error": ("stderror", "stderrors", "standarderror", "standarderrors", "stderr", "se",
                  "bse", "secoef"),
    "variance": ("variance", "variances"),
    "covariance": ("covariance", "cov", "vcov"),
    "df_residual": ("dfresidual", "residualdf", "dfresid", "df"),
    "term": ("term", "terms", "variable", "covariate", "parameter", "param", "name"),
}  # fmt: skip
UNCERTAIN = ("covariance", "std_error", "variance")
#: Columns of a tidy frame that tell several equations of one model apart, as broom names them.
EQUATIONS = ("ylevel", "response", "outcome", "component")
#: What only pooled tables have.
POOLED = {"fmi", "riv"}


def spelled(names: Any) -> dict[str, Any]:
    """Which of the given names stands for which quantity.

    Examples
    --------
    >>> spelled(["term", "estimate", "std.error", "p.value"])
    {'estimate': 'estimate', 'std_error': 'std.error', 'term': 'term'}
    """
    plain = {_plain(name): name for name in reversed(list(names))}
    found = {}
    for quantity, spellings in SPELLINGS.items():
        for spelling in spellings:
            if spelling in plain and quantity not in found:
                found[quantity] = plain[spelling]
    return found


def from_mapping(result: Mapping[str, Any]) -> Reported:
    """Estimates of a dict with ``estimate`` and ``std_error``, ``variance`` or ``covariance``.

    Examples
    --------
    >>> from_mapping({"estimate": 2.0, "variance": 0.25}).covariance_matrix()
    array([[0.25]])
    """
    known = spelled(result)
    if "estimate" not in known or not any(name in known for name in UNCERTAIN):
        raise AnalysisError(
            f"the analysis returned a dict with {list(result)}; return a dict with 'estimates' and "
            "'covariance', 'std_errors' or 'variances'."
        )
    given = {quantity: result[name] for quantity, name in known.items()}
    estimates = _series(given["estimate"])
    errors = given.get("std_error")
    if "variance" in given:
        from_variance = _roots(given["variance"], estimates.index)
        errors = from_variance if errors is None else _agreeing(errors, from_variance)
    return Reported(
        estimates,
        given.get("covariance"),
        errors,
        _df(given.get("df_residual")),
        result.get("log_likelihood"),
        dict(result.get("variance_components", {})),
    )


def from_tuple(result: tuple[Any, ...]) -> Reported:
    """Estimates of a tuple (estimates, covariance matrix), or of one that names its parts.

    Any other is refused: two numbers, or two vectors, do not say what the second one is: a
    standard error, a variance, a p value, another estimate.

    Examples
    --------
    >>> from_tuple(([1.0, 2.0], [[0.1, 0.0], [0.0, 0.2]])).covariance_matrix().diagonal()
    array([0.1, 0.2])
    """
    fields = getattr(result, "_fields", ())
    known = spelled(fields)
    if "estimate" in known and any(name in known for name in UNCERTAIN):
        return from_mapping(dict(zip(fields, result, strict=True)))
    if fields or len(result) != 2 or _dimensions(result[1]) != 2:
        what = f"with {', '.join(fields)}" if fields else f"of {len(result)}"
        raise AnalysisError(
            f"the analysis returned a tuple {what}, which does not say whether it holds a standard "
            "error, a variance or a p value. Return (estimates, covariance matrix), or a dict that "
            "says what is what: {'estimate': …, 'std_error': …} or {'estimate': …, 'variance': …}."
        )
    return Reported(_series(result[0]), result[1])


def _dimensions(value: Any) -> int | None:
    try:
        return np.ndim(value)
    except ValueError:  # rows of different lengths
        return None


def from_frame(frame: pd.DataFrame) -> Reported:
    """Estimates of a tidy frame: a row a term, columns of estimates and standard errors.

    Parameters
    ----------
    frame
        Columns ``term`` (or terms as the index), ``estimate`` and ``std_error`` or ``variance``,
        as broom, pyfixest, lifelines and statsmodels spell them (``std.error``, ``Std. Error``,
        ``se(coef)``, ``Coef.``, ``Std.Err.``); if there, ``df_residual``.

    Examples
    --------
    >>> tidy = pd.DataFrame({"term": ["x"], "estimate": [1.0], "std.error": [0.5]})
    >>> from_frame(tidy).std_errors.to_dict()
    {'x': 0.5}
    """
    known = spelled(frame.columns)
    errors = next((known[name] for name in ("std_error", "variance") if name in known), None)
    if "estimate" not in known or errors is None:
        raise AnalysisError(
            f"the analysis returned a table with the columns {list(map(str, frame.columns))[:8]}; "
            "a tidy one has a row a term and the columns term, estimate and std_error (or "
            "variance). Completed data are analysed first: bi.fit(frames, 'y ~ x').pool()."
        )
    if {_plain(column) for column in frame.columns} >= POOLED:
        raise AnalysisError("this table is pooled already; pool the analyses it came from.")
    terms = _terms(frame, known.get("term"))
    values = pd.Series(frame[errors].to_numpy(), index=terms)
    if "std_error" not in known:
        values = pd.Series(_roots(values, terms), index=terms)
    df = known.get("df_residual")
    return Reported(
        pd.Series(frame[known["estimate"]].to_numpy(), index=terms),
        std_errors=values,
        df_residual=None if df is None else _df(frame[df].min()),
    )


def frames_by_imputation(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """One tidy frame an imputation, of a long one in which every term comes m times.

    Parameters
    ----------
    frame
        Tidy. A column ``.imp``, ``imp`` or ``imputation`` numbers the imputations; without one
        the first row of each term belongs to imputation 1, the second to 2, as in mice's
        ``pool.table``.

    Examples
    --------
    >>> long = pd.DataFrame({"term": ["x", "x"], "estimate": [1, 2], "std_error": [0.1, 0.2]})
    >>> [tidy["estimate"].item() for tidy in frames_by_imputation(long)]
    [1, 2]
    """
    numbers = [column for column in frame.columns if _plain(column) in ("imp", "imputation")]
    reported = from_frame(frame)
    terms = pd.Series(reported.estimates.index)
    at = frame[numbers[0]].to_numpy() if numbers else terms.groupby(terms).cumcount().to_numpy()
    counts = terms.value_counts()
    if counts.nunique() > 1:
        raise AnalysisError(
            f"in the tidy table {counts.index[0]!r} comes {counts.iloc[0]} times and "
            f"{counts.index[-1]!r} {counts.iloc[-1]}; every term comes once an imputation."
        )
    return [frame[at == number] for number in pd.unique(at)]


def _terms(frame: pd.DataFrame, column: str | None) -> pd.Index:
    if column is None and isinstance(frame.index, pd.RangeIndex):
        raise AnalysisError(
            "the tidy table does not say which row is which term; give a column term, or the terms "
            "as its index."
        )
    names = frame.index if column is None else frame[column]
    terms = [one_name(name) for name in names]
    for equation in (c for c in frame.columns if _plain(c) in EQUATIONS):
        terms = [f"{of}: {term}" for of, term in zip(frame[equation], terms, strict=True)]
    return pd.Index(terms)


def _plain(name: Any) -> str:
    return re.sub(r"[^a-z]", "", str(name).lower())


def _series(estimates: Any) -> pd.Series:
    if np.ndim(estimates) == 0 and not isinstance(estimates, Mapping):
        return pd.Series([estimates], index=["estimate"])
    if isinstance(estimates, pd.DataFrame) or np.ndim(estimates) > 1:
        raise AnalysisError(
            f"the estimates have the shape {np.shape(estimates)}; give one number a term, with its "
            "name: a Series or a dict."
        )
    return pd.Series(estimates)


def _df(given: Any) -> float | None:
    """Positive degrees of freedom; None for what is unknown."""
    if given is None or (isinstance(given, float) and np.isnan(given)):
        return None
    if isinstance(given, int | float | np.number) and given > 0:
        return float(given)
    raise AnalysisError(
        f"the degrees of freedom of the analysis are {given!r}; give a positive number, or none."
    )


def _roots(variances: Any, terms: pd.Index) -> Any:
    if isinstance(variances, Mapping):
        variances = pd.Series(variances)
    values = np.atleast_1d(numbers(variances, "variances"))
    if values.ndim != 1:
        raise AnalysisError(
            f"the variances have the shape {values.shape}; give one a term, or a matrix as "
            "'covariance'."
        )
    if (values < 0).any():
        wrong = int(np.argmax(values < 0))
        named = variances.index if isinstance(variances, pd.Series) else terms
        name = repr(named[wrong]) if wrong < len(named) else str(wrong + 1)
        raise AnalysisError(f"the variance of {name} is negative.")
    roots = np.sqrt(values)
    return pd.Series(roots, index=variances.index) if isinstance(variances, pd.Series) else roots


def _agreeing(errors: Any, roots: Any) -> Any:
    same = np.asarray(pd.Series(errors), dtype=float), np.asarray(pd.Series(roots), dtype=float)
    if same[0].shape != same[1].shape or not np.allclose(*same, rtol=1e-5, atol=0):
        raise AnalysisError("the variances are not the squares of the standard errors; give one.")
    return errors


def checked_estimates(
    estimates: Any, variances: Any, terms: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray, pd.Index]:
    """Bring estimates to (m, k), variances to (m, k) or (m, k, k), and name the k terms."""
    if terms is None and isinstance(estimates, pd.DataFrame):
        terms = list(estimates.columns)
    if isinstance(estimates, pd.DataFrame) and isinstance(variances, pd.DataFrame):
        if set(estimates.columns) != set(variances.columns):
            raise AnalysisError(
                f"estimates have the columns {list(estimates.columns)}, variances "
                f"{list(variances.columns)}; they must be the same terms."
            )
        variances = variances[estimates.columns]
    try:
        q, u = numbers(estimates, "estimates"), numbers(variances, "variances")
    except AnalysisError as error:
        raise AnalysisError(
            f"estimates and variances must be numbers, one row an imputation, all of the same "
            f"length: {error}"
        ) from error
    if q.ndim == 1:
        q, u = q[:, None], u[:, None] if u.ndim == 1 else u
    if q.ndim != 2 or q.size == 0:
        raise AnalysisError(
            f"estimates have the shape {q.shape}; give (m,) or (m, terms), one row an imputation."
        )
    m, k = q.shape
    if u.shape not in ((m, k), (m, k, k)):
        raise AnalysisError(
            f"estimates are {m} imputations of {k} terms, variances have the shape {u.shape}; "
            f"give {(m, k)} squared standard errors or {(m, k, k)} covariance matrices."
        )
    names = pd.Index([str(i) for i in range(k)] if terms is None else terms, name="term")
    if len(names) != k:
        raise AnalysisError(f"{len(names)} terms are named, but there are {k} estimates.")
    if names.has_duplicates:
        twice = names[names.duplicated()][0]
        raise AnalysisError(f"terms names {twice!r} more than once; each estimate needs its own.")
    if u.ndim == 3:
        _refuse_no_covariance(u)
    each = np.diagonal(u, axis1=1, axis2=2) if u.ndim == 3 else u
    finite = np.isfinite(q) & np.isfinite(each)
    _refuse(~finite, names, "is not a finite number; see why that analysis failed, or leave it out")
    _refuse(each < 0, names, "has a negative variance; give squared standard errors")
    return q, u, names


def _refuse_no_covariance(matrices: np.ndarray) -> None:
    """Raise unless every finite matrix is symmetric and has no negative eigenvalue."""
    for number, matrix in enumerate(matrices, start=1):
        if not np.isfinite(matrix).all():
            continue
        size = np.abs(matrix).max()
        if not np.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-9 * size):
            raise AnalysisError(
                f"variances of imputation {number} are no covariance matrix: it is not symmetric."
            )
        if np.linalg.eigvalsh(matrix)[0] < -1e-8 * size:
            raise AnalysisError(
                f"variances of imputation {number} are no covariance matrix: a combination of "
                "terms would have a negative variance (correlations beyond 1)."
            )


def refuse_numbers_alone(
    estimates: Any, terms: Sequence[str] | None, variance_components: Sequence[Any]
) -> None:
    """Refuse what is pooled without variances and holds no analyses that bring theirs."""
    if hasattr(estimates, "complete"):
        raise AnalysisError(
            "these are imputations; fit an analysis to them first: imp.fit('y ~ x').pool()."
        )
    if hasattr(estimates, "table"):
        raise AnalysisError(f"{type(estimates).__name__} is pooled already.")
    listed = list(estimates) if isinstance(estimates, list | tuple | pd.Series | np.ndarray) else []
    alone = listed and isinstance(listed[0], int | float | np.number | list | np.ndarray)
    if alone or isinstance(estimates, int | float):
        raise AnalysisError(
            "estimates are pooled with their variances: bi.pool(estimates, variances), squared "
            "standard errors in the same shape; or give the fits themselves, bi.pool([fit, …])."
        )
    if terms is not None or variance_components:
        raise AnalysisError(
            "fits bring their terms and variance components; terms and variance_components belong "
            "to numbers, bi.pool(estimates, variances, terms=…)."
        )


def _refuse(wrong: np.ndarray, names: pd.Index, why: str) -> None:
    if wrong.any():
        imputation, term = np.argwhere(wrong)[0]
        raise AnalysisError(
            f"The estimate of {names[term]!r} in imputation {imputation + 1} {why}."
        )


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
          PyMC or Bambi (see `bayesimpute.pooling.reported.adapted`);
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
        numbers(reported.estimates, "estimates"),
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
    first, *others = (model_kind(each.model) for each in estimates)
    for number, kind in enumerate(others, start=2):
        if kind != first:
            raise AnalysisError(
                f"Imputation {number} was analysed by another model ({', '.join(kind)}) than "
                f"imputation 1 ({', '.join(first)}); fit the same to each."
            )
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


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Say of whatever goes wrong inside what it was; the first line of the reason is enough."""
    try:
        yield
    except AnalysisError:
        raise
    except Exception as error:
        reason = str(error.args[0] if error.args else error).split("\n")[0]
        raise AnalysisError(f"{what}: {reason}") from error


def completed_frames(data: Any) -> list[Any]:
    """Completed data sets of a run, of a mapping or of any collection; a single one as it is."""
    complete = getattr(data, "complete", None)
    given = complete("all") if callable(complete) else data
    if isinstance(given, Mapping):
        return list(given.values())
    if isinstance(given, pd.DataFrame):
        return [given]
    return list(given) if isinstance(given, Iterable) else []
