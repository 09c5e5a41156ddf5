"""What guidelines ask a paper to report of missing data, filled in where the run knows it.

References
----------
.. [1] Sterne et al. (2009), Multiple imputation for missing data in epidemiological and clinical
   research, BMJ 338, b2393: the box of recommendations.
.. [2] Lee et al. (2021), Framework for the treatment and reporting of missing data in observational
   studies (TARMOS), Journal of Clinical Epidemiology 134, 79-88.
"""

from collections.abc import Callable

import pandas as pd

from bayesimpute.congeniality.check import findings_of
from bayesimpute.data.table import Kind
from bayesimpute.html import Html, join, percent, table, tag
from bayesimpute.pooling.pooled import Pooled
from bayesimpute.posterior.pooled import PooledPosterior
from bayesimpute.report.content import Content, counted, note, scroll
from bayesimpute.report.methods import (
    analysed_formulas,
    assumption,
    convergence,
    missing_shares,
    model_name,
    rule_name,
    selection_models,
    sensitivity_words,
    shifted,
    targets_of,
)
from bayesimpute.report.models import names
from bayesimpute.result.restored import without_models
from bayesimpute.specification.formula_reader import read_formula

NOT_STATED = "not stated"


def _shares(content: Content) -> str:
    shares = missing_shares(content)
    return "; ".join(f"{name} {percent(share)}" for name, share in shares.items())


def _complete(content: Content) -> str:
    given = content.run.specification.table.frame
    complete = int(given.notna().all(axis=1).sum())
    return f"{complete:,} of {len(given):,} rows ({percent(complete / len(given))}) in all columns"


def _differences(content: Content) -> str:
    found = content.missing_tests
    if found is None or found.empty:
        return ""
    column = next((c for c in found.columns if c.startswith("p_cluster")), "p_value")
    tested = found.dropna(subset=[column])
    low = tested[tested[column] < 0.05]
    if tested.empty:
        return ""
    pairs = [f"{gone} by {by}" for gone, by in zip(low["missing"], low["variable"], strict=True)]
    return (
        f"{len(low)} of {counted(len(tested), 'comparison')} of rows with a value and without have "
        f"p < 0.05{': ' + names(pairs) if pairs else ''} (What is missing)"
    )


def _software(content: Content) -> str:
    run = content.run
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    iterations = "" if without_models(run.specification) else f", {run.iterations} iterations"
    return f"{versions}; seed {run.seed}{iterations}"


def _variables(content: Content) -> str:
    specification = content.run.specification
    if without_models(specification):
        return ""
    used = {
        column
        for target in targets_of(content).values()
        for term in target.terms
        for column in term.columns
        if column in specification.table.frame
    } | set(targets_of(content))
    return names(column for column in specification.table.frame if column in used)


def _kinds(content: Content) -> str:
    specification = content.run.specification
    if without_models(specification):
        return ""
    by_kind: dict[str, list[str]] = {}
    words = {Kind.NUMERIC: "numbers", Kind.BINARY: "two categories",
             Kind.ORDINAL: "ordered categories", Kind.NOMINAL: "categories"}  # fmt: skip
    for name, target in targets_of(content).items():
        kind = words.get(specification.table.variables[name].kind, "others")
        by_kind.setdefault(kind, []).append(f"{name} by {model_name(target)}")
    return "; ".join(f"{kind}: {', '.join(each)}" for kind, each in by_kind.items())


def _interactions(content: Content) -> str:
    specification = content.run.specification
    formulas = analysed_formulas(content)
    products = {
        label: formula
        for label, formula in formulas.items()
        if any(len(term) > 1 for term in read_formula(formula).terms)
    }
    if not formulas or without_models(specification):
        return ""
    if not products:
        return "the analyses have none"
    lacking = [
        f"{finding.finding} ({finding.variable})"
        for formula in products.values()
        for finding in findings_of(formula, specification)
    ]
    if not lacking:
        return f"in the imputation models as {names(products)} asks"
    return f"not all that {names(products)} asks: {names(dict.fromkeys(lacking))}"


def _observed_imputed(content: Content) -> str:
    return "pictures of all imputed variables (Observed and imputed values)"


def _alone(content: Content) -> str:
    found = [label for label, each in content.complete_cases.items() if each.fits is not None]
    return f"beside the pooled estimates of {names(found)} (Analyses)" if found else ""


def _departures(content: Content) -> str:
    said = list(sensitivity_words(content))
    if said:
        return " ".join(said)
    modelled = [*selection_models(content), *shifted(content)]
    if modelled:
        return f"modelled for {names(modelled)}; no grid of assumptions was given"
    return ""


def _converged(content: Content) -> str:
    return "" if without_models(content.run.specification) else convergence(content)


def _pooling(content: Content) -> str:
    by: dict[str, list[str]] = {}
    for label, each in content.pooled.items():
        if isinstance(each, Pooled) and each.m > 1:
            by.setdefault(rule_name(each), []).append(label)
        elif isinstance(each, PooledPosterior):
            by.setdefault("posteriors mixed", []).append(label)
    return "; ".join(f"{how}: {names(labels)}" for how, labels in by.items())


#: Item, who asks for it, and what fills it in.
ITEMS: tuple[tuple[str, str, Callable[[Content], str]], ...] = (
    ("Share of missing values of each variable", "Sterne, TARMOS", _shares),
    ("Rows with complete data", "Sterne, TARMOS", _complete),
    ("Why values are missing", "Sterne, TARMOS", lambda content: content.reasons or ""),
    ("How rows with and without missing values differ", "Sterne, TARMOS", _differences),
    ("Method, and what it assumes of missingness", "Sterne, TARMOS", assumption),
    ("Why the assumption is plausible", "Sterne, TARMOS", lambda each: each.assumptions or ""),
    ("Software and settings", "Sterne, TARMOS", _software),
    ("Number of imputations", "Sterne, TARMOS", lambda content: f"m = {content.run.m}"),
    ("Variables in the imputation models, auxiliary ones too", "Sterne, TARMOS", _variables),
    ("How variables that are not normal were treated", "Sterne", _kinds),
    ("Interactions of the analysis in the imputation models", "Sterne", _interactions),
    ("Observed and imputed values compared", "Sterne", _observed_imputed),
    ("Convergence", "TARMOS", _converged),
    ("How analyses were combined", "TARMOS", _pooling),
    ("Complete-case results beside", "Sterne, TARMOS", _alone),
    ("Sensitivity to departures from the assumption", "Sterne, TARMOS", _departures),
    ("Whether the treatment of missing data was planned before", "TARMOS", lambda content: ""),
)  # fmt: skip


def items(content: Content) -> pd.DataFrame:
    """Checklist as a frame: item, asked_by, answer; ``"not stated"`` where nothing is known."""
    rows = [(item, by, find(content) or NOT_STATED) for item, by, find in ITEMS]
    return pd.DataFrame(rows, columns=["item", "asked_by", "answer"])


def reporting(content: Content) -> Html:
    """Checklist, and how many of its items are filled in."""
    found = items(content)
    rows = [
        (item, by, tag("em", answer) if answer == NOT_STATED else answer)
        for item, by, answer in found.itertuples(index=False)
    ]
    open_items = int((found["answer"] == NOT_STATED).sum())
    return join(
        [
            scroll(table(["item", "asked by", "answer"], rows)),
            note(
                f"{len(found) - open_items} of {len(found)} items are answered; what is not stated "
                "the authors add, by reasons=, assumptions=, analyses= and sensitivity= of "
                "imp.report or in the paper. Sterne: Sterne et al. 2009, BMJ 338, b2393. TARMOS: "
                "Lee et al. 2021, J Clin Epidemiol 134, 79-88."
            ),
        ]
    )
