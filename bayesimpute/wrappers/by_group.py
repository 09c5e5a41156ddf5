"""A model of its own for each group of rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.method import Adaptation, Array, Design, Kernel, Prediction, Visit
from bayesimpute.registry import resolve
from bayesimpute.sampling.prediction import predict
from bayesimpute.sampling.row_draws import Moment, row_draws
from bayesimpute.wording import did_you_mean, one_line
from bayesimpute.wrappers.base import (
    Rows,
    Scope,
    WrappedKernel,
    Wrapper,
    decide,
    density_of_rows,
    inner_kernel,
    method_text,
    size_of,
    visit_rows,
    wrappable,
)
from bayesimpute.wrappers.joined_model import joined_model
from bayesimpute.wrappers.row_draws import GroupedDraws


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
        if scope.level == 2 and scope.clusters is not None and not scope.clusters.is_level2(values):
            raise DataError(
                f"{place}it has one value a cluster, but {by!r} varies within clusters of "
                f"{scope.cluster!r}; group by a variable of the clusters."
            )
        return values

    def reads(self) -> tuple[str, ...]:
        """Give the grouping column."""
        return (self.by,)

    def columns(self, table: Table, values: Mapping[str, Array]) -> Mapping[str, Array]:
        """Give the codes of the groups."""
        return {self.by: values[self.by]}

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
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

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Build a kernel for each group."""
        return GroupKernel(
            {
                label: inner_kernel(self.method, design.rows(rows), priors, options)
                for label, rows in self.rows(design).items()
            },
            self.rows,
            self.by,
        )

    def rows(self, design: Design) -> dict[str, Rows]:
        """Give the rows of a design that are in each group, by its label, (row,) bool."""
        codes = design.columns[self.by]
        return {label: codes == value for value, label in self.groups}

    def equation(self, inner: str) -> str:
        """Say that the model holds in each group."""
        return f"{inner};  separately for each {self.by}"


class GroupKernel(WrappedKernel):
    """Kernels side by side, each on its own rows and with its own part of the state."""

    def __init__(
        self,
        kernels: Mapping[str, Kernel],
        rows: Callable[[Design], dict[str, Rows]],
        by: str,
    ) -> None:
        super().__init__(*kernels.values())
        self.labels = MappingProxyType(
            {
                f"{parameter}[{label}]": names
                for label, kernel in kernels.items()
                for parameter, names in kernel.labels.items()
            }
        )
        self._kernels = dict(kernels)
        self._rows = rows
        self._by = by

    def adapt(self, design: Design, rng: np.random.Generator) -> Adaptation:
        """Tune each kernel on its rows."""
        rows = self._rows(design)
        parts = tuple(
            kernel.adapt(design.rows(rows[label]), rng) for label, kernel in self._kernels.items()
        )
        return Adaptation(
            float(np.mean([part.step_size for part in parts])),
            np.concatenate([part.variance for part in parts]),
            np.concatenate([part.start_mean for part in parts]),
            np.concatenate([part.start_sd for part in parts]),
            parts,
        )

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Give a dispersed starting state."""
        pairs = zip(self.parts, adaptation.parts, strict=True)
        return np.concatenate([kernel.start(part, rng) for kernel, part in pairs])

    def visit(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Visit:
        """Visit the groups one after the other."""
        ends = np.cumsum([len(part.start_mean) for part in adaptation.parts])
        states = np.split(state, ends[:-1])
        rows = self._rows(design)
        values = np.full(len(design.y), np.nan)
        parameters: dict[str, float | Array] = {}
        visits = []
        for (label, kernel), part, own in zip(
            self._kernels.items(), adaptation.parts, states, strict=True
        ):
            visit, drawn = visit_rows(kernel, design, rows[label], part, own, rng, first)
            visits.append(visit)
            values[rows[label]] = drawn[rows[label]]
            parameters |= {f"{name}[{label}]": value for name, value in visit.parameters.items()}
        return Visit(
            np.concatenate([visit.state for visit in visits]),
            values[design.draw],
            parameters,
            _together([visit.statistics for visit in visits]),
        )

    def row_draws(self, moment: Moment) -> GroupedDraws:
        """Give the models of new rows, group by group."""
        rows, parts = self._rows(moment.design), moment.adaptation.parts
        ends = np.cumsum([len(part.start_mean) for part in parts])
        inside = {
            label: row_draws(kernel, Moment(moment.design.rows(rows[label]), part, own, moment.rng))
            for (label, kernel), part, own in zip(
                self._kernels.items(), parts, np.split(moment.state, ends[:-1]), strict=True
            )
        }
        return GroupedDraws(inside, self._rows, self._by)

    def log_density(
        self, design: Design, state: Array, rng: np.random.Generator
    ) -> Callable[[Design], Array]:
        """Give the log density of rows, each by the model of its group."""
        rows, densities, first = self._rows(design), {}, 0
        for label, kernel in self._kernels.items():
            size = size_of(kernel)
            own = state[first : first + size]
            densities[label] = density_of_rows(kernel, design.rows(rows[label]), own, rng)
            first += size

        def of(chosen: Design) -> Array:
            out = np.empty(len(chosen.y))
            for label, where in self._rows(chosen).items():
                if where.any():
                    out[where] = densities[label](chosen.rows(where))
            return out

        return of

    def predict(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
        by_cluster: bool = False,
    ) -> Prediction:
        """Predict the groups one after the other; of a cluster, their densities add up."""
        ends = np.cumsum([len(part.start_mean) for part in adaptation.parts])
        rows, fit = self._rows(design), design.fit
        parameters: dict[str, float | Array] = {}
        states, parts = [], []
        for (label, kernel), tuned, own in zip(
            self._kernels.items(), adaptation.parts, np.split(state, ends[:-1]), strict=True
        ):
            part = predict(kernel, design.rows(rows[label]), tuned, own, rng, first, by_cluster)
            states.append(part.state)
            parameters |= {f"{name}[{label}]": value for name, value in part.parameters.items()}
            parts.append((rows[label][fit], part))

        def gathered(name: str) -> Any:
            each = [getattr(part, name) for _, part in parts]
            if any(own is None for own in each):
                return None
            out = np.full(int(fit.sum()), np.nan)
            for (where, _), own in zip(parts, each, strict=True):
                out[where] = own
            return out

        def summed(name: str) -> Any:
            each = [getattr(part, name) for _, part in parts]
            return None if any(own is None for own in each) else np.sum(each, axis=0)

        return Prediction(
            np.concatenate(states),
            gathered("values"),
            parameters,
            gathered("log_likelihood"),
            gathered("learnt"),
            parts[0][1].measure,
            summed("by_cluster"),
            summed("by_cluster_error"),
            _together([part.statistics for _, part in parts]),
        )


def _together(statistics: list[Mapping[str, float]]) -> dict[str, float]:
    """Statistics of one sampler over all groups."""
    how: dict[str, Callable[[list[float]], Any]] = {
        **dict.fromkeys(("diverging", "n_steps", "energy", "lp"), np.sum),
        "tree_depth": np.max,
    }
    names = dict.fromkeys(name for each in statistics for name in each)
    return {
        name: float(how.get(name, np.mean)([each[name] for each in statistics if name in each]))
        for name in names
    }


def _groups(table: Table, by: str, values: Array) -> tuple[tuple[float, str], ...]:
    """Value and label of each group, in order of first appearance: renaming changes nothing."""
    codes = pd.unique(values)
    cells = table.frame[by].iloc[table.rows]
    originals = [cells.iloc[int((values == code).argmax())] for code in codes]
    labels = [str(each) for each in originals]
    if len(set(labels)) < len(labels):  # 1 and "1" in one column
        labels = [repr(each) for each in originals]
    return tuple((float(code), label) for code, label in zip(codes, labels, strict=True))
