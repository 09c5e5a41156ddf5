"""Parts of what people read: the nearest valid name, lists of names, numbers in tables."""

import difflib
from collections.abc import Iterable
from typing import Any

import pandas as pd

#: Columns of chances that are never nothing, however small.
CHANCES = ("p_value", "p", "chi2_p", "ecdf_p")


def did_you_mean(name: Any, valid: Iterable[Any]) -> str:
    """Sentence with the valid names nearest to a mistyped one; empty if none is near.

    Examples
    --------
    >>> did_you_mean("popularr", ["popular", "school"])
    " Did you mean 'popular'?"
    """
    lowered = {str(candidate).lower(): str(candidate) for candidate in valid}
    near = difflib.get_close_matches(str(name).lower(), lowered, n=3, cutoff=0.6)
    if not near:
        return ""
    return f" Did you mean {' or '.join(repr(lowered[match]) for match in near)}?"


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


def p_value(p: float, digits: int = 4) -> str:
    """Write a p value with some decimals; one that would be written as 0 as below what.

    Examples
    --------
    >>> p_value(0.03214), p_value(1e-20), p_value(0.0)
    ('0.0321', '< 0.0001', '< 0.0001')
    """
    if p != p:
        return "NaN"
    return f"< {10**-digits:.{digits}f}" if round(p, digits) == 0 else f"{p:.{digits}f}"


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
        if (shown[name] == 0).any():
            shown[name] = [p_value(p, digits) for p in data[name]]
    return shown
