"""Threads: how many there is work for on this machine, and independent calls in them."""

import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral
from pathlib import Path
from typing import Any

from bayesimpute.errors import SpecificationError
from bayesimpute.interrupts import going_no_further, whole

_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def threads_of(cores: int | None, executor: Any) -> int:
    """Threads that chains run in: as many as the machine has cores, if nothing else is said.

    Raises
    ------
    SpecificationError
        If it is no whole number from 1, or an executor is given, too: that has its own workers.
    """
    whole = isinstance(cores, Integral) and not isinstance(cores, bool)
    if cores is not None and not (whole and cores >= 1):
        raise SpecificationError(f"cores={cores!r} must be a whole number from 1, or None.")
    if executor is None:
        return physical_cores() if cores is None else int(cores)
    if cores is not None:
        raise SpecificationError(
            f"cores={cores} and executor= cannot both say where chains run: leave one of them out."
        )
    return 1


def physical_cores() -> int:
    """Cores this process may use; the two threads of one core count once where that is known.

    Returns
    -------
    int
        At least 1.
    """
    if not hasattr(os, "sched_getaffinity"):
        return max(os.cpu_count() or 1, 1)
    cores = set()
    for cpu in os.sched_getaffinity(0):
        try:
            cores.add(Path(_TOPOLOGY.format(cpu)).read_text())
        except OSError:  # not known here: each is taken for a core of its own
            cores.add(str(cpu))
    return max(len(cores), 1)


def side_by_side(calls: Sequence[Callable[[], Any]], cores: int) -> Generator[Any]:
    """Make independent calls in threads; gives their results in order, each as soon as it is known.

    Whoever takes them works while later calls are made. What is not wanted any more, after Ctrl-C
    or a failure, is left as soon as it can be: compiling takes many seconds.
    """
    if cores == 1 or len(calls) < 2:
        yield from (call() for call in calls)
        return
    threads: set[int] = set()
    pool = ThreadPoolExecutor(
        min(cores, len(calls)), initializer=lambda: threads.add(threading.get_ident())
    )
    try:
        with whole():  # a thread that Ctrl-C met while it started would not be waited for
            futures = [pool.submit(call) for call in calls]
        yield from (future.result() for future in futures)
    finally:
        with going_no_further(threads):
            pool.shutdown(wait=True, cancel_futures=True)
