"""Checks of the arguments that steer a run."""

from numbers import Integral
from typing import Any

from bayesimpute.errors import SpecificationError


def check_run_arguments(
    m: Any, iterations: Any, seed: Any, executor: Any, on_error: Any, progress: Any
) -> None:
    """Raise SpecificationError, naming the argument, unless a run can start with these."""
    for name, value in {"m": m, "iterations": iterations}.items():
        if not _whole(value) or value < 1:
            raise SpecificationError(f"{name}={value!r} must be a whole number from 1.")
    if seed is not None and (not _whole(seed) or seed < 0):
        raise SpecificationError(f"seed={seed!r} must be a whole number from 0, or None.")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise SpecificationError(
            f"executor={executor!r} must have a submit method, like "
            "concurrent.futures.ProcessPoolExecutor(4)."
        )
    if on_error not in ("raise", "keep"):
        raise SpecificationError(f"on_error={on_error!r} must be 'raise' or 'keep'.")
    if progress is not None and not isinstance(progress, bool):
        raise SpecificationError(f"progress={progress!r} must be True, False or None.")


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
