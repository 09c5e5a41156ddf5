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
``sd_<slope>``      HalfNormal(0.5 / s_x)
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

import numba
import numpy as np
from scipy.special import expit

from bayesimpute.data.table import Kind
from bayesimpute.method import Array, Design, Words
from bayesimpute.sampling.exponentials import LARGEST, exponentials, sum_of_logs
from bayesimpute.sampling.linear_model import LinearModel
from bayesimpute.sampling.linear_parts import SUMS, OneEquation
from bayesimpute.sampling.variance_shares import VarianceShare, share_logit


class Logistic(LinearModel):
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
        r"\operatorname{logit}\;P($y = $last) = $predictor \\ $effects",
        "The log-odds of the second of two categories depend linearly on {x}",
        "A missing value is each category with its probability.",
        name="logistic regression",
    )
    kinds = frozenset({Kind.BINARY})
    fitted_as = "binomial"
    share = VarianceShare(share_logit, "of the latent variable behind the logit")
    #: As of :class:`~bayesimpute.models.normal.Normal`.
    calibrated_too: Mapping[str, tuple[tuple[str, ...], Mapping[str, Any]]] = MappingProxyType(
        {"an independent slope": (("sporadic",), {"effects": "independent slope", "predictors": 2})}
    )

    @staticmethod
    def distribution(eta: Any) -> Any:
        """Give one category or the other."""
        import pymc as pm

        return pm.Bernoulli.dist(logit_p=eta)

    def likelihood(self, design: Design, options: Any, units: Any) -> "BernoulliLikelihood":
        """Give the density by hand, for its speed (ARCHITECTURE.md)."""
        return BernoulliLikelihood()


@numba.njit(cache=True, error_model="numpy", nogil=True, fastmath=SUMS)
def bernoulli_density(
    arguments: tuple[Array, Array, Array, Array],
) -> tuple[Array, Array, Array]:
    """Log likelihood of 0/1 by their logits, and its gradient."""
    columns, eta, extra, _ = arguments
    y, t, value = columns[0], eta[0], 0.0
    total, by_eta = np.empty(t.size), np.empty(eta.shape)
    exponentials(t, total)
    for i in range(t.size):
        odds = total[i]
        total[i] = 1.0 + odds
        by_eta[0, i] = y[i] - odds / total[i]
        value += y[i] * min(max(t[i], -LARGEST), LARGEST)
    return np.full((), value - sum_of_logs(total)), by_eta, np.zeros(extra.size)


class BernoulliLikelihood(OneEquation):
    """Two categories by a logit; no further parameters."""

    measure = "probability"
    density = staticmethod(bernoulli_density)

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log probability of each row's category, (row,)."""
        t = np.where(y > 0.5, eta[:, 0], -eta[:, 0])
        return np.asarray(np.minimum(t, 0.0) - np.log1p(np.exp(-np.abs(t))))

    def values(self, eta: Array, positive: Array, free: Array, rng: np.random.Generator) -> Array:
        """Draw codes."""
        return (rng.random(len(eta)) < expit(eta[:, 0])).astype(np.float64)
