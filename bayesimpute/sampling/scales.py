"""Prior of the scale parameters: any PyMC distributions, as one fast function.

The collapsed models sample their standard deviations with NUTS. Their priors are whatever PyMC
distributions the model (or the user) says; PyMC supplies the unconstraining transform, its
Jacobian and the log density, and this module turns them into one compiled function of the
unconstrained vector. The defaults are half-normal. They are written here by hand, held to PyMC's by
a test: nearly every run has no others, and PyTensor would take longer over them than over the rest
of what a later run does.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba import types

from bayesimpute.errors import SpecificationError
from bayesimpute.sampling.arithmetic import exact_arithmetic
from bayesimpute.sampling.compiled import Callable, part_of
from bayesimpute.sampling.priors import attach


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


Array = npt.NDArray[np.float64]

_TWO_VECTORS = types.UniTuple(types.Array(types.float64, 1, "C"), 2)
#: Of the half-normal density at 0 with scale 1.
_LOG_CONSTANT = -0.5 * np.log(2.0 * np.pi) + np.log(2.0)


@dataclass(frozen=True, eq=False)
class ScalePriors:
    """Compiled prior of k positive parameters.

    Attributes
    ----------
    names
        Parameter names, in the order of the vectors.
    replaced
        Whether the user replaced the default, (k,) bool.
    constants
        Scales of the default priors, (k,); entries of replaced priors are not used.
    function
        Of the replaced ones, as :func:`half_normals` is of the defaults; what comes after them in
        its results is not looked at.
    """

    names: tuple[str, ...]
    replaced: npt.NDArray[np.bool_]
    constants: Array
    function: Callable

    def __call__(self, unconstrained: Array) -> tuple[float, Array, Array, Array]:
        """Evaluate log prior, gradient, parameters and their derivatives."""
        found = half_normals((unconstrained, self.constants))
        if self.replaced.any():
            others = self.function(unconstrained[self.replaced], self.constants)
            for mine, theirs in zip(found, others, strict=True):
                mine[self.replaced] = theirs[: self.replaced.sum()]
        each, gradient, parameters, slope = found
        return float(each.sum()), gradient, parameters, slope


def scale_priors(defaults: Mapping[str, float], replaced: Mapping[str, Any]) -> ScalePriors:
    """Compile the priors of positive parameters.

    Parameters
    ----------
    defaults
        Name -> scale of its default half-normal prior.
    replaced
        Name -> unnamed PyMC distribution that replaces the default.

    Returns
    -------
    ScalePriors

    Raises
    ------
    SpecificationError
        If a prior is of several numbers, has no density, or allows numbers below 0.
    """
    names = tuple(defaults)
    constants = np.array([defaults[name] for name in names], dtype=float)
    chosen = {name: PriorKey.of(replaced[name]) for name in names if name in replaced}
    if chosen:
        for name, prior in chosen.items():
            if prior.distribution.ndim:
                raise SpecificationError(
                    f"priors: {_said(name)} is one number, and its prior is of several; give one, "
                    "as in pm.HalfNormal.dist(1)."
                )
        function = _compile(tuple(chosen.values()))
        _check(list(chosen), function, constants)
    else:
        function = Callable(half_normals, (_TWO_VECTORS,))  # of the same type, and never called
    replaced_names = np.array([name in chosen for name in names], dtype=np.bool_)
    return ScalePriors(names, replaced_names, constants, function)


#: Unconstrained values that a prior is looked at, none of them a number that one would fix.
_LOOKED_AT = np.linspace(-29.7, 30.3, 41)


def _check(names: Sequence[str], function: Callable, constants: Array) -> None:
    """Refuse priors without a density, and those that allow numbers below 0."""
    seen = [function(np.full(len(names), u), constants) for u in _LOOKED_AT]
    each, parameters = (np.array([part[k][: len(names)] for part in seen]) for k in (0, 2))
    possible = np.isfinite(each)
    for k, name in enumerate(names):
        if not possible[:, k].any():
            raise SpecificationError(
                f"priors: that of {_said(name)} has no density anywhere; a number that is known is "
                "given as a narrow distribution, pm.LogNormal.dist(np.log(2), 0.01) for about 2."
            )
        if (possible[:, k] & (parameters[:, k] < 0.0)).any():
            raise SpecificationError(
                f"priors: {_said(name)} is positive, and its prior allows numbers below 0; "
                "pm.HalfNormal.dist(1), or pm.TruncatedNormal.dist(2, 1, lower=0), does not."
            )


def _said(name: str) -> str:
    """Name of a parameter without the number of its category."""
    return repr(name.partition("[")[0])


@part_of
def _softplus(x: float) -> float:
    if x < -37.0:
        return np.exp(x)
    if x < 18.0:
        return np.log1p(np.exp(x))
    if x < 33.3:
        return x + np.exp(-x)
    return x


@numba.njit(cache=True, error_model="numpy", nogil=True)
def half_normals(arguments: tuple[Array, Array]) -> tuple[Array, Array, Array, Array]:
    """Half-normal priors of parameters ``log(1 + exp(u))`` by u and their scales.

    Returns
    -------
    each
        Log prior of each with its Jacobian, (k,).
    gradient
        Of their sum by u.
    parameters, slope
        And their derivatives by u.
    """
    unconstrained, scales = arguments
    size = unconstrained.size
    each, gradient = np.empty(size), np.empty(size)
    parameters, slope = np.empty(size), np.empty(size)
    for k in range(size):
        u = unconstrained[k]
        parameters[k] = _softplus(u)
        slope[k] = 1.0 / (1.0 + np.exp(-u))
        ratio = parameters[k] / scales[k]
        # of the density, and of log d parameter / d u
        each[k] = _LOG_CONSTANT + -0.5 * (ratio * ratio) - np.log(scales[k]) - _softplus(-u)
        gradient[k] = -ratio * slope[k] / scales[k] + 1.0 / (1.0 + np.exp(u))
    return each, gradient, parameters, slope


@part_of
def scales_by_priors(
    unconstrained: Array,
    constants: Array,
    replaced: npt.NDArray[np.bool_],
    function: Callable,
) -> tuple[Array, Array, Array, Array]:
    """Give what :func:`half_normals` gives, where a prior was replaced that of the replacement."""
    each, gradient, parameters, slope = half_normals((unconstrained, constants))
    count = 0
    for k in range(replaced.size):
        count += replaced[k]
    if count > 0:
        some, at = np.empty(count), 0
        for k in range(replaced.size):
            if replaced[k]:
                some[at] = unconstrained[k]
                at += 1
        values, by_some, scales, by_u = function((some, constants))
        at = 0
        for k in range(replaced.size):
            if replaced[k]:
                each[k], gradient[k] = values[at], by_some[at]
                parameters[k], slope[k] = scales[at], by_u[at]
                at += 1
    return each, gradient, parameters, slope


@lru_cache(maxsize=64)
def _compile(priors: tuple[PriorKey, ...]) -> Callable:
    """Compile once a process."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt
    from pytensor.graph.replace import graph_replace

    constants, unconstrained = pt.dvector("constants"), pt.dvector("unconstrained")
    with pm.Model() as model:
        for i, prior in enumerate(priors):
            attach(prior.distribution, f"scale_{i}")
    each = model.logp(vars=model.free_RVs, jacobian=True, sum=False)
    parameters = model.replace_rvs_by_values(model.free_RVs)
    values = [model.rvs_to_values[variable] for variable in model.free_RVs]
    by_value = {value: unconstrained[i] for i, value in enumerate(values)}
    found = graph_replace([*each, *parameters], by_value, strict=False)
    # of one number PyTensor makes a vector that numba takes for one of another type, and everything
    # that is called with the function would be compiled anew: so there is one more, not looked at
    log_prior, parameters = (
        pt.stack([*part, 0.0]) for part in (found[: len(each)], found[len(each) :])
    )
    derivatives = [pytensor.grad(part.sum(), unconstrained) for part in (log_prior, parameters)]
    results = [log_prior, derivatives[0], parameters, derivatives[1]]
    with exact_arithmetic():
        function = pytensor.function(
            [unconstrained, constants],
            results,
            trust_input=True,
            on_unused_input="ignore",
            mode="NUMBA",
        )
        # machine code is made at a first call
        function(np.zeros(len(priors)), np.ones(len(priors)))
    return Callable.of_pytensor(function)
