"""What replicates tell of methods: bias, coverage and the like, each with its Monte-Carlo error.

The measures are those of Morris, White & Crowther (2019), *Using simulation studies to evaluate
statistical methods*, Statistics in Medicine 38:2074-2102, table 6. With θ̂ᵢ the estimate of
replicate i, θᵢ its truth, dᵢ = θ̂ᵢ − θᵢ, and n replicates::

    bias          mean d                       MCSE  √(Σ (dᵢ − mean d)² / (n (n − 1)))
    empirical SE  √(Σ (dᵢ − mean d)² / (n − 1))      empirical SE / √(2 (n − 1))
    MSE           mean d²                            √(Σ (dᵢ² − MSE)² / (n (n − 1)))
    coverage      share of intervals with θᵢ         √(coverage (1 − coverage) / n)
    model SE      √(mean SEᵢ²)                       √(Var(SEᵢ²) / (4 n model SE²))

The table has the MSE's root; by the delta method its MCSE is that of the MSE, divided by twice the
root. The width of intervals is a mean, and has the MCSE of one. Where the truth is the same in all
replicates, the empirical SE of d is that of the estimates; where it varies, the SE a model reports
is about the distance to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import FigureSize, checked
from bayesimpute.arrays import Array
from bayesimpute.errors import SpecificationError
from bayesimpute.plots.style import GREY, IMPUTED, OBSERVED, literal, subplots, tidy
from bayesimpute.wording import did_you_mean, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COMPLETE_DATA = "complete data"
COMPLETE_CASES = "complete cases"

MEASURES = ("bias", "empirical_se", "rmse", "coverage", "width", "model_se")

INTERVAL = 1.96  # Monte-Carlo standard errors to either side, in the figure


@dataclass(frozen=True, eq=False, repr=False)
class Replicates(html.Told):
    """What :func:`replicate` gives.

    Attributes
    ----------
    estimates
        One row a replicate, method and term: replicate, method, term, truth, estimate, std_error,
        df, conf_low, conf_high, fmi, seconds (of imputation and analysis; the one column that is
        not the same in another run). NaN where there is nothing: a single analysis has no fmi,
        variance components no std_error, for their intervals are those of
        ``Pooled.random_effects``, made on another scale (of a variance that of the SD, squared).
    failures
        What failed: replicate, method, error.
    warnings
        What the analysis warned of, such as singular fits: replicate, method, warning. Known only
        where replicates run in the main thread of a process, which all but threads do.
    methods
        Names, in the order given.
    replicates
        How many data sets.
    seed
        Of the study.
    conf_level
        Of the intervals.
    """

    estimates: pd.DataFrame
    failures: pd.DataFrame
    warnings: pd.DataFrame
    methods: tuple[str, ...]
    replicates: int
    seed: int
    conf_level: float = 0.95

    @checked
    def performance(self, control: str | None = None) -> pd.DataFrame:
        """Measure every method by term, with Monte-Carlo standard errors.

        Formulas are those of Morris, White & Crowther (2019, Statistics in Medicine 38:2074,
        table 6); this module's docstring has them. Bias, RMSE and coverage are NaN where no truth
        is known, and an MCSE where one replicate cannot tell.

        Parameters
        ----------
        control
            A method whose estimate is a control variate, usually ``"complete data"``. The bias is
            then the mean of (estimate − the control's estimate in the same replicate): what
            sampling of clusters and rows does to both cancels, and the MCSE with it. It is the bias
            if the control has none. All other columns stay as they are. Default None: against the
            truth.

        Returns
        -------
        pandas.DataFrame
            One row a method and term: method, term, n (replicates with an estimate), failed
            (replicates in which the method failed); bias, empirical_se, rmse, coverage, width and
            model_se, each followed by its Monte-Carlo standard error, ``bias_mcse`` and so on.

        Raises
        ------
        SpecificationError
            If there is no method `control`.

        Examples
        --------
        >>> import bayesimpute as bi
        >>> found = bi.simulate.replicate(
        ...     bi.simulate.simulate_popularity, {"complete data": None, "complete cases": None},
        ...     "popular ~ sex + texp", replicates=10, seed=1,
        ... )
        >>> table = found.performance(control="complete data")
        >>> table.loc[table["term"] == "sex", ["method", "bias", "bias_mcse", "coverage"]].round(3)
                   method   bias  bias_mcse  coverage
        1   complete data  0.000      0.000       1.0
        4  complete cases -0.207      0.013       0.0
        """
        if control is not None and control not in self.methods:
            raise SpecificationError(
                f"control={control!r} is no method of this study; there are "
                f"{listed(self.methods)}.{did_you_mean(control, self.methods)}"
            )
        failed = self.failures["method"].value_counts()
        table = performance(self.estimates, self.methods, control)
        table.insert(3, "failed", [int(failed.get(name, 0)) for name in table["method"]])
        return table

    @checked
    def plot(
        self,
        terms: Sequence[str] | None = None,
        *,
        control: str | None = None,
        figsize: FigureSize | None = None,
    ) -> "Figure":
        """Bias and coverage of every method, with 95 % Monte-Carlo intervals (1.96 MCSE).

        Parameters
        ----------
        terms
            Which; by default all with a bias.
        control
            As in :meth:`performance`.
        figsize
            Inches; by default 6.4 wide and as high as methods and terms need.

        Raises
        ------
        SpecificationError
            If a term is unknown, or no term has a truth.
        """
        table = self.performance(control)
        known = list(dict.fromkeys(table["term"]))
        for term in terms or ():
            if term not in known:
                raise SpecificationError(
                    f"plot: there is no term {term!r}; there are {listed(known)}."
                    f"{did_you_mean(term, known)}"
                )
        shown = list(terms or dict.fromkeys(table.loc[table["bias"].notna(), "term"]))
        if not shown:
            raise SpecificationError(
                "plot: no term has a truth; give replicate(truth={term: value}), or "
                f"plot(control={COMPLETE_DATA!r}), or plot(terms=...)."
            )
        return _panels(table, shown, self.methods, self.conf_level, control, figsize)

    def _said(self) -> Iterator[str | pd.DataFrame]:
        n = len(self.failures)
        failed = f"; {n} failed, see .failures" if n else ""
        yield (
            f"Simulation study of {listed(self.methods)}: {self.replicates} replicates, seed "
            f"{self.seed}{failed}"
        )
        yield self.performance().round(4).set_index("method")


def performance(
    estimates: pd.DataFrame, methods: Sequence[str], control: str | None = None
) -> pd.DataFrame:
    """Measure a table of estimates by method and term; see `Replicates.performance`.

    Parameters
    ----------
    estimates
        replicate, method, term, truth, estimate, std_error, conf_low, conf_high.
    methods
        In the order of the result. One without any estimate has all terms, with n = 0.
    control
        Method whose estimates are subtracted in the bias; default: the truth is.
    """
    parts = {key: part for key, part in estimates.groupby(["method", "term"], sort=False)}
    terms = list(dict.fromkeys(term for _, term in parts)) or [""]
    of = estimates[estimates["method"] == control].set_index(["replicate", "term"])["estimate"]
    rows = []
    for method in methods:
        own = [term for term in terms if (method, term) in parts]
        for term in own or terms:
            part = parts.get((method, term), estimates.iloc[:0])
            pairs = pd.MultiIndex.from_frame(part[["replicate", "term"]])
            against = None if control is None else of.reindex(pairs).to_numpy(dtype=float)
            rows.append({"method": method, "term": term, **measures(part, against)})
    columns = [name for each in MEASURES for name in (each, f"{each}_mcse")]
    return pd.DataFrame(rows, columns=["method", "term", "n", *columns])


def measures(part: pd.DataFrame, against: Array | None = None) -> dict[str, float]:
    """Give all measures of one method and term; what is not finite is left out of each.

    Parameters
    ----------
    part
        truth, estimate, std_error, conf_low, conf_high; one row a replicate.
    against
        What the bias is measured from, (replicate,), NaN where unknown; default the truth.
    """
    truth, estimate, std_error, low, high = (
        part[name].to_numpy(dtype=float)
        for name in ("truth", "estimate", "std_error", "conf_low", "conf_high")
    )
    error = _known(estimate - truth)
    # without any truth, estimates still vary
    deviation = error if len(error) else _known(estimate)
    inside = _known(
        np.where(np.isnan(low + high + truth), np.nan, (low <= truth) & (truth <= high))
    )
    square, variance = error**2, _known(std_error) ** 2
    empirical_se, rmse = _sd(deviation), float(np.sqrt(_mean(square)))
    coverage, model_se = _mean(inside), float(np.sqrt(_mean(variance)))
    bias = error if against is None else _known(estimate - against)
    return {
        "n": int(np.isfinite(estimate).sum()),
        "bias": _mean(bias),
        "bias_mcse": _se_of_mean(bias),
        "empirical_se": empirical_se,
        "empirical_se_mcse": _ratio(empirical_se, np.sqrt(2.0 * max(len(deviation) - 1, 0))),
        "rmse": rmse,
        "rmse_mcse": _ratio(_se_of_mean(square), 2 * rmse),
        "coverage": coverage,
        "coverage_mcse": (
            float(np.sqrt(coverage * (1 - coverage) / len(inside))) if len(inside) > 1 else np.nan
        ),
        "width": _mean(_known(high - low)),
        "width_mcse": _se_of_mean(_known(high - low)),
        "model_se": model_se,
        "model_se_mcse": _ratio(_se_of_mean(variance), 2 * model_se),
    }


def _known(values: Array) -> Array:
    return values[np.isfinite(values)]


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else np.nan


def _sd(values: Array) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else np.nan


def _se_of_mean(values: Array) -> float:
    return _ratio(_sd(values), np.sqrt(float(len(values))))


def _ratio(a: float, b: float) -> float:
    return float(a / b) if b > 0 else np.nan


def _panels(
    table: pd.DataFrame,
    terms: Sequence[str],
    methods: Sequence[str],
    conf_level: float,
    control: str | None,
    figsize: tuple[float, float] | None,
) -> "Figure":
    """One row of panels a term: bias on the left, coverage on the right."""
    size = figsize or (6.4, len(terms) * (0.22 * len(methods) + 0.6) + 0.4)
    figure, axes = subplots(len(terms), 2, size, width_ratios=[1.3, 1])
    lowest = table[table["term"].isin(terms)]
    lowest = (lowest["coverage"] - INTERVAL * lowest["coverage_mcse"].fillna(0)).min()
    for row, term in enumerate(terms):
        part = table[table["term"] == term].set_index("method").reindex(list(methods))
        left, right = axes[row]
        left.set_title(literal(term), fontsize=9, loc="left")
        _intervals(left, part, "bias", 0.0)
        left.locator_params(axis="x", nbins=5)
        _intervals(right, part, "coverage", conf_level)
        left.set_yticks(range(len(methods)), _labels(part))
        right.set_yticks([])
        # one scale for all coverages; biases have the units of their terms
        right.set_xlim(np.clip(np.nanmin([lowest, conf_level - 0.1]), 0, 1) - 0.03, 1.03)
        right.spines["left"].set_visible(False)
        right.set_visible(bool(part["coverage"].notna().any()))
    of = "bias" if control is None else f"bias against {control}"
    axes[-1, 0].set_xlabel(f"{of} ± {INTERVAL} MCSE", fontsize=8, color=GREY)
    # the last ones may have none: covariances, and terms without a truth
    seen = [row for row in range(len(terms)) if axes[row, 1].get_visible()]
    if seen:
        label = f"coverage of {conf_level:.0%} intervals"
        axes[seen[-1], 1].set_xlabel(label, fontsize=8, color=GREY)
    return figure


def _intervals(ax: "Axes", part: pd.DataFrame, measure: str, nominal: float) -> None:
    ax.axvline(nominal, color=GREY, linewidth=0.8, linestyle="--")
    for y, (name, row) in enumerate(part.iterrows()):
        # what uses data as they were seen or would have been is blue, what imputes vermillion
        colour = OBSERVED if name in (COMPLETE_DATA, COMPLETE_CASES) else IMPUTED
        half = INTERVAL * row[f"{measure}_mcse"]
        ends = np.array([row[measure] - half, row[measure] + half])
        if measure == "coverage":
            ends = ends.clip(0, 1)
        ax.plot(ends, [y, y], color=colour, linewidth=1.4)
        ax.plot(row[measure], y, "o", color=colour, markersize=4)
    ax.set_ylim(len(part) - 0.5, -0.5)
    tidy(ax)


def _labels(part: pd.DataFrame) -> list[str]:
    """Names, with what is missing from a method's replicates beside them."""
    return [
        literal(f"{name} ({int(failed)} failed)" if failed > 0 else name)
        for name, failed in part["failed"].items()
    ]
