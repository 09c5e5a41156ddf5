"""Values that are seen because of what they are: Heckman's selection equation.

Source: Heckman, J. J. (1976), Annals of Economic and Social Measurement 5, 475-492; with effects by
cluster as in the simulations of Muñoz, Efthimiou, Audigier, de Jong & Debray (2023).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import Finite, Share, Within, check_arguments
from bayesimpute.arrays import Array
from bayesimpute.data.table import ClusterIndex, Kind, Table
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.simulate.ampute_patterns import Columns, has_order, root, standardised, unknown
from bayesimpute.wording import did_you_mean

Codes = npt.NDArray[np.int64]

type SD = Annotated[float, Within(0, np.inf, high_open=True)]

#: SD of the normal prior of a slope, of a column with SD 1, in the probit fit of a binary outcome.
SLOPE_SD = 2.5

#: SD of the cluster intercepts in that fit.
CLUSTER_SD = 1.0

#: Steps of Newton's method after which the fit is taken as it is; it needs fewer than ten.
MOST_STEPS = 100


@dataclass(frozen=True)
class Selection:
    """How a variable is selected: it is seen where a latent variable is positive.

    In row i of cluster j, y is seen where b + a_j + Σ_k (γ_k + c_kj) x_ijk + u_ij > 0, with
    a_j ~ N(0, intercept_sd²), c_kj ~ N(0, slope_sd_k²) and u = ρ e + √(1 − ρ²) v, v ~ N(0, 1). The
    intercept b is solved so that the mean chance of being missing, given everything but v, is
    `prop`. e is the residual of y, so that with ρ ≠ 0 it is missing not at random; with ρ = 0 it is
    missing at random, as long as the predictors themselves stay observed.

    - y numeric or ordered: e is the residual of a least-squares fit of y (codes of categories) on
      the outcome predictors with an intercept, one for each cluster if there are clusters, divided
      by its root mean square. u is standard normal as far as e is.
    - y with two values: e is a latent residual of a probit fit, drawn given y
      (:func:`latent_residuals` says how).

    Attributes
    ----------
    predictors
        Variable -> γ, of columns with mean 0 and SD 1 (as they are with ``std=False``).
    rho
        Correlation ρ of u and e, between −1 and 1. Default 0.
    outcome
        Predictors of y from which e is left over. By default all other columns except the cluster
        column and dates; name them where the data hold variables that y causes. Unordered
        categories enter as indicators.
    prop
        Expected share of missing values; by default the `prop` of the call, by cluster if that is.
    intercept_sd
        SD of a_j. Default 0.
    slope_sd
        Variable -> SD of c_kj. Default none.

    Raises
    ------
    SpecificationError
        If a number is out of range.

    Examples
    --------
    >>> Selection({"x1": 1.3, "x3": 1.2}, rho=0.6, intercept_sd=0.6).rho
    0.6
    """

    predictors: Mapping[str, Finite]
    rho: Annotated[float, Within(-1, 1, low_open=True, high_open=True)] = 0.0
    outcome: Sequence[str] | None = None
    prop: Share | None = None
    intercept_sd: SD = 0.0
    slope_sd: Mapping[str, SD] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        return html.fields(self)

    def __post_init__(self) -> None:
        check_arguments(Selection, vars(self))
        for name in self.slope_sd:
            if name not in self.predictors:
                raise SpecificationError(
                    f"slope_sd names '{name}', which is no predictor; add it to predictors, with "
                    "coefficient 0 if its slopes have mean 0."
                )


def check_selection(
    variable: str,
    selection: Any,
    table: Table,
    factors: Collection[str],
    level2: Collection[str],
) -> None:
    """Raise SpecificationError unless this selection can be made on these data."""
    where = f"selection['{variable}']"
    names = [name for name in table.variables if name not in factors]
    if variable not in names:
        raise unknown("selection names", variable, names)
    if not isinstance(selection, Selection):
        raise SpecificationError(
            f"{where} must be a Selection, as in "
            "bi.simulate.Selection({'x': 1.0}, rho=0.5), not "
            f"{type(selection).__name__}."
        )
    if variable in level2:
        raise SpecificationError(
            f"{where}: '{variable}' is constant in every cluster, and selection is of rows; "
            "take it away by patterns=, which then goes by whole clusters."
        )
    for name in [*selection.predictors, *(selection.outcome or ())]:
        if name not in names or name == variable:
            hint = did_you_mean(name, [other for other in names if other != variable])
            reason = "which is no column"
            if name == variable:
                reason = "what depends on the variable itself is said by rho"
            elif name in factors:
                reason = "the cluster column; effects of clusters are intercept_sd and slope_sd"
            raise SpecificationError(f"{where} names '{name}': {reason}.{hint}")
    for name in selection.predictors:
        if not has_order(table, name):
            raise SpecificationError(
                f"{where}: the values of '{name}' are no numbers and have no order; make "
                "indicator columns of them."
            )
    for name in selection.outcome or ():
        if table.variables[name].kind is Kind.OTHER:
            raise SpecificationError(
                f"{where}: '{name}' ({table.variables[name].dtype}) is neither number nor "
                "category; leave it out of outcome, or make a numeric column of it."
            )
    if not factors and (selection.intercept_sd or selection.slope_sd):
        raise SpecificationError(f"{where} has effects of clusters; say which with cluster=.")
    if selection.rho != 0 and not has_order(table, variable):
        raise SpecificationError(
            f"{where}: the values of '{variable}' have no order, so rho has no meaning; give rho=0."
        )


def select(
    variable: str,
    selection: Selection,
    columns: Columns,
    clusters: ClusterIndex | None,
    prop: float | Array,
    factors: Collection[str],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Run a selection equation.

    Parameters
    ----------
    variable, selection
        As checked by `check_selection`.
    columns
        The data.
    clusters
        Of the rows, or None.
    prop
        Share missing, or that of each cluster (cluster,).
    factors
        Names of the columns that group rows.
    rng
        Random numbers.

    Returns
    -------
    pandas.DataFrame
        In canonical row order: ``residual`` e (NaN if ρ = 0), ``error`` u, ``latent`` (the left
        side of the inequality), ``probability`` of being missing, given all but v.

    Raises
    ------
    DataError
        If y has no residual.
    """
    n = columns.table.n_rows
    codes = None if clusters is None else clusters.codes

    def effects(sd: float) -> Any:
        return rng.normal(0, sd, clusters.n)[clusters.codes] if clusters is not None and sd else 0.0

    systematic_part = np.zeros(n) + effects(selection.intercept_sd)
    for name, coefficient in selection.predictors.items():
        slope = coefficient + effects(selection.slope_sd.get(name, 0))
        systematic_part += slope * columns.numbers(name)
    residual, known = np.full(n, np.nan), systematic_part
    if selection.rho != 0:
        residual = _residual(variable, selection, columns.table, codes, factors, rng)
        known = systematic_part + selection.rho * residual
    spread = float(np.sqrt(1 - selection.rho**2))
    intercept, probability = np.zeros(n), np.zeros(n)
    by_cluster = codes is not None and np.size(prop) > 1
    groups = codes if by_cluster else np.zeros(n, dtype=np.int64)
    for group, share in enumerate(np.atleast_1d(prop)):
        rows = groups == group
        intercept[rows], probability[rows] = chances_of_selection(known[rows], spread, float(share))
    v = spread * rng.normal(size=n)
    return pd.DataFrame(
        {
            "residual": residual,
            "error": known - systematic_part + v,
            "latent": intercept + known + v,
            "probability": probability,
        }
    )


def chances_of_selection(latent: Array, spread: float, mean: float) -> tuple[float, Array]:
    """Probit chances of being missing, with the intercept that makes their mean `mean`.

    Parameters
    ----------
    latent
        What is known of the latent variable before its intercept, (row,).
    spread
        SD of what is not known.
    mean
        From 0 to 1.

    Returns
    -------
    tuple
        The intercept b, and Φ(−(b + latent) / spread), (row,).
    """
    from scipy.special import ndtr, ndtri

    if mean in (0, 1) or len(latent) == 0:
        return (-np.inf if mean == 1 else np.inf), np.full(len(latent), float(mean))

    def chances(b: float) -> Array:
        return np.asarray(ndtr(-(b + latent) / spread))

    wanted = -spread * float(ndtri(mean))
    low, high = wanted - latent.max() - 1, wanted - latent.min() + 1
    b = root(lambda b: mean - chances(b).mean(), low, high)
    return b, chances(b)


def _residual(
    variable: str,
    selection: Selection,
    table: Table,
    codes: Any,
    factors: Collection[str],
    rng: np.random.Generator,
) -> Array:
    others = [name for name in table.variables if name != variable and name not in factors]
    usable = [name for name in others if table.variables[name].kind is not Kind.OTHER]
    x = outcome_columns(table, usable if selection.outcome is None else selection.outcome)
    y = table.values[variable]
    if len(np.unique(y)) <= 2:
        return latent_residuals(variable, (y == y.max()).astype(np.float64), x, codes, rng)
    return residuals(variable, y, x, codes)


def outcome_columns(table: Table, names: Sequence[str]) -> Array:
    """Predictors of an outcome, (row, column), each with SD 1; indicators of unordered labels."""
    columns = []
    for name in names:
        values = table.values[name]
        if table.variables[name].kind is Kind.NOMINAL:
            columns += [standardised(1.0 * (values == code)) for code in np.unique(values)[1:]]
        else:
            columns.append(standardised(values))
    return np.column_stack([np.empty((table.n_rows, 0)), *columns])


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
