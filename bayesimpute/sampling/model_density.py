"""The log density of any PyMC model as a compiled problem for the sampler.

All data that can change go in as one vector of numbers and one of lengths, so that every model has
the same type, and the sampler is compiled once for all of them.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.sampling import nuts
from bayesimpute.sampling.arithmetic import exact_arithmetic
from bayesimpute.sampling.compiled import Callable, density_of

Array = npt.NDArray[np.float64]


class ModelData(NamedTuple):
    """What a model's density needs besides the position.

    Attributes
    ----------
    numbers
        Values of the data, one after the other.
    lengths
        Lengths of their axes, one data set after the other.
    function
        ``function((position, numbers, lengths)) -> (log density, gradient)``.
    """

    numbers: Array
    lengths: npt.NDArray[np.int64]
    function: Callable


@numba.njit(cache=True, error_model="numpy", nogil=True)
def model_density(position: Array, data: ModelData, gradient: Array) -> float:
    """Log density of a model; its gradient into `gradient`."""
    value, slope = data.function((position, data.numbers, data.lengths))
    for k in range(position.size):
        gradient[k] = slope[k]
    return value.item()


class ModelDensity:
    """Log density of a PyMC model by the unconstrained values of its unobserved variables.

    Parameters
    ----------
    model
        Continuous unobserved variables only. Its ``pm.Data`` may change between calls, in values
        and lengths; :meth:`problem` takes them as they are.

    Attributes
    ----------
    initial
        PyMC's initial point, (state,).
    nuts
        The sampler of its problems.
    """

    def __init__(self, model: Any) -> None:
        import pymc as pm
        import pytensor
        import pytensor.tensor as pt
        from pytensor.graph.traversal import graph_inputs

        self._variables = list(model.value_vars)
        point = model.initial_point(random_seed=0)
        self._shapes = [np.shape(point[v.name]) for v in self._variables]
        self.initial = self.join([point[v.name] for v in self._variables])
        value = model.logp()
        self._data = [v for v in graph_inputs([value]) if hasattr(v, "get_value")]
        # all lengths that are known are constants: to check others numba compiles for seconds
        position = pt.tensor("position", dtype="float64", shape=self.initial.shape)
        given, start = {}, 0
        for variable, shape in zip(self._variables, self._shapes, strict=True):
            end = start + int(np.prod(shape))
            given[variable] = position[start:end].reshape(shape).astype(variable.dtype)
            start = end
        numbers, lengths = pt.dvector("numbers"), pt.lvector("lengths")
        first, axis = pt.zeros((), dtype="int64"), 0
        for variable in self._data:
            known = variable.type.shape
            shape = [lengths[axis + k] if n is None else n for k, n in enumerate(known)]
            size = prod(shape, start=pt.ones((), dtype="int64"))
            part = numbers[first : first + size].reshape(shape, ndim=len(shape))
            given[variable] = part.astype(variable.dtype)
            first, axis = first + size, axis + len(known)
        value = pytensor.graph.clone_replace(value, given, rebuild_strict=False)
        with exact_arithmetic():
            function = pm.compile(
                [position, numbers, lengths],
                [value, pytensor.grad(value, position)],
                mode="NUMBA",
                on_unused_input="ignore",
            )
            function.trust_input = True
            function(self.initial, *self._now())  # machine code is made at the first call
        self._function = Callable.of_pytensor(function)
        example = ModelData(*self._now(), self._function)
        self._density = density_of(model_density, example)
        self.nuts = nuts.CompiledNuts(nuts.Problem(example, self._density))

    def _now(self) -> tuple[Array, npt.NDArray[np.int64]]:
        values = [np.asarray(each.get_value(borrow=True)) for each in self._data]
        numbers = [np.ravel(each).astype(np.float64) for each in values]
        lengths = [length for each in values for length in each.shape]
        return np.concatenate([*numbers, np.empty(0)]), np.array(lengths, dtype=np.int64)

    def problem(self) -> nuts.Problem:
        """Give the posterior on the data as they are now."""
        return nuts.Problem(ModelData(*self._now(), self._function), self._density)

    def log_density(self, position: Array) -> float:
        """Evaluate the log density on the data as they are now."""
        data = ModelData(*self._now(), self._function)
        return float(model_density(position, data, np.empty(position.size)))

    def join(self, values: Sequence[Any]) -> Array:
        """Put the values of all variables into one vector, (state,)."""
        return np.concatenate([np.ravel(each).astype(np.float64) for each in values])

    def split(self, position: Array) -> list[Any]:
        """Values of the variables from one vector, in the order of ``model.value_vars``."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])[:-1]
        parts = np.split(position, ends)
        return [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]
