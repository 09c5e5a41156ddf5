"""The compiled models of a run: what a worker builds once and uses for all its chains."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayesimpute.design import DesignBuilder
from bayesimpute.method import Array, Kernel, Method
from bayesimpute.registry import resolve
from bayesimpute.sampling.generic import BuilderMethod
from bayesimpute.specification.specification import Specification, Target


@dataclass(frozen=True, eq=False)
class Bench:
    """Design builders and kernels of every target of a specification."""

    specification: Specification
    builders: Mapping[str, DesignBuilder]
    kernels: Mapping[str, Kernel]

    @classmethod
    def of(cls, specification: Specification, reference: Mapping[str, Array]) -> "Bench":
        """Build all kernels.

        Parameters
        ----------
        specification
            What is imputed and how.
        reference
            Completed data that fix the units and default priors of every model: the same in
            every worker.
        """
        builders, kernels = {}, {}
        for name, target in specification.targets.items():
            if isinstance(target, Target):
                builders[name] = DesignBuilder.of(specification, target)
                kernels[name] = method_of(target).kernel(
                    builders[name].build(reference), target.priors, options_of(target)
                )
        return cls(specification, builders, kernels)

    def empty_parameters(self, name: str, iterations: int) -> dict[str, Array]:
        """NaN arrays for the parameters of a target, (iteration,) or (iteration, k)."""
        kernel = self.kernels.get(name)
        labels = kernel.labels if kernel is not None else {}
        return {
            parameter: np.full((iterations, len(names)) if names else iterations, np.nan)
            for parameter, names in labels.items()
        }


def method_of(target: Target) -> Method:
    """Give the method object of a target; a model builder becomes one."""
    method = resolve(target.method)
    return method if isinstance(method, Method) else BuilderMethod(method)


def options_of(target: Target) -> dict[str, object]:
    """Give the method's option defaults with the target's own on top."""
    return {**method_of(target).options, **target.options}
