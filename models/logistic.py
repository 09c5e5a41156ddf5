r"""Logistic conditional model of a variable with two categories.

Model
-----
For row i in cluster j, with predictors and random slopes centred at their observed means,

.. math::
    \operatorname{logit} P(y_{ij} = 1) = \text{intercept} + x_{ij}β + z_{ij} b_j,\quad
    b_j \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd))

1 is the second category in the user's order, or the larger of two numbers. Without a cluster the
b_j are absent; for a level-2 target a row is a cluster.

Priors
------
With :math:`s_x` the observed SD of a predictor (Gelman, Jakulin, Pittau & Su 2008 on why such
priors are what separation needs; the normal form as in rstanarm):

==================  ===========================================================
``intercept``       Normal(0, 2.5): chances between 0.7 and 99.3 %
``beta``            Normal(0, 2.5 / s_x) each
``sd_intercept``    HalfNormal(1): between clusters, odds differ by up to e² either way
``sd_<slope>``      HalfNormal(1 / s_x)
``correlation``     LKJCorr(eta=2)
==================  ===========================================================

They keep every posterior proper: with separated categories, rare events or clusters of one row
nothing is added to the data and nothing fails.

Draw
----
1. β, the b_j and the scales move by :mod:`bayesimpute.sampling.linear`; clusters without observed
   values draw their b_j from N(0, Ψ).
2. A missing value is 1 with its probability.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.special import expit

from bayesimpute.data.table import Kind
from bayesimpute.method import Array, Design, Kernel, Words
from bayesimpute.sampling.generic import ModelKernel
from bayesimpute.sampling.linear_kernel import Family, linear_kernel
from bayesimpute.sampling.textbook import Defaults, linear_predictor, plain_units


class Logistic:
    """Logistic model of a target with two categories.

    Options
    -------
    transitions
        Sweeps of the sampler a visit (default 4: successive draws are nearly independent).
    tune
        Sweeps of the one adaptation before the chains start (default 60).

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"hypox": "logistic"}  # bi.impute(df, cluster="study", method=method)
    """

    words = Words(
        "logistic",
        "logit P({y} = last) = {predictor}{effects}",
        "The log-odds of the second of two categories depend linearly on {x}",
        "A missing value is each category with its probability.",
    )
    kinds = frozenset({Kind.BINARY})
    options: Mapping[str, Any] = MappingProxyType({"transitions": 4, "tune": 60})

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model on the rows with an observed target."""
        import pymc as pm

        units = plain_units(design)
        seen = design.rows(design.fit)
        with pm.Model(coords=design.coords) as model:
            y = pm.Data("y", seen.y.astype(np.int64), dims="row")
            eta = linear_predictor(seen, units, priors, Defaults())
            pm.Bernoulli(f"{design.target}_observed", logit_p=eta, observed=y, dims="row")
        return model

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Kernel of the linear predictor, or the plain model's where the priors need it."""
        family = Family(BernoulliLikelihood(), _values, plain_units(design), Defaults())
        kernel = linear_kernel(design, family, priors, options)
        return kernel or ModelKernel(self.model(design, priors, options), design, options)


class BernoulliLikelihood:
    """Two categories by a logit; no further parameters."""

    equations = 1
    free = 0
    measure = "probability"

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log probability of each row's category, (row,)."""
        t = np.where(y > 0.5, eta[:, 0], -eta[:, 0])
        return np.asarray(np.minimum(t, 0.0) - np.log1p(np.exp(-np.abs(t))))

    def __call__(
        self, y: Array, eta: Array, positive: Array, free: Array
    ) -> tuple[float, Array, Array, Array]:
        """Log likelihood and its gradient."""
        t = eta[:, 0]
        small = np.exp(-np.abs(t))  # no exponent that could overflow
        p = np.where(t > 0, 1.0, small) / (1.0 + small)
        value = float(y @ t - np.maximum(t, 0.0).sum() - np.log(1.0 + small).sum())
        return value, (y - p)[:, None], positive, free

    def information(self, y: Array, eta: Array, positive: Array, free: Array) -> Array:
        """Give p (1 − p)."""
        p = expit(eta[:, 0])
        return np.asarray(p * (1 - p))[:, None, None]

    def prior(self, intercepts: Array, free: Array) -> tuple[float, Array, Array]:
        """Nothing beyond the normal prior."""
        return 0.0, np.zeros_like(intercepts), free


def _values(eta: Array, positive: Array, free: Array, rng: np.random.Generator) -> Array:
    return (rng.random(len(eta)) < expit(eta[:, 0])).astype(np.float64)
