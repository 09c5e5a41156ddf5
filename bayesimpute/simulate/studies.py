"""Simulated studies with a known truth, whose values are missing at random."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import Count, CountOrNone, NotNegative, Seed, Share, checked
from bayesimpute.arrays import Array
from bayesimpute.errors import DataError
from bayesimpute.simulate.ampute_patterns import chances_on_curve, standardised
from bayesimpute.wording import did_you_mean, listed

Codes = npt.NDArray[np.int64]

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
#: Log-odds of being missing: per SD, and for girls.
RATING_SELECTION = {"teachpop": -1.6, "sex": -0.8}


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
    school = np.repeat(np.arange(schools), sizes(rng, schools, pupils, 2, 20.0))
    texp = rng.integers(2, 26, schools)[school]
    sex = rng.integers(0, 2, pupils)
    u = rng.normal(0, np.sqrt(TRUTH["Intercept~~Intercept|school"]), schools)[school]
    e = rng.normal(0, np.sqrt(TRUTH["Residual~~Residual"]), pupils)
    popular = TRUTH["(Intercept)"] + TRUTH["texp"] * texp + TRUTH["sex"] * sex + u + e
    teachpop = popular + rng.normal(0, RATING_NOISE, pupils)
    complete = pd.DataFrame(
        {"school": school + 1, "popular": popular, "sex": sex, "texp": texp, "teachpop": teachpop}
    )
    rating = (complete["teachpop"] - complete["teachpop"].mean()) / complete["teachpop"].std()
    slope = RATING_SELECTION["teachpop"] * rating + RATING_SELECTION["sex"] * complete["sex"]
    gone = rng.random(pupils) < chances_on_curve(slope.to_numpy(), missing)
    return SimulatedStudy(with_gaps(complete, {"popular": gone}), complete, dict(TRUTH))


def sizes(rng: np.random.Generator, groups: int, rows: int, least: int, evenness: float) -> Codes:
    """Draw sizes of groups, (group,), from `least` on; the larger `evenness`, the more alike."""
    return least + rng.multinomial(rows - least * groups, rng.dirichlet(np.full(groups, evenness)))


def with_gaps(complete: pd.DataFrame, gone: Mapping[str, npt.NDArray[np.bool_]]) -> pd.DataFrame:
    """Give the data without the cells that are gone, (row,) by column."""
    return complete.assign(**{name: complete[name].mask(rows) for name, rows in gone.items()})


#: Of pupils in classes in schools, as the pooled analysis names it.
CLASSES: Mapping[str, float] = {
    "(Intercept)": 1.0,
    "ses": 0.5,
    "size": -0.3,
    "public": 0.4,
    "Intercept~~Intercept|school": 0.3,
    "Intercept~~Intercept|class": 0.2,
    "Residual~~Residual": 1.0,
}
#: SDs of `ses` between schools, between classes of a school, and between pupils of a class.
SES: tuple[float, float, float] = (0.5, 0.3, 0.8)
#: Log-odds of a gap for one more SD of what it depends on.
LOG_ODDS = 0.8
#: Half of the pupils may lack one variable, and half the other.
MOST_MISSING = 0.45

#: Of ratings of items by subjects.
RATINGS: Mapping[str, float] = {
    "(Intercept)": 5.0,
    "age": 0.4,
    "length": -0.5,
    "Intercept~~Intercept|subject": 0.64,
    "Intercept~~Intercept|item": 0.36,
    "Residual~~Residual": 1.0,
}


@checked
def simulate_classes(
    seed: Seed,
    schools: Count = 50,
    classes: Count = 4,
    pupils: Count = 20,
    slope_sd: NotNegative = 0.0,
    missing: Share = 0.2,
) -> SimulatedStudy:
    r"""Pupils in classes in schools, with gaps in a variable of each level.

    .. math::
        \text{score} = 1 + (0.5 + w_s)\,\text{ses} - 0.3\,\text{size} + 0.4\,\text{public}
        + u_s + v_c + e,

    with :math:`u_s \sim N(0, 0.3)` of schools, :math:`v_c \sim N(0, 0.2)` of classes,
    :math:`e \sim N(0, 1)` and :math:`w_s \sim N(0, \text{slope\_sd}^2)`, all independent. ``ses``
    of a pupil varies between schools, classes and pupils (variances 0.25, 0.09, 0.64); ``size`` of
    a class is N(0.3 public, 1), ``public`` of a school 0 or 1 with chance 1/2.

    Gaps are missing at random: half of the pupils, drawn by chance, may lack ``ses``, more often
    the higher the score; the other half the score, more often the lower ``ses``. ``size`` is
    missing in classes whose mean of the scores seen is high, ``public`` in schools of any kind
    alike. The sizes of classes and schools differ.

    Parameters
    ----------
    seed
        Whole number; the same seed gives the same study.
    schools
        Number of schools, from 2.
    classes, pupils
        Of a school, and of a class, on average, from 2. No school has one class only, no class one
        pupil.
    slope_sd
        SD of the slope of ``ses`` between schools. Default 0: it is the same everywhere.
    missing
        Expected share of gaps in score, ses, size (of classes) and public (of schools), up to 0.45.

    Returns
    -------
    SimulatedStudy
        With columns ``school``, ``class`` (numbered through all schools), ``score``, ``ses``,
        ``size`` and ``public``. ``truth`` has coefficients, ``"Intercept~~Intercept|school"``,
        ``"Intercept~~Intercept|class"``, ``"Residual~~Residual"``, the shares of variance
        ``"ICC|school"`` and ``"ICC|class"`` given predictors, and with a slope
        ``"ses~~ses|school"``.

    Raises
    ------
    DataError
        If these numbers cannot be met.

    Examples
    --------
    >>> study = simulate_classes(seed=1)
    >>> study.complete["school"].nunique(), study.complete["class"].nunique()
    (50, 200)
    >>> study.truth["Intercept~~Intercept|class"], round(study.truth["ICC|class"], 3)
    (0.2, 0.133)
    """
    _check_counts(missing, {"schools": schools, "classes": classes, "pupils": pupils})
    rng = np.random.default_rng(seed)
    school_of = np.repeat(np.arange(schools), sizes(rng, schools, classes * schools, 2, 20.0))
    n_classes = len(school_of)
    class_of = np.repeat(np.arange(n_classes), sizes(rng, n_classes, pupils * n_classes, 2, 20.0))
    school, n = school_of[class_of], len(class_of)
    truth = CLASSES
    public = rng.integers(0, 2, schools)
    size = 0.3 * public[school_of] + rng.normal(size=n_classes)
    ses = sum(
        sd * rng.normal(size=int(codes[-1]) + 1)[codes]
        for sd, codes in zip(SES, (school, class_of, np.arange(n)), strict=True)
    )
    slope = truth["ses"] + slope_sd * rng.normal(size=schools)
    score = (
        truth["(Intercept)"]
        + slope[school] * ses
        + truth["size"] * size[class_of]
        + truth["public"] * public[school]
        + _effects(truth["Intercept~~Intercept|school"], schools, rng)[school]
        + _effects(truth["Intercept~~Intercept|class"], n_classes, rng)[class_of]
        + _effects(truth["Residual~~Residual"], n, rng)
    )
    ids = pd.DataFrame({"school": school + 1, "class": class_of + 1})
    complete = ids.assign(score=score, ses=ses, size=size[class_of], public=public[school])
    lacks_ses = rng.random(n) < 0.5  # or the score: what decides over one gap is always seen
    gone = {
        "ses": _gaps(score, missing, rng, lacks_ses),
        "score": _gaps(-ses, missing, rng, ~lacks_ses),
    }
    seen = ~gone["score"]
    total = np.bincount(class_of[seen], score[seen], n_classes)
    mean = total / np.maximum(np.bincount(class_of[seen], minlength=n_classes), 1)
    gone["size"] = _gaps(mean, missing, rng)[class_of]
    gone["public"] = (rng.random(schools) < missing)[school]
    known = dict(truth) | _shares(truth, ("school", "class"))
    if slope_sd:
        known["ses~~ses|school"] = slope_sd**2
    return SimulatedStudy(with_gaps(complete, gone), complete, known)


@checked
def simulate_ratings(
    seed: Seed,
    subjects: Count = 60,
    items: Count = 40,
    rated: Share = 1.0,
    missing: Share = 0.3,
) -> SimulatedStudy:
    r"""Ratings of items by subjects: two groupings that cross.

    .. math::
        \text{rating} = 5 + 0.4\,\text{age} - 0.5\,\text{length} + u_{\text{subject}}
        + v_{\text{item}} + e,

    with :math:`u \sim N(0, 0.64)`, :math:`v \sim N(0, 0.36)`, :math:`e \sim N(0, 1)`; ``age`` of
    subjects and ``length`` of items are standard normal. Ratings are missing at random: more often
    by the young and of long items.

    Parameters
    ----------
    seed
        Whole number; the same seed gives the same study.
    subjects, items
        Numbers of both, from 2.
    rated
        Share of all pairs that are rows, drawn at random; every subject and every item keeps two.
        Default 1: every subject rates every item.
    missing
        Expected share of ratings that are missing, up to 0.45.

    Returns
    -------
    SimulatedStudy
        With columns ``subject``, ``item``, ``rating``, ``age`` and ``length``. ``truth`` has
        coefficients, ``"Intercept~~Intercept|subject"``, ``"Intercept~~Intercept|item"``,
        ``"Residual~~Residual"``, and the shares of variance ``"ICC|subject"``, ``"ICC|item"`` given
        predictors.

    Raises
    ------
    DataError
        If these numbers cannot be met.

    Examples
    --------
    >>> study = simulate_ratings(seed=1)
    >>> len(study.complete), round(float(study.incomplete["rating"].isna().mean()), 1)
    (2400, 0.3)
    """
    _check_counts(missing, {"subjects": subjects, "items": items})
    if not 0 < rated <= 1:
        raise DataError(f"rated={rated} is no share of the pairs: give a number from 0 to 1.")
    rng = np.random.default_rng(seed)
    subject, item = (each.ravel() for each in np.indices((subjects, items)))
    kept = _pairs(subjects, items, rated, rng)
    truth = RATINGS
    age, length = rng.normal(size=subjects), rng.normal(size=items)
    rating = (
        truth["(Intercept)"]
        + truth["age"] * age[subject]
        + truth["length"] * length[item]
        + _effects(truth["Intercept~~Intercept|subject"], subjects, rng)[subject]
        + _effects(truth["Intercept~~Intercept|item"], items, rng)[item]
        + _effects(truth["Residual~~Residual"], len(subject), rng)
    )
    ids = pd.DataFrame({"subject": subject + 1, "item": item + 1})
    complete = ids.assign(rating=rating, age=age[subject], length=length[item])
    gone = {"rating": _gaps(length[item] - age[subject], missing, rng)}
    seen, whole = (
        frame[kept].reset_index(drop=True) for frame in (with_gaps(complete, gone), complete)
    )
    return SimulatedStudy(seen, whole, dict(truth) | _shares(truth, ("subject", "item")))


def _check_counts(missing: float, counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        if count < 2:
            raise DataError(f"{name}={count}: there must be at least 2.")
    if not 0 <= missing <= MOST_MISSING:
        raise DataError(f"missing={missing} must be a share from 0 to {MOST_MISSING}.")


def _effects(variance: float, n: int, rng: np.random.Generator) -> Array:
    return np.asarray(np.sqrt(variance) * rng.normal(size=n))


def _gaps(
    values: Array,
    share: float,
    rng: np.random.Generator,
    candidates: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.bool_]:
    """Draw who has a gap, more often where values are high, bool (row,).

    Of candidates only, so many that `share` is that of all rows.
    """
    may = np.ones(len(values), dtype=bool) if candidates is None else candidates
    chance = np.zeros(len(values))
    wanted = min(share / max(may.mean(), 1e-9), 1.0)
    standard = (values - values.mean()) / values.std()
    chance[may] = chances_on_curve(LOG_ODDS * standard[may], wanted)
    return np.asarray(rng.random(len(values)) < chance)


def _pairs(
    subjects: int, items: int, rated: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Draw which pairs are rows, bool (subject × item,): two of each subject and item at least."""
    kept = rng.random((subjects, items)) < rated
    for axis, size in ((1, items), (0, subjects)):
        for k in np.flatnonzero(kept.sum(axis=axis) < 2):
            line = kept[k] if axis == 1 else kept[:, k]
            line[rng.choice(size, size=2, replace=False)] = True
    return kept.ravel()


def _shares(truth: Mapping[str, float], factors: Sequence[str]) -> dict[str, float]:
    """Share of each factor in the variance that predictors leave."""
    variances = {factor: truth[f"Intercept~~Intercept|{factor}"] for factor in factors}
    total = sum(variances.values()) + truth["Residual~~Residual"]
    return {f"ICC|{factor}": variance / total for factor, variance in variances.items()}


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
STUDY_SELECTION: Mapping[str, float] = MappingProxyType(
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
    shares = _checked_shares(studies, patients, missing, systematic)
    rng = np.random.default_rng(seed)
    study, complete = _patients(rng, studies, patients)
    without = np.isin(study, rng.choice(studies, size=systematic, replace=False))
    z = standardised(complete["age"].to_numpy(dtype=np.float64))
    mort = complete["mort"].to_numpy()
    slope = (
        STUDY_SELECTION["age"] * z
        + (STUDY_SELECTION["mort"] + STUDY_SELECTION["age:mort"] * z) * mort
    )
    gone = {}
    for name in SHARES:
        recorded = ~without if name == "ct" else np.ones(patients, dtype=bool)
        curve = slope + rng.normal(0, STUDY_SELECTION["sd"], studies)[study]
        chance = np.ones(patients)
        chance[recorded] = chances_on_curve(curve[recorded], shares.get(name, 0.0))
        gone[name] = rng.random(patients) < chance
    return SimulatedStudy(with_gaps(complete, gone), complete, dict(MORTALITY))


def _checked_shares(
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
    study = np.repeat(np.arange(studies), sizes(rng, studies, patients, LEAST, 4.0))
    observational = rng.permutation(studies) < max(1, round(OBSERVATIONAL * studies))
    type_of = np.where(observational, 0, 1)

    def between(sd: float) -> Array:
        return rng.normal(0, sd, studies)[study]

    names = np.array([f"study {k:0{len(str(studies))}d}" for k in range(1, studies + 1)])
    data = pd.DataFrame({"name": names[study], "type": labelled(type_of[study], list(AGE))})
    location, precision = np.array(list(AGE.values()))[type_of[study]].T
    mean = _logistic(location + between(AGE_SPREAD))
    share = rng.beta(mean * precision, (1 - mean) * precision)
    data["age"] = np.minimum(AGES[0] + (AGES[1] + 1 - AGES[0]) * share, AGES[1]).astype(np.int64)
    latent = rng.logistic(size=patients) + between(MOTOR_SPREAD)
    data["motor_score"] = labelled(np.digitize(latent, MOTOR_THRESHOLDS), MOTOR_SCORE, True)
    for name, first, others in (("pupil", "Both", PUPIL), ("ct", "I/II", CT)):
        logits = [linear(data, slopes) + between(sd) for slopes, sd in others.values()]
        # the largest of utilities with Gumbel errors is a draw from the softmax
        utility = np.column_stack([np.zeros(patients), *logits])
        code = (utility + rng.gumbel(size=utility.shape)).argmax(axis=1)
        data[name] = labelled(code, [first, *others])
    slopes = {name: value for name, value in MORTALITY.items() if "~~" not in name}
    equations = {"mort": (slopes, MORTALITY["Intercept~~Intercept|name"] ** 0.5), **YES_NO}
    for name, (slopes, sd) in equations.items():
        chance = _logistic(linear(data, slopes) + between(sd))
        data[name] = (rng.random(patients) < chance).astype(np.int64)
    return study, data[list(COLUMNS)]


def labelled(codes: npt.NDArray[Any], labels: list[str], ordered: bool = False) -> pd.Categorical:
    """Give categories by their codes."""
    dtype = pd.CategoricalDtype(labels, ordered=ordered)
    return pd.Categorical.from_codes(codes.astype(np.int64), dtype=dtype)


def linear(data: pd.DataFrame, slopes: Mapping[str, float]) -> Array:
    """Linear predictor of terms named as R names them, an intercept among them, (row,)."""
    total = np.zeros(len(data))
    for term, slope in slopes.items():
        name = next((name for name in data if term.startswith(str(name))), None)
        if name is None:
            total += slope  # the intercept
        elif isinstance(data[name].dtype, pd.CategoricalDtype):
            total += slope * (data[name] == term.removeprefix(str(name))).to_numpy(dtype=np.float64)
        else:
            total += slope * data[name].to_numpy(dtype=np.float64)
    return total


def _logistic(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))
