"""What a formula says, as data: outcome, terms, random parts, offsets."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from bayesimpute.specification.expressions import names_in
from bayesimpute.specification.spelling import canonical, quoted

#: Functions that give the mean of a column in each cluster.
MEANS = ("cluster_mean", "mean")
#: Makes one outcome of a time and of whether it ends with the event.
SURVIVAL = "Surv"


@dataclass(frozen=True)
class Factor:
    """A column, or a function of columns.

    Attributes
    ----------
    label
        How results name it: as it was written, without backticks.
    text
        As an expression: ``"log(x)"``, or the name of a column in backticks where it needs them.
    column
        Name if it is a plain column.
    function
        ``"I"``, ``"log"``, ``"poly"``, ``"C"``, …; empty for a column.
    arguments
        Texts of the arguments without a name, of functions of whole columns.
    options
        Names and texts of those with one.
    """

    label: str
    text: str
    column: str | None = None
    function: str = ""
    arguments: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    @cached_property
    def key(self) -> str:
        """One spelling of all that mean the same."""
        return quoted(self.column) if self.column is not None else canonical(self.text)

    @property
    def names(self) -> tuple[str, ...]:
        """Columns it depends on."""
        if self.column is not None:
            return (self.column,)
        if self.function == SURVIVAL:
            return unique(name for text in self.arguments for name in names_in(text))
        return names_in(self.arguments[0] if self.arguments else self.text)


#: Factors whose product a term is; none for the intercept.
type Product = tuple[Factor, ...]


def key_of(term: Product) -> frozenset[str]:
    """Give what a term is, whatever the order of its factors."""
    return frozenset(factor.key for factor in term)


def label_of(term: Product) -> str:
    """Factors in their order."""
    return ":".join(factor.label for factor in term)


@dataclass(frozen=True)
class RandomEffects:
    """One pair of brackets with a bar.

    Attributes
    ----------
    terms
        Effects besides the intercept.
    intercept
        Whether the intercept varies.
    groups
        Columns whose combinations are the groups; of ``g:h`` both.
    independent
        Whether the effects are independent of each other (``||``).
    """

    terms: tuple[Product, ...]
    intercept: bool
    groups: tuple[str, ...]
    independent: bool


@dataclass(frozen=True)
class Formula:
    """A formula taken apart.

    Attributes
    ----------
    text
        As it was given.
    response
        Left of the ~; None if nothing stands there.
    intercept
        Whether the fixed part has one.
    terms
        Fixed terms in their order, each once; the intercept is not among them.
    random
        Random parts in their order.
    offsets
        Arguments of ``offset()``.
    """

    text: str
    response: Factor | None
    intercept: bool
    terms: tuple[Product, ...]
    random: tuple[RandomEffects, ...] = ()
    offsets: tuple[Factor, ...] = field(default=())

    @property
    def outcome(self) -> str | None:
        """Column that is the outcome, of ``Surv(time, event)`` the time; None for a function."""
        if self.response is None:
            return None
        return self.response.names[0] if self.event is not None else self.response.column

    @property
    def event(self) -> str | None:
        """Column that says whether the time ends with the event, where there is one."""
        if self.response is None or self.response.function != SURVIVAL:
            return None
        return self.response.names[1]

    @property
    def factors(self) -> Iterator[Factor]:
        """All factors right of the ~, with those of random parts and offsets."""
        for terms in (self.terms, *(part.terms for part in self.random)):
            for term in terms:
                yield from term
        yield from self.offsets

    @property
    def groups(self) -> tuple[str, ...]:
        """Grouping columns, each once."""
        return unique(name for part in self.random for name in part.groups)

    @property
    def predictors(self) -> tuple[str, ...]:
        """Columns right of the ~ without the groups."""
        return unique(name for factor in self.factors for name in factor.names)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns it names: outcome, predictors, groups."""
        outcome = () if self.response is None else self.response.names
        return unique([*outcome, *self.predictors, *self.groups])


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Give each once, in order of appearance."""
    return tuple(dict.fromkeys(names))
