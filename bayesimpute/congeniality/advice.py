"""What to write to mend a model that lacks something."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bayesimpute.congeniality.analysis_formula import Analysis
from bayesimpute.congeniality.changes import Addition, change, of_a_mean
from bayesimpute.congeniality.factors import columns_in, in_powers, product
from bayesimpute.congeniality.imputation_model import ImputationModel
from bayesimpute.congeniality.wants import INVERSES, Lack, incomplete_in
from bayesimpute.specification.aliases import MATCHING, UNORDERED
from bayesimpute.specification.expressions import quoted
from bayesimpute.specification.specification import Passive
from bayesimpute.wrappers.base import innermost, method_text


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
    if mine[0].kind == "order":
        return f"method[{name!r}] = {UNORDERED!r}  # an order is given up in imputing only"
    if mine[0].kind == "incompatible":
        return _complete_cases(name, analysis)
    for lack in mine:
        if lack.groups:
            return _by_groups(model, dict.fromkeys(g for x in mine for g in x.groups))
        if lack.addition is None:
            return _on_the_scale_of_the_analysis(model, lack.what)
    mates = set(model.target.block) - {name}
    own = [x.addition for x in mine if x.addition is not None]
    involved = {c for a in own for f in a.factors for c in columns_in(f, model.columns)}
    lines = ""
    if mates & involved and mine[0].kind != "outcome":
        lines = f"method[{name!r}] = {MATCHING!r}  # members of a joint block have no such terms\n"
        every = [*every, *(Addition(frozenset({mate})) for mate in sorted(mates))]
    if model.fixed_clusters and mine[0].kind == "slope":
        lines = f"method[{name!r}] = {_method(model)}  # fixed clusters have no random slopes\n"
    if any(of_a_mean(a) for a in own):
        return (
            "No formula takes a product with a cluster mean: compute the mean as a column first, "
            "if what it is of is complete, and take the product with that."
        )
    return lines + change(model, _known(model, own), _known(model, every))


def _known(model: ImputationModel, additions: Iterable[Addition]) -> list[Addition]:
    """Give additions with powers in place of functions that imputation formulas do not know."""
    found = [
        replace(each, factors=factors)
        for each in additions
        for factors in (in_powers(each.factors, model.columns) if each.factors else [each.factors])
        if of_a_mean(each) or not (each.factors != factors and model.has(factors))
    ]
    return list(dict.fromkeys(found))


def _complete_cases(name: str, analysis: Analysis) -> str:
    """Leave out the rows without it, which is right where the outcome has no say in the gaps."""
    return (
        f"df = df.dropna(subset=[{name!r}])  # complete cases of {name!r}: no method for it\n"
        f"# right if, given the other predictors, its gaps have nothing to do with "
        f"{analysis.outcome!r}"
    )


def _by_groups(model: ImputationModel, groups: Iterable[str]) -> str:
    """Write a method with a model of its own for each category of some columns."""
    method = _method(model)
    for column in (*sorted(model.groups), *groups):
        method = f"bi.by_group({method}, {column!r})"
    return f"method[{model.name!r}] = {method}"


def _on_the_scale_of_the_analysis(model: ImputationModel, what: str) -> str:
    """Impute a function of the variable, and compute the variable from it where that can be."""
    name, method = model.name, _method(model)
    function = what.partition("(")[0]
    computed = [
        column
        for column, target in model.specification.targets.items()
        if isinstance(target, Passive) and what in product(target.expression, model.columns)[0]
    ]
    if what == f"{function}({quoted(name)})" and function in INVERSES:
        new = next(iter(computed), f"{function}_{name}")
        back = INVERSES[function]
        inverse = f"I({quoted(new)} ** 2)" if back == "square" else f"{back}({quoted(new)})"
        made = "" if computed else f"df[{new!r}] = np.{function}(df[{name!r}])\n"
        return (
            f"{made}"
            f"method[{new!r}] = {method}\n"
            f"method[{name!r}] = '~ {inverse}'  # imputed on the scale of the analysis\n"
            f"# and analyse {new} in place of {what}"
        )
    for column in computed:
        return f"method[{column!r}] = {method}  # imputed itself, on the scale of the analysis"
    new, value = f"{name}_transformed", f"df.eval({what!r})"
    if any(sign in what for sign in "<>=!"):  # pandas compares with what is missing as False
        columns = list(columns_in(what, model.columns))
        value = f"df.eval({what!r}).astype(float).where(df[{columns!r}].notna().all(axis=1))"
    gone = incomplete_in(model, what)
    dropped = gone if len(gone) > 1 else name
    return (
        f"df[{new!r}] = {value}\n"
        f"df = df.drop(columns={dropped!r})  # imputed on the scale of the analysis\n"
        f"# and analyse {new} in place of {what}"
    )


def _method(model: ImputationModel) -> str:
    """Write the method that imputes, as code; a block's member by itself."""
    method = innermost(model.target.method)
    return repr(MATCHING if model.target.block else method_text(method))
