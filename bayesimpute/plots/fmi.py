"""What a reported number becomes as imputations are added, and how many are enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from bayesimpute.analysis import Fits
from bayesimpute.arguments import FigureSize, Places, Positive, checked
from bayesimpute.arrays import Array
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.pooling.pooled import Pooled
from bayesimpute.pooling.rubin import from_variances
from bayesimpute.posterior.pooled import (
    FEWEST,
    PooledPosterior,
    recommend_m,
    require_missing_information,
)
from bayesimpute.wording import listed, nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Quantity -> label of the axis.
QUANTITIES = {
    "width": "width of the {:.0%} interval",
    "std_error": "standard error",
    "fmi": "missing information",
}
#: So many numbers of imputations have a point each, and all are within the axis.
POINTS = 10


@checked
def plot_fmi(
    analysis: Any,
    terms: Sequence[str] | None = None,
    quantity: Literal["width", "std_error", "fmi"] = "width",
    *,
    cv: Positive = 0.05,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Show how a pooled quantity settles with the number of imputations, a panel a term.

    The line pools imputations 1 to m', for every m' from 2 to m. The band is where that number
    lies in 95 % of repetitions of the imputation, if the last one is right: B with m' imputations
    is B∞ χ²/(m' − 1) with m' − 1 degrees of freedom, and goes through Rubin's rules. The dotted
    line is the number of imputations that von Hippel's rule recommends
    (`bayesimpute.recommend_m`); it is named below the axis, with an arrow if it lies outside.

    Parameters
    ----------
    analysis
        The fits of ``imp.fit``; what ``pool_posteriors`` gave; or a list of pooled results
        (`Pooled`) of growing m, each a point.
    terms
        Which; all by default.
    quantity
        ``"width"`` of the interval (default, as micemd's ``plot.mira``), ``"std_error"``, or
        ``"fmi"``, the fraction of missing information.
    cv
        Of the recommendation: wanted coefficient of variation of standard errors.
    ax
        An axes for each term, in any array shape; by default a new figure.
    figsize
        Inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    AnalysisError
        A result that was pooled by another rule than Rubin's.
    SpecificationError
        Fewer than three imputations or two pooled results, something else, an unknown term or
        quantity, a number of axes that does not fit, or a `figsize` too low for the panels.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayesimpute as bi
    >>> rng = np.random.default_rng(1)
    >>> x = np.arange(20.0)
    >>> frames = [pd.DataFrame({"x": x, "y": x + rng.normal(size=20)}) for _ in range(10)]
    >>> figure = bi.plot_fmi(bi.fit(frames, "y ~ x"), terms=["x"])
    >>> figure.axes[0].get_title(loc="left")
    'x'
    """
    course = _course(analysis)
    chosen = list(course.terms if terms is None else terms)
    if not chosen:
        raise SpecificationError(
            "plot_fmi: the results have no term in common."
            if terms is None
            else "terms= is empty; leave it out for all terms."
        )
    for term in chosen:
        if term not in course.terms:
            raise SpecificationError(f"There is no term {term!r}{nearest(term, course.terms)}")
    recommended = recommend_m(course.last, cv=cv, terms=chosen)["m_std_error"]
    label = QUANTITIES[quantity].format(course.level)
    drawn = panels.panels(
        len(chosen), ax, figsize, picture="plot_fmi", single=(3.2, 2.2), each=(2.6, 1.9), most=3,
        narrowest=1.7, lowest=1.3, head=0, what=f"{len(chosen)} terms ({listed(chosen)})",
        instead="fewer terms=",
    )  # fmt: skip
    for panel, term in zip(drawn.axes, chosen, strict=True):
        at = course.terms.index(term)
        _panel(panel, term, course, at, quantity, int(recommended[term]))
        if not drawn.own:
            panel.set_ylabel(label, fontsize=8, color=style.GREY)
    if drawn.own:  # of all panels: one may be lower than the label is long
        high = drawn.figure.get_figheight()
        drawn.figure.supylabel(fill(label, style.letters(high, 9)), fontsize=8, color=style.GREY)
    return drawn.figure


@dataclass(frozen=True, eq=False)
class _Course:
    """Rubin's numbers after 2, 3, … imputations.

    `within` and `between` are variances (number, term), `dfcom` has one a number, `last` is the
    result with all imputations.
    """

    terms: list[str]
    numbers: np.ndarray
    within: np.ndarray
    between: np.ndarray
    dfcom: Array
    last: Any
    level: float

    def values(
        self, within: Array, between: Array, m: Array, quantity: str, dfcom: ArrayLike
    ) -> Array:
        """Quantity for variances, numbers and complete-data df, which broadcast."""
        from scipy import stats

        found = from_variances(between, within, between, m, dfcom)  # without an estimate
        if quantity == "fmi":
            return found.fmi
        error = np.sqrt(found.t)
        quantile = stats.t.ppf((1 + self.level) / 2, found.df)
        return error if quantity == "std_error" else np.asarray(2 * quantile * error)


def _course(analysis: Any) -> _Course:
    if isinstance(analysis, Fits | PooledPosterior):
        return _running(analysis)
    given = list(analysis) if isinstance(analysis, list | tuple) else []
    if len(given) < 2 or not all(isinstance(each, Pooled) and each.m > 1 for each in given):
        raise SpecificationError(
            "plot_fmi: analysis must be the fits of imp.fit, a pooled posterior, or a list of two "
            f"or more pooled results of different m, not {type(analysis).__name__}."
        )
    for each in given:
        require_missing_information(each, "plot_fmi")
    given = sorted(given, key=lambda each: each.m)
    last = given[-1]
    terms = [term for term in given[0].table.index if all(term in p.table.index for p in given)]
    variances = np.array([pooled.table.loc[terms, ["ubar", "b"]].to_numpy() for pooled in given])
    numbers = np.array([pooled.m for pooled in given])
    dfcom = np.array([each.dfcom for each in given])
    return _Course(
        terms, numbers, variances[..., 0], variances[..., 1], dfcom, last, last.conf_level
    )


def _running(analysis: Fits | PooledPosterior) -> _Course:
    """Pool the first 2, 3, … imputations."""
    m = len(analysis) if isinstance(analysis, Fits) else analysis.m
    if m <= FEWEST:
        raise SpecificationError(f"plot_fmi needs three or more imputations, not {m}.")
    if isinstance(analysis, Fits):
        pooled: Any = analysis.pool()
        order = [[fit.terms.index(term) for term in pooled.table.index] for fit in analysis]
        estimates, variances = (
            np.array([getattr(fit, what)[at] for fit, at in zip(analysis, order, strict=True)])
            for what in ("estimate", "variances")
        )
        dfcom, level = pooled.dfcom, pooled.conf_level
    else:
        pooled, dfcom, level = analysis, np.inf, analysis.ci_prob
        moments = analysis.moments_by_imputation
        estimates, variances = (
            moments[name].unstack("term")[analysis.table.index].to_numpy() ** power
            for name, power in (("mean", 1), ("sd", 2))
        )
    numbers = np.arange(FEWEST, m + 1)
    within = np.array([variances[:k].mean(axis=0) for k in numbers])
    between = np.array([estimates[:k].var(axis=0, ddof=1) for k in numbers])
    every = np.full(len(numbers), dfcom)
    return _Course(list(pooled.table.index), numbers, within, between, every, pooled, level)


def _panel(
    ax: "Axes", term: str, course: _Course, at: int, quantity: str, recommended: int
) -> None:
    from matplotlib.ticker import MaxNLocator
    from scipy import stats

    numbers, within, between = course.numbers, course.within[:, at], course.between[:, at]
    line = course.values(within, between, numbers, quantity, course.dfcom)
    grid = np.unique(np.geomspace(numbers[0], numbers[-1], 60).round().astype(int))
    low, high = (
        course.values(within[-1], between[-1] * scale, grid, quantity, course.dfcom[-1])
        for scale in stats.chi2.ppf([[0.025], [0.975]], grid - 1) / (grid - 1)
    )
    ax.fill_between(grid, low, high, color=style.GREY, alpha=0.18, linewidth=0)
    ax.plot(
        numbers, line, color=style.IMPUTED, linewidth=1.5,
        marker="o" if len(numbers) < POINTS else None, markersize=3.5,
    )  # fmt: skip
    # With two or three imputations the band is many times wider than all that follows, and of a
    # long line so may the first value be.
    settled = grid >= min(5, grid[-1])
    shown = line if len(numbers) < POINTS else line[numbers >= 3]
    ends = np.concatenate([low[settled], high[settled], shown])
    reach = 0.06 * (ends.max() - ends.min() or abs(ends.max()) or 1)
    bottom = max(0.0, ends.min() - reach)
    ax.set_ylim(bottom, ends.max() + reach)
    if recommended <= numbers[-1]:
        ax.axvline(recommended, color="black", linewidth=1.0, linestyle=(0, (1, 1.5)))
    inside = "" if recommended <= numbers[-1] else " →"
    style.title(ax, term, 9, pad=3)
    ax.set_xlabel(f"imputations\n(needed: {recommended}{inside})", fontsize=8, color=style.GREY)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5))
    ax.margins(x=0.06 if len(numbers) < POINTS else 0.02)
