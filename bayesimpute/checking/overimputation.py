r"""Overimputation without a refit: every observed cell predicted as if it were missing.

For each observed cell, draws of its value from the model are weighed so that the cell itself is out
of the posterior they come from (:mod:`bayesimpute.checking.psis`). micemd's ``overimpute`` blanks a
cell and runs the chain again, for each cell and imputation; here nothing is run again.

All chains are weighed together. A row's imputed predictors were drawn with its observed value in
sight, so in a chain in which they happen to agree with it the value is likely, and weighs less:
the weight :math:`1 / p(y_i \mid x_i^{(s)}, θ^{(s)})` takes the value out of what has been imputed
beside it, as well as out of the parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.checking.pit import departure, randomised_pit, weighted_quantiles
from bayesimpute.checking.psis import FEWEST, LARGE_K, LeftOut, leave_one_out
from bayesimpute.checking.replay import (
    Replay,
    censored,
    check_draws,
    modelled,
    refuse_censored,
    replay,
)
from bayesimpute.data.table import Kind
from bayesimpute.engine.history import History
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.errors import SpecificationError
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.wording import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Array = np.ndarray[Any, np.dtype[np.float64]]

#: Draws over all chains, by default: the ends of an interval are then right to a hundredth.
DRAWS = 500
#: Groups of equal size in which predicted chances are held against observed shares.
BINS = 10

CELLS = (
    "variable", "row", "cluster", "observed", "mean", "low", "high", "probability", "pit",
    "covered", "missing", "pareto_k",
)  # fmt: skip
COLUMNS = (
    "kind", "method", "n", "coverage", "coverage_se", "width", "calibration_error", "large_k",
    "left_out",
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Overimputation:
    """How well observed cells are predicted by models that have not seen them.

    Attributes
    ----------
    table
        A row for each variable: ``kind``; ``method``; ``n`` cells; ``coverage``, the share of cells
        whose PIT lies in the central `level`, with its binomial standard error ``coverage_se``;
        ``width``, the mean width of the intervals of a number (NaN for categories);
        ``calibration_error``, for numbers the mean distance of the PITs' distribution from the
        uniform one, for categories the mean distance of predicted chances from observed shares in
        ten groups of equal size (both 0 for a perfect model, and a little more by chance);
        ``large_k``, the share of cells with Pareto k above 0.7, whose weights cannot be trusted;
        ``left_out``, how the cell was taken out: ``"weights"``, ``"exactly"``, or ``"not"`` where
        a user's own method gives no density, and the numbers flatter it.
    cells
        A row for each cell: ``variable``, ``row`` (index label, or the cluster of a level-2
        variable), ``cluster``, ``observed``; for numbers predictive ``mean`` and interval ``low``,
        ``high``; for categories the ``probability`` of the observed one; ``pit``, ``covered``,
        ``missing`` (share of the row's variables that are missing) and ``pareto_k``.
    probabilities
        Variable with categories -> predicted chance of each, a row for each cell.
    level
        Of the intervals.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80)
    >>> imp = bi.impute(
    ...     study.incomplete, cluster="school", m=2, iterations=2, seed=1, progress=False
    ... )
    >>> imp.overimpute(draws=50).table.index.tolist()
    ['popular']
    """

    table: pd.DataFrame
    cells: pd.DataFrame
    probabilities: Mapping[str, pd.DataFrame]
    level: float

    def by_cluster(self) -> pd.DataFrame:
        """Coverage, its standard error, width and departure of the PITs, by variable and cluster.

        Returns
        -------
        pandas.DataFrame
            Index ``variable``, ``cluster``; columns ``n``, ``coverage``, ``coverage_se``,
            ``width``, ``pit_mean`` (0.5 where the cluster is predicted neither too high nor too
            low) and ``missing``. Empty without clusters.
        """
        cells = self.cells[self.cells["cluster"].notna()]
        grouped = cells.assign(width=cells["high"] - cells["low"]).groupby(
            ["variable", "cluster"], sort=False
        )
        out = grouped.agg(
            n=("pit", "size"),
            coverage=("covered", "mean"),
            width=("width", "mean"),
            pit_mean=("pit", "mean"),
            missing=("missing", "mean"),
        )
        error = np.sqrt(out["coverage"] * (1 - out["coverage"]) / out["n"])
        out.insert(2, "coverage_se", error)
        return out

    @checked
    def plot(
        self,
        variables: str | Sequence[str] | None = None,
        *,
        axes: Places | None = None,
        figsize: FigureSize | None = None,
    ) -> "Figure":
        """Observed against predicted values; predicted chances against observed shares.

        See :func:`bayesimpute.plots.overimputation.plot_overimputation`.
        """
        from bayesimpute.plots.overimputation import plot_overimputation

        return plot_overimputation(self, variables, axes=axes, figsize=figsize)

    @checked
    def calibration(self, variable: str) -> pd.DataFrame:
        """Predicted chances against observed shares of one variable with categories.

        Parameters
        ----------
        variable
            A variable of `probabilities`.

        Returns
        -------
        pandas.DataFrame
            A row for each category and group of cells (ten of equal size, in order of the chance):
            ``category``, mean ``predicted`` chance, observed ``share``, and the binomial
            ``error`` the share would have if the chance were right. Of two categories the
            second only.

        Raises
        ------
        SpecificationError
            If it is no such variable.
        """
        chances = self.probabilities.get(variable)
        if chances is None:
            raise SpecificationError(
                f"calibration is for variables with categories, here "
                f"{', '.join(self.probabilities) or 'none'}; {variable!r} is none of them."
            )
        observed = self.cells.loc[self.cells["variable"] == variable, "observed"].to_numpy()
        return calibration_table(chances, observed)

    def __repr__(self) -> str:
        return visible(f"Overimputation: {self._heading}\n{self.table.round(3).to_string()}")

    def _repr_html_(self) -> str:
        return html.plain(self._heading, html.printed(self.table, 3))

    @property
    def _heading(self) -> str:
        return (
            f"{len(self.cells):,} observed cells, each predicted without itself; central "
            f"{self.level:.0%} intervals should cover {self.level:.0%} of them."
        )


def overimpute(
    specification: Specification,
    history: History,
    variables: str | Sequence[str] | None,
    draws: int | None,
    level: float,
    seed: int,
) -> Overimputation:
    """Predict the observed cells of some targets; see :meth:`bayesimpute.Imputations.overimpute`.

    Raises
    ------
    SpecificationError
        If a variable has no model, or `draws` or `level` is out of range.
    """
    if variables is None:
        models = [
            target
            for name, target in specification.targets.items()
            if isinstance(target, Target) and not mean_of(name, specification.table)
        ]
        names = [each.name for each in models if not censored(each)]
        for each in models if not names else ():
            refuse_censored(each, "Overimputation")
    else:
        names = [variables] if isinstance(variables, str) else list(variables)
    for name in names:
        refuse_censored(modelled(specification, name, "Overimputation"), "Overimputation")
    draws = -(-DRAWS // history.m) if draws is None else draws
    draws = check_draws(draws, history.m, 4 * FEWEST)
    cells, rows, probabilities = [], {}, {}
    for name in names:
        drawn = replay(specification, history, name, draws, seed)
        rng = stream(seed, Purpose.RANDOMISED_RANK, list(specification.targets).index(name))
        own, chances, how = _cells(drawn, float(level), rng)
        cells.append(own)
        if chances is not None:
            probabilities[name] = chances
        rows[name] = _summary(own, chances, drawn, specification.methods[name], how)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    table.index.name = "variable"
    return Overimputation(table, pd.concat(cells, ignore_index=True), probabilities, float(level))


def left_out(drawn: Replay, kept: Any = slice(None)) -> tuple[LeftOut, str]:
    """Weights that take each row out, and how: ``"weights"``, ``"exactly"`` or ``"not"``."""
    chains, draws, rows = drawn.values[:, :, kept].shape
    equal = LeftOut(np.full((chains * draws, rows), -np.log(chains * draws)), np.full(rows, np.nan))
    if drawn.learnt is None:
        return equal, "not"
    learnt = drawn.learnt[:, :, kept].reshape(chains * draws, rows)
    if np.isnan(learnt).all():
        return equal, "exactly"
    return leave_one_out(learnt), "weights"


def predicted_rows(drawn: Replay) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Rows that every chain has a model for, (row,): a condition may choose others in each."""
    return np.asarray(~np.isnan(drawn.values).any(axis=(0, 1)))


def _cells(
    drawn: Replay, level: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame | None, str]:
    rows, kept = drawn.rows, predicted_rows(drawn)
    values = drawn.values[:, :, kept].reshape(-1, int(kept.sum()))
    observed = rows.observed[kept]
    out, how = left_out(drawn, kept)
    weights = np.exp(out.log_weights)
    pit = randomised_pit(values, observed, weights, rng)
    n = len(observed)
    shown: dict[str, Any] = {name: np.full(n, np.nan) for name in ("mean", "low", "high")}
    shown["probability"], chances = np.full(n, np.nan), None
    labelled: Any = observed
    if rows.kind is Kind.NUMERIC:
        ends = ((1 - level) / 2, (1 + level) / 2)
        shown["low"], shown["high"] = weighted_quantiles(values, weights, ends)
        shown["mean"] = (weights * values).sum(axis=0)
    else:
        codes = observed.astype(np.int64)
        each = np.stack(
            [(weights * (values == k)).sum(axis=0) for k in range(len(rows.categories))], axis=1
        )
        shown["probability"] = each[np.arange(n), codes]
        labelled = np.array(list(rows.categories), dtype=object)[codes]
        chances = pd.DataFrame(each, index=rows.label[kept], columns=list(rows.categories))
    frame = pd.DataFrame(
        {
            "variable": drawn.target,
            "row": rows.label[kept].astype(object),
            "cluster": None if rows.cluster is None else rows.cluster[kept].astype(object),
            "observed": pd.Series(labelled, dtype=object),
            **shown,
            "pit": pit,
            "covered": (pit >= (1 - level) / 2) & (pit <= (1 + level) / 2),
            "missing": rows.missing[kept],
            "pareto_k": out.pareto_k,
        },
        columns=list(CELLS),
    )
    return frame, chances, how


def _summary(
    cells: pd.DataFrame, chances: pd.DataFrame | None, drawn: Replay, method: str, how: str
) -> tuple[Any, ...]:
    n, coverage = len(cells), float(cells["covered"].mean())
    if chances is None:
        error = departure(cells["pit"].to_numpy())
    else:
        groups = calibration_table(chances, cells["observed"].to_numpy())
        error = float((groups["predicted"] - groups["share"]).abs().mean())
    k = cells["pareto_k"].to_numpy()
    return (
        str(drawn.rows.kind),
        method,
        n,
        coverage,
        float(np.sqrt(coverage * (1 - coverage) / n)),
        float((cells["high"] - cells["low"]).mean()),
        error,
        float((k > LARGE_K).mean()) if how == "weights" else np.nan,
        how,
    )


def calibration_table(chances: pd.DataFrame, observed: Any) -> pd.DataFrame:
    """Predicted chances and observed shares by category and group; see `Overimputation`."""
    names = chances.columns[1:] if chances.shape[1] == 2 else chances.columns
    parts = []
    for k, name in enumerate(chances.columns):
        if name not in names:
            continue
        chance, happened = chances.iloc[:, k].to_numpy(), observed == name
        order = np.argsort(chance, kind="stable")
        groups = np.array_split(order, max(1, min(BINS, len(order) // 5)))
        predicted = np.array([chance[rows].mean() for rows in groups])
        share = np.array([happened[rows].mean() for rows in groups])
        size = np.array([len(rows) for rows in groups])
        error = np.sqrt(predicted * (1 - predicted) / size)
        parts.append(
            pd.DataFrame({"category": name, "predicted": predicted, "share": share, "error": error})
        )
    return pd.concat(parts, ignore_index=True)
