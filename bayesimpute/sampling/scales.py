"""Prior of the scale parameters: any PyMC distributions, as one fast function.

The collapsed models sample their standard deviations with NUTS. Their priors are whatever PyMC
distributions the model (or the user) says; PyMC supplies the unconstraining transform, its
Jacobian and the log density, and this module turns them into one compiled function of the
unconstrained vector. The defaults are half-normal. They are written here by hand, held to PyMC's by
a test: nearly every run has no others, and PyTensor would take longer over them than over the rest
of what a later run does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba import types

from bayesimpute.sampling.arithmetic import exact_arithmetic
from bayesimpute.sampling.compiled import Callable, part_of
from bayesimpute.sampling.prior_key import PriorKey
from bayesimpute.sampling.priors import attach

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
        Compiled: (unconstrained, constants) → log prior of each with its Jacobian, their sum's
        gradient, the parameters, and their derivatives by the unconstrained values, (k,) each.
    """

    names: tuple[str, ...]
    replaced: npt.NDArray[np.bool_]
    constants: Array
    function: Callable

    def __call__(self, unconstrained: Array) -> tuple[float, Array, Array, Array]:
        """Evaluate log prior, gradient, parameters and their derivatives."""
        each, gradient, parameters, slope = self.function(unconstrained, self.constants)
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
    """
    names = tuple(defaults)
    constants = np.array([defaults[name] for name in names], dtype=float)
    chosen = {name: PriorKey.of(replaced[name]) for name in names if name in replaced}
    function = _compile(names, tuple(chosen.items())) if chosen else _half_normals()
    replaced_names = np.array([name in chosen for name in names])
    return ScalePriors(names, replaced_names, constants, function)


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
def half_normals(*arguments: Array) -> tuple[Array, Array, Array, Array]:
    """Half-normal priors of parameters ``log(1 + exp(u))`` by u and their scales.

    Gives what :attr:`ScalePriors.function` gives.
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


def _half_normals() -> Callable:
    return Callable(half_normals, (_TWO_VECTORS,))


@lru_cache(maxsize=64)
def _compile(names: tuple[str, ...], replaced: tuple[tuple[str, PriorKey], ...]) -> Callable:
    """Compile once a process."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt
    from pymc.distributions.transforms import log_exp_m1
    from pytensor.graph.replace import graph_replace

    constants, unconstrained = pt.dvector("constants"), pt.dvector("unconstrained")
    priors = dict(replaced)
    with pm.Model() as model:
        for i, name in enumerate(names):
            if name in priors:
                attach(priors[name].distribution, name)
            else:
                pm.HalfNormal(name, sigma=constants[i], default_transform=log_exp_m1)
    each = model.logp(vars=model.free_RVs, jacobian=True, sum=False)
    parameters = model.replace_rvs_by_values(model.free_RVs)
    values = [model.rvs_to_values[variable] for variable in model.free_RVs]
    by_value = {value: unconstrained[i] for i, value in enumerate(values)}
    found = graph_replace([*each, *parameters], by_value, strict=False)
    log_prior, parameters = pt.stack(found[: len(each)]), pt.stack(found[len(each) :])
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
        function(np.zeros(len(names)), np.ones(len(names)))  # machine code is made at a first call
    return Callable.of_pytensor(function)
