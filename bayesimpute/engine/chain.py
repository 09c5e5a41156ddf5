"""One imputation's chain: fill, visit, re-evaluate passive variables, record."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.design import DesignBuilder
from bayesimpute.engine.bench import Bench
from bayesimpute.engine.completed import completed_frame, post_processed, update_passive
from bayesimpute.engine.designs import Designs
from bayesimpute.engine.failures import FAILURES, of_memory, said
from bayesimpute.engine.history import pack, shares_of, unpack
from bayesimpute.engine.live_cells import redraw
from bayesimpute.engine.monitor import Labels, reading
from bayesimpute.engine.nearest import borrowed
from bayesimpute.engine.streams import Course, Purpose, stream
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.method import Adaptation, Array, Design, Kernel, Visit
from bayesimpute.specification.aliases import MATCHING
from bayesimpute.specification.screening import stays_missing
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.wording import listed

#: Sweeps before the first iteration where missing values and parameters are drawn given each
#: other: their chains forget the fill more slowly than chained equations, which learn from what is
#: observed alone.
WARM_UP = 15
#: With no more rows, designs are held from one iteration to the next.
ROWS_HELD = 100_000


@dataclass(eq=False)
class ChainState:
    """Where a chain stands between two iterations.

    Attributes
    ----------
    values
        Completed data the models see: variable -> (row,).
    imputed
        Values of the cells to impute: target -> (n_where,).
    kernel
        State of each target's kernel: target -> (state,); empty before its first visit.
    designs
        Of the models on `values`, held from one iteration to the next; None for none.
    """

    values: dict[str, Array]
    imputed: dict[str, Array]
    kernel: dict[str, Array] = field(default_factory=dict)
    designs: Designs | None = None

    def copy(self) -> "ChainState":
        """Another state that moves on while this one stays; designs go with it."""
        kernel = {name: np.array(state) for name, state in self.kernel.items()}
        moving = ChainState(dict(self.values), dict(self.imputed), kernel)
        if self.designs is not None:
            moving.designs, self.designs = self.designs.on(moving.values), None
        return moving

    def of_kernel(self, name: str) -> Array:
        """State of a target's kernel.

        Raises
        ------
        SpecificationError
            If the model has failed at every visit, and values were kept.
        """
        if name not in self.kernel:
            raise SpecificationError(
                f"The model of {name!r}, or what post= does after it, has failed at every "
                "iteration, so that nothing is known of its parameters; imp.events says why."
            )
        return self.kernel[name]

    def to_bytes(self) -> bytes:
        """Pack what cannot be worked out again from the data, as npz bytes."""
        arrays = {f"value|{name}": self.values[name] for name in self.imputed}
        arrays |= {f"imputed|{name}": values for name, values in self.imputed.items()}
        arrays |= {f"kernel|{name}": state for name, state in self.kernel.items()}
        return pack(arrays)

    @classmethod
    def from_bytes(cls, specification: Specification, data: bytes) -> "ChainState":
        """Read what :meth:`to_bytes` wrote."""
        parts: dict[str, dict[str, Array]] = {"value": {}, "imputed": {}, "kernel": {}}
        for key, array in unpack(data).items():
            part, name = key.split("|", 1)
            parts[part][name] = array
        values = dict(specification.known) | parts["value"]
        return cls(values, parts["imputed"], parts["kernel"])


@dataclass(frozen=True, eq=False)
class Stretch:
    """Some iterations of one chain.

    Attributes
    ----------
    state
        Where the chain stands afterwards; packed, once it has to travel or to wait.
    imputed
        Target -> (n_where,) current values.
    mean, sd
        Target -> (iteration,) of the imputed cells.
    share
        Categorical target -> (iteration, category) of the imputed cells.
    parameters, statistics
        Target -> name -> (iteration,) or (iteration, k).
    events
        What happened.
    iterations
        How many.
    seconds
        By the clock.
    monitored
        Monitor -> (iteration,) or (iteration, k).
    """

    state: ChainState | bytes
    imputed: Mapping[str, Array]
    mean: Mapping[str, Array]
    sd: Mapping[str, Array]
    share: Mapping[str, Array]
    parameters: Mapping[str, Mapping[str, Array]]
    statistics: Mapping[str, Mapping[str, Array]]
    events: tuple[Event, ...]
    iterations: int
    seconds: float
    monitored: Mapping[str, Array] = field(default_factory=dict)


def fill(specification: Specification, rng: np.random.Generator) -> dict[str, Array]:
    """Complete the data with random observed values, as mice starts its chains.

    Level-2 targets get one value a cluster from their model's clusters at the first visit; a
    random value a row serves until then. What stands in models of others starts at values of rows
    that are alike.
    """
    values = dict(specification.known)
    for name, target in specification.targets.items():
        if isinstance(target, Target):
            column = specification.known[name]
            missing = np.isnan(column)
            pool = column[~missing & ~specification.ignore]
            staying = stays_missing({name: target.method}, specification.table).get(name)
            if staying is not None:
                missing &= ~staying
            filled = column.copy()
            if pool.size:  # else it is a latent mean
                filled[missing] = rng.choice(pool, size=int(missing.sum()))
            if specification.live and target.level == 2 and target.cluster is not None:
                # models of rows see it from the start: one value a cluster
                clusters = specification.table.clusters(target.cluster)
                alike = filled[clusters.first_rows][clusters.codes]
                filled = np.where(specification.live_rows(name), alike, filled)
            if specification.live_rows(name).any():
                start = borrowed(specification, name, rng)
                if start is not None:
                    filled[specification.live_rows(name)] = start
            values[name] = filled
    for name, target in specification.targets.items():
        if isinstance(target, Target) and target.around and target.cluster is not None:
            codes = specification.table.clusters(target.cluster).codes
            values[target.around] = (np.bincount(codes, values[name]) / np.bincount(codes))[codes]
    update_passive(specification, values, specification.table.variables)
    return values


def new_chain(bench: Bench, seed: int, imputation: int) -> ChainState:
    """Start a chain: a random fill of its own."""
    specification = bench.specification
    values = fill(specification, stream(seed, Purpose.FILL, imputation))
    imputed = {name: values[name][specification.where[name]] for name in specification.targets}
    return ChainState(values, imputed)


def run_chain(
    bench: Bench,
    adaptations: Mapping[str, Adaptation],
    state: ChainState,
    seed: int,
    imputation: int,
    iterations: range,
    on_error: str,
    monitor_labels: Labels,
) -> Stretch:
    """Run some iterations of one chain, on from `state`, which stays where it is."""
    began, specification = perf_counter(), bench.specification
    state = state.copy()
    names = list(specification.targets)
    mean = {name: np.full(len(iterations), np.nan) for name in names}
    sd = {name: np.full(len(iterations), np.nan) for name in names}
    variables = specification.table.variables
    categories = {name: len(variables[name].categories) for name in names}
    share = {name: np.full((len(iterations), k), np.nan) for name, k in categories.items() if k}
    parameters = {name: bench.empty_parameters(name, len(iterations)) for name in names}
    statistics: dict[str, dict[str, Array]] = {name: {} for name in names}
    monitored = {
        name: np.full((len(iterations), len(labels)) if labels else len(iterations), np.nan)
        for name, labels in monitor_labels.items()
    }
    events: list[Event] = []
    designs = state.designs or bench.designs(state.values)
    if specification.table.n_rows <= ROWS_HELD:
        state.designs = designs
    if 0 in iterations and bench.live:
        try:
            _warm_up(bench, adaptations, state, designs, seed, imputation)
        except FAILURES as error:  # the iterations say it again, if values are to be kept
            if on_error == "raise" or of_memory(error):
                raise SamplingError(
                    f"imputation {imputation + 1}, before its first iteration: {said(error)}"
                ) from error
    # one distribution, one stream an iteration; else one for each visit
    course = Course(seed, Purpose.LIVE_CELLS, imputation) if bench.live else None
    for t, iteration in enumerate(iterations):
        whole = course.at(iteration) if course is not None else None
        waits = bench.speaking.keys() - state.kernel.keys()  # for models that have failed so far
        if whole is not None and waits:
            message = (
                f"imputation {imputation + 1}, iteration {iteration + 1}: what stands in models of "
                f"others is drawn once all have been; that of {listed(sorted(waits))} has failed"
            )
            place = (imputation + 1, iteration + 1)
            events += [
                Event("error", "imputation", live, "values kept", message, *place)
                for live in bench.live
            ]
        elif whole is not None:
            try:
                follow_live(bench, state, designs, whole)
            except FAILURES as error:
                raise SamplingError(
                    f"missing values that stand in other models, imputation {imputation + 1}, "
                    f"iteration {iteration + 1}: {said(error)}"
                ) from error
        for position, name in enumerate(specification.visit_sequence):
            rng = whole or stream(seed, Purpose.VISIT, imputation, iteration, position)
            try:
                visit_parameters, visit_statistics = _visit(
                    bench, adaptations, state, designs, seed, imputation, name, rng
                )
            except FAILURES as error:
                message = (
                    f"target {name!r}, imputation {imputation + 1}, iteration {iteration + 1}: "
                    f"{said(error)}"
                )
                if on_error == "raise" or of_memory(error):
                    raise SamplingError(message) from error
                events.append(
                    Event(
                        "error",
                        "imputation",
                        name,
                        "values kept",
                        message,
                        imputation + 1,
                        iteration + 1,
                    )
                )
                continue
            for key, value in visit_parameters.items():
                parameters[name][key][t] = value
            for key, value in visit_statistics.items():
                if key not in statistics[name]:
                    statistics[name][key] = np.full(len(iterations), np.nan)
                statistics[name][key][t] = value
            if visit_statistics.get("diverging", 0) > 0:
                events.append(
                    Event(
                        "warning",
                        "imputation",
                        name,
                        "divergence",
                        "A transition of NUTS diverged; if this happens often, the posterior is "
                        "hard to explore here: use a tighter prior or a simpler model.",
                        imputation + 1,
                        iteration + 1,
                    )
                )
        for name in names:
            cells = state.imputed[name]
            if variables[name].kind is not Kind.NUMERIC:
                cells = cells + 1.0
            if cells.size:
                mean[name][t], sd[name][t] = mean_and_sd(cells)
        for name, by_category in share.items():
            by_category[t] = shares_of(state.imputed[name], categories[name])
        if monitor_labels:
            with bench.users:
                events += _follow(
                    specification, state, monitor_labels, monitored, t, imputation, iteration,
                    on_error,
                )  # fmt: skip
    imputed = {name: values.copy() for name, values in state.imputed.items()}
    return Stretch(
        state, imputed, mean, sd, share, parameters, statistics, tuple(events), len(iterations),
        perf_counter() - began, monitored,
    )  # fmt: skip


def _warm_up(
    bench: Bench,
    adaptations: Mapping[str, Adaptation],
    state: ChainState,
    designs: Designs,
    seed: int,
    imputation: int,
) -> None:
    """Move a chain on from its fill by sweeps that are not recorded."""
    for sweep in range(WARM_UP):
        if bench.speaking.keys() <= state.kernel.keys():
            follow_live(bench, state, designs, stream(seed, Purpose.WARM_UP, imputation, sweep))
        for position, name in enumerate(bench.specification.visit_sequence):
            rng = stream(seed, Purpose.WARM_UP, imputation, sweep, position)
            _visit(bench, adaptations, state, designs, seed, imputation, name, rng)


def _follow(
    specification: Specification,
    state: ChainState,
    labels: Labels,
    monitored: Mapping[str, Array],
    t: int,
    imputation: int,
    iteration: int,
    on_error: str,
) -> list[Event]:
    """Record the user's quantities of the data as they stand; the chain itself is not touched."""
    events = []
    frame = completed_frame(specification, state.imputed)
    for name in labels:
        try:
            monitored[name][t] = reading(specification.monitors[name], labels[name], frame)
        except SamplingError as error:
            message = (
                f"monitor {name!r}, imputation {imputation + 1}, iteration {iteration + 1}: {error}"
            )
            if on_error == "raise":
                raise SamplingError(
                    f"{message}. Make the function give a number for any completed data, or go "
                    "on without this value by on_error='keep'."
                ) from error
            place = (imputation + 1, iteration + 1)
            events.append(Event("error", "imputation", name, "monitor failed", message, *place))
    return events


def _visit(
    bench: Bench,
    adaptations: Mapping[str, Adaptation],
    state: ChainState,
    designs: Designs,
    seed: int,
    imputation: int,
    name: str,
    rng: np.random.Generator,
) -> tuple[Mapping[str, float | Array], Mapping[str, float]]:
    specification = bench.specification
    kernel = bench.kernels[name]
    builder = bench.builders[name]
    first = name not in state.kernel
    if first:
        position = list(specification.targets).index(name)
        rng_of_start = stream(seed, Purpose.START, imputation, position)
        kernel_state = kernel.start(adaptations[name], rng_of_start)
    else:
        kernel_state = state.kernel[name]
    design = designs(name)
    check_design(design)
    with bench.locks[name]:
        visit = kernel.visit(design, adaptations[name], kernel_state, rng, first)
    _check_visit(kernel, design, visit)
    processed = []
    for part, drawn in builder.parts(visit.values, state.values):
        if part.target.post is not None:
            with bench.users:
                drawn = post_processed(part, drawn, state.values, rng)
        processed.append((part, drawn))
    state.kernel[name] = visit.state
    for part, drawn in processed:
        if drawn.size:
            store(bench, state, part, drawn)
    changed = [part.target.name for part, drawn in processed if drawn.size]
    if not changed:
        return visit.parameters, visit.statistics
    passives = update_passive(specification, state.values, changed)
    for passive in passives:
        state.imputed[passive] = state.values[passive][specification.where[passive]]
    designs.forget([*changed, *passives])
    return visit.parameters, visit.statistics


def follow_live(
    bench: Bench, state: ChainState, designs: Designs, rng: np.random.Generator
) -> None:
    """Draw the cells that stand in models of others, which see them as they see observed ones."""
    for name in redraw(bench, designs, state.values, state.kernel, rng):
        state.imputed[name] = state.values[name][bench.cells[name]]


def _check_visit(kernel: Kernel, design: Design, visit: Visit) -> None:
    """Refuse what cannot be stored: a method may be the user's own."""
    wanted = sum(np.count_nonzero(each.draw) for each in design.members or (design,))
    if np.shape(visit.values) != (wanted,):
        raise SamplingError(
            f"the model drew values of shape {np.shape(visit.values)}, not one for each of the "
            f"{wanted} rows to draw"
        )
    if not np.isfinite(visit.values).all():
        raise SamplingError("the model drew a value that is not a finite number")
    if design.kind is not Kind.NUMERIC and not design.members:
        codes = visit.values.astype(np.int64)
        count = len(design.categories)
        bad = visit.values[(codes != visit.values) | (codes < 0) | (codes >= count)]
        if bad.size:
            raise SamplingError(
                f"the model drew {bad[0]:g}, which is no category: codes run from 0 to {count - 1}"
            )
    for name, drawn in visit.parameters.items():
        if name not in kernel.labels:
            raise SamplingError(f"the model drew a parameter {name!r} that its labels lack")
        size = (len(kernel.labels[name]),) if kernel.labels[name] else ()
        if not isinstance(drawn, float) and np.shape(drawn) not in ((), size):
            np.broadcast_to(drawn, size)


def mean_and_sd(cells: Array) -> tuple[float, float]:
    """Mean and standard deviation (ddof 1) of some values, NaN of one; NumPy's take many steps."""
    mean = float(cells.sum()) / cells.size
    if cells.size == 1:
        return mean, np.nan
    left = cells - mean
    return mean, math.sqrt(float(left @ left) / (cells.size - 1))


def check_design(design: Design) -> None:
    """Refuse predictors that are no numbers, such as the logarithm of an imputed negative value.

    Raises
    ------
    SamplingError
        Naming the predictor.
    """
    if np.isfinite(design.x.sum()):  # as it nearly always is
        return
    finite = np.isfinite(design.x)
    if not finite.all():
        bad = ~finite.all(axis=0)
        raise SamplingError(
            f"predictor {design.predictors[int(bad.argmax())]!r} is not a finite number for some "
            "imputed value; keep its inputs in range with post=, or impute them by "
            f"{MATCHING!r}"
        )


def store(bench: Bench, state: ChainState, part: DesignBuilder, drawn: Array) -> None:
    """Put drawn values where they belong; an observed cell of the working data never changes."""
    name, seen = part.target.name, part.places_seen
    completed = state.values[name].copy()
    completed[part.places_of_cells] = drawn
    state.imputed[name] = completed[bench.cells[name]]
    completed[seen] = part.known[seen]
    state.values[name] = completed
