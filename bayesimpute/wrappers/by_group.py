"""A model of its own for each group of rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.method import Array, Design, Kernel
from bayesimpute.registry import resolve
from bayesimpute.wording import did_you_mean, one_line
from bayesimpute.wrappers.base import (
    Options,
    Rows,
    RowsKernel,
    Scope,
    Wrapper,
    decide,
    inner_kernel,
    labelled,
    method_text,
    wrappable,
)


@checked
def by_group(method: Any, by: str) -> "ByGroup":
    """Impute with a separate model for each category of a column, such as the treatment arm.

    Nothing is shared between the groups: effects, cluster effects and residual spread are their
    own, so every interaction with `by` is in the imputation model.

    Parameters
    ----------
    method
        Name of a method, a method object, a function ``builder(design) -> pm.Model``, or another
        wrapper.
    by
        Column without missing values. In each of its groups the target needs at least two
        different observed values.

    Returns
    -------
    ByGroup
        For ``method={"target": ...}``. Parameters are reported by group, as ``sigma[treated]``.

    Raises
    ------
    SpecificationError
        If `by` is no name of a column, or `method` no method.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> print(bi.by_group("normal", "arm"))
    by_group(normal, arm)
    """
    if not by:
        raise SpecificationError(f"by_group: by={by!r} must be the name of a column.")
    return ByGroup(wrappable("by_group", method), by)


@dataclass(frozen=True, repr=False)
class ByGroup(Wrapper):
    """The method :func:`by_group` gives.

    Attributes
    ----------
    by
        Column whose values make the groups.
    groups
        Value and label of each group, decided from the data.
    """

    by: str
    groups: tuple[tuple[float, str], ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return f"by_group({method_text(self.method)}, {one_line(self.by)})"

    def decided(self, scope: Scope) -> tuple[Self, tuple[Event, ...]]:
        """Find the groups and check the method inside in each of them."""
        values = self._checked(scope)
        groups = _groups(scope.table, self.by, values)
        for value, label in groups:
            decide(self.method, scope.within(values == value, f" where {self.by} is {label}"))
        method, events = decide(self.method, scope)
        return replace(self, method=method, groups=groups), events

    def _checked(self, scope: Scope) -> Array:
        table, by, place = scope.table, self.by, f"by_group of {scope.target!r}: "
        if by not in table.variables:
            raise SpecificationError(
                f"{place}there is no column {by!r}.{did_you_mean(by, table.variables)}"
            )
        if by == scope.target:
            raise SpecificationError(f"{place}a variable cannot be grouped by itself.")
        if by == scope.cluster:
            raise SpecificationError(
                f"{place}{by!r} is the cluster of its model, so each group would be one cluster; "
                "use bi.fixed_clusters, or a model without this cluster."
            )
        if table.variables[by].kind is Kind.OTHER:
            raise SpecificationError(
                f"{place}{by!r} ({table.variables[by].dtype}) is neither a number nor a category; "
                "convert it first."
            )
        missing = table.missing(by)
        if missing.any():
            raise DataError(
                f"{place}{by!r} is missing in {int(missing.sum())} row(s), which then have no "
                "group; fill it in or drop these rows, or make it a predictor."
            )
        values = table.values[by]
        scope.check_level(place, values, repr(by), "group by a variable of the clusters")
        return values

    def reads(self) -> tuple[str, ...]:
        """Give the grouping column."""
        return (self.by,)

    @property
    def _key(self) -> str:
        # not the name alone: an option of the method inside may be called so, as event
        return f"group of {self.by}"

    def columns(self, table: Table, values: Mapping[str, Array]) -> Mapping[str, Array]:
        """Give the codes of the groups."""
        return {self._key: values[self.by]}

    def model(self, design: Design, priors: Options, options: Options) -> Any:
        """Build the textbook models of all groups, side by side in one PyMC model.

        Returns
        -------
        pymc.Model
            A variable's name carries its group: ``sigma[treated]``.
        """
        method = resolve(self.method)
        return joined_model(
            {
                label: method.model(design.rows(rows), priors, options)
                for label, rows in self.rows(design).items()
            }
        )

    def kernel(self, design: Design, priors: Options, options: Options) -> Kernel:
        """Build a kernel for each group."""
        kernels = {
            label: inner_kernel(self.method, design.rows(rows), priors, options)
            for label, rows in self.rows(design).items()
        }
        return RowsKernel(self, kernels, np.nan)

    def rows(self, design: Design) -> dict[str, Rows]:
        """Give the rows of a design that are in each group, by its label, (row,) bool."""
        codes = design.columns[self._key]
        return {label: codes == value for value, label in self.groups}

    rows_asked = rows

    def check_nobodys(self, target: str, n: int) -> None:
        """Refuse rows of a group that no model was fitted to."""
        if n:
            raise DataError(
                f"{target!r} has a model for each group of {self.by!r}, and none for a group that "
                f"was not there when the imputations were made; {n} missing value(s) are of such "
                "rows."
            )

    def equation(self, inner: str) -> str:
        """Say that the model holds in each group."""
        return f"{inner};  separately for each {self.by}"


def _groups(table: Table, by: str, values: Array) -> tuple[tuple[float, str], ...]:
    """Value and label of each group, in order of first appearance: renaming changes nothing."""
    codes = pd.unique(values)
    cells = table.frame[by].iloc[table.rows]
    originals = [cells.iloc[int((values == code).argmax())] for code in codes]
    labels = [str(each) for each in originals]
    if len(set(labels)) < len(labels):  # 1 and "1" in one column
        labels = [repr(each) for each in originals]
    return tuple((float(code), label) for code, label in zip(codes, labels, strict=True))


def joined_model(models: Mapping[str, Any]) -> Any:
    """Put models side by side in one ``pm.Model``.

    PyMC's own nested models would share dims such as ``row``, whose length differs by group.

    Parameters
    ----------
    models
        Label -> model, built for this purpose: its variables are renamed and move over.

    Returns
    -------
    pymc.Model
        Variable ``sigma`` of group ``a`` is ``sigma[a]``, dim ``row`` is ``row[a]``.
    """
    import pymc as pm

    joined = pm.Model(model=None)
    for label, model in models.items():
        move(model, joined, partial(labelled, label))
    return joined


def move(model: Any, joined: Any, renamed: Callable[[str], str]) -> None:
    """Move all variables of a model into another, under new names; so are its dims called.

    Parameters
    ----------
    model
        Built for this purpose.
    joined
        The other.
    renamed
        Gives the new name of a variable or dim.
    """
    for dim, length in model.dim_lengths.items():
        joined.add_coord(renamed(dim), model.coords.get(dim), length=length)
    names = {variable: name for name, variable in model.named_vars.items()}
    for variable in model.basic_RVs:
        variable.name = renamed(names[variable])
        value = model.rvs_to_values[variable]
        free = variable in model.free_RVs
        (joined.free_RVs if free else joined.observed_RVs).append(variable)
        transform = model.rvs_to_transforms[variable]
        # PyMC finds sigma_log__ by the name of sigma; codes cast from observed data have none
        if value not in names and value.name is not None:
            value.name = variable.name + value.name.removeprefix(names[variable])
        joined.create_value_var(
            variable, transform=transform, default_transform=None, value_var=value
        )
        if free:
            joined.set_initval(variable, model.rvs_to_initial_values.get(variable))
    for variable, name in names.items():
        for mine, theirs in (
            (joined.deterministics, model.deterministics),
            (joined.potentials, model.potentials),
            (joined.data_vars, model.data_vars),
        ):
            if variable in theirs:
                mine.append(variable)
        variable.name = renamed(name)
        dims = model.named_vars_to_dims.get(name)
        dims = None if not dims else tuple(d and renamed(d) for d in dims)
        joined.add_named_variable(variable, dims=dims)
