"""Numbers and PyMC distributions, one fresh draw of each at a visit."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.method import Array
from bayesimpute.sampling.generic import reseed
from bayesimpute.sampling.priors import attach


def checked_amount(amount: Any, place: str) -> Any:
    """Give a finite number as float, or an unnamed scalar distribution as it is.

    Raises
    ------
    SpecificationError
        If it is neither.
    """
    if is_distribution(amount):
        if amount.ndim != 0:
            raise SpecificationError(
                f"{place} is a distribution of {amount.ndim} dimension(s); give a scalar one, "
                "such as pm.Normal.dist(-1, 0.5)."
            )
        return amount
    number = isinstance(amount, Real) and not isinstance(amount, bool | np.bool_)
    if not number or not np.isfinite(float(amount)):
        raise SpecificationError(
            f"{place}={amount!r} must be a finite number, or a PyMC distribution such as "
            "pm.Normal.dist(-1, 0.5)."
        )
    return float(amount)


def is_distribution(amount: Any) -> bool:
    """Whether an amount is drawn."""
    return hasattr(amount, "owner") and hasattr(amount, "ndim")


def amount_text(amount: Any) -> str:
    """Text of an amount: the number, or the distribution with those parameters that are numbers."""
    if not is_distribution(amount):
        return f"{amount:g}" if isinstance(amount, float) else str(amount)
    if amount.owner is None:
        return "distribution"
    family = type(amount.owner.op).__name__.removesuffix("RV")
    try:
        parameters = [float(each.data) for each in amount.owner.op.dist_params(amount.owner)]
    except (AttributeError, TypeError, ValueError):  # no random variable, or no plain numbers
        return family
    return f"{family}({', '.join(f'{each:g}' for each in parameters)})"


class Amounts:
    """Draws of several amounts; distributions are compiled once.

    Parameters
    ----------
    amounts
        Numbers and scalar distributions.
    """

    def __init__(self, amounts: Sequence[Any]) -> None:
        self._fixed = np.array([np.nan if is_distribution(a) else a for a in amounts], dtype=float)
        self.drawn = np.array([is_distribution(a) for a in amounts], dtype=bool)
        self._function: Any = None
        if self.drawn.any():
            import pymc as pm

            with pm.Model(model=None):  # copies, so that kernels share no generator
                copies = [
                    attach(a, f"delta_{k}") for k, a in enumerate(amounts) if is_distribution(a)
                ]
            self._function = pm.compile([], copies, random_seed=0)

    def draw(self, rng: np.random.Generator) -> Array:
        """Give the numbers as they are and a draw of each distribution, (amount,).

        Raises
        ------
        SamplingError
            If a draw is not finite.
        """
        values = self._fixed.copy()
        if self._function is not None:
            reseed(self._function, rng)
            values[self.drawn] = [float(each) for each in self._function()]
        if not np.isfinite(values).all():
            raise SamplingError("the distribution of delta drew a value that is not finite")
        return values
