r"""Live cells: missing values drawn from their own model times all models in which they stand.

In imputation compatible with an analysis all models are one joint distribution, and a missing
value x of variable v has, given everything else, the density

.. math::
    p(x \mid \text{rest}) \propto p_v(x \mid \text{parents}) \prod_{c} p_c(y_c \mid x, …)

over the models c that have v among their predictors. Rows are independent of each other given
parameters and effects, so all are drawn at once:

- categories by their probabilities;
- where every log density is quadratic in x (normal models, x as such in each term) from the normal
  distribution that this is;
- otherwise by slice sampling (Neal 2003) on an interval of fixed width around the current value:
  several times the spread of the variable, so that it reaches over a gap between two modes, as a
  square leaves them.

A value of a cluster sees all rows of its cluster. Where a predictor is the mean of a cluster, the
cluster's cells depend on each other, and are drawn one after the other, in all clusters side by
side.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.engine.bench import Bench
from bayesimpute.engine.completed import update_passive
from bayesimpute.engine.designs import Designs
from bayesimpute.engine.line_draws import by_slice, from_normal
from bayesimpute.engine.live import Live, Positions, Standing, seen_within
from bayesimpute.engine.live_levels import move_levels
from bayesimpute.method import Array, DensityKernel, Design, RowDensity
from bayesimpute.specification.expressions import evaluate
from bayesimpute.specification.joint_order import sources_of_term
from bayesimpute.specification.specification import Passive

#: Width of the slice's interval in SDs of the observed values: all of a distribution and more.
WIDTH = 5.0
#: A latent mean and the outcome's level of the cluster can stand in for each other: coefficients
#: and values are drawn given each other so many times an iteration, the scales being kept.
LATENT_ROUNDS = 6


def redraw(
    bench: Bench,
    designs: Designs,
    values: dict[str, Array],
    states: dict[str, Array],
    rng: np.random.Generator,
) -> list[str]:
    """Draw all live cells anew, variable by variable; gives the names of those that changed.

    Parameters
    ----------
    bench
        The compiled models.
    designs
        On these data; they follow.
    values
        Completed data, written to: variable -> (row,).
    states
        Where each kernel stands on these data; effects of clusters may move.
    rng
        Of this iteration.
    """
    specification = bench.specification
    latent = any(each.around for live in bench.live.values() for each in live.standings)
    changed: dict[str, None] = {}
    for _ in range(LATENT_ROUNDS if latent else 1):
        densities: dict[str, RowDensity] = {}
        for name, kernel in bench.speaking.items():  # of all models, before any value moves
            with bench.locks[name]:
                densities[name] = kernel.log_density(designs(name), states[name], rng)
        for name, live in bench.live.items():
            levels = bench.levels.get(name)
            if levels is not None and move_levels(bench, levels, densities, values, states, rng):
                passive = update_passive(specification, values, [name])
                designs.forget([name, *passive])
                changed |= dict.fromkeys([name, *passive])
            normal = bench.normal.get(name)
            if normal is not None and normal.can_draw(densities):
                normal.redraw(densities, designs, values, rng)
                passive = update_passive(specification, values, [name])
                designs.forget(passive)
                changed |= dict.fromkeys([name, *passive])
                continue
            for cells in live.waves:  # each sees what the one before has changed
                drawing = Drawing(bench, name, live, cells, values, densities, designs)
                drawing.put(_draw(drawing, live, rng), values)
                passive = update_passive(specification, values, [name])
                designs.forget([name, *passive])
                changed |= dict.fromkeys([name, *passive])
    return list(changed)


class Drawing:
    """Cells of one variable that are drawn at once, and the density of any values of theirs."""

    def __init__(
        self,
        bench: Bench,
        name: str,
        live: Live,
        cells: Positions,
        values: Mapping[str, Array],
        densities: Mapping[str, RowDensity],
        designs: Designs,
    ) -> None:
        self.name, self.cells = name, cells
        self.builder = builder = bench.builders[name]
        self.kernel = bench.kernels[name]
        self._own, self._design = densities[name], designs(name).rows(cells)
        level2 = builder.target.level == 2 and builder.clusters is not None
        self.of_clusters = builder.clusters.codes if level2 and builder.clusters else None
        column = values[name]
        if self.of_clusters is not None and builder.clusters is not None:
            column = column[builder.clusters.first_rows]
        self.current = column[cells]
        around = builder.target.around
        self._around = values[around][cells] if around else np.zeros(len(cells))
        self._children = [
            _Child(bench, each, self, values, densities[each.name], designs(each.name))
            for each in live.standings
        ]

    def log_density(self, candidate: Array, which: Positions | None = None) -> Array:
        """Log density of values of some cells given everything else, up to a constant, (cell,)."""
        design = self._design if which is None else self._design.rows(which)
        with np.errstate(all="ignore"):  # candidates may be where a function has no value
            around = self._around if which is None else self._around[which]
            total = self._own(design.but(y=self.builder.codes(candidate) - around))
            for child in self._children:
                total = total + child.log_density(candidate, which)
        return np.where(np.isnan(total), -np.inf, total)

    def owners(self, rows: int) -> Positions:
        """Cell that each row of the data holds, (row,); −1 for none."""
        places = np.arange(len(self.cells))
        if self.of_clusters is None:
            owner = np.full(rows, -1)
            owner[self.cells] = places
            return owner
        by_cluster = np.full(self.of_clusters.max() + 1, -1)
        by_cluster[self.cells] = places
        return np.asarray(by_cluster[self.of_clusters])

    def put(self, drawn: Array, values: dict[str, Array]) -> None:
        """Write drawn values into the completed data."""
        column = values[self.name].copy()
        owner = self.owners(len(column))
        column[owner >= 0] = drawn[owner[owner >= 0]]
        values[self.name] = column


class _Child:
    """Rows of a model that see the cells, and their density as these move."""

    def __init__(
        self,
        bench: Bench,
        standing: Standing,
        drawing: Drawing,
        values: Mapping[str, Array],
        density: RowDensity,
        design: Design,
    ) -> None:
        specification, builder = bench.specification, bench.builders[standing.name]
        self._builder, self._density, self._places = builder, density, standing.places
        self._name, self._count = drawing.name, len(drawing.cells)
        self._around = drawing.current if standing.around else None
        # which cell each row of the data sees; moving: its own value is the cell's
        owner = drawing.owners(specification.table.n_rows)
        self._moving = owner >= 0
        within = seen_within(specification, builder.target, self._places)
        self._averaged = within is not None
        if within is not None:
            codes = specification.table.clusters(within).codes
            of_cluster = np.full(codes.max() + 1, -1)
            of_cluster[codes[self._moving]] = owner[self._moving]
            owner = of_cluster[codes]
        unit = builder.of_clusters
        by_design = owner if unit is None else owner[unit.first_rows]
        self._row_owner = owner
        self._rows = np.flatnonzero((by_design >= 0) & standing.says)
        self._owner = by_design[self._rows]
        needed = {
            name
            for place in self._places
            for name in sources_of_term(
                place.term, specification.targets, specification.table.variables
            )
        } & set(values) | {drawing.name}
        self._values = {name: values[name] for name in needed}
        self._passives = [
            passive
            for name in specification.passive_order
            if name in needed and isinstance(passive := specification.targets[name], Passive)
        ]
        self._known = specification.known
        self._design = design.rows(self._rows)

    def log_density(self, candidate: Array, which: Positions | None) -> Array:
        """Sum of the log densities of the rows that see each of some cells, (cell,)."""
        position, owner, rows, design = (
            np.arange(self._count),
            self._owner,
            self._rows,
            self._design,
        )
        if which is not None:
            position = np.full(self._count, -1)
            position[which] = np.arange(len(which))
            owner = position[self._owner]
            keep = owner >= 0
            design, rows, owner = design.rows(keep), rows[keep], owner[keep]
        if not owner.size:
            return np.zeros(len(candidate))
        x = design.x.copy()
        zs = [design.z.copy(), *(each.z.copy() for each in design.groupings)]
        effects, unit = self._builder.effects, self._builder.of_clusters
        if unit is None:
            values = self._at(rows, candidate, position)
            for place in self._places:
                if _width(place.x) or any(map(_width, place.z)):
                    block = self._builder.columns(place.term, values)[1]
                    if _width(place.x):
                        x[:, place.x] = block
                    for z, columns in zip(zs, place.z, strict=False):
                        if _width(columns):
                            z[:, columns] = block
        if self._averaged:
            whole = np.flatnonzero(position[self._row_owner] >= 0)
            values = self._at(whole, candidate, position)
            for place in self._places:
                block = self._builder.columns(place.term, values)[1]
                if unit is not None:
                    mean = _means(block, unit.codes[whole], rows)
                    for z, columns in zip([x, *zs], (place.x, *place.z), strict=False):
                        if _width(columns):
                            z[:, columns] = mean
                for each, columns in zip(effects, place.means, strict=True):
                    if _width(columns):
                        codes = each.of_rows.codes[whole]
                        x[:, columns] = _means(block, codes, each.codes[rows])
        y = design.y
        if self._around is not None:
            current = self._around if which is None else self._around[which]
            y = y + (current - candidate)[owner]
        groupings = tuple(replace(g, z=z) for g, z in zip(design.groupings, zs[1:], strict=True))
        density = self._density(design.but(x=x, z=zs[0], groupings=groupings, y=y))
        return np.asarray(np.bincount(owner, density, len(candidate)))

    def _at(self, rows: Positions, candidate: Array, position: Positions) -> dict[str, Array]:
        """Columns of some rows of the data, the cells among them at their candidates."""
        values = {name: column[rows] for name, column in self._values.items()}
        moving = self._moving[rows]
        values[self._name][moving] = candidate[position[self._row_owner[rows[moving]]]]
        for passive in self._passives:
            known = self._known[passive.name][rows]
            computed = np.broadcast_to(evaluate(passive.expression, values), known.shape)
            values[passive.name] = np.where(np.isnan(known), computed, known)
        return values


def _means(block: Array, codes: Positions, wanted: Positions) -> Array:
    """Mean of each column by cluster, for the clusters wanted, (wanted, column)."""
    count = int(max(codes.max(initial=0), wanted.max(initial=0))) + 1
    size = np.bincount(codes, minlength=count)[wanted]
    return np.column_stack([np.bincount(codes, column, count)[wanted] / size for column in block.T])


def _width(columns: slice) -> int:
    return columns.stop - (columns.start or 0)


# --- draws ----------------------------------------------------------------------------------------


def _draw(drawing: Drawing, live: Live, rng: np.random.Generator) -> Array:
    """Draw the cells of a wave, (cell,)."""
    builder = drawing.builder
    variable = builder.table.variables[drawing.name]
    if builder.coded.size:
        return _draw_category(drawing, builder.coded, rng)
    if variable.kind is not Kind.NUMERIC:
        return _draw_category(drawing, np.arange(float(len(variable.categories))), rng)
    if live.gaussian:
        return from_normal(drawing.log_density, drawing.current, live.spread, rng)
    kernel = drawing.kernel
    whole = isinstance(kernel, DensityKernel) and kernel.measure == "probability"
    return by_slice(drawing.log_density, drawing.current, WIDTH * live.spread, rng, whole)


def _draw_category(drawing: Drawing, values: Array, rng: np.random.Generator) -> Array:
    """Draw each cell from its probabilities."""
    cells = len(drawing.cells)
    log_density = np.stack([drawing.log_density(np.full(cells, value)) for value in values])
    gumbel = rng.gumbel(size=log_density.shape)
    return np.asarray(values[(log_density + gumbel).argmax(axis=0)])
