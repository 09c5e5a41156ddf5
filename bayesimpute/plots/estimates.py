"""Estimates and effects with intervals: of several analyses side by side, of each imputation."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.analysis import Fits
from bayesimpute.arguments import FigureSize, Level, Places, checked
from bayesimpute.errors import ImputationWarning, SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.pooling.estimates import position_of
from bayesimpute.pooling.pooled import Pooled
from bayesimpute.pooling.predictions import effects_by_imputation
from bayesimpute.result.run import Run
from bayesimpute.wording import did_you_mean, listed, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Columns of each analysis.
QUANTITIES = ("estimate", "std_error", "conf_low", "conf_high", "df", "fmi")
#: A table from elsewhere has at least these.
NEEDED = ("estimate", "conf_low", "conf_high")


class Comparison(pd.DataFrame):
    """Analyses side by side; prints as estimate, (standard error) and [interval].

    An ordinary frame otherwise: whatever is taken from it or computed with it is a plain one.
    """

    def as_text(self) -> pd.DataFrame:
        """Give each analysis a column of text: two significant digits of the standard error.

        Returns
        -------
        pandas.DataFrame
            Two rows a term: estimate with standard error, and the interval below.
        """
        rows: dict[tuple[str, str], dict[str, str]] = {}
        labels = list(dict.fromkeys(self.columns.get_level_values(0)))
        for term in self.index:
            each = {label: self.loc[term, label] for label in labels}
            digits = _digits(each.values())
            rows[str(term), "estimate (SE)"] = {k: _estimate(v, digits) for k, v in each.items()}
            rows[str(term), "interval"] = {k: _interval(v, digits) for k, v in each.items()}
        text = pd.DataFrame(list(rows.values()), pd.MultiIndex.from_tuples(rows), labels)
        return text.rename_axis(columns=None, index=["term", ""])

    def __repr__(self) -> str:
        if self.empty or self.columns.nlevels != 2:
            return super().__repr__()
        return visible(self.as_text().to_string())

    def _repr_html_(self) -> str | None:
        if self.empty or self.columns.nlevels != 2:
            return super()._repr_html_()  # type: ignore[misc]
        return html.printed(self.as_text())


@checked
def compare_estimates(
    analyses: Mapping[str, Any], terms: Sequence[str] | None = None
) -> Comparison:
    """Put several analyses side by side, such as complete cases and two imputations.

    Parameters
    ----------
    analyses
        Label -> :class:`~bayesimpute.Pooled`, the fits of ``imp.fit`` (pooled here by Rubin's
        rules; fits of one data set stay as they are), or a frame with estimate, conf_low and
        conf_high, in rows of the index or of a column ``term``.
    terms
        Which, in which order; by default all, in the order in which they are met.

    Returns
    -------
    pandas.DataFrame
        Index ``term``; columns in two levels, the analysis and then estimate, std_error,
        conf_low, conf_high, df and fmi (fraction of missing information). NaN where an analysis
        does not say. It prints as estimates with (standard error) and [interval].

    Raises
    ------
    SpecificationError
        Nothing to compare, something that is no analysis, or a term that none of them has.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayesimpute as bi
    >>> seen = pd.DataFrame(
    ...     {"estimate": 1.3, "std_error": 0.25, "conf_low": 0.81, "conf_high": 1.79}, ["age"]
    ... )
    >>> imputed = bi.pool([[1.0], [1.2]], [[0.04], [0.05]], terms=["age"])
    >>> table = bi.compare_estimates({"complete cases": seen, "imputed": imputed})
    >>> table
                       complete cases       imputed
    term
    age  estimate (SE)    1.30 (0.25)   1.10 (0.27)
         interval        [0.81, 1.79]  [0.44, 1.76]
    >>> float(table["complete cases", "estimate"]["age"])
    1.3
    """
    tables = tables_of(analyses)
    chosen = chosen_terms(tables, terms)
    parts = {
        label: table.reindex(index=chosen, columns=list(QUANTITIES))
        for label, table in tables.items()
    }
    return Comparison(pd.concat(parts, axis=1, names=["analysis", "quantity"]))


def tables_of(analyses: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Tables by term of everything that is compared.

    Raises
    ------
    SpecificationError
        If there is nothing, or something that is no analysis.
    """
    if not isinstance(analyses, Mapping) or not analyses:
        raise SpecificationError(
            "Give the analyses as a mapping from label to analysis, such as "
            "{'complete cases': fits, 'imputed': imp.fit(…).pool()}."
        )
    tables = {str(label): _table(str(label), analysis) for label, analysis in analyses.items()}
    known: list[str] = []
    for label, table in tables.items():
        # the same term may be spelled otherwise in another analysis: x:z and z:x
        same = [position_of(term, known) for term in table.index]
        names = [
            term if at is None or known[at] in table.index else known[at]
            for term, at in zip(table.index, same, strict=True)
        ]
        tables[label] = table.set_axis(names)
        known += [term for term in names if term not in known]
    return tables


def _table(label: str, analysis: Any) -> pd.DataFrame:
    if isinstance(analysis, Fits):
        with warnings.catch_warnings():
            if len(analysis) == 1:  # complete cases: that nothing was imputed is the point
                warnings.filterwarnings("ignore", "Only one imputation", ImputationWarning)
            analysis = analysis.pool()
    if isinstance(analysis, Pooled):
        return analysis.table
    if not isinstance(analysis, pd.DataFrame):
        raise SpecificationError(
            f"{label!r} is a {type(analysis).__name__}; compared are the results of imp.fit(…) or "
            "of .pool(), and data frames with estimate, conf_low and conf_high by term."
        )
    table = analysis.set_index("term") if "term" in analysis.columns else analysis
    absent = [name for name in NEEDED if name not in table.columns]
    if absent:
        raise SpecificationError(
            f"The table {label!r} has no column {listed(absent)}; it needs {', '.join(NEEDED)}."
        )
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()][0]
        raise SpecificationError(f"The table {label!r} has the term {twice!r} twice.")
    try:
        table = table.astype({name: float for name in QUANTITIES if name in table.columns})
    except (TypeError, ValueError) as error:
        raise SpecificationError(f"The table {label!r} holds what is no number: {error}.") from None
    return table.set_axis([str(term) for term in table.index])


def chosen_terms(
    tables: Mapping[str, pd.DataFrame], terms: Sequence[str] | str | None
) -> list[str]:
    """Give the terms asked for, or all in the order in which they are met.

    Raises
    ------
    SpecificationError
        If none of the analyses has one of them.
    """
    known = list(dict.fromkeys(str(term) for table in tables.values() for term in table.index))
    if terms is None:
        return known
    wanted = [terms] if isinstance(terms, str) else [str(term) for term in terms]
    places = [position_of(term, known) for term in wanted]
    for term, place in zip(wanted, places, strict=True):
        if place is None:
            raise SpecificationError(
                f"No analysis has the term {term!r}; there are {listed(known, 12)}."
                f"{did_you_mean(term, known)}"
            )
    if not wanted:
        raise SpecificationError("terms= is empty; leave it out for all terms.")
    return list(dict.fromkeys(known[place] for place in places if place is not None))


def _digits(each: Iterable["pd.Series[Any]"]) -> int:
    """Decimals that show two significant digits of the smallest standard error."""
    errors = [
        float(row["conf_high"] - row["conf_low"]) / 4
        if np.isnan(row["std_error"])
        else float(row["std_error"])
        for row in each
    ]
    positive = [error for error in errors if error > 0]
    return int(np.clip(1 - np.floor(np.log10(min(positive))), 0, 8)) if positive else 3


def _estimate(row: "pd.Series[Any]", digits: int) -> str:
    if np.isnan(row["estimate"]):
        return "—"
    error = "" if np.isnan(row["std_error"]) else f" ({row['std_error']:.{digits}f})"
    return f"{row['estimate']:.{digits}f}{error}"


def _interval(row: "pd.Series[Any]", digits: int) -> str:
    if np.isnan(row["estimate"]):
        return ""
    return f"[{row['conf_low']:.{digits}f}, {row['conf_high']:.{digits}f}]"


#: Inches of a panel, and of each analysis in it.
PANEL, LINE = 0.52, 0.17


@checked
def plot_estimates(
    analyses: Mapping[str, Any],
    terms: Sequence[str] | None = None,
    truth: "Mapping[str, float] | pd.Series[Any] | None" = None,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Estimates with their intervals, a panel for each term and a line for each analysis.

    Every term has an axis of its own, because coefficients differ in scale. Analyses without
    imputed values are blue and filled, pooled ones vermillion and open. Zero is a grey line
    wherever it is not far from the intervals, a true value a dashed black one.

    Parameters
    ----------
    analyses
        Label -> :class:`~bayesimpute.Pooled`, the fits of ``imp.fit`` (pooled here by Rubin's
        rules; fits of one data set stay as they are), or a frame with estimate, conf_low and
        conf_high, in rows of the index or of a column ``term``; it counts as pooled where it has
        a number ``fmi``.
    terms
        Which, from top to bottom; by default all, in the order in which they are met.
    truth
        True values by term; further ones, such as those of variance components, are left out.
    ax
        An axes for each term, in any array shape; by default a new figure.
    figsize
        Inches; by default 6 wide and what the panels need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        Nothing to draw, something that is no analysis, a term that none of them has, a `truth`
        about none of the terms, or a number of axes that does not fit.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> few = bi.pool([[1.0, 40], [1.2, 42]], [[0.04, 9], [0.05, 8]], terms=["age", "height"])
    >>> many = bi.pool([[1.1, 38], [1.0, 39]], [[0.02, 4], [0.02, 5]], terms=["age", "height"])
    >>> figure = bi.plot_estimates({"m = 2": few, "again": many}, truth={"age": 1.05})
    >>> [panel.get_title(loc="left") for panel in figure.axes]
    ['age', 'height']
    """
    tables = tables_of(analyses)
    chosen = chosen_terms(tables, terms)
    true = _truth(truth, chosen)
    size = figsize or (6, 0.2 + (PANEL + LINE * len(tables)) * len(chosen))
    drawn = panels.panels(
        len(chosen), ax, size, picture="plot_estimates", across=1, head=0,
        what=f"{len(chosen)} terms ({listed(chosen)})", instead="fewer terms=",
    )  # fmt: skip
    for panel, term in zip(drawn.axes, chosen, strict=True):
        _panel(panel, term, tables, true.get(term))
    style.lay_out(drawn.figure)  # labels take room before titles are cut to the rest
    for panel, term in zip(drawn.axes, chosen, strict=True):
        style.title(panel, term, 10, pad=3)
    return drawn.figure


def _truth(
    truth: "Mapping[str, float] | pd.Series[Any] | None", terms: Sequence[str]
) -> dict[str, float]:
    if truth is None:
        return {}
    try:
        values = {str(term): float(value) for term, value in truth.items()}
    except (AttributeError, TypeError, ValueError):
        raise SpecificationError(
            f"truth={truth!r:.60} must be a dict from term to number, or a Series."
        ) from None
    # the same term may be spelled otherwise here: x:z and z:x
    places = {term: position_of(term, list(values)) for term in terms}
    found = {term: list(values.values())[at] for term, at in places.items() if at is not None}
    if not found:
        raise SpecificationError(
            f"truth= names {listed(values)}, and none of the terms {listed(terms, 12)}."
            f"{did_you_mean(next(iter(values), ''), terms)}"
        )
    return found


def _panel(ax: "Axes", term: str, tables: Mapping[str, pd.DataFrame], true: float | None) -> None:
    style.tidy(ax)
    ends = [] if true is None else [true]
    for at, table in enumerate(tables.values()):
        shown = table.reindex(index=[term], columns=[*NEEDED, "fmi"])
        estimate, low, high, missing = shown.to_numpy(dtype=float)[0]
        if not np.isfinite(estimate):
            ax.text(
                0.5, at, "not in this analysis", transform=ax.get_yaxis_transform(),
                ha="center", va="center", fontsize=7, color=style.GREY, zorder=3,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
            continue
        _line(ax, at, (estimate, low, high), 1.8, pooled=bool(np.isfinite(missing)))
        ends += [low, high]
    _finish_axis(ax, ends)
    if true is not None:
        ax.axvline(true, color="black", linewidth=1.1, linestyle=(0, (3, 2)), zorder=1)
        ax.set_title(f"truth: {true:.3g}".replace("-", "−"), fontsize=8, loc="right", pad=3)
    room = 0.5 * style.extent(ax)[0]
    ax.set_yticks(range(len(tables)), [style.fitted(label, 8, room) for label in tables])
    ax.set_ylim(len(tables) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)


def _line(
    ax: "Axes", at: float, numbers: Iterable[float], width: float, pooled: bool = True
) -> None:
    """Draw an interval, its estimate on it: (estimate, low, high)."""
    estimate, low, high = numbers
    colour = style.IMPUTED if pooled else style.OBSERVED
    ax.plot([low, high], [at, at], color=colour, linewidth=width, solid_capstyle="butt")
    ax.plot(
        estimate, at, "o", color=colour, markersize=5.5, markeredgewidth=1.6,
        markerfacecolor="white" if pooled else colour,
    )  # fmt: skip


def _finish_axis(ax: "Axes", ends: Sequence[float]) -> None:
    """Mark 0 within the intervals, or at most their whole width beside them; few round ticks."""
    from matplotlib.ticker import MaxNLocator

    low, high = (min(ends), max(ends)) if ends else (np.nan, np.nan)
    if low - (high - low) <= 0 <= high + (high - low):
        ax.axvline(0, color=style.GREY, linewidth=0.8, zorder=0)
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    ax.margins(x=0.04)


#: Inches of a panel.
EFFECT = 0.85


@checked
def plot_effects(
    run: Run,
    fits: Any,
    variables: Sequence[str] | None = None,
    *,
    ci_prob: Level = 0.95,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Average marginal effects, a panel each: of every imputation and, below them, pooled.

    By how much the expected outcome changes with a variable, averaged over all rows, on the scale
    of the outcome (`Fits.average_effects`). Thin lines are estimate and normal interval of each
    imputation, as if its values had been observed, the first on top; the thick one is the pooled
    interval, wider by what is not known of the missing values. Zero is a grey line wherever it is
    not far from the intervals.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    fits
        ``imp.fit("y ~ x + z")`` of these imputations.
    variables
        Which; by default all predictors of the formula.
    ci_prob
        Coverage of the intervals (0.95).
    ax
        An axes for each effect, in any array shape; by default a new figure.
    figsize
        Inches; by default 6 wide and what the panels need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    AnalysisError
        Fits of another kind, or a variable the formula does not have.
    SpecificationError
        A number of axes that does not fit.
    """
    from scipy import stats

    found = effects_by_imputation(fits, run, variables)
    pooled = found.pooled(ci_prob)
    count = len(found.names)
    drawn = panels.panels(
        count, ax, figsize or (6, 0.75 + EFFECT * count), picture="plot_effects", across=1,
        what=f"{count} effects ({listed(found.names)})", instead="fewer variables=",
    )  # fmt: skip
    half = stats.norm.ppf((1 + ci_prob) / 2) * np.sqrt(
        np.diagonal(found.covariances, axis1=1, axis2=2)
    )
    for k, (panel, name) in enumerate(zip(drawn.axes, found.names, strict=True)):
        row = pooled.loc[name, ["estimate", "conf_low", "conf_high"]].to_numpy(dtype=float)
        _effect(panel, found.estimates[:, k], half[:, k], row)
    keys = [
        (f"imputations ({len(half)})", panels.key(style.IMPUTED, "", linewidth=0.9, alpha=0.6)),
        (f"pooled, {ci_prob:.0%} interval", panels.key(style.IMPUTED, "", linewidth=2.6)),
    ]
    panels.finish(drawn, "average marginal effects", keys, names=found.names)
    return drawn.figure


def _effect(ax: "Axes", estimates: np.ndarray, half: np.ndarray, pooled: np.ndarray) -> None:
    at = np.linspace(0, 1, len(estimates))
    low, high = estimates - half, estimates + half
    ax.hlines(at, low, high, colors=style.IMPUTED, linewidth=0.9, alpha=0.6)
    ax.plot(estimates, at, ".", color=style.IMPUTED, markersize=3)
    _line(ax, 1.35, pooled, 2.6)
    _finish_axis(ax, [*pooled[1:], *low, *high])
    ax.set_ylim(1.6, -0.2)
    ax.set_yticks([])
