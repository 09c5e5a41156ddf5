"""Imputation by one joint distribution, as an analysis sees it.

There a covariate's own model leaves the outcome out: what the outcome says of it comes from the
outcome's model, times which it is drawn. An analysis that is in the joint distribution is held by
it, whatever its terms; any other is compared with what follows for each variable given all others.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bayesimpute.congeniality.analysis_formula import Analysis, parse_analysis
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.specification.analyses import gives_density
from bayesimpute.specification.identities import passive_text
from bayesimpute.specification.joint_order import sources_of_term
from bayesimpute.specification.specification import Passive, Specification, Target, Term
from bayesimpute.specification.specify import specify
from bayesimpute.wrappers.base import innermost


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
    targets = {
        name: replace(target, terms=(*target.terms, *_from_models_of_others(name, specification)))
        if isinstance(target, Target)
        else target
        for name, target in specification.targets.items()
    }
    return replace(specification, targets=targets)


def _from_models_of_others(name: str, specification: Specification) -> Iterator[Term]:
    targets = specification.targets
    for other, child in targets.items():
        if other == name or not isinstance(child, Target):
            continue
        mine = [term for term in child.terms if name in sources_of_term(term, targets)]
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
    return name in sources_of_term(Term(factor, (factor,)), specification.targets)


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
