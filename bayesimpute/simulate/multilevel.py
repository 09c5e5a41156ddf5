"""Studies with several groupings of rows: pupils in classes in schools, subjects and items."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute.arguments import Count, NotNegative, Seed, Share, checked
from bayesimpute.errors import DataError
from bayesimpute.simulate.ampute_chances import chances_on_curve
from bayesimpute.simulate.popularity import SimulatedStudy

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

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
SELECTION = 0.8
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
    _check(missing, {"schools": schools, "classes": classes, "pupils": pupils})
    rng = np.random.default_rng(seed)
    school_of = np.repeat(np.arange(schools), _sizes(schools, classes, rng))
    n_classes = len(school_of)
    class_of = np.repeat(np.arange(n_classes), _sizes(n_classes, pupils, rng))
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
    complete = pd.DataFrame(
        {
            "school": school + 1,
            "class": class_of + 1,
            "score": score,
            "ses": ses,
            "size": size[class_of],
            "public": public[school],
        }
    )
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
    incomplete = complete.assign(**{k: complete[k].mask(rows) for k, rows in gone.items()})
    known = dict(truth) | _shares(truth, ("school", "class"))
    if slope_sd:
        known["ses~~ses|school"] = slope_sd**2
    return SimulatedStudy(incomplete, complete, known)


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
    _check(missing, {"subjects": subjects, "items": items})
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
    complete = pd.DataFrame(
        {
            "subject": subject + 1,
            "item": item + 1,
            "rating": rating,
            "age": age[subject],
            "length": length[item],
        }
    )
    gone = _gaps(length[item] - age[subject], missing, rng)
    incomplete = complete.assign(rating=complete["rating"].mask(gone))
    known = dict(truth) | _shares(truth, ("subject", "item"))
    return SimulatedStudy(
        incomplete[kept].reset_index(drop=True), complete[kept].reset_index(drop=True), known
    )


def _check(missing: float, counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        if count < 2:
            raise DataError(f"{name}={count}: there must be at least 2.")
    if not 0 <= missing <= MOST_MISSING:
        raise DataError(f"missing={missing} must be a share from 0 to {MOST_MISSING}.")


def _sizes(groups: int, mean: int, rng: np.random.Generator) -> Codes:
    """Sizes from 2 of groups with a mean, (group,)."""
    share = rng.dirichlet(np.full(groups, 20.0))
    return 2 + rng.multinomial((mean - 2) * groups, share)


def _effects(variance: float, n: int, rng: np.random.Generator) -> Array:
    return np.asarray(np.sqrt(variance) * rng.normal(size=n))


def _standard(values: Array) -> Array:
    return np.asarray((values - values.mean()) / values.std())


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
    chance[may] = chances_on_curve(SELECTION * _standard(values)[may], wanted)
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
