"""lme4-style formulas of conditional models."""

import ast
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bayesimpute.errors import SpecificationError
from bayesimpute.specification.expressions import names_in, read
from bayesimpute.specification.formula_reader import read_formula
from bayesimpute.specification.formula_terms import MEANS, Factor, Product, RandomEffects
from bayesimpute.specification.specification import Term
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
    cluster
        Grouping column of the random part, None without one.
    random_intercept
        Whether the random part has an intercept.
    event
        Column that says whether a time ends with the event; None for other outcomes.
    """

    terms: tuple[Term, ...]
    cluster: str | None
    random_intercept: bool
    event: str | None = None


def parse_formula(formula: str, target: str, columns: Collection[str]) -> ParsedFormula:
    """Read ``popular ~ texp * sex + cluster_mean(sex) + (1 + sex | school)``.

    Parameters
    ----------
    formula
        Main effects, interactions, numeric functions of columns, ``cluster_mean(x)`` (or
        ``mean(x)``), and random parts of one grouping variable. As in lme4, effects of one part
        are correlated, those of different parts or after ``||`` are independent.
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
        If it does not parse, names an unknown column, has another outcome or no intercept,
        more than one grouping variable, or an effect in two random parts.
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
    for product in parsed.terms:
        _add(terms, _term(product, columns, fail))
    for part in parsed.random:
        for product in part.terms:
            _add(terms, replace(_term(product, columns, fail), fixed=False, random=True))
    groups = [":".join(part.groups) for part in parsed.random]
    if not parsed.intercept:
        raise fail("a conditional model has an intercept; remove '0 +' or '- 1'.")
    if len(set(groups)) > 1:
        raise fail(f"it has {len(set(groups))} grouping variables; one is possible.")

    known = list(columns)
    used = [
        name
        for term in terms.values()
        for factor in term.factors
        for name in ((factor,) if factor in known else names_in(factor))
    ]
    for name in [*used, *groups, *filter(None, [parsed.event])]:
        if name not in known:
            raise fail(f"there is no column {name!r}.{did_you_mean(name, known)}")
        if name == target:
            raise fail(f"{target!r} cannot predict itself; remove it from the right-hand side.")
    if parsed.event in (*used, *groups):
        raise fail(f"{parsed.event!r} is part of the outcome; remove it from the right-hand side.")
    if groups and groups[0] in used:
        raise fail(f"{groups[0]!r} groups the rows, so it cannot be a predictor as well.")
    return ParsedFormula(
        tuple(_placed(terms, parsed.random, columns, fail)),
        groups[0] if groups else None,
        any(part.intercept for part in parsed.random),
        parsed.event,
    )


def _placed(
    terms: Mapping[str, Term],
    parts: Sequence[RandomEffects],
    columns: Collection[str],
    fail: Fail,
) -> Iterator[Term]:
    """Give the terms the numbers of their random parts; that of the intercept is 0."""
    standing: dict[str, tuple[int, int]] = {}
    for number, part in enumerate(parts):
        labels = [_term(product, columns, fail).label for product in part.terms]
        for own, label in enumerate([*([""] if part.intercept else []), *labels]):
            group = part.groups[-1]
            if label in standing:
                name = f"the effect of {label!r}" if label else "the intercept"
                raise fail(
                    f"{name} varies by {group!r} in two random parts. "
                    f"({label or 'x'} | {group}) has an intercept; without one it is "
                    f"(0 + {label or 'x'} | {group})."
                )
            standing[label] = (number, own if part.independent else 0)
    order = sorted(set(standing.values()), key=lambda place: (place != standing.get(""), place))
    for label, term in terms.items():
        yield replace(term, random_part=order.index(standing[label])) if term.random else term


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
