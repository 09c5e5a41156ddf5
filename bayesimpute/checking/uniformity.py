"""Are ranks uniform? A χ² test, and the ECDF with simultaneous bands.

A rank among L draws is one of L + 1 numbers. Under uniformity the number of N ranks below k is
binomial with probability k / (L + 1). The band of Säilynoja, Bürkner & Vehtari (2022) takes the
same pointwise probability at every k, and the one with which all of the ECDF stays inside as often
as wanted; that is found here by simulating N uniform ranks many times, exact for discrete ranks.
The same simulation gives a p-value: how often uniform ranks leave a wider band than these do.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bayesimpute.arrays import Array

SIMULATIONS = 40_000

Ranks = npt.NDArray[np.int64]


def chi2_p(ranks: Ranks, draws: int) -> float:
    """p-value of a χ² test with at least five expected ranks a bin, (replicate,) ranks."""
    from scipy import stats

    bins = max(2, min(len(ranks) // 5, 16 if len(ranks) >= 400 else 8, draws + 1))
    expected = np.bincount(np.arange(draws + 1) * bins // (draws + 1), minlength=bins)
    count = np.bincount(ranks * bins // (draws + 1), minlength=bins)
    return float(stats.chisquare(count, expected * len(ranks) / (draws + 1)).pvalue)


def ecdf_p(ranks: Ranks, draws: int) -> float:
    """p-value of the ECDF's largest departure, in pointwise probability, from uniform."""
    tails = _tails(len(ranks), draws)
    departure = tails[_counts_below(ranks, draws), np.arange(draws)].min()
    null = _null(len(ranks), draws)
    return float((1 + np.searchsorted(null, departure * (1 + 1e-9))) / (1 + len(null)))


def band(replicates: int, draws: int, level: float) -> tuple[Array, Array]:
    """Lower and upper end of the ECDF at 1 … L draws, which uniform ranks leave so rarely."""
    tails = _tails(replicates, draws)
    null = _null(replicates, draws)
    inside = tails >= null[int(level * len(null))] * (1 - 1e-9)
    lower = inside.argmax(axis=0)
    upper = replicates - inside[::-1].argmax(axis=0)
    return lower / replicates, upper / replicates


def ecdf(ranks: Ranks, draws: int) -> Array:
    """Share of ranks below 1 … L, (draw,)."""
    return np.asarray(_counts_below(ranks, draws) / len(ranks))


def expected(draws: int) -> Array:
    """Give the same share for uniform ranks, (draw,)."""
    return np.arange(1, draws + 1) / (draws + 1)


def _counts_below(ranks: Ranks, draws: int) -> npt.NDArray[np.int64]:
    return np.cumsum(np.bincount(ranks, minlength=draws + 1))[:-1]


@lru_cache(maxsize=16)
def _tails(replicates: int, draws: int) -> Array:
    """Two-sided binomial probability of each count or a rarer one, (count, draw)."""
    from scipy import stats

    count = np.arange(replicates + 1)[:, None]
    share = expected(draws)
    below = stats.binom.cdf(count, replicates, share)
    above = stats.binom.sf(count - 1, replicates, share)
    return np.minimum(1.0, 2 * np.minimum(below, above))


@lru_cache(maxsize=16)
def _null(replicates: int, draws: int) -> Array:
    """Smallest pointwise probability of simulated uniform ranks, sorted, (simulation,)."""
    rng = np.random.default_rng(2022)
    share = np.full(draws + 1, 1 / (draws + 1))
    tails = _tails(replicates, draws)
    smallest = [
        tails[
            np.cumsum(rng.multinomial(replicates, share, size=1000), axis=1)[:, :-1],
            np.arange(draws),
        ].min(axis=1)
        for _ in range(SIMULATIONS // 1000)
    ]
    return np.sort(np.concatenate(smallest))
