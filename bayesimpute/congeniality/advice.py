"""What to write to mend a model that lacks something."""

from collections.abc import Sequence

from bayesimpute.congeniality.analysis_formula import Analysis
from bayesimpute.congeniality.changes import Addition, change
from bayesimpute.congeniality.factors import as_written, columns_in, usable
from bayesimpute.congeniality.imputation_model import ImputationModel
from bayesimpute.congeniality.wants import Lack
from bayesimpute.data.table import Kind
from bayesimpute.wrappers.base import innermost, method_text

#: Functions with an inverse: impute the transformed column and compute the original from it.
INVERSES = {"log": "exp", "exp": "log", "sqrt": "square", "log1p": "expm1", "expm1": "log1p"}


def advice(
    model: ImputationModel, mine: Sequence[Lack], every: Sequence[Addition], analysis: Analysis
) -> str:
    """Give code that mends one kind of lack.

    Parameters
    ----------
    model
        That lacks something.
    mine
        What it lacks, of one kind.
    every
        All that it lacks, of any kind.
    analysis
        That asks for it.
    """
    name = model.name
    if mine[0].kind == "transformation":
        bent = [x.what for x in mine if name in columns_in(x.what, model.columns)]
        for what in bent:
            function = what.partition("(")[0]
            if function in INVERSES and what.endswith(")"):
                return _transformed_first(name, what, function)
        outcome = columns_in(analysis.outcome, model.columns)
        categories = [
            c
            for c in outcome
            if c in model.columns
            and model.specification.table.variables[c].kind is not Kind.NUMERIC
        ]
        if bent and categories:
            return f"method[{name!r}] = bi.by_group({_method(model)}, {categories[0]!r})"
    mates = set(model.target.block) - {name}
    involved = {c for x in mine for f in x.addition.factors for c in columns_in(f, model.columns)}
    lines = ""
    if mates & involved and mine[0].kind in ("interaction", "slope", "transformation", "mean"):
        lines = f"method[{name!r}] = 'pmm'  # members of a joint block have no such terms\n"
    if model.fixed_clusters and mine[0].kind == "slope":
        lines = f"method[{name!r}] = {_method(model)}  # fixed clusters have no random slopes\n"
    unknown = [f for x in mine for f in x.addition.factors if not usable(as_written(
        f, model.columns))]  # fmt: skip
    if unknown:
        columns = dict.fromkeys(c for f in unknown for c in columns_in(f, model.columns))
        known = [Addition(frozenset({f"{c} ** {k}"})) for c in columns for k in (2, 3)]
        kept = [a for a in every if not a.factors & set(unknown)]
        return lines + change(model, known, [*kept, *known])
    return lines + change(model, [x.addition for x in mine], every)


def _transformed_first(name: str, what: str, function: str) -> str:
    """Impute on the scale of the analysis, and compute the original from it."""
    new = f"{function}_{name}"
    back = f"I({new} ** 2)" if INVERSES[function] == "square" else f"{INVERSES[function]}({new})"
    return (
        f"df[{new!r}] = np.{what.replace(name, f'df[{name!r}]')}\n"
        f"method[{name!r}] = '~ {back}'  # imputed on the scale of the analysis\n"
        f"and analyse {new} in place of {what}"
    )


def _method(model: ImputationModel) -> str:
    return repr(method_text(innermost(model.target.method)))
