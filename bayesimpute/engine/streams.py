"""Random streams: one key for every random act, so that order and workers do not matter."""

import secrets
from enum import IntEnum
from typing import Any

import numpy as np


class Purpose(IntEnum):
    """First element of a stream's key."""

    PILOT_FILL = 0
    ADAPT = 1
    PILOT_VISIT = 2
    FILL = 3
    START = 4
    VISIT = 5
    PRIOR_TABLE = 6
    PRIOR_PREDICTIVE = 7
    PREDICTIVE = 8
    RANDOMISED_RANK = 9
    COMPARED_MODEL = 10
    LIVE_CELLS = 11
    PILOT_LIVE_CELLS = 12
    WARM_UP = 13
    NEW_PARAMETERS = 14
    NEW_CLUSTERS = 15
    NEW_ROWS = 16


def stream(seed: int, purpose: Purpose, *key: int) -> np.random.Generator:
    """Make the generator of one random act.

    Parameters
    ----------
    seed
        Entropy of the run.
    purpose
        What the numbers are for.
    key
        Imputation, iteration, position in the visit sequence: as many as the purpose has.
    """
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(int(purpose), *key)))
    )


#: Numbers that one act can take before it comes to those of the next.
_APART = 1 << 64


class Course:
    """Streams of acts of one kind, one after the other: parts of one stream, far apart.

    To go to a place in a stream takes a tenth of the time that making one takes.

    Parameters
    ----------
    seed, purpose, key
        As of :func:`stream`.

    Examples
    --------
    >>> course = Course(1, Purpose.LIVE_CELLS, 0)
    >>> first, other = course.at(3).random(), course.at(4).random()
    >>> first == course.at(3).random() != other
    True
    """

    def __init__(self, seed: int, purpose: Purpose, *key: int) -> None:
        self._rng = stream(seed, purpose, *key)
        self._start = self._rng.bit_generator.state

    def at(self, number: int) -> np.random.Generator:
        """Give the stream of an act by its number; that of the last one is no longer there."""
        bits: Any = self._rng.bit_generator
        bits.state = self._start
        bits.advance(number * _APART)
        return self._rng


def fresh_seed() -> int:
    """Entropy from the operating system, recorded with the result."""
    return secrets.randbits(128)
