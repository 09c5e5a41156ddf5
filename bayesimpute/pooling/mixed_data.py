"""Cross-products of the data of a linear mixed model, random effects integrated out."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bayesimpute.arrays import Array

#: Factors L of the covariances Σ = σ² L L', one (terms, terms) a random part.
Blocks = list[Array]


@dataclass(frozen=True, eq=False)
class MixedData:
    """Rows of one data set, scaled by the roots of their weights.

    Attributes
    ----------
    x, y
        (n, p), (n,).
    z
        Sparse (n, effects): parts side by side, in each the terms of a level beside each other.
    log_weights
        Sum of the logarithms of the weights.
    levels
        Number of levels of each random part.
    """

    x: Array
    y: Array
    z: Any
    log_weights: float
    levels: tuple[int, ...]

    @classmethod
    def of(cls, matrices: Any) -> "MixedData":
        """Build it from the matrices of a fit of mixedlm."""
        from scipy import sparse

        weights = np.asarray(matrices.weights, dtype=float)
        root = np.sqrt(weights)
        y = np.asarray(matrices.y, dtype=float) - np.asarray(matrices.offset, dtype=float)
        return cls(
            np.asarray(matrices.X, dtype=float) * root[:, None],
            y * root,
            sparse.csc_matrix(sparse.diags(root) @ matrices.Z),
            float(np.sum(np.log(weights))),
            tuple(structure.n_levels for structure in matrices.random_structures),
        )

    def with_columns(self, columns: list[int], y: Array | None = None) -> "MixedData":
        """Keep some columns of x, and exchange y."""
        outcome = self.y if y is None else y
        return MixedData(self.x[:, columns], outcome, self.z, self.log_weights, self.levels)

    def reduced(self, blocks: Blocks) -> tuple[Array, float]:
        """[X y]' V⁻¹ [X y] for V = I + ZΛΛ'Z', (p + 1, p + 1), and log |V| less the log weights.

        V⁻¹ = I − ZΛ (Λ'Z'ZΛ + I)⁻¹ Λ'Z' and |V| = |Λ'Z'ZΛ + I|: a system as large as the number
        of effects in place of one as large as the number of rows; with one random part, one system
        for each level.
        """
        explained, determinant = (
            self._by_level(blocks[0]) if len(blocks) == 1 else self._at_once(blocks)
        )
        return self._total - explained, determinant - self.log_weights

    @cached_property
    def _both(self) -> Array:
        return np.column_stack([self.x, self.y])

    @cached_property
    def _total(self) -> Array:
        return np.asarray(self._both.T @ self._both)

    @cached_property
    def _crossed(self) -> Array:
        """Z'[X y]."""
        return np.asarray(self.z.T @ self._both)

    @cached_property
    def _squared(self) -> Any:
        """Z'Z."""
        return (self.z.T @ self.z).tocsc()

    @cached_property
    def _level_squares(self) -> Array:
        """Blocks of Z'Z of the levels of the only random part, (level, term, term)."""
        squares, terms = self._squared.tocoo(), self.z.shape[1] // self.levels[0]
        found = np.zeros((self.levels[0], terms, terms))
        found[squares.row // terms, squares.row % terms, squares.col % terms] = squares.data
        return found

    def _by_level(self, block: Array) -> tuple[Array, float]:
        inner = block.T @ self._level_squares @ block + np.eye(len(block))
        lower = np.linalg.cholesky(inner)
        crossed = block.T @ self._crossed.reshape(self.levels[0], len(block), -1)
        half = np.linalg.solve(lower, crossed).reshape(-1, crossed.shape[-1])
        determinant = 2 * np.sum(np.log(np.diagonal(lower, axis1=1, axis2=2)))
        return half.T @ half, float(determinant)

    def _at_once(self, blocks: Blocks) -> tuple[Array, float]:
        from scipy import sparse
        from scipy.sparse.linalg import splu

        parts = zip(self.levels, blocks, strict=True)
        root = sparse.block_diag([sparse.kron(sparse.eye(n), block) for n, block in parts]).tocsc()
        inner = (root.T @ self._squared @ root + sparse.eye(root.shape[1])).tocsc()
        # Positive definite: no pivoting, and an ordering for symmetric matrices.
        options = {"SymmetricMode": True}
        factor = splu(inner, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
        crossed = np.asarray(root.T @ self._crossed)
        determinant = float(np.sum(np.log(np.abs(factor.U.diagonal()))))
        return crossed.T @ factor.solve(crossed), determinant
