"""What in a table may be otherwise than its reader thinks: said, before it is imputed."""

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from bayesimpute.wording import listed

#: Labels that may mean that a value is missing.
LIKE_MISSING = ("missing", "unknown", "?", "-", "--", "n.a.", "na", "not available")
#: Numbers that often mean it.
CODE = re.compile(r"-?(9+|8+|7+)(\.0)?")
#: Rows from which on ids are told from values.
ENOUGH_ROWS = 10
#: So many different numbers are no codes of categories.
MANY_NUMBERS = 20


def spoilt_numbers(frame: pd.DataFrame) -> Iterator[tuple[str, list[str]]]:
    """Columns that are numbers but for a few texts, such as "missing", with these texts."""
    for name, column in frame.items():
        if isinstance(column.dtype, pd.CategoricalDtype) or not pd.api.types.is_string_dtype(
            column
        ):
            continue
        seen = column.dropna()
        commas = (seen.str.count(",") < 2).all()  # else they are between the items of a list
        numbers = pd.to_numeric(seen.str.replace(",", ".") if commas else seen, errors="coerce")
        known = numbers.dropna()
        measured = known.nunique() > MANY_NUMBERS or (known != known.round()).any()
        if len(known) < len(seen) and 2 * len(known) >= len(seen) and measured:
            yield str(name), sorted(map(str, seen[numbers.isna()].unique()))


def notes_on(frame: pd.DataFrame) -> Iterator[str]:
    """Say what a user may not expect of a table that was read."""
    if frame.shape[1] == 1:
        yield from _hidden_separator(frame)
    spoilt = dict(spoilt_numbers(frame))
    for name, texts in spoilt.items():
        yield f"Column {name!r} is of numbers, but for {listed(texts)}, and so taken for text."
    for label_of_column, column in frame.items():
        name = str(label_of_column)
        if pd.api.types.is_string_dtype(column):
            if (column == "None").any():
                yield f"Column {name!r} has the label None, which is a category and not a gap."
            labels = [each for each in column.dropna().unique() if each.lower() in LIKE_MISSING]
            for label in labels if name not in spoilt else ():
                yield (
                    f"Column {name!r} has the label {label!r}; if it means that the value is "
                    f"missing, say so: --na {label!r}."
                )
        else:
            yield from _codes(name, column)
        if _tells_rows_apart(column):
            yield (
                f"Column {name!r} tells the rows apart; if it only names them, leave it out: "
                f"--exclude {name!r}."
            )


def _hidden_separator(frame: pd.DataFrame) -> Iterator[str]:
    """Say which sign stands as often in the one name as in each value, as a separator does."""
    name, values = str(frame.columns[0]), frame.iloc[:, 0].dropna().astype(str)
    for sign in dict.fromkeys(re.findall(r"[^\w\s.-]", name)):
        if len(values) and (values.str.count(re.escape(sign)) == name.count(sign)).all():
            yield (
                f"There is one column, {name!r}; if {sign!r} stands between several, say so: "
                f"--separator {sign!r}."
            )


def _codes(name: str, column: "pd.Series[Any]") -> Iterator[str]:
    """Numbers at an end, far from all others, that are written as codes are."""
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        return
    seen = column.dropna().astype(float)
    for code in {seen.min(), seen.max()} if len(seen) else ():
        rest, times = seen[seen != code], int((seen == code).sum())
        if times < 2 or rest.empty or not CODE.fullmatch(f"{code:g}"):
            continue
        if (rest - code).abs().min() > rest.max() - rest.min():
            yield (
                f"Column {name!r} is {code:g} in {times} rows, far from all other values "
                f"({rest.min():g} to {rest.max():g}); if that means missing, say so: --na {code:g}."
            )


def _tells_rows_apart(column: "pd.Series[Any]") -> bool:
    whole, text = (
        of(column) for of in (pd.api.types.is_integer_dtype, pd.api.types.is_string_dtype)
    )
    if not (whole or text) or len(column) < ENOUGH_ROWS or column.hasnans or not column.is_unique:
        return False
    return text or bool(column.max() - column.min() == len(column) - 1)
