"""Whether analyses get what they ask for: models that hold their terms, and enough imputations."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from bayesimpute.congeniality.check import findings_of
from bayesimpute.diagnose.examined import Examined
from bayesimpute.findings import Finding
from bayesimpute.posterior.pooled import imputations_for
from bayesimpute.specification.latent_means import mean_of


def uncongenial(run: Examined, fits: Sequence[Any]) -> Iterator[Finding]:
    """Find what the formulas of analyses ask for and the models lack, each lack once.

    Pooled numbers and functions do not say what they ask for.
    """
    said = set()
    for formula in dict.fromkeys(getattr(each, "formula", None) for each in fits):
        for finding in findings_of(formula, run.specification):
            fact = (finding.variable, finding.finding, finding.evidence)
            if fact not in said:
                said.add(fact)
                yield replace(finding, evidence=f"{finding.evidence.rstrip('.')}: {formula}")


#: Monte-Carlo error of a standard error, as a share of it, that is taken to be enough.
WANTED = 0.1


def enough_imputations(run: Examined, fits: Sequence[Any]) -> Iterator[Finding]:
    """Compare m with what the fraction of missing information needs.

    Parameters
    ----------
    run
        The run.
    fits
        Analyses, pooled or not; without any the share of missing values stands in.
    """
    if run.m < 2:
        return
    if not fits:
        yield from _by_missing_values(run)
        return
    tables = [(each if hasattr(each, "table") else each.pool()).table for each in fits]
    fmi = pd.concat([table["fmi"].dropna() for table in tables])
    if fmi.empty:
        return
    term, most = str(fmi.index[int(fmi.to_numpy().argmax())]), float(fmi.max())
    needed, strict = (int(imputations_for(most, cv)) for cv in (WANTED, WANTED / 2))
    if run.m < needed:
        yield Finding(
            "warning", term, "few imputations",
            f"m = {run.m}; the fraction of missing information of {term!r} is {most:.2f}. "
            f"{needed} imputations keep the Monte-Carlo error of its standard error at "
            f"{100 * WANTED:.0f} %, {strict} at {50 * WANTED:.0f} %.",
            "Standard errors and p values change from one seed to the next.",
            f"bi.impute(..., m={needed})", "term",
        )  # fmt: skip
    if most > 0.8:
        yield Finding(
            "warning", term, "hardly any information",
            f"The fraction of missing information of {term!r} is {most:.2f}.",
            "The estimate rests on the imputation model far more than on data.",
            "See with bi.sensitivity how it depends on what is assumed of the missing values.",
            "term",
        )  # fmt: skip


def _by_missing_values(run: Examined) -> Iterator[Finding]:
    table = run.specification.table
    missing = {
        name: float(table.missing(name).mean()) for name in run.targets if not mean_of(name, table)
    }
    if not missing:
        return
    name = max(missing, key=lambda each: missing[each])
    needed = int(imputations_for(missing[name], WANTED))
    if run.m < needed:
        yield Finding(
            "info", name, "few imputations",
            f"m = {run.m}; {100 * missing[name]:.0f} % of {name!r} is missing. If that is the "
            f"missing information of the analysis, {needed} keep the Monte-Carlo error of a "
            f"standard error below {100 * WANTED:.0f} %.",
            "Standard errors and p values change from one seed to the next.",
            f"bi.impute(..., m={needed})  # imp.diagnose(imp.fit(...)) for the analysis itself",
        )  # fmt: skip
