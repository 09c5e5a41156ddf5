"""Random streams: one key for every random act, so that order and workers do not matter."""

import secrets
from enum import IntEnum

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


def fresh_seed() -> int:
    """Entropy from the operating system, recorded with the result."""
    return secrets.randbits(128)
