"""δ-adjustment: what is imputed lies elsewhere than what a model says of the observed."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from bayesimpute.data.clusters import cluster_index
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.events import Event
from bayesimpute.method import Adaptation, Array, Design, Kernel, Visit
from bayesimpute.registry import resolve
from bayesimpute.wording import listed
from bayesimpute.wrappers.amounts import Amounts, amount_text, checked_amount
from bayesimpute.wrappers.base import (
    Scope,
    Wrapper,
    inner_kernel,
    innermost,
    method_text,
    wrappable,
)


def delta(
    method: Any,
    delta: Any = None,
    *,
    by_cluster: Mapping[Any, Any] | None = None,
    by_category: Mapping[Any, Any] | None = None,
) -> "Delta":
    """Shift what is imputed by δ, to see what would change if values were not missing at random.

    δ is added to the linear predictor of the rows to impute, never to that of the rows fitted to:
    to the mean of a ``"normal"`` value, to the log-odds of a ``"logistic"`` one, to the log mean of
    a count; ``"pmm"`` adds it before matching. Where there is no linear predictor (``"sample"``,
    a model builder of your own) it is added to the drawn number. A method object of your own adds
    ``design.shift`` itself.

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

    Returns
    -------
    Delta
        For ``method={"target": ...}``; deltas around each other add up.

    Raises
    ------
    SpecificationError
        If not exactly one of them is given, or one is neither number nor distribution.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> print(bi.delta("normal", -1))
    delta(normal, -1)
    >>> print(bi.delta("pmm", by_cluster={"north": -0.5, "south": 0.5}))
    delta(pmm, by_cluster={north: -0.5, south: 0.5})
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
    return Delta(wrappable("delta", method), how, amounts)


@dataclass(frozen=True, repr=False)
class Delta(Wrapper):
    """The method :func:`delta` gives.

    Attributes
    ----------
    how
        ``"delta"``, ``"by_cluster"`` or ``"by_category"``.
    amounts
        Label and number or distribution; the one label of ``"delta"`` is None.
    cluster
        Cluster column of the model, decided by the specification.
    """

    how: str
    amounts: tuple[tuple[Any, Any], ...]
    cluster: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        inside = method_text(self.method)
        if self.how == "delta":
            return f"delta({inside}, {amount_text(self.amounts[0][1])})"
        pairs = ", ".join(f"{label}: {amount_text(amount)}" for label, amount in self.amounts)
        return f"delta({inside}, {self.how}={{{pairs}}})"

    def decided(self, scope: Scope) -> tuple[Self, tuple[Event, ...]]:
        """Check that the method inside can be shifted, and that the labels exist."""
        place = f"delta of {scope.target!r}: "
        inside = innermost(self.method)
        categories = scope.kind is not Kind.NUMERIC
        without_predictor = inside == "sample" or not (isinstance(inside, str) or _object(inside))
        if categories and without_predictor:
            raise SpecificationError(
                f"{place}{method_text(inside)!r} has no linear predictor that δ could be added to, "
                "and categories have no distance; use a method with the categories' likelihood."
            )
        if scope.kind is Kind.NOMINAL and inside == "pmm":
            raise SpecificationError(
                f"{place}'pmm' ranks unordered categories on a scale without a unit; use "
                "'categorical' with by_category=."
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
        mine = self.how == "by_cluster"
        decided, events = super().decided(scope)
        return replace(decided, cluster=scope.cluster if mine else None), events

    @property
    def _key(self) -> str:
        return f"cluster of {self}"

    def columns(self, table: Table, values: Mapping[str, Array]) -> Mapping[str, Array]:
        """Give the position of each row's cluster among the amounts, −1 for other clusters."""
        if self.cluster is None:
            return {}
        clusters = cluster_index(table, self.cluster)
        position = {label: k for k, (label, _) in enumerate(self.amounts)}
        by_cluster = np.array([position.get(label, -1) for label in clusters.labels], dtype=float)
        return {self._key: by_cluster[clusters.codes]}

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model of the method inside: δ is not in what is fitted."""
        return resolve(self.method).model(design, priors, options)

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Build the kernel of the method inside."""
        return DeltaKernel(inner_kernel(self.method, design, priors, options), self, self._key)

    def around_member(self, block: Kernel, position: int, name: str) -> Kernel:
        """Give the kernel of a block, one member of which is shifted."""
        return DeltaKernel(block, self, self._key, position, name)

    def equation(self, inner: str) -> str:
        """Say what is added where values are missing."""
        amount = str(self).removeprefix(f"delta({method_text(self.method)}, ").removesuffix(")")
        return f"{inner};  imputed with {'δ = ' if self.how == 'delta' else 'δ '}{amount}"


def _object(method: Any) -> bool:
    return hasattr(method, "kernel") and hasattr(method, "model")


class DeltaKernel:
    """A kernel whose rows to draw are shifted, those of one member if it is a block's."""

    def __init__(
        self,
        inside: Kernel,
        wrapper: Delta,
        key: str,
        position: int | None = None,
        member: str = "",
    ) -> None:
        self._position = position
        self.parts = (inside,)
        self._inside = inside
        self._how = wrapper.how
        self._key = key
        self._names = tuple(label for label, _ in wrapper.amounts)
        self._amounts = Amounts([amount for _, amount in wrapper.amounts])
        self._name = f"delta[{member}]" if member else "delta"
        while self._name in inside.labels:  # deltas around each other
            self._name += "_outer"
        drawn = [str(n) for n, drawn in zip(self._names, self._amounts.drawn, strict=True) if drawn]
        own: dict[str, tuple[str, ...]] = {}
        if drawn:
            own[self._name] = () if self._how == "delta" else tuple(drawn)
        self.labels: Mapping[str, tuple[str, ...]] = MappingProxyType({**inside.labels, **own})

    def adapt(self, design: Design, rng: np.random.Generator) -> Adaptation:
        """Tune the kernel inside: δ is not in what is fitted."""
        return self._inside.adapt(design, rng)

    def start(self, adaptation: Adaptation, rng: np.random.Generator) -> Array:
        """Give a dispersed starting state."""
        return self._inside.start(adaptation, rng)

    def visit(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Visit:
        """Draw δ, then visit with it."""
        amounts = self._amounts.draw(rng)
        if self._position is None:
            design = self._shifted(design, amounts)
        else:
            members = list(design.members)
            members[self._position] = self._shifted(members[self._position], amounts)
            design = replace(design, members=tuple(members))
        visit = self._inside.visit(design, adaptation, state, rng, first)
        parameters: dict[str, float | Array] = dict(visit.parameters)
        if self._name in self.labels:
            drawn = amounts[self._amounts.drawn]
            parameters[self._name] = float(drawn[0]) if self._how == "delta" else drawn
        return replace(visit, parameters=parameters)

    def _shifted(self, design: Design, amounts: Array) -> Design:
        shift = self._shift(design, amounts)
        return replace(design, shift=shift if design.shift is None else shift + design.shift)

    def _shift(self, design: Design, amounts: Array) -> Array:
        """Amount of each row, (row,), or of each row and category, (row, category)."""
        n = len(design.y)
        if self._how == "delta":
            return np.full(n, amounts[0])
        if self._how == "by_cluster":
            position = design.columns[self._key].astype(np.int64)
            return np.where(position >= 0, amounts[position], 0.0)
        shift = np.zeros((n, len(design.categories)))
        for label, amount in zip(self._names, amounts, strict=True):
            shift[:, design.categories.index(label)] = amount
        return shift
