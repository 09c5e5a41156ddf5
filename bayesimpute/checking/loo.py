"""LOO-PIT: where each observed value lies in a prediction that has not seen it."""

from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.arguments import Count, FigureSize, Seed, checked
from bayesimpute.checking.overimputation import left_out, predicted_rows
from bayesimpute.checking.pit import difference_from_uniform, randomised_pit
from bayesimpute.checking.psis import FEWEST, LARGE_K
from bayesimpute.checking.replay import check_draws, modelled, refuse_censored, replay
from bayesimpute.engine.history import History
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.plots.pit import LooPit, draw_loo_pit
from bayesimpute.result.restored import require_callables
from bayesimpute.result.run import Run
from bayesimpute.specification.specification import Specification

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
