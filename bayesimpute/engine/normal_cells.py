r"""Live cells whose distribution is normal, as lines say: drawn in one pass over the rows.

Where a variable x, and all models that it stands in, are normal, and a term has x as a factor once,
the mean of each of their rows is a line in the value of the row's cell. With slope :math:`s_r` and
residual :math:`e_r` at the value as it stands, the cell's distribution given everything else is

.. math::
    N\Bigl(x + \frac{\sum_r s_r e_r / σ_r^2}{\sum_r s_r^2 / σ_r^2},\;
           \frac{1}{\sum_r s_r^2 / σ_r^2}\Bigr),

over all rows r that see the cell, that of its own model among them (slope −1). With mean m and SD s
of it, the new value is :math:`m - (x - m)/2 + \sqrt{3/4}\, s\, ε`, which has that distribution if
x has (over-relaxation, Adler 1981, Physical Review D 23). What follows from the specification
alone, which rows see which cell by which columns, is worked out once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from bayesimpute.design import DesignBuilder, Place
from bayesimpute.engine.designs import Designs
from bayesimpute.engine.live import Live, Positions, seen_within
from bayesimpute.method import Array, Design, RowDensity
from bayesimpute.sampling.gaussian import rows_of
from bayesimpute.sampling.normal_rows import NormalRows, Reach, follow
from bayesimpute.specification.joint_order import sources_of_term
from bayesimpute.specification.specification import Specification, Term

#: What a cell keeps of its distance to its mean: less than nothing, so that what is drawn given
#: the cells forgets them sooner; far from −1, so that their spread is soon forgotten too.
KEPT = -0.5


@dataclass(frozen=True, eq=False)
class Multiple:
    """Columns of a term that has the variable as a factor.

    Attributes
    ----------
    place
        Where they stand.
    others
        The term without the variable: what they are multiples by.
    needed
        Columns of the data that these are made of; any one where none is.
    fixed
        Whether these multiples cannot change.
    """

    place: Place
    others: Term
    needed: tuple[str, ...]
    fixed: bool

    @property
    def columns(self) -> int:
        """How many."""
        return max(_width(self.place.x), _width(_slopes(self.place)))


@dataclass(frozen=True, eq=False)
class Told:
    """A model some of whose rows see the cells.

    Attributes
    ----------
    builder
        Of its designs.
    reach
        How its rows depend on cells.
    multiples
        Columns that are multiples of the variable.
    rest
        What they are multiples by, (row, column); NaN where that can change.
    """

    builder: DesignBuilder
    reach: Reach
    multiples: tuple[Multiple, ...] = ()
    rest: Array = field(default_factory=lambda: np.empty((0, 0)))

    @classmethod
    def of(
        cls,
        specification: Specification,
        builder: DesignBuilder,
        reach: Reach,
        multiples: tuple[Multiple, ...] = (),
    ) -> "Told":
        """Work out what cannot change."""
        columns = sum(each.columns for each in multiples)
        told = cls(builder, reach, multiples, np.full((reach.rows.size, columns), np.nan))
        told._fill(told.rest, specification.known, True)
        return told

    @property
    def name(self) -> str:
        """Target of the model."""
        return self.builder.target.name

    @cached_property
    def follows(self) -> bool:
        """Whether columns are what a design made anew would have, to the last bit.

        Of three numbers it would have another product.
        """
        numbers = [
            [factor for factor in each.place.term.factors if factor not in self.builder.levels]
            for each in self.multiples
        ]
        return all(len(each) < 3 for each in numbers)

    @cached_property
    def _fixed(self) -> bool:
        return all(each.fixed for each in self.multiples)

    def at(self, values: Mapping[str, Array]) -> Array:
        """Give what columns are multiples by, at these values of the others, (row, column)."""
        if self._fixed:
            return self.rest
        rest = self.rest.copy()
        self._fill(rest, values, False)
        return rest

    def _fill(self, rest: Array, values: Mapping[str, Array], fixed: bool) -> None:
        """Write down what columns are multiples by: those that are fixed, or the others."""
        first, rows = 0, self.reach.rows
        for each in self.multiples:
            last = first + each.columns
            if each.fixed is fixed:
                here = {name: values[name][rows] for name in each.needed}
                rest[:, first:last] = (
                    self.builder.block(each.others, here) if each.others.factors else 1.0
                )
            first = last

    def follow(
        self, values: Mapping[str, Array], rest: Array, drawn: Array, design: Design
    ) -> Design:
        """Write the new values of the cells, (cell,), into a design."""
        design.memo.clear()
        reach = self.reach
        if self.multiples:
            follow(rows_of(design), reach, rest, drawn)
        if not reach.direct:
            return design
        # the target is the variable, or a difference to it
        target, rows = self.builder.target, reach.rows
        if not target.around:
            design.y[rows] = drawn[reach.owner]
            return design
        around = values[target.around]
        design.y[rows] = values[target.name][rows] - around[rows]
        return replace(design, around=around)


@dataclass(frozen=True, eq=False)
class NormalCells:
    """The live cells of one variable, which are drawn at once.

    Attributes
    ----------
    name
        The variable.
    rows, owner
        Rows of the data that hold a cell, and the number of that cell, (row,).
    holders
        One of these rows for each cell, (cell,).
    told
        The variable's own model, then those that it stands in.
    """

    name: str
    rows: Positions
    owner: Positions
    holders: Positions
    told: tuple[Told, ...]

    @classmethod
    def of(
        cls,
        specification: Specification,
        builders: Mapping[str, DesignBuilder],
        name: str,
        live: Live,
    ) -> "NormalCells | None":
        """Work out what follows from the specification; None where cells are drawn in other ways.

        Among the latter are those that depend on each other by the mean of a cluster, and those in
        models of several groupings.
        """
        averaged = any(
            seen_within(specification, builders[each.name].target, each.places) is not None
            for each in live.standings
        )
        models = (name, *(each.name for each in live.standings))
        several = any(len(builders[each].effects) > 1 for each in models)
        if not live.gaussian or averaged or several or len(live.waves) != 1:
            return None
        (cells,), own = live.waves, builders[name]
        rows = np.flatnonzero(specification.live_rows(name))
        owner = np.arange(rows.size)
        if own.target.level == 2 and own.clusters is not None:
            owner = np.searchsorted(cells, own.clusters.codes[rows])
        of_cells = np.arange(cells.size)
        told = [Told(own, _reach(cells, of_cells, np.ones(cells.size, dtype=bool), -1.0, ()))]
        for standing in live.standings:
            multiples = tuple(_multiple(specification, place, name) for place in standing.places)
            reach = _reach(rows, owner, standing.says[rows], float(standing.around), multiples)
            told.append(Told.of(specification, builders[standing.name], reach, multiples))
        holders = rows[np.unique(owner, return_index=True)[1]]
        return cls(name, rows, owner, holders, tuple(told))

    def can_draw(self, densities: Mapping[str, RowDensity]) -> bool:
        """Whether all models say lines, as those do that no wrapper changes."""
        return all(isinstance(densities[each.name], NormalRows) for each in self.told)

    def distribution(
        self,
        densities: Mapping[str, RowDensity],
        designs: Designs,
        values: Mapping[str, Array],
    ) -> tuple[Array, Array]:
        """Mean and SD of each cell given everything else, (cell,)."""
        precision, move = self._precision(densities, designs, [e.at(values) for e in self.told])
        return values[self.name][self.holders] + move, 1.0 / np.sqrt(precision)

    def _precision(
        self, densities: Mapping[str, RowDensity], designs: Designs, rests: Iterable[Array]
    ) -> tuple[Array, Array]:
        """Precision of each cell, and how far its mean is from its value, (cell,)."""
        precision, score = np.zeros(self.holders.size), np.zeros(self.holders.size)
        for each, rest in zip(self.told, rests, strict=True):
            density = densities[each.name]
            assert isinstance(density, NormalRows)
            density.tell(rows_of(designs(each.name)), each.reach, rest, precision, score)
        return precision, score / precision

    def redraw(
        self,
        densities: Mapping[str, RowDensity],
        designs: Designs,
        values: dict[str, Array],
        rng: np.random.Generator,
    ) -> None:
        """Draw the cells; completed data and designs get the new values."""
        rests = [each.at(values) for each in self.told]
        precision, move = self._precision(densities, designs, rests)
        column = values[self.name].copy()
        noise = rng.standard_normal(precision.size)
        drawn = column[self.holders]
        drawn += (1.0 - KEPT) * move + np.sqrt((1.0 - KEPT**2) / precision) * noise
        column[self.rows] = drawn[self.owner]
        values[self.name] = column
        following = {
            each.name: partial(each.follow, values, rest, drawn)
            for each, rest in zip(self.told, rests, strict=True)
            if each.follows
        }
        designs.move(self.name, following)


def _width(columns: slice) -> int:
    return columns.stop - (columns.start or 0)


def _slopes(place: Place) -> slice:
    """Where the columns of a term stand in `z` of a model of one grouping."""
    return place.z[0] if place.z else slice(0)


def _reach(
    rows: Positions,
    owner: Positions,
    says: npt.NDArray[np.bool_],
    direct: float,
    multiples: Sequence[Multiple],
) -> Reach:
    """Say how rows depend on cells."""
    in_x, in_z = (
        np.array(
            [place for each in multiples for place in _places(columns(each.place), each.columns)],
            dtype=np.int64,
        )
        for columns in (attrgetter("x"), _slopes)
    )
    return Reach(rows, owner, says, direct, in_x, in_z)


def _places(columns: slice, count: int) -> list[int]:
    """Place of each of some columns; −1 for none."""
    return list(range(columns.start, columns.stop)) if _width(columns) else [-1] * count


def _multiple(specification: Specification, place: Place, name: str) -> Multiple:
    """Take the variable out of a term, of which it is a factor once."""
    factors = list(place.term.factors)
    factors.remove(name)
    others = replace(place.term, factors=tuple(factors))
    sources = sources_of_term(others, specification.targets, specification.table.variables)
    needed = sources & specification.known.keys() or {name}
    return Multiple(place, others, tuple(sorted(needed)), sources.isdisjoint(specification.targets))
