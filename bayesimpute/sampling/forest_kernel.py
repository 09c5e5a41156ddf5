r"""Visits of a model whose predictors act through a sum of trees.

With latent values z of :mod:`bayesimpute.sampling.latent`,

.. math::
    z_{ij} = \text{intercept} + f(x_{ij}) + b_j + ε_{ij},\quad b_j \sim N(0, sd^2),\quad
    ε_{ij} \sim N(0, σ^2),

with such effects of each grouping where rows are in clusters of several kinds,

f a sum of trees whose leaves have the variance :math:`sd_{trees}^2/m`. A sweep moves, each given
all else:

1. latent values, and cutpoints without them;
2. each tree and its leaves (:mod:`bayesimpute.sampling.forest`);
3. the SD of the trees twice, given their numbers and given these in units of it (interweaving: Yu &
   Meng 2011), and the level of each tree against the intercept;
4. of each grouping in turn the SD between clusters with intercept and effects integrated out, then
   these exactly;
5. σ.

State: forests, then intercepts or cutpoints, unconstrained scales, effects of the clusters. It
grows with trees and clusters and not with rows, so chains go on from a file as others do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bayesimpute.method import Adaptation, Array, Design, Parameters, Prediction, Visit
from bayesimpute.sampling.forest import (
    NODES,
    Grid,
    fitted,
    leaves,
    placed,
    shift_levels,
    stumps,
    sweep,
)
from bayesimpute.sampling.groupings import designs_of
from bayesimpute.sampling.latent import Latent
from bayesimpute.sampling.row_draws import NEW, Further, Moment, Positions, by_chain
from bayesimpute.sampling.scales import ScalePriors
from bayesimpute.sampling.slice import slice_step

#: Sweeps at a chain's first visit, that take it away from the forest all chains start with.
FIRST_SWEEPS = 50
#: Width of the slices in which scales move, on their unconstrained scale.
WIDTH = 0.5
#: Of a scale in computing units: below, nothing differs but the precision of numbers.
SMALLEST = 1e-8


@dataclass(frozen=True, eq=False)
class Standing:
    """A state taken apart; its parts are views of `vector`.

    Attributes
    ----------
    vector
        The whole state, (state,).
    forests
        (equation, tree, 2, node).
    levels
        Intercepts (equation,), or cutpoints.
    unconstrained
        SD of the trees of each equation, SD between clusters of each, grouping by grouping, then σ.
    effects
        Of each grouping, (equation, cluster).
    """

    vector: Array
    forests: Array
    levels: Array
    unconstrained: Array
    effects: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Rows:
    """What a visit learns from, in computing units.

    Attributes
    ----------
    y
        Target, (row,).
    codes
        Of the predictors, (predictor, row).
    clusters
        Of each grouping, (row,).
    offset
        Known part of the linear predictors, (row, equation).
    """

    y: Array
    codes: npt.NDArray[np.int16]
    clusters: tuple[npt.NDArray[np.int64], ...]
    offset: Array

    def effects(self, effects: Sequence[Array]) -> Array:
        """Sum of the effects of all groupings in each row, (row, equation)."""
        return np.asarray(sum(b.T[c] for b, c in zip(effects, self.clusters, strict=True)))


@dataclass(frozen=True, eq=False)
class ForestModel:
    """A model, fixed once: what its priors are and what its values hang on.

    Attributes
    ----------
    latent
        How the target hangs on latent values.
    grid
        Thresholds of the predictors.
    trees
        Number of trees of each equation.
    centre, unit
        Of the target: 0 and 1 for categories.
    intercept_mean, intercept_variance
        Of the normal priors of the intercepts in computing units, (equation,).
    scales
        Priors of the scales, named ``sd_trees…, sd_intercept…, sigma``: the defaults in computing
        units, those that the user replaced in the target's.
    categories
        Labels of the equations where there are several.
    levels
        Labels of all categories of an ordered target.
    clusters
        Numbers of clusters of each grouping with effects.
    names
        Of these groupings where there are several; one of no name else.
    varying
        Whether there are effects by each grouping of a design: fixed ones, and means of clusters
        without effects, leave it without.
    """

    latent: Latent
    grid: Grid
    trees: int
    centre: float
    unit: float
    intercept_mean: Array
    intercept_variance: Array
    scales: ScalePriors
    categories: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    clusters: tuple[int, ...] = ()
    names: tuple[str, ...] = ("",)
    varying: tuple[bool, ...] = (False,)

    @property
    def sd_names(self) -> tuple[str, ...]:
        """Name of the SD between clusters of each grouping."""
        own = zip(self.clusters, self.names, strict=False)
        return tuple(f"sd_intercept|{name}" if name else "sd_intercept" for _, name in own)

    @property
    def in_units(self) -> Array:
        """Computing units of one unit of each scale's prior, (scale,)."""
        return np.where(self.scales.replaced, 1.0 / self.unit, 1.0)


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
        How many clusters a chain has in each grouping, with effects or without; one of one for
        none.
    varying
        Whether there are effects by each grouping.
    """

    kernel: Any
    chains: tuple[Any, ...]
    between: tuple[Array, ...]
    clusters: tuple[int, ...]
    varying: tuple[bool, ...]

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
        with_effects = [own for own, kept in zip(numbers, self.varying, strict=True) if kept]
        chains = []
        for chain, between in zip(self.chains, self.between, strict=True):
            chosen = []
            for effects, sd, own in zip(chain.effects, between, with_effects, strict=True):
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


class ForestKernel:
    """Visits of one model."""

    #: Threads may use it side by side: it holds no state, and compiled sweeps hold no lock.
    shareable = True
    gaussian = False

    def __init__(self, model: ForestModel, options: Mapping[str, Any]) -> None:
        self._model, self._options = model, options
        latent, several = model.latent, model.categories
        labels: dict[str, tuple[str, ...]] = {}
        if latent.cutpoints:
            labels["share"] = model.levels
            labels["cutpoints"] = tuple(f"{a}|{b}" for a, b in pairwise(model.levels))
        else:
            labels["intercept"] = several
        labels["sd_trees"] = several
        labels |= dict.fromkeys(model.sd_names, several)
        if latent.with_sigma:
            labels["sigma"] = ()
        self.labels: Mapping[str, tuple[str, ...]] = labels

    # --- state ------------------------------------------------------------------------------------

    @property
    def _sizes(self) -> tuple[int, int, int, int]:
        model = self._model
        equations = model.latent.equations
        return (
            equations * model.trees * 2 * NODES,
            model.latent.cutpoints or equations,
            len(model.scales.names),
            equations * sum(model.clusters),
        )

    @property
    def size(self) -> int:
        """Length of a state."""
        return sum(self._sizes)

    def _apart(self, state: Array) -> Standing:
        """Take a copy of a state apart."""
        vector = state.copy()
        ends = np.cumsum(self._sizes)
        forests, levels, unconstrained, effects = np.split(vector, ends[:-1])
        equations = self._model.latent.equations
        sizes = [equations * n for n in self._model.clusters]
        each = np.split(effects, np.cumsum(sizes)[:-1]) if sizes else []
        return Standing(
            vector,
            forests.reshape(equations, self._model.trees, 2, NODES),
            levels,
            unconstrained,
            tuple(own.reshape(equations, -1) for own in each),
        )

    def _beginning(self, design: Design) -> Array:
        """Give a state without a split anywhere."""
        at = self._apart(np.zeros(self.size))
        at.forests[:] = stumps(self._model.trees)
        if self._model.latent.cutpoints:
            at.levels[:] = self._model.latent.start(design.y[design.fit])
        return at.vector

    def _scales(self, at: Standing) -> tuple[Array, Array, float]:
        """SDs of the trees (equation,), between clusters (grouping, equation), and σ."""
        values = self._model.scales(at.unconstrained)[2] * self._model.in_units
        equations = self._model.latent.equations
        end = equations * (1 + len(self._model.clusters))
        between = values[equations:end].reshape(-1, equations)
        return values[:equations], between, float(values[-1]) if self._has_sigma else 1.0

    @property
    def _has_sigma(self) -> bool:
        return self._model.latent.with_sigma

    # --- a sweep ----------------------------------------------------------------------------------

    def _rows(self, design: Design) -> Rows:
        rows = design.rows(design.fit)
        offset = np.zeros((len(rows.y), self._model.latent.equations))
        shift = rows.live_shift
        if shift is not None:
            offset += self._shift(shift)
        codes = self._model.grid.codes(rows.x)
        y = (rows.y - self._model.centre) / self._model.unit
        return Rows(y, codes, self._clusters(rows), offset)

    def _clusters(self, rows: Design) -> tuple[npt.NDArray[np.int64], ...]:
        """Clusters of rows in each grouping with effects."""
        pairs = zip(designs_of(rows), self._model.varying, strict=True)
        return tuple(each.cluster for each, has_effects in pairs if has_effects)

    def _shift(self, shift: Array) -> Array:
        """Shift of the linear predictors, (row, equation) or (row, 1)."""
        return np.asarray((shift if shift.ndim == 2 else shift[:, None]) / self._model.unit)

    def _move(self, rows: Rows, state: Array, sweeps: int, rng: np.random.Generator) -> Standing:
        """Make some sweeps."""
        at = self._apart(state)
        places = np.stack([placed(forest, rows.codes) for forest in at.forests])
        fit = np.column_stack([*map(fitted, at.forests, places)])
        for _ in range(sweeps):
            self._sweep(rows, at, places, fit, rng)
        return at

    def _sweep(
        self,
        rows: Rows,
        at: Standing,
        places: npt.NDArray[np.int8],
        fit: Array,
        rng: np.random.Generator,
    ) -> None:
        model, latent = self._model, self._model.latent
        intercepts = np.zeros(latent.equations) if latent.cutpoints else at.levels
        base = rows.offset + intercepts
        if model.clusters:
            base = base + rows.effects(at.effects)
        z = latent.draw(rows.y, base + fit, at.levels, rng)
        for k in range(latent.equations):
            sds, _, sigma = self._scales(at)
            rest = z[:, k] - base[:, k]
            residual = rest - fit[:, k]
            variance, spread = sigma**2, sds[k] ** 2 / model.trees
            counts = model.grid.counts
            sweep(at.forests[k], places[k], rows.codes, residual, counts, variance, spread, rng)
            fit[:, k] = rest - residual
            self._move_trees_sd(at, k, rest, fit, variance, rng)
            spread = self._scales(at)[0][k] ** 2 / model.trees
            levels, sign = (at.levels, 1.0) if latent.cutpoints else (at.levels[k : k + 1], -1.0)
            mean = 0.0 if latent.cutpoints else float(model.intercept_mean[k])
            known = 1.0 if latent.cutpoints else float(model.intercept_variance[k])
            before = float(levels[0])
            shift_levels(at.forests[k], levels, sign, mean, known, spread, rng)
            if latent.cutpoints:  # latent values keep their place between the cutpoints
                z[:, k] += float(levels[0]) - before
            fit[:, k] = fitted(at.forests[k], places[k])
            self._move_level(at, k, z[:, k] - rows.offset[:, k] - fit[:, k], rows, variance, rng)
        if latent.equations > 1:
            _shift_all(at.levels, model.intercept_mean, model.intercept_variance, rng)
        if self._has_sigma:
            self._move_sigma(rows, at, fit, rng)

    def _slice(
        self, at: Standing, position: int, log_density: Callable[[float], float], rng: Any
    ) -> None:
        """Move one scale, given the log density of its value."""
        scales, here = self._model.scales, at.unconstrained.copy()
        unit = float(self._model.in_units[position])

        def of(u: float) -> float:
            here[position] = u
            prior, _, values, _ = scales(here)
            value = float(values[position]) * unit
            return prior + log_density(value) if value > SMALLEST else -np.inf

        at.unconstrained[position] = slice_step(of, float(here[position]), WIDTH, rng)

    def _move_trees_sd(
        self, at: Standing, k: int, rest: Array, fit: Array, variance: float, rng: Any
    ) -> None:
        """Move the SD of the trees given their numbers, then together with them."""
        count, squares = leaves(at.forests[k])
        squares *= self._model.trees

        def given_numbers(sd: float) -> float:
            return -count * np.log(sd) - 0.5 * squares / sd**2

        self._slice(at, k, given_numbers, rng)
        before = float(self._scales(at)[0][k])
        product, square = float(fit[:, k] @ rest), float(fit[:, k] @ fit[:, k])

        def with_numbers(sd: float) -> float:
            times = sd / before
            return (times * product - 0.5 * times**2 * square) / variance

        self._slice(at, k, with_numbers, rng)
        times = float(self._scales(at)[0][k]) / before
        tree = at.forests[k]
        tree[:, 1] = np.where(tree[:, 0] < 0, tree[:, 1] * times, tree[:, 1])
        fit[:, k] *= times

    def _move_level(
        self,
        at: Standing,
        k: int,
        level: Array,
        rows: Rows,
        variance: float,
        rng: np.random.Generator,
    ) -> None:
        """Move intercept, effects by cluster and their SDs; `level` is what is left for them."""
        model = self._model
        prior = None
        if not model.latent.cutpoints:
            prior = float(model.intercept_mean[k]), float(model.intercept_variance[k])
        if not model.clusters and prior is not None:
            total = float(level.sum()) / variance
            at.levels[k] = _normal(len(level) / variance, total, *prior, rng)
        for g, cluster in enumerate(rows.clusters):
            others = [
                own[k][codes]
                for h, (own, codes) in enumerate(zip(at.effects, rows.clusters, strict=True))
                if h != g
            ]
            rest = level - np.sum(others, axis=0) if others else level
            # latent values keep their place between the cutpoints
            level = level + self._move_grouping(at, k, g, rest, cluster, variance, prior, rng)

    def _move_grouping(
        self,
        at: Standing,
        k: int,
        g: int,
        rest: Array,
        cluster: npt.NDArray[np.int64],
        variance: float,
        prior: tuple[float, float] | None,
        rng: np.random.Generator,
    ) -> float:
        """Move the SD between clusters without the effects, then draw intercept and effects.

        `prior` has mean and variance of the intercept, None where cutpoints take its place; gives
        by how much these have moved together with the effects.
        """
        n = self._model.clusters[g]
        size = np.bincount(cluster, minlength=n)
        total = np.bincount(cluster, rest, minlength=n)
        seen = size > 0
        own_mean = total[seen] / size[seen]

        def weights(sd: float) -> Array:
            return np.asarray(1.0 / (variance / size[seen] + sd**2))

        def without_effects(sd: float) -> float:
            w = weights(sd)
            value = 0.5 * (np.log(w).sum() - (w * own_mean**2).sum())
            if prior is not None:
                precision = w.sum() + 1.0 / prior[1]
                centre = w @ own_mean + prior[0] / prior[1]
                value += 0.5 * (centre**2 / precision - np.log(precision))
            return float(value)

        position = self._model.latent.equations * (1 + g) + k
        self._slice(at, position, without_effects, rng)
        sd, intercept = float(self._scales(at)[1][g, k]), 0.0
        if prior is not None:
            w = weights(sd)
            intercept = _normal(float(w.sum()), float(w @ own_mean), *prior, rng)
            at.levels[k] = intercept
        precision: Array = size / variance + 1.0 / sd**2
        noise = rng.normal(size=n) / np.sqrt(precision)
        at.effects[g][k] = (total - size * intercept) / variance / precision + noise
        delta = 0.0
        if prior is None:  # the mean of the effects against the cutpoints
            slope = -float(at.effects[g][k].sum() / sd**2 + at.levels.sum())
            delta = _normal(n / sd**2 + at.levels.size, slope, 0.0, np.inf, rng)
            at.effects[g][k] += delta
            at.levels[:] += delta
        return delta

    def _move_sigma(self, rows: Rows, at: Standing, fit: Array, rng: np.random.Generator) -> None:
        eta = rows.offset[:, 0] + at.levels[0] + fit[:, 0]
        if self._model.clusters:
            eta = eta + rows.effects(at.effects)[:, 0]
        squares = float(((rows.y - eta) ** 2).sum())

        def given_rows(sigma: float) -> float:
            return -len(rows.y) * np.log(sigma) - 0.5 * squares / sigma**2

        self._slice(at, len(at.unconstrained) - 1, given_rows, rng)

    # --- the contract -----------------------------------------------------------------------------

    def adapt(self, design: Design, rng: np.random.Generator) -> Adaptation:
        """Grow the trees that all chains start from; there is nothing to tune."""
        sweeps = self._options["tune"]
        at = self._move(self._rows(design), self._beginning(design), sweeps, rng)
        return Adaptation(1.0, np.empty(0), at.vector, np.zeros(self.size))

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Give the forest of the adaptation; the first visit takes the chain away from it."""
        return adaptation.start_mean.copy()

    def visit(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Visit:
        """Move on by some sweeps, then draw each wanted value from its distribution."""
        at = self._moved(design, state, rng, first)
        values = self.draw_at(design.rows(design.draw), at, rng)
        return Visit(at.vector, values, self._parameters(at))

    def draw_at(self, rows: Design, at: Standing, rng: np.random.Generator) -> Array:
        """Draw a value for each of some rows, (row,)."""
        eta = self._eta(rows, at)
        if rows.shift is not None:
            eta = eta + self._shift(rows.shift)
        values = self._model.latent.values(eta, at.levels, self._scales(at)[2], rng)
        return np.asarray(self._model.centre + self._model.unit * values)

    def row_draws(self, moment: Moment) -> ForestDraws:
        """Give the model of new rows at the trees and effects of a state."""
        at = self._apart(moment.state)
        clusters = tuple(max(each.n_clusters, 1) for each in designs_of(moment.design))
        return ForestDraws(self, (at,), (self._scales(at)[1],), clusters, self._model.varying)

    def predict(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
        by_cluster: bool = False,
    ) -> Prediction:
        """Move on, then hold the rows fitted to against their distribution.

        Densities of whole clusters are known of numbers in clusters of one kind.
        """
        at = self._moved(design, state, rng, first)
        rows = design.rows(design.fit)
        eta = self._eta(rows, at)
        if rows.live_shift is not None:
            eta = eta + self._shift(rows.live_shift)
        model, sigma = self._model, self._scales(at)[2]
        values = model.centre + model.unit * model.latent.values(eta, at.levels, sigma, rng)
        return Prediction(
            at.vector,
            values,
            self._parameters(at),
            self._log_density(rows.y, eta, at),
            measure=self.measure,
            by_cluster=self._by_cluster(rows, eta, at) if by_cluster else None,
        )

    def _by_cluster(self, rows: Design, eta: Array, at: Standing) -> Array | None:
        """Log density of all values of each cluster, its effect integrated out, (cluster,)."""
        model = self._model
        if not self._has_sigma or len(model.clusters) != 1:
            return None
        cluster, n = rows.cluster, model.clusters[0]
        _, between, sigma = self._scales(at)
        rest = (rows.y - model.centre) / model.unit - eta[:, 0] + at.effects[0][0][cluster]
        size = np.bincount(cluster, minlength=n)
        total, squares = (np.bincount(cluster, each, n) for each in (rest, rest**2))
        ratio = (between[0, 0] / sigma) ** 2
        density = -0.5 * (squares - ratio * total**2 / (1.0 + size * ratio)) / sigma**2
        density -= 0.5 * np.log1p(size * ratio)
        return np.asarray(density - size * np.log(np.sqrt(2 * np.pi) * sigma * model.unit))

    @property
    def measure(self) -> str:
        """What a log density is: of numbers a density, of categories a probability."""
        return self._model.latent.measure

    def log_density(
        self, design: Design, state: Array, rng: np.random.Generator
    ) -> Callable[[Design], Array]:
        """Give the log density of rows at the trees and effects of a state."""
        at = self._apart(state)
        return lambda rows: self.density_at(rows, at)

    def density_at(self, rows: Design, at: Standing) -> Array:
        """Log density of each of some rows, (row,)."""
        eta = self._eta(rows, at)
        if rows.live_shift is not None:
            eta = eta + self._shift(rows.live_shift)
        return self._log_density(rows.y, eta, at)

    def _moved(
        self, design: Design, state: Array, rng: np.random.Generator, first: bool
    ) -> Standing:
        sweeps = self._options["transitions"] + (FIRST_SWEEPS if first else 0)
        return self._move(self._rows(design), state, sweeps, rng)

    def _eta(self, rows: Design, at: Standing) -> Array:
        """Linear predictors of rows without their shift, (row, equation)."""
        codes = self._model.grid.codes(rows.x)
        eta = np.column_stack([fitted(each, placed(each, codes)) for each in at.forests])
        if not self._model.latent.cutpoints:
            eta += at.levels
        for effects, cluster in zip(at.effects, self._clusters(rows), strict=True):
            eta += effects.T[cluster]
        return eta

    def _log_density(self, y: Array, eta: Array, at: Standing) -> Array:
        model = self._model
        own = (y - model.centre) / model.unit
        density = model.latent.log_density(own, eta, at.levels, self._scales(at)[2])
        return np.asarray(density - np.log(model.unit))

    def _parameters(self, at: Standing) -> Parameters:
        model, several = self._model, bool(self._model.categories)
        trees, between, sigma = self._scales(at)
        out: dict[str, float | Array] = {}
        if model.latent.cutpoints:
            from scipy.special import ndtr

            below = np.concatenate([[0.0], ndtr(at.levels), [1.0]])
            out |= {"share": np.diff(below), "cutpoints": at.levels.copy()}
        else:
            intercept = model.centre + model.unit * at.levels
            out["intercept"] = intercept if several else float(intercept[0])
        names = ("sd_trees", *model.sd_names)
        for name, sd in zip(names, (trees, *between), strict=True):
            out[name] = model.unit * sd if several else float(model.unit * sd[0])
        if self._has_sigma:
            out["sigma"] = model.unit * sigma
        return out


def _normal(
    precision: float, slope: float, mean: float, variance: float, rng: np.random.Generator
) -> float:
    """Draw a number with a normal prior, given precision and slope at 0 of its log likelihood."""
    precision = float(precision) + 1.0 / variance
    centre = (float(slope) + mean / variance) / precision
    return float(centre + rng.normal() / np.sqrt(precision))


def _shift_all(levels: Array, mean: Array, variance: Array, rng: np.random.Generator) -> None:
    """Move the intercepts of all categories together: which is the largest, they do not say."""
    precision = (1.0 / variance).sum()
    centre = ((mean - levels) / variance).sum() / precision
    levels += centre + rng.normal() / np.sqrt(precision)
