"""Values that are seen because of what they are: Heckman's selection equation.

Source: Heckman, J. J. (1976), Annals of Economic and Social Measurement 5, 475-492; with effects by
cluster as in the simulations of Muñoz, Efthimiou, Audigier, de Jong & Debray (2023).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute import html
from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.simulate.ampute_chances import chances_of_selection
from bayesimpute.simulate.ampute_latent import latent_residuals, outcome_columns, residuals
from bayesimpute.simulate.ampute_scores import Columns, has_order
from bayesimpute.simulate.ampute_systematic import check_share
from bayesimpute.wording import did_you_mean, listed

Array = npt.NDArray[np.float64]


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
      (:func:`bayesimpute.simulate.ampute_latent.latent_residuals` says how).

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

    predictors: Mapping[str, float]
    rho: float = 0.0
    outcome: Sequence[str] | None = None
    prop: float | None = None
    intercept_sd: float = 0.0
    slope_sd: Mapping[str, float] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        return html.fields(self)

    def __post_init__(self) -> None:
        if not _finite(self.rho) or not -1 < self.rho < 1:
            raise SpecificationError(f"rho={self.rho!r} must be between −1 and 1, both excluded.")
        if not isinstance(self.predictors, Mapping):
            raise SpecificationError(
                f"predictors={self.predictors!r} must be a mapping from variables to coefficients."
            )
        for name, coefficient in self.predictors.items():
            if not _finite(coefficient):
                raise SpecificationError(
                    f"predictors['{name}']={coefficient!r} must be a finite number."
                )
        for what, sd in {
            "intercept_sd": self.intercept_sd,
            **{f"slope_sd['{name}']": sd for name, sd in self.slope_sd.items()},
        }.items():
            if not _finite(sd) or sd < 0:
                raise SpecificationError(f"{what}={sd!r} must be an SD, from 0.")
        for name in self.slope_sd:
            if name not in self.predictors:
                raise SpecificationError(
                    f"slope_sd names '{name}', which is no predictor; add it to predictors, with "
                    "coefficient 0 if its slopes have mean 0."
                )
        if isinstance(self.outcome, str):
            raise SpecificationError(f"outcome={self.outcome!r} must be a list: [{self.outcome!r}]")
        if self.prop is not None:
            check_share("Selection(prop=...)", self.prop)


def _finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def check_selection(
    variable: str, selection: Any, table: Table, cluster: str | None, level2: frozenset[str]
) -> None:
    """Raise SpecificationError unless this selection can be made on these data."""
    where = f"selection['{variable}']"
    names = [name for name in table.variables if name != cluster]
    if variable not in names:
        raise SpecificationError(
            f"selection names '{variable}', which is no column that can go missing: "
            f"{listed(names)}.{did_you_mean(variable, names)}"
        )
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
            reason = (
                "what depends on the variable itself is said by rho"
                if name == variable
                else "which is no column"
                if name != cluster
                else "the cluster column; effects of clusters are intercept_sd and slope_sd"
            )
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
    if cluster is None and (selection.intercept_sd or selection.slope_sd):
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
    cluster: str | None,
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
    cluster
        Name of the cluster column.
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
    systematic_part = np.zeros(n)
    if clusters is not None and selection.intercept_sd:
        systematic_part += rng.normal(0, selection.intercept_sd, clusters.n)[clusters.codes]
    for name, coefficient in selection.predictors.items():
        slope = np.full(n, float(coefficient))
        if clusters is not None and selection.slope_sd.get(name, 0):
            slope += rng.normal(0, selection.slope_sd[name], clusters.n)[clusters.codes]
        systematic_part += slope * columns.numbers(name)
    residual = np.full(n, np.nan)
    known = systematic_part
    if selection.rho != 0:
        residual = _residual(variable, selection, columns.table, codes, cluster, rng)
        known = systematic_part + selection.rho * residual
    spread = float(np.sqrt(1 - selection.rho**2))
    intercept, probability = np.zeros(n), np.zeros(n)
    wanted = np.atleast_1d(np.asarray(prop, dtype=np.float64))
    groups = np.zeros(n, dtype=np.int64) if codes is None or len(wanted) == 1 else codes
    for group, share in enumerate(wanted):
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


def _residual(
    variable: str,
    selection: Selection,
    table: Table,
    codes: Any,
    cluster: str | None,
    rng: np.random.Generator,
) -> Array:
    names = selection.outcome
    if names is None:
        names = [
            name
            for name, other in table.variables.items()
            if name not in (variable, cluster) and other.kind is not Kind.OTHER
        ]
    x = outcome_columns(table, names)
    y = table.values[variable]
    if len(np.unique(y)) <= 2:
        return latent_residuals(variable, (y == y.max()).astype(np.float64), x, codes, rng)
    return residuals(variable, y, x, codes)
