"""m chains from a specification: start them, take them further, here or on workers."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, as_completed
from functools import lru_cache
from typing import Any

from bayesimpute.design import DesignBuilder
from bayesimpute.engine.adapt import adapt, reference_values
from bayesimpute.engine.bench import Bench, model_of
from bayesimpute.engine.chain import ChainState, Stretch, new_chain, run_chain
from bayesimpute.engine.history import History
from bayesimpute.engine.monitor import Labels, try_monitors
from bayesimpute.engine.packing import pack_adaptations, unpack_adaptations
from bayesimpute.engine.record import begin, lengthen
from bayesimpute.errors import SpecificationError
from bayesimpute.progress import progress_bar
from bayesimpute.specification.specification import Specification, Target


def start(specification: Specification, m: int, seed: int) -> tuple[History, Bench]:
    """Build and tune every model; chains have not moved yet.

    Parameters
    ----------
    specification
        What is imputed and how.
    m
        Number of chains.
    seed
        Entropy of the run.

    Returns
    -------
    history
        Of no iterations.
    bench
        The compiled models, to go on with in this process.

    Raises
    ------
    SpecificationError
        If a monitor fails on the start data.
    SamplingError
        If a model cannot be tuned.
    """
    reference = reference_values(specification, seed)
    labels = try_monitors(specification, reference)
    bench = Bench.of(specification, reference)
    adaptations, events = adapt(bench, seed)
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
) -> History:
    """Take all chains further; the same bits as in one longer run, for any executor.

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
        Called with the history after every iteration; without it chains run through.
    progress
        Show a bar; default only where someone watches.
    on_error
        ``"raise"`` or ``"keep"``.

    Raises
    ------
    SamplingError
        If a model or a monitor fails and `on_error` is ``"raise"``.
    """
    # with someone saving, one iteration at a time, so that no more than one is ever lost
    steps = [1] * iterations if save is not None else [iterations] * (iterations > 0)
    if history.iterations and steps:
        try_monitors(specification, reference_values(specification, history.seed))
    if executor is None and bench is None and steps:
        bench = Bench.of(specification, reference_values(specification, history.seed))
    with progress_bar(total=history.m * max(iterations, 0), enabled=progress) as advance:
        for step in steps:
            stretches: list[Stretch | None] = [None] * history.m
            wanted = range(history.iterations, history.iterations + step)
            for imputation, stretch in _stretches(
                specification, history, wanted, bench, executor, on_error
            ):
                stretches[imputation] = stretch
                advance(step)
            history = lengthen(history, step, [s for s in stretches if s is not None])
            if save is not None:
                save(history)
    return history


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


def _stretches(
    specification: Specification,
    history: History,
    iterations: range,
    bench: Bench | None,
    executor: Executor | None,
    on_error: str,
) -> Iterator[tuple[int, Stretch]]:
    if executor is None:
        assert bench is not None
        for imputation in range(history.m):
            yield imputation, _stretch(bench, history, imputation, iterations, on_error)
        return
    import cloudpickle

    # one chain's state travels with its task, everything else once a task as shared bytes
    shared = cloudpickle.dumps(
        (specification, history.adaptation, history.seed, history.monitor_labels)
    )
    futures = {
        executor.submit(
            _remote_stretch, shared, state, imputation, iterations, on_error
        ): imputation
        for imputation, state in enumerate(history.states)
    }
    for future in as_completed(futures):
        yield futures[future], future.result()


def _stretch(
    bench: Bench, history: History, imputation: int, iterations: range, on_error: str
) -> Stretch:
    return _run(
        bench,
        history.adaptation,
        history.states[imputation],
        history.seed,
        imputation,
        iterations,
        on_error,
        history.monitor_labels,
    )


def _run(
    bench: Bench,
    adaptation: bytes,
    state: bytes,
    seed: int,
    imputation: int,
    iterations: range,
    on_error: str,
    labels: Labels,
) -> Stretch:
    chain = (
        ChainState.from_bytes(bench.specification, state)
        if state
        else new_chain(bench, seed, imputation)
    )
    adaptations = unpack_adaptations(adaptation)
    return run_chain(bench, adaptations, chain, seed, imputation, iterations, on_error, labels)


def _remote_stretch(
    shared: bytes, state: bytes, imputation: int, iterations: range, on_error: str
) -> Stretch:
    digest = hashlib.sha256(shared).hexdigest()
    bench, adaptation, seed, labels = _bench_of(_Shared(shared, digest), threading.get_ident())
    return _run(bench, adaptation, state, seed, imputation, iterations, on_error, labels)


class _Shared:
    """Bytes that compare by their digest, so that a cache can hold what was built from them."""

    def __init__(self, data: bytes, digest: str) -> None:
        self.data = data
        self.digest = digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shared) and other.digest == self.digest


_COMPILING = threading.Lock()  # PyTensor does not compile in two threads at once


@lru_cache(maxsize=8)
def _bench_of(shared: _Shared, thread: int) -> tuple[Bench, bytes, int, Labels]:
    """Build the models once a worker and thread: compiled functions own their memory."""
    import cloudpickle

    specification, adaptation, seed, labels = cloudpickle.loads(shared.data)
    with _COMPILING:
        bench = Bench.of(specification, reference_values(specification, seed))
    return bench, adaptation, seed, labels
