"""The pooled analyses, and how far their answers depend on assumptions."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.analysis import Fits
from bayesimpute.errors import BayesimputeError, SpecificationError
from bayesimpute.html import Html, decimals, frame, join, number, tag
from bayesimpute.plots.estimates import compare_estimates, plot_effects, plot_estimates
from bayesimpute.pooling.pooled import Pooled, boundary_notes
from bayesimpute.pooling.rubin import RULES
from bayesimpute.posterior.pooled import PooledPosterior
from bayesimpute.report.content import (
    CompleteCases,
    Content,
    counted,
    folded,
    grid,
    note,
    paragraph,
    picture,
    pooled_of,
    scroll,
    subheading,
)
from bayesimpute.report.paper import sensitivity_words
from bayesimpute.wording import p_value

#: Terms of an analysis in the words for a forest plot.
MOST_SPOKEN = 8
#: Terms up to which a forest plot is drawn.
MOST_TERMS = 30

HEADINGS = {
    "estimate": "estimate", "std_error": "SE", "statistic": "t", "df": "df", "p_value": "p",
    "conf_low": "low", "conf_high": "high", "riv": "RIV", "lambda": "λ", "fmi": "FMI",
    "ubar": "Ū", "b": "B", "t": "T",
}  # fmt: skip
#: Columns of the two tables of a pooled analysis.
RESULT = ("estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high", "fmi")
VARIANCES = ("ubar", "b", "t", "riv", "lambda", "fmi")
RANDOM = ("estimate", "conf_low", "conf_high", "fmi")
#: Columns on the scale of the standard error.
SCALED = ("estimate", "std_error", "conf_low", "conf_high")
#: Decimals of shares, ratios and test statistics.
DECIMALS = {"lambda": 3, "fmi": 3, "riv": 3, "statistic": 2}

SCALES = (
    "SDs were pooled on the log scale, correlations as Fisher's z, intraclass correlations on the "
    "logit scale, and transformed back."
)
LEGEND = (
    "By Rubin's rules, Ū: mean variance within imputations; B: variance between them; "
    "T = Ū + (1 + 1/m) B, whose root is the SE. RIV = (1 + 1/m) B / Ū: relative increase in "
    "variance by what is missing; "
    "λ = (1 + 1/m) B / T: its share of the whole; FMI: fraction of missing information, λ with "
    "the finite number of imputations counted in."
)


def analyses(content: Content) -> Html:
    """Draw a forest plot of all, then each with its tables; empty without any."""
    if not content.analyses:
        return Html("")
    pooled = content.pooled
    drawn = {k: table for k, each in pooled.items() if (table := _comparable(each)) is not None}
    parts = [_forest(drawn)] if drawn else []
    parts += [_compared(drawn)] if len(drawn) > 1 else []
    for label, each in pooled.items():
        parts.append(subheading(label))
        parts.append(_one(each, content.analyses[label]))
        if label in content.complete_cases:
            parts.append(_beside(each, content.complete_cases[label]))
            parts.append(_effects(content, content.analyses[label]))
    if any(isinstance(each, Pooled) and RULES[each.rule].of_dfcom for each in pooled.values()):
        parts.append(note(LEGEND))
    return join(parts)


def _comparable(analysis: Any) -> pd.DataFrame | None:
    """Estimates as plots take them; None of what has none."""
    if isinstance(analysis, Pooled):
        return analysis.table
    if isinstance(analysis, PooledPosterior):
        names = {"mean": "estimate", "sd": "std_error", "low": "conf_low", "high": "conf_high"}
        return analysis.table[[*names, "fmi"]].rename(columns=names)
    return analysis if isinstance(analysis, pd.DataFrame) else None


def _forest(drawn: dict[str, pd.DataFrame]) -> Html:
    terms = list(dict.fromkeys(str(term) for each in drawn.values() for term in _terms(each)))
    some = terms[:MOST_TERMS]
    words = "Estimates and intervals; blue and filled: without imputed values, open: pooled"
    seen = [f"{label}: {', '.join(_in_words(_terms(each), each))}" for label, each in drawn.items()]
    figure = picture(lambda: plot_estimates(drawn, some), words, "; ".join(seen))
    left = len(terms) - len(some)
    return join([figure, note(f"Left out: {left} further terms.") if left else ""])


def _in_words(terms: Iterable[Any], estimates: pd.DataFrame) -> list[str]:
    """Estimates and intervals of the first terms."""
    rows = zip(terms, *(estimates[n] for n in ("estimate", "conf_low", "conf_high")), strict=True)
    return [
        f"{term} {number(estimate, 3)} ({number(low, 3)} to {number(high, 3)})"
        for term, estimate, low, high in list(rows)[:MOST_SPOKEN]
    ]


def _beside(pooled: Pooled, alone: CompleteCases) -> Html:
    """Pooled estimates and those of the complete cases, side by side."""
    if alone.fits is None:
        return note(f"Complete cases ({counted(alone.rows, 'row')}): not analysed. {alone.error}")
    cases = pooled_of(alone.fits, pooled.conf_level).table
    interval = f"{pooled.conf_level:.0%} interval"
    rows = [
        (term, *_interval(pooled.table, term), *_interval(cases, term))
        for term in pooled.table.index
    ]
    head = ["term", "pooled", interval, "complete cases", interval]
    about = paragraph(
        f"Beside the pooled estimates those of the {counted(alone.rows, 'row')} that are "
        "complete in the columns of the formula:"
    )
    return join([about, grid(head, rows)])


def _effects(content: Content, fits: Fits) -> Html:
    """Average marginal effects where the formula has any."""
    try:
        found = fits.average_effects(content.run)
    except BayesimputeError:  # Cox regression, an intercept alone
        return Html("")
    if len(found) > MOST_TERMS:
        return Html("")
    words = "Average marginal effects: of each imputation, and pooled"
    seen = "; ".join(_in_words(found.index, found))
    drawn = picture(partial(plot_effects, content.run, fits), words, seen)
    return folded("Average marginal effects", drawn, scroll(frame(found)))


def _interval(estimates: pd.DataFrame, term: Any) -> tuple[str, str]:
    if term not in estimates.index:
        return "–", "–"
    row = _numbers(estimates.loc[term])
    return row["estimate"], f"{row['conf_low']} to {row['conf_high']}"


def _terms(estimates: pd.DataFrame) -> "pd.Index[Any] | pd.Series[Any]":
    return estimates["term"] if "term" in estimates.columns else estimates.index


def _compared(drawn: dict[str, pd.DataFrame]) -> Html:
    side_by_side = compare_estimates(drawn).as_text()
    cells = zip(side_by_side.index.to_list(), side_by_side.to_numpy(), strict=True)
    rows = [(*at, *row) for at, row in cells]
    columns = ["term", "", *drawn]
    return folded("Side by side", grid(columns, rows, range(2, len(columns))))


def _one(analysis: Any, given: Any) -> Html:
    formula = ""
    if isinstance(given, Fits):
        formula = paragraph("Analysis: ", tag("code", given.analysis.strip("'\"")))
    if isinstance(analysis, Pooled):
        return join([formula, _pooled(analysis)])
    if isinstance(analysis, pd.DataFrame):
        return join([formula, scroll(frame(analysis))])
    ours = type(analysis).__module__.partition(".")[0] == "bayesimpute"
    if ours and hasattr(analysis, "_repr_html_"):
        return scroll(Html(analysis._repr_html_()))
    return scroll(tag("pre", repr(analysis)))  # HTML of others may hold scripts


def _pooled(analysis: Pooled) -> Html:
    df = "infinite" if np.isinf(analysis.dfcom) else number(analysis.dfcom)
    rule = RULES[analysis.rule]
    how = f"Pooled over m = {analysis.m} by {rule.name}" if analysis.m > 1 else "One data set"
    complete = f", complete-data df {df}" if rule.of_dfcom or analysis.m == 1 else ""
    variance = "" if rule.of_dfcom or analysis.m == 1 else f" {rule.variance}."
    about = paragraph(f"{how}, {analysis.conf_level:.0%} intervals{complete}.{variance}")
    numbers = {str(term): _numbers(row) for term, row in analysis.table.iterrows()}
    shown = [_columns(numbers, RESULT)]
    if analysis.m > 1:
        shown.append(_columns(numbers, VARIANCES))
    random = analysis.random_effects
    if not random.empty:
        columns = list(RANDOM)
        rows = [(str(k), *map(number, map(float, row[columns]))) for k, row in random.iterrows()]
        headings = ["random effects", *(HEADINGS[name] for name in columns)]
        shown.append(grid(headings, rows))
        notes = [paragraph(told) for told in boundary_notes(random, analysis.m)]
        return join([about, *shown, *notes, note(SCALES)])
    components = analysis.variance_components
    if components.empty:
        return join([about, *shown])
    pairs = [(name, number(value)) for name, value in components.items()]
    return join([about, *shown, grid(["variance component", "mean over imputations"], pairs)])


def _columns(numbers: dict[str, dict[str, str]], names: tuple[str, ...]) -> Html:
    """Show some columns of the pooled table, a row a term."""
    rows = [(term, *(written[name] for name in names)) for term, written in numbers.items()]
    return grid(["term", *(HEADINGS[name] for name in names)], rows)


def _numbers(row: "pd.Series[Any]") -> dict[str, str]:
    error = float(row["std_error"])
    places = int(np.clip(2 - np.floor(np.log10(error)), 0, 8)) if error > 0 else 3
    return {str(name): _number(str(name), float(value), places) for name, value in row.items()}


def _number(column: str, value: float, places: int) -> str:
    if column in SCALED:
        return decimals(value, places)
    if column == "p_value":
        return number(value) if np.isnan(value) else p_value(value, 3)
    if column in DECIMALS:
        return decimals(value, DECIMALS[column])
    return number(value, 3 if column in ("ubar", "b", "t") else 4)


#: What a result of ``bi.sensitivity`` has.
PARTS = ("table", "tipping", "axes", "term", "null", "plot")


def check_sensitivity(given: Any) -> dict[str, Any]:
    """Results by label; of a single one its term.

    Raises
    ------
    SpecificationError
        If one is no such result.
    """
    if given is None:
        return {}
    several = isinstance(given, Mapping)
    found = {str(k): v for k, v in given.items()} if several else {"": given}
    for label, each in found.items():
        if not all(hasattr(each, part) for part in PARTS):
            what = f"sensitivity[{label!r}]" if several else "sensitivity="
            raise SpecificationError(
                f"report: {what} is {type(each).__name__}; give what bi.sensitivity(...) returns, "
                "or a dict of them by label."
            )
    return found if several else {f"of {given.term}": given}


def sensitivity(content: Content) -> Html:
    """Picture and table of each; empty without any."""
    parts = []
    said = sensitivity_words(content)
    for (label, each), words in zip(content.sensitivity.items(), said, strict=True):
        figure = picture(each.plot, f"Estimate of {each.term} by assumption, {label}", words)
        parts += [subheading(label), paragraph(words), figure, scroll(frame(each.table))]
    return join(parts)
