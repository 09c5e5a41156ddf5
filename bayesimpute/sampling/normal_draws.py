"""Normal models at drawn parameters, asked of new rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from bayesimpute.method import Array, Design
from bayesimpute.sampling.gaussian import Fitted, Units
from bayesimpute.sampling.normal_rows import log_normal_density
from bayesimpute.sampling.row_draws import NEW, Further, Positions, chosen_effects


@dataclass(frozen=True, eq=False)
class NormalDraws:
    """A normal model of all chains.

    Attributes
    ----------
    units
        Of the model; everything below is in computing units.
    beta
        Intercept and coefficients, (chain, 1 + predictor).
    effects, sigma
        By cluster, (chain, cluster, effect) and (chain, cluster).
    factor
        Factor of the effects' covariance, (chain, effect, effect).
    population
        Residual SD, and SD between clusters of its logarithm, (chain, 2).
    """

    units: Units
    beta: Array
    effects: Array
    sigma: Array
    factor: Array
    population: Array

    @classmethod
    def of(cls, units: Units, fitted: Fitted) -> Self:
        """Take those of one chain."""
        scales = fitted.scales
        return cls(
            units,
            fitted.beta[None],
            fitted.effects[None],
            fitted.sigma[None],
            fitted.factor[None].copy(),
            np.array([[scales.sigma, scales.spread]]),
        )

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        every = [self, *others]

        def joined(name: str) -> Array:
            return np.concatenate([getattr(each, name) for each in every])

        names = ("beta", "effects", "sigma", "factor", "population")
        return type(self)(self.units, *map(joined, names))

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose clusters; new ones come from the population."""
        sigma = self.sigma[:, clusters]
        new = np.flatnonzero(clusters == NEW)
        middle, spread = self.population[:, :1], self.population[:, 1:]
        sigma[:, new] = middle * np.exp(spread * rng.standard_normal((len(sigma), new.size)))
        effects = chosen_effects(self.effects, self.factor, clusters, rng)
        return replace(self, effects=effects, sigma=sigma)

    def chain(self, rows: Design) -> Positions:
        """Chain of each row, (row,)."""
        return rows.cluster // self.sigma.shape[1]

    def mean_and_sd(self, rows: Design) -> tuple[Array, Array]:
        """Give expected value and residual SD of rows on the scale of the data, (row,) each."""
        units = self.units
        eta = (units.x(rows) * self.beta[self.chain(rows)]).sum(axis=1)
        count = self.effects.shape[2]
        if count:
            eta += (units.z(rows) * self.effects.reshape(-1, count)[rows.cluster]).sum(axis=1)
        if rows.offset is not None:
            eta += rows.offset[:, 0]
        sd = units.scale_y * self.sigma.reshape(-1)[rows.cluster]
        return units.centre_y + units.scale_y * eta, sd

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw each wanted value from its normal distribution."""
        rows = design.rows(design.draw)
        mean, sd = self.mean_and_sd(rows)
        if rows.shift is not None:
            mean = mean + rows.shift
        return np.asarray(mean + sd * rng.standard_normal(len(mean)))

    def log_density(self, rows: Design) -> Array:
        """Log density of each row's `y`, (row,)."""
        mean, sd = self.mean_and_sd(rows)
        if rows.live_shift is not None:
            mean = mean + rows.live_shift
        return log_normal_density(rows.y, mean, sd)
