"""A study like the popularity data, with a known truth, to see what imputation recovers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import Count, Seed, Share, checked
from bayesimpute.errors import DataError

# Near what the complete popularity data of Hox give, so that simulated and real study compare.
TRUTH: Mapping[str, float] = {
    "(Intercept)": 3.56,
    "texp": 0.093,
    "sex": 0.845,
    "Intercept~~Intercept|school": 0.486,
    "Residual~~Residual": 0.460,
    "ICC|school": 0.486 / (0.486 + 0.460),
}

RATING_NOISE = 0.7  # residual SD of the teacher's rating; its correlation with `popular` is 0.85
SELECTION = {"teachpop": -1.6, "sex": -0.8}  # log-odds of being missing, per SD and for girls


@dataclass(frozen=True, eq=False)
class SimulatedStudy:
    """Simulated data, before and after values went missing.

    Attributes
    ----------
    incomplete
        school, popular (with gaps), sex, texp, teachpop; one row a pupil.
    complete
        The same without gaps.
    truth
        Parameters the data were drawn with, named as the pooled analysis names them.
    """

    incomplete: pd.DataFrame
    complete: pd.DataFrame
    truth: Mapping[str, float]

    def _repr_html_(self) -> str:
        rows, columns = self.incomplete.shape
        gone = int(self.incomplete.isna().to_numpy().sum())
        heading = f"Simulated study: {rows:,} rows × {columns} columns, {gone:,} cells missing"
        truth = html.table(["parameter", "truth"], self.truth.items(), (1,))
        return html.plain(heading, truth, html.frame(self.incomplete.head()))


@checked
def simulate_popularity(
    seed: Seed, schools: Count = 100, pupils: Count = 2000, missing: Share = 0.42
) -> SimulatedStudy:
    """Pupils in schools whose popularity is missing at random, and not completely at random.

    popular = 3.56 + 0.093 texp + 0.845 sex + u_school + e, with u ~ N(0, 0.486), e ~ N(0, 0.460);
    the teacher's rating is teachpop = popular + N(0, 0.7²). The lower the rating, and in boys, the
    more often popular is missing, so that complete cases overstate it: the rating and sex are
    observed, so an imputation model that uses them is right.

    Parameters
    ----------
    seed
        Whole number; the same seed gives the same study.
    schools, pupils
        Numbers of clusters and rows, at least 2 pupils a school on average.
    missing
        Expected share of missing values, between 0 and 1. Default 0.42, as in the popularity data
        of the mice package.

    Returns
    -------
    SimulatedStudy

    Raises
    ------
    DataError
        If these numbers cannot be met.

    Examples
    --------
    >>> study = simulate_popularity(seed=1)
    >>> study.incomplete.shape, round(float(study.incomplete["popular"].isna().mean()), 1)
    ((2000, 5), 0.4)
    """
    if schools < 2 or pupils < 2 * schools:
        raise DataError(
            f"A study of {schools} schools and {pupils} pupils cannot be simulated: "
            "give at least 2 schools and 2 pupils in each."
        )
    if not 0 < missing < 1:
        raise DataError(f"missing={missing} is no share: give a number between 0 and 1.")
    rng = np.random.default_rng(seed)
    complete = _pupils(rng, schools, pupils)
    incomplete = complete.copy()
    gone = rng.random(pupils) < _probability_missing(complete, missing)
    incomplete.loc[gone, "popular"] = np.nan
    return SimulatedStudy(incomplete, complete, dict(TRUTH))


def _pupils(rng: np.random.Generator, schools: int, pupils: int) -> pd.DataFrame:
    share = rng.dirichlet(np.full(schools, 20.0))
    sizes = 2 + rng.multinomial(pupils - 2 * schools, share)
    school = np.repeat(np.arange(schools), sizes)
    texp = rng.integers(2, 26, schools)[school]
    sex = rng.integers(0, 2, pupils)
    u = rng.normal(0, np.sqrt(TRUTH["Intercept~~Intercept|school"]), schools)[school]
    e = rng.normal(0, np.sqrt(TRUTH["Residual~~Residual"]), pupils)
    popular = TRUTH["(Intercept)"] + TRUTH["texp"] * texp + TRUTH["sex"] * sex + u + e
    teachpop = popular + rng.normal(0, RATING_NOISE, pupils)
    return pd.DataFrame(
        {
            "school": school + 1,
            "popular": popular,
            "sex": sex,
            "texp": texp,
            "teachpop": teachpop,
        }
    )


def _probability_missing(complete: pd.DataFrame, share: float) -> np.ndarray:
    """Logistic in rating and sex, its intercept set by bisection so that the mean is `share`."""
    rating = (complete["teachpop"] - complete["teachpop"].mean()) / complete["teachpop"].std()
    slope = (SELECTION["teachpop"] * rating + SELECTION["sex"] * complete["sex"]).to_numpy()
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _logistic(middle + slope).mean() < share else (low, middle)
    return _logistic(low + slope)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
