"""Pictures of ranks: ECDF differences with simultaneous bands.

arviz-plots has ``plot_ecdf_pit``; it announces the end of its bands (``method="envelope"``) and its
tests are for continuous values, where ranks among few draws are discrete: these bands are exact.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.plots.style import GREY, IMPUTED, OBSERVED, literal, subplots, tidy
from bayesimpute.uniformity import band, ecdf, expected

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.simulate.ranks import Calibration

COLUMNS = 4


def rank_panels(result: "Calibration", figsize: tuple[float, float] | None) -> "Figure":
    """One panel a quantity."""
    figure, panels = _grid(result.ranks.shape[1], figsize)
    table = result.table
    for panel, name in zip(panels, result.ranks, strict=False):
        _panel(panel, result, [name])
        verdict = "" if table.loc[str(name), "uniform"] else " (not uniform)"
        _title(panel, f"{name}{verdict}", bad=bool(verdict))
    figure.suptitle(literal(f"{result.method}, {result.scenario.pattern}"), fontsize=10)
    _legend(figure)
    return figure


def matrix_panels(
    results: Mapping[str, "Calibration"], figsize: tuple[float, float] | None = None
) -> "Figure":
    """One panel a scenario, with the lines of all its quantities."""
    figure, panels = _grid(len(results), figsize)
    for panel, (title, result) in zip(panels, results.items(), strict=False):
        _panel(panel, result, list(result.ranks))
        _title(panel, title if result.ok else f"{title} (not uniform)", bad=not result.ok)
    _legend(figure)
    return figure


def _grid(n: int, figsize: tuple[float, float] | None) -> "tuple[Figure, Iterable[Axes]]":
    columns = min(COLUMNS, n)
    rows = -(-n // columns)
    size = figsize or (2.4 * columns + 0.4, 1.7 * rows + 0.8)
    figure, axes = subplots(rows, columns, size, sharex=True)
    for row in range(rows):
        axes[row, 0].set_ylabel("ECDF − uniform", fontsize=8, color=GREY)
    for k, panel in enumerate(axes.flat):
        panel.set_visible(k < n)
        # the last panel of a column carries its axis, in a row that is not full too
        if k + columns >= n and k < n:
            panel.set_xlabel("rank / draws", fontsize=8, color=GREY)
            panel.tick_params(labelbottom=True)
    return figure, list(axes.flat[:n])


def _panel(panel: "Axes", result: "Calibration", names: Sequence[Any]) -> None:
    draws, replicates = result.draws, len(result.ranks)
    level = result.level / 2 / result.ranks.shape[1]
    share = expected(draws)
    lower, upper = (end - share for end in band(replicates, draws, level))
    at = np.concatenate([[0.0], share, [1.0]])
    panel.fill_between(
        at, _closed(lower), _closed(upper), color=GREY, alpha=0.15, linewidth=0, step="mid"
    )
    panel.axhline(0.0, color=GREY, linewidth=0.6)
    imputed = dict(zip(result.ranks, result.imputed, strict=True))
    for name in names:
        line = ecdf(result.ranks[name].to_numpy(), draws) - share
        panel.step(
            at,
            _closed(line),
            where="mid",
            color=IMPUTED if imputed[name] else OBSERVED,
            linewidth=1.2 if len(names) == 1 else 0.8,
        )
    panel.set_xlim(0, 1)
    panel.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    tidy(panel)


def _closed(inner: Any) -> Any:
    """Both ends of a difference of distribution functions are 0."""
    return np.concatenate([[0.0], inner, [0.0]])


def _title(panel: "Axes", text: str, bad: bool) -> None:
    panel.set_title(literal(text), fontsize=8, loc="left", fontweight="bold" if bad else "normal")


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    figure.legend(
        handles=[
            Line2D([], [], color=OBSERVED, label="parameter"),
            Line2D([], [], color=IMPUTED, label="imputed value"),
        ],
        loc="outside lower right",
        ncols=2,
        frameon=False,
        fontsize=8,
    )
