"""lme4-style formulas of conditional models."""

import ast
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from bayesimpute.errors import SpecificationError
from bayesimpute.specification.expressions import names_in, read
from bayesimpute.specification.formula_reader import read_formula
from bayesimpute.specification.formula_terms import MEANS, Factor, Product, RandomEffects
from bayesimpute.specification.specification import Grouping, Term
from bayesimpute.specification.spelling import syntax_tree, unaliased
from bayesimpute.wording import did_you_mean

type Fail = Callable[[str], SpecificationError]


@dataclass(frozen=True)
class ParsedFormula:
    """Right-hand side of a formula.

    Attributes
    ----------
    terms
        In order of appearance.
    groupings
        What varies by each grouping variable, in order of appearance.
    event
        Column that says whether a time ends with the event; None for other outcomes.
    """

    terms: tuple[Term, ...]
    groupings: tuple[Grouping, ...]
    event: str | None = None


def parse_formula(formula: str, target: str, columns: Collection[str]) -> ParsedFormula:
    """Read ``popular ~ texp * sex + cluster_mean(sex) + (1 + sex | school)``.

    Parameters
    ----------
    formula
        Main effects, interactions, numeric functions of columns, ``cluster_mean(x)`` (or
        ``mean(x)``), of one grouping among several ``cluster_mean(x, school)``, and random parts.
        As in lme4, effects of one part are correlated, those of different parts or after ``||``
        are independent, and ``(1 | school/class)`` is ``(1 | school) + (1 | school:class)``.
    target
        Its left-hand side must be this column.
    columns
        Columns of the data.

    Returns
    -------
    ParsedFormula

    Raises
    ------
    SpecificationError
        If it does not parse, names an unknown column, has another outcome or no intercept, or an
        effect that varies by one grouping in two random parts.
    """

    def fail(what: str) -> SpecificationError:
        return SpecificationError(f"Formula of {target!r}, {formula!r}: {what}")

    if not isinstance(formula, str):
        raise fail("a formula must be text like 'y ~ x + (1 | school)'.")
    try:
        parsed = read_formula(formula, columns)
    except SpecificationError as error:
        raise fail(f"{error}. Write it like '{target} ~ x1 + x2 + (1 + x1 | school)'.") from None
    if parsed.response is None:
        raise fail(f"it has no left-hand side; begin it with '{target} ~'.")
    if parsed.outcome != target:
        raise fail(f"its outcome is {parsed.response.label!r}, not {target!r}.")
    if parsed.offsets:
        raise fail("a conditional model has no offset; subtract it in a column of the data.")

    terms: dict[str, Term] = {}
    groups = list(dict.fromkeys(":".join(part.groups) for part in parsed.random))
    means: dict[str, list[str]] = {group: [] for group in groups}
    for product in parsed.terms:
        term, group = _with_mean(product, groups, columns, fail)
        _add(terms, term)
        if group is not None:
            means[group].append(term.label)
    for part in parsed.random:
        for product in part.terms:
            _add(terms, replace(_term(product, columns, fail), fixed=False))
    if not parsed.intercept:
        raise fail("a conditional model has an intercept; remove '0 +' or '- 1'.")
    groupings = tuple(
        _grouping(group, [p for p in parsed.random if ":".join(p.groups) == group], columns, fail)
        for group in groups
    )

    known = list(columns)
    used = [
        name
        for term in terms.values()
        for factor in term.factors
        for name in ((factor,) if factor in known else names_in(factor))
    ]
    for name in [*used, *parsed.groups, *filter(None, [parsed.event])]:
        if name not in known:
            raise fail(f"there is no column {name!r}.{did_you_mean(name, known)}")
        if name == target:
            raise fail(f"{target!r} cannot predict itself; remove it from the right-hand side.")
    if parsed.event in (*used, *parsed.groups):
        raise fail(f"{parsed.event!r} is part of the outcome; remove it from the right-hand side.")
    for group in groups:
        if group in used:
            raise fail(f"{group!r} groups the rows, so it cannot be a predictor as well.")
    return ParsedFormula(
        tuple(terms.values()),
        tuple(replace(each, means=tuple(means[each.name])) for each in groupings),
        parsed.event,
    )


def _grouping(
    group: str, parts: Sequence[RandomEffects], columns: Collection[str], fail: Fail
) -> Grouping:
    """Say what varies by one grouping; the random part of the intercept has number 0."""
    standing: dict[str, tuple[int, int]] = {}
    for number, part in enumerate(parts):
        labels = [_term(product, columns, fail).label for product in part.terms]
        for own, label in enumerate([*([""] if part.intercept else []), *labels]):
            if label in standing:
                name = f"the effect of {label!r}" if label else "the intercept"
                raise fail(
                    f"{name} varies by {group!r} in two random parts. "
                    f"({label or 'x'} | {group}) has an intercept; without one it is "
                    f"(0 + {label or 'x'} | {group})."
                )
            standing[label] = (number, own if part.independent else 0)
    order = sorted(set(standing.values()), key=lambda place: (place != standing.get(""), place))
    slopes = ((label, order.index(place)) for label, place in standing.items() if label)
    return Grouping(group, "" in standing, tuple(slopes))


def _with_mean(
    product: Product, groups: Sequence[str], columns: Collection[str], fail: Fail
) -> tuple[Term, str | None]:
    """Give a fixed term, and the grouping whose means ``cluster_mean(x, school)`` asks for."""
    (factor, *more) = product or (None,)
    if factor is None or factor.function not in MEANS or more or len(factor.arguments) != 2:
        return _term(product, columns, fail), None
    of, group = factor.arguments
    if group not in groups:
        raise fail(
            f"{factor.function}({of}, {group}) names no grouping; add '(1 | {group})'."
            f"{did_you_mean(group, groups)}"
        )
    text = _text(of, columns, fail)
    return Term(text, (text,), fixed=False), group


def _add(terms: dict[str, Term], term: Term) -> None:
    """Merge with what is said elsewhere in the formula of the same term."""
    old = terms.get(term.label)
    if old is not None:
        term = replace(
            term,
            fixed=old.fixed or term.fixed,
            random=old.random or term.random,
            cluster_mean=old.cluster_mean or term.cluster_mean,
        )
    terms[term.label] = term


def _term(product: Product, columns: Collection[str], fail: Fail) -> Term:
    for factor in product:
        if factor.function not in MEANS:
            continue
        if len(product) > 1 or len(factor.arguments) != 1 or factor.options:
            raise fail(f"{factor.function}() takes one column and has no interactions.")
        mean = _text(factor.arguments[0], columns, fail)
        return Term(mean, (mean,), fixed=False, cluster_mean=True)
    factors = [_factor(factor, columns, fail) for factor in product]
    return Term(":".join(factors), tuple(factors))


def _factor(factor: Factor, columns: Collection[str], fail: Fail) -> str:
    return factor.column if factor.column is not None else _text(factor.text, columns, fail)


def _text(written: str, columns: Collection[str], fail: Fail) -> str:
    """Expression in one spelling, or the name of a column."""
    if written in columns:
        return written
    try:
        read(written)
        tree, aliases = syntax_tree(written)
    except SpecificationError as error:
        raise fail(str(error)) from None
    if isinstance(tree, ast.Name):
        return aliases.get(tree.id, tree.id)
    return unaliased(ast.unparse(tree), aliases)
