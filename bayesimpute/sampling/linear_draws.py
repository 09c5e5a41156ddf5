"""Models with linear predictors at drawn parameters, asked of new rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bayesimpute.method import Array, Design
from bayesimpute.sampling.linear import LinearPosterior
from bayesimpute.sampling.linear_parts import Point
from bayesimpute.sampling.row_draws import NEW, Further, Positions, by_chain, chosen_effects
from bayesimpute.sampling.selection import UNSEEN


@dataclass(frozen=True, eq=False)
class LinearDraws:
    """A model with linear predictors, as all chains have left it.

    Attributes
    ----------
    posterior
        Units, columns and sizes of the model.
    points
        Parameters and effects of each chain.
    """

    posterior: LinearPosterior
    points: tuple[Point, ...]

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        return replace(self, points=tuple(p for each in (self, *others) for p in each.points))

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose clusters; effects of new ones come from the population."""
        effects = chosen_effects(self._effects, self.factor, clusters, rng)
        pairs = zip(self.points, effects, strict=True)
        return replace(self, points=tuple(replace(point, effects=own) for point, own in pairs))

    @cached_property
    def _beta(self) -> Array:
        return np.stack([point.beta for point in self.points])

    @cached_property
    def _effects(self) -> Array:
        return np.stack([point.effects for point in self.points])

    @cached_property
    def _varying(self) -> Array:
        """Effects with those that are not there as zeros, (chain and cluster, R, random)."""
        size = self.posterior.sizes
        full = np.zeros((self._effects.shape[0] * self._effects.shape[1], size.varying.size))
        full[:, size.varying] = self._effects.reshape(len(full), -1)
        return full.reshape(-1, size.equations, size.random)

    @property
    def clusters(self) -> int:
        """Clusters of a chain; 1 without any."""
        return max(self._effects.shape[1], 1)

    def chain(self, rows: Design) -> Positions:
        """Chain of each row, (row,)."""
        return rows.cluster // self.clusters

    def predictors(self, rows: Design) -> Array:
        """Linear predictors, (row, R), in computing units."""
        units, size = self.posterior.units, self.posterior.sizes
        eta = np.einsum("ij,irj->ir", units.x(rows), self._beta[self.chain(rows)])
        if size.effects:
            eta += np.einsum("ia,ira->ir", units.z(rows), self._varying[rows.cluster])
        return np.asarray(eta if rows.offset is None else eta + rows.offset)

    @property
    def factor(self) -> Array:
        """Factor of the covariance of a cluster's effects, (chain, effect, effect)."""
        return np.stack([point.factor for point in self.points])

    def of_rows(
        self, rows: Design, eta: Array, function: Callable[[slice, Array, Point], Array]
    ) -> Array:
        """Values of a function of linear predictors and of what else a model has, (row,).

        `function` takes the place of rows, their linear predictors, and parameters.
        """
        point = self.points[0]
        if not (point.positive.size or point.free.size):
            return function(slice(None), eta, point)  # all chains have the same, which is nothing
        return by_chain(
            self.chain(rows),
            len(self.points),
            lambda k, where: function(where, eta[where], self.points[k]),
        )


@dataclass(frozen=True, eq=False)
class FamilyDraws(LinearDraws):
    """The same with what a family of distributions makes of linear predictors.

    Attributes
    ----------
    family
        :class:`~bayesimpute.sampling.linear_kernel.Family`.
    """

    family: Any

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw each wanted value from its likelihood."""
        rows = design if design.draw.all() else design.rows(design.draw)
        eta = self.predictors(rows)
        if rows.shift is not None:
            eta = eta + self.posterior.shifts(rows.shift)
        values = self.family.values
        return self.of_rows(
            rows, eta, lambda _, eta, point: values(eta, point.positive, point.free, rng)
        )

    def log_density(self, rows: Design) -> Array:
        """Log density of each row's `y`, (row,)."""
        eta, units = self.predictors(rows), self.posterior.units
        if rows.live_shift is not None:
            eta = eta + self.posterior.offset(rows)
        y, density = units.y(rows), self.family.likelihood.log_density
        return self.of_rows(
            rows,
            eta,
            lambda where, eta, point: density(
                y[where], eta, point.positive, point.free, units.scale_y
            ),
        )


@dataclass(frozen=True, eq=False)
class FamilyRows:
    """Log density of rows at a state: a function of designs.

    Attributes
    ----------
    posterior
        Units, columns and sizes of the model.
    family
        :class:`~bayesimpute.sampling.linear_kernel.Family`.
    state
        Parameters and effects.
    """

    posterior: LinearPosterior
    family: Any
    state: Array

    @cached_property
    def _point(self) -> Point:
        return self.posterior.point(self.state)

    @property
    def effects(self) -> Array:
        """Effects in computing units, (cluster, effect)."""
        return self._point.effects

    def with_effects(self, effects: Array) -> "FamilyRows":
        """Give the density at other effects."""
        state = self.state.copy()
        state[self.posterior.sizes.b] = effects.ravel()
        return replace(self, state=state)

    def predictors(self, rows: Design) -> Array:
        """Linear predictors of rows, (row, R), in computing units."""
        return self.posterior.predictors(rows, np.ones(len(rows.x), dtype=np.bool_), self.state)

    def __call__(self, rows: Design) -> Array:
        """Log density of each row's `y`, (row,)."""
        return self.given(rows, self.predictors(rows))

    def given(self, rows: Design, eta: Array) -> Array:
        """Log density at given linear predictors, (row,)."""
        units, point = self.posterior.units, self._point
        if rows.live_shift is not None:
            eta = eta + self.posterior.offset(rows)
        density: Array = self.family.likelihood.log_density(
            units.y(rows), eta, point.positive, point.free, units.scale_y
        )
        return density


@dataclass(frozen=True, eq=False)
class SelectionDraws(LinearDraws):
    """Selection models: a value that is missing in a new row is one that was not seen.

    Attributes
    ----------
    likelihood
        Of a row.
    selected
        By grouping, clusters of whose rows being seen or not says something, (chain, cluster) bool.
    whole_clusters
        Whether all clusters are to be so.
    of_masks
        Takes masks of clusters, by grouping, together.
    known_of
        Says of each row what is known, from a design and what `of_masks` gives.
    donated
        Takes the place of drawn values by observed ones, in each chain; empty for none.
    """

    likelihood: Any
    selected: Mapping[str, npt.NDArray[np.bool_]]
    whole_clusters: bool
    of_masks: Callable[[Mapping[str, npt.NDArray[np.bool_]]], Any]
    known_of: Callable[[Design, Any], Array]
    donated: tuple[Callable[[Array, np.random.Generator], Array], ...]

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        every = [self, *others]
        return replace(
            super().beside(others),
            selected={
                name: np.concatenate([each.selected[name] for each in every])
                for name in self.selected
            },
            donated=tuple(donated for each in every for donated in each.donated),
        )

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose clusters; of new ones, those with a value that is seen are selected."""
        selected = {}
        for (name, known), numbers in zip(self.selected.items(), (clusters, *further), strict=True):
            chosen = known[:, numbers]
            chosen[:, numbers == NEW] = self.whole_clusters
            selected[name] = chosen
        return replace(super().of_clusters(clusters, rng, further), selected=selected)

    def _selected(self, rows: Design) -> Any:
        masks = {name: mask.reshape(-1).copy() for name, mask in self.selected.items()}
        masks[rows.grouping][rows.cluster[rows.fit]] = True
        for each in rows.groupings:
            masks[each.name][each.cluster[rows.fit]] = True
        return self.of_masks(masks)

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw each wanted value given that it is not seen."""
        selected = self._selected(design)
        rows = design.rows(design.draw)
        eta = self.predictors(rows)
        if rows.shift is not None:
            eta = eta + self.posterior.shifts(rows.shift)
        unseen = np.where(selected.have(rows), 0.0, np.nan)
        draw, units = self.likelihood.draw, self.posterior.units
        drawn = self.of_rows(
            rows, eta, lambda where, eta, point: draw(eta, point.positive, unseen[where], rng)
        )
        if "log_sigma" in self.likelihood.further:
            drawn = units.centre_y + units.scale_y * drawn
        if self.donated:
            chain = self.chain(rows)
            drawn = by_chain(
                chain, len(self.points), lambda k, where: self.donated[k](drawn[where], rng)
            )
        return np.asarray(drawn)

    def log_density(self, rows: Design) -> Array:
        """Log density of what is known of rows: value, being seen or not, (row,)."""
        selected, units = self._selected(rows), self.posterior.units
        known = self.known_of(rows, selected)
        rows = replace(rows, columns={"seen": known})
        eta = self.predictors(rows)
        if rows.live_shift is not None:
            eta = eta + self.posterior.offset(rows)
        y, density = units.y(rows), self.likelihood.log_density
        value = self.of_rows(
            rows,
            eta,
            lambda where, eta, point: density(
                y[where], eta, point.positive, point.free, units.scale_y
            ),
        )
        return np.where((known == UNSEEN) & ~selected.have(rows), 0.0, value)
