r"""Rows in clusters of several kinds: one kernel a grouping, in turn.

With groupings g = 1 … G, nested (pupils in classes in schools) or crossed (subjects and items),

.. math::
    η_i = x_i β + \sum_g z_{ig} b_{g, c_g(i)},\quad b_{gj} \sim N(0, Ψ_g),

effects of different groupings being independent. A visit goes round the groupings: given the
effects of all others, which add a known number to each linear predictor, what remains is the model
of one grouping, and its own kernel draws its effects, their SDs and correlations, *and all that the
groupings share* (β, σ, ρ, …). That the intercept moves with each grouping's effects is what makes
this fast: a Gibbs sampler that draws it apart mixes the slower the more rows there are, this one
does not (Papaspiliopoulos, Roberts & Zanella 2020, *Biometrika* 107, 25–40, §3). A round costs what
the groupings cost, whatever their sizes.

Where the clusters of one grouping lie in those of another, the data may know the sum
``γ_c = b_c + b_{s(c)}`` of a class and its school well, and neither of the two given the other. So
each round also moves the school's effects given the sums (Yu & Meng 2011): no row is looked at, as
γ and with it every linear predictor stays, and what is left is a normal model of the classes,

.. math::
    γ_c \sim N(b_{s(c)}, Ψ_{class}),\quad b_s \sim N(0, Ψ_{school}).

State: those of the kernels, one after the other, the last one visited first; then the effects of
the further groupings. The effects of the first come from its kernel.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from bayesimpute.errors import SpecificationError
from bayesimpute.method import Adaptation, Array, Design, Kernel, Parameters, Prediction, Visit
from bayesimpute.sampling.cluster_effects import ClusterEffects, EffectColumn, Moved, added
from bayesimpute.sampling.nested import Between
from bayesimpute.sampling.row_draws import Further, Moment, Positions, chosen_effects

#: Rounds of a visit; of kernels that integrate coefficients and effects out one is enough.
ROUNDS, COLLAPSED_ROUNDS = 2, 1
#: Rounds that bring a chain from its dispersed start to the posterior, at its first visit. Where
#: coefficients are integrated out three are enough: draws are then those of later visits.
FIRST_ROUNDS, FIRST_COLLAPSED_ROUNDS = 10, 5
#: Rounds between the first tuning, when the effects of other groupings are not yet known, and the
#: second.
ROUNDS_BETWEEN = 5


#: Adaptations by grouping; while kernels are tuned, of those that are.
type Tuned = Sequence[Adaptation] | Mapping[int, Adaptation]


@runtime_checkable
class GroupableKernel(Kernel, Protocol):
    """A kernel that takes the effects of further groupings as known, and tells its own."""

    @property
    def effects(self) -> ClusterEffects:
        """Its effects by cluster."""
        ...

    def moved(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Moved:
        """Make a visit that draws no values."""
        ...

    def at(self, state: Array) -> Parameters:
        """Give the parameters of its clusters at a state, perhaps with others."""
        ...


def of_grouping(name: str) -> bool:
    """Whether a parameter or a prior of a kernel is of its clusters, by its name."""
    return name.startswith(("sd_", "selection_sd_", "correlation", "cluster_rho"))


def named(name: str, grouping: str) -> str:
    """Give the name of a parameter of one grouping: ``sd_intercept|school``."""
    return f"{name}|{grouping}"


def designs_of(design: Design) -> tuple[Design, ...]:
    """Give the design of each grouping, that of `cluster` first, the others in their order."""
    return (design, *(design.by(position) for position in range(len(design.groupings))))


def priors_of(priors: Mapping[str, Any], designs: Sequence[Design]) -> list[dict[str, Any]]:
    """Give the priors of each grouping's kernel, by the names that it knows.

    ``sd_intercept|school`` is of one grouping, ``sd_intercept`` of all that have such an effect.

    Raises
    ------
    SpecificationError
        If a prior names a grouping that is not there.
    """
    names = [design.grouping for design in designs]
    found: list[dict[str, Any]] = [{} for _ in designs]
    for key, prior in priors.items():
        name, bar, grouping = key.partition("|")
        if bar and grouping not in names:
            raise SpecificationError(
                f"priors of {designs[0].target!r}: {key!r} is of no grouping of its model; they "
                f"are {', '.join(names)}."
            )
        takers = [
            k
            for k, design in enumerate(designs)
            if grouping == names[k]
            or (not grouping and (not of_grouping(name) or _has(design, name)))
        ]
        for k in takers or range(1):  # the first says that it does not know it
            found[k][name] = prior
    for k, own in enumerate(found):
        for key, prior in priors.items():
            name, _, grouping = key.partition("|")
            if grouping == names[k]:
                own[name] = prior
    return found


def _has(design: Design, name: str) -> bool:
    effects = design.random_effects
    if name == "correlation":
        return len(effects) > 1
    effect = name.removeprefix("selection_").removeprefix("sd_")
    return effect in effects or effect in ("log_sigma", "atanh_rho")


def grouped_kernel(
    build: Callable[[Design, Mapping[str, Any], Mapping[str, Any]], Kernel],
    design: Design,
    priors: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Kernel:
    """Kernel of a model of several groupings.

    Parameters
    ----------
    build
        ``build(design, priors, options)``: the kernel of one grouping, or of a method that sees to
        all of them itself.
    design
        With all groupings.
    priors
        Of the model; those of one grouping as ``sd_intercept|school``.
    options
        Of the method. Each grouping makes half of its ``transitions``: those of the others come
        between.

    Raises
    ------
    SpecificationError
        If the priors do not let a kernel take effects as known, or the model does not know one.
    """
    designs = designs_of(design)
    if design.members:  # of a block, by member
        of_members = {name: priors_of(own, designs) for name, own in priors.items()}
        by_grouping = [
            {name: own[k] for name, own in of_members.items()} for k in range(len(designs))
        ]
    else:
        by_grouping = priors_of(priors, designs)
    if "transitions" in options:
        options = {**options, "transitions": max(1, options["transitions"] // 2)}
    first = build(design, by_grouping[0], options)
    if not isinstance(first, GroupableKernel):
        return first
    further = zip(designs[1:], by_grouping[1:], strict=True)
    others = [build(*each, options) for each in further]
    return GroupedKernel(design, [first, *others])


@dataclass(frozen=True, eq=False)
class _Nested:
    """Two groupings, the clusters of one within those of the other, by their positions."""

    child: int
    parent: int
    between: Between


@dataclass(frozen=True, eq=False)
class GroupedDraws:
    """A model of several groupings, as all chains have left it.

    Attributes
    ----------
    inside
        The model of the first, which takes the effects of the others as known.
    columns
        What the effects of each other one are.
    effects
        Of each other one, (chain, cluster, effect), in computing units.
    factors
        Of their covariances, (chain, effect, effect).
    equations
        Linear predictors a row.
    """

    inside: Any
    columns: tuple[tuple[EffectColumn, ...], ...]
    effects: tuple[Array, ...]
    factors: tuple[Array, ...]
    equations: int

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        every = [self, *others]
        count = range(len(self.columns))
        return replace(
            self,
            inside=self.inside.beside([each.inside for each in others]),
            effects=tuple(np.concatenate([each.effects[k] for each in every]) for k in count),
            factors=tuple(np.concatenate([each.factors[k] for each in every]) for k in count),
        )

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose clusters of all groupings; effects of new ones come from the population."""
        parts = zip(self.effects, self.factors, further, strict=True)
        return replace(
            self,
            inside=self.inside.of_clusters(clusters, rng, further),
            effects=tuple(chosen_effects(*each, rng) for each in parts),
        )

    def _given(self, design: Design) -> Design:
        """Give a design with what the effects of the other groupings add."""
        offset = np.zeros((len(design.y), self.equations))
        for k, (columns, effects) in enumerate(zip(self.columns, self.effects, strict=True)):
            by_cluster = effects.reshape(-1, effects.shape[2])
            added(design.by(k), columns, by_cluster, offset)
        return replace(design, offset=offset)

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw with the effects of all groupings."""
        drawn: Array = self.inside.draw(self._given(design), rng)
        return drawn

    def log_density(self, rows: Design) -> Array:
        """Log density of rows at the effects of all groupings."""
        density: Array = self.inside.log_density(self._given(rows))
        return density


class GroupedKernel:
    """Visits of a model of several groupings.

    Parameters
    ----------
    design
        With all groupings.
    kernels
        One for each, that of `cluster` first.
    """

    def __init__(self, design: Design, kernels: Sequence[Any]) -> None:
        self.parts: tuple[Any, ...] = tuple(kernels)
        self._names = tuple(each.grouping for each in designs_of(design))
        self._clusters = tuple(each.n_clusters for each in designs_of(design))
        self._effects: tuple[ClusterEffects, ...] = tuple(part.effects for part in self.parts)
        self._columns = tuple(each.columns for each in self._effects)
        labels: dict[str, tuple[str, ...]] = {}
        for kernel, grouping in zip(self.parts, self._names, strict=True):
            labels |= {
                named(name, grouping) if of_grouping(name) else name: elements
                for name, elements in kernel.labels.items()
            }
        self.labels: Mapping[str, tuple[str, ...]] = labels
        self._nested = tuple(self._pairs(design))

    def _pairs(self, design: Design) -> "list[_Nested]":
        """Find which groupings lie directly within which."""
        designs = designs_of(design)
        inside: dict[tuple[int, int], npt.NDArray[np.int64]] = {}
        for c, child in enumerate(designs):
            for p, parent in enumerate(designs):
                within = np.zeros(child.n_clusters, dtype=np.int64)
                within[child.cluster] = parent.cluster
                if c != p and (within[child.cluster] == parent.cluster).all():
                    inside[c, p] = within
        found = []
        for (c, p), within in inside.items():
            between = any((c, k) in inside and (k, p) in inside for k in range(len(designs)))
            own, others = self._columns[c], self._columns[p]
            same = [
                (a, b)
                for a, one in enumerate(own)
                for b, other in enumerate(others)
                if _alike(one, other)
            ]
            if same and not between:
                a, b = (np.ascontiguousarray(each) for each in np.array(same).T)
                mine, theirs = (self._effects[k].spread for k in (c, p))
                found.append(_Nested(c, p, Between(mine, theirs, within, a, b)))
        return found

    # -- state ---------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Length of a state."""
        effects = sum(np.prod(self._shape(k)) for k in range(1, len(self.parts)))
        return int(len(self.parts) + sum(part.size for part in self.parts) + effects)

    @property
    def gaussian(self) -> bool:
        """Whether the log density is quadratic, as that of the first grouping is."""
        return bool(self.parts[0].gaussian)

    @property
    def measure(self) -> str:
        """What the values have: densities, probabilities, or both."""
        measure: str = self.parts[0].measure
        return measure

    @property
    def has_density(self) -> bool:
        """Whether values are drawn from the model; those of donors have no density."""
        return bool(getattr(self.parts[0], "has_density", True))

    def _shape(self, k: int) -> tuple[int, int]:
        return self._clusters[k], len(self._columns[k])

    def _split(self, state: Array) -> tuple[list[Array], list[Array]]:
        """States of the kernels; effects of each but the first, in whose place nothing stands."""
        count = len(self.parts)
        lengths = state[:count].astype(np.int64)
        states = np.split(state[count:], np.cumsum(lengths))
        shapes = [(0, 0), *(self._shape(k) for k in range(1, count))]
        ends = np.cumsum([np.prod(shape, dtype=np.int64) for shape in shapes])
        effects = np.split(states.pop(), ends[:-1])
        return states, [e.reshape(shape) for e, shape in zip(effects, shapes, strict=True)]

    def _join(self, states: Sequence[Array], effects: Sequence[Array]) -> Array:
        lengths = np.array([len(state) for state in states], dtype=np.float64)
        return np.concatenate([lengths, *states, *(each.ravel() for each in effects[1:])])

    # -- moves ---------------------------------------------------------------------------------

    def _given(self, designs: Sequence[Design], k: int, effects: Sequence[Array]) -> Design:
        """Design of one grouping, the effects of all others known."""
        offset = np.zeros((len(designs[0].x), self._effects[0].equations))
        for other, (columns, values) in enumerate(zip(self._columns, effects, strict=True)):
            if other != k:
                added(designs[other], columns, values, offset)
        return replace(designs[k], offset=offset, base=designs[k])

    def _share(self, states: list[Array], of: int) -> None:
        """Give all kernels what one of them has drawn of the parameters they share."""
        drawn = states[of][self._effects[of].shared(states[of])]
        for k, each in enumerate(self._effects):
            if k == of or not states[k].size:  # not yet started, while kernels are tuned
                continue
            at = each.shared(states[k])
            # what has started but not been visited may lack what a visit adds to it
            if len(at) == len(drawn):
                states[k] = states[k].copy()
                states[k][at] = drawn

    def _move(
        self,
        designs: Sequence[Design],
        k: int,
        tuned: Tuned,
        states: list[Array],
        effects: list[Array],
        rng: np.random.Generator,
        first: bool = False,
    ) -> Mapping[str, float]:
        """Move one grouping, and what it shares with the others; gives statistics."""
        design = self._given(designs, k, effects)
        moved = self.parts[k].moved(design, tuned[k], states[k], rng, first)
        states[k], effects[k] = moved.state, moved.effects
        self._share(states, k)
        statistics: Mapping[str, float] = moved.statistics
        return statistics

    def _round(
        self,
        designs: Sequence[Design],
        tuned: Tuned,
        states: list[Array],
        effects: list[Array],
        rng: np.random.Generator,
    ) -> list[Mapping[str, float]]:
        """Move all groupings but the first."""
        statistics = []
        for k in range(1, len(self.parts)):
            statistics.append(self._move(designs, k, tuned, states, effects, rng))
            for pair in self._nested:
                if k in (pair.child, pair.parent):
                    self._move_between(designs, pair, states, effects, rng)
        return statistics

    def _move_between(
        self,
        designs: Sequence[Design],
        pair: _Nested,
        states: list[Array],
        effects: list[Array],
        rng: np.random.Generator,
    ) -> None:
        """Move what two groupings, one within the other, have given the sums of their effects."""
        both = pair.child, pair.parent
        design = designs[pair.child]
        seen = design.memo.get("seen")
        if seen is None:
            counted = design.cluster[self._effects[pair.child].counted(design)]
            seen = np.bincount(counted, minlength=design.n_clusters) > 0
            design.memo["seen"] = seen
        moved = pair.between.move(
            (states[pair.child], states[pair.parent]),
            (effects[pair.child], effects[pair.parent]),
            seen,
            rng,
        )
        for k, state, values in zip(both, *moved, strict=True):
            effects[k] = values
            states[k] = self._effects[k].put(state, values)

    # -- the contract --------------------------------------------------------------------------

    def adapt(self, design: Design, rng: np.random.Generator) -> Adaptation:
        """Tune the kernel of each grouping, the effects of the others known.

        Those of few clusters come first, as what their effects leave out goes into those of the
        many; all but the last of them once more, when all effects are known.
        """
        designs = designs_of(design)
        effects = [np.zeros(self._shape(k)) for k in range(len(self.parts))]
        states = [np.zeros(0)] * len(self.parts)
        tuned: dict[int, Adaptation] = {}
        *few, most = sorted(range(len(self.parts)), key=lambda k: self._clusters[k])
        for k in (*few, most):
            tuned[k] = self.parts[k].adapt(self._given(designs, k, effects), rng)
            states[k] = self.parts[k].start(tuned[k], rng)
            self._move(designs, k, tuned, states, effects, rng, True)
        for _ in range(ROUNDS_BETWEEN):
            self._round(designs, tuned, states, effects, rng)
            self._move(designs, 0, tuned, states, effects, rng)
        for k in few:
            tuned[k] = self.parts[k].adapt(self._given(designs, k, effects), rng)
        return self._together([tuned[k] for k in range(len(self.parts))])

    def _together(self, parts: Sequence[Adaptation]) -> Adaptation:
        """Make one adaptation of those of all groupings, for a state as long as this kernel's."""
        effects = [np.zeros(self._shape(k)) for k in range(len(self.parts))]
        return Adaptation(
            parts[0].step_size,
            np.concatenate([part.variance for part in parts]),
            self._join([part.start_mean for part in parts], effects),
            self._join([part.start_sd for part in parts], effects),
            tuple(parts),
        )

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Give a dispersed start; effects follow at the first visit."""
        states = [
            part.start(tuned, rng) for part, tuned in zip(self.parts, adaptation.parts, strict=True)
        ]
        shapes = [self._shape(k) for k in range(len(self.parts))]
        return self._join(states, [np.zeros(shape) for shape in shapes])

    def _before_last(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> tuple[Design, list[Array], list[Array], list[Mapping[str, float]]]:
        """Make all moves of a visit but the last; gives what that takes, and statistics."""
        designs = designs_of(design)
        states, effects = self._split(state)
        effects[0] = np.zeros(self._shape(0))
        if first:
            for k in range(len(self.parts)):
                self._move(designs, k, adaptation.parts, states, effects, rng, True)
        else:  # completed data have changed since the last visit, and with them what is known
            given = self._given(designs, 0, effects)
            effects[0] = self._effects[0].drawn(given, states[0], rng)
        statistics: list[Mapping[str, float]] = []
        if getattr(self.parts[0], "gaussian", False):
            rounds = FIRST_COLLAPSED_ROUNDS if first else COLLAPSED_ROUNDS
        else:
            rounds = FIRST_ROUNDS if first else ROUNDS
        for left in reversed(range(rounds)):
            statistics += self._round(designs, adaptation.parts, states, effects, rng)
            if left:
                statistics.append(self._move(designs, 0, adaptation.parts, states, effects, rng))
        return self._given(designs, 0, effects), states, effects, statistics

    def visit(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Visit:
        """Visit the groupings in turn; values are drawn with the first, visited last."""
        given, states, effects, before = self._before_last(design, adaptation, state, rng, first)
        last = self.parts[0].visit(given, adaptation.parts[0], states[0], rng, False)
        states[0] = last.state
        self._share(states, 0)
        statistics = dict(last.statistics)
        for name in statistics.keys() & {"diverging", "n_steps"}:
            statistics[name] += sum(each[name] for each in before)
        parameters = self._parameters(last.parameters, states)
        return Visit(self._join(states, effects), last.values, parameters, statistics)

    def predict(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
        by_cluster: bool = False,
    ) -> Prediction:
        """Move on as a visit does, then predict by the kernel of the first grouping."""
        given, states, effects, _ = self._before_last(design, adaptation, state, rng, first)
        found: Prediction = self.parts[0].predict(
            given, adaptation.parts[0], states[0], rng, False, by_cluster
        )
        states[0] = found.state
        self._share(states, 0)
        parameters = self._parameters(found.parameters, states)
        return replace(found, state=self._join(states, effects), parameters=parameters)

    def row_draws(self, moment: Moment) -> GroupedDraws:
        """Give the model of new rows at the parameters and effects of a state."""
        designs, rng = designs_of(moment.design), moment.rng
        states, effects = self._split(moment.state)
        effects[0] = np.zeros(self._shape(0))
        given = self._given(designs, 0, effects)
        effects[0] = self.parts[0].effects.drawn(given, states[0], rng)

        def of(k: int) -> Any:
            design = self._given(designs, k, effects)
            tuned = moment.adaptation.parts[k]
            return self.parts[k].row_draws(Moment(design, tuned, states[k], rng))

        others = range(1, len(self.parts))
        return GroupedDraws(
            of(0),
            tuple(self.parts[k].effects.columns for k in others),
            tuple(effects[k][None] for k in others),
            tuple(of(k).factor for k in others),
            self.parts[0].effects.equations,
        )

    def log_density(
        self, design: Design, state: Array, rng: np.random.Generator
    ) -> Callable[[Design], Array]:
        """Give the log density of rows at the parameters and effects of a state."""
        states, effects = self._split(state)
        effects[0] = np.zeros(self._shape(0))
        given = self._given(designs_of(design), 0, effects)
        inside = self.parts[0].log_density(given, states[0], rng)
        return lambda rows: inside(self._given(designs_of(rows), 0, effects))

    def _parameters(self, first: Parameters, states: Sequence[Array]) -> Parameters:
        """Give those of the first kernel, and of each other one what its clusters have."""
        found: dict[str, float | Array] = {
            named(name, self._names[0]) if of_grouping(name) else name: value
            for name, value in first.items()
        }
        for part, grouping, state in zip(self.parts[1:], self._names[1:], states[1:], strict=True):
            found |= {
                named(name, grouping): value
                for name, value in part.at(state).items()
                if of_grouping(name)
            }
        return found


def _alike(mine: EffectColumn, theirs: EffectColumn) -> bool:
    """Whether two effects add the same to a linear predictor."""
    return replace(mine, column=0) == replace(theirs, column=0)
