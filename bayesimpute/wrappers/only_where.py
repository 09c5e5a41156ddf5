"""A model for some rows only; elsewhere a value that is known without one, or none."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.method import Array, Design, Kernel
from bayesimpute.wording import listed, one_line
from bayesimpute.wrappers.base import (
    Options,
    Rows,
    RowsKernel,
    Scope,
    Wrapper,
    inner_kernel,
    layers,
    method_text,
    wrappable,
)
from bayesimpute.wrappers.conditions import (
    check_condition,
    condition_columns,
    truth,
    truth_of_function,
)


@checked
def only_where(
    method: Any, condition: str | Callable[[pd.DataFrame], Any], otherwise: Any = None
) -> "OnlyWhere":
    """Impute only where a condition holds: a pregnancy test only for women.

    The model is fitted to, and values are drawn for, the rows where the condition holds in the
    completed data; it is looked at anew at each visit, so its columns may be incomplete. They are
    visited before, unless ``visit_sequence=`` says otherwise, so that completed data agree with it.

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
            still_open = self.open_columns(target, table)
            if still_open and self.otherwise is None:
                raise SpecificationError(
                    f"{place}{still_open[0]!r} in the condition is incomplete, so which cells "
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

    def open_columns(self, target: str, table: Table) -> list[str]:
        """Incomplete columns that the condition reads; all of them, if a function needs any."""
        read: Iterable[str] = ()
        if isinstance(self.condition, str):
            read = condition_columns(self.condition)
        elif np.isnan(self._static(target, table)).any():
            read = table.variables.keys() - {target}
        return [name for name in table.variables if name in read and table.missing(name).any()]

    def left_missing(self, target: str, table: Table) -> Rows:
        """Rows whose cells stay missing, (row,)."""
        if self.otherwise is not None:
            return np.zeros(table.n_rows, dtype=bool)
        return self._static(target, table) != 1

    def decided(self, scope: Scope) -> tuple[Self, tuple[Event, ...]]:
        """Check condition and `otherwise`, and the method inside where the condition may hold."""
        self.check(scope.target, scope.table)
        if self.otherwise is not None:
            counted = scope.table.variables[scope.target].counted
            self._otherwise(scope.target, scope.kind, scope.categories, counted)
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

    def holds(self, table: Table, values: Mapping[str, Array]) -> Rows:
        """Whether the condition holds in the completed `values`, (row,)."""
        return np.asarray(self.columns(table, values)[self._key] == 1)

    def _otherwise(
        self, target: str, kind: Kind, categories: tuple[Any, ...], counted: str = ""
    ) -> float:
        """Code of the value elsewhere; `counted` says what numbers of dates count."""
        place = f"only_where of {target!r}: otherwise={self.otherwise!r} "
        if kind is not Kind.NUMERIC:
            if self.otherwise not in categories:
                raise SpecificationError(
                    f"{place}is none of its categories, which are {listed(categories)}."
                )
            return float(categories.index(self.otherwise))
        number = isinstance(self.otherwise, Real) and not isinstance(self.otherwise, bool)
        if not number or not np.isfinite(float(self.otherwise)):
            raise SpecificationError(
                f"{place}must be a number, as {target!r} is {counted or 'numeric'}."
            )
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
        return RowsKernel(self, {None: inside}, elsewhere)

    def rows(self, design: Design) -> dict[None, Rows]:
        """Give the rows of a design where the condition holds, of which some can be learnt from."""
        return {None: self._holds(design)}

    def rows_asked(self, design: Design) -> dict[None, Rows]:
        """Give the rows of any design where the condition holds."""
        return {None: design.columns[self._key] == 1}

    def check_nobodys(self, target: str, n: int) -> None:
        """Allow rows where the condition does not hold."""

    def _holds(self, design: Design) -> Rows:
        holds = self.rows_asked(design)[None]
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
