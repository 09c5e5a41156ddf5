"""Priors of every model, on the data's scale."""

from typing import Any

import pandas as pd

from bayesimpute.errors import BayesimputeError
from bayesimpute.html import Html, join, number, table
from bayesimpute.prior.of_run import priors as used_priors
from bayesimpute.report.content import Content, folded, note, paragraph, scroll
from bayesimpute.specification.specification import Target

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
    rows = [_row(row) for _, row in found.iterrows()]
    columns = ["parameter", "of", "prior", "5 %", "median", "95 %", "source"]
    own = int(found["replaced"].sum())
    mark = f", {own} of the user's own" if own else ""
    return folded(f"{name}: {len(rows)} priors{mark}", scroll(table(columns, rows, (3, 4, 5))))


def _row(row: "pd.Series[Any]") -> tuple[object, ...]:
    source = "user" if row["replaced"] else "default"
    quantiles = [number(row[name], 3) for name in ("5%", "50%", "95%")]
    return row["parameter"], row["element"], row["distribution"], *quantiles, source
