"""``bi.impute``: from a frame to imputations."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from bayesimpute.arguments import Count, Seed, checked
from bayesimpute.engine.cores import threads_of
from bayesimpute.engine.failures import Stopped
from bayesimpute.engine.history import History
from bayesimpute.engine.run import NOWHERE, go_on, start
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import AnalysisError, SpecificationError, warn
from bayesimpute.events import Event
from bayesimpute.files import check_target, place
from bayesimpute.imputations import Imputations
from bayesimpute.interchange import Frame, taken
from bayesimpute.opening import resume_point
from bayesimpute.pooling.formula_design import with_fixed_bases
from bayesimpute.result.checks import warn_of_prior
from bayesimpute.result.frame_store import check_storable
from bayesimpute.result.run import noted_versions
from bayesimpute.result.storage import to_checkpoint
from bayesimpute.specification.latent_means import with_latent_means
from bayesimpute.specification.specification import Specification, fingerprint
from bayesimpute.specification.specify import specify

CHECKPOINT = (
    "Checkpoint {!r} holds the iterations before; call again with the same arguments and a new "
    "executor, and the run goes on there."
)


@checked
def impute(
    df: Frame,
    cluster: str | Sequence[str] | None = None,
    m: Count = 20,
    iterations: Count = 10,
    method: Any = None,
    predictors: pd.DataFrame | None = None,
    formulas: Mapping[str, str] | None = None,
    priors: Mapping[str, Mapping[str, Any]] | None = None,
    post: Mapping[str, Any] | None = None,
    where: Any = None,
    ignore: Any = None,
    visit_sequence: str | Sequence[str] | None = None,
    model_options: Mapping[Any, Mapping[str, Any]] | None = None,
    seed: Seed | None = None,
    cores: Count | None = None,
    executor: Executor | None = None,
    checkpoint: str | Path | None = None,
    progress: bool | None = None,
    on_error: Literal["raise", "keep"] = "raise",
    monitor: Any = None,
    analysis: str | Sequence[str] | None = None,
    family: str | Sequence[str] | Mapping[str, str] | None = None,
    on: Literal["analysis", "conditional"] = "analysis",
) -> Imputations:
    """Impute a table by chained equations, every draw from the posterior of a PyMC model.

    Parameters
    ----------
    df
        A frame of pandas or polars, or an Arrow table; it is not modified. ``imp.complete(1)`` is
        of the same kind, with the same types of columns. Functions of yours get frames of pandas,
        as packages that fit analyses do.
    cluster
        Column of cluster ids; with it, models have a random intercept by default. Several, as
        ``["school", "class"]``, are nested or crossed as the data show, which an event says; a
        model has a random intercept for each. ``"school/class"`` are classes whose ids count anew
        in each school. A variable that never varies within clusters gets one value a cluster.
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
        labels that other columns give exactly are computed, not imputed, with an event. Dates,
        durations and periods are imputed if a method is named for their column,
        ``{"born": "pmm"}``: as days since the first (periods: as periods), and come out as dates of
        the same dtype.
    predictors
        Predictor matrix of :class:`~bayesimpute.roles.Role` codes, row = target; default
        :func:`~bayesimpute.make_predictors`. A square array without labels is taken in column
        order.
    formulas
        lme4-style formula by target, in place of its row of `predictors`. Products with a category
        have the columns that R gives them: ``x:s`` a slope of x in each category of s, written as
        ``x`` and its differences. Effects by cluster in one pair of brackets are correlated,
        ``(1 + x | school)``; those in different ones, and after ``||``, are independent,
        ``(1 | school) + (0 + x | school)``.
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
        ``"roman"`` (column order), ``"arabic"``, ``"monotone"``, ``"revmonotone"``, or a list of
        columns, of which those that are not imputed are passed over. Default, column order, but
        for columns that a condition of :func:`~bayesimpute.only_where` reads: before it.
    model_options
        Options by target (key ``"*"`` for all): ``{"popular": {"donors": 10}}``.
    seed
        Whole number from 0; the same seed gives the same bits for any `cores` and `executor`.
        Default: from the operating system, and recorded.
    cores
        Chains run in so many threads of this process. Default, all physical cores, as in
        ``pm.sample``: the samplers are machine code and wait for no one. 1 for no threads.
    executor
        Any ``concurrent.futures.Executor``, for a cluster of machines; default, this process.
    checkpoint
        File to write after every iteration, and to go on from if it exists and is of the same run:
        same data, same arguments, functions by their code and what they read. Another run is
        refused, with what differs. ``bi.open`` reads it at any time, other programs once the run
        is done.
    progress
        Show what is compiled, then a progress bar with the time left; default only where someone
        is watching.
    on_error
        ``"raise"``, or ``"keep"`` to keep a target's last values when its model fails, or to
        record NaN when a monitor does, with an event.
    monitor
        By a name of your choice, a function of a completed frame that gives a number, or a dict
        or Series of numbers: ``{"slope": lambda data: np.polyfit(data["x"], data["y"], 1)[0]}``.
        Evaluated for every chain at every iteration, so that the convergence of what is to be
        estimated can be seen in ``imp.diagnostics()``; it gets a copy and cannot change the
        chains.
    analysis
        Formula of the model that will be fitted, ``"y ~ x * z + (1 + x | g)"``, or several. It
        becomes the model of its outcome, and a missing predictor is drawn from its own model (given
        the other covariates, not the outcome) times the analysis, so that interactions, powers,
        functions and random slopes of incomplete predictors are imputed as they are analysed
        (substantive-model compatible, Bartlett et al. 2015). ``cluster_mean(x)`` is the mean of the
        rows of a cluster, ``latent_mean(x)`` the mean that they are around, which becomes a column
        of the completed data. Outcomes may predict each other without a circle. `formulas`,
        `method`, and rows of `predictors` (which need have no others then) replace any part of the
        other models. ``Surv(time, event)`` is the time to an event, censored where `event` is 0;
        neither column gets or enters another model.
    family
        Of the outcome: a method's name or ``"gaussian"``, ``"binomial"``, …; one for all
        analyses, one for each, or by outcome. Default, by kind: ``"normal"`` for numbers,
        ``"piecewise"`` for the time to an event, of which ``"weibull"`` assumes more.
    on
        ``"analysis"`` (default), or ``"conditional"`` for chained equations whatever the analysis,
        which then only is what ``imp.fit()`` fits.

    Returns
    -------
    Imputations

    Warns
    -----
    ImputationWarning
        The data say little of a selection model's ρ, so that what is imputed rests on its prior.
        Or Ctrl-C was pressed: what is returned has the iterations that all chains finished (before
        the first, KeyboardInterrupt is raised as usual).

    Raises
    ------
    DataError, SpecificationError
        Before any work, when data or arguments cannot be used; the text says what to do.
    SamplingError
        When a model, a function of yours or a worker fails, whatever it raised, with target or
        monitor, imputation and iteration.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=100)
    >>> imp = bi.impute(study.incomplete, cluster="school", m=2, iterations=2, seed=1)
    >>> int(imp.complete(1).isna().sum().sum())
    0
    """
    threads = threads_of(cores, executor)
    if checkpoint is not None:
        check_target(checkpoint)
    frame, origin = taken(df)
    specification = specified(
        frame,
        origin=origin,
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
        analysis=analysis,
        family=family,
        on=on,
    )
    check_storable(specification.table.frame)
    run = fingerprint(specification)  # now: what functions hold may change while they are called
    path = place(checkpoint) if checkpoint is not None else None
    stored = resume_point(path, run, m, seed, iterations) if path is not None else None
    bench = None
    if stored is not None and stored.iterations == iterations:
        imputations = replace(stored, specification=specification)
        warn_of_prior(imputations)
        return imputations
    if stored is not None:
        history = noted_versions(stored.history, stored.versions)
    else:
        chosen = fresh_seed() if seed is None else int(seed)
        history, bench = start(specification, m, chosen, executor, threads, progress)

    unwritten: list[str] = []

    def save(reached: History) -> None:
        assert path is not None
        result = Imputations(specification, reached, fingerprint=run)
        try:
            if reached.iterations < iterations:
                to_checkpoint(result, path)
            else:
                result.to_netcdf(path)
        except OSError as error:  # the run is worth more than its checkpoint
            if not unwritten:
                warn(f"Checkpoint: {error}")
            unwritten.append(
                f"The checkpoint of iteration {reached.iterations} is missing: {error}"
            )

    try:
        history = go_on(
            specification,
            history,
            iterations - history.iterations,
            bench=bench,
            executor=executor,
            save=save if path is not None else None,
            progress=progress,
            on_error=on_error,
            kept=NOWHERE if path is None else CHECKPOINT.format(path.name),
            cores=threads,
        )
    except Stopped as stop:
        history = stop.finished()
    missing = [Event("warning", "run", "", "checkpoint not written", text) for text in unwritten]
    history = replace(history, events=(*history.events, *missing))
    imputations = Imputations(specification, history, fingerprint=run)
    warn_of_prior(imputations)
    return imputations


def specified(df: pd.DataFrame, analysis: Any = None, **arguments: Any) -> Specification:
    """Give the specification of a run, analyses written as their models have them.

    Parameters are those of :func:`impute`.

    Raises
    ------
    DataError, SpecificationError
        When data or arguments cannot be used.
    """
    if analysis is None:
        return specify(df, **arguments)
    analysis, df = with_latent_means(analysis, df)
    formulas = [analysis] if isinstance(analysis, str) else analysis
    try:
        written = {text: with_fixed_bases(text, df) for text in formulas if isinstance(text, str)}
    except AnalysisError as error:
        raise SpecificationError(f"analysis: {error}") from None
    return specify(df, analysis=analysis, written=written, **arguments)
