"""Association of every two variables: in total, within clusters, and between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from bayesimpute.data.encoding import Kind, encode

Part = Literal["total", "within", "between"]
#: Nominal variables with more categories are names, not variables.
MOST_CATEGORIES = 30


@dataclass(frozen=True, eq=False)
class Column:
    """One variable as columns of numbers.

    Attributes
    ----------
    name
        Of the variable.
    values
        float64 (row, k): the number itself, 0 and 1, the position of an ordered category, or an
        indicator for each nominal category; NaN in the whole row where missing.
    nominal
        Whether it is a set of indicators, which has no sign.
    """

    name: str
    values: np.ndarray
    nominal: bool

    @property
    def observed(self) -> np.ndarray:
        """Rows with a value, bool (row,)."""
        return ~np.isnan(self.values[:, 0])


def association_columns(
    frame: pd.DataFrame, names: Sequence[str]
) -> tuple[list[Column], dict[str, str]]:
    """Variables that can be associated, and of each of the others why it cannot.

    Parameters
    ----------
    frame
        As `bayesimpute.plots.frames.named_frame` gives it.
    names
        Which columns.

    Returns
    -------
    tuple
        Columns, and name -> reason.

    Raises
    ------
    DataError
        If a number is infinite.
    """
    columns, left_out = [], {}
    for name in names:
        variable, values = encode(frame[name])
        seen = values[~np.isnan(values)]
        nominal = variable.kind is Kind.NOMINAL
        if variable.kind is Kind.OTHER and len(seen):
            left_out[name] = f"{variable.dtype} is neither number nor category"
        elif not len(seen):
            left_out[name] = "no value"
        elif np.ptp(seen) == 0:
            left_out[name] = "constant"
        elif nominal and len(np.unique(seen)) > MOST_CATEGORIES:
            left_out[name] = f"{len(np.unique(seen))} categories"
        else:
            shown = values[:, None]
            if nominal:
                shown = np.where(np.isnan(shown), np.nan, shown == np.unique(seen)[None, :])
            columns.append(Column(name, shown, nominal))
    return columns, left_out


def associations(
    columns: Sequence[Column], part: Part = "total", clusters: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""Associate pairs, each from the rows in which both are observed.

    With the cross-products :math:`S` of the two variables' columns, the association is

    .. math:: \sqrt{\operatorname{tr}(S_{xx}^{-} S_{xy} S_{yy}^{-} S_{yx}) / \min(k_x, k_y)}

    where :math:`k` are ranks. Of two numbers this is the absolute Pearson correlation (whose sign
    is kept), of a number and a nominal variable the correlation ratio η, of two nominal variables
    Cramér's V. The cross-products are those of the values around their mean ("total"), around the
    means of their clusters ("within"), or of the cluster means, each counted with its number of
    rows ("between"), so that total = within + between.

    Parameters
    ----------
    columns
        As `association_columns` gives them.
    part
        Which of the three.
    clusters
        Cluster number of each row, int (row,); not needed for "total".

    Returns
    -------
    tuple
        Associations (variable, variable), NaN where a variable does not vary in the part or there
        are no more rows, rows within clusters, or clusters than a perfect fit needs; and number of
        rows of each pair, int (variable, variable).

    References
    ----------
    Pillai (1955), Annals of Mathematical Statistics 26, 117-121 (the trace); Cramér (1946),
    Mathematical Methods of Statistics, section 21.9; within and between: Snijders & Bosker (2012),
    Multilevel Analysis, section 3.6.
    """
    n = len(columns)
    found, counts = np.full((n, n), np.nan), np.zeros((n, n), dtype=int)
    for i, a in enumerate(columns):
        for j, b in enumerate(columns[: i + 1]):
            both = a.observed & b.observed
            counts[i, j] = counts[j, i] = both.sum()
            if counts[i, j] == 0:
                continue
            ids = None if clusters is None else np.unique(clusters[both], return_inverse=True)[1]
            x, spare = _deviations(a.values[both], part, ids)
            y, _ = _deviations(b.values[both], part, ids)
            signed = not (a.nominal or b.nominal)
            found[i, j] = found[j, i] = _association(x, y, spare, signed)
    return found, counts


def _deviations(
    values: np.ndarray, part: Part, clusters: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """Values around what the part takes away, and their degrees of freedom.

    What is left of a variable that does not vary is exactly 0 and no remainder of rounding.
    """
    overall = values - values.mean(axis=0)
    scale = np.abs(overall).max(axis=0)
    if part == "total" or clusters is None:
        return overall, len(values) - 1
    sizes = np.bincount(clusters)
    means = np.array([np.bincount(clusters, column) / sizes for column in overall.T]).T
    kept = overall - means[clusters] if part == "within" else means * np.sqrt(sizes)[:, None]
    kept[:, np.abs(kept).max(axis=0) <= 1e-9 * scale] = 0.0
    return kept, len(values) - len(sizes) if part == "within" else len(sizes) - 1


def _association(x: np.ndarray, y: np.ndarray, spare: int, signed: bool) -> float:
    bases = [_basis(x), _basis(y)]
    ranks = [basis.shape[1] for basis in bases]
    if min(ranks) == 0 or spare <= max(ranks):
        return np.nan
    squared = float(np.sum((bases[0].T @ bases[1]) ** 2)) / min(ranks)
    size = min(np.sqrt(squared), 1.0)
    return float(np.copysign(size, x[:, 0] @ y[:, 0])) if signed else float(size)


def _basis(columns: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the columns' span; no column where they are all 0."""
    lengths = np.linalg.norm(columns, axis=0)
    varying = columns[:, lengths > 0] / lengths[lengths > 0]
    if varying.shape[1] <= 1:
        return varying
    vectors, values, _ = np.linalg.svd(varying, full_matrices=False)
    return np.asarray(vectors[:, values > 1e-8 * values.max()])
