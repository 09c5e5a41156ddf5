"""The likelihood of rows from one PyMC distribution: density, gradient, draws.

PyTensor differentiates the distribution's log density and compiles it for numba. What depends on
the values of the rows alone (the factorial of a count) is worked out once a visit and given as
columns, not at every step.
"""

from collections.abc import Callable as Function
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.sampling.arithmetic import exact_arithmetic
from bayesimpute.sampling.compiled import Callable
from bayesimpute.sampling.linear_parts import OneEquation

Array = npt.NDArray[np.float64]


@lru_cache(maxsize=64)
def pymc_likelihood(
    distribution: Function[..., Any], positive: int, on_scale: bool = False
) -> "PyMCLikelihood":
    """Derive a likelihood, once a process for each distribution."""
    return PyMCLikelihood(distribution, positive, on_scale)


class PyMCLikelihood(OneEquation):
    """Likelihood ``distribution(eta, *positive)`` of rows by their linear predictor.

    Parameters
    ----------
    distribution
        Gives a PyMC distribution of the rows.
    positive
        Number of positive extras.
    on_scale
        Whether values are numbers on a scale, whose density changes with its unit.
    """

    def __init__(self, distribution: Function[..., Any], positive: int, on_scale: bool) -> None:
        import pymc as pm
        import pytensor
        import pytensor.tensor as pt

        y, eta = pt.dvector("y"), pt.dmatrix("eta")
        extra, constants, columns = pt.dvector("extra"), pt.dvector("constants"), pt.dmatrix("y…")
        row = distribution(eta[0], *(extra[i] for i in range(positive)))
        continuous = row.dtype.startswith("float")
        self.measure = "density" if continuous else "probability"
        self._on_scale = on_scale
        self._symbols = (y, eta, extra)
        self._row = row
        each = pm.logp(row, y if continuous else y.astype("int64"), warn_rvs=False)
        self._log_density = each
        total = each.sum()
        by_eta, by_extra = pytensor.grad(total, [eta, extra], disconnected_inputs="ignore")
        known = known_of_rows([total, by_eta, by_extra], y, [eta, extra])
        self._prepare = _function([y], known) if known else lambda y: ()
        given = {y: columns[0]} | {each: columns[k + 1] for k, each in enumerate(known)}
        outputs = pytensor.graph.clone_replace(
            [total, by_eta, by_extra], given, rebuild_strict=False
        )
        arguments = [columns, eta, extra, constants]
        self.density = _function(arguments, outputs, len(known) + 1)

    def columns(self, y: Array) -> Array:
        """Give what the compiled density has to know of values (row,): (column, row)."""
        y = np.ascontiguousarray(y, dtype=np.float64)
        return np.vstack([y, *self._prepare(y)])

    @cached_property
    def _each(self) -> Any:
        return _function(list(self._symbols), [self._log_density])

    @cached_property
    def _draw(self) -> Function[..., Any]:
        """Draw of the rows by (eta, extra, generator): NumPy's where it has one, or compiled."""
        op = self._row.owner.op
        if hasattr(op, "rng_fn"):
            parameters = _function(list(self._symbols[1:]), list(op.dist_params(self._row.owner)))
            return lambda eta, extra, generator: op.rng_fn(
                generator, *parameters(eta, extra), size=(eta.shape[1],)
            )
        from pytensor.graph.replace import graph_replace
        from pytensor.graph.traversal import graph_inputs
        from pytensor.tensor.random.type import RandomType, random_generator_type

        generator = random_generator_type("generator")
        hidden = [v for v in graph_inputs([self._row]) if isinstance(v.type, RandomType)]
        given = dict.fromkeys(hidden, generator)
        (row,) = graph_replace([self._row], given)
        compiled = _function([*self._symbols[1:], generator], [row])
        return lambda *arguments: compiled(*arguments)[0]

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log density of each row with all constants, (row,), on the scale of the data."""
        (each,) = self._each(
            np.ascontiguousarray(y), np.ascontiguousarray(eta.T), np.asarray(positive)
        )
        return np.asarray(each - np.log(unit) if self._on_scale else each)

    def values(self, eta: Array, positive: Array, free: Array, rng: np.random.Generator) -> Array:
        """Draw the target of each row, (row,)."""
        generator = np.random.default_rng(rng.integers(2**63))
        drawn = self._draw(np.ascontiguousarray(eta.T), np.asarray(positive), generator)
        return np.asarray(drawn, dtype=np.float64)


def known_of_rows(outputs: list[Any], y: Any, others: list[Any]) -> list[Any]:
    """Largest parts of a graph, vectors of floats, that depend on `y` and on nothing else."""
    from pytensor.graph.traversal import ancestors

    alone: dict[Any, bool] = {}

    def is_alone(variable: Any) -> bool:
        if variable not in alone:
            above = set(ancestors([variable]))
            alone[variable] = y in above and not above.intersection(others)
        return alone[variable]

    found: list[Any] = []
    queue, seen = list(outputs), set()
    while queue:
        variable = queue.pop()
        if variable in seen or variable.owner is None:
            continue
        seen.add(variable)
        vector = variable.type.ndim == 1 and variable.dtype == "float64"
        if variable is not y and vector and is_alone(variable):
            found.append(variable)
        else:
            queue += variable.owner.inputs
    return found


def _function(inputs: list[Any], outputs: list[Any], columns: int = 1) -> Callable:
    """Compile, and call once: machine code is made under the settings of that moment.

    What is given back holds nothing between calls, unlike a function of PyTensor: threads share it.
    """
    import pymc as pm

    with exact_arithmetic():
        function = pm.compile(inputs, outputs, mode="NUMBA", on_unused_input="ignore")
        function.trust_input = True
        shapes = {"y": (1,), "eta": (1, 1), "extra": (8,), "constants": (0,), "y…": (columns, 1)}
        generator = np.random.default_rng(0)
        function(*(np.ones(shapes[v.name]) if v.name in shapes else generator for v in inputs))
    return Callable.of_pytensor(function)
