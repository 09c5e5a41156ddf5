"""What it means that a column follows exactly from others, how it is found, and how it is written.

Numbers that are exact linear combinations of other numbers, found in the incomplete data:
columns are standardised and reduced by one pivoted QR on complete rows; what it finds is checked
in every row in which the columns concerned are known. Where rows complete in all columns are too
few, the columns with the most gaps are looked at one by one beside those they correlate with most.

Categories, and numbers of few values, that follow exactly from one other column.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr, solve_triangular

from bayesimpute.specification.expressions import quoted

#: Largest distance from an identity, as a share of its terms, that is rounding.
ROUNDING = 1e-8
#: The same where coefficients are shortened: no more than arithmetic itself leaves.
ARITHMETIC = 1e-13


@dataclass(frozen=True)
class Relation:
    """An identity found in the data.

    Attributes
    ----------
    text
        As people write it: ``"total = i1 + i2"``, ``"label ↔ code"``.
    expressions
        Column -> its value from the others; columns it cannot be solved for are not in it.
    names
        All columns of the identity, in column order.
    rows
        Rows in which all of them are known: it holds in every one.
    """

    text: str
    expressions: Mapping[str, str]
    names: tuple[str, ...]
    rows: int

    @property
    def is_code(self) -> bool:
        """Whether values are looked up one by one, and not calculated."""
        return any("where(" in each for each in self.expressions.values())


@dataclass(frozen=True)
class NearRelation:
    """Something that is nearly an identity, and so none.

    Attributes
    ----------
    target
        Column nearly given by the others.
    others
        These.
    r_squared
        Share of its variance they explain.
    deviating, rows
        Rows in which it deviates, of so many.
    """

    target: str
    others: tuple[str, ...]
    r_squared: float
    deviating: int
    rows: int


def linear_relation(
    names: Sequence[str], coefficients: np.ndarray, constant: float, x: np.ndarray
) -> Relation:
    """Write Σ coefficient × column + constant = 0, solved for each column.

    Parameters
    ----------
    names, coefficients, constant
        Of the equation; no coefficient is 0.
    x
        Rows in which it holds, (row, column).
    """
    solved = {}
    for k, name in enumerate(names):
        rest = [j for j in range(len(names)) if j != k]
        solved[name] = _solved(
            [names[j] for j in rest],
            -coefficients[rest] / coefficients[k],
            -constant / coefficients[k],
            x[:, rest],
            x[:, k],
        )
    # people put the sum on the left, and the shorter numbers
    first = min(solved, key=lambda name: (solved[name].count("-"), len(solved[name])))
    return Relation(f"{quoted(first)} = {solved[first]}", solved, tuple(names), len(x))


def _solved(
    names: Sequence[str], slopes: np.ndarray, constant: float, x: np.ndarray, y: np.ndarray
) -> str:
    """Right side for one column, in the shortest numbers that still give it exactly."""
    size = float((np.abs(x) @ np.abs(slopes) + abs(constant) + np.abs(y)).max())
    small = abs(constant) < ROUNDING * size  # rounding, perhaps: none is tried first
    for offset in (0.0, constant) if small else (constant,):
        for digits in range(1, 16):
            shortest = [_short(float(slope), digits) for slope in slopes]
            rounded = float(f"{offset:.{digits}g}")
            values = sum((column / b if over else column * b) for column, (b, over) in
                         zip(x.T, shortest, strict=True))  # fmt: skip
            if np.abs(values + rounded - y).max() <= ARITHMETIC * size:
                return _written(names, shortest, rounded)
    left = y - x @ slopes
    if small and np.abs(left).max() <= 2 * np.abs(left - constant).max():
        constant = 0.0
    return _written(names, [(float(slope), False) for slope in slopes], constant)


def _short(slope: float, digits: int) -> tuple[float, bool]:
    """Shorten a slope to so many digits, or its reciprocal (True) if that comes nearer."""
    plain, inverse = float(f"{slope:.{digits}g}"), float(f"{1 / slope:.{digits}g}")
    over = abs(1 / inverse - slope) < abs(plain - slope) * (1 - 1e-3)
    return (inverse, True) if over else (plain, False)


def _written(names: Sequence[str], slopes: Sequence[tuple[float, bool]], constant: float) -> str:
    text = ""
    for name, (number, over) in sorted(
        zip(names, slopes, strict=True), key=lambda part: part[1][0] < 0
    ):
        size = abs(number)
        part = quoted(name)
        if size != 1:
            part = f"{part} / {size:.17g}" if over else f"{_number(size)} * {part}"
            part = part.replace(f"{size:.17g}", _number(size))
        text += _signed(part, number < 0, bool(text))
    if constant:
        text += _signed(_number(abs(constant)), constant < 0, True)
    return text


def _signed(part: str, negative: bool, further: bool) -> str:
    if further:
        return f" - {part}" if negative else f" + {part}"
    return f"-{part}" if negative else part


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and value < 1e15 else repr(float(value))


def step_expression(source: str, values: np.ndarray, results: np.ndarray) -> str:
    """Expression that gives `results` for the ascending `values` of a column.

    Examples
    --------
    >>> step_expression("code", np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0]))
    'where(code < 2.5, 0, 1)'
    """
    if (results == results[0]).all():
        return _number(float(results[0]))
    changes = np.flatnonzero(np.diff(results)) + 1
    at = int(changes[len(changes) // 2])
    below = step_expression(source, values[:at], results[:at])
    above = step_expression(source, values[at:], results[at:])
    last, first = values[at - 1], values[at]
    limit = max((last + first) / 2, np.nextafter(last, first))  # neighbours have no middle
    return f"where({quoted(source)} < {_number(float(limit))}, {below}, {above})"


#: Rows the first look is taken at; all rows are looked at before anything is believed.
FIRST_LOOK = 1000
#: Distinct points beyond the number of coefficients that it takes to believe an identity.
MARGIN = 5
#: Columns of few distinct numbers agree by chance: so many rows, each number so often.
FEW_DISTINCT, ROWS_OF_FEW, EACH_OF_FEW = 10, 30, 5
#: Columns looked at beside one that has too many gaps to be in the first look.
NEIGHBOURS = 15
#: Share of variance explained from which a column is nearly given.
NEARLY = 0.999
#: Share of rows that have to hold exactly for the others to be called deviations.
MOST_ROWS = 0.9

Columns = Mapping[str, np.ndarray]


def linear_relations(
    columns: Columns, targets: Sequence[str]
) -> tuple[list[Relation], list[NearRelation]]:
    """Find identities that give a target.

    Parameters
    ----------
    columns
        Numeric columns, (row,), NaN where missing.
    targets
        Those that are incomplete.

    Returns
    -------
    exact, nearly
    """
    names = [name for name in columns if _varies(columns[name])]
    wanted = [name for name in targets if name in names]
    if len(names) < 2 or not wanted:
        return [], []
    raw = np.column_stack([columns[name] for name in names])
    data = (raw - np.nanmean(raw, axis=0)) / np.nanstd(raw, axis=0)
    found: list[Relation] = []
    inside = _with_complete_rows(data)
    groups = [inside]
    outside = [k for k in range(len(names)) if k not in inside and names[k] in wanted]
    if outside:
        groups += list(_neighbours(data, outside))
    near: dict[frozenset[str], NearRelation] = {}
    for group in groups:
        for members in _dependent(data, group):
            relation = _checked([names[k] for k in members], columns)
            new = relation is not None and all(relation.names != r.names for r in found)
            if relation is not None and new and set(relation.names) & set(wanted):
                found.append(relation)
        for other in _nearly(raw, data, group, names, wanted):
            near.setdefault(frozenset((other.target, *other.others)), other)
    given = {name for relation in found for name in relation.names}
    return found, [each for each in near.values() if each.target not in given]


def _varies(values: np.ndarray) -> bool:
    seen = values[~np.isnan(values)]
    return len(seen) > MARGIN and bool(np.ptp(seen) > 0)


def _with_complete_rows(data: np.ndarray) -> list[int]:
    """Columns with enough rows complete in all; those with the most gaps are left out."""
    gaps = np.isnan(data)
    order = np.argsort(gaps.sum(axis=0), kind="stable")
    incomplete = np.zeros(len(data), dtype=bool)
    kept: list[int] = []
    for k in order:
        together = incomplete | gaps[:, k]
        if (~together).sum() < 2 * (len(kept) + 1) + MARGIN:
            break
        incomplete, kept = together, [*kept, int(k)]
    return sorted(kept)


def _neighbours(data: np.ndarray, outside: Sequence[int]) -> Iterator[list[int]]:
    """Of each column, those it correlates with most, in rows known of both."""
    seen = _spread(data)
    known = (~np.isnan(seen)).astype(float)
    filled = np.nan_to_num(seen)
    with np.errstate(all="ignore"):
        product = filled[:, outside].T @ filled
        size = (filled[:, outside] ** 2).T @ known * (known[:, outside].T @ filled**2)
        r = np.nan_to_num(np.abs(product) / np.sqrt(size))
    for row, k in zip(r, outside, strict=True):
        row[k] = -1.0
        near = np.argsort(-row, kind="stable")[: min(NEIGHBOURS, len(row) - 1)].tolist()
        group = [k]
        missing = np.isnan(data[:, k])
        for other in near:  # as many as leave rows to look at
            together = missing | np.isnan(data[:, other])
            if (~together).sum() >= 2 * (len(group) + 1) + MARGIN:
                group, missing = [*group, other], together
        yield sorted(group)


def _spread(data: np.ndarray) -> np.ndarray:
    return data[:: max(1, len(data) // FIRST_LOOK)]


def _complete(data: np.ndarray, group: Sequence[int]) -> np.ndarray:
    block = data[:, group]
    return block[~np.isnan(block).any(axis=1)]


def _dependent(data: np.ndarray, group: Sequence[int]) -> Iterator[list[int]]:
    """Columns of each linear dependency among a group, as far as the first look tells."""
    block = _complete(data, group)
    block = block[:: max(1, len(block) // max(FIRST_LOOK, 4 * len(group)))]
    if len(block) < len(group) + MARGIN:
        return
    block = block - block.mean(axis=0)
    size = np.linalg.norm(block, axis=0)
    moving = np.flatnonzero(size > 0)
    if len(moving) < 2:
        return
    unit = block[:, moving] / size[moving]
    if np.linalg.eigvalsh(unit.T @ unit)[0] > 1e-9:
        return  # far cheaper than the decomposition, and so for nearly all data the end
    r, pivots = qr(unit, mode="r", pivoting=True)[-2:]
    r = r[: len(moving)]
    rank = int((np.abs(np.diag(r)) > ROUNDING).sum())
    if rank == len(moving):
        return
    slopes = solve_triangular(r[:rank, :rank], r[:rank, rank:])
    for k, column in enumerate(slopes.T):
        used = np.flatnonzero(np.abs(column) > 1e-6)
        at = [pivots[rank + k], *pivots[used]]
        yield sorted(group[moving[j]] for j in at)


def _checked(names: Sequence[str], columns: Columns) -> Relation | None:
    """Give the identity if it holds wherever all columns are known, and often enough."""
    x = np.column_stack([columns[name] for name in names])
    x = x[~np.isnan(x).any(axis=1)]
    points = np.unique(x, axis=0)
    if len(names) < 2 or len(points) < 2:
        return None
    centre = points.mean(axis=0)
    scale = points.std(axis=0)
    if (scale == 0).any():
        return None
    direction = np.linalg.svd((points - centre) / scale, full_matrices=False)[2][-1]
    if np.abs(direction).min() < 1e-6:
        return None
    slopes = direction / scale
    constant = -float(slopes @ centre)
    off = np.abs(x @ slopes + constant)
    size = float(((x - centre) ** 2 @ slopes**2).max()) ** 0.5
    if off.max() > ROUNDING * size or not _believable(x, points):
        return None
    return linear_relation(names, slopes, constant, x)


def _believable(x: np.ndarray, points: np.ndarray) -> bool:
    """Whether an identity in these rows can hardly be chance."""
    if len(points) >= x.shape[1] + 1 + MARGIN:
        return True
    counts = [np.unique(column, return_counts=True)[1] for column in x.T]
    few = min(len(count) for count in counts) < FEW_DISTINCT
    often = all(count.min() >= EACH_OF_FEW for count in counts)
    return few and often and len(x) >= ROWS_OF_FEW


def _nearly(
    raw: np.ndarray,
    data: np.ndarray,
    group: Sequence[int],
    names: Sequence[str],
    wanted: Sequence[str],
) -> Iterator[NearRelation]:
    """Targets nearly given by the others of a group, or given in most rows."""
    rows = ~np.isnan(data[:, group]).any(axis=1)
    block = _spread(data[rows][:, group])
    if len(block) < 2 * len(group) + MARGIN or len(group) < 2:
        return
    with np.errstate(all="ignore"):
        correlation = np.corrcoef(block, rowvar=False)
    if not np.isfinite(correlation).all():
        return
    inverse = np.linalg.pinv(correlation, rcond=1e-13, hermitian=True)
    explained = 1 - 1 / np.maximum(np.diag(inverse), 1.0)
    for k in np.flatnonzero(explained > 0.5).tolist():
        if names[group[k]] not in wanted:
            continue
        with np.errstate(all="ignore"):
            slopes = np.abs(inverse[k] / inverse[k, k])
        closest = [
            j for j in np.argsort(-slopes).tolist() if j != k and slopes[j] > 0.05 * slopes[k]
        ]
        if not closest:
            continue
        members = [group[j] for j in closest[:NEIGHBOURS]]
        near = _deviations(raw, group[k], sorted(members), names)
        if near is not None:
            yield near


def _deviations(
    raw: np.ndarray, target: int, others: list[int], names: Sequence[str]
) -> NearRelation | None:
    """How nearly a column is given, by a fit to the rows that agree best."""
    x, y = raw[:, others], raw[:, target]
    known = ~np.isnan(x).any(axis=1) & ~np.isnan(y)
    x, y = x[known], y[known]
    if len(np.unique(y)) < FEW_DISTINCT or len(y) < len(others) + 1 + 2 * MARGIN:
        return None
    x = np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / x.std(axis=0)])
    off = np.abs(y - x @ np.linalg.lstsq(x, y, rcond=None)[0])
    r_squared = float(1 - (off**2).sum() / ((y - y.mean()) ** 2).sum())
    slopes = np.ones(x.shape[1])
    for _ in range(10):
        best = np.argsort(off, kind="stable")[: max(int(0.8 * len(y)), x.shape[1] + MARGIN)]
        slopes = np.linalg.lstsq(x[best], y[best], rcond=None)[0]
        off = np.abs(y - x @ slopes)
    needed = np.abs(slopes[1:]) > 1e-3 * np.abs(slopes[1:]).max()
    if not needed.all():
        kept = [k for k, own in zip(others, needed, strict=True) if own]
        return _deviations(raw, target, kept, names)
    deviating = int((off > ROUNDING * np.abs(y - y.mean()).max()).sum())
    if deviating == 0 or (r_squared < NEARLY and deviating > (1 - MOST_ROWS) * len(y)):
        return None
    return NearRelation(
        names[target], tuple(names[k] for k in others), r_squared, deviating, len(y)
    )


#: Rows the first look is taken at.
LOOKED_AT = 256
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
    start = len(np.unique(seen[:LOOKED_AT]))
    if not 2 <= start <= max(2 * LOOKED_AT // 3, 2):
        return False
    distinct = len(np.unique(seen))
    return 2 <= distinct <= min(MOST_VALUES, len(seen) / 2)


def _first_look(source: np.ndarray, candidates: np.ndarray) -> list[int]:
    """Columns that no two neighbouring rows with one value of the source contradict."""
    step = max(1, len(source) // LOOKED_AT)
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
