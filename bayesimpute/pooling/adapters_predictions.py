"""Predictions of an estimator that has no standard errors, pooled over imputations."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import CountOrNone, Level, Seed, checked
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.pooled import pool
from bayesimpute.wording import did_you_mean, listed

#: Columns with a bootstrap; without one, the first two.
COLUMNS = ("prediction", "between_sd", "std_error", "conf_low", "conf_high", "df", "fmi")


@dataclass(frozen=True, eq=False)
class _Task:
    estimator: Any
    target: str
    predictors: list[str]
    new: pd.DataFrame | None
    response: str
    cluster: str | None
    bootstrap: int


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
    conf_level: Level = 0.95,
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
        imputations of Rubin's rules ("MI boot" of [1]_), which gives standard errors of the
        expected prediction; scatter of a new observation around it is no part of them, and a
        penalty's bias is not seen.
    cluster
        Column whose clusters are resampled whole, for data where rows of a cluster are alike.
    conf_level
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
    .. [1] Schomaker & Heumann (2018), Bootstrap inference when using multiple imputation,
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
    frames = list(completed.values() if isinstance(completed, Mapping) else completed)
    task = _checked(frames, estimator, target, predictors, new, response, cluster, bootstrap)
    streams = np.random.SeedSequence(seed).spawn(len(frames))
    means, variances = [], []
    index: pd.Index | None = None
    for number, (frame, stream) in enumerate(zip(frames, streams, strict=True), start=1):
        try:
            predicted, found = _predicted(task, frame, frame)
            index = found if index is None else index
            if not found.equals(index):
                raise AnalysisError("its rows or classes are not those of imputation 1.")
            means.append(predicted)
            if bootstrap:
                variances.append(_bootstrap_variance(task, frame, stream, index))
        except Exception as error:
            kind = "" if isinstance(error, AnalysisError) else f"{type(error).__name__}: "
            raise AnalysisError(f"Predicting in imputation {number} failed: {kind}{error}") from (
                error
            )
    assert index is not None
    return _table(np.array(means), variances, index, conf_level)


def _checked(
    frames: Sequence[pd.DataFrame],
    estimator: Any,
    target: str,
    predictors: Sequence[str] | None,
    new: pd.DataFrame | None,
    response: str,
    cluster: str | None,
    bootstrap: int,
) -> _Task:
    if len(frames) < 2 or not all(isinstance(frame, pd.DataFrame) for frame in frames):
        raise AnalysisError(
            "pool_predictions needs two or more completed frames: pool_predictions(imp, …)."
        )
    if not callable(getattr(estimator, "fit", None)) or not hasattr(estimator, response):
        raise AnalysisError(
            f"The estimator {type(estimator).__name__} has no method "
            f"{response if hasattr(estimator, 'fit') else 'fit'!r}; give one as scikit-learn has, "
            "and response='predict', 'predict_proba' or 'decision_function'."
        )
    columns = frames[0].columns
    others = [c for c in columns if c not in (target, cluster)]
    chosen = list(others if predictors is None else predictors)
    for name in [target, *chosen, *([] if cluster is None else [cluster])]:
        if name not in columns:
            raise AnalysisError(
                f"The completed data have no column {name!r}.{did_you_mean(name, columns)}"
            )
    if new is not None and (absent := [name for name in chosen if name not in new.columns]):
        raise AnalysisError(f"new has no column {listed(absent)}; it needs all predictors.")
    if bootstrap == 1 or bootstrap < 0:
        raise AnalysisError(f"bootstrap={bootstrap}: a variance needs 2 refits, and 50 or more.")
    return _Task(estimator, target, chosen, new, response, cluster, bootstrap)


def _predicted(
    task: _Task, sample: pd.DataFrame, frame: pd.DataFrame
) -> tuple[np.ndarray, pd.Index]:
    """Predictions of a fit to `sample`, for the new rows or those of `frame`, and their labels."""
    fitted = copy.deepcopy(task.estimator)
    fitted = fitted.fit(sample[task.predictors], sample[task.target]) or fitted
    rows = frame if task.new is None else task.new
    values = np.asarray(getattr(fitted, task.response)(rows[task.predictors]))
    if values.dtype.kind not in "biuf" or (
        task.response == "predict" and not pd.api.types.is_numeric_dtype(sample[task.target].dtype)
    ):
        raise AnalysisError(
            f"{task.response} gives labels of classes, which have no mean; use "
            "response='predict_proba'."
        )
    if values.ndim == 1:
        return values.astype(float), rows.index
    classes = getattr(fitted, "classes_", range(values.shape[1]))
    index = pd.MultiIndex.from_product([rows.index, list(classes)], names=["row", "class"])
    return values.astype(float).ravel(), index


def _bootstrap_variance(
    task: _Task, frame: pd.DataFrame, stream: np.random.SeedSequence, index: pd.Index
) -> np.ndarray:
    rng = np.random.default_rng(stream)
    units = (
        np.arange(len(frame))
        if task.cluster is None
        else pd.factorize(frame[task.cluster], use_na_sentinel=False)[0]
    )
    members = [np.flatnonzero(units == unit) for unit in range(units.max() + 1)]
    drawn = []
    for _ in range(task.bootstrap):
        chosen = rng.integers(len(members), size=len(members))
        sample = frame.iloc[np.concatenate([members[unit] for unit in chosen])]
        predicted, found = _predicted(task, sample, frame)
        if not found.equals(index):
            raise AnalysisError(
                "a bootstrap sample lacks one of the classes; merge rare classes or leave "
                "bootstrap= out."
            )
        drawn.append(predicted)
    variance: np.ndarray = np.var(drawn, axis=0, ddof=1)
    return variance


def _table(
    means: np.ndarray, variances: Sequence[np.ndarray], index: pd.Index, conf_level: float
) -> pd.DataFrame:
    table = pd.DataFrame(
        {"prediction": means.mean(axis=0), "between_sd": means.std(axis=0, ddof=1)}, index=index
    )
    if not variances:
        return table
    pooled = pool(means, np.array(variances), conf_level=conf_level).table
    for name in COLUMNS[2:]:
        table[name] = pooled[name].to_numpy()
    return table
