"""bi.ampute: complete data made incomplete, by patterns, by clusters, and by selection."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute.arguments import NotNegative, Seed, checked
from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Table
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import SpecificationError
from bayesimpute.simulate.ampute_checks import (
    check_arguments,
    check_no_patterns,
    check_prop_sd,
    clusters_of,
    complete_table,
    constant_in_clusters,
    share_of,
)
from bayesimpute.simulate.ampute_draw import amputed_by_pattern
from bayesimpute.simulate.ampute_patterns import make_patterns
from bayesimpute.simulate.ampute_result import Amputed
from bayesimpute.simulate.ampute_scores import Columns
from bayesimpute.simulate.ampute_selection import check_selection, select
from bayesimpute.simulate.ampute_systematic import systematic_clusters
from bayesimpute.wording import did_you_mean, listed

# First elements of the spawn keys: adding one mechanism changes no draw of the others.
PATTERNS, SYSTEMATIC, SELECTION = range(3)


@checked
def ampute(
    data: pd.DataFrame,
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
    cluster: str | None = None,
    systematic: Any = None,
    prop_sd: NotNegative = 0.0,
    selection: Any = None,
) -> Amputed:
    """Make complete data incomplete, as ``ampute`` of mice does, also in clusters.

    1. Each row becomes a candidate of one pattern, drawn by `freq`.
    2. In each pattern a row has a score, the weighted sum of its (standardised) columns, which is
       standardised once more among the candidates: z.
    3. Its chance to lose the pattern's variables is logit⁻¹(b + f(z)), f(z) being z (RIGHT), −z
       (LEFT), −|z| (MID) or |z| (TAIL); or min(1, c × odds of its quantile group). b or c is
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
        mean score of their rows, and lose the pattern's variables in all rows or none.
    systematic
        Variable -> share of the clusters (rounded to a whole number of them), or list of their
        labels, in which nobody recorded it. Shares are drawn without looking at values. Comes on
        top of `prop`. In those clusters the variable enters scores and selection equations with its
        mean elsewhere, so that MAR stays MAR (except scores of patterns that take it away).
    prop_sd
        SD of normal cluster effects on the logits of chances; the mean chance stays `prop`.
        Default 0.
    selection
        Variable -> :class:`bayesimpute.simulate.Selection`: a selection equation after Heckman,
        missing not at random. Such variables have weight 0 unless `weights` names them.

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
    table = complete_table(data)
    clusters = clusters_of(table, cluster)
    names = [name for name in table.variables if name != cluster]
    level2 = constant_in_clusters(table, names, clusters)
    check_arguments(
        {"std": std, "cont": cont, "bycases": bycases},
        {"systematic": systematic, "selection": selection},
        seed,
    )
    entropy = fresh_seed() if seed is None else int(seed)
    share = share_of(prop, clusters)
    check_prop_sd(prop_sd, clusters, share)
    equations = dict(selection or {})
    for name, equation in equations.items():
        check_selection(name, equation, table, cluster, level2)

    plan = None
    if patterns is not None or not equations:
        plan = make_patterns(
            table, names, level2, frozenset(equations), patterns=patterns, freq=freq, mech=mech,
            weights=weights, cont=bool(cont), type=type, odds=odds,
        )  # fmt: skip
        if not bycases:
            share = plan.share_of_cases(share)
    else:
        check_no_patterns(
            {
                "freq": freq is not None,
                "mech": mech != "MAR",
                "weights": weights is not None,
                "cont": not cont,
                "type": type != "RIGHT",
                "odds": odds is not None,
                "bycases": not bycases,
                "prop_sd": prop_sd != 0,
            }
        )

    removed = _systematic(systematic or {}, names, clusters, entropy)
    rows_removed = {
        name: np.isin(clusters.codes, chosen)
        for name, chosen in removed.items()
        if clusters is not None
    }
    columns = Columns(table, bool(std), rows_removed)
    drawn = amputed_by_pattern(
        plan, columns, clusters, share, float(prop_sd), _rng(entropy, PATTERNS)
    )
    gone = {
        name: rows_removed.get(name, np.zeros(table.n_rows, dtype=bool)).copy() for name in names
    }
    if plan is not None:
        for j, name in enumerate(plan.variables):
            gone[name] |= (drawn.pattern > 0) & plan.missing[drawn.candidate - 1, j]
    selected = {}
    for name, equation in equations.items():
        wanted = share if equation.prop is None else float(equation.prop)
        rng = _rng(entropy, SELECTION, names.index(name))
        selected[name] = select(name, equation, columns, clusters, wanted, cluster, rng)
        gone[name] |= selected[name]["latent"].to_numpy() <= 0

    def by_row(values: npt.NDArray[Any], name: str) -> "pd.Series[Any]":
        return pd.Series(_in_rows(table, values), index=table.frame.index, name=name)

    return Amputed(
        incomplete=_with_gaps(table, gone),
        complete=table.frame.copy(),
        pattern=by_row(drawn.pattern, "pattern"),
        patterns=pd.DataFrame(columns=names, dtype=int) if plan is None else plan.frame(),
        candidate=by_row(drawn.candidate, "candidate"),
        probability=by_row(drawn.probability, "probability"),
        scores=by_row(drawn.scores, "score"),
        systematic={
            name: tuple(clusters.labels[k] for k in chosen)
            for name, chosen in removed.items()
            if clusters is not None
        },
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


def _systematic(
    wanted: Mapping[str, Any], names: Sequence[str], clusters: ClusterIndex | None, seed: int
) -> dict[str, npt.NDArray[np.int64]]:
    if wanted and clusters is None:
        raise SpecificationError("systematic is about clusters; say which with cluster=.")
    found = {}
    for name, given in wanted.items():
        if name not in names:
            raise SpecificationError(
                f"systematic names '{name}', which is no column that can go missing: "
                f"{listed(names)}.{did_you_mean(name, names)}"
            )
        assert clusters is not None
        rng = _rng(seed, SYSTEMATIC, names.index(name))
        found[name] = systematic_clusters(name, given, clusters, rng)
    return found
