"""The contract between conditional models and the engine.

A *method* knows how one incomplete variable depends on the others: it builds the PyMC model a
reader can inspect, and a *kernel* that moves through that model's posterior one visit at a time.
The engine knows nothing else of a method, and a method knows nothing of the engine. A plain
function ``builder(design) -> pm.Model`` is a method too
(:class:`bayesimpute.sampling.generic.BuilderMethod` wraps it).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from bayesimpute.arrays import Array as Array
from bayesimpute.data.table import Kind

Parameters = Mapping[str, "float | Array"]


@dataclass(frozen=True, eq=False)
class Grouping:
    """A further grouping of the rows of a design, whose effects are independent of all others.

    Attributes
    ----------
    name
        Column of the data, or columns joined by ``:``.
    z
        Columns with effects that vary by its clusters, (row, random_effect).
    random_effects
        Their names, ``"intercept"`` first.
    cluster
        Cluster of each row, (row,) integers 0 … n_clusters − 1.
    n_clusters
        Number of clusters, those without observed values included.
    cluster_labels
        The user's labels of them.
    equations_z, blocks_z
        As those of a :class:`Design`.
    """

    name: str
    z: Array
    random_effects: tuple[str, ...]
    cluster: npt.NDArray[np.int64]
    n_clusters: int
    cluster_labels: tuple[Any, ...] = ()
    equations_z: tuple[str, ...] = ()
    blocks_z: tuple[int, ...] = ()

    def rows(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice) -> "Grouping":
        """Keep the chosen rows (mask, positions or place) only; clusters keep their numbers."""
        return replace(self, z=self.z[chosen], cluster=self.cluster[chosen])


@dataclass(frozen=True, eq=False)
class Design:
    """What a conditional model sees of the completed data at one visit.

    Rows are rows of the data, or for a level-2 target one row a cluster.

    Attributes
    ----------
    target
        Name of the variable being imputed.
    kind
        Its kind; categories enter `y` as codes 0, 1, ….
    categories
        Labels of the codes; empty for numbers.
    y
        Values of the target, (row,); only those of `fit` rows mean anything to a model.
    x
        Predictors without the intercept, (row, predictor), on the data's scale.
    predictors
        Their names; indicator columns are named ``type[RCT]``, cluster means ``mean(sex)``.
    z
        Columns with effects that vary by cluster, (row, random_effect): a column of ones for
        the random intercept, then the random slopes. No columns without a cluster.
    random_effects
        Their names, ``"intercept"`` first.
    cluster
        Cluster of each row, (row,) integers 0 … n_clusters − 1; zeros without a cluster.
    n_clusters
        Number of clusters, those without observed values included.
    fit
        Rows the model is fitted to, (row,) bool: target observed, row not ignored.
    draw
        Rows whose value is wanted, (row,) bool.
    cluster_labels
        The user's labels of clusters 0 … n_clusters − 1; empty without a cluster.
    shift
        Added to the linear predictor of the rows to draw and of the live ones, never to that of
        observed ones (δ-adjustment), (row,), or (row, category) for unordered categories; None for
        none.
    columns
        Completed columns of the data that a wrapper of the method asked for, (row,) each;
        categories as codes.
    usable
        Rows a model may learn from, the target missing or not, (row,) bool; None for all. A model
        of whether the target is seen takes these.
    asked
        Rows not learnt from whose value is observed and wanted anew all the same, (row,) bool; None
        for none.
    around
        Latent mean of the target in the cluster of each row, (row,): `y` is the difference to it.
        None for none.
    live
        Rows that have a value though it is not observed, (row,) bool: drawn together with the
        models it stands in, and learnt from as observed ones are; None for none.
    equations_x, equations_z
        Of a model with two equations: ``"both"``, ``"outcome"`` or ``"selection"`` for each column
        of `x` and `z`; empty for ``"both"`` throughout.
    blocks_z
        Number of the block each column of `z` is in: effects of different blocks are independent,
        those of one are correlated; empty for one block. The random intercept is in block 0.
    members
        Of a block of targets imputed together: the design of each, whose `target`, `kind`,
        `categories`, `y`, `fit`, `draw` and `shift` are its own; everything else is shared, and
        `fit` and `draw` of the block hold where they do for any member. Empty for one target.
    grouping
        Name of the grouping that `cluster` is, where there are several; empty else.
    groupings
        The others: rows may be in clusters of several kinds, nested or crossed.
    offset
        What the effects of `groupings` add to the linear predictors of all rows, (row, R), in the
        units that a kernel computes in: a kernel that gets it takes those effects as known. None
        where there are none, or they are not known.
    base
        The design that this one is but for its offset, if it has one, and several are made of it.
    memo
        What kernels have worked out of these data, by whoever did, and no one writes to: chains may
        share a design. One made from this one begins with nothing, and whoever writes to the
        arrays clears it.
    """

    target: str
    kind: Kind
    categories: tuple[Any, ...]
    y: Array
    x: Array
    predictors: tuple[str, ...]
    z: Array
    random_effects: tuple[str, ...]
    cluster: npt.NDArray[np.int64]
    n_clusters: int
    fit: npt.NDArray[np.bool_]
    draw: npt.NDArray[np.bool_]
    cluster_labels: tuple[Any, ...] = ()
    shift: Array | None = None
    columns: Mapping[str, Array] = field(default_factory=dict)
    members: tuple["Design", ...] = ()
    usable: npt.NDArray[np.bool_] | None = None
    asked: npt.NDArray[np.bool_] | None = None
    live: npt.NDArray[np.bool_] | None = None
    around: Array | None = None
    equations_x: tuple[str, ...] = ()
    equations_z: tuple[str, ...] = ()
    blocks_z: tuple[int, ...] = ()
    grouping: str = ""
    groupings: tuple[Grouping, ...] = ()
    offset: Array | None = None
    base: "Design | None" = None
    memo: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def observed(self) -> npt.NDArray[np.bool_]:
        """Rows the model is fitted to whose value is observed, (row,) bool."""
        return self.fit if self.live is None else self.fit & ~self.live

    @property
    def live_shift(self) -> Array | None:
        """Shift of rows that are learnt from: of live ones, 0 elsewhere; None for none at all."""
        if self.shift is None or self.live is None:
            return None
        live = self.live if self.shift.ndim == 1 else self.live[:, None]
        return np.where(live, self.shift, 0.0)

    @property
    def coords(self) -> dict[str, Any]:
        """PyMC coordinates of the model: predictor, random_effect, cluster (rows have none).

        Of each further grouping ``cluster|name`` and ``random_effect|name``.
        """
        coords: dict[str, Any] = {
            "predictor": list(self.predictors),
            "random_effect": list(self.random_effects),
            "cluster": np.arange(self.n_clusters),
        }
        for each in self.groupings:
            coords[f"cluster|{each.name}"] = np.arange(each.n_clusters)
            coords[f"random_effect|{each.name}"] = list(each.random_effects)
        return coords

    def rows(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice) -> "Design":
        """Keep the chosen rows (mask, positions or place) only; clusters keep their numbers."""
        return self.but(
            y=self.y[chosen],
            x=self.x[chosen],
            z=self.z[chosen],
            cluster=self.cluster[chosen],
            fit=self.fit[chosen],
            draw=self.draw[chosen],
            shift=None if self.shift is None else self.shift[chosen],
            columns={name: column[chosen] for name, column in self.columns.items()},
            members=tuple(member.rows(chosen) for member in self.members),
            usable=None if self.usable is None else self.usable[chosen],
            asked=None if self.asked is None else self.asked[chosen],
            live=None if self.live is None else self.live[chosen],
            around=None if self.around is None else self.around[chosen],
            groupings=tuple(each.rows(chosen) for each in self.groupings),
            offset=None if self.offset is None else self.offset[chosen],
            base=None,
        )

    def but(self, **changed: Any) -> "Design":
        """Give it with other values of some fields, as ``replace`` does in seven times the time.

        Densities of live cells ask for thousands an iteration.
        """
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__, memo={}, **changed)
        return made

    def by(self, position: int) -> "Design":
        """Give the same rows with a further grouping as `cluster`, and that in its place."""
        other = self.groupings[position]
        own = Grouping(
            self.grouping,
            self.z,
            self.random_effects,
            self.cluster,
            self.n_clusters,
            self.cluster_labels,
            self.equations_z,
            self.blocks_z,
        )
        return replace(
            self,
            z=other.z,
            random_effects=other.random_effects,
            cluster=other.cluster,
            n_clusters=other.n_clusters,
            cluster_labels=other.cluster_labels,
            equations_z=other.equations_z,
            blocks_z=other.blocks_z,
            grouping=other.name,
            groupings=(*self.groupings[:position], own, *self.groupings[position + 1 :]),
        )


#: Log density of the rows of a design, (row,).
RowDensity = Callable[[Design], Array]


@dataclass(frozen=True)
class Occasion:
    """What of a target the equation of its model depends on.

    Attributes
    ----------
    options
        Those of the method, defaults filled in.
    clustered
        Whether effects vary by cluster.
    intercept
        Whether the intercept is among them.
    numeric
        Whether values are numbers.
    kind
        What kind of variable it is.
    """

    options: Mapping[str, Any]
    clustered: bool
    intercept: bool
    numeric: bool
    kind: Kind = Kind.NUMERIC


@dataclass(frozen=True)
class Words:
    r"""How a method tells people what it does; an attribute ``words`` of its class.

    Of the sentences, ``{x}``, ``{donors}``, ``{block}`` are filled in. What ``imp.equations()``
    and the report show is written from `equation`, in which stand

    ==================  ========================================================================
    ``$y``, ``$star``   value, and latent value of a row; ``$name`` is the variable
    ``$row``            index of a row, as ``μ_$row``
    ``$last``           label of the last category
    ``$predictor``      linear predictor; ``$predictor[k]`` with parameters of each category k
    ``$slopes``         the same without intercept
    ``$function``       intercept, intercepts by cluster, and f of all predictors;
                        ``$function[k]`` with those of each category k
    ``$bend``           the same without intercept
    ``$selection``      the second linear predictor, of being seen
    ``$effects``        after these: distribution of their effects by cluster, a line for each
                        random part, none without clusters; ``$effects[\log\;σ_j]`` with what else
                        varies together with the intercept
    ``$latent``         latent values of all variables imputed together
    ``$donors``, …      any option of the method
    ==================  ========================================================================

    In text ``\,`` is a product, ``\;`` a space, so ``σ\,e`` is σ·e, and ``\log\;σ`` log σ.

    Attributes
    ----------
    equation
        The model in LaTeX, its lines with ``\\`` between; or a function that gives it.
    distribution
        A sentence on the distribution of a value, without full stop.
    draw
        A sentence on how a missing value is drawn.
    name
        What a paper calls the model: ``"logistic regression"``.
    """

    equation: str | Callable[[Occasion], str]
    distribution: str
    draw: str
    name: str = ""


def words_of(method: Any) -> Words | None:
    """Give the words of a method object; None if it has none that are its own.

    Words that a class inherits are not those of a model that it builds otherwise.
    """
    for each in type(method).__mro__:
        if "words" in vars(each):
            words: Words | None = vars(each)["words"]
            return words
        if vars(each).keys() & {"model", "kernel", "likelihood"}:
            return None
    return None


@dataclass(frozen=True, eq=False)
class Adaptation:
    """What is learnt once, before the chains start, and shared by all of them.

    Attributes
    ----------
    step_size, variance
        Of the Hamiltonian kernel: step size, and diagonal of the inverse mass matrix (state,).
    start_mean, start_sd
        Mean and SD of the state over the adaptation's draws, (state,); chains start dispersed
        around them.
    parts
        Adaptations of the kernels this one is made of, in its own order.
    """

    step_size: float
    variance: Array
    start_mean: Array
    start_sd: Array
    parts: tuple["Adaptation", ...] = ()


@dataclass(frozen=True, eq=False)
class Visit:
    """What one visit to a target gives back.

    Attributes
    ----------
    state
        Where the kernel stands now, (state,); the next visit continues from here.
    values
        Drawn values of the `draw` rows, in row order; categories as codes. Of a block: those of
        each member's `draw` rows, one member after the other.
    parameters
        The drawn population parameters, by name.
    statistics
        Sampler statistics of this visit, by name (ArviZ's names).
    """

    state: Array
    values: Array
    parameters: Parameters
    statistics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of the rows it is fitted to, at one draw of its parameters.

    Attributes
    ----------
    state
        Where the kernel stands now, (state,).
    values
        The target drawn anew in each `fit` row, (row,), in row order; categories as codes. Of a
        block: of each member's `fit` rows, one member after the other; so are the two below. NaN
        in rows that no model is for. A row's own value may be used through the parameters only:
        no donor of a row is the row itself.
    parameters
        The drawn population parameters, by name; those that concern missing rows only may lack.
    log_likelihood
        Log density (or probability) of each observed value on the data's scale, given parameters
        and cluster effects, (row,); None where `values` have no density, as with matching.
    learnt
        Log density of what the parameters have learnt from each row, (row,): a weight
        ``exp(−learnt)`` takes that row out of the posterior. `log_likelihood`, if None; NaN
        throughout where `values` do not depend on the row's own value in any way.
    measure
        What `log_likelihood` is: ``"density"``, ``"probability"``, or ``"mixed"``.
    by_cluster
        Log density of all observed values of each cluster given the population parameters, the
        effects of the cluster integrated out, (cluster,), 0 without values; None if not asked for
        or not known.
    by_cluster_error
        Its Monte Carlo standard error, (cluster,); None where it is exact.
    statistics
        Sampler statistics of the move to this state, as those of a visit.
    """

    state: Array
    values: Array
    parameters: Parameters
    log_likelihood: Array | None = None
    learnt: Array | None = None
    measure: str = "density"
    by_cluster: Array | None = None
    by_cluster_error: Array | None = None
    statistics: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Kernel(Protocol):
    """A compiled conditional model; holds no state of any chain."""

    labels: Mapping[str, tuple[str, ...]]
    """Parameter name -> labels of its elements, () for a scalar."""

    def adapt(self, design: Design, rng: np.random.Generator) -> Adaptation:
        """Tune on a design; the result serves every chain."""
        ...

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Give a dispersed starting state, (state,)."""
        ...

    def visit(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Visit:
        """Move on by some transitions, then draw parameters and values."""
        ...


@runtime_checkable
class PredictiveKernel(Kernel, Protocol):
    """A kernel that can be held against the data; optional.

    Without it ``imp.predictive`` and ``imp.overimpute`` make ordinary visits to the observed rows,
    and nothing that needs a likelihood can be had.
    """

    def predict(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
        by_cluster: bool = False,
    ) -> Prediction:
        """Move on as a visit does, then predict the `fit` rows; `draw` and `shift` do not count.

        `by_cluster` asks for the densities of whole clusters, which may cost much.
        """
        ...


@runtime_checkable
class DensityKernel(Kernel, Protocol):
    """A kernel that knows the density of any values of its target, at any values of its predictors.

    That is what imputation compatible with an analysis needs: a missing predictor is drawn from
    its own model times the models it predicts.
    """

    @property
    def size(self) -> int:
        """Length of a state."""
        ...

    @property
    def measure(self) -> str:
        """``"density"``, ``"probability"``, or ``"mixed"``, as of a :class:`Prediction`."""
        ...

    @property
    def gaussian(self) -> bool:
        """Whether the log density is a quadratic function of target and linear predictor."""
        ...

    def log_density(self, design: Design, state: Array, rng: np.random.Generator) -> RowDensity:
        """Give the log density of rows at the parameters and effects of a state.

        Parameters
        ----------
        design
            The completed data the kernel was last visited with.
        state
            That visit's.
        rng
            For parameters that a state does not hold: they are drawn from their distribution given
            it and the data, once.

        Returns
        -------
        Callable
            Takes designs of any rows of the same columns and clusters (`y`, `x`, `z`, `cluster`
            and `live_shift` count), and gives the log density of `y` on the data's scale, (row,).
        """
        ...


def has_density(kernel: Kernel) -> bool:
    """Whether a kernel, and all it is made of, knows the density of any values."""
    own = isinstance(kernel, DensityKernel) and bool(getattr(kernel, "has_density", True))
    return own and all(map(has_density, getattr(kernel, "parts", ())))


@runtime_checkable
class Method(Protocol):
    """A family of conditional models."""

    kinds: frozenset[Kind]
    """Kinds of target the method can impute."""

    options: Mapping[str, Any]
    """Option names with their defaults."""

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook PyMC model on the design's `fit` rows."""
        ...

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Build the kernel; `design` fixes names, sizes and the scales of the priors."""
        ...
