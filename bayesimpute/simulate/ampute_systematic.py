"""Clusters that never recorded a variable, and clusters that miss more or less than others."""

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.errors import SpecificationError
from bayesimpute.wording import did_you_mean, listed


def check_share(name: str, value: Any) -> float:
    """Give a proportion as float, or raise SpecificationError."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= float(value) <= 1:
        raise SpecificationError(f"{name}={value!r} must be a proportion, from 0 to 1.")
    return float(value)


def systematic_clusters(
    variable: str, wanted: Any, clusters: ClusterIndex, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Choose the clusters a variable is removed from, ascending numbers.

    Parameters
    ----------
    variable
        Its name, for messages.
    wanted
        Share of the clusters, drawn without looking at any value; or labels of clusters.
    clusters
        The clusters.
    rng
        For a share.

    Raises
    ------
    SpecificationError
        If that is no cluster, all of them, or labels do not exist.
    """
    where = f"systematic['{variable}']"
    numbers = _numbers(clusters)
    if isinstance(wanted, Real) and not isinstance(wanted, bool):
        share = check_share(where, wanted)
        n = int(share * clusters.n + 0.5)
        if share > 0 and n == 0:
            raise SpecificationError(
                f"{where}={share:g} of {clusters.n} clusters is less than half a cluster; give a "
                "larger share, or the labels of clusters."
            )
        chosen = rng.choice(clusters.n, size=n, replace=False)
    elif isinstance(wanted, Iterable) and not isinstance(wanted, str | Mapping):
        chosen = np.array([_number(label, numbers, where) for label in wanted], dtype=np.int64)
    else:
        raise SpecificationError(
            f"{where}={wanted!r} must be a share of the clusters or a list of their labels."
        )
    found = np.unique(chosen).astype(np.int64)
    if len(found) == clusters.n:
        raise SpecificationError(
            f"{where} removes the variable from all {clusters.n} clusters; leave at least one."
        )
    return found


def proportions(prop: Mapping[Any, Any], clusters: ClusterIndex) -> npt.NDArray[np.float64]:
    """Proportion of each cluster, (cluster,), from a mapping of labels.

    Raises
    ------
    SpecificationError
        If a cluster is left out or does not exist, or a value is no proportion.
    """
    numbers = _numbers(clusters)
    found = np.full(clusters.n, np.nan)
    for label, value in prop.items():
        found[_number(label, numbers, "prop")] = check_share(f"prop[{label!r}]", value)
    absent = [clusters.labels[k] for k in np.flatnonzero(np.isnan(found))]
    if absent:
        raise SpecificationError(
            f"prop has no proportion for {len(absent)} of {clusters.n} clusters: {listed(absent)}."
        )
    return found


def _numbers(clusters: ClusterIndex) -> dict[Any, int]:
    return {label: number for number, label in enumerate(clusters.labels)}


def _number(label: Any, numbers: dict[Any, int], where: str) -> int:
    try:
        return numbers[label]
    except (KeyError, TypeError):
        raise SpecificationError(
            f"{where} names cluster {label!r}, which is not in the data ({listed(numbers)})."
            f"{did_you_mean(label, numbers)}"
        ) from None
