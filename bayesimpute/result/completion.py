"""Completed data frames: imputed cells put back into the user's frame, in every shape mice has."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.engine.completed import completed_frame
from bayesimpute.engine.history import History
from bayesimpute.errors import SpecificationError
from bayesimpute.specification.specification import Specification

SHAPES = ("all", "long", "stacked", "broad", "repeated")

type Frames = list[pd.DataFrame]


def completed(specification: Specification, history: History, imputation: int) -> pd.DataFrame:
    """Fill the cells of one imputation into the user's frame.

    Parameters
    ----------
    specification, history
        Of the run.
    imputation
        1 … m; 0 is the frame as the user gave it.

    Returns
    -------
    pandas.DataFrame
        Rows, index, columns, dtypes and categories as in the user's frame; only cells of
        ``specification.where`` differ. A new frame, free to be changed.
    """
    if imputation == 0:
        return specification.table.frame.copy()
    cells = {name: draws[imputation - 1] for name, draws in history.imputed.items()}
    return completed_frame(specification, cells)


def iterate(specification: Specification, history: History) -> Iterator[pd.DataFrame]:
    """Imputations 1 … m, each built when it is asked for."""
    return (completed(specification, history, k) for k in range(1, history.m + 1))


def complete(
    specification: Specification,
    history: History,
    action: int | str | Sequence[int] = 1,
    include: bool = False,
) -> pd.DataFrame | Frames:
    """Completed data in the shape `action` names; see ``Imputations.complete``."""
    if isinstance(action, str):
        if action not in SHAPES:
            raise SpecificationError(
                f"complete(action={action!r}): the shapes are {', '.join(map(repr, SHAPES))}, "
                f"or an imputation number from 0 to {history.m}."
            )
        numbers = range(0 if include else 1, history.m + 1)
        frames = {k: completed(specification, history, k) for k in numbers}
        return _SHAPED[action](frames)
    if isinstance(action, int | np.integer) and not isinstance(action, bool):
        chosen = [_checked(action, history.m)]
        if not include:
            return completed(specification, history, chosen[0])
    elif isinstance(action, Sequence | np.ndarray | range) and len(action):
        chosen = [_checked(k, history.m) for k in action]
    else:
        raise SpecificationError(
            f"complete(action={action!r}): give an imputation number from 0 to {history.m}, "
            f"a non-empty sequence of them, or one of {', '.join(map(repr, SHAPES))}."
        )
    with_original = chain([0] if include and 0 not in chosen else [], chosen)
    return _stacked([completed(specification, history, k) for k in with_original])


def _checked(number: Any, m: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 0 <= number <= m:
        raise SpecificationError(
            f"There is no imputation {number!r}: give a whole number from 1 to {m} "
            "(0 is the original data)."
        )
    return int(number)


def _stacked(frames: Frames) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True)


def _long(frames: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Stacked, with number and row label of each row in the last two columns."""
    first = next(iter(frames.values()))
    taken = [name for name in (".imp", ".id") if name in first.columns]
    if taken:
        raise SpecificationError(
            f"complete('long') adds columns .imp and .id, but the data already have "
            f"{' and '.join(taken)}: rename before imputing, or use complete('stacked')."
        )
    stacked = _stacked(list(frames.values()))
    labels = first.index.to_flat_index()
    stacked[".imp"] = np.repeat(np.fromiter(frames, dtype=np.int64), len(first))
    stacked[".id"] = labels.append([labels] * (len(frames) - 1))
    return stacked


def _broad(frames: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Side by side: all columns of one imputation, then all of the next."""
    suffixed = [frame.add_suffix(f".{k}") for k, frame in frames.items()]
    return pd.concat(suffixed, axis="columns")


def _repeated(frames: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Side by side: all imputations of one column, then all of the next."""
    broad = _broad(frames)
    width = len(next(iter(frames.values())).columns)
    return broad.iloc[:, np.arange(broad.shape[1]).reshape(len(frames), width).T.ravel()]


_SHAPED: Mapping[str, Callable[[Mapping[int, pd.DataFrame]], pd.DataFrame | Frames]] = {
    "all": lambda frames: list(frames.values()),
    "long": _long,
    "stacked": lambda frames: _stacked(list(frames.values())),
    "broad": _broad,
    "repeated": _repeated,
}
