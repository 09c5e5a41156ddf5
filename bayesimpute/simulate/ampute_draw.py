"""Candidates of patterns, their chances, and who loses values."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.errors import SpecificationError
from bayesimpute.simulate.ampute_chances import (
    CURVES,
    chances_by_odds,
    chances_on_curve,
    quantile_groups,
    standardised,
)
from bayesimpute.simulate.ampute_patterns import Patterns
from bayesimpute.simulate.ampute_scores import Columns, sum_score

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Rows in canonical order.

    Attributes
    ----------
    candidate, pattern
        Number of the pattern, from 1, a row is a candidate of, and loses values by; 0 for none.
    probability
        Its chance to lose them.
    scores
        Its score, NaN without.
    """

    candidate: Numbers
    pattern: Numbers
    probability: Array
    scores: Array


def amputed_by_pattern(
    plan: Patterns | None,
    columns: Columns,
    clusters: ClusterIndex | None,
    prop: float | Array,
    prop_sd: float,
    rng: np.random.Generator,
) -> Drawn:
    """Assign rows to patterns and draw which of them lose values.

    Parameters
    ----------
    plan
        The patterns; None for none.
    columns
        The data.
    clusters
        Of the rows, or None.
    prop
        Mean chance in each pattern, or in each cluster (cluster,).
    prop_sd
        SD of cluster effects on logits.
    rng
        Random numbers.

    Returns
    -------
    Drawn

    Raises
    ------
    SpecificationError
        If odds of 0 leave too few rows that could lose values.
    """
    n = columns.table.n_rows
    if plan is None:
        none = np.zeros(n, dtype=np.int64)
        return Drawn(none, none.copy(), np.zeros(n), np.full(n, np.nan))
    candidate = _candidates(plan, clusters, n, rng)
    effect = np.zeros(n)
    if clusters is not None and prop_sd:
        effect = rng.normal(0, prop_sd, clusters.n)[clusters.codes]
    uniform = rng.random(n)
    if clusters is not None and plan.whole.any():
        whole = plan.whole[candidate]
        uniform[whole] = rng.random(clusters.n)[clusters.codes[whole]]

    scores, base = np.full(n, np.nan), np.zeros(n)
    for k in range(plan.n):
        rows = np.flatnonzero(candidate == k)
        if len(rows) and plan.weights[k]:
            by_row = sum_score(columns, plan.weights[k], plan.amputed(k))[rows]
            units = _units(rows, clusters) if plan.whole[k] else np.arange(len(rows))
            by_unit = np.bincount(units, by_row) / np.bincount(units)
            scores[rows] = by_unit[units]
            base[rows] = _base(plan, k, by_unit)[units]
        elif plan.odds is not None:
            base[rows] = 1.0  # nobody has more of a chance than others
    probability = _chances(plan, candidate, base, effect, clusters, prop)
    pattern = np.where(uniform < probability, candidate + 1, 0)
    return Drawn(candidate + 1, pattern, probability, scores)


def _candidates(
    plan: Patterns, clusters: ClusterIndex | None, n: int, rng: np.random.Generator
) -> Numbers:
    """Draw a pattern, numbered from 0, for each row: first whole clusters, then other rows."""
    candidate = np.zeros(n, dtype=np.int64)
    by_rows = np.where(plan.whole, 0, plan.freq)
    by_clusters = np.where(plan.whole, plan.freq, 0)
    if by_rows.any():
        candidate = rng.choice(plan.n, size=n, p=by_rows / by_rows.sum())
    if clusters is not None and by_clusters.any():
        taken = rng.random(clusters.n) < by_clusters.sum()
        if not by_rows.any():
            taken[:] = True  # frequencies sum to 1 only to rounding
        pick = rng.choice(plan.n, size=clusters.n, p=by_clusters / by_clusters.sum())
        candidate = np.where(taken[clusters.codes], pick[clusters.codes], candidate)
    return candidate.astype(np.int64)


def _units(rows: Numbers, clusters: ClusterIndex | None) -> Numbers:
    assert clusters is not None  # only clusters make a pattern go by whole clusters
    return np.unique(clusters.codes[rows], return_inverse=True)[1].astype(np.int64)


def _base(plan: Patterns, k: int, scores: Array) -> Array:
    """Log-odds before the shift, or odds, of each unit."""
    if plan.odds is None:
        return CURVES[plan.types[k]](standardised(scores))
    return plan.odds[k][quantile_groups(scores, len(plan.odds[k]))]


def _chances(
    plan: Patterns,
    candidate: Numbers,
    base: Array,
    effect: Array,
    clusters: ClusterIndex | None,
    prop: Any,
) -> Array:
    by_cluster = clusters is not None and not isinstance(prop, float)
    groups = clusters.codes if clusters is not None and by_cluster else candidate
    probability = np.zeros(len(base))
    for group in np.unique(groups):
        rows = groups == group
        mean = float(prop[group]) if by_cluster else float(prop)
        if plan.odds is None:
            probability[rows] = chances_on_curve(base[rows] + effect[rows], mean)
            continue
        found = chances_by_odds(base[rows], effect[rows], mean)
        if found is None:
            where = (
                f"cluster {clusters.labels[group]!r}"
                if clusters is not None and by_cluster
                else f"pattern {group + 1}"
            )
            raise SpecificationError(
                f"odds of 0 leave {np.mean(base[rows] > 0):.1%} of the candidates in {where}, too "
                f"few for a share of {mean:.3g}; give a smaller prop or fewer odds of 0."
            )
        probability[rows] = found
    return probability
