"""Rows of normal models at parameters and effects: densities, and what they tell of predictors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple, Self

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.method import Array, Design
from bayesimpute.sampling.collapsed import Standard, standard_of
from bayesimpute.sampling.compiled import specialised
from bayesimpute.sampling.gaussian import Fitted, Rows, Units
from bayesimpute.sampling.row_draws import NEW, Further, Positions, chosen_effects


class Reach(NamedTuple):
    """How rows of a model depend on the cells of one variable.

    Attributes
    ----------
    rows
        Of the design: those in which the value of a cell stands, (row,).
    owner
        Cell that each of them sees, (row,).
    says
        Whether it says anything of the cell, (row,): whether its own value is known.
    direct
        What the mean of a row less its value changes by as such, with the value of its cell.
    in_x, in_z
        Places of the columns that are a multiple of it, (column,); −1 for none.
    """

    rows: Positions
    owner: Positions
    says: npt.NDArray[np.bool_]
    direct: float
    in_x: Positions
    in_z: Positions


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _tell(
    standard: Standard,
    beta: Array,
    effects: Array,
    sigma: Array,
    design: Rows,
    reach: Reach,
    rest: Array,
    precision: Array,
    score: Array,
) -> None:
    """Add what rows tell of cells: curvature and slope of their log densities, (cell,)."""
    rows, owner, says, direct, in_x, in_z = reach
    x, z, y, cluster = design.x, design.z, design.y, design.cluster
    centre_x, centre_z, scale_y = standard.centre_x, standard.centre_z, standard.scale_y
    # on the scale of the data
    slopes = np.empty(centre_x.size)
    for a in range(slopes.size):
        slopes[a] = beta[a + 1] * scale_y / standard.scale_x[a]
    varying = np.empty(effects.shape)
    weight = np.empty(sigma.size)
    for j in range(weight.size):
        weight[j] = 1.0 / (scale_y * sigma[j]) ** 2
        for a in range(centre_z.size):
            varying[j, a] = effects[j, a] * scale_y / standard.scale_z[a]
    centre = standard.centre_y + scale_y * beta[0]
    for i in range(rows.size):
        if not says[i]:
            continue
        row = rows[i]
        j = cluster[row]
        left = y[row] - centre
        for a in range(slopes.size):
            left -= (x[row, a] - centre_x[a]) * slopes[a]
        for a in range(centre_z.size):
            left -= (z[row, a] - centre_z[a]) * varying[j, a]
        slope = direct
        for k in range(in_x.size):
            if in_x[k] >= 0:
                slope += rest[i, k] * slopes[in_x[k]]
            if in_z[k] >= 0:
                slope += rest[i, k] * varying[j, in_z[k]]
        weighted = slope * weight[j]
        precision[owner[i]] += slope * weighted
        score[owner[i]] += weighted * left


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _follow(design: Rows, reach: Reach, rest: Array, values: Array) -> None:
    """Write values of the cells, (cell,), to the columns that are multiples of them."""
    rows, owner, in_x, in_z = reach.rows, reach.owner, reach.in_x, reach.in_z
    x, z = design.x, design.z
    for i in range(rows.size):
        for k in range(in_x.size):
            value = values[owner[i]] * rest[i, k]
            if in_x[k] >= 0:
                x[rows[i], in_x[k]] = value
            if in_z[k] >= 0:
                z[rows[i], in_z[k]] = value


@cache
def _compiled() -> tuple[Any, Any]:
    """Compile :func:`_tell` and :func:`_follow` where they are first needed."""
    vector, matrix, places = np.empty(1), np.empty((1, 1)), np.empty(1, dtype=np.int64)
    flags = np.empty(1, dtype=np.bool_)
    standard = standard_of(vector, vector, vector, vector, 0.0, 1.0)
    rows = Rows(matrix, matrix, vector, places, flags)
    reach = Reach(places, places, flags, 0.0, places, places)
    told = standard, vector, matrix, vector, rows, reach, matrix, vector, vector
    return specialised(_tell, *told), specialised(_follow, rows, reach, matrix, vector)


def follow(rows: Rows, reach: Reach, rest: Array, values: Array) -> None:
    """Write values of the cells of a variable to the columns of a design that are multiples of it.

    Parameters
    ----------
    rows
        The design's own arrays.
    reach, rest
        How rows depend on cells, and what the columns are multiples by, (row, column).
    values
        Of the cells, (cell,).
    """
    _compiled()[1](rows, reach, rest, values)


class NormalRows:
    """Log density of rows of a normal model: a function of designs.

    Parameters
    ----------
    units
        Of the model.
    beta, effects, sigma
        In computing units: (1 + predictor,), (cluster, random_effect), (cluster,).
    """

    def __init__(self, units: Units, beta: Array, effects: Array, sigma: Array) -> None:
        self._units, self._beta, self.effects, self._sigma = units, beta, effects, sigma

    @property
    def scale(self) -> float:
        """One computing unit on the scale of the data."""
        return self._units.scale_y

    def predictors(self, rows: Design) -> Array:
        """Linear predictor of rows, (row, 1), in computing units."""
        units = self._units
        eta: Array = units.x(rows) @ self._beta
        eta += (units.z(rows) * self.effects[rows.cluster]).sum(axis=1)
        if rows.offset is not None:
            eta += rows.offset[:, 0]
        return eta[:, None]

    def with_effects(self, effects: Array) -> "NormalRows":
        """Give the density at other effects."""
        return NormalRows(self._units, self._beta, effects, self._sigma)

    def __call__(self, rows: Design) -> Array:
        """Log density of each row's `y`, (row,)."""
        return self.given(rows, self.predictors(rows))

    def given(self, rows: Design, eta: Array) -> Array:
        """Log density at given linear predictors, (row,)."""
        units = self._units
        mean = units.centre_y + units.scale_y * eta[:, 0]
        if rows.live_shift is not None:
            mean = mean + rows.live_shift
        return log_normal_density(rows.y, mean, units.scale_y * self._sigma[rows.cluster])

    def tell(self, rows: Rows, reach: Reach, rest: Array, precision: Array, score: Array) -> None:
        """Add what rows tell of the cells of a variable.

        Parameters
        ----------
        rows
            The completed data; no row is shifted.
        reach, rest
            How rows depend on cells, linearly: columns are a multiple of the value of the cell by
            `rest`, (row, column).
        precision, score
            Minus the second derivative of the log density by each cell, and the first one at its
            current value, (cell,): added to.
        """
        model = self._units.standard, self._beta, self.effects, self._sigma
        _compiled()[0](*model, rows, reach, rest, precision, score)


def log_normal_density(y: Array, mean: Array, sd: Array) -> Array:
    """Log density of each row, (row,)."""
    return np.asarray(-0.5 * ((y - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi))


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
