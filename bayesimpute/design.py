"""From the completed data at one moment to the arrays of one target's model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesimpute.data.clusters import ClusterIndex, cluster_index
from bayesimpute.data.table import Kind, Table, indicator_order
from bayesimpute.method import Array, Design
from bayesimpute.specification.expressions import evaluate
from bayesimpute.specification.specification import Specification, Target, Term


@dataclass(frozen=True, eq=False)
class DesignBuilder:
    """Makes the :class:`~bayesimpute.method.Design` of one target at each visit.

    What does not change between visits (clusters, rows, reference categories) is worked out once.
    Columns of complete predictors are, too: with one incomplete variable a visit costs no more
    than the copy of its target.

    Attributes
    ----------
    target
        What is imputed.
    table
        The data.
    clusters
        Cluster of each row, None without a cluster.
    levels
        Categorical variable -> codes, reference first.
    fit, draw
        Rows fitted to, rows drawn, (row,) bool; for a level-2 target (cluster,).
    cells
        Rows of the data that get a value, (row,): those asked for, and every missing one, which
        other models need as a predictor.
    kept
        Columns that cannot change, by term.
    """

    target: Target
    table: Table
    clusters: ClusterIndex | None
    levels: Mapping[str, tuple[int, ...]]
    fit: npt.NDArray[np.bool_]
    draw: npt.NDArray[np.bool_]
    cells: npt.NDArray[np.bool_]
    kept: Mapping[str, tuple[tuple[str, ...], Array]]

    @classmethod
    def of(cls, specification: Specification, target: Target) -> "DesignBuilder":
        """Prepare the designs of one target."""
        table = specification.table
        clusters = cluster_index(table, target.cluster) if target.cluster else None
        observed = ~np.isnan(table.values[target.name])
        fit = observed & ~specification.ignore
        cells = specification.where[target.name] | ~observed
        draw = cells
        if target.level == 2 and clusters is not None:
            fit = np.bincount(clusters.codes[fit], minlength=clusters.n) > 0
            # a cluster's value known from another row is copied; asked-for cells are drawn anew
            known = np.bincount(clusters.codes[observed], minlength=clusters.n) > 0
            asked = np.bincount(clusters.codes[cells & observed], minlength=clusters.n) > 0
            wanted = np.bincount(clusters.codes[cells], minlength=clusters.n) > 0
            draw = asked | (wanted & ~known)
        levels = {
            name: indicator_order(table.values[name], len(variable.categories))
            for name, variable in table.variables.items()
            if variable.kind in (Kind.BINARY, Kind.NOMINAL, Kind.ORDINAL)
        }
        builder = cls(target, table, clusters, levels, fit, draw, cells, {})
        changing = set(specification.targets)
        kept = {
            term.label: builder._columns(term, table.values)
            for term in target.terms
            if not changing & _names(term)
        }
        return cls(target, table, clusters, levels, fit, draw, cells, kept)

    def build(self, values: Mapping[str, Array]) -> Design:
        """Give the design for the completed `values` (variable -> (row,), canonical order)."""
        target = self.target
        columns: list[Array] = []
        names: list[str] = []
        random: list[Array] = []
        random_names: list[str] = []
        means: list[Array] = []
        mean_names: list[str] = []
        n = len(self.table.rows)
        if self.clusters is not None and target.random_intercept and target.level == 1:
            random.append(np.ones((n, 1)))
            random_names.append("intercept")
        for term in target.terms:
            labels, block = self.kept.get(term.label) or self._columns(term, values)
            if term.fixed:
                columns.append(block)
                names.extend(labels)
            if term.random and target.level == 1:
                random.append(block)
                random_names.extend(labels)
            if term.cluster_mean and target.level == 1 and self.clusters is not None:
                means.append(_cluster_means(block, self.clusters)[self.clusters.codes])
                mean_names.extend(f"mean({label})" for label in labels)
        x = _beside([*columns, *means], n)
        z = _beside(random, n)
        y = values[target.name]
        if target.level == 2 and self.clusters is not None:
            return self._level2(x, (*names,), y)
        codes = self.clusters.codes if self.clusters is not None else np.zeros(n, dtype=np.int64)
        variable = self.table.variables[target.name]
        return Design(
            target.name,
            variable.kind,
            variable.categories,
            y,
            x,
            (*names, *mean_names),
            z,
            (*random_names,),
            codes,
            self.clusters.n if self.clusters is not None else 1,
            self.fit,
            self.draw,
        )

    def to_rows(self, drawn: Array) -> Array:
        """Values for `cells`, from those drawn for the design's rows."""
        if self.target.level == 1 or self.clusters is None:
            return drawn
        known = self.table.values[self.target.name]
        observed = ~np.isnan(known)
        by_cluster = np.full(self.clusters.n, np.nan)
        by_cluster[self.clusters.codes[observed]] = known[observed]
        by_cluster[self.draw] = drawn
        return by_cluster[self.clusters.codes[self.cells]]

    def _level2(self, x: Array, names: tuple[str, ...], y: Array) -> Design:
        """One row a cluster: predictors as cluster means, the target's one observed value."""
        assert self.clusters is not None
        clusters = self.clusters
        observed = ~np.isnan(self.table.values[self.target.name])
        value = np.full(clusters.n, np.nan)
        value[clusters.codes] = y
        value[clusters.codes[observed]] = self.table.values[self.target.name][observed]
        variable = self.table.variables[self.target.name]
        return Design(
            self.target.name,
            variable.kind,
            variable.categories,
            value,
            _cluster_means(x, clusters),
            names,
            np.empty((clusters.n, 0)),
            (),
            np.zeros(clusters.n, dtype=np.int64),
            1,
            self.fit,
            self.draw,
        )

    def _columns(self, term: Term, values: Mapping[str, Array]) -> tuple[tuple[str, ...], Array]:
        """Columns of a term: products of its factors' columns, categories as indicators."""
        labels: tuple[str, ...] = ("",)
        block = np.ones((len(self.table.rows), 1))
        for factor in term.factors:
            if factor in self.levels:
                codes = self.levels[factor][1:]
                categories = self.table.variables[factor].categories
                part = np.column_stack(
                    [values[factor] == code for code in codes] or [np.empty((len(block), 0))]
                ).astype(float)
                part_labels = tuple(f"{factor}[{categories[code]}]" for code in codes)
            else:
                part = np.asarray(
                    values[factor] if factor in values else evaluate(factor, values), dtype=float
                )[:, None]
                part_labels = (factor,)
            block = (block[:, :, None] * part[:, None, :]).reshape(len(block), -1)
            labels = tuple(
                f"{left}:{right}" if left else right for left in labels for right in part_labels
            )
        return labels, block


def _names(term: Term) -> set[str]:
    from bayesimpute.specification.expressions import names_in

    return {name for factor in term.factors for name in (factor, *names_in(factor))}


def _beside(blocks: list[Array], rows: int) -> Array:
    return np.ascontiguousarray(np.hstack(blocks)) if blocks else np.empty((rows, 0))


def _cluster_means(block: Array, clusters: ClusterIndex) -> Array:
    """Mean of each column by cluster, (cluster, column)."""
    total = np.column_stack(
        [np.bincount(clusters.codes, block[:, k], clusters.n) for k in range(block.shape[1])]
        or [np.empty((clusters.n, 0))]
    )
    return np.asarray(total / clusters.sizes[:, None])
