"""Each conditional model in mathematical notation, which browsers show without scripts."""

import re
from collections.abc import Callable, Iterator, Mapping

from bayesimpute.html import Html, join, safe, tag
from bayesimpute.specification.equations import Equation, equation_of
from bayesimpute.specification.specification import Specification

#: Characters that stand for names.
_NAMED = re.compile("[\U000f0000-\U000ffffd]")
#: What browsers show better: bold letters, ∼ as a relation, names of functions without the space
#: around operators, a plus that begins a line as between two summands.
_BETTER: Mapping[str, str | Callable[[re.Match[str]], str]] = {
    "<mi>&#x1D4([123].);</mi>": lambda at: f'<mi mathvariant="bold">{_bold(at[1])}</mi>',
    'mathvariant="bold"': 'mathvariant="normal" class="vector"',
    "<mi>&#x0007E;</mi>": "<mo>∼</mo>",
    "<mo>([A-Za-z]+)</mo>": r"<mi>\1</mi>",
    r"^<mrow><mo>&#x0002B;": '<mrow><mo form="infix">&#x0002B;',
}


def _bold(place: str) -> str:
    """Small letter at a place of Unicode's bold alphabet, the `a` at 1A."""
    return chr(ord("a") + int(place, 16) - 0x1A)


#: Letters that fit on a line; longer sums go on below.
LINE = 90


def equations_html(specification: Specification, name: str, text: str) -> Html:
    """Equations of a target as MathML, `text` read aloud in their place; empty without any."""
    equation = equation_of(specification, name)
    if equation is None:
        return Html("")
    drawn, spoken = [], text or None
    for line in equation.lines:
        for number, part in enumerate(broken(equation, line)):
            look = "line more" if number else "line"
            drawn.append(tag("div", _math(equation, part, spoken), class_=look))
            spoken = None
    return tag("div", join(drawn), class_="equations")


def broken(equation: Equation, line: str) -> Iterator[str]:
    """Parts of a line that are not too long, broken where it may be: before a plus sign."""
    first, *summands = line.split(r"\allowbreak")
    part = first
    for summand in summands:
        if len(equation.text(part + summand)) > LINE:
            yield part
            part = ""
        part += summand
    yield part


def _math(equation: Equation, latex: str, spoken: str | None) -> Html:
    """Give a line as MathML; names come in once it is, so that nothing in them is a command."""
    from latex2mathml.converter import convert

    inside = re.sub(r"^<math.*?>|</math>$", "", convert(latex))
    for what, better in _BETTER.items():
        inside = re.sub(what, better, inside)
    inside = _NAMED.sub(lambda found: safe(equation.names.get(found[0], found[0])), inside)
    return tag("math", Html(inside), displaystyle="true", alttext=spoken)
