"""The user's names where trees and files have rules of their own: made safe, and back again.

A tree and a netCDF file forbid some names (empty, ``..``, with a slash or a null byte) and use
others themselves (``row``, ``chain``). Every name gets one that is allowed and told apart from
all others, from which the user's own can be read back; ordinary names stay as they are. What is
escaped stands between backquotes as the hexadecimal number of its character; a slash becomes
``∕``; a backquote at the end only marks a name that would otherwise be taken.
"""

import re
import unicodedata
from collections.abc import Container

MARK = "`"
SLASH = "∕"

#: What no text of a file can hold: a null byte ends it, half a surrogate pair is no character.
_NO_TEXT = re.compile(f"[\0\ud800-\udfff{MARK}]")

#: What netCDF does not allow in a name, and what a reader of it would take for something else.
_NO_NAME = re.compile(rf"[\x01-\x1f\x7f-\x9f{SLASH}]|^\s+|\s+$|^_(?=nc4_)")

_ESCAPED = re.compile(f"{MARK}([0-9a-f]+){MARK}")
_MARKED = re.compile(f"({MARK}[0-9a-f]+{MARK})|{MARK}$")
_DOT = f"{MARK}{ord('.'):x}{MARK}"


def safe_text(text: str) -> str:
    r"""Text as an attribute or a label of a file can hold it; `original_text` is the way back.

    Examples
    --------
    >>> safe_text("a/b"), safe_text("a\0b")
    ('a/b', 'a`0`b')
    """
    return _NO_TEXT.sub(_escaped, text)


def original_text(text: str) -> str:
    """Text that `safe_text` was given.

    Examples
    --------
    >>> original_text("a`60`b")
    'a`b'
    """
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def safe_name(name: str, taken: Container[str] = ()) -> str:
    """Name of a variable in a tree and in a netCDF file; different for different names.

    Parameters
    ----------
    name
        The user's.
    taken
        Names that something else has there: dimensions, and what goes by the package's own words.

    Returns
    -------
    str
        `name` itself if it is an ordinary one and not taken.

    Examples
    --------
    >>> safe_name("weight"), safe_name("kg/m"), safe_name("row", {"row", "chain"}), safe_name("")
    ('weight', 'kg∕m', 'row`', '`')
    """
    return _marked(_allowed(name), taken)


def original_name(name: str) -> str:
    """Name that `safe_name` was given.

    Examples
    --------
    >>> original_name("kg∕m"), original_name("row`"), original_name("`2215`")
    ('kg/m', 'row', '∕')
    """
    return _read(_unmarked(name))


def safe_pair(target: str, quantity: str, taken: Container[str] = ()) -> str:
    """Name of a quantity of a column: ``"<target>.<quantity>"``; different for different pairs.

    Examples
    --------
    >>> safe_pair("bmi", "beta"), safe_pair("x", "a.b"), safe_pair("x.a", "b")
    ('bmi.beta', 'x.a`2e`b', 'x.a.b')
    """
    return _marked(f"{_allowed(target)}.{_allowed(quantity).replace('.', _DOT)}", taken)


def original_pair(name: str) -> tuple[str, str]:
    """Column and quantity that `safe_pair` was given.

    Examples
    --------
    >>> original_pair("x.a.b"), original_pair("diverging")
    (('x.a', 'b'), ('diverging', ''))
    """
    target, dot, quantity = _unmarked(name).rpartition(".")
    return (_read(target), _read(quantity)) if dot else (_read(quantity), "")


def _allowed(name: str) -> str:
    """Without the characters that a name cannot have."""
    allowed = _NO_NAME.sub(_escaped, safe_text(name)).replace("/", SLASH)
    if not unicodedata.is_normalized("NFC", allowed):  # readers compose, and would join twins
        allowed = re.sub(f"[^\0-\x7f{SLASH}]", _escaped, allowed)
    return allowed


def _read(allowed: str) -> str:
    return original_text(allowed.replace(SLASH, "/"))


def _marked(allowed: str, taken: Container[str]) -> str:
    return allowed + MARK if allowed in ("", ".", "..") or allowed in taken else allowed


def _unmarked(name: str) -> str:
    return _MARKED.sub(r"\1", name)


def _escaped(found: "re.Match[str]") -> str:
    return "".join(f"{MARK}{ord(character):x}{MARK}" for character in found[0])
