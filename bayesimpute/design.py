"""From the completed data at one moment to the arrays of one target's model."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.data.table import ClusterIndex, Kind, Table, indicator_order
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Array, Design
from bayesimpute.method import Grouping as RowGrouping
from bayesimpute.registry import resolve
from bayesimpute.specification.expressions import evaluate
from bayesimpute.specification.joint_order import sources_of
from bayesimpute.specification.screening import stays_missing
from bayesimpute.specification.specification import Grouping, Specification, Target, Term
from bayesimpute.specification.survival import indicator, indicators_of
from bayesimpute.wrappers.base import Wrapper, innermost, layers

#: Effects that models have of their own, beside slopes.
TAKEN = ("intercept", "log_sigma", "atanh_rho")


@dataclass(frozen=True)
class Place:
    """Where the columns of a term stand in `x`, and of each grouping their means and in `z`."""

    term: Term
    x: slice
    means: tuple[slice, ...]
    z: tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class Effects:
    """Effects by the clusters of one grouping.

    Attributes
    ----------
    grouping
        What varies.
    of_rows
        Clusters of the rows of the data.
    codes
        Cluster of each row of the design, (row,).
    """

    grouping: Grouping
    of_rows: ClusterIndex
    codes: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DesignBuilder:
    """Makes the :class:`~bayesimpute.method.Design` of one target at each visit.

    What does not change between visits (clusters, rows, reference categories) is worked out once,
    and so are columns of complete predictors, once it is :meth:`settled`.

    Attributes
    ----------
    target
        What is imputed.
    table
        The data.
    clusters
        Cluster of each row, None without a cluster.
    effects
        By each grouping of the model; the first is that of `cluster` and `z` of the design.
    levels
        Categorical variable -> codes, reference first.
    fit, draw
        Rows fitted to, rows drawn by the model alone, (row,) bool; for a level-2 target (cluster,).
    usable
        Rows that may be learnt from, (row,) bool; for a level-2 target (cluster,).
    live
        Rows that are learnt from though their value is drawn, (row,) or (cluster,) bool.
    cells
        Rows of the data that get a value from this model alone, (row,): those asked for, and every
        missing one, which other models need as a predictor. Live ones are not among them.
    coded
        Distinct observed numbers of a numeric target that a method for categories imputes, in
        ascending order: the model sees their positions. Empty for other targets.
    known
        The target as observed, and as it follows from what is, (row,); NaN elsewhere.
    changing
        Where the columns of the terms stand that can change.
    asked
        Columns that the method's wrappers ask for, wrapper by wrapper; None for those that can
        change.
    indicators
        Columns of 0 and 1 that the method's options name, by option, (row,).
    members
        Of a block: one builder for each target, in the order of the model.
    frame
        A design, of which others have all but what can change; None for none yet.
    """

    target: Target
    table: Table
    clusters: ClusterIndex | None
    effects: tuple[Effects, ...]
    levels: Mapping[str, tuple[int, ...]]
    fit: npt.NDArray[np.bool_]
    draw: npt.NDArray[np.bool_]
    usable: npt.NDArray[np.bool_]
    live: npt.NDArray[np.bool_] | None
    cells: npt.NDArray[np.bool_]
    coded: Array
    known: Array
    changing: tuple[Place, ...]
    asked: tuple[Mapping[str, Array] | None, ...]
    indicators: Mapping[str, Array] = field(default_factory=dict)
    members: tuple["DesignBuilder", ...] = ()
    frame: Design | None = None

    @classmethod
    def of(cls, specification: Specification, target: Target) -> "DesignBuilder":
        """Prepare the designs of one target, or of the block it is in."""
        members = [specification.targets[name] for name in target.block]
        return replace(
            cls._alone(specification, target),
            members=tuple(
                cls._alone(specification, each) for each in members if isinstance(each, Target)
            ),
        )

    @classmethod
    def _alone(cls, specification: Specification, target: Target) -> "DesignBuilder":
        table = specification.table
        clusters = table.clusters(target.cluster) if target.cluster else None
        known = specification.known[target.name]
        observed = ~np.isnan(known)
        live = specification.live_rows(target.name)
        learnt = observed | live
        fit = learnt & ~specification.ignore
        staying = stays_missing({target.name: target.method}, table)
        left = staying.get(target.name, np.zeros(table.n_rows, dtype=bool))
        follows = observed & np.isnan(table.values[target.name])
        cells = ((specification.where[target.name] & ~follows) | ~(observed | left)) & ~live
        draw = cells
        usable = ~specification.ignore
        if target.level == 2 and clusters is not None:
            fit = np.bincount(clusters.codes[fit], minlength=clusters.n) > 0
            usable = np.bincount(clusters.codes[usable], minlength=clusters.n) > 0
            # a cluster's value known from another row is copied; asked-for cells are drawn anew
            seen = np.bincount(clusters.codes[learnt], minlength=clusters.n) > 0
            asked = np.bincount(clusters.codes[cells & observed], minlength=clusters.n) > 0
            wanted = np.bincount(clusters.codes[cells], minlength=clusters.n) > 0
            draw = asked | (wanted & ~seen)
            live = np.bincount(clusters.codes[live], minlength=clusters.n) > 0
        levels = {
            name: indicator_order(table.values[name], len(variable.categories))
            for name, variable in table.variables.items()
            if variable.kind in (Kind.BINARY, Kind.NOMINAL, Kind.ORDINAL)
        }
        effects = []
        for grouping in target.effects:
            of_rows = table.clusters(grouping.name)
            codes = of_rows.codes
            if target.level == 2 and clusters is not None:
                codes = codes[clusters.first_rows]
            effects.append(Effects(grouping, of_rows, codes))
        of_live = live if live.any() else None
        coded = np.unique(known[observed]) if target.kind else np.empty(0)
        builder = cls(
            target, table, clusters, tuple(effects), levels, fit, draw, usable, of_live, cells,
            coded, known, (), (),
        )  # fmt: skip
        changing = {name for name, cells in specification.where.items() if cells.any()}
        moving = tuple(
            place
            for place in builder.places()
            if changing.intersection(place.term.read_columns(table.variables))
        )
        asked_for = tuple(
            None if _may_change(wrapper, changing) else builder._asked(wrapper, table.values)
            for wrapper in layers(target.method)
        )
        method = resolve(innermost(target.method))
        indicators = {
            option: builder._of_rows(indicator(table, target.options[option]))
            for option in indicators_of(method)
            if target.options.get(option) is not None
        }
        return replace(builder, changing=moving, asked=asked_for, indicators=indicators)

    def reads(self, specification: Specification) -> frozenset[str] | None:
        """Name all columns that a design depends on; None where a function may read any."""
        if any(each is None for each in self.asked):
            return None
        found = {self.target.name} | sources_of(
            self.target, specification.targets, specification.table.variables
        )
        for member in self.members:
            inside = member.reads(specification)
            if inside is None:
                return None
            found |= inside
        return frozenset(found)

    def build(self, values: Mapping[str, Array]) -> Design:
        """Give the design for the completed `values` (variable -> (row,), canonical order)."""
        own = self._build(values)
        if not self.members:
            return own
        members = tuple(member._build(values) for member in self.members)
        return replace(
            own,
            fit=np.any([member.fit for member in members], axis=0),
            draw=np.any([member.draw for member in members], axis=0),
            members=members,
        )

    def settled(self, values: Mapping[str, Array]) -> "DesignBuilder":
        """Give what takes all that cannot change from the design of these values."""
        members = tuple(member.settled(values) for member in self.members)
        return replace(self, frame=self._build(values), members=members)

    def parts(
        self, drawn: Array, values: Mapping[str, Array]
    ) -> Iterator[tuple["DesignBuilder", Array]]:
        """Split a visit's values by target: builder of each, and the values for its `cells`."""
        first = 0
        for member in self.members or (self,):
            size = int(np.count_nonzero(member.draw))
            found = member.to_rows(drawn[first : first + size])
            if member.target.around:
                found = found + values[member.target.around][member.cells]
            yield member, found
            first += size

    def _build(self, values: Mapping[str, Array]) -> Design:
        if self.frame is None:
            return self._filled(self._frame(values), self.places(), values)
        if self.changing or self.target.around or self.members or None in self.asked:
            return self._filled(self.frame, self.changing, values)
        # else another would differ in drawn values, which models look at where they are live
        return self.frame if self.live is None else self._filled(self.frame, (), values)

    def _frame(self, values: Mapping[str, Array]) -> Design:
        """Give all of a design but the columns."""
        target = self.target
        fixed: list[tuple[str, str]] = []
        means: list[tuple[str, str]] = []
        labels = {term.label: self.columns(term, values)[0] for term in target.terms}
        for term in target.terms:
            if term.fixed:
                fixed.extend((label, term.equation) for label in labels[term.label])
        for position, each in enumerate(self.effects):
            of = f" | {each.grouping.name}" if position or target.level == 2 else ""
            for term in target.terms:
                if term.label in each.grouping.means:
                    means.extend(
                        (f"mean({label}{of})", term.equation) for label in labels[term.label]
                    )
        rows = len(self.table.rows) if self.of_clusters is None else self.of_clusters.n
        groupings = tuple(self._grouping(each, labels, rows) for each in self.effects)
        main = groupings[0] if groupings else _nothing(rows)
        return Design(
            target.name,
            *self._kind_and_categories(),
            np.empty(rows),
            np.empty((rows, len(fixed) + len(means))),
            tuple(label for label, _ in (*fixed, *means)),
            main.z,
            main.random_effects,
            main.cluster,
            main.n_clusters,
            self.fit,
            self.draw,
            main.cluster_labels,
            usable=self.usable,
            asked=self._asked_for(),
            live=self.live,
            equations_x=tuple(equation for _, equation in (*fixed, *means)),
            equations_z=main.equations_z,
            blocks_z=main.blocks_z,
            grouping=main.name if len(groupings) > 1 else "",
            groupings=groupings[1:],
        )

    def _asked_for(self) -> npt.NDArray[np.bool_] | None:
        """Rows whose observed value is wanted anew, and not learnt from; None for none."""
        observed = ~np.isnan(self.known)
        if self.of_clusters is not None:
            observed = np.bincount(self.of_clusters.codes, observed, self.of_clusters.n) > 0
        rows = observed & self.draw & ~self.fit
        return rows if rows.any() else None

    def _grouping(
        self, effects: Effects, labels: Mapping[str, tuple[str, ...]], rows: int
    ) -> RowGrouping:
        """Give a grouping of the design's rows, its columns of slopes to be filled in."""
        random = [("intercept", "both")] if effects.grouping.intercept else []
        parts = [0] * len(random)
        slopes = dict(effects.grouping.slopes)
        for term in self.target.terms:
            if term.label in slopes:
                random.extend((label, term.equation) for label in labels[term.label])
                parts.extend([slopes[term.label]] * len(labels[term.label]))
        names = tuple(label for label, _ in random)
        self._check_effects(names[int(effects.grouping.intercept) :], names)
        return RowGrouping(
            effects.grouping.name,
            np.ones((rows, len(random))),
            names,
            effects.codes,
            effects.of_rows.n,
            tuple(effects.of_rows.labels),
            tuple(equation for _, equation in random),
            (*parts,) if len(set(parts)) > 1 else (),
        )

    def _check_effects(self, slopes: Sequence[str], names: Sequence[str]) -> None:
        """Refuse two effects of one name: their SDs would be one parameter."""
        for name in slopes:
            if name in TAKEN or names.count(name) > 1:
                raise SpecificationError(
                    f"{self.target.name!r}: the slope of {name!r} varies by cluster, and its SD "
                    f"cannot be 'sd_{name}', as that is the name of another one; rename the column."
                )

    @cached_property
    def places_of_cells(self) -> npt.NDArray[np.int64]:
        """Rows of the data that get a value from this model alone, (cell,)."""
        return np.flatnonzero(self.cells)

    @cached_property
    def places_seen(self) -> npt.NDArray[np.int64]:
        """Those whose value is known and was drawn because that was asked for."""
        return np.flatnonzero(self.cells & ~np.isnan(self.known))

    @property
    def of_clusters(self) -> ClusterIndex | None:
        """The clusters that are the design's rows; None if rows of the data are."""
        return self.clusters if self.target.level == 2 else None

    def _filled(
        self, frame: Design, places: Sequence[Place], values: Mapping[str, Array]
    ) -> Design:
        """Give a design with the columns of some terms, and the target, as they are now."""
        x = frame.x.copy()
        zs = [frame.z.copy(), *(each.z.copy() for each in frame.groupings)]
        for place in places:
            if place.x.stop and not self.of_clusters:
                by_row = block = x[:, place.x]
                self._write(place.term, values, block)
            else:
                by_row = block = self.block(place.term, values)
                if self.of_clusters:
                    block = _cluster_means(block, self.of_clusters)
                if place.x.stop:
                    x[:, place.x] = block
            # without groupings there is nothing after x
            for each, z, in_z, in_x in zip(self.effects, zs, place.z, place.means, strict=False):
                if in_z.stop:
                    z[:, in_z] = block
                if in_x.stop:
                    x[:, in_x] = _cluster_means(by_row, each.of_rows)[each.codes]
        around = self.target.around
        y = self.codes(values[self.target.name])
        if around:
            y = y - values[around]
        if self.of_clusters:  # the one value that is seen
            observed, codes = ~np.isnan(self.known), self.of_clusters.codes
            by_row, y = y, np.full(self.of_clusters.n, np.nan)
            y[codes] = by_row
            y[codes[observed]] = self.codes(self.known)[observed]
        return frame.but(
            y=y,
            x=x,
            z=zs[0],
            groupings=tuple(
                replace(each, z=z) for each, z in zip(frame.groupings, zs[1:], strict=True)
            ),
            columns=self._asked_columns(values),
            around=values[around] if around and not self.of_clusters else None,
        )

    def _kind_and_categories(self) -> tuple[Kind, tuple[Any, ...]]:
        variable = self.table.variables[self.target.name]
        if self.target.kind is None:
            return variable.kind, variable.categories
        return self.target.kind, tuple(self.coded.tolist())

    def codes(self, values: Array) -> Array:
        """Positions among the coded numbers; other targets as they are."""
        if not self.coded.size:
            return values
        codes = np.searchsorted(self.coded, values).astype(np.float64)
        codes[np.isnan(values)] = np.nan
        return codes

    def to_rows(self, drawn: Array) -> Array:
        """Values for `cells`, from those drawn for the design's rows."""
        if self.coded.size:
            drawn = self.coded[drawn.astype(np.int64)]
        if self.target.level == 1 or self.clusters is None:
            return drawn
        known = self.known
        observed = ~np.isnan(known)
        by_cluster = np.full(self.clusters.n, np.nan)
        by_cluster[self.clusters.codes[observed]] = known[observed]
        by_cluster[self.draw] = drawn
        return by_cluster[self.clusters.codes[self.cells]]

    def _asked_columns(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Columns for the method and its wrappers, (row,) or for a level-2 target (cluster,)."""
        columns = dict(self.indicators)
        for wrapper, kept in zip(layers(self.target.method), self.asked, strict=True):
            columns |= self._asked(wrapper, values) if kept is None else kept
        return columns

    def _asked(self, wrapper: Wrapper, values: Mapping[str, Array]) -> Mapping[str, Array]:
        columns = wrapper.columns(self.table, values)
        return {name: self._of_rows(column) for name, column in columns.items()}

    def _of_rows(self, column: Array) -> Array:
        """Column of the design's rows; of clusters, whose rows agree, as was made sure."""
        if self.target.level == 1 or self.clusters is None:
            return column
        return column[self.clusters.first_rows]

    def places(self) -> list["Place"]:
        """Where the columns of each term stand in the design."""
        in_x = 0
        in_z = [int(each.grouping.intercept) for each in self.effects]
        in_means = sum(self._width(term) for term in self.target.terms if term.fixed)
        means: dict[tuple[str, int], slice] = {}
        for k, each in enumerate(self.effects):
            for term in self.target.terms:
                if term.label in each.grouping.means:
                    means[term.label, k] = slice(in_means, in_means + self._width(term))
                    in_means += self._width(term)
        found = []
        for term in self.target.terms:
            width, x, z = self._width(term), slice(0), []
            if term.fixed:
                x, in_x = slice(in_x, in_x + width), in_x + width
            for k, each in enumerate(self.effects):
                varies = term.label in dict(each.grouping.slopes)
                z.append(slice(in_z[k], in_z[k] + width) if varies else slice(0))
                in_z[k] += width * varies
            of_term = (means.get((term.label, k), slice(0)) for k in range(len(self.effects)))
            found.append(Place(term, x, tuple(of_term), tuple(z)))
        return found

    def _width(self, term: Term) -> int:
        """Columns of a term."""
        return math.prod(map(self._width_of, term.factors))

    def _width_of(self, factor: str) -> int:
        """Columns of a factor: categories have one indicator each but the reference."""
        return len(self.levels[factor]) - 1 if factor in self.levels else 1

    def columns(self, term: Term, values: Mapping[str, Array]) -> tuple[tuple[str, ...], Array]:
        """Columns of a term at any values: products of its factors' columns, with their labels.

        Categories come as indicators. `values` hold (row,) of any rows.
        """
        labels: tuple[str, ...] = ("",)
        for factor in term.factors:
            part: tuple[str, ...] = (factor,)
            if factor in self.levels:
                categories = self.table.variables[factor].categories
                part = tuple(f"{factor}[{categories[code]}]" for code in self.levels[factor][1:])
            labels = tuple(
                f"{left}:{right}" if left else right for left in labels for right in part
            )
        return labels, self.block(term, values)

    def block(self, term: Term, values: Mapping[str, Array]) -> Array:
        """Columns of a term as of :meth:`columns`, without labels, (row, column)."""
        block = np.empty((len(next(iter(values.values()))), self._width(term)))
        self._write(term, values, block)
        return block

    def _write(self, term: Term, values: Mapping[str, Array], out: Array) -> None:
        """Write the columns of a term to a place, (row, column)."""
        if len(term.factors) == 1:
            self._write_factor(*term.factors, values, out)
            return
        block = np.ones((len(out), 1))
        for factor in term.factors:
            part = np.empty((len(out), self._width_of(factor)))
            self._write_factor(factor, values, part)
            block = (block[:, :, None] * part[:, None, :]).reshape(len(out), -1)
        out[:] = block

    def _write_factor(self, factor: str, values: Mapping[str, Array], out: Array) -> None:
        """Write the columns of a factor: a number's own, a function's, or indicators."""
        if factor in self.levels:
            for k, code in enumerate(self.levels[factor][1:]):
                np.equal(values[factor], code, out=out[:, k])
        else:
            out[:, 0] = values[factor] if factor in values else evaluate(factor, values)


def _nothing(rows: int) -> RowGrouping:
    """Give the grouping of a model without clusters."""
    return RowGrouping("", np.ones((rows, 0)), (), np.zeros(rows, dtype=np.int64), 1)


def _may_change(wrapper: Wrapper, changing: set[str]) -> bool:
    """Whether a wrapper reads a column that is imputed; a function may read any."""
    reads = wrapper.reads()
    return reads is None or not changing.isdisjoint(reads)


def _cluster_means(block: Array, clusters: ClusterIndex) -> Array:
    """Mean of each column by cluster, (cluster, column)."""
    total = np.column_stack(
        [np.bincount(clusters.codes, block[:, k], clusters.n) for k in range(block.shape[1])]
        or [np.empty((clusters.n, 0))]
    )
    return np.asarray(total / clusters.sizes[:, None])
