"""Wrapped models at drawn parameters, asked of new rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from bayesimpute.errors import DataError
from bayesimpute.method import Array, Design
from bayesimpute.sampling.row_draws import NEW, Further, Positions, RowDraws
from bayesimpute.wrappers.base import Rows


@dataclass(frozen=True, eq=False)
class Wrapped:
    """Draws of the model inside; what a subclass does not say is asked of it."""

    inside: Any

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        return replace(self, inside=self.inside.beside([each.inside for each in others]))

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose clusters of the model inside."""
        return replace(self, inside=self.inside.of_clusters(clusters, rng, further))


@dataclass(frozen=True, eq=False)
class ShiftedDraws(Wrapped):
    """δ-adjusted draws.

    Attributes
    ----------
    shifted
        Gives a design its shift, from amounts (amount,).
    amounts
        As drawn for each chain, (chain, amount).
    position
        Of the shifted member of a block; None where the target is shifted itself.
    clusters
        How many clusters a chain has.
    """

    shifted: Callable[[Design, Array], Design]
    amounts: Array
    position: int | None
    clusters: int

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        amounts = np.concatenate([self.amounts, *(each.amounts for each in others)])
        return replace(super().beside(others), amounts=amounts)

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose clusters of the model inside."""
        return replace(super().of_clusters(clusters, rng, further), clusters=len(clusters))

    def _with_shift(self, design: Design, chain: Positions) -> Design:
        """Shift each row by the amounts of its chain."""
        shift: Any = None
        for amounts in np.unique(self.amounts, axis=0):
            of = self.shifted(design, amounts).shift
            assert of is not None
            here = (self.amounts == amounts).all(axis=1)[chain]
            shift = (
                of
                if shift is None
                else np.where(here if of.ndim == 1 else here[:, None], of, shift)
            )
        return replace(design, shift=shift)

    def seen(self, design: Design) -> Design:
        """Give the design that the model inside gets."""
        chain = design.cluster // self.clusters
        if self.position is None:
            return self._with_shift(design, chain)
        members = list(design.members)
        members[self.position] = self._with_shift(members[self.position], chain)
        return replace(design, members=tuple(members))

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw with the shift."""
        drawn: Array = self.inside.draw(self.seen(design), rng)
        return drawn

    def log_density(self, rows: Design) -> Array:
        """Log density of rows, those that are drawn being shifted."""
        density: Array = self.inside.log_density(self.seen(rows))
        return density


@dataclass(frozen=True, eq=False)
class GroupedDraws:
    """A model for each group of rows.

    Attributes
    ----------
    inside
        By label of the group.
    rows
        Gives the rows of each group of a design.
    by
        Column that makes the groups.
    """

    inside: Mapping[str, RowDraws]
    rows: Callable[[Design], dict[str, Rows]]
    by: str

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        inside = {
            label: own.beside([each.inside[label] for each in others])
            for label, own in self.inside.items()
        }
        return replace(self, inside=inside)

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose clusters in each group."""
        inside = {
            label: own.of_clusters(clusters, rng, further) for label, own in self.inside.items()
        }
        return replace(self, inside=inside)

    def _by_group(self, design: Design, wanted: Rows, value: Callable[..., Array]) -> Array:
        out, left = np.full(len(design.y), np.nan), wanted.copy()
        for label, rows in self.rows(design).items():
            if (rows & wanted).any():
                out[rows & wanted] = value(self.inside[label], design.rows(rows))
            left &= ~rows
        if left.any():
            raise DataError(
                f"{design.target!r} has a model for each group of {self.by!r}, and none for a "
                f"group that was not there when the imputations were made; {int(left.sum())} "
                "missing value(s) are of such rows."
            )
        return out

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw each group by its own model."""
        values = self._by_group(design, design.draw, lambda own, part: own.draw(part, rng))
        return values[design.draw]

    def log_density(self, rows: Design) -> Array:
        """Log density of rows, each by the model of its group."""
        everywhere = np.ones(len(rows.y), dtype=bool)
        return self._by_group(rows, everywhere, lambda own, part: own.log_density(part))


@dataclass(frozen=True, eq=False)
class WhereDraws(Wrapped):
    """A model where a condition holds.

    Attributes
    ----------
    key
        Column of the design that is 1 where it does.
    elsewhere
        Value of other rows; NaN for none.
    """

    key: str
    elsewhere: float

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw where the condition holds; elsewhere the value is known."""
        holds = design.columns[self.key] == 1
        values = np.full(len(design.y), self.elsewhere)
        if (holds & design.draw).any():
            values[holds & design.draw] = self.inside.draw(design.rows(holds), rng)
        return values[design.draw]

    def log_density(self, rows: Design) -> Array:
        """Log density of rows where the condition holds; elsewhere there is no model."""
        holds = rows.columns[self.key] == 1
        out = np.zeros(len(rows.y))
        if holds.any():
            out[holds] = self.inside.log_density(rows.rows(holds))
        return out


@dataclass(frozen=True, eq=False)
class FixedDraws(Wrapped):
    """A model that sees clusters as indicator columns.

    Attributes
    ----------
    columns
        Numbers of the clusters that have a column.
    clusters
        Numbers that rows' clusters had when the model was fitted, (cluster,).
    name
        Of the column of clusters.
    fitted
        How many there were.
    """

    columns: Positions
    clusters: Positions
    name: str
    fitted: int

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose clusters.

        Raises
        ------
        DataError
            If one is new.
        """
        if (clusters == NEW).any():
            raise DataError(
                f"fixed_clusters knows the effects of the clusters of {self.name!r} that it was "
                "fitted to, and of no others"
            )
        return replace(self, clusters=clusters)

    def seen(self, design: Design) -> Design:
        """Give the design that the model inside gets."""
        chain, within = np.divmod(design.cluster, len(self.clusters))
        number = self.clusters[within]
        indicators = (number[:, None] == self.columns).astype(float)
        return replace(
            design,
            x=np.hstack([design.x, indicators]),
            z=np.empty((len(design.y), 0)),
            cluster=chain * self.fitted + number,
        )

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw with indicator columns."""
        drawn: Array = self.inside.draw(self.seen(design), rng)
        return drawn

    def log_density(self, rows: Design) -> Array:
        """Log density of rows, which get their indicator columns."""
        density: Array = self.inside.log_density(self.seen(rows))
        return density
