"""bi.ampute: complete data made incomplete, by patterns, by clusters, and by selection."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import Seed, checked
from bayesimpute.data.table import ClusterIndex, Table
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.explore.patterns import distinct_codes
from bayesimpute.interchange import Frame, taken
from bayesimpute.interchange import given as as_given
from bayesimpute.simulate.ampute_patterns import (
    Columns,
    amputed_by_pattern,
    make_patterns,
    unknown,
)
from bayesimpute.simulate.ampute_selection import check_selection, select
from bayesimpute.wording import did_you_mean, listed, visible


@dataclass(frozen=True, eq=False)
class Factors:
    """Columns that group rows.

    Attributes
    ----------
    by_name
        Column -> clusters of the rows, in the order given; empty without clusters.
    """

    by_name: Mapping[str, ClusterIndex]

    @classmethod
    def of(cls, table: Table, cluster: str | Sequence[str] | None) -> "Factors":
        """Give clusters their numbers.

        Raises
        ------
        SpecificationError
            If there is no such column, or one is named twice.
        DataError
            If nothing is left that could go missing.
        """
        names = [] if cluster is None else [cluster] if isinstance(cluster, str) else list(cluster)
        for name in names:
            if name not in table.variables:
                hint = did_you_mean(name, table.variables)
                raise SpecificationError(
                    f"cluster={name!r} is no column of the data: {listed(table.variables)}.{hint}"
                )
        if len(set(names)) < len(names):
            raise SpecificationError(f"cluster={names!r} names a column twice.")
        if names and len(table.variables) == len(names):
            raise DataError("Besides the cluster column there is no column that could go missing.")
        return cls({name: table.clusters(name) for name in names})

    @property
    def first(self) -> ClusterIndex | None:
        """Clusters of the first column, None without."""
        return next(iter(self.by_name.values()), None)

    def levels(self, table: Table, names: Iterable[str]) -> dict[str, str]:
        """Give variables that never vary within clusters, and the column whose clusters these are.

        That of the fewest clusters, where there are several.
        """
        found = {}
        for name in names:
            values = distinct_codes(table, name)
            constant = [f for f, clusters in self.by_name.items() if clusters.is_level2(values)]
            if constant:
                found[name] = min(constant, key=lambda factor: self.by_name[factor].n)
        return found

    def units(
        self, levels: Mapping[str, str], patterns: Sequence[Sequence[str]]
    ) -> tuple[str | None, ...]:
        """Give the column whose whole clusters lose each pattern's variables; None for rows.

        Raises
        ------
        SpecificationError
            If patterns go by clusters that cut each other: those of one would be torn by the other.
        """

        def size(factor: str) -> int:
            return self.by_name[factor].n

        found = []
        for names in patterns:
            of = {levels[name] for name in names if name in levels}
            found.append(min(of, key=size, default=None))
        used = {levels[name] for names in patterns for name in names if name in levels}
        for upper, lower in combinations(sorted(used, key=size), 2):
            if not self.by_name[lower].is_level2(self.by_name[upper].codes.astype(float)):
                raise SpecificationError(
                    f"patterns take away variables of {upper!r} and of {lower!r}, whose "
                    "clusters cross, so that not all rows of a cluster would lose them; make "
                    "the data incomplete by one after the other."
                )
        return tuple(found)

    def share(self, prop: Any) -> float | npt.NDArray[np.float64]:
        """Proportion of all, or of each cluster (cluster,).

        Raises
        ------
        SpecificationError
            If it is none, or a cluster is left out or does not exist.
        """
        if not isinstance(prop, Mapping):
            return check_share("prop", prop)
        clusters = self.first
        if clusters is None:
            raise SpecificationError("prop has a share for each cluster; say which with cluster=.")
        if len(self.by_name) > 1:
            raise SpecificationError(
                f"prop has a share for each cluster, and there are those of {listed(self.by_name)};"
                " give one number, or cluster= one column."
            )
        found = np.full(clusters.n, np.nan)
        for label, value in prop.items():
            found[_number(label, clusters, "prop")] = check_share(f"prop[{label!r}]", value)
        absent = [clusters.labels[k] for k in np.flatnonzero(np.isnan(found))]
        if absent:
            raise SpecificationError(
                f"prop has no proportion for {len(absent)} of {clusters.n} clusters: "
                f"{listed(absent)}."
            )
        return found

    def prop_sd(self, given: Any, share: Any) -> dict[str, float]:
        """SD of the effects on chances of each column's clusters, those of 0 left out.

        Raises
        ------
        SpecificationError
            Unless chances can vary so.
        """
        if isinstance(given, Mapping):
            for factor in given:
                if factor not in self.by_name:
                    raise unknown("prop_sd names", factor, list(self.by_name))
            sds = dict(given)
        else:
            sds = dict.fromkeys(self.by_name, given)
        for factor, value in (sds or {"": given}).items():
            where = f"prop_sd[{factor!r}]" if isinstance(given, Mapping) else "prop_sd"
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not 0 <= float(value) < np.inf:
                raise SpecificationError(f"{where}={value!r} must be a number from 0.")
            if value != 0 and not self.by_name:
                raise SpecificationError("prop_sd is about clusters; say which with cluster=.")
            if value != 0 and not isinstance(share, float):
                raise SpecificationError(
                    "prop gives each cluster its share, so that nothing is left for prop_sd; leave "
                    "one out."
                )
        return {factor: float(sds[factor]) for factor in self.by_name if sds.get(factor)}

    def systematic(
        self, variable: str, given: Any, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.bool_], Any]:
        """Rows that a variable is removed from, (row,), and the labels of their clusters.

        Raises
        ------
        SpecificationError
            If there are none such, or it is not said of which column they are.
        """
        if not self.by_name:
            raise SpecificationError("systematic is about clusters; say which with cluster=.")
        where, one = f"systematic['{variable}']", len(self.by_name) == 1
        if one and not isinstance(given, Mapping):
            given = {next(iter(self.by_name)): given}
        if not isinstance(given, Mapping):
            example = {next(iter(self.by_name)): 0.2}
            raise SpecificationError(
                f"{where}={given!r}: clusters are those of {listed(self.by_name)}; say of which, "
                f"as in {example}."
            )
        removed = np.zeros(len(next(iter(self.by_name.values())).codes), dtype=bool)
        labels = {}
        for factor, wanted in given.items():
            if factor not in self.by_name:
                raise unknown(f"{where} names", factor, list(self.by_name))
            clusters = self.by_name[factor]
            label = variable if one else f"{variable}'] of '{factor}"
            chosen = systematic_clusters(label, wanted, clusters, rng)
            removed |= np.isin(clusters.codes, chosen)
            labels[factor] = tuple(clusters.labels[k] for k in chosen)
        if removed.all():
            raise SpecificationError(
                f"{where} removes the variable from every row, by one column or another; leave "
                "rows that keep it."
            )
        return removed, next(iter(labels.values()), ()) if one else labels


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
        chosen = np.array([_number(label, clusters, where) for label in wanted], dtype=np.int64)
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


def _number(label: Any, clusters: ClusterIndex, where: str) -> int:
    numbers = {label: number for number, label in enumerate(clusters.labels)}
    try:
        return numbers[label]
    except (KeyError, TypeError):
        raise SpecificationError(
            f"{where} names cluster {label!r}, which is not in the data ({listed(numbers)})."
            f"{did_you_mean(label, numbers)}"
        ) from None


# First elements of the spawn keys: adding one mechanism changes no draw of the others.
PATTERNS, SYSTEMATIC, SELECTION = range(3)


@dataclass(frozen=True, eq=False)
class Amputed:
    """Data made incomplete by :func:`bayesimpute.ampute`; all rows in the order of the data.

    Attributes
    ----------
    incomplete
        The data with gaps. Integers become floats, and booleans pandas' nullable ``boolean``, in
        columns with gaps; all other dtypes and all categories stay.
    complete
        A copy of the data.
    pattern
        Number of the pattern by which each row lost values; 0 if it lost none by a pattern.
    patterns
        One row a pattern, numbered from 1, one column a variable: 1 where it stays observed. As
        ``patterns=`` takes it; without rows if there were none.
    candidate
        Number of the pattern each row was a candidate of; 0 without patterns.
    probability
        Chance of each row to lose the values of its candidate pattern.
    scores
        Weighted sum score of each row in its candidate pattern, before it is standardised among
        the candidates (mean of the cluster where candidates are whole clusters). NaN without
        weights.
    systematic
        Variable -> labels of the clusters it was removed from; with several cluster columns a
        mapping from column to labels.
    selection
        Variable -> frame with ``residual`` e, ``error`` u, ``latent`` and ``probability`` of each
        row, as :class:`bayesimpute.simulate.Selection` describes them.
    seed
        With which the same call gives the same data.
    """

    incomplete: pd.DataFrame
    complete: pd.DataFrame
    pattern: "pd.Series[Any]"
    patterns: pd.DataFrame
    candidate: "pd.Series[Any]"
    probability: "pd.Series[Any]"
    scores: "pd.Series[Any]"
    systematic: Mapping[str, Any]
    selection: Mapping[str, pd.DataFrame]
    seed: int

    def __repr__(self) -> str:
        """Count what is missing: in all, by variable, by pattern."""
        counts = (each.to_string() for each in self._counts())
        return visible("\n\n".join([self._heading(), *counts]))

    def _repr_html_(self) -> str:
        return html.plain(self._heading(), *(html.frame(each) for each in self._counts()))

    def _heading(self) -> str:
        gone = taken(self.incomplete)[0].isna()
        n, rows = len(gone), int(gone.any(axis=1).sum())
        return f"Amputed: {rows} of {n} rows incomplete ({rows / n:.1%}), seed {self.seed}"

    def _counts(self) -> list[pd.DataFrame]:
        """Missing values by variable, then rows by pattern."""
        gone = taken(self.incomplete)[0].isna()
        parts = []
        with_gaps = [name for name in gone.columns if gone[name].any()]
        if with_gaps:
            table = pd.DataFrame(
                {
                    "missing": [int(gone[name].sum()) for name in with_gaps],
                    "share": [f"{gone[name].mean():.1%}" for name in with_gaps],
                },
                index=pd.Index(with_gaps, name="variable"),
            )
            if self.systematic:
                of = [self.systematic.get(name, ()) for name in with_gaps]
                several = [each.values() if isinstance(each, Mapping) else [each] for each in of]
                table["clusters without"] = [sum(map(len, each)) for each in several]
            parts.append(table)
        if len(self.patterns):
            by_pattern = pd.DataFrame(
                {
                    "candidates": self.candidate.value_counts(),
                    "amputed": self.pattern.value_counts(),
                    "mean chance": self.probability.groupby(self.candidate.to_numpy()).mean(),
                },
                index=self.patterns.index,
            )
            shown = by_pattern[["candidates", "amputed"]].fillna(0).astype(int)
            shown["mean chance"] = by_pattern["mean chance"].map("{:.3f}".format)
            shown["without"] = [
                ", ".join(row.index[row == 0]) for _, row in self.patterns.iterrows()
            ]
            parts.append(shown)
        return parts


@checked
def ampute(
    data: Frame,
    prop: Any = 0.5,
    patterns: Sequence[Any] | pd.DataFrame | npt.NDArray[Any] | None = None,
    freq: Sequence[float] | None = None,
    mech: str = "MAR",
    weights: Any = None,
    std: bool = True,
    cont: bool = True,
    type: Any = "RIGHT",
    odds: Any = None,
    bycases: bool = True,
    *,
    seed: Seed | None = None,
    cluster: str | Sequence[str] | None = None,
    systematic: Any = None,
    prop_sd: Any = 0.0,
    selection: Any = None,
) -> Amputed:
    """Make complete data incomplete, as ``ampute`` of mice does, also in clusters.

    1. Each row becomes a candidate of one pattern, drawn by `freq`.
    2. In each pattern a row has a score, the weighted sum of its (standardised) columns, which is
       standardised once more among the candidates: z.
    3. Its chance to lose the pattern's variables is logit⁻¹(b + f(z)), f(z) being z (RIGHT), −z
       (LEFT), −abs(z) (MID) or abs(z) (TAIL); or min(1, c × odds of its quantile group). b or c is
       solved so that the mean chance of the candidates is `prop`. mice takes the b that a normal
       score would need, so that shares of skewed scores differ from `prop` there.
    4. Values go missing by these chances, by selection equations, and in whole clusters,
       independently of each other.

    Rows are drawn in the order of the index (of position, if labels repeat), so that shuffled rows
    with their labels lose the same values. Renaming clusters changes nothing.

    Parameters
    ----------
    data
        Complete data: numbers, categories, booleans, text; any column may go missing. Not modified.
    prop
        Expected share of rows that lose values by a pattern (default 0.5, as in mice), from 0;
        with ``bycases=False`` of cells. A mapping from every cluster to its own share solves one b
        a cluster in place of one a pattern.
    patterns
        Which variables go missing together: a list with their names for each pattern, as in
        ``[["x"], ["x", "y"]]``; or a DataFrame or array (pattern, variable) with 0 where a variable
        goes missing and 1 where it stays, without the cluster column. By default one variable at a
        time; none if `selection` is given.
    freq
        Relative frequency of each pattern among candidates. Default: equal.
    mech
        ``"MAR"`` (default): columns that stay observed in the pattern have weight 1, others 0.
        ``"MNAR"``: those that go missing have weight 1. ``"MCAR"``: no score.
    weights
        Weights in place of those of `mech`: a mapping from variables to numbers for all patterns, a
        list of one mapping a pattern, or a DataFrame or array (pattern, variable). Variables left
        out have weight 0. Ordered categories count by their position, two categories as 0 and 1.
        For categories without order give a number for each label, ``{"colour": {"red": 1}}``, 0
        for labels left out; by default they have weight 0.
    std
        Whether columns are brought to mean 0 and SD 1 over all rows before they are weighed
        (default, as in mice, which does so among candidates).
    cont
        Whether chances follow a curve (default), or `odds`.
    type
        Curve, one for all patterns or a list of one a pattern: ``"RIGHT"`` (default; high scores go
        missing), ``"LEFT"``, ``"MID"``, ``"TAIL"``.
    odds
        With ``cont=False``: relative chances of groups of equal size, from low to high scores; one
        sequence, or one a pattern. Default 1, 2, 3, 4.
    bycases
        Whether `prop` counts rows (default) or cells: the cells of all columns but the cluster
        column, emptied by patterns.
    seed
        Whole number from 0; the same seed gives the same data. Default: a fresh one, which the
        result records.
    cluster
        Column of cluster ids: it stays observed and enters no score. A pattern with a variable that
        is constant in every cluster then goes by whole clusters: these are candidates, with the
        mean score of their rows, and lose the pattern's variables in all rows or none. Several
        columns, ``["school", "class"]`` or ``["subject", "item"]``, may be nested or crossed: a
        variable goes by the clusters, the fewest, that it is constant in.
    systematic
        Variable -> share of the clusters (rounded to a whole number of them), or list of their
        labels, in which nobody recorded it. Shares are drawn without looking at values. Comes on
        top of `prop`. In those clusters the variable enters scores and selection equations with its
        mean elsewhere, so that MAR stays MAR (except scores of patterns that take it away). With
        several cluster columns say of which: ``{"x": {"school": 0.1, "class": ["3b"]}}``.
    prop_sd
        SD of normal cluster effects on the logits of chances; the mean chance stays `prop`.
        Default 0. With several cluster columns the SD of the effects of each, or a mapping; a
        cluster that loses values as a whole has the mean of the effects of its rows.
    selection
        Variable -> :class:`bayesimpute.simulate.Selection`: a selection equation after Heckman,
        missing not at random. Such variables have weight 0 unless `weights` names them. Its effects
        by cluster are those of the first cluster column.

    Returns
    -------
    Amputed
        With ``incomplete``, ``complete``, ``pattern``, ``patterns``, ``candidate``,
        ``probability``, ``scores``, ``systematic``, ``selection`` and ``seed``.

    Raises
    ------
    DataError
        If data are no frame, a value is missing or infinite, or an outcome has no residual.
    SpecificationError
        If an argument does not fit the data or another argument.

    References
    ----------
    Schouten, R. M., Lugtig, P. & Vink, G. (2018). Generating missing values for simulation
    purposes: a multivariate amputation procedure. Journal of Statistical Computation and
    Simulation 88, 2909-2930.

    Heckman, J. J. (1976). The common structure of statistical models of truncation, sample
    selection and limited dependent variables. Annals of Economic and Social Measurement 5, 475-492.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> pupils = bi.simulate.simulate_popularity(seed=1).complete
    >>> made = bi.ampute(pupils, prop=0.3, patterns=[["popular"], ["popular", "texp"]],
    ...                  cluster="school", seed=1)
    >>> float(made.probability.mean().round(8))
    0.3
    >>> made.patterns
             popular  sex  texp  teachpop
    pattern
    1              0    1     1         1
    2              0    1     0         1

    A rating that a fifth of the schools never made, and popularity that is seen less often where it
    is low, given all the rest:

    >>> made = bi.ampute(
    ...     pupils, prop=0.4, cluster="school", systematic={"teachpop": 0.2}, seed=1,
    ...     selection={"popular": bi.simulate.Selection({"sex": 0.5}, rho=0.6, intercept_sd=0.3)},
    ... )
    >>> len(made.systematic["teachpop"])
    20
    >>> float(made.selection["popular"]["probability"].mean().round(8))
    0.4
    """
    frame, origin = taken(data)
    table = _complete_table(frame)
    factors = Factors.of(table, cluster)
    names = [name for name in table.variables if name not in factors.by_name]
    levels = factors.levels(table, names)
    for what, given in {"systematic": systematic, "selection": selection}.items():
        if given is not None and not isinstance(given, Mapping):
            raise SpecificationError(f"{what}={given!r} must be a mapping from variables.")
    entropy = fresh_seed() if seed is None else int(seed)
    share = factors.share(prop)
    sds = factors.prop_sd(prop_sd, share)
    equations = dict(selection or {})
    for name, equation in equations.items():
        check_selection(name, equation, table, factors.by_name, levels)

    plan, of_rows = None, share
    if patterns is not None or not equations:
        plan = make_patterns(
            table, names, partial(factors.units, levels), frozenset(equations),
            patterns=patterns, freq=freq, mech=mech, weights=weights, cont=bool(cont), type=type,
            odds=odds,
        )  # fmt: skip
        if not bycases:
            of_rows = plan.share_of_cases(share)
    else:
        of_patterns = {
            "freq": freq is not None, "mech": mech != "MAR", "weights": weights is not None,
            "cont": not cont, "type": type != "RIGHT", "odds": odds is not None,
            "bycases": not bycases, "prop_sd": bool(sds),
        }  # fmt: skip
        if any(of_patterns.values()):
            raise SpecificationError(
                f"{next(name for name, given in of_patterns.items() if given)} is about patterns, "
                "and with selection= there are none unless patterns= says which."
            )

    removed = {}
    for name, clusters in (systematic or {}).items():
        if name not in names and factors.by_name:
            raise unknown("systematic names", name, names)
        at = names.index(name) if name in names else 0
        removed[name] = factors.systematic(name, clusters, _rng(entropy, SYSTEMATIC, at))
    columns = Columns(table, bool(std), {name: rows for name, (rows, _) in removed.items()})
    finest_first = sorted(factors.by_name.items(), key=lambda factor: -factor[1].n)
    rng = _rng(entropy, PATTERNS)
    drawn = amputed_by_pattern(plan, columns, dict(finest_first), of_rows, sds, rng)
    nowhere = np.zeros(table.n_rows, dtype=bool)
    gone = {name: columns.removed.get(name, nowhere).copy() for name in names}
    if plan is not None:
        for j, name in enumerate(plan.variables):
            gone[name] |= (drawn.pattern > 0) & plan.missing[drawn.candidate - 1, j]
    selected = {}
    for name, equation in equations.items():
        wanted = share if equation.prop is None else float(equation.prop)
        rng = _rng(entropy, SELECTION, names.index(name))
        selected[name] = select(
            name, equation, columns, factors.first, wanted, factors.by_name, rng
        )
        gone[name] |= selected[name]["latent"].to_numpy() <= 0

    def by_row(values: npt.NDArray[Any], name: str) -> "pd.Series[Any]":
        return pd.Series(_in_rows(table, values), index=table.frame.index, name=name)

    return Amputed(
        incomplete=as_given(_with_gaps(table, gone), origin),
        complete=as_given(table.frame.copy(), origin),
        pattern=by_row(drawn.pattern, "pattern"),
        patterns=pd.DataFrame(columns=names, dtype=int) if plan is None else plan.frame(),
        candidate=by_row(drawn.candidate, "candidate"),
        probability=by_row(drawn.probability, "probability"),
        scores=by_row(drawn.scores, "score"),
        systematic={name: labels for name, (_, labels) in removed.items()},
        selection={
            name: pd.DataFrame(
                {column: _in_rows(table, frame[column].to_numpy()) for column in frame},
                index=table.frame.index,
            )
            for name, frame in selected.items()
        },
        seed=entropy,
    )


def _rng(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _in_rows(table: Table, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """From canonical row order to the user's."""
    found = np.empty_like(values)
    found[table.rows] = values
    return found


def _with_gaps(table: Table, gone: Mapping[str, npt.NDArray[np.bool_]]) -> pd.DataFrame:
    incomplete = table.frame.copy()
    for name, rows in gone.items():
        if rows.any():
            column = incomplete[name]
            # plain booleans with gaps would become arbitrary objects
            column = column.astype("boolean") if column.dtype == np.dtype(bool) else column
            incomplete[name] = column.mask(_in_rows(table, rows))
    return incomplete


def _complete_table(data: Any) -> Table:
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
