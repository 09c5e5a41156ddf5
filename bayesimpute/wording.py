"""Parts of what people read: the nearest valid name, lists of names, numbers in tables."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

#: Columns of p values, ours and those that other packages write: none is nothing, however small.
CHANCES = (
    "p_value", "p", "p_cluster", "chi2_p", "ecdf_p", "pvalue", "pvalues", "pval", "p-value",
    "p-val", "p.value", "P>|t|", "P>|z|", "Pr(>|t|)", "Pr(>|z|)", "Pr(>F)", "PR(>F)",
)  # fmt: skip
#: What stands for a p value below it, which no float holds with all its digits.
LEAST_CHANCE = float(np.finfo(np.float64).tiny)


#: What a terminal obeys (escapes), rare line breaks, what turns the text around it (marks of
#: direction), and what no encoding holds (half a surrogate pair); not line breaks and tabs.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_BREAKS = re.compile("[\t\n]")


def visible(text: Any) -> str:
    r"""Text for a screen: what would steer it is written as Python writes it, line breaks stay.

    Examples
    --------
    >>> print(visible("\x1b[2J is shown"))
    \x1b[2J is shown
    """
    return _UNSEEN.sub(_escaped, str(text))


def one_line(text: Any) -> str:
    r"""Give a name as a part of a line: as `visible`, and it begins no line of its own.

    Examples
    --------
    >>> print(one_line("two\nlines"))
    two\nlines
    """
    return _BREAKS.sub(_escaped, visible(text))


def _escaped(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


def did_you_mean(name: Any, valid: Iterable[Any]) -> str:
    """Sentence with the valid names nearest to a mistyped one; empty if none is near.

    Examples
    --------
    >>> did_you_mean("popularr", ["popular", "school"])
    " Did you mean 'popular'?"
    """
    near = _near(name, map(str, valid))
    return f" Did you mean {near}?" if near else ""


def nearest(name: Any, known: Iterable[Any]) -> str:
    """Give the same as the end of a sentence, with its mark; if no name is near, what is known.

    Examples
    --------
    >>> nearest("popularr", ["popular", "school"]), nearest("x", ["popular", "school"])
    ("; did you mean 'popular'?", '; there are popular, school.')
    """
    names = [str(each) for each in known]
    if near := _near(name, names):
        return f"; did you mean {near}?"
    return f"; there are {', '.join(names[:12])}{', …' * (len(names) > 12)}." if names else "."


def _near(name: Any, valid: Iterable[str]) -> str:
    lowered = {each.lower(): each for each in valid}
    near = difflib.get_close_matches(str(name).lower(), lowered, n=3, cutoff=0.6)
    return " or ".join(repr(lowered[match]) for match in near)


def listed(names: Iterable[Any], most: int = 5) -> str:
    """Names in quotes with commas, shortened after `most`.

    Examples
    --------
    >>> listed(["a", "b"])
    "'a', 'b'"
    """
    quoted = [repr(str(name)) for name in names]
    if len(quoted) > most:
        return f"{', '.join(quoted[:most])} and {len(quoted) - most} more"
    return ", ".join(quoted)


def numbers(values: Iterable[float]) -> list[str]:
    """Write numbers that stand side by side in six digits, or as many more as tell them apart.

    Whole ones below ten million have all their digits.

    Examples
    --------
    >>> numbers([0.1, 1 / 3]), numbers([1e6, 1000001]), numbers([20200101.0, 20200102])
    (['0.1', '0.333333'], ['1000000', '1000001'], ['20200101', '20200102'])
    """
    values = [float(value) for value in values]
    texts: list[str] = []
    for digits in range(6, 18):
        texts = [
            f"{v:.0f}" if v.is_integer() and abs(v) < 1e7 else f"{v:.{digits}g}" for v in values
        ]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def not_zero(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """P values, of which none is 0: what underflows is raised to 2.2e-308, the least normal float.

    Examples
    --------
    >>> not_zero([0.5, 0.0])
    array([5.00000000e-001, 2.22507386e-308])
    """
    return np.maximum(np.asarray(p, dtype=np.float64), LEAST_CHANCE)


def p_value(p: float, digits: int = 4) -> str:
    """Write a p value with some decimals; one below the last of them as below what.

    Examples
    --------
    >>> p_value(0.03214), p_value(1e-20), p_value(0.0)
    ('0.0321', '< 0.0001', '< 0.0001')
    """
    if p != p:
        return "NaN"
    least = 10**-digits
    return f"< {least:.{digits}f}" if p < least else f"{p:.{digits}f}"


def p_statement(p: float, digits: int = 4) -> str:
    """Write what a p value is.

    Examples
    --------
    >>> p_statement(0.03214), p_statement(1e-20, 3)
    ('p = 0.0321', 'p < 0.001')
    """
    text = p_value(p, digits)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def rounded(data: pd.DataFrame, digits: int) -> pd.DataFrame:
    """Round a table for reading, in which no p value is 0.

    Examples
    --------
    >>> rounded(pd.DataFrame({"df": [3.14159, 8], "p_value": [0.5, 1e-9]}), 3)
          df  p_value
    0  3.142    0.500
    1  8.000  < 0.001
    """
    shown = data.round(digits)
    for name in shown.columns.intersection(pd.Index(CHANCES)):
        if (data[name] < 10**-digits).any():
            shown[name] = [p_value(p, digits) for p in data[name]]
    return shown
