"""Trace plot: whether the chains wander freely around a common level."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style
from bayesimpute.plots.panels import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.result.imputations import Imputations

WIDE = 5.0  # inches; a narrower figure has no room for two variables beside each other
LOWEST = 0.6  # inches of a row
BESIDE = 3  # up to so many variables have a row each; more share rows, two and two


def plot_trace(
    imputations: "Imputations",
    variables: Sequence[str] | str | None = None,
    *,
    axes: Any = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Mean and SD of the imputed cells by iteration, a line for each chain.

    Of two categories the first panel shows the share of the second one, of three categories both
    panels show shares, of the first and of the last. More have no shares in the history: their
    panels are mean and SD of the codes 1, 2, …, as mice counts them.

    Free, intermingled lines without trend, and an R-hat near 1 (at most 1.05), speak for
    convergence.

    Parameters
    ----------
    imputations
        The result.
    variables
        Which ones; by default all that were imputed.
    axes
        Two axes a variable (mean, SD), in any array shape; by default a new figure.
    figsize
        Inches; by default what the number of panels needs.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        If a variable was not imputed, the number of `axes` does not fit, or `figsize` is too low.

    References
    ----------
    van Buuren & Groothuis-Oudshoorn (2011), Journal of Statistical Software 45(3), figure 3;
    R-hat: Vehtari et al. (2021), Bayesian Analysis 16(2).
    """
    history = imputations.history
    chosen = [variables] if isinstance(variables, str) else list(variables or history.chain_mean)
    for name in chosen:
        style.check_imputed(name, history.chain_mean, imputations.specification.table.variables)
    if not chosen:
        raise SpecificationError("Nothing was imputed, so there is no trace to plot.")
    narrow = figsize is not None and figsize[0] < WIDE
    across = 1 if len(chosen) <= BESIDE or narrow else 2
    if axes is None:
        down = -(-len(chosen) // across)
        if figsize is not None and figsize[1] < 0.3 + LOWEST * down:
            raise SpecificationError(
                f"plot_trace(figsize={figsize}): {len(chosen)} variables need at least "
                f"{0.3 + LOWEST * down:.1f} inches of height; choose fewer with variables=."
            )
        size = figsize or (4.2 * 2 if across == 1 else 3.2 * 4, 0.5 + 2.1 * down)
        figure, grid = style.subplots(down, 2 * across, size)
        panels = list(grid.ravel())
    else:
        panels = list(np.ravel(np.asarray(axes, dtype=object)))
        if len(panels) != 2 * len(chosen):
            raise SpecificationError(
                f"plot_trace(axes=…): {len(chosen)} variable(s) need {2 * len(chosen)} axes "
                f"(mean and SD each), not {len(panels)}."
            )
        figure = panels[0].figure
    for k, name in enumerate(chosen):
        for beside, (title, chains) in enumerate(_chains(imputations, name)):
            _panel(panels[2 * k + beside], f"{name}: {title}", chains)
    for unused in panels[2 * len(chosen) :]:
        unused.set_axis_off()
    lowest = 2 * across
    for panel in panels[: 2 * len(chosen)][-lowest:]:
        panel.set_xlabel("iteration", fontsize=9)
    if axes is None:
        figure.suptitle(
            f"Imputed values by iteration, one line a chain (m = {history.m})",
            fontsize=10 if figure.get_figwidth() >= WIDE else 7.5,
            color=style.GREY,
        )
    return figure


def _chains(imputations: "Imputations", name: str) -> list[tuple[str, np.ndarray]]:
    """Titles and chains of the two panels of a variable."""
    mean, sd = imputations.history.chain_mean[name], imputations.history.chain_sd[name]
    categories = imputations.specification.table.variables[name].categories
    if len(categories) == 2:
        return [(f"share of {shortened(str(categories[1]))}", mean - 1), ("SD", sd)]
    cells = imputations.history.imputed[name].shape[1]
    if len(categories) == 3 and cells > 1:
        first, last = _three_shares(mean, sd, cells)
        return [
            (f"share of {shortened(str(categories[0]))}", first),
            (f"share of {shortened(str(categories[2]))}", last),
        ]
    codes = " of codes" if categories else ""
    return [(f"mean{codes}", mean), (f"SD{codes}", sd)]


def _three_shares(mean: np.ndarray, sd: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares of codes 1 and 3 among 1, 2, 3: two moments determine them.

    With p the shares, p₃ − p₁ = mean − 2, and p₁ + p₃ is the mean of (code − 2)², which is
    sd² (n − 1) / n + (mean − 2)².
    """
    difference = mean - 2
    outer = sd**2 * (cells - 1) / cells + difference**2
    return (outer - difference) / 2, (outer + difference) / 2


def _panel(ax: "Axes", title: str, chains: np.ndarray) -> None:
    from matplotlib.ticker import MaxNLocator

    m, iterations = chains.shape
    style.tidy(ax)
    figure = ax.get_figure(root=True)
    size = 10 if figure is None or figure.get_figwidth() >= WIDE else 7
    ax.set_title(f"{title}{_rhat_text(chains)}", fontsize=size, loc="left")
    if not np.isfinite(chains).any():
        ax.text(
            0.5, 0.5, "one imputed cell: no SD", transform=ax.transAxes,
            ha="center", va="center", color=style.GREY, fontsize=9,
        )  # fmt: skip
        ax.set_xticks([])
        ax.set_yticks([])
        return
    at = np.arange(1, iterations + 1)
    marker = "o" if iterations == 1 else ""
    for line, tone in zip(chains, style.shades(m), strict=True):
        ax.plot(at, line, color=tone, linewidth=1.0 if m <= 30 else 0.6, alpha=0.85, marker=marker)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.margins(x=0.02)


def _rhat_text(chains: np.ndarray) -> str:
    """R-hat as `diagnostics` has it, where there are chains and draws enough."""
    if min(chains.shape) < 2 or chains.shape[1] < 4 or not np.isfinite(chains).all():
        return ""
    if np.ptp(chains) == 0:
        return "   (constant)"
    import arviz

    value = float(arviz.rhat(chains, chain_axis=0, draw_axis=1))
    return f"   R̂ {value:.2f}" if np.isfinite(value) else ""
