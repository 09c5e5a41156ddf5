"""What is done to freshly drawn values before they are stored."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayesimpute import html
from bayesimpute.arguments import checked
from bayesimpute.errors import SpecificationError


@dataclass(frozen=True)
class Squeeze:
    """Drawn values outside an interval are moved to its nearer end."""

    low: float
    high: float

    def __call__(
        self, values: np.ndarray, data: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Give the values (drawn cell,), clipped; `data` and `rng` are not used."""
        return np.clip(values, self.low, self.high)

    def __str__(self) -> str:
        return f"squeeze({self.low:g}, {self.high:g})"

    def _repr_html_(self) -> str:
        return str(html.tag("code", str(self)))


@checked
def squeeze(low: float = -np.inf, high: float = np.inf) -> Squeeze:
    """Keep imputed values within bounds, as mice's ``squeeze`` does.

    Piles up values at the bounds: a model that knows its bounds is better where many draws fall
    outside.

    Parameters
    ----------
    low, high
        Smallest and largest value; infinite (the default) for no bound.

    Returns
    -------
    Squeeze
        For ``post={"variable": bi.squeeze(0, 10)}``; can be pickled.

    Raises
    ------
    SpecificationError
        If a bound is no number, or ``low`` exceeds ``high``.

    Examples
    --------
    >>> import numpy as np
    >>> squeeze(0, 10)(np.array([-1.0, 5.0]), {}, np.random.default_rng(1)).tolist()
    [0.0, 5.0]
    """
    bounds = Squeeze(float(low), float(high))
    if bounds.low > bounds.high:
        raise SpecificationError(
            f"squeeze({low}, {high}): low must not exceed high; swap them or leave one out."
        )
    return bounds
