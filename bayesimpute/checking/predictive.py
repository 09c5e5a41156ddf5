"""``imp.predictive`` and its picture: observed values as the model would have them.

``imp.to_datatree("x")`` is one conditional model with all groups that ArviZ asks for.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import Count, FigureSize, Seed, checked
from bayesimpute.checking.replay import Replay, modelled, refuse_censored, replay
from bayesimpute.data.names import safe_name, safe_pair, safe_text
from bayesimpute.engine.history import labels_of
from bayesimpute.plots import panels, style
from bayesimpute.plots.distribution import bars, curve, grid_within, support
from bayesimpute.plots.frames import MOST_DISTINCT
from bayesimpute.prior.of_run import prior_predictive
from bayesimpute.result.restored import require_callables
from bayesimpute.result.run import Run
from bayesimpute.wording import numbers

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MOST_CURVES = 50


def draw_replicated(
    tree: "xr.DataTree", ax: "Axes | None", figsize: tuple[float, float] | None
) -> "Figure":
    """Draw the tree that `bayesimpute.checking.predictive.predictive` gives."""
    dataset = tree["posterior_predictive"].to_dataset()
    (name,) = dataset.data_vars
    draws, attributes = dataset[name].values, dataset[name].attrs
    draws = draws.reshape(-1, draws.shape[-1])
    observed = tree["observed_data"].to_dataset()[name].values.astype(float)
    kept = ~np.isnan(draws).any(axis=0)  # rows some chain has no model for
    draws, observed = draws[:, kept], observed[kept]
    drawn = panels.panels(1, ax, figsize, picture="plot_ppc")
    (ax,) = drawn.axes
    categories = attributes.get("categories")
    levels = np.unique(np.concatenate([observed, draws.ravel()]))
    if categories is not None:
        levels = np.arange(len(categories))
    shares = categories is not None or len(levels) <= MOST_DISTINCT
    if shares:
        model = np.array([(draws == level).mean(axis=1) for level in levels]).T
        seen = np.array([[np.mean(observed == level) for level in levels]])
        bars(ax, seen, model, [style.OBSERVED, style.IMPUTED], inside=0.9)
        names = numbers(levels) if categories is None else list(map(str, categories))
        panels.name_categories(ax, names)
    else:
        _curves(ax, draws, observed)
    ax.set_ylim(bottom=0)
    marker = "s" if shares else ""
    few = f"{MOST_CURVES} of " if not shares and len(draws) > MOST_CURVES else ""
    entries = [
        (f"observed ({observed.size:,})", panels.key(style.OBSERVED, marker, linewidth=2.2)),
        (f"model ({few}{len(draws)} data sets)", panels.key(style.IMPUTED, marker, linewidth=0.7)),
    ]
    title = str(attributes.get("target", name))
    panels.finish(
        drawn, title, entries, x=attributes.get("units", ""), y="share" if shares else "density"
    )
    return drawn.figure


def _curves(ax: "Axes", draws: np.ndarray, observed: np.ndarray) -> None:
    few = min(len(draws), MOST_CURVES)
    shown = draws[np.linspace(0, len(draws) - 1, few).round().astype(np.int64)]  # of all chains
    low, high = np.quantile(shown, [0.002, 0.998])  # heavy tails would leave no room for the rest
    ends = support([draws, observed])
    grid = grid_within([np.array([low, high]), observed], ends)
    for values in shown:
        curve(ax, values, grid, ends, color=style.IMPUTED, linewidth=0.7, alpha=0.35)
    curve(ax, observed, grid, ends, color=style.OBSERVED, linewidth=2.2)
    ax.set_xlim(grid[0], grid[-1])
    ax.set_yticks([])


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
        ``categories``; dates are days since the first observed one, as the attribute ``units``
        says. With matching, no row is its own donor. δ-adjustment is of missing values
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
    if rows.counted:
        described["units"] = rows.counted
    values, observed = drawn.values, rows.observed
    if rows.categories and rows.numeric:
        known = np.asarray(rows.categories, dtype=float)
        observed = known[observed.astype(np.int64)]
        filled = np.where(np.isnan(values), 0, values).astype(np.int64)
        values = np.where(np.isnan(values), np.nan, known[filled])
    elif rows.categories:
        described["categories"] = list(map(safe_text, labels_of(rows.categories)))
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


@checked
def to_datatree(
    run: Run, variable: str, draws: Count = 100, seed: Seed | None = None
) -> "xr.DataTree":
    """Give one target's model as ArviZ takes it: posterior, prior, likelihood and predictions.

    ``imp.datatree`` holds the chains of all variables, in which the data of each model change from
    one iteration to the next. What ArviZ says of *one* model on its data (energy, prior against
    posterior, leave-one-out, predictive checks) needs draws on data that stay: each chain goes on
    from where it stands, on its own completed data, and is itself left as it is.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        Target with a model; not a computed (passive) one.
    draws
        Draws along each chain (100); of the prior there are as many in all.
    seed
        Of the draws; by default that of the run. The same seed gives the same bits.

    Returns
    -------
    xarray.DataTree
        The groups of `predictive` (``posterior``, ``sample_stats``, ``log_likelihood``,
        ``posterior_predictive``, ``observed_data``), and ``prior`` with the names of
        ``posterior`` and ``prior_predictive`` with those of ``observed_data``. Parameters that a
        prior draws otherwise than they are reported, and predictions that are not of the observed
        rows, are left out; so is ``log_likelihood`` of methods that copy observed values.

    Raises
    ------
    SpecificationError
        If the variable has no model, or the chains have not moved yet.

    Examples
    --------
    >>> import arviz as az
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80)
    >>> imp = bi.impute(
    ...     study.incomplete, cluster="school", method="normal", m=4, iterations=1, seed=1,
    ...     progress=False,
    ... )
    >>> tree = imp.to_datatree("popular")
    >>> bool((az.bfmi(tree).to_array() > 0.3).all())
    True
    """
    tree = predictive(run, variable, draws, seed)
    prior = prior_predictive(run, variable, draws * run.m, seed)
    if "posterior" in tree:
        found = _prior_of(tree["posterior"].to_dataset(), prior["prior"].to_dataset(), variable)
        if found.data_vars:
            tree["prior"] = found
    data = tree["observed_data"].to_dataset()
    predicted = _predictions_of(data, prior["prior_predictive"].to_dataset())
    if predicted is not None:
        tree["prior_predictive"] = predicted
    return tree


def _prior_of(posterior: "xr.Dataset", prior: "xr.Dataset", variable: str) -> "xr.Dataset":
    """Prior draws of what the posterior reports, under its names and with its labels."""
    import xarray as xr

    found = {}
    for parameter, drawn in prior.data_vars.items():
        name = safe_pair(variable, str(parameter))
        if name not in posterior:
            continue
        term = posterior[name].dims[2:]
        labels = [str(each) for each in posterior[term[0]].values] if term else []
        values = _elements(drawn, labels)
        if values is not None:
            found[name] = (("chain", "draw", *term), values)
    used = {dim for dims, _ in found.values() for dim in dims} - {"chain", "draw"}
    return xr.Dataset(found, coords={dim: posterior[dim] for dim in used})


def _elements(drawn: "xr.DataArray", labels: list[str]) -> np.ndarray | None:
    """Draws in the order of the labels, (chain, draw) or (chain, draw, label); None if others."""
    values, dims = drawn.values, drawn.dims[2:]
    own = [[str(each) for each in drawn[dim].values] if dim in drawn.coords else [] for dim in dims]
    if not dims:
        return values if not labels else None
    if len(dims) == 1:
        same = len(labels) == values.shape[2] and own[0] in ([], labels)
        return values if same else None
    if len(dims) == 2 and labels == [f"{row}: {column}" for row in own[0] for column in own[1]]:
        return values.reshape(*values.shape[:2], -1)
    size = values.shape[-1]
    if values.ndim == 4 and values.shape[2] == size and "~" in labels[0]:  # correlations
        lower = np.tril_indices(size, -1)
        return values[:, :, *lower] if len(lower[0]) == len(labels) else None
    return None


def _predictions_of(data: "xr.Dataset", predicted: "xr.Dataset") -> "xr.Dataset | None":
    """Predictions under the name of the data they are of, row by row; None if of other rows."""
    (name,) = data.data_vars
    if len(predicted.data_vars) != 1:
        return None
    (drawn,) = predicted.data_vars.values()
    if drawn.dims[2:] != ("row",):
        return None
    own, wanted = (np.argsort(each["row"].values, kind="stable") for each in (drawn, data))
    if not np.array_equal(drawn["row"].values[own], data["row"].values[wanted]):
        return None
    drawn = drawn.isel(row=own[np.argsort(wanted)])
    labels = data[name].attrs.get("categories")
    if labels is not None:
        if "categories" not in drawn.attrs:  # numbers that stand for categories, as in matching
            return None
        codes = {label: code for code, label in enumerate(labels)}
        drawn = drawn.copy(data=np.vectorize(codes.__getitem__, otypes=[np.int64])(drawn.values))
    return drawn.rename(name).assign_attrs(data[name].attrs).to_dataset()
