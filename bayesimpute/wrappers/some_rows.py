"""A model for some rows: one for each group of them, or one where a condition holds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Real
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.random import Generator

from bayesimpute.arguments import checked
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import DataError, SamplingError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.method import Adaptation, Array, Design, Kernel, Prediction, Visit
from bayesimpute.registry import resolve
from bayesimpute.sampling.prediction import predict
from bayesimpute.sampling.row_draws import Further, Moment, Positions, RowDraws, row_draws
from bayesimpute.wording import did_you_mean, listed, one_line
from bayesimpute.wrappers.base import (
    Options,
    Rows,
    Scope,
    WrappedKernel,
    Wrapper,
    decide,
    density_of_rows,
    inner_kernel,
    layers,
    method_text,
    size_of,
    visit_rows,
    wrappable,
)
from bayesimpute.wrappers.conditions import (
    check_condition,
    condition_columns,
    truth,
    truth_of_function,
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


@checked
def only_where(
    method: Any, condition: str | Callable[[pd.DataFrame], Any], otherwise: Any = None
) -> "OnlyWhere":
    """Impute only where a condition holds: a pregnancy test only for women.

    The model is fitted to, and values are drawn for, the rows where the condition holds in the
    completed data; it is looked at anew at each visit, so its columns may be incomplete.

    Parameters
    ----------
    method
        Name of a method, a method object, a function ``builder(design) -> pm.Model``, or another
        wrapper.
    condition
        Comparisons of columns with numbers or labels, joined by ``and``, ``or``, ``not``:
        ``"sex == 'female' and age >= 15"``, ``"arm in ['a', 'b']"``; names that are no
        identifiers in backticks. Or a function of the completed frame (without the target) that
        gives a bool a row.
    otherwise
        Value of the missing cells where the condition does not hold, such as ``"no"`` or 0. None
        (the default) leaves them missing, which needs a condition on complete columns and a
        variable that predicts no other.

    Returns
    -------
    OnlyWhere
        For ``method={"target": ...}``. Observed cells stay as they are.

    Raises
    ------
    SpecificationError
        If the condition cannot be read, or `method` is no method.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> print(bi.only_where("pmm", "sex == 'female'", otherwise="no"))
    only_where(pmm, sex == 'female', otherwise='no')
    """
    if isinstance(condition, str):
        condition_columns(condition)
    elif not callable(condition):
        raise SpecificationError(
            f"only_where: condition={condition!r} must be text such as \"sex == 'female'\", or a "
            "function of the completed frame."
        )
    if isinstance(otherwise, np.generic):
        otherwise = otherwise.item()
    return OnlyWhere(wrappable("only_where", method), condition, otherwise)


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

    def columns(self, table: Table, values: Mapping[str, Array]) -> Mapping[str, Array]:
        """Give the codes of the groups."""
        return {self.by: values[self.by]}

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
        codes = design.columns[self.by]
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


@dataclass(frozen=True, repr=False)
class OnlyWhere(Wrapper):
    """The method :func:`only_where` gives.

    Attributes
    ----------
    condition
        Text or function.
    otherwise
        Value elsewhere, None to leave cells missing.
    target
        The variable itself, which a function does not get to see; decided by the specification.
    """

    condition: str | Callable[[pd.DataFrame], Any]
    otherwise: Any = None
    target: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        otherwise = "" if self.otherwise is None else f", otherwise={self.otherwise!r}"
        given = f"{self._condition_text}{otherwise}"
        return one_line(f"only_where({method_text(self.method)}, {given})")

    @property
    def _condition_text(self) -> str:
        return self.condition if isinstance(self.condition, str) else method_text(self.condition)

    def check(self, target: str, table: Table) -> None:
        """Check the condition against the columns of the data.

        Raises
        ------
        SpecificationError
            If it cannot be evaluated, reads the target, or may leave cells missing that it must
            not.
        """
        place = f"only_where of {target!r}: "
        if isinstance(self.condition, str):
            check_condition(self.condition, table, place)
            if target in condition_columns(self.condition):
                raise SpecificationError(f"{place}the condition reads {target!r} itself.")
            open_columns = [c for c in condition_columns(self.condition) if table.missing(c).any()]
            if open_columns and self.otherwise is None:
                raise SpecificationError(
                    f"{place}{open_columns[0]!r} in the condition is incomplete, so which cells "
                    "are to stay missing would change; give the value they have instead as "
                    "otherwise=."
                )
        elif self.otherwise is None:
            try:
                self._static(target, table)
            except SpecificationError as error:
                raise SpecificationError(
                    f"{place}{error} Without otherwise= the function gets the complete columns "
                    "only; give otherwise=, or use these only."
                ) from error
        inside = [w for w in layers(self.method) if isinstance(w, OnlyWhere)]
        if self.otherwise is not None and any(w.otherwise is None for w in inside):
            raise SpecificationError(
                f"{place}one condition inside another, and only the outer has otherwise=; give "
                "both, or join the conditions by and."
            )

    def _static(self, target: str, table: Table) -> Array:
        """Truth by row as far as the data say it, (row,), NaN where they leave it open."""
        if isinstance(self.condition, str):
            return truth(self.condition, table, table.values)
        complete = [c for c in table.variables if c != target and not table.missing(c).any()]
        try:
            return truth_of_function(self.condition, table, table.frame[complete].copy())
        except SpecificationError:
            if self.otherwise is None:
                raise
            return np.full(table.n_rows, np.nan)  # it reads incomplete columns: open everywhere

    def left_missing(self, target: str, table: Table) -> Rows:
        """Rows whose cells stay missing, (row,)."""
        if self.otherwise is not None:
            return np.zeros(table.n_rows, dtype=bool)
        return self._static(target, table) != 1

    def decided(self, scope: Scope) -> tuple[Self, tuple[Event, ...]]:
        """Check condition and `otherwise`, and the method inside where the condition may hold."""
        self.check(scope.target, scope.table)
        if self.otherwise is not None:
            self._otherwise(scope.target, scope.kind, scope.categories)
        holds = self._static(scope.target, scope.table)
        scope.check_level(
            f"only_where of {scope.target!r}: ",
            holds,
            self._condition_text,
            "use a condition on variables of the clusters",
        )
        place = f" where {self._condition_text}"
        decided, events = super().decided(scope.within(holds != 0, place))
        return replace(decided, target=scope.target), events

    def known_rows(self, target: str, table: Table) -> Rows:
        """Rows in which the condition holds whatever the missing values are, (row,)."""
        return self._static(target, table) == 1

    def reads(self) -> tuple[str, ...] | None:
        """Give the columns of the condition; a function may read any."""
        return condition_columns(self.condition) if isinstance(self.condition, str) else None

    @property
    def _key(self) -> str:
        # two functions may share a name
        own = "" if isinstance(self.condition, str) else f" {id(self.condition)}"
        return f"where {self._condition_text}{own}"

    def columns(self, table: Table, values: Mapping[str, Array]) -> Mapping[str, Array]:
        """Give 1 where the condition holds, else 0."""
        if isinstance(self.condition, str):
            return {self._key: truth(self.condition, table, values)}
        shown = [
            name
            for name in table.variables
            if name != self.target and (self.otherwise is not None or not table.missing(name).any())
        ]
        frame = table.completed(values)[shown]
        try:
            return {self._key: truth_of_function(self.condition, table, frame)}
        except SpecificationError as error:
            raise SpecificationError(f"only_where of {self.target!r}: {error}") from error

    def _otherwise(self, target: str, kind: Kind, categories: tuple[Any, ...]) -> float:
        """Code of the value elsewhere."""
        place = f"only_where of {target!r}: otherwise={self.otherwise!r} "
        if kind is not Kind.NUMERIC:
            if self.otherwise not in categories:
                raise SpecificationError(
                    f"{place}is none of its categories, which are {listed(categories)}."
                )
            return float(categories.index(self.otherwise))
        number = isinstance(self.otherwise, Real) and not isinstance(self.otherwise, bool)
        if not number or not np.isfinite(float(self.otherwise)):
            raise SpecificationError(f"{place}must be a number, as {target!r} is numeric.")
        return float(self.otherwise)

    def model(self, design: Design, priors: Options, options: Options) -> Any:
        """Build the textbook model on the rows where the condition holds."""
        return super().model(design.rows(self._holds(design)), priors, options)

    def kernel(self, design: Design, priors: Options, options: Options) -> Kernel:
        """Build the kernel of the method inside."""
        elsewhere = np.nan
        if self.otherwise is not None:
            elsewhere = self._otherwise(design.target, design.kind, design.categories)
        inside = inner_kernel(self.method, design.rows(self._holds(design)), priors, options)
        return RowsKernel(self, {"": inside}, elsewhere)

    def rows(self, design: Design) -> dict[str, Rows]:
        """Give the rows of a design where the condition holds, of which some can be learnt from."""
        return {"": self._holds(design)}

    def rows_asked(self, design: Design) -> dict[str, Rows]:
        """Give the rows of any design where the condition holds."""
        return {"": design.columns[self._key] == 1}

    def check_nobodys(self, target: str, n: int) -> None:
        """Allow rows where the condition does not hold."""

    def _holds(self, design: Design) -> Rows:
        holds = self.rows_asked(design)[""]
        if len(np.unique(design.y[holds & design.fit])) < 2:
            raise SamplingError(
                f"{design.target!r} has fewer than two different observed values where "
                f"{self._condition_text} holds in the completed data"
            )
        return holds

    def equation(self, inner: str) -> str:
        """Say where the model holds, and what holds elsewhere."""
        elsewhere = "missing" if self.otherwise is None else self.otherwise
        return f"{inner};  only where {self._condition_text}, otherwise {elsewhere}"


class RowsKernel(WrappedKernel):
    """Kernels side by side, each on its own rows and with its own part of the state.

    Parameters
    ----------
    wrapper
        Says which rows are whose.
    kernels
        By label; one of its own without a label keeps the names of its parameters.
    elsewhere
        Value of the rows that are nobody's.
    """

    def __init__(
        self, wrapper: "ByGroup | OnlyWhere", kernels: Mapping[str, Kernel], elsewhere: float
    ) -> None:
        super().__init__(*kernels.values())
        self.wrapper, self.kernels, self.elsewhere = wrapper, dict(kernels), elsewhere
        self.labels = MappingProxyType(
            {k: v for label, own in kernels.items() for k, v in _named(label, own.labels).items()}
        )

    def _tuned(self, adaptation: Adaptation) -> tuple[Adaptation, ...]:
        """Adaptation of each kernel."""
        return (adaptation,) if "" in self.kernels else adaptation.parts

    def _each(
        self, design: Design, adaptation: Adaptation, state: Array
    ) -> Iterator[tuple[str, Kernel, Rows, Adaptation, Array]]:
        """Label, kernel, rows, adaptation and state of each part."""
        tuned, rows = self._tuned(adaptation), self.wrapper.rows(design)
        states = np.split(state, np.cumsum([len(part.start_mean) for part in tuned])[:-1])
        for (label, kernel), part, own in zip(self.kernels.items(), tuned, states, strict=True):
            yield label, kernel, rows[label], part, own

    def adapt(self, design: Design, rng: Generator) -> Adaptation:
        """Tune each kernel on its rows."""
        rows = self.wrapper.rows(design)
        parts = tuple(k.adapt(design.rows(rows[name]), rng) for name, k in self.kernels.items())
        if "" in self.kernels:
            return parts[0]
        return Adaptation(
            float(np.mean([part.step_size for part in parts])),
            np.concatenate([part.variance for part in parts]),
            np.concatenate([part.start_mean for part in parts]),
            np.concatenate([part.start_sd for part in parts]),
            parts,
        )

    def start(self, adaptation: Adaptation, rng: Generator) -> Array:
        """Give a dispersed starting state."""
        pairs = zip(self.parts, self._tuned(adaptation), strict=True)
        return np.concatenate([kernel.start(part, rng) for kernel, part in pairs])

    def visit(
        self, design: Design, adaptation: Adaptation, state: Array, rng: Generator, first: bool
    ) -> Visit:
        """Visit the parts one after the other, and put the known value elsewhere."""
        values = np.full(len(design.y), self.elsewhere)
        parameters: dict[str, float | Array] = {}
        visits = []
        for label, kernel, rows, tuned, own in self._each(design, adaptation, state):
            visit, drawn = visit_rows(kernel, design, rows, tuned, own, rng, first)
            visits.append(visit)
            values[rows] = drawn[rows]
            parameters |= _named(label, visit.parameters)
        return Visit(
            np.concatenate([visit.state for visit in visits]),
            values[design.draw],
            parameters,
            _together([visit.statistics for visit in visits]),
        )

    def row_draws(self, moment: Moment) -> "RowsDraws":
        """Give the models of new rows, part by part."""
        design = moment.design
        inside = {
            label: row_draws(kernel, Moment(design.rows(rows), tuned, own, moment.rng))
            for label, kernel, rows, tuned, own in self._each(
                design, moment.adaptation, moment.state
            )
        }
        return RowsDraws(inside, self.wrapper, self.elsewhere)

    def log_density(
        self, design: Design, state: Array, rng: Generator
    ) -> Callable[[Design], Array]:
        """Give the log density of rows, each by the model of its part; elsewhere there is none."""
        states = np.split(state, np.cumsum([size_of(kernel) for kernel in self.parts])[:-1])
        rows = self.wrapper.rows(design)
        densities = {
            label: density_of_rows(kernel, design.rows(rows[label]), own, rng)
            for (label, kernel), own in zip(self.kernels.items(), states, strict=True)
        }

        def of(chosen: Design) -> Array:
            out = np.zeros(len(chosen.y))
            for label, where in self.wrapper.rows_asked(chosen).items():
                if where.any():
                    out[where] = densities[label](chosen.rows(where))
            return out

        return of

    def predict(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: Generator,
        first: bool,
        by_cluster: bool = False,
    ) -> Prediction:
        """Predict the parts one after the other; of a cluster, their densities add up."""
        parameters: dict[str, float | Array] = {}
        parts = []
        for label, kernel, rows, tuned, own in self._each(design, adaptation, state):
            part = predict(kernel, design.rows(rows), tuned, own, rng, first, by_cluster)
            parameters |= _named(label, part.parameters)
            parts.append((rows[design.fit], part))

        def joined(name: str, join: Callable[[list[Array]], Array]) -> Any:
            each = [getattr(part, name) for _, part in parts]
            return None if any(own is None for own in each) else join(each)

        def scattered(each: list[Array]) -> Array:
            out = np.full(int(design.fit.sum()), np.nan)
            for (rows, _), own in zip(parts, each, strict=True):
                out[rows] = own
            return out

        def summed(each: list[Array]) -> Array:
            return np.asarray(np.sum(each, axis=0))

        return Prediction(
            np.concatenate([part.state for _, part in parts]),
            joined("values", scattered),
            parameters,
            joined("log_likelihood", scattered),
            joined("learnt", scattered),
            parts[0][1].measure,
            joined("by_cluster", summed),
            joined("by_cluster_error", summed),
            _together([part.statistics for _, part in parts]),
        )


def _named[Each](label: str, parameters: Mapping[str, Each]) -> dict[str, Each]:
    """Name parameters by the part that they are of."""
    return {_labelled(label, name): value for name, value in parameters.items()}


def _labelled(label: str, name: str) -> str:
    return f"{name}[{label}]" if label else name


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


@dataclass(frozen=True, eq=False)
class RowsDraws:
    """Draws of the models of a :class:`RowsKernel`, asked of new rows.

    Attributes
    ----------
    inside
        By label of the part.
    wrapper
        Says which rows are whose.
    elsewhere
        Value of the rows that are nobody's; NaN for none.
    """

    inside: Mapping[str, RowDraws]
    wrapper: "ByGroup | OnlyWhere"
    elsewhere: float

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        inside = {
            label: own.beside([each.inside[label] for each in others])
            for label, own in self.inside.items()
        }
        return replace(self, inside=inside)

    def of_clusters(self, clusters: Positions, rng: Generator, further: Further = ()) -> Self:
        """Choose clusters in each part."""
        inside = {k: own.of_clusters(clusters, rng, further) for k, own in self.inside.items()}
        return replace(self, inside=inside)

    def _of(
        self, design: Design, wanted: Rows, elsewhere: float, value: Callable[..., Array]
    ) -> Array:
        out, left = np.full(len(design.y), elsewhere), wanted.copy()
        for label, rows in self.wrapper.rows_asked(design).items():
            if (rows & wanted).any():
                out[rows & wanted] = value(self.inside[label], design.rows(rows))
            left &= ~rows
        self.wrapper.check_nobodys(design.target, int(left.sum()))
        return out

    def draw(self, design: Design, rng: Generator) -> Array:
        """Draw each part by its own model; elsewhere the value is known."""
        drawn = self._of(design, design.draw, self.elsewhere, lambda own, part: own.draw(part, rng))
        return drawn[design.draw]

    def log_density(self, rows: Design) -> Array:
        """Log density of rows, each by the model of its part; elsewhere there is no model."""
        everywhere = np.ones(len(rows.y), dtype=bool)
        return self._of(rows, everywhere, 0.0, lambda own, part: own.log_density(part))


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
        move(model, joined, partial(_labelled, label))
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
