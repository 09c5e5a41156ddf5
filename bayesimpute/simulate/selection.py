"""Clusters whose outcome is seen because of what it is: the published simulation's design."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayesimpute.arguments import Correlation, Count, Seed, Share, checked
from bayesimpute.errors import DataError
from bayesimpute.simulate.popularity import SimulatedStudy

ERRORS = ("normal", "skewed t")

#: Coefficients of the outcome, as the pooled analysis names them.
COEFFICIENTS: Mapping[str, float] = {"(Intercept)": 0.3, "x1": 1.0, "x2": 1.0}

#: Intercept, x1, x2 and x3 of the selection equation.
SELECTION = (-0.8, 1.3, -0.7, 1.2)


@checked
def simulate_selection(
    seed: Seed,
    clusters: Count = 10,
    rows: Count = 1000,
    rho: Correlation = 0.6,
    binary: bool = False,
    errors: str = "normal",
    self_masking: bool = False,
    systematic: Share = 0.2,
) -> SimulatedStudy:
    """Make clustered data missing not at random, as Muñoz et al. (2023, §4) did.

    y = (0.3 + a) + (1 + b1) x1 + (1 + b2) x2 + e, seen where
    (−0.8 + a') + (1.3 + b1') x1 + (−0.7 + b2') x2 + (1.2 + b3') x3 + u > 0. Each pair (a, a'),
    (b1, b1'), (b2, b2') has variances 0.4 and correlation 0.4 ρ, b3' has variance 0.2. The errors
    (e, u) have correlation ρ; u has SD 1, e has the SD exp(N(0, 0.05²)) of its cluster.

    Parameters
    ----------
    seed
        Whole number; the same seed gives the same study.
    clusters, rows
        Number of clusters, and of rows in each.
    rho
        Correlation of the errors, between −1 and 1.
    binary
        Whether the outcome is 1 where y > 0, else 0.
    errors
        ``"normal"``, or ``"skewed t"``: shape (2, −6), 4 degrees of freedom, and 0.29 added to the
        selection's linear predictor (Azzalini & Capitanio 2003).
    self_masking
        Whether y is seen with probability logit⁻¹(−0.96 + y) instead, nothing else mattering.
    systematic
        Share of the clusters (the first ones) in which y is never seen.

    Returns
    -------
    SimulatedStudy
        With columns ``cluster``, ``y``, ``x1``, ``x2``, ``x3``.

    Raises
    ------
    DataError
        If these numbers cannot be met.

    Examples
    --------
    >>> study = simulate_selection(seed=1, rows=100)
    >>> study.incomplete.shape, bool(study.incomplete["y"].isna().any())
    ((1000, 5), True)
    """
    if clusters < 2 or rows < 1:
        raise DataError(
            f"clusters={clusters}, rows={rows}: at least two clusters with a row each are needed."
        )
    if abs(rho) == 1:
        raise DataError(f"rho={rho} must be between −1 and 1, both excluded.")
    if errors not in ERRORS:
        raise DataError(f"errors={errors!r} must be one of {', '.join(map(repr, ERRORS))}.")
    if systematic == 1:
        raise DataError(f"systematic={systematic} must be a share, from 0 to below 1.")
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), rows)
    n = len(cluster)
    means = rng.multivariate_normal([0, 0], [[0.2, 0.0015], [0.0015, 0.2]], clusters)[cluster]
    x1 = (rng.random(n) < 0.6).astype(float)
    x2 = means[:, 0] + rng.normal(size=n)
    x3 = means[:, 1] + 0.7 * rng.normal(size=n)

    pair = 0.4 * np.array([[1, 0.4 * rho], [0.4 * rho, 1]])
    effects = np.array([rng.multivariate_normal([0, 0], pair, clusters) for _ in range(3)])
    outcome, selection = effects[:, cluster, 0], effects[:, cluster, 1]
    slope = rng.normal(0, 0.2**0.5, clusters)[cluster]
    spread = np.exp(rng.normal(0, 0.05, clusters))[cluster]

    e, u = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n).T
    added = 0.0
    if errors == "skewed t":
        # skew-normal by hiding (Azzalini & Capitanio 2003), then divided by a χ
        correlation = np.array([[1, rho], [rho, 1]])
        shape = np.array([2.0, -6.0])
        delta = correlation @ shape / np.sqrt(1 + shape @ correlation @ shape)
        full = np.block([[np.ones((1, 1)), delta[None]], [delta[:, None], correlation]])
        drawn = rng.multivariate_normal(np.zeros(3), full, n)
        drawn = np.where(drawn[:, :1] > 0, drawn[:, 1:], -drawn[:, 1:])
        e, u = (drawn / np.sqrt(rng.chisquare(4, n) / 4)[:, None]).T
        added = 0.29
    y = 0.3 + outcome[0] + (1 + outcome[1]) * x1 + (1 + outcome[2]) * x2 + spread * e
    base, by_x1, by_x2, by_x3 = SELECTION
    latent = base + selection[0] + (by_x1 + selection[1]) * x1 + (by_x2 + selection[2]) * x2
    seen = latent + (by_x3 + slope) * x3 + u + added > 0
    if self_masking:
        seen = rng.random(n) < 1 / (1 + np.exp(0.96 - y))
    seen &= cluster >= round(systematic * clusters)
    if binary:
        y = (y > 0).astype(float)
    complete = pd.DataFrame({"cluster": cluster, "y": y, "x1": x1, "x2": x2, "x3": x3})
    return SimulatedStudy(complete.assign(y=np.where(seen, y, np.nan)), complete, COEFFICIENTS)
