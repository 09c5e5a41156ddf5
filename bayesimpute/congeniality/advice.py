"""What to write to mend a model that lacks something."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bayesimpute.congeniality.analysis_formula import (
    Analysis,
    Factors,
    as_written,
    columns_in,
    in_powers,
    product,
)
from bayesimpute.congeniality.imputation_model import Addition, ImputationModel
from bayesimpute.congeniality.lacks import INVERSES, Lack, incomplete_in
from bayesimpute.roles import Role
from bayesimpute.specification.aliases import MATCHING, UNORDERED
from bayesimpute.specification.expressions import quoted
from bayesimpute.specification.formula_terms import MEANS
from bayesimpute.specification.requests import role_of
from bayesimpute.specification.specification import Passive, Term
from bayesimpute.wrappers.base import innermost, method_text


def of_a_mean(addition: Addition) -> bool:
    """Whether it is a product with a cluster mean, which formulas of models do not take."""
    means = tuple(f"{name}(" for name in MEANS)
    return any(factor.startswith(means) for factor in addition.factors)


def formula_with(model: ImputationModel, additions: Iterable[Addition]) -> str:
    """Write the formula of the model as it is, with everything it lacks added.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesimpute.specification.specify import specify
    >>> frame = pd.DataFrame({"x": [1.0, 3, 2, None], "z": [2.0, 1, 1, 3], "y": [1.0, 2, 3, 5]})
    >>> specification = specify(frame)
    >>> model = ImputationModel(specification, specification.targets["x"])
    >>> formula_with(model, [Addition(frozenset({"y", "z"}))])
    'x ~ z + y + y:z'
    """
    additions = [each for each in additions if not of_a_mean(each)]
    fixed: dict[Factors, str] = {}
    random: dict[Factors, str] = {}
    parts: dict[Factors, int] = {}
    means: dict[str, None] = {}
    for factors, term in model.terms:
        if _spelling(model, term) in {*fixed.values(), *random.values()}:
            continue  # a computed column's second reading
        if factors <= {each.cluster for each in additions}:
            continue  # what groups the rows is no predictor any more
        if term.fixed:
            fixed[factors] = _spelling(model, term)
        if term.random:
            random[factors], parts[factors] = _spelling(model, term), term.random_part
        if term.cluster_mean:
            means[_spelling(model, term)] = None
    cluster = model.target.cluster
    for each in additions:
        cluster = each.cluster or cluster
        text = ":".join(sorted(as_written(f, model.columns) for f in each.factors))
        if each.mean:
            means[text] = None
        elif each.random:
            random.setdefault(each.factors, text)
            parts[each.factors] = 0  # with the intercept, whether new or independent so far
            fixed.setdefault(each.factors, text)
        elif text:
            for factor in each.factors:  # an interaction stands beside its main effects
                if factor in model.columns and factor not in model.groups and (
                    len(each.factors) == 1 or frozenset({factor}) not in fixed
                ):  # fmt: skip
                    fixed.setdefault(frozenset({factor}), as_written(factor, model.columns))
            fixed.setdefault(each.factors, text)
    summands = [*fixed.values(), *(f"cluster_mean({text})" for text in means)]
    if cluster is not None and model.target.level == 1:
        new = any(each.cluster for each in additions)
        brackets = {0: ["1" if model.target.random_intercept or new else "0"]}
        for factors, text in random.items():
            brackets.setdefault(parts.get(factors, 0), ["0"]).append(text)
        summands += [f"({' + '.join(own)} | {quoted(cluster)})" for own in brackets.values()]
    return f"{quoted(model.name)} ~ {' + '.join(summands) or '1'}"


def code_for(model: ImputationModel, column: str, additions: Iterable[Addition]) -> Role | None:
    """Code that a predictor matrix needs for a column; None if no code says it."""
    mine = [a for a in additions if a.factors == {column}]
    if not mine:
        return None
    terms = [term for factors, term in model.terms if factors == {column}]
    random = any(a.random for a in mine) or any(t.random for t in terms)
    mean = any(a.mean for a in mine) or any(t.cluster_mean for t in terms)
    return role_of(random, mean)


def change(model: ImputationModel, own: Iterable[Addition], every: Iterable[Addition]) -> str:
    """Lines of code that mend a model.

    Parameters
    ----------
    model
        As it is.
    own
        What one finding is about: said by codes where codes can say it.
    every
        All that the model lacks: the formula has it all, so that one change mends all.
    """
    own, every = list(own), list(every)
    name = model.name
    codes = {}
    for each in own:
        if each.cluster and each.cluster != model.target.cluster:
            codes[each.cluster] = Role.CLUSTER
        elif len(each.factors) == 1 and (column := next(iter(each.factors))) in model.columns:
            code = code_for(model, column, every)
            assert code is not None
            codes[column] = code
    lines = []
    if len(codes) == len({each.cluster or each.factors for each in own}):
        lines += [f"predictors.loc[{name!r}, {c!r}] = {int(r)}" for c, r in codes.items()]
        if model.target.level == 2:
            return "\n".join(lines)
        lines[-1] += "  # or"
    lines.append(f"formulas[{name!r}] = {formula_with(model, every)!r}")
    for equation in ("selection", "outcome"):
        only = [t.label for t in model.target.terms if t.equation == equation]
        if only:
            lines[-1] += f"  # with model_options={{{name!r}: {{'{equation}_only': {only!r}}}}}"
    return "\n".join(lines)


def _spelling(model: ImputationModel, term: Term) -> str:
    """Term as the user wrote it, columns with odd names in backticks."""
    if len(term.factors) == 1:
        return as_written(term.label, model.columns)
    return ":".join(as_written(factor, model.columns) for factor in term.factors)


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
