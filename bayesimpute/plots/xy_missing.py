"""Scatter plot of an incomplete table: rows with a missing value stand on the margins."""

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.data.table import Table
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, scatter, style, ticks
from bayesimpute.plots.frames import column_named, named_frame
from bayesimpute.plots.groups import facets
from bayesimpute.plots.xy import keys

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

BAND = 26  # points between an axis of numbers and the rows where the other one is missing
ABSENT = "missing"


@checked
def plot_xy(
    df: pd.DataFrame,
    x: Hashable,
    y: Hashable,
    *,
    by: Hashable | None = None,
    groups: Any = None,
    log: str = "",
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Observed pairs in blue; rows without x or y in vermillion, on the margin of the other one.

    Where x is missing, a row stands left of the axis at the height of its y; where y is missing,
    below it; where both are, in the corner. Values that differ between margin and middle show how
    missingness depends on the other variable. On an axis of categories "missing" is one more
    category. Categories, and numbers with at most 40 distinct values, are spread at random, the
    same way at every call; of two categorical variables every pair has a bar with its number of
    rows.

    Parameters
    ----------
    df
        The incomplete table.
    x, y
        Two columns with numbers or categories.
    by
        Column with clusters or categories: a panel for each. By default one panel.
    groups
        Values of `by` to show; by default all, or the 30 with most rows.
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
    DataError
        If this is no table with rows and distinct column names.
    SpecificationError
        Unknown or equal columns, columns of dates or other objects, values a logarithmic axis
        cannot hold, or arguments that do not fit.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> import pandas as pd
    >>> df = pd.DataFrame({"age": [30.0, 41.5, None, 52], "bmi": [22.1, None, 24.3, 27.8]})
    >>> figure = bi.plot_xy(df, "age", "bmi")
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['observed (2 rows)', 'age or bmi missing (2 rows)']
    """
    frame = named_frame(df, "plot_xy")
    names = list(frame.columns)
    across, up = (column_named(name, names, a, "plot_xy") for a, name in (("x", x), ("y", y)))
    if across == up:
        raise SpecificationError(f"x and y are both {across!r}; give two columns.")
    table = Table.from_frame(frame[[across, up]])
    values = (table.values[across], table.values[up])
    log_x, log_y = scatter.check_log(log)
    scales = (
        scatter.scale_of(table.variables[across], values[0], log_x),
        scatter.scale_of(table.variables[up], values[1], log_y),
    )
    labels = None if by is None else frame[column_named(by, names, "by", "plot_xy")]
    found = facets(labels, groups, np.ones(len(frame), dtype=bool), "rows")
    drawn = panels.panels(
        len(found.panels), ax, figsize, picture="plot_xy", single=(5.0, 4.0), each=(2.3, 2.1),
        most=4, narrowest=1.7, sharex=True, sharey=True,
    )  # fmt: skip
    gone = (np.isnan(values[0]), np.isnan(values[1]))
    pairs = bool(scales[0].categories and scales[1].categories)
    scales = (_with_absent(scales[0], gone[0]), _with_absent(scales[1], gone[1]))
    for panel, (_, rows) in zip(drawn.axes, found.panels, strict=True):
        draw = _bars if pairs else _dots
        draw(panel, scales, values, gone, rows)
        _margins(drawn, panel, scales, values, gone)
    title = f"{up} against {across}"
    panels.titles(drawn, title, [name for name, _ in found.panels])
    panels.label_outer(drawn, x=across, y=up)
    shown = np.any([rows for _, rows in found.panels], axis=0)
    either = gone[0] | gone[1]
    names_cut = f"{style.cut(across, 18)} or {style.cut(up, 18)}"
    panels.legend(
        drawn,
        title if by is None else f"{title} by {by}",
        keys(
            f"observed ({(shown & ~either).sum():,} rows)",
            f"{names_cut} missing ({(shown & either).sum():,} rows)",
        ),
    )
    panels.remark(
        drawn,
        [found.remark, "bars: numbers of rows, each colour on a scale of its own" if pairs else ""],
    )
    return drawn.figure


type Two[T] = tuple[T, T]


def _with_absent(scale: scatter.Scale, gone: np.ndarray) -> scatter.Scale:
    """Give categories one more, in front, where some are missing."""
    if not scale.categories or not gone.any():
        return scale
    return replace(scale, categories=(ABSENT, *scale.categories))


def _first(scale: scatter.Scale) -> int:
    """Position of the first name: missing ones stand before category 0."""
    return -1 if scale.categories[:1] == (ABSENT,) else 0


def _bars(
    ax: "Axes",
    scales: Two[scatter.Scale],
    values: Two[np.ndarray],
    gone: Two[np.ndarray],
    rows: np.ndarray,
) -> None:
    """Draw the share of every pair of categories, missing ones among them."""
    x, y = (
        np.nan_to_num(each, nan=-1.0) - _first(scale)
        for scale, each in zip(scales, values, strict=True)
    )
    either = gone[0] | gone[1]
    shape = (len(scales[0].categories), len(scales[1].categories))
    for part, colour in ((~either, style.OBSERVED), (either, style.MISSING)):
        group = (x[rows & part], y[rows & part], colour)
        scatter.bars(ax, [group], shape, [int((rows & part).sum())], written=True)
    scatter.dress(ax, *scales, narrow=ax.bbox.width < 250)


def _dots(
    ax: "Axes",
    scales: Two[scatter.Scale],
    values: Two[np.ndarray],
    gone: Two[np.ndarray],
    rows: np.ndarray,
) -> None:
    """Draw pairs in the middle and what is missing on the margins."""
    from matplotlib.transforms import blended_transform_factory

    for no_x, no_y in ((False, False), (True, False), (False, True), (True, True)):
        part = rows & (gone[0] == no_x) & (gone[1] == no_y)
        if not part.any():
            continue
        at = [
            _places(scale, each[part], missing, seed)
            for scale, each, missing, seed in zip(scales, values, (no_x, no_y), (1, 2), strict=True)
        ]
        banded = [
            missing and not scale.categories
            for scale, missing in zip(scales, (no_x, no_y), strict=True)
        ]
        band = _band(ax)
        place = blended_transform_factory(
            band if banded[0] else ax.transData, band if banded[1] else ax.transData
        )
        colour = style.MISSING if no_x or no_y else style.OBSERVED
        scatter.dots(ax, [(at[0], at[1], colour)], transform=place, clip_on=not any(banded))
    scatter.dress(
        ax, *scales, narrow=ax.bbox.width < 250, first=(_first(scales[0]), _first(scales[1]))
    )


def _places(scale: scatter.Scale, values: np.ndarray, missing: bool, seed: int) -> np.ndarray:
    """Places of values, or of as many missing ones: at −1, or around 0 of the band."""
    if not missing:
        return scatter.spread(scale, values, 0, seed)
    if scale.categories:
        return scatter.spread(scale, np.full(len(values), -1.0), 0, seed)
    return ticks.jitter(len(values), 0.02, seed)


def _band(ax: "Axes") -> "Transform":
    """Put 0 in the middle between the panel and its axis, which is moved outward."""
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None
    back = -BAND / 2 / 72
    return ax.transAxes + ScaledTranslation(back, back, figure.dpi_scale_trans)


def _margins(
    drawn: panels.Panels,
    ax: "Axes",
    scales: Two[scatter.Scale],
    values: Two[np.ndarray],
    gone: Two[np.ndarray],
) -> None:
    """Limits of both axes; those of numbers stand apart where there is a band before them."""
    banded = [bool(not s.categories and g.any()) for s, g in zip(scales, gone, strict=True)]
    edge: dict[str, Any] = {
        "color": style.GREY,
        "linewidth": 0.5,
        "linestyle": ":",
        "clip_on": False,
    }
    word: dict[str, Any] = {"fontsize": 7, "color": style.GREY, "annotation_clip": False}
    lowest, leftmost = panels.outer(drawn, ax)
    if not scales[0].categories:
        ax.set_xlim(_limits(values[0], scales[0]))
    elif not scales[1].categories:
        ax.set_xlim(_first(scales[0]) - 0.6, len(scales[0].categories) + _first(scales[0]) - 0.4)
    if not scales[1].categories:
        ax.set_ylim(_limits(values[1], scales[1]))
    elif not scales[0].categories:
        ax.set_ylim(_first(scales[1]) - 0.6, len(scales[1].categories) + _first(scales[1]) - 0.4)
    if banded[0]:
        ax.spines["left"].set_position(("outward", BAND))
        ax.plot([0, 0], [0, 1], transform=ax.transAxes, **edge)
    if banded[1]:
        ax.spines["bottom"].set_position(("outward", BAND))
        ax.plot([0, 1], [0, 0], transform=ax.transAxes, **edge)
    if banded[0] and lowest:
        ax.annotate(
            ABSENT, (0, 0), (-3, -BAND * banded[1] - 6), xycoords="axes fraction",
            textcoords="offset points", ha="right", va="top", **word,
        )  # fmt: skip
    if banded[1] and leftmost:
        ax.annotate(
            ABSENT, (0, 0), (-BAND * banded[0] - 6, -BAND / 2), xycoords="axes fraction",
            textcoords="offset points", ha="right", va="center", **word,
        )  # fmt: skip


def _limits(values: np.ndarray, scale: scatter.Scale) -> tuple[float, float]:
    """Limits around all numbers, the same for all panels."""
    seen = values[~np.isnan(values)]
    if seen.size == 0:
        return (0.1, 1.0) if scale.log else (0.0, 1.0)
    low, high = float(seen.min()), float(seen.max())
    if scale.log:
        room = max((high / low) ** 0.05, 1.02)
        return low / room, high * room
    room = max(0.05 * (high - low), scale.spread * 1.3, 0.01 * max(abs(high), 1e-9))
    return low - room, high + room
