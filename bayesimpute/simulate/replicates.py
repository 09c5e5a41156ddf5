"""Simulation studies of imputation methods: many data sets, the same methods on each.

What a replicate gives depends on the study's seed, its own number and the method's name, on
nothing else: so workers, their order, interruptions, further replicates and further methods leave
every number as it is. Results are small, and written one file a replicate and method.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import Count, Level, Positive, Seed, check_arguments, checked
from bayesimpute.engine.failures import warn_of_stop
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import SpecificationError, warn
from bayesimpute.files import make_folder, place
from bayesimpute.imputation import impute as run_imputation
from bayesimpute.imputation import specified
from bayesimpute.pooling.formula_design import check_formula
from bayesimpute.pooling.formula_models import check_family
from bayesimpute.simulate.performance import COMPLETE_CASES, COMPLETE_DATA, Replicates
from bayesimpute.simulate.study import Folder, Outcome, Study, outcomes_of
from bayesimpute.specification.aliases import MATCHING
from bayesimpute.specification.specify import specify
from bayesimpute.wording import did_you_mean, listed

BUILT_IN = (COMPLETE_DATA, COMPLETE_CASES)

#: Arguments of ``bi.impute`` that the runner gives itself.
OWN = ("df", "seed", "executor", "checkpoint", "progress")


def check_study(simulate: Any, methods: Any, analysis: Any, truth: Any) -> None:
    """Refuse arguments of the runner that cannot be used.

    Raises
    ------
    SpecificationError
        Naming the argument.
    """
    if not callable(simulate):
        raise SpecificationError(
            "replicate: simulate= must be a function of a seed, such as "
            "partial(bi.simulate.simulate_selection, rho=0.6)."
        )
    if not isinstance(analysis, str) and not callable(analysis):
        raise SpecificationError(
            f"replicate: analysis={analysis!r} must be a formula, or a function of a frame."
        )
    if not isinstance(methods, Mapping) or not methods:
        raise SpecificationError(
            "replicate: methods= must name at least one method, such as "
            f'{{"complete data": None, "at random": {{"method": {{"y": "{MATCHING}"}}}}}}.'
        )
    # a true value that is not known is NaN
    values = list(truth.values()) if isinstance(truth, Mapping) else [None]
    if truth is not None and not all(isinstance(value, Real) for value in values):
        raise SpecificationError(f"truth={truth!r:.60} must be a dict from term to number.")


def prepared_methods(methods: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """Give methods with their arguments in full; built-in ones are None."""
    _check_arguments("impute=", common)
    prepared: dict[str, Any] = {}
    for name, given in methods.items():
        if not isinstance(name, str) or not name:
            raise SpecificationError(f"replicate: the method name {name!r} must be a text.")
        where = f"method {name!r}"
        if name in BUILT_IN:
            if given is not None:
                raise SpecificationError(
                    f"replicate: {where} is built in; give None, or choose another name."
                )
        elif isinstance(given, str):
            given = {**common, "method": given}
        elif isinstance(given, Mapping):
            _check_arguments(where, given)
            given = {**common, **given}
        elif not callable(given):
            raise SpecificationError(
                f"replicate: {where} is {given!r}; give arguments of bi.impute as a dict, a "
                "method's name, or a function of study and seed. None is for "
                f"{' and '.join(map(repr, BUILT_IN))}.{did_you_mean(name, BUILT_IN)}"
            )
        prepared[name] = given
    return prepared


def _check_arguments(where: str, given: Any) -> None:
    known = inspect.signature(run_imputation).parameters
    if not isinstance(given, Mapping):
        raise SpecificationError(f"replicate: {where} must be a dict of arguments of bi.impute.")
    for name in given:
        if name in OWN:
            raise SpecificationError(
                f"replicate: {where} gives {name!r}, which is the runner's to give; leave it out."
            )
        if name not in known:
            raise SpecificationError(
                f"replicate: {where} gives {name!r}, which is no argument of bi.impute."
                f"{did_you_mean(name, [each for each in known if each not in OWN])}"
            )
    check_arguments(run_imputation, given)


def rehearse(study: Study, number: int) -> None:
    """Look at one data set, so that what can never work is said before any work."""
    data = study.simulated(number)
    if isinstance(study.analysis, str):
        check_family(study.family)
        check_formula(study.analysis, data.complete.columns)
    elif study.family is not None:
        raise SpecificationError(
            "replicate: family= belongs to a formula; a function chooses its own model."
        )
    known = set(inspect.signature(specify).parameters)
    for name, work in study.methods.items():
        if isinstance(work, Mapping):
            arguments = {key: value for key, value in work.items() if key in known}
            try:
                specified(data.incomplete, **arguments)
            except SpecificationError as error:
                raise SpecificationError(f"replicate: method {name!r}: {error}") from error
            except Exception:
                # of these data, perhaps, and not of others: it will be among the failures
                continue


def check_truth(
    truth: Mapping[str, float] | None, found: Mapping[tuple[int, str], Outcome]
) -> None:
    """Refuse a truth of other terms than the analyses gave.

    Raises
    ------
    SpecificationError
        Naming the term and those there are.
    """
    known = dict.fromkeys(answer[0] for each in found.values() for answer in each.answers)
    if not known:
        return
    given = truth
    if given is None:
        # a study knows more than one analysis asks for
        given = next(iter(found.values())).truth
        if not given or any(term in known for term in given):
            return
    for term in given:
        if term not in known:
            raise SpecificationError(
                f"replicate: truth has the term {term!r}, and no analysis gave it; there are "
                f"{listed(known, most=12)}.{did_you_mean(term, known)}"
            )


COLUMNS = (
    "replicate", "method", "term", "truth", "estimate", "std_error", "df", "conf_low", "conf_high",
    "fmi", "seconds",
)  # fmt: skip


@checked
def replicate(
    simulate: Any,
    methods: Any,
    analysis: Any,
    *,
    replicates: Count = 200,
    seed: Seed | None = None,
    truth: Any = None,
    impute: Mapping[str, Any] | None = None,
    dfcom: Positive | None = None,
    ci_prob: Level = 0.95,
    family: Any = None,
    executor: Executor | None = None,
    folder: str | Path | None = None,
    progress: bool | None = None,
) -> Replicates:
    """Simulate data sets, apply every method to each, and measure how well it does.

    Each replicate has seeds of its own: the data's follows from `seed` and the replicate's number,
    a method's from these and its name. All methods see the same data sets, and adding or removing
    a method, or replicates, changes no number of the others.

    Parameters
    ----------
    simulate
        Function of a seed that gives a :class:`SimulatedStudy`, or anything with its attributes
        ``incomplete``, ``complete`` and ``truth``, such as
        ``partial(bi.simulate.simulate_selection, rho=0.6, rows=100)``.
    methods
        By name, in the order of the result, one of

        - a dict of arguments of :func:`bayesimpute.impute`, or a method's name for every
          incomplete column;
        - a function ``method(study, seed)`` that gives imputations, completed frames, pooled
          estimates, or what an analysis may return;
        - None for the two names that are built in: ``"complete data"``, the analysis of what would
          have been seen, and ``"complete cases"``, that of rows without a gap in a column which the
          formula names (in any column, if the analysis is a function).
    analysis
        Formula, or function of a completed frame, as for ``imp.fit``.
    replicates
        Number of data sets. With 200 the Monte-Carlo standard error of a coverage of 95 % is 1.5
        percentage points, with 1000 it is 0.7.
    seed
        Whole number from 0; default from the operating system, or that of `folder`.
    truth
        True value by term; default the ``truth`` of each study, which may vary by replicate. It is
        no part of the work: a study in a folder can be measured against another truth.
    impute
        Arguments of :func:`bayesimpute.impute` common to the methods that are given as arguments,
        such as ``{"m": 10, "iterations": 5, "cluster": "school"}``; a method's own come first.
    dfcom
        Degrees of freedom of the analysis of complete data, for all methods; default from the
        fits, infinity where they do not tell. For coefficients that vary by cluster it is the
        clusters that count, and few of them: clusters − 1.
    ci_prob
        Of the intervals.
    family
        Of the analysis, as for ``imp.fit``.
    executor
        Any ``concurrent.futures.Executor``, such as a process pool or a Dask client's
        ``get_executor()``; one task is one replicate, whose chains share one core. Threads take
        turns at imputing. Default, this process, with a replicate's chains in threads as in
        ``bi.impute``.
    folder
        Where finished results are kept, a file a replicate and method, written all or nothing.
        Started again, the study goes on where it was, bit for bit, with more replicates or methods
        if wanted; what is interrupted loses the running replicates only. A failure is kept, too;
        delete its file to have it tried again. Another version of this package is another study;
        edits of its source that leave the version are not noticed.
    progress
        Show a bar; default only where someone watches.

    Returns
    -------
    Replicates
        With ``estimates``, ``failures``, ``performance()`` and ``plot()``.

    Warns
    -----
    ImputationWarning
        Ctrl-C was pressed: the replicates that every method finished are returned (before the
        first, KeyboardInterrupt is raised as usual).

    Raises
    ------
    SpecificationError, AnalysisError
        Before any work, if arguments cannot be used or `folder` holds another study; after a
        replicate, if no term of `truth` is one of the analysis; when `simulate` fails. A method
        that fails stops nothing: see ``failures``.

    Examples
    --------
    >>> from functools import partial
    >>> import bayesimpute as bi
    >>> def mean_of_observed(study, seed):
    ...     return {"estimates": {"mean": study.incomplete["popular"].mean()},
    ...             "std_errors": {"mean": study.incomplete["popular"].sem()}}
    >>> found = bi.simulate.replicate(
    ...     partial(bi.simulate.simulate_popularity, schools=10, pupils=100),
    ...     {"complete data": None, "observed": mean_of_observed},
    ...     lambda df: {"estimates": {"mean": df["popular"].mean()},
    ...                 "std_errors": {"mean": df["popular"].sem()}},
    ...     replicates=20, seed=1, truth={"mean": 5.24},
    ... )
    >>> found.performance(control="complete data")[["method", "n", "bias"]].round(2)
              method   n  bias
    0  complete data  20  0.00
    1       observed  20  0.53
    """
    check_study(simulate, methods, analysis, truth)
    study = Study(
        simulate, prepared_methods(methods, impute or {}), analysis, family, dfcom,
        0 if seed is None else int(seed),
    )  # fmt: skip
    store = None if folder is None else Folder(place(folder))
    stored_seed = None if store is None else store.compare(study, seed)
    if seed is None:
        study = replace(study, seed=fresh_seed() if stored_seed is None else stored_seed)
    found = {} if store is None else store.read(study.methods, replicates)
    pending = {
        number: names
        for number in range(replicates)
        if (names := tuple(name for name in study.methods if (number, name) not in found))
    }
    if store is not None:
        make_folder(store.path)
    if pending:
        rehearse(study, min(pending))
    if store is not None:
        store.begin(study)
    unwritten = 0
    with (
        _bar(replicates, replicates - len(pending), progress) as advance,
        closing(outcomes_of(study, pending, executor)) as finished,
    ):
        try:
            for outcomes in finished:
                for outcome in outcomes:
                    if store is not None:
                        unwritten += _unwritten(store, outcome, first=not unwritten)
                    found[outcome.replicate, outcome.method] = outcome
                # where a method failed, its terms are not known yet
                if not any(outcome.error for outcome in outcomes):
                    check_truth(truth, found)
                advance()
        except KeyboardInterrupt:
            if not _whole(study, found, replicates):
                raise
    check_truth(truth, found)
    whole = _whole(study, found, replicates)
    if len(whole) < replicates:
        folder = None if store is None else store.path
        warn_of_stop("replicate", "replicates", len(whole), replicates, folder)
    ordered = [found[number, name] for number in whole for name in study.methods]
    return Replicates(
        _estimates(ordered, truth, ci_prob),
        _texts("error", [(each, each.error) for each in ordered if each.error is not None]),
        _texts("warning", [(each, text) for each in ordered for text in each.warnings]),
        tuple(study.methods),
        len(whole),
        study.seed,
        ci_prob,
    )


def _whole(study: Study, found: Mapping[tuple[int, str], Outcome], replicates: int) -> list[int]:
    """Numbers of the replicates that every method has finished."""
    return [k for k in range(replicates) if all((k, name) in found for name in study.methods)]


def _unwritten(store: Folder, outcome: Outcome, first: bool) -> bool:
    """Whether a result could not be written; the first time, it is said."""
    try:
        store.write(outcome)
    except OSError as error:  # the study is worth more than its folder
        if first:
            warn(
                f"replicate: {error} The study goes on; results that are not in the folder are "
                "done again by a call that goes on from it."
            )
        return True
    return False


def _estimates(
    outcomes: Sequence[Outcome], truth: Mapping[str, float] | None, ci_prob: float
) -> pd.DataFrame:
    rows = []
    for each in outcomes:
        true = each.truth if truth is None else truth
        for answer in each.answers:
            value = float(true.get(answer.term, np.nan))
            rows.append((each.replicate, each.method, answer.term, value, answer.estimate,
                         answer.std_error, answer.df, *answer.interval(ci_prob), answer.fmi,
                         each.seconds))  # fmt: skip
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = dict.fromkeys(COLUMNS[3:], float)
    return table.astype({"replicate": int, "method": str, "term": str, **numbers})


def _texts(what: str, pairs: Sequence[tuple[Outcome, str | None]]) -> pd.DataFrame:
    rows = [(each.replicate, each.method, text) for each, text in pairs]
    table = pd.DataFrame(rows, columns=["replicate", "method", what])
    return table.astype({"replicate": int, "method": str, what: str})


@contextmanager
def _bar(total: int, done: int, enabled: bool | None) -> Iterator[Callable[[], None]]:
    """Replicates on a bar, those from a folder included."""
    if enabled is None:
        enabled = sys.stderr.isatty() or "ipykernel" in sys.modules
    if not enabled:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("replicates"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replicates", total=total, completed=done)
        yield lambda: progress.advance(task)
