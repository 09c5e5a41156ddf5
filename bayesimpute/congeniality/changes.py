"""The change of ``predictors=`` or ``formulas=`` that puts what is lacking into a model."""

from collections.abc import Iterable
from dataclasses import dataclass

from bayesimpute.congeniality.analysis_formula import Factors
from bayesimpute.congeniality.factors import as_written
from bayesimpute.congeniality.imputation_model import ImputationModel
from bayesimpute.roles import Role
from bayesimpute.specification.expressions import quoted
from bayesimpute.specification.formula_terms import MEANS
from bayesimpute.specification.specification import Term


@dataclass(frozen=True)
class Addition:
    """Something a model lacks.

    Attributes
    ----------
    factors
        The term.
    random
        With a coefficient that varies by cluster.
    mean
        As a cluster mean.
    cluster
        Grouping column of the model, where that is what it lacks; `factors` is then empty.
    """

    factors: Factors = frozenset()
    random: bool = False
    mean: bool = False
    cluster: str = ""


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
    if random:
        return Role.RANDOM_WITH_MEAN if mean else Role.RANDOM
    return Role.FIXED_WITH_MEAN if mean else Role.FIXED


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
