r"""Missing categories under cluster means: summed out by how many there are of each.

Where the share of a category in a cluster predicts, all missing cells b of the cluster depend on
each other, but through their numbers n only. Given these, rows are independent again, so that

.. math::
    \sum_b \prod_i f_i(b_i, n(b)) = \sum_n [t^n] \prod_i \sum_k f_i(k, n)\, t_k,

the coefficient of :math:`t^n` in a product of one polynomial a cell: as many terms as there are
numbers, and not as there are combinations.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.arrays import Array
from bayesimpute.data.table import Kind
from bayesimpute.design import DesignBuilder
from bayesimpute.engine.joint_rows import rows_learnt_from
from bayesimpute.errors import SpecificationError
from bayesimpute.specification.joint_order import sources_of, sources_of_term
from bayesimpute.specification.specification import Specification
from bayesimpute.wording import listed

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
    needed = {
        target.name,
        *sources_of(target, specification.targets, specification.table.variables),
    }
    for name in needed & set(cells):
        rows = np.flatnonzero(cells[name] >= 0)
        own = cells[name][rows]
        if level2 and clusters is not None:
            if name not in counted:
                yield clusters.codes[rows], own
            continue
        yield rows, own
        averaged = name not in counted and any(
            term.cluster_mean
            and name in sources_of_term(term, specification.targets, specification.table.variables)
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


#: Log of no chance at all, finite so that gradients are.
FLOOR = -1e30


@dataclass(frozen=True, eq=False)
class Counts:
    """Clusters whose missing categories are summed out by their numbers.

    Attributes
    ----------
    names
        Variables whose cells are counted.
    cells
        Of each of them, which of the clusters a row with a missing cell is in, and the how-many-th
        cell of the cluster this is, (row,) each; −1 for rows without one.
    missing
        Cells of each variable in each cluster, (variable, cluster).
    numbers
        How many cells there may be of each category of each variable but the first, (state,
        category); the first state is none.
    groups
        Cells that some row depends on together, other than through a mean.
    clusters
        Cluster of each of these, in each of `groups`.
    plain
        Target -> rows of its design with a mean in sight and no missing cell of their own, and the
        cluster of each.
    """

    names: tuple[str, ...]
    cells: Mapping[str, tuple[Positions, Positions]]
    missing: Positions
    numbers: Positions
    groups: tuple[Group, ...]
    clusters: tuple[Positions, ...]
    plain: Mapping[str, tuple[Positions, Positions]]

    @property
    def touched(self) -> dict[str, Positions]:
        """Target -> rows of its design that are summed over."""
        found: dict[str, list[Positions]] = {name: [rows] for name, (rows, _) in self.plain.items()}
        for group in self.groups:
            for name, rows in group.touched.items():
                found.setdefault(name, []).append(rows)
        return {name: np.concatenate(rows) for name, rows in found.items()}

    def columns(
        self, values: Mapping[str, Array], categories: Mapping[str, Array]
    ) -> Iterator[dict[str, Array]]:
        """Give columns whose cluster means are those of each state."""
        for state in self.numbers:
            changed = {}
            for name, numbers in self._by_name(state, categories).items():
                cluster, place = self.cells[name]
                turn = np.repeat(np.arange(1, len(categories[name])), numbers)
                column = values[name].copy()
                held = cluster >= 0
                column[held] = categories[name][0]
                taken = held & (place < len(turn))
                column[taken] = categories[name][turn[place[taken]]]
                changed[name] = column
            yield changed

    def possible(self, categories: Mapping[str, Array]) -> np.ndarray:
        """Whether each cluster has cells enough for each state, bool (state, cluster)."""
        enough = [
            [
                self.missing[k] >= numbers.sum()
                for k, numbers in enumerate(self._by_name(state, categories).values())
            ]
            for state in self.numbers
        ]
        return np.all(enough, axis=1)

    def before(self, group: Group, categories: Mapping[str, Array]) -> list[Positions]:
        """State that each state was in before the cells of a group joined it, (state,) each.

        One for each combination of the group's categories; −1 where they cannot have joined.
        """
        place = {tuple(state): k for k, state in enumerate(self.numbers.tolist())}
        found = []
        for combination in group.combinations(categories):
            joined = np.concatenate(
                [
                    sum(
                        (categories[name][1:] == category).astype(np.int64)
                        for slot, category in zip(group.slots, combination, strict=True)
                        if slot == name
                    )
                    + np.zeros(len(categories[name]) - 1, dtype=np.int64)
                    for name in self.names
                ]
            )
            earlier = (self.numbers - joined).tolist()
            found.append(np.array([place.get(tuple(state), -1) for state in earlier]))
        return found

    def _by_name(self, state: Positions, categories: Mapping[str, Array]) -> dict[str, Positions]:
        ends = np.cumsum([len(categories[name]) - 1 for name in self.names])
        return dict(zip(self.names, np.split(state, ends[:-1]), strict=True))


def sums_of(
    specification: Specification,
    builders: Mapping[str, DesignBuilder],
    categories: Mapping[str, Array],
) -> tuple[list[Group], Counts | None]:
    """Find how missing categories are summed out: by combinations, or by their numbers.

    Raises
    ------
    SpecificationError
        If there are too many of either.
    """
    counted = _counted(specification, builders, categories)
    if counted is None:
        return groups_of(specification, builders, categories), None
    names, codes = counted
    groups = groups_of(specification, builders, categories, frozenset(names))
    places = [_cluster_of(group, builders, codes) for group in groups]
    sizes = np.array([np.bincount(codes[specification.live_rows(name)], minlength=codes.max() + 1)
                      for name in names])  # fmt: skip
    which = np.flatnonzero(sizes.any(axis=0))
    number = np.full(codes.max() + 1, -1)
    number[which] = np.arange(len(which))
    means = _rows_with_means(specification, builders, names, codes, number)
    inside = [
        any(np.isin(rows, means[name][0]).any() for name, rows in group.touched.items()
            if name in means) or bool(set(group.slots) & set(names))
        for group in groups
    ]  # fmt: skip
    if any(place is None for place, within in zip(places, inside, strict=True) if within):
        return groups_of(specification, builders, categories), None
    parts: list[tuple[Group, Positions]] = []
    others: list[tuple[Group, Positions]] = []
    for group, place, within in zip(groups, places, inside, strict=True):
        own = number[place] if within and place is not None else np.full(group.size, -1)
        for chosen, where in ((own >= 0, parts), (own < 0, others)):
            if chosen.all():
                where.append((group, own))
            elif chosen.any():
                where.append((group.part(chosen), own[chosen]))
    numbers = _numbers(names, categories, sizes.max(axis=1))
    _check_size(names, numbers, [group for group, _ in parts], categories)
    summed: dict[str, set[int]] = {}
    for group, _ in parts:
        for name, rows in group.touched.items():
            summed.setdefault(name, set()).update(rows.tolist())
    plain = {}
    for name, (rows, own) in means.items():
        alone = ~np.isin(rows, list(summed.get(name, ())))
        if alone.any():
            plain[name] = rows[alone], own[alone]
    counts = Counts(
        names,
        {name: _places(specification.live_rows(name), number[codes]) for name in names},
        sizes[:, which],
        numbers,
        tuple(group for group, _ in parts),
        tuple(own for _, own in parts),
        plain,
    )
    return [group for group, _ in others], counts


def log_sum(
    counts: Counts, categories: Mapping[str, Array], plain: Any, by_group: Sequence[Any]
) -> Any:
    """Sum over all states of each cluster, as a log, (cluster,).

    Parameters
    ----------
    counts
        What is summed.
    categories
        Values of each variable.
    plain
        Log density of the rows without cells of their own, (state, cluster).
    by_group
        Of those with cells, at each of these' combinations, (state, combination, group).
    """
    import pytensor.tensor as pt

    states, clusters = len(counts.numbers), counts.missing.shape[1]
    # the coefficients of the product so far; the last place is for states that cannot be
    start = np.full((states, clusters, states + 1), FLOOR)
    start[:, :, 0] = 0.0
    product_: Any = pt.as_tensor_variable(start)
    for group, own, density in zip(counts.groups, counts.clusters, by_group, strict=True):
        before = counts.before(group, categories)
        for joining in _rounds(own):
            held = product_[:, own[joining], :]
            terms = [
                held[:, :, earlier] + density[:, k, :][:, joining][:, :, None]
                for k, earlier in enumerate(before)
            ]
            new = pt.logsumexp(pt.stack(terms), axis=0)
            product_ = pt.set_subtensor(product_[:, own[joining], :states], new)
    each = np.arange(states)
    total = product_[each, :, each] + plain
    possible = counts.possible(categories)
    return pt.logsumexp(pt.where(possible, total, FLOOR), axis=0)


def _counted(
    specification: Specification,
    builders: Mapping[str, DesignBuilder],
    categories: Mapping[str, Array],
) -> tuple[tuple[str, ...], Positions] | None:
    """Variables of which models have means, and the clusters; None where numbers do not do."""
    names: dict[str, None] = {}
    groupings = []
    for builder in builders.values():
        target, clusters = builder.target, builder.clusters
        if clusters is None:
            continue
        for term in target.terms:
            averaged = term.cluster_mean or target.level == 2
            inside = sources_of_term(
                term, specification.targets, specification.table.variables
            ) & set(categories)
            inside = {name for name in inside if builders[name].target.level == 1}
            if not averaged or not inside:
                continue
            if inside != set(term.factors):
                return None
            names |= dict.fromkeys(sorted(inside))
            groupings.append(clusters.codes)
    if not names or any((codes != groupings[0]).any() for codes in groupings):
        return None
    return tuple(names), groupings[0]


def _rows_with_means(
    specification: Specification,
    builders: Mapping[str, DesignBuilder],
    names: Sequence[str],
    codes: Positions,
    number: Positions,
) -> dict[str, tuple[Positions, Positions]]:
    """Rows of each model that see a mean of missing cells, and the cluster of each."""
    found = {}
    for name, builder in builders.items():
        level2 = builder.target.level == 2 and builder.clusters is not None
        sees = any(
            (term.cluster_mean or level2) and set(term.factors) & set(names)
            for term in builder.target.terms
        )
        if sees:
            rows = np.flatnonzero(rows_learnt_from(specification, builder))
            own = number[rows if level2 else codes[rows]]
            found[name] = rows[own >= 0], own[own >= 0]
    return found


def _cluster_of(
    group: Group, builders: Mapping[str, DesignBuilder], codes: Positions
) -> Positions | None:
    """Cluster of each group, (group,); None where one is in several."""
    found = np.full(group.size, -1)
    for name, rows in group.touched.items():
        builder = builders[name]
        own = codes[rows]
        if builder.target.level == 2 and builder.clusters is not None:
            if (builder.clusters.codes != codes).any():
                return None
            own = rows
        at = group.group[name]
        found[at] = np.where(found[at] < 0, own, found[at])
        if (found[at] != own).any():
            return None
    return found


def _places(live: np.ndarray, cluster: Positions) -> tuple[Positions, Positions]:
    """Cluster of each row with a missing cell, and the how-many-th of it this is."""
    cluster = np.where(live, cluster, -1)
    place = np.full(len(live), -1)
    for k in range(cluster.max() + 1):
        own = np.flatnonzero(cluster == k)
        place[own] = np.arange(len(own))
    return cluster, place


def _numbers(names: Sequence[str], categories: Mapping[str, Array], most: Positions) -> Positions:
    """All numbers of the categories but the first, (state, category); none of any is first."""
    each = []
    for name, limit in zip(names, most, strict=True):
        several = product(range(limit + 1), repeat=len(categories[name]) - 1)
        each.append([numbers for numbers in several if sum(numbers) <= limit])
    return np.array([sum(parts, ()) for parts in product(*each)], dtype=np.int64)


def _rounds(own: Positions) -> Iterator[Positions]:
    """Positions of groups, no two of one cluster at once."""
    turn = np.zeros(len(own), dtype=np.int64)
    for cluster in np.unique(own):
        turn[own == cluster] = np.arange((own == cluster).sum())
    for k in range(turn.max() + 1):
        yield np.flatnonzero(turn == k)


def _check_size(
    names: Sequence[str],
    numbers: Positions,
    groups: Sequence[Group],
    categories: Mapping[str, Array],
) -> None:
    count = len(numbers) * sum(len(group.combinations(categories)) for group in groups)
    if count > MOST_COMBINATIONS:
        raise SpecificationError(
            f"joint_model: cluster means of {listed(names)} see so many missing categories in one "
            f"cluster that there are {count} combinations of their numbers to sum over; at most "
            f"{MOST_COMBINATIONS} are. The chains of bi.impute draw them instead."
        )
