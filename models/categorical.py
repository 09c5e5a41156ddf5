r"""Softmax conditional model of unordered categories.

Model
-----
For row i in cluster j and each category k but the reference, the most frequent one, with
predictors and random slopes centred at their observed means,

.. math::
    P(y_{ij} = k) = \frac{\exp η_{ijk}}{1 + \sum_l \exp η_{ijl}},\quad
    η_{ijk} = \text{intercept}_k + x_{ij}β_k + z_{ij} b_{jk}

    (b_{j1}, …, b_{j,K-1}) \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd))

C joins the effects of all categories: those of two categories share what is peculiar to the
reference in a cluster.

Priors
------
==================  ===========================================================
``intercept``       Normal(0, 2.5) each
``beta``            Normal(0, 2.5 / s_x) each
``sd_intercept``    HalfNormal(1), one a category
``sd_<slope>``      HalfNormal(0.5 / s_x), one a category
``correlation``     LKJCorr(eta=2) over effects and categories
==================  ===========================================================

Draw
----
1. All β, b_j and scales move jointly (:mod:`bayesimpute.sampling.linear`); nothing is fitted one
   category at a time.
2. A missing value is each category with its probability.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numba
import numpy as np
from scipy.special import log_softmax, softmax

from bayesimpute.data.table import Kind
from bayesimpute.method import Array, Design, Words
from bayesimpute.sampling.exponentials import LARGEST, exponentials, sum_of_logs
from bayesimpute.sampling.linear_kernel import Family
from bayesimpute.sampling.linear_model import LinearModel
from bayesimpute.sampling.linear_parts import SUMS, OneEquation
from bayesimpute.sampling.textbook import (
    Columns,
    Defaults,
    RowModel,
    effect_names,
    linear_predictor,
    plain_units,
)
from bayesimpute.sampling.variance_shares import VarianceShare, share_softmax


class Categorical(LinearModel):
    """Softmax model of a target with unordered categories.

    Options
    -------
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"pupil": "categorical"}  # bi.impute(df, cluster="study", method=method)
    """

    words = Words(
        r"\log\;\frac{P($y = k)}{P($y = \text{reference})} = $predictor[k] \\ $effects",
        "Unordered categories: the log-odds of each against the reference, the "
        "category observed most often, depend linearly on {x}, with coefficients "
        "of their own",
        "A missing value is each category with its probability.",
        name="multinomial logistic regression",
    )
    kinds = frozenset({Kind.NOMINAL, Kind.ORDINAL, Kind.BINARY})
    #: Has parameters for each category.
    by_category = True
    share = VarianceShare(share_softmax, "of the latent utilities behind the softmax")

    def row_model(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> RowModel:
        """Add the parameters to the current PyMC model."""
        import pymc as pm
        import pytensor.tensor as pt

        order = reference_first(design)
        others = tuple(str(design.categories[code]) for code in order[1:])
        pm.modelcontext(None).add_coord("category", list(others))
        eta = linear_predictor(design, plain_units(design), priors, Defaults(), others)

        def distribution(columns: Columns) -> Any:
            if columns.offset is not None:  # of each category: it counts from the reference
                offset = columns.offset[:, order[1:]] - columns.offset[:, order[:1]]
                columns = replace(columns, offset=offset)
            of_others = eta(columns)
            with_reference = pt.concatenate([pt.zeros_like(of_others[:, :1]), of_others], axis=1)
            return pm.Categorical.dist(logit_p=with_reference[:, np.argsort(order)])

        return RowModel(distribution, effect_names(design, others))

    def family(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Family:
        """Give the family with a linear predictor for each category but the reference."""
        order = reference_first(design)
        likelihood = SoftmaxLikelihood(order)
        return Family(
            likelihood,
            likelihood.values,
            plain_units(design),
            Defaults(),
            categories=tuple(str(design.categories[code]) for code in order[1:]),
            order=tuple(order.tolist()),
        )


def reference_first(design: Design) -> np.ndarray:
    """Codes of the categories, the most frequent first, the others as they are ordered."""
    count = np.bincount(design.y[design.fit].astype(np.int64), minlength=len(design.categories))
    reference = int(count.argmax())
    return np.array([reference, *(k for k in range(len(count)) if k != reference)])


@numba.njit(cache=True, error_model="numpy", nogil=True, fastmath=SUMS)
def softmax_density(arguments: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Log likelihood and its gradient; columns say of each category whether it is the row's."""
    columns, eta, extra, _ = arguments
    equations, rows = eta.shape
    value, by_eta, total = 0.0, np.empty(eta.shape), np.ones(rows)
    for r in range(equations):
        odds, t, is_it = by_eta[r], eta[r], columns[r]
        exponentials(t, odds)
        for i in range(rows):
            total[i] += odds[i]
            value += is_it[i] * min(max(t[i], -LARGEST), LARGEST)
    for r in range(equations):
        for i in range(rows):
            by_eta[r, i] = columns[r, i] - by_eta[r, i] / total[i]
    return np.full((), value - sum_of_logs(total)), by_eta, np.zeros(extra.size)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def softmax_information(arguments: tuple[Array, Array, Array, Array]) -> tuple[Array]:
    """Give diag(p) − pp'."""
    _, eta, _, _ = arguments
    equations, rows = eta.shape
    out = np.empty((equations, equations, rows))
    p = np.empty(equations)
    for i in range(rows):
        top = 0.0
        for r in range(equations):
            top = max(top, eta[r, i])
        total = np.exp(-top)
        for r in range(equations):
            p[r] = np.exp(eta[r, i] - top)
            total += p[r]
        for r in range(equations):
            p[r] /= total
        for r in range(equations):
            for s in range(equations):
                out[r, s, i] = (p[r] if r == s else 0.0) - p[r] * p[s]
    return (out,)


class SoftmaxLikelihood(OneEquation):
    """Unordered categories, one linear predictor for each but the reference."""

    measure = "probability"
    density = staticmethod(softmax_density)
    information = staticmethod(softmax_information)

    def __init__(self, order: np.ndarray) -> None:
        self.order = order
        self.equations = len(order) - 1
        self._position = np.argsort(order)

    def columns(self, y: Array) -> Array:
        """Say of each category but the reference whether it is the row's, (R, row)."""
        position = self._position[np.nan_to_num(y).astype(np.int64)]  # what is missing has no row
        return (position == np.arange(1, self.equations + 1)[:, None]).astype(np.float64)

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log probability of each row's category, (row,)."""
        chances = log_softmax(np.hstack([np.zeros((len(eta), 1)), eta]), axis=1)
        return np.asarray(chances[np.arange(len(eta)), self._position[y.astype(np.int64)]])

    def values(self, eta: Array, positive: Array, free: Array, rng: np.random.Generator) -> Array:
        """Draw categories, as codes."""
        upto = self._chances(eta).cumsum(axis=1)
        drawn = (rng.random(len(eta))[:, None] > upto[:, :-1]).sum(axis=1)
        return self.order[drawn].astype(np.float64)

    def _chances(self, eta: Array) -> Array:
        return np.asarray(softmax(np.hstack([np.zeros((len(eta), 1)), eta]), axis=1))
