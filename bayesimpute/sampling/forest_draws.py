"""Sums of trees at drawn parameters, asked of new rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from bayesimpute.method import Array, Design
from bayesimpute.sampling.row_draws import NEW, Further, Positions, by_chain


@dataclass(frozen=True, eq=False)
class ForestDraws:
    """A model of trees, as all chains have left it.

    Attributes
    ----------
    kernel
        Of the model.
    chains
        Where each chain stands: trees, intercepts, scales and effects.
    between
        SDs between clusters in each chain, (grouping, equation).
    clusters
        How many clusters a chain has in each grouping; one grouping of one for none.
    """

    kernel: Any
    chains: tuple[Any, ...]
    between: tuple[Array, ...]
    clusters: tuple[int, ...]

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        every = (self, *others)
        return replace(
            self,
            chains=tuple(chain for each in every for chain in each.chains),
            between=tuple(own for each in every for own in each.between),
        )

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose clusters; effects of new ones come from the population."""
        numbers = (clusters, *further)
        chains = []
        for chain, between in zip(self.chains, self.between, strict=True):
            chosen = []
            for effects, sd, own in zip(chain.effects, between, numbers, strict=True):
                new = np.flatnonzero(own == NEW)
                found = effects[:, own]
                found[:, new] = sd[:, None] * rng.standard_normal((len(sd), new.size))
                chosen.append(found)
            chains.append(replace(chain, effects=tuple(chosen)))
        return replace(self, chains=tuple(chains), clusters=tuple(map(len, numbers)))

    def _by_chain(self, rows: Design, value: Callable[[Design, Any], Array]) -> Array:
        """Values of rows, those of one chain after the other, clusters counted within it."""
        first, *further = self.clusters
        chain, within = np.divmod(rows.cluster, first)
        groupings = zip(rows.groupings, further, strict=True)
        own = replace(
            rows,
            cluster=within,
            groupings=tuple(
                replace(each, cluster=each.cluster % count) for each, count in groupings
            ),
        )
        return by_chain(
            chain, len(self.chains), lambda k, where: value(own.rows(where), self.chains[k])
        )

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw each wanted value from its distribution."""
        rows = design.rows(design.draw)
        return self._by_chain(rows, lambda own, at: self.kernel.draw_at(own, at, rng))

    def log_density(self, rows: Design) -> Array:
        """Log density of each row's `y`, (row,)."""
        return self._by_chain(rows, self.kernel.density_at)
