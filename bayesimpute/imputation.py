"""``bi.impute``: from a frame to imputations."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pandas as pd

from bayesimpute.checkpoint import resume_point
from bayesimpute.engine.history import History
from bayesimpute.engine.run import go_on, start
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.result.identification import warn_of_prior
from bayesimpute.result.imputations import Imputations
from bayesimpute.specification.arguments import check_run_arguments
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
    monitor: Mapping[str, Callable[[pd.DataFrame], Any]] | None = None,
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
        Method by column, or one name for every incomplete column. Columns without one get that of
        :func:`~bayesimpute.make_method`: ``"pmm"`` for numbers, ``"logistic"`` for two categories
        and for 0/1, ``"categorical"`` and ``"ordinal"`` for more, each with an event that says
        why. Names as in mice are accepted. ``"~ I(a / b)"`` makes a column passive; a method
        object or a function ``builder(design) -> pm.Model`` is a method too. Numbers, codes and
        labels that other columns give exactly are computed, not imputed, with an event.
    predictors
        Predictor matrix of :class:`~bayesimpute.roles.Role` codes, row = target; default
        :func:`~bayesimpute.make_predictors`. A square array without labels is taken in column
        order.
    formulas
        lme4-style formula by target, in place of its row of `predictors`. Effects by cluster in one
        pair of brackets are correlated, ``(1 + x | school)``; those in different ones, and after
        ``||``, are independent, ``(1 | school) + (0 + x | school)``.
    priors
        PyMC distributions by target and parameter, on the data's scale:
        ``{"popular": {"sd_intercept": pm.HalfNormal.dist(1)}}``.
    post
        By target, a function ``post(values, data, rng)`` applied to freshly drawn values, such as
        ``bi.squeeze(0, 10)``.
    where
        Boolean frame of cells to impute; default the missing ones. Or ``"missing"``, ``"all"``,
        ``"observed"``, ``"none"``.
    ignore
        Boolean (row,): rows imputed but never fitted to.
    visit_sequence
        ``"roman"`` (column order, default), ``"arabic"``, ``"monotone"``, ``"revmonotone"``, or a
        list of columns, of which those that are not imputed are passed over.
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
        ``"raise"``, or ``"keep"`` to keep a target's last values when its model fails, or to
        record NaN when a monitor does, with an event.
    monitor
        By a name of your choice, a function of a completed frame that gives a number, or a dict
        or Series of numbers: ``{"slope": lambda data: np.polyfit(data["x"], data["y"], 1)[0]}``.
        Evaluated for every chain at every iteration, so that the convergence of what is to be
        estimated can be seen in ``imp.diagnostics()``; it gets a copy and cannot change the
        chains.

    Returns
    -------
    Imputations

    Warns
    -----
    ImputationWarning
        The data say little of a selection model's ρ, so that what is imputed rests on its prior.

    Raises
    ------
    DataError, SpecificationError
        Before any work, when data or arguments cannot be used; the text says what to do.
    SamplingError
        When a model or a monitor fails, with target or monitor, imputation and iteration.

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
        monitor=monitor,
    )
    path = Path(checkpoint) if checkpoint is not None else None
    history = resume_point(path, specification, m, seed) if path is not None else None
    bench = None
    if history is None:
        history, bench = start(specification, m, fresh_seed() if seed is None else int(seed))

    def save(reached: History) -> None:
        assert path is not None
        Imputations(specification, reached).to_netcdf(path)

    history = go_on(
        specification,
        history,
        iterations - history.iterations,
        bench=bench,
        executor=executor,
        save=save if path is not None else None,
        progress=progress,
        on_error=on_error,
    )
    warn_of_prior(specification, history)
    return Imputations(specification, history)
