"""MathML Core, which browsers show without scripts: the few elements that equations need."""

from collections.abc import Iterable
from dataclasses import dataclass

from bayesimpute.html import Html, join, tag


@dataclass(frozen=True)
class Piece:
    """Part of an equation.

    Attributes
    ----------
    markup
        MathML.
    width
        Roughly how many letters wide it is, to know where a line is full.
    """

    markup: Html
    width: float


def symbol(text: str, upright: bool = False) -> Piece:
    """Write an identifier: one letter is italic, a word upright."""
    markup = tag("mi", text, mathvariant="normal" if upright and len(text) == 1 else None)
    return Piece(markup, len(text))


def vector(text: str) -> Piece:
    """Bold upright letter."""
    return Piece(tag("mi", text, mathvariant="normal", class_="vector"), len(text))


def count(value: int) -> Piece:
    """Write a number."""
    return Piece(tag("mn", str(value)), len(str(value)))


def operator(text: str, space: bool = True) -> Piece:
    """Operator with the space around it that its meaning gives it, or none; it never stretches."""
    none = None if space else "0"
    return Piece(
        tag("mo", text, stretchy="false", lspace=none, rspace=none), len(text) + (2 if space else 0)
    )


def plus() -> Piece:
    """Write a plus sign between two summands, at the beginning of a line too."""
    return Piece(tag("mo", "+", form="infix"), 3)


def words(text: str) -> Piece:
    """Words within an equation, their spaces kept."""
    return Piece(tag("mtext", text.replace(" ", "\u00a0")), len(text))


def row(*parts: Piece) -> Piece:
    """Parts beside each other."""
    return Piece(tag("mrow", *(p.markup for p in parts)), sum(p.width for p in parts))


def sub(base: Piece, *index: Piece) -> Piece:
    """Lower index."""
    below = index[0] if len(index) == 1 else row(*index)
    return Piece(tag("msub", base.markup, below.markup), base.width + 0.7 * below.width)


def sup(base: Piece, above: Piece) -> Piece:
    """Exponent."""
    return Piece(tag("msup", base.markup, above.markup), base.width + 0.7 * above.width)


def subsup(base: Piece, below: Piece, above: Piece) -> Piece:
    """Lower index and exponent above one another."""
    markup = tag("msubsup", base.markup, below.markup, above.markup)
    return Piece(markup, base.width + 0.7 * max(below.width, above.width))


def between(left: str, inside: Piece, right: str) -> Piece:
    """Brackets around."""
    return row(operator(left, False), inside, operator(right, False))


def listed(parts: Iterable[Piece]) -> Piece:
    """Parts with commas."""
    comma = Piece(tag("mo", ",", separator="true", lspace="0", rspace="0.3em"), 2)
    out: list[Piece] = []
    for part in parts:
        out += [comma, part] if out else [part]
    return row(*out)


def called(name: str, *arguments: Piece) -> Piece:
    """Write a function or distribution with its arguments in parentheses."""
    return row(symbol(name, upright=True), between("(", listed(arguments), ")"))


def math(pieces: Iterable[Piece], text: str | None = None) -> Html:
    """Give a formula; `text` is what is read aloud."""
    inside = join(piece.markup for piece in pieces)
    return tag("math", inside, displaystyle="true", alttext=text)
