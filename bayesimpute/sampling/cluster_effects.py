"""What a kernel tells of its effects by cluster, so that models of several groupings can use it.

A model of several groupings visits one after the other, each by a kernel of its own that takes the
effects of the others as known (:mod:`bayesimpute.sampling.groupings`). For that, kernels say what
their effects are, and which parts of their states all of them share.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.method import Array, Design


@dataclass(frozen=True)
class EffectColumn:
    """What one effect of a cluster is multiplied with, and where it adds to.

    Attributes
    ----------
    equation
        Linear predictor that it adds to.
    column
        Position among the columns `z` of the design.
    name
        Name of the effect: ``"intercept"``, or a predictor.
    centre, scale
        A row's z less `centre`, by `scale`, is what the effect is multiplied with.
    """

    equation: int
    column: int
    name: str
    centre: float
    scale: float


@dataclass(frozen=True, eq=False)
class Moved:
    """What a visit without values gives: the state, the effects in computing units, statistics."""

    state: Array
    effects: Array
    statistics: Mapping[str, float]


@runtime_checkable
class ClusterEffects(Protocol):
    """The effects by cluster of a kernel, in computing units."""

    @property
    def equations(self) -> int:
        """Linear predictors a row, R."""
        ...

    @property
    def columns(self) -> tuple[EffectColumn, ...]:
        """What each effect of a cluster is, (effect,)."""
        ...

    def shared(self, state: Array) -> npt.NDArray[np.int64]:
        """Positions in a state of what does not depend on the clusters, the same in all kernels."""
        ...

    def counted(self, design: Design) -> npt.NDArray[np.bool_]:
        """Rows of a design that the likelihood looks at, (row,)."""
        ...

    def drawn(self, design: Design, state: Array, rng: np.random.Generator) -> Array:
        """Give the effects at a state, (cluster, effect), or a draw of them given the state."""
        ...

    def put(self, state: Array, effects: Array) -> Array:
        """Give a state with other effects, where a state holds them."""
        ...

    def factor(self, state: Array) -> Array:
        """Cholesky factor of their covariance at a state, (effect, effect)."""
        ...

    @property
    def spread(self) -> Any:
        """How their SDs and correlations stand in a state (:mod:`bayesimpute.sampling.nested`)."""
        ...


@runtime_checkable
class EffectDensity(Protocol):
    """The log density of rows at effects by cluster, in computing units, that may be others."""

    @property
    def effects(self) -> Array:
        """The effects, (cluster, effect)."""
        ...

    def with_effects(self, effects: Array) -> "EffectDensity":
        """Give the density at others."""
        ...

    def predictors(self, rows: Design) -> Array:
        """Linear predictors of rows, (row, R)."""
        ...

    def given(self, rows: Design, eta: Array) -> Array:
        """Log density of each row's `y` at given linear predictors, (row,)."""
        ...

    def __call__(self, rows: Design) -> Array:
        """Log density of each row's `y`, (row,)."""
        ...


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _add(
    out: Array,
    equation: int,
    effect: Array,
    cluster: npt.NDArray[np.int64],
    z: Array,
    column: int,
    centre: float,
    scale: float,
) -> None:
    """Add an effect (cluster,) times a column of z to an equation; column -1 is the intercept."""
    for i in range(len(cluster)):
        times = 1.0 if column < 0 else (z[i, column] - centre) / scale
        out[i, equation] += times * effect[cluster[i]]


def added(design: Design, columns: tuple[EffectColumn, ...], effects: Array, out: Array) -> None:
    """Add to linear predictors, (row, R), what effects (cluster, effect) make of a design's z."""
    for k, each in enumerate(columns):
        column = -1 if each.name == "intercept" else each.column
        effect = np.ascontiguousarray(effects[:, k], dtype=np.float64)
        _add(out, each.equation, effect, design.cluster, design.z, column, each.centre, each.scale)
