r"""Sums of regression trees: their prior, and one sweep of their posterior (Chipman et al. 2010).

A function of the predictors is a sum of m small trees, each of which splits the space of the
predictors into boxes and has a number in each. A node at depth d is split with probability
:math:`a (1 + d)^{-b}`, by any of the predictors that can still be split there, at any of the
thresholds left between those above it; numbers of leaves are :math:`N(0, s^2/m)`.

One sweep visits each tree in turn. What the other trees leave of the data is normal given the
leaves, so that these integrate out: a leaf is split, a split taken away, or its rule drawn anew by
Metropolis–Hastings, and then the numbers of all leaves are drawn. That leaves the posterior as it
is, whatever the predictors are at the moment: the state is rules and numbers, and rows fall into
the leaves anew at every visit.

Thresholds are fixed beforehand (:class:`Grid`), so that the prior does not move with imputations.
A leaf may be empty; then its number is a draw from the prior.

pymc-bart's own particle step cannot do this: it copies the predictors once, has no way to put a
forest back, and belongs to one thread (ARCHITECTURE.md).

A tree is ``(2, NODES)`` floats in the order of a heap, node k above 2k + 1 and 2k + 2: what a node
is (predictor that splits it, or one of the two marks below), and the number of a leaf or the
threshold of a split. So a forest is a part of a kernel's state as it stands.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.sampling.compiled import part_of

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int16]
Places = npt.NDArray[np.int8]

#: No node is deeper: 32 leaves a tree.
DEEPEST = 5
NODES = 2 ** (DEEPEST + 1) - 1
LEAF, ABSENT = -1.0, -2.0
#: Chances of a node at depth d to be split: a (1 + d)^−b (Chipman et al. 2010, §3.1).
CHANCE, DECLINE = 0.95, 2.0
#: Most thresholds of a predictor.
THRESHOLDS = 100
#: Moves that are tried, where a tree has a split: grow, prune, and else a new rule.
GROW, PRUNE = 0.4, 0.4


@dataclass(frozen=True, eq=False)
class Grid:
    """Thresholds of all predictors, fixed once.

    Attributes
    ----------
    thresholds
        Of each predictor, ascending: between all its values where these are few, else quantiles.
    """

    thresholds: tuple[Array, ...]

    @classmethod
    def of(cls, x: Array) -> "Grid":
        """Take the thresholds from the rows of a reference, (row, predictor)."""
        return cls(tuple(_thresholds(column) for column in x.T))

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Thresholds of each predictor, (predictor,)."""
        return np.array([len(each) for each in self.thresholds], dtype=np.int64)

    def codes(self, x: Array) -> Codes:
        """Thresholds below each value, (predictor, row)."""
        out = np.empty(x.shape[::-1], dtype=np.int16)
        for k, each in enumerate(self.thresholds):
            out[k] = x[:, k] > each[0] if len(each) == 1 else np.searchsorted(each, x[:, k])
        return out


def _thresholds(column: Array) -> Array:
    values = np.unique(column)
    if len(values) <= THRESHOLDS + 1:
        return np.asarray((values[1:] + values[:-1]) / 2)
    return np.unique(np.quantile(column, np.arange(1, THRESHOLDS + 1) / (THRESHOLDS + 1)))


def stumps(trees: int) -> Array:
    """Give trees of one leaf, whose number is 0, (tree, 2, node)."""
    forest = np.zeros((trees, 2, NODES))
    forest[:, 0] = ABSENT
    forest[:, 0, 0] = LEAF
    return forest


@part_of
def _depth(node: int) -> int:
    depth = 0
    while node > 0:
        node = (node - 1) // 2
        depth += 1
    return depth


@part_of
def _span(tree: Array, node: int, predictor: int, count: int) -> tuple[int, int]:
    """Thresholds of a predictor that are left at a node: from the first, below the second."""
    low, high = 0, count
    while node > 0:
        above = (node - 1) // 2
        if int(tree[0, above]) == predictor:
            cut = int(tree[1, above])
            if node == 2 * above + 1:
                high = min(high, cut)
            else:
                low = max(low, cut + 1)
        node = above
    return low, high


@part_of
def _splittable(tree: Array, node: int, counts: npt.NDArray[np.int64]) -> int:
    """Count the predictors that can split a node; 0 at the last depth."""
    if 2 * node + 2 >= NODES:
        return 0
    found = 0
    for k in range(counts.size):
        low, high = _span(tree, node, k, counts[k])
        found += high > low
    return found


@part_of
def _set_rule(
    tree: Array, node: int, counts: npt.NDArray[np.int64], rng: np.random.Generator
) -> None:
    """Draw the rule of a node from its prior: a predictor that can split it, a threshold left."""
    chosen = int(rng.random() * _splittable(tree, node, counts))
    for k in range(counts.size):
        low, high = _span(tree, node, k, counts[k])
        if high > low:
            if chosen == 0:
                tree[0, node] = k
                tree[1, node] = low + int(rng.random() * (high - low))
                return
            chosen -= 1


@part_of
def _chance(tree: Array, node: int, counts: npt.NDArray[np.int64]) -> float:
    """Prior probability that a node is split."""
    if _splittable(tree, node, counts) == 0:
        return 0.0
    return CHANCE * (1.0 + _depth(node)) ** (-DECLINE)


@part_of
def _log_evidence(count: float, total: float, variance: float, spread: float) -> float:
    """Log density of a leaf's rows with its number integrated out, up to what no move changes."""
    return 0.5 * (
        spread * total * total / (variance * (variance + count * spread))
        - np.log1p(count * spread / variance)
    )


@part_of
def _is_last(tree: Array, node: int) -> bool:
    """Whether a node is split into two leaves."""
    if tree[0, node] < 0.0 or 2 * node + 2 >= NODES:
        return False
    return tree[0, 2 * node + 1] == LEAF and tree[0, 2 * node + 2] == LEAF


@part_of
def _log_split(tree: Array, node: int, counts: npt.NDArray[np.int64]) -> float:
    """Log prior of a node split into two leaves, its rule apart, less that of a leaf."""
    chance = CHANCE * (1.0 + _depth(node)) ** (-DECLINE)
    below = np.log1p(-_chance(tree, 2 * node + 1, counts))
    below += np.log1p(-_chance(tree, 2 * node + 2, counts))
    return np.log(chance) - np.log1p(-chance) + below


@part_of
def _move(
    tree: Array,
    place: Places,
    codes: Codes,
    residual: Array,
    counts: npt.NDArray[np.int64],
    count: Array,
    total: Array,
    variance: float,
    spread: float,
    rng: np.random.Generator,
) -> None:
    """Change the rules of one tree once, or leave them; `count` and `total` of leaves follow.

    `residual` is what all trees leave, so that of this one stands in ``tree[1]`` of each leaf.
    """
    leaves, lasts = np.empty(NODES, dtype=np.int64), np.empty(NODES, dtype=np.int64)
    growable = last = 0
    for node in range(NODES):
        if tree[0, node] == LEAF and _splittable(tree, node, counts) > 0:
            leaves[growable] = node
            growable += 1
        elif _is_last(tree, node):
            lasts[last] = node
            last += 1
    which = rng.random()
    to_grow = GROW if last > 0 else 1.0
    if which < to_grow:
        if growable == 0:
            return
        node = leaves[int(rng.random() * growable)]
    else:
        node = lasts[int(rng.random() * last)]
    left, right = 2 * node + 1, 2 * node + 2

    if to_grow <= which < to_grow + PRUNE:
        both, sum_both = count[left] + count[right], total[left] + total[right]
        gain = _log_evidence(both, sum_both, variance, spread)
        gain -= _log_evidence(count[left], total[left], variance, spread)
        gain -= _log_evidence(count[right], total[right], variance, spread)
        gain -= _log_split(tree, node, counts)
        after = growable + 1
        after -= (_splittable(tree, left, counts) > 0) + (_splittable(tree, right, counts) > 0)
        gain += np.log((GROW if node > 0 else 1.0) / after) - np.log(PRUNE / last)
        if np.log(rng.random()) < gain:
            for i in range(place.size):
                if place[i] == left or place[i] == right:
                    # what this tree has taken away from the row is given back
                    residual[i] += tree[1, place[i]]
                    place[i] = node
            tree[0, node], tree[0, left], tree[0, right] = LEAF, ABSENT, ABSENT
            tree[1, node] = tree[1, left] = tree[1, right] = 0.0
            count[node], total[node] = both, sum_both
            count[left] = count[right] = total[left] = total[right] = 0.0
        return

    grows = which < to_grow
    was, at = tree[0, node], tree[1, node]
    # numbers of the leaves stay where they are until all are drawn, as rows have been summed
    if grows:
        before = _log_evidence(count[node], total[node], variance, spread)
    else:
        before = _log_evidence(count[left], total[left], variance, spread)
        before += _log_evidence(count[right], total[right], variance, spread)
        before += _log_split(tree, node, counts)
    number, number_left, number_right = at, tree[1, left], tree[1, right]
    _set_rule(tree, node, counts, rng)
    predictor, cut = int(tree[0, node]), tree[1, node]
    on_left, sum_left, on_right, sum_right = 0.0, 0.0, 0.0, 0.0
    for i in range(place.size):
        here = place[i]
        if here in (node, left, right):
            own = number
            if here == left:
                own = number_left
            elif here == right:
                own = number_right
            if codes[predictor, i] <= cut:
                on_left += 1.0
                sum_left += residual[i] + own
            else:
                on_right += 1.0
                sum_right += residual[i] + own
    gain = _log_evidence(on_left, sum_left, variance, spread) - before
    gain += _log_evidence(on_right, sum_right, variance, spread)
    if grows:
        tree[0, left], tree[0, right] = LEAF, LEAF
    gain += _log_split(tree, node, counts)
    if grows:
        lone = last + 1  # one more split into two leaves, unless the one above was such
        if node > 0 and tree[0, node + 1 if node % 2 == 1 else node - 1] == LEAF:
            lone -= 1
        gain += np.log(PRUNE / lone) - np.log(to_grow / growable)
    if np.log(rng.random()) >= gain:
        tree[0, node], tree[1, node] = was, at
        if grows:
            tree[0, left], tree[0, right] = ABSENT, ABSENT
        return
    if grows:
        count[node] = total[node] = 0.0
    count[left], total[left], count[right], total[right] = on_left, sum_left, on_right, sum_right
    for i in range(place.size):
        here = place[i]
        if here in (node, left, right):
            own = number
            if here == left:
                own = number_left
            elif here == right:
                own = number_right
            residual[i] += own
            place[i] = left if codes[predictor, i] <= cut else right
    tree[1, left] = tree[1, right] = 0.0


@numba.njit(cache=True, error_model="numpy", nogil=True)
def sweep(
    forest: Array,
    places: Places,
    codes: Codes,
    residual: Array,
    counts: npt.NDArray[np.int64],
    variance: float,
    spread: float,
    rng: np.random.Generator,
) -> None:
    """Move every tree once and draw its leaves.

    Parameters
    ----------
    forest
        (tree, 2, node); written to.
    places
        Leaf of each row in each tree, (tree, row); written to.
    codes
        Thresholds below each value, (predictor, row).
    residual
        What intercept, effects and all trees leave of each row, (row,); written to.
    counts
        Thresholds of each predictor, (predictor,).
    variance, spread
        Of the rows, and of the numbers of leaves.
    rng
        Of this chain.
    """
    count, total = np.empty(NODES), np.empty(NODES)
    for t in range(forest.shape[0]):
        tree, place = forest[t], places[t]
        count[:] = 0.0
        total[:] = 0.0
        for i in range(residual.size):
            count[place[i]] += 1.0
            total[place[i]] += residual[i] + tree[1, place[i]]
        _move(tree, place, codes, residual, counts, count, total, variance, spread, rng)
        change = np.zeros(NODES)
        for node in range(NODES):
            if tree[0, node] == LEAF:
                precision = count[node] / variance + 1.0 / spread
                new = total[node] / variance / precision + rng.standard_normal() / np.sqrt(
                    precision
                )
                change[node] = new - tree[1, node]
                tree[1, node] = new
        for i in range(residual.size):
            residual[i] -= change[place[i]]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def placed(forest: Array, codes: Codes) -> Places:
    """Leaf of each row in each tree, (tree, row)."""
    places = np.empty((forest.shape[0], codes.shape[1]), dtype=np.int8)
    for t in range(forest.shape[0]):
        for i in range(codes.shape[1]):
            node = 0
            while 2 * node + 2 < NODES and 0.0 <= forest[t, 0, node] < codes.shape[0]:
                right = codes[int(forest[t, 0, node]), i] > forest[t, 1, node]
                node = 2 * node + 1 + int(right)
            places[t, i] = node
    return places


@numba.njit(cache=True, error_model="numpy", nogil=True)
def fitted(forest: Array, places: Places) -> Array:
    """Sum of the trees in each row, (row,)."""
    out = np.zeros(places.shape[1])
    for t in range(places.shape[0]):
        for i in range(out.size):
            out[i] += forest[t, 1, places[t, i]]
    return out


@numba.njit(cache=True, error_model="numpy", nogil=True)
def leaves(forest: Array) -> tuple[int, float]:
    """Give the number of all leaves, and the sum of squares of what they hold."""
    count, squares = 0, 0.0
    for t in range(forest.shape[0]):
        for node in range(NODES):
            if forest[t, 0, node] == LEAF:
                count += 1
                squares += forest[t, 1, node] ** 2
    return count, squares


@numba.njit(cache=True, error_model="numpy", nogil=True)
def shift_levels(
    forest: Array,
    levels: Array,
    sign: float,
    mean: float,
    variance: float,
    spread: float,
    rng: np.random.Generator,
) -> None:
    """Move the level of each tree against intercept or cutpoints, the fit kept, exactly.

    A tree's leaves all go up by δ and the levels by ``sign`` δ; both have normal priors, so δ is
    normal. Without this the sum of the trees would drift against the intercept in small steps.

    Parameters
    ----------
    forest
        (tree, 2, node); written to.
    levels
        The intercept, or cutpoints, (level,); written to.
    sign
        −1 for an intercept, which is added to the trees; 1 for cutpoints.
    mean, variance
        Of the normal prior of each level.
    spread
        Variance of the numbers of leaves.
    rng
        Of this chain.
    """
    for t in range(forest.shape[0]):
        precision, slope = levels.size / variance, 0.0
        for k in range(levels.size):
            slope -= sign * (levels[k] - mean) / variance
        for node in range(NODES):
            if forest[t, 0, node] == LEAF:
                precision += 1.0 / spread
                slope -= forest[t, 1, node] / spread
        delta = slope / precision + rng.standard_normal() / np.sqrt(precision)
        for node in range(NODES):
            if forest[t, 0, node] == LEAF:
                forest[t, 1, node] += delta
        for k in range(levels.size):
            levels[k] += sign * delta


def draw_forest(grid: Grid, trees: int, rng: np.random.Generator) -> Array:
    """Draw trees from their prior, numbers of leaves with variance 1 / trees, (tree, 2, node).

    Written apart from the sampler, node by node as the prior says, so that one can be held
    against the other.
    """
    forest = stumps(trees)
    counts = grid.counts
    for tree in forest:
        for node in range(NODES):
            if tree[0, node] != LEAF:
                continue
            depth = int(np.log2(node + 1))
            left = [_left(tree, node, k, int(count)) for k, count in enumerate(counts)]
            usable = [k for k, each in enumerate(left) if len(each)]
            deep = depth == DEEPEST
            if not usable or deep or rng.random() >= CHANCE * (1.0 + depth) ** -DECLINE:
                tree[1, node] = rng.normal() / np.sqrt(trees)
                continue
            predictor = usable[rng.integers(len(usable))]
            tree[0, node], tree[1, node] = predictor, rng.choice(left[predictor])
            tree[0, [2 * node + 1, 2 * node + 2]] = LEAF
    return forest


def _left(tree: Array, node: int, predictor: int, count: int) -> npt.NDArray[np.int64]:
    """Thresholds of a predictor that rules above a node leave to it."""
    allowed = np.ones(count, dtype=bool)
    while node > 0:
        above, on_left = (node - 1) // 2, node % 2 == 1
        if tree[0, above] == predictor:
            cut = int(tree[1, above])
            allowed[cut if on_left else 0 : count if on_left else cut + 1] = False
        node = above
    return np.flatnonzero(allowed)
