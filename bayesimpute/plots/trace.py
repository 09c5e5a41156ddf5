"""Trace plot: whether the chains wander freely around a common level."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.diagnostics import FEWEST_DRAWS, r_hat
from bayesimpute.engine.history import labels_of
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.plots.chains import least_agreeing, scalars, trace_on
from bayesimpute.result.run import Run

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


WIDE = 5.0  # inches; a narrower figure has no room for two variables beside each other
BESIDE = 3  # up to so many variables have a row each; more share rows, two and two


@checked
def plot_trace(
    run: Run,
    variables: Sequence[str] | str | None = None,
    *,
    ax: Places | None = None,
    axes: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Mean and SD, or shares of categories, by iteration, a line for each chain.

    Numbers have mean and SD of the imputed cells. Categories have shares instead: of two categories
    the first panel shows the share of the second one; of more the two panels show the two whose
    chains agree least, which have the largest R-hats (with fewer than 4 iterations, or one chain,
    the two most frequent). A result of an older file does not know the shares of three or more: its
    panels are mean and SD of the codes 1, 2, …, as mice counts them.

    Free, intermingled lines without trend, and an R-hat near 1 (at most 1.05), speak for
    convergence.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
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
    history, known = run.history, run.specification.table.variables
    imputed = history.variables
    chosen = [variables] if isinstance(variables, str) else list(variables or imputed)
    for name in chosen:
        style.check_imputed(name, imputed, known)
    if not chosen:
        raise SpecificationError("Nothing was imputed, so there is no trace to plot.")
    found = scalars(run.datatree["posterior"].to_dataset())
    each = 2
    if given is not None:
        number = np.asarray(given, dtype=object).size
        each = 1 if (number, len(chosen)) == (1, 1) else 2
        if number != each * len(chosen):
            raise SpecificationError(
                f"plot_trace: {len(chosen)} variable(s) need {2 * len(chosen)} axes (mean and SD "
                f"each){', or 1 for the mean alone' if len(chosen) == 1 else ''}, not {number}; "
                "choose variables with variables=."
            )
    narrow = figsize is not None and figsize[0] < WIDE
    across = 2 if len(chosen) <= BESIDE or narrow else 4
    drawn = panels.panels(
        each * len(chosen), given, figsize, picture="plot_trace", across=across,
        each=(4.0 if across == 2 else 3.1, 2.0), lowest=0.6, head=0.3,
        instead="fewer variables=",
    )  # fmt: skip
    shown: list[tuple[str, str, xr.DataArray]] = []
    chosen_by = ""
    for name in chosen:
        two, why = _two(found, name, labels_of(known[name].categories))
        shown += [(name, words, chains) for words, chains in two[:each]]
        chosen_by = chosen_by or why
    trace_on(drawn.axes, [chains for *_, chains in shown], run.m)
    for k, (panel, (name, words, chains)) in enumerate(zip(drawn.axes, shown, strict=True)):
        _dress(panel, name, words, chains.transpose("chain", "draw").values)
        panel.set_xlabel("iteration" if drawn.outer(k)[0] else "", fontsize=8)
    panels.remark(drawn, [f"one line a chain (m = {history.m})", chosen_by])
    return drawn.figure


def _two(
    found: "dict[tuple[str, str], xr.DataArray]", name: str, categories: Sequence[str]
) -> "tuple[list[tuple[str, xr.DataArray]], str]":
    """Give what both panels of a variable show, and how its categories were chosen."""
    mean, sd = found[name, "mean"], found[name, "sd"]
    if len(categories) == 2:
        return [(f"share of {categories[1]}", mean - 1), ("SD", sd)], ""
    own = [key for key in found if key[0] == name and found[key].attrs.get("role") == "shares"]
    shares = np.array([found[key].transpose("chain", "draw").values for key in own])
    if not own or not np.isfinite(shares).all():
        codes = " of codes" if categories else ""
        return [(f"mean{codes}", mean), (f"SD{codes}", sd)], ""
    picked, by_r_hat = least_agreeing(np.moveaxis(shares, 0, -1))
    rule = "largest R̂" if by_r_hat else "largest shares"
    why = f"of more than two categories the two with the {rule}" if len(categories) > 2 else ""
    return [(f"share of {categories[k]}", found[own[k]]) for k in picked], why


def _dress(ax: "Axes", name: str, words: str, chains: np.ndarray) -> None:
    """Title with R-hat, and ticks at whole iterations."""
    from matplotlib.ticker import MaxNLocator

    wide = style.extent(ax)[0]
    size = 10 if wide > 1.8 else 7
    r, room = _rhat_text(chains), style.letters(wide, size)
    if len(f"{name}: {words}") > room:  # the name gives way to what is shown of it
        name = style.cut(name, max(style.SHORTEST, room - len(words) - 2))
        words = style.cut(words, max(style.SHORTEST + 9, room - len(name) - 2))
    text = f"{name}: {words}"
    between = "   " if len(text) + len(r) + 3 <= room else "\n"
    ax.set_title(style.literal(f"{text}{between}{r}".rstrip()), fontsize=size, loc="left")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.margins(x=0.02)
    if not np.isfinite(chains).any():
        ax.text(
            0.5, 0.5, "one imputed cell: no SD", transform=ax.transAxes, ha="center", va="center",
            color=style.GREY, fontsize=9,
        )  # fmt: skip
        ax.set(xticks=[], yticks=[])


def _rhat_text(chains: np.ndarray) -> str:
    """R-hat as `diagnostics` has it, where there are chains and draws enough."""
    if len(chains) < 2 or chains.shape[1] < FEWEST_DRAWS or not np.isfinite(chains).all():
        return ""
    if np.ptp(chains) == 0:
        return "(constant)"
    value = r_hat(chains)
    return "R̂ ∞" if np.isinf(value) else f"R̂ {value:.2f}" if np.isfinite(value) else ""
