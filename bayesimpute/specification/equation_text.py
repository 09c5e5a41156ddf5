"""The LaTeX of our equations as a line of text: for a terminal, and to be read aloud."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(r"(\\[A-Za-z]+) ?|(\\?.)", re.DOTALL)
_SIGNS = {
    r"\sim": "~ ", r"\le": "≤ ", r"\lt": "< ", r"\cdot": "·", r"\,": "·", r"\;": " ", "-": "−",
    r"\infty": "∞", r"\ldots": "…", r"\sqrt": "√", r"\top": "", r"\allowbreak": "",
    r"\log": "log", r"\min": "min", r"\max": "max",
}  # fmt: skip
#: Commands whose argument is written as it is.
_PLAIN = {r"\text", r"\operatorname", r"\mathbf"}


def plain(latex: str) -> str:
    r"""Write LaTeX as text: what :class:`bayesimpute.method.Words` says, and nothing more.

    Examples
    --------
    >>> plain(r"y_{ij} = β_0 + b_{0j} + ε_{ij}"), plain(r"\log\;σ_j \sim N(0, ω^2)")
    ('y_ij = β0 + b0_j + ε_ij', 'log σ_j ~ N(0, ω²)')
    """
    return _read(name or other for name, other in _TOKEN.findall(latex))


def _read(tokens: Iterator[str]) -> str:
    """Read up to the brace that closes the group."""
    text = ""
    for token in tokens:
        if token == "}":
            break
        if token == "_":
            text += _index(_argument(tokens))
        elif token == "^":
            text += _argument(tokens).replace("2", "²")
        elif token == r"\frac":
            text += f"{_argument(tokens)}/{_argument(tokens)}"
        elif token == "{":
            text += _read(tokens)
        elif token not in _PLAIN:
            text += _SIGNS.get(token, token)
    return text


def _argument(tokens: Iterator[str]) -> str:
    token = next(tokens)
    return _read(tokens) if token == "{" else _SIGNS.get(token, token)


def _index(text: str) -> str:
    """Numbers stand at once after their letter, ``β0``; letters after ``_``, ``b0_j``."""
    letters = text.lstrip("0123456789")
    shown = letters if letters.isalnum() or len(letters) < 2 else f"({letters})"
    return text.removesuffix(letters) + (f"_{shown}" if shown else "")
