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
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from operator import attrgetter

import numpy as np

from bayesimpute.design import DesignBuilder, Place
from bayesimpute.engine.designs import Designs
from bayesimpute.engine.live import Live, Positions, seen_within
from bayesimpute.method import Array, Design, RowDensity
from bayesimpute.sampling.normal_rows import NormalRows, Reach
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
        Columns of the data that the term is made of.
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
    moved
        Rows of its designs in which the value of a cell stands, (row,).
    reach
        How those with something to say depend on cells; multiples that can change are missing.
    multiples
        Columns that are multiples of the variable.
    """

    builder: DesignBuilder
    moved: Positions
    reach: Reach
    multiples: tuple[Multiple, ...] = ()

    @property
    def name(self) -> str:
        """Target of the model."""
        return self.builder.target.name

    def at(self, values: Mapping[str, Array]) -> Reach:
        """How rows depend on cells, at these values of the other variables."""
        if all(each.fixed for each in self.multiples):
            return self.reach
        rest = self.reach.rest.copy()
        self.fill(rest, values, False)
        return self.reach._replace(rest=rest)

    @staticmethod
    def _here(
        values: Mapping[str, Array], rows: Positions, multiples: Iterable[Multiple]
    ) -> dict[str, Array]:
        """Columns of the data that some terms are made of, in some rows."""
        return {name: values[name][rows] for each in multiples for name in each.needed}

    def fill(self, rest: Array, values: Mapping[str, Array], fixed: bool) -> None:
        """Write down what columns are multiples by: those that are fixed, or the others."""
        chosen = [each.fixed is fixed for each in self.multiples]
        here = self._here(values, self.reach.rows, compress(self.multiples, chosen))
        first = 0
        for each, wanted in zip(self.multiples, chosen, strict=True):
            last = first + each.columns
            if wanted and each.others.factors:
                rest[:, first:last] = self.builder.block(each.others, here)
            elif wanted:
                rest[:, first:last] = 1.0
            first = last

    def follow(self, values: Mapping[str, Array], design: Design) -> Design:
        """Write the new values of the cells into a design."""
        design.memo.clear()
        here = self._here(values, self.moved, self.multiples)
        for each in self.multiples:
            block = self.builder.block(each.place.term, here)
            if _width(each.place.x):
                design.x[self.moved, each.place.x] = block
            if _width(_slopes(each.place)):
                design.z[self.moved, _slopes(each.place)] = block
        if not self.reach.direct:
            return design
        # the target is the variable, or a difference to it
        target, clusters = self.builder.target, self.builder.clusters
        column = values[target.name]
        if target.level == 2 and clusters is not None:
            column = column[clusters.first_rows]
        if not target.around:
            design.y[self.moved] = column[self.moved]
            return design
        around = values[target.around]
        design.y[self.moved] = column[self.moved] - around[self.moved]
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
    told
        The variable's own model, then those that it stands in.
    """

    name: str
    rows: Positions
    owner: Positions
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
        told = [Told(own, cells, _reach(cells, np.arange(cells.size), -1.0, ()))]
        for standing in live.standings:
            says = standing.says[rows]
            multiples = tuple(_multiple(specification, place, name) for place in standing.places)
            reach = _reach(rows[says], owner[says], float(standing.around), multiples)
            each = Told(builders[standing.name], rows, reach, multiples)
            each.fill(reach.rest, specification.known, True)
            told.append(each)
        return cls(name, rows, owner, tuple(told))

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
        cells = self.told[0].moved.size
        precision, score, mean = np.zeros(cells), np.zeros(cells), np.empty(cells)
        for each in self.told:
            density = densities[each.name]
            assert isinstance(density, NormalRows)
            density.tell(designs(each.name), each.at(values), precision, score)
        mean[self.owner] = values[self.name][self.rows]
        mean += score / precision
        return mean, 1.0 / np.sqrt(precision)

    def redraw(
        self,
        densities: Mapping[str, RowDensity],
        designs: Designs,
        values: dict[str, Array],
        rng: np.random.Generator,
    ) -> None:
        """Draw the cells; completed data and designs get the new values."""
        mean, sd = self.distribution(densities, designs, values)
        column = values[self.name].copy()
        current = np.empty(mean.size)
        current[self.owner] = column[self.rows]
        noise = np.sqrt(1.0 - KEPT**2) * rng.standard_normal(mean.size)
        column[self.rows] = (mean + KEPT * (current - mean) + sd * noise)[self.owner]
        values[self.name] = column
        designs.move(self.name, {each.name: partial(each.follow, values) for each in self.told})


def _width(columns: slice) -> int:
    return columns.stop - (columns.start or 0)


def _slopes(place: Place) -> slice:
    """Where the columns of a term stand in `z` of a model of one grouping."""
    return place.z[0] if place.z else slice(0)


def _reach(
    rows: Positions, owner: Positions, direct: float, multiples: Sequence[Multiple]
) -> Reach:
    """Say how rows depend on cells, all multiples yet unknown."""
    in_x, in_z = (
        np.array(
            [place for each in multiples for place in _places(columns(each.place), each.columns)],
            dtype=np.int64,
        )
        for columns in (attrgetter("x"), _slopes)
    )
    return Reach(rows, owner, direct, in_x, in_z, np.full((rows.size, in_x.size), np.nan))


def _places(columns: slice, count: int) -> list[int]:
    """Place of each of some columns; −1 for none."""
    return list(range(columns.start, columns.stop)) if _width(columns) else [-1] * count


def _multiple(specification: Specification, place: Place, name: str) -> Multiple:
    """Take the variable out of a term, of which it is a factor once."""
    factors = list(place.term.factors)
    factors.remove(name)
    others = replace(place.term, factors=tuple(factors))
    sources = sources_of_term(others, specification.targets)
    needed = (sources | {name}) & specification.known.keys()
    return Multiple(place, others, tuple(sorted(needed)), sources.isdisjoint(specification.targets))
