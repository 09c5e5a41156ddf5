"""The kernel of every conditionally Gaussian model: NUTS on the scales, the rest exact.

State (unconstrained): scale parameters ``sd_<effect>…, sigma[, sd_log_sigma]``, then partial
correlations of the random effects, then (heteroscedastic) one standardised log-SD a cluster.
"""

from collections.abc import Callable as Function
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from numba.extending import register_jitable

from bayesimpute.method import Adaptation, Design, Parameters
from bayesimpute.sampling import nuts
from bayesimpute.sampling.cluster_effects import EffectColumn, Moved
from bayesimpute.sampling.collapsed import (
    CrossProducts,
    Integrated,
    Standard,
    cross_products,
    draw_coefficients,
    log_marginal,
    room_for,
    standard_of,
    without,
)
from bayesimpute.sampling.compiled import Callable, Struct, density_of, specialised
from bayesimpute.sampling.correlation import CorrelationBlocks, correlation_factor, pull_back
from bayesimpute.sampling.integrated import normal_density
from bayesimpute.sampling.nested import Spread, spread_of
from bayesimpute.sampling.scales import ScalePriors, scales_by_priors

Array = npt.NDArray[np.float64]

#: Transitions that bring a chain from its dispersed start to the posterior, at its first visit.
FIRST_TRANSITIONS = 20


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

    @cached_property
    def standard(self) -> Standard:
        """The same for compiled code."""
        return standard_of(
            self.centre_x, self.scale_x, self.centre_z, self.scale_z, self.centre_y, self.scale_y
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


class Fixed(Struct):
    """What a compiled model knows before it sees data.

    Attributes
    ----------
    standard
        Units of the data.
    clusters
        Number of clusters.
    prior, constants, replaced
        Of the scales (:class:`~bayesimpute.sampling.scales.ScalePriors`).
    unit
        What divides ``sd_<effect>…, sigma`` to give computing units, (q + 1,).
    precision, mean
        Of the coefficients' normal priors, (p,).
    marginal
        :func:`~bayesimpute.sampling.collapsed.log_marginal`, compiled apart.
    shapes, pairs
        Beta shape of each partial correlation, and whether it is free, (pair,).
    heteroscedastic
        Whether the residual SD varies by cluster.
    """

    standard: Standard
    clusters: int
    prior: Callable
    constants: Array
    replaced: npt.NDArray[np.bool_]
    unit: Array
    precision: Array
    mean: Array
    marginal: Callable
    shapes: Array
    pairs: npt.NDArray[np.bool_]
    heteroscedastic: bool


@numba.njit(cache=True, error_model="numpy", nogil=True)
def fixed_of(*fields: Any) -> Fixed:
    """Make it of the values of all fields."""
    return Fixed(*fields)


class Collapsed(NamedTuple):
    """The posterior of the scales: the problem that NUTS gets."""

    data: CrossProducts
    made: Integrated
    fixed: Fixed


class Rows(NamedTuple):
    """Completed data of a visit, as a :class:`~bayesimpute.method.Design` has them."""

    x: Array
    z: Array
    y: Array
    cluster: npt.NDArray[np.int64]
    fit: npt.NDArray[np.bool_]


class Scales(NamedTuple):
    """Scales of a state, in computing units."""

    sd: Array
    sigma: float
    spread: float


@register_jitable
def _scales(state: Array, fixed: Fixed) -> tuple[Scales, Array, Array, float, Array, Array]:
    """Take a state apart: scales, partial correlations, offsets.

    Also the scales' log prior, its gradient, and their derivatives.
    """
    q = fixed.unit.size - 1
    count = fixed.constants.size
    each, gradient, parameters, slope = scales_by_priors(
        state[:count].copy(), fixed.constants, fixed.replaced, fixed.prior
    )
    value = 0.0
    for k in range(count):
        value += each[k]
    partial = np.zeros(fixed.pairs.size)
    at = count
    for k in range(fixed.pairs.size):
        if fixed.pairs[k]:
            partial[k] = state[at]
            at += 1
    spread = parameters[q + 1] if fixed.heteroscedastic else 0.0
    sd = np.empty(q)
    for a in range(q):
        sd[a] = parameters[a] / fixed.unit[a]
    scales = Scales(sd, parameters[q] / fixed.unit[q], spread)
    return scales, partial, state[at:], value, gradient, slope


@register_jitable
def _put(scales: Scales, partial: Array, offsets: Array, made: Integrated, clusters: int) -> Array:
    """Write down the factor of Ψ and the residual variances; gives the factor of correlations."""
    sd, sigma, spread = scales
    q = sd.size
    correlation = correlation_factor(partial, q)
    factor, sigma2 = made.factor, made.sigma2
    for a in range(q):
        for b in range(q):
            factor[a, b] = sd[a] * correlation[a, b]
    for j in range(clusters):
        sigma2[j] = sigma * sigma
        if offsets.size > 0:
            sigma2[j] *= np.exp(2.0 * spread * offsets[j])
    return correlation


@numba.njit(cache=True, error_model="numpy", nogil=True)
def log_posterior(state: Array, problem: Collapsed, out: Array) -> float:
    """Unnormalised log posterior of the state; its gradient into `out`."""
    fixed = problem.fixed
    q, count, clusters = fixed.unit.size - 1, fixed.constants.size, fixed.clusters
    scales, partial, offsets, value, gradient, slope = _scales(state, fixed)
    sd, sigma, spread = scales
    correlation = _put(scales, partial, offsets, problem.made, clusters)
    factor, sigma2 = problem.made.factor, problem.made.sigma2
    lp, by_psi, by_sigma2 = fixed.marginal(problem.data, fixed.precision, fixed.mean, problem.made)
    value += lp

    by_correlation = np.zeros((q, q))
    for a in range(q):
        by_sd = 0.0
        for b in range(a + 1):
            by_factor = 0.0
            for c in range(q):
                by_factor += 2.0 * by_psi[a, c] * factor[c, b]
            by_sd += by_factor * correlation[a, b]
            by_correlation[a, b] = by_factor * sd[a]
        out[a] = by_sd / fixed.unit[a] * slope[a] + gradient[a]
    by_sigma = 0.0
    for j in range(clusters):
        by_sigma += by_sigma2[j] * 2.0 * sigma2[j] / sigma
    out[q] = by_sigma / fixed.unit[q] * slope[q] + gradient[q]

    by_partial = pull_back(partial, correlation, by_correlation)
    at = count
    for k in range(partial.size):
        z = np.tanh(partial[k])
        value += fixed.shapes[k] * np.log1p(-z * z)
        if fixed.pairs[k]:
            out[at] = by_partial[k] - 2.0 * fixed.shapes[k] * z
            at += 1
    by_spread = 0.0
    for j in range(offsets.size):
        by_log = by_sigma2[j] * 2.0 * sigma2[j]
        by_spread += by_log * offsets[j]
        out[at + j] = by_log * spread - offsets[j]
        value -= 0.5 * offsets[j] ** 2
    if fixed.heteroscedastic:
        out[q + 1] = by_spread * slope[q + 1] + gradient[q + 1]
    return value


@register_jitable
def _drawn(
    collapsed: Collapsed, state: Array, rng: np.random.Generator
) -> tuple[Scales, Array, Array, Array]:
    """Draw β and b exactly given the state; gives its scales and the residual SDs too."""
    data, made, fixed = collapsed
    scales, partial, offsets = _scales(state, fixed)[:3]
    _put(scales, partial, offsets, made, fixed.clusters)
    fixed.marginal(data, fixed.precision, fixed.mean, made)  # is compiled, and leaves what we need
    clusters, (_, q, p1, _) = fixed.clusters, made.projected.shape
    beta, effects = draw_coefficients(
        made,
        rng.standard_normal(p1 - 1),
        rng.standard_normal(clusters * q).reshape(clusters, q),
    )
    return scales, beta, effects, np.sqrt(made.sigma2)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _draw_given(
    data: CrossProducts, fixed: Fixed, state: Array, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Draw β and b exactly given the state; gives the residual SDs too."""
    return _drawn(Collapsed(data, room_for(data), fixed), state, rng)[1:]


class Sampler(Struct):
    """What moves the scales, each compiled apart.

    Attributes
    ----------
    deepest
        Doublings of a trajectory, at most.
    density
        :func:`log_posterior`.
    sample
        :func:`bayesimpute.sampling.nuts.sample`.
    """

    deepest: int
    density: Callable
    sample: Callable


@numba.njit(cache=True, error_model="numpy", nogil=True)
def sampler_of(*fields: Any) -> Sampler:
    """Make it of the values of all fields; as an argument a function would take its time."""
    return Sampler(*fields)


class Move(NamedTuple):
    """How the scales are moved in a visit.

    Attributes
    ----------
    variance, step
        Its tuning: inverse mass, (state,), and step size.
    transitions
        How many.
    """

    variance: Array
    step: float
    transitions: int


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _visit(
    data: CrossProducts,
    fixed: Fixed,
    sampler: Sampler,
    move: Move,
    rows: Rows,
    wanted: npt.NDArray[np.bool_],
    state: Array,
    rng: np.random.Generator,
) -> tuple[Array, Scales, Array, Array, Array, Array, Array, Array]:
    """Move the scales, draw β and b exactly given them, and predict the wanted rows by these.

    The state is written to. What is known of the transitions comes before what
    :class:`Fitted` has.
    """
    made = room_for(data)
    collapsed = Collapsed(data, made, fixed)
    record, averaging = np.empty(6), np.zeros(6)
    averaging[0] = np.log(move.step)
    draws = np.empty((0, 0))
    sampler.sample(
        nuts.Problem(collapsed, sampler.density), state, move.variance, averaging, False,
        sampler.deepest, move.transitions, draws, record, rng,
    )  # fmt: skip
    scales, beta, effects, residual_sd = _drawn(collapsed, state, rng)
    standard = fixed.standard
    q = effects.shape[1]
    count = 0
    for i in range(wanted.size):
        count += wanted[i]
    mean, sd = np.empty(count), np.empty(count)
    x, z, cluster = rows.x, rows.z, rows.cluster
    centre_x, scale_x = standard.centre_x, standard.scale_x
    centre_z, scale_z = standard.centre_z, standard.scale_z
    centre_y, scale_y = standard.centre_y, standard.scale_y
    at = 0
    for i in range(wanted.size):
        if wanted[i]:
            j = cluster[i]
            eta = beta[0]
            for a in range(x.shape[1]):
                eta += (x[i, a] - centre_x[a]) / scale_x[a] * beta[a + 1]
            for a in range(q):
                eta += (z[i, a] - centre_z[a]) / scale_z[a] * effects[j, a]
            mean[at] = centre_y + scale_y * eta
            sd[at] = scale_y * residual_sd[j]
            at += 1
    return record, scales, beta, effects, residual_sd, made.factor, mean, sd


class Fitted(NamedTuple):
    """What a visit has drawn.

    Attributes
    ----------
    state, statistics
        Of the sampler.
    scales
        Of the state.
    beta
        Coefficients in computing units, (1 + predictor,).
    effects, sigma
        Effects (cluster, effect) and residual SD of each cluster, (cluster,), the same way.
    factor
        Cholesky factor of Ψ in computing units.
    mean, sd
        Expected value and residual SD of each wanted row in original units, (row,).
    parameters
        In original units.
    """

    state: Array
    statistics: Mapping[str, float]
    scales: Scales
    beta: Array
    effects: Array
    sigma: Array
    factor: Array
    mean: Array
    sd: Array
    parameters: Parameters


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
        coefficient = np.append(1.0, self.units.scale_x) / self.units.scale_y
        centre = np.append(self.units.centre_y, np.zeros(len(design.predictors)))
        self._heteroscedastic = heteroscedastic
        self._unit_beta, self._unit_scales = 1.0 / coefficient[1:], self.units.scales
        self.unit = np.where(priors.replaced[: q + 1], self._unit_scales, 1.0)
        self._standard = self.units.standard
        rows, rng = rows_of(design), np.random.default_rng(0)
        arguments = (*rows, design.n_clusters, self._standard, heteroscedastic)
        self._cross_products = specialised(cross_products, *arguments)
        products = self._cross_products(*arguments)
        self._room_for = specialised(room_for, products)
        made = self._room_for(products)
        precision = 1.0 / (prior_sd * coefficient) ** 2
        example = products, precision, precision, made
        self.fixed = fixed_of(
            self._standard,
            design.n_clusters,
            priors.function,
            priors.constants,
            priors.replaced,
            self.unit,
            precision,
            (prior_mean - centre) * coefficient,
            Callable.for_example(log_marginal, *example),
            self.blocks.shapes,
            self.blocks.free,
            heteroscedastic,
        )
        data = Collapsed(products, made, self.fixed)
        self._density = density_of(log_posterior, data)
        problem = nuts.Problem(data, self._density)
        self._nuts = nuts.CompiledNuts(problem)
        self._sampler = sampler_of(nuts.DEEPEST, self._density, nuts.sampler_of(problem))
        state = np.zeros(self.layout.size)
        move = Move(state, 1.0, 1)
        self._draw_given: Any = None  # compiled where they are first needed
        self._without: Any = None
        self._visit = specialised(
            _visit, products, self.fixed, self._sampler, move, rows, design.fit, state, rng
        )

    def observe(self, design: Design) -> nuts.Problem:
        """Give the posterior of the scales on the current completed data."""
        products = self._products(design, rows_of(design))
        made = self._room_for(products)
        return nuts.Problem(Collapsed(products, made, self.fixed), self._density)

    def _products(self, design: Design, rows: Rows) -> CrossProducts:
        """Give the cross-products of a design, whose rows these are."""
        base = design.base or design
        products: CrossProducts | None = base.memo.get(self)
        if products is None:
            own = rows if base is design else rows_of(base)
            products = base.memo[self] = self._cross_products(
                *own, base.n_clusters, self._standard, self._heteroscedastic
            )
        return products if design.offset is None else self._less(design, products)

    def _less(self, design: Design, products: CrossProducts) -> CrossProducts:
        """Take from the values what effects of further groupings add to their mean."""
        added = np.ascontiguousarray(design.offset, dtype=np.float64)
        arguments = products, *rows_of(design), added, self._standard, self._heteroscedastic
        if self._without is None:
            self._without = specialised(without, *arguments)
        found: CrossProducts = self._without(*arguments)
        return found

    def adapt(self, design: Design, tune: int, rng: np.random.Generator) -> Adaptation:
        """Tune NUTS on the observed data, from equal shares of cluster and residual variance."""
        start = np.zeros(self.layout.size)
        for i, guess in enumerate(np.append(self.unit * 0.5, 0.2)[: self.layout.scales]):
            start[i] = self._unconstrain(i, float(guess))
        return self._nuts.adapt(self.observe(design), start, tune, rng)[0]

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Give a dispersed starting state."""
        return nuts.dispersed(adaptation.start_mean, adaptation.start_sd, rng)

    def visit(
        self,
        design: Design,
        wanted: npt.NDArray[np.bool_],
        adaptation: Adaptation,
        state: Array,
        first: bool,
        transitions: int,
        rng: np.random.Generator,
    ) -> Fitted:
        """Move the scales by NUTS, draw β and b exactly given them, predict the wanted rows.

        Parameters
        ----------
        design
            The completed data.
        wanted
            Rows to predict, (row,).
        adaptation, state
            Of the sampler.
        first
            Whether the state is a dispersed start, to be brought to the posterior.
        transitions
            How many; those that settle a chain come before them.
        rng
            Of this visit.
        """
        rows = rows_of(design)
        products = self._products(design, rows)
        state = (
            self._nuts.settled(self.observe(design), state, adaptation, FIRST_TRANSITIONS, rng)
            if first
            else state.copy()
        )
        # machine code does not look whether what it reads is there
        nuts.check_sizes(self.layout.size, state.size, adaptation.variance.size)
        move = Move(adaptation.variance, adaptation.step_size, transitions)
        record, scales, beta, effects, sigma, factor, mean, sd = self._visit(
            products, self.fixed, self._sampler, move, rows, wanted, state, rng
        )
        nuts.check_density(record)
        if design.offset is not None:
            mean += self.units.scale_y * design.offset[wanted, 0]
        parameters = self._parameters(beta, scales, factor)
        statistics = nuts.statistics_of(record)
        return Fitted(state, statistics, scales, beta, effects, sigma, factor, mean, sd, parameters)

    def moved(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        first: bool,
        transitions: int,
        rng: np.random.Generator,
    ) -> Moved:
        """Move the scales as a visit does, and draw the effects, but predict nothing."""
        problem, settling = self.observe(design), FIRST_TRANSITIONS if first else 0
        state, record = self._nuts.move(problem, state, adaptation, settling, transitions, rng)
        effects = self._drawn(problem.data.data, state, rng)[1]
        return Moved(state, effects, nuts.statistics_of(record))

    def parameters_at(self, state: Array) -> Parameters:
        """SDs and correlations of the effects at a state, in original units."""
        scales, layout = self._scales(state), self.layout
        found = self._parameters(np.zeros(1), scales, self.factor(state))
        kept = {*self.priors.names[: layout.effects], "correlation"}
        return {name: value for name, value in found.items() if name in kept}

    def factor(self, state: Array) -> Array:
        """Cholesky factor of Ψ at a state, in computing units."""
        layout = self.layout
        partial = state[layout.scales : layout.scales + layout.correlations]
        return self._scales(state).sd[:, None] * self.blocks.factor(partial)

    def coefficients(
        self, design: Design, state: Array, rng: np.random.Generator
    ) -> tuple[Array, Array, Array]:
        """Draw β and b exactly given the scales of a state; gives them and σ of each cluster.

        All in computing units: (1 + predictor,), (cluster, effect), (cluster,).
        """
        nuts.check_sizes(self.layout.size, state.size)
        return self._drawn(self._products(design, rows_of(design)), state, rng)

    def _drawn(
        self, products: CrossProducts, state: Array, rng: np.random.Generator
    ) -> tuple[Array, Array, Array]:
        if self._draw_given is None:
            self._draw_given = specialised(_draw_given, products, self.fixed, state, rng)
        found: tuple[Array, Array, Array] = self._draw_given(products, self.fixed, state, rng)
        return found

    def by_cluster(self, rows: Design, fitted: Fitted) -> Array:
        """Log density of each cluster's values, its effects integrated out, (cluster,)."""
        scales = fitted.scales
        fixed = self.units.x(rows) @ fitted.beta
        if rows.offset is not None:
            fixed = fixed + rows.offset[:, 0]
        density = normal_density(
            self.units.y(rows) - fixed,
            self.units.z(rows),
            rows.cluster,
            rows.n_clusters,
            fitted.factor,
            scales.sigma,
            scales.spread if self._heteroscedastic else None,
        )
        size = np.bincount(rows.cluster, minlength=rows.n_clusters)
        return np.where(size > 0, density - size * np.log(self.units.scale_y), 0.0)

    def _scales(self, state: Array) -> Scales:
        """Take the scales out of a state."""
        parameters, q = self.priors(state[: self.layout.scales])[2], self.layout.effects
        *sd, sigma = parameters[: q + 1] / self.unit
        spread = parameters[q + 1] if self._heteroscedastic else 0.0
        return Scales(np.array(sd), float(sigma), float(spread))

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

    def _parameters(self, beta: Array, scales: Scales, factor: Array) -> Parameters:
        units = self.units
        parameters: dict[str, float | Array] = {
            "intercept": float(units.centre_y + units.scale_y * beta[0])
        }
        if beta.size > 1:
            parameters["beta"] = beta[1:] * self._unit_beta
        names, scale = self.priors.names, self._unit_scales
        parameters |= dict(zip(names, (scales.sd * scale[:-1]).tolist(), strict=False))
        parameters[names[scales.sd.size]] = float(scales.sigma * scale[-1])
        if self._heteroscedastic:
            parameters["sd_log_sigma"] = scales.spread
        if self.layout.correlations:
            parameters["correlation"] = self.blocks.correlations(factor / scales.sd[:, None])
        return parameters


def rows_of(design: Design) -> Rows:
    """Rows of a design for compiled code, which takes their types and layout as given."""
    return Rows(
        np.ascontiguousarray(design.x, dtype=np.float64),
        np.ascontiguousarray(design.z, dtype=np.float64),
        np.ascontiguousarray(design.y, dtype=np.float64),
        np.ascontiguousarray(design.cluster, dtype=np.int64),
        np.ascontiguousarray(design.fit, dtype=np.bool_),
    )


@dataclass(frozen=True, eq=False)
class GaussianEffects:
    """Effects of a collapsed posterior (:class:`~bayesimpute.sampling.cluster_effects`).

    Attributes
    ----------
    posterior
        Whose they are.
    seen
        Gives the design that the posterior takes.
    names
        Of the effects.
    """

    posterior: GaussianPosterior
    seen: Function[[Design], Design]
    names: tuple[str, ...]

    @property
    def equations(self) -> int:
        """One linear predictor."""
        return 1

    @property
    def columns(self) -> tuple[EffectColumn, ...]:
        """All of the design's columns."""
        units = self.posterior.units
        found = zip(self.names, units.centre_z, units.scale_z, strict=True)
        return tuple(EffectColumn(0, k, *each) for k, each in enumerate(found))

    def shared(self, state: Array) -> npt.NDArray[np.int64]:
        """Give that of the residual SD; coefficients are no part of a state."""
        return np.array([self.posterior.layout.effects])

    def counted(self, design: Design) -> npt.NDArray[np.bool_]:
        """Give the rows fitted to."""
        return design.fit

    def drawn(self, design: Design, state: Array, rng: np.random.Generator) -> Array:
        """Draw them exactly, given the scales."""
        return self.posterior.coefficients(self.seen(design), state, rng)[1]

    def put(self, state: Array, effects: Array) -> Array:
        """Give the state as it is, which has none."""
        return state

    def factor(self, state: Array) -> Array:
        """Cholesky factor of Ψ."""
        return self.posterior.factor(state)

    @property
    def spread(self) -> Spread:
        """How their SDs and correlations stand in a state."""
        posterior = self.posterior
        return spread_of(posterior.priors, posterior.unit, posterior.blocks, len(self.names))
