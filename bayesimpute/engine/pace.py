"""How many iterations a chain makes in one go: as many as take a moment."""

from collections.abc import Iterator

#: Seconds that a stretch of iterations may take. What comes between two stretches (handing chains
#: to threads, gathering what they recorded) takes a fraction of a thousandth, and all chains share
#: it; what is lost by an interruption, and time that a thread waits in the end, is this much.
MOMENT = 0.02


class Pace:
    """Stretches of a run's iterations, one after the other, each as long as the last ones say.

    Parameters
    ----------
    iterations
        Of the whole run.
    steady
        Whether each is to be one iteration.

    Examples
    --------
    >>> pace = Pace(range(10), steady=False)
    >>> pace.stretch(0)
    range(0, 1)
    >>> pace.took(1, 0.004)
    >>> pace.stretch(1), pace.stretch(2), pace.stretch(0)
    (range(1, 3), range(3, 5), range(0, 1))
    """

    def __init__(self, iterations: range, steady: bool) -> None:
        self._left, self._steady = iterations, steady
        self._stretches: list[range] = []
        self._size = 1

    def took(self, count: int, seconds: float) -> None:
        """Take note of how long so many iterations of one chain have taken."""
        if not self._steady and count == self._size:
            if 2.0 * seconds < MOMENT:
                self._size *= 2
            elif seconds > 2.0 * MOMENT:
                self._size = max(self._size // 2, 1)

    def stretch(self, number: int) -> range:
        """Give the stretch of this number, the same for all chains; empty where none is left."""
        while len(self._stretches) <= number:
            self._stretches.append(self._left[: self._size])
            self._left = self._left[self._size :]
        return self._stretches[number]

    def __iter__(self) -> Iterator[range]:
        """Give one after the other."""
        number = 0
        while self.stretch(number):
            yield self.stretch(number)
            number += 1
