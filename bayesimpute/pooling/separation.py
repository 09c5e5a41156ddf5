"""Binary outcomes that the predictors separate: estimates that do not exist, found and said.

Where a combination of predictors tells some zeros from ones without error, the likelihood grows
for ever along it. The estimates that a fit then prints are where it stopped, with standard errors
in the thousands, and their average over imputations means nothing. Whether there is such a
combination is a linear program [1]_: the largest Σ s_i x_i'δ with all s_i x_i'δ ≥ 0 and
|δ_j| ≤ 1, where s_i is 1 for y_i = 1 and −1 for y_i = 0, is 0 if and only if there is none.

References
----------
.. [1] Konis (2007), Linear programming algorithms for detecting separated data in binary logistic
   regression models, DPhil thesis, University of Oxford.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesimpute.arrays import Array
from bayesimpute.errors import warn
from bayesimpute.pooling.estimates import INTERCEPTS, Estimates
from bayesimpute.wording import listed

#: What a sound fit does not reach: a linear predictor, and a standard error for an SD of the
#: predictor. Beyond, the linear program decides; below, it is not asked.
SUSPECT_PREDICTOR, SUSPECT_ERROR = 8.0, 2.0
#: Standard error that none of the models has whose data are out of reach.
ABSURD_ERROR = 1000.0
_BINARY_MODELS = ("Logit", "Probit")
_OTHER_MODELS = ("MNLogit", "ConditionalLogit", "OrderedModel", "Felogit", "Feprobit")


def separated_terms(estimates: Estimates) -> tuple[str, ...]:
    """Terms without a finite estimate in a model of a binary outcome; empty if there is none.

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> from bayesimpute.pooling.estimates import estimates_from
    >>> fit = sm.GLM([0, 1, 0, 1], sm.add_constant([1, 2, 2, 1]), sm.families.Binomial()).fit()
    >>> separated_terms(estimates_from(fit))
    ()
    """
    data = _binary_data(estimates.model)
    if data is None or data[1].shape[1] != len(estimates.terms):
        return _absurd(estimates)
    y, x = data
    spread = x.std(axis=0)
    scale = np.where(spread > 0, spread, np.maximum(np.abs(x).max(axis=0), 1e-300))
    suspect = (np.sqrt(estimates.variances) * scale).max() > SUSPECT_ERROR
    if not suspect and np.abs(x @ estimates.estimate).max() < SUSPECT_PREDICTOR:
        return ()
    moved = np.abs(separating_direction(y, x / scale)) > 1e-6
    return tuple(term for term, moves in zip(estimates.terms, moved, strict=True) if moves)


def separating_direction(y: Array, x: Array) -> Array:
    """δ along which the likelihood of a binary outcome grows for ever; zeros if there is none.

    Parameters
    ----------
    y
        0 and 1, or shares of successes, (n,).
    x
        Columns of one size, (n, p).

    Examples
    --------
    >>> x = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
    >>> separating_direction(np.array([0.0, 0.0, 1.0, 1.0]), x).round(2).tolist()
    [-1.0, 1.0]
    >>> separating_direction(np.array([0.0, 1.0, 0.0, 1.0]), x).tolist()
    [0.0, 0.0]
    """
    from scipy.optimize import linprog

    rows, between = np.where(y > 0.5, 1.0, -1.0)[:, None] * x, (y > 0) & (y < 1)
    sure = np.unique(rows[~between], axis=0)
    equal = np.unique(rows[between], axis=0) if between.any() else None
    found = linprog(
        -sure.sum(axis=0),
        A_ub=-sure if len(sure) else None,
        b_ub=np.zeros(len(sure)) if len(sure) else None,
        A_eq=equal,
        b_eq=None if equal is None else np.zeros(len(equal)),
        bounds=(-1, 1),
    )
    if found.status != 0 or -found.fun < 1e-6:
        return np.zeros(x.shape[1])
    return np.asarray(found.x, dtype=float)


def warn_of_separation(estimates: Sequence[Estimates]) -> tuple[int, ...]:
    """Warn, once for all imputations, of separated outcomes.

    Returns
    -------
    tuple of int
        Numbers of the imputations it concerns.

    Warns
    -----
    ImputationWarning
        Names the imputations and the terms, and what to do.
    """
    found = {number: separated_terms(each) for number, each in enumerate(estimates, start=1)}
    concerned = tuple(number for number, terms in found.items() if terms)
    if not concerned:
        return ()
    terms = list(dict.fromkeys(term for number in concerned for term in found[number]))
    named = [term for term in terms if term not in INTERCEPTS] or terms
    errors = [
        np.sqrt(each.variances[each.terms.index(term)])
        for number, each in enumerate(estimates, start=1)
        for term in found[number]
    ]
    which = "all imputations"
    if len(concerned) < len(estimates):
        which = f"imputation {', '.join(map(str, concerned))}"
    warn(
        f"Analysis of {which}: the outcome is separated by {listed(named)}: for some of "
        "their values it is always the same. There is no finite estimate of these coefficients, "
        f"and their standard errors (up to {max(errors):.3g}) mean nothing, pooled or not. Leave "
        "terms out, merge categories, or use weakly informative priors, as Bambi does by default: "
        "imp.fit_posterior(…).pool()."
    )
    return concerned


def _binary_data(fit: Any) -> tuple[Array, Array] | None:
    """Outcome and design of a model of a binary outcome; None of any other fit."""
    model = getattr(fit, "model", None)
    family = type(getattr(model, "family", getattr(fit, "family", None))).__name__
    if family != "Binomial" and type(model).__name__ not in _BINARY_MODELS:
        return None
    matrices = getattr(fit, "matrices", None)
    y, x = (
        (getattr(model, "endog", None), getattr(model, "exog", None))
        if matrices is None
        else (matrices.y, matrices.X)
    )
    if y is None or x is None or np.ndim(y) != 1 or np.ndim(x) != 2:
        return None
    outcome = np.asarray(y, dtype=float)
    return (outcome, np.asarray(x, dtype=float)) if outcome.max(initial=0) <= 1 else None


def _absurd(estimates: Estimates) -> tuple[str, ...]:
    """Terms of other models of categories whose error is beyond reason and their estimate."""
    fit = estimates.model
    kinds = {type(fit).__name__, type(getattr(fit, "model", None)).__name__}
    if not kinds & set(_OTHER_MODELS):
        return ()
    errors = np.sqrt(estimates.variances)
    wrong = (errors > ABSURD_ERROR) & (np.abs(estimates.estimate) < 0.1 * errors)
    return tuple(term for term, is_wrong in zip(estimates.terms, wrong, strict=True) if is_wrong)
