"""What can be done to freshly drawn values before they are stored."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesimpute.errors import SpecificationError


@dataclass(frozen=True)
class Squeeze:
    """Set values below `low` to `low`, above `high` to `high`."""

    low: float
    high: float

    def __call__(self, values: np.ndarray, data: Any, rng: np.random.Generator) -> np.ndarray:
        """Clip the drawn values (cell,)."""
        return np.clip(values, self.low, self.high)


def squeeze(low: float = -np.inf, high: float = np.inf) -> Squeeze:
    """Keep imputed values within bounds, for ``post={"popular": bi.squeeze(0, 10)}``.

    Values beyond a bound pile up on it; predictive mean matching keeps to observed values
    without that.

    Parameters
    ----------
    low, high
        Bounds, in units of the variable; default none.

    Returns
    -------
    Squeeze

    Raises
    ------
    SpecificationError
        If `low` is not below `high`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> bi.squeeze(0, 10)
    Squeeze(low=0.0, high=10.0)
    """
    if not low < high:
        raise SpecificationError(
            f"squeeze: low={low} must be below high={high}; swap the bounds or correct them."
        )
    return Squeeze(float(low), float(high))
