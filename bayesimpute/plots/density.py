"""Distribution of observed and imputed values: may differ under MAR, but should be explicable."""

from typing import TYPE_CHECKING, cast

import numpy as np

from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.result.imputations import Imputations

MOST_BARS = 12  # numbers with more distinct values are drawn as densities


def plot_density(
    imputations: "Imputations",
    variable: str,
    *,
    ax: "Axes | None" = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Observed values in blue, each imputation's values in vermillion.

    Numbers are drawn as kernel densities (Scott's bandwidth), categories and numbers with at most
    12 distinct values as bars of shares: the bar is the mean over imputations, a dot one
    imputation.

    Parameters
    ----------
    imputations
        The result.
    variable
        An imputed variable.
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
        If the variable was not imputed.
    """
    specification, history = imputations.specification, imputations.history
    table = specification.table
    style.check_imputed(variable, history.imputed, table.variables)
    known = table.values[variable]
    observed = known[~np.isnan(known)]
    imputed = np.asarray(history.imputed[variable], dtype=np.float64)
    if imputed.shape[1] == 0:
        raise SpecificationError(f"Variable {variable!r} has no imputed cells to plot.")
    if ax is None:
        figure, grid = style.subplots(1, 1, figsize or (6, 3.6))
        ax = grid[0, 0]
    else:
        figure = cast("Figure", ax.get_figure(root=True))
    style.tidy(ax)
    labels = (
        f"observed ({observed.size:,} cells)",
        f"imputed ({imputed.shape[1]:,} cells, m = {history.m})",
    )
    categories = table.variables[variable].categories
    seen = np.unique(np.concatenate([observed, imputed.ravel()]))
    if categories:
        _bars(ax, observed, imputed, np.arange(len(categories)), labels)
        _name_ticks(ax, [str(label) for label in categories])
    elif len(seen) <= MOST_BARS:
        _bars(ax, observed, imputed, seen, labels)
        _name_ticks(ax, [f"{value:g}" for value in seen])
    else:
        _curves(ax, observed, imputed, labels)
    ax.set_title(variable, fontsize=11, loc="left")
    ax.set_ylim(bottom=0)
    handles, names = ax.get_legend_handles_labels()
    first = [names.index(labels[0]), names.index(labels[1])]
    ax.legend(
        [handles[k] for k in first], labels,
        fontsize=8, frameon=False, labelcolor=style.GREY, ncols=2,
        loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1,
    )  # fmt: skip
    return figure


def _curves(ax: "Axes", observed: np.ndarray, imputed: np.ndarray, labels: tuple[str, str]) -> None:
    everything = np.concatenate([observed, imputed.ravel()])
    reach = 0.08 * np.ptp(everything)
    grid = np.linspace(everything.min() - reach, everything.max() + reach, 300)
    thin = 0.9 if len(imputed) <= 30 else 0.5
    for k, values in enumerate(imputed):
        label = labels[1] if k == 0 else None
        _curve(ax, values, grid, color=style.IMPUTED, linewidth=thin, alpha=0.6, label=label)
    _curve(ax, observed, grid, color=style.OBSERVED, linewidth=2.4, label=labels[0])
    ax.set_ylabel("density", fontsize=9)
    ax.set_yticks([])


def _curve(ax: "Axes", values: np.ndarray, grid: np.ndarray, **drawn: object) -> None:
    """Density of the values; a rug where there are too few, or all equal, for a density."""
    if len(values) < 3 or np.ptp(values) == 0:
        ax.plot(values, np.zeros(len(values)), "|", markersize=14, clip_on=False, **drawn)  # type: ignore[arg-type]
        return
    from scipy.stats import gaussian_kde

    ax.plot(grid, gaussian_kde(values)(grid), **drawn)  # type: ignore[arg-type]


def _bars(
    ax: "Axes",
    observed: np.ndarray,
    imputed: np.ndarray,
    values: np.ndarray,
    labels: tuple[str, str],
) -> None:
    at = np.arange(len(values))
    shares = np.array([_shares(each, values) for each in imputed])
    width = 0.38
    ax.bar(at - width / 2, _shares(observed, values), width, color=style.OBSERVED, label=labels[0])
    ax.bar(
        at + width / 2, shares.mean(axis=0), width, color=style.IMPUTED, alpha=0.75, label=labels[1]
    )
    spread = np.linspace(-0.3, 0.3, len(shares)) * width if len(shares) > 1 else np.zeros(1)
    for share, aside in zip(shares, spread, strict=True):
        ax.plot(at + width / 2 + aside, share, ".", color="black", markersize=2.5, alpha=0.6)
    ax.set_ylabel("share", fontsize=9)
    ax.set_xticks(at)


def _shares(values: np.ndarray, distinct: np.ndarray) -> np.ndarray:
    return np.array([np.mean(values == value) if values.size else 0.0 for value in distinct])


def _name_ticks(ax: "Axes", names: list[str]) -> None:
    shortened = [name if len(name) <= 18 else f"{name[:17]}…" for name in names]
    slanted = sum(map(len, shortened)) > 60
    ax.set_xticks(
        range(len(names)),
        shortened,
        rotation=35 if slanted else 0,
        ha="right" if slanted else "center",
    )
