"""``imp.predictive``: observed values as the imputation model would have them, as a DataTree."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import Count, FigureSize, Seed, checked
from bayesimpute.checking.replay import Replay, modelled, refuse_censored, replay
from bayesimpute.data.names import safe_name, safe_pair, safe_text
from bayesimpute.plots.predictive import draw_replicated
from bayesimpute.result.restored import require_callables
from bayesimpute.result.run import Run

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@checked
def predictive(
    run: Run, variable: str, draws: Count = 100, seed: Seed | None = None
) -> "xr.DataTree":
    """Draw a target's observed values anew from the posterior of its imputation model.

    The model is not fitted again: each chain goes on from where it stands, on its own completed
    data, by `draws` visits that leave the chain itself as it is.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        Target with a model; not a computed (passive) one.
    draws
        Draws along each chain.
    seed
        Of the draws; by default that of the run. The same seed gives the same bits.

    Returns
    -------
    xarray.DataTree
        In ArviZ's schema, chain = imputation: ``posterior_predictive`` [chain, draw, row],
        ``observed_data`` [row], ``log_likelihood`` [chain, draw, row] (of each observed value
        given parameters and cluster effects; missing for methods that copy observed values),
        ``posterior`` [chain, draw, …] and ``sample_stats`` [chain, draw]. Rows are those the
        model is fitted to: positions in the user's frame, or clusters for a level-2 target;
        ``cluster`` is a coordinate of them. Categories are codes, their labels in the attribute
        ``categories``. With matching, no row is its own donor. δ-adjustment is of missing values
        and is left out. Of a selection model, everything is given that the value is seen; of a
        joint block, given the other variables of the block.

    Raises
    ------
    SpecificationError
        If the variable has no model, or the chains have not moved yet.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80)
    >>> imp = bi.impute(
    ...     study.incomplete, cluster="school", method="normal", m=2, iterations=1, seed=1,
    ...     progress=False,
    ... )
    >>> tree = imp.predictive("popular", draws=50)
    >>> sorted(tree.children)
    ['log_likelihood', 'observed_data', 'posterior', 'posterior_predictive', 'sample_stats']
    """
    require_callables(run.specification)
    seed = run.seed if seed is None else seed
    return tree_of(replay(run.specification, run.history, variable, draws, seed))


@checked
def plot_ppc(
    run: Run,
    variable: str,
    *,
    draws: Count | None = None,
    seed: Seed | None = None,
    ax: "Axes | None" = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Observed values over data sets that the imputation model would have them be.

    Observed values are blue, replicated ones vermillion.
    Numbers are drawn as kernel densities, one curve a replicated data set (50 at the most);
    categories, and numbers whose draws have at most 12 distinct values, as bars of shares: the
    vermillion bar is the mean over replicated data sets, its line holds 90 % of them. Where the
    blue leaves what the model makes of it, the model misses a feature of the data.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        Target with a model.
    draws
        Replicated data sets of each chain; by default 50 in all.
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
        If the variable has no model, or only a censored one, or the chains have not moved yet.
    """
    refuse_censored(modelled(run.specification, variable, "plot_ppc"), "plot_ppc")
    draws = -(-50 // run.m) if draws is None else draws
    return draw_replicated(predictive(run, variable, draws, seed), ax, figsize)


def tree_of(drawn: Replay) -> "xr.DataTree":
    """Predictions in ArviZ's schema."""
    import xarray as xr

    rows, name = drawn.rows, safe_name(drawn.target, {"chain", "draw", "row", "cluster"})
    described: dict[str, Any] = {"target": safe_text(drawn.target), "kind": str(rows.kind)}
    values, observed = drawn.values, rows.observed
    if rows.categories and rows.numeric:
        known = np.asarray(rows.categories, dtype=float)
        observed = known[observed.astype(np.int64)]
        filled = np.where(np.isnan(values), 0, values).astype(np.int64)
        values = np.where(np.isnan(values), np.nan, known[filled])
    elif rows.categories:
        described["categories"] = [safe_text(str(label)) for label in rows.categories]
        observed = observed.astype(np.int64)
        # some chains have no model for some rows where a condition is imputed
        values = values.astype(np.int64) if not np.isnan(values).any() else values
    chains, draws, _ = values.shape
    coords: dict[str, Any] = {"row": rows.labels}
    if rows.cluster is not None:
        coords["cluster"] = ("row", rows.cluster)
    sampled = {"chain": np.arange(chains), "draw": np.arange(draws)}
    dims = ("chain", "draw", "row")
    groups = {
        "posterior_predictive": xr.Dataset(
            {name: (dims, values, described)}, coords={**sampled, **coords}
        ),
        "observed_data": xr.Dataset({name: ("row", observed, described)}, coords=coords),
    }
    if drawn.log_likelihood is not None:
        attributes = {**described, "measure": drawn.measure}
        groups["log_likelihood"] = xr.Dataset(
            {name: (dims, drawn.log_likelihood, attributes)}, coords={**sampled, **coords}
        )
    parameters: dict[str, Any] = {}
    terms: dict[str, Any] = {}
    for parameter, each in drawn.parameters.items():
        own = safe_pair(drawn.target, parameter)
        if each.ndim == 2:
            parameters[own] = (("chain", "draw"), each)
        else:
            parameters[own] = (("chain", "draw", f"{own}_term"), each)
            terms[f"{own}_term"] = np.array(
                list(map(safe_text, drawn.parameter_labels[parameter])), dtype=str
            )
    if parameters:
        groups["posterior"] = xr.Dataset(parameters, coords={**sampled, **terms})
    if drawn.statistics:
        statistics = {name: (("chain", "draw"), each) for name, each in drawn.statistics.items()}
        groups["sample_stats"] = xr.Dataset(statistics, coords=sampled)
        groups["sample_stats"]["diverging"] = groups["sample_stats"]["diverging"] > 0
    tree: xr.DataTree = xr.DataTree.from_dict(groups)
    return tree
