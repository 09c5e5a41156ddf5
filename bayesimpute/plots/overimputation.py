"""Observed cells against what is predicted without them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style
from bayesimpute.plots.panels import panels, remark, shortened

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.checking.overimputation import Overimputation

#: Cells shown with their intervals: more of them cover each other.
MOST_CELLS = 250
MARKERS = "osD^vP*X"


def plot_overimputation(
    found: "Overimputation",
    variables: str | Sequence[str] | None = None,
    *,
    axes: Any = None,
    figsize: tuple[float, float] | None = None,
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
    axes
        One for each; by default a new figure.
    figsize
        Inches; by default by the number of panels.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        If a variable is not in the result.
    """
    known = list(found.table.index)
    names = known if variables is None else [variables] if isinstance(variables, str) else variables
    for name in names:
        if name not in known:
            raise SpecificationError(
                f"plot: {name!r} was not overimputed; there are {', '.join(known)}."
            )
    drawn = panels(
        len(names), axes, figsize,
        picture="plot", single=(4.6, 4.2), each=(3.2, 3.0), most=3, narrowest=1.7,
    )  # fmt: skip
    cells, shade = found.cells, None
    most = float(cells["missing"].max())
    for panel, name in zip(drawn.axes, names, strict=True):
        row = found.table.loc[name]
        panel.set_title(f"{shortened(name, 12)}: {row['coverage']:.1%}", fontsize=9, loc="left")
        panel.tick_params(labelsize=7)
        if name in found.probabilities:
            _calibration(panel, name, found.calibration(name))
        else:
            shade = _intervals(panel, cells[cells["variable"] == name], most)
    if shade is not None:
        numeric = [
            p for p, n in zip(drawn.axes, names, strict=True) if n not in found.probabilities
        ]
        bar = drawn.figure.colorbar(shade, ax=numeric, shrink=0.8, pad=0.02, aspect=30)
        bar.set_label("share of the row missing", fontsize=8, color=style.GREY)
        bar.ax.tick_params(labelsize=7, colors=style.GREY)
        bar.outline.set_visible(False)
    remark(drawn, [f"in the titles: observed values in their central {found.level:.0%} intervals"])
    return drawn.figure


def _intervals(ax: "Axes", cells: "pd.DataFrame", most: float) -> Any:
    """Intervals of some cells; gives what the bar of tones is made from."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    observed = cells["observed"].to_numpy(dtype=float)
    order = np.argsort(observed, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, MOST_CELLS).astype(int))]
    ends_of = [style.OBSERVED_AREA, style.MISSING]
    tones = LinearSegmentedColormap.from_list("missing", ends_of)
    shade = ScalarMappable(Normalize(0, max(most, 0.1)), tones)
    low, high, mean, missing = (
        cells[column].to_numpy(dtype=float)[chosen] for column in ("low", "high", "mean", "missing")
    )
    x = observed[chosen]
    colours: Any = shade.to_rgba(missing)
    ax.vlines(x, low, high, colors=colours, linewidth=0.8, alpha=0.75)
    ax.scatter(x, mean, c=colours, s=7, zorder=3)
    ends = [min(x.min(), low.min()), max(x.max(), high.max())]
    ax.plot([x.min(), x.max()], [x.min(), x.max()], color="black", linewidth=1.4, zorder=4)
    ax.set_ylim(*ends)
    ax.set_xlabel("observed", fontsize=8)
    ax.set_ylabel("predicted without it", fontsize=8)
    return shade


def _calibration(ax: "Axes", variable: str, groups: "pd.DataFrame") -> None:
    ax.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.9)
    names = list(dict.fromkeys(groups["category"]))
    tones = style.shades(len(names)) if len(names) > 1 else [style.IMPUTED]
    for k, (name, tone) in enumerate(zip(names, tones, strict=True)):
        own = groups[groups["category"] == name]
        predicted, share, error = (
            own[c].to_numpy(dtype=float) for c in ("predicted", "share", "error")
        )
        label = f"{name:g}" if isinstance(name, float) else str(name)
        ax.errorbar(
            predicted, share, 2 * error,
            fmt=MARKERS[k % len(MARKERS)], color=tone, markersize=4, linewidth=1,
            label=shortened(label if len(names) > 1 else f"{variable} = {label}", 14),
        )  # fmt: skip
    top = max(float(groups[["predicted", "share"]].max().max()) * 1.08, 0.1)
    low = min(float(groups[["predicted", "share"]].min().min()) - 0.04, 0.0)
    ax.set_xlim(low, min(1.02, top))
    ax.set_ylim(low, min(1.02, top))
    ax.set_xlabel("predicted chance", fontsize=8)
    ax.set_ylabel("observed share", fontsize=8)
    ax.legend(fontsize=7, frameon=False, labelcolor=style.GREY, loc="upper left", handletextpad=0.3)
