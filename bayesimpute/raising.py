"""``imp.more(m)`` and ``imp.bind(other)``: more imputations of the same data by the same models."""

from concurrent.futures import Executor
from dataclasses import replace

from bayesimpute.arguments import Count, checked
from bayesimpute.engine.cores import threads_of
from bayesimpute.engine.failures import Stopped
from bayesimpute.engine.more import beside, more_chains
from bayesimpute.errors import SpecificationError
from bayesimpute.events import Event
from bayesimpute.result.restored import made_elsewhere, require_one_run, require_to_extend
from bayesimpute.result.run import Run
from bayesimpute.specification.specification import fingerprint


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
    return replace(run, history=history)


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
        Those of both. Chains of several runs cannot go on together: ``extend``, ``more`` and
        ``impute_new`` are for each of them.

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
    bound = Event(
        "info", "run", "", "runs bound",
        f"Imputations {first + 1} to {joined.m} are those of a run with seed {other.seed}.",
    )  # fmt: skip
    seeds = (*joined.further_seeds, other.seed, *other.history.further_seeds)
    return replace(
        run, history=replace(joined, events=(*joined.events, bound), further_seeds=seeds)
    )


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
    return mine.table.frame.equals(theirs.table.frame) and all(
        (mine.where[name] == theirs.where[name]).all() if name in theirs.where else False
        for name in mine.where
    )
