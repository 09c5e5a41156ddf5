"""Predictions pooled row by row, of fits and of estimators without errors; average effects."""

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from bayesimpute.arguments import CountOrNone, Level, Seed, checked
from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import (
    Estimates,
    as_estimates,
    complete_data_df,
    completed_frames,
    explained,
)
from bayesimpute.pooling.formula_design import ModelDesign
from bayesimpute.pooling.pooled import pool
from bayesimpute.pooling.reported import is_mixedlm
from bayesimpute.pooling.rubin import Rule
from bayesimpute.specification.formula_terms import MEANS, unique
from bayesimpute.wording import did_you_mean, listed

#: Models of counts without a family, whose mean is the exponential of the linear predictor.
_OF_LOGS = ("Poisson", "NegativeBinomial", "NegativeBinomialP", "GeneralizedPoisson")
#: Label of a cluster that no data have.
_NEW_CLUSTER = "a cluster that is not in the data"


def predict_rows(
    fits: Any,
    newdata: pd.DataFrame | Sequence[pd.DataFrame],
    ci_prob: float = 0.95,
    level: Literal["mean", "observation"] = "mean",
    scale: Literal["response", "link"] = "response",
    dfcom: float | None = None,
    rule: Rule = "rubin1987",
) -> pd.DataFrame:
    """Predict each row by each fit and pool by Rubin's rules: see ``Fits.predict``."""
    estimates = as_estimates(fits)
    frames = new_frames(newdata, len(estimates))
    predicted = [
        _predicted(each, frame, level) for each, frame in zip(estimates, frames, strict=True)
    ]
    q = np.array([mean for mean, _ in predicted])
    u = np.array([variance for _, variance in predicted])
    complete = complete_data_df(estimates, dfcom)
    table = pool(q, u, complete, ci_prob=ci_prob, rule=rule).table
    found = table[["estimate", "std_error", "df", "conf_low", "conf_high", "fmi"]].copy()
    inverse = _response_of(estimates[0].model) if scale == "response" else None
    if inverse is not None:
        at = table["estimate"].to_numpy()
        slope = (inverse(at + 1e-5) - inverse(at - 1e-5)) / 2e-5
        limits = np.sort([inverse(table[name].to_numpy()) for name in ("conf_low", "conf_high")], 0)
        found["estimate"] = inverse(at)
        found["std_error"] = np.abs(slope) * table["std_error"]
        found["conf_low"], found["conf_high"] = limits
    return found.set_axis(frames[0].index, axis=0)


def new_frames(newdata: Any, m: int) -> list[pd.DataFrame]:
    """Give one frame of new rows an imputation.

    Parameters
    ----------
    newdata
        One frame for all, one an imputation, or imputations.
    m
        Number of fits.
    """
    frames = completed_frames(newdata) * (m if isinstance(newdata, pd.DataFrame) else 1)
    if len(frames) != m or not all(isinstance(frame, pd.DataFrame) for frame in frames):
        raise AnalysisError(
            f"New rows are one data frame, or one for each of the {m} fits (in a list), not "
            f"{type(newdata).__name__} of {len(frames)}."
        )
    if not len(frames[0]) or any(len(frame) != len(frames[0]) for frame in frames):
        raise AnalysisError("The frames of new rows must have the same rows, at least one.")
    return frames


def _predicted(each: Estimates, frame: pd.DataFrame, level: str) -> tuple[Array, Array]:
    """Linear predictor of each row and its variance, or that of an observation."""
    result = each.model
    mixed = is_mixedlm(result)
    if not mixed and not hasattr(result, "get_prediction"):
        raise AnalysisError(
            f"{type(result).__name__} does not predict with standard errors; predict by models a "
            "formula fits, or pool (predictions, variances) yourself: bi.pool."
        )
    kind = type(getattr(result, "model", None)).__name__
    gaussian = not getattr(result, "isGLMM", lambda: False)() if mixed else kind in ("OLS", "WLS")
    if level == "observation" and not gaussian:
        raise AnalysisError(
            "The interval of a single observation is that of normal models; others have "
            "level='mean' only."
        )
    with explained("The new rows cannot be predicted"):
        if each.design is not None:
            found = _by_formula(each, mixed, frame, level)
        else:
            found = (_by_mixedlm if mixed else _by_statsmodels)(result, frame, level)
    return found


def _by_formula(
    each: Estimates, mixed: bool, frame: pd.DataFrame, level: str
) -> tuple[Array, Array]:
    design: ModelDesign = each.design
    rows = design.rows(frame)
    x = np.column_stack(list(design.fixed.columns(rows).values()))
    mean = x @ each.estimate + design.offset(rows)
    if level == "observation" and mixed:
        columns = pd.DataFrame(design.all_columns(rows), index=rows.index)
        columns = columns.assign(**dict.fromkeys(design.formula.groups, _NEW_CLUSTER))
        return mean, _of_new_clusters(each.model, columns)[1]
    variance = np.einsum("ij,jk,ik->i", x, each.covariance, x)
    return mean, variance + (float(each.model.scale) if level == "observation" else 0.0)


def _by_statsmodels(result: Any, frame: pd.DataFrame, level: str) -> tuple[Array, Array]:
    linear = {} if hasattr(result, "rsquared") else {"which": "linear"}
    made = result.get_prediction(frame, **linear)
    mean = np.asarray(made.predicted if linear else made.predicted_mean, dtype=float)
    variance = np.asarray(made.se if linear else made.se_mean, dtype=float) ** 2
    if len(mean) != len(frame):
        raise AnalysisError("Some new rows have a missing value in a predictor.")
    return mean, variance + (float(result.scale) if level == "observation" else 0.0)


def _by_mixedlm(result: Any, frame: pd.DataFrame, level: str) -> tuple[Array, Array]:
    factors = [structure.grouping_factor for structure in result.matrices.random_structures]
    clusters = dict.fromkeys(name for each in factors for name in re.split("[:/]", each))
    rows = frame.assign(**dict.fromkeys(clusters, _NEW_CLUSTER))
    if level == "observation":
        return _of_new_clusters(result, rows)
    link = {"type": "link"} if getattr(result, "isGLMM", lambda: False)() else {}
    made = result.predict(rows, re_form="NA", se_fit=True, **link)
    return np.asarray(made.fit, dtype=float), np.asarray(made.se_fit, dtype=float) ** 2


def _of_new_clusters(result: Any, rows: pd.DataFrame) -> tuple[Array, Array]:
    """Predict clusters never seen: the variance of the mean has that of the effects in it."""
    made = result.predict(rows, allow_new_levels=True, se_fit=True)
    return (
        np.asarray(made.fit, dtype=float),
        np.asarray(made.se_fit, dtype=float) ** 2 + float(result.sigma) ** 2,
    )


def inverse_link(result: Any) -> Callable[[Array], Array] | None:
    """From the linear predictor to the mean; None for the identity."""
    model = getattr(result, "model", None)
    family = getattr(result, "family", None) or getattr(model, "family", None)
    # statsmodels' Logit and Probit have a link without a family
    link = getattr(family, "link", None) or getattr(model, "link", None)
    if link is not None:
        return lambda at: np.asarray(link.inverse(at), dtype=float)
    return np.exp if type(model).__name__ in _OF_LOGS else None


def _response_of(result: Any) -> Callable[[Array], Array] | None:
    """Give the inverse link; an error where it is not known."""
    inverse = inverse_link(result)
    linear = is_mixedlm(result) or hasattr(result, "rsquared")
    kind = type(getattr(result, "model", result)).__name__
    if inverse is None and not linear:
        raise AnalysisError(
            f"What the expected outcome is of a linear predictor of {kind} is not known here; "
            "predict on its scale by scale='link', or pool (predictions, variances) yourself: "
            "bi.pool."
        )
    return inverse


@checked
def pool_predictions(
    completed: Iterable[pd.DataFrame] | Mapping[Any, pd.DataFrame],
    estimator: Any,
    target: str,
    predictors: Sequence[str] | None = None,
    new: pd.DataFrame | None = None,
    *,
    response: str = "predict",
    bootstrap: CountOrNone = 0,
    cluster: str | None = None,
    ci_prob: Level = 0.95,
    seed: Seed | None = None,
) -> pd.DataFrame:
    """Fit an estimator to every completed data set and pool what it predicts.

    Coefficients of a machine-learning estimator have no standard errors, and those of a tree or
    of regularised fits do not mean the same in two imputations; predictions do. The pooled one is
    the mean over imputations.

    Parameters
    ----------
    completed
        The result of ``bi.impute``, or the m completed frames.
    estimator
        With ``fit(X, y)`` and ``predict(X)`` as in scikit-learn, a pipeline too. Every fit works
        on a fresh copy.
    target
        Column to predict.
    predictors
        Columns to predict from; by default all others, without `cluster`.
    new
        Complete rows to predict for, with the columns `predictors`. None (default) predicts for
        the rows of the data, each imputation with its own imputed predictors.
    response
        Method of the estimator: ``"predict"`` (default), ``"predict_proba"``,
        ``"decision_function"``. Labels of classes cannot be averaged, their probabilities can.
    bootstrap
        Number of refits to resampled rows in each imputation. 0 (default) gives the spread
        between imputations only. With some (50 or more) their variance is the variance within
        imputations of Rubin's rules ("MI boot" of Schomaker & Heumann 2018), which gives standard
        errors of the expected prediction; scatter of a new observation around it is no part of
        them, and a penalty's bias is not seen.
    cluster
        Column whose clusters are resampled whole, for data where rows of a cluster are alike.
    ci_prob
        Coverage of the interval.
    seed
        Of the bootstrap; the same seed gives the same numbers.

    Returns
    -------
    pandas.DataFrame
        A row for each row predicted, and for each class with ``"predict_proba"`` (index row,
        class). ``prediction``, ``between_sd`` (SD over imputations); with a bootstrap also
        ``std_error``, ``conf_low``, ``conf_high``, ``df`` and ``fmi``.

    Raises
    ------
    AnalysisError
        A column or a method is not there, predictions are no numbers, a fit failed (of which
        imputation and why), or the imputations do not predict the same classes.

    References
    ----------
    Schomaker & Heumann (2018), Bootstrap inference when using multiple imputation,
    Statistics in Medicine 37, 2252-2266.

    Examples
    --------
    >>> class Mean:
    ...     def fit(self, X, y):
    ...         self.mean = y.mean()
    ...         return self
    ...
    ...     def predict(self, X):
    ...         return np.full(len(X), self.mean)
    >>> frames = [pd.DataFrame({"x": [1, 2], "y": [1.0, 2.0 + i]}) for i in (0, 1, 2)]
    >>> pool_predictions(frames, Mean(), "y")["between_sd"].tolist()
    [0.5, 0.5]
    """
    frames = completed_frames(completed)
    if len(frames) < 2 or not all(isinstance(frame, pd.DataFrame) for frame in frames):
        raise AnalysisError(
            "pool_predictions needs two or more completed frames: pool_predictions(imp, …)."
        )
    _check_estimator(estimator, response, bootstrap)
    chosen = _predictors(frames[0].columns, target, predictors, cluster, new)

    def predicted(sample: pd.DataFrame, frame: pd.DataFrame) -> tuple[Array, pd.Index]:
        """Predictions of a fit to `sample`, for new rows or those of `frame`, and their labels."""
        fitted = copy.deepcopy(estimator)
        fitted = fitted.fit(sample[chosen], sample[target]) or fitted
        rows = frame if new is None else new
        values = np.asarray(getattr(fitted, response)(rows[chosen]))
        numeric = response != "predict" or pd.api.types.is_numeric_dtype(sample[target].dtype)
        if values.dtype.kind not in "biuf" or not numeric:
            raise AnalysisError(
                f"{response} gives labels of classes, which have no mean; use "
                "response='predict_proba'."
            )
        if values.ndim == 1:
            return values.astype(float), rows.index
        classes = getattr(fitted, "classes_", range(values.shape[1]))
        index = pd.MultiIndex.from_product([rows.index, list(classes)], names=["row", "class"])
        return values.astype(float).ravel(), index

    streams = np.random.SeedSequence(seed).spawn(len(frames))
    means, variances = [], []
    index: pd.Index | None = None
    for number, (frame, stream) in enumerate(zip(frames, streams, strict=True), start=1):
        try:
            mean, found = predicted(frame, frame)
            index = found if index is None else index
            if not found.equals(index):
                raise AnalysisError("its rows or classes are not those of imputation 1.")
            means.append(mean)
            drawn = []
            for sample in _resampled(frame, cluster, bootstrap, np.random.default_rng(stream)):
                drawn.append(predicted(sample, frame))
                if not drawn[-1][1].equals(index):
                    raise AnalysisError(
                        "a bootstrap sample lacks one of the classes; merge rare classes or leave "
                        "bootstrap= out."
                    )
            variances += [np.var([each for each, _ in drawn], axis=0, ddof=1)] if drawn else []
        except Exception as error:
            kind = "" if isinstance(error, AnalysisError) else f"{type(error).__name__}: "
            raise AnalysisError(f"Predicting in imputation {number} failed: {kind}{error}") from (
                error
            )
    table = {"prediction": np.mean(means, axis=0), "between_sd": np.std(means, axis=0, ddof=1)}
    if variances:
        pooled = pool(np.array(means), np.array(variances), ci_prob=ci_prob).table
        names = ("std_error", "conf_low", "conf_high", "df", "fmi")
        table |= {name: pooled[name].to_numpy() for name in names}
    return pd.DataFrame(table, index=index)


def _predictors(
    columns: pd.Index,
    target: str,
    predictors: Sequence[str] | None,
    cluster: str | None,
    new: pd.DataFrame | None,
) -> list[str]:
    """Columns to predict from, which the data and the new rows have."""
    others = [name for name in columns if name not in (target, cluster)]
    chosen = list(others if predictors is None else predictors)
    for name in [target, *chosen, *([] if cluster is None else [cluster])]:
        if name not in columns:
            raise AnalysisError(
                f"The completed data have no column {name!r}.{did_you_mean(name, columns)}"
            )
    if new is not None and (absent := [name for name in chosen if name not in new.columns]):
        raise AnalysisError(f"new has no column {listed(absent)}; it needs all predictors.")
    return chosen


def _check_estimator(estimator: Any, response: str, bootstrap: int) -> None:
    if not callable(getattr(estimator, "fit", None)) or not hasattr(estimator, response):
        raise AnalysisError(
            f"The estimator {type(estimator).__name__} has no method "
            f"{response if hasattr(estimator, 'fit') else 'fit'!r}; give one as scikit-learn has, "
            "and response='predict', 'predict_proba' or 'decision_function'."
        )
    if bootstrap == 1:
        raise AnalysisError("bootstrap=1: a variance needs 2 refits, and 50 or more.")


def _resampled(
    frame: pd.DataFrame, cluster: str | None, times: int, rng: np.random.Generator
) -> Iterator[pd.DataFrame]:
    """Draw rows, or clusters with all their rows, with replacement."""
    units = np.arange(len(frame))
    if cluster is not None:
        units = pd.factorize(frame[cluster], use_na_sentinel=False)[0]
    members = [np.flatnonzero(units == unit) for unit in range(units.max() + 1)]
    for _ in range(times):
        chosen = rng.integers(len(members), size=len(members))
        yield frame.iloc[np.concatenate([members[unit] for unit in chosen])]


#: Step of a derivative by a number, in its SDs; and of the derivative of a link.
STEP = 1e-4


@dataclass(frozen=True, eq=False)
class Effects:
    """Average marginal effects of each imputation.

    Attributes
    ----------
    names
        ``"age"``, or ``"sex: girl − boy"``, (k,).
    estimates, covariances
        (m, k) and (m, k, k).
    dfcom
        Complete-data degrees of freedom.
    """

    names: tuple[str, ...]
    estimates: Array
    covariances: Array
    dfcom: float

    def pooled(self, ci_prob: float = 0.95, rule: Rule = "rubin1987") -> pd.DataFrame:
        """Pool by Rubin's rules: estimate, std_error, df, conf_low, conf_high, fmi by effect."""
        table = pool(
            self.estimates, self.covariances, self.dfcom, terms=self.names, ci_prob=ci_prob,
            rule=rule,
        ).table  # fmt: skip
        shown = ["estimate", "std_error", "df", "conf_low", "conf_high", "fmi"]
        return table[shown].rename_axis("effect")


def effects_by_imputation(
    fits: Any, newdata: Any, variables: Sequence[str] | None = None, dfcom: float | None = None
) -> Effects:
    """Average marginal effects of each fit over rows: see ``Fits.average_effects``.

    Raises
    ------
    AnalysisError
        Fits of no formula with coefficients, or a variable that the formula, or a frame, does not
        have.
    """
    estimates = as_estimates(fits)
    frames = new_frames(newdata, len(estimates))
    known = _variables(estimates[0])
    wanted = (
        known if variables is None else [variables] if isinstance(variables, str) else variables
    )
    for name in wanted:
        if name not in known:
            raise AnalysisError(
                f"The formula has no predictor {name!r}; it has {listed(known)}."
                f"{did_you_mean(name, known)}"
            )
    if not wanted:
        raise AnalysisError(
            "There is no predictor whose effect could be averaged"
            f"{'' if variables is None else ' in variables=[]'}."
        )
    for frame in frames:
        if absent := [name for name in known if name not in frame.columns]:
            raise AnalysisError(
                f"newdata lacks {listed(absent)}; effects are averaged over rows with "
                "all predictors of the formula."
            )
    found = [
        dict(_effects(each, frame, wanted)) for each, frame in zip(estimates, frames, strict=True)
    ]
    names = tuple(found[0])
    if any(tuple(each) != names for each in found):
        raise AnalysisError(
            "The imputations do not have the same categories; merge rare ones, or give newdata."
        )
    values = np.array([[each[name][0] for name in names] for each in found])
    covariances = []
    for each, estimate in zip(found, estimates, strict=True):
        gradients = np.array([each[name][1] for name in names])
        covariances.append(gradients @ estimate.covariance @ gradients.T)
    return Effects(names, values, np.array(covariances), complete_data_df(estimates, dfcom))


def _variables(each: Estimates) -> list[str]:
    """Columns that the fixed part of a formula reads; means of clusters stay as they are."""
    design = each.design
    kind = type(getattr(each.model, "model", None)).__name__
    if not isinstance(design, ModelDesign) or kind == "PHReg":
        raise AnalysisError(
            "Average effects are of linear and generalized linear models by formula, "
            "imp.fit('y ~ x + z')."
        )
    return list(
        unique(
            name
            for term in design.formula.terms
            for factor in term
            if factor.function not in MEANS
            for name in factor.names
        )
    )


def _effects(
    each: Estimates, frame: pd.DataFrame, wanted: Sequence[str]
) -> Iterator[tuple[str, tuple[float, Array]]]:
    """Effects of one fit with their gradients by the coefficients."""
    design: ModelDesign = each.design
    inverse = inverse_link(each.model) or (lambda at: at)

    def columns(rows: pd.DataFrame) -> Array:
        return np.column_stack(list(design.fixed.columns(design.rows(rows)).values()))

    def mean(rows: pd.DataFrame) -> tuple[float, Array]:
        """Average of the expected outcome, and its gradient."""
        made, x = design.rows(rows), columns(rows)
        at = x @ each.estimate + design.offset(made)
        slope = (inverse(at + STEP) - inverse(at - STEP)) / (2 * STEP)
        return float(inverse(at).mean()), (slope[:, None] * x).mean(axis=0)

    def change(name: str, high: Any, low: Any, width: float) -> tuple[float, Array]:
        try:
            up, down = (mean(frame.assign(**{name: to})) for to in (high, low))
        except AnalysisError as error:
            raise AnalysisError(
                f"The effect of {name!r} cannot be averaged: {error} A number that the formula "
                "takes as categories is made categorical in the data."
            ) from error
        return (up[0] - down[0]) / width, (up[1] - down[1]) / width

    def jumps(name: str, high: Any, low: Any) -> bool:
        """Whether no column changes with a number, or one by leaps, which three steps thin out."""
        near, far = (
            columns(frame.assign(**{name: up})) - columns(frame.assign(**{name: down}))
            for up, down in ((high, low), (2 * high - low, 2 * low - high))
        )
        off = np.linalg.norm(near - far / 3, axis=0) > 0.05 * np.linalg.norm(near, axis=0)
        return bool(off.any() or not near.any())

    for name in wanted:
        for label, high, low, width in _moved(name, frame[name], design):
            effect = change(name, high, low, width)
            if label == name and jumps(name, high, low):
                raise AnalysisError(
                    f"The effect of {name!r} cannot be averaged: the expected outcome jumps or "
                    f"stays level as {name!r} grows, as with I({name} > 1), and has no slope. "
                    "Make a category of it in the data."
                )
            yield label, effect


def _moved(
    name: str, column: "pd.Series[Any]", design: ModelDesign
) -> Iterator[tuple[str, Any, Any, float]]:
    """Label, two values of a column between which the effect is, and by what to divide it."""
    if name in design.categories:
        first, *others = design.categories[name]
        for other in others:
            yield f"{name}: {other} − {first}", other, first, 1.0
    elif pd.api.types.is_bool_dtype(column.dtype):
        yield f"{name}: True − False", True, False, 1.0
    else:
        values = column.astype(float)
        spread = float(values.std())  # none of a constant, NaN of one row
        step = STEP * (spread if spread > 0 else 1.0)
        yield name, values + step, values - step, 2 * step
