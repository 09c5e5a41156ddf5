"""Tables on disk: read whatever made them, and completed data written for other programs."""

import io
import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.files import check_target, place, write
from bayesimpute.tables.delimited import (
    DECOMPRESS,
    MISSING,
    named,
    read_delimited,
    understood,
    without_blanks,
)
from bayesimpute.wording import listed

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


def read_table(
    path: Path,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    na: Sequence[str] = (),
    sheet: str | None = None,
    said: list[str] | None = None,
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
    sheet
        Of an Excel workbook; default, the first.
    said
        Takes sentences on what was decided.

    Returns
    -------
    pandas.DataFrame
        Empty fields, NA, NaN, n/a, null and a point alone are missing; the label None is not. Of
        text, in cells of Excel too: a first column without a name labels the rows; numbers with
        thousands marked or per cent, and dates as 2020-12-31 or 31.12.2020, are such. Of Stata and
        SPSS: columns all of whose values have labels are categories (ordered where SPSS says
        ordinal), others numbers; missing codes and empty texts are missing.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If it cannot be read, with the reason.
    """
    path = place(path)
    if not path.is_file():
        text = f"{str(path)!r} is a folder" if path.is_dir() else f"There is no file {str(path)!r}"
        raise FileNotFoundError(f"{text}; give the file of a table.")
    suffix, said = form_of(path), [] if said is None else said
    try:
        if suffix in OTHER:
            return _without(_by_pandas(path, suffix, sheet, said), na)
        return read_delimited(path, separator, decimal, encoding, na, said)
    except DataError:
        raise
    except Exception as problem:  # readers raise whatever their format brings about
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        lines[0] = lines[0].removeprefix("Error tokenizing data. C error: ")
        what = "a table of text" if suffix not in OTHER else f"a {suffix} file"
        raise DataError(f"{str(path)!r} cannot be read as {what}: {lines[0]}") from problem


def form_of(path: Path) -> str:
    """Give the ending of a name that says what form a file has, without that of compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while len(suffixes) > 1 and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _by_pandas(path: Path, suffix: str, sheet: str | None, said: list[str]) -> pd.DataFrame:
    reader, package = OTHER[suffix]
    read = getattr(pd, reader)
    try:
        if reader == "read_excel":
            return _sheet(path, sheet, said)
        if reader == "read_parquet":
            return pd.DataFrame(read(path))
        return _labelled(path, read, said)
    except ImportError:
        raise DataError(
            f"Reading {suffix} files needs the package {package or 'pandas'}: pip install "
            f'"bayesimpute[files]", or {package}; or save the table as CSV.'
        ) from None


def _sheet(path: Path, sheet: str | None, said: list[str]) -> pd.DataFrame:
    try:
        book = pd.ExcelFile(path)
    except ValueError:  # pandas wants an engine named
        raise DataError(
            f"{str(path)!r} is no Excel workbook; if it is text, give it the ending .csv."
        ) from None
    with book:
        names = [str(name) for name in book.sheet_names]
        if sheet is not None and sheet not in names:
            raise DataError(f"{str(path)!r} has no sheet {sheet!r}; there are {listed(names)}.")
        if sheet is None and len(names) > 1:
            said.append(
                f"{path.name} has {len(names)} sheets ({listed(names)}); the first is read, others "
                "by --sheet."
            )
        chosen = names[0] if sheet is None else sheet
        frame = pd.read_excel(
            book, chosen, keep_default_na=False, na_values=list(MISSING), dtype=object
        )
    # what pandas calls a column without a name; a title above the table leaves several
    frame.columns = pd.Index([str(name).strip() for name in frame])  # years are numbers there
    names = ["" if re.fullmatch(r"Unnamed: \d+", name) else name for name in map(str, frame)]
    frame = named(path, frame, names)
    frame.index = frame.index.infer_objects()
    for name in frame.columns:
        frame[name] = _of_one_kind(str(name), frame[name], said)
    return frame


def _of_one_kind(name: str, cells: "pd.Series[Any]", said: list[str]) -> "pd.Series[Any]":
    """Give numbers among texts as texts, all of which may be numbers."""
    kinds = {type(cell) for cell in cells.dropna()}
    if str not in kinds or not kinds <= {str, int, float}:
        return cells.infer_objects()
    return understood(name, without_blanks(cells.map(str, na_action="ignore"), ()), ".", said)


def _labelled(path: Path, read: Callable[..., pd.DataFrame], said: list[str]) -> pd.DataFrame:
    """Give codes as categories where all of them have labels."""
    frame = read(path, convert_categoricals=False)
    meant = frame.attrs
    labels, measure = meant.get("variable_value_labels", {}), meant.get("variable_measure", {})
    absent = _missing_codes(path) if labels else {}
    frame.attrs = {}
    try:
        categories = read(path, convert_categoricals=True)
    except ValueError as problem:  # labels that are the same for two codes
        said.append(f"Labels of values are left out: {str(problem).strip().splitlines()[0]}")
        categories = frame
    for name, column in categories.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            known = [label for label in column.cat.categories if isinstance(label, str)]
            if len(known) < len(column.cat.categories):
                said.append(
                    f"Column {name!r} has labels for some values only ({listed(known)}), and is "
                    "taken for numbers."
                )
                continue
            by_code = [
                str(label)
                for code, label in sorted(labels.get(name, {}).items())
                if not any(part["lo"] <= code <= part["hi"] for part in absent.get(str(name), ()))
            ]
            if set(known) <= set(by_code):
                column = column.cat.set_categories(by_code)
            ordinal = measure.get(name) == "ordinal"
            frame[name] = column.cat.as_ordered() if ordinal else column.cat.as_unordered()
        elif pd.api.types.is_string_dtype(column.dtype):
            frame[name] = column.mask(column.astype(object) == "")
    return frame


def _missing_codes(path: Path) -> dict[str, Any]:
    """Ranges of codes, by column, that SPSS counts as missing; pandas leaves them out."""
    import pyreadstat

    _, found = pyreadstat.read_sav(path, metadataonly=True, user_missing=True)
    return dict(found.missing_ranges)


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


# --- writing --------------------------------------------------------------------------------------


#: By which the packages that write say that a table has no place in a form.
REFUSALS = ValueError, TypeError, NotImplementedError


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table in the form that the name of its file says, all or nothing.

    Parameters
    ----------
    frame
        The table; its index is not written.
    path
        ``.csv``, ``.tsv``, ``.txt`` (also ``.gz``, ``.bz2``, ``.xz``, ``.zip``), ``.parquet``,
        ``.dta`` or ``.xlsx``.

    Raises
    ------
    SpecificationError
        If the name says no such form, or a package for it lacks.
    DataError
        If the form cannot hold the table.
    """
    check_target(path)
    check_form(Path(path))
    suffix, path = form_of(Path(path)), place(path)
    content, writer = io.BytesIO(), _writer(suffix, path)
    try:
        writer(frame, content)
    except REFUSALS as problem:
        what, advice = _column_refused(frame, writer), "" if suffix in TEXT else "; a .csv file can"
        raise DataError(f"A {suffix} file cannot hold {what}{advice}: {problem}") from problem
    write(path, content.getvalue())


def _column_refused(frame: pd.DataFrame, writer: Callable[[pd.DataFrame, Any], None]) -> str:
    """Name the first column that alone is refused too."""
    for name, column in frame.items():
        try:
            writer(column.to_frame().head(), io.BytesIO())
        except REFUSALS:
            return f"{name!r} ({column.dtype})"
    return "this table"


def check_form(path: Path) -> None:
    """Raise SpecificationError unless the name of a file says a form that can be written here."""
    suffix = form_of(path)
    _writer(suffix, path)
    package = OTHER[suffix][1] if suffix in OTHER else ""
    if package and find_spec(package) is None:
        raise SpecificationError(
            f"Writing {suffix} files needs the package {package}: pip install {package}."
        )


def _writer(suffix: str, path: Path) -> Callable[[pd.DataFrame, Any], None]:
    packed = path.suffix.lower() in COMPRESSED
    if suffix in TEXT:
        tab = "\t" if suffix == ".tsv" else ","
        compression: Any = None
        if packed:  # a zip archive names what it holds
            form = path.suffix.lower()
            compression = {"method": form[1:].replace("gz", "gzip")}
            compression |= {"archive_name": path.stem} if form == ".zip" else {}

        def to_text(frame: pd.DataFrame, to: Any) -> None:
            _check_labels(frame)
            # R takes an empty field of text for a text
            frame.to_csv(to, index=False, sep=tab, compression=compression, na_rep="NA")

        return to_text
    if suffix == ".parquet" and not packed:
        return lambda frame, to: frame.to_parquet(to, index=False)
    if suffix == ".xlsx" and not packed:
        return lambda frame, to: frame.to_excel(to, index=False)
    if suffix == ".dta" and not packed:
        return _stata
    raise SpecificationError(
        f"{str(path)!r}: a table is written as .csv, .tsv, .txt (also .gz, .bz2, .xz, .zip), "
        ".parquet, .dta or .xlsx, by the ending of the name."
    )


def _check_labels(frame: pd.DataFrame) -> None:
    """Refuse the label NA, which every reader of text takes for a missing value."""
    for name, column in frame.items():
        if (
            not pd.api.types.is_numeric_dtype(column.dtype)
            and (column.astype(object) == "NA").any()
        ):
            raise ValueError(f"the label 'NA' of {name!r} would be read as missing; give it a name")


def _stata(frame: pd.DataFrame, to: Any) -> None:
    """Stata has no missing texts and no truth values."""
    held = {}
    for name, column in frame.items():
        if _is_truth(column):
            column = column.astype("boolean")
            column = column.astype("float64" if column.isna().any() else "int8")
        elif is_text(column):
            column = column.astype(object).where(column.notna(), "").astype(str).astype(object)
        held[name] = column
    pd.DataFrame(held, index=frame.index).to_stata(to, write_index=False, version=118)


def is_text(column: pd.Series) -> bool:
    """Whether Stata would get texts of a column."""
    return (
        not isinstance(column.dtype, pd.CategoricalDtype)
        and (column.dtype == object or pd.api.types.is_string_dtype(column.dtype))
        and not _is_truth(column)
    )


def _is_truth(column: pd.Series) -> bool:
    """Whether there are truth values, among objects too, as where some are missing."""
    return pd.api.types.infer_dtype(column, skipna=True) == "boolean"
