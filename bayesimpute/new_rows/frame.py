"""A frame of new rows in the numbers of the run: categories, dates and clusters as they were."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.encoding import recoded
from bayesimpute.data.table import ClusterIndex, Kind, Table, Variable, canonical_rows, check_frame
from bayesimpute.errors import DataError
from bayesimpute.new_rows.learnt import Learnt, groupings_of
from bayesimpute.sampling.row_draws import NEW, Positions
from bayesimpute.specification.joint_order import sources_of
from bayesimpute.specification.specification import Target
from bayesimpute.wording import listed

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
    groupings = dict.fromkeys(
        name
        for target in specification.targets.values()
        if isinstance(target, Target)
        for name in groupings_of(target)
    )
    predicting = {
        name
        for target in specification.targets.values()
        if isinstance(target, Target)
        for name in sources_of(target, specification.targets)
    }
    ids = {
        column
        for name in groupings
        for column in ([name] if name in table.variables else name.split(":"))
    } - predicting  # of which no category has to be known
    for name, variable in table.variables.items():
        if name not in frame.columns:
            continue
        variables[name] = variable
        if name in learnt.used and name not in ids and variable.kind is not Kind.OTHER:
            given = frame[name]
            seen = learnt.seen.get(name, NOTHING)
            column, encoded = recoded(given, variable, seen, "impute_new", UNKNOWN)
            if column is not given:
                frame[name] = column
            values[name] = encoded[rows]
    plain = Table(frame, variables, {}, rows)
    clusters = {name: _clusters(name, plain, table) for name in groupings}
    return Rows(frame, variables, values, rows, clusters)


def for_all_chains(new: Rows, learnt: Learnt) -> ManyTable:
    """Give the rows once for each chain; a cluster's known values are those of the chain."""
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
        own = new.clusters[target.cluster]
        number = own.numbers[own.codes]
        found = np.where(number == NEW, np.nan, known[:, number]).reshape(-1)
        values[name] = np.where(np.isnan(values[name]), found, values[name])
    rows = np.concatenate([new.rows + chain * n for chain in range(chains)])
    return ManyTable(frame, new.variables, values, rows, indices)


def _clusters(name: str, new: Table, table: Table) -> Clusters:
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
    known = {label: number for number, label in enumerate(table.clusters(name).labels)}
    numbers = np.array([known.get(label, NEW) for label in own.labels], dtype=np.int64)
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
