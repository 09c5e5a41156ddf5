"""An analysis formula taken apart: outcome, fixed terms, slopes, cluster means, clusters."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import product as every
from typing import Any

from bayesimpute.congeniality.factors import columns_in, product
from bayesimpute.errors import AnalysisError, SpecificationError
from bayesimpute.specification.formulas import MEANS, call_text
from bayesimpute.specification.random_parts import random_parts, with_single_bars

type Factors = frozenset[str]


@dataclass(frozen=True)
class Analysis:
    """What an analysis asks of the data.

    Attributes
    ----------
    formula
        As it was given.
    outcome
        Factor left of the ``~``.
    terms
        Fixed terms, each a set of factors; columns and functions of columns.
    slopes
        Terms with an effect that varies by cluster, by grouping column.
    correlated
        Effects in one random part, by grouping column; the intercept is a term without factors.
    means
        Columns whose cluster mean is a predictor.
    groups
        Grouping columns; of ``g:h`` both.
    names
        All names it uses that should be columns.
    """

    formula: str
    outcome: str
    terms: tuple[Factors, ...]
    slopes: tuple[tuple[str, Factors], ...]
    correlated: tuple[tuple[str, tuple[Factors, ...]], ...]
    means: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]


def parse_analysis(formula: Any, columns: Collection[str]) -> Analysis:
    """Read an analysis formula as lme4, formulae and statsmodels understand it.

    Parameters
    ----------
    formula
        ``"y ~ x * z + (1 + x | g)"``; ``cluster_mean(x)`` stands for a contextual effect.
    columns
        Columns of the data.

    Raises
    ------
    AnalysisError
        If it is no formula.

    Examples
    --------
    >>> read = parse_analysis("y ~ x * z + (1 + x | g)", ["g", "x", "y", "z"])
    >>> [sorted(each) for each in read.terms], [sorted(each) for _, each in read.slopes]
    ([['x'], ['z'], ['x', 'z']], [['x']])
    """
    from formulae import model_description

    if not isinstance(formula, str) or formula.count("~") != 1:
        raise AnalysisError(
            f"congenial({formula!r}): give a formula with one ~, such as 'y ~ x + (1 | g)'."
        )
    try:
        parsed: Any = model_description(with_single_bars(formula).replace("^", "**"))
        together = [
            model_description(f"{formula.partition('~')[0]} ~ {part.text.replace('^', '**')}").terms
            for part in random_parts(formula)
            if not part.independent
        ]
    except Exception as error:
        reason = " ".join(str(error).split())
        raise AnalysisError(f"The formula {formula!r} does not parse: {reason}.") from error
    if parsed.response is None:
        raise AnalysisError(f"The formula {formula!r} has no outcome left of the ~.")
    left = _written(parsed.response.term.components[0])
    outcome = next(iter(product(left, columns)[0]))
    terms: dict[Factors, None] = {}
    slopes: dict[tuple[str, Factors], None] = {}
    means: dict[str, None] = {}
    groups: dict[tuple[str, ...], None] = {}
    names = dict.fromkeys(columns_in(left, columns))
    for part in parsed.terms:
        kind = type(part).__name__
        if kind == "GroupSpecificTerm":
            members = tuple(c.name for c in part.factor.components)
            groups[members] = None
            names.update(dict.fromkeys(members))
            if type(part.expr).__name__ != "Term":
                continue
            texts, group = [_written(c) for c in part.expr.components], members[-1]
        elif kind == "Term":
            texts, group = [_written(c) for c in part.components], ""
        else:
            continue
        names.update(dict.fromkeys(n for text in texts for n in columns_in(text, columns)))
        calls = [getattr(getattr(c, "call", None), "callee", "") for c in
                 getattr(part, "expr", part).components]  # fmt: skip
        if calls[0] in MEANS and len(calls) == 1:
            means.update(dict.fromkeys(columns_in(texts[0], columns)))
            continue
        for alternatives in every(*(product(text, columns) for text in texts)):
            factors = frozenset().union(*alternatives)
            if group:
                slopes[group, factors] = None
            else:
                terms[factors] = None
    correlated = [
        (part[0].factor.components[-1].name, tuple(_effects(part, columns)))
        for terms_of_part in together
        if len(part := [t for t in terms_of_part if type(t).__name__ == "GroupSpecificTerm"]) > 1
    ]
    return Analysis(
        formula,
        outcome,
        tuple(terms),
        tuple(slopes),
        tuple(correlated),
        tuple(means),
        tuple(groups),
        tuple(names),
    )


def _effects(part: Iterable[Any], columns: Collection[str]) -> Iterator[Factors]:
    """Effects of a random part as sets of factors."""
    for effect in part:
        texts = [_written(c) for c in getattr(effect.expr, "components", ())]
        for alternatives in every(*(product(text, columns) for text in texts)):
            yield frozenset().union(*alternatives)


def _written(component: Any) -> str:
    """Text of a factor; formulae's own of a call leaves out parentheses."""
    if not hasattr(component, "call"):
        return str(component.name)
    try:
        return call_text(component.call, SpecificationError)
    except SpecificationError:  # keyword arguments, which imputation formulas do not know
        return str(component.name)
