"""Trace plot: whether the chains wander freely around a common level."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bayesimpute.arguments import Places
from bayesimpute.diagnostics import FEWEST_DRAWS, r_hat
from bayesimpute.engine.shares import labels_of
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style
from bayesimpute.plots.labels import text_width
from bayesimpute.plots.panels import shortened
from bayesimpute.plots.shares import least_agreeing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.result.imputations import Imputations

WIDE = 5.0  # inches; a narrower figure has no room for two variables beside each other
LOWEST = 0.6  # inches of a row
TICK_LABELS = 0.48  # inches between two panels
SHORTEST = 6  # characters of a name that is cut
MANY = 4  # categories, of which a note says how two were chosen
BESIDE = 3  # up to so many variables have a row each; more share rows, two and two


def plot_trace(
    imputations: "Imputations",
    variables: Sequence[str] | str | None = None,
    *,
    ax: Places | None = None,
    axes: Places | None = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Mean and SD of the imputed cells by iteration, a line for each chain.

    Categories have shares instead: of two categories the first panel shows the share of the second
    one; of more the two panels show the two whose chains agree least, which have the largest
    R-hats (with fewer than 4 iterations, or one chain, the two most frequent). A result of an
    older file does not know the shares of three or more: its panels are mean and SD of the codes
    1, 2, …, as mice counts them.

    Free, intermingled lines without trend, and an R-hat near 1 (at most 1.05), speak for
    convergence.

    Parameters
    ----------
    imputations
        The result.
    variables
        Which ones; by default all that were imputed.
    ax
        Two axes a variable (mean, SD), in any array shape; one axes for one variable, whose left
        panel (mean, or share) alone is drawn then. By default a new figure.
    axes
        The same.
    figsize
        Inches; by default what the number of panels needs.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        If a variable was not imputed, the number of axes does not fit, both `ax` and `axes` are
        given, or `figsize` is too low.

    References
    ----------
    van Buuren & Groothuis-Oudshoorn (2011), Journal of Statistical Software 45(3), figure 3;
    R-hat: Vehtari et al. (2021), Bayesian Analysis 16(2).
    """
    if ax is not None and axes is not None:
        raise SpecificationError("plot_trace: ax= and axes= mean the same; give one of them.")
    given = axes if ax is None else ax
    history = imputations.history
    imputed = history.variables
    chosen = [variables] if isinstance(variables, str) else list(variables or imputed)
    for name in chosen:
        style.check_imputed(name, imputed, imputations.specification.table.variables)
    if not chosen:
        raise SpecificationError("Nothing was imputed, so there is no trace to plot.")
    narrow = figsize is not None and figsize[0] < WIDE
    across = 1 if len(chosen) <= BESIDE or narrow else 2
    if given is None:
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
        panels = _users(given, len(chosen), "axes" if ax is None else "ax")
        figure = cast("Figure", panels[0].get_figure(root=True))
    each = 1 if len(panels) == 1 else 2
    for k, name in enumerate(chosen):
        _draw(panels[each * k : each * (k + 1)], name, _chains(imputations, name)[:each])
    for unused in panels[each * len(chosen) :]:
        unused.set_axis_off()
    lowest = each * across
    for panel in panels[: each * len(chosen)][-lowest:]:
        panel.set_xlabel("iteration", fontsize=9)
    if given is None:
        figure.suptitle(
            f"Imputed values by iteration, one line a chain (m = {history.m})",
            fontsize=10 if figure.get_figwidth() >= WIDE else 7.5,
            color=style.GREY,
        )
    return figure


def _users(given: Any, variables: int, argument: str) -> "list[Axes]":
    """Axes of the user's, two a variable, or one for one variable."""
    from matplotlib.axes import Axes

    panels = list(np.ravel(np.asarray(given, dtype=object)))
    wrong = [panel for panel in panels if not isinstance(panel, Axes)]
    if wrong:
        raise SpecificationError(
            f"plot_trace({argument}=…) takes axes of matplotlib, such as those of plt.subplots(); "
            f"{wrong[0]!r} is none."
        )
    if len(panels) != 2 * variables and (len(panels), variables) != (1, 1):
        raise SpecificationError(
            f"plot_trace({argument}=…): {variables} variable(s) need {2 * variables} axes (mean "
            f"and SD each){', or 1 for the mean alone' if variables == 1 else ''}, not "
            f"{len(panels)}; choose variables with variables=."
        )
    return panels


@dataclass(frozen=True, eq=False)
class _Shown:
    """What a panel shows: a moment of the imputed cells, or the share of a category among them.

    `rank` says which of many categories it is.
    """

    chains: np.ndarray
    moment: str = ""
    category: str = ""
    rank: str = ""

    def title(self, name: str) -> str:
        """Words of the title."""
        return f"{name}: {self.moment or f'share of {self.category}'}"


def _chains(imputations: "Imputations", name: str) -> list[_Shown]:
    """Give what the two panels of a variable show."""
    history = imputations.history
    mean, sd = history.chain_mean[name], history.chain_sd[name]
    categories = labels_of(imputations.specification.table.variables[name].categories)
    if len(categories) == 2:
        return [_Shown(mean - 1, category=categories[1]), _Shown(sd, "SD")]
    shares = history.chain_share.get(name)
    if len(categories) < 2 or shares is None or not np.isfinite(shares).all():
        codes = " of codes" if categories else ""
        return [_Shown(mean, f"mean{codes}"), _Shown(sd, f"SD{codes}")]
    chosen, by_r_hat = least_agreeing(shares)
    ranks = ("largest", "2nd largest") if by_r_hat else ("most frequent", "2nd most frequent")
    many = len(categories) >= MANY
    return [
        _Shown(
            shares[:, :, k],
            category=categories[k],
            rank=f"{rank} of {len(categories)}" if many else "",
        )
        for k, rank in zip(chosen, ranks, strict=True)
    ]


def _draw(panels: "Sequence[Axes]", name: str, shown: Sequence[_Shown]) -> None:
    """Draw both panels of a variable, R-hat in the titles if both have room for it."""
    size = 10 if _width(panels[0]) >= WIDE else 7
    r_hats = [_rhat_text(each.chains) for each in shown]
    texts = [f"{each.title(name)}   {r}".rstrip() for each, r in zip(shown, r_hats, strict=True)]
    inside = all(
        len(text) * size < 4 * _room(ax) and text_width(text, size) <= _room(ax)
        for text, ax in zip(texts, panels, strict=True)
    )
    for ax, each, r, text in zip(panels, shown, r_hats, texts, strict=True):
        if inside:
            note = each.rank.replace("largest", "largest R̂")
        else:
            text = _fitted(name, each, size, _room(ax))
            note = ", ".join(part for part in (r, each.rank) if part)
        _panel(ax, each.chains)
        ax.set_title(style.literal(text), fontsize=size, loc="left", pad=size + 4 if note else None)
        if note:
            ax.annotate(
                note, (0, 1), (0, 3), xycoords="axes fraction", textcoords="offset points",
                fontsize=size - 1.5, color=style.GREY,
            )  # fmt: skip


def _width(ax: "Axes") -> float:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return float(figure.get_figwidth())


def _room(ax: "Axes") -> float:
    """Points a title may take: a column of the figure without the tick labels of the next one."""
    place = ax.get_subplotspec()
    if place is None:
        return 72 * _width(ax) * float(ax.get_position().width)
    columns = place.get_gridspec().ncols / len(place.colspan)
    return 72 * (_width(ax) / columns - TICK_LABELS)


def _fitted(name: str, shown: _Shown, size: float, room: float) -> str:
    """Title with name and category cut, the longer one first, until it fits or little is left."""

    def cut_to(most: int) -> str:
        cut = replace(shown, category=shortened(shown.category, most))
        return cut.title(shortened(name, most))

    # by halves: measuring a text takes long
    longest = max(min(max(len(name), len(shown.category)), int(4 * room / size)), SHORTEST)
    fits, beyond = SHORTEST, longest + 1
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        if text_width(cut_to(middle), size) <= room:
            fits = middle
        else:
            beyond = middle
    return cut_to(fits)


def _panel(ax: "Axes", chains: np.ndarray) -> None:
    from matplotlib.ticker import MaxNLocator

    m, iterations = chains.shape
    style.tidy(ax)
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
    if len(chains) < 2 or chains.shape[1] < FEWEST_DRAWS or not np.isfinite(chains).all():
        return ""
    if np.ptp(chains) == 0:
        return "(constant)"
    value = r_hat(chains)
    return "R̂ ∞" if np.isinf(value) else f"R̂ {value:.2f}" if np.isfinite(value) else ""
