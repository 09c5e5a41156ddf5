"""`Run`: the specification of a run, what its chains produced, and the data they complete."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.engine.history import History
from bayesimpute.events import Event, events_table
from bayesimpute.html import plain, table, tag
from bayesimpute.interchange import given
from bayesimpute.result import completion
from bayesimpute.result.tree import datatree, versions
from bayesimpute.specification.specification import Fingerprint, Passive, Specification, one_a_fact
from bayesimpute.wording import one_line

if TYPE_CHECKING:
    import xarray as xr

#: Variables that a result lists when it introduces itself.
MOST_ROWS = 12


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """What m chains produced, and from what: all that pictures, checks and reports ask for.

    Attributes
    ----------
    specification
        Data, models and order of the run.
    history
        What the m chains produced.
    created_at
        Time the run ended, UTC, ISO 8601.
    versions
        Package -> version the run was made with.
    fingerprint
        By what this run is told from others when a file of it is gone on with; None for a file
        of a version that wrote none.
    """

    specification: Specification
    history: History
    created_at: str = field(default_factory=_now)
    versions: Mapping[str, str] = field(default_factory=versions)
    fingerprint: Fingerprint | None = None

    @property
    def m(self) -> int:
        """Number of imputations, which is the number of chains."""
        return self.history.m

    @property
    def iterations(self) -> int:
        """Iterations each chain has done."""
        return self.history.iterations

    @property
    def seed(self) -> int:
        """Seed of the run; with the same data and specification it gives the same bits."""
        return self.history.seed

    @property
    def data(self) -> pd.DataFrame:
        """The frame as the user gave it (a copy)."""
        return self.complete(0)

    @property
    def missing(self) -> pd.DataFrame:
        """True where a value was missing; rows and columns as in `data`."""
        missing = self.specification.table.frame.isna()
        origin = self.specification.origin
        return missing if origin is None else origin.back(missing, typed=False)

    @property
    def method(self) -> dict[str, str]:
        """Column -> method name."""
        return dict(self.specification.methods)

    @property
    def predictors(self) -> pd.DataFrame:
        """Predictor matrix as it was used: row = target, codes as in `bayesimpute.Role`."""
        return self.specification.predictors.copy()

    @property
    def events(self) -> pd.DataFrame:
        """Every automatic action, a row a fact, in the order they happened.

        What holds of several targets alike (a predictor that is constant, say) is one row, whose
        message names them all; ``variable`` is then the first of them.
        """
        return events_table(one_a_fact(self.history.events))

    @cached_property
    def datatree(self) -> "xr.DataTree":
        """The chains, as ArviZ takes them: chain = imputation, draw = iteration.

        Groups and names are described in `bayesimpute.result.tree.datatree`.

        Examples
        --------
        >>> import arviz
        >>> arviz.summary(imp.datatree)  # doctest: +SKIP
        """
        attributes = {
            "created_at": self.created_at,
            "creation_library": "bayesimpute",
            "creation_library_version": self.versions.get("bayesimpute", "unknown"),
            "inference_library": "pymc",
            "inference_library_version": self.versions.get("pymc", "unknown"),
            "seed": str(self.seed),
            "versions": ", ".join(f"{name} {number}" for name, number in self.versions.items()),
        }
        return datatree(self.specification, self.history, attributes)

    @overload
    def complete(self, action: int = 1, include: Literal[False] = False) -> pd.DataFrame: ...
    @overload
    def complete(
        self, action: Literal["long", "stacked", "broad", "repeated"], include: bool = False
    ) -> pd.DataFrame: ...
    @overload
    def complete(self, action: Literal["all"], include: bool = False) -> list[pd.DataFrame]: ...
    @overload
    def complete(
        self, action: int | str | Sequence[int] = 1, include: bool = False
    ) -> pd.DataFrame | list[pd.DataFrame]: ...

    @checked
    def complete(self, action: Any = 1, include: bool = False) -> pd.DataFrame | list[pd.DataFrame]:
        """Completed data.

        Parameters
        ----------
        action
            - k from 1 to m: imputation k (the default is 1); 0: the original data;
            - a sequence of such numbers: these, one under the other;
            - ``"all"``: a list of m frames;
            - ``"long"``: one under the other, with columns ``.imp`` and ``.id`` (the row's label)
              at the end; ``"stacked"``: without them;
            - ``"broad"``: side by side, columns named ``<column>.<k>``; ``"repeated"``: the same,
              the imputations of a column next to each other.
        include
            Whether the original data come first, as imputation 0. Default False, as in mice.

        Returns
        -------
        pandas.DataFrame or list of pandas.DataFrame
            Rows, index, dtypes and categories as in the user's frame. Where frames are stacked,
            the index counts rows. Frames of polars, or Arrow tables, if that is what was imputed.

        Raises
        ------
        SpecificationError
            If there is no such imputation or shape, or ``.imp`` or ``.id`` is already a column.
        """
        made = completion.complete(self.specification, self.history, action, include)
        origin = self.specification.origin
        if origin is None:
            return made
        if isinstance(made, list):
            return [origin.back(frame) for frame in made]
        return origin.back(made, suffixed=action in ("broad", "repeated"))

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Completed frames 1 … m, each built when it is its turn."""
        frames = completion.iterate(self.specification, self.history)
        return (given(frame, self.specification.origin) for frame in frames)

    def __len__(self) -> int:
        """Count the imputations."""
        return self.m

    def __repr__(self) -> str:
        shown, left = self._variables()
        width = max((len(name) for name, _, _ in shown), default=0)
        each = [f"  {name:<{width}}  {cells:>9} cells  {method}" for name, cells, method in shown]
        more = [f"  … and {left} more variables"] if left else []
        return "\n".join([self._headline(), *each, *more])

    def _repr_html_(self) -> str:
        shown, left = self._variables()
        listed = table(["variable", "imputed cells", "method"], shown, (1,))
        more = tag("p", f"… and {left} more variables") if left else ""
        return plain(self._headline(), listed, more)

    def _headline(self) -> str:
        n, columns = self.specification.table.frame.shape
        warned = sum(event.severity != "info" for event in self.history.events)
        notes = f", {warned} warning{'s' * (warned != 1)} in .events" if warned else ""
        return (
            f"Imputations: m = {self.m}, {self.iterations} iterations, "
            f"{n:,} rows × {columns} columns{notes}"
        )

    def _variables(self) -> tuple[list[tuple[str, str, str]], int]:
        """(variable, imputed cells, method) in visiting order, and how many are left out."""
        given, names = self.specification, self.history.variables
        shown = []
        for name in names[:MOST_ROWS]:
            target = given.targets.get(name)
            asked = str(given.methods.get(name, ""))
            method = target.expression if isinstance(target, Passive) else asked
            shown.append((one_line(name), f"{int(given.where[name].sum()):,}", one_line(method)))
        return shown, max(len(names) - MOST_ROWS, 0)


def changed_versions(before: Mapping[str, str]) -> list[str]:
    """``"numpy 2.1 → 2.2"`` for each package whose version is another now."""
    now = versions()
    return [
        f"{name} {version} → {now[name]}"
        for name, version in before.items()
        if name in now and version != now[name]
    ]


def noted_versions(history: History, before: Mapping[str, str]) -> History:
    """Give the history with an event if versions differ from those it was made with.

    Parameters
    ----------
    history
        Of a run that is about to go on.
    before
        Package -> version it was made with; of a package that was not recorded none is known.
    """
    changed = changed_versions(before)
    if not changed or not history.iterations:
        return history
    event = Event(
        "warning",
        "imputation",
        "",
        "other versions",
        f"From iteration {history.iterations + 1} on, chains were run with other versions: "
        f"{', '.join(changed)}. Values may differ in their last bits, and so in their draws, from "
        "those of one run; they are draws of the same posterior.",
        iteration=history.iterations + 1,
    )
    return replace(history, events=(*history.events, event))
