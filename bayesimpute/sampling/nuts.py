r"""The no-U-turn sampler, compiled: it holds no lock of the interpreter.

Multinomial NUTS with the generalised criterion (Hoffman & Gelman 2014; Betancourt 2017), its trees
built leaf by leaf (Phan, Pradhan & Jankowiak 2019): a doubling needs no recursion, and of its
2^d points only d are kept. Step sizes are tuned by dual averaging, variances from draws in windows.
After one adaptation both are frozen, so every transition leaves the current posterior invariant.

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
from bayesimpute.sampling.compiled import specialised

#: What is compiled as part of something else, and not kept on disk by itself.
_part = numba.njit(error_model="numpy", nogil=True)

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


@_part
def finite_density(position: Array, problem: Problem, gradient: Array) -> float:
    """Log density; a point without a finite one is minus infinity, which NUTS refuses."""
    value = problem.density(position, problem.data, gradient)
    if not (np.isfinite(value) and np.isfinite(gradient.sum())):
        gradient[:] = 0.0
        return -np.inf
    return value


# Arithmetic on vectors is written as plain loops, which numba compiles in a fraction of the time
# that it takes for array expressions.


@_part
def _moved(x: Array, step: float, along: Array) -> Array:
    """Give ``x + step * along``."""
    out = np.empty(x.size)
    for i in range(x.size):
        out[i] = x[i] + step * along[i]
    return out


@_part
def _scaled(x: Array, y: Array) -> Array:
    out = np.empty(x.size)
    for i in range(x.size):
        out[i] = x[i] * y[i]
    return out


@_part
def _kinetic(momentum: Array, variance: Array) -> float:
    total = 0.0
    for i in range(momentum.size):
        total += variance[i] * momentum[i] * momentum[i]
    return 0.5 * total


@_part
def _momentum(variance: Array, rng: np.random.Generator) -> Array:
    out = rng.standard_normal(variance.size)
    for i in range(variance.size):
        out[i] /= np.sqrt(variance[i])
    return out


@_part
def _put(target: Array, values: Array) -> None:
    for i in range(target.size):
        target[i] = values[i]


@_part
def _turns(left: Array, right: Array, total: Array, variance: Array) -> bool:
    """Whether a trajectory from momentum `left` to `right`, summing to `total`, turns back."""
    past, future = 0.0, 0.0
    for i in range(left.size):
        along = variance[i] * total[i]
        past += left[i] * along
        future += right[i] * along
    return past <= 0.0 or future <= 0.0


@_part
def _ones_of(number: int) -> int:
    count = 0
    while number:
        count += number & 1
        number >>= 1
    return count


@_part
def leapfrog(
    problem: Any, position: Array, momentum: Array, gradient: Array, variance: Array, step: float
) -> tuple[Array, Array, Array, float]:
    """One leapfrog step; gives position, momentum, gradient and log density there."""
    half = _moved(momentum, 0.5 * step, gradient)
    moved = _moved(position, step, _scaled(variance, half))
    slope = np.empty(gradient.size)
    value = finite_density(moved, problem, slope)
    return moved, _moved(half, 0.5 * step, slope), slope, value


@_part
def transition(
    problem: Any,
    position: Array,
    variance: Array,
    step: float,
    deepest: int,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Make one NUTS transition.

    Parameters
    ----------
    problem
        What is sampled.
    position
        Where it stands, (state,).
    variance
        Diagonal of the inverse mass matrix, (state,).
    step
        Step size.
    deepest
        Doublings, at most.
    rng
        Of this transition.

    Returns
    -------
    position
        Where it goes, (state,).
    record
        In the order of ``STATISTICS``.
    """
    size = position.size
    gradient = np.empty(size)
    value = finite_density(position, problem, gradient)
    momentum = _momentum(variance, rng)
    start_energy = _kinetic(momentum, variance) - value
    record = np.zeros(6)
    record[ENERGY], record[LOG_DENSITY] = start_energy, value
    # ends of the trajectory: 0 the past, 1 the future
    ends = np.empty((2, 3, size))
    for end in range(2):
        _put(ends[end, 0], position)
        _put(ends[end, 1], momentum)
        _put(ends[end, 2], gradient)
    total = momentum.copy()
    chosen = position.copy()
    log_weight = 0.0
    kept = np.empty((deepest + 1, 2, size))
    accepted = 0.0
    for depth in range(deepest):
        end = 1 if rng.random() < 0.5 else 0
        signed = step if end == 1 else -step
        at, moving, slope = ends[end, 0].copy(), ends[end, 1].copy(), ends[end, 2].copy()
        sub_total = np.zeros(size)
        sub_chosen = at
        sub_energy, sub_value, sub_weight = 0.0, 0.0, -np.inf
        stopped = False
        for leaf in range(1 << depth):
            at, moving, slope, value = leapfrog(problem, at, moving, slope, variance, signed)
            energy = _kinetic(moving, variance) - value
            lost = energy - start_energy
            if np.isnan(lost):
                lost = np.inf
            record[STEPS] += 1.0
            accepted += min(1.0, np.exp(-lost))
            if lost > MOST_ENERGY:
                record[DIVERGING] = 1.0
                stopped = True
                break
            sub_weight = np.logaddexp(sub_weight, -lost)
            if np.log(rng.random()) < -lost - sub_weight:
                sub_chosen, sub_energy, sub_value = at, energy, value
            sub_total = _moved(sub_total, 1.0, moving)
            # each even leaf begins subtrees that later odd leaves end; one a level is kept
            level = _ones_of(leaf >> 1)
            if leaf % 2 == 0:
                _put(kept[level, 0], moving)
                _put(kept[level, 1], sub_total)
            else:
                lowest = level
                trailing = leaf >> 1
                while trailing & 1:
                    lowest -= 1
                    trailing >>= 1
                for begun in range(level, lowest - 1, -1):
                    between = _moved(_moved(sub_total, -1.0, kept[begun, 1]), 1.0, kept[begun, 0])
                    if _turns(kept[begun, 0], moving, between, variance):
                        stopped = True
                        break
            if stopped:
                break
        record[DEPTH] = depth + 1.0
        if stopped:
            break
        if np.log(rng.random()) < sub_weight - log_weight:
            chosen = sub_chosen
            record[ENERGY], record[LOG_DENSITY] = sub_energy, sub_value
        log_weight = np.logaddexp(log_weight, sub_weight)
        total = _moved(total, 1.0, sub_total)
        _put(ends[end, 0], at)
        _put(ends[end, 1], moving)
        _put(ends[end, 2], slope)
        if _turns(ends[0, 1], ends[1, 1], total, variance):
            break
    record[ACCEPTED] = accepted / max(record[STEPS], 1.0)
    return chosen, record


@_part
def summed(total: Array, record: Array, transitions: int) -> None:
    """Add a transition's record to that of several."""
    total[DIVERGING] += record[DIVERGING]
    total[STEPS] += record[STEPS]
    total[DEPTH] = max(total[DEPTH], record[DEPTH])
    total[ACCEPTED] += record[ACCEPTED] / transitions
    total[ENERGY], total[LOG_DENSITY] = record[ENERGY], record[LOG_DENSITY]


@_part
def move(
    problem: Any,
    position: Array,
    variance: Array,
    step: float,
    transitions: int,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Make some transitions with a frozen tuning; the record is that of all of them."""
    total = np.zeros(6)
    for _ in range(transitions):
        position, record = transition(problem, position, variance, step, DEEPEST, rng)
        summed(total, record, transitions)
    return position, total


@_part
def begin_averaging(step: float) -> Array:
    """State of dual averaging: log step, its average, mean error, count, centre."""
    return np.array([np.log(step), 0.0, 0.0, 0.0, np.log(10.0 * step)])


@_part
def learn(averaging: Array, acceptance: float) -> None:
    """Let the step size learn from the acceptance of one transition."""
    averaging[3] += 1.0
    count = averaging[3]
    weight = 1.0 / (count + DELAY)
    averaging[2] = (1.0 - weight) * averaging[2] + weight * (ACCEPTANCE - acceptance)
    averaging[0] = averaging[4] - np.sqrt(count) / SHRINKAGE * averaging[2]
    weight = count**-FORGETTING
    averaging[1] = weight * averaging[0] + (1.0 - weight) * averaging[1]


@_part
def tuned(averaging: Array) -> float:
    """Step size that has been learnt."""
    return float(np.exp(averaging[1]))


@_part
def tuning_transition(
    problem: Any, position: Array, variance: Array, averaging: Array, rng: np.random.Generator
) -> Array:
    """Make a transition from which the step size learns."""
    position, record = transition(
        problem, position, variance, np.exp(averaging[0]), DEEPEST_TUNING, rng
    )
    learn(averaging, record[ACCEPTED])
    return position


@_part
def _mean_and_variance(draws: Array, first: int, last: int, k: int) -> tuple[float, float]:
    """Mean and variance of one column of the draws `first` to `last`."""
    mean, variance = 0.0, 0.0
    for i in range(first, last):
        mean += draws[i, k] / (last - first)
    for i in range(first, last):
        variance += (draws[i, k] - mean) ** 2 / (last - first)
    return mean, variance


@_part
def adapt(
    problem: Any, start: Array, tune: int, rng: np.random.Generator
) -> tuple[float, Array, Array, Array, Array]:
    """Tune step size and variances from `start`.

    Returns
    -------
    step, variance
        The tuning.
    mean, sd
        Of the draws of the second half, (state,).
    position
        Where the run ended, (state,).
    """
    size = start.size
    variance = np.full(size, 0.1)
    step = 0.25 / size**0.25 if size else 1.0
    position = start.copy()
    draws = np.empty((tune, size))
    window = max(tune // WINDOWS, 1)
    first = 0
    averaging = begin_averaging(step)
    for i in range(tune):
        position = tuning_transition(problem, position, variance, averaging, rng)
        _put(draws[i], position)
        if (i + 1) % window == 0 and i + 1 <= tune - window:
            # the first of a window still remember where it began
            begun = first + (i + 1 - first) // 3
            count = i + 1 - begun
            for k in range(size):
                spread = _mean_and_variance(draws, begun, i + 1, k)[1]
                variance[k] = (count * spread + 5.0 * 1e-3) / (count + 5.0)
            if first == 0:  # the scales are new, and with them the step
                averaging = begin_averaging(tuned(averaging))
            first = i + 1
    mean, sd = np.empty(size), np.empty(size)
    for k in range(size):
        mean[k], spread = _mean_and_variance(draws, tune // 2, tune, k)
        sd[k] = np.sqrt(spread)
    return tuned(averaging), variance, mean, sd, position


@_part
def settle(
    problem: Any,
    position: Array,
    variance: Array,
    step: float,
    mean: Array,
    transitions: int,
    rng: np.random.Generator,
) -> Array:
    """Bring a dispersed start to the posterior, the step size adapting on the way.

    A start in the tails can be stiffer than the posterior is, where the frozen step size would be
    refused for ever. What is adapted here is forgotten afterwards.
    """
    gradient = np.empty(position.size)
    for _ in range(HALVINGS):
        if np.isfinite(finite_density(position, problem, gradient)):
            break
        position = _moved(_scaled(position, np.full(position.size, 0.5)), 0.5, mean)
    averaging = begin_averaging(step / 10.0)
    for _ in range(transitions):
        position = tuning_transition(problem, position, variance, averaging, rng)
    return position


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _sample(
    problem: Problem,
    position: Array,
    tuning: tuple[float, Array, Array, Array],
    tune: int,
    settling: int,
    transitions: int,
    rng: np.random.Generator,
) -> tuple[Array, tuple[float, Array, Array, Array], Array]:
    """All there is to do with a compiled problem; one function, so that it compiles once.

    Nothing is done from a start without a density, which the record says.
    """
    record = np.zeros(6)
    record[LOG_DENSITY] = finite_density(position, problem, np.empty(position.size))
    if tune > 0 and not np.isfinite(record[LOG_DENSITY]):
        return position, tuning, record
    if tune > 0:
        step, variance, mean, sd, position = adapt(problem, position, tune, rng)
        tuning = (step, variance, mean, sd)
    if settling > 0:
        position = settle(problem, position, tuning[1], tuning[0], tuning[2], settling, rng)
    if transitions > 0:
        position, record = move(problem, position, tuning[1], tuning[0], transitions, rng)
    return position, tuning, record


class CompiledNuts:
    """The sampler over a compiled problem.

    Parameters
    ----------
    example
        A problem: of the types that all will have.
    """

    def __init__(self, example: Problem) -> None:
        x, rng = np.empty(0), np.random.default_rng(0)
        self._sample = specialised(_sample, example, x, (1.0, x, x, x), 0, 0, 0, rng)

    def adapt(
        self, problem: Problem, start: Array, tune: int, rng: np.random.Generator
    ) -> tuple[Adaptation, Array]:
        """Tune from `start`; gives the tuning and where the run ended, (state,)."""
        nothing = (1.0, start, start, start)
        position, tuning, record = self._sample(problem, start, nothing, tune, 0, 0, rng)
        check_density(record)
        return Adaptation(*tuning), position

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
        a = adaptation
        # machine code does not look whether what it reads is there
        check_sizes(state.size, a.variance.size, a.start_mean.size)
        tuning = (a.step_size, a.variance, a.start_mean, a.start_sd)
        position, _, record = self._sample(problem, state, tuning, 0, settling, transitions, rng)
        check_density(record)
        return position, record


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
