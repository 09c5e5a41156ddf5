"""The chains as an ArviZ DataTree: chain = imputation, draw = iteration."""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.content import PYTHON
from bayesimpute.data.table import Table
from bayesimpute.diagnostics import MOMENTS, SHARES
from bayesimpute.engine.history import History
from bayesimpute.engine.shares import labels_of
from bayesimpute.specification.specification import Specification

if TYPE_CHECKING:
    import xarray as xr

VERSIONED = ("bayesimpute", "pymc", "pytensor", "arviz", "xarray", "pandas", "numpy", "numba")

# What samplers call a statistic -> what ArviZ looks for in `sample_stats`.
ARVIZ_NAMES: Mapping[str, str] = {
    "acceptance": "acceptance_rate",
    "mean_tree_accept": "acceptance_rate",
    "tree_size": "n_steps",
    "depth": "tree_depth",
    "model_logp": "lp",
}

# An HDF5 attribute holds 64 kB: thousands of cluster labels would not fit.
MOST_LABELS = 100


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages a result depends on."""
    found = {"python": PYTHON}
    for package in VERSIONED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def file_safe(names: Iterable[str]) -> dict[str, str]:
    """Column name -> the name it has in the tree, where ``/`` would separate groups.

    Other characters stay. A name already taken gets a trailing ``_``; the true name is always in
    the attribute ``target`` of the variable.
    """
    safe: dict[str, str] = {}
    for name in names:
        candidate = str(name).replace("/", "∕")
        while candidate in safe.values():
            candidate += "_"
        safe[name] = candidate
    return safe


def datatree(
    specification: Specification, history: History, attributes: Mapping[str, str | int]
) -> "xr.DataTree":
    """Posterior, sampler statistics, imputed values and data as one labelled tree.

    Parameters
    ----------
    specification, history
        Of the run.
    attributes
        Attributes of the root and of every group (seed, versions, time).

    Returns
    -------
    xarray.DataTree
        ``posterior`` [chain, draw, …]: ``"<target>.mean"``, ``"<target>.sd"`` of the imputed
        cells (of the codes 1, 2, … for categories), ``"<target>.share"`` of them in each category,
        and ``"<target>.<parameter>"`` of each conditional model, vectors with the dimension
        ``"<target>.<parameter>_term"``; ``sample_stats`` [chain, draw]: ``"<target>.<statistic>"``
        and, over all targets, ``diverging`` (any), ``acceptance_rate`` (mean), ``n_steps`` (sum),
        ``tree_depth`` (largest); ``monitor`` [chain, draw, …]: what ``monitor=`` follows, by the
        user's name; ``imputed_values`` [chain, ``"<target>.row"``]; ``observed_data``
        [row]: incomplete variables as given; ``constant_data`` [row]: the others. Categories are
        codes, their labels (up to 100) in the attribute ``categories``; rows are positions in the
        user's frame.
    """
    import xarray as xr

    names = file_safe(specification.table.variables)
    groups = {
        "posterior": _posterior(specification.table, history, names),
        "sample_stats": _sample_stats(history, names),
        "monitor": _monitor(history),
        "imputed_values": _imputed_values(specification, history, names),
        "observed_data": _data(specification.table, names, set(history.imputed)),
        "constant_data": _data(
            specification.table, names, set(specification.table.variables) - set(history.imputed)
        ),
    }
    tree = xr.DataTree.from_dict({name: group for name, group in groups.items() if group.variables})
    tree.attrs.update(attributes)
    for group in tree.children.values():
        group.attrs.update(attributes)
    return tree


def _chains(history: History) -> dict[str, np.ndarray]:
    return {"chain": np.arange(history.m), "draw": np.arange(history.iterations)}


def _posterior(table: Table, history: History, names: Mapping[str, str]) -> "xr.Dataset":
    import xarray as xr

    coords = dict(_chains(history))
    variables: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]] = {}

    def add(
        target: str, quantity: str, role: str, draws: np.ndarray, labels: tuple[str, ...] = ()
    ) -> None:
        name = file_safe([f"{names[target]}.{quantity}"]).popitem()[1]
        while name in variables:  # a parameter of the user's own model may be called share
            name += "_"
        dims: tuple[str, ...] = ("chain", "draw")
        if draws.ndim == 3:
            dims = (*dims, f"{name}_term")
            coords[dims[-1]] = np.array(labels, dtype=str)
        attrs = {"target": target, "quantity": quantity, "role": role}
        variables[name] = (dims, draws, attrs)

    for target, means in history.chain_mean.items():
        add(target, "mean", MOMENTS, means)
        add(target, "sd", MOMENTS, history.chain_sd[target])
        if target in history.chain_share:
            categories = labels_of(table.variables[target].categories)
            add(target, "share", SHARES, history.chain_share[target], categories)
        labels = history.labels.get(target, {})
        for parameter, draws in history.parameters.get(target, {}).items():
            add(target, parameter, "parameter", draws, labels.get(parameter, ()))
    return xr.Dataset(variables, coords=coords)


def _monitor(history: History) -> "xr.Dataset":
    import xarray as xr

    coords = dict(_chains(history)) if history.monitored else {}
    variables: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]] = {}
    safe = file_safe(history.monitored)
    for name, draws in history.monitored.items():
        dims: tuple[str, ...] = ("chain", "draw")
        if draws.ndim == 3:
            dims = (*dims, f"{safe[name]}_term")
            coords[dims[-1]] = np.array(history.monitor_labels[name], dtype=str)
        attrs = {"target": name, "quantity": "monitor", "role": "monitor"}
        variables[safe[name]] = (dims, draws, attrs)
    return xr.Dataset(variables, coords=coords)


def _sample_stats(history: History, names: Mapping[str, str]) -> "xr.Dataset":
    import xarray as xr

    variables: dict[str, tuple[tuple[str, str], np.ndarray, dict[str, str]]] = {}
    by_statistic: dict[str, list[np.ndarray]] = {}
    for target, statistics in history.statistics.items():
        for statistic, values in statistics.items():
            known = ARVIZ_NAMES.get(statistic, statistic)
            attrs = {"target": target, "quantity": statistic}
            variables[f"{names[target]}.{known}"] = (("chain", "draw"), values, attrs)
            by_statistic.setdefault(known, []).append(values)
    over_targets: Mapping[str, Callable[[list[np.ndarray]], np.ndarray]] = {
        "diverging": lambda each: np.any(np.asarray(each) > 0, axis=0),
        "acceptance_rate": lambda each: np.mean(each, axis=0),
        "n_steps": lambda each: np.sum(each, axis=0),
        "tree_depth": lambda each: np.max(each, axis=0),
    }
    for known, combine in over_targets.items():
        if known in by_statistic:
            variables[known] = (("chain", "draw"), combine(by_statistic[known]), {"target": "all"})
    return xr.Dataset(variables, coords=_chains(history) if variables else {})


def _imputed_values(
    specification: Specification, history: History, names: Mapping[str, str]
) -> "xr.Dataset":
    import xarray as xr

    table = specification.table
    variables = {}
    coords: dict[str, np.ndarray] = {"chain": np.arange(history.m)}
    for target, draws in history.imputed.items():
        rows = table.rows[specification.where[target]]
        order = np.argsort(rows)
        dim = f"{names[target]}.row"
        coords[dim] = rows[order]
        variables[names[target]] = (("chain", dim), draws[:, order], _described(table, target))
    return xr.Dataset(variables, coords=coords)


def _data(table: Table, names: Mapping[str, str], chosen: set[str]) -> "xr.Dataset":
    import xarray as xr

    order = np.argsort(table.rows)
    variables = {
        names[name]: (("row",), table.values[name][order], _described(table, name))
        for name, variable in table.variables.items()
        if name in chosen and variable.kind != "other"
    }
    return xr.Dataset(variables, coords={"row": np.arange(len(table.rows))} if variables else {})


def _described(table: Table, name: str) -> dict[str, str | list[str]]:
    variable = table.variables[name]
    described: dict[str, str | list[str]] = {"target": name, "kind": str(variable.kind)}
    if 0 < len(variable.categories) <= MOST_LABELS:
        described["categories"] = [str(label) for label in variable.categories]
    return described
