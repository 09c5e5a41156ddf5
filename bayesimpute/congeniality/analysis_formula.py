"""An analysis formula taken apart: outcome, fixed terms, slopes, cluster means, clusters."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import product as every
from typing import Any

from bayesimpute.congeniality.factors import product, whole
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.formula_columns import analysis_formula
from bayesimpute.specification.formula_terms import MEANS, Factor, Product, RandomEffects

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
    survival
        Whether the outcome is the time to an event.
    """

    formula: str
    outcome: str
    terms: tuple[Factors, ...]
    slopes: tuple[tuple[str, Factors], ...]
    correlated: tuple[tuple[str, tuple[Factors, ...]], ...]
    means: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    survival: bool = False


def parse_analysis(formula: Any, columns: Collection[str]) -> Analysis:
    """Read an analysis formula as ``imp.fit`` does.

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
    if not isinstance(formula, str):
        raise AnalysisError(
            f"congenial({formula!r}): give a formula with one ~, such as 'y ~ x + (1 | g)'."
        )
    read, outcome = analysis_formula(formula, columns)
    terms = [*read.terms, *((offset,) for offset in read.offsets)]
    fixed = [sets for term in terms if not _is_mean(term) for sets in _sets(term, columns)]
    slopes = [
        (part.groups[-1], sets)
        for part in read.random
        for term in part.terms
        for sets in _sets(term, columns)
    ]
    correlated = [
        (part.groups[-1], tuple(_effects(part, columns)))
        for part in read.random
        if not part.independent and len(part.terms) + part.intercept > 1
    ]
    return Analysis(
        formula,
        whole(_text(outcome), columns),
        _once(fixed),
        _once(slopes),
        tuple(correlated),
        _once(name for term in terms if _is_mean(term) for name in term[0].names),
        _once(part.groups for part in read.random),
        read.names,
        read.event is not None,
    )


def _once[Each](found: Iterable[Each]) -> tuple[Each, ...]:
    return tuple(dict.fromkeys(found))


def _is_mean(term: Product) -> bool:
    return len(term) == 1 and term[0].function in MEANS


def _text(factor: Factor) -> str:
    return factor.text if factor.column is None else factor.column


def _sets(term: Product, columns: Collection[str]) -> Iterator[Factors]:
    """Give the terms that a term stands for, each a set of factors."""
    for alternatives in every(*(product(_text(factor), columns) for factor in term)):
        yield frozenset().union(*alternatives)


def _effects(part: RandomEffects, columns: Collection[str]) -> Iterator[Factors]:
    """Effects of a random part as sets of factors."""
    if part.intercept:
        yield frozenset()
    for term in part.terms:
        yield from _sets(term, columns)
