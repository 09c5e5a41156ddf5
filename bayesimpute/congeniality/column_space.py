"""Whether a column lies in the space that other columns span, by least squares."""

from collections.abc import Sequence

import numpy as np

#: Smallest error, in SDs, from which straight lines alone are not enough.
BENT = 1e-2


def given(
    wanted: np.ndarray,
    lines: Sequence[np.ndarray],
    bent: Sequence[np.ndarray],
    exact: float,
    margin: int,
) -> bool:
    """Whether a column is a linear combination of others, and not of the lines alone.

    Parameters
    ----------
    wanted, lines, bent, margin
        As for :func:`misfit`.
    exact
        Largest error, in SDs of the column.
    """
    together = misfit(wanted, [*lines, *bent], margin)
    return together <= exact and misfit(wanted, lines, margin) > BENT


def misfit(wanted: np.ndarray, columns: Sequence[np.ndarray], margin: int) -> float:
    """Give the largest error of a column by an intercept and others, over rows known in all.

    Parameters
    ----------
    wanted
        (row,), NaN where missing.
    columns
        Each (row,), NaN where missing.
    margin
        Rows beyond the number of columns that it takes to tell.

    Returns
    -------
    float
        In SDs of the column; infinite where it is constant or the rows are too few.

    Examples
    --------
    >>> x, z = np.random.default_rng(1).normal(size=(2, 50))
    >>> misfit(x * z, [x, z, (x - 3) * (z - 2)], 10) < 1e-9, misfit(x * z, [x, z], 10) > 1
    (True, True)
    """
    design = np.column_stack([wanted, *columns])
    design = design[np.isfinite(design).all(axis=1)]
    if len(design) < design.shape[1] + margin or np.ptp(design[:, 0]) == 0:
        return np.inf
    spread = design.std(axis=0)
    scaled = (design - design.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    if not columns:
        return float(np.abs(scaled[:, 0]).max())
    solved = np.linalg.lstsq(scaled[:, 1:], scaled[:, 0], rcond=None)[0]
    return float(np.abs(scaled[:, 0] - scaled[:, 1:] @ solved).max())
