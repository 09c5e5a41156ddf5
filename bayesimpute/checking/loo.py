"""LOO-PIT: where each observed value lies in a prediction that has not seen it."""

from dataclasses import dataclass

import numpy as np

from bayesimpute.arrays import Array
from bayesimpute.checking.overimputation import left_out, predicted_rows
from bayesimpute.checking.pit import difference_from_uniform, randomised_pit
from bayesimpute.checking.psis import FEWEST, LARGE_K
from bayesimpute.checking.replay import check_draws, modelled, refuse_censored, replay
from bayesimpute.engine.history import History
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.specification.specification import Specification

#: Of the simultaneous band.
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class LooPit:
    """PITs of one variable's observed values, each left out, against uniform.

    Attributes
    ----------
    variable
        Its name.
    pit
        (row,).
    at, difference
        Points, and the PITs' distribution function there minus the uniform one, (point,).
    lower, upper
        Band that holds all of `difference` with probability `level` if the model is right.
    level
        Of the band.
    p
        How often PITs of a right model depart more than these.
    large_k
        Share of rows with Pareto k above 0.7.
    left_out
        ``"weights"``, ``"exactly"`` or ``"not"``.
    """

    variable: str
    pit: Array
    at: Array
    difference: Array
    lower: Array
    upper: Array
    level: float
    p: float
    large_k: float
    left_out: str


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
