"""A pandas frame as plain arrays and JSON, and back to the very same frame."""

from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.errors import DataError
from bayesimpute.result import json_values

type Arrays = dict[str, np.ndarray]

NUMPY_KINDS = "biuf"


def encode_frame(frame: pd.DataFrame) -> tuple[dict[str, Any], Arrays]:
    """Take a frame apart into a description (JSON) and numeric arrays.

    Parameters
    ----------
    frame
        Any columns of numpy, nullable, pyarrow, string, categorical, datetime, timedelta or
        object dtype; any index.

    Returns
    -------
    tuple
        Description for ``json.dumps``; arrays (1-d, numeric) the description refers to by name.

    Raises
    ------
    DataError
        If a column holds values no file format without code can hold.
    """
    arrays: Arrays = {}
    columns = [
        {"name": json_values.encode(name), **_encode(frame[name], f"column_{k}", arrays)}
        for k, name in enumerate(frame.columns)
    ]
    description = {
        "rows": len(frame),
        "columns": columns,
        "columns_name": json_values.encode(frame.columns.name),
        "index": _encode_index(frame.index, arrays),
    }
    return description, arrays


def decode_frame(description: dict[str, Any], arrays: Arrays) -> pd.DataFrame:
    """Rebuild the frame from `encode_frame`'s description and arrays."""
    index = _decode_index(description["index"], arrays)
    names = [json_values.decode(column["name"]) for column in description["columns"]]
    columns = [pd.Series(_decode(column, arrays), index=index) for column in description["columns"]]
    frame = (
        pd.concat(columns, axis="columns", keys=range(len(columns)))
        if columns
        else pd.DataFrame(index=index)
    )
    frame.columns = pd.Index(names, name=json_values.decode(description["columns_name"]))
    return frame


def _encode(series: pd.Series, key: str, arrays: Arrays) -> dict[str, Any]:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        arrays[key] = np.asarray(series.cat.codes)
        labels = _encode(pd.Series(dtype.categories), f"{key}_labels", arrays)
        return {"as": "category", "array": key, "ordered": bool(dtype.ordered), "labels": labels}
    if isinstance(dtype, np.dtype) and dtype.kind in NUMPY_KINDS:
        arrays[key] = series.to_numpy()
        return {"as": "numpy", "array": key, "dtype": dtype.str}
    if isinstance(dtype, pd.IntervalDtype):
        ends = pd.arrays.IntervalArray(series)
        return {
            "as": "interval",
            "closed": dtype.closed,
            "left": _encode(pd.Series(ends.left), f"{key}_left", arrays),
            "right": _encode(pd.Series(ends.right), f"{key}_right", arrays),
        }
    if isinstance(dtype, np.dtype) and dtype.kind in "mM":
        arrays[key] = series.to_numpy().view(np.int64)
        return {"as": "ticks", "array": key, "dtype": dtype.str}
    if isinstance(dtype, pd.DatetimeTZDtype):
        arrays[key] = series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().view(np.int64)
        return {"as": "zoned", "array": key, "unit": dtype.unit, "zone": str(dtype.tz)}
    if pd.api.types.is_extension_array_dtype(dtype) and getattr(dtype, "kind", "O") in NUMPY_KINDS:
        absent = series.isna().to_numpy()
        kept = series.fillna(series.dropna().iloc[0]) if absent.any() and not absent.all() else None
        native = np.dtype(getattr(dtype, "numpy_dtype", np.float64))
        arrays[key] = (
            np.zeros(len(series), native)
            if absent.all()
            else (series if kept is None else kept).to_numpy(dtype=native)
        )
        arrays[f"{key}_absent"] = absent
        return {"as": "masked", "array": key, "dtype": str(dtype)}
    if isinstance(dtype, pd.StringDtype) or str(dtype).startswith("string"):
        text = [None if absent else str(v) for v, absent in zip(series, series.isna(), strict=True)]
        storage = getattr(dtype, "storage", None)
        na = "NA" if getattr(dtype, "na_value", pd.NA) is pd.NA else "nan"
        return {"as": "text", "dtype": str(dtype), "storage": storage, "na": na, "values": text}
    if dtype == np.dtype(object):
        try:
            return {"as": "object", "values": [json_values.encode(value) for value in series]}
        except json_values.NotStorable as unknown:
            raise DataError(
                f"Variable {series.name!r} holds values of type {unknown}, which a file cannot "
                "hold: turn them into text, numbers or categories before imputing."
            ) from None
    raise DataError(
        f"Variable {series.name!r} has dtype {dtype}, which a file cannot hold: convert it to a "
        "numeric, string, datetime or category dtype before imputing."
    )


def _decode(stored: dict[str, Any], arrays: Arrays) -> Any:
    how = stored["as"]
    if how == "numpy":
        return arrays[stored["array"]].astype(stored["dtype"])
    if how == "interval":
        left, right = (pd.Index(_decode(stored[side], arrays)) for side in ("left", "right"))
        return pd.arrays.IntervalArray.from_arrays(left, right, closed=stored["closed"])
    if how == "category":
        labels = pd.Index(_decode(stored["labels"], arrays))
        return pd.Categorical.from_codes(
            arrays[stored["array"]], dtype=pd.CategoricalDtype(labels, ordered=stored["ordered"])
        )
    if how == "ticks":
        return arrays[stored["array"]].view(stored["dtype"])
    if how == "zoned":
        ticks = arrays[stored["array"]].view(f"M8[{stored['unit']}]")
        return pd.DatetimeIndex(ticks).tz_localize("UTC").tz_convert(stored["zone"])
    if how == "masked":
        values = pd.array(arrays[stored["array"]], dtype=stored["dtype"])
        values[arrays[f"{stored['array']}_absent"].astype(bool)] = pd.NA
        return values
    if how == "text":
        if stored["storage"] is None:
            return pd.array(stored["values"], dtype=stored["dtype"])
        na = pd.NA if stored["na"] == "NA" else np.nan
        return pd.array(stored["values"], dtype=pd.StringDtype(stored["storage"], na_value=na))
    if how == "object":
        values = np.empty(len(stored["values"]), dtype=object)
        for k, value in enumerate(stored["values"]):
            values[k] = json_values.decode(value)
        return values
    raise ValueError(f"unknown column encoding {how!r}")


def _encode_index(index: pd.Index, arrays: Arrays) -> dict[str, Any]:
    if isinstance(index, pd.RangeIndex):
        bounds = [index.start, index.stop, index.step]
        return {"as": "range", "bounds": bounds, "name": json_values.encode(index.name)}
    levels = [index.get_level_values(k) for k in range(index.nlevels)]
    return {
        "as": "labels",
        "multi": isinstance(index, pd.MultiIndex),
        "names": [json_values.encode(level.name) for level in levels],
        "levels": [
            _encode(pd.Series(level).rename(f"index level {k}"), f"index_{k}", arrays)
            for k, level in enumerate(levels)
        ],
    }


def _decode_index(stored: dict[str, Any], arrays: Arrays) -> pd.Index:
    if stored["as"] == "range":
        start, stop, step = stored["bounds"]
        return pd.RangeIndex(start, stop, step, name=json_values.decode(stored["name"]))
    levels = [_decode(level, arrays) for level in stored["levels"]]
    names = [json_values.decode(name) for name in stored["names"]]
    if stored["multi"]:
        return pd.MultiIndex.from_arrays(levels, names=names)
    return pd.Index(levels[0], name=names[0])
