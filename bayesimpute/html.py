"""HTML by hand: everything is escaped, numbers are rounded to what they tell."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.wording import CHANCES, rounded, visible

#: Tables of notebook representations are cut after so many rows.
MOST_ROWS = 30


class Html(str):
    """Markup, not to be escaped again."""

    __slots__ = ()


def safe(value: Any) -> Html:
    """Give markup as it is, anything else as text in which ``<``, ``&`` and quotes are harmless.

    Examples
    --------
    >>> safe("a < b")
    'a &lt; b'
    """
    return value if isinstance(value, Html) else Html(escape(visible(value)))


def tag(name: str, *content: Any, **attributes: str | None) -> Html:
    """Element with its content one after the other; attributes that are None are left out.

    A trailing underscore of an attribute goes (``class_``), others become hyphens.

    Examples
    --------
    >>> tag("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{safe(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>{''.join(map(safe, content))}</{name}>")


def join(parts: Iterable[Any], between: str = "") -> Html:
    """Parts one after the other."""
    return Html(safe(between).join(map(safe, parts)))


def number(value: Any, digits: int = 4) -> str:
    """Give a number with some significant digits; whole numbers in full, an en dash for NaN.

    Examples
    --------
    >>> number(0.0123456), number(1234567), number(-2.5), number(float("nan"))
    ('0.01235', '1,234,567', '−2.5', '–')
    """
    value = float(value)
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == round(value) and abs(value) < 1e12:
        text = f"{value:,.0f}"
    elif abs(value) >= 10 ** (digits - 1) and abs(value) < 1e12:
        text = f"{value:,.{1 if abs(value) < 10**digits else 0}f}"
    else:
        text = f"{value:.{digits}g}"
    return text.replace("-", "−")


def decimals(value: Any, places: int) -> str:
    """Give a number with a fixed number of decimals; an en dash for NaN."""
    value = float(value)
    if not np.isfinite(value):
        return number(value)
    return f"{value:,.{places}f}".replace("-", "−")


def percent(share: float) -> str:
    """Give a share as a percentage; what is neither nothing nor all never rounds to either.

    Examples
    --------
    >>> percent(0.123), percent(0.00001), percent(0.99999), percent(0)
    ('12.3 %', '< 0.1 %', '> 99.9 %', '0 %')
    """
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.3g} %"


def cell(value: Any) -> Any:
    """Content of a table's cell: numbers rounded, nothing for what is missing."""
    if isinstance(value, Html | str):
        return value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.number):
        return number(value)
    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    return value


def table(
    columns: Sequence[Any],
    rows: Iterable[Sequence[Any]],
    numeric: Iterable[int] = (),
    caption: Any = None,
    class_: str | None = None,
) -> Html:
    """Table whose first column heads its rows.

    Parameters
    ----------
    columns
        Headings.
    rows
        One cell a column.
    numeric
        Positions of the columns set flush right.
    caption
        Shown above.
    class_
        CSS class.
    """
    right = set(numeric)
    style = [("text-align:right" if k in right else "text-align:left") for k in range(len(columns))]
    head = join(
        tag("th", name, scope="col", style=look) for name, look in zip(columns, style, strict=True)
    )
    body = []
    for row in rows:
        first, *others = row
        cells = [tag("th", cell(first), scope="row", style=style[0])]
        cells += [
            tag("td", cell(value), style=look)
            for value, look in zip(others, style[1:], strict=True)
        ]
        body.append(tag("tr", *cells))
    return tag(
        "table",
        tag("caption", caption) if caption is not None else "",
        tag("thead", tag("tr", head)),
        tag("tbody", *body),
        class_=class_,
    )


def frame(
    data: pd.DataFrame, most: int | None = MOST_ROWS, caption: Any = None, index: bool | None = None
) -> Html:
    """Frame as a table; says how many rows it leaves out.

    Parameters
    ----------
    data
        With one level of columns.
    most
        Rows shown; None for all.
    caption
        Shown above.
    index
        Whether the index is the first column; by default if it is more than a count of rows.
    """
    if index is None:
        index = not isinstance(data.index, pd.RangeIndex)
    shown = data if most is None else data.iloc[:most]
    flat = shown.reset_index() if index else shown
    numeric = [
        k for k in range(flat.shape[1]) if pd.api.types.is_numeric_dtype(flat.dtypes.iloc[k])
    ]
    for name in flat.columns.intersection(pd.Index(CHANCES)):
        if (flat[name] < 1e-300).any():  # what underflows is small, and not nothing
            flat = flat.assign(**{name: ["< 1e-300" if p < 1e-300 else p for p in flat[name]]})
    columns = ["" if index and data.index.name is None and k == 0 else name
               for k, name in enumerate(flat.columns)]  # fmt: skip
    drawn = table(columns, flat.itertuples(index=False, name=None), numeric, caption)
    left = len(data) - len(shown)
    return join([drawn, tag("p", f"… and {left:,} more rows") if left else ""])


def printed(data: pd.DataFrame, digits: int | None = None, index: bool = True) -> Html:
    """Frame as pandas draws it, of any index and columns, names escaped and numbers rounded.

    Parameters
    ----------
    data
        Any frame.
    digits
        Decimals; None for pandas' own.
    index
        Whether the index is shown.
    """
    shown = data if digits is None else rounded(data, digits)
    return Html(visible(shown.to_html(index=index, escape=True)))


def fields(value: Any) -> str:
    """Attributes of a small dataclass as a table, those that are not their defaults."""
    rows = []
    for field in dataclasses.fields(value):
        given = getattr(value, field.name)
        if isinstance(given, Mapping):
            given = ", ".join(f"{key}: {cell(each)}" for key, each in given.items())
        if given != field.default and given not in ("", ()):
            rows.append((field.name, given))
    return plain(type(value).__name__, table(["", "value"], rows))


def plain(heading: str, *parts: Any) -> str:
    """Heading and parts, for ``_repr_html_``."""
    return str(tag("div", tag("p", heading), *parts))


class Told:
    """Base of results that say what they are: as text in a console, as HTML in a notebook."""

    def _said(self) -> Iterable[str | pd.DataFrame]:
        """Give a heading, then tables and sentences, in their order."""
        raise NotImplementedError

    def __repr__(self) -> str:
        text = ""
        for part in self._said():
            table = isinstance(part, pd.DataFrame)
            between = "\n\n" if table and text.count("\n") else "\n" if text else ""
            text += between + (part.to_string() if isinstance(part, pd.DataFrame) else part)
        return visible(text)

    def _repr_html_(self) -> str:
        heading, *parts = self._said()
        return plain(
            str(heading),
            *(printed(p) if isinstance(p, pd.DataFrame) else tag("p", p) for p in parts),
        )
