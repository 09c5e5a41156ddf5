"""A pandas frame as plain arrays and JSON, and back to the very same frame."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.dates import periods
from bayesimpute.data.encoding import dense
from bayesimpute.errors import DataError
from bayesimpute.result import json_values
from bayesimpute.result.json_values import form_of_lines, objects_of, text_of, to_lines

type Arrays = dict[str, np.ndarray]
type Lines = Callable[["pd.Series[Any]", Callable[[Any], Any]], np.ndarray]

NUMPY_KINDS = "biuf"

#: Complex numbers are kept as pairs.
COMPLEX = {np.dtype(pair).str: half for pair, half in (("c8", "f4"), ("c16", "f8"))}

ARROW_TEXT = ("string[pyarrow]", "large_string[pyarrow]")


def encode_frame(frame: pd.DataFrame, lines: Lines = to_lines) -> tuple[dict[str, Any], Arrays]:
    """Take a frame apart into a description (JSON) and numeric arrays.

    Parameters
    ----------
    frame
        Any columns of numpy, nullable, pyarrow, string, categorical, datetime, timedelta or
        object dtype; any index.
    lines
        Gives cells of text and objects as bytes, `form_of_lines` if only their length matters.

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
        {"name": json_values.encode(name), **_encode(frame[name], f"column_{k}", arrays, lines)}
        for k, name in enumerate(frame.columns)
    ]
    description = {
        "rows": len(frame),
        "columns": columns,
        "columns_name": json_values.encode(frame.columns.name),
        "index": _encode_index(frame.index, arrays, lines),
    }
    return description, arrays


def decode_frame(description: dict[str, Any], arrays: Arrays) -> pd.DataFrame:
    """Rebuild the frame from `encode_frame`'s description and arrays, which are taken out."""
    index = _decode_index(description["index"], arrays)
    names = [json_values.decode(column["name"]) for column in description["columns"]]
    columns = [_series(column, arrays, index) for column in description["columns"]]
    frame = (
        pd.concat(columns, axis="columns", keys=range(len(columns)))
        if columns
        else pd.DataFrame(index=index)
    )
    frame.columns = pd.Index(names, name=json_values.decode(description["columns_name"]))
    return frame


def check_storable(frame: pd.DataFrame) -> None:
    """Raise before a run what writing its result would raise after it.

    Raises
    ------
    DataError
        If a column, or the index, holds values no file format without code can hold.
    """
    encode_frame(frame, _checked)


def _checked(series: "pd.Series[Any]", encode: Callable[[Any], Any]) -> np.ndarray:
    """Look whether a file can hold the cells; all of a dtype for text it can."""
    if not isinstance(series.dtype, pd.StringDtype):
        form_of_lines(series, encode)
    return np.empty(0, dtype=np.uint8)


def _encode(series: pd.Series, key: str, arrays: Arrays, lines: Lines) -> dict[str, Any]:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        arrays[key] = np.asarray(series.cat.codes)
        labels = pd.Series(dtype.categories, name=series.name)
        stored = _encode(labels, f"{key}_labels", arrays, lines)
        return {"as": "category", "array": key, "ordered": bool(dtype.ordered), "labels": stored}
    if isinstance(dtype, pd.SparseDtype):
        cells = _encode(dense(series), key, arrays, lines)
        return {"as": "sparse", "fill": json_values.encode(dtype.fill_value), "cells": cells}
    if isinstance(dtype, np.dtype) and dtype.kind in NUMPY_KINDS:
        arrays[key] = series.to_numpy()
        return {"as": "numpy", "array": key, "dtype": dtype.str}
    if isinstance(dtype, np.dtype) and dtype.str in COMPLEX:
        arrays[key] = np.ascontiguousarray(series.to_numpy()).view(COMPLEX[dtype.str])
        return {"as": "complex", "array": key, "dtype": dtype.str}
    if isinstance(dtype, pd.IntervalDtype):
        ends = pd.arrays.IntervalArray(series)
        return {
            "as": "interval",
            "closed": dtype.closed,
            "left": _encode(pd.Series(ends.left), f"{key}_left", arrays, lines),
            "right": _encode(pd.Series(ends.right), f"{key}_right", arrays, lines),
        }
    if isinstance(dtype, np.dtype) and dtype.kind in "mM":
        arrays[key] = series.to_numpy().view(np.int64)
        return {"as": "ticks", "array": key, "dtype": dtype.str}
    if isinstance(dtype, pd.PeriodDtype):
        arrays[key] = pd.PeriodIndex(series).asi8
        return {"as": "period", "array": key, "dtype": str(dtype)}
    if isinstance(dtype, pd.DatetimeTZDtype):
        arrays[key] = series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().view(np.int64)
        return {"as": "zoned", "array": key, "unit": dtype.unit, "zone": _zone(series)}
    if pd.api.types.is_extension_array_dtype(dtype) and getattr(dtype, "kind", "O") in NUMPY_KINDS:
        return _encode_masked(series, key, arrays)
    if isinstance(dtype, pd.StringDtype):
        arrays[key] = lines(series, lambda cell: cell if isinstance(cell, str) else None)
        na = "NA" if dtype.na_value is pd.NA else "nan"
        return {
            "as": "text", "dtype": str(dtype), "storage": dtype.storage, "na": na, "array": key,
        }  # fmt: skip
    if isinstance(dtype, pd.ArrowDtype):
        native = _native(series)
        return {"as": "arrow", "dtype": str(dtype), "cells": _encode(native, key, arrays, lines)}
    if dtype == np.dtype(object):
        try:
            arrays[key] = lines(series, json_values.encode)
            return {"as": "object", "array": key}
        except json_values.NotStorable as unknown:
            raise DataError(
                f"Variable {series.name!r} holds values of type {unknown}, which a file cannot "
                "hold: turn them into text, numbers or categories before imputing, such as "
                f"df[{series.name!r}].map(str, na_action='ignore'), or leave the column out: "
                f"df.drop(columns={series.name!r})."
            ) from None
    raise DataError(
        f"Variable {series.name!r} has dtype {dtype}, which a file cannot hold: convert it before "
        f"imputing, such as df[{series.name!r}].astype(object), or leave it out: "
        f"df.drop(columns={series.name!r})."
    )


def _zone(series: pd.Series) -> str:
    """Name of a time zone by which it can be had again."""
    dtype = series.dtype
    assert isinstance(dtype, pd.DatetimeTZDtype)
    try:
        if pd.DatetimeTZDtype(dtype.unit, str(dtype.tz)) == dtype:
            return str(dtype.tz)
    except (TypeError, ValueError, KeyError):
        pass  # no name that is known
    raise DataError(
        f"Variable {series.name!r} has the time zone {dtype.tz}, whose name a file cannot hold: "
        f"convert it before imputing: df[{series.name!r}].dt.tz_convert('UTC')."
    )


def _encode_masked(series: pd.Series, key: str, arrays: Arrays) -> dict[str, Any]:
    """Nullable and pyarrow numbers: values, and which of them are absent."""
    dtype, absent = series.dtype, series.isna().to_numpy()
    native = np.dtype(getattr(dtype, "numpy_dtype", np.float64))
    if native.kind not in NUMPY_KINDS:  # decimals of pyarrow call themselves floats
        raise DataError(
            f"Variable {series.name!r} has dtype {dtype}, which a file cannot hold: convert it "
            f"before imputing: df[{series.name!r}].astype('float64')."
        )
    kept = series.fillna(series.dropna().iloc[0]) if absent.any() and not absent.all() else series
    arrays[key] = np.zeros(len(series), native) if absent.all() else kept.to_numpy(dtype=native)
    arrays[f"{key}_absent"] = absent
    return {"as": "masked", "array": key, "dtype": str(dtype)}


def _native(series: pd.Series) -> pd.Series:
    """Give text, dates and durations of pyarrow in the dtype of pandas itself.

    Raises
    ------
    DataError
        If the dtype cannot be had again from its name.
    """
    dtype: Any = series.dtype
    if dtype.kind in "mM":
        zone = getattr(dtype.pyarrow_dtype, "tz", None)
        native = dtype.numpy_dtype
        unit = np.datetime_data(native)[0]
        wanted: Any = native if zone is None else f"datetime64[{unit}, {zone}]"
        return series.astype(wanted)
    if str(dtype) in ARROW_TEXT:
        return series.astype("string")
    remedy = "astype(object)" + ".astype('category')" * str(dtype).startswith("dictionary")
    raise DataError(
        f"Variable {series.name!r} has dtype {dtype}, which a file cannot hold: convert it before "
        f"imputing: df[{series.name!r}].{remedy}."
    )


def _series(stored: dict[str, Any], arrays: Arrays, index: pd.Index | None = None) -> pd.Series:
    """Give a column of the dtype it had; objects are not looked at for what they might be."""
    cells = _decode(stored, arrays)
    return pd.Series(cells, index=index, dtype=object if stored["as"] == "object" else None)


def _index(stored: dict[str, Any], arrays: Arrays) -> pd.Index:
    cells = _decode(stored, arrays)
    if stored["as"] == "object":
        return pd.Index(cells, dtype=object, tupleize_cols=False)
    return pd.Index(cells)


def _decode(stored: dict[str, Any], arrays: Arrays) -> Any:
    how = stored["as"]
    if how == "numpy":
        dtype = json_values.known_dtype(stored["dtype"])
        return arrays.pop(stored["array"]).astype(dtype, copy=False)
    if how == "complex":
        return arrays.pop(stored["array"]).view(stored["dtype"])
    if how == "period":
        return periods(arrays.pop(stored["array"]), pd.PeriodDtype(stored["dtype"]))
    if how == "sparse":
        cells = _series(stored["cells"], arrays)
        fill = json_values.decode(stored["fill"])
        return cells.astype(pd.SparseDtype(cells.dtype, fill)).array
    if how == "arrow":
        native = _series(stored["cells"], arrays)
        if stored["dtype"] == ARROW_TEXT[0]:  # which cannot be asked for by this name
            return native.convert_dtypes(dtype_backend="pyarrow").array
        return native.astype(json_values.known_dtype(stored["dtype"])).array
    if how == "interval":
        left, right = (_index(stored[side], arrays) for side in ("left", "right"))
        return pd.arrays.IntervalArray.from_arrays(left, right, closed=stored["closed"])
    if how == "category":
        labels = _index(stored["labels"], arrays)
        return pd.Categorical.from_codes(
            arrays.pop(stored["array"]),
            dtype=pd.CategoricalDtype(labels, ordered=stored["ordered"]),
        )
    if how == "ticks":
        return arrays.pop(stored["array"]).view(stored["dtype"])
    if how == "zoned":
        ticks = arrays.pop(stored["array"]).view(f"M8[{stored['unit']}]")
        return pd.DatetimeIndex(ticks).tz_localize("UTC").tz_convert(stored["zone"])
    if how == "masked":
        values = pd.array(
            arrays.pop(stored["array"]), dtype=json_values.known_dtype(stored["dtype"])
        )
        values[arrays.pop(f"{stored['array']}_absent").astype(bool)] = pd.NA
        return values
    if how == "text":
        na = pd.NA if stored["na"] == "NA" else np.nan
        text = pd.StringDtype(stored["storage"], na_value=na)
        return text_of(arrays.pop(stored["array"]), text)
    if how == "object":
        return objects_of(arrays.pop(stored["array"]))
    raise ValueError(f"unknown column encoding {how!r}")


def _encode_index(index: pd.Index, arrays: Arrays, lines: Lines) -> dict[str, Any]:
    if isinstance(index, pd.RangeIndex):
        bounds = [index.start, index.stop, index.step]
        return {"as": "range", "bounds": bounds, "name": json_values.encode(index.name)}
    levels = [index.get_level_values(k) for k in range(index.nlevels)]
    freq = None if isinstance(index, pd.PeriodIndex) else getattr(index, "freqstr", None)
    return {
        "as": "labels",
        "multi": isinstance(index, pd.MultiIndex),
        "names": [json_values.encode(level.name) for level in levels],
        **({"freq": freq} if freq is not None else {}),
        "levels": [
            _encode(pd.Series(level).rename(f"index level {k}"), f"index_{k}", arrays, lines)
            for k, level in enumerate(levels)
        ],
    }


def _decode_index(stored: dict[str, Any], arrays: Arrays) -> pd.Index:
    if stored["as"] == "range":
        start, stop, step = stored["bounds"]
        return pd.RangeIndex(start, stop, step, name=json_values.decode(stored["name"]))
    levels = [_index(level, arrays) for level in stored["levels"]]
    names = [json_values.decode(name) for name in stored["names"]]
    if stored["multi"]:
        return pd.MultiIndex.from_arrays(levels, names=names)
    index = levels[0].rename(names[0])
    if "freq" in stored and isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex):
        regular: Any = type(index)
        return regular(index, freq=stored["freq"])
    return index
