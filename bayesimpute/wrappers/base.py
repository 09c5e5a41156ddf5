"""What all wrappers share: the method inside, what they learn of the data, visits to some rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from bayesimpute import html
from bayesimpute.data.table import ClusterIndex, Kind, Table
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.method import Adaptation, Array, DensityKernel, Design, Kernel, Prediction, Visit
from bayesimpute.registry import resolve
from bayesimpute.sampling.generic import BuilderMethod
from bayesimpute.sampling.groupings import grouped_kernel
from bayesimpute.sampling.prediction import predict
from bayesimpute.sampling.row_draws import Further, Moment, Positions, RowDraws, row_draws
from bayesimpute.specification.aliases import MATCHING, look_up
from bayesimpute.wording import visible

Rows = npt.NDArray[np.bool_]
#: Priors by parameter, or options by name.
Options = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Scope:
    """The part of the data a method will see, for what a wrapper checks before any work.

    Attributes
    ----------
    target
        Name of the variable to impute.
    kind, categories
        As the model sees them (:class:`~bayesimpute.method.Design`).
    level, cluster, clusters
        Of the target's model; None without a cluster.
    slopes
        Predictors whose coefficients vary by cluster.
    table
        The data.
    fit, draw
        Rows of the data that may be fitted to, and rows that get a value, (row,) bool.
    place
        Where we are, as the end of a sentence: ``" where arm is 'a'"``.
    """

    target: str
    kind: Kind
    categories: tuple[Any, ...]
    level: int
    cluster: str | None
    clusters: ClusterIndex | None
    slopes: tuple[str, ...]
    table: Table
    fit: Rows
    draw: Rows
    place: str = ""

    def within(self, rows: Rows, place: str) -> "Scope":
        """Keep some rows only."""
        return replace(
            self, fit=self.fit & rows, draw=self.draw & rows, place=f"{self.place}{place}"
        )

    def check_level(self, wrapper: str, values: Array, what: str, instead: str) -> None:
        """Refuse what varies within the clusters of a variable that has one value in each.

        Raises
        ------
        DataError
            Saying what does, and what to do instead.
        """
        if self.level == 2 and self.clusters is not None and not self.clusters.is_level2(values):
            raise DataError(
                f"{wrapper}it has one value a cluster, but {what} varies within clusters of "
                f"{self.cluster!r}; {instead}."
            )


@dataclass(frozen=True, repr=False)
class Wrapper:
    """A method that changes what another method sees or gives.

    Attributes
    ----------
    method
        The method inside: a name, a method object, a model builder, or another wrapper.
    """

    method: Any

    def __repr__(self) -> str:
        return visible(self)

    def __str__(self) -> str:
        return f"{type(self).__name__}({method_text(self.method)})"

    def _repr_html_(self) -> str:
        return str(html.tag("code", str(self)))

    @property
    def kinds(self) -> frozenset[Kind]:
        """Kinds of target the method inside can impute."""
        kinds: frozenset[Kind] = getattr(resolve(self.method), "kinds", frozenset(Kind))
        return kinds

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the method inside."""
        options: Mapping[str, Any] = getattr(resolve(self.method), "options", {})
        return options

    def decided(self, scope: Scope) -> tuple[Self, tuple[Event, ...]]:
        """Check against the data, and fill in what the data decide.

        Raises
        ------
        DataError, SpecificationError
            Naming the target and what to do.
        """
        method, events = decide(self.method, scope)
        return replace(self, method=method), events

    def reads(self) -> tuple[str, ...] | None:
        """Columns that :meth:`columns` depends on; None if any column may be."""
        return ()

    def columns(self, table: Table, values: Mapping[str, Array]) -> Mapping[str, Array]:
        """Columns the kernel wants in ``Design.columns``, from the completed `values`, (row,)."""
        return {}

    def model(self, design: Design, priors: Options, options: Options) -> Any:
        """Build the textbook model of the method inside, a ``pymc.Model``."""
        return resolve(self.method).model(design, priors, options)

    def equation(self, inner: str) -> str:
        """Text of the model, from that of the method inside."""
        return inner


def inner_kernel(method: Any, design: Design, priors: Options, options: Options) -> Kernel:
    """Kernel of the method inside; of several groupings, made of one for each.

    A method whose kernel sees to all of them says so: ``several_groupings``.
    """
    build: Callable[..., Kernel] = resolve(method).kernel
    itself = isinstance(method, Wrapper | BuilderMethod) or getattr(
        resolve(method), "several_groupings", False
    )
    if design.groupings and not itself:
        return grouped_kernel(build, design, priors, options)
    return build(design, priors, options)


def layers(method: Any) -> Iterator[Wrapper]:
    """Wrappers around a method, the outermost first; none for a plain method."""
    while isinstance(method, Wrapper):
        yield method
        method = method.method


def innermost(method: Any) -> Any:
    """Give the method inside all wrappers."""
    while isinstance(method, Wrapper):
        method = method.method
    return method


def declared(method: Any, name: str, default: Any) -> Any:
    """Give what the class of a method, wrapped or not, says under a name, or the default."""
    return getattr(resolve(innermost(method)), name, default)


def decide(method: Any, scope: Scope) -> tuple[Any, tuple[Event, ...]]:
    """Check a method, wrapped or not, against the rows it will see.

    Raises
    ------
    DataError
        If there is no spread to impute from.
    """
    if isinstance(method, Wrapper):
        return method.decided(scope)
    observed = scope.table.values[scope.target][scope.fit]
    if len(np.unique(observed)) < 2:
        raise DataError(
            f"Variable {scope.target!r} has fewer than two different observed values"
            f"{scope.place}; there is no spread to impute from there. Use a plain method, or "
            "merge these rows with others."
        )
    return method, ()


def wrappable(wrapper: str, method: Any) -> Any:
    """Give the method back if a wrapper can go around it.

    Raises
    ------
    SpecificationError
        If it is empty, passive, or no method at all.
    """
    text = isinstance(method, str)
    if text and (not method.strip() or method.lstrip().startswith("~")):
        raise SpecificationError(
            f"{wrapper}: {method!r} is no model; give a method that draws values, such as "
            f"{MATCHING!r}."
        )
    if text:
        look_up(method)
    modelled = hasattr(method, "kernel") and hasattr(method, "model")
    if not (text or modelled or callable(method)):
        raise SpecificationError(
            f"{wrapper}: {method!r} is neither the name of a method, nor a function "
            "builder(design) -> pm.Model, nor a method object; give for example "
            f"{MATCHING!r}."
        )
    return method


def method_text(method: Any) -> str:
    """Name of a method as a reader will see it."""
    if isinstance(method, str | Wrapper):
        return str(method)
    return str(getattr(method, "__name__", type(method).__name__))


def size_of(kernel: Kernel) -> int:
    """Length of the state of a kernel inside, which the engine has found to have a density."""
    assert isinstance(kernel, DensityKernel)
    return kernel.size


def density_of_rows(
    kernel: Kernel, design: Design, state: Array, rng: Generator
) -> Callable[[Design], Array]:
    """Log density of rows by a kernel inside, which the engine has found to have one."""
    assert isinstance(kernel, DensityKernel)
    return kernel.log_density(design, state, rng)


class WrappedKernel:
    """A kernel around others: what is not said here is asked of the first, of what it sees.

    Parameters
    ----------
    parts
        The kernels inside.
    """

    #: Whether clusters have effects inside, which a prediction of whole clusters integrates out.
    effects_inside = True

    def __init__(self, *parts: Kernel) -> None:
        self.parts = parts
        self.inside = parts[0]
        self.labels: Mapping[str, tuple[str, ...]] = self.inside.labels

    def seen(self, design: Design, rng: Generator) -> Design:
        """Give the design that the kernel inside gets."""
        return design

    def adapt(self, design: Design, rng: Generator) -> Adaptation:
        """Tune the kernel inside."""
        return self.inside.adapt(self.seen(design, rng), rng)

    def start(self, adaptation: Adaptation, rng: Generator) -> Array:
        """Give a dispersed starting state."""
        return self.inside.start(adaptation, rng)

    def visit(
        self, design: Design, adaptation: Adaptation, state: Array, rng: Generator, first: bool
    ) -> Visit:
        """Visit with what the kernel inside sees."""
        return self.inside.visit(self.seen(design, rng), adaptation, state, rng, first)

    def predict(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: Generator,
        first: bool,
        by_cluster: bool = False,
    ) -> Prediction:
        """Predict with what the kernel inside sees."""
        seen, by_cluster = self.seen(design, rng), by_cluster and self.effects_inside
        return predict(self.inside, seen, adaptation, state, rng, first, by_cluster)

    @property
    def size(self) -> int:
        """Length of a state."""
        return sum(map(size_of, self.parts))

    @property
    def measure(self) -> str:
        """What the values have: densities, probabilities, or both."""
        assert isinstance(self.inside, DensityKernel)
        return self.inside.measure

    @property
    def gaussian(self) -> bool:
        """Whether the log density is quadratic."""
        return all(isinstance(part, DensityKernel) and part.gaussian for part in self.parts)

    def log_density(
        self, design: Design, state: Array, rng: Generator
    ) -> Callable[[Design], Array]:
        """Give the log density of rows, as the kernel inside sees them."""
        inside = density_of_rows(self.inside, self.seen(design, rng), state, rng)
        return lambda rows: inside(self.rows_seen(rows, rng))

    def rows_seen(self, rows: Design, rng: Generator) -> Design:
        """Give what the kernel inside gets of rows that its density is asked of."""
        return self.seen(rows, rng)

    def draws_inside(self, moment: Moment) -> RowDraws:
        """Give the model inside of new rows."""
        return row_draws(self.inside, replace(moment, design=self.seen(moment.design, moment.rng)))


def visit_rows(
    kernel: Kernel,
    design: Design,
    rows: Rows,
    adaptation: Adaptation,
    state: Array,
    rng: Generator,
    first: bool,
) -> tuple[Visit, Array]:
    """Visit with some rows of a design only.

    Returns
    -------
    visit, values
        `values` by row of the whole design, (row,), NaN where nothing was drawn.
    """
    part = design.rows(rows)
    idle = not part.draw.any()
    if idle:
        # parameters are wanted all the same, and no model has to know designs without a row
        part = replace(part, draw=np.arange(len(part.y)) == int(part.fit.argmax()))
    visit = kernel.visit(part, adaptation, state, rng, first)
    values = np.full(len(design.y), np.nan)
    if not idle:
        values[rows & design.draw] = visit.values
    return visit, values


@dataclass(frozen=True, eq=False)
class Wrapped:
    """Draws of the model inside; what a subclass does not say is asked of it."""

    inside: Any

    def seen(self, design: Design) -> Design:
        """Give the design that the model inside gets."""
        return design

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        return replace(self, inside=self.inside.beside([each.inside for each in others]))

    def of_clusters(self, clusters: Positions, rng: Generator, further: Further = ()) -> Self:
        """Choose clusters of the model inside."""
        return replace(self, inside=self.inside.of_clusters(clusters, rng, further))

    def draw(self, design: Design, rng: Generator) -> Array:
        """Draw with what the model inside sees."""
        drawn: Array = self.inside.draw(self.seen(design), rng)
        return drawn

    def log_density(self, rows: Design) -> Array:
        """Log density of rows, as the model inside sees them."""
        density: Array = self.inside.log_density(self.seen(rows))
        return density


class RowsOf(Protocol):
    """A wrapper that says which rows of a design are whose, by the label of a part, or None."""

    def rows(self, design: Design) -> Mapping[Any, Rows]:
        """Give the rows of each part, of which some can be learnt from, (row,) bool."""
        ...

    def rows_asked(self, design: Design) -> Mapping[Any, Rows]:
        """Give the same for rows that are only asked about."""
        ...

    def check_nobodys(self, target: str, n: int) -> None:
        """Refuse rows that are nobody's, where there can be none."""
        ...


class RowsKernel(WrappedKernel):
    """Kernels side by side, each on its own rows and with its own part of the state.

    Parameters
    ----------
    wrapper
        Says which rows are whose.
    kernels
        By label; one by itself, under None, keeps adaptation and names of parameters.
    elsewhere
        Value of the rows that are nobody's.
    """

    def __init__(self, wrapper: RowsOf, kernels: Mapping[Any, Kernel], elsewhere: float) -> None:
        super().__init__(*kernels.values())
        self.wrapper, self.kernels, self.elsewhere = wrapper, dict(kernels), elsewhere
        self.labels = MappingProxyType(
            {k: v for label, own in kernels.items() for k, v in _named(label, own.labels).items()}
        )

    def _tuned(self, adaptation: Adaptation) -> tuple[Adaptation, ...]:
        """Adaptation of each kernel."""
        return (adaptation,) if None in self.kernels else adaptation.parts

    def _each(
        self, design: Design, adaptation: Adaptation, state: Array
    ) -> Iterator[tuple[Any, Kernel, Rows, Adaptation, Array]]:
        """Label, kernel, rows, adaptation and state of each part."""
        tuned, rows = self._tuned(adaptation), self.wrapper.rows(design)
        states = np.split(state, np.cumsum([len(part.start_mean) for part in tuned])[:-1])
        for (label, kernel), part, own in zip(self.kernels.items(), tuned, states, strict=True):
            yield label, kernel, rows[label], part, own

    def adapt(self, design: Design, rng: Generator) -> Adaptation:
        """Tune each kernel on its rows."""
        rows = self.wrapper.rows(design)
        parts = tuple(k.adapt(design.rows(rows[name]), rng) for name, k in self.kernels.items())
        if None in self.kernels:
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


def _named[Each](label: str | None, parameters: Mapping[str, Each]) -> dict[str, Each]:
    """Name parameters by the part that they are of."""
    return {labelled(label, name): value for name, value in parameters.items()}


def labelled(label: str | None, name: str) -> str:
    """Name something by the part that it is of: ``sigma[treated]``; no label, no brackets."""
    return name if label is None else f"{name}[{label}]"


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

    inside: Mapping[Any, RowDraws]
    wrapper: RowsOf
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
