"""The kernel of every conditionally Gaussian model: NUTS on the scales, the rest exact.

State (unconstrained): scale parameters ``sd_<effect>…, sigma[, sd_log_sigma]``, then partial
correlations of the random effects, then (heteroscedastic) one standardised log-SD a cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.method import Adaptation, Design, Parameters
from bayesimpute.sampling.collapsed import (
    CrossProducts,
    cross_products,
    draw_coefficients,
    log_marginal,
)
from bayesimpute.sampling.correlation import CorrelationBlocks, correlation_factor, pull_back
from bayesimpute.sampling.integrated import normal_density
from bayesimpute.sampling.nuts import Nuts
from bayesimpute.sampling.scales import ScalePriors

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Units:
    """Centres and scales that take the data to the units the sampler computes in.

    Fixed once, from the design the kernel was built with: they set the default priors, and
    priors must not move with the imputations.
    """

    centre_y: float
    scale_y: float
    centre_x: Array
    scale_x: Array
    centre_z: Array
    scale_z: Array

    @classmethod
    def of(cls, design: Design) -> "Units":
        """Means and SDs over the rows the model is fitted to."""
        fit = design.fit
        centre_z, scale_z = _centre_and_scale(design.z[fit])
        # centring a slope adds a multiple of it to the intercept, which must be there, and be
        # correlated with the slope
        centre_z = np.where(with_intercept(design), centre_z, 0.0)
        constant = np.array([name == "intercept" for name in design.random_effects], dtype=bool)
        centre_x, scale_x = _centre_and_scale(design.x[fit])
        centre_y, scale_y = _centre_and_scale(design.y[fit][:, None])
        return cls(
            float(centre_y[0]),
            float(scale_y[0]),
            centre_x,
            scale_x,
            np.where(constant, 0.0, centre_z),
            np.where(constant, 1.0, scale_z),
        )

    @property
    def scales(self) -> Array:
        """Original units of one computing unit: of each ``sd_<effect>``, then ``sigma``."""
        return np.append(self.scale_y / self.scale_z, self.scale_y)

    def x(self, design: Design) -> Array:
        """Standardised predictors with a leading column of ones, (row, 1 + predictor)."""
        out = np.empty((len(design.x), design.x.shape[1] + 1))
        out[:, 0] = 1.0
        np.subtract(design.x, self.centre_x, out=out[:, 1:])
        out[:, 1:] /= self.scale_x
        return out

    def z(self, design: Design) -> Array:
        """Standardised columns of the random effects, (row, random_effect)."""
        return np.ascontiguousarray((design.z - self.centre_z) / self.scale_z)

    def y(self, design: Design) -> Array:
        """Standardised target, (row,)."""
        return np.asarray((design.y - self.centre_y) / self.scale_y)


def blocks_of(design: Design) -> tuple[int, ...]:
    """Block of each random effect, (random_effect,)."""
    return design.blocks_z or (0,) * len(design.random_effects)


def with_intercept(design: Design) -> npt.NDArray[np.bool_]:
    """Whether each effect may be correlated with a random intercept, (random_effect,)."""
    if "intercept" not in design.random_effects:
        return np.zeros(len(design.random_effects), dtype=bool)
    blocks = np.array(blocks_of(design))
    return np.asarray(blocks == blocks[design.random_effects.index("intercept")])


def _centre_and_scale(columns: Array) -> tuple[Array, Array]:
    centre = columns.mean(axis=0)
    scale = columns.std(axis=0)
    return centre, np.where(scale > 1e-12 * (np.abs(centre) + 1e-300), scale, 1.0)


class Layout(NamedTuple):
    """Sizes of the parts of the state."""

    effects: int
    scales: int
    correlations: int
    offsets: int

    @property
    def size(self) -> int:
        """Length of the state."""
        return self.scales + self.correlations + self.offsets


@dataclass(frozen=True, eq=False)
class Fitted:
    """Coefficients drawn at a visit, in computing units."""

    beta: Array
    effects: Array
    sigma: Array
    parameters: Parameters
    state: Array
    statistics: Mapping[str, float]


@numba.njit(cache=True, error_model="numpy")
def _collapsed_density(
    sd: Array,
    sigma: float,
    spread: float,
    partial: Array,
    offsets: Array,
    shapes: Array,
    data: CrossProducts,
    prior_precision: Array,
    prior_mean: Array,
) -> tuple[float, Array, float, float, Array, Array]:
    """Log density of scales, partial correlations and offsets (without the scales' prior).

    Returns the value and its gradient by sd, sigma, spread, partial and offsets.
    """
    q = sd.size
    clusters = data.rows.size
    correlation = correlation_factor(partial, q)
    factor = np.zeros((q, q))
    for a in range(q):
        for b in range(a + 1):
            factor[a, b] = sd[a] * correlation[a, b]
    sigma2 = np.full(clusters, sigma * sigma)
    for j in range(offsets.size):
        sigma2[j] *= np.exp(2.0 * spread * offsets[j])
    value, by_psi, by_sigma2 = log_marginal(factor, sigma2, data, prior_precision, prior_mean)

    by_factor = np.zeros((q, q))
    for a in range(q):
        for b in range(a + 1):
            for c in range(q):
                by_factor[a, b] += 2.0 * by_psi[a, c] * factor[c, b]
    by_sd = np.zeros(q)
    by_correlation = np.zeros((q, q))
    for a in range(q):
        for b in range(a + 1):
            by_sd[a] += by_factor[a, b] * correlation[a, b]
            by_correlation[a, b] = by_factor[a, b] * sd[a]
    by_partial = pull_back(partial, correlation, by_correlation)
    for k in range(partial.size):
        z = np.tanh(partial[k])
        value += shapes[k] * np.log1p(-z * z)
        by_partial[k] -= 2.0 * shapes[k] * z

    by_sigma = 0.0
    by_spread = 0.0
    by_offsets = np.zeros(offsets.size)
    for j in range(clusters):
        by_sigma += by_sigma2[j] * 2.0 * sigma2[j] / sigma
    for j in range(offsets.size):
        by_log = by_sigma2[j] * 2.0 * sigma2[j]
        by_spread += by_log * offsets[j]
        by_offsets[j] = by_log * spread - offsets[j]
        value -= 0.5 * offsets[j] ** 2
    return value, by_sd, by_sigma, by_spread, by_partial, by_offsets


class GaussianPosterior:
    """Draws from the posterior of a two-level (or single-level) normal model.

    Parameters
    ----------
    design
        Fixes sizes, names and units.
    priors
        Of ``sd_<effect>…, sigma[, sd_log_sigma]``: those the user replaced in original units, the
        defaults in computing units, where they are the same for all data.
    prior_mean, prior_sd
        Of intercept and coefficients, in original units, (1 + predictor,).
    eta
        LKJ parameter of the correlations of the random effects.
    heteroscedastic
        Whether the residual SD varies by cluster.
    """

    def __init__(
        self,
        design: Design,
        priors: ScalePriors,
        prior_mean: Array,
        prior_sd: Array,
        eta: float,
        heteroscedastic: bool,
    ) -> None:
        q = len(design.random_effects)
        self.units = Units.of(design)
        self.priors = priors
        self.blocks = CorrelationBlocks(blocks_of(design), eta)
        self.layout = Layout(
            q, len(priors.names), self.blocks.count, design.n_clusters if heteroscedastic else 0
        )
        self._heteroscedastic = heteroscedastic
        coefficient = np.append(1.0, self.units.scale_x) / self.units.scale_y
        centre = np.append(self.units.centre_y, np.zeros(len(design.predictors)))
        self._prior_mean = (prior_mean - centre) * coefficient
        self._prior_precision = 1.0 / (prior_sd * coefficient) ** 2
        self._data: CrossProducts | None = None
        self._unit = np.where(priors.replaced[: q + 1], self.units.scales, 1.0)
        self._nuts = Nuts(self.log_density, self.layout.size)

    def observe(self, design: Design) -> None:
        """Take the current completed data: one pass over the rows."""
        fit = np.flatnonzero(design.fit)
        order = fit[np.argsort(design.cluster[fit], kind="stable")]
        rows = design.cluster[order]
        start = np.searchsorted(rows, np.arange(design.n_clusters + 1)).astype(np.int64)
        part = design if len(order) == len(design.y) and (np.diff(order) == 1).all() else None
        part = part or design.rows(order)
        self._data = cross_products(
            self.units.x(part),
            self.units.z(part),
            self.units.y(part),
            start,
            self._heteroscedastic,
        )

    def log_density(self, state: Array) -> tuple[float, Array]:
        """Unnormalised log posterior of the state and its gradient."""
        assert self._data is not None, "observe() comes first"
        _, scales, correlations, _ = self.layout
        value, gradient, sd, sigma, spread, slope = self._scales(state)
        lp, by_sd, by_sigma, by_spread, by_partial, by_offsets = _collapsed_density(
            sd,
            sigma,
            spread,
            self.blocks.full(state[scales : scales + correlations]),
            state[scales + correlations :],
            self.blocks.shapes,
            self._data,
            self._prior_precision,
            self._prior_mean,
        )
        out = np.empty(self.layout.size)
        q = self.layout.effects
        out[:q] = by_sd / self._unit[:q]
        out[q] = by_sigma / self._unit[q]
        out[q + 1 : scales] = by_spread
        out[:scales] *= slope
        out[:scales] += gradient
        out[scales : scales + correlations] = self.blocks.of_free(by_partial)
        out[scales + correlations :] = by_offsets
        total = value + lp
        if not (np.isfinite(total) and np.isfinite(out).all()):
            return -np.inf, np.zeros_like(out)
        return total, out

    def adapt(self, tune: int, rng: np.random.Generator) -> Adaptation:
        """Tune NUTS on the observed data, from equal shares of cluster and residual variance."""
        start = np.zeros(self.layout.size)
        for i, guess in enumerate(np.append(self._unit * 0.5, 0.2)[: self.layout.scales]):
            start[i] = self._unconstrain(i, float(guess))
        return self._nuts.adapt(start, tune, rng)[0]

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Give a dispersed starting state."""
        return self._nuts.start(adaptation, rng)

    def settle(
        self, state: Array, adaptation: Adaptation, transitions: int, rng: np.random.Generator
    ) -> Array:
        """Bring a dispersed start to the posterior of the observed data."""
        return self._nuts.settle(state, adaptation, transitions, rng)

    def draw(
        self, state: Array, adaptation: Adaptation, transitions: int, rng: np.random.Generator
    ) -> Fitted:
        """Move the scales by NUTS, then draw β and b exactly given them."""
        state, statistics = self._nuts.move(state, adaptation, transitions, rng)
        q, scales, correlations, _ = self.layout
        _, _, sd, sigma, spread, _ = self._scales(state)
        correlation = self.blocks.factor(state[scales : scales + correlations])
        offsets = state[scales + correlations :]
        data = self._data
        assert data is not None
        residual_sd = np.full(data.rows.size, sigma)
        if self._heteroscedastic:
            residual_sd *= np.exp(spread * offsets)
        beta, effects = draw_coefficients(
            sd[:, None] * correlation,
            residual_sd**2,
            data,
            self._prior_precision,
            self._prior_mean,
            rng.normal(size=self._prior_mean.size),
            rng.normal(size=(data.rows.size, q)),
        )
        parameters = self._parameters(beta, sd, sigma, spread, correlation)
        return Fitted(beta, effects, residual_sd, parameters, state, statistics)

    def linear_predictor(self, design: Design, fitted: Fitted) -> Array:
        """Give the expected value of the target in original units, (row,)."""
        eta = self.units.x(design) @ fitted.beta
        if self.layout.effects:
            eta += (self.units.z(design) * fitted.effects[design.cluster]).sum(axis=1)
        return np.asarray(self.units.centre_y + self.units.scale_y * eta)

    def by_cluster(self, rows: Design, fitted: Fitted) -> Array:
        """Log density of each cluster's values, its effects integrated out, (cluster,)."""
        _, scales, correlations, _ = self.layout
        _, _, sd, sigma, spread, _ = self._scales(fitted.state)
        correlation = self.blocks.factor(fitted.state[scales : scales + correlations])
        density = normal_density(
            self.units.y(rows) - self.units.x(rows) @ fitted.beta,
            self.units.z(rows),
            rows.cluster,
            rows.n_clusters,
            sd[:, None] * correlation,
            sigma,
            spread if self._heteroscedastic else None,
        )
        size = np.bincount(rows.cluster, minlength=rows.n_clusters)
        return np.where(size > 0, density - size * np.log(self.units.scale_y), 0.0)

    def residual_sd(self, design: Design, fitted: Fitted) -> Array:
        """Residual SD in original units, (row,)."""
        return np.asarray(self.units.scale_y * fitted.sigma[design.cluster])

    def _scales(self, state: Array) -> tuple[float, Array, Array, float, float, Array]:
        q, scales, _, _ = self.layout
        value, gradient, parameters, slope = self.priors(np.ascontiguousarray(state[:scales]))
        computing = parameters[: q + 1] / self._unit
        spread = float(parameters[q + 1]) if self._heteroscedastic else 0.0
        return value, gradient, computing[:q], float(computing[q]), spread, slope

    def _unconstrain(self, index: int, wanted: float) -> float:
        """Find by bisection the unconstrained value whose parameter is nearest to `wanted`."""
        low, high = -30.0, 30.0
        probe = np.zeros(self.layout.scales)
        for _ in range(60):
            probe[index] = (low + high) / 2
            if self.priors(probe)[2][index] < wanted:
                low = probe[index]
            else:
                high = probe[index]
        return float((low + high) / 2)

    def _parameters(
        self, beta: Array, sd: Array, sigma: float, spread: float, correlation: Array
    ) -> Parameters:
        units = self.units
        scales = np.append(sd, sigma) * units.scales
        parameters: dict[str, float | Array] = {
            "intercept": float(units.centre_y + units.scale_y * beta[0])
        }
        if beta.size > 1:
            parameters["beta"] = beta[1:] * units.scale_y / units.scale_x
        parameters |= dict(zip(self.priors.names, map(float, scales), strict=False))
        if self._heteroscedastic:
            parameters["sd_log_sigma"] = spread
        if self.layout.correlations:
            parameters["correlation"] = self.blocks.correlations(correlation)
        return parameters
