"""Observed and imputed values side by side, and checks of the models that draw anew."""

from functools import partial
from typing import Any

import pandas as pd

from bayesimpute.checking.overimputation import overimpute
from bayesimpute.checking.predictive import plot_ppc
from bayesimpute.checking.replay import censored
from bayesimpute.errors import BayesimputeError
from bayesimpute.html import Html, decimals, join, number, percent, table, tag
from bayesimpute.plots.distribution import plot_density
from bayesimpute.plots.frames import cells
from bayesimpute.plots.propensity import plot_propensity, propensity
from bayesimpute.report.content import (
    MOST_PICTURES,
    Content,
    folded,
    left_out,
    note,
    paragraph,
    picture,
    scroll,
    subheading,
)
from bayesimpute.specification.specification import Target
from bayesimpute.wrappers.base import declared


def values(content: Content) -> Html:
    """One picture a variable; of very many those with most imputed cells."""
    run = content.run
    names = run.history.variables
    cells = {name: run.history.imputed[name].shape[1] for name in names}
    most = sorted(names, key=lambda name: -cells[name])[:MOST_PICTURES]
    shown = [name for name in names if name in most]
    pictures = [
        picture(
            partial(plot_density, run, name, figsize=(5, 3)),
            f"{name}: observed and imputed values",
            in_words(content, name),
        )
        for name in shown
    ]
    return join(
        [
            paragraph(
                "Where values are missing at random, imputed and observed ones may differ, but "
                "the difference should be explicable by the predictors. Values that cannot occur, "
                "or shapes that the data do not have, speak against a model."
            ),
            tag("div", *pictures, class_="gallery"),
            left_out([name for name in names if name not in shown], "the pictures"),
            *_by_propensity(content, shown),
        ]
    )


#: Rows times imputations up to which propensities are fitted for the page, and variables.
MOST_ROWS, MOST_PROPENSITIES = 200_000, 6


def _by_propensity(content: Content, names: list[str]) -> list[Html]:
    """Values at the same chance of being missing, of some variables."""
    run = content.run
    if run.m * len(run.specification.table.frame) > MOST_ROWS:
        return [note("By propensity of being missing: imp.plot.propensity(variable).")]
    drawn = []
    for name in names[:MOST_PROPENSITIES]:
        try:
            found = propensity(run, name)
        except BayesimputeError:  # missing everywhere, or without predictors
            continue
        means = found.groupby("missing")["propensity"].mean()
        seen = (
            f"mean propensity {means[False]:.2f} where it is observed, {means[True]:.2f} where it "
            "is missing"
        )
        words = f"{name}: values by the propensity of being missing"
        drawn.append(picture(partial(plot_propensity, run, name), words, seen))
    if not drawn:
        return []
    about = note(
        "Of rows as likely to be missing, imputed and observed values should be distributed alike "
        "if values are missing at random; where the two curves below hardly overlap, imputation is "
        "extrapolation."
    )
    return [folded("By propensity of being missing", about, *drawn)]


def in_words(content: Content, name: str) -> str:
    """Mean and SD, or shares of categories, of observed and imputed cells."""
    found = cells(content.run, name)
    said = []
    for kind, each in found.groupby("seen", observed=True)["value"]:
        if pd.api.types.is_numeric_dtype(each) and each.dtype != bool:
            said.append(f"{kind} mean {number(each.mean(), 3)}, SD {number(each.std(), 3)}")
        else:
            shares = each.astype(str).value_counts(normalize=True).head(MOST_SHARES)
            listed = ", ".join(f"{label} {percent(share)}" for label, share in shares.items())
            said.append(f"{kind} {listed}")
    return "; ".join(said)


#: Categories whose shares are told.
MOST_SHARES = 6
#: Variables checked: each takes seconds to minutes.
MOST_VARIABLES = 12

INTRODUCTION = (
    "Each observed cell is predicted by its model without having been seen (by importance "
    "weights, PSIS-LOO), as if it were missing: of a model that is right, intervals hold as many "
    "observed values as they promise. Calibration error is 0 for a perfect model; of cells with a "
    "large Pareto k the weights cannot be trusted."
)


def checks(content: Content) -> Html:
    """Overimputation, then replicated data; empty unless they were asked for."""
    if not content.checks:
        return Html("")
    run = content.run
    modelled = [
        name
        for name, target in run.specification.targets.items()
        if isinstance(target, Target)
        and declared(target.method, "uses_predictors", True)
        and not censored(target)
    ]
    names, left = modelled[:MOST_VARIABLES], modelled[MOST_VARIABLES:]
    if not names:
        return paragraph("No variable has a model that could be checked.")
    drawn = [
        picture(
            partial(plot_ppc, run, name, figsize=(5, 3)),
            f"{name}: observed, and what its model makes of it",
            in_words(content, name),
        )
        for name in names
    ]
    return join(
        [
            subheading("Overimputation"),
            paragraph(INTRODUCTION),
            *_overimputation(content, names),
            subheading("Replicated data"),
            paragraph(
                "Data sets drawn from the posterior of each model, over the observed values: a "
                "feature of the data that they do not have is one that imputations lack too."
            ),
            tag("div", *drawn, class_="gallery"),
            left_out(left, "the checks"),
        ]
    )


def _overimputation(content: Content, names: list[str]) -> list[Html]:
    try:
        found = overimpute(content.run, names)
    except BayesimputeError as error:
        return [note(f"Not made: {error}")]
    rows = [_row(str(name), row) for name, row in found.table.iterrows()]
    head = ["variable", "cells", f"coverage of {found.level:.0%} intervals", "SE", "mean width",
            "calibration error", "large Pareto k"]  # fmt: skip
    shown = scroll(table(head, rows, range(1, len(head))))
    return [
        shown,
        picture(
            found.plot,
            "Observed cells as predicted without themselves",
            "; ".join(f"{row[0]}: {row[2]} of intervals hold the value" for row in rows),
        ),
    ]


def _row(name: str, row: "pd.Series[Any]") -> tuple[object, ...]:
    return (
        name,
        int(row["n"]),
        percent(row["coverage"]),
        percent(row["coverage_se"]),
        number(row["width"], 3),
        decimals(row["calibration_error"], 3),
        percent(row["large_k"]),
    )
