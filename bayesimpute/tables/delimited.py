"""Tables of text: separator, decimal point, encoding and names found by looking.

A file that is misread gives imputations of something else, so what is unclear is refused in a
sentence, and what was decided is said.
"""

import bz2
import csv
import gzip
import io
import lzma
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pandas as pd

from bayesimpute.errors import DataError
from bayesimpute.wording import listed, one_line

#: Fields that are missing values; never "None", which is a label in real data.
MISSING = (
    "", "NA", "NaN", "nan", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NULL", "null", ".",
)  # fmt: skip
SEPARATORS = ",;\t|"
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
}
#: Lines by which a file is judged.
LOOKED_AT, MOST_LOOKED_AT = 200, 1 << 20
#: How files begin that are no text of columns, whatever their names say.
NO_TABLES = {
    b"PAR1": "a Parquet file: give it the ending .parquet",
    b"PK\x03\x04": "an Excel workbook or a zip archive: give it the ending .xlsx or .zip",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: give it the ending .xls",
    b"%PDF": "a PDF document: save the table as CSV",
    b"<?xml": "XML: save the table as CSV",
    b"<!doctype": "a web page, perhaps an error message of a server: download the table again",
    b"<html": "a web page, perhaps an error message of a server: download the table again",
    b"RDX": "R data: save the table as CSV, by R's write.csv",
    b"X\n\x00\x00": "R data: save the table as CSV, by R's write.csv",
    b"{": "JSON: save the table as CSV",
    b"[": "JSON: save the table as CSV",
}
#: Marks of thousands.
THOUSANDS = (",", ".", "'", "\N{RIGHT SINGLE QUOTATION MARK}", " ", "\N{NO-BREAK SPACE}")
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?")
THREE_DIGITS = re.compile(r"^[-+]?[1-9]\d{0,2}[.,]\d{3}$")
DOTTED_DATE = re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}")


def read_delimited(
    path: Path,
    separator: str | None,
    decimal: str | None,
    encoding: str | None,
    na: Sequence[str],
    said: list[str],
) -> pd.DataFrame:
    """Read a table of text; parameters are those of `bayesimpute.tables.read_write.read_table`.

    Raises
    ------
    DataError
        If it is no text, or not the table that its first line says.
    """
    text = decoded(path, encoding)
    lines = [line for line in text[:MOST_LOOKED_AT].splitlines()[:LOOKED_AT] if line.strip()]
    if not lines:
        raise DataError(f"{str(path)!r} is empty; give a table with names in its first line.")
    if len(text) > MOST_LOOKED_AT and len(lines) > 1:
        lines = lines[:-1]  # which may be half a line
    plain = [line for line in lines if not line.startswith("#")] or lines
    if separator is None:
        tab = path.name.lower().removesuffix(".gz").endswith(".tsv")
        separator = "\t" if tab else _separator(plain)
    separator = {"tab": "\t", "\\t": "\t", "space": " "}.get(separator, separator)
    comments = _comments(lines, separator)
    text, lines = _without_lines(text, comments), lines[comments:]
    if decimal is None:
        decimal = _decimal(lines, separator, said)
    names, trailing = _names(path, _fields(lines, separator), said)
    options: dict[str, Any] = dict(
        sep=separator, decimal=decimal, keep_default_na=False,
        na_values=[*MISSING, *na], skipinitialspace=True, index_col=False if trailing else None,
        low_memory=False,  # or a column is read in pieces, with numbers in one and texts in another
    )  # fmt: skip
    frame = pd.read_csv(io.StringIO(text), **options)
    end = rf'[\r\n "{re.escape(separator)}]'
    if re.search(rf"{end}0\d+({end}|$)", text):
        _keep_zeros(frame, pd.read_csv(io.StringIO(text), dtype=str, **options), said)
    frame = named(path, frame.rename(columns=str.strip), names)
    for name in frame.columns:
        column = without_blanks(frame[name], na)
        frame[name] = understood(str(name), column, decimal, said)
    return frame


def decoded(path: Path, encoding: str | None) -> str:
    """Give the text of a file, compressed or not.

    Raises
    ------
    DataError
        If it is none.
    """
    content = path.read_bytes()
    if path.suffix.lower() == ".zip":
        with ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if len(names) != 1:
                raise DataError(f"{str(path)!r} holds {len(names)} files; give one table.")
            content = archive.read(names[0])
    elif path.suffix.lower() in DECOMPRESS:
        content = DECOMPRESS[path.suffix.lower()](content)
    elif content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    if encoding is not None:
        return content.decode(encoding)
    begins = content[:64].lstrip().lower()
    for beginning, what in NO_TABLES.items():
        if begins.startswith(beginning.lower()):
            raise DataError(f"{str(path)!r} is {what}.")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    start = content[:4096]
    for order, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if zeros.count(0) > 0.4 * len(zeros):
            return content.decode(order)
    if any(byte < 32 and byte not in b"\t\n\r\f\x1a" for byte in start):
        raise DataError(f"{str(path)!r} holds binary data and no text; give a table.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        raise DataError(
            f"{str(path)!r} is text neither in UTF-8 nor in Windows' encoding; say which it is: "
            "encoding (--encoding), such as latin-1 or shift-jis."
        ) from None


def _fields(lines: Sequence[str], separator: str) -> list[list[str]]:
    try:
        rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    except (csv.Error, TypeError):  # a separator of several characters is a pattern
        return []
    # where a row has several lines, the last one looked at may be cut off in the middle of one
    return rows[:-1] if 2 < len(rows) < len(lines) else rows


def _separator(lines: Sequence[str]) -> str:
    """Separator that gives all lines the same number of fields, the most of several."""

    def fitness(separator: str) -> tuple[bool, int]:
        widths = {len(fields) for fields in _fields(lines, separator)}
        width = min(widths, default=1)
        return len(widths) == 1 and width > 1, width

    best = max(SEPARATORS, key=fitness)
    if fitness(best)[1] > 1:
        return best
    return " " if fitness(" ")[0] else ","


def _decimal(lines: Sequence[str], separator: str, said: list[str]) -> str:
    """Give a comma, if more fields of numbers have one than a point.

    Where both occur, and the one always before three digits, it marks thousands.
    """
    if separator == ",":
        return "."
    fields = [field.strip() for row in _fields(lines[1:], separator) for field in row]
    commas, points = ([f for f in fields if _is_decimal(f, mark)] for mark in ",.")
    groups, others = (all(map(THREE_DIGITS.search, found)) for found in (commas, points))
    if commas and points and groups != others:
        return "." if groups else ","
    if commas and groups and not points:
        said.append(
            f"Numbers such as {commas[0]} are taken to have a decimal comma; if it marks "
            "thousands, say so: --decimal '.'."
        )
    return "," if len(commas) > len(points) else "."


def _is_decimal(field: str, mark: str) -> bool:
    whole, found, fraction = field.lstrip("+-").partition(mark)
    return bool(found) and (whole.isdigit() or not whole) and fraction.isdigit()


def _comments(lines: Sequence[str], separator: str) -> int:
    """Count the lines before the names that are remarks: they have other fields than the table."""
    count = next((k for k, line in enumerate(lines) if not line.startswith("#")), 0)
    widths = [len(row) for row in _fields(lines[: count + 1], separator)]
    return next((k for k in range(count) if widths[k:] == widths[-1:] * (count + 1 - k)), count)


def _without_lines(text: str, count: int) -> str:
    """Text after its first lines that are not blank."""
    kept = text.splitlines(keepends=True)
    while count:
        count -= bool(kept.pop(0).strip())
    return "".join(kept)


def _names(path: Path, rows: list[list[str]], said: list[str]) -> tuple[list[str], bool]:
    """Give the names in the first line, and whether lines end with a separator more than it."""
    if not rows:
        return [], False
    names, rest = [name.strip() for name in rows[0]], rows[1:]
    longer = [row for row in rest if len(row) > len(names)]
    one_more = all(len(row) == len(names) + 1 for row in longer)
    trailing = bool(longer) and one_more and not any(row[-1].strip() for row in longer)
    labelled = one_more and len(longer) == len(rest)  # R writes names of rows so
    if longer and not (trailing or labelled):
        most = max(map(len, longer))
        shown = one_line(" | ".join(next(row for row in longer if len(row) == most)))[:60]
        raise DataError(
            f"{str(path)!r} has {len(names)} names in its first line ({listed(names)}), and up to "
            f"{most} fields in others ({shown!r}). Names of columns must stand in "
            "the first line, and text that has the separator in it between quotes."
        )
    for name in names:
        if name and names.count(name) > 1:
            raise DataError(
                f"{str(path)!r} has the name {name!r} {names.count(name)} times in its first line; "
                "rename the columns."
            )
    if sum(map(_is_number, names)) > len(names) / 2 and not all(map(str.isdigit, names)):
        said.append(
            f"The first line is taken for names of columns ({listed(names)}); if it is data, put "
            "names before it."
        )
    return names, trailing


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[-+]?\d*[.,]?\d+", text))


def named(path: Path, frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Take a first column without a name for labels of the rows, and leave out empty ones."""
    if len(names) != frame.shape[1]:
        return frame
    nameless = [k for k, name in enumerate(names) if not name]
    empty = [k for k in nameless if frame.iloc[:, k].isna().all()]
    for k in nameless:
        if k in empty:
            continue
        if k or not frame.iloc[:, 0].is_unique:
            raise DataError(
                f"{str(path)!r} has no name for its column {k + 1} in its first line; give it one."
            )
    left = frame.drop(columns=frame.columns[empty])
    if nameless and nameless[0] == 0 and 0 not in empty and left.shape[1] > 1:
        left = left.set_index(left.columns[0]).rename_axis(None)
    return left


def _keep_zeros(frame: pd.DataFrame, texts: pd.DataFrame, said: list[str]) -> None:
    """Leave columns as text in which zeros in front tell values apart, such as ids 1 and 01."""
    for place, name in enumerate(frame.columns):
        numbers, written = frame.iloc[:, place], texts.iloc[:, place].dropna().str.strip()
        if pd.api.types.is_string_dtype(numbers) or not written.str.match(r"0\d+$").any():
            continue
        example = written[written.str.match(r"0\d+$")].iloc[0]
        if written.nunique() > numbers.nunique():
            frame[name] = texts[name]
            said.append(
                f"Column {name!r} has values that differ by zeros in front only, such as "
                f"{example!r}, and is taken for text."
            )
        else:
            said.append(
                f"Column {name!r} is of numbers; zeros in front, as in {example}, are lost."
            )


def without_blanks(column: "pd.Series[Any]", na: Sequence[str]) -> "pd.Series[Any]":
    """Leave out blanks at the ends of texts: no label differs from another by them alone."""
    if not pd.api.types.is_string_dtype(column):
        return column
    column = column.str.strip()
    return column.mask(column.isin([*MISSING, *na]))


def understood(
    name: str, column: "pd.Series[Any]", decimal: str, said: list[str]
) -> "pd.Series[Any]":
    """Give text as numbers or dates, where all of it is such."""
    if not pd.api.types.is_string_dtype(column) or column.isna().all():
        return column
    seen = [str(text).strip() for text in column.dropna().unique()]
    mark = re.escape(decimal)
    if all(re.fullmatch(rf"[-+]?\d+({mark}\d+)?\s*%", text) for text in seen):
        said.append(f"Column {name!r} is in per cent; 12 % is the number 12.")
        return _as_numbers(column, [r"\s*%$"], decimal)
    for thousands in THOUSANDS:
        group = rf"[-+]?\d{{1,3}}({re.escape(thousands)}\d{{3}})*({mark}\d+)?|[-+]?\d+({mark}\d+)?"
        grouped = any(thousands in text for text in seen)
        if thousands != decimal and grouped and all(re.fullmatch(group, each) for each in seen):
            said.append(f"Column {name!r} has thousands marked by {thousands!r}.")
            return _as_numbers(column, [re.escape(thousands)], decimal)
    for point in (decimal, *",."):
        fraction = rf"{re.escape(point)}\d+"  # longer numbers are ids, which rounding would join
        number = rf"[-+]?(?!0\d)(\d{{1,15}}({fraction})?|{fraction})([eE][-+]?\d+)?"
        if all(re.fullmatch(number, text) for text in seen):
            if point != decimal:
                said.append(f"Column {name!r} has numbers with the decimal sign {point!r}.")
            return _as_numbers(column, [], point)
    for pattern, form in ((ISO_DATE, "ISO8601"), (DOTTED_DATE, "%d.%m.%Y")):
        if all(pattern.fullmatch(text) for text in seen):
            dates = pd.to_datetime(column.str.strip(), format=form, errors="coerce")
            return dates if dates.isna().sum() == column.isna().sum() else column
    return column


def _as_numbers(column: "pd.Series[Any]", left_out: list[str], decimal: str) -> "pd.Series[Any]":
    for pattern in left_out:
        column = column.str.replace(pattern, "", regex=True)
    return pd.to_numeric(column.str.strip().str.replace(decimal, "."))
