"""What is wrong with the run, whether its chains have converged, and what they have imputed."""

from functools import partial

import numpy as np
import pandas as pd

from bayesimpute.checking.overimputation import overimpute
from bayesimpute.checking.predictive import plot_ppc
from bayesimpute.checking.replay import censored
from bayesimpute.errors import BayesimputeError
from bayesimpute.findings import SEVERITIES, Findings
from bayesimpute.html import Html, decimals, join, number, percent, tag
from bayesimpute.plots.chains import plot_trace
from bayesimpute.plots.distribution import plot_density
from bayesimpute.plots.frames import cells
from bayesimpute.plots.propensity import draw_propensity, propensity
from bayesimpute.report.content import (
    MOST_PICTURES,
    Content,
    folded,
    grid,
    left_out,
    note,
    paragraph,
    picture,
    subheading,
)  # fmt: skip
from bayesimpute.result.checks import diagnostics
from bayesimpute.result.run import Run
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.specification import Target
from bayesimpute.wrappers.base import declared

#: Findings shown unfolded.
MOST_OPEN = 12

#: What a light says, by the severest finding; None where there is none.
LIGHTS = {
    "error": ("bad", "wrong"),
    "warning": ("fair", "look"),
    "info": ("unknown", "note"),
    None: ("good", "fine"),
}

_ABOUT = {"variable": "Variable ", "term": "Term of an analysis ", "run": ""}


def diagnosis(content: Content) -> Html:
    """Every finding with its evidence, cause and advice."""
    found = content.findings
    if found.empty:
        return join([paragraph(light(None), " Nothing was found wrong."), note(found.checked)])
    drawn = []
    for row in found.itertuples(index=False):
        where = (_ABOUT[str(row.about)], row.variable, ": ") if row.variable else ()
        advice = tag("p", "What to do: ", tag("code", row.advice)) if row.advice else ""
        what, why = tag("strong", row.finding), tag("p", row.evidence, " ", row.cause)
        drawn.append(tag("li", light(str(row.severity)), " ", *where, what, ". ", why, advice))
    first = tag("ul", *drawn[:MOST_OPEN], class_="findings")
    rest = drawn[MOST_OPEN:]
    more = folded(f"{len(rest)} more", tag("ul", *rest, class_="findings")) if rest else ""
    return join([first, more, note(found.checked)])


def light(severity: str | None) -> Html:
    """Sign and word for the severest finding."""
    look, word = LIGHTS[severity]
    return tag("span", word, class_=f"light {look}")


#: Variables in one picture of traces.
BESIDE = 3
#: Rows of the table of all quantities.
MOST_ROWS = 300

NUMBERS = ("mean", "sd", "r_hat", "ess_bulk", "ess_tail", "mcse_mean")


def chains(content: Content) -> Html:
    """Lights, traces, and the table of all quantities."""
    run = content.run
    found = diagnostics(run)
    worst = found.groupby("variable", sort=False)["r_hat"].max().fillna(-np.inf)
    names = run.history.variables
    shown = names
    if len(names) > MOST_PICTURES:
        ranked = sorted(names, key=lambda name: -worst.get(name, -np.inf))[:MOST_PICTURES]
        shown = [name for name in names if name in ranked]
    together = [shown[k : k + BESIDE] for k in range(0, len(shown), BESIDE)]
    traces = [
        picture(
            partial(plot_trace, run, each),
            f"Chains of {', '.join(each)}",
            "; ".join(_seen(run, name, worst) for name in each),
        )
        for each in together
    ]
    return join(
        [
            paragraph(
                "Imputations can be used when the chains have forgotten where they started and "
                "wander about the same level. R-hat compares them with one another and with "
                "themselves, 1 being perfect; ESS counts the independent draws that all chains "
                "together are worth."
            ),
            _lights(found, content.findings),
            note("The sign is the severest finding of the diagnosis above."),
            *traces,
            left_out([name for name in names if name not in shown], "the traces"),
            _all(found),
        ]
    )


def _seen(run: Run, name: str, worst: "pd.Series[float]") -> str:
    """Where the chains of a variable ended, and how well they agree."""
    ends = np.asarray(run.history.chain_mean[name], dtype=float)[:, -1]
    r_hat = worst.get(name, -np.inf)
    what = "mean codes" if run.specification.table.variables[name].categories else "means"
    agree = f", largest R-hat {number(r_hat, 3)}" if np.isfinite(r_hat) else ""
    return (
        f"{name}: {what} of {len(ends)} chains end between {number(np.nanmin(ends), 3)} and "
        f"{number(np.nanmax(ends), 3)}{agree}"
    )


def _lights(found: pd.DataFrame, findings: Findings) -> Html:
    rows = []
    for name, part in found.groupby("variable", sort=False):
        most = part.sort_values("r_hat", ascending=False, kind="stable").iloc[0]
        known = np.isfinite(most["r_hat"])
        concerned = findings["severity"][findings["variable"].isin(["", name])]
        severest = next((each for each in SEVERITIES if (concerned == each).any()), None)
        smallest = [number(part[each].min(), 3) for each in ("ess_bulk", "ess_tail")]
        rows.append(
            (name, light(severest), _decimals(float(most["r_hat"])),
             most["quantity"] if known else "", *smallest, int(part["divergences"].max()))
        )  # fmt: skip
    head = ["variable", "", "largest R-hat", "of", "smallest ESS (bulk)", "ESS (tail)",
            "divergences"]  # fmt: skip
    return grid(head, rows, (2, 4, 5, 6))


def _decimals(r_hat: float) -> str:
    return f"{r_hat:.3f}" if np.isfinite(r_hat) else "–"


def _all(found: pd.DataFrame) -> Html:
    """Every quantity; of very many those with the largest R-hat."""
    listed = found.sort_values("r_hat", ascending=False, kind="stable").head(MOST_ROWS).sort_index()
    rows = [
        (f"{row['variable']}: {row['quantity']}",
         *(_decimals(row[name]) if name == "r_hat" else number(row[name], 3) for name in NUMBERS))
        for _, row in listed.iterrows()
    ]  # fmt: skip
    head = ["quantity", "mean", "SD", "R-hat", "ESS (bulk)", "ESS (tail)", "MCSE of mean"]
    left = len(found) - len(listed)
    more = f"the {len(rows)} of {len(found)} with the largest R-hat" if left else f"all {len(rows)}"
    return folded(f"Quantities: {more}", grid(head, rows))


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
MOST_CELLS, MOST_PROPENSITIES = 200_000, 6


def _by_propensity(content: Content, names: list[str]) -> list[Html]:
    """Values at the same chance of being missing, of some variables."""
    run = content.run
    if run.m * len(run.specification.table.frame) > MOST_CELLS:
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
        drawn.append(picture(partial(draw_propensity, run, name, found), words, seen))
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
        and mean_of(name, run.specification.table) is None
    ]
    names, left = modelled[:MOST_VARIABLES], modelled[MOST_VARIABLES:]
    if not names:
        return paragraph("No variable has a model that could be checked.")
    drawn = [
        picture(
            partial(plot_ppc, run, name, figsize=(5, 3)),
            f"{name}: observed, and what its model makes of it",
            in_words(content, name) if name in run.history.variables else "",
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
    rows = [
        (str(name), int(row["n"]), percent(row["coverage"]), percent(row["coverage_se"]),
         number(row["width"], 3), decimals(row["calibration_error"], 3), percent(row["large_k"]))
        for name, row in found.table.iterrows()
    ]  # fmt: skip
    head = ["variable", "cells", f"coverage of {found.level:.0%} intervals", "SE", "mean width",
            "calibration error", "large Pareto k"]  # fmt: skip
    return [
        grid(head, rows),
        picture(
            found.plot,
            "Observed cells as predicted without themselves",
            "; ".join(f"{row[0]}: {row[2]} of intervals hold the value" for row in rows),
        ),
    ]
