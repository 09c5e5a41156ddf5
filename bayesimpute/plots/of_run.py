"""Pictures of a run whose parts are pictures of their own too: of a matrix, of a tree."""

from typing import TYPE_CHECKING

from bayesimpute.arguments import Count, FigureSize, Seed, checked
from bayesimpute.plots import assumptions, predictors
from bayesimpute.prior.of_run import prior_predictive
from bayesimpute.result.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@checked
def plot_predictors(
    run: Run, *, ax: "Axes | None" = None, figsize: FigureSize | None = None
) -> "Figure":
    """Predictor matrix as it was used, with the methods beside it.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; by default what the matrix needs.

    Returns
    -------
    matplotlib.figure.Figure
        As `bayesimpute.plot_predictors` draws it.
    """
    return predictors.plot_predictors(run.predictors, run.method, ax=ax, figsize=figsize)


@checked
def plot_prior_predictive(
    run: Run,
    variable: str,
    *,
    draws: Count = 500,
    seed: Seed | None = None,
    ax: "Axes | None" = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Observed values of a target over what its model expects before it has seen them.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        Target with a model.
    draws
        Number of draws of all parameters, each with a new set of data.
    seed
        Of the draws; by default that of the run.
    ax
        Where to draw; by default a new figure, with a panel for each observed variable of the
        model (several for a model by group).
    figsize
        Inches; (6, 3.6) a panel by default.

    Returns
    -------
    matplotlib.figure.Figure
        As `bayesimpute.plot_prior_predictive` draws it.
    """
    tree = prior_predictive(run, variable, draws, seed)
    return assumptions.plot_prior_predictive(tree, ax=ax, figsize=figsize)
