"""``imp.to_long(path)``: completed data for R, Stata and others."""

import re
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.result.run import Run, in_shape
from bayesimpute.tables.read_write import form_of, is_text, write_table

#: Names that mean something else in Stata.
RESERVED = re.compile(
    r"byte|double|float|if|in|int|long|using|with|str(L|\d+)"
    r"|_(all|b|coef|cons|n|N|pi|pred|rc|skip)"
)


@checked
def to_long(run: Run, path: str | PathLike[str], include: bool = True) -> None:
    """Write all completed data sets, one under the other, in the form the file's name says.

    ``.csv``, ``.tsv`` and so on for R: ``as.mids(read.csv("long.csv", stringsAsFactors = TRUE))``
    of mice. ``.dta`` for Stata: ``mi import flong, m(imp) id(id) imputed(…)``; names are made such
    as Stata has, and labelled numbers of texts with gaps. ``.parquet`` and ``.xlsx`` with pyarrow
    and openpyxl. ``bi.from_completed`` takes all of them in again; of Stata's,
    ``imputation="imp", row="id"`` names the two columns.

    Parameters
    ----------
    path
        File to write; an existing one is replaced.
    include
        Whether the incomplete data come first, as imputation 0 (default True: mice and Stata want
        them).

    Raises
    ------
    SpecificationError
        If the name says no form; if ``.imp`` or ``.id`` is already a column.
    DataError
        If the form cannot hold a column.

    Examples
    --------
    >>> imp.to_long("long.csv")  # doctest: +SKIP
    """
    long = in_shape(run.specification, run.history, "long", include)
    assert isinstance(long, pd.DataFrame)
    if form_of(Path(path)) == ".dta":
        long = _for_stata(long)
    write_table(long, Path(path))


def _for_stata(long: pd.DataFrame) -> pd.DataFrame:
    """Give valid and distinct names, the number of the imputation and of the row first."""
    rows = len(long) // long[".imp"].nunique()
    found: dict[str, pd.Series[Any]] = {
        "imp": long[".imp"].astype("int32"),
        "id": pd.Series(np.tile(np.arange(1, rows + 1), len(long) // rows), dtype="int32"),
    }
    for name in long.columns.drop([".imp", ".id"]):
        valid = re.sub(r"\W", "_", name)[:28]
        if not re.match(r"[A-Za-z_]", valid) or RESERVED.fullmatch(valid):
            valid = f"v{valid}"
        number, chosen = 1, valid
        while chosen in found:
            number += 1
            chosen = f"{valid}_{number}"
        column = long[name]
        if is_text(column) and column.isna().any():
            # a missing text is an empty one in Stata, and mi imputes numbers only
            column = column.astype(object).map(str, na_action="ignore").astype("category")
        found[chosen] = column
    return pd.DataFrame(found)
