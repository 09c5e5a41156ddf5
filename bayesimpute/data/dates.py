"""Dates, durations and periods as numbers, and back to the same dtype, unit and time zone."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.errors import DataError

#: Ticks of a day, by the unit of the dtype.
DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


_ABSENT = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Ticks:
    """How the whole numbers behind dates become numbers of a model.

    A number is (ticks − `origin`) / `unit`; what is imputed is rounded to `step`, the largest
    step that all observed dates are apart, so that days stay days.

    Attributes
    ----------
    origin
        Ticks of the first observed date; 0 of durations.
    unit
        Ticks of a day; 1 for periods, which are counted.
    step
        Largest common divisor of the distances from the origin; by the clock of a time zone, whose
        days have 23 to 25 hours.
    """

    origin: int
    unit: int
    step: int


def is_date(dtype: Any) -> bool:
    """Whether cells are dates, durations or periods of pandas' own."""
    if isinstance(dtype, pd.PeriodDtype | pd.DatetimeTZDtype):
        return True
    return isinstance(dtype, np.dtype) and dtype.kind in "mM"


def encode_dates(column: "pd.Series[Any]") -> tuple[Ticks, np.ndarray]:
    """Days since the first observed date (durations: days; periods: periods since the first).

    Examples
    --------
    >>> import pandas as pd
    >>> dates = pd.Series(pd.to_datetime(["2020-02-01", None, "2020-03-01"]))
    >>> encode_dates(dates)[1].tolist()
    [0.0, nan, 29.0]
    """
    whole = _ticks(column)
    absent = column.isna().to_numpy()
    known = whole[~absent]
    duration = getattr(column.dtype, "kind", "") == "m"
    origin = 0 if duration or not known.size else int(known.min())
    clock = _ticks(column.dt.tz_localize(None)) if _is_zoned(column.dtype) else whole
    first = 0 if duration or not known.size else clock[~absent][known.argmin()]
    step = int(np.gcd.reduce(clock[~absent] - first)) if known.size else 1
    unit = 1 if isinstance(column.dtype, pd.PeriodDtype) else DAY[_unit(column.dtype)]
    numbers = np.full(len(column), np.nan)
    numbers[~absent] = (known - origin) / unit
    return Ticks(origin, unit, max(step, 1)), numbers


def in_steps(ticks: Ticks, numbers: np.ndarray) -> Ticks:
    """Give the largest step of which further numbers, too, are a multiple.

    Up to the microsecond: days as floating-point numbers hold no nanoseconds.

    Examples
    --------
    >>> in_steps(Ticks(0, DAY["s"], DAY["s"]), np.array([2.0, 2.5])).step
    43200
    """
    fewest = max(ticks.unit // DAY["us"], 1)
    known = numbers[np.isfinite(numbers)]
    further = np.round(known * (ticks.unit / fewest)).astype(np.int64) * fewest
    return replace(ticks, step=int(np.gcd.reduce(further, initial=ticks.step)))


def date_cells(name: str, dtype: Any, ticks: Ticks, numbers: np.ndarray) -> Any:
    """Dates of a dtype from numbers; NaT for NaN.

    Raises
    ------
    DataError
        If a number is a date that the dtype cannot hold.
    """
    step = 1 if _is_zoned(dtype) else ticks.step
    steps = np.round(numbers * (ticks.unit / step))
    far = np.abs(steps * float(step) + float(ticks.origin)) >= 2.0**63
    if far.any():
        raise DataError(
            f"An imputed value of {name!r} lies beyond the dates that {dtype} can hold; use "
            "predictive mean matching, which gives observed dates, or a coarser unit: "
            f"df[{name!r}].astype('datetime64[s]')."
        )
    absent = np.isnan(numbers)
    whole = np.where(absent, 0, steps).astype(np.int64) * step + ticks.origin
    whole[absent] = _ABSENT
    if isinstance(dtype, pd.PeriodDtype):
        return periods(whole, dtype)
    return _by_the_clock(whole, dtype, ticks) if _is_zoned(dtype) else whole.view(dtype)


def _by_the_clock(whole: np.ndarray, dtype: Any, ticks: Ticks) -> Any:
    """Instants rounded to steps by the clock of their zone; those that are such stay."""
    instants = pd.DatetimeIndex(np.append(whole, ticks.origin).view(f"M8[{dtype.unit}]"))
    zoned = instants.tz_localize("UTC").tz_convert(dtype.tz)
    clock = zoned.tz_localize(None).to_numpy().view(np.int64)
    from_origin = np.where(zoned.isna(), 0, clock - clock[-1])
    rounded = clock[-1] + (from_origin + ticks.step // 2) // ticks.step * ticks.step
    stay = zoned.isna() | (rounded == clock)
    there = pd.DatetimeIndex(rounded.view(f"M8[{dtype.unit}]")).tz_localize(
        dtype.tz, ambiguous=np.zeros(len(rounded), dtype=bool), nonexistent="shift_forward"
    )
    return zoned.where(stay, there)[:-1].array


def _is_zoned(dtype: Any) -> bool:
    return isinstance(dtype, pd.DatetimeTZDtype)


def date_texts(dtype: Any, ticks: Ticks, numbers: np.ndarray) -> list[str]:
    """Dates of a dtype from numbers, as text; midnight is left out."""
    cells = pd.Series(date_cells("", dtype, ticks, numbers))
    return [str(cell).removesuffix(" 00:00:00") for cell in cells]


def counted(dtype: Any, ticks: Ticks) -> str:
    """Say what the numbers of dates count.

    Examples
    --------
    >>> import pandas as pd
    >>> dates = pd.Series(pd.to_datetime(["2020-02-01", "2020-03-01"]))
    >>> counted(dates.dtype, encode_dates(dates)[0])
    'days since 2020-02-01'
    """
    if getattr(dtype, "kind", "") == "m":
        return "days"
    what = f"periods ({dtype.name[7:-1]})" if isinstance(dtype, pd.PeriodDtype) else "days"
    return f"{what} since {date_texts(dtype, ticks, np.zeros(1))[0]}"


def periods(ordinals: np.ndarray, dtype: pd.PeriodDtype) -> Any:
    """Periods of their ordinals, which `pandas.PeriodIndex` calls ``asi8``."""
    index: Any = pd.PeriodIndex
    return index.from_ordinals(ordinals, freq=dtype.freq).array


def _unit(dtype: Any) -> str:
    return str(dtype.unit) if isinstance(dtype, pd.DatetimeTZDtype) else np.datetime_data(dtype)[0]


def _ticks(column: "pd.Series[Any]") -> np.ndarray:
    """Whole numbers behind the cells (UTC, where there is a time zone)."""
    if isinstance(column.dtype, pd.PeriodDtype):
        return np.asarray(pd.PeriodIndex(column).asi8)
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.to_numpy().view(np.int64)
