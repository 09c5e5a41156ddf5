"""Models of several groupings at drawn parameters, asked of new rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from bayesimpute.method import Array, Design
from bayesimpute.sampling.cluster_effects import EffectColumn, added
from bayesimpute.sampling.row_draws import Further, Positions, chosen_effects


@dataclass(frozen=True, eq=False)
class GroupedDraws:
    """A model of several groupings, as all chains have left it.

    Attributes
    ----------
    inside
        The model of the first, which takes the effects of the others as known.
    columns
        What the effects of each other one are.
    effects
        Of each other one, (chain, cluster, effect), in computing units.
    factors
        Of their covariances, (chain, effect, effect).
    equations
        Linear predictors a row.
    """

    inside: Any
    columns: tuple[tuple[EffectColumn, ...], ...]
    effects: tuple[Array, ...]
    factors: tuple[Array, ...]
    equations: int

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        every = [self, *others]
        count = range(len(self.columns))
        return replace(
            self,
            inside=self.inside.beside([each.inside for each in others]),
            effects=tuple(np.concatenate([each.effects[k] for each in every]) for k in count),
            factors=tuple(np.concatenate([each.factors[k] for each in every]) for k in count),
        )

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose clusters of all groupings; effects of new ones come from the population."""
        parts = zip(self.effects, self.factors, further, strict=True)
        return replace(
            self,
            inside=self.inside.of_clusters(clusters, rng, further),
            effects=tuple(chosen_effects(*each, rng) for each in parts),
        )

    def _given(self, design: Design) -> Design:
        """Give a design with what the effects of the other groupings add."""
        offset = np.zeros((len(design.y), self.equations))
        for k, (columns, effects) in enumerate(zip(self.columns, self.effects, strict=True)):
            by_cluster = effects.reshape(-1, effects.shape[2])
            added(design.by(k), columns, by_cluster, offset)
        return replace(design, offset=offset)

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw with the effects of all groupings."""
        drawn: Array = self.inside.draw(self._given(design), rng)
        return drawn

    def log_density(self, rows: Design) -> Array:
        """Log density of rows at the effects of all groupings."""
        density: Array = self.inside.log_density(self._given(rows))
        return density
