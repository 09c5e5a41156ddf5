r"""Rows of several variables with normal residuals, some of them seen as categories only.

A row's latent values are ``η + ε`` with ``ε ~ N(0, Σ)``. Of each row some members are *known*
(numbers, or latent values drawn before), at most one is *judged* (only the interval it lies in
counts: its latent value is integrated out), and the others are unknown and integrated out too:

.. math::
    p(\text{row}) = N(e_A; 0, Σ_{AA})\;
    \bigl[Φ\bigl((u - m)/s\bigr) - Φ\bigl((l - m)/s\bigr)\bigr],\quad
    m = η_k + Σ_{kA} Σ_{AA}^{-1} e_A,\quad s^2 = Σ_{kk} - Σ_{kA} Σ_{AA}^{-1} Σ_{Ak}

Nothing missing has to be imputed to learn the parameters, so a variable without a single value in
a cluster does not slow the chain down, as data augmentation (pan, jomo) does.
"""

import math
from dataclasses import dataclass, field

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtri_exp

from bayesimpute.method import Design
from bayesimpute.sampling.correlation import beta_shapes, correlation_factor, pull_back
from bayesimpute.sampling.gaussian import Units

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

#: No judged member.
NOBODY = -1
_LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)
_ROOT_2 = math.sqrt(2.0)


@dataclass(frozen=True, eq=False)
class Members:
    """The variables of a block.

    Attributes
    ----------
    names
        In the order of their linear predictors.
    categories
        Labels of each; empty for numbers.
    centre, scale
        Of each in original units; 0 and 1 for categories, whose latent SD is 1.
    """

    names: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    centre: Array
    scale: Array

    @property
    def continuous(self) -> npt.NDArray[np.bool_]:
        """Which members are numbers, (member,)."""
        return np.array([not labels for labels in self.categories])

    @property
    def judged(self) -> tuple[int, ...]:
        """Positions of the members seen as categories."""
        return tuple(k for k, labels in enumerate(self.categories) if labels)


@dataclass(frozen=True, eq=False)
class Rows:
    """What is known of each row, rows with the same members known having one pattern.

    Attributes
    ----------
    values
        Values of the known members, (row, member); NaN for the others.
    lower, upper
        Ends of the judged member's interval, (row,); of no meaning where nobody is judged.
    pattern
        Pattern of each row, (row,).
    known
        Which members a pattern knows, (pattern, member).
    judged
        Whom it judges, or NOBODY, (pattern,).
    """

    values: Array
    lower: Array
    upper: Array
    pattern: Positions
    known: npt.NDArray[np.bool_]
    judged: Positions

    @classmethod
    def of(cls, values: Array, judged: Positions, lower: Array, upper: Array) -> "Rows":
        """Sort rows by what is known of them."""
        size = values.shape[1]
        known = ~np.isnan(values)
        key = (judged.astype(np.int64) + 1) << size
        for k in range(size):
            key = key | (known[:, k].astype(np.int64) << k)
        _, first, pattern = np.unique(key, return_index=True, return_inverse=True)
        return cls(
            np.ascontiguousarray(values, dtype=float),
            np.ascontiguousarray(lower, dtype=float),
            np.ascontiguousarray(upper, dtype=float),
            pattern.astype(np.int64),
            known[first],
            judged[first].astype(np.int64),
        )


@dataclass(frozen=True, eq=False)
class JointUnits(Units):
    """Units of the predictors; what is known of the members comes in groups of rows."""

    members: int = 0

    def y(self, design: Design) -> Rows:  # type: ignore[override]
        """Rows of a design whose columns :func:`known_columns` has made."""
        values = np.column_stack([design.columns[f"value {k}"] for k in range(self.members)])
        columns = design.columns
        judged = columns["judged"].astype(np.int64)
        return Rows.of(values, judged, columns["lower"], columns["upper"])


def known_columns(values: Array, judged: Array, lower: Array, upper: Array) -> dict[str, Array]:
    """Columns that carry values (row, member), judged members and their intervals (row,)."""
    columns = {f"value {k}": values[:, k] for k in range(values.shape[1])}
    return {**columns, "judged": judged, "lower": lower, "upper": upper}


def conditional(rows: Rows, member: int, eta: Array, covariance: Array) -> tuple[Array, Array]:
    """Mean and SD of a member given the known ones of its row, (row,) each."""
    mean, sd = eta[:, member].copy(), np.empty(len(eta))
    for p, known in enumerate(rows.known):
        here = np.flatnonzero(rows.pattern == p)
        at = np.flatnonzero(known)
        variance = covariance[member, member]
        if len(at):
            weights = np.linalg.solve(covariance[np.ix_(at, at)], covariance[at, member])
            cells = np.ix_(here, at)
            mean[here] += (rows.values[cells] - eta[cells]) @ weights
            variance = variance - weights @ covariance[at, member]
        sd[here] = np.sqrt(variance)
    return mean, sd


def log_interval(lower: Array, upper: Array) -> Array:
    """Logarithm of Φ(upper) − Φ(lower), exact in both tails."""
    flip = lower > 0
    low, high = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    above = log_ndtr(high)
    return np.asarray(above + np.log1p(-np.exp(np.minimum(log_ndtr(low) - above, 0.0))))


def draw_between(lower: Array, upper: Array, rng: np.random.Generator) -> Array:
    """Draw standard normals between two ends each, exact in both tails."""
    flip = lower > 0
    low, high = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    level = np.log(rng.random(len(low))) + log_interval(low, high)
    drawn = ndtri_exp(np.minimum(np.logaddexp(log_ndtr(low), level), 0.0))
    drawn = np.clip(drawn, low, high)
    return np.asarray(np.where(flip, -drawn, drawn))


@dataclass(eq=False)
class JointLikelihood:
    """Likelihood of the groups; positive extras are residual SDs, free ones make correlations.

    Attributes
    ----------
    members
        Of the block.
    eta
        LKJ parameter of the residual correlation.
    cutpoints
        Member -> its cutpoints, the first of them 0; set anew whenever they have moved.
    """

    members: Members
    eta: float
    cutpoints: dict[int, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.equations = len(self.members.names)
        self.free = self.equations * (self.equations - 1) // 2
        self._shapes = beta_shapes(self.equations, self.eta)
        self._continuous = self.members.continuous

    def factor(self, positive: Array, free: Array) -> tuple[Array, Array, Array]:
        """Residual SDs, and lower Cholesky factors of correlation and covariance."""
        sd = np.ones(self.equations)
        sd[self._continuous] = positive
        correlation = correlation_factor(np.ascontiguousarray(free), self.equations)
        return sd, correlation, sd[:, None] * correlation

    def covariance(self, positive: Array, free: Array) -> Array:
        """Residual covariance Σ, (member, member)."""
        factor = self.factor(positive, free)[2]
        return np.asarray(factor @ factor.T)

    def __call__(
        self, y: Rows, eta: Array, positive: Array, free: Array
    ) -> tuple[float, Array, Array, Array]:
        """Log likelihood and its gradient by η, residual SDs and partial correlations."""
        sd, correlation, factor = self.factor(positive, free)
        if not (np.diag(factor) > 1e-100).all() or not np.isfinite(factor).all():
            return -np.inf, np.zeros_like(eta), np.zeros_like(positive), np.zeros_like(free)
        value, by_eta, by_covariance = _log_likelihood(
            y.values, y.lower, y.upper, y.pattern, y.known, y.judged,
            np.ascontiguousarray(eta), factor @ factor.T,
        )  # fmt: skip
        by_factor = np.tril((by_covariance + by_covariance.T) @ factor)
        by_sd = (by_factor * correlation).sum(axis=1)
        by_free = pull_back(np.ascontiguousarray(free), correlation, by_factor * sd[:, None])
        return float(value), by_eta, by_sd[self._continuous], by_free

    def information(self, y: Rows, eta: Array, positive: Array, free: Array) -> Array:
        """Curvature of each row by η, (row, member, member)."""
        covariance = self.covariance(positive, free)
        return np.asarray(
            _information(
                y.values, y.lower, y.upper, y.pattern, y.known, y.judged,
                np.ascontiguousarray(eta), covariance,
            )
        )  # fmt: skip

    def prior(self, intercepts: Array, free: Array) -> tuple[float, Array, Array]:
        """LKJ prior of the residual correlation, uniform shares of the categories at η = 0."""
        partial = np.tanh(free)
        value = float((self._shapes * np.log1p(-partial * partial)).sum())
        by_intercepts = np.zeros(self.equations)
        for k, cutpoints in self.cutpoints.items():
            away = cutpoints - intercepts[k]
            value -= 0.5 * float(away @ away)
            by_intercepts[k] = away.sum()
        return value, by_intercepts, -2.0 * self._shapes * partial


@numba.njit(cache=True, error_model="numpy")
def _log_share(x: float) -> float:
    """Logarithm of Φ(x)."""
    if x > -37.0:
        return np.log(0.5 * math.erfc(-x / _ROOT_2))
    if x == -np.inf:
        return -np.inf
    over = 1.0 / (x * x)  # asymptotic series; the next term is below rounding here
    return -0.5 * x * x - np.log(-x) - _LOG_ROOT_2_PI + np.log1p(over * (-1.0 + 3.0 * over))


@numba.njit(cache=True, error_model="numpy")
def _interval(low: float, high: float) -> tuple[float, float, float]:
    """Logarithm of Φ(high) − Φ(low), and the densities at both ends relative to it."""
    if low > 0.0:
        below, above = _log_share(-high), _log_share(-low)
    else:
        below, above = _log_share(low), _log_share(high)
    mass = above + np.log1p(-np.exp(below - above))
    at_low = np.exp(-0.5 * low * low - _LOG_ROOT_2_PI - mass) if np.isfinite(low) else 0.0
    at_high = np.exp(-0.5 * high * high - _LOG_ROOT_2_PI - mass) if np.isfinite(high) else 0.0
    return mass, at_low, at_high


@numba.njit(cache=True, error_model="numpy")
def _pattern_parts(
    known: npt.NDArray[np.bool_], judged: Positions, covariance: Array
) -> tuple[Array, Array, Array, Array]:
    """Of each pattern: inverse and log determinant of Σ_AA, weights of the judged member, its SD.

    Members a pattern does not know have zeros.
    """
    patterns, size = known.shape
    inverse = np.zeros((patterns, size, size))
    log_determinant = np.zeros(patterns)
    weights = np.zeros((patterns, size))
    sd = np.ones(patterns)
    for p in range(patterns):
        at = np.flatnonzero(known[p])
        inside = np.empty((len(at), len(at)))
        for i in range(len(at)):
            for j in range(len(at)):
                inside[i, j] = covariance[at[i], at[j]]
        if len(at):
            log_determinant[p] = np.linalg.slogdet(inside)[1]
            inside = np.linalg.inv(inside)
        for i in range(len(at)):
            for j in range(len(at)):
                inverse[p, at[i], at[j]] = inside[i, j]
        k = judged[p]
        if k >= 0:
            variance = covariance[k, k]
            for a in at:
                for b in at:
                    weights[p, a] += inverse[p, a, b] * covariance[b, k]
                variance -= weights[p, a] * covariance[a, k]
            sd[p] = np.sqrt(variance)
    return inverse, log_determinant, weights, sd


@numba.njit(cache=True, error_model="numpy")
def _log_likelihood(
    values: Array,
    lower: Array,
    upper: Array,
    pattern: Positions,
    known: npt.NDArray[np.bool_],
    judged: Positions,
    eta: Array,
    covariance: Array,
) -> tuple[float, Array, Array]:
    """Value, gradient by η (row, member), and by Σ, each of whose cells counts for itself."""
    rows, size = eta.shape
    patterns = len(judged)
    inverse, log_determinant, weights, sd = _pattern_parts(known, judged, covariance)
    by_eta = np.zeros((rows, size))
    by_covariance = np.zeros((size, size))
    count = np.zeros(patterns)
    pulled = np.zeros((patterns, size))
    by_variance = np.zeros(patterns)
    residual = np.zeros(size)
    value = 0.0
    for i in range(rows):
        p = pattern[i]
        count[p] += 1.0
        for a in range(size):
            residual[a] = values[i, a] - eta[i, a] if known[p, a] else 0.0
        for a in range(size):
            weighted = 0.0
            for b in range(size):
                weighted += inverse[p, a, b] * residual[b]
            by_eta[i, a] = weighted
            value -= 0.5 * weighted * residual[a]
        for a in range(size):
            for b in range(a + 1):
                by_covariance[a, b] += 0.5 * by_eta[i, a] * by_eta[i, b]
        k = judged[p]
        if k >= 0:
            mean = eta[i, k]
            for a in range(size):
                mean += weights[p, a] * residual[a]
            low, high = (lower[i] - mean) / sd[p], (upper[i] - mean) / sd[p]
            mass, at_low, at_high = _interval(low, high)
            value += mass
            by_mean = (at_low - at_high) / sd[p]
            slope = (low * at_low if at_low > 0.0 else 0.0) - (
                high * at_high if at_high > 0.0 else 0.0
            )
            by_variance[p] += slope / (2.0 * sd[p] * sd[p])
            by_eta[i, k] += by_mean
            for a in range(size):
                by_eta[i, a] -= by_mean * weights[p, a]
                pulled[p, a] += by_mean * residual[a]
    for a in range(size):
        for b in range(a):
            by_covariance[b, a] = by_covariance[a, b]
    for p in range(patterns):
        value -= 0.5 * count[p] * log_determinant[p]
        back = inverse[p] @ pulled[p]
        k = judged[p]
        for a in range(size):
            for b in range(size):
                by_covariance[a, b] += (
                    by_variance[p] * weights[p, a] * weights[p, b]
                    - 0.5 * count[p] * inverse[p, a, b]
                    - 0.5 * (back[a] * weights[p, b] + back[b] * weights[p, a])
                )
            if k >= 0:
                half = 0.5 * back[a] - by_variance[p] * weights[p, a]
                by_covariance[a, k] += half
                by_covariance[k, a] += half
        if k >= 0:
            by_covariance[k, k] += by_variance[p]
    return value, by_eta, by_covariance


@numba.njit(cache=True, error_model="numpy")
def _information(
    values: Array,
    lower: Array,
    upper: Array,
    pattern: Positions,
    known: npt.NDArray[np.bool_],
    judged: Positions,
    eta: Array,
    covariance: Array,
) -> Array:
    """Curvature of each row by η, (row, member, member)."""
    rows, size = eta.shape
    inverse, _, weights, sd = _pattern_parts(known, judged, covariance)
    out = np.empty((rows, size, size))
    direction = np.zeros(size)
    for i in range(rows):
        p = pattern[i]
        k = judged[p]
        curvature = 0.0
        if k >= 0:
            mean = eta[i, k]
            for a in range(size):
                direction[a] = -weights[p, a]
                if known[p, a]:
                    mean += weights[p, a] * (values[i, a] - eta[i, a])
            direction[k] = 1.0
            low, high = (lower[i] - mean) / sd[p], (upper[i] - mean) / sd[p]
            _, at_low, at_high = _interval(low, high)
            curvature = (at_high - at_low) ** 2
            curvature += high * at_high if at_high > 0.0 else 0.0
            curvature -= low * at_low if at_low > 0.0 else 0.0
            curvature = max(curvature, 1e-6) / (sd[p] * sd[p])
        for a in range(size):
            for b in range(size):
                out[i, a, b] = inverse[p, a, b]
                if k >= 0:
                    out[i, a, b] += curvature * direction[a] * direction[b]
    return out


def draw_unknown(values: Array, eta: Array, covariance: Array, rng: np.random.Generator) -> Array:
    """Fill NaN in `values` (row, member) with draws given the other members of the row."""
    out = values.copy()
    size = values.shape[1]
    known = ~np.isnan(values)
    key = known @ (1 << np.arange(size))
    for one in np.unique(key):
        rows = np.flatnonzero(key == one)
        here = np.flatnonzero(known[rows[0]])
        gone = np.flatnonzero(~known[rows[0]])
        if not len(gone):
            continue
        mean = eta[np.ix_(rows, gone)]
        spread = covariance[np.ix_(gone, gone)]
        if len(here):
            weights = np.linalg.solve(
                covariance[np.ix_(here, here)], covariance[np.ix_(here, gone)]
            )
            mean = mean + (values[np.ix_(rows, here)] - eta[np.ix_(rows, here)]) @ weights
            spread = spread - covariance[np.ix_(gone, here)] @ weights
        noise = rng.normal(size=(len(rows), len(gone)))
        out[np.ix_(rows, gone)] = mean + noise @ np.linalg.cholesky(spread).T
    return out
