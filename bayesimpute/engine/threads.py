"""Chains side by side in threads of this process: machine code holds no lock of the interpreter."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from bayesimpute.engine.chain import Stretch
from bayesimpute.engine.pace import Pace
from bayesimpute.engine.workers import State, Workplace

#: Stretches that a chain may be ahead of the slowest: what is ahead waits in memory.
AHEAD = 8


def on_threads(
    place: Workplace,
    states: Sequence[State],
    pace: Pace,
    cores: int,
    advance: Callable[[int], None],
    first: int = 0,
) -> Generator[list[Stretch]]:
    """Take chains further, each as fast as it gets on; give a stretch when all have made it.

    No chain waits for another at the end of a stretch, so five chains keep two cores busy. Each
    draws from streams of its own: the bits are those of one thread.

    Parameters
    ----------
    place
        Models, adaptations and seed; shared by all threads.
    states
        Where the chains are.
    pace
        Gives the stretches.
    cores
        Number of threads.
    advance
        Called with the iterations of a chain that has finished them.

    first
        Number of the first of these chains among all of the run.

    Yields
    ------
    list of Stretch
        The same iterations of all chains.
    """
    standing = list(states)
    todo = [0] * len(standing)
    done: list[deque[Stretch]] = [deque() for _ in standing]
    running: dict[Future[Stretch], int] = {}
    reached = 0
    pool = ThreadPoolExecutor(min(cores, len(standing)), thread_name_prefix="chain")

    def set_off(chain: int) -> None:
        if todo[chain] < reached + AHEAD and (step := pace.stretch(todo[chain])):
            todo[chain] += 1
            running[pool.submit(place.stretch, standing[chain], first + chain, step)] = chain

    def collect(finished: set[Future[Stretch]]) -> list[Future[Stretch]]:
        """Take what is finished; give back what failed."""
        failed = [f for f in finished if f.exception() is not None]
        for future in finished.difference(failed):
            chain, stretch = running.pop(future), future.result()
            standing[chain] = stretch.state
            done[chain].append(stretch)
            pace.took(stretch.iterations, stretch.seconds)
            advance(stretch.iterations)
        return failed

    failed: list[Future[Stretch]] = []
    try:
        for chain in range(len(standing)):
            set_off(chain)
        while running and not failed:
            finished = wait(running, return_when=FIRST_COMPLETED).done
            failed = collect(finished)
            if failed:
                pool.shutdown(wait=True, cancel_futures=True)
                failed += collect({f for f in running if not f.cancelled()}.difference(failed))
            while all(done):
                reached += 1
                yield [ready.popleft() for ready in done]
            for chain in sorted(set(range(len(standing))).difference(running.values())):
                if not failed:
                    set_off(chain)
        if failed:  # of several, the one that a single thread would have come to first
            min(failed, key=lambda each: running[each]).result()
    finally:
        # after Ctrl-C, too: what has not begun is left, what has ends its stretch
        pool.shutdown(wait=True, cancel_futures=True)
