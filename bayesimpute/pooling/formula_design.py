"""From a formula and completed data to columns of numbers: fixed part, random parts, offset.

They are named as R names them; the contrasts of C() as `formula_arguments` says.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.formula_columns import categories_of, new_rows
from bayesimpute.pooling.formula_factors import Categorical, Learned, arithmetic, learn
from bayesimpute.specification.formula_terms import (
    MEANS,
    Factor,
    Formula,
    Product,
    key_of,
    label_of,
    unique,
)

INTERCEPT = "(Intercept)"


@dataclass(frozen=True, eq=False)
class TermColumns:
    """The columns of one term.

    Attributes
    ----------
    label
        As written.
    key
        What the term is.
    factors
        Of the term.
    codings
        In each the factors of a product, and whether a categorical one has all categories.
    """

    label: str
    key: frozenset[str]
    factors: tuple[Learned, ...]
    codings: tuple[tuple[tuple[int, bool], ...], ...]

    def names(self) -> list[str]:
        """Names of the columns, the first factor varying fastest."""
        found = []
        for coding in self.codings:
            products: list[tuple[str, ...]] = [()]
            for index, full in coding:
                names = self.factors[index].names(full)
                products = [(*before, name) for name in names for before in products]
            found += [":".join(parts) for parts in products]
        return found

    @property
    def width(self) -> int:
        """Count the columns."""
        return sum(
            math.prod(len(self.factors[index].names(full)) for index, full in coding)
            for coding in self.codings
        )

    def values(self, frame: pd.DataFrame) -> Array:
        """(row, columns)."""
        n = len(frame)
        found = []
        for coding in self.codings:
            product = np.ones((n, 1))
            for index, full in coding:
                columns = self.factors[index].values(frame, full)
                product = (columns[:, :, None] * product[:, None, :]).reshape(n, -1)
            found.append(product)
        return np.hstack(found) if found else np.empty((n, 0))


@dataclass(frozen=True, eq=False)
class LinearDesign:
    """Terms of one linear predictor, in the order of the formula."""

    intercept: bool
    terms: tuple[TermColumns, ...]

    def columns(self, frame: pd.DataFrame) -> dict[str, Array]:
        """Values of each column by name, the intercept first."""
        found = {INTERCEPT: np.ones(len(frame))} if self.intercept else {}
        for term in self.terms:
            for name, values in zip(term.names(), term.values(frame).T, strict=True):
                if name in found:
                    raise AnalysisError(
                        f"Two terms have a column {name!r}; rename a variable or a category."
                    )
                found[name] = values
        return found


def linear_design(
    terms: Sequence[Product],
    intercept: bool,
    frame: pd.DataFrame,
    cluster: str | None = None,
) -> LinearDesign:
    """Learn the terms of a linear predictor from completed data.

    Categories get contrasts where terms before, main effects first, have what they would repeat,
    and one column each elsewhere, so that no column repeats others.

    Parameters
    ----------
    terms
        Of a formula.
    intercept
        Whether there is one.
    frame
        Numbers as numbers, categories as categoricals.
    cluster
        Column whose clusters ``cluster_mean`` is of.
    """
    known: dict[str, Learned] = {}
    for term in terms:
        for factor in term:
            if factor.key not in known:
                known[factor.key] = learn(factor, frame, cluster)
    codings = _codings(terms, intercept, known)
    made = []
    for term in terms:
        factors = tuple(known[f.key] for f in term)
        made.append(TermColumns(label_of(term), key_of(term), factors, codings[key_of(term)]))
    width = intercept + sum(term.width for term in made)
    if width > len(frame):
        # before they are built: an interaction of many categories would fill the memory
        raise AnalysisError(f"{width} coefficients but only {len(frame)} rows; use fewer terms.")
    return LinearDesign(intercept, tuple(term for term in made if term.codings))


def by_order(terms: Collection[Product]) -> list[Product]:
    """Sort main effects first, as R orders terms."""
    return sorted(terms, key=len)


def _codings(
    terms: Sequence[Product], intercept: bool, known: Mapping[str, Learned]
) -> dict[frozenset[str], tuple[tuple[tuple[int, bool], ...], ...]]:
    """Codings of each term.

    A categorical factor with all categories is the sum of the constant and its contrasts; a term
    is what remains of such sums after those before it (of the same numeric factors).
    """
    present: dict[frozenset[str], set[frozenset[str]]] = {
        frozenset(): {frozenset()} if intercept else set()
    }
    found = {}
    for term in by_order(terms):
        categorical = [f.key for f in term if isinstance(known[f.key], Categorical)]
        numeric = key_of(term) - set(categorical)
        spanned = present.setdefault(numeric, set())
        margins = [
            frozenset(chosen)
            for size in range(len(categorical) + 1)
            for chosen in combinations(categorical, size)
        ]
        new = [margin for margin in margins if margin not in spanned]
        spanned.update(new)
        position = {factor.key: i for i, factor in enumerate(term)}
        found[key_of(term)] = tuple(
            tuple(
                (position[f.key], f.key in full)
                for f in term
                if f.key in numeric or f.key in margin
            )
            for margin, full in _merged(new)
        )
    return found


def _merged(margins: Sequence[frozenset[str]]) -> list[tuple[frozenset[str], frozenset[str]]]:
    """Merge a margin into one with a factor more, which then has all categories."""
    pieces: list[tuple[frozenset[str], frozenset[str]]] = [(m, frozenset()) for m in margins]
    merged = True
    while merged:
        merged = False
        for short, long in combinations(range(len(pieces)), 2):
            (margin, full), (larger, whole) = pieces[short], pieces[long]
            extra = larger - margin
            if len(extra) == 1 and margin < larger and full == whole:
                pieces[long] = (larger, whole | extra)
                del pieces[short]
                merged = True
                break
    return pieces


@dataclass(frozen=True, eq=False)
class RandomDesign:
    """Effects that vary between groups.

    Attributes
    ----------
    effects
        Their columns.
    groups
        Columns whose combinations are the groups.
    independent
        Whether effects are independent of each other.
    """

    effects: LinearDesign
    groups: tuple[str, ...]
    independent: bool


@dataclass(frozen=True, eq=False)
class ModelDesign:
    """How a formula becomes columns, learned from one completed data set.

    Attributes
    ----------
    formula
        Taken apart.
    fixed, random
        Columns of the parts.
    categories
        Of the columns that have any.
    cluster
        Column whose clusters cluster means are of.
    """

    formula: Formula
    fixed: LinearDesign
    random: tuple[RandomDesign, ...]
    categories: Mapping[str, pd.Index]
    cluster: str | None

    @classmethod
    def learn(cls, formula: Formula, data: pd.DataFrame, cluster: str | None) -> "ModelDesign":
        """Learn from prepared data."""
        fixed = linear_design(formula.terms, formula.intercept, data, cluster)
        random = tuple(
            RandomDesign(
                linear_design(part.terms, part.intercept, data, cluster),
                part.groups,
                part.independent,
            )
            for part in formula.random
        )
        return cls(formula, fixed, random, categories_of(data), cluster)

    def offset(self, data: pd.DataFrame) -> Array:
        """Sum of the offsets, (row,)."""
        total = np.zeros(len(data))
        for factor in self.formula.offsets:
            total += arithmetic(f"offset({factor.label})", factor.text, data)
        return total

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Columns of new rows that the model needs, checked."""
        needed: list[str] = []
        given: dict[str, Array] = {}
        for factor in self.formula.factors:
            if factor.function not in MEANS:
                needed += factor.names
            elif factor.label in frame.columns:
                given[factor.label] = frame[factor.label].to_numpy(dtype=float)
            elif self.cluster in frame.columns:
                needed.append(str(self.cluster))
            else:
                raise AnalysisError(
                    f"The model names {factor.label!r}, which new rows tell by a column of that "
                    f"name, or by {self.cluster!r} of clusters in the data."
                )
        return new_rows(frame, unique(needed), self.categories).assign(**given)

    def all_columns(self, data: pd.DataFrame) -> dict[str, Array]:
        """Columns of the fixed and random parts without intercepts, each once."""
        found = self.fixed.columns(data)
        for part in self.random:
            found |= part.effects.columns(data)
        return {name: values for name, values in found.items() if name != INTERCEPT}


def cluster_of_means(formula: Formula, cluster: str | None) -> str | None:
    """Column whose clusters ``cluster_mean`` is of: that of the random part, or `cluster`."""
    single = unique(part.groups[0] for part in formula.random if len(part.groups) == 1)
    if len(single) == 1 and cluster not in single:
        return single[0]
    return cluster if not single or cluster in single else None


def asks_for_means(formula: Formula) -> Factor | None:
    """Give the first cluster mean of a formula."""
    return next((factor for factor in formula.factors if factor.function in MEANS), None)
