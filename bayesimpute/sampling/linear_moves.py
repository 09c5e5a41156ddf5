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
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bayesimpute.method import Adaptation, Design
from bayesimpute.sampling import linear_passes as passes
from bayesimpute.sampling.arrow import Whitening
from bayesimpute.sampling.gaussian import Units
from bayesimpute.sampling.linear_parts import (
    Data,
    Equations,
    LatentLikelihood,
    Likelihood,
    Point,
    Sizes,
)
from bayesimpute.sampling.nuts import Nuts
from bayesimpute.sampling.scales import ScalePriors

Array = npt.NDArray[np.float64]


class Moves:
    """Moves through the posterior of a generalised linear mixed model.

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
        self.sizes = Sizes(design, likelihood, equations, len(priors.names) - effects, eta)
        self.scales = scales
        self._unit = np.where(priors.replaced, scales, 1.0)
        self._prior_mean = prior_mean
        self._prior_precision = np.where(equations.fixed, prior_precision, 0.0)
        self._data: Data | None = None
        self._point: Point | None = None
        self._state = np.empty(0)
        self._whitening: Whitening | None = None
        self._information: tuple[Array, Array, Array] | None = None
        size = self.sizes
        self._inverse: Array = np.empty((size.effects, size.effects))
        self._scatter: Array = np.empty((size.effects, size.effects))
        self._standard: Array = np.empty((0, size.effects))
        self._fixed_part: Array = np.empty((size.equations, 0))
        border = size.beta.stop - size.beta.start
        self._coefficients_by_seen: dict[int, Nuts] = {}
        self._border = border
        self._centred = (
            Nuts(self._centred_density, size.effects + size.correlations) if size.effects else None
        )
        self._latent = likelihood if isinstance(likelihood, LatentLikelihood) else None
        # what the likelihood moves by itself is no part of move 3
        self._movable = np.ones(size.shape.stop, dtype=bool)
        self._movable[size.effects : size.scales] = self._latent is None
        self._moving = self._movable
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
        seen, start = np.unique(rows.cluster, return_index=True)
        x, z = self.units.x(rows), self.units.z(rows)
        self._data = Data(
            x,
            z,
            np.ascontiguousarray(x.T),
            np.ascontiguousarray(z.T),
            self.units.y(rows),
            seen,
            start,
            np.append(start, len(order)),
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
            for s in range(r, equations):
                weighted = weight[:, r, s, None] * data.x
                # the information is symmetric, so these are the blocks of (s, r) as well
                both = (r, s) if r != s else (r,)
                fixed_block = data.x.T @ weighted
                for one, other in zip(both, both[::-1], strict=True):
                    border[one * p : (one + 1) * p, other * p : (other + 1) * p] = fixed_block
                for a in range(q):
                    at = data.z[:, a, None]
                    crossed = np.add.reduceat(at * weighted, data.start)
                    block = np.add.reduceat(at * weight[:, r, s, None] * data.z, data.start)
                    for one, other in zip(both, both[::-1], strict=True):
                        cross[:, one * q + a, other * p : (other + 1) * p] = crossed
                        blocks[:, one * q + a, other * q : (other + 1) * q] = block
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
            size.blocks.factor(state[size.partial]),
            state[size.free],
            self._full_beta(state[size.beta]),
            state[size.b].reshape(size.clusters, size.effects),
        )

    def _eta(self, beta: Array, effects: Array) -> Array:
        """Linear predictors of the rows fitted to, (row, R); effects of the clusters seen."""
        return self._fixed_and_random(self._fixed(beta), effects)

    def _fixed(self, beta: Array) -> Array:
        """Part of β in the linear predictors, (R, row)."""
        out = np.zeros((self.sizes.equations, len(self._rows.x)))
        passes.add_fixed(out, self._rows.x_along, beta)
        return out

    def _fixed_and_random(self, fixed: Array, effects: Array) -> Array:
        """Linear predictors, (row, R), from the part of β, (R, row)."""
        out = fixed
        if self.sizes.effects:
            full = np.ascontiguousarray(self._full_effects(effects))
            out = fixed.copy()
            passes.add_random(out, self._rows.z_along, full, self._rows.ends)
        return np.ascontiguousarray(out.T)

    def _by_beta(self, by_eta: Array) -> Array:
        """Gradient by β, (R, 1 + predictor), from that by the linear predictors (R, row)."""
        return np.asarray(passes.by_fixed(by_eta, self._rows.x_along))

    def _by_effects(self, by_eta: Array) -> Array:
        """Gradient by the effects of the clusters seen."""
        data = self._rows
        return self._packed(passes.by_random(by_eta, data.z_along, data.ends))

    def _packed(self, by_cluster: Array) -> Array:
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
        along = np.ascontiguousarray(by_eta.T)
        by_beta = self._by_beta(along)
        away = beta - self._prior_mean
        value -= 0.5 * float((self._prior_precision * away**2).sum())
        by_beta = by_beta - self._prior_precision * away
        extra, by_intercepts, _ = self.likelihood.prior(beta[:, 0], point.free)
        value += extra
        by_beta[:, 0] += by_intercepts
        if size.effects:
            standard = effects @ self._inverse.T
            value -= 0.5 * float((standard**2).sum())
            by_effects = self._by_effects(along) - standard @ self._inverse
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
        by_sd, by_partial = passes.by_sd_and_partial(
            by_factor, point.sd, point.correlation, size.blocks.full(state[size.partial])
        )
        by_sd *= slope[: size.effects] / self._unit[: size.effects]
        return np.concatenate((by_sd, size.blocks.of_free(by_partial)))

    def _lkj(self, partial: Array) -> tuple[float, Array]:
        z = np.tanh(partial)
        shapes = self.sizes.blocks.of_free(self.sizes.blocks.shapes)
        return float((shapes * np.log1p(-z * z)).sum()), -2.0 * shapes * z

    def _centred_density(self, part: Array) -> tuple[float, Array]:
        """Density of sd and correlations given the effects of the clusters seen."""
        size = self.sizes
        scale = self._state[size.scale].copy()
        scale[: size.effects] = part[: size.effects]
        value, gradient, scales, slope = self.priors(scale)
        unit = self._unit[: size.effects]
        log_density, by_sd, by_partial = passes.effects_by_shape(
            scales[: size.effects] / unit,
            size.blocks.full(part[size.effects :]),
            self._scatter,
            len(self._rows.seen),
            size.blocks.shapes,
        )
        out = np.concatenate((gradient[: size.effects], size.blocks.of_free(by_partial)))
        out[: size.effects] += by_sd * slope[: size.effects] / unit
        return _finite(value + log_density, out)

    def _shape_density(self, part: Array) -> tuple[float, Array]:
        """Density of scales, correlations and extras given β and the standardised effects."""
        size = self.sizes
        state = self._state.copy()
        state[size.shape][self._moving] = part
        value, gradient, scales, slope = self.priors(np.ascontiguousarray(state[size.scale]))
        point = self._with_scales(state, scales)
        effects = self._standard @ point.factor.T if size.effects else self._standard
        eta = self._fixed_and_random(self._fixed_part, effects)
        lp, by_eta, by_positive, by_free = self.likelihood(
            self._rows.y, eta, point.positive, point.free
        )
        extra, _, by_free_prior = self.likelihood.prior(point.beta[:, 0], point.free)
        lkj, by_partial = self._lkj(state[size.partial])
        out = np.zeros(size.shape.stop)
        out[size.scale] = gradient
        if size.effects:
            by_factor = self._by_effects(np.ascontiguousarray(by_eta.T)).T @ self._standard
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
        self._fixed_part = self._fixed(point.beta)
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

    # -- a sweep of all moves ---------------------------------------------------------------------

    def _refresh(self, state: Array, rng: np.random.Generator) -> Array:
        """Let the likelihood draw what it does not see."""
        if self._latent is None:
            return state
        size, point, data = self.sizes, self._take_apart(state), self._rows
        extras = slice(size.effects, size.scales)
        scale = state[size.scale].copy()

        def log_prior(extra: Array) -> tuple[float, Array]:
            scale[extras] = extra
            value, _, parameters, _ = self.priors(scale)
            return value, parameters[extras] / self._unit[extras]

        effects = point.effects[data.seen] if size.effects else point.effects
        eta = self._eta(point.beta, effects)
        extra, y = self._latent.refresh(data.y, eta, state[extras], log_prior, rng)
        self._data = replace(data, y=y)
        state = state.copy()
        state[extras] = extra
        return state

    def sweep(
        self, state: Array, adaptation: Adaptation, rng: np.random.Generator
    ) -> tuple[Array, Mapping[str, float]]:
        """Make the three moves once."""
        coefficients, centred, shape = adaptation.parts
        state = self._refresh(state, rng)
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

    def linear_predictor(self, design: Design, point: Point) -> Array:
        """Linear predictors of any rows, (row, R), in computing units; the design's shift is in."""
        size = self.sizes
        eta = self.units.x(design) @ point.beta.T
        if size.effects:
            by_row = self._full_effects(point.effects)[design.cluster]
            eta += np.einsum("ia,ira->ir", self.units.z(design), by_row)
        return np.asarray(eta)


def _finite(value: float, gradient: Array) -> tuple[float, Array]:
    """Log density and gradient; a point without a finite density is one NUTS refuses."""
    if not (np.isfinite(value) and np.isfinite(gradient).all()):
        return -np.inf, np.zeros_like(gradient)
    return float(value), gradient
