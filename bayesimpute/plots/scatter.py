"""Two variables against each other in two colours: dots, or bars where both are categories.

Of completed data: whether imputed values keep the relation of two variables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.data.encoding import Kind, Variable
from bayesimpute.engine.history import labels_of
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.plots.frames import column_named, completed, facets
from bayesimpute.result.run import Run
from bayesimpute.wording import numbers

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SPREAD = 0.16  # of dots around the place of a category
MOST_SPREAD = 40  # numbers with more distinct values stay where they are
TURNS = 8
VECTOR = 5000  # more dots become an image inside a PDF or SVG
ABSENT = "missing"


@dataclass(frozen=True, eq=False)
class Scale:
    """One axis.

    Attributes
    ----------
    axis
        ``"x"`` or ``"y"``.
    categories
        Labels at 0, 1, …; ``()`` for numbers.
    ends
        Lowest and highest number.
    spread
        Values that coincide are moved at random by at most this.
    log
        Whether the axis is logarithmic.
    gone
        Whether values are missing, which have a place before the first one.
    """

    axis: str
    categories: tuple[str, ...]
    ends: tuple[float, float]
    spread: float
    log: bool
    gone: bool

    def share(self, at: float) -> float:
        """Give the place at a share of the way from the lowest to the highest number."""
        low, high = self.ends
        if self.log:
            return float(low * (high / low if high > low else 1.01) ** at)
        return low + at * ((high - low) or max(abs(low), 1.0))

    @property
    def absent(self) -> float:
        """Place of what is missing."""
        return -1.0 if self.categories else self.share(-0.14)

    def places(self, values: np.ndarray, seed: int, lane: int = 0) -> np.ndarray:
        """Give the places of values, spread at random where many coincide.

        A lane of −1 or 1 is left or right of their place, so that two colours stand side by side.
        """
        gone = np.isnan(values)
        jitter = np.random.default_rng(seed).uniform(-1, 1, len(values))
        at = values + self.spread * (jitter + 1.15 * lane)
        if self.categories:
            return np.where(gone, self.absent + self.spread * jitter, at)
        band = np.array([self.share(-0.14 + 0.03 * each) for each in (-1, 1)])
        return np.where(gone, band[0] + (band[1] - band[0]) * (jitter + 1) / 2, at)

    def _ticks(self, most: int) -> list[float]:
        """Give round numbers within the axis, about so many."""
        from matplotlib.ticker import LogLocator, MaxNLocator

        low, high = self.ends
        if not (self.log and high > 4 * low):
            found = MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(low, high)
            return [float(tick) for tick in found if low <= tick <= high]
        ticks: list[float] = []
        for subs in ((1, 2, 5), (1,)):
            found = LogLocator(subs=subs, numticks=99).tick_values(low, high)
            ticks = [float(tick) for tick in found if low <= tick <= high]
            if len(ticks) <= 1.5 * most:
                return ticks
        return ticks[:: -(-len(ticks) // most)]

    def _apart(self, tick: float, text: str, ax: "Axes") -> bool:
        """Whether a number below an axis does not run into the word for what is missing."""
        low, high = self.ends[0], self.share(1)
        way = np.log(tick / low) / np.log(high / low) if self.log else (tick - low) / (high - low)
        room = (way + 0.14) / 1.25 * style.letters(style.extent(ax)[0], 8)
        return bool(room >= (len(ABSENT) + len(text)) / 2)

    def dress(self, ax: "Axes") -> None:
        """Name categories, write numbers plainly, and set limits."""
        from matplotlib.ticker import NullLocator

        axis = ax.xaxis if self.axis == "x" else ax.yaxis
        if self.categories:
            names = [ABSENT, *self.categories] if self.gone else self.categories
            panels.name_categories(ax, names, self.axis, -1 if self.gone else 0)
            ax.set(**{f"{self.axis}lim": (-1.5 if self.gone else -0.5, len(self.categories) - 0.5)})
            return
        if self.log:
            ax.set(**{f"{self.axis}scale": "log"})
        if self.log or self.gone:
            most = max(2, int(1.6 * style.extent(ax)[self.axis == "y"]))
            beside = self.gone and self.axis == "x"  # the word for what is missing needs room
            ticks = self._ticks(most + beside)
            if beside:
                texts = zip(ticks, numbers(ticks), strict=True)
                ticks = [tick for tick, text in texts if self._apart(tick, text, ax)]
            gone = [self.absent] if self.gone else []
            words = [ABSENT for _ in gone] + [t.replace("-", "−") for t in numbers(ticks)]
            axis.set_ticks([*gone, *ticks], words)
            axis.set_minor_locator(NullLocator())
        room = self.share(1.05) - self.share(1) + 1.3 * self.spread
        start = self.share(-0.2) if self.gone else self.share(-0.05) - 1.3 * self.spread
        ax.set(**{f"{self.axis}lim": (start, self.share(1) + room)})
        if self.gone:
            line = ax.axvline if self.axis == "x" else ax.axhline
            line(self.share(-0.08), color=style.GREY, linewidth=0.5, linestyle=":")


def scale_of(axis: str, variable: Variable, values: np.ndarray, log: str) -> Scale:
    """Scale of one variable.

    Parameters
    ----------
    axis
        ``"x"`` or ``"y"``.
    variable
        Its name and categories.
    values
        All that will be drawn, NaN where missing.
    log
        The user's: ``""``, ``"x"``, ``"y"`` or ``"xy"``.

    Raises
    ------
    SpecificationError
        If the variable holds dates or other objects, or cannot be on a logarithmic axis; if `log`
        is something else.
    """
    if log not in ("", "x", "y", "xy"):
        raise SpecificationError(f"log={log!r}: give 'x', 'y' or 'xy', or leave it out.")
    name, logarithmic = variable.name, axis in log
    if variable.kind is Kind.OTHER:
        raise SpecificationError(
            f"plot_xy draws numbers and categories; {name!r} has dtype {variable.dtype}."
        )
    gone = bool(np.isnan(values).any())
    if variable.categories:
        if logarithmic:
            raise SpecificationError(f"log=: {name!r} has categories, which have no logarithm.")
        labels = labels_of(variable.categories)
        return Scale(axis, labels, (0, len(labels) - 1), SPREAD, False, gone)
    distinct = np.unique(values[~np.isnan(values)])
    distinct = distinct if distinct.size else np.array([0.1, 1.0])
    if logarithmic and distinct[0] <= 0:
        raise SpecificationError(
            f"log=: {name!r} has values down to {distinct[0]:g}; only positive numbers have a "
            "place on a logarithmic axis."
        )
    tied = 1 < len(distinct) <= min(MOST_SPREAD, len(values) / 4) and not logarithmic
    spread = SPREAD * float(np.diff(distinct).min()) if tied else 0.0
    ends = (float(distinct[0]), float(distinct[-1]))
    return Scale(axis, (), ends, spread, logarithmic, gone)


def dots(ax: "Axes", groups: Sequence[tuple[np.ndarray, np.ndarray, str]]) -> None:
    """Draw dots of several colours, smaller and more transparent the more there are.

    The colours take turns, a share of each at a time, so that none hides another.
    """
    total = sum(len(x) for x, *_ in groups)
    wide, high = style.extent(ax)
    crowd = float(np.clip(3.5 * np.sqrt(wide * high / max(total, 1)), 0.06, 1.0))
    for turn in range(TURNS):
        for x, y, colour in groups:
            ax.plot(
                x[turn::TURNS], y[turn::TURNS], "o", color=colour, markeredgewidth=0,
                markersize=1.8 + 2.7 * crowd, alpha=0.18 + 0.57 * crowd, rasterized=total > VECTOR,
            )  # fmt: skip


def bars(
    ax: "Axes",
    scales: tuple[Scale, Scale],
    groups: Sequence[tuple[np.ndarray, np.ndarray, str]],
    each: bool,
) -> float:
    """Draw for every pair of categories a bar for each colour: its share of the colour's rows.

    Parameters
    ----------
    ax
        Where.
    scales
        Both of categories; codes NaN are the missing ones before the first.
    groups
        Codes x and y and colour of each.
    each
        Whether each colour is on a scale of its own, and the numbers of rows stand over the bars.

    Returns
    -------
    float
        The largest share.
    """
    first = [-1 if scale.gone else 0 for scale in scales]
    shape = [len(scale.categories) - k for scale, k in zip(scales, first, strict=True)]
    counts = np.zeros((len(groups), *shape), dtype=int)
    for k, (x, y, _) in enumerate(groups):
        places = [np.nan_to_num(v, nan=-1) - at for v, at in zip((x, y), first, strict=True)]
        np.add.at(counts[k], tuple(place.astype(int) for place in places), 1)
    shares = counts / np.maximum(counts.sum(axis=(1, 2), keepdims=True), 1)
    width, full = 0.8 if each else 0.8 / len(groups), shares.max()
    for k, i, j in np.ndindex(counts.shape):
        left, base = i + first[0] - 0.4 + width * k * (not each), j + first[1] - 0.42
        most = shares[k].max() if each else full
        tall = (0.66 if each else 0.84) * shares[k, i, j] / (most or 1)
        ax.bar(left, tall, width, bottom=base, align="edge", color=groups[k][2])
        if each and counts[k, i, j]:
            ax.text(
                left + width / 2, base + tall, f"{counts[k, i, j]:,}", ha="center", va="bottom",
                fontsize=6, color=style.GREY,
            )  # fmt: skip
    for base in range(shape[1]):
        ax.axhline(base + first[1] - 0.42, color=style.GREY, linewidth=0.4, zorder=0)
    return float(full)


def picture(
    names: tuple[str, str],
    variables: Sequence[Variable],
    parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    words: Sequence[tuple[str, str]],
    by: "pd.Series[Any] | None",
    groups: Any,
    *,
    margins: bool,
    log: str,
    ax: Any,
    figsize: tuple[float, float] | None,
) -> "Figure":
    """Draw blue and vermillion rows, a panel for each group of them.

    Parameters
    ----------
    names, variables
        Of x and y.
    parts
        x, y and position of the row of the blue ones, then of the vermillion ones.
    words
        What the legend says of each, before and after the number of rows.
    by, groups
        Label of every row, and the labels to show.
    margins
        Whether vermillion rows are those without x or y, which have places of their own; else
        they are imputed, and stand beside the blue ones.
    log, ax, figsize
        The user's.
    """
    scales = (
        scale_of("x", variables[0], np.concatenate([part[0] for part in parts]), log),
        scale_of("y", variables[1], np.concatenate([part[1] for part in parts]), log),
    )
    rows = [part[2] for part in parts]
    shown = np.zeros(len(by) if by is not None else max(map(np.max, filter(len, rows))) + 1, bool)
    shown[np.concatenate(rows) if margins else rows[1]] = True
    found = facets(by, groups, shown, "rows" if margins else "imputed rows")
    drawn = panels.panels(
        len(found.names), ax, figsize, picture="plot_xy", single=(5.0, 4.0), each=(2.1, 1.9),
        most=4 if margins else 6, narrowest=1.7 if margins else 1.2, instead="fewer groups=",
        sharex=True, sharey=True,
    )  # fmt: skip
    pairs = bool(scales[0].categories and scales[1].categories)
    # Colours stand side by side on one axis: x, unless only y has values that coincide.
    lanes = np.array([1, 0] if scales[0].spread or not scales[1].spread else [0, 1]) * (not margins)
    for k, panel in enumerate(drawn.axes):
        drawn_parts = []
        for side, (x, y, row), colour in zip((-1, 1), parts, style.PALETTE.values(), strict=True):
            inside = found.codes[row] == k
            at = [x[inside], y[inside]]
            if not pairs:
                at = [scales[i].places(at[i], i, side * int(lanes[i])) for i in (0, 1)]
            drawn_parts.append((at[0], at[1], colour))
        if pairs:
            bars(panel, scales, drawn_parts, each=margins)
        else:
            dots(panel, drawn_parts)
        for scale in scales:
            scale.dress(panel)
    entries = [
        (f"{before} ({len(np.unique(row[found.codes[row] >= 0])):,} rows{after})",
         panels.key(colour, markersize=5))
        for (before, after), row, colour in zip(words, rows, style.PALETTE.values(), strict=True)
    ]  # fmt: skip
    x_label, y_label = (
        f"{name} ({each.counted})" if each.counted else name
        for name, each in zip(names, variables, strict=True)
    )
    said = "height of a bar: share of the rows of its colour in the panel" if pairs else ""
    if pairs and margins:
        said = "bars: numbers of rows, each colour on a scale of its own"
    panels.finish(
        drawn, f"{names[1]} against {names[0]}", entries, names=found.names,
        by=None if by is None else str(by.name), x=x_label, y=y_label,
        remarks=[found.remark, said],
    )  # fmt: skip
    return drawn.figure


@checked
def plot_xy(
    run: Run,
    x: str,
    y: str,
    *,
    imputation: Any = 1,
    by: str | None = None,
    groups: Any = None,
    log: str = "",
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Two variables of the completed data, rows with an imputed value in their own colour.

    Observed rows are blue, rows with an imputed x or y vermillion. Categories, and numbers with at
    most 40 distinct values, are spread at random around their place, the same way at every call;
    observed and imputed dots of one place stand side by side. Two categorical variables are drawn
    as bars: for each pair of categories its share of the blue and of the vermillion rows.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    x, y
        Two variables, at least one of them imputed.
    imputation
        Which completed data set, 1 … m; several, or ``"all"``, are drawn over each other, observed
        rows once. One by default, because only then do the colours have their true proportions.
    by
        Column with clusters or categories: a panel for each that has such rows. By default one
        panel with all rows.
    groups
        Values of `by` to show; by default all, or the 30 with most such rows.
    log
        ``"x"``, ``"y"`` or ``"xy"`` for logarithmic axes.
    ax
        Where to draw, as many axes as panels; by default a new figure.
    figsize
        Inches; (5, 4) by default, with `by` what the panels need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        Unknown or equal variables, two that have no imputed cells, values a logarithmic axis
        cannot hold, no such imputation, or arguments that do not fit.
    """
    table = run.specification.table
    names = list(table.variables)
    for argument, name in (("x", x), ("y", y)):
        column_named(name, names, argument, "plot_xy")
    if x == y:
        raise SpecificationError(f"x and y are both {x!r}; give two variables.")
    numbers = numbers_of(imputation, run.m)
    where = _where(run, x, y)
    values = [np.array([completed(run, name, k) for k in numbers]) for name in (x, y)]
    if by in (x, y):
        raise SpecificationError(f"by={by!r} is one of the two variables; give another column.")
    labels = None
    if by is not None:
        labels = table.frame[column_named(by, names, "by", "plot_xy")].iloc[table.rows]
    known = ~np.isnan(values[0]) & ~np.isnan(values[1])  # what was left incomplete has no place
    known[1:, ~where] = False  # observed rows once
    parts = []
    for part in (known & ~where, known & where):
        parts.append((values[0][part], values[1][part], np.nonzero(part)[1]))
    which = f"imputation {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} imputations"
    return picture(
        (x, y), [table.variables[x], table.variables[y]], parts,
        [("observed", ""), ("imputed", f", {which}")], labels, groups, margins=False, log=log,
        ax=ax, figsize=figsize,
    )  # fmt: skip


def numbers_of(imputation: int | Sequence[int] | str, m: int) -> list[int]:
    """Numbers of the imputations asked for, 1 … m.

    Raises
    ------
    SpecificationError
        If there is no such imputation.
    """
    if isinstance(imputation, str):
        if imputation != "all":
            raise SpecificationError(
                f"imputation={imputation!r}: give 'all' or numbers from 1 to {m}."
            )
        return list(range(1, m + 1))
    asked: list[Any] = (
        list(imputation) if isinstance(imputation, Sequence | np.ndarray) else [imputation]
    )
    for number in asked:
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not whole or not 1 <= number <= m:
            raise SpecificationError(f"There is no imputation {number!r}; give 1 to {m}.")
    if not asked:
        raise SpecificationError(f"imputation= is empty; give 'all' or numbers from 1 to {m}.")
    return list(dict.fromkeys(int(number) for number in asked))


def _where(run: Run, x: str, y: str) -> np.ndarray:
    """Rows with an imputed x or y, bool (row,)."""
    where = run.specification.where
    imputed = [where[name] for name in (x, y) if name in run.history.imputed]
    if not np.any(imputed):
        raise SpecificationError(
            f"Neither {x!r} nor {y!r} has imputed cells; bi.plot_xy(imp.data, …) draws the table "
            "as it was given."
        )
    return np.any(imputed, axis=0)
