"""A formula cut into names, numbers, calls and signs; nothing is evaluated."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bayesimpute.errors import SpecificationError
from bayesimpute.specification.spelling import LONGEST, unquoted

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
