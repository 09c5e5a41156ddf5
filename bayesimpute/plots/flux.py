"""Influx and outflux: how a variable is connected to the others through what is missing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bayesimpute.arguments import FigureSize, checked
from bayesimpute.explore.flux import flux
from bayesimpute.plots import style
from bayesimpute.plots.frames import chosen_columns, named_frame
from bayesimpute.plots.labels import label_points
from bayesimpute.plots.tiles import inches, shortened

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Points (1/72 inch) up to which circles share a place, and so a label.
MERGED = 4.5
#: Names at the same place that are written out; of more the label says how many there are.
NAMED = 6
#: Characters a line of such a label has.
LINE = 24
#: Labels are found a place up to so many; of more, only those below the diagonal are written.
MOST_LABELS = 40


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
    if ax is None:
        figure, grid = style.subplots(1, 1, figsize or (5, 5))
        ax = grid[0, 0]
    else:
        figure = cast("Figure", ax.get_figure(root=True))
    assert ax is not None
    style.tidy(ax)
    ax.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), aspect="equal")
    ax.set_xlabel("influx", fontsize=9)
    ax.set_ylabel("outflux", fontsize=9)
    diagonal = np.array([[0.0, 1.0], [1.0, 0.0]])
    ax.plot(*diagonal.T, color=style.GREY, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    if not frame.isna().any(axis=None):
        ax.set_title("nothing is missing", fontsize=9, loc="left", color=style.GREY)
    # In complete data there is nothing to flow out to, and without a value nothing flows in.
    table = flux(frame).fillna({"influx": 1.0, "outflux": 1.0})
    at = table[["influx", "outflux"]].to_numpy()
    complete = frame.notna().all().to_numpy()
    shown: dict[str, Any] = {"s": 30, "linewidths": 1.5, "clip_on": False, "zorder": 3}
    ax.scatter(*at[complete].T, color=style.OBSERVED, label="complete", **shown)
    ax.scatter(
        *at[~complete].T, facecolors="white", edgecolors=style.MISSING, label="incomplete", **shown
    )
    if not complete.all():
        ax.legend(
            fontsize=8, frameon=False, labelcolor=style.GREY, ncols=2, handletextpad=0.2,
            loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1, columnspacing=1,
        )  # fmt: skip
    places = _places(at, MERGED / 72 / min(inches(ax)) * 1.08)
    if len(places) > MOST_LABELS:
        places = sorted(places, key=lambda place: at[place].sum(axis=1).min())[:MOST_LABELS]
        ax.set_title(
            f"labels: the {MOST_LABELS} places farthest below the diagonal", fontsize=8,
            loc="left", color=style.GREY, pad=16,
        )  # fmt: skip
    texts = [_label([str(table.index[k]) for k in place]) for place in places]
    firsts = [place[0] for place in places]
    label_points(ax, at[firsts, 0], at[firsts, 1], texts, lines=[diagonal])
    return figure


def _places(at: np.ndarray, nearness: float) -> list[list[int]]:
    """Positions of the points that share a place, in the order of their first ones."""
    places: list[list[int]] = []
    for k, point in enumerate(at):
        for place in places:
            if np.hypot(*(at[place[0]] - point)) < nearness:
                place.append(k)
                break
        else:
            places.append([k])
    return places


def _label(names: list[str]) -> str:
    """Names of one place, in short lines."""
    shown = [f"{shortened(name)}," for name in names[:NAMED]]
    if len(names) > NAMED:
        shown.append(f"{len(names) - NAMED} more")
    lines = [""]
    for name in shown:
        if lines[-1] and len(lines[-1]) + len(name) > LINE:
            lines.append("")
        lines[-1] += f" {name}" if lines[-1] else name
    return "\n".join(lines).removesuffix(",")
