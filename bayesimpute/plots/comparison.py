"""Models by how well they predict: differences to the best with their standard errors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import FigureSize, checked
from bayesimpute.checking.psis import LARGE_K
from bayesimpute.plots import panels, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@checked
def plot_comparison(
    found: "ModelComparison",
    *,
    ax: "Axes | None" = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Difference of each model's elpd to the best one's, with one and two standard errors.

    Parameters
    ----------
    found
        Result of ``imp.compare_models()``.
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; by default as high as there are models.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = found.table
    drawn = panels.panels(1, ax, figsize, picture="plot", single=(6, 1.4 + 0.45 * len(table)))
    (ax,) = drawn.axes
    at = np.arange(len(table))[::-1]
    difference, error = table["difference"].to_numpy(), table["difference_se"].to_numpy()
    ax.axvline(0, color=style.GREY, linewidth=0.8)
    for times, width in ((2, 1.2), (1, 3.0)):
        ends = difference - times * error, difference + times * error
        ax.hlines(at, *ends, color=style.IMPUTED, linewidth=width)
    ax.plot(difference, at, "o", color=style.IMPUTED, markersize=6)
    names = [style.cut(str(label), 28) for label in table.index]
    ax.set_yticks(at, [style.literal(name) for name in names])
    weights = ax.secondary_yaxis("right")
    weights.set_yticks(at, [f"weight {weight:.0%}" for weight in table["weight"]])
    weights.tick_params(length=0, labelsize=8, colors=style.GREY)
    weights.spines[:].set_visible(False)
    ax.set_ylim(-0.6, len(table) - 0.4)
    drawn.figure.draw_without_rendering()  # names of models take their room before words are cut
    panels.finish(
        drawn, found.variable, x="elpd − best",
        remarks=[f"{found.unit}s left out; lines: 1 and 2 standard errors"],
    )  # fmt: skip
    return drawn.figure


@dataclass(frozen=True, eq=False, repr=False)
class ModelComparison(html.Told):
    """Models of one variable by how well they predict what they have not seen.

    Attributes
    ----------
    variable
        Whose observed values are predicted.
    unit
        ``"row"`` or ``"cluster"``: what is left out.
    table
        A row for each model, the best first: ``elpd``, the sum of log predictive densities, with
        its standard error ``se``; ``difference`` to the best with ``difference_se``; ``p_loo``, the
        effective number of parameters; ``weight`` of stacking; ``large_k``, units with Pareto k
        above 0.7, mean over imputations; by cluster also ``integration_se``, the Monte Carlo error
        of the elpd that comes from integrating effects out.
    pointwise
        Log predictive density of each unit, a column for each model, mean over imputations.
    imputations
        Number of completed data sets the models were fitted to.
    """

    variable: str
    unit: str
    table: pd.DataFrame
    pointwise: pd.DataFrame
    imputations: int

    plot = plot_comparison

    def _said(self) -> Iterator[str | pd.DataFrame]:
        yield (
            f"Models of {self.variable!r}, {len(self.pointwise):,} {self.unit}s left out in turn, "
            f"mean over {self.imputations} imputation(s); the highest elpd predicts best."
        )
        yield self.table.round(2)
        large = self.table["large_k"]
        if not (large > 0).any():
            return
        worst = str(large.idxmax())
        yield (
            f"Pareto k above {LARGE_K} in up to {large.max():.0f} {self.unit}(s) ({worst!r}): "
            "without them the posterior is too different for weights to reach it; differences "
            "of this size in elpd are not to be relied on."
        )
