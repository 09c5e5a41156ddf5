"""Rows of normal models at parameters and effects: densities, and what they tell of predictors."""

from functools import cache, cached_property
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.method import Design
from bayesimpute.sampling.compiled import specialised
from bayesimpute.sampling.gaussian import Units, rows_of

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]


class Line(NamedTuple):
    """A normal model on the scale of the data.

    Attributes
    ----------
    centre
        Mean where all columns are at their centres and all effects 0.
    slopes, centre_x
        Of the predictors, (predictor,).
    effects, centre_z
        By cluster, (cluster, random_effect), and (random_effect,).
    precision
        ``1/σ²`` of each cluster, (cluster,).
    """

    centre: float
    slopes: Array
    centre_x: Array
    effects: Array
    centre_z: Array
    precision: Array


class Reach(NamedTuple):
    """How rows of a model depend on the cells of one variable.

    Attributes
    ----------
    rows
        Of the design, (row,).
    owner
        Cell that each of them sees, (row,).
    direct
        What the mean of a row less its value changes by as such, with the value of its cell.
    in_x, in_z
        Places of the columns that are a multiple of it, (column,); −1 for none.
    rest
        That multiple, (row, column).
    """

    rows: Positions
    owner: Positions
    direct: float
    in_x: Positions
    in_z: Positions
    rest: Array


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _tell(
    line: Line,
    x: Array,
    z: Array,
    y: Array,
    cluster: Positions,
    reach: Reach,
    precision: Array,
    score: Array,
) -> None:
    """Add what rows tell of cells: curvature and slope of their log densities, (cell,)."""
    rows, owner, direct, in_x, in_z, rest = reach
    slopes, effects = line.slopes, line.effects
    centre_x, centre_z = line.centre_x, line.centre_z
    for i in range(rows.size):
        row = rows[i]
        j = cluster[row]
        left = y[row] - line.centre
        for a in range(slopes.size):
            left -= (x[row, a] - centre_x[a]) * slopes[a]
        for a in range(centre_z.size):
            left -= (z[row, a] - centre_z[a]) * effects[j, a]
        slope = direct
        for k in range(in_x.size):
            if in_x[k] >= 0:
                slope += rest[i, k] * slopes[in_x[k]]
            if in_z[k] >= 0:
                slope += rest[i, k] * effects[j, in_z[k]]
        weighted = slope * line.precision[j]
        precision[owner[i]] += slope * weighted
        score[owner[i]] += weighted * left


@cache
def _compiled() -> Any:
    """Compile :func:`_tell` where it is first needed."""
    vector, matrix, places = np.empty(1), np.empty((1, 1)), np.empty(1, dtype=np.int64)
    line = Line(0.0, vector, vector, matrix, vector, vector)
    reach = Reach(places, places, 0.0, places, places, matrix)
    return specialised(_tell, line, matrix, matrix, vector, places, reach, vector, vector)


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
        self._units, self._beta, self._effects, self._sigma = units, beta, effects, sigma

    def __call__(self, rows: Design) -> Array:
        """Log density of each row's `y`, (row,)."""
        units = self._units
        eta = units.x(rows) @ self._beta
        eta += (units.z(rows) * self._effects[rows.cluster]).sum(axis=1)
        if rows.offset is not None:
            eta += rows.offset[:, 0]
        mean = units.centre_y + units.scale_y * eta
        if rows.live_shift is not None:
            mean = mean + rows.live_shift
        return log_normal_density(rows.y, mean, units.scale_y * self._sigma[rows.cluster])

    @cached_property
    def line(self) -> Line:
        """The model on the scale of the data."""
        units = self._units
        return Line(
            units.centre_y + units.scale_y * float(self._beta[0]),
            self._beta[1:] * (units.scale_y / units.scale_x),
            units.centre_x,
            self._effects * (units.scale_y / units.scale_z),
            units.centre_z,
            1.0 / np.square(units.scale_y * self._sigma),
        )

    def tell(self, design: Design, reach: Reach, precision: Array, score: Array) -> None:
        """Add what rows tell of the cells of a variable.

        Parameters
        ----------
        design
            The completed data; no row is shifted.
        reach
            How rows depend on cells, linearly.
        precision, score
            Minus the second derivative of the log density by each cell, and the first one at its
            current value, (cell,): added to.
        """
        x, z, y, cluster, _ = rows_of(design)
        _compiled()(self.line, x, z, y, cluster, reach, precision, score)


def log_normal_density(y: Array, mean: Array, sd: Array) -> Array:
    """Log density of each row, (row,)."""
    return np.asarray(-0.5 * ((y - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi))
