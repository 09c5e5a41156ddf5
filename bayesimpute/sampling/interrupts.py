"""Ctrl-C while machine code is made: numba is left between two functions, never within one."""

import signal
import threading
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from types import FrameType
from typing import Any

from numba.core import event

#: Numba's lock around all that it compiles, or takes from disk; steps within steps take it, too.
COMPILING = "numba:compiler_lock"

type Answer = Callable[[int, FrameType | None], Any]


class BetweenFunctions(event.Listener):
    """Answer Ctrl-C when the function that is being compiled is finished.

    LLVM calls Python back through ctypes, where an exception is printed and lost: KeyboardInterrupt
    too, and then numba misses what it should have been told and fails with an error of its own.
    Elsewhere within a function KeyboardInterrupt comes out, but leaves numba's tables half filled,
    and the next function fails. So a Ctrl-C is noted, and answered a few seconds later at most.

    Attributes
    ----------
    given_up
        Threads that are to compile no further function, by their idents.
    """

    def __init__(self) -> None:
        self.given_up: set[int] = set()
        self._within = threading.local()  # depth of steps within steps of each thread
        self._answer: Answer | None = None
        self._noted: tuple[int, FrameType | None] | None = None

    def on_start(self, _: event.Event) -> None:
        """Note Ctrl-C from here on, which Python answers in its main thread only."""
        depth = getattr(self._within, "depth", 0)
        if not depth and _in_main_thread():
            answer = signal.getsignal(signal.SIGINT)
            self._answer = answer if callable(answer) else None
            if self._answer is not None:
                signal.signal(signal.SIGINT, self._note)
        self._within.depth = depth + 1

    def on_end(self, _: event.Event) -> None:
        """Answer what was noted: numba is in order, and its lock is free."""
        depth = getattr(self._within, "depth", 0)
        self._within.depth = max(depth - 1, 0)
        if depth != 1:
            return
        if not _in_main_thread():
            if threading.get_ident() in self.given_up:
                raise KeyboardInterrupt
            return
        noted, self._noted = self._noted, None
        if self._answer is not None:
            signal.signal(signal.SIGINT, self._answer)
            if noted is not None:
                self._answer(*noted)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = number, frame


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


_LISTENER = BetweenFunctions()
event.register(COMPILING, _LISTENER)


@contextmanager
def compiling_no_further(threads: Set[int]) -> Iterator[None]:
    """Let threads, named by their idents, end their work after the function they compile."""
    _LISTENER.given_up |= threads
    try:
        yield
    finally:
        _LISTENER.given_up -= threads
