"""What the model of one imputed variable holds, asked term by term."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayesimpute.congeniality.analysis_formula import Factors, columns_in, in_powers, product
from bayesimpute.data.table import ClusterIndex, Kind, Table
from bayesimpute.specification.expressions import evaluate
from bayesimpute.specification.specification import (
    Passive,
    Specification,
    Target,
    Term,
    computed_from,
)
from bayesimpute.wrappers.base import declared, layers
from bayesimpute.wrappers.by_group import ByGroup
from bayesimpute.wrappers.fixed_clusters import FixedClusters

#: Smallest error, in SDs, from which straight lines alone are not enough.
BENT = 1e-2


def given(
    wanted: np.ndarray,
    lines: Sequence[np.ndarray],
    bent: Sequence[np.ndarray],
    exact: float,
    margin: int,
) -> bool:
    """Whether a column is a linear combination of others, and not of the lines alone.

    Parameters
    ----------
    wanted, lines, bent, margin
        As for :func:`misfit`.
    exact
        Largest error, in SDs of the column.
    """
    together = misfit(wanted, [*lines, *bent], margin)
    return together <= exact and misfit(wanted, lines, margin) > BENT


def evaluated(factor: str, columns: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Values of a factor, (row,); None of a function that formulas of models do not know."""
    try:
        return np.asarray(evaluate(factor, columns), dtype=float)
    except Exception:  # functions raise what they like
        return None


def numeric_columns(table: Table) -> dict[str, np.ndarray]:
    """Columns of numbers, so that no function of a category is evaluated."""
    return {n: v for n, v in table.values.items() if table.variables[n].kind is Kind.NUMERIC}


def misfit(wanted: np.ndarray, columns: Sequence[np.ndarray], margin: int) -> float:
    """Give the largest error of a column by an intercept and others, over rows known in all.

    Parameters
    ----------
    wanted
        (row,), NaN where missing.
    columns
        Each (row,), NaN where missing.
    margin
        Rows beyond the number of columns that it takes to tell.

    Returns
    -------
    float
        In SDs of the column; infinite where it is constant or the rows are too few.

    Examples
    --------
    >>> x, z = np.random.default_rng(1).normal(size=(2, 50))
    >>> misfit(x * z, [x, z, (x - 3) * (z - 2)], 10) < 1e-9, misfit(x * z, [x, z], 10) > 1
    (True, True)
    """
    design = np.column_stack([wanted, *columns])
    design = design[np.isfinite(design).all(axis=1)]
    if len(design) < design.shape[1] + margin or np.ptp(design[:, 0]) == 0:
        return np.inf
    spread = design.std(axis=0)
    scaled = (design - design.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    if not columns:
        return float(np.abs(scaled[:, 0]).max())
    solved = np.linalg.lstsq(scaled[:, 1:], scaled[:, 0], rcond=None)[0]
    return float(np.abs(scaled[:, 0] - scaled[:, 1:] @ solved).max())


#: Error, in SDs of a column, up to which it is the same in numbers.
SAME = 1e-8
#: Rows beyond the number of columns that it takes to believe that.
MARGIN = 3


@dataclass(frozen=True)
class Addition:
    """Something a model lacks.

    Attributes
    ----------
    factors
        The term.
    random
        With a coefficient that varies by cluster.
    mean
        As a cluster mean.
    cluster
        Grouping column of the model, where that is what it lacks; `factors` is then empty.
    """

    factors: Factors = frozenset()
    random: bool = False
    mean: bool = False
    cluster: str = ""


@dataclass(frozen=True, eq=False)
class ImputationModel:
    """One target's model, with questions an analysis has."""

    specification: Specification
    target: Target

    @property
    def name(self) -> str:
        """The variable it imputes."""
        return self.target.name

    @cached_property
    def columns(self) -> frozenset[str]:
        """Columns of the data."""
        return frozenset(self.specification.table.variables)

    @cached_property
    def predictors(self) -> frozenset[str]:
        """Columns of its terms, mates of its block, and what a wrapper splits it by."""
        own = {n for t in self.target.terms for f in t.factors for n in columns_in(f, self.columns)}
        return frozenset(own | (set(self.target.block) - {self.name}) | self.groups)

    @cached_property
    def groups(self) -> frozenset[str]:
        """Columns each of whose values has a model of its own."""
        return frozenset(w.by for w in layers(self.target.method) if isinstance(w, ByGroup))

    @cached_property
    def terms(self) -> tuple[tuple[Factors, Term], ...]:
        """Every term as sets of factors, computed columns also as what they are computed as."""
        found = []
        for term in self.target.terms:
            sets = [frozenset().union(*(product(f, self.columns)[0] for f in term.factors))]
            if len(term.factors) == 1:
                passive = self.specification.targets.get(term.factors[0])
                if isinstance(passive, Passive):
                    sets += product(passive.expression, self.columns)
            found += [(each, term) for each in sets]
        return tuple(found)

    @cached_property
    def dropped(self) -> frozenset[str]:
        """Labels of the terms the specification took out because they have nothing to add."""
        said = (
            event.message.partition(" does not predict ")
            for event in self.specification.events
            if event.action == "predictor dropped"
        )
        return frozenset(
            label.strip("'\"") for label, _, targets in said if repr(self.name) in targets
        )

    @property
    def fixed_clusters(self) -> bool:
        """Whether each cluster has an effect of its own, nothing borrowed."""
        return any(isinstance(w, FixedClusters) for w in layers(self.target.method))

    @property
    def ignores_predictors(self) -> bool:
        """Whether values are drawn without a look at any other column."""
        return not declared(self.target.method, "uses_predictors", True)

    @property
    def any_function(self) -> bool:
        """Whether predictors act in any way, and together, without a term that says so."""
        return bool(declared(self.target.method, "any_function", False))

    def is_computed_from_it(self, column: str) -> bool:
        """Whether a column is computed from the variable, be it through others."""
        return self.name in computed_from(column, self.specification.targets)

    def same_numbers(self, factor: str) -> bool:
        """Whether a function of columns is the variable itself where both are seen."""
        table = self.specification.table
        computed = any(map(self.is_computed_from_it, columns_in(factor, self.columns)))
        if not computed or table.variables[self.name].kind is not Kind.NUMERIC:
            return False
        values = evaluated(factor, table.values)
        if values is None:
            return False
        both = np.isfinite(values) & np.isfinite(table.values[self.name])
        return bool(both.any()) and np.allclose(values[both], table.values[self.name][both])

    def relates_to(self, column: str) -> bool:
        """Whether a column has a say in what is imputed."""
        if column in self.predictors or column in self.dropped or column == self.name:
            return True
        if self.fixed_clusters and self.is_of_clusters(column, self.target.cluster or ""):
            return True  # the clusters' own effects hold it
        passive = self.specification.targets.get(column)
        if isinstance(passive, Passive):
            if self.name in computed_from(column, self.specification.targets):
                others = computed_from(column, self.specification.targets) - {self.name}
                return all(self.relates_to(other) for other in others)
            return self.has(product(passive.expression, self.columns)[0])
        # through another column that is computed from it
        return any(
            column in computed_from(each, self.specification.targets)
            and len(product(each_passive.expression, self.columns)[0]) == 1
            for each in self.predictors
            if isinstance(each_passive := self.specification.targets.get(each), Passive)
        )

    def has(self, factors: Factors) -> bool:
        """Whether a product of columns and functions is among its terms, by whatever name."""
        rest = frozenset(map(self._category, factors)) - self.groups
        if not rest:
            return True
        if len(rest) == 1 and next(iter(rest)) in self.columns:
            return self.relates_to(next(iter(rest)))
        parts = product(next(iter(rest)), self.columns) if len(rest) == 1 else ()
        if len(parts) > 1:  # a sum
            return all(map(self.has, parts))
        if any(each == rest for each, _ in self.terms):
            return True
        if any(each == rest for each in self._dropped_terms):
            return True
        powers = set(in_powers(rest, self.columns))
        if powers != {rest}:  # a function that imputation formulas do not know
            return bool(powers) and all(map(self.has, powers))
        return self._in_column_space(rest)

    def _category(self, factor: str) -> str:
        """Give the category that a function is of, whose indicators hold every function of it."""
        columns = columns_in(factor, self.columns)
        if len(columns) == 1 and columns[0] in self.columns:
            kind = self.specification.table.variables[columns[0]].kind
            return columns[0] if kind in (Kind.NOMINAL, Kind.ORDINAL, Kind.BINARY) else factor
        return factor

    @cached_property
    def _dropped_terms(self) -> tuple[Factors, ...]:
        return tuple(
            frozenset().union(*(product(part, self.columns)[0] for part in label.split(":")))
            for label in self.dropped
        )

    def slope(self, factors: Factors, cluster: str) -> bool:
        """Whether a term's coefficient varies by cluster."""
        if cluster in self.groups:
            return True  # a model of its own for each cluster
        labels = {term.label for each, term in self.terms if each == factors}
        return any(
            each.name == cluster and not labels.isdisjoint(dict(each.slopes))
            for each in self.target.effects
        )

    def random_part(self, factors: Factors, cluster: str) -> int | None:
        """Which random part an effect is in, the intercept having no factors; None for none."""
        if self.target.cluster != cluster or self.target.level == 2:
            return None
        if not factors:
            return 0 if self.target.random_intercept else None
        mine = [term.random_part for each, term in self.terms if each == factors and term.random]
        return mine[0] if mine else None

    def cluster_mean(self, column: str) -> bool:
        """Whether the cluster mean of a column is among its predictors.

        The members of a joint block are related between clusters by the covariance of their
        intercepts, within clusters by that of their residuals.
        """
        if self.target.level == 2:
            return self.relates_to(column)
        if column in self.target.block and self.target.cluster and self.target.random_intercept:
            return True
        return any(each == {column} and term.cluster_mean for each, term in self.terms)

    def clustered(self, cluster: str) -> bool:
        """Whether its rows of one cluster share something."""
        if self.target.cluster == cluster:
            return self.target.random_intercept or self.target.level == 2 or self.fixed_clusters
        further = (each for each in self.target.groupings if each.intercept)
        if any(cluster in self.specification.table.columns_of([each.name]) for each in further):
            return True
        if self._of_larger_clusters(cluster):
            return True
        # as a category it has an effect a cluster, as a number one slope
        numeric = self.specification.table.variables[cluster].kind is Kind.NUMERIC
        return cluster in self.predictors and not numeric

    def _of_larger_clusters(self, cluster: str) -> bool:
        """Whether its rows are clusters in which those of another grouping lie, as schools are."""
        if self.target.level != 2 or self.target.cluster is None:
            return False
        own, within = self.clusters(self.target.cluster), self.clusters(cluster)
        return own is not None and within is not None and within.is_level2(own.codes.astype(float))

    def clusters(self, cluster: str) -> ClusterIndex | None:
        """Rows by a grouping column; None where it is none or ids are missing."""
        if cluster not in self.columns:
            return None
        if self.specification.table.missing(cluster).any():
            return None
        return self.specification.table.clusters(cluster)

    def is_of_clusters(self, column: str, cluster: str) -> bool:
        """Whether a column has one value a cluster, as far as is seen."""
        clusters = self.clusters(cluster)
        return clusters is not None and clusters.has_property(
            self.specification.table.values[column]
        )

    def _in_column_space(self, factors: Factors) -> bool:
        """Whether a column gives a product in numbers, such as one computed before imputing.

        By itself, or with the straight lines in the product's own columns that the model has: a
        product of centred columns, a square of a centred one.
        """
        numeric = numeric_columns(self.specification.table)
        wanted = _product_of_columns(factors, numeric)
        if wanted is None:
            return False
        fixed = [f for f, term in self.terms if term.fixed and term.equation != "selection"]
        own = {name for factor in factors for name in columns_in(factor, self.columns)}
        lines = [numeric[n] for n in sorted(own & numeric.keys()) if frozenset({n}) in fixed]
        each = {*fixed, *(frozenset({n}) for n in self.predictors & numeric.keys())}
        for column in (c for f in each if (c := _product_of_columns(f, numeric)) is not None):
            if any(given(wanted, held, [column], SAME, MARGIN) for held in ([], lines)):
                return True
        return False


def _product_of_columns(factors: Factors, numeric: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Product of columns and functions; None with a category or an unknown function in it."""
    parts = [evaluated(factor, numeric) for factor in factors]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or not numeric:
        return None
    return np.broadcast_to(np.prod(known, axis=0), len(next(iter(numeric.values()))))
