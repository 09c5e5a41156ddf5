r"""Effects and SDs of two groupings, one within the other, given the sums of their effects.

Classes c lie in schools s(c). Every linear predictor stays where the sums γ_c = b_c + b_{s(c)}
stay, so given these no row says anything more, and what is left is a normal model of classes,

.. math::
    γ_c \sim N(b_{s(c)}, Ψ_{class}),\quad b_s \sim N(0, Ψ_{school}).

SDs and correlations of both move by slice sampling (Neal 2003) with the b_s integrated out, then
the b_s are drawn exactly. Where a school has an effect that its classes do not have, or a class one
that its school does not have, that one stays, and everything else is given it.

It is the second half of an interweaving (Yu & Meng 2011): given b_c the data may know b_s only from
rows, given γ_c from classes only. Where the one is slow the other is not.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.sampling.collapsed import cholesky
from bayesimpute.sampling.compiled import Callable, Struct, part_of, specialised
from bayesimpute.sampling.correlation import factor_of, lower_triangle_inverse
from bayesimpute.sampling.scales import ScalePriors, scales_by_priors

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

#: Moves of each SD and correlation: they look at no row.
MOVES = 2
#: Of a slice on the unconstrained scale, where an SD of few clusters has a spread of about one.
WIDTH = 1.0
#: Widenings of a slice on either side and shrinkings, at most.
WIDENINGS, SHRINKINGS = 20, 60

entrance = numba.njit(cache=True, error_model="numpy", nogil=True)


class Spread(Struct):
    """How the SDs and correlations of a grouping stand in the state of its kernel.

    Attributes
    ----------
    constants, prior, replaced
        Of its scales (:class:`~bayesimpute.sampling.scales.ScalePriors`); the first of them are
        the SDs of its effects, and the partial correlations come after all of them.
    unit
        What divides the scales to give computing units.
    shapes, pairs
        Beta shape of each partial correlation, and whether it is free, (pair,).
    effects
        Effects of a cluster.
    """

    constants: Array
    prior: Callable
    replaced: npt.NDArray[np.bool_]
    unit: Array
    shapes: Array
    pairs: npt.NDArray[np.bool_]
    effects: int


@entrance
def _spread_of(*fields: Any) -> Spread:
    return Spread(*fields)


def spread_of(priors: ScalePriors, unit: Array, blocks: Any, effects: int) -> Spread:
    """Take it from what a kernel is made of; `blocks` say which effects are correlated."""
    made: Spread = _spread_of(
        priors.constants,
        priors.function,
        priors.replaced,
        np.ascontiguousarray(unit, dtype=np.float64),
        blocks.shapes,
        blocks.free,
        effects,
    )
    return made


class Sums(Struct):
    """The sums γ of classes, by school.

    Attributes
    ----------
    count
        Classes of each school, (school,).
    total
        Sum of its classes' effects, those that add to effects of the school being sums γ,
        (school, effect of a class).
    square
        Sum of their outer products over all classes.
    above
        Effects of schools, of which those in γ are not looked at, (school, effect of a school).
    of_class, of_school
        Positions of the effects in γ among those of each.
    """

    count: Array
    total: Array
    square: Array
    above: Array
    of_class: Positions
    of_school: Positions


@part_of
def _precision(spread: Spread, state: Array) -> tuple[float, Array, float]:
    """Log prior of the scales of a state, Ψ⁻¹ in computing units, and its log determinant."""
    count, size = spread.constants.size, spread.effects
    each, _, scales, _ = scales_by_priors(
        state[:count].copy(), spread.constants, spread.replaced, spread.prior
    )
    value = 0.0
    for k in range(count):
        value += each[k]
    partial = np.zeros(spread.pairs.size)
    at = count
    for k in range(partial.size):
        if spread.pairs[k]:
            partial[k] = state[at]
            value += spread.shapes[k] * np.log1p(-(np.tanh(state[at]) ** 2))
            at += 1
    inverse = np.empty((size, size))
    lower_triangle_inverse(factor_of(scales[:size] / spread.unit[:size], partial), inverse)
    out, log_det = np.zeros((size, size)), 0.0
    for a in range(size):
        log_det += 2.0 * np.log(inverse[a, a])
        for b in range(size):
            for c in range(max(a, b), size):
                out[a, b] += inverse[c, a] * inverse[c, b]
    return value, out, log_det


@part_of
def _of_school(sums: Sums, s: int, within: Array, between: Array, root: Array, away: Array) -> None:
    """Root of the precision of a school's effects in γ, and root⁻¹ times its score."""
    k = sums.of_school.size
    for i in range(k):
        b, a = sums.of_school[i], sums.of_class[i]
        score = 0.0
        for e in range(within.shape[0]):
            score += within[a, e] * sums.total[s, e]
        for e in range(between.shape[0]):
            moving = False
            for j in range(k):
                moving = moving or sums.of_school[j] == e
            if not moving:
                score -= between[b, e] * sums.above[s, e]
        away[i] = score
        for j in range(i + 1):
            root[i, j] = between[b, sums.of_school[j]]
            root[i, j] += sums.count[s] * within[a, sums.of_class[j]]
    cholesky(root)
    for i in range(k):
        for j in range(i):
            away[i] -= root[i, j] * away[j]
        away[i] /= root[i, i]


@part_of
def _density(of_class: Spread, of_school: Spread, mine: Array, theirs: Array, sums: Sums) -> float:
    """Log density of the scales in two states, the schools' effects in γ integrated out."""
    value, within, log_det = _precision(of_class, mine)
    prior, between, log_det_between = _precision(of_school, theirs)
    k, schools = sums.of_school.size, sums.count.size
    value += prior + 0.5 * schools * log_det_between
    for a in range(within.shape[0]):
        for b in range(within.shape[0]):
            value -= 0.5 * within[a, b] * sums.square[a, b]
    fixed = np.ones(between.shape[0])
    for j in range(k):
        fixed[sums.of_school[j]] = 0.0
    root, away = np.empty((k, k)), np.empty(k)
    for s in range(schools):
        value += 0.5 * sums.count[s] * log_det
        _of_school(sums, s, within, between, root, away)
        for i in range(k):
            value += 0.5 * away[i] ** 2 - np.log(root[i, i])
        for a in range(fixed.size):
            for b in range(fixed.size):
                kept = fixed[a] * fixed[b] * between[a, b]
                value -= 0.5 * kept * sums.above[s, a] * sums.above[s, b]
    return value if np.isfinite(value) else -np.inf


@entrance
def _slide(
    of_class: Spread,
    of_school: Spread,
    mine: Array,
    theirs: Array,
    sums: Sums,
    rng: np.random.Generator,
) -> None:
    """Move the SDs and correlations in two states, in place."""
    here = _density(of_class, of_school, mine, theirs, sums)
    for whose in range(2):
        state = theirs if whose else mine
        pairs = of_school.pairs if whose else of_class.pairs
        effects = of_school.effects if whose else of_class.effects
        after = of_school.constants.size if whose else of_class.constants.size
        for which in range(effects + pairs.sum()):
            at = which if which < effects else after + which - effects
            start = state[at]
            level = here - rng.standard_exponential()
            low = start - WIDTH * rng.random()
            high = low + WIDTH
            for end in range(2):
                for _ in range(WIDENINGS):
                    state[at] = high if end else low
                    if _density(of_class, of_school, mine, theirs, sums) <= level:
                        break
                    if end:
                        high += WIDTH
                    else:
                        low -= WIDTH
            for _ in range(SHRINKINGS):
                state[at] = low + (high - low) * rng.random()
                value = _density(of_class, of_school, mine, theirs, sums)
                if value > level:
                    here = value
                    break
                if state[at] < start:
                    low = state[at]
                else:
                    high = state[at]
                state[at] = start


@entrance
def _drawn(
    of_class: Spread,
    of_school: Spread,
    mine: Array,
    theirs: Array,
    sums: Sums,
    rng: np.random.Generator,
) -> Array:
    """Draw the schools' effects in γ, (school, effect), given γ and the scales of two states."""
    k, schools = sums.of_school.size, sums.count.size
    within, between = _precision(of_class, mine)[1], _precision(of_school, theirs)[1]
    root, away, drawn = np.empty((k, k)), np.empty(k), np.empty((schools, k))
    for s in range(schools):
        _of_school(sums, s, within, between, root, away)
        for i in range(k - 1, -1, -1):
            drawn[s, i] = away[i] + rng.standard_normal()
            for j in range(i + 1, k):
                drawn[s, i] -= root[j, i] * drawn[s, j]
            drawn[s, i] /= root[i, i]
    return drawn


@entrance
def _sums_of(
    effects: Array,
    above: Array,
    within: Positions,
    seen: npt.NDArray[np.bool_],
    of_class: Positions,
    of_school: Positions,
) -> Sums:
    """Sum up the effects of the classes seen."""
    count = np.zeros(above.shape[0])
    total = np.zeros((above.shape[0], effects.shape[1]))
    square = np.zeros((effects.shape[1], effects.shape[1]))
    sums = np.empty(effects.shape[1])
    for c in range(within.size):
        if not seen[c]:
            continue
        s = within[c]
        for a in range(sums.size):
            sums[a] = effects[c, a]
        for i in range(of_class.size):
            sums[of_class[i]] += above[s, of_school[i]]
        count[s] += 1.0
        for a in range(sums.size):
            total[s, a] += sums[a]
            for b in range(sums.size):
                square[a, b] += sums[a] * sums[b]
    return Sums(count, total, square, above, of_class, of_school)


class Between:
    """Moves of two groupings, one within the other.

    Parameters
    ----------
    of_class, of_school
        Scales of each.
    within
        School of each class, (class,).
    in_class, in_school
        Positions of the effects that add to γ, in those of a class and in those of a school.
    """

    def __init__(
        self,
        of_class: Spread,
        of_school: Spread,
        within: Positions,
        in_class: Positions,
        in_school: Positions,
    ) -> None:
        self._spreads = of_class, of_school
        self._within, self._places = within, (in_class, in_school)
        state, rng = np.zeros(1), np.random.default_rng(0)
        effects, flags = np.zeros((1, 1)), np.zeros(1, dtype=np.bool_)
        given = effects, effects, within[:1], flags, in_class, in_school
        self._sums_of = specialised(_sums_of, *given)
        made = self._sums_of(*given)
        arguments = of_class, of_school, state, state, made, rng
        self._slide, self._drawn = (specialised(f, *arguments) for f in (_slide, _drawn))

    def move(
        self,
        states: tuple[Array, Array],
        effects: tuple[Array, Array],
        seen: npt.NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Move scales and effects; those of classes that are not `seen` say nothing.

        Parameters
        ----------
        states
            Of the kernels of classes and of schools.
        effects
            Of classes and of schools, (cluster, effect), in computing units.
        seen
            Classes that have rows, (class,).
        rng
            Of this visit.

        Returns
        -------
        states, effects
            As they are now.
        """
        mine, theirs = (state.copy() for state in states)
        own, above = (np.ascontiguousarray(each, dtype=np.float64) for each in effects)
        in_class, in_school = self._places
        sums = self._sums_of(own, above, self._within, seen, in_class, in_school)
        for _ in range(MOVES):
            self._slide(*self._spreads, mine, theirs, sums, rng)
        drawn = self._drawn(*self._spreads, mine, theirs, sums, rng)
        before, above, own = above[:, in_school], above.copy(), own.copy()
        above[:, in_school] = drawn
        change = (before - drawn)[self._within]
        own[:, in_class] += np.where(seen[:, None], change, 0.0)
        return (mine, theirs), (own, above)
