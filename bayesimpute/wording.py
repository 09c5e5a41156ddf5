"""Parts of error messages: the nearest valid name, and lists of names."""

import difflib
from collections.abc import Iterable
from typing import Any


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
