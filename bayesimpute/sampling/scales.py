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
        Compiled: (unconstrained (k,), constants (k,)) → log prior with Jacobian; its gradient, the
        parameters, and their derivatives by the unconstrained values, (3, k).
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
        value, (gradient, parameters, slope) = self.function(unconstrained, self.constants)
        return float(value), gradient, parameters, slope


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


def _nothing(unconstrained: Array, constants: Array) -> tuple[float, Array]:
    """Prior of no parameters."""
    return 0.0, np.empty((3, 0))


@lru_cache(maxsize=64)
def _compile(names: tuple[str, ...], replaced: tuple[tuple[str, PriorKey], ...]) -> Callable:
    """Compile once a process."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt
    from pytensor.graph.replace import graph_replace

    from bayesimpute.sampling.priors import attach

    constants = pt.dvector("constants")
    priors = dict(replaced)
    with pm.Model() as model:
        for i, name in enumerate(names):
            if name in priors:
                attach(priors[name].distribution, name)
            else:
                pm.HalfNormal(name, sigma=constants[i])
    unconstrained = pt.dvector("unconstrained")
    by_value = {model.rvs_to_values[model[name]]: unconstrained[i] for i, name in enumerate(names)}
    log_prior = model.logp(jacobian=True)
    parameters = pt.stack(model.replace_rvs_by_values([model[name] for name in names]))
    log_prior, parameters = graph_replace([log_prior, parameters], by_value, strict=False)
    derivatives = [pt.grad(each, unconstrained) for each in (log_prior, parameters.sum())]
    # one matrix: its type does not depend on how many parameters there are
    results = [log_prior, pt.stack([derivatives[0], parameters, derivatives[1]])]
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
