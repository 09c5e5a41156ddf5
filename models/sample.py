r"""Draws from the observed values, no predictors.

Model
-----
The distinct observed values :math:`v_1, …, v_K`, seen :math:`n_1, …, n_K` times, have unknown
shares:

.. math::
    w \sim \operatorname{Dirichlet}(1/K, …, 1/K),\quad n \sim \operatorname{Multinomial}(w)

Draw
----
1. w from its posterior Dirichlet(n + 1/K), which is exact: as the Bayesian bootstrap (Rubin
   1981), but a share's uncertainty is not forgotten, as it is when values are only resampled.
2. Each missing value is v_k with probability w_k.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.method import Adaptation, Array, Design, Kernel, Prediction, Visit, Words
from bayesimpute.sampling.row_draws import Further, Moment, Positions, by_chain


class Sample:
    """Random draws from the observed values of any kind of target.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"popular": "sample"}  # bi.impute(df, method=method)
    """

    words = Words(
        r"P($y = v_k) = w_k \\ "
        r"(w_1, \ldots, w_K) \sim \operatorname{Dirichlet}(1/K, \ldots, 1/K)",
        "No predictors: each observed value has an unknown share of the population",
        "A missing value is each of the observed values with a draw of its share.",
        name="a random draw from its observed values",
    )
    kinds = frozenset(Kind)
    uses_predictors = False
    #: Values come from donors: the density of others is not known.
    has_density = False
    #: Values are copied: they have no density.
    has_likelihood = False
    options: Mapping[str, Any] = MappingProxyType({})

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the Dirichlet–multinomial model of the observed values."""
        import pymc as pm

        values, count = np.unique(design.y[design.fit], return_counts=True)
        with pm.Model(coords={"value": values}) as model:
            share = pm.Dirichlet("share", np.full(len(values), 1 / len(values)), dims="value")
            pm.Multinomial(
                f"{design.target}_counts", count.sum(), share, observed=count, dims="value"
            )
        return model

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Build the kernel; nothing to compile."""
        return SampleKernel()


class SampleKernel:
    """Exact visits of the Dirichlet–multinomial model; independent of one another."""

    #: Threads may use it side by side.
    shareable = True

    labels: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def adapt(self, design: Design, rng: np.random.Generator) -> Adaptation:
        """Return an empty adaptation: the draw is exact."""
        return Adaptation(1.0, np.empty(0), np.empty(0), np.empty(0))

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Return an empty state."""
        return np.empty(0)

    def visit(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Visit:
        """Draw shares, then values."""
        values, count = np.unique(design.y[design.fit], return_counts=True)
        share = rng.dirichlet(count + 1 / len(values))
        drawn = rng.choice(values, size=int(design.draw.sum()), p=share)
        if design.shift is not None:
            drawn = drawn + design.shift[design.draw]
        return Visit(state, drawn, {})

    def row_draws(self, moment: Moment) -> "SampleDraws":
        """Draw shares, from which new rows get their values."""
        design = moment.design
        values, count = np.unique(design.y[design.fit], return_counts=True)
        share = moment.rng.dirichlet(count + 1 / len(values))
        return SampleDraws(((values, share),), max(design.n_clusters, 1))

    def predict(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
        by_cluster: bool = False,
    ) -> Prediction:
        """Draw shares, those of a row's own value without the row, then values.

        Shares are Gamma variables over their sum, so a row is taken out by drawing one of them.
        """
        distinct, code, count = np.unique(
            design.y[design.fit], return_inverse=True, return_counts=True
        )
        weight = rng.gamma(count + 1 / len(distinct))
        less = rng.gamma(count - 1 + 1 / len(distinct))
        below = np.cumsum(weight)
        own, others = weight[code], below[-1] - weight[code]
        at = rng.random(len(code)) * (others + less[code])
        # the row's own value lies last in its line of values, the others as they are
        start = below[code] - own
        place = np.searchsorted(below, np.where(at < start, at, at + own), side="right")
        drawn = np.where(at < others, np.minimum(place, len(distinct) - 1), code)
        return Prediction(state, distinct[drawn], {}, learnt=np.full(len(code), np.nan))


@dataclass(frozen=True, eq=False)
class SampleDraws:
    """Observed values and their shares, as drawn for each chain.

    Attributes
    ----------
    chains
        Values and shares, (value,) each.
    clusters
        How many clusters a chain has.
    """

    chains: tuple[tuple[Array, Array], ...]
    clusters: int

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        return replace(self, chains=tuple(c for each in (self, *others) for c in each.chains))

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Take note of how many clusters there are: they are all alike."""
        return replace(self, clusters=len(clusters))

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw each wanted value by its share."""
        rows = design.rows(design.draw)

        def of_chain(k: int, where: slice) -> Array:
            values, share = self.chains[k]
            return rng.choice(values, size=where.stop - where.start, p=share)

        drawn = by_chain(rows.cluster // self.clusters, len(self.chains), of_chain)
        return drawn if rows.shift is None else drawn + rows.shift
