"""Diagnostics of the sampler inside each imputation, by ArviZ's definitions."""

from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.posterior.draws import Draws

#: Columns of the table, all NaN for a constant; `r_hat` also with one chain.
COLUMNS = ("mean", "sd", "r_hat", "ess_bulk", "ess_tail", "mcse_mean")


def array_statistics() -> Any:
    """Give ArviZ's statistics on plain arrays: a whole posterior in one call."""
    from arviz_stats import base

    return base.array_stats  # type: ignore[attr-defined]


def summaries(draws: Draws) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Posterior mean, variance and effective number of draws for the mean, (m, k) each."""
    arviz = array_statistics()
    means = np.array([each.mean(axis=(0, 1)) for each in draws.values])
    variances = np.array(
        [each.reshape(-1, each.shape[2]).var(axis=0, ddof=1) for each in draws.values]
    )
    ess = np.full(means.shape, np.nan)
    for i, values in enumerate(draws.values):
        moving = ~_constant(values)
        if moving.any():
            ess[i, moving] = arviz.ess(
                values[..., moving], chain_axis=0, draw_axis=1, method="mean"
            )
    return means, np.where(np.isnan(ess), 0.0, variances), ess


def by_imputation(draws: Draws) -> pd.DataFrame:
    """One row for each quantity in each imputation.

    Returns
    -------
    DataFrame
        Index (term, imputation); `COLUMNS`: posterior mean and SD, rank-normalised split R-hat,
        bulk and tail (5 % and 95 %) effective sample sizes, Monte-Carlo error of the mean.
    """
    arviz = array_statistics()
    means, variances, ess = summaries(draws)
    shape = (*means.shape, len(COLUMNS))
    table = np.full(shape, np.nan)
    table[..., 0], table[..., 1] = means, np.sqrt(variances)
    with np.errstate(divide="ignore", invalid="ignore"):
        table[..., 5] = np.sqrt(variances / ess)
    for i, values in enumerate(draws.values):
        moving = ~_constant(values)
        if not moving.any():
            continue
        chosen, axes = values[..., moving], {"chain_axis": 0, "draw_axis": 1}
        if len(values) > 1:
            table[i, moving, 2] = arviz.rhat(chosen, method="rank", **axes)
        table[i, moving, 3] = arviz.ess(chosen, method="bulk", **axes)
        table[i, moving, 4] = arviz.ess(chosen, method="tail", prob=(0.05, 0.95), **axes)
    index = pd.MultiIndex.from_product(
        [draws.terms, range(1, draws.m + 1)], names=["term", "imputation"]
    )
    flat = table.transpose(1, 0, 2).reshape(-1, len(COLUMNS))
    return pd.DataFrame(flat, index=index, columns=list(COLUMNS))


def divergences(draws: Draws) -> pd.Series:
    """Divergent transitions of each imputation; missing where its sampler does not tell."""
    counts = [
        int(np.nansum(each["diverging"].values)) if "diverging" in each else pd.NA
        for each in draws.statistics
    ]
    index = pd.RangeIndex(1, draws.m + 1, name="imputation")
    return pd.Series(counts, index=index, dtype="Int64", name="divergences")


def _constant(values: np.ndarray) -> np.ndarray:
    """Which scalars do not move, to rounding, (k,)."""
    range_ = np.ptp(values, axis=(0, 1))
    still: np.ndarray = range_ <= 1e-12 * np.abs(values).max(axis=(0, 1))
    return still
