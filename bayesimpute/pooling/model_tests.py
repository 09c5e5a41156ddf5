"""D1 to D4: two nested models compared over all completed data sets."""

from typing import Any, Literal

import numpy as np

from bayesimpute.arguments import Positive, checked
from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling import combined_tests
from bayesimpute.pooling.estimates import (
    Estimates,
    aligned,
    as_estimates,
    complete_data_df,
    several,
)
from bayesimpute.pooling.likelihood import Likelihood
from bayesimpute.pooling.likelihood_of import likelihood_of
from bayesimpute.pooling.pooled_test import PooledTest, joint_test, pooled_test
from bayesimpute.pooling.term_names import INTERCEPTS, position_of
from bayesimpute.wording import nearest


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
    statistic = combined_tests.chi_squares(np.maximum(ratios, 0.0), df)
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
    statistic = combined_tests.likelihood_ratio(2 * own, 2 * common, df)
    method = "D3" if like == "mitml" else "D3, as mice"
    return pooled_test(statistic, method, m, hypothesis, notes=notes)


@checked
def D4(fits: Any, fits0: Any = None, ariv: combined_tests.Ariv = "default") -> PooledTest:
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
    statistic = combined_tests.stacked_likelihood_ratio(
        (full.maxima(), full.at_common_maximum()),
        (restricted.maxima(), restricted.at_common_maximum()),
        df,
        full.n_parameters,
        ariv,
    )
    if statistic.riv <= -1:
        raise AnalysisError(
            f"The estimated relative increase in variance is {statistic.riv:.3g}, which no "
            "variance can have; use ariv='robust', or more imputations."
        )
    method = "D4" if ariv == "default" else f"D4, {ariv}"
    return pooled_test(statistic, method, m, hypothesis, notes=notes)


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
            f"{nearest(foreign[0], terms)}; the first model is the larger one."
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
    for number, (y, y0) in enumerate(zip(full.outcomes, restricted.outcomes, strict=True), start=1):
        if len(y) != len(y0) or not np.allclose(y, y0):
            raise AnalysisError(
                f"The two models have different outcomes or rows in imputation {number}; "
                "likelihoods can be compared on the same data only."
            )
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
        told = fits0 is not None and not _is_reml(estimates)
        smaller = _smaller(estimates, fits0) if told else ()
        own = [each.log_likelihood for each in estimates]
        own0 = [each.log_likelihood for each in smaller]
        tested = _extra_terms(estimates, fits0) if told else ()
        if not tested or None in own or None in own0:
            raise
        ratios = 2 * (np.array(own, dtype=float) - np.array(own0, dtype=float))
        return ratios, len(tested), _zero(tested), ()
    return 2 * (full.maxima() - restricted.maxima()), df, hypothesis, notes


def _is_reml(estimates: tuple[Estimates, ...]) -> bool:
    return any(bool(getattr(each.model, "REML", False)) for each in estimates)
