r"""The posterior of every model whose rows see the data through linear predictors.

With R linear predictors a row (one for counts or yes/no, one fewer than the categories for a
softmax),

.. math::
    η_{ir} = x_i β_r + z_i b_{jr},\quad b_j = (b_{j1}, …, b_{jR}) \sim N(0, Ψ),\quad
    Ψ = \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd),

and any likelihood ``p(y_i | η_i, extra)``, a sweep is three moves, each leaving the posterior
invariant:

1. β and b given the rest, by NUTS in coordinates whitened by the curvature at a fixed reference,
   where the posterior is nearly standard normal.
2. sd and C given b: no row of the data is looked at.
3. sd, C and the likelihood's extra parameters given β and the *standardised* effects.

Moves 2 and 3 together are an interweaving of the centred and the non-centred parametrisation
(Yu & Meng 2011): the first mixes where clusters are informative, the second where they are not, so
no one has to choose. Where clusters are few, each is well known but for what the intercept may be,
and neither mixes: there β and b move twice, and SDs by slices, as far from their mode as β and b
stand (:mod:`bayesimpute.sampling.linear_sweeps`). Clusters without rows stay outside; their effects
are drawn from N(0, Ψ).

State: scales ``sd…, positive extras`` (unconstrained), partial correlations, free extras, β, b.
The sweeps themselves are compiled (:mod:`bayesimpute.sampling.linear_sweeps`).
"""

from collections.abc import Callable as Function
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.method import Adaptation, Design
from bayesimpute.sampling import linear_densities as densities_of
from bayesimpute.sampling import linear_state as state_of
from bayesimpute.sampling import linear_sweeps as sweeps_of
from bayesimpute.sampling import linear_whitening as whitening
from bayesimpute.sampling import nuts
from bayesimpute.sampling.cluster_effects import EffectColumn
from bayesimpute.sampling.compiled import Callable, density_of, specialised
from bayesimpute.sampling.gaussian import Units
from bayesimpute.sampling.linear_parts import (
    Equations,
    LatentLikelihood,
    Likelihood,
    Point,
    Sizes,
    compiled,
)
from bayesimpute.sampling.linear_sweeps import Tuning
from bayesimpute.sampling.nested import Spread, spread_of
from bayesimpute.sampling.scales import ScalePriors

Array = npt.NDArray[np.float64]

#: Share of its posterior variance below which the conditional variance of a scale or correlation
#: given the standardised effects leaves it to move 2; for a scale, if that given the effects is at
#: least the other share: then a sweep forgets most of where it came from.
TIED, FREE = 0.5, 0.5

#: Newton steps that look for the mode, at most; none moves a linear predictor by more.
NEWTON_STEPS, LONGEST_STEP = 50, 3.0

#: Mean acceptance that the steps of the moves aim at: move 2 looks at no row, so that short steps
#: cost little, and where clusters are few its density has walls.
ACCEPTANCE = (0.8, 0.95, 0.8)
#: So many clusters with rows are few, and what steps aim at then.
FEW_CLUSTERS, ACCEPTANCE_OF_FEW = 8, (0.8, 0.99, 0.9)
#: SDs that slices move in a sweep, as a share and at least, and correlations: each costs some five
#: passes through the rows.
SLICED_SHARE, SLICED_SDS, SLICED_CORRELATIONS = 0.5, 3, 2
#: Width of a slice in posterior SDs; a bad one costs passes, not correctness.
SLICE_WIDTH, LEAST_WIDTH = 2.5, 0.1
#: Effects that a chain starts with, in SDs between clusters, at most, where these move by slices.
FURTHEST = 3.0
#: In units of a posterior SD; in one dimension longer steps are accepted in the middle, and run
#: into the walls from its tails.
LARGEST_STEP = 1.5

NOWHERE = np.empty(0, dtype=np.int64)
_SUMMED = [nuts.DIVERGING, nuts.STEPS, nuts.ACCEPTED]


@dataclass(frozen=True, eq=False)
class _Observed:
    """Completed data of a visit, for compiled code; the columns change with what is latent."""

    model: state_of.Model
    design: Design
    x: Array
    z: Array
    cluster: npt.NDArray[np.int64]
    columns: Array
    offset: Array


class LinearPosterior:
    """Draws from the posterior of a generalised linear mixed model.

    Parameters
    ----------
    design
        Fixes sizes and units.
    units
        Centres and scales of predictors, and of the target where it is a number on a scale; its
        ``y(design)`` gives what the likelihood knows of each row, (row,) or (row, column).
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
    shifts
        What a shift (row,) or (row, category) adds to the linear predictors, (row, R); default,
        itself in units of the target.
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
        shifts: Function[[Array], Array] | None = None,
    ) -> None:
        equations = equations or Equations.all(design, likelihood.equations)
        effects = int(equations.varying.sum())
        self.shifts = shifts or (lambda shift: shift[:, None] / units.scale_y)
        self.units = units
        self.likelihood = likelihood
        self.priors = priors
        self.sizes = Sizes(design, likelihood, equations, len(priors.names) - effects, eta)
        self.scales = scales
        self.unit = np.where(priors.replaced, scales, 1.0).astype(np.float64)
        self._guess_beta = np.asarray(prior_mean, dtype=np.float64)[equations.fixed]
        functions = compiled(likelihood)
        prior = priors.function, priors.constants, priors.replaced
        precision = np.where(equations.fixed, prior_precision, 0.0)

        def with_constants(constants: Array) -> state_of.Model:
            return state_of.model_of(
                constants, *functions, *prior, self.unit, equations.fixed, equations.varying,
                np.ascontiguousarray(prior_mean, dtype=np.float64), precision,
                self.sizes.blocks.shapes, self.sizes.blocks.free, likelihood.free, effects,
                self.sizes.beta.start, self.sizes.b.start, units.standard,
            )  # fmt: skip

        self._with_constants = with_constants
        self._model = with_constants(likelihood.constants)
        self._standard = units.standard
        self._latent = likelihood if isinstance(likelihood, LatentLikelihood) else None
        seen = len(np.unique(design.cluster[design.fit])) if effects else FEW_CLUSTERS + 1
        self._few = seen <= FEW_CLUSTERS
        # what the likelihood or slices move is no part of move 3
        self._movable = np.ones(self.sizes.shape.stop, dtype=bool)
        self._movable[self.sizes.effects : self.sizes.scales] = self._latent is None
        partial = self.sizes.partial
        if self._few:
            self._movable[: self.sizes.effects] = False
            self._movable[partial] = False
        self._centred_at = np.r_[: self.sizes.effects, partial.start : partial.stop]
        self._compile(design)

    def _compile(self, design: Design) -> None:
        """Find the machine code for the types of this model, which are those of all models."""
        x, z = np.empty((1, self.sizes.columns - 1)), np.empty((1, self.sizes.random))
        columns, one = np.empty((1, 1)), np.zeros(1, dtype=bool)
        cluster, rng = np.zeros(1, dtype=np.int64), np.random.default_rng(0)
        model, state = self._model, np.zeros(self.sizes.size)
        offset = np.empty((1, self.sizes.equations))
        arguments = (x, z, columns, offset, cluster, one, 1, self._standard)
        self._sort = specialised(state_of.sorted_rows, *arguments)
        rows = self._sort(*arguments)
        self._predictors = specialised(state_of.linear_predictors, x, z, cluster, one, model, state)
        block, matrix, at = np.empty((1, 1, 1)), np.empty((1, 1)), NOWHERE
        self._stand = specialised(densities_of.stand, model, rows, state, at)
        curvature = whitening.Curvature(block, block, matrix, state)
        moving = self._stand(model, rows, state, at)
        self._curvature = specialised(whitening.curvature_at, moving)
        self._whiten = specialised(whitening.whiten, moving, curvature)
        self._place = specialised(whitening.place, moving, state)
        densities = (
            density_of(densities_of.coefficient_density, moving),
            density_of(densities_of.centred_density, moving),
            density_of(densities_of.shape_density, moving),
        )
        self._coefficient_density, self._centred_density, self._shape_density = densities
        self._pieces = sweeps_of.pieces_of(
            3,
            Callable.for_example(densities_of.stand, model, rows, state, at),
            Callable.for_example(whitening.whiten, moving, curvature),
            Callable.for_example(whitening.place, moving, state),
            nuts.sampler_of(nuts.Problem(moving, densities[0])),
            *densities,
        )
        tuning = Tuning(matrix, at, state, at, state, state)
        given = (model, rows, self._pieces, curvature, state, tuning, 0, False, rng)
        self._sweeps = specialised(sweeps_of.sweeps, *given)
        if self._few:
            self._slide = specialised(sweeps_of.slide, *given[:5], at, state, rng)

    # -- data ------------------------------------------------------------------------------

    def columns(self, design: Design) -> Array:
        """Give what the likelihood knows of each row of the design, (column, row)."""
        y = np.asarray(self.units.y(design), dtype=np.float64)
        of_values = getattr(self.likelihood, "columns", np.atleast_2d)
        return np.ascontiguousarray(of_values(y.T))

    def offset(self, design: Design) -> Array:
        """Give what is added to the linear predictors of rows learnt from, (row, R)."""
        shift = design.live_shift
        if shift is None:
            return np.zeros((len(design.x), self.sizes.equations))
        return np.ascontiguousarray(self.shifts(shift), dtype=np.float64)

    def _observe(self, design: Design, constants: Array | None) -> "_Observed":
        """Take the current completed data."""
        return _Observed(
            self._model if constants is None else self._with_constants(constants),
            design,
            np.ascontiguousarray(design.x, dtype=np.float64),
            np.ascontiguousarray(design.z, dtype=np.float64),
            np.ascontiguousarray(design.cluster, dtype=np.int64),
            self.columns(design),
            self.offset(design) if design.offset is None else self.offset(design) + design.offset,
        )

    def _rows(self, data: "_Observed") -> Any:
        fit, clusters = self._fit(data.design), max(data.design.n_clusters, 1)
        known = data.x, data.z, data.columns, data.offset, data.cluster
        return self._sort(*known, fit, clusters, self._standard)

    @staticmethod
    def _fit(design: Design) -> npt.NDArray[np.bool_]:
        return np.ascontiguousarray(design.fit, dtype=np.bool_)

    def _given(self, data: "_Observed", reference: Array) -> tuple[Any, ...]:
        """Give what sweeps take: model, rows, pieces, and the curvature at a reference."""
        rows = self._rows(data)
        curvature = self._curvature(self._stand(data.model, rows, reference, NOWHERE))
        return data.model, rows, self._pieces, curvature

    def _sweep(
        self,
        data: "_Observed",
        reference: Array,
        state: Array,
        tuning: Tuning,
        count: int,
        tune: bool,
        rng: np.random.Generator,
        given: tuple[Any, ...] = (),
    ) -> tuple[Array, Array]:
        """Make sweeps, the curvature that whitens them taken at the reference; also a record."""
        if self._latent is None:
            given = given or self._given(data, reference)
            if not self._few:
                found: tuple[Array, Array] = self._sweeps(*given, state, tuning, count, tune, rng)
                return found
        records = []
        for _ in range(count):
            if self._latent is not None:
                state = self._refresh(data.design, data.columns, state, rng)
                given = self._given(data, reference)
            state, record = self._sweeps(*given, state, tuning, 1, tune, rng)
            records.append(record)
            if self._few:
                state, record = self._between_few(given, state, tuning, tune, rng)
                records.append(record)
        record = records[-1].copy()
        record[_SUMMED] = np.sum(records, axis=0)[_SUMMED]
        record[nuts.DEPTH] = np.max(records, axis=0)[nuts.DEPTH]
        record[nuts.ACCEPTED] /= len(records)
        return state, record

    def _between_few(
        self,
        given: tuple[Any, ...],
        state: Array,
        tuning: Tuning,
        tune: bool,
        rng: np.random.Generator,
    ) -> tuple[Array, Array]:
        """Move some SDs and correlations by slices, then the coefficients once more."""
        effects = self.sizes.effects
        sds = rng.permutation(effects)[: max(SLICED_SDS, round(SLICED_SHARE * effects))]
        correlations = rng.permutation(self.sizes.correlations)[:SLICED_CORRELATIONS]
        some = np.concatenate([sds, effects + correlations])
        at, width = tuning.centred_at[some], tuning.width[some]
        state = self._slide(*given, state, at, width, rng)
        alone = tuning._replace(centred_at=NOWHERE, shape_at=NOWHERE)
        found: tuple[Array, Array] = self._sweeps(*given, state, alone, 1, tune, rng)
        return found

    def _mode(self, data: "_Observed", state: Array) -> Array:
        """Mode of the coefficients at the scales of a state."""
        for _ in range(NEWTON_STEPS):
            state, gain = self._newton_step(data, self._given(data, state), state)
            if not gain > 1e-3:
                break
        return state

    def _coordinates(self, given: tuple[Any, ...], state: Array) -> tuple[float, Array, Array, Any]:
        """Give log density, coordinates and gradient of move 1 as it stands, and the whitening."""
        model, rows, _, curvature = given
        moving, u = self._whiten(self._stand(model, rows, state, NOWHERE), curvature)
        gradient = np.empty(u.size)
        value = self._coefficient_density(u, moving, gradient)
        return value if np.isfinite(gradient).all() else -np.inf, u, gradient, moving

    def _newton_step(
        self, data: "_Observed", given: tuple[Any, ...], state: Array
    ) -> tuple[Array, float]:
        """One damped Newton step of the coefficients towards their mode; also what it gains."""
        value, u, gradient, moving = self._coordinates(given, state)
        if not np.isfinite(value):
            return state, 0.0
        # in whitened coordinates a Newton step is the gradient; where the likelihood flattens, as a
        # count's does, it can lead far away: no linear predictor may move by more than LONGEST_STEP
        rows = data.x, data.z, data.cluster, self._fit(data.design), data.model
        away = self._predictors(*rows, self._place(moving, u + gradient))
        away -= self._predictors(*rows, state)
        step = min(1.0, LONGEST_STEP / max(np.abs(away).max(initial=0.0), 1e-300))
        while step > 1e-10:
            there = u + step * gradient
            gain = self._coefficient_density(there, moving, np.empty(u.size)) - value
            if gain > 0.0:
                return self._place(moving, there), gain
            step /= 2.0
        return state, 0.0

    def _slopes(self, given: tuple[Any, ...], state: Array) -> Array:
        """Gradients of moves 2 and 3 where they stand, all parts of the shape moving."""
        model, rows, _, _ = given
        everything = np.arange(self.sizes.shape.stop)
        moving = self._stand(model, rows, state, everything)
        out = []
        for density, at in (
            (self._centred_density, self._centred_at),
            (self._shape_density, everything),
        ):
            gradient = np.zeros(at.size)
            if at.size and not np.isfinite(density(state[at], moving, gradient)):
                gradient[:] = 0.0
            out.append(gradient)
        return np.concatenate(out)

    def _refresh(
        self, design: Design, columns: Array, state: Array, rng: np.random.Generator
    ) -> Array:
        """Let the likelihood draw what it does not see, into the columns; gives the state."""
        assert self._latent is not None
        extras = slice(self.sizes.effects, self.sizes.scales)
        scale = state[self.sizes.scale].copy()

        def log_prior(extra: Array) -> tuple[float, Array]:
            scale[extras] = extra
            value, _, parameters, _ = self.priors(scale)
            return value, parameters[extras] / self.unit[extras]

        eta = self.predictors(design, design.fit, state) + self.offset(design)[design.fit]
        known = np.ascontiguousarray(columns[:, design.fit].T)
        extra, y = self._latent.refresh(known, eta, state[extras], log_prior, rng)
        columns[:, design.fit] = y.T
        state = state.copy()
        state[extras] = extra
        return state

    # -- the state ---------------------------------------------------------------------------

    def point(self, state: Array) -> Point:
        """Take a state apart."""
        size = self.sizes
        parameters = self.priors(np.ascontiguousarray(state[size.scale]))[2]
        scales = parameters / self.unit
        beta = np.zeros((size.equations, size.columns))
        beta[size.fixed] = state[size.beta]
        return Point(
            scales[: size.effects],
            scales[size.effects :],
            size.blocks.factor(state[size.partial]),
            state[size.free],
            beta,
            state[size.b].reshape(size.clusters, size.effects),
        )

    def predictors(self, design: Design, wanted: npt.NDArray[np.bool_], state: Array) -> Array:
        """Linear predictors of the wanted rows, (row, R), in computing units."""
        found: Array = self._predictors(
            np.ascontiguousarray(design.x, dtype=np.float64),
            np.ascontiguousarray(design.z, dtype=np.float64),
            np.ascontiguousarray(design.cluster, dtype=np.int64),
            np.ascontiguousarray(wanted, dtype=np.bool_),
            self._model,
            state,
        )
        return found if design.offset is None else found + design.offset[wanted]

    def linear_predictor(self, design: Design, point: Point) -> Array:
        """Linear predictors of any rows, (row, R), from a state taken apart."""
        size = self.sizes
        eta = self.units.x(design) @ point.beta.T
        if size.effects:
            full = np.zeros((len(point.effects), size.varying.size))
            full[:, size.varying] = point.effects
            by_row = full.reshape(-1, size.equations, size.random)[design.cluster]
            eta += np.einsum("ia,ira->ir", self.units.z(design), by_row)
        return np.asarray(eta if design.offset is None else eta + design.offset)

    # -- what kernels ask for ------------------------------------------------------------------

    def adapt(
        self,
        design: Design,
        tune: int,
        rng: np.random.Generator,
        constants: Array | None = None,
    ) -> Adaptation:
        """Find the posterior's mode, then tune all moves around it.

        The adaptation's parts are those of moves 1, 2 and 3. `constants` take the place of the
        likelihood's.
        """
        size = self.sizes
        state = self._guess()
        centred = np.full(size.effects + size.correlations, 0.1)
        shape = np.where(self._movable, 0.1, 0.0)
        shape[size.partial] = 0.0
        half = tune // 2
        steps = np.array([0.5, 0.5, 0.1])
        data = self._observe(design, constants)
        reference = state = self._mode(data, state)
        kept, sd = state[None], np.ones(size.size)
        for phase, length in enumerate((half, tune - half)):
            # scales of moves 2 and 3 are learnt in the first half, step sizes in both
            tuning = self._tuning(steps, centred, shape, sd)
            given = self._given(data, reference)
            draws = np.empty((length, size.size))
            slopes = np.empty((length, centred.size + shape.size))
            for i in range(length):
                state, _ = self._sweep(data, reference, state, tuning, 1, True, rng, given)
                if self._latent is not None:
                    given = self._given(data, reference)
                draws[i], slopes[i] = state, self._slopes(given, state)
            # a move that never was made has learnt no step
            learnt = tuning.averaging[:, 3] > 0
            steps = np.where(learnt, np.exp(tuning.averaging[:, 1]), 1.0)
            steps = np.minimum(steps, LARGEST_STEP)
            kept = draws[length // 3 :]
            mean, sd = kept.mean(axis=0), kept.std(axis=0)
            variance = _variance_of(slopes[length // 3 :])
            if phase == 0:
                centred, shape = np.split(variance, [centred.size])
                steps[1:] = 0.4  # the scales being right, a step is a matter of dimension
                # given the effects little is known of few clusters: near the whole posterior
                spread = kept.var(axis=0)
                of_centred = np.append(spread[: size.effects], spread[size.partial])
                centred = np.sqrt(centred * np.clip(of_centred, 1e-8, 2.0))
                # what the rows know well of the effects is tied up with all others in move 3, which
                # would need many short steps through all rows; for a scale that move 2 can take
                # nearly anywhere, and for such a correlation, move 2 suffices
                free = np.zeros(shape.size, dtype=bool)
                free[self._centred_at] = variance[: centred.size] > FREE * of_centred
                free[size.partial] = True
                tied = shape < TIED * spread[size.shape]
                shape = np.where(self._movable & ~(tied & free), shape, 0.0)
                reference = mean
        none = np.empty(0)
        parts = tuple(
            Adaptation(float(step), variance, none, none)
            for step, variance in zip(steps, (none, centred, shape), strict=True)
        )
        return Adaptation(float(steps[0]), none, mean, sd, parts)

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Give a dispersed starting state."""
        state = nuts.dispersed(adaptation.start_mean, adaptation.start_sd, rng)
        if self._few:
            # an SD near 0 with effects that are not would be worse than any SD and effects
            point = self.point(state)
            standard = np.linalg.solve(point.factor, point.effects.T)
            beyond = np.maximum(np.abs(standard).max(axis=0) / FURTHEST, 1.0)
            state[self.sizes.b] = (point.effects / beyond[:, None]).ravel()
        return state

    def settle(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        sweeps: int,
        rng: np.random.Generator,
        constants: Array | None = None,
    ) -> Array:
        """Bring a dispersed start to the posterior, step sizes adapting on the way.

        A start in the tails can be stiffer than the posterior is, where the frozen step sizes
        would be refused for ever. What is learnt here is forgotten afterwards.
        """
        steps = np.array([part.step_size / 4 for part in adaptation.parts])
        centred, shape = (part.variance for part in adaptation.parts[1:])
        tuning = self._tuning(steps, centred, shape, adaptation.start_sd)
        data, reference = self._observe(design, constants), adaptation.start_mean
        self._check(state, adaptation)
        given = self._given(data, reference)
        for _ in range(nuts.HALVINGS):
            if np.isfinite(self._coordinates(given, state)[0]):
                break
            state = 0.5 * (state + reference)
        return self._sweep(data, reference, state, tuning, sweeps, True, rng, given)[0]

    def draw(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        sweeps: int,
        rng: np.random.Generator,
        constants: Array | None = None,
    ) -> tuple[Array, Point, Mapping[str, float]]:
        """Go on by some sweeps on the current data; also draws effects of clusters without rows."""
        steps = np.array([part.step_size for part in adaptation.parts])
        centred, shape = (part.variance for part in adaptation.parts[1:])
        tuning = self._tuning(steps, centred, shape, adaptation.start_sd)
        data = self._observe(design, constants)
        self._check(state, adaptation)
        state, record = self._sweep(data, adaptation.start_mean, state, tuning, sweeps, False, rng)
        nuts.check_density(record)
        point = self.point(state)
        if self.sizes.effects:
            rows = np.bincount(design.cluster[design.fit], minlength=self.sizes.clusters)
            absent = np.flatnonzero(rows == 0)
            if len(absent):
                effects = point.effects.copy()
                noise = rng.normal(size=(len(absent), self.sizes.effects))
                effects[absent] = noise @ point.factor.T
                point = replace(point, effects=effects)
                state = state.copy()
                state[self.sizes.b] = effects.ravel()
        return state, point, nuts.statistics_of(record)

    def _tuning(self, steps: Array, centred: Array, shape: Array, spread: Array) -> Tuning:
        """Tuning of the moves; of a step that is not to learn, only its logarithm counts."""
        aims = ACCEPTANCE_OF_FEW if self._few else ACCEPTANCE
        averaging = np.array([*map(nuts.averaging_from, steps, aims)])
        moving = np.flatnonzero(shape > 0.0)
        width = np.maximum(SLICE_WIDTH * spread[self._centred_at], LEAST_WIDTH)
        return Tuning(averaging, self._centred_at, centred, moving, shape[moving], width)

    def _check(self, state: Array, adaptation: Adaptation) -> None:
        """Machine code does not look whether what it reads is there."""
        size = self.sizes
        nuts.check_sizes(size.size, state.size, adaptation.start_mean.size)
        _, centred, shape = adaptation.parts
        nuts.check_sizes(size.effects + size.correlations, centred.variance.size)
        nuts.check_sizes(size.shape.stop, shape.variance.size)

    def _guess(self) -> Array:
        """State with scales of half a unit, coefficients at their prior means, zero elsewhere."""
        state = np.zeros(self.sizes.size)
        state[self.sizes.beta] = self._guess_beta
        unit = self.unit
        for i in range(self.sizes.scales):
            low, high = -30.0, 30.0
            for _ in range(60):
                state[i] = (low + high) / 2
                if self.priors(np.ascontiguousarray(state[self.sizes.scale]))[2][i] < 0.5 * unit[i]:
                    low = state[i]
                else:
                    high = state[i]
        return state


@dataclass(frozen=True, eq=False)
class LinearEffects:
    """Effects of such a posterior (:class:`~bayesimpute.sampling.cluster_effects`).

    Attributes
    ----------
    posterior
        Whose they are.
    names
        Of the design's columns of random effects.
    rows
        Gives the rows of a design that the likelihood looks at; default, those fitted to.
    """

    posterior: LinearPosterior
    names: tuple[str, ...]
    rows: Function[[Design], npt.NDArray[np.bool_]] = attrgetter("fit")

    @property
    def equations(self) -> int:
        """Linear predictors a row."""
        return self.posterior.sizes.equations

    @property
    def columns(self) -> tuple[EffectColumn, ...]:
        """Those that vary in each linear predictor."""
        units, sizes = self.posterior.units, self.posterior.sizes
        varying = sizes.varying.reshape(sizes.equations, -1)
        return tuple(
            EffectColumn(
                int(r), int(a), self.names[a], float(units.centre_z[a]), float(units.scale_z[a])
            )
            for r, a in zip(*np.nonzero(varying), strict=True)
        )

    def shared(self, state: Array) -> npt.NDArray[np.int64]:
        """Extra parameters of the likelihood, coefficients, and what a kernel adds to a state."""
        sizes = self.posterior.sizes
        everything = np.arange(state.size)
        kept = (
            slice(sizes.effects, sizes.scales),
            sizes.free,
            sizes.beta,
            slice(sizes.size, state.size),
        )
        return np.concatenate([everything[part] for part in kept])

    def counted(self, design: Design) -> npt.NDArray[np.bool_]:
        """Give the rows that the likelihood looks at."""
        return self.rows(design)

    def drawn(self, design: Design, state: Array, rng: np.random.Generator) -> Array:
        """Give those of the state."""
        return self.posterior.point(state).effects

    def put(self, state: Array, effects: Array) -> Array:
        """Write others into it."""
        state = state.copy()
        state[self.posterior.sizes.b] = effects.ravel()
        return state

    def factor(self, state: Array) -> Array:
        """Cholesky factor of Ψ."""
        return self.posterior.point(state).factor

    @property
    def spread(self) -> Spread:
        """How their SDs and correlations stand in a state."""
        posterior = self.posterior
        sizes = posterior.sizes
        return spread_of(posterior.priors, posterior.unit, sizes.blocks, sizes.effects)


def _variance_of(slopes: Array) -> Array:
    """Variances of a conditional density, from its gradients at draws, (draw, parameter).

    The mean square of the gradient is the mean curvature. The variance of the draws will not do:
    it is that of the whole posterior, and a move that has the rows before it and everything else
    given sees a far narrower density.
    """
    if not len(slopes):
        return np.full(slopes.shape[1], 0.1)
    return np.asarray(np.clip(1.0 / np.maximum((slopes**2).mean(axis=0), 1e-12), 1e-8, 2.0))
