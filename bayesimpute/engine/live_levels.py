r"""Levels of clusters in which a variable is mostly missing, moved with its missing values.

Where hardly any value of a variable v is seen in a cluster, its missing values there and the
cluster's effect b in the model of v hold each other: drawn given each other, as live cells are
(:mod:`bayesimpute.engine.live_cells`), they move by little, the less the larger the cluster. Nor is
it only these two: what an outcome's own effect a of the cluster takes of a level, it takes from
these values. So, before the cells are drawn, b moves along two lines, with the cells following:

- a number's cells by as much as b: :math:`(b, x) \to (b + δ, x + δ)`;
- those of categories are summed over, :math:`\sum_k p_v(k \mid b + δ) \prod_c p_c(y_c \mid k, …)`
  in each row, and drawn right after, given what b has become;
- on the second line the effects a of models that v stands in move against it,
  :math:`a \to a - κδ`, by what the cells add to their linear predictors on average.

All maps are shifts by numbers that nothing in them depends on, so that δ has the density of the
joint distribution along the line (Liu & Sabatti 2000, Biometrika 87: generalised Gibbs sampling).
It is drawn from it where that is normal, else by slice sampling (Neal 2003).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bayesimpute.data.table import Kind
from bayesimpute.design import DesignBuilder
from bayesimpute.engine.line_draws import LogDensity, by_slice, from_normal
from bayesimpute.engine.live import Live, Positions, seen_within
from bayesimpute.method import Array, DensityKernel, Design, Kernel, RowDensity
from bayesimpute.sampling.cluster_effects import ClusterEffects, EffectDensity
from bayesimpute.sampling.normal_rows import NormalRows
from bayesimpute.specification.expressions import evaluate
from bayesimpute.specification.specification import Passive, Specification

#: Share of a cluster's values above which so many are missing that its level moves by lines.
MOSTLY = 0.5
#: Width of a slice, in SDs of what the effects' own distribution is along a line.
WIDTH = 4.0

Values = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Told:
    """Rows of a model that tell of a level.

    Attributes
    ----------
    name
        Target of the model.
    rows
        Those of its design in clusters that move.
    places
        Where each stands among the rows of these clusters; of a model of clusters, −1.
    level
        Number of the cluster of each, among those that move.
    alike
        Whether its effects are of the same clusters.
    """

    name: str
    rows: Positions
    places: Positions
    level: Positions
    alike: bool


@dataclass(frozen=True, eq=False)
class Levels:
    """Clusters in which one variable is mostly missing.

    Attributes
    ----------
    name
        The variable.
    clusters
        Their numbers, (level,).
    cells
        Its live cells there: rows of the data, (cell,).
    level_of_cells
        Of each.
    live
        Which of all rows there hold one, (row,) bool.
    level
        Of each of these rows.
    own
        Rows of the variable's own model.
    children
        Of those that it stands in.
    categories
        Values of a variable of categories; empty for numbers.
    reference
        A value that no live cell changes: the mean of observed numbers.
    gaussian
        Whether all log densities are quadratic in the value.
    """

    name: str
    clusters: Positions
    cells: Positions
    level_of_cells: Positions
    live: npt.NDArray[np.bool_]
    level: Positions
    own: Told
    children: tuple[Told, ...]
    categories: Array
    reference: float
    gaussian: bool

    @classmethod
    def of(
        cls,
        specification: Specification,
        builders: Mapping[str, DesignBuilder],
        kernels: Mapping[str, Kernel],
        name: str,
        live: Live,
    ) -> "Levels | None":
        """Find them; None where there are none, or where no line is known to move them."""
        builder, kernel = builders[name], kernels[name]
        target, table = builder.target, specification.table
        if target.level == 2 or target.cluster is None or target.around or target.block:
            return None
        if effects_of(kernel) is None:
            return None
        variable = table.variables[name]
        categories = builder.coded
        if not categories.size and variable.kind is not Kind.NUMERIC:
            categories = np.arange(float(len(variable.categories)))
        if not categories.size and not (isinstance(kernel, DensityKernel) and kernel.gaussian):
            return None
        index = table.clusters(target.cluster)
        codes, cells = index.codes, specification.live_rows(name)
        missing = np.bincount(codes[cells & builder.fit], minlength=index.n)
        counted = np.bincount(codes[builder.fit], minlength=index.n)
        ignored = np.bincount(codes[specification.ignore], minlength=index.n)
        chosen = (missing > MOSTLY * counted) & (ignored == 0)
        if not chosen.any():
            return None
        number = np.cumsum(chosen) - 1
        inside = np.flatnonzero(chosen[codes])
        place = np.full(len(codes), -1)
        place[inside] = np.arange(inside.size)

        def told(model: DesignBuilder, says: npt.NDArray[np.bool_]) -> Told:
            unit = model.of_clusters
            of_rows = codes if unit is None else codes[unit.first_rows]
            rows = np.flatnonzero(says & chosen[of_rows])
            places = place[rows] if unit is None else np.full(rows.size, -1)
            alike = unit is None and model.target.cluster == target.cluster
            return Told(model.target.name, rows, places, number[of_rows[rows]], alike)

        children = []
        for standing in live.standings:
            model = builders[standing.name]
            within = seen_within(specification, model.target, standing.places)
            apart = within is None and model.of_clusters is None
            if categories.size and not apart:  # cells depend on each other
                return None
            if not apart and {within, model.target.cluster} - {None} != {target.cluster}:
                return None
            if standing.around:
                return None
            children.append(told(model, standing.says))
        rows = np.flatnonzero(cells & builder.fit & chosen[codes])
        known = specification.known[name]
        return cls(
            name, np.flatnonzero(chosen), rows, number[codes[rows]], cells[inside],
            number[codes[inside]], told(builder, builder.fit), tuple(children), categories,
            float(np.nanmean(known)), live.gaussian,
        )  # fmt: skip


class _Model:
    """A model whose effects of clusters move."""

    def __init__(self, effects: ClusterEffects, density: EffectDensity, state: Array) -> None:
        self.effects, self.density, self.state = effects, density, state
        self.intercepts = [k for k, c in enumerate(effects.columns) if c.name == "intercept"]
        inverse = np.linalg.inv(effects.factor(state))
        self._precision = inverse.T @ inverse

    def prior(self, clusters: Positions, direction: Array) -> tuple[Array, Array]:
        """First derivative of the log prior along a direction, and minus the second, (level,)."""
        pulled = direction @ self._precision
        slope = -(pulled * self.density.effects[clusters]).sum(axis=1)
        return slope, (pulled * direction).sum(axis=1)

    def added(self, told: Told, by: Array) -> Array:
        """Give what effects (level, effect) add to linear predictors of rows, (row, R)."""
        eta = np.zeros((len(told.rows), self.effects.equations))
        for k in self.intercepts:
            eta[:, self.effects.columns[k].equation] += by[told.level, k]
        return eta

    def moved(self, clusters: Positions, by: Array) -> "_Model":
        """Give it with effects moved, (level, effect)."""
        effects = self.density.effects.copy()
        effects[clusters] += by
        state = self.effects.put(self.state, effects)
        return _Model(self.effects, self.density.with_effects(effects), state)


#: A direction of the effects of several models, by name: (level, effect).
Direction = Mapping[str, Array]


class Lines:
    """The joint density along lines, of numbers or categories.

    Parameters
    ----------
    levels
        Of a variable.
    models
        Those whose effects can move, its own among them.
    densities
        Of all models that tell.
    design
        Makes the design of a model on completed data.
    values
        Completed data.
    specification
        What is imputed.
    """

    def __init__(
        self,
        levels: Levels,
        models: dict[str, _Model],
        densities: Mapping[str, RowDensity],
        design: Callable[[str, Values], Design],
        values: Values,
        specification: Specification,
    ) -> None:
        self._levels, self.models, self._densities = levels, models, densities
        self._design, self._specification = design, specification
        self.column = values[levels.name]
        self._values = values
        self._told = (levels.own, *levels.children)
        self._at = [self._designs(self._filled(value)) for value in levels.categories]
        own = densities[levels.name]
        self._scale = own.scale if isinstance(own, NormalRows) else 1.0
        self._normal = levels.gaussian and all(
            isinstance(densities[each.name], NormalRows) for each in self._told
        )

    def directions(self, effect: int) -> Iterator[Direction]:
        """Give one effect alone, and with it, against it, those of models it stands in."""
        name = self._levels.name
        alone = np.zeros((len(self._levels.clusters), len(self.models[name].effects.columns)))
        alone[:, effect] = 1.0
        yield {name: alone}
        against = self._against(self.models[name].effects.columns[effect].equation)
        if against:
            yield {name: alone, **against}

    def density(self, direction: Direction) -> LogDensity:
        """Log density along a line, of how far each level is moved."""
        levels = self._levels
        slope, curvature = self._priors(direction)
        of_rows = (self._of_categories if levels.categories.size else self._of_numbers)(direction)

        def found(moves: Array, which: Positions | None = None) -> Array:
            some = slice(None) if which is None else which
            delta = np.zeros(len(levels.clusters))
            delta[some] = moves
            with np.errstate(all="ignore"):  # candidates may be where a function has no value
                total = of_rows(delta) + (slope - curvature * delta / 2) * delta
            return np.where(np.isnan(total), -np.inf, total)[some]

        return found

    def move(self, direction: Direction, rng: np.random.Generator) -> None:
        """Move along a line, each level by an amount of its own."""
        draw = from_normal if self._normal else by_slice
        here = np.zeros(len(self._levels.clusters))
        width = WIDTH / np.sqrt(self._priors(direction)[1])
        self.put(direction, draw(self.density(direction), here, width, rng))

    def put(self, direction: Direction, delta: Array) -> None:
        """Write effects, and numbers, that have moved."""
        for name, by in direction.items():
            moved = self.models[name].moved(self._levels.clusters, by * delta[:, None])
            self.models[name] = moved
        if not self._levels.categories.size:
            self.column = self._shifted(delta)

    def _priors(self, direction: Direction) -> tuple[Array, Array]:
        """First derivative of the effects' log densities, and minus the second, (level,)."""
        clusters = self._levels.clusters
        each = [self.models[name].prior(clusters, by) for name, by in direction.items()]
        slope, curvature = np.sum(each, axis=0)
        return slope, curvature

    # -- densities -----------------------------------------------------------------------------

    def _of_numbers(self, direction: Direction) -> Callable[[Array], Array]:
        """Log density of the rows of each level whose numbers move along, (level,)."""

        def found(delta: Array) -> Array:
            designs = self._designs(self._shifted(delta))
            total = np.zeros(len(delta))
            for told in self._told:
                rows = designs[told.name]
                if told.name in direction:
                    model, by = self.models[told.name], direction[told.name] * delta[:, None]
                    eta = model.density.predictors(rows) + model.added(told, by)
                    density = model.density.given(rows, eta)
                else:
                    density = self._still(told, rows)
                total += np.bincount(told.level, density, len(delta))
            return total

        return found

    def _of_categories(self, direction: Direction) -> Callable[[Array], Array]:
        """Log density of the rows of each level, summed over categories of the cells, (level,)."""
        levels = self._levels
        still, moving = np.zeros((len(self._at), len(levels.level))), []
        for k, designs in enumerate(self._at):
            for told in self._told:
                rows = designs[told.name]
                if told.name in direction:
                    eta = self.models[told.name].density.predictors(rows)
                    moving.append((k, told, rows, eta))
                else:
                    still[k, told.places] += self._still(told, rows)

        def found(delta: Array) -> Array:
            by_category = still.copy()
            for k, told, rows, eta in moving:
                model, by = self.models[told.name], direction[told.name] * delta[:, None]
                density = model.density.given(rows, eta + model.added(told, by))
                by_category[k, told.places] += density
            by_category[np.isnan(by_category)] = -np.inf
            each = np.where(levels.live, np.logaddexp.reduce(by_category), by_category[0])
            return np.bincount(levels.level, each, len(delta))

        return found

    def _still(self, told: Told, rows: Design) -> Array:
        """Log density of rows of a model whose effects do not move, (row,)."""
        model = self.models.get(told.name)
        return np.asarray((self._densities[told.name] if model is None else model.density)(rows))

    # -- what moves against it -----------------------------------------------------------------

    def _against(self, equation: int) -> dict[str, Array]:
        """Effects of models that the variable stands in, by the move of one of its own by 1.

        Only what does not move may tell: numbers are compared at one value and a step further,
        and categories are as likely as without effects of clusters.
        """
        levels = self._levels
        if levels.categories.size:
            parts, weights = self._at, self._by_category(equation)
        else:
            ends = (levels.reference, levels.reference + self._scale)
            parts = [self._designs(self._filled(value)) for value in ends]
            weights = np.repeat([[-1.0], [1.0]], len(levels.level), axis=1)
        found = {}
        for told in levels.children:
            model = self.models.get(told.name)
            if model is None:
                continue
            added = sum(
                weight[told.places, None] * model.density.predictors(designs[told.name])
                for weight, designs in zip(weights, parts, strict=True)
            )
            by = np.zeros((len(levels.clusters), len(model.effects.columns)))
            size = np.maximum(np.bincount(told.level, minlength=len(by)), 1)
            for k in model.intercepts:
                column = np.asarray(added)[:, model.effects.columns[k].equation]
                by[:, k] = -np.bincount(told.level, column, len(by)) / size
            if np.isfinite(by).all() and by.any():
                found[told.name] = by
        return found

    def _by_category(self, equation: int) -> Array:
        """Change of the probability of each category by its linear predictor, (category, row)."""
        levels, model = self._levels, self.models[self._levels.name]
        typical = model.density.with_effects(np.zeros_like(model.density.effects))
        ends = []
        rows = [designs[levels.name] for designs in self._at]
        for step in (-0.5, 0.5):
            eta = typical.predictors(rows[0])  # which knows nothing of the category
            eta[:, equation] += step
            log_p = np.stack([typical.given(each, eta) for each in rows])
            ends.append(np.exp(log_p - np.logaddexp.reduce(log_p)))
        change = np.zeros((len(self._at), len(levels.level)))
        change[:, levels.own.places] = ends[1] - ends[0]
        return np.where(levels.live, change, 0.0)

    # -- completed data ------------------------------------------------------------------------

    def _shifted(self, delta: Array) -> Array:
        """Give the variable with its cells moved, (row,)."""
        column = self.column.copy()
        column[self._levels.cells] += self._scale * delta[self._levels.level_of_cells]
        return column

    def _filled(self, value: float) -> Array:
        """Give the variable with one value in all cells that move, (row,)."""
        column = self.column.copy()
        column[self._levels.cells] = value
        return column

    def _designs(self, column: Array) -> dict[str, Design]:
        """Rows of each model that tell, at other values of the variable."""
        values = {**self._values, self._levels.name: column}
        stale = {self._levels.name}
        for name in self._specification.passive_order:
            passive = self._specification.targets[name]
            if isinstance(passive, Passive) and not stale.isdisjoint(passive.inputs):
                known = self._specification.known[name]
                computed = np.broadcast_to(evaluate(passive.expression, values), known.shape)
                values[name] = np.where(np.isnan(known), computed, known)
                stale.add(name)
        return {told.name: self._design(told.name, values).rows(told.rows) for told in self._told}


def move_levels(
    bench: "LevelBench",
    levels: Levels,
    densities: dict[str, RowDensity],
    values: dict[str, Array],
    states: dict[str, Array],
    rng: np.random.Generator,
) -> bool:
    """Move the levels of one variable; cells of numbers move along, those of categories stay.

    Parameters
    ----------
    bench
        The compiled models.
    levels
        Of the variable.
    densities, values, states
        Of the models that tell of it; completed data; where each kernel stands: they get what has
        moved.
    rng
        Of this iteration.

    Returns
    -------
    bool
        Whether values have moved.
    """
    lines = lines_of(bench, levels, densities, values, states)
    if lines is None:
        return False
    for effect in lines.models[levels.name].intercepts:
        for direction in lines.directions(effect):
            lines.move(direction, rng)
    for name, model in lines.models.items():
        densities[name], states[name] = model.density, model.state
    values[levels.name] = lines.column
    return not levels.categories.size


def lines_of(
    bench: "LevelBench",
    levels: Levels,
    densities: Mapping[str, RowDensity],
    values: Values,
    states: Mapping[str, Array],
) -> Lines | None:
    """Give the lines; None where the density of the variable's own model knows no other effects."""
    models = {}
    for told in (levels.own, *(each for each in levels.children if each.alike)):
        density, effects = densities[told.name], effects_of(bench.kernels[told.name])
        if effects is not None and isinstance(density, EffectDensity):
            model = _Model(effects, density, states[told.name])
            if model.intercepts:
                models[told.name] = model
    if levels.name not in models:
        return None
    return Lines(levels, models, densities, bench.design, values, bench.specification)


class LevelBench(Protocol):
    """What is asked of :class:`~bayesimpute.engine.bench.Bench`."""

    @property
    def specification(self) -> Specification:
        """What is imputed."""
        ...

    @property
    def kernels(self) -> Mapping[str, Kernel]:
        """Of all models."""
        ...

    def design(self, name: str, values: Values) -> Design:
        """Design of a model on completed data."""
        ...


def effects_of(kernel: Kernel) -> ClusterEffects | None:
    """Effects by cluster of a kernel that tells of them."""
    found = getattr(kernel, "effects", None)
    return found if isinstance(found, ClusterEffects) else None
