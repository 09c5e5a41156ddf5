"""Observed values held against data as the imputation model would have them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.arrays import Array
from bayesimpute.plots import panels, style
from bayesimpute.plots.distribution import bars, curve, grid_within, support
from bayesimpute.plots.tidy import MOST_DISTINCT
from bayesimpute.wording import p_statement

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MOST_CURVES = 50


def draw_replicated(
    tree: "xr.DataTree", ax: "Axes | None", figsize: tuple[float, float] | None
) -> "Figure":
    """Draw the tree that `bayesimpute.checking.predictive.predictive` gives."""
    dataset = tree["posterior_predictive"].to_dataset()
    (name,) = dataset.data_vars
    draws, attributes = dataset[name].values, dataset[name].attrs
    draws = draws.reshape(-1, draws.shape[-1])
    observed = tree["observed_data"].to_dataset()[name].values.astype(float)
    kept = ~np.isnan(draws).any(axis=0)  # rows some chain has no model for
    draws, observed = draws[:, kept], observed[kept]
    drawn = panels.panels(1, ax, figsize, picture="plot_ppc")
    (ax,) = drawn.axes
    categories = attributes.get("categories")
    levels = np.unique(np.concatenate([observed, draws.ravel()]))
    if categories is not None:
        levels = np.arange(len(categories))
    shares = categories is not None or len(levels) <= MOST_DISTINCT
    if shares:
        model = np.array([(draws == level).mean(axis=1) for level in levels]).T
        seen = np.array([[np.mean(observed == level) for level in levels]])
        bars(ax, seen, model, [style.OBSERVED, style.IMPUTED], inside=0.9)
        names = [f"{level:g}" for level in levels] if categories is None else map(str, categories)
        panels.name_categories(ax, list(names))
    else:
        _curves(ax, draws, observed)
    ax.set_ylim(bottom=0)
    marker = "s" if shares else ""
    entries = [
        (f"observed ({observed.size:,})", panels.key(style.OBSERVED, marker, linewidth=2.2)),
        (f"model ({len(draws)} data sets)", panels.key(style.IMPUTED, marker, linewidth=0.7)),
    ]
    title = str(attributes.get("target", name))
    panels.finish(drawn, title, entries, y="share" if shares else "density")
    return drawn.figure


def _curves(ax: "Axes", draws: np.ndarray, observed: np.ndarray) -> None:
    step = max(1, len(draws) // MOST_CURVES)
    shown = draws[::step][:MOST_CURVES]
    low, high = np.quantile(shown, [0.002, 0.998])  # heavy tails would leave no room for the rest
    ends = support([draws, observed])
    grid = grid_within([np.array([low, high]), observed], ends)
    for values in shown:
        curve(ax, values, grid, ends, color=style.IMPUTED, linewidth=0.7, alpha=0.35)
    curve(ax, observed, grid, ends, color=style.OBSERVED, linewidth=2.2)
    ax.set_xlim(grid[0], grid[-1])
    ax.set_yticks([])


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
    panels.finish(
        drawn, found.variable, entries, x="place in the prediction (LOO-PIT)",
        y="share below − expected", remarks=remarks,
    )  # fmt: skip
    return drawn.figure
