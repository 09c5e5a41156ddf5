r"""Predictive mean matching on draws from the normal model.

Model
-----
The normal model of :mod:`bayesimpute.models.normal`, all its parameters drawn jointly; it only
ranks candidates, the imputed values are observed ones. Ordered categories enter by their codes.
Unordered categories get the scores that their predictors separate best: those of the first
canonical variate between categories and predictors on the observed rows, fixed for the whole
run, so that neither order nor names of the categories matter.

Draw
----
1. Draw the parameters of the normal model, cluster effects included.
2. Linear predictor of every observed and every missing row, with the same draw for both
   (type 2 matching of van Buuren 2018, §3.4.2, made proper by the posterior draw).
3. For each missing row, take the k observed rows with the nearest linear predictor, ties broken
   at random, and copy the value of one of them, chosen at random. k is exactly ``donors``
   (default 5; Morris, White & Royston 2014 found 3 to 10 to serve), above and below together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Self

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Adaptation, Array, Design, Kernel, Prediction, Visit, Words
from bayesimpute.models.normal import (
    Normal,
    NormalKernel,
    gaussian_posterior,
)
from bayesimpute.sampling.gaussian import GaussianPosterior
from bayesimpute.sampling.normal_rows import NormalDraws, log_normal_density
from bayesimpute.sampling.row_draws import Further, Moment, Positions, RowDraws, by_chain


class PMM:
    """Predictive mean matching for any kind of target.

    Options
    -------
    donors
        Size k of the donor pool (default 5).
    transitions, tune
        As for :class:`~bayesimpute.models.normal.Normal`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"popular": "pmm"}  # bi.impute(df, cluster="school", method=method)
    """

    words = Words(
        r"$y = $predictor + ε_$row \\ $effects \\ ε_$row \sim N(0, σ^2) \\ "
        r"\text{imputed: the value of one of the }$donors\text{ nearest donors}",
        "Predictive mean matching: a normal model with a mean that depends on {x} ranks the rows",
        "A missing value is copied from one of the {donors} observed rows whose "
        "predicted mean is nearest, so that only values that occur are imputed.",
        name="predictive mean matching ({donors} donors)",
    )
    kinds = frozenset(Kind)
    #: Donors are those with the nearest score, which has one slope for all categories.
    donors_by_score, one_slope = True, frozenset({Kind.ORDINAL, Kind.NOMINAL})
    #: Values come from donors: the density of others is not known.
    has_density = False
    #: Values are copied: they have no density.
    has_likelihood = False
    options: Mapping[str, Any] = MappingProxyType({"donors": 5, "transitions": 4, "tune": 300})

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the normal model of the (scored) target."""
        options = {**options, "heteroscedastic": False}
        return Normal().model(_scored(design, category_scores(design)), priors, options)

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Build the kernel.

        Raises
        ------
        SpecificationError
            If `donors` is not a positive whole number, or a prior does not integrate out.
        """
        donors = options["donors"]
        if not isinstance(donors, int) or donors < 1:
            raise SpecificationError(
                f"method of {design.target!r}: donors={donors!r} must be a whole number from 1."
            )
        scores = category_scores(design)
        posterior = gaussian_posterior(_scored(design, scores), priors, options)
        if posterior is None:
            raise SpecificationError(
                f"priors of {design.target!r}: 'pmm' takes normal priors on intercept and beta "
                "and an LKJ prior on correlation; for others use method 'normal'."
            )
        return PMMKernel(design, posterior, scores, options)


class PMMKernel(NormalKernel):
    """Visits of predictive mean matching."""

    has_density = False

    def __init__(
        self,
        design: Design,
        posterior: GaussianPosterior,
        scores: Array | None,
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(design, posterior, options)
        self._scores = scores

    def _modelled(self, design: Design) -> Design:
        """Give unordered categories their scores."""
        return _scored(design, self._scores)

    def visit(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
    ) -> Visit:
        """Draw parameters, then donors."""
        everyone = np.ones(len(design.y), dtype=bool)
        fitted = self._posterior.visit(
            self._seen(design),
            everyone,
            adaptation,
            state,
            first,
            self._options["transitions"],
            rng,
        )
        predicted = fitted.mean
        wanted = predicted[design.draw]
        if design.shift is not None:
            wanted = wanted + design.shift[design.draw]
        values = design.y[design.fit][
            nearest_donors(predicted[design.fit], wanted, self._options["donors"], rng)
        ]
        return Visit(fitted.state, values, fitted.parameters, fitted.statistics)

    def row_draws(self, moment: Moment) -> RowDraws:
        """Give the model of new rows, whose donors are the rows fitted to."""
        design = moment.design
        scored = self._seen(design)
        fitted = self._posterior.visit(
            scored, design.fit, moment.adaptation, moment.state, False, 0, moment.rng
        )
        ranking = NormalDraws.of(self._posterior.units, fitted)
        donors = Donors.of(fitted.mean, design.y[design.fit])
        return PMMDraws(ranking, (donors,), self._options["donors"])

    def predict(
        self,
        design: Design,
        adaptation: Adaptation,
        state: Array,
        rng: np.random.Generator,
        first: bool,
        by_cluster: bool = False,
    ) -> Prediction:
        """Draw parameters, then for each row fitted to a donor that is another row.

        What the parameters learn from a row is its normal density; a donated value has none.
        """
        scored = self._seen(design)
        fitted = self._posterior.visit(
            scored, design.fit, adaptation, state, first, self._options["transitions"], rng
        )
        mean = fitted.mean
        donors = nearest_others(mean, self._options["donors"], rng)
        return Prediction(
            fitted.state,
            design.y[design.fit][donors],
            fitted.parameters,
            learnt=log_normal_density(scored.y[design.fit], mean, fitted.sd),
            statistics=fitted.statistics,
        )


@dataclass(frozen=True, eq=False)
class Donors:
    """Rows that values are copied from, in the order of their linear predictors.

    Attributes
    ----------
    predicted, values
        Linear predictor and value of each, (donor,).
    tolerance
        Linear predictors nearer to each other than this are equal.
    """

    predicted: Array
    values: Array
    tolerance: float

    @classmethod
    def of(cls, predicted: Array, values: Array) -> Self:
        """Put rows in order."""
        order = np.argsort(predicted, kind="stable")
        return cls(predicted[order], values[order], tolerance_of(predicted))

    def nearest(self, wanted: Array, k: int, rng: np.random.Generator) -> Array:
        """Value of one of the k nearest donors of each wanted value, (row,)."""
        k = min(k, len(self.predicted))
        tie_break = rng.random((len(wanted), 2 * k))
        place = rng.integers(0, k, size=len(wanted))
        member = rng.random(len(wanted))
        drawn = _drawn(self.predicted, wanted, self.tolerance, tie_break, place, member)
        return np.asarray(self.values[drawn])


@dataclass(frozen=True, eq=False)
class PMMDraws:
    """Matching of new rows with those fitted to, as all chains have left it.

    Attributes
    ----------
    ranking
        The normal model that ranks rows.
    donors
        Of each chain.
    pool
        Size of the donor pool.
    """

    ranking: NormalDraws
    donors: tuple[Donors, ...]
    pool: int

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        ranking = self.ranking.beside([each.ranking for each in others])
        donors = tuple(donors for each in (self, *others) for donors in each.donors)
        return replace(self, ranking=ranking, donors=donors)

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose clusters; new ones come from the population."""
        return replace(self, ranking=self.ranking.of_clusters(clusters, rng, further))

    @property
    def factor(self) -> Array:
        """Factor of the covariance of a cluster's effects, (chain, effect, effect)."""
        return self.ranking.factor

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Copy the value of a donor to each wanted row."""
        rows = design.rows(design.draw)
        wanted, _ = self.ranking.mean_and_sd(rows)
        if rows.shift is not None:
            wanted = wanted + rows.shift
        return by_chain(
            self.ranking.chain(rows),
            len(self.donors),
            lambda k, where: self.donors[k].nearest(wanted[where], self.pool, rng),
        )


def tolerance_of(predicted: Array) -> float:
    """Distance below which linear predictors are equal.

    Far from 0 it is what numbers of that size are rounded by: in proportion to the size, as to the
    range, all of a variable such as 1e10 + x would be equal, and donors any rows.
    """
    rounding = 1e-14 * float(np.abs(predicted).max())
    return max(1e-10 * float(np.ptp(predicted)), rounding, 1e-300)


def nearest_others(predicted: Array, k: int, rng: np.random.Generator) -> np.ndarray:
    """For each of the rows, one of the k others predicted nearest, drawn uniformly, ties at random.

    Parameters
    ----------
    predicted
        Linear predictors of the rows, which are each other's donors, (row,).
    k
        Size of the donor pool; with fewer others than k, all are in it.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        Position of the chosen donor, (row,); never the row itself.
    """
    n = len(predicted)
    k = min(k, n - 1)
    tolerance = tolerance_of(predicted)
    order = np.argsort(predicted, kind="stable")
    group = np.empty(n, dtype=np.int64)
    group[order] = np.cumsum(np.append(0, np.diff(predicted[order]) > tolerance))
    # rows predicted alike stand in random order, so those nearest to the edge are any of them
    order = np.lexsort((rng.random(n), group))
    level = predicted[order]
    first = np.flatnonzero(np.append(True, np.diff(group[order]) > 0))
    level = np.repeat(level[first], np.diff(np.append(first, n)))
    reach = np.concatenate([np.arange(-k, 0), np.arange(1, k + 1)])
    at = np.arange(n)[:, None] + reach
    inside = (at >= 0) & (at < n)
    at = np.clip(at, 0, n - 1)
    distance = np.where(inside, np.round(np.abs(level[at] - level[:, None]) / tolerance), np.inf)
    ranked = np.lexsort((rng.random(distance.shape), distance), axis=1)
    place = ranked[np.arange(n), rng.integers(0, k, size=n)]
    chosen = np.empty(n, dtype=np.int64)
    chosen[order] = order[at[np.arange(n), place]]
    return chosen


def nearest_donors(donors: Array, wanted: Array, k: int, rng: np.random.Generator) -> np.ndarray:
    """For each wanted value, one of its k nearest donors, drawn uniformly, ties at random.

    Parameters
    ----------
    donors
        Linear predictors of the donors, (donor,).
    wanted
        Linear predictors of the rows to impute, (row,).
    k
        Size of the donor pool; with fewer donors than k, all are in it.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        Position of the chosen donor, (row,).

    Notes
    -----
    Equally predicted donors (rows of a cluster that share their predictors) are grouped first.
    The k-th nearest group is only partly in the pool; as its members are exchangeable, a draw
    from the pool is: a group by its number of places in the pool, then any member of the group.
    """
    nearest = Donors.of(donors, np.arange(len(donors), dtype=np.float64))
    return nearest.nearest(wanted, k, rng).astype(np.int64)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _drawn(
    donors: Array,
    wanted: Array,
    tolerance: float,
    tie_break: Array,
    place: npt.NDArray[np.int64],
    member: Array,
) -> npt.NDArray[np.int64]:
    """Positions among donors in ascending order, from uniform numbers of each wanted row.

    `place` is the place in the pool, `member` that in its group, `tie_break` decides between
    groups equally far on both sides: (row, 2k), the k groups below before those above.
    """
    first, groups = np.empty(donors.size + 1, dtype=np.int64), 0
    for i in range(donors.size):
        if i == 0 or donors[i] - donors[i - 1] > tolerance:
            first[groups] = i
            groups += 1
    first[groups] = donors.size
    level = np.empty(groups)
    for k in range(groups):
        level[k] = donors[first[k]]
    out = np.empty(wanted.size, dtype=np.int64)
    for i in range(wanted.size):
        above, end = 0, groups
        while above < end:
            middle = (above + end) // 2
            if level[middle] < wanted[i]:
                above = middle + 1
            else:
                end = middle
        below, start = above - 1, above - tie_break.shape[1] // 2
        chosen, pool = 0, 0
        while pool <= place[i]:  # from the nearest group outwards
            to_below = to_above = np.inf
            if below >= 0:
                to_below = np.rint((wanted[i] - level[below]) / tolerance)
            if above < groups:
                to_above = np.rint((level[above] - wanted[i]) / tolerance)
            lower = to_below < to_above
            if to_below == to_above and below >= 0:
                lower = above == groups or tie_break[i, below - start] < tie_break[i, above - start]
            if lower:
                chosen = below
                below -= 1
            else:
                chosen = above
                above += 1
            pool += first[chosen + 1] - first[chosen]
        size = first[chosen + 1] - first[chosen]
        out[i] = first[chosen] + int(member[i] * size)
    return out


def category_scores(design: Design) -> Array | None:
    """Numbers that stand for unordered categories, (category,); None for other kinds.

    First canonical variate between indicator columns and predictors on the `fit` rows (optimal
    scaling; Gifi 1990, ch. 6). Categories never observed get the mean score 0.
    """
    if design.kind is not Kind.NOMINAL:
        return None
    n = len(design.categories)
    observed = design.y[design.fit].astype(np.int64)
    # worked out in order of first appearance, so that reordered categories give the same bits
    appearance = np.array(list(dict.fromkeys(observed.tolist())))
    rank = np.zeros(n, dtype=np.int64)
    rank[appearance] = np.arange(len(appearance))
    codes = rank[observed]
    count = np.bincount(codes).astype(float)
    out = np.zeros(n)
    if not design.predictors:
        out[appearance] = np.arange(len(appearance))
        return out
    x = design.x[design.fit]
    x = x - x.mean(axis=0)
    basis, size, _ = np.linalg.svd(x, full_matrices=False)
    basis = basis[:, size > 1e-10 * size.max(initial=1e-300)]
    means = np.zeros((len(count), basis.shape[1]))
    np.add.at(means, codes, basis)
    scores = np.linalg.svd(means / np.sqrt(count)[:, None], full_matrices=False)[0][:, 0]
    # the sign is free; let the most frequent category have a positive score
    sign = 1.0 if scores[count.argmax()] >= 0 else -1.0
    out[appearance] = sign * scores * np.sqrt(count.sum() / count)
    return out


def _scored(design: Design, scores: Array | None) -> Design:
    if scores is None:
        return design
    y = np.zeros_like(design.y)
    y[design.fit] = scores[design.y[design.fit].astype(np.int64)]
    return replace(design, y=y)
