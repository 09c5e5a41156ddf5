"""What the chains of a run have learnt, and new rows in its terms: categories, dates, clusters."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.encoding import recoded
from bayesimpute.data.table import ClusterIndex, Kind, Table, Variable, canonical_rows, check_frame
from bayesimpute.design import DesignBuilder
from bayesimpute.engine.adapt import reference_values
from bayesimpute.engine.bench import Bench
from bayesimpute.engine.chain import ChainState
from bayesimpute.engine.history import unpack_adaptations
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.method import Array
from bayesimpute.registry import resolve
from bayesimpute.result.restored import require_callables, require_one_run
from bayesimpute.result.run import Run
from bayesimpute.sampling.row_draws import NEW, Moment, Positions, RowDraws, row_draws
from bayesimpute.specification.joint_order import sources_of
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.specification.survival import indicators_of
from bayesimpute.wording import listed
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

    @cached_property
    def groupings(self) -> tuple[str, ...]:
        """Names of the clusters of all models."""
        return tuple(dict.fromkeys(name for each in self._models for name in groupings_of(each)))

    @cached_property
    def ids(self) -> frozenset[str]:
        """Columns of cluster ids that are nothing else: no category of them has to be known."""
        targets, table = self.specification.targets, self.specification.table
        read = (sources_of(each, targets, table.variables) for each in self._models)
        return frozenset(table.columns_of(self.groupings)).difference(*read)

    @property
    def _models(self) -> list[Target]:
        return [t for t in self.specification.targets.values() if isinstance(t, Target)]


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
            try:
                moment = Moment(design, adaptations[name], state.of_kernel(name), rng)
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
        found |= sources_of(target, specification.targets, specification.table.variables)
        for wrapper in layers(target.method):
            reads = wrapper.reads()
            found |= set(specification.table.variables if reads is None else reads)
        for name in groupings_of(target):
            found |= set(specification.table.columns_of([name]))
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


NOTHING = np.empty(0)
#: What can be done about a category that no model knows.
UNKNOWN = (
    "a category that was not observed when the imputations were made, so no model knows what it "
    "means; recode it, set it missing, or impute again with these rows among the data"
)


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters that new rows are of.

    Attributes
    ----------
    codes
        Cluster of each row, (row,), canonical order.
    numbers
        Number each has in the run, ``NEW`` for one that is not in it, (cluster,).
    labels
        The user's.
    """

    codes: Positions
    numbers: Positions
    labels: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Rows:
    """New rows.

    Attributes
    ----------
    frame
        The user's rows, with the columns to impute that were not there, all missing.
    variables, values
        Of the columns that the run knows, as of a :class:`~bayesimpute.data.table.Table`.
    rows
        ``values[name][k]`` belongs to row ``rows[k]`` of the frame.
    clusters
        By column of cluster ids.
    """

    frame: pd.DataFrame
    variables: Mapping[str, Variable]
    values: Mapping[str, np.ndarray]
    rows: np.ndarray
    clusters: Mapping[str, Clusters]


@dataclass(frozen=True, eq=False)
class ManyTable(Table):
    """New rows once for each chain, one chain after the other.

    Attributes
    ----------
    indices
        Clusters by column, those of the first chain before those of the second.
    """

    indices: Mapping[str, ClusterIndex]

    def clusters(self, name: str) -> ClusterIndex:
        """Give the cluster of each row."""
        return self.indices[name]


def read(df: pd.DataFrame, learnt: Learnt) -> Rows:
    """Take new rows in.

    Parameters
    ----------
    df
        Columns as in the run. Columns to impute may lack, further ones are left as they are.
    learnt
        Of the run.

    Raises
    ------
    DataError
        If a column that models read lacks or is of another kind, or has a category or cluster
        that cannot be used; naming it.
    """
    check_frame(df)
    specification = learnt.specification
    table = specification.table
    absent = [name for name in table.variables if name in learnt.used and name not in df.columns]
    needed = [name for name in absent if name not in specification.targets]
    if needed:
        raise DataError(
            f"impute_new: the new rows lack {listed(needed)}, which the imputation models read; "
            "give all columns that the imputations were made with. Those that have a model, as "
            "they had gaps then, may lack."
        )
    frame = df.copy()
    for name in absent:
        frame[name] = pd.Series(np.nan, index=frame.index, dtype=object)
    rows = canonical_rows(frame.index)
    variables: dict[str, Variable] = {}
    values: dict[str, np.ndarray] = {}
    for name, variable in table.variables.items():
        if name not in frame.columns:
            continue
        variables[name] = variable
        if name in learnt.used and name not in learnt.ids and variable.kind is not Kind.OTHER:
            given = frame[name]
            seen = learnt.seen.get(name, NOTHING)
            column, encoded = recoded(given, variable, seen, "impute_new", UNKNOWN)
            if column is not given:
                frame[name] = column
            values[name] = encoded[rows]
    plain = Table(frame, variables, {}, rows)
    clusters = {name: _clusters_of(name, plain, table) for name in learnt.groupings}
    return Rows(frame, variables, values, rows, clusters)


def for_all_chains(new: Rows, learnt: Learnt) -> ManyTable:
    """Give the rows once for each chain, with what is known of their clusters.

    A cluster has the value that another of the rows gives; else that of the chain.

    Raises
    ------
    DataError
        If the rows of a cluster give several values of what one of them lacks.
    """
    n, chains = len(new.rows), learnt.chains
    frame = new.frame.iloc[np.tile(np.arange(n), chains)]
    values = {name: np.tile(column, chains) for name, column in new.values.items()}
    indices = {}
    for name, clusters in new.clusters.items():
        count = len(clusters.numbers)
        codes = np.concatenate([clusters.codes + chain * count for chain in range(chains)])
        indices[name] = ClusterIndex(codes, chains * count, clusters.labels * chains)
    for name, known in learnt.by_cluster.items():
        target = learnt.specification.targets[name]
        assert isinstance(target, Target) and target.cluster
        own, seen = new.clusters[target.cluster], ~np.isnan(new.values[name])
        of_rows = ClusterIndex(own.codes, len(own.numbers), own.labels)
        torn = of_rows.varying(new.values[name]) & of_rows.sporadic(new.values[name])
        if torn.any():
            label = own.labels[int(torn.argmax())]
            raise DataError(
                f"impute_new: {name!r} has one value a cluster, but several in the new rows of "
                f"cluster {label!r} of {target.cluster!r}, one of which lacks it; correct them."
            )
        given = np.full(len(own.numbers), np.nan)
        given[own.codes[seen]] = new.values[name][seen]
        of_run = np.where(own.numbers == NEW, np.nan, known[:, own.numbers])
        found = np.where(np.isnan(given), of_run, given)[:, own.codes].reshape(-1)
        values[name] = np.where(np.isnan(values[name]), found, values[name])
    rows = np.concatenate([new.rows + chain * n for chain in range(chains)])
    return ManyTable(frame, new.variables, values, rows, indices)


def _clusters_of(name: str, new: Table, table: Table) -> Clusters:
    """Find which clusters the run knows.

    Raises
    ------
    DataError
        If an id is missing, or of another type than all in the run.
    """
    try:
        own = new.clusters(name)
    except DataError as error:
        raise DataError(
            f"impute_new: {error} A row of a cluster that was not in the data gets an id of its "
            "own."
        ) from None
    ids, of_run = own.labels, table.clusters(name).labels
    if len(set(of_run)) < len(of_run):  # of 1 and "1" in one column, joined labels are the same
        ids, of_run = _apart(name, new), _apart(name, table)
    known = {label: number for number, label in enumerate(of_run)}
    numbers = np.array([known.get(label, NEW) for label in ids], dtype=np.int64)
    spelled = {str(label): label for label in known} if (numbers == NEW).any() else {}
    for label, number in zip(own.labels, numbers, strict=True):
        if number == NEW and str(label) in spelled:
            other = spelled[str(label)]
            raise DataError(
                f"impute_new: cluster {label!r} of {name!r} is a {type(label).__name__}, and "
                f"{other!r} in the data of the imputations a {type(other).__name__}; convert "
                "the column, or these are new clusters."
            )
    return Clusters(own.codes, numbers, own.labels)


def _apart(name: str, table: Table) -> tuple[Any, ...]:
    """Ids of clusters by several columns, one by one, (cluster,)."""
    parts = [table.clusters(column) for column in table.columns_of([name])]
    first = table.clusters(name).first_rows
    each = ([part.labels[code] for code in part.codes[first]] for part in parts)
    return tuple(zip(*each, strict=True))
