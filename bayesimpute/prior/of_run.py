"""Priors of the models of a run, as they were used in it."""

from typing import TYPE_CHECKING

import pandas as pd

from bayesimpute.arguments import Count, Seed, checked
from bayesimpute.prior.conditional import prior_tree
from bayesimpute.prior.parameters import prior_table
from bayesimpute.result.restored import require_callables
from bayesimpute.result.run import Run

if TYPE_CHECKING:
    import xarray as xr


@checked
def priors(run: Run, variable: str) -> pd.DataFrame:
    """Parameters of one target's model with their priors, on the data's scale.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        Target.

    Returns
    -------
    pandas.DataFrame
        As `bayesimpute.priors` gives it.
    """
    require_callables(run.specification)
    return prior_table(run.specification, variable, run.seed)


@checked
def prior_predictive(
    run: Run, variable: str, draws: Count = 500, seed: Seed | None = None
) -> "xr.DataTree":
    """Draw a target from prior and likelihood of its model, on the data's own scale.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        Target.
    draws
        Number of draws of all parameters, each with a new set of data.
    seed
        Of the draws; by default that of the run.

    Returns
    -------
    xarray.DataTree
        As `bayesimpute.prior_predictive` gives it.
    """
    require_callables(run.specification)
    seed = run.seed if seed is None else seed
    return prior_tree(run.specification, variable, draws, run.seed, seed)
