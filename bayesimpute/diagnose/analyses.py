"""Whether the imputation models hold what the analyses that were made ask for."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from bayesimpute.congeniality.check import findings_of
from bayesimpute.diagnose.examined import Examined
from bayesimpute.findings import Finding


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
