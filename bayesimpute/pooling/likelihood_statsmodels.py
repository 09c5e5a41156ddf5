"""Log-likelihoods of models of statsmodels with a score and a Hessian, as GLM and logit."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.likelihood import Likelihood
from bayesimpute.pooling.term_names import INTERCEPTS

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StatsmodelsLikelihood:
    """A model whose parameters are all coefficients, maximised by Newton's method.

    Attributes
    ----------
    names
        Of all p parameters of the models.
    models
        One a data set, with ``loglike``, ``score`` and ``hessian``.
    start
        (m, p), estimates to start from.
    free
        (p,), which are estimated; the others stay at 0.
    """

    names: tuple[str, ...]
    models: tuple[Any, ...]
    start: Array
    free: NDArray[np.bool_]

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the coefficients that are estimated."""
        return tuple(name for name, free in zip(self.names, self.free, strict=True) if free)

    @property
    def n_parameters(self) -> int:
        """Count all parameters."""
        return int(self.free.sum())

    @property
    def outcomes(self) -> tuple[Array, ...]:
        """Outcome of each data set."""
        return tuple(np.asarray(model.endog, dtype=float) for model in self.models)

    def maxima(self) -> Array:
        """Evaluate at the estimates of each data set."""
        return self._each(self._own())

    def at_averages(self) -> Array:
        """Evaluate at the averages of the estimates."""
        return self._at(self._own().mean(axis=0))

    def at_average_slopes(self) -> Array:
        """Evaluate with average slopes, all else maximised again."""
        average = self._own().mean(axis=0)
        intercept = np.array([name in INTERCEPTS for name in self.names]) & self.free
        return self._each([self._climb([model], average, intercept) for model in self.models])

    def at_common_maximum(self) -> Array:
        """Evaluate at the maximum of the stacked data sets."""
        return self._at(self._climb(list(self.models), self.start.mean(axis=0), self.free))

    def intercept_only(self) -> Likelihood:
        """Leave the intercept as the only coefficient."""
        intercept = np.array([name in INTERCEPTS for name in self.names])
        return replace(self, start=np.where(intercept, self.start, 0.0), free=intercept)

    def _own(self) -> Array:
        return np.array(
            [
                self._climb([model], start, self.free)
                for model, start in zip(self.models, self.start, strict=True)
            ]
        )

    def _at(self, parameters: Array) -> Array:
        return np.array([float(model.loglike(parameters)) for model in self.models])

    def _each(self, parameters: Any) -> Array:
        pairs = zip(self.models, parameters, strict=True)
        return np.array([float(model.loglike(each)) for model, each in pairs])

    def _climb(self, models: list[Any], start: Array, free: NDArray[np.bool_]) -> Array:
        """Maximum of the sum of log-likelihoods over the free parameters, by Newton's method."""
        at = np.array(start, dtype=float)
        if not free.any():
            return at
        value = sum(float(model.loglike(at)) for model in models)
        for _ in range(200):
            score = np.sum([np.asarray(model.score(at)) for model in models], axis=0)[free]
            hessian = np.sum([np.asarray(model.hessian(at)) for model in models], axis=0)
            step = np.linalg.solve(-hessian[np.ix_(free, free)], score)
            gain = float(step @ score)
            if gain < 0:  # not concave here: uphill, at least
                step, gain = score / np.linalg.norm(score), float(np.linalg.norm(score))
            if gain < 1e-12 * (1 + abs(value)):
                at[free] += step  # convergence is quadratic: the last step is worth ten digits
                return at
            for halving in range(40):
                tried = at.copy()
                tried[free] += step / 2**halving
                found = sum(float(model.loglike(tried)) for model in models)
                if found >= value:
                    break
            else:
                return at
            at, value = tried, found
        raise AnalysisError(
            "The likelihood has no maximum that is found in 200 steps (separated categories?); "
            "compare the models by D1 or D2."
        )
