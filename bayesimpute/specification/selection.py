"""Models of why values are missing: which equation a predictor is in, and what cannot be learnt."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Table
from bayesimpute.errors import SpecificationError
from bayesimpute.events import Event
from bayesimpute.specification.aliases import NUMBER
from bayesimpute.specification.specification import Term

OPTIONS = {"selection_only": "selection", "outcome_only": "outcome"}


def placed(
    target: str, terms: Sequence[Term], options: Mapping[str, Any], columns: Collection[str] = ()
) -> tuple[Term, ...]:
    """Put the terms that options name into one equation.

    An analysis has the terms of its outcome only, so that `columns`, which it does not name, may
    be added for the selection.

    Raises
    ------
    SpecificationError
        If an option names no term of the model, or two name the same.
    """
    equation: dict[str, str] = {}
    labels = [term.label for term in terms]
    for option, where in OPTIONS.items():
        names = options.get(option, ())
        for label in (names,) if isinstance(names, str) else names:
            if label in columns and label not in labels and where == "selection":
                terms = [*terms, Term(label, (label,))]
                labels.append(label)
            if label not in labels:
                raise SpecificationError(
                    f"model_options of {target!r}: {option} names {label!r}, which is no term of "
                    f"its model; the terms are {', '.join(labels) or 'none'}."
                )
            if label in equation:
                raise SpecificationError(
                    f"model_options of {target!r}: {label!r} cannot be both in the selection only "
                    "and in the outcome only."
                )
            equation[label] = where
    return tuple(replace(term, equation=equation.get(term.label, term.equation)) for term in terms)


def selection_events(
    target: str,
    terms: Sequence[Term],
    options: Mapping[str, Any],
    table: Table,
    clusters: ClusterIndex | None,
    level: int,
    ignored: np.ndarray,
) -> list[Event]:
    """Say what the data can and cannot tell of the selection.

    Raises
    ------
    SpecificationError
        If ρ is fixed at a value that is no correlation.
    """

    def event(severity: str, action: str, text: str) -> Event:
        return Event(severity, "specification", target, action, text)

    rho = options.get("rho")
    if rho is not None and not (isinstance(rho, int | float) and -1 < rho < 1):
        raise SpecificationError(
            f"model_options of {target!r}: rho={rho!r} must be a number between −1 and 1 (both "
            "excluded), or None to estimate it."
        )
    events = []
    missing = table.missing(target) & ~ignored
    seen = ~table.missing(target) & ~ignored
    if clusters is not None and level == 1:
        n_seen = np.bincount(clusters.codes[seen], minlength=clusters.n)
        n_missing = np.bincount(clusters.codes[missing], minlength=clusters.n)
        empty, full = (n_seen == 0) & (n_missing > 0), (n_missing == 0) & (n_seen > 0)
        if empty.any() and not options.get("select_whole_clusters", False):
            missing = missing & ~empty[clusters.codes]
            events.append(
                event(
                    "info",
                    "clusters outside the selection",
                    f"{int(empty.sum())} cluster(s) have no observed {target!r}, the first "
                    f"{str(clusters.labels[int(empty.argmax())])!r}: that says nothing of single "
                    "rows, so they are drawn from the population of clusters and not taken as "
                    "selected against; select_whole_clusters=True in model_options does.",
                )
            )
        if full.any():
            events.append(
                event(
                    "info",
                    "clusters without gaps",
                    f"{int(full.sum())} cluster(s) have every {target!r} observed, the first "
                    f"{str(clusters.labels[int(full.argmax())])!r}: their selection is drawn "
                    "towards that of the others.",
                )
            )
    if not missing.any():
        events.append(
            event(
                "warning",
                "no selection to learn from",
                f"No row that could have been seen has {target!r} missing, so nothing is known of "
                "the selection and ρ keeps its prior; a model without selection "
                f"({NUMBER!r}) says "
                "the same and is faster.",
            )
        )
    if not any(term.equation == "selection" and term.fixed for term in terms) and rho is None:
        events.append(
            event(
                "warning",
                "no exclusion restriction",
                f"No predictor of {target!r} is in the selection only (code −3, or selection_only "
                "in model_options): ρ is known only through the normal shape of the errors. Look "
                "at imp.identification() and at fixed values of ρ (rho=).",
            )
        )
    return events
