"""Observed values over what the model expects before it has seen them."""

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bayesimpute.arguments import FigureSize, checked
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style

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
    names = [str(name) for name in tree["prior_predictive"].data_vars]
    if ax is None:
        size = figsize or (6, 3.6 * len(names))
        count = f"{len(names)} panels" if len(names) > 1 else "the panel"
        panels.check_height(size, LOWEST * len(names), count, "plot_prior_predictive")
        figure, grid = style.subplots(len(names), 1, size)
        chosen = list(grid[:, 0])
    elif len(names) > 1:
        raise SpecificationError(
            f"This model observes {len(names)} variables ({', '.join(names)}), a panel each; "
            "leave ax= out."
        )
    else:
        figure, chosen = cast("Figure", ax.get_figure(root=True)), [ax]
    for panel, name in zip(chosen, names, strict=True):
        draws = tree["prior_predictive"].to_dataset()[name]
        one = panels.Panels(figure, [panel], own=ax is None)
        _panel(one, name, draws, tree["observed_data"].to_dataset()[name])
    return figure


def _panel(
    drawn: panels.Panels, name: str, draws: "xr.DataArray", observed: "xr.DataArray"
) -> None:
    ax = drawn.axes[0]
    style.tidy(ax)
    attributes = draws.attrs
    values, seen = draws.values.reshape(-1, observed.size), observed.values.ravel()
    labels = (f"observed ({seen.size:,} values)", f"prior predictive ({len(values):,} draws)")
    if "categories" in attributes:
        _shares(ax, values, seen, np.asarray(attributes["categories"]), labels)
    else:
        scale = attributes.get("scale", "")
        outside = _histograms(ax, values, seen, scale == "counts", labels)
        below = [scale if scale != "counts" else ""]
        if outside >= 0.005:
            below.append(f"{outside:.0%} of the draws lie beyond the axis")
        ax.set_xlabel("\n".join(filter(None, below)), fontsize=8, color=style.GREY)
    panels.titles(drawn, name.replace("_observed", "", 1), [""])
    handles, given = ax.get_legend_handles_labels()
    panels.legend(drawn, "", [(label, handles[given.index(label)]) for label in labels])


def _histograms(
    ax: "Axes", draws: np.ndarray, seen: np.ndarray, counts: bool, labels: tuple[str, str]
) -> float:
    """Draw both; gives the share of the draws that lie beyond the axis."""
    edges = _edges(draws, seen, counts)
    height = _density(draws, edges)
    ax.stairs(height, edges, fill=True, color=style.PRIOR, alpha=0.35, label=labels[1])
    ax.stairs(height, edges, color=style.PRIOR, linewidth=1)
    ax.stairs(_density(seen, edges), edges, color=style.OBSERVED, linewidth=1.8, label=labels[0])
    ax.set_xlim(edges[0], edges[-1])
    ax.set_yticks([])
    ax.set_ylabel("density", fontsize=9)
    top = ax.get_ylim()[1]
    ax.set_ylim(-0.09 * top, top)
    ax.spines["left"].set_bounds(0, top)
    for inside, width in ((0.9, 2), (0.5, 5)):
        low, high = np.quantile(draws, [(1 - inside) / 2, (1 + inside) / 2])
        ax.plot(
            np.clip([low, high], edges[0], edges[-1]), [-0.045 * top] * 2,
            color=style.PRIOR, linewidth=width, solid_capstyle="butt",
        )  # fmt: skip
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


def _density(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Of all values, those beyond the edges included in what they are shares of."""
    inside = np.histogram(values, edges)[0]
    return np.asarray(inside / (values.size * np.diff(edges)))


def _shares(
    ax: "Axes",
    draws: np.ndarray,
    seen: np.ndarray,
    categories: np.ndarray,
    labels: tuple[str, str],
) -> None:
    at, width = np.arange(len(categories)), 0.38
    shares = np.array([(draws == category).mean(axis=1) for category in categories])
    observed = [np.mean(seen == category) for category in categories]
    ax.bar(at - width / 2, observed, width, color=style.OBSERVED, label=labels[0])
    middle = at + width / 2
    ax.bar(middle, shares.mean(axis=1), width, color=style.PRIOR, alpha=0.35, label=labels[1])
    for inside, thick in ((0.9, 1.5), (0.5, 4)):
        low, high = np.quantile(shares, [(1 - inside) / 2, (1 + inside) / 2], axis=1)
        ax.vlines(middle, low, high, color=style.PRIOR, linewidth=thick)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("share", fontsize=9)
    ax.set_xticks(at, **_ticks(categories))


def _ticks(categories: np.ndarray) -> dict[str, Any]:
    names = [f"{c:g}" if categories.dtype.kind == "f" else str(c) for c in categories]
    shortened = [style.literal(style.cut(name, 18)) for name in names]
    slanted = sum(map(len, shortened)) > 60
    return {
        "labels": shortened,
        "rotation": 35 if slanted else 0,
        "ha": "right" if slanted else "center",
    }
