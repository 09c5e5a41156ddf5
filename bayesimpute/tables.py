"""Tables on disk: read whatever made them, and completed data written for other programs."""

import bz2
import csv
import gzip
import io
import lzma
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pandas as pd

from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.files import check_target, place, write

#: Fields of a text file that are missing values; never "None", which is a label in real data.
MISSING = ("", "NA", "NaN", "nan")
SEPARATORS = ",;\t|"
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
}
COMPRESSED = (*DECOMPRESS, ".zip")
#: By which the form of a file is known.
TEXT = (".csv", ".tsv", ".txt", ".dat")
#: Other forms: what reads them, and the package that pandas needs for it.
OTHER = {
    ".parquet": ("read_parquet", "pyarrow"),
    ".dta": ("read_stata", ""),
    ".sav": ("read_spss", "pyreadstat"),
    ".zsav": ("read_spss", "pyreadstat"),
    ".xlsx": ("read_excel", "openpyxl"),
    ".xls": ("read_excel", "xlrd"),
}
#: Lines of a text file by which its separator is found.
LOOKED_AT, MOST_LOOKED_AT = 200, 1 << 20


def read_table(
    path: Path,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    na: Sequence[str] = (),
) -> pd.DataFrame:
    """Read a table of any form that pandas reads, known by the name of its file.

    Parameters
    ----------
    path
        ``.csv``, ``.tsv``, ``.txt`` (also ``.gz``, ``.bz2``, ``.xz``, ``.zip``), ``.parquet``,
        Stata's ``.dta``, SPSS' ``.sav``, Excel's ``.xlsx``. Other names are taken as text.
    separator, decimal, encoding
        Of text. Default: found by looking. A decimal comma is one where fields such as ``1,5``
        stand between other separators; what is no UTF-8 is taken as Windows' cp1252.
    na
        Further values that are missing, such as ``-99``, in any form of file.

    Returns
    -------
    pandas.DataFrame
        Empty fields, NA and NaN are missing; the label None is not.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If it cannot be read, with the reason.
    """
    path = place(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}; give the file of a table.")
    suffix = form_of(path)
    try:
        if suffix in OTHER:
            return _without(_by_pandas(path, suffix), na)
        return _text(path, separator, decimal, encoding, na)
    except DataError:
        raise
    except Exception as problem:  # readers raise whatever their format brings about
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        what = "a table of text" if suffix not in OTHER else f"a {suffix} file"
        raise DataError(f"{str(path)!r} cannot be read as {what}: {lines[0]}") from problem


def form_of(path: Path) -> str:
    """Give the ending of a name that says what form a file has, without that of compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while len(suffixes) > 1 and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _by_pandas(path: Path, suffix: str) -> pd.DataFrame:
    reader, package = OTHER[suffix]
    try:
        frame: pd.DataFrame = getattr(pd, reader)(path)
    except ImportError:
        raise DataError(
            f"Reading {suffix} files needs the package {package or 'pandas'}: pip install "
            f"{package}; or save the table as CSV."
        ) from None
    return frame


def _without(frame: pd.DataFrame, na: Sequence[str]) -> pd.DataFrame:
    """Set values missing that mean so, in columns of numbers and of text."""
    for text in na:
        number = _number(text)
        for name, column in frame.items():
            if pd.api.types.is_numeric_dtype(column.dtype):
                found = (column == number) if number is not None else None
            else:
                found = column.astype(object).astype(str) == text
            if found is not None and found.any():
                frame[name] = column.mask(found.fillna(False).astype(bool))
                dtype = frame[name].dtype
                if isinstance(dtype, pd.CategoricalDtype):
                    frame[name] = frame[name].cat.remove_unused_categories()
    return frame


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _text(
    path: Path,
    separator: str | None,
    decimal: str | None,
    encoding: str | None,
    na: Sequence[str],
) -> pd.DataFrame:
    text = _decoded(path, encoding)
    lines = [line for line in text[:MOST_LOOKED_AT].splitlines()[:LOOKED_AT] if line.strip()]
    if not lines:
        raise DataError(f"{str(path)!r} is empty; give a table with names in its first line.")
    if len(text) > MOST_LOOKED_AT and len(lines) > 1:
        lines = lines[:-1]  # which may be half a line
    if separator is None:
        separator = "\t" if form_of(path) == ".tsv" else _separator(lines)
    separator = {"tab": "\t", "\\t": "\t"}.get(separator, separator)
    if decimal is None:
        decimal = _decimal(lines, separator)
    return pd.read_csv(
        io.StringIO(text), sep=separator, decimal=decimal, keep_default_na=False,
        na_values=[*MISSING, *na], skipinitialspace=True,
    )  # fmt: skip


def _decoded(path: Path, encoding: str | None) -> str:
    """Text of a file, compressed or not."""
    content = path.read_bytes()
    if path.suffix.lower() == ".zip":
        with ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if len(names) != 1:
                raise DataError(f"{str(path)!r} holds {len(names)} files; give one table.")
            content = archive.read(names[0])
    elif path.suffix.lower() in DECOMPRESS:
        content = DECOMPRESS[path.suffix.lower()](content)
    if encoding is not None:
        return content.decode(encoding)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252")


def _fields(lines: Sequence[str], separator: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    except csv.Error:
        return []


def _separator(lines: Sequence[str]) -> str:
    """Separator that gives all lines the same number of fields, the most of several."""

    def fitness(separator: str) -> tuple[bool, int]:
        widths = {len(fields) for fields in _fields(lines, separator)}
        width = min(widths, default=1)
        return len(widths) == 1 and width > 1, width

    best = max(SEPARATORS, key=fitness)
    return best if fitness(best)[1] > 1 else ","


def _decimal(lines: Sequence[str], separator: str) -> str:
    """Give a comma, if fields of numbers have one and none has a point."""
    if separator == ",":
        return "."
    fields = [field.strip() for row in _fields(lines[1:], separator) for field in row]
    commas = sum(_is_decimal(field, ",") for field in fields)
    points = sum(_is_decimal(field, ".") for field in fields)
    return "," if commas > points else "."


def _is_decimal(field: str, mark: str) -> bool:
    whole, found, fraction = field.lstrip("+-").partition(mark)
    return bool(found) and (whole.isdigit() or not whole) and fraction.isdigit()


def notes_on(frame: pd.DataFrame) -> Iterator[str]:
    """Say what a user may not expect of a table that was read."""
    for name, column in frame.items():
        if pd.api.types.is_string_dtype(column.dtype) and (column == "None").any():
            yield f"Column {name!r} has the label None, which is a category and not a gap."


# --- writing --------------------------------------------------------------------------------------


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table in the form that the name of its file says, all or nothing.

    Parameters
    ----------
    frame
        The table; its index is not written.
    path
        ``.csv``, ``.tsv``, ``.txt`` (also ``.gz``), ``.parquet``, ``.dta`` or ``.xlsx``.

    Raises
    ------
    SpecificationError
        If the name says no such form, or a package for it lacks.
    DataError
        If the form cannot hold the table.
    """
    check_target(path)
    suffix, path = form_of(Path(path)), place(path)
    content, writer = io.BytesIO(), _writer(suffix, path)
    try:
        writer(frame, content)
    except ImportError as problem:
        package = OTHER[suffix][1]
        raise SpecificationError(
            f"Writing {suffix} files needs the package {package}: pip install {package}."
        ) from problem
    except (ValueError, TypeError, NotImplementedError) as problem:
        raise DataError(f"A {suffix} file cannot hold this table: {problem}") from problem
    write(path, content.getvalue())


def _writer(suffix: str, path: Path) -> Callable[[pd.DataFrame, Any], None]:
    if suffix in TEXT:
        tab = "\t" if suffix == ".tsv" else ","
        compression: Any = "gzip" if path.suffix.lower() == ".gz" else None
        # R takes an empty field of text for a text
        return lambda frame, to: frame.to_csv(
            to, index=False, sep=tab, compression=compression, na_rep="NA"
        )
    if suffix == ".parquet":
        return lambda frame, to: frame.to_parquet(to, index=False)
    if suffix == ".xlsx":
        return lambda frame, to: frame.to_excel(to, index=False)
    if suffix == ".dta":
        return _stata
    raise SpecificationError(
        f"{str(path)!r}: a table is written as .csv, .tsv, .txt, .parquet, .dta or .xlsx, by the "
        "ending of the name."
    )


def _stata(frame: pd.DataFrame, to: Any) -> None:
    """Stata has no missing texts and no truth values."""
    held = {}
    for name, column in frame.items():
        if pd.api.types.is_bool_dtype(column.dtype):
            column = column.astype("float64" if column.isna().any() else "int8")
        elif not isinstance(column.dtype, pd.CategoricalDtype) and (
            column.dtype == object or pd.api.types.is_string_dtype(column.dtype)
        ):
            column = column.astype(object).where(column.notna(), "").astype(str).astype(object)
        held[name] = column
    pd.DataFrame(held, index=frame.index).to_stata(to, write_index=False, version=118)
