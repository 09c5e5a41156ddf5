"""Log-likelihoods of linear mixed models: coefficients and residual variance in closed form."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesimpute.arrays import Array
from bayesimpute.pooling.likelihood import Likelihood, maximum, root
from bayesimpute.pooling.mixed_data import Blocks, MixedData
from bayesimpute.pooling.term_names import INTERCEPTS


@dataclass(frozen=True, eq=False)
class MixedFit:
    """Maximum-likelihood estimates."""

    coefficients: Array
    variance: float
    blocks: Blocks

    @property
    def covariances(self) -> Blocks:
        """Σ = σ² L L' of each random part."""
        return [self.variance * block @ block.T for block in self.blocks]


@dataclass(frozen=True, eq=False)
class MixedLikelihood:
    """y ~ N(Xβ, ZΣZ' + σ²W⁻¹) of a fit of ``mixedlm.lmer``, always by maximum likelihood.

    Attributes
    ----------
    terms
        Names of the p coefficients.
    data
        One a data set.
    start
        Factors of Σ to start from, one list a data set.
    correlated
        Whether the effects of each random part are.
    """

    terms: tuple[str, ...]
    data: tuple[MixedData, ...]
    start: tuple[Blocks, ...]
    correlated: tuple[bool, ...]

    @classmethod
    def of(cls, terms: tuple[str, ...], results: list[Any]) -> "MixedLikelihood":
        """Build it from what mixedlm returned."""
        from mixedlm import getL

        structures = results[0].matrices.random_structures
        starts = tuple(
            [
                np.array(block, dtype=float)
                for block in getL(
                    result.theta, result.matrices.random_structures, as_blocks=True
                )
            ]
            for result in results
        )  # fmt: skip
        correlated = tuple(bool(structure.correlated) for structure in structures)
        return cls(
            terms, tuple(MixedData.of(result.matrices) for result in results), starts, correlated
        )

    @property
    def n_parameters(self) -> int:
        """Count all parameters."""
        return len(self.terms) + 1 + sum(len(indices[0]) for indices in self._indices)

    @property
    def outcomes(self) -> tuple[Array, ...]:
        """Outcome of each data set."""
        return tuple(each.y for each in self.data)

    def maxima(self) -> Array:
        """Evaluate at the estimates of each data set."""
        pairs = zip(self.data, self.fits, strict=True)
        return np.array([self._value(each, fit) for each, fit in pairs])

    def at_averages(self) -> Array:
        """Evaluate at the averages of the estimates."""
        variance = float(np.mean([fit.variance for fit in self.fits]))
        covariances = [np.mean(parts, axis=0) for parts in
                       zip(*(fit.covariances for fit in self.fits), strict=True)]  # fmt: skip
        average = MixedFit(
            np.mean([fit.coefficients for fit in self.fits], axis=0),
            variance,
            [root(covariance / variance) for covariance in covariances],
        )
        return np.array([self._value(each, average) for each in self.data])

    def at_average_slopes(self) -> Array:
        """Evaluate with average slopes, all else maximised again."""
        average = np.mean([fit.coefficients for fit in self.fits], axis=0)
        free = [i for i, term in enumerate(self.terms) if term in INTERCEPTS]
        fixed = [i for i in range(len(self.terms)) if i not in free]
        rest = tuple(
            each.with_columns(free, each.y - each.x[:, fixed] @ average[fixed])
            for each in self.data
        )
        terms = tuple(self.terms[i] for i in free)
        return MixedLikelihood(terms, rest, self.start, self.correlated).maxima()

    def at_common_maximum(self) -> Array:
        """Evaluate at the maximum of the stacked data sets."""
        start = [np.mean(parts, axis=0) for parts in zip(*self.start, strict=True)]
        common = self._maximise(self.data, start)
        return np.array([self._value(each, common) for each in self.data])

    def intercept_only(self) -> Likelihood:
        """Leave the intercept as the only coefficient."""
        column = [i for i, term in enumerate(self.terms) if term in INTERCEPTS]
        data = tuple(each.with_columns(column) for each in self.data)
        return MixedLikelihood(INTERCEPTS[: len(column)], data, self.start, self.correlated)

    @cached_property
    def fits(self) -> list[MixedFit]:
        """Maximum-likelihood estimates of each data set."""
        pairs = zip(self.data, self.start, strict=True)
        return [self._maximise((each,), start) for each, start in pairs]

    @cached_property
    def _indices(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Entries of each factor that are parameters."""
        sizes = [len(block) for block in self.start[0]]
        return [
            np.tril_indices(size) if correlated else np.diag_indices(size)
            for size, correlated in zip(sizes, self.correlated, strict=True)
        ]

    def _maximise(self, data: tuple[MixedData, ...], start: Blocks) -> MixedFit:
        """Maximum of the sum over data sets, over L with β and σ² profiled out."""

        def blocks(parameters: Array) -> Blocks:
            made, position = [], 0
            for block, index in zip(start, self._indices, strict=True):
                made.append(np.zeros_like(block))
                made[-1][index] = parameters[position : position + len(index[0])]
                position += len(index[0])
            return made

        def solved(parameters: Array) -> tuple[Array, float, float]:
            reduced = [each.reduced(blocks(parameters)) for each in data]
            total = np.sum([products for products, _ in reduced], axis=0)
            coefficients = np.linalg.solve(total[:-1, :-1], total[:-1, -1])
            squares = float(total[-1, -1] - total[:-1, -1] @ coefficients)
            return coefficients, squares, sum(determinant for _, determinant in reduced)

        rows = sum(len(each.y) for each in data)

        def negative(parameters: Array) -> float:
            _, squares, determinant = solved(parameters)
            return 0.5 * (rows * np.log(squares) + determinant)

        # At an SD of exactly 0 the gradient is 0 for symmetry's sake: start beside it.
        off = [np.where(np.eye(len(b)) * np.abs(b) < 0.05, b + 0.05 * np.eye(len(b)), b)
               for b in start]  # fmt: skip
        first = np.concatenate([b[i] for b, i in zip(off, self._indices, strict=True)])
        best = maximum(negative, first)
        coefficients, squares, _ = solved(best)
        return MixedFit(coefficients, squares / rows, blocks(best))

    def _value(self, each: MixedData, fit: MixedFit) -> float:
        products, determinant = each.reduced(fit.blocks)
        direction = np.append(-fit.coefficients, 1.0)
        squares = float(direction @ products @ direction)
        rows = len(each.y) * np.log(2 * np.pi * fit.variance)
        return -0.5 * (rows + determinant + squares / fit.variance)
