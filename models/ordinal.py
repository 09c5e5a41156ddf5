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
``sd_<slope>``      HalfNormal(1 / s_x)
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
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.special import log_expit

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Array, Design, Kernel, Parameters, Words
from bayesimpute.sampling.generic import ModelKernel
from bayesimpute.sampling.linear_kernel import Family, linear_kernel
from bayesimpute.sampling.linear_parts import Point
from bayesimpute.sampling.priors import value_of
from bayesimpute.sampling.textbook import Defaults, linear_predictor, plain_units

#: The cutpoints take the place of the intercept.
DEFAULTS = Defaults(intercept_sd=None)


class Ordinal:
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
        "ordinal",
        "logit P({y} ≤ k) = c_k − ({unshifted}){effects}",
        "Ordered categories, proportional odds: the log-odds of a higher category"
        " depend linearly on {x}, alike at each step",
        "A missing value is each category with its probability.",
    )
    kinds = frozenset({Kind.ORDINAL, Kind.BINARY})
    options: Mapping[str, Any] = MappingProxyType({"transitions": 4, "tune": 60})

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model on the rows with an observed target."""
        import pymc as pm
        import pytensor.tensor as pt

        from bayesimpute.sampling.priors import attach

        n = len(design.categories)
        units = plain_units(design)
        seen = design.rows(design.fit)
        coords = {**design.coords, "category": [str(label) for label in design.categories]}
        with pm.Model(coords=coords) as model:
            y = pm.Data("y", seen.y.astype(np.int64), dims="row")
            eta = linear_predictor(seen, units, priors, DEFAULTS)
            share = attach(priors.get("share", pm.Dirichlet.dist(np.ones(n))), "share", "category")
            below = pt.cumsum(share)[:-1]
            cutpoints = pm.Deterministic("cutpoints", pt.log(below) - pt.log1p(-below))
            pm.OrderedLogistic(
                f"{design.target}_observed",
                eta=eta,
                cutpoints=cutpoints,
                compute_p=False,
                observed=y,
                dims="row",
            )
        return model

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Kernel of the linear predictor, or the plain model's where the priors need it.

        Raises
        ------
        SpecificationError
            If the prior of ``share`` is a Dirichlet of another length.
        """
        labels = [str(label) for label in design.categories]
        concentration = _concentration(design, priors.get("share"))
        likelihood = CumulativeLikelihood(len(labels), concentration)
        family = Family(
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
        kernel = linear_kernel(design, family, priors, options)
        return kernel or ModelKernel(self.model(design, priors, options), design, options)


def _concentration(design: Design, prior: Any) -> Array:
    n = len(design.categories)
    if prior is None:
        return np.ones(n)
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
    return found


class CumulativeLikelihood:
    """Ordered categories by a cumulative logit; free parameters are log gaps between cutpoints.

    The first cutpoint is 0: the intercept in η is ``−c_0``.
    """

    equations = 1
    measure = "probability"

    def __init__(self, categories: int, concentration: Array) -> None:
        self.categories = categories
        self.concentration = concentration
        self.free = categories - 2

    def __call__(
        self, y: Array, eta: Array, positive: Array, free: Array
    ) -> tuple[float, Array, Array, Array]:
        """Log likelihood and its gradient."""
        value, by_eta, by_free = _log_likelihood(y, eta, free, np.ones(len(y)))
        return value, by_eta, positive, by_free

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log probability of each row's category, (row,)."""
        code, cutpoints = y.astype(np.int64), _cutpoints(free)
        upper = np.append(cutpoints, np.inf)[code] - eta[:, 0]
        lower = np.append(-np.inf, cutpoints)[code] - eta[:, 0]
        # log F(upper) + log F(−lower) + log(1 − e^{lower − upper}), as in the sum
        return np.asarray(log_expit(upper) + log_expit(-lower) + np.log(-np.expm1(lower - upper)))

    def information(self, y: Array, eta: Array, positive: Array, free: Array) -> Array:
        """Give the expected information of η, Σ (dp_k/dη)² / p_k."""
        shares, slopes = _shares(eta[:, 0], _cutpoints(free))
        return np.asarray((slopes**2 / np.maximum(shares, 1e-12)).sum(axis=1))[:, None, None]

    def prior(self, intercepts: Array, free: Array) -> tuple[float, Array, Array]:
        """Dirichlet density of the shares at η = 0, by intercept and log gaps."""
        # the Jacobian of the shares is the product of logistic densities at the cutpoints, that
        # of the cutpoints the product of the gaps
        at = _cutpoints(free) - intercepts[0]
        far = np.abs(at)
        value = float(free.sum() - (far + 2 * np.log1p(np.exp(-far))).sum())
        slope = -np.tanh(at / 2)
        by_intercepts = np.array([-slope.sum()])
        by_free = 1.0 + np.exp(free) * np.cumsum(slope[::-1])[::-1][1:]
        weight = self.concentration - 1
        if weight.any():
            codes = np.arange(self.categories, dtype=float)
            eta = np.full((self.categories, 1), intercepts[0])
            more, by_eta, by_gaps = _log_likelihood(codes, eta, free, weight)
            value += more
            by_intercepts = by_intercepts + by_eta.sum()
            by_free = by_free + by_gaps
        return value, by_intercepts, by_free

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
    return np.append(0.0, np.cumsum(np.exp(free)))


def _shares(eta: Array, cutpoints: Array) -> tuple[Array, Array]:
    """Chances of the categories and their derivatives by η, (row, category)."""
    below = 1 / (1 + np.exp(np.minimum(eta[:, None] - cutpoints, 700.0)))
    ends = np.zeros((len(eta), 1))
    shares = np.diff(np.hstack([ends, below, ends + 1]), axis=1)
    slopes = np.diff(np.hstack([ends, -below * (1 - below), ends]), axis=1)
    return shares, slopes


def _log_likelihood(y: Array, eta: Array, free: Array, weight: Array) -> tuple[float, Array, Array]:
    """Weighted log likelihood, gradient by η and by the log gaps."""
    code = y.astype(np.int64)
    cutpoints = _cutpoints(free)
    a = np.append(cutpoints, np.inf)[code] - eta[:, 0]  # below the upper cutpoint
    b = np.append(-np.inf, cutpoints)[code] - eta[:, 0]  # above the lower one
    small_a, small_b = np.exp(-np.abs(a)), np.exp(-np.abs(b))
    over_a = np.where(a > 0, small_a, 1.0) / (1.0 + small_a)
    under_b = np.where(b > 0, 1.0, small_b) / (1.0 + small_b)
    # F(a) − F(b) = F(a) F(−b) (1 − e^{b − a}), exact however small the gap
    each = np.minimum(a, 0.0) - np.log(1.0 + small_a) - np.maximum(b, 0.0) - np.log(1.0 + small_b)
    gaps = np.exp(free)
    inside = np.bincount(code, weight, len(cutpoints) + 1)[1:-1]
    value = float(weight @ each + inside @ np.log(-np.expm1(-gaps)))
    by_eta = weight * (under_b - over_a)
    by_cutpoint = np.bincount(code, weight * over_a, len(cutpoints) + 1)[:-1]
    by_cutpoint = by_cutpoint - np.bincount(code, weight * under_b, len(cutpoints) + 1)[1:]
    # a gap moves its own cutpoint and those above
    by_gap = np.cumsum(by_cutpoint[::-1])[::-1][1:] + inside / np.expm1(gaps)
    return value, by_eta[:, None], gaps * by_gap
