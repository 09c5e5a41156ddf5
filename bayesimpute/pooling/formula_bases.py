"""Several columns from one: orthogonal polynomials and splines, as R's poly, bs and ns.

What they learn from the data (means, norms, knots) is kept, so that new rows get the same columns.
"""

from dataclasses import dataclass

import numpy as np

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError


@dataclass(frozen=True, eq=False)
class Polynomial:
    """Powers of x, orthogonal in the data that were learned from, or raw.

    Attributes
    ----------
    centers, norms
        Of the three-term recurrence (Kennedy & Gentle 1980, Statistical Computing, 343-344), as
        R's poly keeps them; empty for raw powers.
    degree
        Highest power.
    """

    degree: int
    centers: Array
    norms: Array

    @classmethod
    def learn(cls, label: str, x: Array, degree: int, raw: bool) -> "Polynomial":
        """Learn from data."""
        if degree >= len(np.unique(x)):
            raise AnalysisError(
                f"{label}: degree {degree} needs more than {degree} different values; there are "
                f"{len(np.unique(x))}."
            )
        if raw:
            return cls(degree, np.empty(0), np.empty(0))
        centers, norms = [], [1.0, float(len(x))]
        before, now = np.zeros_like(x), np.ones_like(x)
        for k in range(degree):
            centers.append(float(np.sum(x * now**2) / np.sum(now**2)))
            ratio = norms[-1] / norms[-2] if k else 0.0
            before, now = now, (x - centers[-1]) * now - ratio * before
            norms.append(float(np.sum(now**2)))
        return cls(degree, np.array(centers), np.array(norms))

    def values(self, x: Array) -> Array:
        """(n, degree)."""
        if not len(self.centers):
            return np.column_stack([x**power for power in range(1, self.degree + 1)])
        columns = []
        before, now = np.zeros_like(x), np.ones_like(x)
        for k in range(self.degree):
            ratio = self.norms[k + 1] / self.norms[k] if k else 0.0
            before, now = now, (x - self.centers[k]) * now - ratio * before
            columns.append(now / np.sqrt(self.norms[k + 2]))
        return np.column_stack(columns)


@dataclass(frozen=True, eq=False)
class Spline:
    """B-splines, or natural cubic splines (straight lines outside the boundary).

    Attributes
    ----------
    knots
        With those of the boundary, each of these degree + 1 times.
    degree
        Of the pieces.
    intercept
        Whether the first column is kept.
    natural
        Basis of the splines whose second derivative is 0 at the boundary, (columns, columns − 2);
        None for B-splines.
    """

    knots: Array
    degree: int
    intercept: bool
    natural: Array | None

    @classmethod
    def learn(
        cls,
        label: str,
        x: Array,
        df: int | None,
        inner: tuple[float, ...] | None,
        degree: int,
        intercept: bool,
        boundary: tuple[float, ...] | None,
        natural: bool,
    ) -> "Spline":
        """Place the knots: at quantiles of x, as many as `df` needs, or where they are given."""
        low, high = boundary if boundary is not None else (float(x.min()), float(x.max()))
        if not low < high:
            raise AnalysisError(f"{label}: the boundary knots {low:g} and {high:g} must increase.")
        if inner is None:
            count = 0
            if df is not None:
                count = df - intercept - (1 if natural else degree)
            if count < 0:
                least = int(intercept) + (1 if natural else degree)
                raise AnalysisError(f"{label}: df is {df}; it must be at least {least}.")
            inside = x[(x >= low) & (x <= high)]
            inner = tuple(np.quantile(inside, np.linspace(0, 1, count + 2)[1:-1]).tolist())
        if any(not low < knot < high for knot in inner):
            raise AnalysisError(
                f"{label}: inner knots must lie between {low:g} and {high:g}; a variable with few "
                "different values has too few places for them."
            )
        ends = np.repeat([low, high], degree + 1)
        knots = np.sort(np.concatenate([ends, inner]))
        basis = None
        if natural:
            from scipy.linalg import qr

            bent = _basis(knots, degree, np.array([low, high]), 2)[:, 0 if intercept else 1 :]
            basis = qr(bent.T)[0][:, 2:]
        return cls(knots, degree, intercept, basis)

    def values(self, x: Array) -> Array:
        """(n, columns)."""
        low, high = self.knots[0], self.knots[-1]
        first = 0 if self.intercept else 1
        if self.natural is None:
            return _basis(self.knots, self.degree, x, 0)[:, first:]
        within = np.clip(x, low, high)
        found = _basis(self.knots, self.degree, within, 0)
        found += (x - within)[:, None] * _basis(self.knots, self.degree, within, 1)
        return found[:, first:] @ self.natural


def _basis(knots: Array, degree: int, x: Array, derivative: int) -> Array:
    """B-splines at x, or their derivatives, (n, columns); polynomials go on outside."""
    from scipy.interpolate import BSpline

    n = len(knots) - degree - 1
    made = BSpline(knots, np.eye(n), degree, extrapolate=True)
    return np.asarray(made(x, nu=derivative), dtype=float)
