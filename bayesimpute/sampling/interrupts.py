"""Ctrl-C while machine code is made: numba is left between two steps only, never within one."""

import signal
import threading
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from types import FrameType
from typing import Any

from numba.core import event

#: Numba's lock around every step of compiling, and of taking from disk what was compiled before.
COMPILING = "numba:compiler_lock"

type Answer = Callable[[int, FrameType | None], Any]


class BetweenSteps(event.Listener):
    """Answer Ctrl-C between steps of the compiler.

    LLVM calls Python back through ctypes, where an exception is printed and lost: KeyboardInterrupt
    too, and then numba misses what it should have been told and fails with an error of its own. So
    a Ctrl-C is noted, and answered as soon as the step is made: a moment later, seconds in large
    functions. A second one does not wait; if the compiler loses it, the step's end still answers.

    Attributes
    ----------
    given_up
        Threads that are to make no further step, by their idents.
    """

    def __init__(self) -> None:
        self.given_up: set[int] = set()
        self._depth = 0  # of steps within steps of the main thread
        self._answer: Answer | None = None
        self._noted: tuple[int, FrameType | None] | None = None

    def on_start(self, _: event.Event) -> None:
        """Note Ctrl-C from here on. Python answers signals in its main thread only."""
        if threading.current_thread() is not threading.main_thread():
            return
        if not self._depth:
            answer = signal.getsignal(signal.SIGINT)
            self._answer = answer if callable(answer) else None
            if self._answer is not None:
                signal.signal(signal.SIGINT, self._note)
        self._depth += 1

    def on_end(self, _: event.Event) -> None:
        """Answer what was noted: nothing is half done, and the lock of this step is free."""
        if threading.current_thread() is not threading.main_thread():
            if threading.get_ident() in self.given_up:
                raise KeyboardInterrupt
            return
        if not self._depth:
            return
        self._depth -= 1
        noted, self._noted = self._noted, None
        if not self._depth and self._answer is not None:
            signal.signal(signal.SIGINT, self._answer)
        if noted is not None and self._answer is not None:
            self._answer(*noted)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again, self._noted = self._noted is not None, (number, frame)
        if again and self._answer is not None:
            self._answer(number, frame)


_LISTENER = BetweenSteps()
event.register(COMPILING, _LISTENER)


@contextmanager
def compiling_no_further(threads: Set[int]) -> Iterator[None]:
    """Let threads, named by their idents, end their work at the compiler's next step."""
    _LISTENER.given_up |= threads
    try:
        yield
    finally:
        _LISTENER.given_up -= threads
