"""Log-likelihoods of linear models with random effects or without, and of generalized ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.likelihood import Likelihood, maximum, root


@dataclass(frozen=True)
class RandomPart:
    """A random part of so many levels, where mixedlm has not described one."""

    n_levels: int


@dataclass(frozen=True, eq=False)
class MixedData:
    """Rows of one data set, scaled by the roots of their weights.

    Attributes
    ----------
    x, y
        (n, p), (n,).
    z
        Sparse (n, effects): parts side by side, in each the terms of a level beside each other;
        None without random parts.
    log_weights
        Sum of the logarithms of the weights.
    structures
        The random parts, as mixedlm describes them.
    """

    x: Array
    y: Array
    z: Any = None
    log_weights: float = 0.0
    structures: tuple[Any, ...] = ()

    @classmethod
    def of(cls, matrices: Any) -> "MixedData":
        """Build it from the matrices of a fit of mixedlm."""
        from scipy import sparse

        weights = np.asarray(matrices.weights, dtype=float)
        scale = np.sqrt(weights)
        y = np.asarray(matrices.y, dtype=float) - np.asarray(matrices.offset, dtype=float)
        return cls(
            np.asarray(matrices.X, dtype=float) * scale[:, None],
            y * scale,
            sparse.csc_matrix(sparse.diags(scale) @ matrices.Z),
            float(np.sum(np.log(weights))),
            tuple(matrices.random_structures),
        )

    def reduced(self, blocks: Sequence[Array]) -> tuple[Array, float]:
        """R with R'R = [X y]' V⁻¹ [X y] for V = I + ZΛΛ'Z', and log |V| less the log weights.

        With [X y] = QT, V⁻¹ = I − ZΛ (Λ'Z'ZΛ + I)⁻¹ Λ'Z' and |V| = |Λ'Z'ZΛ + I|: a system as large
        as the number of effects in place of one as large as the number of rows; with one random
        part, one system for each level. `blocks` are the factors of which Λ consists, one (terms,
        terms) a random part.
        """
        basis, top = self.rotated
        if not self.structures:
            return top, -self.log_weights
        one = len(blocks) == 1
        explained, determinant = self._by_level(blocks[0]) if one else self._at_once(blocks)
        lower = np.linalg.cholesky(np.eye(basis.shape[1]) - explained)
        return lower.T @ top, determinant - self.log_weights

    @cached_property
    def rotated(self) -> tuple[Array, Array]:
        """Orthonormal Q and triangular T with [X y] = QT."""
        basis, top = np.linalg.qr(np.column_stack([self.x, self.y]))
        return basis, top

    @cached_property
    def crossed(self) -> Array:
        """Z'Q."""
        return np.asarray(self.z.T @ self.rotated[0])

    @cached_property
    def squared(self) -> Any:
        """Z'Z."""
        return (self.z.T @ self.z).tocsc()

    @cached_property
    def level_squares(self) -> Array:
        """Blocks of Z'Z of the levels of the only random part, (level, term, term)."""
        levels = self.structures[0].n_levels
        squares, terms = self.squared.tocoo(), self.z.shape[1] // levels
        found = np.zeros((levels, terms, terms))
        found[squares.row // terms, squares.row % terms, squares.col % terms] = squares.data
        return found

    def _by_level(self, block: Array) -> tuple[Array, float]:
        inner = block.T @ self.level_squares @ block + np.eye(len(block))
        lower = np.linalg.cholesky(inner)
        crossed = block.T @ self.crossed.reshape(len(inner), len(block), -1)
        half = np.linalg.solve(lower, crossed).reshape(-1, crossed.shape[-1])
        determinant = 2 * np.sum(np.log(np.diagonal(lower, axis1=1, axis2=2)))
        return half.T @ half, float(determinant)

    def _at_once(self, blocks: Sequence[Array]) -> tuple[Array, float]:
        from scipy import sparse
        from scipy.sparse.linalg import splu

        parts = zip(self.structures, blocks, strict=True)
        each = [sparse.kron(sparse.eye(part.n_levels), block) for part, block in parts]
        factors = sparse.block_diag(each).tocsc()
        inner = (factors.T @ self.squared @ factors + sparse.eye(factors.shape[1])).tocsc()
        # Positive definite: no pivoting, and an ordering for symmetric matrices.
        options = {"SymmetricMode": True}
        factor = splu(inner, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
        crossed = np.asarray(factors.T @ self.crossed)
        determinant = float(np.sum(np.log(np.abs(factor.U.diagonal()))))
        return crossed.T @ factor.solve(crossed), determinant


@dataclass(frozen=True, eq=False)
class MixedLikelihood(Likelihood):
    """y ~ N(Xβ, ZΣZ' + σ²W⁻¹) by maximum likelihood, as a function of θ (Σ = σ² L L'), σ², β.

    Without random parts it is the linear model, whose maxima are in closed form.

    Attributes
    ----------
    data
        One a data set.
    theta
        Entries of L to start from, (k,) each.
    """

    data: tuple[MixedData, ...]
    theta: tuple[Array, ...]

    @classmethod
    def of(cls, terms: tuple[str, ...], results: Sequence[Any]) -> "MixedLikelihood":
        """Build it from fits of ``mixedlm.lmer``."""
        data = tuple(MixedData.of(result.matrices) for result in results)
        theta = tuple(np.asarray(result.theta, dtype=float) for result in results)
        return cls(terms, np.ones(len(terms), dtype=bool), data, theta)

    @classmethod
    def linear(cls, terms: tuple[str, ...], models: Sequence[Any]) -> "MixedLikelihood":
        """Build it from linear models of statsmodels with ``exog`` and ``endog``."""
        data = tuple(
            MixedData(np.asarray(each.exog, dtype=float), np.asarray(each.endog, dtype=float))
            for each in models
        )
        return cls(terms, np.ones(len(terms), dtype=bool), data, (np.empty(0),) * len(data))

    @property
    def outcomes(self) -> tuple[Array, ...]:
        """Outcome of each data set."""
        return tuple(each.y for each in self.data)

    @property
    def average(self) -> Array:
        """Averages of the estimates; of the random part that of its covariances."""
        own = np.array(self.own)
        theta, variance = own[:, : self._k], own[:, self._k]
        found: Array = own.mean(axis=0)
        structures = self.data[0].structures
        found[: self._k] = average_theta(theta, variance / variance.mean(), structures)
        return found

    def value(self, k: int, at: Array) -> float:
        """Log-likelihood of data set k."""
        variance, slopes = at[self._k], at[self._k + 1 :]
        top, determinant = self.data[k].reduced(self._blocks(at[: self._k]))
        squares = float(np.sum((top @ np.append(-slopes, 1.0)) ** 2))
        rows = len(self.data[k].y) * np.log(2 * np.pi * variance)
        return float(-0.5 * (rows + determinant + squares / variance))

    def start(self, k: int) -> Array:
        """Fitted θ of data set k; σ² and β follow from it."""
        return np.concatenate([self.theta[k], [1.0], np.zeros(len(self.names))])

    def climb(self, sets: Sequence[int], start: Array, free: NDArray[np.bool_]) -> Array:
        """Maximum of the sum over data sets, over θ with the free β and σ² profiled out."""
        slopes = np.where(free, 0.0, start[self._k + 1 :])
        rows = sum(len(self.data[k].y) for k in sets)

        def solved(theta: Array) -> tuple[Array, float, float]:
            reduced = [self.data[k].reduced(self._blocks(theta)) for k in sets]
            top = np.concatenate([each for each, _ in reduced])
            columns, rest = top[:, :-1][:, free], top @ np.append(-slopes, 1.0)
            scale = np.maximum(np.linalg.norm(columns, axis=0), np.finfo(float).tiny)
            found = np.linalg.lstsq(columns / scale, rest, rcond=None)[0] / scale
            squares = float(np.sum((rest - columns @ found) ** 2))
            return found, squares, sum(determinant for _, determinant in reduced)

        def negative(theta: Array) -> float:
            _, squares, determinant = solved(theta)
            return 0.5 * (rows * np.log(squares) + determinant)

        # At an SD of exactly 0 the gradient is 0 for symmetry's sake: start beside it.
        first = start[: self._k]
        best = maximum(negative, np.where(np.abs(first) < 0.05, first + 0.05, first))
        slopes[free], squares, _ = solved(best)
        return np.concatenate([best, [squares / rows], slopes])

    @property
    def _k(self) -> int:
        return len(self.theta[0])

    def _blocks(self, theta: Array) -> list[Array]:
        return factors_of(theta, self.data[0].structures)


@dataclass(frozen=True, eq=False)
class LaplaceLikelihood(Likelihood):
    """A fit of ``mixedlm.glmer`` as a function of all its parameters: θ (factors of Σ), then β.

    Attributes
    ----------
    results
        What mixedlm returned, one a data set.
    """

    results: tuple[Any, ...]

    @classmethod
    def of(cls, terms: tuple[str, ...], results: Sequence[Any]) -> "LaplaceLikelihood":
        """Build it, unless the approximation leaves the coefficients to the inner iteration."""
        if not all(result.joint_fit for result in results):
            raise AnalysisError(
                "These fits of glmer are of its fast kind, whose likelihood is no function of the "
                "coefficients; fit with the default control, or compare the models by D1."
            )
        return cls(terms, np.ones(len(terms), dtype=bool), tuple(results))

    @property
    def outcomes(self) -> tuple[Array, ...]:
        """Outcome of each data set."""
        return tuple(np.asarray(result.matrices.y, dtype=float) for result in self.results)

    @property
    def average(self) -> Array:
        """Averages of the estimates; of the random part that of its covariances."""
        own, k = np.array(self.own), len(self.results[0].theta)
        structures = self.results[0].matrices.random_structures
        return np.append(
            average_theta(own[:, :k], np.ones(len(own)), structures), own[:, k:].mean(axis=0)
        )

    def value(self, k: int, at: Array) -> float:
        """Log-likelihood of data set k."""
        return self._functions[k](at)

    def start(self, k: int) -> Array:
        """Fitted parameters of data set k."""
        result = self.results[k]
        return np.append(result.theta, np.where(self.free, result.beta, 0.0))

    @cached_property
    def _functions(self) -> list[Callable[[Array], float]]:
        return [_log_likelihood(result) for result in self.results]

    def climb(self, sets: Sequence[int], start: Array, free: NDArray[np.bool_]) -> Array:
        """Maximum of the sum over θ and the free coefficients, in units of standard errors."""
        n_theta = len(start) - len(free)
        columns = np.concatenate([np.arange(n_theta), n_theta + np.flatnonzero(free)])
        within = np.mean([np.asarray(result.vcov()) for result in self.results], axis=0)
        precision = np.linalg.inv(within)[np.ix_(free, free)]
        scale = np.eye(len(columns))
        scale[:n_theta, :n_theta] *= 0.1
        if free.any():
            scale[n_theta:, n_theta:] = np.linalg.cholesky(np.linalg.inv(precision))
        first = np.array(start, dtype=float)
        # At an SD of exactly 0 the gradient is 0 for symmetry's sake: start beside it.
        first[:n_theta] = np.where(np.abs(first[:n_theta]) < 0.01, 0.01, first[:n_theta])

        def at(steps: Array) -> Array:
            moved = first.copy()
            moved[columns] += scale @ steps
            return moved

        found = maximum(
            lambda steps: -sum(self.value(k, at(steps)) for k in sets),
            np.zeros(len(columns)),
        )
        return at(found)


def factors_of(theta: Array, structures: Sequence[Any]) -> list[Array]:
    """Factors L of the covariances of the random parts, from their entries."""
    if not structures:
        return []
    from mixedlm import getL

    return [np.asarray(each) for each in getL(theta, list(structures), as_blocks=True)]


def average_theta(thetas: Array, scales: Array, structures: Sequence[Any]) -> Array:
    """θ of the average of the covariances scale · LL': the factor is no estimate that one averages.

    Parameters
    ----------
    thetas, scales
        One a data set, (m, k) and (m,).
    structures
        The random parts, as mixedlm describes them.
    """
    factors = [factors_of(theta, structures) for theta in thetas]
    found: list[float] = []
    for structure, parts in zip(structures, zip(*factors, strict=True), strict=True):
        squares = [scale * part @ part.T for scale, part in zip(scales, parts, strict=True)]
        # Positive semidefinite, so that a variance of 0 is allowed.
        lower = np.linalg.qr(root(np.mean(squares, axis=0)).T, mode="r").T
        lower = lower * np.where(np.diagonal(lower) < 0, -1.0, 1.0)
        at = np.tril_indices(len(lower)) if structure.correlated else np.diag_indices(len(lower))
        found += list(lower[at])
    return np.array(found)


def _log_likelihood(result: Any) -> Callable[[Array], float]:
    """Build log L as a function of (θ, β); the sign of θ does not matter."""
    deviance = result.as_function("deviance")
    fitted = float(result.logLik())
    reference = float(deviance(np.append(result.theta, result.beta)))

    def log_likelihood(parameters: Array) -> float:
        return fitted - 0.5 * (float(deviance(parameters)) - reference)

    return log_likelihood
