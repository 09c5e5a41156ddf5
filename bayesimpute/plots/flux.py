"""Influx and outflux: how a variable is connected to the others through what is missing."""

from collections.abc import Sequence
from itertools import product
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import FigureSize, checked
from bayesimpute.explore.patterns import flux
from bayesimpute.plots import panels, style
from bayesimpute.plots.frames import chosen_columns, named_frame

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Points (1/72 inch) up to which circles share a place, and so a label; names written there, and
#: characters of a line of them.
MERGED, NAMED, LINE = 5.0, 6, 24
#: Labels are found a place up to so many; of more, only those below the diagonal are written.
MOST_LABELS = 40
#: Points from a circle to its label that are tried, and directions; from the first of FAR on a
#: line leads there.
DISTANCES, FAR = (6, 12, 20, 30, 42, 56, 72, 90, 110), 12
DIRECTIONS = (0, 180, 90, 270, 45, 315, 135, 225, 20, 160, 200, 340, 70, 110, 250, 290)


@checked
def plot_flux(
    df: "pd.DataFrame",
    variables: Sequence[Any] | Any | None = None,
    *,
    ax: "Axes | None" = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Outflux against influx of each variable.

    Influx says how well what is missing of a variable is met by observed values of others, outflux
    how well its own observed values meet what is missing of the others. Complete variables lie in
    the upper left corner (0, 1), empty ones in the lower right (1, 0). What lies far below the
    dashed diagonal has little to give and little to take: a candidate for being left out.

    Parameters
    ----------
    df
        Any frame; it is not changed.
    variables
        Which columns; influx and outflux are those among them. By default all.
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; (5, 5) by default.

    Returns
    -------
    matplotlib.figure.Figure
        Complete variables are filled blue circles, incomplete ones open vermillion ones; a label
        names all variables whose circles lie on each other.

    Raises
    ------
    DataError
        If there is nothing to draw.
    SpecificationError
        If a column does not exist.

    References
    ----------
    van Buuren (2018), Flexible Imputation of Missing Data, section 4.1.3.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> df = pd.DataFrame({"age": [1, 2, 3], "bmi": [20.5, None, 23], "chl": [None, None, 187]})
    >>> figure = bi.plot_flux(df)
    >>> [label.get_text() for label in figure.axes[0].texts]
    ['age', 'bmi', 'chl']
    """
    frame = named_frame(df, "plot_flux")
    frame = frame[chosen_columns(frame, variables, None, "plot_flux")]
    drawn = panels.panels(1, ax, figsize, picture="plot_flux", single=(5.0, 5.2))
    (ax,) = drawn.axes
    ax.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), aspect="equal")
    ax.plot([0, 1], [1, 0], color=style.GREY, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    # In complete data there is nothing to flow out to, and without a value nothing flows in.
    table = flux(frame).fillna({"influx": 1.0, "outflux": 1.0})
    at = table[["influx", "outflux"]].to_numpy()
    complete = frame.notna().all().to_numpy()
    shown: dict[str, Any] = {"s": 30, "linewidths": 1.5, "clip_on": False, "zorder": 3}
    ax.scatter(*at[complete].T, color=style.OBSERVED, **shown)
    ax.scatter(*at[~complete].T, facecolors="white", edgecolors=style.MISSING, **shown)
    places = _places(at, MERGED / 72 / min(style.extent(ax)))
    remark = "nothing is missing" if complete.all() else ""
    if len(places) > MOST_LABELS:
        places = sorted(places, key=lambda place: at[place].sum(axis=1).min())[:MOST_LABELS]
        remark = f"labels: the {MOST_LABELS} places farthest below the diagonal"
    entries = [
        ("complete", panels.key(style.OBSERVED)),
        ("incomplete", panels.key(style.MISSING, markerfacecolor="white", markeredgewidth=1.5)),
    ]
    panels.finish(drawn, "influx and outflux", entries, x="influx", y="outflux", remarks=[remark])
    _label(ax, at, [(place, [str(table.index[k]) for k in place]) for place in places])
    return drawn.figure


def _places(at: np.ndarray, nearness: float) -> list[list[int]]:
    """Positions of the points that share a place, in the order of their first ones."""
    places: list[list[int]] = []
    for k, point in enumerate(at):
        near = [place for place in places if np.hypot(*(at[place[0]] - point)) < nearness]
        if near:
            near[0].append(k)
        else:
            places.append([k])
    return places


def _label(ax: "Axes", at: np.ndarray, places: Sequence[tuple[list[int], list[str]]]) -> None:
    """Write names beside their points, each where it covers least."""
    figure: Any = ax.get_figure(root=True)
    figure.draw_without_rendering()
    pixel, frame = figure.dpi / 72, np.array(ax.get_window_extent().extents)
    points = ax.transData.transform(at)
    taken = np.hstack([points - 3.5 * pixel, points + 3.5 * pixel])
    for place, names in places:
        more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
        words = ", ".join([style.cut(name) for name in names[:NAMED]] + more)
        text = style.literal(fill(words, LINE, break_on_hyphens=False))
        note = ax.annotate(
            text, at[place[0]], (0, 0), textcoords="offset points", ha="center", va="center",
            fontsize=8, arrowprops={"arrowstyle": "-", "color": style.GREY, "linewidth": 0.6,
                                    "shrinkA": 0, "shrinkB": 3},
        )  # fmt: skip
        note.set_in_layout(False)
        size = np.array(note.get_window_extent().size) + 2 * pixel
        found = []
        for distance, angle in product(DISTANCES, DIRECTIONS):
            way = np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
            offset = way * (distance * pixel + np.abs(way) * size / 2)
            centre = points[place[0]] + offset
            box = np.concatenate([centre - size / 2, centre + size / 2])
            over = (box[:2] < taken[:, 2:]).all(axis=1) & (box[2:] > taken[:, :2]).all(axis=1)
            outside = (box[:2] < frame[:2]).any() or (box[2:] > frame[2:]).any()
            found.append((over.sum() + 3 * outside + 0.004 * distance, distance, box, offset))
        _, distance, box, offset = min(found, key=lambda each: each[0])
        taken = np.vstack([taken, box])
        note.set_position(tuple(offset / pixel))
        if distance < FAR and note.arrow_patch is not None:
            note.arrow_patch.set_visible(False)
