"""`Run`: specification of a run, what its chains produced as an ArviZ tree, and completed data."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.content import PYTHON
from bayesimpute.data.names import safe_name, safe_pair, safe_text
from bayesimpute.data.table import Table
from bayesimpute.diagnostics import MOMENTS, RUNS, SHARES
from bayesimpute.engine.completed import completed_frame
from bayesimpute.engine.history import History, labels_of
from bayesimpute.errors import SpecificationError
from bayesimpute.events import Event, events_table
from bayesimpute.html import plain, table, tag
from bayesimpute.interchange import given
from bayesimpute.result.restored import made_elsewhere
from bayesimpute.specification.specification import Fingerprint, Passive, Specification, one_a_fact
from bayesimpute.wording import one_line

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

    `spelled` is how the name has the quantity, where not as it is; `runs`, how many runs were bound
    that each have a parameter of their own.
    """

    target: str
    quantity: str
    role: str
    draws: np.ndarray
    labels: tuple[str, ...] = ()
    spelled: str = ""
    runs: int = 1

    def name(self, taken: Container[str] = ()) -> str:
        """Name in the tree, where others are taken."""
        if self.role == MONITOR:
            return safe_name(self.target, taken)
        return safe_pair(self.target, self.spelled or self.quantity, taken)

    @property
    def described(self) -> dict[str, str]:
        of = {"target": self.target, "quantity": self.quantity, "role": self.role}
        if self.runs > 1:
            of[RUNS] = str(self.runs)
        return {key: safe_text(text) for key, text in of.items()}


def _posterior(table: Table, history: History) -> list[_Quantity]:
    found = []
    for target, means in history.chain_mean.items():
        own = [
            _Quantity(target, "mean", MOMENTS, means),
            _Quantity(target, "sd", MOMENTS, history.chain_sd[target]),
        ]
        if target in history.chain_share:
            categories = labels_of(table.variables[target].categories)
            shares = history.chain_share[target]
            own.append(_Quantity(target, "share", SHARES, shares, categories))
        labels, summaries = history.labels.get(target, {}), {each.quantity for each in own}
        found += own
        found += [
            _Quantity(
                target, parameter, "parameter", draws, labels.get(parameter, ()),
                # a parameter may be called share, and its neighbour share_
                parameter + "_" * (parameter.rstrip("_") in summaries),
                1 + len(history.further_seeds),
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


SHAPES = ("all", "long", "stacked", "broad", "repeated")

type Frames = list[pd.DataFrame]


def completed(specification: Specification, history: History, imputation: int) -> pd.DataFrame:
    """Fill the cells of one imputation into the user's frame.

    Parameters
    ----------
    specification, history
        Of the run.
    imputation
        1 … m; 0 is the frame as the user gave it.

    Returns
    -------
    pandas.DataFrame
        Rows, index, columns, dtypes and categories as in the user's frame; only cells of
        ``specification.where`` differ. A new frame, free to be changed.
    """
    if imputation == 0:
        return specification.table.frame.copy()
    cells = {name: draws[imputation - 1] for name, draws in history.imputed.items()}
    return completed_frame(specification, cells)


def iterate(specification: Specification, history: History) -> Iterator[pd.DataFrame]:
    """Imputations 1 … m, each built when it is asked for."""
    return (completed(specification, history, k) for k in range(1, history.m + 1))


def in_shape(
    specification: Specification,
    history: History,
    action: int | str | Sequence[int] = 1,
    include: bool = False,
) -> pd.DataFrame | Frames:
    """Completed data in the shape `action` names; see ``Imputations.complete``."""
    if isinstance(action, str):
        if action not in SHAPES:
            raise SpecificationError(
                f"complete(action={action!r}): the shapes are {', '.join(map(repr, SHAPES))}, "
                f"or an imputation number from 0 to {history.m}."
            )
        numbers = range(0 if include else 1, history.m + 1)
        frames = {k: completed(specification, history, k) for k in numbers}
        return _SHAPED[action](frames)
    if isinstance(action, int | np.integer) and not isinstance(action, bool):
        chosen = [_checked_number(action, history.m)]
        if not include:
            return completed(specification, history, chosen[0])
    elif isinstance(action, Sequence | np.ndarray | range) and len(action):
        chosen = [_checked_number(k, history.m) for k in action]
    else:
        raise SpecificationError(
            f"complete(action={action!r}): give an imputation number from 0 to {history.m}, "
            f"a non-empty sequence of them, or one of {', '.join(map(repr, SHAPES))}."
        )
    with_original = chain([0] if include and 0 not in chosen else [], chosen)
    return _stacked([completed(specification, history, k) for k in with_original])


def _checked_number(number: Any, m: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 0 <= number <= m:
        raise SpecificationError(
            f"There is no imputation {number!r}: give a whole number from 1 to {m} "
            "(0 is the original data)."
        )
    return int(number)


def _stacked(frames: Frames) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True)


def _long(frames: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Stacked, with number and row label of each row in the last two columns."""
    first = next(iter(frames.values()))
    taken = [name for name in (".imp", ".id") if name in first.columns]
    if taken:
        raise SpecificationError(
            f"complete('long') adds columns .imp and .id, but the data already have "
            f"{' and '.join(taken)}: rename before imputing, or use complete('stacked')."
        )
    stacked = _stacked(list(frames.values()))
    labels = first.index.to_flat_index()
    stacked[".imp"] = np.repeat(np.fromiter(frames, dtype=np.int64), len(first))
    stacked[".id"] = labels.append([labels] * (len(frames) - 1))
    return stacked


def _broad(frames: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Side by side: all columns of one imputation, then all of the next."""
    suffixed = [frame.add_suffix(f".{k}") for k, frame in frames.items()]
    return pd.concat(suffixed, axis="columns", sort=False)


def _repeated(frames: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Side by side: all imputations of one column, then all of the next."""
    broad = _broad(frames)
    width = len(next(iter(frames.values())).columns)
    return broad.iloc[:, np.arange(broad.shape[1]).reshape(len(frames), width).T.ravel()]


_SHAPED: Mapping[str, Callable[[Mapping[int, pd.DataFrame]], pd.DataFrame | Frames]] = {
    "all": lambda frames: list(frames.values()),
    "long": _long,
    "stacked": lambda frames: _stacked(list(frames.values())),
    "broad": _broad,
    "repeated": _repeated,
}


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

        Groups and names are described in `bayesimpute.result.run.datatree`.

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
        made = in_shape(self.specification, self.history, action, include)
        origin = self.specification.origin
        if origin is None:
            return made
        if isinstance(made, list):
            return [origin.back(frame) for frame in made]
        return origin.back(made, suffixed=action in ("broad", "repeated"))

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Completed frames 1 … m, each built when it is its turn."""
        frames = iterate(self.specification, self.history)
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
        made = f"{self.iterations} iteration{'s' * (self.iterations != 1)}"
        if made_elsewhere(self.specification):
            made = "made elsewhere"
        return f"Imputations: m = {self.m}, {made}, {n:,} rows × {columns} columns{notes}"

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


def noted_versions(history: History, before: Mapping[str, str], what: str = "") -> History:
    """Give the history with an event if versions differ from those it was made with.

    Parameters
    ----------
    history
        Of a run that is about to go on.
    before
        Package -> version it was made with; of a package that was not recorded none is known.
    what
        What others did, as the beginning of a sentence; by default iterations from here on.
    """
    changed = changed_versions(before)
    if not changed or not history.iterations:
        return history
    iteration = 0 if what else history.iterations + 1
    what = what or f"From iteration {iteration} on, chains were run"
    event = Event(
        "warning",
        "imputation",
        "",
        "other versions",
        f"{what} with other versions: {', '.join(changed)}. Values may differ in their last bits, "
        "and so in their draws, from those of one run; they are draws of the same posterior.",
        iteration=iteration,
    )
    return replace(history, events=(*history.events, event))
