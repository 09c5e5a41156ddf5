"""What is assumed: priors, selection models, and shifts of what is not missing at random."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.errors import BayesimputeError
from bayesimpute.html import Html, join, number, table
from bayesimpute.plots.assumptions import plot_rho
from bayesimpute.prior.of_run import priors as used_priors
from bayesimpute.report.content import (
    Content,
    folded,
    note,
    paragraph,
    picture,
    scroll,
    subheading,
)
from bayesimpute.result.checks import draws_of_rho, identification
from bayesimpute.specification.specification import Target
from bayesimpute.wrappers.base import layers
from bayesimpute.wrappers.delta import Delta

#: Models whose priors are shown; building a model takes some seconds.
MOST_MODELS = 30


def priors(content: Content) -> Html:
    """One table a target."""
    run = content.run
    targets = [
        name for name, target in run.specification.targets.items() if isinstance(target, Target)
    ]
    shown, left = targets[:MOST_MODELS], targets[MOST_MODELS:]
    opening = paragraph(
        "What each model assumed of its parameters before it saw the data: distribution, median "
        "and 90 % interval. Defaults are weakly informative and follow the scale of the data; "
        "those given by the user are marked. SDs are between clusters unless they are sigma."
    )
    parts, refused = [opening], dict[str, list[str]]()
    for name in shown:
        try:
            parts.append(_one(name, used_priors(run, name)))
        except BayesimputeError as error:
            refused.setdefault(str(error), []).append(name)
    parts += [note(f"Not shown: {', '.join(names)}. {error}") for error, names in refused.items()]
    if left:
        parts.append(note(f"Left out: {', '.join(left)}; imp.priors(variable) shows them."))
    return join(parts)


def _one(name: str, found: pd.DataFrame) -> Html:
    if found.empty:
        return folded(name, note("No parameter has a prior that could be shown."))
    rows = [_prior_row(row) for _, row in found.iterrows()]
    columns = ["parameter", "of", "prior", "5 %", "median", "95 %", "source"]
    own = int(found["replaced"].sum())
    mark = f", {own} of the user's own" if own else ""
    return folded(f"{name}: {len(rows)} priors{mark}", scroll(table(columns, rows, (3, 4, 5))))


def _prior_row(row: "pd.Series[Any]") -> tuple[object, ...]:
    source = "user" if row["replaced"] else "default"
    quantiles = [number(row[name], 3) for name in ("5%", "50%", "95%")]
    return row["parameter"], row["element"], row["distribution"], *quantiles, source


NUMBERS = ("strength", "rho", "5%", "95%", "contraction", "overlap")


def selection(content: Content) -> Html:
    """Identification of each selection model, and every δ; empty without any."""
    return join([*_identification(content), *_deltas(content)])


def _identification(content: Content) -> list[Html]:
    found = identification(content.run)
    if found.empty:
        return []
    population = found[found["cluster"].isna()]
    clusters = found[found["cluster"].notna()]
    columns = ["variable", "exclusion restriction", "strength", "ρ", "5 %", "95 %",
               "contraction", "overlap", "verdict"]  # fmt: skip
    parts = [
        subheading("Selection models"),
        paragraph(
            "These models let whether a value is seen depend on the value itself, by the "
            "correlation ρ of two errors. Data hardly ever say much of it. Contraction near 0 and "
            "overlap near 1 mean that the posterior of ρ is its prior; an exclusion restriction (a "
            "predictor of being seen that does not predict the value) is strong where its "
            "coefficient is more than about three SDs from 0."
        ),
        scroll(
            table(columns, [_selection_row(row) for _, row in population.iterrows()], range(2, 8))
        ),
    ]
    parts += [_rho(content, str(name)) for name in dict.fromkeys(population["variable"])]
    if len(clusters):
        rows = [
            (f"{row['variable']}, {row['cluster']}",
             *(number(row[name], 3) for name in (*NUMBERS[1:], "own")), row["verdict"])
            for _, row in clusters.iterrows()
        ]  # fmt: skip
        head = ["variable, cluster", *columns[3:8], "own", "verdict"]
        shown = scroll(table(head, rows, range(1, 7)))
        parts.append(folded(f"ρ of {len(rows)} clusters", shown))
    return parts


def _rho(content: Content, name: str) -> Html:
    """Picture of ρ of a variable, empty where it is fixed."""
    found = draws_of_rho(content.run, name)
    if not found:
        return Html("")
    seen = [
        f"{each.name} posterior median {number(float(np.median(each.posterior)), 2)}, 90 % "
        f"{number(float(np.quantile(each.posterior, 0.05)), 2)} to "
        f"{number(float(np.quantile(each.posterior, 0.95)), 2)}"
        for each in found[:MOST_SPOKEN]
    ]
    words = f"ρ of {name}: prior and posterior, of all clusters and of each"
    return picture(partial(plot_rho, content.run, name), words, "; ".join(seen))


#: Clusters in the words for a picture of ρ.
MOST_SPOKEN = 8


def _selection_row(row: "pd.Series[Any]") -> tuple[object, ...]:
    numbers = [number(row[name], 3) for name in NUMBERS]
    return row["variable"], row["exclusion"] or "none", *numbers, row["verdict"]


def _deltas(content: Content) -> list[Html]:
    rows = [
        (name, str(layer))
        for name, target in content.run.specification.targets.items()
        if isinstance(target, Target)
        for layer in layers(target.method)
        if isinstance(layer, Delta)
    ]
    if not rows:
        return []
    return [
        subheading("δ-adjustments"),
        paragraph(
            "What is imputed lies elsewhere than the model says of the observed values: δ is "
            "added to the linear predictor of the missing values. It is an assumption, and no data "
            "can show it right or wrong; report the answer over a range of it."
        ),
        scroll(table(["variable", "shift"], rows)),
        note("bi.sensitivity(…) repeats imputation and analysis over a grid of assumptions."),
    ]
