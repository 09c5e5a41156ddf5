"""What likelihood-based tests ask of a model that was fitted to m data sets."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bayesimpute.arrays import Array
from bayesimpute.pooling.term_names import INTERCEPTS

#: Tight, because D3 and D4 are differences of log-likelihoods.
OPTIONS = {"gtol": 1e-9, "ftol": 1e-15, "maxiter": 500}


@dataclass(frozen=True, eq=False)
class Likelihood(ABC):
    """One model on m data sets as a function of its parameters, the coefficients last.

    Log-likelihoods come one a data set, as (m,).

    Attributes
    ----------
    names
        Of the p coefficients.
    free
        (p,), which coefficients are estimated; the others stay at 0.
    """

    names: tuple[str, ...]
    free: NDArray[np.bool_]

    @abstractmethod
    def value(self, k: int, at: Array) -> float:
        """Log-likelihood of data set k."""

    @abstractmethod
    def start(self, k: int) -> Array:
        """Parameters near the maximum of data set k."""

    @abstractmethod
    def climb(self, sets: Sequence[int], start: Array, free: NDArray[np.bool_]) -> Array:
        """Maximum of the sum over data sets, coefficients that are not free as they are."""

    @property
    @abstractmethod
    def outcomes(self) -> tuple[Array, ...]:
        """The outcome of each data set."""

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the coefficients that are estimated."""
        return tuple(name for name, free in zip(self.names, self.free, strict=True) if free)

    @property
    def n_parameters(self) -> int:
        """Count all parameters."""
        return len(self.start(0)) - int((~self.free).sum())

    @property
    def average(self) -> Array:
        """Averages of the estimates."""
        return np.asarray(np.mean(self.own, axis=0))

    @cached_property
    def own(self) -> list[Array]:
        """Maximum-likelihood estimates of each data set."""
        return [self.climb([k], self.start(k), self.free) for k in self._sets]

    def maxima(self) -> Array:
        """Evaluate at the estimates of each data set."""
        return self._values(self.own)

    def at_averages(self) -> Array:
        """Evaluate at the averages of the estimates."""
        return self._values([self.average] * len(self._sets))

    def at_average_slopes(self) -> Array:
        """Evaluate with average slopes, all else maximised again."""
        average, free = np.mean(self.own, axis=0), self._intercept & self.free
        return self._values([self.climb([k], average, free) for k in self._sets])

    def at_common_maximum(self) -> Array:
        """Evaluate at the maximum of the stacked data sets."""
        common = self.climb(self._sets, np.mean(self.own, axis=0), self.free)
        return self._values([common] * len(self._sets))

    def intercept_only(self) -> "Likelihood":
        """Leave the intercept as the only coefficient."""
        return replace(self, free=self._intercept)

    @property
    def _sets(self) -> range:
        return range(len(self.outcomes))

    @property
    def _intercept(self) -> NDArray[np.bool_]:
        return np.array([name in INTERCEPTS for name in self.names])

    def _values(self, parameters: Sequence[Array]) -> Array:
        return np.array([self.value(k, at) for k, at in enumerate(parameters)])


def maximum(negative: Callable[[Array], float], start: Array) -> Array:
    """Where a smooth function is smallest, from a start that is near.

    Parameters
    ----------
    negative
        Minus the log-likelihood, parameters scaled so that steps of 0.1 matter.
    start
        (p,); may be empty.
    """
    from scipy.optimize import minimize

    if not start.size:
        return start
    # Counted from the start, or the stopping rule would be relative to the log-likelihood's size.
    base = negative(start)
    # Central differences: with forward ones the gradient's error moves the optimum by 1e-8.
    found = minimize(
        lambda at: negative(at) - base, start, jac="3-point", method="L-BFGS-B", options=OPTIONS
    )
    return np.asarray(found.x, dtype=float)


def root(covariance: Array) -> Array:
    """L with L L' = Σ, also where Σ is singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
