"""Predictions for new rows, pooled row by row."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.aligned import as_estimates, complete_data_df
from bayesimpute.pooling.estimates import Estimates
from bayesimpute.pooling.model_design import ModelDesign
from bayesimpute.pooling.pooled import pool
from bayesimpute.pooling.rubin import Rule

#: Label of a cluster that no data have.
_NEW_CLUSTER = "a cluster that is not in the data"


def predict_rows(
    fits: Any,
    newdata: pd.DataFrame | Sequence[pd.DataFrame],
    interval: float = 0.95,
    level: Literal["mean", "observation"] = "mean",
    scale: Literal["response", "link"] = "response",
    dfcom: float | None = None,
    rule: Rule = "rubin1987",
) -> pd.DataFrame:
    """Predict each row by each fit and pool by Rubin's rules: see ``Fits.predict``."""
    estimates = as_estimates(fits)
    frames = _new_frames(newdata, len(estimates))
    predicted = [
        _predicted(each, frame, level) for each, frame in zip(estimates, frames, strict=True)
    ]
    q = np.array([mean for mean, _ in predicted])
    u = np.array([variance for _, variance in predicted])
    complete = complete_data_df(estimates, dfcom)
    table = pool(q, u, complete, conf_level=interval, rule=rule).table
    found = table[["estimate", "std_error", "df", "conf_low", "conf_high", "fmi"]].copy()
    inverse = _inverse_link(estimates[0].model)
    if scale == "response" and inverse is not None:
        at = table["estimate"].to_numpy()
        slope = (inverse(at + 1e-5) - inverse(at - 1e-5)) / 2e-5
        limits = np.sort([inverse(table[name].to_numpy()) for name in ("conf_low", "conf_high")], 0)
        found["estimate"] = inverse(at)
        found["std_error"] = np.abs(slope) * table["std_error"]
        found["conf_low"], found["conf_high"] = limits
    return found.set_axis(frames[0].index, axis=0)


def _new_frames(newdata: Any, m: int) -> list[pd.DataFrame]:
    """One frame of new rows an imputation."""
    if isinstance(newdata, pd.DataFrame):
        frames = [newdata] * m
    else:
        complete = getattr(newdata, "complete", None)
        given = complete("all") if callable(complete) else newdata
        given = given.values() if isinstance(given, Mapping) else given
        frames = list(given) if isinstance(given, Iterable) else []
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
    mixed = all(hasattr(result, name) for name in ("fixef", "vcov", "VarCorr"))
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
    try:
        if each.design is not None:
            return _by_formula(each, mixed, frame, level)
        if mixed:
            return _by_mixedlm(result, frame, level)
        return _by_statsmodels(result, frame, level)
    except AnalysisError:
        raise
    except Exception as error:
        reason = str(error.args[0] if error.args else error).split("\n")[0]
        raise AnalysisError(f"The new rows cannot be predicted: {reason}") from error


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


def _inverse_link(result: Any) -> Callable[[Array], Array] | None:
    """From the linear predictor to the mean; None for the identity."""
    model = getattr(result, "model", None)
    family = getattr(result, "family", None) or getattr(model, "family", None)
    # statsmodels' Logit and Probit have a link without a family
    link = getattr(family, "link", None) or getattr(model, "link", None)
    if link is not None:
        return lambda at: np.asarray(link.inverse(at), dtype=float)
    return np.exp if type(model).__name__ == "Poisson" else None
