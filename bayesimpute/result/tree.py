"""The chains as an ArviZ DataTree: chain = imputation, draw = iteration."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.content import PYTHON
from bayesimpute.data.names import safe_name, safe_pair, safe_text
from bayesimpute.data.table import Table
from bayesimpute.diagnostics import MOMENTS, SHARES
from bayesimpute.engine.history import History, labels_of
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

SAMPLED = ("chain", "draw")
MONITOR = "monitor"


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages a result depends on."""
    return {"python": PYTHON} | {package: _version(package) for package in VERSIONED}


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def safe_names(table: Table) -> dict[str, str]:
    """Column -> the name it has in groups that hold a variable a column."""
    taken = {"row", *SAMPLED, *(safe_pair(name, "row") for name in table.variables)}
    return {name: safe_name(name, taken) for name in table.variables}


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
        user's frame. Names that a tree or a file cannot have, or has for something else, are
        those of `bayesimpute.data.names`: ``row`` has a backquote behind it.
    """
    import xarray as xr

    names = safe_names(specification.table)
    groups = {
        "posterior": _sampled(history, _posterior(specification.table, history)),
        "sample_stats": _sample_stats(history),
        "monitor": _sampled(history, _monitor(history)),
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
    return dict(zip(SAMPLED, map(np.arange, (history.m, history.iterations)), strict=True))


@dataclass(frozen=True)
class _Quantity:
    """Draws of one quantity, (chain, draw) or (chain, draw, term), and what they are of.

    `spelled` is how the name has the quantity, where not as it is.
    """

    target: str
    quantity: str
    role: str
    draws: np.ndarray
    labels: tuple[str, ...] = ()
    spelled: str = ""

    def name(self, taken: Container[str] = ()) -> str:
        """Name in the tree, where others are taken."""
        if self.role == MONITOR:
            return safe_name(self.target, taken)
        return safe_pair(self.target, self.spelled or self.quantity, taken)

    @property
    def described(self) -> dict[str, str]:
        of = {"target": self.target, "quantity": self.quantity, "role": self.role}
        return {key: safe_text(text) for key, text in of.items()}


def _posterior(table: Table, history: History) -> list[_Quantity]:
    found = []
    for target, means in history.chain_mean.items():
        found.append(_Quantity(target, "mean", MOMENTS, means))
        found.append(_Quantity(target, "sd", MOMENTS, history.chain_sd[target]))
        if target in history.chain_share:
            categories = labels_of(table.variables[target].categories)
            found.append(
                _Quantity(target, "share", SHARES, history.chain_share[target], categories)
            )
        labels = history.labels.get(target, {})
        summaries = {each.quantity for each in found if each.target == target}
        found += [
            _Quantity(
                target, parameter, "parameter", draws, labels.get(parameter, ()),
                # a parameter may be called share, and its neighbour share_
                parameter + "_" * (parameter.rstrip("_") in summaries),
            )
            for parameter, draws in history.parameters.get(target, {}).items()
        ]  # fmt: skip
    return found


def _monitor(history: History) -> list[_Quantity]:
    return [
        _Quantity(name, MONITOR, MONITOR, draws, history.monitor_labels.get(name, ()))
        for name, draws in history.monitored.items()
    ]


def _sampled(history: History, quantities: Sequence[_Quantity]) -> "xr.Dataset":
    """Quantities by name; where two would have one name, the later is marked."""
    import xarray as xr

    if not quantities:
        return xr.Dataset()
    coords = dict(_chains(history))
    taken = {*SAMPLED, *(f"{each.name()}_term" for each in quantities if each.draws.ndim == 3)}
    variables: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]] = {}
    for each in quantities:
        name = each.name(taken | set(variables))
        dims: tuple[str, ...] = SAMPLED
        if each.draws.ndim == 3:
            dims = (*dims, f"{name}_term")
            coords[dims[-1]] = np.array([safe_text(label) for label in each.labels], dtype=str)
        variables[name] = (dims, each.draws, each.described)
    return xr.Dataset(variables, coords=coords)


def _sample_stats(history: History) -> "xr.Dataset":
    import xarray as xr

    variables: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]] = {}
    by_statistic: dict[str, list[np.ndarray]] = {}
    for target, statistics in history.statistics.items():
        for statistic, values in statistics.items():
            known = ARVIZ_NAMES.get(statistic, statistic)
            attrs = {"target": safe_text(target), "quantity": safe_text(statistic)}
            variables[safe_pair(target, known, variables)] = (SAMPLED, values, attrs)
            by_statistic.setdefault(known, []).append(values)
    over_targets: Mapping[str, Callable[[list[np.ndarray]], np.ndarray]] = {
        "diverging": lambda each: np.any(np.asarray(each) > 0, axis=0),
        "acceptance_rate": lambda each: np.mean(each, axis=0),
        "n_steps": lambda each: np.sum(each, axis=0),
        "tree_depth": lambda each: np.max(each, axis=0),
    }
    for known, combine in over_targets.items():
        if known in by_statistic:
            variables[known] = (SAMPLED, combine(by_statistic[known]), {"target": "all"})
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
        dim = safe_pair(target, "row")
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
    described: dict[str, str | list[str]] = {
        "target": safe_text(name),
        "kind": str(variable.kind),
    }
    if 0 < len(variable.categories) <= MOST_LABELS:
        described["categories"] = [safe_text(str(label)) for label in variable.categories]
    return described
