"""What is wrong with the run, and whether its chains have converged."""

from functools import partial

import numpy as np
import pandas as pd

from bayesimpute.findings import SEVERITIES, Findings
from bayesimpute.html import Html, join, number, table, tag
from bayesimpute.plots.chains import plot_trace
from bayesimpute.report.content import (
    MOST_PICTURES,
    Content,
    folded,
    left_out,
    note,
    paragraph,
    picture,
    scroll,
)  # fmt: skip
from bayesimpute.result.checks import diagnostics
from bayesimpute.result.run import Run

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
    drawn = [
        tag(
            "li",
            light(str(row["severity"])),
            f" {_ABOUT[str(row['about'])]}{row['variable']}: " if row["variable"] else " ",
            tag("strong", row["finding"]),
            ". ",
            tag("p", row["evidence"], " ", row["cause"]),
            tag("p", "What to do: ", tag("code", row["advice"])) if row["advice"] else "",
        )
        for _, row in found.iterrows()
    ]
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
        rows.append(
            (
                name,
                light(severest),
                _decimals(float(most["r_hat"])),
                most["quantity"] if known else "",
                number(part["ess_bulk"].min(), 3),
                number(part["ess_tail"].min(), 3),
                int(part["divergences"].max()),
            )
        )
    head = ["variable", "", "largest R-hat", "of", "smallest ESS (bulk)", "ESS (tail)",
            "divergences"]  # fmt: skip
    return scroll(table(head, rows, (2, 4, 5, 6)))


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
    return folded(f"Quantities: {more}", scroll(table(head, rows, range(1, 7))))
