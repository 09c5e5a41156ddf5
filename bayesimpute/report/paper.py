"""For a paper: its Methods, written from the run itself, and what guidelines ask it to report.

References
----------
.. [1] Sterne et al. (2009), Multiple imputation for missing data in epidemiological and clinical
   research, BMJ 338, b2393: the box of recommendations.
.. [2] Lee et al. (2021), Framework for the treatment and reporting of missing data in observational
   studies (TARMOS), Journal of Clinical Epidemiology 134, 79-88.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from bayesimpute.analysis import Fits
from bayesimpute.congeniality.check import findings_of
from bayesimpute.data.table import Kind
from bayesimpute.diagnostics import FEWEST_DRAWS
from bayesimpute.html import Html, join, number, percent, tag
from bayesimpute.method import words_of
from bayesimpute.plots.assumptions import crossings
from bayesimpute.pooling.pooled import Pooled
from bayesimpute.pooling.rubin import RULES
from bayesimpute.posterior.fitting import PosteriorFits
from bayesimpute.posterior.pooled import PooledPosterior
from bayesimpute.registry import resolve
from bayesimpute.report.content import Content, counted, grid, note, seeds_of, subheading
from bayesimpute.report.models import names
from bayesimpute.result.checks import diagnostics
from bayesimpute.result.restored import assigned, made_elsewhere, without_models
from bayesimpute.specification.compatible import two_equations
from bayesimpute.specification.formula_reader import read_formula
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.specification import Passive, Target
from bayesimpute.wrappers.base import innermost, layers, method_text
from bayesimpute.wrappers.delta import Delta

#: Variables of which each share of missing values is named; of more the range.
MOST_SHARES = 8
#: That fit analyses; what a function of the user returns may be of any type.
PACKAGES = ("statsmodels", "mixedlm", "linearmodels", "pyfixest", "lifelines")
#: How the software is cited; CITATION.cff says the same.
AUTHORS = "The bayesimpute developers"
TITLE = "bayesimpute: Bayesian multilevel multiple imputation by chained equations"


def methods(content: Content) -> Html:
    """Paragraph, what was said by the authors, and the citation."""
    paragraph = " ".join(sentences(content))
    return join(
        [
            tag("p", paragraph, class_="paste"),
            note(
                "Written from the specification and the analyses above, and ready to be pasted; "
                "what the software cannot know (why values are missing, what speaks for the "
                "assumption) is left to the authors."
            ),
            subheading("Citation"),
            tag("p", citation(content)),
        ]
    )


def citation(content: Content) -> str:
    """How to cite the software, in the version that imputed."""
    version = content.run.versions.get("bayesimpute", "")
    return f"{AUTHORS}. {TITLE}{f' (version {version})' if version else ''} [software]."


def sentences(content: Content) -> Iterator[str]:
    """All sentences that hold of this run, in their order."""
    without = without_models(content.run.specification)
    for part, of_models in _PARTS.items():
        if not (of_models and without):
            yield from part(content)


def targets_of(content: Content) -> dict[str, Target]:
    """Variables with a model, those that stand for a column of the data; none without models."""
    specification = content.run.specification
    if without_models(specification):
        return {}
    return {
        name: target
        for name, target in specification.targets.items()
        if isinstance(target, Target) and mean_of(name, specification.table) is None
    }


def missing_shares(content: Content) -> dict[str, float]:
    """Share of missing values of each imputed variable of the data."""
    specification = content.run.specification
    return {name: float(specification.table.missing(name).mean()) for name in content.imputed}


def _what(content: Content) -> Iterator[str]:
    run = content.run
    given = content.given
    n, columns = given.shape
    complete = int(given.notna().all(axis=1).sum())
    yield (
        f"The data have {counted(n, 'row')} and {counted(columns, 'variable')}; "
        f"{complete:,} rows ({percent(complete / n)}) are complete."
    )
    shares = missing_shares(content)
    if len(shares) > MOST_SHARES:
        low, high = min(shares.values()), max(shares.values())
        which = f"{len(shares)} variables ({percent(low)} to {percent(high)} missing)"
    else:
        each = [f"{name} ({percent(share)} missing)" for name, share in shares.items()]
        which = names(each)
    if made_elsewhere(run.specification):
        yield (
            f"Values of {which} were multiply imputed by another program (m = {run.m}); how is "
            "not known here."
        )
        yield from _left_missing(content)
        return
    version = run.versions.get("bayesimpute", "")
    how = "chained equations (fully conditional specification) of Bayesian models"
    if without_models(run.specification):
        how = "Bayesian models"
    if run.specification.live is not None:
        analyses = names(each.formula for each in run.specification.analyses)
        how = (
            f"Bayesian models compatible with the analysis {analyses}: its model, models of its "
            "covariates and of auxiliary variables make one joint distribution"
        )
    yield (
        f"Values of {which} were multiply imputed (m = {run.m}) by {how}, with the Python package "
        f"bayesimpute{f' {version}' if version else ''} ({seeds_of(run)})."
    )
    yield from _left_missing(content)


def _computed(content: Content) -> Iterator[str]:
    """Say what was computed once the data were complete."""
    if columns := assigned(content.run.specification):
        verb = "was" if len(columns) == 1 else "were"
        yield f"{names(columns)} {verb} computed from each completed data set."


def _left_missing(content: Content) -> Iterator[str]:
    """Say which missing values no imputation fills, such as those outside a condition."""
    specification = content.run.specification
    table, where = specification.table, specification.where
    left = {
        name: int((table.missing(name) & ~where[name]).sum())
        if name in where
        else int(table.missing(name).sum())
        for name in table.incomplete()
        if mean_of(name, table) is None
    }
    each = [f"{name} ({count:,})" for name, count in left.items() if count]
    if each:
        yield f"Missing values of {names(each)} were left missing."


def _chains(content: Content) -> Iterator[str]:
    run = content.run
    yield (
        f"Each imputation is the last state of a Markov chain of its own of "
        f"{counted(run.iterations, 'iteration')}, in which the parameters of each model and the "
        "missing values of its variable are drawn in turn."
    )


def model_name(target: Target) -> str:
    """Give what a paper calls the model of a target."""
    method = innermost(target.method)
    words = words_of(resolve(method))
    if words is None or not words.name:
        return f"a model of our own ({method_text(method)})"
    return words.name.format(donors=target.options.get("donors", 5))


def _models(content: Content) -> Iterator[str]:
    by_name: dict[str, list[str]] = defaultdict(list)
    for name, target in targets_of(content).items():
        by_name[model_name(target)].append(name)
    if by_name:
        each = "; ".join(f"{model} for {names(which)}" for model, which in by_name.items())
        yield f"The conditional models were: {each}."
    for name, computed in content.run.specification.targets.items():
        if isinstance(computed, Passive):
            yield f"{name} was computed from {names(computed.inputs)} at every iteration."


def _clusters(content: Content) -> Iterator[str]:
    specification = content.run.specification
    intercepts, slopes, means, units = (defaultdict[str, list[str]](list) for _ in range(4))
    for name, target in targets_of(content).items():
        if target.level == 2 and target.cluster is not None:
            units[target.cluster].append(name)
        for each in target.effects:
            if each.intercept:
                intercepts[each.name].append(name)
            if each.slopes:
                slopes[each.name].append(f"{name} (of {names(s for s, _ in each.slopes)})")
            if each.means:
                means[each.name].append(name)
    for group in dict.fromkeys([*intercepts, *slopes, *units]):
        n = specification.table.clusters(group).n
        allowed = {
            "random intercepts in the models of": intercepts[group],
            "random slopes in those of": slopes[group],
            "cluster means of predictors in those of": means[group],
            "one value a cluster imputed for": units[group],
        }
        said = [f"{what} {names(which)}" for what, which in allowed.items() if which]
        yield f"Clustering by {group} ({n:,} clusters) was allowed for by {'; '.join(said)}."


def _predictors(content: Content) -> Iterator[str]:
    specification = content.run.specification
    used = {
        name: {c for term in target.terms for c in term.read_columns(specification.table.frame)}
        for name, target in targets_of(content).items()
    }
    if used:
        sizes = [len(columns) for columns in used.values()]
        most = max(sizes)
        span = f"{most}" if min(sizes) == most else f"{min(sizes)} to {most}"
        yield f"Each model had {span} other variable{'' if span == '1' else 's'} as predictors."
    asked = {c for each in content.analyses.values() for c in content.formula_columns(each) or ()}
    if asked:
        predicting = set().union(*used.values()) - asked
        auxiliary = [c for c in specification.table.frame.columns if c in predicting]
        if auxiliary:
            yield f"Auxiliary variables, in imputation models only, were {names(auxiliary)}."


def analysed_formulas(content: Content) -> dict[str, str]:
    """Formulas of the analyses of these imputations, by label."""
    used = {k: each for k, each in content.analyses.items() if content.formula_columns(each)}
    return {label: each.formula for label, each in used.items()}


def _priors(content: Content) -> Iterator[str]:
    own = {
        name: [key for key in target.priors if not (target.around and key == "intercept")]
        for name, target in targets_of(content).items()
    }
    given = [f"{name} ({', '.join(keys)})" for name, keys in own.items() if keys]
    yield "Priors were the weakly informative defaults of the package" + (
        f", but those given for {names(given)}." if given else "."
    )


def selection_models(content: Content) -> list[str]:
    """Variables imputed by a model of their own missingness."""
    return [n for n, t in targets_of(content).items() if two_equations(innermost(t.method))]


def shifted(content: Content) -> list[str]:
    """Variables whose imputed values are shifted, with the shift."""
    return [
        f"{name} ({layer})"
        for name, target in targets_of(content).items()
        for layer in layers(target.method)
        if isinstance(layer, Delta)
    ]


def assumption(content: Content) -> str:
    """Say what the run assumes of why values are missing; empty where that is not known."""
    if without_models(content.run.specification):
        return ""
    selected, moved = selection_models(content), shifted(content)
    parts = []
    if selected:
        parts.append(
            f"whether {names(selected)} is observed was allowed to depend on the value itself "
            "(selection model)"
        )
    if moved:
        parts.append(f"imputed values of {names(moved)} were shifted (δ-adjustment)")
    departing = {*selected, *(each.split(" (")[0] for each in moved)}
    rest = [name for name in targets_of(content) if name not in departing]
    at_random = "values were assumed to be missing at random given the predictors"
    if not parts:
        return at_random
    others = [f"other {at_random}"] if rest else []
    return "; ".join([*parts, *others])


def _assumed(content: Content) -> Iterator[str]:
    if said := assumption(content):
        yield said[0].upper() + said[1:] + "."
    for text in (content.reasons, content.assumptions):
        if text:
            yield text.strip() if text.strip()[-1] in ".!?" else f"{text.strip()}."


def convergence(content: Content) -> str:
    """Largest R-hat of the second half of the chains; why there is none."""
    run = content.run
    if without_models(run.specification):
        return ""
    discard = run.iterations // 2
    kept = run.iterations - discard
    if run.m < 2 or kept < FEWEST_DRAWS:
        return (
            f"{counted(run.m, 'chain')} of {counted(run.iterations, 'iteration')} are too few for "
            "an R-hat"
        )
    found = diagnostics(run, discard)["r_hat"].dropna()
    if found.empty:
        return ""
    return (
        f"R-hat of imputed values and parameters ({len(found):,} in all) over iterations "
        f"{discard + 1} to {run.iterations} was at most {number(float(found.max()), 3)}, its "
        f"median {number(float(found.median()), 3)}"
    )


def _converged(content: Content) -> Iterator[str]:
    if said := convergence(content):
        yield f"{said}."


def _analyses(content: Content) -> Iterator[str]:
    for label, given in content.analyses.items():
        if isinstance(given, PosteriorFits):
            yield f"{label}: the posteriors of all completed data sets were mixed in equal parts."
        pooled = content.pooled.get(label)
        if not isinstance(pooled, Pooled) or pooled.m != content.run.m or pooled.m == 1:
            continue
        what = label
        if isinstance(given, Fits):
            package = type(given.estimates[0].model).__module__.partition(".")[0]
            by = f", fitted by {package}" if package in PACKAGES else ""
            what = f"{label} ({given.formula or given.analysis}{by})"
        rule = RULES[pooled.rule]
        df = (
            "for large samples"
            if np.isinf(pooled.dfcom)
            else f"by Barnard and Rubin for {number(pooled.dfcom)} complete-data df"
        )
        fmi = pooled.table["fmi"].dropna()
        most = (
            f"; the fraction of missing information was at most {float(fmi.max()):.2f} "
            f"({fmi.idxmax()})"
            if len(fmi)
            else ""
        )
        yield (
            f"Estimates of {what} in the {pooled.m} completed data sets were pooled by "
            f"{rule.name}{f', degrees of freedom {df}' if rule.of_dfcom else ''}{most}."
        )


def _complete_cases(content: Content) -> Iterator[str]:
    for label, found in content.complete_cases.items():
        if found.fits is not None:
            rows = counted(found.rows, "complete case")
            yield f"The model of {label} was also fitted to the {rows}."


def sensitivity_words(content: Content) -> Iterator[str]:
    """Say what each sensitivity analysis varied, and what came out."""
    for label, each in content.sensitivity.items():
        table = each.table
        axes = [
            f"{'ρ' if axis == 'rho' else 'δ'} from {number(table[axis].min())} to "
            f"{number(table[axis].max())}{' or estimated' if table[axis].isna().any() else ''}"
            for axis in each.axes
        ]
        tips = crossings(each.tipping, each.axes, each.null)
        yield (
            f"In the sensitivity analysis {label}, {names(axes)} was varied over {len(table)} "
            f"points: the estimate of {each.term} lay between {number(table['estimate'].min(), 3)} "
            f"and {number(table['estimate'].max(), 3)}, and "
            f"{'; '.join(tips) or 'no point changed the conclusion'}."
        )


#: Sentences in their order, and whether they are of models and chains.
_PARTS: dict[Callable[[Content], Iterator[str]], bool] = {
    _what: False, _computed: False, _chains: True, _models: True, _clusters: True,
    _predictors: True, _priors: True, _assumed: False, _converged: True, _analyses: False,
    _complete_cases: False, sensitivity_words: False,
}  # fmt: skip


NOT_STATED = "not stated"
PICTURES = "pictures of all imputed variables (Observed and imputed values)"


def _shares(content: Content) -> str:
    shares = missing_shares(content)
    return "; ".join(f"{name} {percent(share)}" for name, share in shares.items())


def _complete(content: Content) -> str:
    given = content.given
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
    if made_elsewhere(run.specification):
        return f"imputed by another program; taken in, analysed and reported by {versions}"
    length = counted(run.iterations, "iteration")
    iterations = "" if without_models(run.specification) else f", {length}"
    return f"{versions}; {seeds_of(run)}{iterations}"


def _variables(content: Content) -> str:
    specification = content.run.specification
    targets = targets_of(content)
    terms = [term for target in targets.values() for term in target.terms]
    frame = specification.table.frame
    used = {column for term in terms for column in term.read_columns(frame)} | targets.keys()
    known = [column for column in frame if column in used]
    return names(known) if targets else ""


def _kinds(content: Content) -> str:
    specification = content.run.specification
    by_kind: dict[str, list[str]] = {}
    words = {Kind.NUMERIC: "numbers", Kind.BINARY: "two categories",
             Kind.ORDINAL: "ordered categories", Kind.NOMINAL: "categories"}  # fmt: skip
    for name, target in targets_of(content).items():
        kind = words.get(specification.table.variables[name].kind, "others")
        by_kind.setdefault(kind, []).append(f"{name} by {model_name(target)}")
    return "; ".join(f"{kind}: {', '.join(each)}" for kind, each in by_kind.items())


def _interactions(content: Content) -> str:
    specification = content.run.specification
    formulas, columns = analysed_formulas(content), list(specification.table.frame.columns)
    products = {
        label: formula
        for label, formula in formulas.items()
        if any(len(term) > 1 for term in read_formula(formula, columns).terms)
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


def _pooling(content: Content) -> str:
    by: dict[str, list[str]] = {}
    for label, each in content.pooled.items():
        if isinstance(each, Pooled) and each.m > 1:
            by.setdefault(RULES[each.rule].name, []).append(label)
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
    ("Observed and imputed values compared", "Sterne", lambda _: PICTURES),
    ("Convergence", "TARMOS", convergence),
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
            grid(["item", "asked by", "answer"], rows, ()),
            note(
                f"{len(found) - open_items} of {len(found)} items are answered; what is not stated "
                "the authors add, by reasons=, assumptions=, analyses= and sensitivity= of "
                "imp.report or in the paper. Sterne: Sterne et al. 2009, BMJ 338, b2393. TARMOS: "
                "Lee et al. 2021, J Clin Epidemiol 134, 79-88."
            ),
        ]
    )
