"""Which categories of a variable a picture of its chains shows, where there is room for two."""

import numpy as np

from bayesimpute.diagnostics import r_hat

SHOWN = 2


def least_agreeing(shares: np.ndarray) -> tuple[list[int], bool]:
    """Find the two categories whose chains agree least.

    Parameters
    ----------
    shares
        (m, iterations, categories) of the imputed cells.

    Returns
    -------
    categories
        Positions of (up to) two, the one with the largest R-hat first; the two most frequently
        imputed ones, the more frequent first, where R-hat is not defined: with one chain, fewer
        than 4 iterations, or shares that are all constant. Ties in the order of the categories.
    by_r_hat
        Whether R-hat has decided.
    """
    measure = np.array([r_hat(shares[:, :, k]) for k in range(shares.shape[2])])
    by_r_hat = bool((~np.isnan(measure)).sum() >= SHOWN)
    if not by_r_hat:
        measure = shares.mean(axis=(0, 1))
    order = np.argsort(np.where(np.isnan(measure), np.inf, -measure), kind="stable")
    return [int(k) for k in order[:SHOWN]], by_r_hat
