"""Correlation matrices through their canonical partial correlations.

An LKJ(η) correlation matrix of q effects is q(q − 1)/2 independent partial correlations, each a
symmetric Beta variable on (−1, 1) (Lewandowski, Kurowicka & Joe 2009, §2.4). Written so, its
density is a sum of elementwise terms and compiles in no time.

Effects of different blocks are independent. Their partial correlations are 0, whatever the order of
the effects: given all before it, an effect depends on those of its own block only. What remains is
an LKJ matrix in each block.
"""

from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.sampling.compiled import part_of

Array = npt.NDArray[np.float64]


def beta_shapes(size: int, eta: float) -> Array:
    """Beta shape of each partial correlation, row by row of the lower triangle."""
    return np.array([eta + (size - 2 - column) / 2 for row in range(size) for column in range(row)])


class CorrelationBlocks:
    """Which effects are correlated, and how strongly they are expected to be.

    Parameters
    ----------
    blocks
        Number of the block of each effect, (effect,).
    eta
        LKJ parameter of each block's correlations.

    Attributes
    ----------
    size
        Effects.
    free
        Which pairs, row by row of the lower triangle, are in one block, (pair,) bool.
    count
        Number of them.
    shapes
        Beta shape of each partial correlation, (pair,); 0 for pairs that are not free.
    """

    def __init__(self, blocks: Sequence[int], eta: float) -> None:
        self.size = len(blocks)
        own = np.asarray(blocks)
        row, column = np.tril_indices(self.size, -1)
        self.free = own[row] == own[column]
        self.count = int(self.free.sum())
        self._all = self.count == self.free.size
        self._pairs = row, column
        self.shapes = np.zeros(self.free.size)
        for block in np.unique(own):
            inside = self.free & (own[row] == block)
            self.shapes[inside] = beta_shapes(int((own == block).sum()), eta)

    def full(self, partial: Array) -> Array:
        """Partial correlations of all pairs, from those of the free ones."""
        if self._all:
            return partial
        out = np.zeros(self.free.size)
        out[self.free] = partial
        return out

    def of_free(self, by_pair: Array) -> Array:
        """Keep the free pairs of what there is for each pair."""
        return by_pair if self._all else by_pair[self.free]

    def factor(self, partial: Array) -> Array:
        """Lower Cholesky factor of the correlation matrix, from the free partial correlations."""
        return np.asarray(correlation_factor(self.full(partial), self.size))

    def correlations(self, factor: Array) -> Array:
        """Correlations of the free pairs, (free pair,)."""
        matrix = factor @ factor.T
        return self.of_free(matrix[self._pairs])

    def labels(self, names: Sequence[str]) -> tuple[str, ...]:
        """Names of the free pairs."""
        pairs = [f"{names[b]}~{names[a]}" for a in range(self.size) for b in range(a)]
        return tuple(pair for pair, free in zip(pairs, self.free, strict=True) if free)


@numba.njit(cache=True, error_model="numpy", nogil=True)
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


@numba.njit(cache=True, error_model="numpy", nogil=True)
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


@part_of
def factor_of(sd: Array, partial: Array) -> Array:
    """Lower Cholesky factor of Ψ."""
    out = correlation_factor(partial, sd.size)
    for a in range(sd.size):
        for b in range(a + 1):
            out[a, b] *= sd[a]
    return out


@part_of
def lower_triangle_inverse(lower: Array, out: Array) -> None:
    """Inverse of a lower triangular matrix, into `out`."""
    n = lower.shape[0]
    for a in range(n):
        for b in range(n):
            out[a, b] = 0.0
        out[a, a] = 1.0 / lower[a, a]
        for b in range(a):
            total = 0.0
            for c in range(b, a):
                total += lower[a, c] * out[c, b]
            out[a, b] = -total / lower[a, a]
