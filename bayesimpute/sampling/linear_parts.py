"""What the sampler of linear predictors is made of: likelihood, columns, state."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numba
import numpy as np
import numpy.typing as npt
from numba import types

from bayesimpute.method import Design
from bayesimpute.sampling.compiled import Callable as Compiled
from bayesimpute.sampling.compiled import part_of
from bayesimpute.sampling.correlation import CorrelationBlocks
from bayesimpute.sampling.gaussian import blocks_of

Array = npt.NDArray[np.float64]


#: Rows run along the last axis, so that a processor takes several in one step; sums over rows may
#: then be taken in any order, which needs saying.
SUMS = {"reassoc", "nsz", "contract"}


def sums_of[Function](function: Function) -> Function:
    """Compile a part that sums over rows."""
    return part_of(function, fastmath=SUMS)


_VECTOR = types.Array(types.float64, 1, "C")
_MATRIX = types.Array(types.float64, 2, "C")
#: What compiled likelihoods get: one tuple, as PyTensor's compiled functions do.
ROWS = types.Tuple((_MATRIX, _MATRIX, _VECTOR, _VECTOR))
PRIOR = types.UniTuple(_VECTOR, 3)


class Likelihood(Protocol):
    """How a row depends on its linear predictors, in computing units.

    ``density``, ``information`` and ``extra_prior`` are compiled by numba, or
    :class:`~bayesimpute.sampling.compiled.Callable` already. Of n rows, they take

    - ``density((columns, eta, extra, constants))``: what is known of the rows (column, n), linear
      predictors (R, n), positive extras followed by free ones, ``constants``; and give the log
      likelihood (0-d) with its gradient by eta (R, n) and by extra;
    - ``information`` of the same: ``(curvature by eta,)``, (R, R, n), which guides the sampler
      only; None for the differences of the gradient, good enough where the density is concave;
    - ``extra_prior((intercepts, extra, constants))``: log prior of what has no normal or scale
      prior (0-d), with gradients by intercepts (R,) and extra.
    """

    equations: int
    """Linear predictors a row, R."""
    free: int
    """Extra parameters without bounds."""
    density: Any
    information: Any
    extra_prior: Any

    @property
    def constants(self) -> Array:
        """Numbers the three need."""
        ...


class RowLikelihood(Likelihood, Protocol):
    """A likelihood that also gives each row's share."""

    measure: str
    """``"density"``, ``"probability"`` or ``"mixed"``, as of a Prediction."""

    def log_density(self, y: Any, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log density of each row with all constants, (row,), on the scale of the data.

        `unit` is the original units of one computing unit of the target. Nothing unseen is given:
        a :class:`LatentLikelihood` integrates it out.
        """
        ...


@runtime_checkable
class LatentLikelihood(Protocol):
    """A likelihood given something unseen of each row, which `y` holds, drawn anew every sweep."""

    def refresh(
        self,
        y: Array,
        eta: Array,
        positive: Array,
        log_prior: Callable[[Array], tuple[float, Array]],
        rng: np.random.Generator,
    ) -> tuple[Array, Array]:
        """Move the positive extras (unconstrained), then draw what is unseen; gives both."""
        ...


@numba.njit(cache=True, error_model="numpy", nogil=True)
def no_prior(arguments: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Prior of parameters that all have a normal or a scale prior."""
    intercepts, extra, _ = arguments
    return np.zeros(()), np.zeros(intercepts.size), np.zeros(extra.size)


class OneEquation:
    """What likelihoods of one linear predictor have where they say nothing else."""

    equations: int = 1
    free: int = 0
    constants: Array = np.empty(0)
    information: Any = None
    extra_prior: Any = staticmethod(no_prior)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def by_differences(arguments: tuple[Array, Array, Array, Array]) -> tuple[Array]:
    """Take the place of an information that is to be found by differences: none at all."""
    return (np.empty((0, 0, 0)),)


def compiled(likelihood: Likelihood) -> tuple[Compiled, Compiled, Compiled]:
    """Density, information and extra prior, as compiled code takes them."""
    density, information, prior = (
        each if isinstance(each, Compiled) else Compiled(each, (arguments,))
        for each, arguments in (
            (likelihood.density, ROWS),
            (likelihood.information or by_differences, ROWS),
            (likelihood.extra_prior, PRIOR),
        )
    )
    return density, information, prior


#: Step of the differences of a gradient, in units of a linear predictor.
STEP = 1e-4
#: Curvature of a row is taken as no less: where a density is not concave it says nothing.
LEAST_CURVATURE = 1e-6


@numba.njit(cache=True, error_model="numpy", nogil=True)
def curvature_of_rows(
    density: Compiled, information: Compiled, arguments: tuple[Array, Array, Array, Array]
) -> Array:
    """Curvature of the log density of each row by its linear predictors, (R, R, row)."""
    (out,) = information(arguments)
    if out.size > 0:
        return out
    columns, eta, extra, constants = arguments
    equations, rows = eta.shape
    out = np.empty((equations, equations, rows))
    for r in range(equations):
        aside = eta.copy()
        for i in range(rows):
            aside[r, i] += STEP
        above = density((columns, aside, extra, constants))[1]
        for i in range(rows):
            aside[r, i] -= 2.0 * STEP
        below = density((columns, aside, extra, constants))[1]
        for s in range(equations):
            for i in range(rows):
                out[r, s, i] = (below[s, i] - above[s, i]) / (2.0 * STEP)
        for i in range(rows):
            if not out[r, r, i] > LEAST_CURVATURE:
                out[r, r, i] = LEAST_CURVATURE
    return out


def curvature(
    likelihood: Likelihood, columns: Array, eta: Array, positive: Array, free: Array
) -> Array:
    """Curvature of rows by their linear predictors (row, R): (row, R, R)."""
    density, information, _ = compiled(likelihood)
    extra = np.concatenate([positive, free])
    given = (columns, np.ascontiguousarray(eta.T), extra, likelihood.constants)
    return np.asarray(curvature_of_rows(density, information, given).transpose(2, 0, 1))


@dataclass(frozen=True, eq=False)
class Equations:
    """Which columns each linear predictor has.

    Attributes
    ----------
    fixed
        (R, 1 + predictor), the intercept first.
    varying
        Effects by cluster, (R, random_effect).
    """

    fixed: npt.NDArray[np.bool_]
    varying: npt.NDArray[np.bool_]

    @classmethod
    def all(cls, design: Design, equations: int) -> "Equations":
        """Every column in every linear predictor."""
        shapes = (design.x.shape[1] + 1, design.z.shape[1])
        return cls(*(np.ones((equations, columns), dtype=bool) for columns in shapes))


class Sizes:
    """Where the parts of the state are."""

    def __init__(
        self,
        design: Design,
        likelihood: Likelihood,
        equations: Equations,
        positive: int,
        eta: float,
    ) -> None:
        self.equations = likelihood.equations
        self.columns = design.x.shape[1] + 1
        self.random = design.z.shape[1]
        self.fixed = equations.fixed
        self.varying = equations.varying.ravel()
        self.effects = int(self.varying.sum())
        # an effect of any predictor is correlated with those of its block in all of them
        blocks = np.tile(blocks_of(design), (self.equations, 1))[equations.varying]
        self.blocks = CorrelationBlocks(blocks.tolist(), eta)
        self.clusters = design.n_clusters  # rows of them say which they are, effects or none
        self.scales = self.effects + positive
        self.correlations = self.blocks.count
        first = self.scales + self.correlations
        self.scale = slice(0, self.scales)
        self.partial = slice(self.scales, first)
        self.free = slice(first, first + likelihood.free)
        self.shape = slice(0, self.free.stop)
        border = int(self.fixed.sum())
        self.beta = slice(self.free.stop, self.free.stop + border)
        self.b = slice(self.beta.stop, self.beta.stop + self.clusters * self.effects)
        self.size = self.b.stop


@dataclass(frozen=True, eq=False)
class Point:
    """A state taken apart, in computing units."""

    sd: Array
    positive: Array
    correlation: Array
    free: Array
    beta: Array
    effects: Array

    @property
    def factor(self) -> Array:
        """Lower Cholesky factor of Ψ."""
        return np.asarray(self.sd[:, None] * self.correlation)
