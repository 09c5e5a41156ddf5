"""m chains from a specification: start them, take them further, here or on workers."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import Any

from bayesimpute.design import DesignBuilder
from bayesimpute.engine.adapt import adapt, reference_values, steps
from bayesimpute.engine.bench import Bench, model_of
from bayesimpute.engine.chain import ChainState, Stretch
from bayesimpute.engine.failures import Stopped
from bayesimpute.engine.history import History, pack_adaptations
from bayesimpute.engine.monitor import try_monitors
from bayesimpute.engine.pace import Pace
from bayesimpute.engine.record import begin, lengthen
from bayesimpute.engine.threads import on_threads
from bayesimpute.engine.workers import State, Workplace, at_rest, on_workers, packed
from bayesimpute.errors import SpecificationError
from bayesimpute.progress import Advance, progress_bar
from bayesimpute.specification.specification import Specification, Target

#: Where what was finished can be found, if the caller does not know.
NOWHERE = "What was finished is lost; bi.impute keeps it in a file named by checkpoint=."


def start(
    specification: Specification,
    m: int,
    seed: int,
    executor: Executor | None = None,
    cores: int = 1,
    progress: bool | None = None,
) -> tuple[History, Bench]:
    """Build and tune every model; chains have not moved yet.

    Parameters
    ----------
    specification
        What is imputed and how.
    m
        Number of chains.
    seed
        Entropy of the run.
    executor
        Where chains will run: what cannot travel there is said before any work.
    cores
        Threads in which kernels are tuned side by side.
    progress
        Show what is compiled and tuned; default only where someone watches.

    Returns
    -------
    history
        Of no iterations.
    bench
        The compiled models, to go on with in this process.

    Raises
    ------
    SpecificationError
        If a monitor fails on the start data, or a function cannot travel to the executor.
    SamplingError
        If a model cannot be tuned.
    """
    if executor is not None:
        packed(specification)
    reference = reference_values(specification, seed)
    labels = try_monitors(specification, reference)
    with _preparing(steps(specification), progress) as advance:
        bench = Bench.of(specification, reference, advance)
        adaptations, events = adapt(bench, seed, cores, advance)
    events = (*specification.events, *events)
    adaptation = pack_adaptations(adaptations)
    return begin(specification, bench, m, adaptation, seed, events, labels), bench


def go_on(
    specification: Specification,
    history: History,
    iterations: int,
    bench: Bench | None = None,
    executor: Executor | None = None,
    save: Callable[[History], None] | None = None,
    progress: bool | None = None,
    on_error: str = "raise",
    kept: str = NOWHERE,
    cores: int = 1,
    first: int = 0,
) -> History:
    """Take all chains further; the same bits as in one longer run, for any executor or cores.

    Parameters
    ----------
    specification
        That of the history.
    history
        Where the chains are.
    iterations
        How many more.
    bench
        Models built in this process already.
    executor
        Where chains run; default, here.
    save
        Called with the history after every iteration.
    progress
        Show a bar; default only where someone watches.
    on_error
        ``"raise"`` or ``"keep"``.
    kept
        Sentence on where finished iterations can be found, should a worker die.
    cores
        Threads of this process in which chains run, without an executor.
    first
        Number of the first of these chains among all of the run, from 0.

    Raises
    ------
    SamplingError
        If a model or a monitor fails and `on_error` is ``"raise"``, or a worker dies.
    Stopped
        By Ctrl-C, with what is finished; before the first iteration, a plain KeyboardInterrupt.
    """
    if iterations < 1:
        return history
    if history.iterations:
        try_monitors(specification, reference_values(specification, history.seed))
    if bench is None and executor is None:
        reference = reference_values(specification, history.seed)
        with _preparing(len(set(specification.visit_sequence)), progress) as advance:
            bench = Bench.of(specification, reference, advance)
    last = history.iterations + iterations
    ahead = range(history.iterations, last)
    reached: tuple[History, Sequence[State]] = history, history.states
    with progress_bar(total=history.m * iterations, enabled=progress) as advance:
        watched = save is not None or executor is not None or bool(specification.monitors)
        pace = Pace(ahead, steady=watched)
        work = _work(
            specification, history, pace, bench, executor, on_error, kept, cores, advance, first
        )
        try:
            # a few iterations of all chains at a time, so that no more is ever lost
            with closing(work):
                for stretches in work:
                    states = [stretch.state for stretch in stretches]
                    reached = lengthen(reached[0], stretches), states
                    if save is not None:
                        save(_at_rest(*reached))
        except KeyboardInterrupt as stop:
            if not reached[0].iterations:
                raise
            raise Stopped(_at_rest(*reached), last) from stop
    return _at_rest(*reached)


def _preparing(total: int, progress: bool | None) -> AbstractContextManager[Advance]:
    """Show the models that are made: steps take from nothing to half a minute, so no time left."""
    return progress_bar(total, progress, "preparing models", "steps", estimate=False)


def _at_rest(history: History, states: Sequence[State]) -> History:
    return replace(history, states=tuple(map(at_rest, states)))


def _work(
    specification: Specification,
    history: History,
    pace: Pace,
    bench: Bench | None,
    executor: Executor | None,
    on_error: str,
    kept: str,
    cores: int,
    advance: Advance,
    first: int,
) -> Generator[list[Stretch]]:
    """Give stretch after stretch of all chains, made here or on workers."""
    states: Sequence[State] = history.states
    if executor is not None:
        shared = packed(specification, history, on_error)
        for step in pace:
            stretches = on_workers(executor, shared, states, step, advance, kept, first)
            states = [stretch.state for stretch in stretches]
            yield stretches
        return
    assert bench is not None
    place = Workplace.of(bench, history, on_error)
    if cores > 1 and history.m > 1:
        yield from on_threads(place, states, pace, cores, advance, first)
        return
    for step in pace:
        stretches = []
        for imputation, state in enumerate(states, start=first):
            stretches.append(place.stretch(state, imputation, step))
            pace.took(len(step), stretches[-1].seconds)
            advance(len(step))
        states = [stretch.state for stretch in stretches]
        yield stretches


def textbook_model(
    specification: Specification, history: History, name: str, imputation: int = 1
) -> Any:
    """Build the PyMC model of one target on one chain's completed data.

    Raises
    ------
    SpecificationError
        If `name` has no model, or there is no such imputation.
    """
    target = specification.targets.get(name)
    if not isinstance(target, Target):
        with_model = [k for k, v in specification.targets.items() if isinstance(v, Target)]
        raise SpecificationError(
            f"model: {name!r} has no imputation model; {', '.join(with_model) or 'nothing'} has."
        )
    if not 1 <= imputation <= history.m:
        raise SpecificationError(
            f"model: there is no imputation {imputation}; they run from 1 to {history.m}."
        )
    state = ChainState.from_bytes(specification, history.states[imputation - 1])
    design = DesignBuilder.of(specification, target).build(state.values)
    return model_of(specification, target, design)
