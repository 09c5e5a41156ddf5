"""From a run to further ones: derived columns and rows, more imputations, two runs as one."""

from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import Count, checked
from bayesimpute.data.encoding import recoded
from bayesimpute.data.table import Kind, Table
from bayesimpute.engine.cores import threads_of
from bayesimpute.engine.failures import Stopped
from bayesimpute.engine.history import History
from bayesimpute.engine.more import beside, more_chains
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.result.restored import (
    ASSIGNED,
    DERIVED,
    ELSEWHERE,
    NotStored,
    in_given_steps,
    made_elsewhere,
    require_one_run,
    require_to_extend,
    without_models,
)
from bayesimpute.result.run import Run, iterate, noted_versions
from bayesimpute.roles import Role
from bayesimpute.specification.specification import Passive, Specification, Target, fingerprint


def assign[AnyRun: Run](run: AnyRun, /, **columns: Any) -> AnyRun:
    """Add columns that are computed from each completed data set.

    As ``DataFrame.assign``. A cell counts as imputed if its value differs between the imputations,
    as a mean of a cluster or a rank may in any row; or if a cell of its row is missing in the data
    and its value is not what the incomplete data give.

    Parameters
    ----------
    **columns
        Name -> function of a completed frame, or anything that ``DataFrame.assign`` takes. A later
        one may use those before it.

    Returns
    -------
    Imputations
        A new object with the same m, for ``complete``, ``fit``, pictures and files. Models and
        chains are those of the run: ask that one.

    Raises
    ------
    SpecificationError
        If a column is there already.
    DataError
        If a function fails, leaves a cell missing in some imputations only, or computes from
        imputed cells what is neither number nor category.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=100)
    >>> imp = bi.impute(study.incomplete, m=2, iterations=1, seed=1, progress=False)
    >>> more = imp.assign(high=lambda df: df["popular"] > 5)
    >>> more.complete(1)["high"].dtype
    dtype('bool')
    """
    table = run.specification.table
    taken = [name for name in columns if name in table.variables]
    if taken:
        raise SpecificationError(
            f"assign: column {taken[0]!r} is there already, and what is imputed stays as it is; "
            "give the new column another name."
        )
    if not columns:
        return run
    frames = [
        _assigned(frame, columns, f"imputation {k}")
        for k, frame in enumerate(iterate(run.specification, run.history), start=1)
    ]
    incomplete = _assigned(table.frame, columns, "the incomplete data")
    some = np.zeros(table.n_rows, dtype=bool)
    for cells in run.specification.where.values():
        some |= cells
    by_row = np.empty(table.n_rows, dtype=bool)
    by_row[table.rows] = some
    for name in columns:
        whole = pd.concat([frame[name] for frame in frames], ignore_index=True)
        column = frames[0][name].astype(whole.dtype)
        different = by_row & ~_equal(incomplete[name], column)
        for frame in frames[1:]:
            different |= ~_equal(frame[name], column)
        incomplete[name] = _with_gaps(column, different)
    return _with_columns(run, incomplete, frames, tuple(columns))


@checked
def query[AnyRun: Run](run: AnyRun, condition: str) -> AnyRun:
    """Keep the rows in which a condition holds, in all imputations.

    As ``DataFrame.query``, and mice's ``filter``. Where a condition on imputed values holds in
    some imputations only, the rows would differ between them, which is refused: choose the rows
    within the analysis then, ``imp.fit(lambda df: model(df.query("age > 60")))``.

    Parameters
    ----------
    condition
        As for ``DataFrame.query``: ``"age > 60 and sex == 'female'"``.

    Returns
    -------
    Imputations
        A new object with the same m, for ``complete``, ``fit``, pictures and files. Models and
        chains are those of the run: ask that one.

    Raises
    ------
    DataError
        If the condition cannot be evaluated, holds nowhere, or differs between imputations.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=100)
    >>> imp = bi.impute(study.incomplete, m=2, iterations=1, seed=1, progress=False)
    >>> len(imp.query("texp > 10").complete(1)) < len(imp.data)
    True
    """
    table = run.specification.table
    masks = []
    for frame in iterate(run.specification, run.history):
        places = pd.Series(np.arange(len(frame)), frame.index)  # labels may repeat
        try:
            holds: Any = frame.eval(condition)
            kept = places.loc[holds]
        except Exception as error:  # whatever pandas raises, it is about the text
            raise DataError(f"query: {condition!r} cannot be evaluated ({error}).") from None
        masks.append(np.isin(places, kept))
    unlike = np.any([mask != masks[0] for mask in masks], axis=0)
    if unlike.any():
        raise DataError(
            f"query: {condition!r} holds in some imputations and not in others in "
            f"{int(unlike.sum())} row(s); choose the rows within the analysis: "
            "imp.fit(lambda df: model(df.query(...)))."
        )
    if not masks[0].any():
        raise DataError(f"query: {condition!r} holds in no row.")
    chosen = masks[0][table.rows]  # canonical order
    if chosen.all():
        return run
    place = np.cumsum(masks[0]) - 1
    kept_table = Table(
        table.frame[masks[0]],
        table.variables,
        {name: values[chosen] for name, values in table.values.items()},
        place[table.rows[chosen]],
    )
    history = run.history
    imputed = {
        name: values[:, chosen[run.specification.where[name]]]
        for name, values in history.imputed.items()
    }
    specification = replace(
        _without_models(run.specification),
        table=kept_table,
        where={name: cells[chosen] for name, cells in run.specification.where.items()},
        ignore=run.specification.ignore[chosen],
    )
    return _made(run, specification, replace(history, imputed=imputed))


def _assigned(frame: pd.DataFrame, columns: Any, place: str) -> pd.DataFrame:
    rows = len(frame)
    for name, value in columns.items():
        try:
            frame = frame.assign(**{name: value})
        except Exception as error:  # the user's own code may fail in any way
            raise DataError(
                f"assign: {name!r} of {place}: {type(error).__name__}: {error}"
            ) from error
        if len(frame) != rows:
            raise DataError(f"assign: {name!r} of {place} has another number of rows.")
    return frame


def _equal(left: "pd.Series[Any]", right: "pd.Series[Any]") -> np.ndarray:
    """Where two columns agree, gaps with gaps."""
    one, two = left.astype(object).to_numpy(), right.astype(object).to_numpy()
    both = pd.notna(one) & pd.notna(two)
    same = np.asarray(pd.isna(one) & pd.isna(two), dtype=bool)
    same[both] = one[both] == two[both]  # pd.NA equals nothing, and is not False either
    return same


def _with_gaps(column: "pd.Series[Any]", gaps: np.ndarray) -> "pd.Series[Any]":
    """Give a column with gaps, in a dtype that has them; as it is without any."""
    if not gaps.any():
        return column
    if column.dtype == bool:
        column = column.astype(object)
    return column.mask(gaps)


def _with_columns[AnyRun: Run](
    run: AnyRun, incomplete: pd.DataFrame, frames: list[pd.DataFrame], names: tuple[str, ...]
) -> AnyRun:
    specification = _without_models(run.specification)
    old = specification.table
    fresh = Table.from_frame(incomplete[list(names)])
    imputed, where = dict(run.history.imputed), dict(specification.where)
    targets = dict(specification.targets)
    methods = dict(specification.methods)
    mark = ELSEWHERE if made_elsewhere(run.specification) else DERIVED
    for name in names:
        variable = fresh.variables[name]
        missing = np.isnan(fresh.values[name][np.argsort(fresh.rows)][old.rows])
        methods[name] = ASSIGNED
        if variable.kind is Kind.OTHER and any(
            (incomplete[name].isna().to_numpy() & frame[name].notna().to_numpy()).any()
            for frame in frames
        ):
            raise DataError(
                f"assign: {name!r} ({incomplete[name].dtype}) differs between imputations and is "
                "neither number nor category, which is all that is kept of each; compute a number, "
                "such as days of dates, or call the function on imp.complete(k)."
            )
        if variable.kind is Kind.OTHER or not missing.any():
            continue
        allowed = np.arange(float(len(variable.categories)))
        unknown = "a value that no complete row has; make it a categorical column"
        values = [
            recoded(frame[name], variable, allowed, f"assign: imputation {k}", unknown)[1]
            for k, frame in enumerate(frames, start=1)
        ]
        drawn = np.stack([own[old.rows] for own in values])
        filled = np.isfinite(drawn)
        if (missing & filled.any(axis=0) & ~filled.all(axis=0)).any():
            raise DataError(f"assign: {name!r} is missing in some imputations and not in others.")
        cells = missing & filled.all(axis=0)
        if cells.any():
            where[name], imputed[name] = cells, drawn[:, cells]
            targets[name] = Target(name, NotStored(mark), None, 1, ())
    canonical = {name: fresh.values[name][np.argsort(fresh.rows)][old.rows] for name in names}
    table = Table(
        incomplete, {**old.variables, **fresh.variables}, {**old.values, **canonical}, old.rows
    )
    columns = list(table.variables)
    predictors = specification.predictors.reindex(
        index=columns, columns=columns, fill_value=int(Role.NONE)
    )
    made = replace(
        specification, table=table, targets=targets, where=where, methods=methods,
        predictors=predictors,
    )  # fmt: skip
    return _made(run, made, replace(run.history, imputed=imputed))


def _without_models(specification: Specification) -> Specification:
    """Give a specification whose models cannot be asked, for completed data only."""
    if made_elsewhere(specification):
        return specification
    targets: dict[str, Target | Passive] = {
        name: Target(
            name,
            NotStored(DERIVED),
            getattr(target, "cluster", None),
            getattr(target, "level", 1),
            (),
        )
        for name, target in specification.targets.items()
    }
    return replace(
        specification, targets=targets, visit_sequence=(), passive_order=(), live=None, analyses=(),
        monitors={},
    )  # fmt: skip


def _made[AnyRun: Run](run: AnyRun, specification: Specification, history: History) -> AnyRun:
    return replace(
        run,
        specification=specification,
        history=replace(
            history,
            parameters={},
            labels={},
            statistics={},
            monitored={},
            monitor_labels={},
            states=(b"",) * history.m,
        ),
        fingerprint=None,
    )


@checked
def more[AnyRun: Run](
    run: AnyRun,
    m: Count,
    executor: Executor | None = None,
    progress: bool | None = None,
    cores: Count | None = None,
) -> AnyRun:
    """Raise the number of imputations; equals a run with so many at first, bit for bit.

    Parameters
    ----------
    m
        Number of imputations in all: the further chains run as long as those that are there.
    executor, progress, cores
        As in ``bi.impute``.

    Returns
    -------
    Imputations
        A new object; the first imputations are those of this one.

    Raises
    ------
    SpecificationError
        If there are more already; if the result was opened from a file and used callables that
        were not given again to ``bi.open``; if it is no single run of ``bi.impute``.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=100)
    >>> imp = bi.impute(study.incomplete, m=2, iterations=2, seed=1, progress=False)
    >>> imp.more(3, progress=False).m
    3
    """
    threads = threads_of(cores, executor)
    require_to_extend(run.specification)
    require_one_run(run.history, "more")
    if m < run.m:
        raise SpecificationError(
            f"more: there are {run.m} imputations already, and m={m} asks for fewer; m is their "
            "number in all."
        )
    if m == run.m:
        return run
    try:
        history = more_chains(
            run.specification, run.history, m, executor=executor, progress=progress, cores=threads
        )
    except Stopped:  # chains shorter than the others are of no use
        raise KeyboardInterrupt from None
    made = f"Imputations from {run.m + 1} on were made"
    return replace(run, history=noted_versions(history, run.versions, made))


@checked
def bind[AnyRun: Run](run: AnyRun, other: Run) -> AnyRun:
    """Put imputations of another run of the same data and models behind these.

    As mice's ``ibind``, for runs that were made side by side with different seeds. Of one run
    ``imp.more(m)`` has more.

    Parameters
    ----------
    other
        The other result.

    Returns
    -------
    Imputations
        Those of both. Chains of several runs cannot go on together, and their parameters are each
        in the units of their own run: ``extend``, ``more``, ``impute_new`` and ``analysis`` are
        for each of them, and R-hats are of the imputed values.

    Raises
    ------
    SpecificationError
        If data, models or numbers of iterations differ, or the seed does not.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=100)
    >>> one, two = (
    ...     bi.impute(study.incomplete, m=2, iterations=1, seed=k, progress=False) for k in (1, 2)
    ... )
    >>> one.bind(two).m
    4
    """
    _check_alike(run, other)
    first = run.m
    events = tuple(
        replace(event, imputation=event.imputation + first) if event.imputation else event
        for event in other.history.events
    )
    joined = beside(run.history, replace(other.history, events=events))
    whose = f"a run with seed {other.seed}"
    if made_elsewhere(other.specification):
        whose = "the other one, made elsewhere"
    bound = Event(
        "info", "run", "", "runs bound",
        f"Imputations {first + 1} to {joined.m} are those of {whose}.",
    )  # fmt: skip
    seeds = (*joined.further_seeds, other.seed, *other.history.further_seeds)
    history = replace(joined, events=(*joined.events, bound), further_seeds=seeds)
    return replace(run, specification=in_given_steps(run.specification, joined), history=history)


def _check_alike(run: Run, other: Run) -> None:
    if run.iterations != other.iterations:
        raise SpecificationError(
            f"bind: these chains have made {run.iterations} iterations, the others "
            f"{other.iterations}; bring them to the same length by imp.extend."
        )
    elsewhere = made_elsewhere(run.specification), made_elsewhere(other.specification)
    if elsewhere == (True, True):
        if not _same_cells(run, other):
            raise SpecificationError("bind: the incomplete data differ, or which cells are filled.")
        return
    if any(elsewhere):
        raise SpecificationError(
            "bind: one of the two was made elsewhere; take in the completed data of both by "
            "bi.from_completed."
        )
    if any(without_models(each.specification) for each in (run, other)):
        raise SpecificationError(
            "bind: assign() or query() made imputations here, of which it is not known any more "
            "whether models and priors are the same; bind the runs, and assign or query then."
        )
    seeds = {run.seed, *run.history.further_seeds}
    if seeds & {other.seed, *other.history.further_seeds}:
        raise SpecificationError(
            f"bind: both have seed {other.seed}, and so the same random numbers; "
            "imp.more(m) raises m, or run again with another seed."
        )
    mine, theirs = (each.fingerprint or fingerprint(each.specification) for each in (run, other))
    differing = mine.differences(theirs)
    if differing:
        raise SpecificationError(
            f"bind: the runs differ in {', '.join(differing[:5])}; only imputations of the same "
            "data by the same models can be pooled together."
        )


def _same_cells(run: Run, other: Run) -> bool:
    mine, theirs = run.specification, other.specification
    return (
        mine.table.frame.equals(theirs.table.frame)
        and mine.where.keys() == theirs.where.keys()
        and all((cells == theirs.where[name]).all() for name, cells in mine.where.items())
    )
