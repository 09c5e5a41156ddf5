"""Arrays and columns as text or bytes to compare: the same for what holds the same values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd


def array_text(values: np.ndarray, inside: Callable[[Any], str]) -> bytes:
    """Type, shape and values of an array; one NaN is as any other, and −0 is 0.

    Parameters
    ----------
    values
        Of any type.
    inside
        Text of an element that is an object.
    """
    head = f"{values.dtype} {values.shape} ".encode()
    if values.dtype.hasobject:
        return head + " ".join(inside(each) for each in values.ravel().tolist()).encode()
    if values.dtype.kind in "fc":
        values = values + 0  # no negative zeros
        values = np.where(np.isnan(values), np.asarray(np.nan, values.dtype), values)
    return head + np.ascontiguousarray(values).tobytes()


def cells_of(column: "pd.Series[Any]", inside: Callable[[Any], str]) -> str:
    """Type and cells of a column, missing ones alike whatever marks them."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        codes = array_text(column.cat.codes.to_numpy(), inside).hex()
        return f"category {dtype.ordered} {cells_of(pd.Series(dtype.categories), inside)} {codes}"
    if isinstance(dtype, np.dtype) and not dtype.hasobject:
        return array_text(column.to_numpy(), inside).hex()
    if not isinstance(dtype, np.dtype) and pd.api.types.infer_dtype(column) == "string":
        # each text once: there may be few
        which, distinct = pd.factorize(column)
        texts = np.array([*map(inside, distinct), ""], dtype=object)
        return f"{dtype} {'|'.join(texts[which])}"
    missing = column.isna().to_numpy()
    cells = column.to_numpy(dtype=object)
    text = ("" if gone else inside(cell) for cell, gone in zip(cells, missing, strict=True))
    return f"{dtype} {'|'.join(text)}"
