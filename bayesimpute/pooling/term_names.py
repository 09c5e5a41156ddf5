"""Names of terms compared by what they are: ``x:z`` is ``z:x``, ``I(x^2)`` is ``I(x ** 2)``."""

import re
from collections.abc import Sequence
from functools import lru_cache

from bayesimpute.specification.expressions import canonical

#: How an intercept is named by R, patsy and formulaic, and by ``statsmodels.add_constant``.
INTERCEPTS = ("(Intercept)", "Intercept", "const")

_CALL = re.compile(r"([A-Za-z_][\w.]*\(.*\))([^()]*)", re.DOTALL)


@lru_cache(maxsize=4096)
def term_key(label: str) -> tuple[str, ...]:
    """Factors of a term, each in one spelling, in one order.

    Examples
    --------
    >>> term_key("x:log( z )") == term_key("log(z):x"), term_key("I(x^2)") == term_key("I(x ** 2)")
    (True, True)
    """
    if label in INTERCEPTS:
        return (INTERCEPTS[0],)
    return tuple(sorted(_spelled(part) for part in _factors(label)))


def position_of(term: str, terms: Sequence[str]) -> int | None:
    """Index of the same term, whatever its spelling; None if it is not there, or there twice."""
    if term in terms:
        return terms.index(term)
    found = [i for i, each in enumerate(terms) if term_key(each) == term_key(term)]
    return found[0] if len(found) == 1 else None


def _factors(label: str) -> list[str]:
    """Split at colons that stand in no brackets, quotation marks or backticks."""
    parts, depth, quote = [""], 0, ""
    for sign in label:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "`'\"":
            quote = sign
        else:
            depth += (sign in "([") - (sign in ")]")
        if sign == ":" and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _spelled(factor: str) -> str:
    """One spelling of a function, what follows it (a category, a number) kept."""
    called = _CALL.fullmatch(factor.strip())
    return canonical(called[1]) + called[2] if called else factor.strip()
