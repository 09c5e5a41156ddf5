"""Before the chains: a pilot chain that tunes every kernel once."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from bayesimpute.engine.bench import Bench
from bayesimpute.engine.chain import ChainState, check_design, fill, follow_live, store
from bayesimpute.engine.cores import side_by_side
from bayesimpute.engine.failures import FAILURES, tuning_failed
from bayesimpute.engine.passive import update_passive
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.events import Event
from bayesimpute.method import Adaptation, Array, Kernel
from bayesimpute.sampling.generic import ModelKernel
from bayesimpute.specification.specification import Specification
from bayesimpute.wrappers.base import innermost


def reference_values(specification: Specification, seed: int) -> Mapping[str, Array]:
    """Completed data that fix units and default priors: a function of data and seed only."""
    return fill(specification, stream(seed, Purpose.PILOT_FILL))


def adapt(
    bench: Bench, seed: int, cores: int = 1
) -> tuple[dict[str, Adaptation], tuple[Event, ...]]:
    """Tune every kernel along a pilot chain, those of one round side by side.

    With several incomplete variables the pilot goes round twice: in the first round predictors
    are still random fills, and what is tuned there would be tuned for associations too weak.

    Raises
    ------
    SamplingError
        Naming the target whose model cannot be sampled.
    """
    specification = bench.specification
    values = dict(reference_values(specification, seed))
    state = ChainState(
        values, {name: values[name][specification.where[name]] for name in specification.targets}
    )
    adaptations: dict[str, Adaptation] = {}
    order = list(dict.fromkeys(specification.visit_sequence))
    for sweep in range(2 if len(order) > 1 else 1):
        # all kernels of a round are tuned on the data that the round before has left
        tuned = side_by_side(
            [
                partial(_tuned, bench, state, name, stream(seed, Purpose.ADAPT, sweep, position))
                for position, name in enumerate(order)
            ],
            cores,
        )
        adaptations = dict(zip(order, tuned, strict=True))
        for position, name in enumerate(order):
            kernel, builder = bench.kernels[name], bench.builders[name]
            try:
                design = builder.build(state.values)
                check_design(design)
                rng = stream(seed, Purpose.PILOT_VISIT, sweep, position)
                start = kernel.start(adaptations[name], rng)
                visit = kernel.visit(design, adaptations[name], start, rng, True)
                state.kernel[name] = visit.state
            except FAILURES as error:
                raise tuning_failed(name, error) from error
            parts = list(builder.parts(visit.values, state.values))
            for part, drawn in parts:
                store(specification, state, part.target.name, drawn, part.cells)
            update_passive(specification, state.values, [part.target.name for part, _ in parts])
        if specification.live is not None:
            rng = stream(seed, Purpose.PILOT_LIVE_CELLS, sweep)
            follow_live(bench, state, bench.designs(state.values), rng)
    plain = tuple(
        Event(
            "warning",
            "adaptation",
            name,
            "plain model sampled",
            f"A prior of {name!r} does not integrate out, so NUTS samples all its parameters: "
            "look at R-hat, and raise transitions= in model_options if it mixes slowly.",
        )
        for name, kernel in bench.kernels.items()
        if _samples_plain_model(kernel)
        and isinstance(innermost(getattr(specification.targets[name], "method", None)), str)
    )
    return adaptations, plain + tuple(
        Event(
            "info",
            "adaptation",
            name,
            "adapted",
            f"Kernel tuned once: step size {tuned.step_size:.3g}, {np.size(tuned.variance)} "
            "sampled dimensions.",
        )
        for name, tuned in adaptations.items()
    )


def _tuned(bench: Bench, state: ChainState, name: str, rng: np.random.Generator) -> Adaptation:
    """Tune one kernel on the data as they stand."""
    try:
        design = bench.design(name, state.values)
        check_design(design)
        with bench.locks[name]:
            return bench.kernels[name].adapt(design, rng)
    except FAILURES as error:
        raise tuning_failed(name, error) from error


def _samples_plain_model(kernel: Kernel) -> bool:
    """Whether a kernel, or one of those it is made of, samples a plain PyMC model."""
    parts = getattr(kernel, "parts", ())
    return isinstance(kernel, ModelKernel) or any(_samples_plain_model(part) for part in parts)
