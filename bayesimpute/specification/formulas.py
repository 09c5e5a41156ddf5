"""lme4-style formulas of conditional models, parsed by formulae."""

import ast
import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bayesimpute.errors import SpecificationError
from bayesimpute.specification.expressions import names_in, read
from bayesimpute.specification.random_parts import RandomPart, random_parts, with_single_bars
from bayesimpute.specification.specification import Term

MEANS = ("cluster_mean", "mean")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")

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
    """

    terms: tuple[Term, ...]
    cluster: str | None
    random_intercept: bool


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
    from formulae import model_description
    from formulae.scanner import Scanner

    def fail(what: str) -> SpecificationError:
        return SpecificationError(f"Formula of {target!r}, {formula!r}: {what}")

    if not isinstance(formula, str):
        raise fail("a formula must be text like 'y ~ x + (1 | school)'.")
    if not formula.partition("~")[0].strip():
        raise fail(f"it has no left-hand side; begin it with '{target} ~'.")
    try:
        plain = with_single_bars(formula)
        parsed: Any = model_description(plain)
        tokens = Scanner(plain).scan()
        parts = [
            (model_description(f"{formula.partition('~')[0]} ~ {part.text}").terms, part)
            for part in random_parts(formula)
        ]
    except Exception as error:
        raise fail(
            f"it does not parse ({error}). Write it like '{target} ~ x1 + x2 + (1 + x1 | school)'."
        ) from None
    if parsed.response is None:
        raise fail(f"it has no left-hand side; begin it with '{target} ~'.")
    if parsed.response.term.name != target:
        raise fail(f"its outcome is {parsed.response.term.name!r}, not {target!r}.")

    depth = 0
    for token in tokens:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(token.lexeme, 0)
        if depth == 0 and token.lexeme in COMPARISONS:
            # formulae goes on as if the comparison were not there
            raise fail("a comparison stands inside I(), such as I(x > 2).")

    terms: dict[str, Term] = {}
    groups: list[str] = []
    intercept = random_intercept = False
    for part in parsed.terms:
        kind = type(part).__name__
        if kind == "Intercept":
            intercept = True
        elif kind == "Term":
            _add(terms, _term(part, columns, fail))
        elif kind == "GroupSpecificTerm":
            groups.append(part.factor.name)
            if type(part.expr).__name__ == "Intercept":
                random_intercept = True
            elif type(part.expr).__name__ == "Term":
                _add(terms, replace(_term(part.expr, columns, fail), fixed=False, random=True))
    if not intercept:
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
    for name in [*used, *groups]:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise fail(f"there is no column {name!r}.{hint}")
        if name == target:
            raise fail(f"{target!r} cannot predict itself; remove it from the right-hand side.")
    if groups and groups[0] in used:
        raise fail(f"{groups[0]!r} groups the rows, so it cannot be a predictor as well.")
    return ParsedFormula(
        tuple(_placed(terms, parts, columns, fail)),
        groups[0] if groups else None,
        random_intercept,
    )


def _placed(
    terms: Mapping[str, Term],
    parts: Sequence[tuple[Any, RandomPart]],
    columns: Collection[str],
    fail: Fail,
) -> Iterator[Term]:
    """Give the terms the numbers of their random parts; that of the intercept is 0."""
    standing: dict[str, tuple[int, int]] = {}
    for number, (effects, part) in enumerate(parts):
        varying = [each for each in effects if type(each).__name__ == "GroupSpecificTerm"]
        for own, effect in enumerate(varying):
            bare = type(effect.expr).__name__ == "Intercept"
            label = "" if bare else _term(effect.expr, columns, fail).label
            if label in standing:
                name = f"the effect of {label!r}" if label else "the intercept"
                raise fail(
                    f"{name} varies by {effect.factor.name!r} in two random parts. "
                    f"({label or 'x'} | {effect.factor.name}) has an intercept; without one it is "
                    f"(0 + {label or 'x'} | {effect.factor.name})."
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


def _term(part: Any, columns: Collection[str], fail: Fail) -> Term:
    calls = [component.call for component in part.components if hasattr(component, "call")]
    for call in calls:
        if call.callee not in MEANS:
            continue
        if len(part.components) > 1 or len(call.args) != 1:
            raise fail(f"{call.callee}() takes one column and has no interactions.")
        inner = call_text(call.args[0], fail)
        bare = inner.strip("`")
        factor = bare if bare in columns else _readable(inner, columns, fail)
        return Term(factor, (factor,), fixed=False, cluster_mean=True)
    factors = [
        _readable(call_text(component.call, fail), columns, fail)
        if hasattr(component, "call")
        else component.name
        for component in part.components
    ]
    return Term(":".join(factors), tuple(factors))


def _readable(factor: str, columns: Collection[str], fail: Fail) -> str:
    if factor not in columns:
        try:
            read(factor)
        except SpecificationError as error:
            raise fail(str(error)) from None
    return factor


def call_text(node: Any, fail: Fail) -> str:
    """Give the expression of a call; formulae's own name of it leaves out parentheses."""
    tree = _tree(node, fail)
    text = ast.unparse(tree)
    for name in {inner.id for inner in ast.walk(tree) if isinstance(inner, ast.Name)}:
        if not name.replace(".", "").isidentifier():
            text = text.replace(name, f"`{name}`")
    return text


def _tree(node: Any, fail: Fail) -> ast.expr:
    """Syntax tree of one of formulae's lazy calls, operators, variables or values."""
    match type(node).__name__:
        case "LazyVariable":
            return ast.Name(node.name)
        case "LazyValue":
            return ast.Constant(node.value)
        case "LazyCall" if not node.kwargs:
            return ast.Call(ast.Name(node.callee), [_tree(part, fail) for part in node.args], [])
        case "LazyOperator" if len(node.args) == 1:
            sign = ast.USub() if node.symbol == "-" else ast.UAdd()
            return ast.UnaryOp(sign, _tree(node.args[0], fail))
        case "LazyOperator" if (
            node.symbol == "**"
            and type(node.args[0]).__name__ == type(node).__name__
            and len(node.args[0].args) == 1
        ):
            # formulae reads -x**2 as (-x)**2, mathematics as -(x**2)
            raise fail("a sign before a power is ambiguous; write I(-1 * x**2).")
        case "LazyOperator":
            left, right = (_tree(part, fail) for part in node.args)
            template: Any = ast.parse(f"a {node.symbol} b", mode="eval").body
            if isinstance(template, ast.Compare):
                return ast.Compare(left, template.ops, [right])
            return ast.BinOp(left, template.op, right)
    raise fail(f"{node} cannot stand in a formula.")
