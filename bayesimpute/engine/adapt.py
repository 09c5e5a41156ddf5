"""Before the chains: a pilot chain that tunes every kernel once."""

from collections.abc import Mapping, Sequence, Sized
from contextlib import closing
from functools import partial

import numpy as np

from bayesimpute.design import DesignBuilder
from bayesimpute.engine.bench import Bench, shareable
from bayesimpute.engine.chain import ChainState, check_design, fill, follow_live, store
from bayesimpute.engine.completed import post_processed, update_passive
from bayesimpute.engine.cores import side_by_side
from bayesimpute.engine.failures import FAILURES, tuning_failed
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.errors import SamplingError
from bayesimpute.events import Event
from bayesimpute.method import Adaptation, Array, Kernel
from bayesimpute.progress import Advance, name_shown, silent
from bayesimpute.sampling.generic import ModelKernel
from bayesimpute.specification.specification import Specification
from bayesimpute.wrappers.base import innermost

#: Rows that the first round is content with: it only has to bring the values near to what they
#: will be.
ENOUGH_ROWS = 2000


def reference_values(specification: Specification, seed: int) -> Mapping[str, Array]:
    """Completed data that fix units and default priors: a function of data and seed only."""
    return fill(specification, stream(seed, Purpose.PILOT_FILL))


def steps(specification: Specification) -> int:
    """Count the models that are made, and how often samplers are tuned."""
    order = dict.fromkeys(specification.visit_sequence)
    return (1 + _rounds(order)) * len(order)


def _rounds(order: Sized) -> int:
    return 2 if len(order) > 1 else 1


def adapt(
    bench: Bench, seed: int, cores: int = 1, advance: Advance = silent
) -> tuple[dict[str, Adaptation], tuple[Event, ...]]:
    """Tune every kernel along a pilot chain, those of one round side by side.

    With several incomplete variables the pilot goes round twice: in the first round predictors
    are still random fills, and what is tuned there would be tuned for associations too weak. Of
    many rows it takes some. `advance` is called before and after each kernel.

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
    rounds = _rounds(order)
    for sweep in range(rounds):
        # all kernels of a round are tuned on the data that the round before has left, each visited
        # while later ones are still being tuned
        left, some = state.copy(), sweep + 1 < rounds
        streams = [stream(seed, Purpose.ADAPT, sweep, k) for k in range(len(order))]
        tuned = side_by_side(
            [
                partial(_tuned, bench, left, *each, some)
                for each in zip(order, streams, strict=True)
            ],
            cores,
        )
        with closing(tuned):
            for position, name in enumerate(order):
                advance(0, f"compiling and tuning the sampler of {name_shown(name)}")
                adaptation = adaptations[name] = next(tuned)
                advance(1)
                # no one sees what the last round leaves; a kernel of the user's own is tried once
                if sweep + 1 < rounds or (sweep == 0 and not shareable(bench.kernels[name])):
                    rng = stream(seed, Purpose.PILOT_VISIT, sweep, position)
                    _visit(bench, state, name, adaptation, rng)
        if specification.live is not None and sweep + 1 < rounds:
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


def _tuned(
    bench: Bench, state: ChainState, name: str, rng: np.random.Generator, some: bool
) -> Adaptation:
    """Tune one kernel on the data as they stand, or on some of their rows, taken at random."""
    try:
        design = bench.design(name, state.values)
        check_design(design)
        kernel, rows = bench.kernels[name], design.fit.sum()
        # a wrapper may need rows of each group or cluster, the user's own method all of them
        plain = shareable(kernel) and not getattr(kernel, "parts", ())
        if some and plain and rows > 2 * ENOUGH_ROWS:
            design = design.rows(rng.random(len(design.fit)) < ENOUGH_ROWS / rows)
        with bench.locks[name]:
            return kernel.adapt(design, rng)
    except FAILURES as error:
        raise tuning_failed(name, error) from error


def _visit(
    bench: Bench, state: ChainState, name: str, adaptation: Adaptation, rng: np.random.Generator
) -> None:
    """Draw the values of one target of the pilot."""
    kernel, builder = bench.kernels[name], bench.builders[name]
    try:
        design = bench.design(name, state.values)
        check_design(design)
        with bench.locks[name]:
            start = kernel.start(adaptation, rng)
            visit = kernel.visit(design, adaptation, start, rng, True)
    except FAILURES as error:
        raise tuning_failed(name, error) from error
    state.kernel[name] = visit.state
    parts, before = list(builder.parts(visit.values, state.values)), dict(state.values)
    names = [part.target.name for part, _ in parts]
    if all(part.target.post is None for part, _ in parts):
        _put(bench, state, parts)
        return
    # as they are drawn, if models can read them: so seeds give what they have always given
    try:
        _put(bench, state, parts)
        for reader in set().union(*(bench.readers[each] for each in names)):
            check_design(bench.design(reader, state.values))
    except SamplingError:
        state.values |= before
        with bench.users:
            parts = [(p, post_processed(p, drawn, state.values, rng)) for p, drawn in parts]
        _put(bench, state, parts)


def _put(bench: Bench, state: ChainState, parts: Sequence[tuple[DesignBuilder, Array]]) -> None:
    """Put drawn values where they belong, and compute what follows from them."""
    for part, drawn in parts:
        store(bench, state, part, drawn)
    update_passive(bench.specification, state.values, [part.target.name for part, _ in parts])


def _samples_plain_model(kernel: Kernel) -> bool:
    """Whether a kernel, or one of those it is made of, samples a plain PyMC model."""
    parts = getattr(kernel, "parts", ())
    return isinstance(kernel, ModelKernel) or any(_samples_plain_model(part) for part in parts)
