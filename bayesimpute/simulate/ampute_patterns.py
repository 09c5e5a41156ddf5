"""Missing-data patterns of an amputation: what goes missing together, by what score, in which rows.

Chances are logistic curves or odds of a row's score. Source: Schouten, R. M., Lugtig, P. & Vink, G.
(2018), Journal of Statistical Computation and Simulation 88, 2909-2930. There the shift of a curve
is the one a normal score would need; here it is solved for the scores at hand, so that the mean
chance is the proportion asked for.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute.arrays import Array
from bayesimpute.data.table import ClusterIndex, Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.wording import did_you_mean, listed

Rows = npt.NDArray[np.bool_]

#: A weight, or a number for each label of a variable without order.
Weight = float | Mapping[Any, float]

#: Kinds whose values, or codes, say more and less.
WITH_ORDER = (Kind.NUMERIC, Kind.ORDINAL, Kind.BINARY)

MECHANISMS = ("MCAR", "MAR", "MNAR")

#: Curve of the log-odds in a standardised score.
CURVES: Mapping[str, Callable[[Array], Array]] = {
    "RIGHT": lambda z: z,
    "LEFT": lambda z: -z,
    "MID": lambda z: -np.abs(z),
    "TAIL": lambda z: np.abs(z),
}

#: Relative chance of each quarter of the scores, from the lowest, as in mice.
ODDS = (1.0, 2.0, 3.0, 4.0)


@dataclass(frozen=True, eq=False)
class Patterns:
    """Patterns in the order given; numbers of patterns count from 1 where users see them.

    Attributes
    ----------
    variables
        Columns of the data without the cluster column.
    missing
        Whether the pattern takes the variable away, bool (pattern, variable).
    freq
        Share of the rows that are candidates of the pattern (pattern,).
    weights
        For each pattern, variable -> weight, those of 0 left out.
    types
        Curve of each pattern.
    odds
        For each pattern the relative chances of its groups; None for curves.
    units
        Column whose whole clusters are the candidates of each pattern; None for rows.
    """

    variables: tuple[str, ...]
    missing: npt.NDArray[np.bool_]
    freq: npt.NDArray[np.float64]
    weights: tuple[Mapping[str, Weight], ...]
    types: tuple[str, ...]
    odds: tuple[npt.NDArray[np.float64], ...] | None
    units: tuple[str | None, ...]

    @property
    def n(self) -> int:
        """Number of patterns."""
        return len(self.missing)

    def amputed(self, k: int) -> frozenset[str]:
        """Variables that pattern k, from 0, takes away."""
        return frozenset(v for v, gone in zip(self.variables, self.missing[k], strict=True) if gone)

    def frame(self) -> pd.DataFrame:
        """Matrix of the patterns, 1 where a variable stays observed, one row a pattern from 1."""
        index = pd.RangeIndex(1, self.n + 1, name="pattern")
        return pd.DataFrame((~self.missing).astype(int), index=index, columns=self.variables)

    def share_of_cases(self, share_of_cells: Any) -> Any:
        """Proportion of rows that gives a proportion of cells, as ``bycases=False`` asks.

        Parameters
        ----------
        share_of_cells
            A number, or one for each cluster (cluster,).

        Raises
        ------
        SpecificationError
            If even all rows would not lose enough.
        """
        most = float(self.freq @ self.missing.sum(axis=1)) / len(self.variables)
        # all rows incomplete is a proportion of 1, to rounding
        if np.max(share_of_cells) > most * (1 + 1e-12):
            raise SpecificationError(
                f"prop={np.max(share_of_cells):g} of the cells cannot go missing: with these "
                f"patterns it is {most:.3g} if every row loses some. Give a smaller prop, or "
                "patterns with more variables."
            )
        cases = np.minimum(1, np.asarray(share_of_cells, dtype=np.float64) / most)
        return float(cases) if cases.ndim == 0 else cases


@dataclass(frozen=True, eq=False)
class Columns:
    """The complete columns as scores and selection equations see them.

    Attributes
    ----------
    table
        The complete data.
    std
        Whether columns are brought to mean 0 and SD 1.
    removed
        Variable -> rows of the clusters that never had it, bool (row,).
    """

    table: Table
    std: bool
    removed: Mapping[str, Rows]

    def numbers(
        self, name: str, labels: Mapping[Any, float] | None = None, of_all: bool = False
    ) -> Array:
        """Values of a column, in canonical row order, or the number given for each label.

        In the rows of clusters it is removed from, it is the mean of the other rows unless
        `of_all`: what happens there to other variables must not depend on values nobody will see.
        """
        values = self.table.values[name]
        if labels is not None:
            scores = [labels.get(label, 0.0) for label in self.table.variables[name].categories]
            values = np.array(scores, dtype=np.float64)[values.astype(np.int64)]
        known = np.ones(len(values), dtype=bool)
        if not of_all and name in self.removed:
            known = ~self.removed[name]
        result = np.full(len(values), 0.0 if self.std else values[known].mean())
        result[known] = standardised(values[known]) if self.std else values[known]
        return result


def standardised(values: Array) -> Array:
    """Mean 0 and SD 1 (divisor n − 1); zeros where values do not differ."""
    centred = values - values.mean() if len(values) else values
    sd = values.std(ddof=1) if len(values) > 1 else 0.0
    if sd <= 1e-12 * np.abs(values).max(initial=0.0):
        return np.zeros(len(values))
    return np.asarray(centred / sd)


def has_order(table: Table, name: str) -> bool:
    """Whether a column can enter a sum: numbers, ordered categories, and two categories."""
    return table.variables[name].kind in WITH_ORDER


def sum_score(columns: Columns, weights: Mapping[str, Weight], amputed: frozenset[str]) -> Array:
    """Weighted sum of the columns, (row,); 0 without weights.

    Parameters
    ----------
    columns
        The data.
    weights
        Variable -> weight.
    amputed
        Variables that go missing in this pattern: they count with their complete values, as what
        depends on them is missing not at random on purpose.
    """
    total = np.zeros(columns.table.n_rows)
    for name, weight in weights.items():
        labels, factor = (weight, 1.0) if isinstance(weight, Mapping) else (None, weight)
        total += factor * columns.numbers(name, labels, of_all=name in amputed)
    return total


def unknown(what: str, name: Any, names: Iterable[str]) -> SpecificationError:
    """Say that an argument names what is no variable, and what there is."""
    return SpecificationError(
        f"{what} {str(name)!r}, which is no column that can go missing: {listed(names)}."
        f"{did_you_mean(name, names)}"
    )


def make_patterns(
    table: Table,
    variables: Sequence[str],
    units: Callable[[Sequence[Sequence[str]]], tuple[str | None, ...]],
    selected: frozenset[str],
    *,
    patterns: Any,
    freq: Any,
    mech: Any,
    weights: Any,
    cont: bool,
    type: Any,
    odds: Any,
) -> Patterns:
    """Check and complete what the user says about patterns.

    Parameters
    ----------
    table
        The data.
    variables
        Columns without the cluster column.
    units
        Gives the column whose whole clusters lose the variables of each pattern.
    selected
        Variables with a selection equation, which no pattern takes away.
    patterns, freq, mech, weights, cont, type, odds
        As :func:`bayesimpute.simulate.ampute.ampute` takes them.

    Raises
    ------
    SpecificationError
        Naming the argument and the pattern.
    """
    names = tuple(variables)
    missing = _missing(patterns, names, selected)
    n = len(missing)
    by_pattern = _weights(table, names, missing, selected, mech, weights)
    types = [type] * n if isinstance(type, str) or not np.iterable(type) else list(type)
    _one_each("type", types, n, "entries")
    curves = tuple(_choice("type", each, CURVES) for each in types)
    of = units([[names[j] for j in np.flatnonzero(row)] for row in missing])
    return Patterns(names, missing, _freq(freq, n), by_pattern, curves, _odds(odds, cont, n), of)


def _choice(argument: str, given: Any, known: Iterable[str]) -> str:
    """Give a word in capitals, if it is known."""
    if str(given).upper() not in known:
        hint = did_you_mean(given, known)
        raise SpecificationError(f"{argument}={given!r} must be one of {listed(known)}.{hint}")
    return str(given).upper()


def _one_each(argument: str, given: Collection[Any], n: int, what: str = "rows") -> None:
    if len(given) != n:
        raise SpecificationError(
            f"{argument} has {len(given)} {what} for {n} patterns; give one each."
        )


def _numbers(given: Any, otherwise: float = np.nan) -> Array:
    """Give an array of numbers, of one number where there are none."""
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        return np.array([otherwise])


def _missing(given: Any, names: tuple[str, ...], selected: frozenset[str]) -> Any:
    if given is None:
        missing = np.eye(len(names), dtype=bool)[[name not in selected for name in names]]
    elif isinstance(given, pd.DataFrame | np.ndarray):
        matrix = _matrix("patterns", given, names, 1.0)
        if not np.isin(matrix, (0, 1)).all():
            raise SpecificationError("patterns must hold 1 (stays observed) and 0 (goes missing).")
        missing = matrix == 0
    else:
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise SpecificationError(_PATTERNS_ARE)
        rows = [{row} if isinstance(row, str) else row for row in given]
        for row in rows:
            known = not isinstance(row, Mapping) and np.iterable(row)
            if not known or not all(isinstance(name, str) for name in row):
                raise SpecificationError(_PATTERNS_ARE)
            for name in sorted(set(row) - set(names)):
                raise unknown("patterns names", name, names)
        missing = np.array([[name in row for name in names] for row in rows], dtype=bool)
    if len(missing) == 0:
        raise SpecificationError("patterns is empty; give at least one pattern.")
    for k, row in enumerate(missing, start=1):
        if not row.any():
            raise SpecificationError(f"Pattern {k} takes no variable away; leave it out.")
        both = [names[j] for j in np.flatnonzero(row) if names[j] in selected]
        if both:
            raise SpecificationError(
                f"Pattern {k} takes '{both[0]}' away, which has a selection equation; "
                "choose one of the two."
            )
    return missing


_PATTERNS_ARE = (
    "patterns must be a list with, for each pattern, the names of the variables that go missing, "
    "as in [['x'], ['x', 'y']]; or a DataFrame or array with 1 where a variable stays observed."
)


def _matrix(what: str, given: Any, names: tuple[str, ...], default: float) -> Any:
    """Numbers (pattern, variable); columns a frame leaves out get the default."""
    if isinstance(given, pd.DataFrame):
        for name in given.columns:
            if name not in names:
                raise unknown(f"{what} has a column", name, names)
        given = given.reindex(columns=list(names), fill_value=default).to_numpy()
    try:
        matrix = np.atleast_2d(np.asarray(given, dtype=np.float64))
    except (TypeError, ValueError):
        raise SpecificationError(f"{what} must hold numbers only.") from None
    if matrix.ndim != 2 or matrix.shape[1] != len(names):
        raise SpecificationError(
            f"{what} must have {len(names)} columns, in the order {', '.join(names)}; it has "
            f"shape {matrix.shape}."
        )
    return matrix


def _freq(given: Any, n: int) -> Any:
    if given is None:
        return np.full(n, 1 / n)
    freq = _numbers(given)
    if freq.shape != (n,) or not np.isfinite(freq).all() or (freq < 0).any() or not freq.any():
        raise SpecificationError(
            f"freq={given!r} must be {n} relative frequencies from 0, one a pattern, not all 0."
        )
    return freq / freq.sum()


def _odds(given: Any, cont: bool, n: int) -> tuple[npt.NDArray[np.float64], ...] | None:
    if cont:
        if given is not None:
            raise SpecificationError("odds are of groups of the score; give cont=False with them.")
        return None
    given = ODDS if given is None else given
    if not np.iterable(given) or isinstance(given, str | Mapping):
        raise SpecificationError(f"odds={given!r} must be numbers, one a group of the score.")
    rows = list(given.to_numpy() if isinstance(given, pd.DataFrame) else given)
    if all(np.ndim(row) == 0 for row in rows):
        rows = [rows] * n
    _one_each("odds", rows, n)
    found = []
    for k, row in enumerate(rows, start=1):
        values = _numbers(row, -1.0)
        values = values[~np.isnan(values)]  # a matrix whose rows have different lengths
        if values.ndim != 1 or not (np.isfinite(values) & (values >= 0)).all():
            raise SpecificationError(f"odds of pattern {k} must be numbers from 0, not {row!r}.")
        if not values.any():
            raise SpecificationError(f"odds of pattern {k} are all 0; nothing would go missing.")
        found.append(values)
    return tuple(found)


def _weights(
    table: Table,
    names: tuple[str, ...],
    missing: Any,
    selected: frozenset[str],
    mech: Any,
    given: Any,
) -> tuple[Mapping[str, Weight], ...]:
    mechanism = _choice("mech", mech, MECHANISMS)
    if given is not None:
        if mechanism == "MCAR":
            raise SpecificationError(
                "mech='MCAR' has no weights, as no value matters; leave one of the two out."
            )
        rows: list[Mapping[str, Any]]
        if isinstance(given, Mapping):
            rows = [given] * len(missing)
        elif isinstance(given, pd.DataFrame | np.ndarray):
            matrix = _matrix("weights", given, names, 0.0)
            rows = [dict(zip(names, row.tolist(), strict=True)) for row in matrix]
        elif isinstance(given, Sequence) and all(isinstance(row, Mapping) for row in given):
            rows = list(given)
        else:
            raise SpecificationError(
                "weights must be a mapping from variables to numbers, a list of one such mapping a "
                "pattern, or a DataFrame or array (pattern, variable)."
            )
        _one_each("weights", rows, len(missing))
        for k, row in enumerate(rows, start=1):
            for name, weight in row.items():
                if name not in names:
                    raise unknown(f"weights of pattern {k} names", name, names)
                check_weight(table, name, weight, f"weights of pattern {k}")
        return tuple({name: w for name, w in row.items() if w != 0} for row in rows)
    found: list[Mapping[str, Weight]] = []
    for k, gone in enumerate(missing, start=1):
        side = gone if mechanism == "MNAR" else ~gone
        # what a selection equation takes away is not observed, and would make MAR something else
        weighed = [names[j] for j in np.flatnonzero(side) if names[j] not in selected]
        found.append({name: 1.0 for name in weighed if has_order(table, name)})
        if mechanism == "MCAR":
            found[-1] = {}
        elif not found[-1]:
            stays = "goes missing" if mechanism == "MNAR" else "stays observed"
            raise SpecificationError(
                f"mech='{mechanism}': in pattern {k} no variable with numbers or an order {stays}, "
                "so there is nothing the chance could depend on; give weights=, another pattern, "
                "or mech='MCAR'."
            )
    return tuple(found)


def check_weight(table: Table, name: str, weight: Any, where: str) -> None:
    """Raise SpecificationError unless a column can have this weight.

    Parameters
    ----------
    table
        The data.
    name
        Column.
    weight
        A number, or a mapping from labels to numbers.
    where
        Start of the message.
    """
    variable = table.variables[name]
    labels = weight if isinstance(weight, Mapping) else {None: weight}
    if isinstance(weight, Mapping) and not variable.categories:
        raise SpecificationError(f"{where}: '{name}' has numbers, not labels; give it one weight.")
    for label, number in labels.items():
        if isinstance(weight, Mapping) and label not in variable.categories:
            hint = did_you_mean(label, variable.categories)
            raise SpecificationError(
                f"{where}: '{name}' has no label {label!r}, only "
                f"{listed(variable.categories)}.{hint}"
            )
        if isinstance(number, bool | str) or not np.isfinite(_numbers(number)).all():
            of = f"label {label!r}" if isinstance(weight, Mapping) else "the weight"
            raise SpecificationError(
                f"{where}: {of} of '{name}' is {number!r}; it must be a finite number."
            )
    if isinstance(weight, Mapping) or weight == 0 or has_order(table, name):
        return
    if variable.kind is Kind.NOMINAL:
        example = {label: float(k == 0) for k, label in enumerate(variable.categories[:2])}
        raise SpecificationError(
            f"{where}: the categories of '{name}' have no order; give it weight 0, or a number "
            f"for each label, as in {{'{name}': {example}}}."
        )
    raise SpecificationError(
        f"{where}: '{name}' ({variable.dtype}) is no number; give it weight 0, or make a "
        "numeric column of it."
    )


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
            own = clusters.codes[whole]
            uniform[whole] = rng.random(clusters.n)[own]
            if clusters.varying(np.where(whole, effect, np.nan)).any():
                # one chance a cluster, as its score is: the mean over its rows
                size = np.maximum(np.bincount(own, minlength=clusters.n), 1)
                effect[whole] = (np.bincount(own, effect[whole], clusters.n) / size)[own]

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
            if plan.odds is None:
                base[rows] = CURVES[plan.types[k]](standardised(by_unit))[units]
            else:
                odds = plan.odds[k]
                base[rows] = odds[quantile_groups(by_unit, len(odds))][units]
        elif plan.odds is not None:
            base[rows] = 1.0  # nobody has more of a chance than others
    by_cluster = not isinstance(prop, float)
    first = next(iter(factors.values()), None)
    groups = first.codes if first is not None and by_cluster else candidate
    probability = np.zeros(n)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        mean = float(np.atleast_1d(prop)[group if by_cluster else 0])
        if plan.odds is None:
            probability[rows] = chances_on_curve(base[rows] + effect[rows], mean)
            continue
        found = chances_by_odds(base[rows], effect[rows], mean)
        if found is None:
            where = f"pattern {group + 1}"
            if first is not None and by_cluster:
                where = f"cluster {first.labels[group]!r}"
            raise SpecificationError(
                f"odds of 0 leave {np.mean(base[rows] > 0):.1%} of the candidates in {where}, too "
                f"few for a share of {mean:.3g}; give a smaller prop or fewer odds of 0."
            )
        probability[rows] = found
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
