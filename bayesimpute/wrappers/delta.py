"""δ-adjustment: what is imputed lies elsewhere than what a model says of the observed.

Amounts are numbers and PyMC distributions, one fresh draw of each at a visit.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from threading import Lock
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.random import Generator

from bayesimpute.arguments import checked
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.method import Adaptation, Array, Design, Kernel, Visit
from bayesimpute.sampling.arithmetic import without_compiling
from bayesimpute.sampling.generic import reseed
from bayesimpute.sampling.priors import attach
from bayesimpute.sampling.row_draws import Further, Moment, Positions
from bayesimpute.specification.aliases import UNORDERED
from bayesimpute.wording import listed, one_line
from bayesimpute.wrappers.base import (
    Options,
    Scope,
    Wrapped,
    WrappedKernel,
    Wrapper,
    declared,
    inner_kernel,
    innermost,
    method_text,
    wrappable,
)
from bayesimpute.wrappers.conditions import check_condition, condition_columns, truth


def checked_amount(amount: Any, place: str) -> Any:
    """Give a finite number as float, or an unnamed scalar distribution as it is.

    Raises
    ------
    SpecificationError
        If it is neither.
    """
    if is_distribution(amount):
        if amount.ndim != 0:
            raise SpecificationError(
                f"{place} is a distribution of {amount.ndim} dimension(s); give a scalar one, "
                "such as pm.Normal.dist(-1, 0.5)."
            )
        return amount
    number = isinstance(amount, Real) and not isinstance(amount, bool | np.bool_)
    if not number or not np.isfinite(float(amount)):
        raise SpecificationError(
            f"{place}={amount!r} must be a finite number, or a PyMC distribution such as "
            "pm.Normal.dist(-1, 0.5)."
        )
    return float(amount)


def is_distribution(amount: Any) -> bool:
    """Whether an amount is drawn."""
    return hasattr(amount, "owner") and hasattr(amount, "ndim")


def amount_text(amount: Any) -> str:
    """Text of an amount: the number, or the distribution with those parameters that are numbers."""
    if not is_distribution(amount):
        # a file tells distributions that read alike apart by a mark
        return f"{amount:g}" if isinstance(amount, float) else str(amount).partition(" #")[0]
    if amount.owner is None:
        return "distribution"
    family = type(amount.owner.op).__name__.removesuffix("RV")
    try:
        parameters = [float(each.data) for each in amount.owner.op.dist_params(amount.owner)]
    except (AttributeError, TypeError, ValueError):  # no random variable, or no plain numbers
        return family
    return f"{family}({', '.join(f'{each:g}' for each in parameters)})"


class Amounts:
    """Draws of several amounts; distributions are compiled once.

    Parameters
    ----------
    amounts
        Numbers and scalar distributions.
    """

    def __init__(self, amounts: Sequence[Any]) -> None:
        self._fixed = np.array([np.nan if is_distribution(a) else a for a in amounts], dtype=float)
        self.drawn = np.array([is_distribution(a) for a in amounts], dtype=bool)
        self._function: Any = None
        self._turn = Lock()  # threads share the kernel, and the function holds its generators
        if self.drawn.any():
            import pymc as pm

            with pm.Model(model=None):  # copies, so that kernels share no generator
                copies = [
                    attach(a, f"delta_{k}") for k, a in enumerate(amounts) if is_distribution(a)
                ]
            with without_compiling() as mode:
                self._function = pm.compile([], copies, random_seed=0, mode=mode)

    def draw(self, rng: np.random.Generator) -> Array:
        """Give the numbers as they are and a draw of each distribution, (amount,).

        Raises
        ------
        SamplingError
            If a draw is not finite.
        """
        values = self._fixed.copy()
        if self._function is not None:
            with self._turn:
                reseed(self._function, rng)
                values[self.drawn] = [float(each) for each in self._function()]
        if not np.isfinite(values).all():
            raise SamplingError("the distribution of delta drew a value that is not finite")
        return values


@checked
def delta(
    method: Any,
    delta: Any = None,
    *,
    by_cluster: Mapping[Any, Any] | None = None,
    by_category: Mapping[Any, Any] | None = None,
    where: str | None = None,
) -> "Delta":
    """Shift what is imputed by δ, to see what would change if values were not missing at random.

    δ is added to the linear predictor of the rows to impute, never to that of the rows fitted to:
    to the mean of a ``"normal"`` value, to the log-odds of a ``"logistic"`` one, to the log mean of
    a ``"poisson"`` count or a ``"gamma"`` value; ``"pmm"`` adds it before matching. Where there is
    no linear predictor (``"sample"``, a model builder of your own) it is added to the drawn number.
    A method object of your own adds ``design.shift`` itself.

    Exactly one of `delta`, `by_cluster` and `by_category` is given.

    Parameters
    ----------
    method
        Name of a method, a method object, a function ``builder(design) -> pm.Model``, or another
        wrapper.
    delta
        A number; or an unnamed PyMC distribution, of which each visit takes a fresh draw for all
        rows. Draws are reported as the parameter ``delta``.
    by_cluster
        Cluster id -> number or distribution; other clusters are not shifted.
    by_category
        For unordered categories: label -> number or distribution, added to the linear predictor
        of that category; others are not shifted.
    where
        Shift only rows where a condition holds, such as ``"arm == 'treated'"``, written as for
        :func:`~bayesimpute.only_where`; other rows are imputed as they were. Deltas with different
        conditions around each other make δ a function of other variables (NARFCS, Tompsett et al.
        2018). None (default) shifts all.

    Returns
    -------
    Delta
        For ``method={"target": ...}``; deltas around each other add up.

    Raises
    ------
    SpecificationError
        If not exactly one of them is given, one is neither number nor distribution, or `where`
        cannot be read.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> print(bi.delta("normal", -1))
    delta(normal, -1)
    >>> print(bi.delta("pmm", by_cluster={"north": -0.5, "south": 0.5}))
    delta(pmm, by_cluster={north: -0.5, south: 0.5})
    >>> print(bi.delta("normal", 2, where="arm == 'treated'"))
    delta(normal, 2, where arm == 'treated')

    References
    ----------
    Tompsett, Leacy, Moreno-Betancur, Heron & White (2018), On the use of the not-at-random fully
    conditional specification (NARFCS) procedure in practice, Statistics in Medicine 37, 2338-2353.
    """
    given = {"delta": delta, "by_cluster": by_cluster, "by_category": by_category}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise SpecificationError(
            "delta: give exactly one of delta= (a number or distribution for all rows), "
            f"by_cluster= and by_category= (mappings); given: {', '.join(named) or 'none'}."
        )
    if isinstance(delta, Mapping):
        raise SpecificationError(
            "delta: a mapping is given as by_cluster={...} or by_category={...}, which say what "
            "its keys are."
        )
    (how,) = named
    if how == "delta":
        amounts: tuple[tuple[Hashable, Any], ...] = ((None, checked_amount(delta, "delta")),)
    else:
        mapping = given[how]
        if not isinstance(mapping, Mapping) or not mapping:
            raise SpecificationError(
                f"delta: {how}={mapping!r} must be a mapping from label to number or distribution."
            )
        amounts = tuple(
            (key, checked_amount(value, f"delta: {how}[{key!r}]")) for key, value in mapping.items()
        )
    if where is not None:
        if not isinstance(where, str):
            raise SpecificationError(
                f"delta: where={where!r} must be text such as \"arm == 'treated'\"."
            )
        condition_columns(where)
    return Delta(wrappable("delta", method), how, amounts, where)


@dataclass(frozen=True, repr=False)
class Delta(Wrapper):
    """The method :func:`delta` gives.

    Attributes
    ----------
    how
        ``"delta"``, ``"by_cluster"`` or ``"by_category"``.
    amounts
        Label and number or distribution; the one label of ``"delta"`` is None.
    where
        Condition of the rows that are shifted; None for all.
    cluster
        Cluster column of the model, decided by the specification.
    """

    how: str
    amounts: tuple[tuple[Any, Any], ...]
    where: str | None = None
    cluster: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return one_line(f"delta({method_text(self.method)}, {self._amount_text})")

    @property
    def _amount_text(self) -> str:
        rows = "" if self.where is None else f", where {self.where}"
        if self.how == "delta":
            return f"{amount_text(self.amounts[0][1])}{rows}"
        pairs = ", ".join(f"{label}: {amount_text(amount)}" for label, amount in self.amounts)
        return f"{self.how}={{{pairs}}}{rows}"

    def decided(self, scope: Scope) -> tuple[Self, tuple[Event, ...]]:
        """Check that the method inside can be shifted, and that the labels exist."""
        place = f"delta of {scope.target!r}: "
        inside = innermost(self.method)
        categories = scope.kind is not Kind.NUMERIC
        if categories and not self.moves_predictor:
            raise SpecificationError(
                f"{place}{method_text(inside)!r} has no linear predictor that δ could be added to, "
                "and categories have no distance; use a method with the categories' likelihood."
            )
        if scope.kind is Kind.NOMINAL and declared(inside, "donors_by_score", False):
            raise SpecificationError(
                f"{place}{method_text(inside)!r} ranks unordered categories on a scale without a "
                f"unit; use {UNORDERED!r} with by_category=."
            )
        if scope.kind is Kind.NOMINAL and self.how != "by_category":
            raise SpecificationError(
                f"{place}it has unordered categories, each with a linear predictor of its own; "
                "say by_category={label: number}."
            )
        if scope.kind is not Kind.NOMINAL and self.how == "by_category":
            raise SpecificationError(
                f"{place}by_category= is for unordered categories, and it is {scope.kind}; its "
                "model has one linear predictor, give delta= or by_cluster=."
            )
        if self.how == "by_cluster" and scope.clusters is None:
            raise SpecificationError(
                f"{place}by_cluster= needs clusters; give cluster=, or use delta=."
            )
        known = {"by_category": scope.categories}
        if scope.clusters is not None:
            known["by_cluster"] = scope.clusters.labels
        if self.how in known:
            unknown = [label for label, _ in self.amounts if label not in known[self.how]]
            if unknown:
                what = "category" if self.how == "by_category" else f"cluster of {scope.cluster!r}"
                raise SpecificationError(
                    f"{place}{unknown[0]!r} is no {what}; there are {listed(known[self.how])}."
                )
        if self.how == "by_cluster" and scope.clusters is not None:
            alike = Counter(scope.clusters.labels)
            shared = [label for label, _ in self.amounts if alike[label] > 1]
            if shared:
                raise SpecificationError(
                    f"{place}{shared[0]!r} is the label of {alike[shared[0]]} clusters of "
                    f"{scope.cluster!r}, whose ids read alike; give ids that differ as text."
                )
        if self.where is not None:
            self._check_where(self.where, scope, place)
        mine = self.how == "by_cluster"
        decided, events = super().decided(scope)
        return replace(decided, cluster=scope.cluster if mine else None), events

    def _check_where(self, where: str, scope: Scope, place: str) -> None:
        check_condition(where, scope.table, place)
        if scope.target in condition_columns(where):
            raise SpecificationError(
                f"{place}where= reads {scope.target!r} itself, whose values are not known there."
            )
        holds = truth(where, scope.table, scope.table.values)
        instead = "use a condition on variables of the clusters"
        scope.check_level(place, holds, where, instead)

    @property
    def moves_predictor(self) -> bool:
        """Whether δ is added to a linear predictor; without one, to the values drawn."""
        inside = innermost(self.method)
        modelled = isinstance(inside, str) or _object(inside)
        return bool(modelled and declared(inside, "uses_predictors", True))

    @property
    def is_drawn(self) -> bool:
        """Whether some δ is a distribution."""
        return any(is_distribution(amount) for _, amount in self.amounts)

    def reads(self) -> tuple[str, ...] | None:
        """Columns of the condition."""
        return () if self.where is None else condition_columns(self.where)

    def columns(self, table: Table, values: Mapping[str, Array]) -> Mapping[str, Array]:
        """Give position of each row's cluster among the amounts (−1: none), and the condition."""
        found: dict[str, Array] = {}
        if self.where is not None:
            found[f"where of {self}"] = truth(self.where, table, values)
        if self.cluster is not None:
            clusters = table.clusters(self.cluster)
            position = {label: k for k, (label, _) in enumerate(self.amounts)}
            by_cluster = np.array([position.get(label, -1) for label in clusters.labels], float)
            found[f"cluster of {self}"] = by_cluster[clusters.codes]
        return found

    def kernel(self, design: Design, priors: Options, options: Options) -> Kernel:
        """Build the kernel of the method inside."""
        return DeltaKernel(inner_kernel(self.method, design, priors, options), self)

    def around_member(self, block: Kernel, position: int, name: str) -> Kernel:
        """Give the kernel of a block, one member of which is shifted."""
        return DeltaKernel(block, self, position, name)

    def shifted(self, design: Design, amounts: Array) -> Design:
        """Give a design its shift, on top of one that it has.

        Parameters
        ----------
        design
            With the columns that :meth:`columns` gives.
        amounts
            Number of each of `amounts`, (amount,).
        """
        shift = self._shift(design, amounts)
        if self.where is not None:
            holds = design.columns[f"where of {self}"] == 1
            shift = shift * (holds if shift.ndim == 1 else holds[:, None])
        return replace(design, shift=shift if design.shift is None else shift + design.shift)

    def _shift(self, design: Design, amounts: Array) -> Array:
        """Amount of each row, (row,), or of each row and category, (row, category)."""
        n = len(design.y)
        if self.how == "delta":
            return np.full(n, amounts[0])
        if self.how == "by_cluster":
            position = design.columns[f"cluster of {self}"].astype(np.int64)
            return np.where(position >= 0, amounts[position], 0.0)
        shift = np.zeros((n, len(design.categories)))
        for (label, _), amount in zip(self.amounts, amounts, strict=True):
            shift[:, design.categories.index(label)] = amount
        return shift

    def equation(self, inner: str) -> str:
        """Say what is added where values are missing."""
        equals = "δ = " if self.how == "delta" else "δ "
        return f"{inner};  imputed with {equals}{self._amount_text}"


def _object(method: Any) -> bool:
    return hasattr(method, "kernel") and hasattr(method, "model")


class DeltaKernel(WrappedKernel):
    """A kernel whose rows to draw are shifted, those of one member if it is a block's.

    δ is in what is fitted only where values are live; the observed do not speak of it.
    """

    def __init__(
        self, inside: Kernel, wrapper: Delta, position: int | None = None, member: str = ""
    ) -> None:
        super().__init__(inside)
        self._position = position
        self._wrapper = wrapper
        names = [label for label, _ in wrapper.amounts]
        self._amounts = Amounts([amount for _, amount in wrapper.amounts])
        self._name = f"delta[{member}]" if member else "delta"
        while self._name in inside.labels:  # deltas around each other
            self._name += "_outer"
        drawn = [str(n) for n, drawn in zip(names, self._amounts.drawn, strict=True) if drawn]
        own: dict[str, tuple[str, ...]] = {}
        if drawn:
            own[self._name] = () if wrapper.how == "delta" else tuple(drawn)
        self.labels = MappingProxyType({**inside.labels, **own})

    def seen(self, design: Design, rng: Generator) -> Design:
        """Shift a design with live values, whose δ are numbers (the specification has seen to it).

        Where none is live, δ is of values to draw only, and what is learnt does not speak of it.
        """
        if design.live is None:
            return design
        return self._wrapper.shifted(design, self._amounts.draw(rng))

    def visit(
        self, design: Design, adaptation: Adaptation, state: Array, rng: Generator, first: bool
    ) -> Visit:
        """Draw δ, then visit with it."""
        amounts = self._amounts.draw(rng)
        if self._position is None:
            design = self._wrapper.shifted(design, amounts)
        else:
            members = list(design.members)
            members[self._position] = self._wrapper.shifted(members[self._position], amounts)
            design = replace(design, members=tuple(members))
        visit = self.inside.visit(design, adaptation, state, rng, first)
        parameters: dict[str, float | Array] = dict(visit.parameters)
        if self._name in self.labels:
            drawn = amounts[self._amounts.drawn]
            parameters[self._name] = float(drawn[0]) if self._wrapper.how == "delta" else drawn
        return replace(visit, parameters=parameters)

    def row_draws(self, moment: Moment) -> "ShiftedDraws":
        """Draw δ, and give the model of new rows with it."""
        amounts = self._amounts.draw(moment.rng)
        inside = self.draws_inside(moment)
        clusters = max(moment.design.n_clusters, 1)
        wrapper = self._wrapper
        return ShiftedDraws(inside, wrapper.shifted, amounts[None], self._position, clusters)


@dataclass(frozen=True, eq=False)
class ShiftedDraws(Wrapped):
    """δ-adjusted draws.

    Attributes
    ----------
    shifted
        Gives a design its shift, from amounts (amount,).
    amounts
        As drawn for each chain, (chain, amount).
    position
        Of the shifted member of a block; None where the target is shifted itself.
    clusters
        How many clusters a chain has.
    """

    shifted: Callable[[Design, Array], Design]
    amounts: Array
    position: int | None
    clusters: int

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        amounts = np.concatenate([self.amounts, *(each.amounts for each in others)])
        return replace(super().beside(others), amounts=amounts)

    def of_clusters(self, clusters: Positions, rng: Generator, further: Further = ()) -> Self:
        """Choose clusters of the model inside."""
        return replace(super().of_clusters(clusters, rng, further), clusters=len(clusters))

    def _with_shift(self, design: Design, chain: Positions) -> Design:
        """Shift each row by the amounts of its chain."""
        shift: Any = None
        for amounts in np.unique(self.amounts, axis=0):
            of = self.shifted(design, amounts).shift
            assert of is not None
            here = (self.amounts == amounts).all(axis=1)[chain]
            shift = (
                of
                if shift is None
                else np.where(here if of.ndim == 1 else here[:, None], of, shift)
            )
        return replace(design, shift=shift)

    def seen(self, design: Design) -> Design:
        """Give the design that the model inside gets."""
        chain = design.cluster // self.clusters
        if self.position is None:
            return self._with_shift(design, chain)
        members = list(design.members)
        members[self.position] = self._with_shift(members[self.position], chain)
        return replace(design, members=tuple(members))
