r"""Every observed cell predicted without having been seen: overimputation, and LOO-PIT.

The PIT of an observed value is its place in its predictive distribution. If the model is right,
PITs of values left out are uniform (Dawid 1984; Gelfand, Dey & Chang 1992 with values left out).
Of a discrete distribution it is randomised within the probability of the value itself (Brockwell
2007), which is uniform too. With S draws of weights w_s,

.. math::
    \text{PIT}_i = \frac{S\,\sum_s w_s [y_s < y_i] + u_i\,(1 + S \sum_s w_s [y_s = y_i])}{S + 1}

where u_i is uniform and the observed value counts as one more draw, tied with itself: for equal
weights this is exactly uniform whatever S is.

For each observed cell, draws of its value from the model are weighed so that the cell itself is out
of the posterior they come from (:mod:`bayesimpute.checking.psis`). micemd's ``overimpute`` blanks a
cell and runs the chain again, for each cell and imputation; here nothing is run again.

All chains are weighed together. A row's imputed predictors were drawn with its observed value in
sight, so in a chain in which they happen to agree with it the value is likely, and weighs less:
the weight :math:`1 / p(y_i \mid x_i^{(s)}, θ^{(s)})` takes the value out of what has been imputed
beside it, as well as out of the parameters.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import Count, FigureSize, Level, Places, Seed, checked
from bayesimpute.arrays import Array
from bayesimpute.checking.psis import FEWEST, LARGE_K, LeftOut, leave_one_out
from bayesimpute.checking.replay import (
    Replay,
    censored,
    check_draws,
    modelled,
    refuse_censored,
    replay,
)
from bayesimpute.checking.uniformity import band, ecdf, ecdf_p, expected
from bayesimpute.data.table import Kind
from bayesimpute.engine.history import History, labels_of
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.result.restored import require_callables
from bayesimpute.result.run import Run
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.wording import listed, nearest, numbers, p_statement
from bayesimpute.wrappers.base import declared

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Cells shown with their intervals: more of them cover each other.
MOST_CELLS = 250
MARKERS = "osD^vP*X"
#: Groups of equal size in which predicted chances are held against observed shares.
BINS = 10
#: Inches of a row of panels at the least, and more for each line of a legend above it.
LOWEST, LINE = 1.3, 0.15


@checked
def plot_overimputation(
    found: "Overimputation",
    variables: str | Sequence[str] | None = None,
    *,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Draw a panel for each variable: intervals of numbers, calibration of categories.

    Numbers: observed value (x) against predictive mean and interval, of 250 cells spread evenly
    over the observed values, in a tone that says how much of the row is missing; an interval that
    crosses the diagonal holds the observed value. Categories: predicted chance against observed
    share in groups of equal size, with the interval of two standard errors that shares of a right
    model have; points on the diagonal are calibrated.

    Parameters
    ----------
    found
        Result of ``imp.overimpute()``.
    variables
        Which ones; by default all.
    ax
        One for each; by default a new figure.
    figsize
        Inches; by default by the number of panels.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        If a variable is not in the result, the number of axes does not fit, or a figure is too
        low for its panels.
    """
    known = list(found.table.index)
    asked = () if variables is None else [variables] if isinstance(variables, str) else variables
    names = list(asked) or known
    for name in names:
        if name not in known:
            raise SpecificationError(f"plot: {name!r} was not overimputed{nearest(name, known)}")
    groups = {name: found.calibration(name) for name in names if name in found.probabilities}
    few = 3.2 if figsize is None else figsize[0] / min(len(names), max(1, round(figsize[0] / 1.7)))
    lines = max((_legend_columns(table, few)[1] for table in groups.values()), default=0)
    drawn = panels.panels(
        len(names), ax, figsize, picture="plot", single=(4.6, 4.2), each=(3.2, 3.0), most=3,
        narrowest=1.7, lowest=LOWEST + LINE * lines, head=0.3, instead="fewer variables",
    )  # fmt: skip
    numeric = [name for name in names if name not in groups]
    shade = _shade(found.cells[found.cells["variable"].isin(numeric)])  # one for all panels
    for panel, name in zip(drawn.axes, names, strict=True):
        above = 0
        if name in groups:
            above = _calibration(panel, groups[name])
        else:
            _intervals(panel, found.cells[found.cells["variable"] == name], shade)
        panel.tick_params(labelsize=7)
        title = f"{style.cut(name, 12)}: {found.table.loc[name, 'coverage']:.1%}"
        panel.set_title(style.literal(title), fontsize=9, loc="left", pad=4 + 72 * LINE * above)
    if numeric:
        _shade_key(
            drawn, shade, [p for p, n in zip(drawn.axes, names, strict=True) if n in numeric]
        )
    said = f"in the titles: observed values in their central {found.level:.0%} intervals"
    donors = [name for name in names if name in found.matched]
    fewer = f"fewer where a handful of donors is all there is: {listed(donors)}" if donors else ""
    panels.remark(drawn, [said, fewer])
    return drawn.figure


def _shade_key(drawn: panels.Panels, shade: Any, numeric: "list[Axes]") -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    below = drawn.own and drawn.figure.get_figwidth() < 4.5
    bar = drawn.figure.colorbar(
        shade, ax=drawn.axes if drawn.own else numeric, shrink=0.8, pad=0.02, aspect=30,
        location="bottom" if below else "right", ticks=MaxNLocator(4),
        format=PercentFormatter(1, 0),
    )  # fmt: skip
    bar.set_label("share of the row missing", fontsize=8, color=style.GREY)
    bar.ax.tick_params(labelsize=7, colors=style.GREY)
    bar.outline.set_visible(False)


def _shade(cells: pd.DataFrame) -> Any:
    """Tones of the shares missing in the rows of these cells."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    tones = LinearSegmentedColormap.from_list("missing", [style.OBSERVED_AREA, style.MISSING])
    return ScalarMappable(Normalize(0, max([*cells["missing"], 0.1])), tones)


def _intervals(ax: "Axes", cells: pd.DataFrame, shade: Any) -> None:
    """Intervals of some cells in the tones of `shade`."""
    order = np.argsort(cells["observed"].to_numpy(dtype=float), kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, MOST_CELLS).astype(int))]
    x, low, high, mean, missing = (
        cells[column].to_numpy(dtype=float)[chosen]
        for column in ("observed", "low", "high", "mean", "missing")
    )
    colours: Any = shade.to_rgba(missing)
    ax.vlines(x, low, high, colors=colours, linewidth=0.8, alpha=0.75)
    ax.scatter(x, mean, c=colours, s=7, zorder=3)
    ax.plot([x.min(), x.max()], [x.min(), x.max()], color="black", linewidth=1.4, zorder=4)
    ax.set_xlabel("observed", fontsize=8)
    ax.set_ylabel("predicted", fontsize=8)


def _names(groups: pd.DataFrame) -> list[str]:
    """Names of the categories, as a legend has them."""
    names = list(groups["category"].unique())
    as_numbers = all(isinstance(name, float) for name in names)
    return style.cut_apart(numbers(names) if as_numbers else labels_of(names), 14)


def _legend_columns(groups: pd.DataFrame, wide: float) -> tuple[int, int]:
    """Columns and lines of the legend above so many inches; a single category has none."""
    names = _names(groups)
    columns = int(np.clip((wide - 0.5) // (0.28 + 0.062 * max(map(len, names))), 1, len(names)))
    return columns, -(-len(names) // columns) if len(names) > 1 else 0


def _calibration(ax: "Axes", groups: pd.DataFrame) -> int:
    """Draw the groups of cells; gives the number of lines of the legend above the panel."""
    ax.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.9)
    names = _names(groups)
    tones = style.shades(len(names)) if len(names) > 1 else [style.IMPUTED]
    parts = [own for _, own in groups.groupby("category", sort=False)]
    for k, (own, name, tone) in enumerate(zip(parts, names, tones, strict=True)):
        predicted, share, error = (
            own[column].to_numpy(dtype=float) for column in ("predicted", "share", "error")
        )
        ends = np.clip([share - 2 * error, share + 2 * error], 0, 1)  # of a share
        ax.errorbar(
            predicted, share, np.abs(ends - share), fmt=MARKERS[k % len(MARKERS)], color=tone,
            markersize=4, linewidth=1, label=style.literal(name),
        )  # fmt: skip
    highest = (groups["share"] + 2 * groups["error"]).clip(upper=1)
    top = min(1.03, max(1.03 * float(max(groups["predicted"].max(), highest.max())), 0.1))
    low = min(float(groups[["predicted", "share"]].min().min()) - 0.04, 0.0)
    ax.set(xlim=(low, top), ylim=(low, top))
    ax.set_ylabel("observed share", fontsize=8)
    wide = style.extent(ax)[0]
    of = f" of {names[0]}" if len(names) == 1 else ""
    words = fill(f"predicted chance{of}", style.letters(wide, 8))
    ax.set_xlabel(style.literal(words), fontsize=8)
    columns, lines = _legend_columns(groups, wide + 0.4)
    if lines:
        ax.legend(
            fontsize=7, frameon=False, labelcolor=style.GREY, ncols=columns, loc="lower left",
            bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2, borderpad=0.1, labelspacing=0.25,
            handlelength=0.8, handletextpad=0.4, columnspacing=0.8,
        )  # fmt: skip
    return lines


def calibration_table(chances: pd.DataFrame, observed: Any) -> pd.DataFrame:
    """Predicted chances and observed shares by category and group; see `Overimputation`."""
    names = chances.columns[1:] if chances.shape[1] == 2 else chances.columns
    parts = []
    for k, name in enumerate(chances.columns):
        if name not in names:
            continue
        # a label may be a tuple, with which NumPy compares part by part
        happened = np.array([label == name for label in observed])
        chance = chances.iloc[:, k].to_numpy()
        order = np.argsort(chance, kind="stable")
        groups = np.array_split(order, max(1, min(BINS, len(order) // 5)))
        predicted = np.array([chance[rows].mean() for rows in groups])
        share = np.array([happened[rows].mean() for rows in groups])
        size = np.array([len(rows) for rows in groups])
        error = np.sqrt(predicted * (1 - predicted) / size)
        category = pd.Series([name] * len(groups))
        parts.append(
            pd.DataFrame(
                {"category": category, "predicted": predicted, "share": share, "error": error}
            )
        )
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, eq=False, repr=False)
class Overimputation(html.Told):
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
        variable), ``cluster``, ``observed`` (of a date the days since the first observed one, and
        so all numbers of it); for numbers predictive ``mean`` and interval ``low``,
        ``high``; for categories the ``probability`` of the observed one; ``pit``, ``covered``,
        ``missing`` (share of the row's variables that are missing) and ``pareto_k``.
    probabilities
        Variable with categories -> predicted chance of each, a row for each cell.
    level
        Of the intervals.
    matched
        Numbers that matching draws from donors. Where the donors of a row hardly change from draw
        to draw, its interval is that of k values, and holds (k − 1)/(k + 1) of what is observed
        (of 5 donors 67 %), not `level`, however right the model is.

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
    matched: tuple[str, ...] = ()

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

    plot = plot_overimputation

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

    def _said(self) -> Iterator[str | pd.DataFrame]:
        yield (
            f"Overimputation: {len(self.cells):,} observed cells, each predicted without itself; "
            f"central {self.level:.0%} intervals should cover {self.level:.0%} of them."
        )
        yield self.table.round(3)
        if self.matched:
            yield (
                f"Matching draws {listed(self.matched)} from few donors. Where these hardly change "
                "from draw to draw, intervals are those of k donors and hold (k − 1)/(k + 1) of "
                "the cells (of 5 donors 67 %), however right the model is."
            )


@dataclass(frozen=True, eq=False)
class LooPit:
    """PITs of one variable's observed values, each left out, against uniform.

    Attributes
    ----------
    variable
        Its name.
    pit
        (row,).
    at, difference
        Points, and the PITs' distribution function there minus the uniform one, (point,).
    lower, upper
        Band that holds all of `difference` with probability `level` if the model is right.
    level
        Of the band.
    p
        How often PITs of a right model depart more than these.
    large_k
        Share of rows with Pareto k above 0.7.
    left_out
        ``"weights"``, ``"exactly"`` or ``"not"``.
    matched
        Whether values are drawn from few donors, among which the places are few too.
    """

    variable: str
    pit: Array
    at: Array
    difference: Array
    lower: Array
    upper: Array
    level: float
    p: float
    large_k: float
    left_out: str
    matched: bool = False


def draw_loo_pit(
    found: LooPit, ax: "Axes | None" = None, figsize: tuple[float, float] | None = None
) -> "Figure":
    """Draw the PITs; see `bayesimpute.checking.overimputation.plot_loo_pit`."""
    drawn = panels.panels(1, ax, figsize, picture="plot_loo_pit")
    (ax,) = drawn.axes
    at = np.concatenate([[0.0], found.at, [1.0]])
    # both ends of a difference of distribution functions are 0
    lower, line, upper = (
        np.concatenate([[0.0], each, [0.0]])
        for each in (found.lower, found.difference, found.upper)
    )
    band = ax.fill_between(at, lower, upper, color=style.GREY, alpha=0.2, linewidth=0)
    ax.axhline(0, color=style.GREY, linewidth=0.8)
    (drawn_line,) = ax.plot(at, line, color=style.OBSERVED, linewidth=1.6)
    ax.set_xlim(0, 1)
    ax.margins(y=0.12)
    outside = bool(((line < lower) | (line > upper)).any())
    verdict = f"{'outside' if outside else 'inside'}, {p_statement(found.p, 3)}"
    entries = [
        (f"{found.level:.0%} band", band),
        (f"{len(found.pit):,} observed: {verdict}", drawn_line),
    ]
    remarks = []
    if found.large_k >= 0.005:
        remarks.append(f"Pareto k > 0.7 in {found.large_k:.0%} of the cells")
    if found.left_out == "not":
        remarks.append("cells are not left out: the method gives no density")
    if found.matched:
        remarks.append("of few donors, places are few: outside though the model may be right")
    panels.finish(
        drawn, found.variable, entries, x="place in the prediction (LOO-PIT)",
        y="share below − expected", remarks=remarks,
    )  # fmt: skip
    return drawn.figure


#: Points at which the distribution of the PITs is held against uniform.
POINTS = 99


def randomised_pit(
    values: Array, observed: Array, weights: Array, rng: np.random.Generator
) -> Array:
    """Place of each observed value among its predictive draws, (row,).

    Parameters
    ----------
    values
        (draw, row).
    observed
        (row,).
    weights
        Of the draws, normalised, (draw, row).
    rng
        For the ties.

    Examples
    --------
    >>> import numpy as np
    >>> draws, equal = np.array([[1.0], [3.0], [4.0]]), np.full((3, 1), 1 / 3)
    >>> pit = randomised_pit(draws, np.array([2.0]), equal, np.random.default_rng(1))
    >>> bool(0.25 < pit[0] < 0.5)  # between the first and the second of three
    True
    """
    draws = len(values)
    below = (weights * (values < observed)).sum(axis=0)
    tied = (weights * (values == observed)).sum(axis=0)
    u = rng.random(len(observed))
    return np.asarray((draws * below + u * (1 + draws * tied)) / (draws + 1))


def difference_from_uniform(pit: Array, level: float) -> tuple[Array, Array, Array, Array, float]:
    """Distribution function of the PITs minus the uniform one, with its simultaneous band.

    The band holds all of the curve with probability `level` if the PITs are independent and uniform
    (Säilynoja, Bürkner & Vehtari 2022).

    Parameters
    ----------
    pit
        (row,).
    level
        Of the band.

    Returns
    -------
    at, difference, lower, upper : ndarray (point,)
    p : float
        How often uniform PITs leave a wider band than these do.
    """
    ranks = np.minimum((pit * (POINTS + 1)).astype(np.int64), POINTS)
    at = expected(POINTS)
    lower, upper = band(len(pit), POINTS, 1 - level)
    return at, ecdf(ranks, POINTS) - at, lower - at, upper - at, ecdf_p(ranks, POINTS)


def departure(pit: Array) -> float:
    """Mean distance of the PITs' distribution function from the uniform one; 0 is perfect.

    Examples
    --------
    >>> import numpy as np
    >>> round(departure((np.arange(100) + 0.5) / 100), 3)
    0.0
    """
    n = len(pit)
    return float(np.abs(np.sort(pit) - (np.arange(n) + 0.5) / n).mean())


def weighted_quantiles(values: Array, weights: Array, shares: tuple[float, ...]) -> Array:
    """Quantiles of weighted draws, (share, row).

    Draw k in order of size stands at the middle of the weights around it, ``(S/(S + 1))`` of the
    sum of weights before it and half its own plus half of one draw's share: with equal weights at
    k/(S + 1), so that an interval holds one more draw as often as it says.
    """
    draws, rows = values.shape
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    own = np.take_along_axis(weights, order, axis=0)
    place = (draws * (np.cumsum(own, axis=0) - own / 2) + 0.5) / (draws + 1)
    out = np.empty((len(shares), rows))
    for row in range(rows):
        out[:, row] = np.interp(shares, place[:, row], ordered[:, row])
    return out


#: Draws over all chains, by default: the ends of an interval are then right to a hundredth.
DRAWS = 500


@checked
def overimpute(
    run: Run,
    variables: str | Sequence[str] | None = None,
    draws: Count | None = None,
    ci_prob: Level = 0.90,
    seed: Seed | None = None,
) -> Overimputation:
    """Predict every observed cell as if it were missing, and see how often that is right.

    Nothing is fitted again: a cell is taken out of the posterior by importance weights
    (PSIS-LOO), with Pareto k to say whether that works.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variables
        Targets with a model; by default all.
    draws
        Draws along each chain; by default 500 in all.
    ci_prob
        Of the intervals.
    seed
        Of the draws; by default that of the run.

    Returns
    -------
    Overimputation
        With ``table``, ``cells``, ``by_cluster()``, ``calibration(variable)`` and ``plot()``.

    Raises
    ------
    SpecificationError
        If a variable has no model, or `draws` are too few.
    """
    require_callables(run.specification)
    seed = run.seed if seed is None else seed
    specification, history = run.specification, run.history
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
    if not names:
        raise SpecificationError(
            "Overimputation needs a variable with a model; "
            f"{'none was given.' if variables is not None else 'no variable of this run has one.'}"
        )
    draws = -(-DRAWS // history.m) if draws is None else draws
    draws = check_draws(draws, history.m, 4 * FEWEST)
    cells, rows, probabilities = [], {}, {}
    for name in names:
        drawn = replay(specification, history, name, draws, seed)
        rng = stream(seed, Purpose.RANDOMISED_RANK, list(specification.targets).index(name))
        own, chances, how = _cells(drawn, float(ci_prob), rng)
        cells.append(own)
        if chances is not None:
            probabilities[name] = chances
        rows[name] = _summary(own, chances, drawn, specification.methods[name], how)
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("variable")
    return Overimputation(
        table,
        pd.concat(cells, ignore_index=True),
        probabilities,
        float(ci_prob),
        tuple(n for n in names if n not in probabilities and _matched(specification, n)),
    )


def _matched(specification: Specification, name: str) -> bool:
    """Whether values are copied from donors near a row."""
    return bool(declared(modelled(specification, name, "").method, "donors_by_score", False))


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
        labelled = [rows.categories[code] for code in codes]
        labels = pd.Index(rows.categories, tupleize_cols=False)
        chances = pd.DataFrame(each, index=rows.label[kept], columns=labels)
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
        }
    )
    return frame, chances, how


def _summary(
    cells: pd.DataFrame, chances: pd.DataFrame | None, drawn: Replay, method: str, how: str
) -> dict[str, Any]:
    n, coverage = len(cells), float(cells["covered"].mean())
    if chances is None:
        error = departure(cells["pit"].to_numpy())
    else:
        groups = calibration_table(chances, cells["observed"].to_numpy())
        error = float((groups["predicted"] - groups["share"]).abs().mean())
    large = float((cells["pareto_k"] > LARGE_K).mean())
    return {
        "kind": str(drawn.rows.kind),
        "method": method,
        "n": n,
        "coverage": coverage,
        "coverage_se": float(np.sqrt(coverage * (1 - coverage) / n)),
        "width": float((cells["high"] - cells["low"]).mean()),
        "calibration_error": error,
        "large_k": large if how == "weights" else np.nan,
        "left_out": how,
    }


#: Of the simultaneous band.
LEVEL = 0.95


def loo_pit(
    specification: Specification,
    history: History,
    variable: str,
    draws: int | None,
    seed: int,
    level: float = LEVEL,
) -> LooPit:
    """PITs of a target's observed values, each weighed out of its own posterior.

    Parameters
    ----------
    specification, history
        Of the run.
    variable
        Target.
    draws
        Draws along each chain; by default 500 in all.
    seed
        Of the draws.
    level
        Of the simultaneous band.
    """
    refuse_censored(modelled(specification, variable, "LOO-PIT"), "LOO-PIT")
    draws = -(-500 // history.m) if draws is None else draws
    draws = check_draws(draws, history.m, 4 * FEWEST)
    drawn = replay(specification, history, variable, draws, seed)
    kept = predicted_rows(drawn)
    out, how = left_out(drawn, kept)
    rng = stream(seed, Purpose.RANDOMISED_RANK, list(specification.targets).index(variable))
    values = drawn.values[:, :, kept].reshape(len(out.log_weights), -1)
    pit = randomised_pit(values, drawn.rows.observed[kept], np.exp(out.log_weights), rng)
    large = float((out.pareto_k > LARGE_K).mean()) if how == "weights" else 0.0
    at, difference, lower, upper, p = difference_from_uniform(pit, level)
    matched = drawn.rows.kind is Kind.NUMERIC and _matched(specification, variable)
    return LooPit(variable, pit, at, difference, lower, upper, level, p, large, how, matched)


@checked
def plot_loo_pit(
    run: Run,
    variable: str,
    *,
    draws: Count | None = None,
    seed: Seed | None = None,
    ax: "Axes | None" = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Distribution function of the LOO-PITs minus the uniform one, with a simultaneous band.

    A line inside the band is what a right model gives. An arch above 0 (too many small PITs) means
    predictions that are too high, one below 0 too low; above 0 on the left and below on the right,
    predictions that are too narrow, the other way round too wide. Matching draws a number from few
    donors, of which 5 that stay the same leave six places: steps that no band holds.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        Target with a model.
    draws
        Draws along each chain; by default 500 in all.
    seed
        Of the draws; by default that of the run.
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; (6, 3.6) by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        If the variable has no model, or only a censored one, or `draws` are too few.
    """
    require_callables(run.specification)
    seed = run.seed if seed is None else seed
    found = loo_pit(run.specification, run.history, variable, draws, seed)
    return draw_loo_pit(found, ax, figsize)
