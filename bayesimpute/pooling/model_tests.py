"""Pooled tests: two nested models compared over all completed data sets, by D1 to D4.

First D1 to D4 on plain arrays: m tests of the same k restrictions become one F test. Then the
result, and tests pooled from nothing but their m statistics.

References
----------
.. [1] Rubin (1987), Multiple Imputation for Nonresponse in Surveys, section 3.4.
.. [2] Li, Raghunathan & Rubin (1991), Large-sample significance levels from multiply imputed data
   using moment-based statistics and an F reference distribution, JASA 86, 1065-1073.
.. [3] Li, Meng, Raghunathan & Rubin (1991), Significance levels from repeated p-values with
   multiply-imputed data, Statistica Sinica 1, 65-92.
.. [4] Meng & Rubin (1992), Performing likelihood ratio tests with multiply-imputed data sets,
   Biometrika 79, 103-111.
.. [5] Barnard & Rubin (1999), Small-sample degrees of freedom with multiple imputation,
   Biometrika 86, 948-955.
.. [6] Reiter (2007), Small-sample degrees of freedom for multi-component significance tests with
   multiple imputation for missing data, Biometrika 94, 502-508.
.. [7] Chan & Meng (2022), Multiple improvements of multiple imputation likelihood ratio tests,
   Statistica Sinica 32, 1489-1514.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayesimpute import html
from bayesimpute.arguments import Positive, checked
from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import (
    INTERCEPTS,
    Estimates,
    aligned,
    as_estimates,
    complete_data_df,
    position_of,
    several,
)
from bayesimpute.pooling.likelihood import Likelihood, likelihood_of
from bayesimpute.pooling.rubin import barnard_rubin
from bayesimpute.wording import nearest, not_zero, one_line, p_statement, visible


class Statistic(NamedTuple):
    """An F statistic, its degrees of freedom, and the relative increase in variance."""

    f: float
    df1: float
    df2: float
    riv: float


def wald(estimates: ArrayLike, covariances: ArrayLike, dfcom: float = np.inf) -> Statistic:
    """D1: the Wald test that all k quantities are zero.

    With B the covariance between imputations and Ū the mean one within ([2]_, eq. 1.12-1.17)::

        r = (1 + 1/m) tr(B Ū⁻¹) / k        D1 = Q̄' Ū⁻¹ Q̄ / (k (1 + r))

    Parameters
    ----------
    estimates
        (m, k).
    covariances
        (m, k, k).
    dfcom
        Complete-data df; infinity gives the large-sample df2 of [2]_, a number that of [6]_.

    Examples
    --------
    >>> wald([[1.0, 2.0], [1.2, 1.8], [0.9, 2.1]], [[[0.1, 0.0], [0.0, 0.1]]] * 3).f.__round__(2)
    18.82
    """
    q, u = np.asarray(estimates, dtype=float), np.asarray(covariances, dtype=float)
    m, k = q.shape
    center, within = q.mean(axis=0), u.mean(axis=0)
    between = np.atleast_2d(np.cov(q, rowvar=False))
    r = (1 + 1 / m) * float(np.trace(np.linalg.solve(within, between))) / k
    f = float(center @ np.linalg.solve(within, center)) / (k * (1 + r))
    return Statistic(f, k, wald_df(r, k, m, dfcom), r)


def wald_df(r: float, k: int, m: int, dfcom: float = np.inf) -> float:
    """df2 of D1, and of D3 with infinite `dfcom`.

    Large samples: [2]_, eq. 1.18-1.19. Finite `dfcom`: [6]_, eq. 6, an expansion that exists for
    k (m − 1) > 4 and a `dfcom` that is not tiny. Elsewhere the harmonic combination of [5]_ is
    taken with the average share λ = r / (1 + r), which is exactly theirs at k = 1.
    """
    t = k * (m - 1)
    if np.isinf(dfcom):
        return _large_sample_df(r, k, t)
    small = _reiter_df(r, t, dfcom) if t > 4 else np.nan
    if np.isfinite(small) and small > 4:
        return small
    share = max(r, 0.0) / (1 + r)
    observed = (dfcom + 1) / (dfcom + 3) * dfcom * (1 - share)
    if k == 1:
        return float(barnard_rubin(share, m, dfcom))
    return 1 / (1 / _large_sample_df(r, k, t) + 1 / observed)


def _large_sample_df(r: float, k: int, t: int) -> float:
    if r <= 0:
        return np.inf
    if t > 4:
        return float(4 + (t - 4) * (1 + (1 - 2 / t) / r) ** 2)
    return t * (1 + 1 / k) * (1 + 1 / r) ** 2 / 2


def _reiter_df(r: float, t: int, dfcom: float) -> float:
    a = r * t / (t - 2)
    complete = (dfcom + 1) / (dfcom + 3) * dfcom
    b, c = complete - 2 * (1 + a), complete - 4 * (1 + a)
    if c <= 0:
        return np.nan
    inside = (
        a**2 * b / ((1 + a) ** 2 * c)
        + 8 * a**2 * b / ((1 + a) * c**2)
        + 4 * a**2 / ((1 + a) * c)
        + 4 * a**2 / (b * c)
        + 16 * a**2 * b / c**3
        + 8 * a**2 / c**2
    )
    return 4 + 1 / (1 / c + inside / (t - 4))


def chi_squares(statistics: ArrayLike, df: float) -> Statistic:
    """D2: from the χ² statistics of the m analyses alone ([3]_, eq. 2.1-2.3).

    With d_i the statistics, each of `df` = k degrees of freedom::

        r = (1 + 1/m) Var(√d)       D2 = (d̄/k − r (m + 1)/(m − 1)) / (1 + r)
        df2 = k^(−3/m) (m − 1) (1 + 1/r)²

    Parameters
    ----------
    statistics
        (m,), not negative.
    df
        Degrees of freedom of each.

    Examples
    --------
    >>> round(chi_squares([7.2, 4.9, 8.1], 2).f, 2)
    2.69
    """
    d = np.asarray(statistics, dtype=float)
    m = len(d)
    r = float((1 + 1 / m) * np.var(np.sqrt(d), ddof=1))
    f = float((d.mean() / df - (m + 1) / (m - 1) * r) / (1 + r))
    df2 = float(df ** (-3 / m) * (m - 1) * (1 + 1 / r) ** 2) if r > 0 else np.inf
    return Statistic(f, df, df2, r)


def likelihood_ratio(at_maxima: ArrayLike, at_averages: ArrayLike, df: int) -> Statistic:
    """D3: likelihood ratios at each data set's own estimates and at the averages ([4]_).

    With d̄ the mean of twice the log-likelihood ratio where each data set has its own estimates,
    and d̃ where all have the average ones::

        r = (m + 1) / (k (m − 1)) (d̄ − d̃)        D3 = d̃ / (k (1 + r))

    Parameters
    ----------
    at_maxima, at_averages
        2 (log L full − log L restricted) of each data set, (m,).
    df
        k, the number of restrictions.
    """
    own, common = (float(np.mean(np.asarray(x, dtype=float))) for x in (at_maxima, at_averages))
    m = np.size(at_maxima)
    r = float((m + 1) / (df * (m - 1)) * (own - common))
    return Statistic(float(common / (df * (1 + r))), df, _large_sample_df(r, df, df * (m - 1)), r)


#: Estimators of the average relative increase in variance for D4.
type Ariv = Literal["default", "positive", "robust"]


def stacked_likelihood_ratio(
    full: tuple[ArrayLike, ArrayLike],
    restricted: tuple[ArrayLike, ArrayLike],
    df: int,
    n_parameters: int,
    ariv: Ariv = "default",
) -> Statistic:
    """D4: the likelihood ratio of the stacked data sets ([7]_).

    With d̄ as in D3 and d̂ the mean of twice the log-likelihood ratio at the maximum of the stacked
    data (the mean log-likelihood)::

        r = (m + 1) / (k (m − 1)) (d̄ − d̂)        D4 = d̂ / (k (1 + r))
        df2 = k (m − 1) (1 + 1/r)²

    ``"robust"`` estimates r from the full model alone, which is right under the alternative too:
    2 (mean log L at own − at stacked maximum) of all h parameters in place of d̄ − d̂, h for k in r
    and df2.

    Parameters
    ----------
    full, restricted
        Log-likelihoods of each data set at its own and at the stacked maximum, (m,) each.
    df
        k.
    n_parameters
        h, of the full model.
    ariv
        ``"default"`` may be negative, ``"positive"`` is cut at 0, or ``"robust"``.
    """
    own, stacked = (2 * float(np.mean(np.asarray(x, dtype=float))) for x in full)
    own0, stacked0 = (2 * float(np.mean(np.asarray(x, dtype=float))) for x in restricted)
    m = np.size(full[0])
    h = n_parameters if ariv == "robust" else df
    gap = own - stacked if ariv == "robust" else (own - own0) - (stacked - stacked0)
    r = (m + 1) / (h * (m - 1)) * gap
    if ariv == "positive":
        r = max(r, 0.0)
    df2 = h * (m - 1) * (1 + 1 / r) ** 2 if r else np.inf
    return Statistic((stacked - stacked0) / (df * (1 + r)), df, df2, r)


@dataclass(frozen=True, eq=False)
class PooledTest:
    """A test pooled over m completed data sets.

    Attributes
    ----------
    statistic
        Value of an F statistic. D2 may be negative, where imputations differ more than the tests
        are large; its p value is 1 then.
    df1, df2
        Degrees of freedom of the F distribution.
    p_value
        Upper tail of F(df1, df2); never 0, what underflows is 2.2e-308.
    riv
        Average relative increase in variance due to missing data, r.
    method
        ``"D1"``, ``"D2"``, ``"D3"``, ``"D4"``, with its variant.
    m
        Number of imputations.
    hypothesis
        What is tested to be true, one statement each, as ``"sex = 0"``.
    dfcom
        Complete-data degrees of freedom that entered df2; infinity if none did.
    notes
        What a reader should know, such as that REML fits were refitted.
    """

    statistic: float
    df1: float
    df2: float
    p_value: float
    riv: float
    method: str
    m: int
    hypothesis: tuple[str, ...] = ()
    dfcom: float = float("inf")
    notes: tuple[str, ...] = field(default=())

    @property
    def table(self) -> pd.DataFrame:
        """One row: statistic, df1, df2, p_value, riv, m; the index is the method."""
        columns = {
            name: getattr(self, name) for name in ("statistic", "df1", "df2", "p_value", "riv", "m")
        }
        return pd.DataFrame(columns, index=pd.Index([self.method], name="method"))

    def __repr__(self) -> str:
        return visible("\n".join([self._heading(), self._values(), *map(one_line, self.notes)]))

    def _repr_html_(self) -> str:
        notes = [html.tag("p", note) for note in self.notes]
        return html.plain(self._heading(), html.printed(self.table, 4), *notes)

    def _heading(self) -> str:
        tested = f": {', '.join(map(one_line, self.hypothesis))}" if self.hypothesis else ""
        return f"Pooled test ({one_line(self.method)}, m = {self.m}){tested}"

    def _values(self) -> str:
        p = p_statement(self.p_value)
        df2 = "∞" if np.isinf(self.df2) else f"{self.df2:.1f}"
        return f"F({self.df1:g}, {df2}) = {self.statistic:.3f}, {p}, riv = {self.riv:.3f}"


def pooled_test(
    statistic: Statistic,
    method: str,
    m: int,
    hypothesis: tuple[str, ...] = (),
    dfcom: float = float("inf"),
    notes: tuple[str, ...] = (),
) -> PooledTest:
    """Add the p value and the labels."""
    from scipy import stats

    f, df1, df2, riv = statistic
    tail = stats.f.sf(f, df1, df2) if np.isfinite(df2) else stats.chi2.sf(df1 * f, df1)
    p_value = float(not_zero(tail))
    return PooledTest(f, df1, df2, p_value, riv, method, m, hypothesis, dfcom, notes)


def joint_test(
    estimates: Array, covariances: Array, method: str, hypothesis: tuple[str, ...], dfcom: float
) -> PooledTest:
    """Wald test that k quantities are all 0, by D1, or by D2 from the χ² of each data set.

    Parameters
    ----------
    estimates, covariances
        (m, k) and (m, k, k).
    method
        ``"D1"`` or ``"D2"``, to which `dfcom` does not matter.
    hypothesis, dfcom
        As in `PooledTest`.
    """
    m, k = estimates.shape
    try:
        if method == "D1":
            found = wald(estimates, covariances, dfcom)
            return pooled_test(found, "D1", m, hypothesis, dfcom)
        pairs = zip(estimates, covariances, strict=True)
        squares = [float(each @ np.linalg.solve(u, each)) for each, u in pairs]
    except np.linalg.LinAlgError as error:
        raise AnalysisError(
            f"The covariance matrix of {', '.join(hypothesis)} is singular, and there is no Wald "
            "test of it: the terms follow from each other, or the model fits perfectly. Leave "
            "terms out."
        ) from error
    return pooled_test(chi_squares(squares, k), "D2, Wald", m, hypothesis)


@checked
def pool_chi2(statistics: ArrayLike | Sequence[float], df: Positive) -> PooledTest:
    """Pool χ² statistics: D2 of Li, Meng, Raghunathan & Rubin (1991), equations 2.1 to 2.3.

    Parameters
    ----------
    statistics
        One of each completed data set, (m,), not negative.
    df
        Degrees of freedom of each.

    Returns
    -------
    PooledTest

    Raises
    ------
    AnalysisError
        Fewer than two statistics, negative ones or NaN, or df that is not positive.

    Examples
    --------
    >>> pool_chi2([7.2, 4.9, 8.1], df=2)
    Pooled test (D2, m = 3)
    F(2, 63.3) = 2.692, p = 0.0755, riv = 0.144
    """
    d = _statistics(statistics, "χ²")
    return pooled_test(chi_squares(d, df), "D2", len(d))


@checked
def pool_F(statistics: ArrayLike | Sequence[float], df1: Positive) -> PooledTest:
    """Pool F statistics, taken as χ² of df1 F: as miceadds' ``micombine.F``.

    The df2 of the tests is taken as large, as D2 is (Li, Meng, Raghunathan & Rubin 1991).

    Parameters
    ----------
    statistics
        One of each completed data set, (m,), not negative.
    df1
        Numerator degrees of freedom.

    Returns
    -------
    PooledTest

    Raises
    ------
    AnalysisError
        As `pool_chi2`.

    Examples
    --------
    >>> pool_F([3.6, 2.45, 4.05], df1=2).statistic.__round__(3)
    2.692
    """
    d = _statistics(statistics, "F") * df1
    return pooled_test(chi_squares(d, df1), "D2", len(d))


def _statistics(statistics: ArrayLike, kind: str) -> NDArray[np.float64]:
    try:
        d = np.array(statistics, dtype=float)
    except (TypeError, ValueError) as error:
        raise AnalysisError(f"The {kind} statistics must be numbers: {error}") from error
    if d.ndim != 1 or len(d) < 2:
        raise AnalysisError(
            f"{kind} statistics of at least 2 imputations are needed, as a list; the shape is "
            f"{d.shape}."
        )
    wrong = ~np.isfinite(d) | (d < 0)
    if wrong.any():
        raise AnalysisError(
            f"The {kind} statistic of imputation {int(np.argmax(wrong)) + 1} is "
            f"{d[np.argmax(wrong)]:g}; it must be a number not below 0."
        )
    return d


@checked
def D1(fits: Any, fits0: Any = None, dfcom: Positive | None = None) -> PooledTest:
    """Wald test of the terms that one model has and a smaller one has not.

    The relative increase in variance is taken to be the same for all terms, which keeps the test
    stable with few imputations: Li, Raghunathan & Rubin (1991, JASA 86, 1065), equations 1.12 to
    1.19; with finite `dfcom` the df2 of Reiter (2007, Biometrika 94, 502). As mice's D1 and
    mitml's ``testModels(method = "D1")``.

    Parameters
    ----------
    fits
        Of ``imp.fit(...)``, or a list with the analysis of each completed data set: anything
        ``fit`` understands, such as (estimates, covariance matrix).
    fits0
        The smaller model; None (default) leaves only an intercept.
    dfcom
        Complete-data df; None (default) takes the smallest residual df of the fits, as ``pool``
        and mice do. ``float("inf")`` is mitml's default.

    Returns
    -------
    PooledTest

    Raises
    ------
    AnalysisError
        Models not nested, m = 1, or standard errors in place of covariance matrices.

    Examples
    --------
    >>> covariance = [[0.1, 0.0], [0.0, 0.1]]
    >>> D1([([1.0, 2.0], covariance), ([1.2, 1.8], covariance), ([0.9, 2.1], covariance)])
    Pooled test (D1, m = 3): 0 = 0, 1 = 0
    F(2, 53.3) = 18.822, p < 0.0001, riv = 0.311
    """
    estimates = as_estimates(fits)
    several(estimates, "D1")
    tested, q, u = _tested(estimates, fits0)
    return joint_test(q, u, "D1", _zero(tested), complete_data_df(estimates, dfcom))


@checked
def D2(fits: Any, fits0: Any = None, use: Literal["wald", "likelihood"] = "wald") -> PooledTest:
    """Compare two models by the test statistics of each data set alone.

    Li, Meng, Raghunathan & Rubin (1991, Statistica Sinica 1, 65), equations 2.1 to 2.3. It needs
    no covariances between imputations and pays for that in accuracy and power; prefer D1 or D3
    where they can be had. As mice's D2 and mitml's ``testModels(method = "D2")``.

    Parameters
    ----------
    fits, fits0
        As in `D1`.
    use
        ``"wald"`` (default) or ``"likelihood"``: the χ² of each data set. Linear mixed models
        fitted by REML are refitted by maximum likelihood for the latter.

    Returns
    -------
    PooledTest

    Examples
    --------
    >>> D2([([1.0], [[0.1]]), ([1.2], [[0.1]]), ([0.9], [[0.1]])]).riv.__round__(3)
    0.311
    """
    estimates = as_estimates(fits)
    m = several(estimates, "D2")
    if use == "wald":
        tested, q, u = _tested(estimates, fits0)
        return joint_test(q, u, "D2", _zero(tested), np.inf)
    ratios, df, hypothesis, notes = _ratios(estimates, fits0)
    statistic = chi_squares(np.maximum(ratios, 0.0), df)
    return pooled_test(statistic, "D2, likelihood", m, hypothesis, notes=notes)


@checked
def D3(fits: Any, fits0: Any = None, like: Literal["mitml", "mice"] = "mitml") -> PooledTest:
    """Likelihood-ratio test at the average estimates.

    Meng & Rubin (1992, Biometrika 79, 103); df2 as D1's in large samples. For OLS, GLM, discrete
    and ordinal models of statsmodels, and mixed models by formula.

    Parameters
    ----------
    fits, fits0
        As in `D1`.
    like
        What is held at its average. ``"mitml"`` (default): all parameters, with residual variance
        and covariances of random effects, as Meng & Rubin have it. ``"mice"``: coefficients
        without the intercept, which is estimated again with the variances in each data set; this
        finds less spread between imputations and gives a larger statistic.

    Returns
    -------
    PooledTest

    Raises
    ------
    AnalysisError
        As `D1`, or a model that does not give its log-likelihood.

    Notes
    -----
    Maximum likelihood throughout: REML fits are refitted, and a note says so.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesimpute import fit
    >>> frames = [pd.DataFrame({"x": [0, 1, 2, 3, 4], "y": [0, 2, 1, 3, 3 + i]}) for i in (0, 1, 2)]
    >>> round(D3(fit(frames, "y ~ x")).statistic, 2)
    2.98
    """
    estimates = as_estimates(fits)
    m = several(estimates, "D3")
    full, restricted, df, hypothesis, notes = _nested(estimates, fits0)
    own = full.maxima() - restricted.maxima()
    common = (
        full.at_averages() - restricted.at_averages()
        if like == "mitml"
        else full.at_average_slopes() - restricted.at_average_slopes()
    )
    statistic = likelihood_ratio(2 * own, 2 * common, df)
    _refuse_no_variance(statistic, "use D1")
    method = "D3" if like == "mitml" else "D3, as mice"
    return pooled_test(statistic, method, m, hypothesis, notes=notes)


@checked
def D4(fits: Any, fits0: Any = None, ariv: Ariv = "default") -> PooledTest:
    """Likelihood-ratio test of the stacked data sets.

    Chan & Meng (2022, Statistica Sinica 32, 1489): both models are fitted once to all data sets
    stacked, clusters of different data sets kept apart, so the test does not depend on how the
    parameters are written. As mitml's ``testModels(method = "D4")``.

    Parameters
    ----------
    fits, fits0
        As in `D1`.
    ariv
        Estimate of the relative increase in variance: ``"default"`` (may be negative by chance),
        ``"positive"`` (then 0), or ``"robust"``, from the larger model alone: never negative, and
        right when the smaller model is wrong too; it supposes the same fraction of missing
        information for all parameters.

    Returns
    -------
    PooledTest

    Raises
    ------
    AnalysisError
        As `D3`.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesimpute import fit
    >>> frames = [pd.DataFrame({"x": [0, 1, 2, 3, 4], "y": [0, 2, 1, 3, 3 + i]}) for i in (0, 1, 2)]
    >>> round(D4(fit(frames, "y ~ x")).statistic, 2)
    3.22
    """
    estimates = as_estimates(fits)
    m = several(estimates, "D4")
    full, restricted, df, hypothesis, notes = _nested(estimates, fits0)
    statistic = stacked_likelihood_ratio(
        (full.maxima(), full.at_common_maximum()),
        (restricted.maxima(), restricted.at_common_maximum()),
        df,
        full.n_parameters,
        ariv,
    )
    _refuse_no_variance(statistic, "use ariv='robust'")
    method = "D4" if ariv == "default" else f"D4, {ariv}"
    return pooled_test(statistic, method, m, hypothesis, notes=notes)


def _refuse_no_variance(statistic: Statistic, instead: str) -> None:
    if statistic.riv <= -1:
        raise AnalysisError(
            f"The estimated relative increase in variance is {statistic.riv:.3g}, which no "
            f"variance can have; {instead}, or more imputations."
        )


def _zero(terms: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{term} = 0" for term in terms)


def _smaller(estimates: tuple[Estimates, ...], fits0: Any) -> tuple[Estimates, ...]:
    """Check that the restricted fits are as many."""
    restricted = as_estimates(fits0)
    if len(restricted) != len(estimates):
        raise AnalysisError(
            f"The models were fitted to {len(estimates)} and {len(restricted)} data sets; fit both "
            "to the same imputations."
        )
    return restricted


def _extra_terms(estimates: tuple[Estimates, ...], fits0: Any) -> tuple[str, ...]:
    """Terms of the larger model that the smaller one has not."""
    terms = estimates[0].terms
    smaller = INTERCEPTS if fits0 is None else _smaller(estimates, fits0)[0].terms
    there = {term: position_of(term, terms) for term in smaller}
    foreign = [term for term, position in there.items() if position is None]
    if fits0 is not None and foreign:
        raise AnalysisError(
            f"The models are not nested: {foreign[0]!r} is in the second and not in the first"
            f"{nearest(foreign[0], terms)} The first model is the larger one."
        )
    return tuple(term for i, term in enumerate(terms) if i not in there.values())


def _tested(estimates: tuple[Estimates, ...], fits0: Any) -> tuple[tuple[str, ...], Array, Array]:
    """Terms under test, their estimates (m, k) and covariances (m, k, k)."""
    terms, q, u = aligned(estimates)
    tested = _extra_terms(estimates, fits0)
    if not tested:
        raise AnalysisError(
            "Both models have the same coefficients, and a Wald test compares nothing else; "
            "random parts are compared by D3 or D4."
            if fits0 is not None
            else "The model has an intercept only: there is nothing to test."
        )
    at = [terms.index(term) for term in tested]
    chosen = u[np.ix_(range(len(u)), at, at)]
    if not np.isfinite(chosen).all():
        raise AnalysisError(
            "A joint test needs covariance matrices, and these analyses give standard errors only; "
            "return (estimates, covariance) from the analysis."
        )
    return tested, q[:, at], chosen


def _nested(
    estimates: tuple[Estimates, ...], fits0: Any
) -> tuple[Likelihood, Likelihood, int, tuple[str, ...], tuple[str, ...]]:
    """Both likelihoods, the number of restrictions, what they say, and notes."""
    full = likelihood_of(estimates)
    tested = _extra_terms(estimates, fits0)
    refitted = _is_reml(estimates)
    if fits0 is None:
        restricted = full.intercept_only()
    else:
        smaller = _smaller(estimates, fits0)
        restricted, refitted = likelihood_of(smaller), refitted or _is_reml(smaller)
    _refuse_other_data(zip(full.outcomes, restricted.outcomes, strict=True))
    df = full.n_parameters - restricted.n_parameters
    if df < 1:
        raise AnalysisError(
            f"The first model has {full.n_parameters} parameters, the second "
            f"{restricted.n_parameters}; the first must be the larger one."
        )
    variances = df - len(tested)
    hypothesis = _zero(tested)
    if variances:
        hypothesis += (f"{variances} parameters of the random part = 0",)
    notes = ("REML fits were refitted by maximum likelihood.",) if refitted else ()
    return full, restricted, df, hypothesis, notes


def _ratios(
    estimates: tuple[Estimates, ...], fits0: Any
) -> tuple[Array, int, tuple[str, ...], tuple[str, ...]]:
    """Twice the log-likelihood ratios of D2, from the fits' own values where models are unknown."""
    try:
        full, restricted, df, hypothesis, notes = _nested(estimates, fits0)
    except AnalysisError:
        smaller = () if fits0 is None else _smaller(estimates, fits0)
        own = [each.log_likelihood for each in estimates]
        own0 = [each.log_likelihood for each in smaller]
        tested = _extra_terms(estimates, fits0) if smaller else ()
        if not tested or None in own or None in own0:
            raise
        _refuse_incomparable(estimates, smaller)
        ratios = 2 * (np.array(own, dtype=float) - np.array(own0, dtype=float))
        return ratios, len(tested), _zero(tested), ()
    return 2 * (full.maxima() - restricted.maxima()), df, hypothesis, notes


def _refuse_incomparable(estimates: tuple[Estimates, ...], smaller: tuple[Estimates, ...]) -> None:
    """Refuse log-likelihoods of other rows or outcomes, of REML, and of other random parts."""
    pairs = zip(estimates, smaller, strict=True)
    outcomes = [(_outcome_of(each), _outcome_of(other)) for each, other in pairs]
    _refuse_other_data([pair for pair in outcomes if pair[0] is not None and pair[1] is not None])
    kind = type(getattr(estimates[0].model, "model", estimates[0].model)).__name__
    if _is_reml(estimates) or _is_reml(smaller):
        raise AnalysisError(
            f"{kind} was fitted by REML, whose likelihoods are of different data where "
            "coefficients differ; fit both by maximum likelihood (reml=False), or give use='wald'."
        )
    if estimates[0].variance_components.keys() != smaller[0].variance_components.keys():
        raise AnalysisError(
            f"The random parts of the two differ, and how many parameters that makes is not known "
            f"of {kind}; fit both by formula, imp.fit('y ~ x + (1 | g)'), which it is known of."
        )


def _outcome_of(each: Estimates) -> Array | None:
    """Outcome that a fit was made of; None where it does not keep it."""
    values = getattr(getattr(each.model, "model", None), "endog", None)
    return None if values is None else np.asarray(values, dtype=float)


def _refuse_other_data(outcomes: Iterable[tuple[Any, Any]]) -> None:
    for number, (y, y0) in enumerate(outcomes, start=1):
        if np.shape(y) != np.shape(y0) or not np.allclose(y, y0):
            raise AnalysisError(
                f"The two models have different outcomes or rows in imputation {number}; "
                "likelihoods can be compared on the same data only."
            )


def _is_reml(estimates: tuple[Estimates, ...]) -> bool:
    """Whether a fit is by REML, as mixedlm and statsmodels say it."""
    return any(
        bool(getattr(each.model, name, False)) for each in estimates for name in ("REML", "reml")
    )
