"""Log-likelihoods of generalized linear mixed models, by Laplace's approximation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.likelihood import ByParameters, maximum, root


@dataclass(frozen=True, eq=False)
class LaplaceLikelihood(ByParameters):
    """A fit of ``mixedlm.glmer`` as a function of all its parameters: θ (factors of Σ), then β.

    Attributes
    ----------
    results
        What mixedlm returned, one a data set.
    """

    results: tuple[Any, ...]

    @classmethod
    def of(cls, terms: tuple[str, ...], results: list[Any]) -> "LaplaceLikelihood":
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
        found = self._average_theta()
        return np.concatenate([found, np.mean(self.own, axis=0)[len(found) :]])

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

    def _average_theta(self) -> Array:
        """θ of the average covariance: the factor is no estimate that one averages."""
        from mixedlm import getL

        structures = self.results[0].matrices.random_structures
        n_theta = len(self.results[0].theta)
        factors = [getL(own[:n_theta], structures, as_blocks=True) for own in self.own]
        found: list[float] = []
        for structure, parts in zip(structures, zip(*factors, strict=True), strict=True):
            mean = np.mean([part @ part.T for part in parts], axis=0)
            # Positive semidefinite, so that a variance of 0 is allowed.
            lower = np.linalg.qr(root(mean).T, mode="r").T
            lower = lower * np.where(np.diagonal(lower) < 0, -1.0, 1.0)
            at = np.tril_indices(len(mean)) if structure.correlated else np.diag_indices(len(mean))
            found += list(lower[at])
        return np.array(found)

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


def _log_likelihood(result: Any) -> Callable[[Array], float]:
    """Build log L as a function of (θ, β); the sign of θ does not matter."""
    deviance = result.as_function("deviance")
    fitted = float(result.logLik())
    reference = float(deviance(np.append(result.theta, result.beta)))

    def log_likelihood(parameters: Array) -> float:
        return fitted - 0.5 * (float(deviance(parameters)) - reference)

    return log_likelihood
