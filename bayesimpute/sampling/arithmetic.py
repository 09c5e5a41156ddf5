"""PyTensor functions: bits that do not depend on how they were compiled; and no compiling."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

# PyTensor's settings belong to the process: two threads must not change them at once
_SETTINGS = RLock()


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Let PyTensor functions compiled, and called for the first time, inside keep their order.

    By default PyTensor allows numba to reorder floating-point sums. How it does so depends on
    what was compiled just now and what came from the cache on disk, so the first run of a machine
    and the second would differ in the last bit, and NUTS soon makes that bit a different draw.

    Examples
    --------
    >>> import pytensor
    >>> with exact_arithmetic():
    ...     print(pytensor.config.numba__fastmath)
    False
    """
    import pytensor

    with _SETTINGS, pytensor.config.change_flags(numba__fastmath=False):
        yield


@contextmanager
def without_compiling() -> Iterator[Any]:
    """Give the mode of PyTensor functions that run in Python, loops within them too.

    For what is called a few hundred times: machine code takes seconds for each function, and for
    a loop half a minute; and a C compiler need not be there.

    Examples
    --------
    >>> import pymc as pm
    >>> with without_compiling() as mode:
    ...     draws = pm.draw(pm.Normal.dist(), draws=3, random_seed=1, mode=mode)
    >>> draws.shape
    (3,)
    """
    import pytensor
    from pytensor.compile.mode import Mode

    with _SETTINGS, pytensor.config.change_flags(cxx=""):
        yield Mode(linker="py", optimizer="fast_compile")
