"""What the sampler of linear predictors is made of: likelihood, columns, state, data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from bayesimpute.method import Design
from bayesimpute.sampling.correlation import CorrelationBlocks
from bayesimpute.sampling.gaussian import blocks_of

Array = npt.NDArray[np.float64]


class Likelihood(Protocol):
    """How a row depends on its linear predictors; arrays only, in computing units."""

    equations: int
    """Linear predictors a row, R."""
    free: int
    """Extra parameters without bounds."""

    def __call__(
        self, y: Any, eta: Array, positive: Array, free: Array
    ) -> tuple[float, Array, Array, Array]:
        """Log likelihood and its gradient by η (row, R), positive and free extras.

        `y` is what ``units.y`` makes of the rows: their targets, (row,), or more than that.
        """
        ...

    def information(self, y: Any, eta: Array, positive: Array, free: Array) -> Array:
        """Curvature of the log likelihood by η, (row, R, R); guides the sampler only."""
        ...

    def prior(self, intercepts: Array, free: Array) -> tuple[float, Array, Array]:
        """Log prior of what has no normal or scale prior, with gradients by both arguments."""
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
class LatentLikelihood(Likelihood, Protocol):
    """A likelihood given something unseen of each row, which `y` holds, drawn anew every sweep."""

    def refresh(
        self,
        y: Any,
        eta: Array,
        positive: Array,
        log_prior: Callable[[Array], tuple[float, Array]],
        rng: np.random.Generator,
    ) -> tuple[Array, Any]:
        """Move the positive extras (unconstrained), then draw what is unseen; gives both."""
        ...


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
        self.clusters = design.n_clusters if self.random else 0
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


@dataclass(frozen=True, eq=False)
class Data:
    """The rows fitted to, sorted by cluster, in computing units.

    Attributes
    ----------
    x, z
        (row, 1 + predictor) and (row, random_effect).
    x_along, z_along
        The same with rows along the last axis.
    y
        What the likelihood takes.
    seen
        Clusters that have rows.
    start
        First row of each of them.
    ends
        The same, and the number of rows.
    """

    x: Array
    z: Array
    x_along: Array
    z_along: Array
    y: Any
    seen: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
