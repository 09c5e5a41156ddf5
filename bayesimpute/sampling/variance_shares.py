"""Shares of variance between clusters, from draws of a model without predictors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Variance of the standard logistic distribution: that of the latent error behind a logit.
LOGISTIC_VARIANCE = np.pi**2 / 3


@dataclass(frozen=True)
class VarianceShare:
    """The share of a model's variance that is between clusters; attribute ``share`` of its class.

    Attributes
    ----------
    of_draws
        Share of each draw, from draws of the parameters by name, (chain, draw, …).
    scale
        In words, of what it is a share.
    """

    of_draws: Callable[[Mapping[str, Any]], Array]
    scale: str


def share_normal(draws: Mapping[str, Array]) -> Array:
    """τ² / (τ² + σ²), of each draw of a normal model."""
    between = draws["sd_intercept"] ** 2
    return np.asarray(between / (between + draws["sigma"] ** 2))


def share_logit(draws: Mapping[str, Array]) -> Array:
    """τ² / (τ² + π²/3): of the latent variable behind a logistic or cumulative-logit model.

    Source: Goldstein, Browne & Rasbash (2002), Understanding Statistics 1, 223-231, method D.
    """
    between = draws["sd_intercept"] ** 2
    return np.asarray(between / (between + LOGISTIC_VARIANCE))


def share_softmax(draws: Mapping[str, Array]) -> Array:
    r"""Share of the latent utilities behind a softmax model, whatever the reference category.

    The K utilities of a row have independent Gumbel errors of variance π²/6. Relative to their
    mean, which no choice depends on, errors vary by (K − 1) π²/6 in sum and effects by
    :math:`\operatorname{tr} Ψ - 1'Ψ1 / K`, Ψ the covariance of the effects of all categories but
    the reference. With two categories this is `share_logit`.

    Parameters
    ----------
    draws
        ``sd_intercept`` (chain, draw, K − 1) and ``correlation`` (chain, draw, pair), pairs as
        those of a lower triangle, row by row; no pairs with two categories.
    """
    sd = draws["sd_intercept"]
    others = sd.shape[-1]
    matrix = np.zeros((*sd.shape, others))
    matrix[..., np.arange(others), np.arange(others)] = 1.0
    if others > 1:
        low = np.tril_indices(others, -1)
        matrix[..., low[0], low[1]] = matrix[..., low[1], low[0]] = draws["correlation"]
    of_sum = np.einsum("...a,...ab,...b->...", sd, matrix, sd)
    between = (sd**2).sum(axis=-1) - of_sum / (others + 1)
    return np.asarray(between / (between + others * LOGISTIC_VARIANCE / 2))


def share_counts(draws: Mapping[str, Array]) -> Array:
    r"""Share on the log scale of a Poisson or negative binomial model.

    The variance of a row is :math:`\ln(1 + 1/λ + \text{overdispersion}^2)`, where
    :math:`λ = \exp(\text{intercept} + τ^2/2)` is the mean over clusters: the log-normal
    approximation of Nakagawa, Johnson & Schielzeth (2017), J R Soc Interface 14, 20170213,
    eq. 2.3 and table 1.
    """
    between = draws["sd_intercept"] ** 2
    mean = np.exp(draws["intercept"] + between / 2)
    within = np.log1p(1 / mean + draws.get("overdispersion", np.zeros(1)) ** 2)
    return np.asarray(between / (between + within))
