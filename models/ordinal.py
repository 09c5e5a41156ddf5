r"""Cumulative-logit conditional model of ordered categories.

Model
-----
For row i in cluster j, categories 0 … K − 1, with predictors and random slopes centred at their
observed means (McCullagh 1980),

.. math::
    \operatorname{logit} P(y_{ij} \le k) = c_k - η_{ij},\quad
    η_{ij} = x_{ij}β + z_{ij} b_j,\quad
    b_j \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd))

    c_k = \operatorname{logit}(\text{share}_0 + … + \text{share}_k)

so that ``share`` holds the chances of the categories where η = 0.

Priors
------
==================  ===========================================================
``share``           Dirichlet(1, …, 1): every split of the categories alike, none
                    impossible, so that an empty category or a rare one needs no care
``beta``            Normal(0, 2.5 / s_x) each
``sd_intercept``    HalfNormal(1)
``sd_<slope>``      HalfNormal(0.5 / s_x)
``correlation``     LKJCorr(eta=2)
==================  ===========================================================

Draw
----
1. The cutpoints move as ``−c_0``, which is an intercept, and logarithms of the gaps between them;
   β, b_j and the scales as in :mod:`bayesimpute.sampling.linear`.
2. A missing value is the category in which η plus a logistic error falls.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numba
import numpy as np
from scipy.special import log_expit

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Array, Design, Parameters, Words
from bayesimpute.sampling.compiled import part_of
from bayesimpute.sampling.exponentials import exponentials, sum_of_logs
from bayesimpute.sampling.linear_kernel import Family
from bayesimpute.sampling.linear_model import LinearModel
from bayesimpute.sampling.linear_parts import OneEquation, Point
from bayesimpute.sampling.priors import attach, check_distribution, value_of
from bayesimpute.sampling.textbook import (
    Columns,
    Defaults,
    RowModel,
    linear_predictor,
    plain_units,
)
from bayesimpute.sampling.variance_shares import VarianceShare, share_logit

#: The cutpoints take the place of the intercept.
DEFAULTS = Defaults(intercept_sd=None)


class Ordinal(LinearModel):
    """Cumulative-logit model of a target with ordered categories.

    Options
    -------
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"ct": "ordinal"}  # bi.impute(df, cluster="study", method=method)
    """

    words = Words(
        r"\operatorname{logit}\;P($y \le k) = c_k - η_$row \\ η_$row = $slopes \\ $effects",
        "Ordered categories, proportional odds: the log-odds of a higher category"
        " depend linearly on {x}, alike at each step",
        "A missing value is each category with its probability.",
        name="proportional-odds logistic regression",
    )
    kinds = frozenset({Kind.ORDINAL, Kind.BINARY})
    #: Has parameters for each category, but one slope for all.
    by_category, one_slope = True, frozenset({Kind.ORDINAL})
    share = VarianceShare(share_logit, "of the latent variable behind the logit")

    def row_model(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> RowModel:
        """Add the parameters to the current PyMC model."""
        import pymc as pm
        import pytensor.tensor as pt

        n = len(design.categories)
        pm.modelcontext(None).add_coord("category", [str(label) for label in design.categories])
        eta = linear_predictor(design, plain_units(design), priors, DEFAULTS)
        share = attach(priors.get("share", pm.Dirichlet.dist(np.ones(n))), "share", "category")
        below = pt.cumsum(share)[:-1]
        cutpoints = pm.Deterministic("cutpoints", pt.log(below) - pt.log1p(-below))

        def distribution(columns: Columns) -> Any:
            return pm.OrderedLogistic.dist(eta=eta(columns), cutpoints=cutpoints)

        return RowModel(distribution, design.random_effects)

    def family(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Family:
        """Give the family with the cutpoints as further parameters.

        Raises
        ------
        SpecificationError
            If the prior of ``share`` is a Dirichlet of another length.
        """
        labels = [str(label) for label in design.categories]
        concentration = _concentration(design, priors.get("share"))
        likelihood = CumulativeLikelihood(len(labels), concentration)
        return Family(
            likelihood,
            likelihood.values,
            plain_units(design),
            DEFAULTS,
            extra=likelihood.parameters,
            extra_labels={
                "share": tuple(labels),
                "cutpoints": tuple(f"{a}|{b}" for a, b in pairwise(labels)),
            },
            other_priors=("share",),
        )


def _concentration(design: Design, prior: Any) -> Array:
    n = len(design.categories)
    if prior is None:
        return np.ones(n)
    check_distribution(design.target, "share", prior)
    if type(prior.owner.op).__name__ != "DirichletRV":
        raise SpecificationError(
            f"priors of {design.target!r}: the prior of 'share' must be a Dirichlet, such as "
            f"pm.Dirichlet.dist(np.ones({n}))."
        )
    found = value_of(prior.owner.inputs[-1])
    if found.shape != (n,):
        raise SpecificationError(
            f"priors of {design.target!r}: the Dirichlet of 'share' has {found.size} "
            f"concentrations, {n} categories need {n}."
        )
    if not (found > 0.0).all():
        raise SpecificationError(
            f"priors of {design.target!r}: concentrations of a Dirichlet are positive, those of "
            f"'share' are {found.tolist()}."
        )
    return found


@part_of
def _odds(codes: Array, eta: Array, free: Array) -> tuple[Array, Array, Array]:
    """Of each row, the odds that take its chance away at either end.

    ``F(a) − F(b) = F(a) F(−b) (1 − e^{b − a})``, exact however small the gap.

    Returns
    -------
    total
        ``1 / (F(a) F(−b))``, (row,).
    over, under
        ``1 − F(a)`` and ``F(b)``, (row,): derivatives by either cutpoint.
    """
    categories = free.size + 2
    upper, lower, cutpoint = np.zeros(categories), np.zeros(categories), 0.0
    for k in range(categories - 1):
        upper[k], lower[k + 1] = np.exp(-cutpoint), np.exp(cutpoint)
        if k < free.size:
            cutpoint += np.exp(free[k])
    odds, total = np.empty(eta.size), np.empty(eta.size)
    over, under = np.empty(eta.size), np.empty(eta.size)
    exponentials(eta, odds)
    for i in range(eta.size):
        k = int(codes[i])
        above, below = odds[i] * upper[k], lower[k] / odds[i]
        total[i] = (1.0 + above) * (1.0 + below)
        over[i], under[i] = above / (1.0 + above), below / (1.0 + below)
    return total, over, under


@part_of
def _by_gaps(over: Array, under: Array, inside: Array, free: Array) -> tuple[float, Array]:
    """Part of the gaps in the log likelihood, and its whole gradient by their logarithms.

    Of each category are given its derivatives by the upper and the lower cutpoint, and how many
    rows there are, (category,).
    """
    value, by_free, above = 0.0, np.empty(free.size), 0.0
    for k in range(free.size - 1, -1, -1):  # a gap moves its own cutpoint and those above
        gap = np.exp(free[k])
        value += inside[k + 1] * np.log(-np.expm1(-gap))
        above += over[k + 1] - under[k + 2]
        by_free[k] = gap * (above + inside[k + 1] / np.expm1(gap))
    return value, by_free


@numba.njit(cache=True, error_model="numpy", nogil=True)
def cumulative_density(arguments: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Log likelihood of codes and its gradient by η and the log gaps."""
    columns, eta, free, _ = arguments
    codes = columns[0]
    total, over, under = _odds(codes, eta[0], free)
    sums, by_eta = np.zeros((3, free.size + 2)), np.empty(eta.shape)
    for i in range(codes.size):
        k = int(codes[i])
        sums[0, k] += over[i]
        sums[1, k] += under[i]
        sums[2, k] += 1.0
        by_eta[0, i] = under[i] - over[i]
    value, by_free = _by_gaps(sums[0], sums[1], sums[2], free)
    return np.full((), value - sum_of_logs(total)), by_eta, by_free


@numba.njit(cache=True, error_model="numpy", nogil=True)
def share_prior(arguments: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Dirichlet density of the shares at η = 0, by intercept and log gaps."""
    intercepts, free, concentration = arguments
    categories = concentration.size
    # the Jacobian of the shares is the product of logistic densities at the cutpoints, that of the
    # cutpoints the product of the gaps
    codes, eta = np.empty(categories), np.empty(categories)
    for k in range(categories):
        codes[k], eta[k] = k, intercepts[0]
    total, over, under = _odds(codes, eta, free)
    value, by_intercept = 0.0, 0.0
    for k in range(categories):
        weight = concentration[k] - 1.0
        value -= weight * np.log(total[k])
        over[k], under[k] = weight * over[k], weight * under[k]
        by_intercept += under[k] - over[k]
    more, by_free = _by_gaps(over, under, concentration - 1.0, free)
    value += more
    slopes, at = np.empty(categories - 1), -intercepts[0]
    for k in range(categories - 1):
        if k > 0:
            at += np.exp(free[k - 1])
        value -= abs(at) + 2.0 * np.log1p(np.exp(-abs(at)))
        slopes[k] = -np.tanh(0.5 * at)
        by_intercept -= slopes[k]
    above = 0.0
    for k in range(free.size - 1, -1, -1):
        above += slopes[k + 1]
        value += free[k]
        by_free[k] += 1.0 + np.exp(free[k]) * above
    return np.full((), value), np.full(1, by_intercept), by_free


class CumulativeLikelihood(OneEquation):
    """Ordered categories by a cumulative logit; free parameters are log gaps between cutpoints.

    The first cutpoint is 0: the intercept in η is ``−c_0``.
    """

    measure = "probability"
    density = staticmethod(cumulative_density)
    extra_prior = staticmethod(share_prior)

    def __init__(self, categories: int, concentration: Array) -> None:
        self.constants = np.asarray(concentration, dtype=np.float64)
        self.free = categories - 2

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log probability of each row's category, (row,)."""
        code, cutpoints = y.astype(np.int64), _cutpoints(free)
        upper = np.append(cutpoints, np.inf)[code] - eta[:, 0]
        lower = np.append(-np.inf, cutpoints)[code] - eta[:, 0]
        # log F(upper) + log F(−lower) + log(1 − e^{lower − upper}), as in the sum
        return np.asarray(log_expit(upper) + log_expit(-lower) + np.log(-np.expm1(lower - upper)))

    def values(self, eta: Array, positive: Array, free: Array, rng: np.random.Generator) -> Array:
        """Draw categories, as codes."""
        latent = eta[:, 0] + rng.logistic(size=len(eta))
        return np.searchsorted(_cutpoints(free), latent).astype(np.float64)

    def parameters(self, point: Point) -> Parameters:
        """Cutpoints, and the shares they mean."""
        cutpoints = _cutpoints(point.free) - point.beta[0, 0]
        shares, _ = _shares(np.zeros(1), cutpoints)
        return {"share": shares[0], "cutpoints": cutpoints}


def _cutpoints(free: Array) -> Array:
    cutpoints = np.zeros(free.size + 1)
    np.cumsum(np.exp(free), out=cutpoints[1:])
    return cutpoints


def _shares(eta: Array, cutpoints: Array) -> tuple[Array, Array]:
    """Chances of the categories and their derivatives by η, (row, category)."""
    below = 1 / (1 + np.exp(np.minimum(eta[:, None] - cutpoints, 700.0)))
    ends = np.zeros((len(eta), 1))
    shares = np.diff(np.hstack([ends, below, ends + 1]), axis=1)
    slopes = np.diff(np.hstack([ends, -below * (1 - below), ends]), axis=1)
    return shares, slopes
