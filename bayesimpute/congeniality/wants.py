"""What an analysis wants of the model of one incomplete variable, and what of it is lacking.

An imputation model is congenial (Meng 1994) if it holds every relation the analysis asks about: of
the outcome with each predictor, and of each incomplete predictor with the outcome, in the form the
analysis has. A predictor in an interaction with z depends on the outcome in a way that varies with
z, so that its model needs outcome × z; one with a random slope needs the outcome with one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bayesimpute.congeniality.analysis_formula import Analysis, Factors
from bayesimpute.congeniality.changes import Addition
from bayesimpute.congeniality.factors import columns_in
from bayesimpute.congeniality.imputation_model import ImputationModel
from bayesimpute.data.table import Kind
from bayesimpute.specification.sources import sources


@dataclass(frozen=True)
class Lack:
    """One thing a model lacks.

    Attributes
    ----------
    kind
        ``"outcome"``, ``"covariate"``, ``"other covariate"``, ``"interaction"``,
        ``"transformation"``, ``"slope"``, ``"correlation"``, ``"mean"``.
    addition
        What would mend it.
    what
        The term of the analysis that asks for it.
    """

    kind: str
    addition: Addition
    what: str


def written(factors: Factors) -> str:
    """Term in words."""
    return ":".join(sorted(factors))


def lacks(model: ImputationModel, analysis: Analysis) -> Iterator[Lack]:
    """Everything the analysis wants of a model and the model lacks.

    The variable of the model stands in the analysis itself, or something computed from it does.
    """
    roles = {model.name} | {
        name for name in analysis.names if model.name in sources(model.specification, name)
    }
    outcome = set(columns_in(analysis.outcome, model.columns))
    if outcome & roles:
        yield from _of_outcome(model, analysis)
    else:
        yield from _of_predictor(model, analysis, roles, outcome)


def _of_outcome(model: ImputationModel, analysis: Analysis) -> Iterator[Lack]:
    """Each term of the analysis in the model of the outcome."""
    for factors in analysis.terms:
        columns = _columns(model, factors)
        if model.has(factors) or model.name in columns or not columns <= model.columns:
            continue
        plain = len(factors) == 1 and next(iter(factors)) in model.columns
        kind = "covariate" if plain else _kind(factors)
        yield Lack(kind, Addition(factors), written(factors))
    for cluster, factors in analysis.slopes:
        if not _applies(model, factors, cluster):
            continue
        if not model.slope(factors, cluster):
            yield Lack("slope", Addition(factors, random=True), written(factors))
    for cluster, effects in analysis.correlated:
        parts = {f: p for f in effects if (p := model.random_part(f, cluster)) is not None}
        for factors, part in parts.items() if len(set(parts.values())) > 1 else ():
            if part:
                yield Lack("correlation", Addition(factors, random=True), written(factors))
    for column in analysis.means:
        cluster = _cluster(model, analysis)
        if cluster and not _constant(model, column, cluster) and not model.cluster_mean(column):
            yield Lack("mean", Addition(frozenset({column}), mean=True), column)


def _of_predictor(
    model: ImputationModel, analysis: Analysis, roles: set[str], outcome: set[str]
) -> Iterator[Lack]:
    """Outcome, in the form that follows from the analysis, and the other predictors."""
    y = frozenset({analysis.outcome})
    for column in sorted(outcome & model.columns):
        if not model.relates_to(column):
            yield Lack("outcome", Addition(frozenset({column})), column)
    if analysis.outcome not in model.columns and not model.has(y):
        yield Lack("transformation", Addition(y), analysis.outcome)
    for factors in analysis.terms:
        mine = {f for f in factors if roles & set(columns_in(f, model.columns))}
        rest = factors - mine
        if not _columns(model, factors) <= model.columns:
            continue  # not in the data at all, which is said elsewhere
        if not mine:
            others = _columns(model, factors) & model.columns - outcome
            for column in sorted(others):
                if not model.relates_to(column):
                    yield Lack("other covariate", Addition(frozenset({column})), column)
            continue
        if rest and not model.has(y | rest):
            yield Lack("interaction", Addition(y | rest), written(factors))
        bent = [f for f in mine if f not in model.columns]
        if bent and model.name in _columns(model, frozenset(bent)):
            yield from _bent(model, bent, outcome)
    for cluster, factors in analysis.slopes:
        if roles & _columns(model, factors) and _applies(model, y, cluster):
            if not _applies(model, factors, cluster):
                continue
            if not model.slope(y, cluster):
                yield Lack("slope", Addition(y, random=True), written(factors))
    for column in set(analysis.means) & roles:
        cluster = _cluster(model, analysis)
        wanted = analysis.outcome in model.columns and not _constant(model, column, cluster)
        if cluster and wanted and not model.cluster_mean(analysis.outcome):
            yield Lack("mean", Addition(y, mean=True), column)


def _bent(model: ImputationModel, bent: list[str], outcome: set[str]) -> Iterator[Lack]:
    """See whether a predictor under a function depends on the outcome along a curve."""
    for column in sorted(outcome & model.columns):
        if model.bends_with(column):
            return
    for column in sorted(outcome & model.columns)[:1]:
        numeric = model.specification.table.variables[column].kind is Kind.NUMERIC
        factor = f"{column} ** 2" if numeric else column
        yield Lack("transformation", Addition(frozenset({factor})), bent[0])


def _kind(factors: Factors) -> str:
    return "interaction" if len(factors) > 1 else "transformation"


def _columns(model: ImputationModel, factors: Factors) -> set[str]:
    return {name for factor in factors for name in columns_in(factor, model.columns)}


def _cluster(model: ImputationModel, analysis: Analysis) -> str:
    """Give the grouping column that cluster means are of."""
    grouping = [group[-1] for group in analysis.groups if group[-1] in model.columns]
    return grouping[0] if grouping else (model.target.cluster or "")


def _constant(model: ImputationModel, column: str, cluster: str) -> bool:
    return column in model.columns and model.is_of_clusters(column, cluster)


def _applies(model: ImputationModel, factors: Factors, cluster: str) -> bool:
    """Whether a slope of a term by cluster can be had in the model of this variable."""
    columns = _columns(model, factors) & model.columns
    if model.target.level == 2 or cluster not in model.columns:
        return False
    return not _constant(model, model.name, cluster) and not all(
        _constant(model, column, cluster) for column in columns
    )
