"""From a frame to imputations: specify, adapt once, run m chains, record."""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from bayesimpute.engine.adapt import adapt, reference_values
from bayesimpute.engine.bench import Bench, method_of, options_of
from bayesimpute.engine.chain import ChainState, Stretch, new_chain, run_chain
from bayesimpute.engine.checkpoint import resume_point
from bayesimpute.engine.history import History
from bayesimpute.engine.packing import pack_adaptations, unpack_adaptations
from bayesimpute.engine.record import begin, lengthen
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import SpecificationError
from bayesimpute.progress import progress_bar
from bayesimpute.result.imputations import Imputations
from bayesimpute.specification.arguments import check_run_arguments
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.specification.specify import specify


def impute(
    df: pd.DataFrame,
    cluster: str | None = None,
    m: int = 20,
    iterations: int = 10,
    method: Mapping[str, Any] | str | None = None,
    predictors: pd.DataFrame | None = None,
    formulas: Mapping[str, str] | None = None,
    priors: Mapping[str, Mapping[str, Any]] | None = None,
    post: Mapping[str, Any] | None = None,
    where: Any = None,
    ignore: Any = None,
    visit_sequence: str | Sequence[str] | None = None,
    model_options: Mapping[Any, Mapping[str, Any]] | None = None,
    seed: int | None = None,
    executor: Executor | None = None,
    checkpoint: str | Path | None = None,
    progress: bool | None = None,
    on_error: str = "raise",
) -> Imputations:
    """Impute a table by chained equations, every draw from the posterior of a PyMC model.

    Parameters
    ----------
    df
        Any pandas frame; it is not modified.
    cluster
        Column of cluster ids; with it, models have a random intercept by default.
    m
        Number of imputations, each a chain of its own. 20 keeps the Monte-Carlo error of a
        pooled standard error near one tenth at 40 % missing information.
    iterations
        Iterations of each chain; look at ``imp.diagnostics()`` and ``imp.extend()`` for more.
    method
        Method by column, or one name for every incomplete column; default ``"pmm"``. Names as in
        mice are accepted. ``"~ I(a / b)"`` makes a column passive; a method object or a function
        ``builder(design) -> pm.Model`` is a method too.
    predictors
        Predictor matrix of :class:`~bayesimpute.roles.Role` codes, row = target; default
        :func:`~bayesimpute.make_predictors`.
    formulas
        lme4-style formula by target, in place of its row of `predictors`.
    priors
        PyMC distributions by target and parameter, on the data's scale:
        ``{"popular": {"sd_intercept": pm.HalfNormal.dist(1)}}``.
    post
        By target, a function ``post(values, data, rng)`` applied to freshly drawn values, such as
        ``bi.squeeze(0, 10)``.
    where
        Boolean frame of cells to impute; default the missing ones.
    ignore
        Boolean (row,): rows imputed but never fitted to.
    visit_sequence
        ``"roman"`` (column order, default), ``"arabic"``, ``"monotone"``, ``"revmonotone"``, or a
        list of columns.
    model_options
        Options by target (key ``"*"`` for all): ``{"popular": {"donors": 10}}``.
    seed
        Whole number from 0; the same seed gives the same bits for any `executor`. Default: from
        the operating system, and recorded.
    executor
        Any ``concurrent.futures.Executor``; default, this process.
    checkpoint
        File to write after every iteration, and to go on from if it exists.
    progress
        Progress bar; default only where someone is watching.
    on_error
        ``"raise"``, or ``"keep"`` to keep a target's last values when its model fails, with an
        event.

    Returns
    -------
    Imputations

    Raises
    ------
    DataError, SpecificationError
        Before any work, when data or arguments cannot be used; the text says what to do.
    SamplingError
        When a model fails, with target, imputation and iteration.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=100)
    >>> imp = bi.impute(study.incomplete, cluster="school", m=2, iterations=2, seed=1)
    >>> int(imp.complete(1).isna().sum().sum())
    0
    """
    check_run_arguments(m, iterations, seed, executor, on_error, progress)
    specification = specify(
        df,
        cluster=cluster,
        method=method,
        predictors=predictors,
        formulas=formulas,
        priors=priors,
        post=post,
        where=where,
        ignore=ignore,
        visit_sequence=visit_sequence,
        model_options=model_options,
    )
    path = Path(checkpoint) if checkpoint is not None else None
    history = resume_point(path, specification, m, seed) if path is not None else None
    if history is None:
        seed = fresh_seed() if seed is None else int(seed)
        bench = Bench.of(specification, reference_values(specification, seed))
        adaptations, events = adapt(bench, seed)
        history = begin(
            specification, bench, m, pack_adaptations(adaptations), seed,
            (*specification.events, *events),
        )
    else:
        seed = history.seed
        bench = None
    return _continue(
        specification, history, iterations - history.iterations, bench, executor, path, progress,
        on_error,
    )


def extend(
    imputations: Imputations,
    iterations: int,
    executor: Executor | None = None,
    progress: bool | None = None,
    on_error: str = "raise",
) -> Imputations:
    """Go on for `iterations` more; the same bits as one longer run."""
    history = imputations.history
    check_run_arguments(history.m, iterations, history.seed, executor, on_error, progress)
    return _continue(
        imputations.specification, history, iterations, None, executor, None, progress, on_error
    )


def textbook_model(imputations: Imputations, name: str, imputation: int = 1) -> Any:
    """Build the PyMC model of one target on one chain's completed data.

    Raises
    ------
    SpecificationError
        If `name` has no model, or there is no such imputation.
    """
    specification, history = imputations.specification, imputations.history
    target = specification.targets.get(name)
    if not isinstance(target, Target):
        with_model = [k for k, v in specification.targets.items() if isinstance(v, Target)]
        raise SpecificationError(
            f"model: {name!r} has no imputation model; {', '.join(with_model) or 'nothing'} has."
        )
    if not 1 <= imputation <= history.m:
        raise SpecificationError(
            f"model: there is no imputation {imputation}; they run from 1 to {history.m}."
        )
    from bayesimpute.design import DesignBuilder

    state = ChainState.from_bytes(specification, history.states[imputation - 1])
    design = DesignBuilder.of(specification, target).build(state.values)
    return method_of(target).model(design, target.priors, options_of(target))


def _continue(
    specification: Specification,
    history: History,
    iterations: int,
    bench: Bench | None,
    executor: Executor | None,
    checkpoint: Path | None,
    progress: bool | None,
    on_error: str,
) -> Imputations:
    # with a checkpoint one iteration at a time, so that no more than one is ever lost
    steps = [1] * iterations if checkpoint is not None else [iterations] * (iterations > 0)
    with progress_bar(total=history.m * max(iterations, 0), enabled=progress) as advance:
        for step in steps:
            stretches: list[Stretch | None] = [None] * history.m
            wanted = range(history.iterations, history.iterations + step)
            for imputation, stretch in _stretches(
                specification, history, wanted, bench, executor, on_error
            ):
                stretches[imputation] = stretch
                advance(step)
            history = lengthen(history, step, [s for s in stretches if s is not None])
            if checkpoint is not None:
                Imputations(specification, history).to_netcdf(checkpoint)
    return Imputations(specification, history)


def _stretches(
    specification: Specification,
    history: History,
    iterations: range,
    bench: Bench | None,
    executor: Executor | None,
    on_error: str,
) -> Iterator[tuple[int, Stretch]]:
    if executor is None:
        bench = bench or Bench.of(specification, reference_values(specification, history.seed))
        for imputation in range(history.m):
            yield imputation, _stretch(bench, history, imputation, iterations, on_error)
        return
    import cloudpickle

    # one chain's state travels with its task, everything else once a task as shared bytes
    shared = cloudpickle.dumps((specification, history.adaptation, history.seed))
    futures = {
        executor.submit(
            _remote_stretch, shared, state, imputation, iterations, on_error
        ): imputation
        for imputation, state in enumerate(history.states)
    }
    for future in as_completed(futures):
        yield futures[future], future.result()


def _stretch(
    bench: Bench, history: History, imputation: int, iterations: range, on_error: str
) -> Stretch:
    return _run(
        bench, history.adaptation, history.states[imputation], history.seed, imputation,
        iterations, on_error,
    )


def _run(
    bench: Bench,
    adaptation: bytes,
    state: bytes,
    seed: int,
    imputation: int,
    iterations: range,
    on_error: str,
) -> Stretch:
    chain = (
        ChainState.from_bytes(bench.specification, state)
        if state
        else new_chain(bench, seed, imputation)
    )
    return run_chain(
        bench, unpack_adaptations(adaptation), chain, seed, imputation, iterations, on_error
    )


def _remote_stretch(
    shared: bytes, state: bytes, imputation: int, iterations: range, on_error: str
) -> Stretch:
    digest = hashlib.sha256(shared).hexdigest()
    bench, adaptation, seed = _bench_of(_Shared(shared, digest), threading.get_ident())
    return _run(bench, adaptation, state, seed, imputation, iterations, on_error)


class _Shared:
    """Bytes that compare by their digest, so that a cache can hold what was built from them."""

    def __init__(self, data: bytes, digest: str) -> None:
        self.data = data
        self.digest = digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shared) and other.digest == self.digest


_COMPILING = threading.Lock()  # PyTensor does not compile in two threads at once


@lru_cache(maxsize=8)
def _bench_of(shared: _Shared, thread: int) -> tuple[Bench, bytes, int]:
    """Build the models once a worker and thread: compiled functions own their memory."""
    import cloudpickle

    specification, adaptation, seed = cloudpickle.loads(shared.data)
    with _COMPILING:
        bench = Bench.of(specification, reference_values(specification, seed))
    return bench, adaptation, seed


__all__ = ["extend", "impute", "textbook_model"]
