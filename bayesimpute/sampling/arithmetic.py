"""PyTensor functions: bits that do not depend on how they were compiled; and no compiling."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

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
def no_c_code() -> Iterator[None]:
    """Let PyTensor functions made inside run in Python, loops within them too.

    For what is called a few hundred times: a C compiler takes many seconds for each loop, and need
    not be there.
    """
    import pytensor

    with _SETTINGS, pytensor.config.change_flags(cxx=""):
        yield
