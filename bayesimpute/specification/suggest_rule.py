"""What ``bi.suggest_methods`` says of a column: the likelihood it looks like, and the reason.

The limits are conventions, chosen so that a sample of a few hundred from the family in question is
told from its neighbours; where two methods serve, the one that fails more gently is taken.
"""

from dataclasses import dataclass

import numpy as np

from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Kind, Table
from bayesimpute.registry import resolve
from bayesimpute.specification.aliases import (
    BOUNDED,
    COUNT,
    HEAVY_TAILED,
    MATCHING,
    NUMBER,
    ORDERED,
    SPREAD_COUNT,
    UNORDERED,
    YES_NO,
)
from bayesimpute.specification.defaults import usable_as_predictor

#: With fewer observed values, neither the shape of a distribution nor donors can be relied on.
FEW_VALUES = 30
#: Up to so many distinct whole numbers are grades of a scale (the longest Likert scales have 7).
MOST_GRADES = 7
#: Counts whose mean is larger are so close to continuous that matching serves them better.
LARGEST_MEAN_COUNT = 10.0
#: Variance over mean within clusters, of a Poisson variable 1.
UNDERDISPERSED, OVERDISPERSED = 0.8, 1.5
#: Kelly's quantile skewness; of a gamma(4) variable 0.2, of an exponential one 0.46.
SKEWED = 0.2
#: Excess kurtosis; of a Student-t variable with 7 degrees of freedom 2, with 5 it is 6.
HEAVY = 2.0
#: Share of the values that are one and the same number, over twice as many as any other.
SPIKE = 0.1
#: Longer scales of whole numbers are as good as continuous.
LONGEST_SCORE = 11
#: Normal probability of values beyond zero when none was observed there.
BEYOND_ZERO = 0.01
#: With so few clusters, the prior of their SD decides much of the result.
FEW_CLUSTERS = 5
#: Fewest values in a category before its coefficients depend on their prior.
RARE = 10


@dataclass(frozen=True, eq=False)
class Facts:
    """What the rule knows of one incomplete column.

    Attributes
    ----------
    kind
        Kind of the column.
    values
        Observed values; of a level-2 column one a cluster.
    within
        The same, less their cluster's mean; without clusters less the mean.
    expected
        Mean of each value's cluster, (value,).
    clusters
        Clusters in which something is observed; 0 without clusters or at level 2.
    systematic
        Clusters in which nothing is observed.
    level
        1 or 2.
    n_categories
        Categories of the dtype, observed or not.
    names_rows
        Whether labels identify rows.
    """

    kind: Kind
    values: np.ndarray
    within: np.ndarray
    expected: np.ndarray
    clusters: int
    systematic: int
    level: int
    n_categories: int
    names_rows: bool


def facts_of(table: Table, name: str, clusters: ClusterIndex | None) -> Facts:
    """Work out what the rule knows of a column."""
    variable, column = table.variables[name], table.values[name]
    level = 2 if is_level_2(column, clusters) else 1
    observed = ~np.isnan(column)
    if clusters is None:
        codes, systematic = np.zeros(int(observed.sum()), dtype=np.int64), 0
        values = column[observed]
    else:
        systematic = int(clusters.systematic(column).sum())
        codes, values = clusters.codes[observed], column[observed]
        if level == 2:
            _, first = np.unique(codes, return_index=True)
            values, codes = values[first], np.zeros(len(first), dtype=np.int64)
    size = np.bincount(codes)
    mean = np.bincount(codes, values) / np.maximum(size, 1) if len(values) else np.empty(0)
    # deviations from an estimated mean are too small by sqrt(1 - 1/n)
    shrunk = np.sqrt(1 - 1 / np.maximum(size, 1))[codes]
    inside = shrunk > 0
    return Facts(
        variable.kind,
        values,
        ((values - mean[codes])[inside] / shrunk[inside]),
        mean[codes][inside],
        len(np.unique(codes)) if clusters is not None and level == 1 else 0,
        systematic,
        level,
        len(variable.categories),
        not usable_as_predictor(table, name),
    )


def is_level_2(values: np.ndarray, clusters: ClusterIndex | None) -> bool:
    """Whether a column is taken as a property of clusters, as ``bi.impute`` decides it."""
    if clusters is None or not clusters.is_level2(values):
        return False
    repeated = clusters.n_observed(values) >= 2
    return bool(repeated.sum() >= max(2, clusters.n / 2))


def choose(facts: Facts) -> tuple[str, str]:
    """Give the method with the likelihood a column looks like, and the reason."""
    method, reason = _likelihood(facts)
    return (method, " ".join([reason, *_notes(facts, method)])) if method else (method, reason)


def explain_default(facts: Facts, default: str) -> tuple[str, str]:
    """Give the method ``bi.impute`` takes by itself, and what to think of it."""
    method, reason = _likelihood(facts)
    if facts.names_rows and default:
        return default, f"{reason} Matching copies the label of another row; '' leaves the gaps."
    if not method:
        return method, reason
    if method != default:
        reason += f" Matched by default, as in mice; rule='likelihood' takes {method!r}."
    return default, " ".join([reason, *_notes(facts, default)])


def _likelihood(facts: Facts) -> tuple[str, str]:
    return _without_model(facts) or (
        _number(facts) if facts.kind is Kind.NUMERIC else _category(facts)
    )


def _without_model(facts: Facts) -> tuple[str, str] | None:
    if facts.kind is Kind.OTHER:
        return "", "Neither a number nor a category: it is left as it is."
    if len(facts.values) == 0:
        return "", "Nothing is observed, so there is nothing to learn from; drop it."
    if len(np.unique(facts.values)) == 1:
        return "", "All observed values are equal, so there is no spread to impute from; drop it."
    if facts.names_rows:
        return "", "Its labels identify rows, so no value says anything of another."
    return None


def _category(facts: Facts) -> tuple[str, str]:
    if facts.kind is Kind.BINARY:
        return YES_NO, "Two categories."
    if facts.kind is Kind.ORDINAL:
        return ORDERED, f"{facts.n_categories} ordered categories, whose order is kept."
    return UNORDERED, (
        f"{facts.n_categories} categories without order. If they have one, make the column an "
        "ordered category."
    )


def _number(facts: Facts) -> tuple[str, str]:
    values, distinct = facts.values, np.unique(facts.values)
    if len(distinct) == 2:
        low, high = distinct
        return YES_NO, (f"A number that is only ever {low:g} or {high:g}: a yes/no variable.")
    whole = bool(np.all(values == np.round(values)))
    if whole and values.min() >= 0 and _is_count(facts):
        return _count(facts)
    if len(values) < FEW_VALUES:
        return NUMBER, (
            f"Only {len(values)} observed values: too few to judge a distribution by, or to find "
            "donors among."
        )
    if whole and len(distinct) <= MOST_GRADES:
        return ORDERED, (
            f"{len(distinct)} distinct whole numbers, not spread as counts are: grades of a "
            "scale, whose bounds and order are kept. If they only name groups, make the column a "
            "category."
        )
    return _continuous(facts, whole)


def _is_count(facts: Facts) -> bool:
    """Tell counts from scores: from zero upwards, spread at least as Poisson, and a right tail.

    A negative-binomial variable of mean μ and variance φμ has the skewness (2φ − 1)/√(φμ), a
    score between two bounds has little or none; half that skewness divides them.
    """
    values = facts.values
    mean, variance = values.mean(), values.var()
    if values.min() > 1 or mean > LARGEST_MEAN_COUNT or _dispersion(facts) < UNDERDISPERSED:
        return False
    ratio = max(variance / mean, 1.0)
    skewness = np.mean((values - mean) ** 3) / variance**1.5
    return bool(skewness > 0.5 * (2 * ratio - 1) / np.sqrt(ratio * mean))


def _dispersion(facts: Facts) -> float:
    """Variance over mean within clusters: spread between clusters is what their effects are for."""
    mean = facts.expected.mean() if len(facts.expected) else 0.0
    return float(np.mean(facts.within**2) / mean) if mean > 0 else 1.0


def _count(facts: Facts) -> tuple[str, str]:
    dispersion = _dispersion(facts)
    # Pearson's statistic over its degrees of freedom has this standard error
    limit = max(OVERDISPERSED, 1 + 2 * np.sqrt(2 / max(len(facts.within), 1)))
    where = " within clusters" if facts.clusters else ""
    if dispersion > limit:
        return SPREAD_COUNT, (
            f"Counts whose variance{where} is {dispersion:.1f} times their mean: more than a "
            "Poisson model could draw."
        )
    return COUNT, (f"Counts whose variance{where} is about their mean ({dispersion:.1f} times it).")


def _continuous(facts: Facts, whole: bool) -> tuple[str, str]:
    from scipy.special import ndtr

    values, n = facts.values, len(facts.values)
    numbers = "Whole numbers with many values" if whole else "A continuous variable"
    unique, count = np.unique(values, return_counts=True)
    if whole and len(unique) <= LONGEST_SCORE:
        return MATCHING, (
            f"A score of {len(unique)} distinct whole numbers; matching keeps to them and to "
            "their bounds."
        )
    second, top = np.sort(count)[-2:]
    if top / n >= SPIKE and top > 2 * second:
        return MATCHING, (
            f"{numbers}, {top / n:.0%} of them exactly {unique[count.argmax()]:g}; matching "
            "copies such a spike, no smooth model does."
        )
    low, middle, high = np.quantile(facts.within, [0.1, 0.5, 0.9])
    skewness = (high + low - 2 * middle) / (high - low) if high > low else 0.0
    if abs(skewness) > max(SKEWED, 2.5 / np.sqrt(n)):
        return MATCHING, (
            f"{numbers} with a long {'right' if skewness > 0 else 'left'} tail; matching keeps "
            f"it. A transformation and {NUMBER!r} would serve as well."
        )
    below = ndtr(-values.mean() / values.std())
    if values.min() >= 0 and below > BEYOND_ZERO:
        return MATCHING, (
            f"{numbers}, never negative, where a normal model would draw {below:.0%} below zero; "
            f"matching stays in range. With known bounds, {BOUNDED!r} does too."
        )
    deviations = facts.within - facts.within.mean()
    kurtosis = np.mean(deviations**4) / np.mean(deviations**2) ** 2 - 3
    if kurtosis > max(HEAVY, 4 * np.sqrt(24 / n)):
        return HEAVY_TAILED, (
            f"{numbers}, symmetric but with heavy tails or outliers (excess kurtosis "
            f"{kurtosis:.1f}); Student-t errors keep these from driving the coefficients."
        )
    if whole:
        return NUMBER, (
            f"{numbers}, about symmetric, without heavy tails; round imputed values with post= "
            "if they have to be whole."
        )
    return NUMBER, f"{numbers}, about symmetric, without heavy tails."


def _notes(facts: Facts, method: str) -> list[str]:
    """Sentences for what the user should know besides."""
    notes = []
    if facts.level == 2:
        notes.append("It never varies within clusters: one value a cluster is imputed.")
    elif facts.systematic:
        those = f"{facts.systematic} cluster{'s' * (facts.systematic != 1)} without any value"
        if method == MATCHING:
            notes.append(
                f"In {those} only values seen in other clusters can be imputed; if these may lie "
                f"outside them, use {NUMBER!r}."
            )
        else:
            notes.append(f"The effects of {those} are drawn from the population of clusters.")
    if 0 < facts.clusters <= FEW_CLUSTERS:
        notes.append(
            f"With values in {facts.clusters} cluster{'s' * (facts.clusters != 1)} only, the "
            "prior of the SD between clusters matters: see bi.priors()."
        )
    if Kind.NUMERIC not in resolve(method).kinds:
        count = np.unique(facts.values, return_counts=True)[1]
        rarest = int(count.min())
        if facts.n_categories > len(count):
            notes.append(f"{facts.n_categories - len(count)} of the categories never occur.")
        if rarest < RARE:
            notes.append(
                f"The rarest has {rarest} observed value{'s' * (rarest != 1)}: the prior keeps "
                "its coefficients finite, and decides much of them."
            )
    return notes
