"""Categories, and numbers of few values, that follow exactly from one other column."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bayesimpute.specification.expressions import quoted
from bayesimpute.specification.relation import Relation, step_expression

#: Rows the first look is taken at.
FIRST_LOOK = 256
#: Rows outside the commonest category, beyond one for each value of the source, that it takes.
CONFIRMED = 10
#: Most different values of a column that is read as a code.
MOST_VALUES = 300


def category_relations(
    columns: Mapping[str, np.ndarray], targets: Sequence[str]
) -> Iterator[Relation]:
    """Find targets that are functions of one other column.

    Both may be incomplete if each gives the other; a source that does not follow from the target
    in turn has to be complete.

    Parameters
    ----------
    columns
        Codes or numbers, (row,), NaN where missing.
    targets
        Those that are incomplete.
    """
    coded = {name: values for name, values in columns.items() if _is_code(values)}
    wanted = [name for name in targets if name in coded]
    if not wanted or len(coded) < 2:
        return
    candidates = np.column_stack([coded[name] for name in wanted])
    said: set[frozenset[str]] = set()
    for source, values in coded.items():
        for k in _first_look(values, candidates):
            target = wanted[k]
            if target == source or frozenset((source, target)) in said:
                continue
            relation = _relation(source, target, coded)
            if relation is not None:
                said.add(frozenset((source, target)))
                yield relation


def _is_code(values: np.ndarray) -> bool:
    seen = values[~np.isnan(values)]
    start = len(np.unique(seen[:FIRST_LOOK]))
    if not 2 <= start <= max(2 * FIRST_LOOK // 3, 2):
        return False
    distinct = len(np.unique(seen))
    return 2 <= distinct <= min(MOST_VALUES, len(seen) / 2)


def _first_look(source: np.ndarray, candidates: np.ndarray) -> list[int]:
    """Columns that no two neighbouring rows with one value of the source contradict."""
    step = max(1, len(source) // FIRST_LOOK)
    part, others = source[::step], candidates[::step]
    order = np.argsort(part, kind="stable")
    part, others = part[order], others[order]
    same = part[1:] == part[:-1]
    differ = (others[1:] != others[:-1]) & ~np.isnan(others[1:]) & ~np.isnan(others[:-1])
    return np.flatnonzero(~(differ & same[:, None]).any(axis=0)).tolist()


def _relation(source: str, target: str, coded: Mapping[str, np.ndarray]) -> Relation | None:
    forward = _mapping(coded[source], coded[target])
    if forward is None:
        return None
    back = _mapping(coded[target], coded[source])
    expressions = {target: step_expression(source, *forward)}
    if back is not None:
        expressions[source] = step_expression(target, *back)
    elif np.isnan(coded[source]).any():
        return None  # what is known of the target must go on informing the source
    arrow = "↔" if back is not None else "→"
    both = ~np.isnan(coded[source]) & ~np.isnan(coded[target])
    return Relation(
        f"{quoted(source)} {arrow} {quoted(target)}",
        expressions,
        tuple(name for name in coded if name in (source, target)),
        int(both.sum()),
    )


def _mapping(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Values of the source and what each gives; None if it gives two things, or by chance."""
    both = ~np.isnan(source) & ~np.isnan(target)
    if not both.any():
        return None
    pairs = np.unique(np.column_stack([source[both], target[both]]), axis=0)
    values, results = pairs.T
    every = np.unique(source[~np.isnan(source)])
    if len(np.unique(values)) < len(values) or len(every) > len(values):
        return None  # two results of one value, or a value never seen with a result
    results_seen, counts = np.unique(target[both], return_counts=True)
    commonest = results_seen[counts.argmax()]
    if int(both.sum() - counts.max()) - int((results != commonest).sum()) < CONFIRMED:
        return None
    return values, results
