"""Average marginal effects: of each imputation, and pooled."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import FigureSize, Level, Places, checked
from bayesimpute.plots import panels, style
from bayesimpute.pooling.effects import effects_by_imputation
from bayesimpute.result.run import Run
from bayesimpute.wording import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches of a panel.
PANEL = 0.85


@checked
def plot_effects(
    run: Run,
    fits: Any,
    variables: Sequence[str] | None = None,
    *,
    ci_prob: Level = 0.95,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Average marginal effects, a panel each: of every imputation and, below them, pooled.

    By how much the expected outcome changes with a variable, averaged over all rows, on the scale
    of the outcome (`Fits.average_effects`). Thin lines are estimate and normal interval of each
    imputation, as if its values had been observed, the first on top; the thick one is the pooled
    interval, wider by what is not known of the missing values. Zero is a grey line wherever it is
    not far from the intervals.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    fits
        ``imp.fit("y ~ x + z")`` of these imputations.
    variables
        Which; by default all predictors of the formula.
    ci_prob
        Coverage of the intervals (0.95).
    ax
        An axes for each effect, in any array shape; by default a new figure.
    figsize
        Inches; by default 6 wide and what the panels need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    AnalysisError
        Fits of another kind, or a variable the formula does not have.
    SpecificationError
        A number of axes that does not fit.
    """
    from scipy import stats

    found = effects_by_imputation(fits, run, variables)
    pooled = found.pooled(ci_prob)
    count = len(found.names)
    drawn = panels.panels(
        count, ax, figsize or (6, 0.75 + PANEL * count), picture="plot_effects", across=1,
        what=f"{count} effects ({listed(found.names)})", instead="fewer variables=",
    )  # fmt: skip
    half = stats.norm.ppf((1 + ci_prob) / 2) * np.sqrt(
        np.diagonal(found.covariances, axis1=1, axis2=2)
    )
    for k, (panel, name) in enumerate(zip(drawn.axes, found.names, strict=True)):
        row = pooled.loc[name, ["estimate", "conf_low", "conf_high"]].to_numpy(dtype=float)
        _panel(panel, found.estimates[:, k], half[:, k], row)
    keys = [
        (f"imputations ({len(half)})", panels.key(style.IMPUTED, "", linewidth=0.9, alpha=0.6)),
        (f"pooled, {ci_prob:.0%} interval", panels.key(style.IMPUTED, "", linewidth=2.6)),
    ]
    panels.finish(drawn, "average marginal effects", keys, names=found.names)
    return drawn.figure


def _panel(ax: "Axes", estimates: np.ndarray, half: np.ndarray, pooled: np.ndarray) -> None:
    from matplotlib.ticker import MaxNLocator

    at = np.linspace(0, 1, len(estimates))
    ax.hlines(
        at, estimates - half, estimates + half, colors=style.IMPUTED, linewidth=0.9, alpha=0.6
    )
    ax.plot(estimates, at, ".", color=style.IMPUTED, markersize=3)
    estimate, low, high = pooled
    ax.plot([low, high], [1.35, 1.35], color=style.IMPUTED, linewidth=2.6, solid_capstyle="butt")
    ax.plot(
        estimate, 1.35, "o", color=style.IMPUTED, markersize=5.5, markeredgewidth=1.6,
        markerfacecolor="white",
    )  # fmt: skip
    ends = [low, high, *(estimates - half), *(estimates + half)]
    reach = max(ends) - min(ends)
    if min(ends) - reach <= 0 <= max(ends) + reach:
        ax.axvline(0, color=style.GREY, linewidth=0.8, zorder=0)
    ax.set_ylim(1.6, -0.2)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    ax.margins(x=0.04)
