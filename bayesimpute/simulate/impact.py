"""Patients of several studies of traumatic brain injury, with known log-odds of death."""

from collections.abc import Mapping
from numbers import Real
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute.arguments import Count, CountOrNone, Seed, checked
from bayesimpute.arrays import Array
from bayesimpute.errors import DataError
from bayesimpute.simulate.ampute_chances import chances_on_curve
from bayesimpute.simulate.ampute_patterns import standardised
from bayesimpute.simulate.popularity import SimulatedStudy
from bayesimpute.wording import did_you_mean, listed

Codes = npt.NDArray[np.int64]

COLUMNS = (
    "name", "type", "age", "motor_score", "pupil", "ct", "hypox", "hypots", "tsah", "edh", "mort",
)  # fmt: skip

#: Log-odds of death and their variance between studies, as the pooled analysis names them: the
#: published analysis of IMPACT, rounded.
MORTALITY: Mapping[str, float] = MappingProxyType(
    {
        "(Intercept)": -2.26,
        "typeRCT": -0.35,
        "age": 0.032,
        "motor_score3": -0.58,
        "motor_score4": -0.89,
        "motor_score5/6": -1.27,
        "pupilNone": 1.31,
        "pupilOne": 0.66,
        "ctIII": 0.78,
        "ctIV/V": 0.79,
        "Intercept~~Intercept|name": 0.083,
    }
)

#: Share of missing values by variable, as in the IMPACT data.
SHARES: Mapping[str, float] = MappingProxyType(
    {"pupil": 0.107, "ct": 0.237, "hypox": 0.230, "hypots": 0.119, "tsah": 0.183, "edh": 0.199}
)

#: Log-odds of a missing value: per SD of age, for those who died, and both; SD between studies.
SELECTION: Mapping[str, float] = MappingProxyType(
    {"age": -0.2, "mort": 0.2, "age:mort": 0.5, "sd": 1.5}
)

# Everything below is near fits to the observed part of the IMPACT data with study effects.

OBSERVATIONAL = 4 / 15  # share of studies that are no trial
AGES = (14, 93)  # years
# Ages have a beta distribution on that range: log-odds of its mean, and its precision.
AGE = {"OBS": (-0.80, 2.8), "RCT": (-1.12, 5.1)}
AGE_SPREAD = 0.15  # between studies, of the log-odds

MOTOR_SCORE = ["1/2", "3", "4", "5/6"]
MOTOR_THRESHOLDS = (-1.08, -0.14, 0.81)  # cumulative logits
MOTOR_SPREAD = 0.45

# Log-odds against the first category, and their SD between studies.
PUPIL = {
    "None": (
        {"(Intercept)": -0.46, "age": 0.006, "motor_score3": -0.58, "motor_score4": -1.36,
         "motor_score5/6": -2.42}, 0.70,
    ),
    "One": (
        {"(Intercept)": -1.31, "age": 0.006, "motor_score3": -0.35, "motor_score4": -0.77,
         "motor_score5/6": -1.44}, 0.45,
    ),
}  # fmt: skip
CT = {
    "III": (
        {"(Intercept)": -0.81, "age": 0.001, "motor_score3": -0.29, "motor_score4": -0.38,
         "motor_score5/6": -0.42, "pupilNone": 0.85, "pupilOne": 0.51}, 0.55,
    ),
    "IV/V": (
        {"(Intercept)": -1.09, "age": 0.027, "motor_score3": -0.27, "motor_score4": -0.36,
         "motor_score5/6": -0.37, "pupilNone": 1.08, "pupilOne": 0.74}, 0.45,
    ),
}  # fmt: skip
# Drawn after mort and given it: so they are associated with death, and its model stays exact.
YES_NO = {
    "hypots": (
        {"(Intercept)": -1.84, "age": 0.004, "mort": 0.75, "motor_score3": -0.15,
         "motor_score4": -0.16, "motor_score5/6": -0.46, "pupilNone": 0.49, "pupilOne": 0.22,
         "ctIII": 0.05, "ctIV/V": -0.43}, 0.40,
    ),
    "hypox": (
        {"(Intercept)": -1.44, "mort": 0.30, "motor_score3": -0.14, "motor_score4": -0.43,
         "motor_score5/6": -0.76, "pupilNone": 0.20, "pupilOne": 0.10, "ctIII": 0.10,
         "ctIV/V": -0.05, "hypots": 1.48}, 0.45,
    ),
    "tsah": (
        {"(Intercept)": -1.19, "age": 0.018, "mort": 0.68, "motor_score3": -0.12,
         "motor_score4": -0.11, "motor_score5/6": -0.21, "pupilNone": 0.17, "pupilOne": 0.19,
         "ctIII": 0.54, "ctIV/V": 0.39}, 0.60,
    ),
    "edh": (
        {"(Intercept)": -3.10, "age": -0.008, "mort": -0.70, "motor_score3": 0.50,
         "motor_score4": 0.54, "motor_score5/6": 0.59, "pupilNone": -0.23, "ctIII": 0.90,
         "ctIV/V": 2.18, "tsah": -0.26}, 0.40,
    ),
}  # fmt: skip

LEAST = 10  # patients in the smallest study


@checked
def simulate_impact(
    seed: Seed,
    studies: Count = 15,
    patients: Count = 11022,
    missing: Any = SHARES,
    systematic: CountOrNone = 2,
) -> SimulatedStudy:
    """Patients with traumatic brain injury in several studies, near the IMPACT data.

    The analysis of interest is ``mort ~ type + age + motor_score + pupil + ct + (1 | name)``,
    binomial: mort is drawn from exactly this model, log-odds −2.26 − 0.35 RCT + 0.032 age + … + u
    with u ~ N(0, 0.083) by study. Given it and the others, the complications hypots, hypox, tsah
    and edh are drawn last, so that they say something of death without changing its model. All of
    them vary by study.

    A value is missing with log-odds a + v − 0.2 z + 0.2 mort + 0.5 z mort, with z = (age − mean) /
    SD, v ~ N(0, 1.5²) by study and variable, and a such that the mean chance is the share wanted:
    missing at random given what is always seen. Because of the product, complete cases understate
    the effect of age, and not only the level of mortality.

    Parameters
    ----------
    seed
        Whole number; the same seed gives the same study. The complete data do not depend on
        `missing` and `systematic`.
    studies
        Number of clusters, at least 2; about 4 of 15 are observational (type OBS), at least one.
    patients
        Number of rows, at least 10 a study on average; no study has fewer than 10. Default as in
        the IMPACT data.
    missing
        Expected share of missing values in the studies that recorded a variable, from 0 to below 1:
        one number for pupil, ct, hypox, hypots, tsah and edh, or one by name, the others complete.
        Default as in the IMPACT data, 11 % (pupil) to 24 % (ct).
    systematic
        Number of studies, chosen at random, in which ct is missing altogether. At least two
        studies keep it. Default 2; in the file published with the data there are none.

    Returns
    -------
    SimulatedStudy
        With columns ``name`` (text), ``type`` (OBS, RCT), ``age`` (whole years), ``motor_score``
        (1/2 < 3 < 4 < 5/6, ordered), ``pupil`` (Both, None, One), ``ct`` (I/II, III, IV/V; not
        ordered, because age goes with IV/V and not with III), ``hypox``, ``hypots``, ``tsah``,
        ``edh`` and ``mort`` (0 or 1). ``truth`` has the log-odds as ``imp.fit(…).pool().table``
        names them, and ``"Intercept~~Intercept|name"``.

    Raises
    ------
    DataError
        If these numbers cannot be met.

    References
    ----------
    Steyerberg, E. W. et al. (2008). Predicting outcome after traumatic brain injury. PLoS Medicine
    5(8), e165: the IMPACT data.

    Examples
    --------
    >>> study = simulate_impact(seed=1, studies=6, patients=600)
    >>> study.incomplete.shape, study.complete["mort"].isin([0, 1]).all().item()
    ((600, 11), True)
    >>> unseen = study.incomplete["ct"].isna().groupby(study.incomplete["name"]).all()
    >>> int(unseen.sum()), study.truth["ctIII"]
    (2, 0.78)
    """
    shares = _checked(studies, patients, missing, systematic)
    rng = np.random.default_rng(seed)
    study, complete = _patients(rng, studies, patients)
    without = np.isin(study, rng.choice(studies, size=systematic, replace=False))
    z = standardised(complete["age"].to_numpy(dtype=np.float64))
    mort = complete["mort"].to_numpy()
    slope = SELECTION["age"] * z + (SELECTION["mort"] + SELECTION["age:mort"] * z) * mort
    incomplete = complete.copy()
    for name in SHARES:
        recorded = ~without if name == "ct" else np.ones(patients, dtype=bool)
        curve = slope + rng.normal(0, SELECTION["sd"], studies)[study]
        chance = np.ones(patients)
        chance[recorded] = chances_on_curve(curve[recorded], shares.get(name, 0.0))
        incomplete[name] = complete[name].where(rng.random(patients) >= chance)
    return SimulatedStudy(incomplete, complete, dict(MORTALITY))


def _checked(
    studies: int, patients: int, missing: float | Mapping[str, float], systematic: int
) -> Mapping[str, float]:
    """Shares by variable, after the arguments were found to make sense."""
    if studies < 2 or patients < LEAST * studies:
        raise DataError(
            f"{patients} patients in {studies} studies cannot be simulated: give at least 2 "
            f"studies and {LEAST} patients in each."
        )
    if systematic > studies - 2:
        raise DataError(
            f"systematic={systematic} of {studies} studies without ct: give a number from 0 to "
            f"{studies - 2}, so that two studies are left that recorded it."
        )
    shares = missing if isinstance(missing, Mapping) else dict.fromkeys(SHARES, missing)
    for name, share in shares.items():
        if name not in SHARES:
            raise DataError(
                f"missing names {name!r}, which has no gaps here; only {listed(SHARES, 6)} can "
                f"have some.{did_you_mean(name, SHARES)}"
            )
        if not isinstance(share, Real) or isinstance(share, bool) or not 0 <= share < 1:
            raise DataError(f"missing of {name!r} is {share!r}: give a share from 0 to below 1.")
    return shares


def _patients(rng: np.random.Generator, studies: int, patients: int) -> tuple[Codes, pd.DataFrame]:
    """Draw the number of each row's study, from 0, and complete data."""
    sizes = LEAST + rng.multinomial(
        patients - LEAST * studies, rng.dirichlet(np.full(studies, 4.0))
    )
    study = np.repeat(np.arange(studies), sizes)
    observational = rng.permutation(studies) < max(1, round(OBSERVATIONAL * studies))
    type_of = np.where(observational, 0, 1)

    def between(sd: float) -> Array:
        return rng.normal(0, sd, studies)[study]

    names = np.array([f"study {k:0{len(str(studies))}d}" for k in range(1, studies + 1)])
    data = pd.DataFrame({"name": names[study], "type": _labelled(type_of[study], list(AGE))})
    location, precision = np.array(list(AGE.values()))[type_of[study]].T
    mean = _logistic(location + between(AGE_SPREAD))
    share = rng.beta(mean * precision, (1 - mean) * precision)
    data["age"] = np.minimum(AGES[0] + (AGES[1] + 1 - AGES[0]) * share, AGES[1]).astype(np.int64)
    latent = rng.logistic(size=patients) + between(MOTOR_SPREAD)
    data["motor_score"] = _labelled(np.digitize(latent, MOTOR_THRESHOLDS), MOTOR_SCORE, True)
    for name, first, others in (("pupil", "Both", PUPIL), ("ct", "I/II", CT)):
        logits = [_linear(data, slopes) + between(sd) for slopes, sd in others.values()]
        # the largest of utilities with Gumbel errors is a draw from the softmax
        utility = np.column_stack([np.zeros(patients), *logits])
        code = (utility + rng.gumbel(size=utility.shape)).argmax(axis=1)
        data[name] = _labelled(code, [first, *others])
    slopes = {name: value for name, value in MORTALITY.items() if "~~" not in name}
    equations = {"mort": (slopes, MORTALITY["Intercept~~Intercept|name"] ** 0.5), **YES_NO}
    for name, (slopes, sd) in equations.items():
        chance = _logistic(_linear(data, slopes) + between(sd))
        data[name] = (rng.random(patients) < chance).astype(np.int64)
    return study, data[list(COLUMNS)]


def _labelled(codes: Codes, labels: list[str], ordered: bool = False) -> "pd.Categorical[Any]":
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(labels, ordered=ordered))


def _linear(data: pd.DataFrame, slopes: Mapping[str, float]) -> Array:
    """Linear predictor of terms named as R names them, (row,)."""
    terms: dict[str, Array] = {"(Intercept)": np.ones(len(data))}
    for name in data:
        column = data[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy()
            for code, label in enumerate(column.cat.categories):
                terms[f"{name}{label}"] = (codes == code).astype(np.float64)
        elif name != "name":
            terms[str(name)] = column.to_numpy(dtype=np.float64)
    total = np.zeros(len(data))
    for name, slope in slopes.items():
        total += slope * terms[name]
    return total


def _logistic(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))
