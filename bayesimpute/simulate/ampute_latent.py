"""What an outcome has beyond its predictors: residuals, and latent ones of a binary outcome."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import DataError
from bayesimpute.simulate.ampute_chances import standardised

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

#: SD of the normal prior of a slope, of a column with SD 1, in the probit fit of a binary outcome.
SLOPE_SD = 2.5

#: SD of the cluster intercepts in that fit.
CLUSTER_SD = 1.0

#: Steps of Newton's method after which the fit is taken as it is; it needs fewer than ten.
MOST_STEPS = 100


def outcome_columns(table: Table, names: Sequence[str]) -> Array:
    """Predictors of an outcome, (row, column), each with SD 1; indicators of unordered labels."""
    columns = [np.empty((table.n_rows, 0))]
    for name in names:
        values = table.values[name]
        if table.variables[name].kind is Kind.NOMINAL:
            present = np.unique(values)[1:]
            columns += [standardised((values == code).astype(np.float64))[:, None]
                        for code in present]  # fmt: skip
        else:
            columns.append(standardised(values)[:, None])
    return np.hstack(columns)


def residuals(variable: str, y: Array, x: Array, clusters: Codes | None) -> Array:
    """Residuals of a least-squares fit with an intercept, of each cluster if there are any.

    Parameters
    ----------
    variable
        Name of the outcome, for messages.
    y
        Outcome (row,).
    x
        Predictors (row, column).
    clusters
        Cluster of each row, or None.

    Returns
    -------
    ndarray (row,)
        With mean 0 (in each cluster) and mean square 1.

    Raises
    ------
    DataError
        If the predictors leave nothing over.
    """
    groups = np.zeros(len(y), dtype=np.int64) if clusters is None else clusters
    means = pd.DataFrame(np.column_stack([y, x])).groupby(groups).transform("mean").to_numpy()
    within = np.column_stack([y, x]) - means
    slopes, _, rank, _ = np.linalg.lstsq(within[:, 1:], within[:, 0], rcond=None)
    left = within[:, 0] - within[:, 1:] @ slopes
    spread = float(np.sqrt(np.mean(left**2)))
    free = len(y) - int(rank) - len(np.unique(groups))
    if free < 1 or spread <= 1e-10 * max(float(np.abs(y).max()), 1e-300):
        raise DataError(
            f"The outcome predictors of '{variable}' leave no residual that selection could "
            "depend on; name fewer in Selection(outcome=...), or give rho=0."
        )
    return np.asarray(left / spread)


def latent_residuals(
    variable: str, y: Array, x: Array, clusters: Codes | None, rng: np.random.Generator
) -> Array:
    """Latent residuals of a binary outcome, as a probit model has them.

    The outcome is 1 where η + e > 0. η is the posterior mode under a flat prior of the intercept,
    N(0, 2.5²) of the slopes of columns with SD 1, and N(0, 1) of cluster intercepts: it exists also
    where a cluster has one value only. e is then drawn from N(0, 1) given the outcome
    (Albert & Chib 1993, eq. 3).

    Parameters
    ----------
    variable
        Name of the outcome, for messages.
    y
        0 or 1 (row,).
    x
        Predictors (row, column), each with SD 1.
    clusters
        Cluster of each row, or None.
    rng
        For e.

    Raises
    ------
    DataError
        If the outcome has one value only.
    """
    from scipy.special import log_ndtr, ndtri_exp

    if len(np.unique(y)) < 2:
        raise DataError(
            f"'{variable}' has one value only, so that no residual is left that selection could "
            "depend on; give rho=0."
        )
    eta = _probit_mode(y, x, clusters)
    sign = 2 * y - 1
    # 1 − U lies in (0, 1]
    log_tail = np.log1p(-rng.random(len(y))) + log_ndtr(sign * eta)
    return np.asarray(-sign * ndtri_exp(log_tail))


def _probit_mode(y: Array, x: Array, clusters: Codes | None) -> Array:
    """Find the linear predictor at the mode, (row,), by Newton's method with halved steps."""
    from scipy.special import log_ndtr

    design = np.column_stack([np.ones(len(y)), x])
    slopes = np.full(design.shape[1], SLOPE_SD**-2)
    slopes[0] = 0.0  # the intercept is free
    codes = np.zeros(len(y), dtype=np.int64) if clusters is None else clusters
    n = int(codes.max()) + 1
    # without clusters their only intercept is held at 0
    precision = 1e12 if clusters is None else CLUSTER_SD**-2
    sign = 2 * y - 1

    def loss(beta: Array, effects: Array) -> float:
        likelihood = log_ndtr(sign * (design @ beta + effects[codes])).sum()
        prior = slopes @ beta**2 + precision * effects @ effects
        return float(prior / 2 - likelihood)

    beta, effects = np.zeros(design.shape[1]), np.zeros(n)
    for _ in range(MOST_STEPS):
        eta = design @ beta + effects[codes]
        log_p = log_ndtr(sign * eta)
        gradient = sign * np.exp(-(eta**2) / 2 - np.log(2 * np.pi) / 2 - log_p)
        curvature = gradient * (gradient + eta)
        weighted = design * curvature[:, None]
        # the Hessian is an arrow: a diagonal for the clusters, bordered by the coefficients
        border = np.array([np.bincount(codes, column, minlength=n) for column in weighted.T])
        diagonal = np.bincount(codes, curvature, minlength=n) + precision
        up = design.T @ gradient - slopes * beta
        up_effects = np.bincount(codes, gradient, minlength=n) - precision * effects
        schur = design.T @ weighted + np.diag(slopes) - (border / diagonal) @ border.T
        step = np.linalg.lstsq(schur, up - border @ (up_effects / diagonal), rcond=None)[0]
        step_effects = (up_effects - step @ border) / diagonal
        gain = up @ step + up_effects @ step_effects  # twice what a parabola would gain
        if gain < 1e-12 * len(y):
            break
        length, before = 1.0, loss(beta, effects)
        while (
            length > 1e-6 and loss(beta + length * step, effects + length * step_effects) > before
        ):
            length /= 2
        beta, effects = beta + length * step, effects + length * step_effects
    return np.asarray(design @ beta + effects[codes])
