"""Ctrl-C where it would leave things half done: it waits until they are whole."""

import signal
import threading
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from types import FrameType
from typing import Any

type Answer = Callable[[int, FrameType | None], Any]


class _Whole:
    """What is begun and ended, within each other too; Python answers signals between, not within.

    In threads besides the main one, which signals do not reach, some may be told to go no further.

    Attributes
    ----------
    given_up
        Groups of those threads, by their idents; threads may join a group later.
    """

    def __init__(self) -> None:
        self.given_up: list[Set[int]] = []
        self._within = threading.local()  # depth in each thread
        self._answer: Answer | None = None
        self._noted: tuple[int, FrameType | None] | None = None

    def begin(self) -> None:
        """Note Ctrl-C from here on."""
        depth = getattr(self._within, "depth", 0)
        if not depth and _in_main_thread():
            self._noted = None
            answer = signal.getsignal(signal.SIGINT)
            self._answer = answer if callable(answer) else None
            if self._answer is not None:
                signal.signal(signal.SIGINT, self._note)
        self._within.depth = depth + 1

    def end(self) -> None:
        """Answer what was noted."""
        depth = getattr(self._within, "depth", 0)
        self._within.depth = max(depth - 1, 0)
        if depth != 1:
            return
        if not _in_main_thread():
            if any(threading.get_ident() in group for group in self.given_up):
                raise KeyboardInterrupt
            return
        if self._answer is not None:
            signal.signal(signal.SIGINT, self._answer)  # which first notes what has come by now
            if self._noted is not None:
                self._answer(*self._noted)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = number, frame


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


_WHOLE = _Whole()
begin, end = _WHOLE.begin, _WHOLE.end


@contextmanager
def whole() -> Iterator[None]:
    """Let Ctrl-C wait until the block has ended."""
    begin()
    try:
        yield
    finally:
        end()


@contextmanager
def going_no_further(threads: Set[int]) -> Iterator[None]:
    """Let threads, named by their idents, end their work after what must be whole.

    Threads that begin within the block and are added to the set end theirs, too.
    """
    _WHOLE.given_up.append(threads)
    try:
        yield
    finally:
        _WHOLE.given_up = [group for group in _WHOLE.given_up if group is not threads]
