"""Which cells are imputed, and which rows only receive."""

from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Table
from bayesimpute.errors import SpecificationError


def cells_wanted(where: Any, table: Table) -> dict[str, np.ndarray]:
    """Cells to impute: variable -> bool (row,), canonical order.

    Parameters
    ----------
    where
        None or ``"missing"``, ``"all"``, ``"observed"``, ``"none"``, or a boolean frame or
        array of the data's shape, in the user's row order.
    table
        The data.

    Raises
    ------
    SpecificationError
        If it has another form, shape or labels, or holds anything but True and False.
    """
    missing = {name: table.missing(name) for name in table.variables}
    if where is None or (isinstance(where, str) and where == "missing"):
        return missing
    if isinstance(where, str) and where in ("all", "observed"):
        return {
            name: np.ones(table.n_rows, dtype=bool) if where == "all" else ~mask
            for name, mask in missing.items()
        }
    if isinstance(where, str) and where == "none":
        return {name: np.zeros(table.n_rows, dtype=bool) for name in missing}
    if isinstance(where, str):
        raise SpecificationError(
            f"where={where!r} must be 'missing', 'all', 'observed', 'none' or a boolean frame."
        )
    frame = table.frame
    if isinstance(where, pd.DataFrame):
        unknown = [name for name in where.columns if name not in frame.columns]
        if unknown:
            raise SpecificationError(f"where has a column {unknown[0]!r} that the data do not.")
        if not where.index.equals(frame.index):
            raise SpecificationError(
                "where must have the index of the data, row by row; build it from df.isna()."
            )
        mask = where.reindex(columns=frame.columns, fill_value=False)
        values = mask.to_numpy(dtype=object)
    else:
        values = np.asarray(where, dtype=object)
    if values.shape != frame.shape:
        raise SpecificationError(
            f"where has shape {values.shape}, the data have {frame.shape}; build it from df.isna()."
        )
    if not all(isinstance(value, bool | np.bool_) for value in values.ravel()):
        raise SpecificationError("where must hold only True and False.")
    cells = values.astype(bool)[table.rows]
    return {name: cells[:, k] for k, name in enumerate(frame.columns)}


def rows_ignored(ignore: Any, table: Table) -> np.ndarray:
    """Rows no model is fitted to, bool (row,), canonical order.

    Raises
    ------
    SpecificationError
        If it is not one True or False a row, or leaves fewer than two rows.
    """
    if ignore is None:
        return np.zeros(table.n_rows, dtype=bool)
    if isinstance(ignore, pd.Series):
        if not (ignore.index.is_unique and set(ignore.index) == set(table.frame.index)):
            if not ignore.index.equals(table.frame.index):
                raise SpecificationError(
                    "ignore is a Series with another index than the data; build it from df, such "
                    "as df['wave'] > 2, or give a plain list."
                )
        elif table.frame.index.is_unique:
            ignore = ignore.loc[table.frame.index]
    values = np.asarray(ignore, dtype=object)
    if values.shape != (table.n_rows,) or not all(isinstance(v, bool | np.bool_) for v in values):
        raise SpecificationError(
            f"ignore must hold one True or False for each of the {table.n_rows} rows."
        )
    rows = values.astype(bool)[table.rows]
    if (~rows).sum() < 2:
        raise SpecificationError("ignore leaves fewer than two rows to learn from.")
    return rows
