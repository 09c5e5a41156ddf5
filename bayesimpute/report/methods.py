"""A paragraph for the Methods of a paper: every sentence is written from the run itself."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from bayesimpute.analysis import Fits
from bayesimpute.diagnostics import FEWEST_DRAWS
from bayesimpute.errors import AnalysisError
from bayesimpute.html import Html, join, number, percent, tag
from bayesimpute.method import words_of
from bayesimpute.pooling.formula_columns import check_formula
from bayesimpute.pooling.pooled import Pooled
from bayesimpute.posterior.fitting import PosteriorFits
from bayesimpute.registry import resolve
from bayesimpute.report.content import Content, counted, note, subheading
from bayesimpute.report.models import names
from bayesimpute.result.checks import diagnostics
from bayesimpute.result.restored import made_elsewhere, without_models
from bayesimpute.specification.compatible import two_equations
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.specification import Passive, Target
from bayesimpute.wrappers.base import innermost, layers, method_text
from bayesimpute.wrappers.delta import Delta

#: Variables of which each share of missing values is named; of more the range.
MOST_SHARES = 8
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
    for part in _PARTS:
        yield from part(content)


def targets_of(content: Content) -> dict[str, Target]:
    """Variables with a model, those that stand for a column of the data."""
    specification = content.run.specification
    return {
        name: target
        for name, target in specification.targets.items()
        if isinstance(target, Target) and mean_of(name, specification.table) is None
    }


def missing_shares(content: Content) -> dict[str, float]:
    """Share of missing values of each imputed variable of the data."""
    specification = content.run.specification
    return {
        name: float(specification.table.missing(name).mean())
        for name in specification.where
        if mean_of(name, specification.table) is None
    }


def _what(content: Content) -> Iterator[str]:
    run = content.run
    given = run.specification.table.frame
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
        return
    version = run.versions.get("bayesimpute", "")
    how = "chained equations (fully conditional specification) of Bayesian models"
    if run.specification.live is not None:
        analyses = names(each.formula for each in run.specification.analyses)
        how = (
            f"Bayesian models compatible with the analysis {analyses}: its model, models of its "
            "covariates and of auxiliary variables make one joint distribution"
        )
    yield (
        f"Values of {which} were multiply imputed (m = {run.m}) by {how}, with the Python package "
        f"bayesimpute{f' {version}' if version else ''} (seed {run.seed})."
    )


def _chains(content: Content) -> Iterator[str]:
    run = content.run
    if without_models(run.specification):
        return
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
    if without_models(content.run.specification):
        return
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
    if without_models(specification):
        return
    intercepts: dict[str, list[str]] = defaultdict(list)
    slopes: dict[str, list[str]] = defaultdict(list)
    means: dict[str, list[str]] = defaultdict(list)
    units: dict[str, list[str]] = defaultdict(list)
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
        said = []
        if intercepts[group]:
            said.append(f"random intercepts in the models of {names(intercepts[group])}")
        if slopes[group]:
            said.append(f"random slopes in those of {names(slopes[group])}")
        if means[group]:
            said.append(f"cluster means of predictors in those of {names(means[group])}")
        if units[group]:
            said.append(f"one value a cluster imputed for {names(units[group])}")
        yield f"Clustering by {group} ({n:,} clusters) was allowed for by {'; '.join(said)}."


def _predictors(content: Content) -> Iterator[str]:
    specification = content.run.specification
    if without_models(specification):
        return
    used = {
        name: {c for term in target.terms for c in term.columns if c in specification.table.frame}
        for name, target in targets_of(content).items()
    }
    if used:
        sizes = [len(columns) for columns in used.values()]
        most = max(sizes)
        span = f"{most}" if min(sizes) == most else f"{min(sizes)} to {most}"
        yield f"Each model had {span} other variable{'' if span == '1' else 's'} as predictors."
    formulas = list(analysed_formulas(content).values())
    if formulas:
        columns = specification.table.frame.columns
        asked = {c for formula in formulas for c in check_formula(formula, columns)}
        predicting = set().union(*used.values())
        auxiliary = [c for c in columns if c in predicting and c not in asked]
        if auxiliary:
            yield f"Auxiliary variables, in imputation models only, were {names(auxiliary)}."


def analysed_formulas(content: Content) -> dict[str, str]:
    """Formulas of the analyses of these imputations, by label."""
    columns = content.run.specification.table.frame.columns
    return {
        label: each.formula
        for label, each in content.analyses.items()
        if isinstance(each, Fits) and each.formula and len(each) == content.run.m
        and _names_known(each.formula, columns)
    }  # fmt: skip


def _names_known(formula: str, columns: pd.Index) -> bool:
    try:
        check_formula(formula, columns)
    except AnalysisError:  # of columns that were derived later
        return False
    return True


def _priors(content: Content) -> Iterator[str]:
    if without_models(content.run.specification):
        return
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
    if without_models(content.run.specification):
        return
    if said := convergence(content):
        yield f"{said}."


def _package(fits: Fits) -> str:
    return type(fits.estimates[0].model).__module__.partition(".")[0]


def rule_name(pooled: Pooled) -> str:
    """Give the pooling rule its name."""
    return "Rubin's rules" if pooled.rule == "rubin1987" else "Reiter's rules"


def _analyses(content: Content) -> Iterator[str]:
    for label, given in content.analyses.items():
        if isinstance(given, PosteriorFits):
            yield f"{label}: the posteriors of all completed data sets were mixed in equal parts."
        pooled = content.pooled.get(label)
        if not isinstance(pooled, Pooled) or pooled.m != content.run.m or pooled.m == 1:
            continue
        what = label
        if isinstance(given, Fits):
            what = f"{label} ({given.formula or given.analysis}, fitted by {_package(given)})"
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
            f"{rule_name(pooled)}, "
            f"degrees of freedom {df}{most}."
        )


def _alone(content: Content) -> Iterator[str]:
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
            f"{number(table[axis].max())}"
            for axis in each.axes
        ]
        tips = [
            f"{tip['what']} {each.null:g} at {tip['axis']} = {tip['value']:.3g}"
            for tip in each.tipping.to_dict("records")
        ]
        yield (
            f"In the sensitivity analysis {label}, {names(axes)} was varied over {len(table)} "
            f"points: the estimate of {each.term} lay between {number(table['estimate'].min(), 3)} "
            f"and {number(table['estimate'].max(), 3)}, and "
            f"{'; '.join(tips) or 'no point changed the conclusion'}."
        )


_PARTS: tuple[Callable[[Content], Iterator[str]], ...] = (
    _what, _chains, _models, _clusters, _predictors, _priors, _assumed, _converged, _analyses,
    _alone, sensitivity_words,
)  # fmt: skip
