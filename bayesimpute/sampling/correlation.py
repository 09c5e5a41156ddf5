"""Correlation matrices through their canonical partial correlations.

An LKJ(η) correlation matrix of q effects is q(q − 1)/2 independent partial correlations, each a
symmetric Beta variable on (−1, 1) (Lewandowski, Kurowicka & Joe 2009, §2.4). Written so, its
density is a sum of elementwise terms and compiles in no time.
"""

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def beta_shapes(size: int, eta: float) -> Array:
    """Beta shape of each partial correlation, row by row of the lower triangle."""
    return np.array([eta + (size - 2 - column) / 2 for row in range(size) for column in range(row)])


@numba.njit(cache=True, error_model="numpy")
def correlation_factor(unconstrained: Array, size: int) -> Array:
    """Lower Cholesky factor of the correlation matrix; ``tanh`` gives partial correlations."""
    factor = np.zeros((size, size))
    k = 0
    for i in range(size):
        rest = 1.0
        for j in range(i):
            partial = np.tanh(unconstrained[k])
            factor[i, j] = partial * rest
            rest *= np.sqrt(1.0 - partial * partial)
            k += 1
        factor[i, i] = rest
    return factor


@numba.njit(cache=True, error_model="numpy")
def pull_back(unconstrained: Array, factor: Array, gradient: Array) -> Array:
    """Gradient by the unconstrained values, from the gradient by the factor."""
    size = factor.shape[0]
    out = np.zeros(unconstrained.size)
    k = 0
    for i in range(size):
        first = k
        for j in range(i):
            partial = np.tanh(unconstrained[first + j])
            # d tanh cancels one factor 1 − partial²
            rest = 1.0
            for earlier in range(j):
                rest /= np.cosh(unconstrained[first + earlier])
            out[first + j] += gradient[i, j] * rest * (1.0 - partial * partial)
            for later in range(j + 1, i + 1):
                out[first + j] -= gradient[i, later] * factor[i, later] * partial
            k += 1
    return out
