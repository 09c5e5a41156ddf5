"""Arguments of bi.ampute against the data and each other, before any work starts."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute.data.clusters import ClusterIndex, cluster_index
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.simulate.ampute_systematic import check_share, proportions
from bayesimpute.wording import did_you_mean, listed


def complete_table(data: Any) -> Table:
    """Encode the data, or raise DataError if a value is missing already."""
    table = Table.from_frame(data)
    for name in table.variables:
        gaps = table.missing(name)
        if gaps.any():
            first = table.frame.index[table.rows[int(np.argmax(gaps))]]
            raise DataError(
                f"Variable '{name}' already has {int(gaps.sum())} missing value(s), the first at "
                f"index {first!r}; ampute starts from complete data: drop these rows or impute "
                "them first."
            )
    return table


def clusters_of(table: Table, cluster: Any) -> ClusterIndex | None:
    """Give clusters their numbers, or raise if there are none of that name."""
    if cluster is None:
        return None
    if cluster not in table.variables:
        hint = did_you_mean(cluster, table.variables)
        raise SpecificationError(
            f"cluster={cluster!r} is no column of the data: {listed(table.variables)}.{hint}"
        )
    if len(table.variables) == 1:
        raise DataError("Besides the cluster column there is no column that could go missing.")
    return cluster_index(table, cluster)


def constant_in_clusters(
    table: Table, names: Sequence[str], clusters: ClusterIndex | None
) -> frozenset[str]:
    """Variables that do not differ within any cluster; none without clusters."""
    if clusters is None:
        return frozenset()
    found = set()
    for name in names:
        values = table.values[name]
        if table.variables[name].kind is Kind.OTHER:  # whose encoding says only what is missing
            values = pd.factorize(table.frame[name].iloc[table.rows])[0].astype(np.float64)
        if clusters.is_level2(values):
            found.add(name)
    return frozenset(found)


def share_of(prop: Any, clusters: ClusterIndex | None) -> float | npt.NDArray[np.float64]:
    """Proportion of all, or of each cluster (cluster,), or raise SpecificationError."""
    if not isinstance(prop, Mapping):
        return check_share("prop", prop)
    if clusters is None:
        raise SpecificationError("prop has a share for each cluster; say which with cluster=.")
    return proportions(prop, clusters)


def check_arguments(switches: Mapping[str, Any], mappings: Mapping[str, Any], seed: Any) -> None:
    """Raise SpecificationError unless switches are booleans, and the seed can be one.

    Parameters
    ----------
    switches, mappings
        Argument -> value that must be True or False, or a mapping or None.
    seed
        Whole number from 0, or None.
    """
    for name, value in switches.items():
        if not isinstance(value, bool | np.bool_):
            raise SpecificationError(f"{name}={value!r} must be True or False.")
    for name, value in mappings.items():
        if value is not None and not isinstance(value, Mapping):
            raise SpecificationError(f"{name}={value!r} must be a mapping from variables.")
    whole = isinstance(seed, Integral) and not isinstance(seed, bool)
    if seed is not None and not (whole and seed >= 0):
        raise SpecificationError(f"seed={seed!r} must be a whole number from 0, or None.")


def check_prop_sd(value: Any, clusters: ClusterIndex | None, share: Any) -> None:
    """Raise SpecificationError unless chances can vary with this SD."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= float(value) < np.inf:
        raise SpecificationError(f"prop_sd={value!r} must be an SD of logits, from 0.")
    if value != 0 and clusters is None:
        raise SpecificationError("prop_sd is about clusters; say which with cluster=.")
    if value != 0 and not isinstance(share, float):
        raise SpecificationError(
            "prop gives each cluster its share, so that nothing is left for prop_sd; leave one out."
        )


def check_no_patterns(given: Mapping[str, bool]) -> None:
    """Raise SpecificationError if an argument about patterns is given where there are none."""
    for name, there in given.items():
        if there:
            raise SpecificationError(
                f"{name} is about patterns, and with selection= there are none unless patterns= "
                "says which."
            )
