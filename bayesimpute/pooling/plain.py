"""Estimates written down by hand: a dict, a pair with a covariance matrix, a tidy frame, arrays."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.reported import Reported, numbers

#: Spellings of each quantity, in lower case and without signs ("std.error" is "stderror").
SPELLINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "estimate": ("estimate", "estimates", "coef", "coefs", "coefficient", "coefficients"),
        "std_error": ("stderror", "stderrors", "standarderror", "standarderrors", "stderr", "se",
                      "bse", "secoef"),
        "variance": ("variance", "variances"),
        "covariance": ("covariance", "cov", "vcov"),
        "df_residual": ("dfresidual", "residualdf", "dfresid", "df"),
        "term": ("term", "terms", "variable", "covariate", "parameter", "param", "name"),
    }
)  # fmt: skip
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
    terms = [_label(name) for name in names]
    for equation in (c for c in frame.columns if _plain(c) in EQUATIONS):
        terms = [f"{of}: {term}" for of, term in zip(frame[equation], terms, strict=True)]
    return pd.Index(terms)


def _label(name: Any) -> str:
    return ":".join(str(part) for part in name) if isinstance(name, tuple) else str(name)


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
