r"""Overimputation without a refit: every observed cell predicted as if it were missing.

For each observed cell, draws of its value from the model are weighed so that the cell itself is out
of the posterior they come from (:mod:`bayesimpute.checking.psis`). micemd's ``overimpute`` blanks a
cell and runs the chain again, for each cell and imputation; here nothing is run again.

All chains are weighed together. A row's imputed predictors were drawn with its observed value in
sight, so in a chain in which they happen to agree with it the value is likely, and weighs less:
the weight :math:`1 / p(y_i \mid x_i^{(s)}, θ^{(s)})` takes the value out of what has been imputed
beside it, as well as out of the parameters.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import Count, Level, Seed, checked
from bayesimpute.checking.pit import departure, randomised_pit, weighted_quantiles
from bayesimpute.checking.psis import FEWEST, LARGE_K, LeftOut, leave_one_out
from bayesimpute.checking.replay import (
    Replay,
    censored,
    check_draws,
    modelled,
    refuse_censored,
    replay,
)
from bayesimpute.data.table import Kind
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.plots.overimputation import Overimputation, calibration_table
from bayesimpute.result.restored import require_callables
from bayesimpute.result.run import Run
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.specification import Target

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[np.float64]]

#: Draws over all chains, by default: the ends of an interval are then right to a hundredth.
DRAWS = 500
CELLS = (
    "variable", "row", "cluster", "observed", "mean", "low", "high", "probability", "pit",
    "covered", "missing", "pareto_k",
)  # fmt: skip
COLUMNS = (
    "kind", "method", "n", "coverage", "coverage_se", "width", "calibration_error", "large_k",
    "left_out",
)  # fmt: skip


@checked
def overimpute(
    run: Run,
    variables: str | Sequence[str] | None = None,
    draws: Count | None = None,
    level: Level = 0.90,
    seed: Seed | None = None,
) -> Overimputation:
    """Predict every observed cell as if it were missing, and see how often that is right.

    Nothing is fitted again: a cell is taken out of the posterior by importance weights
    (PSIS-LOO), with Pareto k to say whether that works.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variables
        Targets with a model; by default all.
    draws
        Draws along each chain; by default 500 in all.
    level
        Of the intervals.
    seed
        Of the draws; by default that of the run.

    Returns
    -------
    Overimputation
        With ``table``, ``cells``, ``by_cluster()``, ``calibration(variable)`` and ``plot()``.

    Raises
    ------
    SpecificationError
        If a variable has no model, or `draws` are too few.
    """
    require_callables(run.specification)
    seed = run.seed if seed is None else seed
    specification, history = run.specification, run.history
    if variables is None:
        models = [
            target
            for name, target in specification.targets.items()
            if isinstance(target, Target) and not mean_of(name, specification.table)
        ]
        names = [each.name for each in models if not censored(each)]
        for each in models if not names else ():
            refuse_censored(each, "Overimputation")
    else:
        names = [variables] if isinstance(variables, str) else list(variables)
    for name in names:
        refuse_censored(modelled(specification, name, "Overimputation"), "Overimputation")
    draws = -(-DRAWS // history.m) if draws is None else draws
    draws = check_draws(draws, history.m, 4 * FEWEST)
    cells, rows, probabilities = [], {}, {}
    for name in names:
        drawn = replay(specification, history, name, draws, seed)
        rng = stream(seed, Purpose.RANDOMISED_RANK, list(specification.targets).index(name))
        own, chances, how = _cells(drawn, float(level), rng)
        cells.append(own)
        if chances is not None:
            probabilities[name] = chances
        rows[name] = _summary(own, chances, drawn, specification.methods[name], how)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    table.index.name = "variable"
    return Overimputation(table, pd.concat(cells, ignore_index=True), probabilities, float(level))


def left_out(drawn: Replay, kept: Any = slice(None)) -> tuple[LeftOut, str]:
    """Weights that take each row out, and how: ``"weights"``, ``"exactly"`` or ``"not"``."""
    chains, draws, rows = drawn.values[:, :, kept].shape
    equal = LeftOut(np.full((chains * draws, rows), -np.log(chains * draws)), np.full(rows, np.nan))
    if drawn.learnt is None:
        return equal, "not"
    learnt = drawn.learnt[:, :, kept].reshape(chains * draws, rows)
    if np.isnan(learnt).all():
        return equal, "exactly"
    return leave_one_out(learnt), "weights"


def predicted_rows(drawn: Replay) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Rows that every chain has a model for, (row,): a condition may choose others in each."""
    return np.asarray(~np.isnan(drawn.values).any(axis=(0, 1)))


def _cells(
    drawn: Replay, level: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame | None, str]:
    rows, kept = drawn.rows, predicted_rows(drawn)
    values = drawn.values[:, :, kept].reshape(-1, int(kept.sum()))
    observed = rows.observed[kept]
    out, how = left_out(drawn, kept)
    weights = np.exp(out.log_weights)
    pit = randomised_pit(values, observed, weights, rng)
    n = len(observed)
    shown: dict[str, Any] = {name: np.full(n, np.nan) for name in ("mean", "low", "high")}
    shown["probability"], chances = np.full(n, np.nan), None
    labelled: Any = observed
    if rows.kind is Kind.NUMERIC:
        ends = ((1 - level) / 2, (1 + level) / 2)
        shown["low"], shown["high"] = weighted_quantiles(values, weights, ends)
        shown["mean"] = (weights * values).sum(axis=0)
    else:
        codes = observed.astype(np.int64)
        each = np.stack(
            [(weights * (values == k)).sum(axis=0) for k in range(len(rows.categories))], axis=1
        )
        shown["probability"] = each[np.arange(n), codes]
        labelled = np.array(list(rows.categories), dtype=object)[codes]
        chances = pd.DataFrame(each, index=rows.label[kept], columns=list(rows.categories))
    frame = pd.DataFrame(
        {
            "variable": drawn.target,
            "row": rows.label[kept].astype(object),
            "cluster": None if rows.cluster is None else rows.cluster[kept].astype(object),
            "observed": pd.Series(labelled, dtype=object),
            **shown,
            "pit": pit,
            "covered": (pit >= (1 - level) / 2) & (pit <= (1 + level) / 2),
            "missing": rows.missing[kept],
            "pareto_k": out.pareto_k,
        },
        columns=list(CELLS),
    )
    return frame, chances, how


def _summary(
    cells: pd.DataFrame, chances: pd.DataFrame | None, drawn: Replay, method: str, how: str
) -> tuple[Any, ...]:
    n, coverage = len(cells), float(cells["covered"].mean())
    if chances is None:
        error = departure(cells["pit"].to_numpy())
    else:
        groups = calibration_table(chances, cells["observed"].to_numpy())
        error = float((groups["predicted"] - groups["share"]).abs().mean())
    k = cells["pareto_k"].to_numpy()
    return (
        str(drawn.rows.kind),
        method,
        n,
        coverage,
        float(np.sqrt(coverage * (1 - coverage) / n)),
        float((cells["high"] - cells["low"]).mean()),
        error,
        float((k > LARGE_K).mean()) if how == "weights" else np.nan,
        how,
    )
