"""Chains taken further: here, or on the workers of an executor, to the same bits."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from bayesimpute.engine.adapt import reference_values
from bayesimpute.engine.bench import Bench
from bayesimpute.engine.chain import ChainState, Stretch, new_chain, run_chain
from bayesimpute.engine.failures import said
from bayesimpute.engine.history import History, unpack_adaptations
from bayesimpute.engine.monitor import Labels
from bayesimpute.errors import BayesimputeError, SamplingError, SpecificationError
from bayesimpute.method import Adaptation
from bayesimpute.specification.specification import Specification, Target

#: Of a chain between two iterations: as it is here, or packed to travel and to wait in a file.
type State = ChainState | bytes


def at_rest(state: State) -> bytes:
    """Pack a state, if it is not packed."""
    return state.to_bytes() if isinstance(state, ChainState) else state


@dataclass(frozen=True, eq=False)
class Workplace:
    """All that a chain needs besides its own state.

    Attributes
    ----------
    bench
        The compiled models.
    adaptations
        Of every kernel.
    seed
        Of the run.
    on_error
        ``"raise"`` or ``"keep"``.
    labels
        Of the monitors.
    """

    bench: Bench
    adaptations: Mapping[str, Adaptation]
    seed: int
    on_error: str
    labels: Labels

    @classmethod
    def of(cls, bench: Bench, history: History, on_error: str) -> "Workplace":
        """Make it for a run whose models are built."""
        adaptations = unpack_adaptations(history.adaptation)
        return cls(bench, adaptations, history.seed, on_error, history.monitor_labels)

    def stretch(self, state: State, imputation: int, iterations: range) -> Stretch:
        """Take one chain on from its state; an empty one is a chain that has not started."""
        if isinstance(state, ChainState):
            chain = state
        elif state:
            chain = ChainState.from_bytes(self.bench.specification, state)
        else:
            chain = new_chain(self.bench, self.seed, imputation)
        return run_chain(
            self.bench, self.adaptations, chain, self.seed, imputation, iterations, self.on_error,
            self.labels,
        )  # fmt: skip


def packed(
    specification: Specification, history: History | None = None, on_error: str = ""
) -> bytes:
    """All that a worker needs besides a chain's state, as bytes.

    Raises
    ------
    SpecificationError
        Naming what cannot travel to a worker.
    """
    import cloudpickle

    run = None if history is None else (history.adaptation, history.seed, history.monitor_labels)
    try:
        return cloudpickle.dumps((specification, run, on_error))
    except Exception as error:
        what = next(_that_stay(specification), "the specification")
        raise SpecificationError(
            f"executor: {what} cannot travel to a worker ({said(error)}). Leave executor= out, or "
            "let the function make such things (locks, files, connections) when it is called."
        ) from error


def on_workers(
    executor: Executor,
    shared: bytes,
    states: Sequence[State],
    iterations: range,
    advance: Callable[[int], None],
    kept: str,
    first: int = 0,
) -> list[Stretch]:
    """Take every chain further; the first failure cancels what has not begun.

    Parameters
    ----------
    executor
        Whose workers run the chains.
    shared
        Of :func:`packed`.
    states
        Where the chains are.
    iterations
        Which ones.
    advance
        Called with the iterations of a chain that has finished them.
    kept
        Sentence on where what was finished before can be found.
    first
        Number of the first of these chains among all of the run.

    Raises
    ------
    SamplingError
        If a chain fails, or a worker.
    """
    futures: dict[Future[Stretch], int] = {}
    found: dict[int, Stretch] = {}
    try:
        for chain, state in enumerate(states):
            number = first + chain
            futures[executor.submit(_on_worker, shared, state, number, iterations)] = chain
        for future in as_completed(futures):
            found[futures[future]] = future.result()
            advance(len(iterations))
    except BayesimputeError:
        raise
    except BrokenExecutor as error:
        raise SamplingError(
            f"A worker of the executor died in iteration {iterations[0] + 1}: its process ended, "
            f"by code that ends it or for want of memory (then fewer workers help). {kept}"
        ) from error
    except Exception as error:
        raise SamplingError(
            f"The executor could not run iteration {iterations[0] + 1}: {said(error)}. {kept}"
        ) from error
    finally:
        for future in futures:
            future.cancel()
    return [found[chain] for chain in range(len(states))]


def _that_stay(specification: Specification) -> Iterator[str]:
    """Find what cannot be pickled."""
    import cloudpickle

    held: dict[str, Any] = {}
    for name, target in specification.targets.items():
        if isinstance(target, Target):
            held |= {f"post of {name!r}": target.post, f"method of {name!r}": target.method}
            held |= {f"model_options of {name!r}": target.options}
            held |= {f"priors of {name!r}": target.priors}
    held |= {f"monitor {name!r}": each for name, each in specification.monitors.items()}
    for words, each in held.items():
        try:
            cloudpickle.dumps(each)
        except Exception:  # it is the one that is looked for
            yield words


def _on_worker(shared: bytes, state: State, imputation: int, iterations: range) -> Stretch:
    key = _Shared(shared, hashlib.sha256(shared).hexdigest())
    stretch = _workplace(key, threading.get_ident()).stretch(state, imputation, iterations)
    return replace(stretch, state=at_rest(stretch.state))


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
def _workplace(shared: _Shared, thread: int) -> Workplace:
    """Build the models once a worker and thread: compiled functions own their memory."""
    import cloudpickle

    specification, (adaptation, seed, labels), on_error = cloudpickle.loads(shared.data)
    with _COMPILING:
        bench = Bench.of(specification, reference_values(specification, seed))
    return Workplace(bench, unpack_adaptations(adaptation), seed, on_error, labels)
