"""Missing categories that are to be summed out of a joint distribution together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from bayesimpute.data.table import Kind
from bayesimpute.design import DesignBuilder
from bayesimpute.engine.joint_rows import rows_learnt_from
from bayesimpute.errors import SpecificationError
from bayesimpute.specification.joint_order import sources_of, sources_of_term
from bayesimpute.specification.specification import Specification
from bayesimpute.wording import listed

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

#: Combinations of the missing categories of one group that are still summed over.
MOST_COMBINATIONS = 200


@dataclass(frozen=True, eq=False)
class Group:
    """Groups of missing categories alike: each has the same number of cells of each variable.

    Cells are in one group if a row of some model depends on both.

    Attributes
    ----------
    slots
        Variable of each cell of a group.
    cells
        Variable -> slot of the cell that each row of the data holds (row,), −1 for none.
    touched
        Target -> rows of its design that depend on cells.
    group
        The group of each of them.
    size
        Number of groups.
    """

    slots: tuple[str, ...]
    cells: Mapping[str, Positions]
    touched: Mapping[str, Positions]
    group: Mapping[str, Positions]
    size: int

    def combinations(self, categories: Mapping[str, Array]) -> list[tuple[float, ...]]:
        """Categories of the slots, in all combinations."""
        return list(product(*(categories[name] for name in self.slots)))

    def part(self, chosen: npt.NDArray[np.bool_]) -> "Group":
        """Keep some of the groups, (group,)."""
        number = np.cumsum(chosen) - 1
        kept = {name: chosen[own] for name, own in self.group.items()}
        return replace(
            self,
            touched={name: rows[kept[name]] for name, rows in self.touched.items()},
            group={name: number[own[kept[name]]] for name, own in self.group.items()},
            size=int(chosen.sum()),
        )

    def assignments(
        self, values: Mapping[str, Array], categories: Mapping[str, Array]
    ) -> Iterator[dict[str, Array]]:
        """Give the columns with the cells at each combination of their categories."""
        for combination in self.combinations(categories):
            changed = {}
            for name, slot in self.cells.items():
                held = slot >= 0
                column = values[name].copy()
                column[held] = np.asarray(combination)[slot[held]]
                changed[name] = column
            yield changed


def categories_of(
    specification: Specification, builders: Mapping[str, DesignBuilder]
) -> dict[str, Array]:
    """Values of the variables with live cells that have categories."""
    found = {}
    for name, builder in builders.items():
        if not specification.live_rows(name).any():
            continue
        variable = specification.table.variables[name]
        if builder.coded.size:
            found[name] = builder.coded
        elif variable.kind is not Kind.NUMERIC:
            found[name] = np.arange(float(len(variable.categories)))
    return found


def groups_of(
    specification: Specification,
    builders: Mapping[str, DesignBuilder],
    categories: Mapping[str, Array],
    counted: frozenset[str] = frozenset(),
) -> list[Group]:
    """Find which missing categories have to be summed out together.

    Parameters
    ----------
    specification, builders
        Of the run.
    categories
        Values of the variables with missing ones.
    counted
        Those whose cluster means do not count, here.

    Raises
    ------
    SpecificationError
        If there are too many combinations.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    cells, variable_of, count = {}, [], 0
    for name in categories:
        cells[name], number = _cells(specification, builders[name], count)
        variable_of += [name] * number
        count += number
    if not count:
        return []
    first = count
    pairs: list[Positions] = []
    place: dict[str, tuple[int, Positions]] = {}
    for name, builder in builders.items():
        rows = np.flatnonzero(rows_learnt_from(specification, builder))
        place[name] = first, rows
        for design_row, held in _touching(specification, builder, cells, counted):
            says = np.isin(design_row, rows)
            at = first + np.searchsorted(rows, design_row[says])
            pairs.append(np.stack([at, held[says]]))
        first += len(rows)
    edges = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(edges.shape[1]), edges), shape=(first, first))
    component = connected_components(graph, directed=False)[1]
    patterns: dict[tuple[str, ...], list[int]] = {}
    of_component: dict[int, list[int]] = {}
    for cell, each in enumerate(component[:count]):
        of_component.setdefault(int(each), []).append(cell)
    for each, members in of_component.items():
        patterns.setdefault(tuple(variable_of[cell] for cell in members), []).append(each)
    found = []
    for slots, chosen in patterns.items():
        _check_combinations(slots, categories)
        number_of = np.full(first, -1)
        number_of[chosen] = np.arange(len(chosen))
        slot_of = np.full(count + 1, -1)  # the last for rows without a cell
        for each in chosen:
            slot_of[of_component[each]] = np.arange(len(slots))
        touched, group = {}, {}
        for name, (start, rows) in place.items():
            own = number_of[component[start : start + len(rows)]]
            if (own >= 0).any():
                touched[name], group[name] = rows[own >= 0], own[own >= 0]
        own_cells = {name: slot_of[cells[name]] for name in dict.fromkeys(slots)}
        found.append(Group(slots, own_cells, touched, group, len(chosen)))
    return found


def _cells(
    specification: Specification, builder: DesignBuilder, first: int
) -> tuple[Positions, int]:
    """Give each row the number of its missing category, (row,), −1 for none; and how many."""
    live = specification.live_rows(builder.target.name)
    cells = np.full(len(live), -1)
    if builder.target.level == 2 and builder.clusters is not None:
        codes = builder.clusters.codes
        which = np.unique(codes[live])
        cells[live] = first + np.searchsorted(which, codes[live])
        return cells, len(which)
    cells[live] = first + np.arange(int(live.sum()))
    return cells, int(live.sum())


def _touching(
    specification: Specification,
    builder: DesignBuilder,
    cells: Mapping[str, Positions],
    counted: frozenset[str],
) -> Iterator[tuple[Positions, Positions]]:
    """Rows of a model's design with the cells that they depend on, as pairs."""
    target, clusters = builder.target, builder.clusters
    level2 = target.level == 2 and clusters is not None
    needed = {target.name, *sources_of(target, specification.targets)}
    for name in needed & set(cells):
        rows = np.flatnonzero(cells[name] >= 0)
        own = cells[name][rows]
        if level2 and clusters is not None:
            if name not in counted:
                yield clusters.codes[rows], own
            continue
        yield rows, own
        averaged = name not in counted and any(
            term.cluster_mean and name in sources_of_term(term, specification.targets)
            for term in target.terms
        )
        if averaged and clusters is not None:
            for row, cell in zip(rows, own, strict=True):
                whole = np.flatnonzero(clusters.codes == clusters.codes[row])
                yield whole, np.full(len(whole), cell)


def _check_combinations(slots: tuple[str, ...], categories: Mapping[str, Array]) -> None:
    count = int(np.prod([float(len(categories[name])) for name in slots]))
    if count > MOST_COMBINATIONS:
        names = listed(dict.fromkeys(slots))
        raise SpecificationError(
            f"joint_model: {len(slots)} missing categories of {names} depend on each other "
            f"through the models they stand in, which is {count} combinations to sum over; at "
            f"most {MOST_COMBINATIONS} are. The chains of bi.impute draw them instead."
        )
