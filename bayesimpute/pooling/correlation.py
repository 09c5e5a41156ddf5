"""Pooled correlations and covariances of completed data."""

from collections.abc import Sequence
from itertools import combinations, combinations_with_replacement
from typing import Any, Literal

import numpy as np
import pandas as pd

from bayesimpute.arguments import Level, checked
from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import completed_frames
from bayesimpute.pooling.pooled import pool
from bayesimpute.wording import nearest

#: Large-sample variance of Fisher's z times (n − 3).
_Z_VARIANCE = {"pearson": 1.0, "spearman": 1.06}


@checked
def pool_correlation(
    data: Any,
    variables: Sequence[str] | None = None,
    method: Literal["pearson", "spearman"] = "pearson",
    *,
    partial: Sequence[str] = (),
    ci_prob: Level = 0.95,
) -> pd.DataFrame:
    """Pool correlations over completed data sets: Fisher's z, Rubin's rules, and back.

    z = atanh(r) has the variance 1 / (n − 3) (Fisher 1921), 1.06 / (n − 3) for rank correlations
    (Fieller, Hartley & Pearson 1957, Biometrika 44, 470), with n reduced by the number of
    covariates held constant. As miceadds' ``micombine.cor``, whose p values and intervals are
    normal where these are of Rubin's t distribution.

    Parameters
    ----------
    data
        `Imputations`, or the completed frames.
    variables
        Numeric columns to correlate, each with each; None (default) takes all numeric ones.
    method
        ``"pearson"`` (default) or ``"spearman"``.
    partial
        Numeric columns whose linear influence is removed from both variables first (of ranks, for
        rank correlations).
    ci_prob
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        Index (variable1, variable2), each pair once; estimate, std_error (delta method), z,
        z_std_error, df, statistic, p_value (against 0), conf_low, conf_high, fmi.

    Raises
    ------
    AnalysisError
        A variable is unknown, not numeric, missing somewhere, constant, or perfectly correlated.

    Examples
    --------
    >>> frames = [pd.DataFrame({"x": [1, 2, 3, 4, 5], "y": [1, 3, 2, 5, 4 + i]}) for i in (0, 1, 2)]
    >>> pool_correlation(frames)[["estimate", "conf_low", "conf_high"]].round(2)
                         estimate  conf_low  conf_high
    variable1 variable2
    x         y              0.87     -0.15       0.99
    """
    frames = _frames(data)
    names = _numeric(frames, variables, exclude=partial)
    if len(names) < 2:
        given = "numeric columns: " if variables is None else "variables="
        raise AnalysisError(f"{given}{names}; a correlation is of two columns or more.")
    _numeric(frames, list(partial)) if partial else ()
    rows = min(len(frame) for frame in frames) - len(partial)
    if rows < 4:
        raise AnalysisError(f"Correlations need at least {4 + len(partial)} rows here.")
    matrices = np.array(
        [_correlations(frame, names, list(partial), method == "spearman") for frame in frames]
    )
    pairs = list(combinations(range(len(names)), 2))
    r = np.array([[matrix[i, j] for i, j in pairs] for matrix in matrices])
    for imputation, pair in np.argwhere(~(np.abs(r) < 1 - 1e-12)):
        raise AnalysisError(
            f"{names[pairs[pair][0]]!r} and {names[pairs[pair][1]]!r} are perfectly correlated in "
            f"imputation {imputation + 1}; leave one out."
        )
    n = np.array([len(frame) - len(partial) for frame in frames], dtype=float)
    variance = np.broadcast_to((_Z_VARIANCE[method] / (n - 3))[:, None], r.shape)
    table = pool(np.arctanh(r), variance, ci_prob=ci_prob).table
    table = table.rename(columns={"estimate": "z", "std_error": "z_std_error"})
    table["estimate"] = np.tanh(table["z"])
    table["std_error"] = (1 - table["estimate"] ** 2) * table["z_std_error"]
    table[["conf_low", "conf_high"]] = np.tanh(table[["conf_low", "conf_high"]])
    shown = ["estimate", "std_error", "z", "z_std_error", "df", "statistic", "p_value"]
    found = table[[*shown, "conf_low", "conf_high", "fmi"]]
    return found.set_axis(_pairs(names, pairs), axis=0)


@checked
def pool_covariance(
    data: Any, variables: Sequence[str] | None = None, *, ci_prob: Level = 0.95
) -> pd.DataFrame:
    """Pool variances and covariances over completed data sets.

    The sampling variance of s_xy is taken as (s_xx s_yy + s_xy²) / (n − 1), that of normal data
    (Anderson 2003, An Introduction to Multivariate Statistical Analysis, section 3.4); for heavy
    tails it is too small.

    Parameters
    ----------
    data, variables, ci_prob
        As in `pool_correlation`.

    Returns
    -------
    DataFrame
        Index (variable1, variable2), variances among them; estimate, std_error, df, conf_low,
        conf_high, fmi. Barnard and Rubin's df with n − 1 complete-data df.

    Examples
    --------
    >>> frames = [pd.DataFrame({"x": [1, 2, 3, 4, 5], "y": [1, 3, 2, 5, 4 + i]}) for i in (0, 1, 2)]
    >>> pool_covariance(frames)["estimate"].round(2).tolist()
    [2.5, 2.5, 3.33]
    """
    frames = _frames(data)
    names = _numeric(frames, variables)
    pairs = list(combinations_with_replacement(range(len(names)), 2))
    q, u = [], []
    for frame in frames:
        s = np.atleast_2d(np.cov(_values(frame, names), rowvar=False))
        q.append([s[i, j] for i, j in pairs])
        u.append([(s[i, i] * s[j, j] + s[i, j] ** 2) / (len(frame) - 1) for i, j in pairs])
    rows = min(len(frame) for frame in frames)
    table = pool(q, u, rows - 1, ci_prob=ci_prob).table
    kept = ["estimate", "std_error", "df", "conf_low", "conf_high", "fmi"]
    return table[kept].set_axis(_pairs(names, pairs), axis=0)


def _frames(data: Any) -> list[pd.DataFrame]:
    frames = completed_frames(data)
    if not frames or not all(isinstance(frame, pd.DataFrame) for frame in frames):
        raise AnalysisError("Give the imputations, or a list of their completed data frames.")
    return frames


def _numeric(
    frames: list[pd.DataFrame], variables: Sequence[str] | None, exclude: Sequence[str] = ()
) -> list[str]:
    """Names of the columns, checked in every frame."""
    first = frames[0]
    if variables is None:
        variables = [
            name
            for name in first.columns
            if pd.api.types.is_numeric_dtype(first[name].dtype) and name not in exclude
        ]
    names = list(variables)
    if len(set(names)) < len(names):
        raise AnalysisError(f"variables={names} names a column twice.")
    both = [name for name in names if name in exclude]
    if both:
        raise AnalysisError(f"{both[0]!r} is correlated and held constant; it can be one of them.")
    for number, frame in enumerate(frames, start=1):
        for name in names:
            if name not in frame.columns:
                raise AnalysisError(f"There is no column {name!r}{nearest(name, frame.columns)}")
            if not pd.api.types.is_numeric_dtype(frame[name].dtype):
                raise AnalysisError(f"{name!r} is not numeric; leave it out, or code it.")
            values = frame[name].to_numpy(dtype=float, na_value=np.nan)
            if not np.isfinite(values).all():
                raise AnalysisError(
                    f"{name!r} has missing or infinite values in imputation {number}."
                )
            if np.ptp(values) == 0:
                raise AnalysisError(f"{name!r} is constant in imputation {number}; leave it out.")
    return names


def _values(frame: pd.DataFrame, names: list[str]) -> Array:
    return np.column_stack([frame[name].to_numpy(dtype=float) for name in names])


def _correlations(frame: pd.DataFrame, names: list[str], partial: list[str], ranks: bool) -> Array:
    values = _values(frame, [*names, *partial])
    if ranks:
        from scipy.stats import rankdata

        values = np.apply_along_axis(rankdata, 0, values)
    own, held = values[:, : len(names)], values[:, len(names) :]
    design = np.column_stack([np.ones(len(held)), held])
    residuals = own - design @ np.linalg.lstsq(design, own, rcond=None)[0]
    return np.atleast_2d(np.corrcoef(residuals, rowvar=False))


def _pairs(names: list[str], pairs: list[tuple[int, int]]) -> pd.MultiIndex:
    labels = [(names[i], names[j]) for i, j in pairs]
    return pd.MultiIndex.from_tuples(labels, names=["variable1", "variable2"])
