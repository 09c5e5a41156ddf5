"""The compiled models of a run: what a worker builds once and uses for all its chains."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.design import DesignBuilder
from bayesimpute.engine.designs import Designs
from bayesimpute.engine.failures import FAILURES, said, tuning_failed
from bayesimpute.engine.live import Live
from bayesimpute.engine.live_levels import Levels
from bayesimpute.engine.normal_cells import NormalCells
from bayesimpute.errors import BayesimputeError, SamplingError
from bayesimpute.method import Array, DensityKernel, Design, Kernel, Method
from bayesimpute.progress import Advance, name_shown, silent
from bayesimpute.registry import resolve
from bayesimpute.sampling.generic import BuilderMethod
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.wrappers.base import inner_kernel, innermost, layers
from bayesimpute.wrappers.delta import Delta


@dataclass(frozen=True, eq=False)
class Bench:
    """Design builders and kernels of every target of a specification.

    Attributes
    ----------
    specification
        What is imputed and how.
    builders, kernels
        Of each target.
    locks
        Of each target: held around its kernel, unless threads may share it.
    users
        Held around the user's own functions, which may not expect threads.
    live
        Cells drawn with the models they stand in, by target; none in chained equations.
    levels
        Clusters in which a variable of these is mostly missing, by target.
    normal
        Those of them that are drawn from normal distributions, worked out beforehand.
    speaking
        Kernels whose densities say what live cells are, in the order of visits.
    readers
        Models whose designs depend on a variable.
    cells
        Rows whose values are imputed, by target, (cell,).
    """

    specification: Specification
    builders: Mapping[str, DesignBuilder]
    kernels: Mapping[str, Kernel]
    locks: Mapping[str, AbstractContextManager[Any]]
    users: Lock
    live: Mapping[str, Live]
    levels: Mapping[str, Levels]
    normal: Mapping[str, NormalCells]
    speaking: Mapping[str, DensityKernel]
    readers: Mapping[str, frozenset[str]]
    cells: Mapping[str, npt.NDArray[np.int64]]

    def design(self, name: str, values: Mapping[str, Array]) -> Design:
        """Design of a target on completed data; a condition may be the user's own function."""
        builder = self.builders[name]
        called = any(wrapper.reads() is None for wrapper in layers(builder.target.method))
        with self.users if called else nullcontext():
            return builder.build(values)

    def designs(self, values: Mapping[str, Array]) -> Designs:
        """Designs of all targets on completed data that will move."""
        return Designs(self.design, self.readers, values, bool(self.live))

    @classmethod
    def of(
        cls,
        specification: Specification,
        reference: Mapping[str, Array],
        advance: Advance = silent,
    ) -> "Bench":
        """Build all kernels.

        Parameters
        ----------
        specification
            What is imputed and how.
        reference
            Completed data that fix the units and default priors of every model: the same in
            every worker.
        advance
            Called when a model is begun, and when it is made.

        Raises
        ------
        SamplingError
            If a model cannot be built, naming the target.
        """
        builders, kernels = {}, {}
        for name, target in specification.targets.items():
            if isinstance(target, Target) and name in specification.visit_sequence:
                advance(0, f"compiling the model of {name_shown(name)}")
                try:
                    builders[name] = DesignBuilder.of(specification, target).settled(reference)
                    design = builders[name].build(reference)
                    kernels[name] = kernel_of(specification, target, design)
                except BayesimputeError:
                    raise
                except FAILURES as error:  # the user's builder may fail in any way
                    raise tuning_failed(name, error) from error
                advance(1)
        locks = {n: nullcontext() if shareable(kernels[n]) else Lock() for n in kernels}
        live = {
            name: Live.of(specification, builders, kernels, name)
            for name, cells in (specification.live or {}).items()
            if cells.any()
        }
        levels = {
            name: found
            for name, each in live.items()
            if (found := Levels.of(specification, builders, kernels, name, each)) is not None
        }
        normal = {
            name: cells
            for name, each in live.items()
            if (cells := NormalCells.of(specification, builders, name, each)) is not None
        }
        told = set(live).union(
            *({each.name for each in every.standings} for every in live.values())
        )
        speaking = {
            name: kernel
            for name in dict.fromkeys(specification.visit_sequence)
            if name in told and isinstance(kernel := kernels[name], DensityKernel)
        }
        read = {name: each.reads(specification) for name, each in builders.items()}
        readers = {
            name: frozenset(
                other for other, reads in read.items() if reads is None or name in reads
            )
            for name in specification.targets
        }
        cells_of = {name: np.flatnonzero(each) for name, each in specification.where.items()}
        return cls(
            specification, builders, kernels, locks, Lock(), live, levels, normal, speaking,
            readers, cells_of,
        )  # fmt: skip

    def empty_parameters(self, name: str, iterations: int) -> dict[str, Array]:
        """NaN arrays for the parameters of a target, (iteration,) or (iteration, k)."""
        kernel = self.kernels.get(name)
        labels = kernel.labels if kernel is not None else {}
        return {
            parameter: np.full((iterations, len(names)) if names else iterations, np.nan)
            for parameter, names in labels.items()
        }


def shareable(kernel: Kernel) -> bool:
    """Whether threads may use a kernel at the same time: it says so, and all it is made of does.

    A method of the user's own is taken not to be.
    """
    parts = getattr(kernel, "parts", ())
    if parts:
        return all(map(shareable, parts))
    return bool(getattr(kernel, "shareable", False))


def method_of(target: Target) -> Method:
    """Give the method object of a target; a model builder becomes one."""
    method = resolve(target.method)
    return method if isinstance(method, Method) else BuilderMethod(method)


def kernel_of(specification: Specification, target: Target, design: Design) -> Kernel:
    """Give the kernel of a target or of its block, whose members may be shifted each."""
    method, priors = _model_and_priors(specification, target)
    options = options_of(target)
    if specification.live is not None:
        inside = resolve(innermost(target.method))
        options = {**options, **getattr(inside, "options_if_joint", {}), **target.options}
    kernel = inner_kernel(method, design, priors, options)
    for position, name in enumerate(target.block):
        for wrapper in layers(specification.targets[name].method):  # type: ignore[union-attr]
            assert isinstance(wrapper, Delta)  # the specification takes no other in a block
            kernel = wrapper.around_member(kernel, position, name)
    return kernel


def model_of(specification: Specification, target: Target, design: Design) -> Any:
    """Give the textbook PyMC model of a target or of its block.

    Raises
    ------
    SamplingError
        If the method, which may be the user's own, fails.
    """
    method, priors = _model_and_priors(specification, target)
    try:
        return method.model(design, priors, options_of(target))
    except BayesimputeError:
        raise
    except FAILURES as error:
        text = f"target {target.name!r}: its model could not be built: {said(error)}"
        raise SamplingError(text) from error


def forward_of(specification: Specification, target: Target, design: Design) -> tuple[Any, Any]:
    """Give a block's model without data, and the variable of it that is the target's values."""
    method, priors = _model_and_priors(specification, target)
    block: Any = method
    return block.forward(design, priors, options_of(target), target.name)


def _model_and_priors(
    specification: Specification, target: Target
) -> tuple[Method, Mapping[str, Any]]:
    """Give the method, and its priors by parameter; of a block, by member and parameter."""
    if not target.block:
        return method_of(target), target.priors
    members = [specification.targets[name] for name in target.block]
    priors = {each.name: each.priors for each in members if isinstance(each, Target)}
    return resolve(innermost(target.method)), priors


def options_of(target: Target) -> dict[str, object]:
    """Give the method's option defaults with the target's own on top."""
    return {**method_of(target).options, **target.options}
