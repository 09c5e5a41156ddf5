"""Log-likelihoods of generalized linear mixed models, by Laplace's approximation."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.likelihood import Likelihood, maximum, root
from bayesimpute.pooling.term_names import INTERCEPTS

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LaplaceLikelihood:
    """A fit of ``mixedlm.glmer`` as a function of all its parameters: θ (factors of Σ), then β.

    Attributes
    ----------
    names
        Of the p coefficients of the models.
    results
        What mixedlm returned, one a data set.
    free
        (p,), which coefficients are estimated; the others stay at 0.
    """

    names: tuple[str, ...]
    results: tuple[Any, ...]
    free: NDArray[np.bool_]

    @classmethod
    def of(cls, terms: tuple[str, ...], results: list[Any]) -> "LaplaceLikelihood":
        """Build it, unless the approximation leaves the coefficients to the inner iteration."""
        if not all(result.joint_fit for result in results):
            raise AnalysisError(
                "These fits of glmer are of its fast kind, whose likelihood is no function of the "
                "coefficients; fit with the default control, or compare the models by D1."
            )
        return cls(terms, tuple(results), np.ones(len(terms), dtype=bool))

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the coefficients that are estimated."""
        return tuple(name for name, free in zip(self.names, self.free, strict=True) if free)

    @property
    def n_parameters(self) -> int:
        """Count all parameters."""
        return int(self.free.sum()) + len(self.results[0].theta)

    @property
    def outcomes(self) -> tuple[Array, ...]:
        """Outcome of each data set."""
        return tuple(np.asarray(result.matrices.y, dtype=float) for result in self.results)

    def maxima(self) -> Array:
        """Evaluate at the estimates of each data set."""
        pairs = zip(self._functions, self._own, strict=True)
        return np.array([function(at) for function, at in pairs])

    def at_averages(self) -> Array:
        """Evaluate at the averages of the estimates."""
        theta = len(self.results[0].theta)
        average = np.mean(self._own, axis=0)
        average[:theta] = self._average_theta()
        return np.array([function(average) for function in self._functions])

    def at_average_slopes(self) -> Array:
        """Evaluate with average slopes, all else maximised again."""
        average = np.mean(self._own, axis=0)
        intercept = np.array([name in INTERCEPTS for name in self.names]) & self.free
        found = [self._climb([function], average, intercept) for function in self._functions]
        return np.array([f(at) for f, at in zip(self._functions, found, strict=True)])

    def at_common_maximum(self) -> Array:
        """Evaluate at the maximum of the stacked data sets."""
        common = self._climb(self._functions, np.mean(self._own, axis=0), self.free)
        return np.array([function(common) for function in self._functions])

    def intercept_only(self) -> Likelihood:
        """Leave the intercept as the only coefficient."""
        return replace(self, free=np.array([name in INTERCEPTS for name in self.names]))

    @cached_property
    def _functions(self) -> list[Callable[[Array], float]]:
        return [_log_likelihood(result) for result in self.results]

    @cached_property
    def _own(self) -> list[Array]:
        """Maximum-likelihood (θ, β) of each data set."""
        starts = [
            np.append(result.theta, np.where(self.free, result.beta, 0.0))
            for result in self.results
        ]
        pairs = zip(self._functions, starts, strict=True)
        return [self._climb([function], start, self.free) for function, start in pairs]

    def _average_theta(self) -> Array:
        """θ of the average covariance: the factor is no estimate that one averages."""
        from mixedlm import getL

        structures = self.results[0].matrices.random_structures
        n_theta = len(self.results[0].theta)
        factors = [getL(own[:n_theta], structures, as_blocks=True) for own in self._own]
        found: list[float] = []
        for structure, parts in zip(structures, zip(*factors, strict=True), strict=True):
            mean = np.mean([part @ part.T for part in parts], axis=0)
            # Positive semidefinite, so that a variance of 0 is allowed.
            lower = np.linalg.qr(root(mean).T, mode="r").T
            lower = lower * np.where(np.diagonal(lower) < 0, -1.0, 1.0)
            at = np.tril_indices(len(mean)) if structure.correlated else np.diag_indices(len(mean))
            found += list(lower[at])
        return np.array(found)

    def _climb(
        self, functions: list[Callable[[Array], float]], start: Array, free: NDArray[np.bool_]
    ) -> Array:
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
            lambda steps: -sum(function(at(steps)) for function in functions),
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
