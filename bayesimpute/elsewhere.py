"""``bi.from_completed``: imputations made by another program, taken in."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.data.dates import is_date
from bayesimpute.data.encoding import recoded
from bayesimpute.data.long import as_frames, split_long
from bayesimpute.data.table import Kind, Table
from bayesimpute.engine.history import History, pack_adaptations, shares_of
from bayesimpute.errors import DataError
from bayesimpute.events import Event
from bayesimpute.imputations import Imputations
from bayesimpute.interchange import Frame, Origin, taken, within
from bayesimpute.result.restored import ELSEWHERE, NotStored, in_given_steps
from bayesimpute.roles import Role
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.wording import did_you_mean, listed

#: Cells that both data sets have may differ by so much of their size: files round.
ROUNDING = 1e-6


@checked
def from_completed(
    completed: Frame | Any,
    incomplete: Frame | None = None,
    *,
    cluster: str | None = None,
    imputation: str | None = None,
    row: str | None = None,
) -> Imputations:
    """Take in imputations made elsewhere: by R, Stata, Blimp, miceforest, or by hand.

    What looks at completed data works as for imputations made here: ``complete``, ``fit`` and
    pooling, pictures, ``report``, ``to_netcdf``. What asks models or chains says that there are
    none. As mice's ``as.mids``.

    Parameters
    ----------
    completed
        List (or dict) of completed frames, or one long frame in which a column numbers the
        imputations; 0 there are the incomplete data.
    incomplete
        The data as they were. Left out, imputation 0 of a long frame.
    cluster
        Column of cluster ids, which analyses and pictures by cluster then know.
    imputation, row
        Columns of a long frame that number imputations and tell rows. Default, the usual ones:
        ``.imp`` and ``.id`` (mice, ``imp.complete("long")``), ``_mi_m`` and ``_mi_id`` (Stata),
        ``_Imputation_`` (SAS), ``Imputation_`` (SPSS). Without a column that tells them, rows are
        in the order of `incomplete`.

    Returns
    -------
    Imputations
        Cells that no imputation fills stay missing.

    Raises
    ------
    DataError
        If there are no incomplete data, if rows or columns differ, if an observed cell has another
        value, or if a cell is filled in some imputations and not in others.

    Examples
    --------
    >>> df = pd.DataFrame({"x": [1.0, np.nan, 3.0, 4.0]})
    >>> imp = from_completed([df.fillna(2.0), df.fillna(2.5)], incomplete=df)
    >>> imp.m, imp.complete(2)["x"].tolist()
    (2, [1.0, 2.5, 3.0, 4.0])
    """
    own, origin = taken(completed if incomplete is None else incomplete)
    completed = within(completed)
    frame = None if incomplete is None else own
    if isinstance(completed, pd.DataFrame):
        first, frames = split_long(completed, imputation, row)
        frame = first if frame is None else frame
    else:
        frames = as_frames(completed)
    if frame is None:
        raise DataError(
            "from_completed: which values were imputed, the incomplete data tell: give "
            "incomplete=df, or a long frame with them as imputation 0."
        )
    gaps = [name for name in frame.columns if frame[name].isna().any()]
    table = Table.from_frame(frame, [n for n in gaps if is_date(frame[n].dtype)])
    if cluster is not None and cluster not in table.variables:
        raise DataError(
            f"cluster={cluster!r} is no column of the data.{did_you_mean(cluster, table.variables)}"
        )
    values = [_values(frame, table, k) for k, frame in enumerate(frames, start=1)]
    imputed = _imputed(table, values)
    specification, history = (
        _specification(table, imputed, cluster, origin),
        _history(table, imputed),
    )
    return Imputations(in_given_steps(specification, history), history)


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells of a variable that are imputed, (row,) bool, and their values, (m, cell)."""

    where: np.ndarray
    values: np.ndarray


def _values(frame: pd.DataFrame, table: Table, number: int) -> dict[str, np.ndarray]:
    """Numbers of a completed frame, in canonical order, held against the incomplete one."""
    place, own = f"from_completed: imputation {number}", table.frame
    absent = [name for name in own.columns if name not in frame.columns]
    if absent:
        raise DataError(f"{place} lacks {listed(absent)}, columns of the incomplete data.")
    if len(frame) != len(own):
        raise DataError(f"{place} has {len(frame)} rows, the incomplete data {len(own)}.")
    if not frame.index.equals(own.index) and own.index.is_unique and frame.index.is_unique:
        if frame.index.isin(own.index).all():
            frame = frame.loc[own.index]
        elif not _counted(frame.index):
            raise DataError(
                f"{place} has rows that the incomplete data lack, such as "
                f"{frame.index[~frame.index.isin(own.index)].tolist()[0]!r}; give the same index."
            )
        else:  # by their numbers
            frame = frame.sort_index()
    found = {}
    unknown = "a category that the incomplete data do not have; make them a categorical column"
    for name, variable in table.variables.items():
        if variable.kind is Kind.OTHER:
            continue
        allowed = np.arange(float(len(variable.categories)))
        numbers = recoded(frame[name], variable, allowed, place, unknown)[1][table.rows]
        known = table.values[name]
        with np.errstate(invalid="ignore"):
            apart = np.abs(numbers - known) > ROUNDING * np.maximum(np.abs(known), 1e-3)
        wrong = ~np.isnan(known) & (apart | np.isnan(numbers))
        if wrong.any():
            label = table.label(int(wrong.argmax()))
            raise DataError(
                f"{place} has another value of {name!r} than the incomplete data in "
                f"{int(wrong.sum())} row(s) where it is observed, the first at {label!r}; are rows "
                "in the same order, and codes the same?"
            )
        found[name] = numbers
    return found


def _counted(index: "pd.Index[Any]") -> bool:
    """Whether labels only count rows, from 0 or 1."""
    if not pd.api.types.is_integer_dtype(index.dtype):
        return False
    numbers = np.sort(index.to_numpy())
    return bool((np.diff(numbers) == 1).all() and numbers[0] in (0, 1))


def _imputed(table: Table, values: list[dict[str, np.ndarray]]) -> dict[str, _Cells]:
    found = {}
    for name in values[0]:
        missing = table.missing(name)
        filled = np.stack([np.isfinite(each[name]) for each in values])
        mixed = missing & filled.any(axis=0) & ~filled.all(axis=0)
        if mixed.any():
            numbers = [str(k) for k, own in enumerate(filled, start=1) if not own[mixed].all()]
            raise DataError(
                f"from_completed: {name!r} is missing in imputation {', '.join(numbers[:5])}, and "
                "filled in others; a cell is imputed in all of them or in none."
            )
        where = missing & filled.all(axis=0)
        if where.any():
            found[name] = _Cells(where, np.stack([each[name][where] for each in values]))
    return found


def _specification(
    table: Table, imputed: dict[str, _Cells], cluster: str | None, origin: Origin | None
) -> Specification:
    columns = list(table.variables)
    return Specification(
        table=table,
        targets={name: Target(name, NotStored(ELSEWHERE), cluster, 1, ()) for name in imputed},
        visit_sequence=(),
        passive_order=(),
        where={name: cells.where for name, cells in imputed.items()},
        ignore=np.zeros(table.n_rows, dtype=bool),
        methods={name: ELSEWHERE if name in imputed else "" for name in columns},
        predictors=pd.DataFrame(int(Role.NONE), index=columns, columns=columns),
        origin=origin,
    )


def _history(table: Table, imputed: dict[str, _Cells]) -> History:
    """Give the cells as chains of one iteration."""
    m = max((len(cells.values) for cells in imputed.values()), default=1)
    code = {name: table.variables[name].kind is not Kind.NUMERIC for name in imputed}
    spread = {
        name: cells.values.std(axis=1, ddof=1)
        if cells.values.shape[1] > 1
        else np.full(len(cells.values), np.nan)
        for name, cells in imputed.items()
    }
    count = {name: len(table.variables[name].categories) for name in imputed}
    return History(
        m=m,
        iterations=1,
        imputed={name: cells.values for name, cells in imputed.items()},
        chain_mean={
            name: (cells.values.mean(axis=1) + code[name])[:, None]
            for name, cells in imputed.items()
        },
        chain_sd={name: own[:, None] for name, own in spread.items()},
        parameters={name: {} for name in imputed},
        labels={name: {} for name in imputed},
        statistics={name: {} for name in imputed},
        states=(b"",) * m,
        adaptation=pack_adaptations({}),
        seed=0,
        events=(
            Event(
                "info", "run", "", "imputed elsewhere",
                "These imputations were made elsewhere and taken in by bi.from_completed: how they "
                "were made, and whether it had converged, cannot be seen from here.",
            ),
        ),
        chain_share={
            name: np.stack([shares_of(own, count[name]) for own in cells.values])[:, None]
            for name, cells in imputed.items()
            if count[name]
        },
    )  # fmt: skip
