"""``imp.predictive``: observed values as the imputation model would have them, as a DataTree."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.checking.replay import Replay, replay
from bayesimpute.data.names import safe_name, safe_pair, safe_text
from bayesimpute.engine.history import History
from bayesimpute.specification.specification import Specification

if TYPE_CHECKING:
    import xarray as xr


def predictive_tree(
    specification: Specification, history: History, variable: str, draws: int, seed: int
) -> "xr.DataTree":
    """Draw a target's observed values from the posterior of its model.

    Parameters
    ----------
    specification, history
        Of the run.
    variable
        Target.
    draws
        Draws along each chain.
    seed
        Of the draws.

    Returns
    -------
    xarray.DataTree
        See :meth:`bayesimpute.Imputations.predictive`.
    """
    return tree_of(replay(specification, history, variable, draws, seed))


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
    tree: xr.DataTree = xr.DataTree.from_dict(groups)
    return tree
