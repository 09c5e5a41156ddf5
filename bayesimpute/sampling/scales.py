"""Prior of the scale parameters: any PyMC distributions, as one fast function.

The collapsed models sample their standard deviations with NUTS. Their priors are whatever PyMC
distributions the model (or the user) says; PyMC supplies the unconstraining transform, its
Jacobian and the log density, and this module turns them into one compiled function of the
unconstrained vector.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.sampling.arithmetic import exact_arithmetic
from bayesimpute.sampling.compiled import Callable
from bayesimpute.sampling.prior_key import PriorKey
from bayesimpute.sampling.priors import attach

Array = npt.NDArray[np.float64]


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
    function: Any

    @property
    def compiled(self) -> Callable:
        """The function as compiled code takes it; of no parameters it is never called."""
        return self.function if self.names else _compile(("scale_0",), ())

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
    # default priors differ only in their constants: one function serves all of one length
    known = names if chosen else tuple(f"scale_{i}" for i in range(len(names)))
    function = _compile(known, tuple(chosen.items())) if names else _nothing
    replaced_names = np.array([name in chosen for name in names])
    return ScalePriors(names, replaced_names, constants, function)


def _nothing(unconstrained: Array, constants: Array) -> tuple[Array, Array, Array, Array]:
    """Prior of no parameters."""
    return constants, constants, constants, constants


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
        if not priors:  # one vector compiles in a third of the time
            pm.HalfNormal("scales", sigma=constants, default_transform=log_exp_m1)
        for i, name in enumerate(names if priors else ()):
            if name in priors:
                attach(priors[name].distribution, name)
            else:
                pm.HalfNormal(name, sigma=constants[i], default_transform=log_exp_m1)
    each = model.logp(vars=model.free_RVs, jacobian=True, sum=False)
    parameters = model.replace_rvs_by_values(model.free_RVs)
    values = [model.rvs_to_values[variable] for variable in model.free_RVs]
    by_value = {
        value: unconstrained[i] if priors else unconstrained for i, value in enumerate(values)
    }
    found = graph_replace([*each, *parameters], by_value, strict=False)
    log_prior, parameters = (
        pt.stack(part) if priors else part[0] for part in (found[: len(each)], found[len(each) :])
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
        function(np.zeros(len(names)), np.ones(len(names)))  # machine code is made at a first call
    return Callable.of_pytensor(function)
