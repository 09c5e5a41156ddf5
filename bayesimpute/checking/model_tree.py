"""``imp.to_datatree("x")``: one conditional model with all groups that ArviZ asks for."""

from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.arguments import Count, Seed, checked
from bayesimpute.checking.predictive import predictive
from bayesimpute.data.names import safe_pair
from bayesimpute.prior.of_run import prior_predictive
from bayesimpute.result.run import Run

if TYPE_CHECKING:
    import xarray as xr


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
    """Predictions under the name of the data they are of; None if they are of other rows."""
    (name,) = data.data_vars
    if len(predicted.data_vars) != 1:
        return None
    (drawn,) = predicted.data_vars.values()
    if drawn.dims[2:] != ("row",) or drawn.sizes["row"] != data.sizes["row"]:
        return None
    labels = data[name].attrs.get("categories")
    if labels is not None:
        codes = {label: code for code, label in enumerate(labels)}
        drawn = drawn.copy(data=np.vectorize(codes.__getitem__, otypes=[np.int64])(drawn.values))
    return drawn.rename(name).assign_attrs(data[name].attrs).to_dataset()
