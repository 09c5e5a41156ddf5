"""Rows in clusters: numbering, levels of variables, sporadic and systematic missingness."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

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
    codes, labels = pd.factorize(_plain(ids))
    return ClusterIndex(codes.astype(np.int64), len(labels), tuple(labels))


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
