"""Simulated studies with a known truth, whose values are seen because of what they are."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from bayesimpute.arguments import Correlation, Count, Seed, Share, checked
from bayesimpute.arrays import Array
from bayesimpute.errors import DataError
from bayesimpute.simulate.studies import SimulatedStudy, labelled, linear, sizes, with_gaps

# Near what :mod:`bayesimpute.models.heckman` gives for the obesity data of the R package micemd.

#: Coefficients of weight in kg, as an analysis names them.
WEIGHT: Mapping[str, float] = MappingProxyType(
    {"(Intercept)": -11.0, "GenderMale": -2.4, "Height": 53.0, "FamObyes": 0.7, "Age": 0.27}
)

#: Coefficients of the selection equation, a probit.
WEIGHT_SEEN: Mapping[str, float] = MappingProxyType(
    {"(Intercept)": -5.4, "GenderMale": -0.64, "Height": 4.25, "FamObyes": -0.41, "Age": 0.007,
     "Time": -0.18}
)  # fmt: skip

AGE = 25  # years: where the effects of a region's intercept and slope are independent
SD_WEIGHT = (11.0, 0.2)  # between regions: of the intercept in kg at that age, of the age slope
SD_SELECTION = (0.4, 0.015)
SIGMA = 15.0  # kg
SD_LOG_SIGMA = 0.05

HEIGHT = {"Female": (1.70, 0.087), "Male": (1.71, 0.088)}  # metres: mean and SD
FAMILY = 0.83  # share with obesity in the family
REGION_WITHOUT = 3

#: Who does not give the weight often skips further questions: log-odds in women and men, and what.
SKIPPING = (-1.0, 0.2)
SKIPPED: Mapping[tuple[str, ...], float] = MappingProxyType(
    {
        ("Age",): 0.34,
        ("FamOb",): 0.30,
        ("FamOb", "Age"): 0.23,
        ("Height", "FamOb", "Age"): 0.13,
    }
)


@checked
def simulate_obesity(
    seed: Seed, regions: Count = 5, people: Count = 2111, rho: Correlation = -0.6
) -> SimulatedStudy:
    """Survey on weight, missing not at random, near the obesity data of the R package micemd.

    Weight follows the selection model of method ``heckman``
    (:mod:`bayesimpute.models.heckman`). For person i of region j, with Age₂₅ = Age − 25::

        Weight = −11 − 2.4 Male + 53 Height + 0.7 FamOb + 0.27 Age + b0 + b1 Age₂₅ + σ_j e
        seen if −5.4 − 0.64 Male + 4.25 Height − 0.41 FamOb + 0.007 Age − 0.18 Time
                + a0 + a1 Age₂₅ + u > 0

    (e, u) is normal with SDs 1 and correlation ρ; b0, b1, a0, a1 are independent and normal with
    SDs 11, 0.2, 0.4, 0.015; log σ_j ~ N(log 15, 0.05²). Time is in the selection only, an
    exclusion restriction. Nobody in region 3 has a weight that is seen. Of those whose weight is
    not, more men than women skip further questions: Age, FamOb, both, or both and Height; given
    gender and that, it depends on nothing.

    Parameters
    ----------
    seed
        Whole number; the same seed gives the same study.
    regions
        Number of clusters, at least 3: region 3 has no weights.
    people
        Number of rows, at least 2 a region on average; no region has fewer. Default as in the
        obesity data.
    rho
        Correlation ρ of the errors, between −1 and 1. Below 0, people who are heavier than others
        like them answer less. Default −0.6: the obesity data say −0.4, with a posterior SD of 0.2.

    Returns
    -------
    SimulatedStudy
        With columns ``Cluster`` (region, from 1), ``Time`` (minutes), ``Gender`` (Female, Male),
        ``Height`` (m), ``FamOb`` (no, yes), ``Age`` (whole years), ``Weight`` (kg) and ``BMI`` =
        Weight / Height², missing where one of them is. ``truth`` is about Weight:

        - ``"(Intercept)"``, ``"GenderMale"``, ``"Height"``, ``"FamObyes"``, ``"Age"`` and
          ``"Intercept~~Intercept|Cluster"``, ``"Intercept~~Age|Cluster"``, ``"Age~~Age|Cluster"``,
          ``"Residual~~Residual"`` (the mean of σ_j²), as the analysis
          ``Weight ~ Gender + Height + FamOb + Age + (1 + Age | Cluster)`` names them;
        - ``"rho"`` and ``"sigma"`` (the median of σ_j), as the method names them;
        - ``"mean unseen Weight[1]"``, …: by region, the mean of the true weights that are missing,
          of this very study; not for a region without any.

        BMI is a ratio, and the coefficients of ``BMI ~ Age + FamOb + Gender + (1 + Age | Cluster)``
        have no closed form: compare with the fit to ``complete``. They have names in common with
        those of Weight, so :func:`bayesimpute.simulate.replicate` needs ``truth={}``, and its
        ``performance`` the ``control="complete data"``.

    Raises
    ------
    DataError
        If these numbers cannot be met.

    References
    ----------
    Muñoz, J., Efthimiou, O., Audigier, V., de Jong, V. M. T. & Debray, T. P. A. (2023). Multiple
    imputation of incomplete multilevel data using Heckman selection models. Statistics in Medicine,
    doi:10.1002/sim.9965.

    Examples
    --------
    >>> study = simulate_obesity(seed=1)
    >>> study.incomplete.shape, round(study.truth["rho"], 1)
    ((2111, 8), -0.6)
    >>> seen = study.incomplete.groupby("Cluster")["Weight"].count()
    >>> seen[seen == 0].index.tolist()
    [3]
    """
    if regions < REGION_WITHOUT or people < 2 * regions:
        raise DataError(
            f"{people} people in {regions} regions cannot be simulated: give at least "
            f"{REGION_WITHOUT} regions, because the third has no weights, and 2 people in each."
        )
    if abs(rho) == 1:
        raise DataError(f"rho={rho!r} must be a number between −1 and 1, both excluded.")
    rng = np.random.default_rng(seed)
    region = np.repeat(np.arange(regions), sizes(rng, regions, people, 2, 60.0))
    male = rng.integers(0, 2, people)
    mean, sd = np.array(list(HEIGHT.values()))[male].T
    complete = pd.DataFrame(
        {
            "Cluster": region + 1,
            "Time": 1 + 9 * rng.beta(1.8, 2.05, people),
            "Gender": labelled(male, list(HEIGHT)),
            "Height": rng.normal(mean, sd),
            "FamOb": labelled(rng.random(people) < FAMILY, ["no", "yes"]),
            "Age": (14.4 + 33.5 * rng.beta(2.1, 4.4, people)).astype(np.int64),
        }
    )

    def between(sds: tuple[float, float]) -> Array:
        intercept, slope = (rng.normal(0, sd, regions)[region] for sd in sds)
        return np.asarray(intercept + slope * (complete["Age"] - AGE))

    weight, selection = linear(complete, WEIGHT), linear(complete, WEIGHT_SEEN)
    weight, selection = weight + between(SD_WEIGHT), selection + between(SD_SELECTION)
    sigma = SIGMA * np.exp(rng.normal(0, SD_LOG_SIGMA, regions))[region]
    u = rng.normal(size=people)
    e = rho * u + (1 - rho**2) ** 0.5 * rng.normal(size=people)
    complete["Weight"] = weight + sigma * e
    complete["BMI"] = complete["Weight"] / complete["Height"] ** 2
    unseen = (selection + u <= 0) | (complete["Cluster"] == REGION_WITHOUT).to_numpy()
    log_odds = np.where(complete["Gender"] == "Male", SKIPPING[1], SKIPPING[0])
    skips = unseen & (rng.random(people) < 1 / (1 + np.exp(-log_odds)))
    pattern = rng.choice(len(SKIPPED), size=people, p=list(SKIPPED.values()))
    gone = {"Weight": unseen}
    for name in ("Height", "FamOb", "Age"):
        holding = [k for k, names in enumerate(SKIPPED) if name in names]
        gone[name] = skips & np.isin(pattern, holding)
    gone["BMI"] = gone["Weight"] | gone["Height"]
    means = complete["Weight"][unseen].groupby(complete["Cluster"]).mean()
    intercept, slope = (sd**2 for sd in SD_WEIGHT)
    truth = {
        **WEIGHT,
        # the variances are those of effects at age 0, as an analysis has them
        "Intercept~~Intercept|Cluster": intercept + AGE**2 * slope,
        "Intercept~~Age|Cluster": -AGE * slope,
        "Age~~Age|Cluster": slope,
        "Residual~~Residual": SIGMA**2 * float(np.exp(2 * SD_LOG_SIGMA**2)),
        "rho": float(rho),
        "sigma": SIGMA,
        **{f"mean unseen Weight[{k}]": float(mean) for k, mean in means.items()},
    }
    return SimulatedStudy(with_gaps(complete, gone), complete, truth)


ERRORS = ("normal", "skewed t")

#: Coefficients of the outcome, as the pooled analysis names them.
OUTCOME: Mapping[str, float] = {"(Intercept)": 0.3, "x1": 1.0, "x2": 1.0}

#: Intercept, x1, x2 and x3 of the selection equation.
OUTCOME_SEEN = (-0.8, 1.3, -0.7, 1.2)


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
    without = round(systematic * clusters)
    if without == clusters:
        raise DataError(
            f"systematic={systematic} of {clusters} clusters are all of them: y would never be "
            "seen; give a smaller share."
        )
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
    base, by_x1, by_x2, by_x3 = OUTCOME_SEEN
    latent = base + selection[0] + (by_x1 + selection[1]) * x1 + (by_x2 + selection[2]) * x2
    seen = latent + (by_x3 + slope) * x3 + u + added > 0
    if self_masking:
        seen = rng.random(n) < 1 / (1 + np.exp(0.96 - y))
    seen &= cluster >= without
    if binary:
        y = (y > 0).astype(float)
    complete = pd.DataFrame({"cluster": cluster, "y": y, "x1": x1, "x2": x2, "x3": x3})
    return SimulatedStudy(complete.assign(y=np.where(seen, y, np.nan)), complete, OUTCOME)
