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

from dataclasses import dataclass, field

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.method import Design
from bayesimpute.sampling.compiled import part_of
from bayesimpute.sampling.correlation import beta_shapes, correlation_factor, pull_back
from bayesimpute.sampling.gaussian import Units
from bayesimpute.sampling.tails import interval

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

#: No judged member.
NOBODY = -1


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

    def y(self, design: Design) -> Array:
        """Give what is known of each row of a design with the columns of :func:`known_columns`.

        Columns are the members' values, NaN where unknown, the ends of the interval, the number
        of the row's pattern, and who is judged, (row, member + 4).
        """
        rows = rows_of(design, self.members)
        return np.column_stack(
            [rows.values, rows.lower, rows.upper, rows.pattern, rows.judged[rows.pattern]]
        )


def rows_of(design: Design, members: int) -> Rows:
    """Rows of a design whose columns :func:`known_columns` has made."""
    columns = design.columns
    values = np.column_stack([columns[f"value {k}"] for k in range(members)])
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


@part_of
def _patterns(columns: Array, size: int) -> tuple[npt.NDArray[np.bool_], Positions]:
    """Which members each pattern knows, and whom it judges; columns as of JointUnits.y."""
    rows = columns.shape[1]
    count = 0
    for i in range(rows):
        count = max(count, int(columns[size + 2, i]) + 1)
    known = np.zeros((count, size), dtype=np.bool_)
    judged = np.full(count, NOBODY)
    for i in range(rows):
        p = int(columns[size + 2, i])
        judged[p] = int(columns[size + 3, i])
        for a in range(size):
            known[p, a] = not np.isnan(columns[a, i])
    return known, judged


@part_of
def _pattern_parts(
    known: npt.NDArray[np.bool_], judged: Positions, covariance: Array
) -> tuple[Array, Array, Array, Array]:
    """Of each pattern: inverse and log determinant of Σ_AA, weights of the judged member, its SD.

    Members a pattern does not know have zeros. Where rounding leaves Σ_AA singular, its log
    determinant is given as infinite and the rest of the pattern as zeros: an exception could not
    leave compiled code that is called by its address, and what it returns would be anything.
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
            if not np.isfinite(log_determinant[p]):
                log_determinant[p] = np.inf
                continue
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


@part_of
def _log_likelihood(columns: Array, eta: Array, covariance: Array) -> tuple[float, Array, Array]:
    """Value, gradient by η (member, row), and by Σ, each of whose cells counts for itself."""
    size, rows = eta.shape
    known, judged = _patterns(columns, size)
    patterns = len(judged)
    inverse, log_determinant, weights, sd = _pattern_parts(known, judged, covariance)
    by_eta = np.zeros((size, rows))
    by_covariance = np.zeros((size, size))
    count = np.zeros(patterns)
    pulled = np.zeros((patterns, size))
    by_variance = np.zeros(patterns)
    residual = np.zeros(size)
    value = 0.0
    for i in range(rows):
        p = int(columns[size + 2, i])
        count[p] += 1.0
        for a in range(size):
            residual[a] = columns[a, i] - eta[a, i] if known[p, a] else 0.0
        for a in range(size):
            weighted = 0.0
            for b in range(size):
                weighted += inverse[p, a, b] * residual[b]
            by_eta[a, i] = weighted
            value -= 0.5 * weighted * residual[a]
        for a in range(size):
            for b in range(a + 1):
                by_covariance[a, b] += 0.5 * by_eta[a, i] * by_eta[b, i]
        k = judged[p]
        if k >= 0:
            mean = eta[k, i]
            for a in range(size):
                mean += weights[p, a] * residual[a]
            low, high = (columns[size, i] - mean) / sd[p], (columns[size + 1, i] - mean) / sd[p]
            mass, at_low, at_high = interval(low, high)
            value += mass
            by_mean = (at_low - at_high) / sd[p]
            slope = (low * at_low if at_low > 0.0 else 0.0) - (
                high * at_high if at_high > 0.0 else 0.0
            )
            by_variance[p] += slope / (2.0 * sd[p] * sd[p])
            by_eta[k, i] += by_mean
            for a in range(size):
                by_eta[a, i] -= by_mean * weights[p, a]
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


@part_of
def _information(columns: Array, eta: Array, covariance: Array) -> Array:
    """Curvature of each row by η, (member, member, row)."""
    size, rows = eta.shape
    known, judged = _patterns(columns, size)
    inverse, _, weights, sd = _pattern_parts(known, judged, covariance)
    out = np.empty((size, size, rows))
    direction = np.zeros(size)
    for i in range(rows):
        p = int(columns[size + 2, i])
        k = judged[p]
        curvature = 0.0
        if k >= 0:
            mean = eta[k, i]
            for a in range(size):
                direction[a] = -weights[p, a]
                if known[p, a]:
                    mean += weights[p, a] * (columns[a, i] - eta[a, i])
            direction[k] = 1.0
            low, high = (columns[size, i] - mean) / sd[p], (columns[size + 1, i] - mean) / sd[p]
            _, at_low, at_high = interval(low, high)
            curvature = (at_high - at_low) ** 2
            curvature += high * at_high if at_high > 0.0 else 0.0
            curvature -= low * at_low if at_low > 0.0 else 0.0
            curvature = max(curvature, 1e-6) / (sd[p] * sd[p])
        for a in range(size):
            for b in range(size):
                out[a, b, i] = inverse[p, a, b]
                if k >= 0:
                    out[a, b, i] += curvature * direction[a] * direction[b]
    return out


@part_of
def _residual(extra: Array, constants: Array, size: int) -> tuple[Array, Array, Array]:
    """Residual SDs, partial correlations, and lower Cholesky factor of the correlation."""
    sd, at = np.ones(size), 0
    for k in range(size):
        if constants[k] > 0.0:
            sd[k] = extra[at]
            at += 1
    partial = extra[at:].copy()
    return sd, partial, correlation_factor(partial, size)


@part_of
def _covariance(sd: Array, correlation: Array) -> Array:
    size = sd.size
    out = np.zeros((size, size))
    for a in range(size):
        for b in range(size):
            for c in range(min(a, b) + 1):
                out[a, b] += sd[a] * correlation[a, c] * correlation[b, c] * sd[b]
    return out


@numba.njit(cache=True, error_model="numpy", nogil=True)
def joint_density(
    arguments: tuple[Array, Array, Array, Array],
) -> tuple[Array, Array, Array]:
    """Log likelihood and its gradient by η, residual SDs and partial correlations."""
    columns, eta, extra, constants = arguments
    size = eta.shape[0]
    by_extra = np.zeros(extra.size)
    sd, partial, correlation = _residual(extra, constants, size)
    for a in range(size):
        if not (sd[a] * correlation[a, a] > 1e-100 and np.isfinite(sd[a])):
            return np.full((), -np.inf), np.zeros(eta.shape), by_extra
    value, by_eta, by_covariance = _log_likelihood(columns, eta, _covariance(sd, correlation))
    by_correlation, at = np.zeros((size, size)), 0
    for a in range(size):
        by_sd = 0.0
        for b in range(a + 1):
            by_factor = 0.0
            for c in range(size):
                both = by_covariance[a, c] + by_covariance[c, a]
                by_factor += both * sd[c] * correlation[c, b]
            by_sd += by_factor * correlation[a, b]
            by_correlation[a, b] = by_factor * sd[a]
        if constants[a] > 0.0:
            by_extra[at] = by_sd
            at += 1
    by_partial = pull_back(partial, correlation, by_correlation)
    for k in range(partial.size):
        by_extra[at + k] = by_partial[k]
    return np.full((), value), by_eta, by_extra


@numba.njit(cache=True, error_model="numpy", nogil=True)
def joint_information(arguments: tuple[Array, Array, Array, Array]) -> tuple[Array]:
    """Curvature of each row by η."""
    columns, eta, extra, constants = arguments
    sd, _, correlation = _residual(extra, constants, eta.shape[0])
    return (_information(columns, eta, _covariance(sd, correlation)),)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def joint_prior(arguments: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """LKJ prior of the residual correlation, uniform shares of the categories at η = 0."""
    intercepts, extra, constants = arguments
    size = intercepts.size
    pairs = size * (size - 1) // 2
    positive = extra.size - pairs
    value, by_intercepts, by_extra = 0.0, np.zeros(size), np.zeros(extra.size)
    for k in range(pairs):
        z = np.tanh(extra[positive + k])
        value += constants[size + k] * np.log1p(-z * z)
        by_extra[positive + k] = -2.0 * constants[size + k] * z
    at = 2 * size + pairs
    for k in range(size):
        for _ in range(int(constants[size + pairs + k])):
            away = constants[at] - intercepts[k]
            value -= 0.5 * away * away
            by_intercepts[k] += away
            at += 1
    return np.full((), value), by_intercepts, by_extra


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

    density = staticmethod(joint_density)
    information = staticmethod(joint_information)
    extra_prior = staticmethod(joint_prior)

    def __post_init__(self) -> None:
        self.equations = len(self.members.names)
        self.free = self.equations * (self.equations - 1) // 2
        self._shapes = beta_shapes(self.equations, self.eta)
        self._continuous = self.members.continuous

    @property
    def constants(self) -> Array:
        """Numbers of the compiled functions, at the cutpoints as they are.

        Whether each member is a number; Beta shapes of the residual correlations; how many
        cutpoints each member has; and these.
        """
        counts = [len(self.cutpoints.get(k, ())) for k in range(self.equations)]
        cutpoints = [self.cutpoints[k] for k in sorted(self.cutpoints)]
        return np.concatenate([self._continuous, self._shapes, counts, *cutpoints]).astype(float)

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
