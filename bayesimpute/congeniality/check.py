"""``bi.congenial``: an analysis formula held against the imputation models.

Imputation by one joint distribution, as an analysis sees it: there a covariate's own model leaves
the outcome out: what the outcome says of it comes from the outcome's model, times which it is
drawn. An analysis that is in the joint distribution is held by it, whatever its terms; any other is
compared with what follows for each variable given all others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.congeniality.advice import advice, change
from bayesimpute.congeniality.analysis_formula import Analysis, parse_analysis
from bayesimpute.congeniality.data_checks import (
    as_if_computed,
    is_exactly,
    just_another_variable,
    left_missing,
    row_by_row,
    stale_means,
    unknown_names,
    without_clusters,
)
from bayesimpute.congeniality.imputation_model import Addition, ImputationModel
from bayesimpute.congeniality.lacks import REASONS, lacks
from bayesimpute.errors import AnalysisError, DataError, SpecificationError, warn
from bayesimpute.findings import Finding, Findings
from bayesimpute.specification.aliases import MATCHING
from bayesimpute.specification.compatible import gives_density
from bayesimpute.specification.identities import passive_text
from bayesimpute.specification.joint_order import sources_of_term
from bayesimpute.specification.latent_means import with_columns
from bayesimpute.specification.specification import (
    Passive,
    Specification,
    Target,
    Term,
    computed_from,
    models_of,
)
from bayesimpute.specification.specify import specify
from bayesimpute.wording import listed
from bayesimpute.wrappers.base import innermost, method_text


def imputed_for(analysis: Analysis, specification: Specification) -> bool:
    """Whether an analysis, or a larger one of the same outcome, is a model of the imputation.

    Parameters
    ----------
    analysis
        That is to be fitted.
    specification
        How the data were imputed; chained equations are made for no analysis.
    """
    if specification.live is None:
        return False
    columns = specification.table.variables
    same = [each.formula for each in specification.analyses if each.outcome == analysis.outcome]
    return any(_within(analysis, parse_analysis(formula, columns)) for formula in same)


def word_for_word(formula: str, specification: Specification) -> bool:
    """Whether a formula, which nothing else here may be able to read, is one of an imputation's."""
    analyses = () if specification.live is None else specification.analyses
    return any(each.formula == formula for each in analyses)


def _within(analysis: Analysis, larger: Analysis) -> bool:
    """Whether all that one analysis asks about is asked about by another."""
    return (
        analysis.outcome == larger.outcome
        and set(analysis.terms) <= set(larger.terms)
        and set(analysis.means) <= set(larger.means)
        and set(analysis.groups) <= set(larger.groups)
        and set(analysis.slopes) <= set(larger.slopes)
        and all(
            any(cluster == other and set(effects) <= set(more) for other, more in larger.correlated)
            for cluster, effects in analysis.correlated
        )
    )


def given_all_others(specification: Specification) -> Specification:
    """Give each variable of a joint distribution the terms of its model given all others.

    Those are the terms of its own model, and from each model it stands in the outcome, its products
    with all that the variable is multiplied by there, and the other terms.

    Parameters
    ----------
    specification
        Of chained equations it is given back as it is.
    """
    if specification.live is None:
        return specification
    given = {
        name: replace(target, terms=(*target.terms, *_from_models_of_others(name, specification)))
        for name, target in models_of(specification.targets).items()
    }
    return replace(specification, targets={**specification.targets, **given})


def _from_models_of_others(name: str, specification: Specification) -> Iterator[Term]:
    targets, known = specification.targets, specification.table.variables
    for other, child in targets.items():
        if other == name or not isinstance(child, Target):
            continue
        mine = [term for term in child.terms if name in sources_of_term(term, targets, known)]
        if not mine:
            continue
        yield Term(other, (other,))
        for term in child.terms:
            rest = tuple(f for f in term.factors if not _of(name, f, specification))
            if rest:
                yield replace(term, label=":".join(rest), factors=rest)
            if term in mine:
                factors = (other, *rest)
                yield replace(term, label=":".join(factors), factors=factors)


def _of(name: str, factor: str, specification: Specification) -> bool:
    term, known = Term(factor, (factor,)), specification.table.variables
    return name in sources_of_term(term, specification.targets, known)


def run_for(analysis: Analysis, specification: Specification) -> str:
    """Write the call that imputes by the analysis itself; empty where that cannot be had.

    What is computed stays so, and an outcome that has a model of its own keeps its family.

    Parameters
    ----------
    analysis
        That no chained equations are compatible with.
    specification
        As the data were to be imputed, columns that hold a function of others computed.
    """
    arguments: dict[str, Any] = {}
    if specification.cluster is not None:
        arguments["cluster"] = specification.cluster
    computed = {
        name: f"~ {e}" if (e := target.expression).startswith("I(") else passive_text(e)
        for name, target in specification.targets.items()
        if isinstance(target, Passive) and not target.found
    }
    if computed:
        arguments["method"] = computed
    arguments["analysis"] = analysis.formula
    outcome = specification.targets.get(analysis.outcome)
    own = innermost(outcome.method) if isinstance(outcome, Target) else None
    try:  # what raises here would raise for the user
        run = specify(specification.table.frame, **arguments)
        by_default = run.analyses[0].family
        if isinstance(own, str) and own != by_default and gives_density(own):
            arguments["family"] = own
            specify(specification.table.frame, **arguments)
    except (DataError, SpecificationError):  # a function of the outcome, a second grouping, …
        return ""
    written = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return (
        f"imp = bi.impute(df, {written})\n"
        f"# the analysis is the model of {analysis.outcome!r} then: no formulas= for it"
    )


@checked
def congenial(
    formula: str,
    df: pd.DataFrame | Specification,
    cluster: str | Sequence[str] | None = None,
    method: Any = None,
    predictors: pd.DataFrame | None = None,
    formulas: Mapping[str, str] | None = None,
    model_options: Mapping[Any, Mapping[str, Any]] | None = None,
) -> Findings:
    """List what an analysis asks for and the imputation models do not hold, before imputing.

    Variables that predict and are not in the analysis (auxiliary ones) are welcome and never a
    finding.

    Parameters
    ----------
    formula
        The analysis, ``"y ~ x * z + I(x**2) + (1 + x | g)"``, as for ``imp.fit``; the cluster mean
        of x as a predictor is written ``cluster_mean(x)``.
    df
        The incomplete data; or a specification, without further arguments.
    cluster, method, predictors, formulas, model_options
        As for :func:`bayesimpute.impute`.

    Returns
    -------
    Findings
        A DataFrame, a row a finding, the worst first: ``severity``, ``variable`` (whose model it
        is), ``finding``, ``evidence`` (term of the analysis), ``cause`` (why it matters, with the
        source), ``advice`` (the change of ``predictors=`` or ``formulas=`` that mends it; the
        formula has all that the model lacks). Empty if the models hold all.

    Notes
    -----
    An incomplete outcome needs the terms of the analysis in its model. An incomplete predictor x of
    a continuous outcome y needs y and all that y depends on. If x is a number and is multiplied by
    another number, stands under a function beside itself, or has a slope by cluster, no chained
    equation holds that, outcome × z or a slope of y in the model of x included, nor the slopes by
    cluster of a category: the call that imputes by the analysis itself is advised, ``analysis=``
    (where it cannot be had, such as for a function as the outcome, complete cases in x, which are
    right if the gaps of x do not depend on y). Products with a complete category are held by
    :func:`bayesimpute.by_group`, the log odds of a category by the product and the square, a single
    function by imputing on its scale, and cluster means also by a ``"joint"`` block. With a binary
    outcome the equations are compatible up to the average over the cluster effects, and that is no
    finding.

    Random intercepts in the model of x have nothing to do with y, while given y they should go with
    the level of y in the cluster. Where clusters are small and differ much, that draws the
    coefficient of x towards 0: over 20 to 24 data sets, half of a category missing, an effect of 1
    came out .03, .16 and .33 too small in clusters of 3 to 5 with a fifth, a half and four fifths
    of the variance between them, and .07 and .04 at a half in clusters of 8 and of 20; with
    ``cluster_mean(y)`` in the model of x it came out right, and nearly so by ``analysis=``. It is a
    finding where the data let expect that a twelfth or more is lost.

    An imputation made by ``analysis=`` holds that analysis and any within it; others are compared
    with what follows for each variable given all others.

    A column that holds a product or function of others in the analysis and is imputed as a variable
    of its own is a finding.

    Raises
    ------
    AnalysisError
        The formula does not parse.
    DataError, SpecificationError
        As from :func:`bayesimpute.impute`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=100)
    >>> analysis = "popular ~ sex * texp + (1 | school)"
    >>> found = bi.congenial(analysis, study.incomplete, cluster="school")
    >>> found[["severity", "variable", "evidence"]].values.tolist()
    [['warning', 'popular', "'sex:texp' of the analysis"]]
    >>> print(found["advice"].iloc[0])
    formulas['popular'] = 'popular ~ sex + texp + teachpop + sex:texp + (1 | school)'
    >>> formulas = {"popular": "popular ~ sex * texp + teachpop + (1 | school)"}
    >>> len(bi.congenial(analysis, study.incomplete, "school", formulas=formulas))
    0
    """
    if isinstance(df, Specification):
        given = (cluster, method, predictors, formulas, model_options)
        if any(argument is not None for argument in given):
            raise SpecificationError(
                "congenial: a specification says already how to impute; give a data frame to try "
                "other cluster=, method=, predictors=, formulas= or model_options=."
            )
        specification = df
    else:
        specification = specify(
            df,
            cluster=cluster,
            method=method,
            predictors=predictors,
            formulas=formulas,
            model_options=model_options,
        )
    return check(formula, specification)


def check(formula: str, specification: Specification) -> Findings:
    """Give the findings of :func:`congenial` for a specification."""
    formula = with_columns(formula)
    if word_for_word(formula, specification):
        return Findings.of([], f"Imputed for {formula!r}.", ("Why", "Seen", "Change"))
    analysis = parse_analysis(formula, specification.table.variables)
    if analysis.survival and not imputed_for(analysis, specification):
        raise AnalysisError(
            f"congenial({formula!r}): what chained equations need for the time to an event is not "
            f"judged here. bi.impute(df, analysis={formula!r}) imputes as it is analysed; in "
            "chained equations let the event and bi.nelsonaalen(df, time, event), not the time, "
            "predict what is missing (White & Royston 2009), which is approximate."
        )
    models = _models(analysis, specification)
    names = listed((model.name for model in models), 8) if models else "none"
    checked = (
        f"Checked for {formula!r}: the imputation models of the variables it uses ({names}): "
        "outcome, predictors, interactions, functions, slopes, cluster means and clusters."
    )
    return Findings.of(_found(analysis, specification), checked, ("Why", "Seen", "Change"))


def findings_of(analysis: Any, specification: Specification) -> list[Finding]:
    """List findings of an analysis, which may be a function, or a formula that cannot be read.

    Parameters
    ----------
    analysis
        What ``imp.fit`` was given.
    specification
        How the data were imputed.

    Returns
    -------
    list of Finding
        Empty for what cannot be read: nothing is known of it.
    """
    if not isinstance(analysis, str):
        return []
    try:
        read = parse_analysis(with_columns(analysis), specification.table.variables)
    except AnalysisError:
        return []
    return _found(read, specification)


def warn_if_uncongenial(analysis: Any, specification: Specification) -> None:
    """Warn once of all that an analysis asks for and the imputation models do not hold.

    Warns
    -----
    ImputationWarning
        Naming each variable, what is lacking, and where to read how to mend it.
    """
    found = findings_of(analysis, specification)
    if found:
        each = "; ".join(f"{x.variable}: {x.finding} ({x.evidence.rstrip('.')})" for x in found)
        warn(
            f"The imputation does not hold all that {analysis!r} asks for. {each}. "
            f"imp.congenial({analysis!r}) says why it matters and what to change{_by_a_run(found)}."
        )


def _by_a_run(found: list[Finding]) -> str:
    """Name the run that holds the analysis, where that is the cure."""
    runs = (each.advice.partition("\n")[0] for each in found)
    return next((f": {run}" for run in runs if run.startswith("imp = ")), "")


def _models(analysis: Analysis, specification: Specification) -> list[ImputationModel]:
    return [
        ImputationModel(specification, target)
        for target in models_of(specification.targets).values()
        if _concerned(specification, target, analysis)
        and (specification.live is None or specification.table.missing(target.name).any())
    ]


def _found(analysis: Analysis, specification: Specification) -> list[Finding]:
    computed = as_if_computed(analysis, specification)
    held = imputed_for(analysis, specification)
    models = [] if held or analysis.survival else _models(analysis, given_all_others(computed))
    of_models = [finding for model in models for finding in _of_model(model, analysis)]
    without_model = REASONS["incompatible"][1]
    cured = [
        each
        for each in of_models
        if specification.live is not None or each.finding == without_model
    ]
    if cured and _as_held(specification, computed) and (code := run_for(analysis, computed)):
        of_models = [replace(x, advice=code) if x in cured else x for x in of_models]
    return [
        *unknown_names(analysis, specification),
        *left_missing(analysis, specification),
        *stale_means(analysis, specification),
        *just_another_variable(specification, computed),
        *of_models,
    ]


def _as_held(specification: Specification, computed: Specification) -> bool:
    """Whether columns that were found to hold a function of others can be computed as it."""
    return all(
        is_exactly(specification, target)
        for name, target in computed.targets.items()
        if isinstance(target, Passive) and target is not specification.targets[name]
    )


def _concerned(specification: Specification, target: Target, analysis: Analysis) -> bool:
    """Whether a target, or something computed from it, is in the analysis."""
    return any(
        target.name == name or target.name in computed_from(name, specification.targets)
        for name in analysis.names
    )


def _of_model(model: ImputationModel, analysis: Analysis) -> Iterator[Finding]:
    name = model.name
    if model.ignores_predictors:
        yield Finding(
            "error",
            name,
            "imputed without a look at other variables",
            f"The method of {name!r} is {method_text(innermost(model.target.method))!r}.",
            "Imputed values have no relation with anything, and every coefficient that involves "
            "them is drawn towards 0.",
            f"method[{name!r}] = {MATCHING!r}",
        )
        return
    mismatch = row_by_row(model, analysis)
    lacking = list(dict.fromkeys(lacks(model, analysis)))
    hopeless = [lack for lack in lacking if lack.kind == "incompatible"]
    if hopeless:  # no use in mending what cannot be mended; without the outcome it is worse still
        lacking = [*(lack for lack in lacking if lack.kind == "outcome"), *hopeless]
    clusters = [] if mismatch or hopeless else list(without_clusters(model, analysis))
    added = [x.addition for x in lacking if x.addition is not None]
    every = [*(Addition(cluster=c) for c, _ in clusters if c), *added]
    if mismatch:
        yield mismatch
    for cluster, finding in clusters:
        code = change(model, [Addition(cluster=cluster)], every) if cluster else ""
        yield replace(finding, advice=finding.advice + code)
    for kind, (severity, what, cause) in REASONS.items():
        mine = [lack for lack in lacking if lack.kind == kind]
        if mine:
            terms = listed(dict.fromkeys(lack.what for lack in mine))
            code = advice(model, mine, every, analysis)
            yield Finding(severity, name, what, f"{terms} of the analysis", cause, code)
