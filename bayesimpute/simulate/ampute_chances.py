"""Who loses values by a pattern, and clusters that never recorded a variable.

Chances are logistic curves or odds of a row's score. Source: Schouten, R. M., Lugtig, P. & Vink, G.
(2018), Journal of Statistical Computation and Simulation 88, 2909-2930. There the shift of a curve
is the one a normal score would need; here it is solved for the scores at hand, so that the mean
chance is the proportion asked for.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.arrays import Array
from bayesimpute.data.table import ClusterIndex
from bayesimpute.errors import SpecificationError
from bayesimpute.simulate.ampute_patterns import CURVES, Columns, Patterns, standardised, sum_score
from bayesimpute.wording import did_you_mean, listed

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
    factors: Mapping[str, ClusterIndex],
    prop: float | Array,
    prop_sd: Mapping[str, float],
    rng: np.random.Generator,
) -> Drawn:
    """Assign rows to patterns and draw which of them lose values.

    Parameters
    ----------
    plan
        The patterns; None for none.
    columns
        The data.
    factors
        Columns that group the rows, those of the most clusters first, with their clusters.
    prop
        Mean chance in each pattern, or, where one column groups them, in each cluster (cluster,).
    prop_sd
        SD of cluster effects on logits, by column.
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
    candidate = _candidates(plan, factors, n, rng)
    effect = np.zeros(n)
    for name, sd in prop_sd.items():
        effect += rng.normal(0, sd, factors[name].n)[factors[name].codes]
    uniform = rng.random(n)
    for factor, clusters in factors.items():
        if factor in plan.units:
            whole = np.array([unit == factor for unit in plan.units])[candidate]
            uniform[whole] = rng.random(clusters.n)[clusters.codes[whole]]

    scores, base = np.full(n, np.nan), np.zeros(n)
    for k in range(plan.n):
        rows = np.flatnonzero(candidate == k)
        if len(rows) and plan.weights[k]:
            by_row = sum_score(columns, plan.weights[k], plan.amputed(k))[rows]
            units = np.arange(len(rows))
            if (unit := plan.units[k]) is not None:
                units = np.unique(factors[unit].codes[rows], return_inverse=True)[1]
            by_unit = np.bincount(units, by_row) / np.bincount(units)
            scores[rows] = by_unit[units]
            base[rows] = _base(plan, k, by_unit)[units]
        elif plan.odds is not None:
            base[rows] = 1.0  # nobody has more of a chance than others
    first = next(iter(factors.values()), None)
    probability = _chances(plan, candidate, base, effect, first, prop)
    pattern = np.where(uniform < probability, candidate + 1, 0)
    return Drawn(candidate + 1, pattern, probability, scores)


def _candidates(
    plan: Patterns, factors: Mapping[str, ClusterIndex], n: int, rng: np.random.Generator
) -> Numbers:
    """Draw a pattern, numbered from 0, for each row: of those that go by rows, then by clusters.

    Clusters that hold others take their rows last. Those taken before are so many that each
    pattern has its frequency.
    """
    candidate = np.zeros(n, dtype=np.int64)
    done = 0.0

    def of(factor: str | None) -> Array:
        return np.where([unit == factor for unit in plan.units], plan.freq, 0.0)

    by_rows = of(None)
    if by_rows.any():
        candidate = rng.choice(plan.n, size=n, p=by_rows / by_rows.sum())
        done = float(by_rows.sum())
    for factor, clusters in factors.items():
        own = of(factor)
        if own.any():
            taken = rng.random(clusters.n) < own.sum() / (own.sum() + done)
            if done == 0.0:
                taken[:] = True  # frequencies sum to 1 only to rounding
            pick = rng.choice(plan.n, size=clusters.n, p=own / own.sum())
            candidate = np.where(taken[clusters.codes], pick[clusters.codes], candidate)
            done += float(own.sum())
    return candidate.astype(np.int64)


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


def quantile_groups(scores: Array, n: int) -> npt.NDArray[np.int64]:
    """Which of n groups of equal size a score falls in, from 0; equal scores share a group."""
    cuts = np.quantile(scores, np.arange(1, n) / n)
    return np.searchsorted(cuts, scores, side="left").astype(np.int64)


def chances_on_curve(curve: Array, mean: float) -> Array:
    """Logistic chances of log-odds plus a shift, which is solved so that their mean is `mean`.

    Parameters
    ----------
    curve
        Log-odds before the shift, (row,).
    mean
        From 0 to 1.

    Returns
    -------
    ndarray (row,)
    """
    from scipy.special import expit, logit

    if mean in (0, 1) or len(curve) == 0 or np.ptp(curve) == 0:
        return np.full(len(curve), float(mean))
    wanted = logit(mean)
    # at these shifts every chance is below the mean, or above it
    low, high = wanted - curve.max() - 1, wanted - curve.min() + 1
    return np.asarray(expit(curve + root(lambda b: expit(curve + b).mean() - mean, low, high)))


def chances_by_odds(odds: Array, effect: Array, mean: float) -> Array | None:
    """Chances min(1, c × odds), c solved so that their mean is `mean`.

    Parameters
    ----------
    odds
        Relative chance of each row, from 0 (row,).
    effect
        What is added to the logit of each chance, (row,).
    mean
        From 0 to 1.

    Returns
    -------
    ndarray (row,), or None if too many odds are 0 for this mean.
    """
    from scipy.special import expit, logit

    if mean == 0 or len(odds) == 0:
        return np.zeros(len(odds))
    positive = odds > 0

    def chances(log_c: float) -> Array:
        found = np.zeros(len(odds))
        found[positive] = np.minimum(1, np.exp(log_c) * odds[positive])
        return np.asarray(expit(logit(found) + effect))

    if positive.mean() < mean - 1e-12:
        return None
    # the highest c makes every chance 1 where odds are not 0
    high = float(-np.log(odds[positive].min())) + 1e-9
    if chances(high).mean() - mean <= 1e-12:
        return chances(high)
    low = -60 - float(np.log(odds.max())) - float(np.abs(effect).max())
    return chances(root(lambda log_c: chances(log_c).mean() - mean, low, high))


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function is 0, between two places where it has different signs."""
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-13, rtol=1e-14, maxiter=500))


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
