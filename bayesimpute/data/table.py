"""The one door for data: a user's frame becomes arrays here, and arrays become a frame here.

Rows in clusters are here too: numbering, levels of variables, sporadic and systematic missingness.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.dates import in_steps, is_date
from bayesimpute.data.encoding import Kind, Variable, decode, encode
from bayesimpute.errors import DataError


@dataclass(frozen=True, eq=False)
class ClusterIndex:
    """Which cluster each row belongs to.

    Clusters are numbered by first appearance in canonical row order, so that renaming the ids
    changes nothing.

    Attributes
    ----------
    codes
        Cluster number of each row, int64 (row,).
    n
        Number of clusters.
    labels
        The user's id of each cluster, by number.
    """

    codes: np.ndarray
    n: int
    labels: tuple[Any, ...]

    @property
    def sizes(self) -> np.ndarray:
        """Rows in each cluster, int (cluster,)."""
        return np.bincount(self.codes, minlength=self.n)

    @property
    def first_rows(self) -> np.ndarray:
        """Position of the first row of each cluster, int (cluster,)."""
        first = np.empty(self.n, dtype=np.int64)
        first[self.codes[::-1]] = np.arange(len(self.codes))[::-1]
        return first

    def is_level2(self, values: np.ndarray) -> bool:
        """Whether the observed values never differ within a cluster.

        Parameters
        ----------
        values
            float64 (row,), NaN where missing.
        """
        return not self.varying(values).any()

    def all_level2(self, block: np.ndarray) -> bool:
        """Whether no column of a block, (row, column), differs within a cluster."""
        return all(map(self.is_level2, block.T))

    def has_property(self, values: np.ndarray) -> bool:
        """Whether values show a property of clusters: they never vary where they could."""
        repeated = self.n_observed(values) >= 2
        return self.is_level2(values) and bool(repeated.sum() >= max(2, self.n / 2))

    def varying(self, values: np.ndarray) -> np.ndarray:
        """Clusters whose observed values differ, bool (cluster,)."""
        observed = ~np.isnan(values)
        codes, present = self.codes[observed], values[observed]
        low, high = np.full(self.n, np.inf), np.full(self.n, -np.inf)
        np.minimum.at(low, codes, present)
        np.maximum.at(high, codes, present)
        return low < high

    def n_observed(self, values: np.ndarray) -> np.ndarray:
        """Observed values of a variable in each cluster, int (cluster,)."""
        return np.bincount(self.codes[~np.isnan(values)], minlength=self.n)

    def systematic(self, values: np.ndarray) -> np.ndarray:
        """Clusters in which the variable is missing in every row, bool (cluster,)."""
        return self.n_observed(values) == 0

    def sporadic(self, values: np.ndarray) -> np.ndarray:
        """Clusters in which the variable is missing in some rows but not all, bool (cluster,)."""
        n_observed = self.n_observed(values)
        return (n_observed > 0) & (n_observed < self.sizes)


def cluster_index(name: str, ids: "pd.Series[Any]") -> ClusterIndex:
    """Assign a number to each cluster.

    Parameters
    ----------
    name
        Column, for messages.
    ids
        Its cells in canonical row order: numbers, strings, categories or a mixture.

    Raises
    ------
    DataError
        If the id of a row is missing.
    """
    gaps = ids.isna()
    if gaps.any():
        raise DataError(
            f"Cluster variable '{name}' is missing in {int(gaps.sum())} row(s), the first at "
            f"index {ids.index[gaps.to_numpy()][0]}; fill these ids in or drop the rows."
        )
    codes, found = pd.factorize(_plain(ids))
    # numbers as Python has them, for people read them in sentences
    labels = (each.item() if isinstance(each, np.number | np.bool_) else each for each in found)
    return ClusterIndex(codes.astype(np.int64), len(found), tuple(labels))


def combined(parts: Sequence[ClusterIndex]) -> ClusterIndex:
    """Clusters by the combinations of several columns that there are, labelled ``a:1``."""
    codes, pairs = pd.factorize(pd.MultiIndex.from_arrays([part.codes for part in parts]))
    labels = tuple(
        ":".join(str(part.labels[code]) for part, code in zip(parts, pair, strict=True))
        for pair in pairs
    )
    return ClusterIndex(codes.astype(np.int64), len(labels), labels)


def lies_within(inner: ClusterIndex, outer: ClusterIndex) -> bool:
    """Whether each cluster of one grouping is in one cluster of the other."""
    return bool((outer.codes[inner.first_rows][inner.codes] == outer.codes).all())


def _plain(ids: "pd.Series[Any]") -> Any:
    """Ids without their categorical dtype, whose unused categories are no clusters."""
    if isinstance(ids.dtype, pd.CategoricalDtype):
        return ids.astype(object).to_numpy()
    return ids.array


#: HDF5 keeps a name, and the attribute with the column's own, in headers of 64 kB in all.
LONGEST_NAME = 10_000

__all__ = ["Kind", "Table", "Variable", "canonical_rows", "indicator_order", "is_date"]


@dataclass(frozen=True, eq=False)
class Table:
    """A data frame as float arrays, rows in canonical order.

    Canonical order is that of the sorted index labels (positional order if labels repeat or do
    not sort), so that a shuffled frame gives the same arrays and hence the same bits.

    Attributes
    ----------
    frame
        The user's frame (a copy; never written to).
    variables
        In column order.
    values
        Variable -> float64 (row,), category codes for categories, NaN where missing.
    rows
        ``values[name][k]`` belongs to the user's row ``rows[k]``.

    Examples
    --------
    >>> import pandas as pd
    >>> table = Table.from_frame(pd.DataFrame({"x": [1.5, None]}, index=[2, 1]))
    >>> table.values["x"].tolist(), table.rows.tolist()
    ([nan, 1.5], [1, 0])
    """

    frame: pd.DataFrame
    variables: Mapping[str, Variable]
    values: Mapping[str, np.ndarray]
    rows: np.ndarray

    @classmethod
    def from_frame(cls, df: pd.DataFrame, dates: Container[str] = ()) -> "Table":
        """Encode a frame; the frame itself is copied and never changed.

        Parameters
        ----------
        df
            Rows are cases; column names are distinct strings.
        dates
            Columns of dates, durations or periods that are to be numbers: days.

        Returns
        -------
        Table
            With read-only arrays.

        Raises
        ------
        DataError
            If this is not a frame with at least one row and column, if column names are not
            distinct strings, or if a number is infinite.
        """
        check_frame(df)
        frame = df.copy(deep=True)
        rows = canonical_rows(frame.index)
        variables: dict[str, Variable] = {}
        values: dict[str, np.ndarray] = {}
        for name in frame.columns:
            variables[name], encoded = encode(frame[name], name in dates)
            values[name] = _read_only(encoded[rows])
        return cls(frame, variables, values, _read_only(rows))

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def missing(self, name: str) -> np.ndarray:
        """Which cells of a variable are missing, bool (row,), canonical order."""
        return np.isnan(self.values[name])

    def incomplete(self) -> tuple[str, ...]:
        """Variables with at least one missing cell, in column order."""
        return tuple(name for name in self.variables if self.missing(name).any())

    def clusters(self, name: str) -> ClusterIndex:
        """Which cluster each row belongs to, by a column of cluster ids; worked out once.

        ``"school:class"`` are the combinations of two columns, for ids that count anew in each
        school.

        Raises
        ------
        DataError
            If the id of a row is missing, or one of several columns has a colon in its name.

        Examples
        --------
        >>> import pandas as pd
        >>> index = Table.from_frame(pd.DataFrame({"school": ["b", "a", "b"]})).clusters("school")
        >>> index.codes.tolist(), index.labels
        ([0, 1, 0], ('b', 'a'))
        """
        if name not in self._clusters:
            first, *others = self._columns_in(name)
            if others:
                found = combined([self.clusters(column) for column in (first, *others)])
            else:
                found = cluster_index(name, self.frame[name].iloc[self.rows])
            self._clusters[name] = found
        return self._clusters[name]

    def columns_of(self, groupings: Iterable[str]) -> tuple[str, ...]:
        """Columns that groupings are made of, each once: of ``"school:class"`` both."""
        return tuple(dict.fromkeys(each for name in groupings for each in self._columns_in(name)))

    def _columns_in(self, name: str) -> list[str]:
        """Take joined names apart; those of columns may have a colon themselves."""
        found = [[name]] if name in self.variables else list(self._splits(name.split(":")))
        if len(found) != 1:
            raise DataError(
                f"{name!r} are clusters by several columns, of which one has a colon in its name, "
                "as stands between columns; rename that column."
            )
        return found[0]

    def _splits(self, words: list[str]) -> Iterator[list[str]]:
        if not words:
            yield []
        for last in range(1, len(words) + 1):
            first = ":".join(words[:last])
            if first in self.variables:
                yield from ([first, *others] for others in self._splits(words[last:]))

    @cached_property
    def _clusters(self) -> dict[str, ClusterIndex]:
        return {}

    def decode(self, name: str, values: np.ndarray) -> "pd.Series[Any]":
        """Turn values back into a column of the user's frame.

        Parameters
        ----------
        name
            Column.
        values
            float64 (row,), canonical order: numbers, or category codes.

        Returns
        -------
        pandas.Series
            The user's row order, index, categories and dtype; integers widen to float only if a
            value is not whole. Cells equal to the original are the original cells.

        Raises
        ------
        DataError
            If a category code does not exist.
        """
        unsorted = np.empty(self.n_rows)
        unsorted[self.rows] = values
        encoded = np.empty(self.n_rows)
        encoded[self.rows] = self.values[name]
        return decode(self.variables[name], unsorted, self.frame[name], encoded)

    def in_steps_of(self, numbers: Mapping[str, np.ndarray]) -> "Table":
        """Let dates come out as further numbers of them are, and not rounded to observed steps."""
        finer = {
            name: replace(variable, ticks=in_steps(variable.ticks, numbers[name]))
            for name, variable in self.variables.items()
            if variable.ticks is not None and name in numbers
        }
        return replace(self, variables={**self.variables, **finer}) if finer else self

    def label(self, row: int) -> Any:
        """Give the label of a row, in canonical order, in the user's index."""
        return self.frame.index[[self.rows[row]]].tolist()[0]  # 7, not np.int64(7)

    def completed(self, values: Mapping[str, np.ndarray]) -> pd.DataFrame:
        """Give the user's frame with other values, variable -> (row,) in canonical order."""
        return pd.DataFrame(
            {
                name: self.decode(name, values[name]) if name in values else self.frame[name]
                for name in self.variables
            },
            index=self.frame.index,
        )


def check_frame(df: Any) -> None:
    """Raise DataError unless `df` is a frame with rows and distinct string column names."""
    if not isinstance(df, pd.DataFrame):
        hint = "call .to_pandas() on it" if hasattr(df, "to_pandas") else "build one with pandas"
        raise DataError(f"Data must be a pandas DataFrame, not {type(df).__name__}; {hint}.")
    if df.shape[1] == 0:
        raise DataError("The data frame has no columns; nothing can be imputed.")
    if df.shape[0] == 0:
        raise DataError("The data frame has no rows; nothing can be imputed.")
    not_text = [name for name in df.columns if not isinstance(name, str)]
    if not_text:
        raise DataError(
            f"Column names must be strings; {not_text[0]!r} is a {type(not_text[0]).__name__}. "
            "Rename the columns: df.columns = df.columns.map(str)."
        )
    for name in df.columns:
        _check_name(name)
    repeated = df.columns[df.columns.duplicated()]
    if len(repeated):
        raise DataError(
            f"Column name '{repeated[0]}' occurs more than once; rename or drop the duplicate."
        )


def _check_name(name: str) -> None:
    """Raise DataError for a name that is no text, or too long for any file."""
    rename = "rename it: df = df.rename(columns={old: new})."
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise DataError(
            f"Column name {name!a} holds half a surrogate pair, which is no character: read the "
            f"file with its true encoding, or {rename}"
        )
    if len(name.encode()) > LONGEST_NAME:
        raise DataError(
            f"A column name has {len(name):,} characters ({name[:40]!r}…); "
            f"{LONGEST_NAME:,} bytes are the most that a file takes: {rename}"
        )


def canonical_rows(index: pd.Index) -> np.ndarray:
    """Positions that sort the index labels; 0, 1, … if labels repeat, are missing or do not sort.

    Examples
    --------
    >>> import pandas as pd
    >>> canonical_rows(pd.Index(["b", "a"])).tolist()
    [1, 0]
    """
    if isinstance(index, pd.CategoricalIndex):
        index = pd.Index(index.to_numpy())
    positions = np.arange(len(index))
    if index.is_monotonic_increasing or not index.is_unique:
        return positions
    if not isinstance(index, pd.MultiIndex) and index.hasnans:
        return positions
    try:
        return np.asarray(index.argsort(), dtype=np.int64)
    except TypeError:
        return positions


def indicator_order(values: np.ndarray, n_categories: int) -> tuple[int, ...]:
    """Order of the category codes in a design: the reference first.

    The reference is the most frequent observed category, and the others follow in order of first
    appearance; so renaming or reordering categories changes no model.

    Parameters
    ----------
    values
        Codes (row,), canonical row order, NaN where missing.
    n_categories
        Number of categories; those never observed are left out, having no column.

    Returns
    -------
    tuple of int
        Codes of the observed categories. Ties for the reference go to the one seen first.

    Examples
    --------
    >>> import numpy as np
    >>> indicator_order(np.array([2.0, 0.0, np.nan, 0.0]), 3)
    (0, 2)
    """
    codes = values[~np.isnan(values)].astype(np.int64)
    counts = np.bincount(codes, minlength=n_categories)
    seen = [int(code) for code in pd.unique(codes)]
    if not seen:
        return ()
    reference = max(seen, key=lambda code: counts[code])
    return (reference, *(code for code in seen if code != reference))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def by_row(given: Any, frame: pd.DataFrame) -> Any:
    """Put what a function of the user's gave for a frame in the order of its rows, by their labels.

    Without labels, or with others than the frame's, it stays in the order in which it came.

    Examples
    --------
    >>> frame = pd.DataFrame({"x": [1, 2]}, index=["a", "b"])
    >>> by_row(pd.Series([4, 3], index=["b", "a"]), frame).tolist()
    [3, 4]
    """
    index = frame.index
    if not isinstance(given, pd.Series) or len(given) != len(index):
        return given
    theirs = index.is_unique and given.index.is_unique and index.isin(given.index).all()
    return given.reindex(index) if theirs else given
