"""What the data say of ρ in a selection model: its posterior beside its prior, by cluster."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import FigureSize, Level, Places, checked
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.result.checks import draws_of_rho
from bayesimpute.result.run import Run
from bayesimpute.specification.aliases import SELECTION
from bayesimpute.wording import listed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    panel.set_yticks(range(len(names)), [style.literal(style.cut(name)) for name in names])
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
