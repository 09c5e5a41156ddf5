"""``bi.suggest_methods``: a method for every column, with the reason.

The documented rule of micemd, in micemd's own method names; then the likelihood that a column looks
like. Its limits are conventions, chosen so that a sample of a few hundred from the family in
question is told from its neighbours; where two methods serve, the one that fails more gently is
taken.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import CountOrNone, Share, checked
from bayesimpute.data.table import ClusterIndex, Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.registry import resolve
from bayesimpute.specification import aliases
from bayesimpute.specification.defaults import default_method, names_rows
from bayesimpute.specification.groupings import checked_groupings
from bayesimpute.wording import did_you_mean, one_line, visible

#: R's column classes that the rule tells apart.
CLASSES = ("factor", "integer", "numeric")

_ENDINGS = {"factor": "bin", "integer": "pois", "numeric": "norm"}


@dataclass(frozen=True)
class Limits:
    """Limits of the rule, with micemd's defaults.

    Attributes
    ----------
    I_small
        Most clusters that count as few.
    ni_small
        Most observed values that make a cluster small.
    prop_small
        With a larger share of small clusters, the one-stage method is chosen.
    """

    I_small: int = 7
    ni_small: int = 100
    prop_small: float = 0.4


def r_classes(table: Table, given: Mapping[str, str] | None) -> dict[str, str]:
    """R's class of each column: as given, or else as its pandas dtype suggests.

    Categories, text and booleans are factors, whole-number dtypes integers, the rest numeric: a
    column of whole numbers that pandas holds as floats because some are missing is numeric here,
    and integer where R read it from a file.

    Raises
    ------
    SpecificationError
        If a column or a class does not exist.
    """
    for name, value in (given or {}).items():
        if name not in table.variables:
            raise SpecificationError(
                f"classes names {name!r}, which is no column of the data."
                f"{did_you_mean(name, table.variables)}"
            )
        if value not in CLASSES:
            raise SpecificationError(
                f"classes gives {value!r} for {name!r}; the rule knows {', '.join(CLASSES)}."
            )
    return {name: (given or {}).get(name, _by_dtype(table, name)) for name in table.variables}


def _by_dtype(table: Table, name: str) -> str:
    variable = table.variables[name]
    if variable.categories:
        return "factor"
    whole = variable.kind is Kind.NUMERIC and pd.api.types.is_integer_dtype(variable.dtype)
    return "integer" if whole else "numeric"


def documented_rule(
    values: np.ndarray, clusters: ClusterIndex, r_class: str, limits: Limits
) -> tuple[str, str]:
    """Give the method of one incomplete column, and why.

    micemd documents that clusters with *observed* values are counted; its code counts those with
    missing ones. This is the documented rule.

    Parameters
    ----------
    values
        float64 (row,), NaN where missing.
    clusters
        Cluster of each row.
    r_class
        One of `CLASSES`.
    limits
        What is few, and what is small.

    Returns
    -------
    method, reason
    """
    count = clusters.n_observed(values)
    count = count[count > 0]
    few = len(count) <= limits.I_small
    small = float(np.mean(count <= limits.ni_small)) if len(count) else 0.0
    counted = (
        f"{len(count)} clusters have observed values ({'at most' if few else 'more than'} "
        f"I_small={limits.I_small:g})"
    )
    if r_class == "factor" and not few:
        return "2l.jomo", f"A factor, and {counted}."
    stage = "glm" if small > limits.prop_small else "2stage"
    share = (
        f"{small:.0%} of them have at most ni_small={limits.ni_small:g} "
        f"({'more than' if stage == 'glm' else 'not more than'} prop_small={limits.prop_small:g})"
    )
    article = "An" if r_class == "integer" else "A"
    return (
        f"2l.{stage}.{_ENDINGS[r_class]}",
        f"{article} {r_class} column; {counted}, and {share}.",
    )


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
        The same, less their cluster's mean; without clusters that vary less the mean.
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
    values = column[observed]
    codes, seen, systematic = np.zeros(len(values), dtype=np.int64), 0, 0
    if clusters is not None:
        systematic = int(clusters.systematic(column).sum())
        if level == 2:
            _, first = np.unique(clusters.codes[observed], return_index=True)
            values, codes = values[first], codes[: len(first)]
        else:
            seen = clusters.n - systematic
            # where no two values of a cluster differ, they differ from the mean of all
            codes = clusters.codes[observed] if clusters.varying(column).any() else codes
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
        seen,
        systematic,
        level,
        len(variable.categories),
        variable.kind is Kind.OTHER or names_rows(table, name),
    )


def is_level_2(values: np.ndarray, clusters: ClusterIndex | None) -> bool:
    """Whether a column is taken as a property of clusters, as ``bi.impute`` decides it."""
    return clusters is not None and clusters.has_property(values)


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
        return aliases.YES_NO, "Two categories."
    if facts.kind is Kind.ORDINAL:
        return aliases.ORDERED, f"{facts.n_categories} ordered categories, whose order is kept."
    return aliases.UNORDERED, (
        f"{facts.n_categories} categories without order. If they have one, make the column an "
        "ordered category."
    )


def _number(facts: Facts) -> tuple[str, str]:
    values, distinct = facts.values, np.unique(facts.values)
    if len(distinct) == 2:
        low, high = distinct
        return aliases.YES_NO, (
            f"A number that is only ever {low:g} or {high:g}: a yes/no variable."
        )
    whole = _all_whole(values)
    if whole and values.min() >= 0 and _is_count(facts):
        return _count(facts)
    if len(values) < FEW_VALUES:
        return aliases.NUMBER, (
            f"Only {len(values)} observed values: too few to judge a distribution by, or to find "
            "donors among."
        )
    if whole and len(distinct) <= MOST_GRADES:
        return aliases.ORDERED, (
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
        return aliases.SPREAD_COUNT, (
            f"Counts whose variance{where} is {dispersion:.1f} times their mean: more than a "
            "Poisson model could draw."
        )
    return aliases.COUNT, (
        f"Counts whose variance{where} is about their mean ({dispersion:.1f} times it)."
    )


def _all_whole(values: np.ndarray) -> bool:
    return bool(np.all(values == np.round(values)))


def _continuous(facts: Facts, whole: bool) -> tuple[str, str]:
    from scipy.special import ndtr

    values, n = facts.values, len(facts.values)
    numbers = "Whole numbers with many values" if whole else "A continuous variable"
    unique, count = np.unique(values, return_counts=True)
    if whole and len(unique) <= LONGEST_SCORE:
        return aliases.MATCHING, (
            f"A score of {len(unique)} distinct whole numbers; matching keeps to them and to "
            "their bounds."
        )
    second, top = np.sort(count)[-2:]
    if top / n >= SPIKE and top > 2 * second:
        return aliases.MATCHING, (
            f"{numbers}, {top / n:.0%} of them exactly {unique[count.argmax()]:g}; matching "
            "copies such a spike, no smooth model does."
        )
    low, middle, high = np.quantile(facts.within, [0.1, 0.5, 0.9])
    skewness = (high + low - 2 * middle) / (high - low) if high > low else 0.0
    if abs(skewness) > max(SKEWED, 2.5 / np.sqrt(n)):
        return aliases.MATCHING, (
            f"{numbers} with a long {'right' if skewness > 0 else 'left'} tail; matching keeps "
            f"it. A transformation and {aliases.NUMBER!r} would serve as well."
        )
    below = ndtr(-values.mean() / values.std())
    if values.min() >= 0 and below > BEYOND_ZERO:
        return aliases.MATCHING, (
            f"{numbers}, never negative, where a normal model would draw {below:.0%} below zero; "
            f"matching stays in range. With known bounds, {aliases.BOUNDED!r} does too."
        )
    deviations = facts.within - facts.within.mean()
    kurtosis = np.mean(deviations**4) / np.mean(deviations**2) ** 2 - 3
    if kurtosis > max(HEAVY, 4 * np.sqrt(24 / n)):
        return aliases.HEAVY_TAILED, (
            f"{numbers}, symmetric but with heavy tails or outliers (excess kurtosis "
            f"{kurtosis:.1f}); Student-t errors keep these from driving the coefficients."
        )
    return aliases.NUMBER, f"{numbers}, about symmetric, without heavy tails."


def _notes(facts: Facts, method: str) -> list[str]:
    """Sentences for what the user should know besides."""
    notes = []
    if facts.level == 2:
        notes.append("It never varies within clusters: one value a cluster is imputed.")
    elif facts.systematic:
        those = f"{facts.systematic} cluster{'s' * (facts.systematic != 1)} without any value"
        if method == aliases.MATCHING:
            notes.append(
                f"In {those} only values seen in other clusters can be imputed; if these may lie "
                f"outside them, use {aliases.NUMBER!r}."
            )
        else:
            notes.append(f"The effects of {those} are drawn from the population of clusters.")
    if method in (aliases.NUMBER, aliases.HEAVY_TAILED) and _all_whole(facts.values):
        notes.append("Round imputed values with post= if they have to be whole.")
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


RULES = ("default", "likelihood", "find.defaultMethod")

_COMPLETE = "Complete: nothing to impute."


@dataclass(frozen=True, eq=False, repr=False)
class Suggestions(Mapping[str, str]):
    """Column -> method, to be given to ``bi.impute`` as it is, and why.

    To change one, make a dict: ``{**suggestions, "age": "normal"}``.

    Attributes
    ----------
    rule
        The rule that chose.
    methods
        Column -> method, ``""`` for columns that are not imputed.
    reasons
        Column -> a sentence or two.
    """

    rule: str
    methods: Mapping[str, str]
    reasons: Mapping[str, str]
    _table: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row a column of the data (a copy).

        Columns ``method``, ``reason``, ``kind``, ``level`` (2: constant within clusters),
        ``n_observed``, ``n_missing``, and with clusters ``clusters_sporadic`` and
        ``clusters_systematic``: those with some and with all values missing.
        """
        return self._table.copy()

    def __getitem__(self, name: str) -> str:
        return self.methods[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.methods)

    def __len__(self) -> int:
        return len(self.methods)

    def __repr__(self) -> str:
        chosen = {name: method for name, method in self.methods.items() if method}
        complete = sum(reason == _COMPLETE for reason in self.reasons.values())
        left = [n for n, method in self.methods.items() if not method and not self._is_complete(n)]
        wide = max((len(one_line(name)) for name in [*chosen, *left]), default=0)
        broad = max((len(method) for method in chosen.values()), default=1)
        lines = [f"Suggested methods (rule {self.rule!r}); complete columns: {complete}"]
        lines += [
            f"  {one_line(name):<{wide}}  {self.methods[name] or '–':<{broad}}  {reason}"
            for name in [*chosen, *left]
            for reason in [one_line(self.reasons[name])]
        ]
        return visible("\n".join(lines))

    def _repr_html_(self) -> str:
        head = html.tag("tr", *(html.tag("th", each) for each in ("variable", "method", "reason")))
        body = [
            html.tag(
                "tr",
                html.tag("td", name),
                html.tag("td", html.tag("code", method or "–")),
                html.tag("td", self.reasons[name], style="text-align:left"),
            )
            for name, method in self.methods.items()
            if not self._is_complete(name)
        ]
        heading = html.tag("p", "Suggested methods (rule ", html.tag("code", self.rule), ")")
        table = html.tag("table", html.tag("thead", head), html.tag("tbody", *body))
        return str(html.join([heading, table]))

    def _is_complete(self, name: str) -> bool:
        return self.reasons[name] == _COMPLETE


@checked
def suggest_methods(
    df: pd.DataFrame,
    cluster: str | Sequence[str] | None = None,
    rule: str = "default",
    *,
    classes: Mapping[str, str] | None = None,
    I_small: CountOrNone = 7,
    ni_small: CountOrNone = 100,
    prop_small: Share = 0.4,
) -> Suggestions:
    """Suggest a method for each column, and say why.

    Parameters
    ----------
    df
        Any frame.
    cluster
        Column of cluster ids, or several.
    rule
        ``"default"``: what ``bi.impute`` takes where no method is named (:func:`make_method`),
        with a closer look at each column in the reason. ``"likelihood"``: each variable keeps its
        own likelihood; see Notes.
        ``"find.defaultMethod"``: the documented rule of micemd's function of that name, in the
        method names of mice.
    classes
        For ``"find.defaultMethod"``, where R's column classes decide: column -> ``"factor"``,
        ``"integer"`` or ``"numeric"``. Default: categories, text and booleans are factors,
        whole-number dtypes integers, other numbers numeric.
    I_small, ni_small, prop_small
        For ``"find.defaultMethod"``: a variable observed in at most `I_small` clusters has few;
        a cluster with at most `ni_small` observed values is small; with a share of small clusters
        over `prop_small` a one-stage method is chosen. Defaults are micemd's.

    Returns
    -------
    Suggestions
        A mapping column -> method with ``.reasons`` and ``.table``.

    Raises
    ------
    DataError, SpecificationError
        If data or arguments cannot be used.

    Notes
    -----
    By default: numbers ``pmm``, but ``logistic`` where they are only ever 0 or 1; categories their
    likelihood; a column of one value or of none is not imputed.

    ``"likelihood"``: two categories, or a number with two values: ``logistic``; ordered
    categories: ``ordinal``; others: ``categorical``. Counts (whole numbers from 0 or 1, with a
    right tail, spread at least as Poisson): ``poisson``, or ``negative_binomial`` where the
    variance within clusters is over 1.5 times the mean. Up to 7 other whole numbers: ``ordinal``;
    longer scores: ``pmm``. Continuous numbers: ``pmm`` if skewed, with a spike, or close above
    zero; ``normal.robust`` if symmetric with heavy tails; else ``normal``. The rule sees one
    column at a time, not what depends on what.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> methods = bi.suggest_methods(study.incomplete, cluster="school")
    >>> methods["popular"], methods["sex"]
    ('pmm', '')
    >>> bi.suggest_methods(study.incomplete, "school", rule="likelihood")["popular"]
    'normal'
    >>> imp = bi.impute(study.incomplete, "school", method=methods)  # doctest: +SKIP
    """
    limits = Limits(I_small, ni_small, prop_small)
    _check_rule(rule, cluster, classes, limits)
    table = Table.from_frame(df)
    groupings = checked_groupings(cluster, table)
    # of several groupings that of most clusters: what is of the others is of these too
    clusters = table.clusters(groupings[0]) if groupings else None
    r_class = r_classes(table, classes)
    chosen: dict[str, tuple[str, str]] = {}
    for name, variable in table.variables.items():
        if not table.missing(name).any():
            chosen[name] = "", _COMPLETE
        elif rule != "find.defaultMethod" or variable.kind is Kind.OTHER:
            facts = facts_of(table, name, clusters)
            default = rule == "default"
            chosen[name] = (
                explain_default(facts, default_method(table, name)[0]) if default else choose(facts)
            )
        else:
            assert clusters is not None
            values = table.values[name]
            chosen[name] = documented_rule(values, clusters, r_class[name], limits)
    methods = {name: method for name, (method, _) in chosen.items()}
    reasons = {name: reason for name, (_, reason) in chosen.items()}
    return Suggestions(
        rule,
        MappingProxyType(methods),
        MappingProxyType(reasons),
        _overview(table, clusters, methods, reasons),
    )


def _check_rule(rule: Any, cluster: Any, classes: Any, limits: Limits) -> None:
    if rule not in RULES:
        raise SpecificationError(f"rule={rule!r} must be one of {', '.join(map(repr, RULES))}.")
    if rule == "find.defaultMethod":
        if cluster is None:
            raise SpecificationError("rule='find.defaultMethod' counts clusters; give cluster=.")
    elif classes is not None or limits != Limits():
        raise SpecificationError(
            "classes, I_small, ni_small and prop_small belong to rule='find.defaultMethod'; the "
            f"rule {rule!r} looks at the values."
        )


def _overview(
    table: Table,
    clusters: ClusterIndex | None,
    methods: Mapping[str, str],
    reasons: Mapping[str, str],
) -> pd.DataFrame:
    rows = []
    for name, variable in table.variables.items():
        values = table.values[name]
        missing = int(table.missing(name).sum())
        row: dict[str, Any] = {
            "method": methods[name],
            "reason": reasons[name],
            "kind": str(variable.kind),
            "level": 2 if is_level_2(values, clusters) else 1,
            "n_observed": table.n_rows - missing,
            "n_missing": missing,
        }
        if clusters is not None:
            row["clusters_sporadic"] = int(clusters.sporadic(values).sum())
            row["clusters_systematic"] = int(clusters.systematic(values).sum())
        rows.append(row)
    return pd.DataFrame(rows, index=pd.Index(table.variables, name="variable"))
