r"""The posterior of every model whose rows see the data through linear predictors.

With R linear predictors a row (one for counts or yes/no, one fewer than the categories for a
softmax),

.. math::
    η_{ir} = x_i β_r + z_i b_{jr},\quad b_j = (b_{j1}, …, b_{jR}) \sim N(0, Ψ),\quad
    Ψ = \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd),

and any likelihood ``p(y_i | η_i, extra)``, a sweep is three moves, each leaving the posterior
invariant:

1. β and b given the rest, by NUTS in coordinates whitened by the curvature at a fixed reference
   (:mod:`bayesimpute.sampling.arrow`), where the posterior is nearly standard normal.
2. sd and C given b: no row of the data is looked at.
3. sd, C and the likelihood's extra parameters given β and the *standardised* effects.

Moves 2 and 3 together are an interweaving of the centred and the non-centred parametrisation
(Yu & Meng 2011): the first mixes where clusters are informative, the second where they are not, so
no one has to choose. Clusters without rows stay outside; their effects are drawn from N(0, Ψ).

State: scales ``sd…, positive extras`` (unconstrained), partial correlations, free extras, β, b.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.method import Adaptation, Design
from bayesimpute.sampling.arrow import Whitening
from bayesimpute.sampling.correlation import beta_shapes, correlation_factor, pull_back
from bayesimpute.sampling.gaussian import Units
from bayesimpute.sampling.nuts import DISPERSION, Nuts
from bayesimpute.sampling.scales import ScalePriors

Array = npt.NDArray[np.float64]

#: Newton steps that look for the mode move no linear predictor by more.
LONGEST_STEP = 3.0

#: Share of its posterior variance below which the conditional variance of a partial correlation
#: leaves it to move 2.
TIED = 0.5


class Likelihood(Protocol):
    """How a row depends on its linear predictors; arrays only, in computing units."""

    equations: int
    """Linear predictors a row, R."""
    free: int
    """Extra parameters without bounds."""

    def __call__(
        self, y: Any, eta: Array, positive: Array, free: Array
    ) -> tuple[float, Array, Array, Array]:
        """Log likelihood and its gradient by η (row, R), positive and free extras.

        `y` is what ``units.y`` makes of the rows: their targets, (row,), or more than that.
        """
        ...

    def information(self, y: Any, eta: Array, positive: Array, free: Array) -> Array:
        """Curvature of the log likelihood by η, (row, R, R); guides the sampler only."""
        ...

    def prior(self, intercepts: Array, free: Array) -> tuple[float, Array, Array]:
        """Log prior of what has no normal or scale prior, with gradients by both arguments."""
        ...


@dataclass(frozen=True, eq=False)
class Equations:
    """Which columns each linear predictor has.

    Attributes
    ----------
    fixed
        (R, 1 + predictor), the intercept first.
    varying
        Effects by cluster, (R, random_effect).
    """

    fixed: npt.NDArray[np.bool_]
    varying: npt.NDArray[np.bool_]

    @classmethod
    def all(cls, design: Design, equations: int) -> "Equations":
        """Every column in every linear predictor."""
        shapes = (design.x.shape[1] + 1, design.z.shape[1])
        return cls(*(np.ones((equations, columns), dtype=bool) for columns in shapes))


class Sizes:
    """Where the parts of the state are."""

    def __init__(
        self, design: Design, likelihood: Likelihood, equations: Equations, positive: int
    ) -> None:
        self.equations = likelihood.equations
        self.columns = design.x.shape[1] + 1
        self.random = design.z.shape[1]
        self.fixed = equations.fixed
        self.varying = equations.varying.ravel()
        self.effects = int(self.varying.sum())
        self.clusters = design.n_clusters if self.random else 0
        self.scales = self.effects + positive
        self.correlations = self.effects * (self.effects - 1) // 2
        first = self.scales + self.correlations
        self.scale = slice(0, self.scales)
        self.partial = slice(self.scales, first)
        self.free = slice(first, first + likelihood.free)
        self.shape = slice(0, self.free.stop)
        border = int(self.fixed.sum())
        self.beta = slice(self.free.stop, self.free.stop + border)
        self.b = slice(self.beta.stop, self.beta.stop + self.clusters * self.effects)
        self.size = self.b.stop


@dataclass(frozen=True, eq=False)
class Point:
    """A state taken apart, in computing units."""

    sd: Array
    positive: Array
    correlation: Array
    free: Array
    beta: Array
    effects: Array

    @property
    def factor(self) -> Array:
        """Lower Cholesky factor of Ψ."""
        return np.asarray(self.sd[:, None] * self.correlation)


@dataclass(frozen=True, eq=False)
class Data:
    """The rows fitted to, sorted by cluster, in computing units."""

    x: Array
    z: Array
    y: Any
    count: npt.NDArray[np.int64]
    seen: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]


class LinearPosterior:
    """Draws from the posterior of a generalised linear mixed model.

    Parameters
    ----------
    design
        Fixes sizes and units.
    units
        Centres and scales of predictors, and of the target where it is a number on a scale.
    likelihood
        Of a row.
    priors
        Of ``sd…`` and the positive extras; those the user replaced in original units.
    scales
        Original units of one computing unit of each, (scale,).
    prior_mean, prior_precision
        Of the coefficients in computing units, (R, 1 + predictor).
    eta
        LKJ parameter of the correlation of the random effects.
    equations
        Which columns each linear predictor has; default, all.
    """

    def __init__(
        self,
        design: Design,
        units: Units,
        likelihood: Likelihood,
        priors: ScalePriors,
        scales: Array,
        prior_mean: Array,
        prior_precision: Array,
        eta: float,
        equations: Equations | None = None,
    ) -> None:
        equations = equations or Equations.all(design, likelihood.equations)
        self.units = units
        self.likelihood = likelihood
        self.priors = priors
        effects = int(equations.varying.sum())
        self.sizes = Sizes(design, likelihood, equations, len(priors.names) - effects)
        self.scales = scales
        self._unit = np.where(priors.replaced, scales, 1.0)
        self._prior_mean = prior_mean
        self._prior_precision = np.where(equations.fixed, prior_precision, 0.0)
        self._shapes = beta_shapes(self.sizes.effects, eta)
        self._data: Data | None = None
        self._point: Point | None = None
        self._state = np.empty(0)
        self._whitening: Whitening | None = None
        self._information: tuple[Array, Array, Array] | None = None
        size = self.sizes
        self._inverse: Array = np.empty((size.effects, size.effects))
        self._scatter: Array = np.empty((size.effects, size.effects))
        self._standard: Array = np.empty((0, size.effects))
        self._fixed_part: Array = np.empty((0, size.equations))
        border = size.beta.stop - size.beta.start
        self._coefficients_by_seen: dict[int, Nuts] = {}
        self._border = border
        self._centred = (
            Nuts(self._centred_density, size.effects + size.correlations) if size.effects else None
        )
        self._moving = np.ones(size.shape.stop, dtype=bool)
        self._shape_by_size: dict[int, Nuts] = {}

    def _full_beta(self, packed: Array) -> Array:
        """Coefficients by equation and column, (R, 1 + predictor), zero where there is none."""
        size = self.sizes
        full = np.zeros((size.equations, size.columns))
        full[size.fixed] = packed
        return full

    def _full_effects(self, packed: Array) -> Array:
        """Effects by equation, (cluster, R, random_effect), zero where there is none."""
        size = self.sizes
        if size.effects == size.varying.size:
            return packed.reshape(-1, size.equations, size.random)
        full = np.zeros((len(packed), size.varying.size))
        full[:, size.varying] = packed
        return full.reshape(-1, size.equations, size.random)

    # -- data ------------------------------------------------------------------------------

    def observe(self, design: Design, reference: Array | None) -> None:
        """Take the current completed data; curvature is taken at the `reference` state."""
        fit = np.flatnonzero(design.fit)
        order = fit[np.argsort(design.cluster[fit], kind="stable")]
        rows = design.rows(order)
        seen, start, count = np.unique(rows.cluster, return_index=True, return_counts=True)
        self._data = Data(
            self.units.x(rows),
            self.units.z(rows),
            self.units.y(rows),
            count,
            seen,
            start,
        )
        if reference is not None:
            self._take_curvature(self._take_apart(reference))

    def _take_curvature(self, point: Point) -> None:
        """Cross-products weighted by the information of each row at a point."""
        data, size = self._rows, self.sizes
        eta = self._eta(point.beta, point.effects[data.seen] if size.effects else point.effects)
        weight = self.likelihood.information(data.y, eta, point.positive, point.free)
        p, q, equations = size.columns, size.random, size.equations
        k, wide = q * equations, p * equations
        border = np.zeros((wide, wide))
        cross = np.zeros((len(data.seen) if k else 0, k, wide))
        blocks = np.zeros((len(data.seen) if k else 0, k, k))
        for r in range(equations):
            for s in range(equations):
                weighted = weight[:, r, s, None] * data.x
                border[r * p : (r + 1) * p, s * p : (s + 1) * p] = data.x.T @ weighted
                for a in range(q):
                    at = data.z[:, a, None]
                    cross[:, r * q + a, s * p : (s + 1) * p] = np.add.reduceat(
                        at * weighted, data.start
                    )
                    blocks[:, r * q + a, s * q : (s + 1) * q] = np.add.reduceat(
                        at * weight[:, r, s, None] * data.z, data.start
                    )
        border[np.diag_indices(wide)] += self._prior_precision.ravel()
        fixed, varying = np.flatnonzero(size.fixed), np.flatnonzero(size.varying)
        self._information = (
            blocks[:, varying[:, None], varying],
            cross[:, varying[:, None], fixed],
            border[np.ix_(fixed, fixed)],
        )

    @property
    def _rows(self) -> Data:
        assert self._data is not None, "observe() comes first"
        return self._data

    # -- the state ---------------------------------------------------------------------------

    def _take_apart(self, state: Array) -> Point:
        _, _, parameters, _ = self.priors(np.ascontiguousarray(state[self.sizes.scale]))
        return self._with_scales(state, parameters)

    def _with_scales(self, state: Array, parameters: Array) -> Point:
        """Take a state apart whose scales are known already."""
        size = self.sizes
        scales = parameters / self._unit
        return Point(
            scales[: size.effects],
            scales[size.effects :],
            correlation_factor(state[size.partial], size.effects),
            state[size.free],
            self._full_beta(state[size.beta]),
            state[size.b].reshape(size.clusters, size.effects),
        )

    def _eta(self, beta: Array, effects: Array) -> Array:
        """Linear predictors of the rows fitted to; effects of the clusters seen."""
        eta = self._rows.x @ beta.T
        return eta + self._random_part(effects) if self.sizes.effects else eta

    def _random_part(self, effects: Array) -> Array:
        data, full = self._rows, self._full_effects(effects)
        return np.asarray(_random_part(data.z, np.ascontiguousarray(full), data.count))

    def _by_effects(self, by_eta: Array) -> Array:
        data = self._rows
        by_cluster = _by_effects(np.ascontiguousarray(by_eta), data.z, data.count)
        return by_cluster if self.sizes.varying.all() else by_cluster[:, self.sizes.varying]

    # -- move 1: coefficients ------------------------------------------------------------------

    def _whiten(self, point: Point) -> None:
        assert self._information is not None
        blocks, cross, border = self._information
        if self.sizes.effects:
            self._inverse = np.linalg.inv(point.factor)
            blocks = blocks + self._inverse.T @ self._inverse
        self._point = point
        self._whitening = Whitening.of(blocks, cross, border)

    def _coefficient_density(self, u: Array) -> tuple[float, Array]:
        assert self._whitening is not None and self._point is not None
        size, point = self.sizes, self._point
        flat, effects = self._whitening.coefficients(u)
        beta = self._full_beta(flat)
        value, by_eta, _, _ = self.likelihood(
            self._rows.y, self._eta(beta, effects), point.positive, point.free
        )
        by_beta = by_eta.T @ self._rows.x
        away = beta - self._prior_mean
        value -= 0.5 * float((self._prior_precision * away**2).sum())
        by_beta = by_beta - self._prior_precision * away
        extra, by_intercepts, _ = self.likelihood.prior(beta[:, 0], point.free)
        value += extra
        by_beta[:, 0] += by_intercepts
        if size.effects:
            standard = effects @ self._inverse.T
            value -= 0.5 * float((standard**2).sum())
            by_effects = self._by_effects(by_eta) - standard @ self._inverse
        else:
            by_effects = np.empty((0, 0))
        return _finite(value, self._whitening.pull_back(by_beta[size.fixed], by_effects))

    def _coefficients(self) -> Nuts:
        """NUTS over the whitened coefficients of the clusters seen (their number may change)."""
        seen = len(self._rows.seen) if self.sizes.effects else 0
        if seen not in self._coefficients_by_seen:
            size = seen * self.sizes.effects + self._border
            self._coefficients_by_seen[seen] = Nuts(self._coefficient_density, size)
        return self._coefficients_by_seen[seen]

    def _coordinates(self, point: Point) -> Array:
        assert self._whitening is not None
        effects = point.effects[self._rows.seen] if self.sizes.effects else point.effects
        return self._whitening.coordinates(point.beta[self.sizes.fixed], effects)

    def _predictors(self, u: Array) -> Array:
        """Linear predictors of the rows at coordinates u."""
        assert self._whitening is not None
        flat, effects = self._whitening.coefficients(u)
        return self._eta(self._full_beta(flat), effects)

    def _with_coefficients(self, state: Array, u: Array) -> Array:
        assert self._whitening is not None
        size = self.sizes
        beta, effects = self._whitening.coefficients(u)
        out = state.copy()
        out[size.beta] = beta
        if size.effects:
            out[size.b].reshape(size.clusters, size.effects)[self._rows.seen] = effects
        return out

    # -- moves 2 and 3: scales, correlations, extras ----------------------------------------------

    def _by_shape(self, point: Point, state: Array, by_factor: Array, slope: Array) -> Array:
        """Gradient by sd and partial correlations from that by the factor of Ψ."""
        size = self.sizes
        by_sd, by_partial = _by_sd_and_partial(
            by_factor, point.sd, point.correlation, state[size.partial]
        )
        by_sd *= slope[: size.effects] / self._unit[: size.effects]
        return np.concatenate((by_sd, by_partial))

    def _lkj(self, partial: Array) -> tuple[float, Array]:
        z = np.tanh(partial)
        return float((self._shapes * np.log1p(-z * z)).sum()), -2.0 * self._shapes * z

    def _centred_density(self, part: Array) -> tuple[float, Array]:
        """Density of sd and correlations given the effects of the clusters seen."""
        size = self.sizes
        state = self._state.copy()
        state[: size.effects] = part[: size.effects]
        state[size.partial] = part[size.effects :]
        value, gradient, scales, slope = self.priors(np.ascontiguousarray(state[size.scale]))
        point = self._with_scales(state, scales)
        factor = point.factor
        if not (np.diag(factor) > 1e-150).all():
            return -np.inf, np.zeros_like(part)
        lkj, by_partial = self._lkj(state[size.partial])
        log_density, by_factor = _effects_density(factor, self._scatter, len(self._rows.seen))
        value += lkj + log_density
        out = self._by_shape(point, state, by_factor, slope)
        out[: size.effects] += gradient[: size.effects]
        out[size.effects :] += by_partial
        return _finite(value, out)

    def _shape_density(self, part: Array) -> tuple[float, Array]:
        """Density of scales, correlations and extras given β and the standardised effects."""
        size = self.sizes
        state = self._state.copy()
        state[size.shape][self._moving] = part
        value, gradient, scales, slope = self.priors(np.ascontiguousarray(state[size.scale]))
        point = self._with_scales(state, scales)
        eta = self._fixed_part
        if size.effects:
            eta = eta + self._random_part(self._standard @ point.factor.T)
        lp, by_eta, by_positive, by_free = self.likelihood(
            self._rows.y, eta, point.positive, point.free
        )
        extra, _, by_free_prior = self.likelihood.prior(point.beta[:, 0], point.free)
        lkj, by_partial = self._lkj(state[size.partial])
        out = np.zeros(size.shape.stop)
        out[size.scale] = gradient
        if size.effects:
            by_factor = self._by_effects(by_eta).T @ self._standard
            by_shape = self._by_shape(point, state, by_factor, slope)
            out[: size.effects] += by_shape[: size.effects]
            out[size.partial] = by_shape[size.effects :] + by_partial
        at = slice(size.effects, size.scales)
        out[at] += by_positive / self._unit[at] * slope[at]
        out[size.free] = by_free + by_free_prior
        return _finite(value + lp + extra + lkj, out[self._moving])

    def _let_move(self, moving: npt.NDArray[np.bool_]) -> Nuts | None:
        """Choose what move 3 moves, (shape,); gives the NUTS for it."""
        self._moving = moving
        count = int(moving.sum())
        if count and count not in self._shape_by_size:
            self._shape_by_size[count] = Nuts(self._shape_density, count)
        return self._shape_by_size.get(count)

    def _fix_effects(self, state: Array) -> None:
        """Fix what move 2 leaves alone: the effects of the clusters seen."""
        self._state = state
        full = state[self.sizes.b].reshape(self.sizes.clusters, self.sizes.effects)
        effects = full[self._rows.seen]
        self._scatter = effects.T @ effects

    def _centred_part(self, state: Array) -> Array:
        return np.append(state[: self.sizes.effects], state[self.sizes.partial])

    def _standardise(self, state: Array) -> None:
        """Fix what move 3 leaves alone: β, and the effects in units of their own scales."""
        self._state = state
        point = self._take_apart(state)
        self._fixed_part = self._rows.x @ point.beta.T
        if self.sizes.effects:
            effects = point.effects[self._rows.seen]
            self._standard = np.linalg.solve(point.factor, effects.T).T

    def _put_centred(self, state: Array, part: Array) -> Array:
        out = state.copy()
        out[: self.sizes.effects] = part[: self.sizes.effects]
        out[self.sizes.partial] = part[self.sizes.effects :]
        return out

    def _put_shape(self, state: Array, part: Array) -> Array:
        size = self.sizes
        out = state.copy()
        out[size.shape][self._moving] = part
        if size.effects:
            effects = self._standard @ self._take_apart(out).factor.T
            out[size.b].reshape(size.clusters, size.effects)[self._rows.seen] = effects
        return out

    # -- whole visits ------------------------------------------------------------------------------

    def adapt(self, design: Design, tune: int, rng: np.random.Generator) -> Adaptation:
        """Find the posterior's mode, then tune all moves around it.

        The adaptation's parts are those of moves 1, 2 and 3.
        """
        self.observe(design, None)
        state = self._mode(self._guess())
        self._take_curvature(self._take_apart(state))
        size = self.sizes
        centred = np.full(self._centred.size if self._centred else 0, 0.1)
        shape = np.full(size.shape.stop, 0.1)
        shape[size.partial] = 0.0
        half = tune // 2
        steps = np.array([0.5, 0.5, 0.1])
        for phase, length in enumerate((half, tune - half)):
            # scales of moves 2 and 3 are learnt in the first half, step sizes in both
            self._whiten(self._take_apart(state))
            moving = self._let_move(shape > 0)
            moves = (
                (self._coefficients(), None),
                (self._centred, centred),
                (moving, shape[shape > 0]),
            )
            for (move, variance), step in zip(moves, steps, strict=True):
                if move is not None:
                    ones = np.ones(move.size) if variance is None else variance
                    move.begin_tuning(ones, step, rng.spawn(1)[0])
            draws = np.empty((length, size.size))
            slopes = np.empty((length, centred.size + shape.size))
            for i in range(length):
                state = self._tuning_sweep(state)
                draws[i], slopes[i] = state, self._slopes(state)
            steps = np.array([m.tuned_step_size if m else 1.0 for m, _ in moves])
            kept = draws[length // 3 :]
            learnt = _variance_of(slopes[length // 3 :])
            if phase == 0:
                centred, shape = np.split(learnt, [centred.size])
                steps[1:] = 0.4  # the scales being right, a step is a matter of dimension
                # given the effects little is known of few clusters: near the whole posterior
                spread = kept.var(axis=0)
                centred = np.sqrt(centred * np.clip(self._centred_part(spread), 1e-8, 2.0))
                # correlations of effects that the rows know well are tied up with all others in
                # move 3, which would need many short steps; move 2 suffices for them
                tied = shape[size.partial] < TIED * spread[size.partial]
                shape[size.partial] = np.where(tied, 0.0, shape[size.partial])
                self._take_curvature(self._take_apart(kept.mean(axis=0)))
        mean, sd = kept.mean(axis=0), kept.std(axis=0)
        none = np.empty(0)
        parts = tuple(
            Adaptation(float(step), variance, none, none)
            for step, variance in zip(steps, (none, centred, shape), strict=True)
        )
        return Adaptation(float(steps[0]), none, mean, sd, parts)

    def _slopes(self, state: Array) -> Array:
        """Gradients of moves 2 and 3 where they stand."""
        parts = [np.empty(0), np.empty(0)]
        if self._centred is not None:
            self._fix_effects(state)
            parts[0] = self._centred_density(self._centred_part(state))[1]
        if self.sizes.shape.stop:
            moving, self._moving = self._moving, np.ones(self.sizes.shape.stop, dtype=bool)
            self._standardise(state)
            parts[1] = self._shape_density(state[self.sizes.shape])[1]
            self._moving = moving
        return np.concatenate(parts)

    def _tuning_sweep(self, state: Array) -> Array:
        point = self._take_apart(state)
        self._whiten(point)
        u = self._coefficients().tune(self._coordinates(point))
        state = self._with_coefficients(state, u)
        if self._centred is not None:
            self._fix_effects(state)
            part = self._centred_part(state)
            for _ in range(3):  # no row is looked at, so learning more costs little
                part = self._centred.tune(part)
            state = self._put_centred(state, part)
        shape = self._let_move(self._moving)
        if shape is not None:
            self._standardise(state)
            part = shape.tune(state[self.sizes.shape][self._moving])
            state = self._put_shape(state, part)
        return state

    def sweep(
        self, state: Array, adaptation: Adaptation, rng: np.random.Generator
    ) -> tuple[Array, Mapping[str, float]]:
        """Make the three moves once."""
        coefficients, centred, shape = adaptation.parts
        point = self._take_apart(state)
        self._whiten(point)
        move = self._coefficients()
        tuning = replace(coefficients, variance=np.ones(move.size))
        u, statistics = move.move(self._coordinates(point), tuning, 1, rng)
        state = self._with_coefficients(state, u)
        others = []
        if self._centred is not None:
            self._fix_effects(state)
            part, more = self._centred.move(self._centred_part(state), centred, 1, rng)
            state = self._put_centred(state, part)
            others.append(more)
        step = self._let_move(shape.variance > 0)
        if step is not None:
            self._standardise(state)
            tuning = replace(shape, variance=shape.variance[self._moving])
            part, more = step.move(state[self.sizes.shape][self._moving], tuning, 1, rng)
            state = self._put_shape(state, part)
            others.append(more)
        return state, {
            **statistics,
            "diverging": sum(s["diverging"] for s in (statistics, *others)),
            "n_steps": sum(s["n_steps"] for s in (statistics, *others)),
        }

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Give a dispersed starting state."""
        spread = max(1.0, DISPERSION * min(1.0, 8 / self.sizes.size) ** 0.5)
        noise = rng.normal(size=self.sizes.size)
        return np.asarray(adaptation.start_mean + spread * adaptation.start_sd * noise)

    def settle(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        sweeps: int,
        rng: np.random.Generator,
    ) -> Array:
        """Bring a dispersed start to the posterior, step sizes adapting on the way.

        A start in the tails can be stiffer than the posterior is, where the frozen step sizes
        would be refused for ever. What is learnt here is forgotten afterwards.
        """
        self.observe(design, adaptation.start_mean)
        with np.errstate(all="ignore"):
            while not self._possible(state):
                state = (state + adaptation.start_mean) / 2
        shape = self._let_move(adaptation.parts[2].variance > 0)
        for move, part in zip(
            (self._coefficients(), self._centred, shape), adaptation.parts, strict=True
        ):
            if move is not None:
                variance = part.variance[part.variance > 0]
                variance = variance if variance.size else np.ones(move.size)
                move.begin_tuning(variance, part.step_size / 4, rng.spawn(1)[0])
        for _ in range(sweeps):
            state = self._tuning_sweep(state)
        return state

    def _possible(self, state: Array) -> bool:
        point = self._take_apart(state)
        if not (np.isfinite(point.factor).all() and (point.sd > 1e-100).all()):
            return False
        self._whiten(point)
        return bool(np.isfinite(self._coefficient_density(self._coordinates(point))[0]))

    def draw(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        sweeps: int,
        rng: np.random.Generator,
    ) -> tuple[Array, Point, Mapping[str, float]]:
        """Go on by some sweeps on the current data; also draws effects of clusters without rows."""
        self.observe(design, adaptation.start_mean)
        records = []
        for _ in range(sweeps):
            state, record = self.sweep(state, adaptation, rng)
            records.append(record)
        point = self._take_apart(state)
        if self.sizes.effects:
            absent = np.setdiff1d(np.arange(self.sizes.clusters), self._rows.seen)
            effects = point.effects.copy()
            noise = rng.normal(size=(len(absent), self.sizes.effects))
            effects[absent] = noise @ point.factor.T
            point = replace(point, effects=effects)
            state = state.copy()
            state[self.sizes.b] = effects.ravel()
        return state, point, _summed(records)

    def linear_predictor(self, design: Design, point: Point) -> Array:
        """Linear predictors of any rows, (row, R), in computing units; the design's shift is in."""
        size = self.sizes
        eta = self.units.x(design) @ point.beta.T
        if size.effects:
            by_row = self._full_effects(point.effects)[design.cluster]
            eta += np.einsum("ia,ira->ir", self.units.z(design), by_row)
        return np.asarray(eta)

    def _guess(self) -> Array:
        """State with scales of half a unit, coefficients at their prior means, zero elsewhere."""
        state = np.zeros(self.sizes.size)
        state[self.sizes.beta] = self._prior_mean[self.sizes.fixed]
        unit = self._unit
        for i in range(self.sizes.scales):
            low, high = -30.0, 30.0
            for _ in range(60):
                state[i] = (low + high) / 2
                if self.priors(np.ascontiguousarray(state[self.sizes.scale]))[2][i] < 0.5 * unit[i]:
                    low = state[i]
                else:
                    high = state[i]
        return state

    def _mode(self, state: Array) -> Array:
        """Mode of the coefficients at the guessed scales, by damped Newton steps."""
        for _ in range(50):
            point = self._take_apart(state)
            self._take_curvature(point)
            self._whiten(point)
            u = self._coordinates(point)
            before, gradient = self._coefficient_density(u)
            # in whitened coordinates a Newton step is the gradient; where the likelihood flattens,
            # as a count's does, it can lead far away, so no linear predictor may move by more
            # than LONGEST_STEP
            moved = self._predictors(u + gradient) - self._predictors(u)
            step = min(1.0, LONGEST_STEP / max(float(np.abs(moved).max()), 1e-300))
            while step > 1e-10:
                with np.errstate(all="ignore"):  # a step too long may overflow; it is halved
                    gain = self._coefficient_density(u + step * gradient)[0] - before
                if gain > 0:
                    break
                step /= 2
            if not gain > 1e-3:
                break
            state = self._with_coefficients(state, u + step * gradient)
        return state


def _variance_of(slopes: Array) -> Array:
    """Variances of a conditional density, from its gradients at draws, (draw, parameter).

    The mean square of the gradient is the mean curvature. The variance of the draws will not do:
    it is that of the whole posterior, and a move that has the rows before it and everything else
    given sees a far narrower density.
    """
    if not len(slopes):
        return np.full(slopes.shape[1], 0.1)
    return np.asarray(np.clip(1.0 / np.maximum((slopes**2).mean(axis=0), 1e-12), 1e-8, 2.0))


@numba.njit(cache=True, error_model="numpy")
def _effects_density(factor: Array, scatter: Array, count: int) -> tuple[float, Array]:
    """Log density of normal effects with this scatter matrix, gradient by Ψ's Cholesky factor."""
    size = len(factor)
    inverse = np.zeros((size, size))
    value = 0.0
    for a in range(size):
        inverse[a, a] = 1.0 / factor[a, a]
        value -= count * np.log(factor[a, a])
        for b in range(a):
            total = 0.0
            for c in range(b, a):
                total += factor[a, c] * inverse[c, b]
            inverse[a, b] = -total * inverse[a, a]
    standard = inverse @ scatter @ inverse.T
    gradient = inverse.T @ standard
    for a in range(size):
        value -= 0.5 * standard[a, a]
        gradient[a, a] -= count * inverse[a, a]
    return value, gradient


@numba.njit(cache=True, error_model="numpy")
def _by_sd_and_partial(
    by_factor: Array, sd: Array, correlation: Array, partial: Array
) -> tuple[Array, Array]:
    """Take the gradient by diag(sd)·correlation apart; what is above the diagonal is no part."""
    size = len(sd)
    by_sd = np.zeros(size)
    by_correlation = np.zeros((size, size))
    for a in range(size):
        for b in range(a + 1):
            by_sd[a] += by_factor[a, b] * correlation[a, b]
            by_correlation[a, b] = by_factor[a, b] * sd[a]
    return by_sd, pull_back(partial, correlation, by_correlation)


@numba.njit(cache=True, error_model="numpy")
def _random_part(z: Array, effects: Array, count: npt.NDArray[np.int64]) -> Array:
    """Part of the effects in the linear predictors, rows sorted by cluster, (row, R)."""
    equations, random = effects.shape[1], effects.shape[2]
    out = np.zeros((len(z), equations))
    i = 0
    for j in range(len(count)):
        for _ in range(count[j]):
            for r in range(equations):
                for a in range(random):
                    out[i, r] += z[i, a] * effects[j, r, a]
            i += 1
    return out


@numba.njit(cache=True, error_model="numpy")
def _by_effects(by_eta: Array, z: Array, count: npt.NDArray[np.int64]) -> Array:
    """Gradient by the effects of each cluster, (cluster, R × random_effect)."""
    equations, random = by_eta.shape[1], z.shape[1]
    out = np.zeros((len(count), equations * random))
    i = 0
    for j in range(len(count)):
        for _ in range(count[j]):
            for r in range(equations):
                for a in range(random):
                    out[j, r * random + a] += by_eta[i, r] * z[i, a]
            i += 1
    return out


def _finite(value: float, gradient: Array) -> tuple[float, Array]:
    """Log density and gradient; a point without a finite density is one NUTS refuses."""
    if not (np.isfinite(value) and np.isfinite(gradient).all()):
        return -np.inf, np.zeros_like(gradient)
    return float(value), gradient


def _summed(records: list[Mapping[str, float]]) -> Mapping[str, float]:
    return {
        "diverging": sum(r["diverging"] for r in records),
        "n_steps": sum(r["n_steps"] for r in records),
        "tree_depth": max(r["tree_depth"] for r in records),
        "acceptance_rate": float(np.mean([r["acceptance_rate"] for r in records])),
        "energy": records[-1]["energy"],
        "lp": records[-1]["lp"],
    }
