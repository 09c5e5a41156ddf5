"""Observed values over what the model expects before it has seen them."""

from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.arguments import FigureSize, checked
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.plots.distribution import bars

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 60
#: Inches of a panel with title and legend at the least.
LOWEST = 1.8
#: The axis reaches so many ranges of the data to either side, as far as there are draws.
REACH = 3.0


@checked
def plot_prior_predictive(
    tree: "xr.DataTree",
    *,
    ax: "Axes | None" = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Observed values in blue, what prior and likelihood draw in green.

    Numbers are drawn as histograms, all draws together, with the central 50 and 90 % of the draws
    as a bar below; categories as shares, where the green bar is the mean over draws and its lines
    hold 50 and 90 % of the draws. A sensible prior covers the data and does not spend itself on
    values that cannot be; it need not look like them.

    Parameters
    ----------
    tree
        As ``bi.prior_predictive`` or ``imp.prior_predictive`` gives it.
    ax
        Where to draw; by default a new figure, with a panel for each observed variable of the
        model (several for a model by group).
    figsize
        Inches; (6, 3.6) a panel by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        If the tree has no prior predictive draws, several panels do not fit on one `ax`, or
        `figsize` is too low for them.
    """
    groups = getattr(tree, "children", {})
    if not {"prior_predictive", "observed_data"} <= set(groups):
        raise SpecificationError(
            "plot_prior_predictive: tree must be what bi.prior_predictive() returns, a DataTree "
            f"with the groups prior_predictive and observed_data, not {type(tree).__name__}."
        )
    draws, seen = (tree[each].to_dataset() for each in ("prior_predictive", "observed_data"))
    names = [str(name) for name in draws.data_vars]
    if ax is not None and len(names) > 1:
        raise SpecificationError(
            f"This model observes {len(names)} variables ({', '.join(names)}), a panel each; "
            "leave ax= out."
        )
    size = figsize or (6, 3.6 * len(names))
    drawn = panels.panels(
        len(names), ax, size, picture="plot_prior_predictive", across=1, lowest=LOWEST, head=0
    )
    for panel, name in zip(drawn.axes, names, strict=True):
        one = panels.Panels(drawn.figure, [panel], drawn.own, 1)
        _panel(one, name, draws[name], seen[name].values.ravel())
    return drawn.figure


def _panel(drawn: panels.Panels, name: str, draws: "xr.DataArray", seen: np.ndarray) -> None:
    (ax,) = drawn.axes
    values, attributes = draws.values.reshape(-1, seen.size), draws.attrs
    below = ""
    if "categories" in attributes:
        _shares(ax, values, seen, np.asarray(attributes["categories"]))
    else:
        scale = attributes.get("scale", "")
        outside = _histograms(ax, values, seen, scale == "counts")
        words = [scale if scale != "counts" else ""]
        if outside >= 0.005:
            words.append(f"{outside:.0%} of the draws lie beyond the axis")
        below = "\n".join(filter(None, words))
    entries = [
        (f"observed ({seen.size:,} values)", panels.key(style.OBSERVED, "s")),
        (f"prior predictive ({len(values):,} draws)", panels.key(style.PRIOR, "s", alpha=0.5)),
    ]
    y = "share" if "categories" in attributes else "density"
    panels.finish(drawn, name.replace("_observed", "", 1), entries, y=y)
    ax.set_xlabel(below, fontsize=8, color=style.GREY)


def _histograms(ax: "Axes", draws: np.ndarray, seen: np.ndarray, counts: bool) -> float:
    """Draw both; gives the share of the draws that lie beyond the axis."""
    edges = _edges(draws, seen, counts)
    prior, observed = (
        np.histogram(each, edges)[0] / (each.size * np.diff(edges)) for each in (draws, seen)
    )
    ax.stairs(prior, edges, fill=True, color=style.PRIOR, alpha=0.35)
    ax.stairs(prior, edges, color=style.PRIOR, linewidth=1)
    ax.stairs(observed, edges, color=style.OBSERVED, linewidth=1.8)
    top = ax.get_ylim()[1]
    for inside, width in ((0.9, 2), (0.5, 5)):
        ends = np.quantile(draws, [(1 - inside) / 2, (1 + inside) / 2])
        ends = np.clip(ends, edges[0], edges[-1])
        ax.plot(ends, [-0.045 * top] * 2, color=style.PRIOR, linewidth=width, solid_capstyle="butt")
    ax.set(xlim=(edges[0], edges[-1]), ylim=(-0.09 * top, top), yticks=[])
    ax.spines["left"].set_bounds(0, top)
    return float(np.mean((draws < edges[0]) | (draws > edges[-1])))


def _edges(draws: np.ndarray, seen: np.ndarray, counts: bool) -> np.ndarray:
    """Edges of bins that hold the data, and of the draws what is not far from them."""
    span = max(float(np.ptp(seen)), 1e-12)
    low, high = np.quantile(draws, [0.005, 0.995])
    low = min(max(low, seen.min() - REACH * span), seen.min())
    high = max(min(high, seen.max() + REACH * span), seen.max())
    if not counts:
        return np.linspace(low, high, BINS + 1)
    step = max(1, int(np.ceil((high - low) / BINS)))
    return np.arange(np.floor(low), np.ceil(high) + step + 1, step) - 0.5


def _shares(ax: "Axes", draws: np.ndarray, seen: np.ndarray, categories: np.ndarray) -> None:
    prior = np.array([(draws == category).mean(axis=1) for category in categories]).T
    observed = np.array([[np.mean(seen == category) for category in categories]])
    at = bars(ax, observed, prior, [style.OBSERVED, (style.PRIOR, 0.35)])
    for inside, thick in ((0.9, 1.5), (0.5, 4)):
        low, high = np.quantile(prior, [(1 - inside) / 2, (1 + inside) / 2], axis=0)
        ax.vlines(at, low, high, color=style.PRIOR, linewidth=thick)
    ax.set_ylim(bottom=0)
    panels.name_categories(
        ax, [f"{c:g}" if categories.dtype.kind == "f" else str(c) for c in categories]
    )
