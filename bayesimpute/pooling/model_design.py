"""The columns of an analysis model: fixed part, random parts, offset."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.formula_columns import categories_of, new_rows
from bayesimpute.pooling.formula_design import INTERCEPT, LinearDesign, linear_design
from bayesimpute.pooling.formula_factors import arithmetic
from bayesimpute.specification.formula_terms import MEANS, Factor, Formula, unique


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
