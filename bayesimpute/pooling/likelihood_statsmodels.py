"""Log-likelihoods of models of statsmodels with a score and a Hessian, as GLM and logit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.likelihood import ByParameters


@dataclass(frozen=True, eq=False)
class StatsmodelsLikelihood(ByParameters):
    """A model whose parameters are all coefficients, maximised by Newton's method.

    Attributes
    ----------
    models
        One a data set, with ``loglike``, ``score`` and ``hessian``.
    estimates
        (m, p), to start from.
    """

    models: tuple[Any, ...]
    estimates: Array

    @property
    def outcomes(self) -> tuple[Array, ...]:
        """Outcome of each data set."""
        return tuple(np.asarray(model.endog, dtype=float) for model in self.models)

    def value(self, k: int, at: Array) -> float:
        """Log-likelihood of data set k."""
        return float(self.models[k].loglike(at))

    def start(self, k: int) -> Array:
        """Fitted coefficients of data set k."""
        return np.where(self.free, self.estimates[k], 0.0)

    def climb(self, sets: Sequence[int], start: Array, free: NDArray[np.bool_]) -> Array:
        """Maximum of the sum of log-likelihoods over the free parameters, by Newton's method."""
        at, models = np.array(start, dtype=float), [self.models[k] for k in sets]
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
