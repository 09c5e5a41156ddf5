"""Numbers that are exact linear combinations of other numbers, found in the incomplete data.

Columns are standardised and reduced by one pivoted QR on complete rows; what it finds is checked
in every row in which the columns concerned are known. Where rows complete in all columns are too
few, the columns with the most gaps are looked at one by one beside those they correlate with most.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.linalg import qr, solve_triangular

from bayesimpute.specification.relation import (
    ROUNDING,
    NearRelation,
    Relation,
    linear_relation,
)

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
