"""What the chains of a run have learnt, in the form that new rows need."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.design import DesignBuilder
from bayesimpute.engine.adapt import reference_values
from bayesimpute.engine.bench import Bench
from bayesimpute.engine.chain import ChainState
from bayesimpute.engine.packing import unpack_adaptations
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Array
from bayesimpute.registry import resolve
from bayesimpute.result.restored import require_callables, require_one_run
from bayesimpute.result.run import Run
from bayesimpute.sampling.row_draws import Moment, RowDraws, row_draws
from bayesimpute.specification.joint_order import sources_of
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.specification.survival import indicators_of
from bayesimpute.wrappers.base import innermost, layers

#: Completed rows of each chain that are kept for new rows to start from.
DONORS = 256


@dataclass(frozen=True, eq=False)
class Learnt:
    """Models at the parameters of all chains, and what new rows take from the completed data.

    Attributes
    ----------
    bench
        Builders and kernels of the run.
    chains
        How many there are.
    draws
        Models by target; of a block, by its first member.
    refused
        Why the model of a target cannot be asked of new rows.
    means
        Target, and position of a grouping -> means of its predictors in each cluster, (chain,
        cluster, column); of those that have such columns.
    by_cluster
        Target with one value a cluster -> that value, (chain, cluster).
    donors
        Column -> completed values of some rows, (chain, row), or (row,) of columns without gaps.
    spread
        Column -> SD of its observed values; NaN for categories.
    used
        Columns that models read.
    seen
        Codes of the categories of each column that were observed; none of numbers.
    """

    bench: Bench
    chains: int
    draws: Mapping[str, RowDraws]
    refused: Mapping[str, str]
    means: Mapping[tuple[str, int], Array]
    by_cluster: Mapping[str, Array]
    donors: Mapping[str, Array]
    spread: Mapping[str, float]
    used: frozenset[str]
    seen: Mapping[str, Array]

    @property
    def specification(self) -> Specification:
        """That of the run."""
        return self.bench.specification


def learn(run: Run) -> Learnt:
    """Take the models of a run as its chains have left them.

    Cluster effects and coefficients that a chain does not hold are drawn given what it holds, from
    random streams of the run's seed: once and for all.

    Raises
    ------
    SpecificationError
        If the run has no iteration, or code of the user's that the file could not hold.
    """
    specification, history = run.specification, run.history
    require_callables(specification)
    require_one_run(history, "impute_new")
    if not history.iterations:
        raise SpecificationError(
            "impute_new: the chains have not made an iteration; use imp.extend(iterations=10)."
        )
    bench = Bench.of(specification, reference_values(specification, history.seed))
    adaptations = unpack_adaptations(history.adaptation)
    draws: dict[str, list[RowDraws]] = {}
    refused: dict[str, str] = {}
    means: dict[tuple[str, int], list[Array]] = {}
    by_cluster: dict[str, list[Array]] = {}
    donors: dict[str, list[Array]] = {name: [] for name in specification.targets}
    rows = _some_rows(specification)
    for chain, packed in enumerate(history.states):
        state = ChainState.from_bytes(specification, packed)
        for position, (name, kernel) in enumerate(bench.kernels.items()):
            design = bench.design(name, state.values)
            rng = stream(history.seed, Purpose.NEW_PARAMETERS, chain, position)
            moment = Moment(design, adaptations[name], state.kernel[name], rng)
            try:
                draws.setdefault(name, []).append(row_draws(kernel, moment))
            except SpecificationError as error:
                refused[name] = str(error)
            builder = bench.builders[name]
            for position, each in enumerate(builder.effects):
                columns = mean_columns(builder, position)
                if columns.stop:
                    first = np.unique(each.codes, return_index=True)[1]
                    means.setdefault((name, position), []).append(design.x[first][:, columns])
        for name, target in specification.targets.items():
            donors[name].append(state.values[name][rows])
            if isinstance(target, Target) and target.level == 2 and target.cluster:
                first = specification.table.clusters(target.cluster).first_rows
                by_cluster.setdefault(name, []).append(state.values[name][first])
    used, variables = _used(specification), specification.table.variables
    known = specification.table.values
    like = {
        name: known[name][rows]
        for name in used - specification.targets.keys()
        if variables[name].kind is not Kind.OTHER
    }
    observed = {name: values[~np.isnan(values)] for name, values in known.items()}
    spread = {
        name: float(observed[name].std())
        if variables[name].kind is Kind.NUMERIC and observed[name].size
        else np.nan
        for name in used
    }
    return Learnt(
        bench,
        history.m,
        {name: own[0].beside(own[1:]) for name, own in draws.items()},
        refused,
        {key: np.stack(own) for key, own in means.items()},
        {name: np.stack(own) for name, own in by_cluster.items()},
        {name: np.stack(own) for name, own in donors.items()} | like,
        spread,
        used,
        {n: np.unique(values) for n, values in observed.items() if variables[n].categories},
    )


def _some_rows(specification: Specification) -> np.ndarray:
    """Rows that may be learnt from, evenly over the data, at most ``DONORS``."""
    rows = np.flatnonzero(~specification.ignore)
    if not rows.size:
        rows = np.arange(specification.table.n_rows)
    return rows[np.linspace(0, rows.size - 1, min(DONORS, rows.size)).astype(np.int64)]


def _used(specification: Specification) -> frozenset[str]:
    """Columns that any model, condition or identity reads; targets and clusters with them."""
    found = set(specification.targets)
    for target in specification.targets.values():
        if not isinstance(target, Target):
            found |= set(target.inputs)
            continue
        found |= sources_of(target, specification.targets)
        for wrapper in layers(target.method):
            reads = wrapper.reads()
            found |= set(specification.table.variables if reads is None else reads)
        for name in groupings_of(target):
            found |= {name} if name in specification.table.variables else set(name.split(":"))
        found |= events_of(target)
    return frozenset(found & set(specification.table.variables))


def events_of(target: Target) -> set[str]:
    """Columns that say whether times of a target end with the event."""
    options = indicators_of(resolve(innermost(target.method)))
    return {target.options[name] for name in options if target.options.get(name) is not None}


def groupings_of(target: Target) -> list[str]:
    """Names of all clusters of a target's model: its own, and those that effects vary by."""
    own = [target.cluster] if target.cluster else []
    return list(dict.fromkeys([*own, *(each.name for each in target.effects)]))


def mean_columns(builder: DesignBuilder, position: int) -> slice:
    """Where the cluster means of one grouping stand in a design; an empty slice for none."""
    places = [place.means[position] for place in builder.places() if place.means[position].stop]
    return slice(places[0].start, places[-1].stop) if places else slice(0)
