"""One reader of formulas as R writes them: outcome, terms, random parts, offsets.

Texts of formulas come from anywhere, so that nothing in them is ever evaluated: they become data
(`formula_terms`), of known functions only, and the arithmetic inside is that of `expressions`.
Last comes what an lme4-style formula says of a conditional model.
"""

import ast
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from bayesimpute.errors import SpecificationError
from bayesimpute.specification.expressions import (
    function_name,
    read,
    syntax_tree,
    unaliased,
    unquoted,
)
from bayesimpute.specification.formula_terms import (
    MEANS,
    Factor,
    Formula,
    Product,
    RandomEffects,
    Token,
    arithmetic_factor,
    bare_factor,
    call_factor,
    closing,
    column_factor,
    key_of,
    name_in,
    response_of,
    split_at,
    tokens_of,
    unique,
    unreadable,
)
from bayesimpute.specification.groupings import taken
from bayesimpute.specification.specification import Grouping, Term
from bayesimpute.wording import did_you_mean

#: Terms a formula may have, lest (a + b + …)^9 fills the memory.
MOST_TERMS = 2000
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "=", "!", "&")


def read_formula(formula: str, columns: Collection[str] = ()) -> Formula:
    """Read ``popular ~ texp * sex + I(age^2) + (1 + sex | school)``.

    ``+``, ``-``, ``:``, ``*``, ``/``, ``^``, ``%in%``, ``0``, ``1`` and ``.`` mean what they mean
    in R, bars what they mean in lme4. A column whose name is no name in R stands in backticks or
    in ``Q("…")``.

    Parameters
    ----------
    formula
        The text.
    columns
        Columns of the data, for ``.``: all that are not the outcome and group no random part.

    Raises
    ------
    SpecificationError
        If it does not parse (with the position), or calls a function that is not known.

    Examples
    --------
    >>> found = read_formula("y ~ x * wt.loss + I(x^2) + (1 + x | g)")
    >>> [":".join(factor.label for factor in term) for term in found.terms]
    ['x', 'wt.loss', 'x:wt.loss', 'I(x^2)']
    >>> found.names
    ('y', 'x', 'wt.loss', 'g')
    """
    tokens = tokens_of(formula)
    sides = split_at(tokens[:-1], "~")
    if len(sides) != 2:
        raise SpecificationError(
            "it does not parse: write one ~ with the outcome left of it and at least 1 right of "
            "it, e.g. 'y ~ x + (1 | g)'"
        )
    left, right = sides
    response = response_of(formula, left) if left else None
    reader = _Reader(formula, [*right, tokens[-1]], tuple(columns), response)
    return reader.formula()


@dataclass(frozen=True)
class _Sum:
    """Terms of a sum, and what it says of the intercept: None where it says nothing."""

    terms: tuple[Product, ...] = ()
    intercept: bool | None = None


class _Reader:
    """Recursive descent over the tokens right of the ~."""

    def __init__(
        self, formula: str, tokens: Sequence[Token], columns: Sequence[str], response: Factor | None
    ) -> None:
        self._formula, self._tokens, self._columns = formula, tokens, columns
        self._response = response
        self._at = 0
        self._depth = 0
        self._random: list[RandomEffects] = []
        self._offsets: list[Factor] = []

    def formula(self) -> Formula:
        if self._now.kind == "end":
            raise SpecificationError(
                "it does not parse: nothing stands right of the ~; write at least 1, the intercept"
            )
        found = self._sum()
        if self._now.kind != "end":
            raise self._unexpected("+ or another sign")
        return Formula(
            self._formula,
            self._response,
            found.intercept is not False,
            found.terms,
            tuple(self._random),
            tuple(self._offsets),
        )

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _is(self, *signs: str) -> bool:
        return self._now.kind == "sign" and self._now.text in signs

    def _take(self) -> Token:
        token = self._now
        self._at += 1
        return token

    def _unexpected(self, wanted: str) -> SpecificationError:
        token = self._now
        if self._is("|", "||"):
            return unreadable("a random part stands in brackets, such as (1 | g)", token.start)
        if self._is(*_COMPARISONS):
            return unreadable("a comparison stands inside I(), such as I(x > 2)", token.start)
        said = "it ends" if token.kind == "end" else f"{token.text!r} stands"
        return unreadable(f"{said} where {wanted} is expected", token.start)

    def _sum(self) -> _Sum:
        """Terms joined by + and -."""
        found: dict[frozenset[str], Product] = {}
        intercept: bool | None = None
        sign = self._take().text if self._is("+", "-") else "+"
        while True:
            start = self._now.start
            if sign == "+" and self._is("+", "-"):
                sign = self._take().text  # x + -1
            part = self._summand()
            if part is None and (sign == "-" or self._depth):
                raise unreadable("a random part or an offset can only be added", start)
            for term in () if part is None else part.terms:
                if sign == "+":
                    found.setdefault(key_of(term), term)
                else:
                    self._refuse_unknown(term, start)
                    found.pop(key_of(term), None)
            if part is not None and part.intercept is not None:
                intercept = part.intercept == (sign == "+")
            _refuse_many(found)
            if not self._is("+", "-"):
                return _Sum(tuple(found.values()), intercept)
            sign = self._take().text

    def _refuse_unknown(self, term: Product, place: int) -> None:
        """Refuse to take out what is no column, lest a slip of the pen leaves a term in."""
        for name in (name for factor in term for name in factor.names):
            if self._columns and name not in self._columns:
                near = did_you_mean(name, self._columns)
                raise unreadable(f"it takes out {name!r}, which is no column.{near}", place)

    def _summand(self) -> _Sum | None:
        """Terms; None for a random part or an offset, which are kept aside."""
        if self._bar() is not None:
            self._random_part()
        elif self._now.text == "offset" and self._tokens[self._at + 1].text == "(":
            self._offset()
        else:
            return self._product()
        if not (self._is("+", "-", ")") or self._now.kind == "end"):
            raise self._unexpected("+ or -")
        return None

    def _product(self) -> _Sum:
        """Read a * b = a + b + a:b, and a / b = a + a:b."""
        left = self._interaction()
        while self._is("*", "/"):
            sign = self._take()
            right = self._interaction()
            _refuse_intercept((left, right), sign)
            base = (_all_of(left.terms),) if sign.text == "/" else left.terms
            crossed = _crossed(base, right.terms)
            left = _Sum(_once([*left.terms, *(right.terms if sign.text == "*" else ()), *crossed]))
        return left

    def _interaction(self) -> _Sum:
        """Read a:b and a %in% b."""
        left = self._power()
        while self._is(":", "%in%"):
            sign = self._take()
            if sign.text == ":" and self._is(":"):
                raise unreadable("no package stands before a function: bs(x)", sign.start)
            right = self._power()
            _refuse_intercept((left, right), sign)
            # as in R, a is within all of b + c together: a %in% (b + c) is a:b:c
            around = (_all_of(right.terms),) if sign.text == "%in%" else right.terms
            left = _Sum(_crossed(left.terms, around))
        return left

    def _power(self) -> _Sum:
        """Read (a + b)^2 = a + b + a:b."""
        found = self._atom()
        while self._is("^", "**"):
            _refuse_intercept((found,), self._take())
            exponent = self._take()
            if exponent.kind != "number" or exponent.text not in map(str, range(1, 11)):
                raise unreadable(
                    "between terms, a power is a whole number from 1 to 10; that of a column is "
                    "I(x^2)",
                    exponent.start,
                )
            terms = found.terms
            for _ in range(int(exponent.text) - 1):
                found = _Sum(_once([*found.terms, *_crossed(found.terms, terms)]))
        return found

    def _atom(self) -> _Sum:
        token = self._now
        if token.kind == "number":
            if token.text not in ("0", "1"):
                raise unreadable(
                    f"the number {token.text} is no term; 1 is the intercept, 0 none", token.start
                )
            return _Sum((), self._take().text == "1")
        if self._is("("):
            return self._brackets()
        if self._is("{"):
            end = closing(self._tokens, self._at)
            text = self._formula[token.end : self._tokens[end].start].strip()
            self._at = end + 1
            return _Sum(((arithmetic_factor(f"I({text})", "I"),),))
        if token.kind == "quoted":
            return _Sum(((column_factor(self._take().text),),))
        if token.kind != "name":
            raise self._unexpected("a term")
        if self._tokens[self._at + 1].text == "(" and self._tokens[self._at + 1].kind == "sign":
            end = closing(self._tokens, self._at + 1)
            tokens = self._tokens[self._at : end + 1]
            self._at = end + 1
            name = name_in(tokens)
            return _Sum(
                ((call_factor(self._formula, tokens) if name is None else column_factor(name),),)
            )
        self._take()
        return (
            self._all_others(token) if token.text == "." else _Sum(((column_factor(token.text),),))
        )

    def _brackets(self) -> _Sum:
        if self._bar() is not None:
            raise unreadable("a random part is a summand of its own", self._now.start)
        self._take()
        self._depth += 1
        found = self._sum()
        self._depth -= 1
        if not self._is(")"):
            raise self._unexpected("+ or another sign")
        self._take()
        return found

    def _bar(self) -> Token | None:
        """Give the first bar directly inside the brackets that begin here."""
        if not self._is("("):
            return None
        inside = self._tokens[self._at + 1 : closing(self._tokens, self._at)]
        bars = {t.text: t for t in reversed(inside) if t.kind == "sign" and set(t.text) == {"|"}}
        direct = [bar for text, bar in bars.items() if len(split_at(inside, text)) > 1]
        return min(direct, key=lambda bar: bar.start, default=None)

    def _offset(self) -> None:
        end = closing(self._tokens, self._at + 1)
        inside = self._tokens[self._at + 2 : end]
        if not inside:
            raise unreadable("offset() takes a column or arithmetic", self._now.start)
        self._at = end + 1
        self._offsets.append(bare_factor(self._formula, inside))

    def _random_part(self) -> None:
        bar, end = self._bar(), closing(self._tokens, self._at)
        assert bar is not None
        sides = split_at(self._tokens[self._at + 1 : end], bar.text)
        signs = [t.text for part in sides for t in part if t.kind == "sign"]
        if len(bar.text) > 2 or len(sides) != 2 or "|" in signs or "||" in signs:
            raise unreadable(
                "one or two bars stand between effects and their grouping variable", bar.start
            )
        before, after = sides
        if not before or not after:
            raise unreadable(
                "a random part has effects, a bar and a grouping variable: (1 | g)", bar.start
            )
        stop = Token("end", "", bar.start, bar.start)
        effects = _Reader(self._formula, [*before, stop], self._columns, self._response).formula()
        if effects.offsets:
            raise unreadable("a random part has no offset", bar.start)
        nested = [_groups(part, bar.end) for part in split_at(after, "/")]
        for depth in range(1, len(nested) + 1):
            groups = unique(name for part in nested[:depth] for name in part)
            self._random.append(
                RandomEffects(effects.terms, effects.intercept, groups, len(bar.text) == 2)
            )
        self._at = end + 1

    def _all_others(self, token: Token) -> _Sum:
        if not self._columns:
            raise unreadable("'.' stands for columns that are not known here", token.start)
        named = set(() if self._response is None else self._response.names)
        behind_bar = False
        for each in self._tokens:
            behind_bar = (behind_bar or set(each.text) == {"|"}) and each.text != ")"
            if behind_bar and each.kind != "sign":
                named.add(unquoted(each.text) if each.kind == "text" else each.text)
        return _Sum(tuple((column_factor(name),) for name in self._columns if name not in named))


def _crossed(left: Iterable[Product], right: Iterable[Product]) -> tuple[Product, ...]:
    return _once(_joined(one, other) for one in left for other in right)


def _joined(one: Product, other: Product) -> Product:
    known = key_of(one)
    return (*one, *(factor for factor in other if factor.key not in known))


def _refuse_intercept(parts: Iterable[_Sum], sign: Token) -> None:
    if any(part.intercept is not None for part in parts):
        raise unreadable(
            f"0 and 1 say whether there is an intercept and have no {sign.text}; arithmetic stands "
            "inside I(), such as I(1 / x)",
            sign.start,
        )


def _all_of(terms: Iterable[Product]) -> Product:
    found: Product = ()
    for term in terms:
        found = _joined(found, term)
    return found


def _once(terms: Iterable[Product]) -> tuple[Product, ...]:
    found: dict[frozenset[str], Product] = {}
    for term in terms:
        found.setdefault(key_of(term), term)
        _refuse_many(found)
    return tuple(found.values())


def _refuse_many(terms: Collection[object]) -> None:
    if len(terms) > MOST_TERMS:
        raise SpecificationError(f"it has more than {MOST_TERMS} terms")


def _groups(tokens: Sequence[Token], place: int) -> tuple[str, ...]:
    names = []
    for part in split_at(tokens, ":"):
        wrapped = (
            len(part) > 3 and function_name(part[0].text) in ("factor", "C") and part[1].text == "("
        )
        name = name_in(part[2:-1] if wrapped else part)
        if name is None:
            raise unreadable("right of the bar stands a column, or several as g:h or g/h", place)
        names.append(name)
    return unique(names)


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
        raise fail(
            f"{str(error).rstrip('.')}. Write it like '{target} ~ x1 + x2 + (1 + x1 | school)'."
        ) from None
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
        _add(terms, term, fail)
        if group is not None:
            means[group].append(term.label)
    for part in parsed.random:
        for product in part.terms:
            _add(terms, replace(_term(product, columns, fail), fixed=False), fail)
    if not parsed.intercept:
        raise fail("a conditional model has an intercept; remove '0 +' or '- 1'.")
    groupings = tuple(
        _grouping(group, [p for p in parsed.random if ":".join(p.groups) == group], columns, fail)
        for group in groups
    )

    known = list(columns)
    used = [name for term in terms.values() for name in term.read_columns(known)]
    for name in [*used, *parsed.groups, *filter(None, [parsed.event])]:
        if name not in known:
            raise fail(f"there is no column {name!r}.{did_you_mean(name, known)}")
        if name == target:
            raise fail(f"{target!r} cannot predict itself; remove it from the right-hand side.")
    for name in groups:
        if name in known and name not in parsed.groups:
            raise fail(taken(name))
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


def _add(terms: dict[str, Term], term: Term, fail: Fail) -> None:
    """Merge with what is said elsewhere in the formula of the same term."""
    old = terms.get(term.label)
    if old is not None and old.factors != term.factors:
        raise fail(f"{term.label!r} is a column and a product too; rename the column.")
    terms[term.label] = term if old is None else term.and_also(old)


def _term(product: Product, columns: Collection[str], fail: Fail) -> Term:
    for factor in product:
        if factor.function not in MEANS:
            continue
        if len(product) > 1 or len(factor.arguments) != 1 or factor.options:
            raise fail(f"{factor.function}() takes one column and has no interactions.")
        mean = _text(factor.arguments[0], columns, fail)
        return Term(mean, (mean,), fixed=False, cluster_mean=True)
    factors = [
        _text(factor.text, columns, fail) if factor.column is None else factor.column
        for factor in product
    ]
    return Term(":".join(factors), tuple(factors))


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
