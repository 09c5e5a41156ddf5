"""The posterior of linear predictors as kernels use it: adapt once, settle a chain, draw."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bayesimpute.method import Adaptation, Design
from bayesimpute.sampling.linear_moves import Moves
from bayesimpute.sampling.linear_parts import Point
from bayesimpute.sampling.nuts import DISPERSION

Array = npt.NDArray[np.float64]

#: Newton steps that look for the mode move no linear predictor by more.
LONGEST_STEP = 3.0

#: Share of its posterior variance below which the conditional variance of a partial correlation
#: leaves it to move 2.
TIED = 0.5


class LinearPosterior(Moves):
    """Draws from the posterior of a generalised linear mixed model.

    Parameters are those of :class:`~bayesimpute.sampling.linear_moves.Moves`.
    """

    def adapt(self, design: Design, tune: int, rng: np.random.Generator) -> Adaptation:
        """Find the posterior's mode, then tune all moves around it.

        The adaptation's parts are those of moves 1, 2 and 3.
        """
        self.observe(design, None)
        state = self._mode(self._guess())
        self._take_curvature(self._take_apart(state))
        size = self.sizes
        centred = np.full(self._centred.size if self._centred else 0, 0.1)
        shape = np.where(self._movable, 0.1, 0.0)
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
                state = self._tuning_sweep(state, rng)
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
                shape = np.where(self._movable, shape, 0.0)
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

    def _tuning_sweep(self, state: Array, rng: np.random.Generator) -> Array:
        state = self._refresh(state, rng)
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
            state = self._tuning_sweep(state, rng)
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


def _summed(records: list[Mapping[str, float]]) -> Mapping[str, float]:
    return {
        "diverging": sum(r["diverging"] for r in records),
        "n_steps": sum(r["n_steps"] for r in records),
        "tree_depth": max(r["tree_depth"] for r in records),
        "acceptance_rate": float(np.mean([r["acceptance_rate"] for r in records])),
        "energy": records[-1]["energy"],
        "lp": records[-1]["lp"],
    }
