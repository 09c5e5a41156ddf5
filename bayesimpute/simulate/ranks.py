"""What calibration found: the ranks, whether they are uniform, and a picture of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.simulate.scenario import Scenario
from bayesimpute.uniformity import chi2_p, ecdf_p
from bayesimpute.wording import not_zero, one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
            ecdf = ecdf_p(ranks, self.draws)
            p = min(1.0, 2 * min(chi2, ecdf) * self.ranks.shape[1])
            rows[str(name)] = [chi2, ecdf, self.autocorrelation[str(name)], p >= self.level]
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
        from bayesimpute.simulate.figure import rank_panels

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
