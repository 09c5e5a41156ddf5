"""Rows of a joint distribution: which are learnt from, their parameters, and their columns.

Columns are those of :class:`~bayesimpute.design.DesignBuilder` and follow it term by term, at
values of which some are symbols of PyTensor.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.data.table import ClusterIndex
from bayesimpute.design import DesignBuilder, Effects
from bayesimpute.engine.live import rows_that_say, seen_within
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Design
from bayesimpute.sampling.textbook import Columns, RowModel
from bayesimpute.specification.expressions import evaluate, evaluate_symbols, names_in
from bayesimpute.specification.joint_order import sources_of, sources_of_term
from bayesimpute.specification.specification import Passive, Specification, Target, Term
from bayesimpute.wording import listed
from bayesimpute.wrappers.base import layers
from bayesimpute.wrappers.by_group import ByGroup

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of a model's design that have parameters of their own: all, or those of a group.

    Attributes
    ----------
    label
        Of the group; empty for all rows.
    model
        What the rows are.
    place
        Of each row of the design among those that the model was made for, (row,); −1 for others.
    """

    label: str
    model: RowModel
    place: Positions

    def named(self, what: str) -> str:
        """Name of a parameter, or of something else, of these rows."""
        return f"{what}[{self.label}]" if self.label else what

    def within(self, rows: Positions) -> Positions:
        """Positions among some rows of those that are its own."""
        return np.flatnonzero(self.place[rows] >= 0)


def groups_of_rows(target: Target, design: Design) -> Iterator[tuple[str, Positions]]:
    """Give the rows of a design that have parameters of their own, with their label."""
    for wrapper in layers(target.method):
        if isinstance(wrapper, ByGroup):
            for label, rows in wrapper.rows(design).items():
                yield label, np.flatnonzero(rows)
            return
    yield "", np.arange(len(design.y))


def rows_learnt_from(specification: Specification, builder: DesignBuilder) -> npt.NDArray[np.bool_]:
    """Rows of a model's design that have something to say and are not ignored, (row,) bool."""
    return rows_that_say(specification, builder) & builder.usable


def without_ignored(
    specification: Specification, builders: Mapping[str, DesignBuilder]
) -> Specification:
    """Leave out the missing values of ignored rows: nothing is learnt from them.

    Raises
    ------
    SpecificationError
        If rows that are learnt from depend on such a value, too.
    """
    ignored = specification.ignore
    if not ignored.any():
        return specification
    shared = [name for name in specification.live or {} if _shared(specification, builders, name)]
    if shared:
        raise SpecificationError(
            f"joint_model: missing values of {listed(shared)} belong to clusters in which some "
            "rows are ignored and others are not. The chains draw them given all of these rows, "
            "and learn from the others alone, which no joint distribution does. Ignore whole "
            "clusters, or leave ignore= out."
        )
    live = {name: cells & ~ignored for name, cells in (specification.live or {}).items()}
    return replace(specification, live=live)


def _shared(specification: Specification, builders: Mapping[str, DesignBuilder], name: str) -> bool:
    """Whether an ignored row and one that is not see the same missing value of a variable."""
    ignored, live = specification.ignore, specification.live_rows(name)
    within = []
    own = builders[name]
    if own.target.level == 2 and own.clusters is not None:
        within.append(own.clusters.codes)
    for child in builders.values():
        places = [
            place
            for place in child.places()
            if name
            in sources_of_term(place.term, specification.targets, specification.table.variables)
        ]
        cluster = seen_within(specification, child.target, places) if places else None
        if cluster is not None:
            within.append(specification.table.clusters(cluster).codes)
    return any(np.isin(codes[~ignored], codes[live & ignored]).any() for codes in within)


#: Variable -> (row,) of the data: numbers, or a PyTensor vector.
Values = Mapping[str, Any]


def is_symbol(values: Any) -> bool:
    """Whether values are a symbol, and no numbers."""
    return not isinstance(values, np.ndarray)


def columns_of(
    specification: Specification,
    builder: DesignBuilder,
    values: Values,
    rows: Positions,
    averaged: Values | None = None,
) -> Columns:
    """Give the columns of chosen rows of a model's design.

    Parameters
    ----------
    specification
        Of the run.
    builder
        Of the model.
    values
        Of all rows of the data.
    rows
        Positions in the design: rows of the data, or clusters for a level-2 target.
    averaged
        Values that means of clusters are taken of, where these are others.
    """
    target, unit, effects = builder.target, builder.of_clusters, builder.effects
    means = any(each.grouping.means for each in effects)
    whole = unit is not None or means
    chosen = np.arange(len(builder.table.rows)) if whole else rows
    needed = sources_of(target, specification.targets, specification.table.variables)
    given = _with_passive(specification, values, needed, chosen)
    other = given
    if averaged is not None and whole:
        other = _with_passive(specification, averaged, needed, chosen)
    x: list[Any] = []
    z: list[list[Any]] = [[_intercepts(each)] for each in effects]
    in_mean: list[list[Any]] = [[] for _ in effects]
    for term in target.terms:
        block = _block(builder, term, given if unit is None else other, len(chosen))
        if unit is not None:
            block = _means(unit, block)
        if term.fixed:
            x.append(block)
        for each, slopes, by_mean in zip(effects, z, in_mean, strict=True):
            if term.label in dict(each.grouping.slopes):
                slopes.append(block)
            if term.label in each.grouping.means:
                of_rows = _block(builder, term, other, len(chosen))
                by_mean.append(_means(each.of_rows, of_rows)[each.codes])
    of_design = len(chosen) if unit is None else unit.n
    at = rows if whole else slice(None)
    blocks = [*x, *(block for by_mean in in_mean for block in by_mean)]
    groupings = [
        (
            _beside([slopes[0] if whole else slopes[0][rows], *slopes[1:]], of_design)[at],
            each.codes[rows],
        )
        for each, slopes in zip(effects, z, strict=True)
    ]
    first, *further = groupings or [(np.empty((len(rows), 0)), np.zeros(len(rows), dtype=np.int64))]
    return Columns(_beside(blocks, of_design)[at], *first, groupings=tuple(further))


def _intercepts(effects: Effects) -> Any:
    """Column of ones of a random intercept, if there is one, for all rows of the design."""
    return np.ones((len(effects.codes), int(effects.grouping.intercept)))


def _with_passive(
    specification: Specification, values: Values, needed: set[str], rows: Positions
) -> dict[str, Any]:
    """Take rows of the columns needed, passive ones computed from the others."""
    given = {name: column[rows] for name, column in values.items() if name in needed}
    for name in specification.passive_order:
        passive = specification.targets[name]
        if name in given and isinstance(passive, Passive):
            inputs = {one: given[one] for one in names_in(passive.expression)}
            given[name] = _computed(passive.expression, inputs, specification.known[name][rows])
    return given


def _computed(expression: str, inputs: Mapping[str, Any], known: Any) -> Any:
    """Value of a passive variable: as it is known, or computed."""
    import pytensor.tensor as pt

    missing = np.isnan(known)
    if any(map(is_symbol, inputs.values())):
        return pt.where(missing, evaluate_symbols(expression, inputs), np.nan_to_num(known))
    return np.where(missing, evaluate(expression, inputs), known)


def _block(builder: DesignBuilder, term: Term, values: Values, rows: int) -> Any:
    """Columns of one term, (row, column)."""
    import pytensor.tensor as pt

    own = {name: values[name] for name in term.read_columns(values) if name in values}
    if not any(map(is_symbol, own.values())):
        return builder.columns(term, own)[1]
    block: Any = np.ones((rows, 1))
    for factor in term.factors:
        if factor in builder.levels:
            codes = builder.levels[factor][1:]
            part = np.column_stack([values[factor] == code for code in codes]).astype(float)
        else:
            part = evaluate_symbols(factor, own)[:, None]
        block = pt.as_tensor_variable(block)[:, :, None] * part[:, None, :]
        block = block.reshape((rows, block.shape[1] * block.shape[2]))
    return block


def _means(clusters: ClusterIndex, block: Any) -> Any:
    """Mean of each column by cluster, (cluster, column)."""
    import pytensor.tensor as pt

    block = pt.as_tensor_variable(block)
    total = pt.zeros((clusters.n, block.shape[1]))
    return pt.inc_subtensor(total[clusters.codes], block) / clusters.sizes[:, None]


def _beside(blocks: list[Any], rows: int) -> Any:
    """Columns side by side: numbers if all are."""
    import pytensor.tensor as pt

    if not any(map(is_symbol, blocks)):
        return np.hstack(blocks) if blocks else np.empty((rows, 0))
    return pt.concatenate([pt.as_tensor_variable(block) for block in blocks], axis=1)
