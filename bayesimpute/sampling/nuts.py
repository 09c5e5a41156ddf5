r"""The no-U-turn sampler, compiled: it holds no lock of the interpreter.

Multinomial NUTS with the generalised criterion (Hoffman & Gelman 2014; Betancourt 2017), looked at
over each two halves and where they meet, as in Stan and PyMC. Trees are built leaf by leaf (Phan,
Pradhan & Jankowiak 2019): a doubling needs no recursion, and of its 2^d points only d are kept.
Step sizes are tuned by dual averaging, variances from draws in windows. After one adaptation both
are frozen, so every transition leaves the current posterior invariant.

What is sampled is a *problem*: a density ``density(position, data, gradient) -> value``, which
writes its gradient, and its data. The density is a
:class:`~bayesimpute.sampling.compiled.Callable`: it is compiled apart, so that neither is compiled
again with the other.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.errors import SamplingError
from bayesimpute.method import Adaptation
from bayesimpute.sampling.compiled import Callable, part_of, specialised

Array = npt.NDArray[np.float64]

#: A chain starts this many posterior SDs (of the adaptation run) away, on average: R-hat is
#: evidence of convergence only when chains start further apart than they end (Gelman & Rubin
#: 1992).
DISPERSION = 2.0
#: A trajectory that loses more energy than this has diverged.
MOST_ENERGY = 1000.0
#: Doublings of a trajectory, at most; fewer while a chain still comes from far away.
DEEPEST, DEEPEST_TUNING = 10, 8
#: Mean acceptance that dual averaging aims at, and its constants (Hoffman & Gelman 2014, §3.2.1).
ACCEPTANCE, SHRINKAGE, DELAY, FORGETTING = 0.8, 0.05, 10.0, 0.75
#: Halvings of the way to the middle of the posterior that look for a possible start.
HALVINGS = 60
#: Variances are learnt in so many windows, the last of which only tunes the step.
WINDOWS = 4

#: What is known of a transition or of several, in this order.
DIVERGING, STEPS, DEPTH, ACCEPTED, ENERGY, LOG_DENSITY = range(6)
STATISTICS = ("diverging", "n_steps", "tree_depth", "acceptance_rate", "energy", "lp")


class Problem(NamedTuple):
    """What is sampled.

    Attributes
    ----------
    data
        What the density needs besides the position.
    density
        ``density(position, data, gradient) -> value``.
    """

    data: Any
    density: Any


@numba.njit(error_model="numpy", nogil=True)
def finite_density(position: Array, problem: Problem, gradient: Array) -> float:
    """Log density; a point without a finite one is minus infinity, which NUTS refuses."""
    value = problem.density(position, problem.data, gradient)
    total = value
    for i in range(gradient.size):
        total += gradient[i]
    if not np.isfinite(total):
        for i in range(gradient.size):
            gradient[i] = 0.0
        return -np.inf
    return value


# Numba compiles what is called anew with each caller, and anew for each constant that it is called
# with; plain loops over few matrices take it a fraction of the time that array expressions do.

#: Rows of what is known of a point of the trajectory.
_POINT, _MOMENTUM, _GRADIENT = range(3)
#: Sums of momenta: of the trajectory, of its newest half, and of two stretches of that.
_TOTAL, _NEW, _FIRST, _SECOND = range(4)
#: What is kept of a leaf: its momentum, that of the leaf before, the sum of those before.
_START, _BEFORE, _SUM = range(3)


@part_of
def _put(target: Array, source: Array) -> None:
    for row in range(source.shape[0]):
        for i in range(source.shape[1]):
            target[row, i] = source[row, i]


@part_of
def _kinetic(leaf: Array, variance: Array) -> float:
    total = 0.0
    for i in range(variance.size):
        total += variance[i] * leaf[_MOMENTUM, i] * leaf[_MOMENTUM, i]
    return 0.5 * total


@part_of
def _turns(
    far: Array, near: Array, start: Array, end: Array, old: Array, new: Array, variance: Array
) -> bool:
    """Whether two adjacent stretches of a trajectory turn back, each with the other's first step.

    Without the looks at either stretch with one step of the other, a step size of which 2^d make
    a whole period of a round posterior would never be seen to turn.

    Parameters
    ----------
    far, near
        Momenta at the ends of the older stretch, the second next to the newer one.
    start, end
        Momenta at the ends of the newer stretch, the first next to the older one.
    old, new
        Sums of the momenta of either.
    variance
        Inverse mass.
    """
    far_all, end_all = 0.0, 0.0
    far_old, start_old, near_new, end_new = 0.0, 0.0, 0.0, 0.0
    for i in range(variance.size):
        along = variance[i] * (old[i] + new[i])
        far_all += far[i] * along
        end_all += end[i] * along
        along = variance[i] * (old[i] + start[i])
        far_old += far[i] * along
        start_old += start[i] * along
        along = variance[i] * (new[i] + near[i])
        near_new += near[i] * along
        end_new += end[i] * along
    whole = far_all <= 0.0 or end_all <= 0.0
    return whole or far_old <= 0.0 or start_old <= 0.0 or near_new <= 0.0 or end_new <= 0.0


@numba.njit(error_model="numpy", nogil=True)
def leapfrog(problem: Problem, leaf: Array, variance: Array, step: float) -> float:
    """One leapfrog step of point, momentum and gradient, (3, state); gives the log density."""
    for i in range(variance.size):
        leaf[_MOMENTUM, i] += 0.5 * step * leaf[_GRADIENT, i]
        leaf[_POINT, i] += step * (variance[i] * leaf[_MOMENTUM, i])
    value = finite_density(leaf[_POINT], problem, leaf[_GRADIENT])
    for i in range(variance.size):
        leaf[_MOMENTUM, i] += 0.5 * step * leaf[_GRADIENT, i]
    return value


@part_of
def _log_sum(one: float, other: float) -> float:
    """Log of the sum of two exponentials, one of them not zero."""
    larger = max(one, other)
    return larger + np.log1p(np.exp(min(one, other) - larger))


@part_of
def learn(averaging: Array, acceptance: float) -> None:
    """Let the step size learn from the acceptance of one transition."""
    averaging[3] += 1.0
    count = averaging[3]
    weight = 1.0 / (count + DELAY)
    averaging[2] = (1.0 - weight) * averaging[2] + weight * (averaging[5] - acceptance)
    averaging[0] = averaging[4] - np.sqrt(count) / SHRINKAGE * averaging[2]
    weight = count**-FORGETTING
    averaging[1] = weight * averaging[0] + (1.0 - weight) * averaging[1]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def sample(
    problem: Problem,
    position: Array,
    variance: Array,
    averaging: Array,
    learning: bool,
    deepest: int,
    count: int,
    draws: Array,
    record: Array,
    rng: np.random.Generator,
) -> float:
    """Make transitions: all there is to do with a compiled problem.

    Parameters
    ----------
    problem
        What is sampled.
    position
        Where it stands, and in the end where it has gone, (state,).
    variance
        Diagonal of the inverse mass matrix, (state,).
    averaging
        State of dual averaging (:func:`averaging_from`): the step size is ``exp`` of the first.
    learning
        Whether the step size learns from each transition.
    deepest
        Doublings of a trajectory, at most.
    count
        Transitions; none from a start without a density.
    draws
        Receives the position after each, (count, state), where it has rows.
    record
        Receives what is known of all of them, in the order of ``STATISTICS``.
    rng
        Of these transitions.

    Returns
    -------
    float
        Log density where it stands now.
    """
    size = position.size
    leaf, ends = np.empty((3, size)), np.empty((2, 3, size))
    chosen, chosen_new = np.empty((3, size)), np.empty((3, size))
    sums, kept, last = np.empty((4, size)), np.empty((deepest + 2, 3, size)), deepest + 1
    for i in range(size):
        chosen[_POINT, i] = position[i]
    log_density = finite_density(chosen[_POINT], problem, chosen[_GRADIENT])
    for k in range(record.size):
        record[k] = 0.0
    record[LOG_DENSITY] = log_density
    if not log_density > -np.inf:
        record[DIVERGING] = count  # each would be refused
        return log_density
    for n in range(count):
        step = np.exp(averaging[0])
        for i in range(size):
            chosen[_MOMENTUM, i] = rng.standard_normal() / np.sqrt(variance[i])
            sums[_TOTAL, i] = chosen[_MOMENTUM, i]
        start_energy = _kinetic(chosen, variance) - log_density
        energy = start_energy
        for end in range(2):
            _put(ends[end], chosen)
        log_weight, accepted, steps = 0.0, 0.0, 0.0
        for depth in range(deepest):
            end = 1 if rng.random() < 0.5 else 0
            signed = step if end == 1 else -step
            _put(leaf, ends[end])
            for i in range(size):
                sums[_NEW, i] = 0.0
            new_energy, new_density, new_weight = 0.0, 0.0, -np.inf
            stopped = False
            for number in range(1 << depth):
                for i in range(size):
                    kept[last, _BEFORE, i] = leaf[_MOMENTUM, i]
                    kept[last, _SUM, i] = sums[_NEW, i]
                here = leapfrog(problem, leaf, variance, signed)
                energy_here = _kinetic(leaf, variance) - here
                lost = energy_here - start_energy
                if np.isnan(lost):
                    lost = np.inf
                steps += 1.0
                accepted += min(1.0, np.exp(-lost))
                if lost > MOST_ENERGY:
                    record[DIVERGING] += 1.0
                    stopped = True
                    break
                new_weight = _log_sum(new_weight, -lost)
                if np.log(rng.random()) < -lost - new_weight:
                    _put(chosen_new, leaf)
                    new_energy, new_density = energy_here, here
                for i in range(size):
                    kept[last, _START, i] = leaf[_MOMENTUM, i]
                    sums[_NEW, i] += leaf[_MOMENTUM, i]
                # each even leaf begins stretches that later odd leaves end; one a level is kept
                level, half = 0, number >> 1
                while half:
                    level += half & 1
                    half >>= 1
                if number % 2 == 0:
                    _put(kept[level], kept[last])
                    continue
                half, second = number >> 1, last
                while True:  # from the shortest of the stretches that end here to the longest
                    for i in range(size):
                        sums[_FIRST, i] = kept[second, _SUM, i] - kept[level, _SUM, i]
                        sums[_SECOND, i] = sums[_NEW, i] - kept[second, _SUM, i]
                    stopped = _turns(
                        kept[level, _START], kept[second, _BEFORE], kept[second, _START],
                        leaf[_MOMENTUM], sums[_FIRST], sums[_SECOND], variance,
                    )  # fmt: skip
                    if stopped or not half & 1:
                        break
                    second = level
                    level -= 1
                    half >>= 1
                if stopped:
                    break
            record[DEPTH] = max(record[DEPTH], depth + 1.0)
            if stopped:
                break
            if np.log(rng.random()) < new_weight - log_weight:
                _put(chosen, chosen_new)
                energy, log_density = new_energy, new_density
            log_weight = _log_sum(log_weight, new_weight)
            stopped = _turns(
                ends[1 - end, _MOMENTUM], ends[end, _MOMENTUM], kept[0, _START], leaf[_MOMENTUM],
                sums[_TOTAL], sums[_NEW], variance,
            )  # fmt: skip
            if stopped:
                break
            for i in range(size):
                sums[_TOTAL, i] += sums[_NEW, i]
            _put(ends[end], leaf)
        accepted /= max(steps, 1.0)
        record[STEPS] += steps
        record[ACCEPTED] += accepted / count
        record[ENERGY], record[LOG_DENSITY] = energy, log_density
        if learning:
            learn(averaging, accepted)
        if draws.shape[0] > 0:
            for i in range(size):
                draws[n, i] = chosen[_POINT, i]
    for i in range(size):
        position[i] = chosen[_POINT, i]
    return log_density


def averaging_from(step: float, acceptance: float = ACCEPTANCE) -> Array:
    """State of dual averaging: log step, its average, mean error, count, centre, aim."""
    return np.array([np.log(step), 0.0, 0.0, 0.0, np.log(10.0 * step), acceptance])


def learnt(averaging: Array) -> float:
    """Step size that has been learnt."""
    return float(np.exp(averaging[1]))


def _arguments(problem: Problem) -> tuple[Any, ...]:
    """Arguments of :func:`sample`, for their types."""
    x = np.empty(0)
    return problem, x, x, x, False, 0, 0, np.empty((0, 0)), x, np.random.default_rng(0)


def sampler_of(example: Problem) -> Callable:
    """Give :func:`sample` for problems of the types of an example, to call from machine code."""
    return Callable.for_example(sample, *_arguments(example))


class CompiledNuts:
    """The sampler over a compiled problem.

    Parameters
    ----------
    example
        A problem: of the types that all will have.
    """

    def __init__(self, example: Problem) -> None:
        self._sample = specialised(sample, *_arguments(example))

    def _run(
        self,
        problem: Problem,
        position: Array,
        variance: Array,
        averaging: Array,
        learning: bool,
        draws: Array | int,
        rng: np.random.Generator,
    ) -> Array:
        """Move `position` as often as `draws` says or has rows; gives the record."""
        record, deepest = np.empty(len(STATISTICS)), DEEPEST_TUNING if learning else DEEPEST
        kept = np.empty((0, 0)) if isinstance(draws, int) else draws
        count = draws if isinstance(draws, int) else len(draws)
        self._sample(
            problem, position, variance, averaging, learning, deepest, count, kept, record, rng
        )
        return record

    def adapt(
        self, problem: Problem, start: Array, tune: int, rng: np.random.Generator
    ) -> tuple[Adaptation, Array]:
        """Tune from `start`; gives the tuning and where the run ended, (state,)."""
        size, window = start.size, max(tune // WINDOWS, 1)
        position, draws = start.copy(), np.empty((tune, start.size))
        variance = np.full(size, 0.1)
        averaging = averaging_from(0.25 / size**0.25 if size else 1.0)
        first = 0
        for end in (*range(window, tune - window + 1, window), tune):
            part = draws[first:end]
            check_density(self._run(problem, position, variance, averaging, True, part, rng))
            if end < tune:
                kept = part[len(part) // 3 :]  # the first of a window remember where it began
                variance = (len(kept) * kept.var(axis=0) + 5.0 * 1e-3) / (len(kept) + 5.0)
                if first == 0:  # the scales are new, and with them the step
                    averaging = averaging_from(learnt(averaging))
            first = end
        half = draws[tune // 2 :]
        tuning = Adaptation(learnt(averaging), variance, half.mean(axis=0), half.std(axis=0))
        return tuning, position

    def move(
        self,
        problem: Problem,
        state: Array,
        adaptation: Adaptation,
        settling: int,
        transitions: int,
        rng: np.random.Generator,
    ) -> tuple[Array, Array]:
        """Make transitions with the frozen tuning, after `settling` ones from a dispersed start.

        Returns
        -------
        state
            Where they end, (state,).
        record
            In the order of ``STATISTICS``.
        """
        # machine code does not look whether what it reads is there
        check_sizes(state.size, adaptation.variance.size, adaptation.start_mean.size)
        position, frozen = state.copy(), averaging_from(adaptation.step_size)
        if settling:
            position = self.settled(problem, state, adaptation, settling, rng)
        record = self._run(problem, position, adaptation.variance, frozen, False, transitions, rng)
        check_density(record)
        return position, record

    def settled(
        self,
        problem: Problem,
        state: Array,
        adaptation: Adaptation,
        transitions: int,
        rng: np.random.Generator,
    ) -> Array:
        """Bring a dispersed start to the posterior, by transitions; gives where they end, (state,).

        A start in the tails can be stiffer than the posterior is, where the frozen step size would
        be refused for ever. The step size that adapts here is forgotten afterwards.
        """
        variance, mean = adaptation.variance, adaptation.start_mean
        check_sizes(state.size, variance.size, mean.size)
        position, frozen = state.copy(), averaging_from(adaptation.step_size)
        for _ in range(HALVINGS):
            record = self._run(problem, position, variance, frozen, False, 0, rng)
            if np.isfinite(record[LOG_DENSITY]):
                break
            position = 0.5 * (position + mean)
        learning = averaging_from(adaptation.step_size / 10.0)
        self._run(problem, position, variance, learning, True, transitions, rng)
        return position


def check_sizes(*sizes: int) -> None:
    """Refuse a state and an adaptation of different lengths, as of another model.

    Raises
    ------
    SamplingError
        With the lengths.
    """
    if len(set(sizes)) > 1:
        raise SamplingError(
            f"the state of the sampler has lengths {', '.join(map(str, sizes))} where one is "
            "needed: it is of another model or from a damaged file; start the run anew"
        )


def check_density(record: Array) -> None:
    """Refuse a point at which the model has no finite density: no transition leads from it.

    Raises
    ------
    SamplingError
        With what to look at.
    """
    if not np.isfinite(record[LOG_DENSITY]):
        raise SamplingError(
            "the model has no finite log density where its sampler stands: look for observed "
            "values that its distribution cannot give, and for priors that exclude each other"
        )


def dispersed(mean: Array, sd: Array, rng: np.random.Generator) -> Array:
    """Draw a state dispersed around an adaptation run, (state,)."""
    # in many dimensions 2 SD in each would be far outside any typical set
    spread = max(1.0, DISPERSION * min(1.0, 8.0 / max(mean.size, 1)) ** 0.5)
    return np.asarray(mean + spread * sd * rng.standard_normal(mean.size))


def statistics_of(record: Array) -> Mapping[str, float]:
    """Name what a record holds."""
    return dict(zip(STATISTICS, map(float, record), strict=True))
