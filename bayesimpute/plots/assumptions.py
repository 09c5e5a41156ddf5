"""What is assumed: a prior beside the data, ρ of a selection model, the answer over a grid."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Level, Places, checked
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.plots.distribution import bars
from bayesimpute.result.checks import draws_of_rho
from bayesimpute.result.run import Run
from bayesimpute.specification.aliases import SELECTION
from bayesimpute.wording import listed, numbers

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
        _prior(one, name, draws[name], seen[name].values.ravel())
    return drawn.figure


def _prior(drawn: panels.Panels, name: str, draws: "xr.DataArray", seen: np.ndarray) -> None:
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
        ax, numbers(categories) if categories.dtype.kind == "f" else [str(c) for c in categories]
    )


#: Clusters drawn; of more those whose posterior is farthest from 0.
MOST = 40
#: Inches of a row.
ROW = 0.2


@checked
def plot_rho(
    run: Run,
    variable: str,
    *,
    ci_prob: Level = 0.9,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Prior and posterior of ρ, of all clusters together and of each.

    ρ is the correlation of the errors of value and selection: 0 where values are missing at
    random. Green is the interval of the prior, black median and interval of the posterior, from
    the second half of the iterations; an open dot is a cluster without observed values, whose ρ is
    that of the population. Where black is as long as green, the data say nothing of ρ, and the
    prior decides what is imputed.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        Imputed by a selection model whose ρ is estimated.
    ci_prob
        Probability of the intervals, equal tails (0.9, as `identification` has them).
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; by default 6 wide and what the clusters need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        The variable was not imputed, has another model, or a fixed ρ.
    """
    style.check_imputed(variable, run.history.imputed, run.specification.table.variables)
    found = draws_of_rho(run, variable)
    if not found:
        raise SpecificationError(
            f"plot_rho: {variable!r} has no selection model whose ρ is estimated; impute it by "
            f"method={SELECTION!r} without rho=."
        )
    chosen = [each for each in found if each.cluster is None]
    clusters = [each for each in found if each.cluster is not None]
    far = sorted(clusters, key=lambda each: -abs(float(np.median(each.posterior))))[:MOST]
    chosen += [each for each in clusters if each in far]
    size = figsize or (6, 1.3 + ROW * len(chosen))
    drawn = panels.panels(1, ax, size, picture="plot_rho", lowest=0.4 + 0.1 * len(chosen))
    (panel,) = drawn.axes
    tails = [(1 - ci_prob) / 2, (1 + ci_prob) / 2]
    for at, each in enumerate(chosen):
        low, high = np.quantile(each.prior, tails)
        panel.plot(
            [low, high], [at, at], color=style.PRIOR, linewidth=5, alpha=0.45,
            solid_capstyle="butt",
        )  # fmt: skip
        low, middle, high = np.quantile(each.posterior, [tails[0], 0.5, tails[1]])
        panel.plot([low, high], [at, at], color="black", linewidth=1.4, solid_capstyle="butt")
        panel.plot(
            middle, at, "o", color="black", markersize=4.5,
            markerfacecolor="black" if each.observed else "white",
        )  # fmt: skip
    panel.axvline(0, color=style.GREY, linewidth=0.8, zorder=0)
    panel.set_xlim(-1, 1)
    panel.set_xticks([-1, -0.5, 0, 0.5, 1])
    panel.set_ylim(len(chosen) - 0.4, -0.6)
    names = [each.name for each in chosen]
    panel.set_yticks(range(len(names)), list(map(style.literal, style.cut_apart(names))))
    panel.tick_params(axis="y", length=0)
    keys: list[tuple[str, Any]] = [
        (f"prior, {ci_prob:.0%}", panels.key(style.PRIOR, "", linewidth=5, alpha=0.45)),
        (f"posterior, {ci_prob:.0%}", panels.key("black", "", linewidth=1.4)),
    ]
    if any(not each.observed for each in chosen):
        keys.append(("no observed values", panels.key("black", markerfacecolor="white")))
    left = [each.name for each in clusters if each not in far]
    said = f"left out, with medians nearest 0: {listed(left, 6)}" if left else ""
    panels.finish(drawn, f"ρ of {variable}", keys, x="ρ", remarks=[said])
    return drawn.figure


SYMBOLS = {
    "rho": "ρ, correlation of outcome and selection",
    "delta": "δ, added where values are missing",
}


def crossings(tipping: pd.DataFrame, axes: Sequence[str], null: float) -> list[str]:
    """Say where the conclusion changes, and at which value of the other assumption.

    Examples
    --------
    >>> tipping = pd.DataFrame(
    ...     {"axis": ["rho", "delta"], "value": [0.25, -1], "other": [2, np.nan], "what": "crosses"}
    ... )
    >>> crossings(tipping, ("rho", "delta"), 0.0)
    ['crosses 0 at rho = 0.25 (delta = 2)', 'crosses 0 at delta = -1 (rho estimated)']
    """
    found = []
    for tip in tipping.to_dict("records"):
        text = f"{tip['what']} {null:g} at {tip['axis']} = {_three(tip['value'])}"
        for other in axes:
            if other != tip["axis"]:
                known = np.isfinite(tip["other"])
                value = f"= {_three(tip['other'])}" if known else "estimated"
                text += f" ({other} {value})"
        found.append(text)
    return found


def _three(value: float) -> str:
    """Three digits, of a number below a million without a power of ten."""
    return f"{float(f'{value:.3g}'):g}"


def plot_sensitivity(
    table: pd.DataFrame,
    axes: tuple[str, ...],
    term: str,
    null: float,
    tipping: pd.DataFrame,
    *,
    ax: "Axes | None" = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Draw the pooled estimate and its interval at each point.

    Parameters
    ----------
    table, axes, term, null, tipping
        Of a :class:`bayesimpute.sensitivity_grid.Sensitivity`.
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; (6, 3.6), in two dimensions (6, 4.4).

    Returns
    -------
    matplotlib.figure.Figure
    """
    size = (6.0, 3.6 if len(axes) == 1 else 4.4)
    drawn = panels.panels(1, ax, figsize, picture="plot", single=size)
    if len(axes) == 1:
        _line(drawn.axes[0], table, axes[0], term, null, tipping)
    elif table["rho"].isna().any() or table["rho"].nunique() < 2:
        _lines(drawn.axes[0], table, term, null)
    else:
        _contours(drawn.axes[0], table, term, null)
    return drawn.figure


def _line(
    ax: "Axes", table: pd.DataFrame, axis: str, term: str, null: float, tipping: pd.DataFrame
) -> None:
    fixed = table.dropna(subset=[axis]).sort_values(axis)
    at = fixed[axis].to_numpy(dtype=float)
    ax.fill_between(
        at, fixed["conf_low"], fixed["conf_high"], color=style.IMPUTED, alpha=0.2, linewidth=0
    )
    ax.plot(at, fixed["estimate"], color=style.IMPUTED, marker="o", markersize=3, linewidth=1.5)
    ax.axhline(null, color=style.GREY, linewidth=0.8)
    for row in table[table[axis].isna()].to_dict("records"):
        # ρ estimated: a band over the whole width, as it belongs to no single ρ
        ax.axhspan(row["conf_low"], row["conf_high"], color=style.PRIOR, alpha=0.12, linewidth=0)
        ax.axhline(row["estimate"], color=style.PRIOR, linewidth=1, linestyle="--")
        ax.annotate(
            "ρ estimated", (0.99, row["estimate"]), xycoords=("axes fraction", "data"), fontsize=8,
            color=style.PRIOR, ha="right", va="bottom",
        )  # fmt: skip
    for k, row in enumerate(tipping.sort_values("value").to_dict("records")):
        ax.axvline(row["value"], color=style.GREY, linewidth=0.8, linestyle=":")
        ax.annotate(
            f"{row['what']}\n{null:g} at {_three(row['value'])}",
            (row["value"], 0.98 - 0.12 * (k % 3)),  # neighbours would cover each other
            xycoords=("data", "axes fraction"),
            fontsize=7,
            color=style.GREY,
            ha="left",
            va="top",
            xytext=(3, 0),
            textcoords="offset points",
            bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5},
        )
    ax.set_xlabel(SYMBOLS[axis])
    ax.set_ylabel(style.fitted(f"{term}: estimate, interval", 10, style.extent(ax)[1]))


def _lines(ax: "Axes", table: pd.DataFrame, term: str, null: float) -> None:
    """Draw δ across, a line and band for each ρ, the larger the stronger, and for the estimated."""
    fixed = table["rho"].nunique()
    parts = list(table.groupby("rho", dropna=False))
    for number, (rho, part) in enumerate(parts, start=1):
        estimated = bool(np.isnan(float(str(rho))))
        colour, line = (style.PRIOR, "--") if estimated else (style.IMPUTED, "-")
        strength = 1.0 if estimated else 0.25 + 0.75 * number / fixed
        each = part.sort_values("delta")
        at = each["delta"].to_numpy(dtype=float)
        ax.fill_between(
            at, each["conf_low"], each["conf_high"], color=colour, alpha=0.3 / len(parts),
            linewidth=0,
        )  # fmt: skip
        label = "ρ estimated" if estimated else f"ρ = {float(str(rho)):g}"
        ax.plot(
            at, each["estimate"], line, color=colour, alpha=strength, marker="o", markersize=3,
            label=label,
        )  # fmt: skip
    ax.axhline(null, color=style.GREY, linewidth=0.8)
    ax.legend(fontsize=8, frameon=False)
    ax.set_xlabel(SYMBOLS["delta"])
    ax.set_ylabel(style.fitted(f"{term}: estimate, interval", 10, style.extent(ax)[1]))


#: Points along each side of a grid that is interpolated.
FINE = 200
#: Share of the axes below which a contour is too short for a label.
LABELLED = 0.2


def _finer(values: np.ndarray, x: np.ndarray, y: np.ndarray, *to: np.ndarray) -> np.ndarray:
    """Interpolate linearly in both directions, (y, x)."""
    across, up = to
    rows = np.array([np.interp(across, x, row) for row in values])
    return np.array([np.interp(up, y, column) for column in rows.T]).T


def _middle(part: np.ndarray, size: np.ndarray) -> tuple[float, float] | None:
    """Give the place half way along a contour, (point, 2); none of one that is short."""
    steps = np.hypot(*(np.diff(part, axis=0) / size).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    if along[-1] < LABELLED:
        return None
    x, y = (float(np.interp(along[-1] / 2, along, each)) for each in part.T)
    return x, y


def _contours(ax: "Axes", table: pd.DataFrame, term: str, null: float) -> None:
    wide, low, high = (
        table.pivot(index="delta", columns="rho", values=column)
        for column in ("estimate", "conf_low", "conf_high")
    )
    x, y = np.meshgrid(wide.columns.to_numpy(dtype=float), wide.index.to_numpy(dtype=float))
    lines = ax.contour(x, y, wide.to_numpy(), levels=9, colors=style.IMPUTED, linewidths=1)
    size = np.array([np.ptp(x), np.ptp(y)])
    middles = [_middle(part, size) for level in lines.allsegs for part in level]
    # at an edge half of a label would be cut off, and 0.8 read as 8
    ax.clabel(lines, fontsize=8, manual=[each for each in middles if each is not None])
    # Both ends are linear between points, as `tipping` takes them; how far they are from the null
    # value is not, and may be the same at two neighbours that lie on either side of it.
    across, up = np.linspace(x[0, 0], x[0, -1], FINE), np.linspace(y[0, 0], y[-1, 0], FINE)
    ends = [_finer(each.to_numpy(), x[0], y[:, 0], across, up) for each in (low, high)]
    outside = np.maximum(ends[0] - null, null - ends[1])
    if outside.min() < 0:
        ax.contourf(across, up, outside, levels=[outside.min(), 0], colors=[style.GREY], alpha=0.15)
    if wide.to_numpy().min() < null < wide.to_numpy().max():
        ax.contour(x, y, wide.to_numpy(), levels=[null], colors=style.GREY, linewidths=2, zorder=1)
    ax.scatter(x, y, s=6, color=style.GREY)
    ax.set_xlabel(SYMBOLS["rho"])
    ax.set_ylabel(SYMBOLS["delta"])
    room = style.extent(ax)[0]
    explained = f"; grey where the interval holds {null:g}"
    most = int(72 * room / (9 * style.CHARACTER)) - len(explained)
    short = style.cut(term, max(most, style.SHORTEST))
    style.title(ax, f"{short}{explained}", 9)
