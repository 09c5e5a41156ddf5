"""What calibration found: the ranks, whether they are uniform, and a picture of them.

arviz-plots has ``plot_ecdf_pit``; it announces the end of its bands (``method="envelope"``) and its
tests are for continuous values, where ranks among few draws are discrete: these bands are exact.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.checking.uniformity import band, chi2_p, ecdf, ecdf_p, expected
from bayesimpute.plots.style import GREY, IMPUTED, OBSERVED, literal, subplots, tidy
from bayesimpute.simulate.scenario import Scenario
from bayesimpute.wording import not_zero, one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Panels beside each other.
COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Calibration:
    """Ranks of true quantities among their draws.

    Attributes
    ----------
    method
        Name of what was calibrated.
    scenario
        On which data.
    ranks
        Number of draws below the truth, 0 … draws: a row each replicate, a column each quantity.
        Quantities of the imputed values begin with ``imputed``, all others are parameters.
    draws
        Draws a replicate.
    autocorrelation
        Mean lag-1 autocorrelation of the ranked draws, by quantity. Independent draws have a
        little below 0; with much more, ranks pile up at both ends although the sampler is right:
        raise `thin`.
    divergences
        Diverging transitions, over all replicates.
    seed
        Gives the same ranks again.
    level
        Probability that a right sampler has any quantity called not uniform.
    """

    method: str
    scenario: Scenario
    ranks: pd.DataFrame
    draws: int
    autocorrelation: "pd.Series[float]"
    divergences: int
    seed: int
    level: float = 0.01

    @property
    def table(self) -> pd.DataFrame:
        """χ² and ECDF p-values, autocorrelation, and the verdict, one row a quantity.

        A quantity is not uniform if the smaller p-value, doubled for having two, and multiplied
        by the number of quantities (Bonferroni), is below `level`.
        """
        rows = {}
        for name in self.ranks:
            ranks = self.ranks[name].to_numpy()
            chi2 = float(not_zero(chi2_p(ranks, self.draws)))
            of_ecdf = ecdf_p(ranks, self.draws)
            p = min(1.0, 2 * min(chi2, of_ecdf) * self.ranks.shape[1])
            rows[str(name)] = [chi2, of_ecdf, self.autocorrelation[str(name)], p >= self.level]
        columns = ["chi2_p", "ecdf_p", "autocorrelation", "uniform"]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        return table.rename_axis("quantity").astype({"uniform": bool})

    @property
    def ok(self) -> bool:
        """Whether all quantities are uniform."""
        return bool(self.table["uniform"].all())

    def plot(self, figsize: tuple[float, float] | None = None) -> "Figure":
        """Draw, for each quantity, the ECDF of its ranks minus that of uniform ones.

        Grey is the simultaneous band: a right sampler leaves it, in any panel, with probability
        `level` / 2, the other half being the χ² test's. Above zero, truths rank low, so draws are
        too high; below zero they are too low. Above on the left and below on the right, draws
        spread too little; the other way round, too much.

        Parameters
        ----------
        figsize
            Inches; default by the number of panels.

        Returns
        -------
        matplotlib.figure.Figure
        """
        return rank_panels(self, figsize)

    def __str__(self) -> str:
        n, quantities = self.ranks.shape
        table = self.table
        bad = table.index[~table["uniform"]]
        verdict = f"not uniform: {', '.join(bad)}" if len(bad) else "all uniform"
        return one_line(
            f"Calibration of {self.method}, {self.scenario.pattern}: {n} replicates, "
            f"{self.draws} draws, {quantities} quantities, {verdict}"
        )

    def __repr__(self) -> str:
        return f"<{self}>"

    def _repr_html_(self) -> str:
        return html.plain(str(self), html.frame(self.table))

    @property
    def imputed(self) -> "np.ndarray":
        """Which quantities are of imputed values, bool (quantity,)."""
        return np.array([str(name).startswith("imputed") for name in self.ranks], dtype=bool)


def rank_panels(result: Calibration, figsize: tuple[float, float] | None) -> "Figure":
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
    results: Mapping[str, Calibration], figsize: tuple[float, float] | None = None
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


def _panel(panel: "Axes", result: Calibration, names: Sequence[Any]) -> None:
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
