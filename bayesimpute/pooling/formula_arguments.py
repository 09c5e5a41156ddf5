"""Arguments of functions of formulas: numbers, truth values, names and lists, read from text."""

import math
import re
from collections.abc import Mapping

from bayesimpute.errors import AnalysisError
from bayesimpute.specification.formula_terms import Factor
from bayesimpute.specification.formula_tokens import split_at, tokens_of
from bayesimpute.specification.spelling import unquoted
from bayesimpute.wording import nearest

_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)L?")
_TRUTH = {"True": True, "TRUE": True, "T": True, "False": False, "FALSE": False, "F": False}


def bound(factor: Factor, names: tuple[str, ...]) -> Mapping[str, str]:
    """Texts of the arguments after the first, by name; `names` in their order.

    Raises
    ------
    AnalysisError
        An argument the function has not, or one given twice.
    """
    given = factor.arguments[1:]
    if len(given) > len(names):
        raise AnalysisError(f"{factor.label}: {factor.function}() takes one column and "
                            f"{', '.join(names) or 'nothing else'}.")  # fmt: skip
    found = dict(zip(names, given, strict=False))
    for name, text in factor.options:
        if name not in names:
            raise AnalysisError(
                f"{factor.label}: {factor.function}() has no argument {name!r}"
                f"{nearest(name, names) or '; a column is all it takes.'}"
            )
        if name in found:
            raise AnalysisError(f"{factor.label}: {name} is given twice.")
        found[name] = text
    return found


def whole(factor: Factor, name: str, text: str, least: int, most: int) -> int:
    """Whole number from `least` to `most`."""
    number = _number(text)
    if number is None or number != int(number) or not least <= number <= most:
        raise AnalysisError(
            f"{factor.label}: {name} is {text}; it must be a whole number from {least} to {most}."
        )
    return int(number)


def truth(factor: Factor, name: str, text: str) -> bool:
    """Read TRUE or FALSE, as R or Python write them."""
    if text.strip() not in _TRUTH:
        raise AnalysisError(f"{factor.label}: {name} is {text}; it is TRUE or FALSE.")
    return _TRUTH[text.strip()]


def numbers(factor: Factor, name: str, text: str) -> tuple[float, ...]:
    """One number, or several as c(1, 2) or [1, 2]."""
    found = [_number(part) for part in _parts(text)]
    known = [number for number in found if number is not None]
    if not found or len(known) < len(found):
        raise AnalysisError(f"{factor.label}: {name} is {text}; write numbers, such as c(1, 2).")
    return tuple(known)


def labels(factor: Factor, name: str, text: str) -> tuple[str, ...]:
    """Labels of categories, texts in quotation marks or numbers."""
    found = [_label(part) for part in _parts(text)]
    known = [label for label in found if label is not None]
    if not found or len(known) < len(found):
        raise AnalysisError(f"{factor.label}: {name} is {text}; write labels, such as c('a', 'b').")
    return tuple(known)


def _parts(text: str) -> list[str]:
    """Texts in a list, or the only one."""
    stripped = text.strip()
    for opening, closing in (("c(", ")"), ("[", "]"), ("(", ")")):
        if stripped.startswith(opening) and stripped.endswith(closing):
            inside = stripped[len(opening) : -len(closing)]
            parts = split_at(tokens_of(inside)[:-1], ",")
            return [inside[p[0].start : p[-1].end] if p else "" for p in parts]
    return [stripped]


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text.strip())
    number = float(match[1]) if match else math.inf
    return number if math.isfinite(number) else None


def _label(text: str) -> str | None:
    stripped = text.strip()
    if len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "\"'":
        return unquoted(stripped)
    return stripped if _number(stripped) is not None or stripped in _TRUTH else None
