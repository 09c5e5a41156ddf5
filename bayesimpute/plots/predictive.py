"""Posterior predictive check: observed values over data as the imputation model would have them."""

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style
from bayesimpute.plots.kernel import grid_within, kernel_density, support
from bayesimpute.plots.ticks import name_below

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BARS = 12  # numbers with more distinct values are drawn as densities
MOST_CURVES = 50


def plot_ppc(
    tree: "xr.DataTree",
    *,
    ax: "Axes | None" = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Observed values in blue, replicated data sets in vermillion.

    Numbers are drawn as kernel densities, one curve a replicated data set (50 at the most);
    categories, and numbers whose draws have at most 12 distinct values, as bars of shares: the
    vermillion bar is the mean over replicated data sets, its line holds 90 % of them. Where the
    blue leaves what the model makes of it, the model misses a feature of the data.

    Parameters
    ----------
    tree
        As ``imp.predictive(variable)`` gives it.
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
        If the tree has no posterior predictive draws.
    """
    if not {"posterior_predictive", "observed_data"} <= set(getattr(tree, "children", {})):
        raise SpecificationError(
            "plot_ppc draws what imp.predictive(variable) returns: a DataTree with the groups "
            "posterior_predictive and observed_data."
        )
    dataset = tree["posterior_predictive"].to_dataset()
    (name,) = dataset.data_vars
    draws, attributes = dataset[name].values, dataset[name].attrs
    draws = draws.reshape(-1, draws.shape[-1])
    observed = tree["observed_data"].to_dataset()[name].values.astype(float)
    kept = ~np.isnan(draws).any(axis=0)  # rows some chain has no model for
    draws, observed = draws[:, kept], observed[kept]
    if ax is None:
        figure, grid = style.subplots(1, 1, figsize or (6, 3.6))
        ax = grid[0, 0]
    else:
        figure = cast("Figure", ax.get_figure(root=True))
    style.tidy(ax)
    labels = (f"observed ({observed.size:,})", f"model ({len(draws)} data sets)")
    categories = attributes.get("categories")
    distinct = np.unique(np.concatenate([observed, draws.ravel()]))
    if categories is not None:
        _bars(ax, draws, observed, np.arange(len(categories)), labels)
        name_below(ax, [str(label) for label in categories])
    elif len(distinct) <= MOST_BARS:
        _bars(ax, draws, observed, distinct, labels)
        name_below(ax, [f"{value:g}" for value in distinct])
    else:
        _curves(ax, draws, observed, labels)
    ax.set_ylim(bottom=0)
    narrow = figure.get_figwidth() < 4.8
    style.title(ax, attributes.get("target", name), pad=34 if narrow else 22)
    handles, given = ax.get_legend_handles_labels()
    chosen = [handles[given.index(label)] for label in labels]
    ax.legend(
        chosen, labels, fontsize=8, frameon=False, labelcolor=style.GREY,
        ncols=1 if narrow else 2, loc="lower left", bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.2, borderpad=0.1,
    )  # fmt: skip
    return figure


def _curves(ax: "Axes", draws: np.ndarray, observed: np.ndarray, labels: tuple[str, str]) -> None:
    step = max(1, len(draws) // MOST_CURVES)
    shown = draws[::step][:MOST_CURVES]
    low, high = np.quantile(shown, [0.002, 0.998])
    low, high = min(low, observed.min()), max(high, observed.max())
    reach = 0.05 * (high - low)
    ends = support([draws, observed])
    grid = grid_within(low - reach, high + reach, ends, 256)
    where = (grid, ends)
    for k, values in enumerate(shown):
        label = labels[1] if k == 0 else None
        _curve(ax, values, where, color=style.IMPUTED, linewidth=0.7, alpha=0.35, label=label)
    _curve(ax, observed, where, color=style.OBSERVED, linewidth=2.2, label=labels[0])
    ax.set_xlim(grid[0], grid[-1])
    ax.set_ylabel("density", fontsize=9)
    ax.set_yticks([])


def _curve(
    ax: "Axes", values: np.ndarray, where: tuple[np.ndarray, np.ndarray], **drawn: Any
) -> None:
    """Density of the values; a rug where there are too few, or all equal, for a density."""
    if len(values) < 3 or np.ptp(values) == 0:
        ax.plot(values, np.zeros(len(values)), "|", markersize=14, clip_on=False, **drawn)
        return
    grid, ends = where
    ax.plot(grid, kernel_density(values, grid, ends), **drawn)


def _bars(
    ax: "Axes",
    draws: np.ndarray,
    observed: np.ndarray,
    values: np.ndarray,
    labels: tuple[str, str],
) -> None:
    at, width = np.arange(len(values)), 0.38
    shares = np.array([(draws == value).mean(axis=1) for value in values])
    seen = [float(np.mean(observed == value)) for value in values]
    ax.bar(at - width / 2, seen, width, color=style.OBSERVED, label=labels[0])
    middle = at + width / 2
    ax.bar(middle, shares.mean(axis=1), width, color=style.IMPUTED, alpha=0.75, label=labels[1])
    low, high = np.quantile(shares, [0.05, 0.95], axis=1)
    ax.vlines(middle, low, high, color="black", linewidth=1.4)
    ax.set_ylabel("share", fontsize=9)
    ax.set_xticks(at)
