"""Log-likelihoods of linear models: everything in closed form."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesimpute.arrays import Array
from bayesimpute.pooling.likelihood import Likelihood
from bayesimpute.pooling.term_names import INTERCEPTS


@dataclass(frozen=True, eq=False)
class LinearLikelihood:
    """y ~ N(Xβ, σ²), with σ² estimated by maximum likelihood, residual sum of squares over n.

    Attributes
    ----------
    terms
        Names of the p columns.
    x, y
        Of each data set, (n, p) and (n,).
    """

    terms: tuple[str, ...]
    x: tuple[Array, ...]
    outcomes: tuple[Array, ...]

    @classmethod
    def of(cls, terms: tuple[str, ...], models: list[Any]) -> "LinearLikelihood":
        """Build it from models of statsmodels with ``exog`` and ``endog``."""
        return cls(
            terms,
            tuple(np.asarray(model.exog, dtype=float) for model in models),
            tuple(np.asarray(model.endog, dtype=float) for model in models),
        )

    @property
    def n_parameters(self) -> int:
        """Count all parameters."""
        return len(self.terms) + 1

    def maxima(self) -> Array:
        """Evaluate at the estimates of each data set."""
        return np.array([_profiled(residuals) for _, residuals in self._fits()])

    def at_averages(self) -> Array:
        """Evaluate at the averages of the estimates."""
        fits = self._fits()
        slopes = np.mean([coefficients for coefficients, _ in fits], axis=0)
        variance = float(np.mean([np.mean(residuals**2) for _, residuals in fits]))
        return self._at(slopes, variance)

    def at_average_slopes(self) -> Array:
        """Evaluate with average slopes, all else maximised again."""
        average = np.mean([coefficients for coefficients, _ in self._fits()], axis=0)
        free = [i for i, term in enumerate(self.terms) if term in INTERCEPTS]
        found = []
        for x, y in self._pairs():
            rest = y - np.delete(x, free, axis=1) @ np.delete(average, free)
            found.append(_profiled(_least_squares(x[:, free], rest)[1]))
        return np.array(found)

    def at_common_maximum(self) -> Array:
        """Evaluate at the maximum of the stacked data sets."""
        x, y = np.concatenate(self.x), np.concatenate(self.outcomes)
        coefficients, residuals = _least_squares(x, y)
        return self._at(coefficients, float(np.mean(residuals**2)))

    def intercept_only(self) -> Likelihood:
        """Leave the intercept as the only coefficient."""
        ones = tuple(np.ones((len(y), 1)) for y in self.outcomes)
        return LinearLikelihood(INTERCEPTS[:1], ones, self.outcomes)

    def _pairs(self) -> list[tuple[Array, Array]]:
        return list(zip(self.x, self.outcomes, strict=True))

    def _fits(self) -> list[tuple[Array, Array]]:
        return [_least_squares(x, y) for x, y in self._pairs()]

    def _at(self, coefficients: Array, variance: float) -> Array:
        squares = [(len(y), float(np.sum((y - x @ coefficients) ** 2))) for x, y in self._pairs()]
        return np.array(
            [-0.5 * (n * np.log(2 * np.pi * variance) + rss / variance) for n, rss in squares]
        )


def _least_squares(x: Array, y: Array) -> tuple[Array, Array]:
    """Coefficients and residuals."""
    coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
    return coefficients, y - x @ coefficients


def _profiled(residuals: Array) -> float:
    """Give the normal log-likelihood at the residual variance that maximises it."""
    return float(-0.5 * len(residuals) * (np.log(2 * np.pi * np.mean(residuals**2)) + 1))
