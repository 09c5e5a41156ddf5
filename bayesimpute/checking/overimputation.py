r"""Every observed cell predicted without having been seen: overimputation, and LOO-PIT.

The PIT of an observed value is its place in its predictive distribution. If the model is right,
PITs of values left out are uniform (Dawid 1984; Gelfand, Dey & Chang 1992 with values left out).
Of a discrete distribution it is randomised within the probability of the value itself (Brockwell
2007), which is uniform too. With S draws of weights w_s,

.. math::
    \text{PIT}_i = \frac{S\,\sum_s w_s [y_s < y_i] + u_i\,(1 + S \sum_s w_s [y_s = y_i])}{S + 1}

where u_i is uniform and the observed value counts as one more draw, tied with itself: for equal
weights this is exactly uniform whatever S is.

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

from bayesimpute.arguments import Count, FigureSize, Level, Seed, checked
from bayesimpute.arrays import Array
from bayesimpute.checking.psis import FEWEST, LARGE_K, LeftOut, leave_one_out
from bayesimpute.checking.replay import (
    Replay,
    censored,
    check_draws,
    modelled,
    refuse_censored,
    replay,
)
from bayesimpute.checking.uniformity import band, ecdf, ecdf_p, expected
from bayesimpute.data.table import Kind
from bayesimpute.engine.history import History
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.plots.overimputation import Overimputation, calibration_table
from bayesimpute.plots.predictive import LooPit, draw_loo_pit
from bayesimpute.result.restored import require_callables
from bayesimpute.result.run import Run
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.specification import Specification, Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Points at which the distribution of the PITs is held against uniform.
POINTS = 99


def randomised_pit(
    values: Array, observed: Array, weights: Array, rng: np.random.Generator
) -> Array:
    """Place of each observed value among its predictive draws, (row,).

    Parameters
    ----------
    values
        (draw, row).
    observed
        (row,).
    weights
        Of the draws, normalised, (draw, row).
    rng
        For the ties.

    Examples
    --------
    >>> import numpy as np
    >>> draws, equal = np.array([[1.0], [3.0], [4.0]]), np.full((3, 1), 1 / 3)
    >>> pit = randomised_pit(draws, np.array([2.0]), equal, np.random.default_rng(1))
    >>> bool(0.25 < pit[0] < 0.5)  # between the first and the second of three
    True
    """
    draws = len(values)
    below = (weights * (values < observed)).sum(axis=0)
    tied = (weights * (values == observed)).sum(axis=0)
    u = rng.random(len(observed))
    return np.asarray((draws * below + u * (1 + draws * tied)) / (draws + 1))


def difference_from_uniform(pit: Array, level: float) -> tuple[Array, Array, Array, Array, float]:
    """Distribution function of the PITs minus the uniform one, with its simultaneous band.

    The band holds all of the curve with probability `level` if the PITs are independent and uniform
    (Säilynoja, Bürkner & Vehtari 2022).

    Parameters
    ----------
    pit
        (row,).
    level
        Of the band.

    Returns
    -------
    at, difference, lower, upper : ndarray (point,)
    p : float
        How often uniform PITs leave a wider band than these do.
    """
    ranks = np.minimum((pit * (POINTS + 1)).astype(np.int64), POINTS)
    at = expected(POINTS)
    lower, upper = band(len(pit), POINTS, 1 - level)
    return at, ecdf(ranks, POINTS) - at, lower - at, upper - at, ecdf_p(ranks, POINTS)


def departure(pit: Array) -> float:
    """Mean distance of the PITs' distribution function from the uniform one; 0 is perfect.

    Examples
    --------
    >>> import numpy as np
    >>> round(departure((np.arange(100) + 0.5) / 100), 3)
    0.0
    """
    n = len(pit)
    return float(np.abs(np.sort(pit) - (np.arange(n) + 0.5) / n).mean())


def weighted_quantiles(values: Array, weights: Array, shares: tuple[float, ...]) -> Array:
    """Quantiles of weighted draws, (share, row).

    Draw k in order of size stands at the middle of the weights around it, ``(S/(S + 1))`` of the
    sum of weights before it and half its own plus half of one draw's share: with equal weights at
    k/(S + 1), so that an interval holds one more draw as often as it says.
    """
    draws, rows = values.shape
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    own = np.take_along_axis(weights, order, axis=0)
    place = (draws * (np.cumsum(own, axis=0) - own / 2) + 0.5) / (draws + 1)
    out = np.empty((len(shares), rows))
    for row in range(rows):
        out[:, row] = np.interp(shares, place[:, row], ordered[:, row])
    return out


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
    ci_prob: Level = 0.90,
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
    ci_prob
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
        own, chances, how = _cells(drawn, float(ci_prob), rng)
        cells.append(own)
        if chances is not None:
            probabilities[name] = chances
        rows[name] = _summary(own, chances, drawn, specification.methods[name], how)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    table.index.name = "variable"
    return Overimputation(table, pd.concat(cells, ignore_index=True), probabilities, float(ci_prob))


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


#: Of the simultaneous band.
LEVEL = 0.95


def loo_pit(
    specification: Specification,
    history: History,
    variable: str,
    draws: int | None,
    seed: int,
    level: float = LEVEL,
) -> LooPit:
    """PITs of a target's observed values, each weighed out of its own posterior.

    Parameters
    ----------
    specification, history
        Of the run.
    variable
        Target.
    draws
        Draws along each chain; by default 500 in all.
    seed
        Of the draws.
    level
        Of the simultaneous band.
    """
    refuse_censored(modelled(specification, variable, "LOO-PIT"), "LOO-PIT")
    draws = -(-500 // history.m) if draws is None else draws
    draws = check_draws(draws, history.m, 4 * FEWEST)
    drawn = replay(specification, history, variable, draws, seed)
    kept = predicted_rows(drawn)
    out, how = left_out(drawn, kept)
    rng = stream(seed, Purpose.RANDOMISED_RANK, list(specification.targets).index(variable))
    values = drawn.values[:, :, kept].reshape(len(out.log_weights), -1)
    pit = randomised_pit(values, drawn.rows.observed[kept], np.exp(out.log_weights), rng)
    large = float((out.pareto_k > LARGE_K).mean()) if how == "weights" else 0.0
    at, difference, lower, upper, p = difference_from_uniform(pit, level)
    return LooPit(variable, pit, at, difference, lower, upper, level, p, large, how)


@checked
def plot_loo_pit(
    run: Run,
    variable: str,
    *,
    draws: Count | None = None,
    seed: Seed | None = None,
    ax: "Axes | None" = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Distribution function of the LOO-PITs minus the uniform one, with a simultaneous band.

    A line inside the band is what a right model gives. An arch above 0 (too many small PITs) means
    predictions that are too high, one below 0 too low; above 0 on the left and below on the right,
    predictions that are too narrow, the other way round too wide.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        Target with a model.
    draws
        Draws along each chain; by default 500 in all.
    seed
        Of the draws; by default that of the run.
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; (6, 3.6) by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        If the variable has no model, or only a censored one, or `draws` are too few.
    """
    require_callables(run.specification)
    seed = run.seed if seed is None else seed
    found = loo_pit(run.specification, run.history, variable, draws, seed)
    return draw_loo_pit(found, ax, figsize)
