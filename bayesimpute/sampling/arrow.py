r"""Square root of an arrow-shaped precision matrix: one small block a cluster, one dense border.

The coefficients of a two-level model, ordered (b_1, …, b_J, β), have the precision

.. math::
    H = \begin{pmatrix} A & B \\ B' & D \end{pmatrix},\quad
    A = \operatorname{diag}(A_1, …, A_J),

because clusters meet only through β. Its Cholesky factor costs J small ones and one of the border
(Pinheiro & Bates 2000, §2.2). The map ``c = T u`` with ``T T' = H^{-1}`` turns a posterior with
curvature H into one with the identity, in which NUTS needs few steps.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Whitening:
    """The map between coefficients and coordinates of unit curvature.

    Attributes
    ----------
    block
        Upper triangular ``L_j^{-T}`` of ``A_j = L_j L_j'``, (cluster, k, k).
    border
        Upper triangular ``L_S^{-T}`` of the Schur complement of A in H, (p, p).
    slope
        ``A_j^{-1} B_j``, (cluster, k, p): how far b_j follows β.
    """

    block: Array
    border: Array
    slope: Array

    @classmethod
    def of(cls, blocks: Array, cross: Array, border: Array) -> "Whitening":
        """Factor H from A (cluster, k, k), B (cluster, k, p) and D (p, p)."""
        root = _inverse_root(blocks)
        half = np.swapaxes(root, 1, 2) @ cross
        slope = root @ half
        inner = border - np.tensordot(half, half, axes=([0, 1], [0, 1]))
        return cls(root, _inverse_root(inner[None])[0], slope)

    def coefficients(self, u: Array) -> tuple[Array, Array]:
        """Coefficients β (p,) and b (cluster, k) at coordinates u."""
        clusters, k, _ = self.slope.shape
        beta = self.border @ u[clusters * k :]
        blocks = u[: clusters * k].reshape(clusters, k, 1)
        effects = (self.block @ blocks)[:, :, 0] - self.slope @ beta
        return beta, effects

    def coordinates(self, beta: Array, effects: Array) -> Array:
        """Coordinates u of coefficients; the inverse of :meth:`coefficients`."""
        clusters, k, p = self.slope.shape
        u = np.empty(clusters * k + p)
        u[clusters * k :] = _solve(self.border[None], beta[None, :, None])[0, :, 0]
        centred = (effects + self.slope @ beta)[:, :, None]
        u[: clusters * k] = _solve(self.block, centred).ravel()
        return u

    def pull_back(self, by_beta: Array, by_effects: Array) -> Array:
        """Gradient by u from the gradients by β and b."""
        clusters, k, p = self.slope.shape
        out = np.empty(clusters * k + p)
        blocks = np.swapaxes(self.block, 1, 2) @ by_effects[:, :, None]
        out[: clusters * k] = blocks.ravel()
        flat = self.slope.reshape(-1, p)
        out[clusters * k :] = self.border.T @ (by_beta - flat.T @ by_effects.ravel())
        return out


def _inverse_root(matrices: Array) -> Array:
    """Upper triangular ``L^{-T}`` of each ``M = L L'``; a singular M gets a little ridge."""
    size = matrices.shape[-1]
    if matrices.size == 0:
        return matrices.copy()
    ridge = 0.0
    scale = np.maximum(np.trace(matrices, axis1=1, axis2=2) / size, 1e-300)[:, None, None]
    while True:
        try:
            lower = np.linalg.cholesky(matrices + ridge * scale * np.eye(size))
        except np.linalg.LinAlgError:
            ridge = max(10 * ridge, 1e-10)
            continue
        return np.ascontiguousarray(np.swapaxes(np.linalg.inv(lower), 1, 2))


def _solve(matrices: Array, right: Array) -> Array:
    """Solve each ``M x = b``; there may be none."""
    return np.linalg.solve(matrices, right) if matrices.size else right
