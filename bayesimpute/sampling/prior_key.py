"""Which priors are the same distribution, so that what was compiled for one serves the other."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class PriorKey:
    """A distribution that equals every other one with the same family and parameters.

    PyMC makes a new object at every call of ``pm.Gamma.dist(2, 0.1)``, and compiling its density
    takes seconds and memory that numba keeps.

    Attributes
    ----------
    content
        What tells it from others.
    distribution
        The PyMC distribution.
    """

    content: Hashable
    distribution: Any = field(compare=False)

    @classmethod
    def of(cls, distribution: Any) -> "PriorKey":
        """Read it off the distribution's graph."""
        return cls(_content(distribution), distribution)


def _content(variable: Any) -> Hashable:
    """Operations and constants of a graph; what cannot be told from others is only itself.

    Random generators are left out: a density has no use for them. A variable that can change, as
    a shared one, equals itself.
    """
    from pytensor.graph.basic import Constant
    from pytensor.tensor.random.type import RandomType

    if isinstance(variable.type, RandomType):
        return "generator"
    if isinstance(variable, Constant):
        data = variable.data
        if isinstance(data, np.ndarray):
            return (str(variable.type), data.shape, data.tobytes())
        return (str(variable.type), repr(data))
    node = variable.owner
    if node is None:
        return variable
    inputs = tuple(_content(each) for each in node.inputs)
    return (node.op, node.outputs.index(variable), str(variable.type), inputs)
