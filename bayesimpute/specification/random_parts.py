"""The random parts of an lme4 formula: which effects stand together in one pair of brackets.

Effects in one pair of brackets are correlated, those in different ones are independent, and after
``||`` each is independent of the others (Bates, Mächler, Bolker & Walker 2015, J Stat Softw 67(1),
§2.2). formulae's terms do not say where they stood, and it does not know ``||``.
"""

import re
from dataclasses import dataclass

#: Names in backticks and text in quotes, whose brackets and bars mean nothing.
_QUOTED = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"")


@dataclass(frozen=True)
class RandomPart:
    """One random part.

    Attributes
    ----------
    text
        With its brackets and a single bar.
    independent
        Whether its effects are independent of each other (``||``).
    """

    text: str
    independent: bool


def random_parts(formula: str) -> list[RandomPart]:
    """Give the random parts in order of appearance.

    Raises
    ------
    ValueError
        If a bar stands in no brackets, or three stand together.

    Examples
    --------
    >>> [part.text for part in random_parts("y ~ x + (1 | g) + (0 + x | g)")]
    ['(1 | g)', '(0 + x | g)']
    """
    hidden = _hidden(formula)
    found = []
    for bar in re.finditer(r"\|+", hidden):
        if len(bar.group()) > 2:
            raise ValueError("one or two bars stand between effects and their grouping variable")
        first, last = _brackets(hidden, bar.start())
        text = formula[first : bar.start()] + "|" + formula[bar.end() : last + 1]
        found.append(RandomPart(text, independent=len(bar.group()) == 2))
    return found


def with_single_bars(formula: str) -> str:
    """Give the formula as formulae reads it.

    Examples
    --------
    >>> with_single_bars("y ~ `a||b` + (1 + x || g)")
    'y ~ `a||b` + (1 + x | g)'
    """
    bars = [bar.start() for bar in re.finditer(r"\|(?=\|)", _hidden(formula))]
    return "".join(letter for place, letter in enumerate(formula) if place not in bars)


def _hidden(formula: str) -> str:
    """Blank out what is quoted, the length kept."""
    return _QUOTED.sub(lambda match: "_" * len(match.group()), formula)


def _brackets(hidden: str, inside: int) -> tuple[int, int]:
    """Positions of the brackets nearest around a place."""
    before = _unmatched(hidden[:inside][::-1], "(", ")")
    after = _unmatched(hidden[inside:], ")", "(")
    if before < 0 or after < 0:
        raise ValueError("a random part stands in brackets, such as (1 | g)")
    return inside - 1 - before, inside + after


def _unmatched(text: str, wanted: str, other: str) -> int:
    """Position of the first bracket that nothing before it belongs to; −1 for none."""
    depth = 0
    for place, letter in enumerate(text):
        if letter == wanted and depth == 0:
            return place
        depth += (letter == other) - (letter == wanted)
    return -1
