"""What a formula says, as data: tokens of its text, and factors, terms, random parts of these.

Factors are columns, arithmetic, or calls of known functions. Nothing is ever evaluated.
"""

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations

from bayesimpute.errors import SpecificationError
from bayesimpute.specification.expressions import (
    FUNCTIONS,
    LONGEST,
    canonical,
    function_name,
    names_in,
    quoted,
    read,
    unquoted,
)
from bayesimpute.wording import did_you_mean

#: Brackets inside brackets.
DEEPEST = 50

_STRING = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_TOKEN = re.compile(
    rf"(?P<blank>\s+)|`(?P<quoted>[^`]+)`|(?P<text>{_STRING})"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L?)(?!\w)"
    r"|(?P<name>(?:[^\W\d]|\.(?=[^\W\d]))[\w.]*|\.(?![\w.]))"
    r"|(?P<sign>%in%|%%|%/%|\*\*|\|+|==|!=|<=|>=|//|[-+*/:^()~,=<>\[\]{}&!%])"
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Token:
    """A piece of a formula.

    Attributes
    ----------
    kind
        ``"name"``, ``"quoted"`` (a name in backticks), ``"text"``, ``"number"``, ``"sign"``, or
        ``"end"``.
    text
        As it stands there, a name in backticks without them.
    start, end
        Positions in the formula.
    """

    kind: str
    text: str
    start: int
    end: int


def unreadable(what: str, place: int) -> SpecificationError:
    """Error with the position, counted from 1."""
    return SpecificationError(f"it does not parse: {what} (position {place + 1})")


def tokens_of(formula: str) -> list[Token]:
    """Cut a formula into tokens; the last is the end.

    Raises
    ------
    SpecificationError
        A sign that no formula has, a bracket without its partner, or too long or nested a text.

    Examples
    --------
    >>> [token.text for token in tokens_of("y ~ wt.loss + `a b`")]
    ['y', '~', 'wt.loss', '+', 'a b', '']
    """
    if len(formula) > LONGEST:
        raise SpecificationError(f"it has {len(formula)} characters; {LONGEST} are read.")
    found, place = [], 0
    while place < len(formula):
        match = _TOKEN.match(formula, place)
        if match is None:
            raise unreadable(_unknown(formula, place), place)
        kind = str(match.lastgroup)
        if kind != "blank":
            found.append(Token(kind, match[kind], place, match.end()))
        place = match.end()
    _check_brackets(found)
    return [*found, Token("end", "", len(formula), len(formula))]


def _unknown(formula: str, place: int) -> str:
    sign = formula[place]
    if sign in "`'\"":
        return f"the quotation mark {sign} is not closed"
    if sign.isdigit():
        return "a name that begins with a digit stands in backticks"
    return f"{sign!r} has no meaning in a formula; a name with it stands in backticks or in Q()"


def _check_brackets(tokens: Sequence[Token]) -> None:
    opened: list[Token] = []
    for token in tokens:
        if token.kind != "sign":
            continue
        if token.text in _CLOSING:
            opened.append(token)
            if len(opened) > DEEPEST:
                raise unreadable(f"more than {DEEPEST} brackets inside each other", token.start)
        elif token.text in _CLOSING.values() and (
            not opened or _CLOSING[opened.pop().text] != token.text
        ):
            raise unreadable(f"{token.text} closes nothing", token.start)
    if opened:
        raise unreadable("a parenthesis is not closed", opened[-1].start)


def closing(tokens: Sequence[Token], opening: int) -> int:
    """Index of the bracket that closes the one at index `opening`."""
    depth = 0
    for index in range(opening, len(tokens)):
        sign = tokens[index].text if tokens[index].kind == "sign" else ""
        depth += (sign in _CLOSING) - (sign in _CLOSING.values())
        if depth == 0:
            return index
    raise unreadable("a parenthesis is not closed", tokens[opening].start)


def name_in(tokens: Sequence[Token]) -> str | None:
    """Name of the column that these tokens are and nothing else: x, `x y` or Q("x y")."""
    match [(token.kind, token.text) for token in tokens]:
        case [("name" | "quoted", name)]:
            return name
        case [("name", "Q"), ("sign", "("), ("text", text), ("sign", ")")]:
            return unquoted(text)
    return None


def split_at(tokens: Sequence[Token], sign: str) -> list[list[Token]]:
    """Split at a sign that stands in no brackets."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        text = token.text if token.kind == "sign" else ""
        depth += (text in _CLOSING) - (text in _CLOSING.values())
        if text == sign and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


#: Functions that give the mean of a column in each cluster.
MEANS = ("cluster_mean", "mean")
#: Makes one outcome of a time and of whether it ends with the event.
SURVIVAL = "Surv"


@dataclass(frozen=True)
class Factor:
    """A column, or a function of columns.

    Attributes
    ----------
    label
        How results name it: as it was written, without backticks.
    text
        As an expression: ``"log(x)"``, or the name of a column in backticks where it needs them.
    column
        Name if it is a plain column.
    function
        ``"I"``, ``"log"``, ``"poly"``, ``"C"``, …; empty for a column.
    arguments
        Texts of the arguments without a name, of functions of whole columns.
    options
        Names and texts of those with one.
    """

    label: str
    text: str
    column: str | None = None
    function: str = ""
    arguments: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    @cached_property
    def key(self) -> str:
        """One spelling of all that mean the same."""
        return quoted(self.column) if self.column is not None else canonical(self.text)

    @property
    def names(self) -> tuple[str, ...]:
        """Columns it depends on."""
        if self.column is not None:
            return (self.column,)
        if self.function == SURVIVAL:
            return unique(name for text in self.arguments for name in names_in(text))
        return names_in(self.arguments[0] if self.arguments else self.text)


#: Factors whose product a term is; none for the intercept.
type Product = tuple[Factor, ...]


def key_of(term: Product) -> frozenset[str]:
    """Give what a term is, whatever the order of its factors."""
    return frozenset(factor.key for factor in term)


def label_of(term: Product) -> str:
    """Factors in their order."""
    return ":".join(factor.label for factor in term)


def lacking_margins(
    terms: Iterable[Sequence[str]], categorical: Container[str], intercept: bool
) -> list[tuple[str, ...]]:
    """Give the terms within others that R spans by all categories of these others.

    R codes a category in full where no other term has its margin: ``x:s`` without ``x`` has a slope
    of x in each category. Models here code categories against a reference, whatever else is there,
    and span the same with ``x`` beside ``x:s``.

    Parameters
    ----------
    terms
        Factors of each.
    categorical
        Factors that are categories.
    intercept
        Whether there is one.

    Examples
    --------
    >>> lacking_margins([("x", "s")], {"s"}, True), lacking_margins([("x", "s"), "x"], {"s"}, True)
    ([('x',)], [])
    """
    spanned: dict[frozenset[str], set[frozenset[str]]] = {frozenset(): set()}
    if intercept:
        spanned[frozenset()].add(frozenset())
    found: list[tuple[str, ...]] = []
    for term in sorted(terms, key=len):
        own = [factor for factor in term if factor in categorical]
        numeric = frozenset(term) - set(own)
        known = spanned.setdefault(numeric, set())
        for size in range(len(own)):
            for chosen in map(frozenset, combinations(own, size)):
                kept = tuple(factor for factor in term if factor in numeric | chosen)
                if chosen not in known and kept:
                    found.append(kept)
                known.add(chosen)
        known.add(frozenset(own))
    return found


@dataclass(frozen=True)
class RandomEffects:
    """One pair of brackets with a bar.

    Attributes
    ----------
    terms
        Effects besides the intercept.
    intercept
        Whether the intercept varies.
    groups
        Columns whose combinations are the groups; of ``g:h`` both.
    independent
        Whether the effects are independent of each other (``||``).
    """

    terms: tuple[Product, ...]
    intercept: bool
    groups: tuple[str, ...]
    independent: bool


@dataclass(frozen=True)
class Formula:
    """A formula taken apart.

    Attributes
    ----------
    text
        As it was given.
    response
        Left of the ~; None if nothing stands there.
    intercept
        Whether the fixed part has one.
    terms
        Fixed terms in their order, each once; the intercept is not among them.
    random
        Random parts in their order.
    offsets
        Arguments of ``offset()``.
    """

    text: str
    response: Factor | None
    intercept: bool
    terms: tuple[Product, ...]
    random: tuple[RandomEffects, ...] = ()
    offsets: tuple[Factor, ...] = field(default=())

    @property
    def outcome(self) -> str | None:
        """Column that is the outcome, of ``Surv(time, event)`` the time; None for a function."""
        if self.response is None:
            return None
        return self.response.names[0] if self.event is not None else self.response.column

    @property
    def event(self) -> str | None:
        """Column that says whether the time ends with the event, where there is one."""
        if self.response is None or self.response.function != SURVIVAL:
            return None
        return self.response.names[1]

    @property
    def factors(self) -> Iterator[Factor]:
        """All factors right of the ~, with those of random parts and offsets."""
        for terms in (self.terms, *(part.terms for part in self.random)):
            for term in terms:
                yield from term
        yield from self.offsets

    @property
    def groups(self) -> tuple[str, ...]:
        """Grouping columns, each once."""
        return unique(name for part in self.random for name in part.groups)

    @property
    def predictors(self) -> tuple[str, ...]:
        """Columns right of the ~ without the groups."""
        return unique(name for factor in self.factors for name in factor.names)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns it names: outcome, predictors, groups."""
        outcome = () if self.response is None else self.response.names
        return unique([*outcome, *self.predictors, *self.groups])


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Give each once, in order of appearance."""
    return tuple(dict.fromkeys(names))


#: Functions that say how a column of categories is coded.
CODINGS = ("C", "factor", "relevel")
#: Functions of whole columns, which `expressions` does not know.
COLUMN_FUNCTIONS = (*CODINGS, "scale", "center", "standardize", "poly", "bs", "ns", *MEANS)
_SPLINE = "ns(x, df = 4) is a natural cubic spline, bs(x, df = 5) a B-spline"
_SURVIVAL = "fit a function: imp.fit(lambda data: CoxPHFitter().fit(data, 'time', 'event'))"
_COLUMN = "compute it as a column of the data"
#: What stands for functions of other packages that are not known here.
_INSTEAD = {
    **dict.fromkeys(("cc", "cr", "rcs", "s", "te", "t2"), _SPLINE),
    "Surv": "it stands left of the ~, Surv(time, event) ~ x",
    **dict.fromkeys(("strata", "tt", "frailty"), _SURVIVAL),
    **dict.fromkeys(("cut", "interaction", "is.na", "lag", "diff", "paste", "qcut"), _COLUMN),
    "as.integer": "write the column itself, or floor(x)",
    "c": "a formula joins terms by +",
    "cbind": "fit a function: imp.fit(lambda data: GLM(data[['hits', 'misses']], …).fit())",
    "inv_logit": "write I(1 / (1 + exp(-x)))",
    "logit": "write log(x / (1 - x))",
    "mo": "write C(x, Diff)",
    "ordered": "write C(x, Poly)",
    "plogis": "write I(1 / (1 + exp(-x)))",
    "power": "write I(x^2)",
    "square": "write I(x^2)",
}


def response_of(formula: str, tokens: Sequence[Token]) -> Factor:
    """Column, call or arithmetic left of the ~."""
    called = tokens[0].kind == "name" and len(tokens) > 1 and tokens[1].text == "("
    if name_in(tokens) is None and called and closing(tokens, 1) == len(tokens) - 1:
        return (_survival if tokens[0].text == SURVIVAL else call_factor)(formula, tokens)
    return bare_factor(formula, tokens)


def _survival(formula: str, tokens: Sequence[Token]) -> Factor:
    """Give the factor of Surv(time, event), an outcome of two columns."""
    place = tokens[0].start
    parts = split_at(tokens[2:-1], ",")
    if any(len(part) > 1 and part[1].text == "=" for part in parts) or len(parts) != 2:
        raise unreadable(
            f"{SURVIVAL}(time, event) takes two columns: the time, and whether it ends with the "
            "event or is censored. Late entry and intervals are not known; where every time ends "
            "with the event, its column alone is the outcome",
            place,
        )
    names = [name_in(part) for part in parts]
    for name, part in zip(names, parts, strict=True):
        if name is None:
            text = formula[part[0].start : part[-1].end] if part else ""
            raise unreadable(
                f"{SURVIVAL}() takes columns, not {text!r}; make one of it, such as "
                "df['died'] = df['status'] == 2",
                place,
            )
    time, event = map(str, names)
    if time == event:
        raise unreadable(f"{time!r} cannot be both the time and the event", place)
    text = f"{SURVIVAL}({quoted(time)}, {quoted(event)})"
    return Factor(text.replace("`", ""), text, None, SURVIVAL, (quoted(time), quoted(event)))


def bare_factor(formula: str, tokens: Sequence[Token]) -> Factor:
    """Column or arithmetic, which needs no I() where only one thing can stand."""
    name = name_in(tokens)
    if name is not None:
        return column_factor(name)
    text = formula[tokens[0].start : tokens[-1].end]
    return replace(arithmetic_factor(f"I({text})", "I"), label=text.replace("`", ""))


def column_factor(name: str) -> Factor:
    """Give the factor of a column."""
    return Factor(name, quoted(name), name)


def call_factor(formula: str, tokens: Sequence[Token]) -> Factor:
    """Give the factor of a call of a known function."""
    name, place = function_name(tokens[0].text), tokens[0].start
    if name not in FUNCTIONS and name not in COLUMN_FUNCTIONS:
        raise unreadable(_unknown_function(tokens[0].text), place)
    inside = formula[tokens[1].end : tokens[-1].start].strip()
    text = f"{name}({inside})"
    written = tokens[0].text.removeprefix("numpy.").removeprefix("np.")
    label = f"{written}({inside})".replace("`", "")
    if name in FUNCTIONS:
        return replace(arithmetic_factor(text, name), label=label)
    arguments: list[str] = []
    options: list[tuple[str, str]] = []
    for part in split_at(tokens[2:-1], ","):
        if not part:
            raise unreadable(f"{name}() needs a column, and an argument after each comma", place)
        if len(part) > 2 and part[0].kind == "name" and part[1].text == "=":
            options.append((part[0].text, formula[part[2].start : part[-1].end]))
        else:
            told = _uncoded(part) if name in CODINGS and not arguments else part
            arguments.append(formula[told[0].start : told[-1].end])
    if not arguments:
        raise unreadable(f"{name}() needs a column", place)
    _check(arguments[0])
    return Factor(label, text, None, name, tuple(arguments), tuple(options))


def _uncoded(tokens: Sequence[Token]) -> Sequence[Token]:
    """Give x of factor(x), which says nothing that the call around it does not say."""
    called = len(tokens) > 3 and function_name(tokens[0].text) in ("factor", "C")
    if not called or tokens[1].text != "(" or closing(tokens, 1) != len(tokens) - 1:
        return tokens
    inside = tokens[2:-1]
    return inside if len(split_at(inside, ",")) == 1 else tokens


def _unknown_function(name: str) -> str:
    known = [*FUNCTIONS, *COLUMN_FUNCTIONS, "offset"]
    if name == "Q":
        return "Q() takes a name in quotation marks"
    if name == "offset":
        return "offset() is a summand of its own"
    instead = _INSTEAD.get(function_name(name)) or did_you_mean(name, known).replace(" Did", "did")
    return (
        f"it calls {name!r}, which is no function of formulas; "
        f"{instead or f'{_COLUMN}; there are ' + ', '.join(known)}"
    )


def arithmetic_factor(text: str, function: str) -> Factor:
    """Give the factor of an expression, whose outermost function is given."""
    _check(text)
    return Factor(text.replace("`", ""), text, None, function)


def _check(text: str) -> None:
    try:
        read(text)
    except SpecificationError as error:
        raise SpecificationError(f"it does not parse: {error}") from error
