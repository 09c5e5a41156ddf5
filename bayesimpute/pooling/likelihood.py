"""What likelihood-based tests ask of a model that was fitted to m data sets."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Tight, because D3 and D4 are differences of log-likelihoods.
OPTIONS = {"gtol": 1e-9, "ftol": 1e-15, "maxiter": 500}


class Likelihood(Protocol):
    """The same model on m data sets; log-likelihoods come one a data set, as (m,)."""

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the coefficients."""

    @property
    def n_parameters(self) -> int:
        """Coefficients and what is estimated beside them: variances, correlations."""

    @property
    def outcomes(self) -> tuple[Array, ...]:
        """The outcome of each data set."""

    def maxima(self) -> Array:
        """At the maximum-likelihood estimates of each data set."""

    def at_averages(self) -> Array:
        """At the averages of those estimates over the data sets."""

    def at_average_slopes(self) -> Array:
        """With coefficients but the intercept at their averages, all else maximised again."""

    def at_common_maximum(self) -> Array:
        """At the one set of parameters that maximises the sum over data sets."""

    def intercept_only(self) -> "Likelihood":
        """Leave the intercept as the only coefficient."""


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
