"""Observations left out of a posterior by Pareto-smoothed importance sampling.

Leaving an observation out weighs each draw by one over its density there; the shape k of the
largest weights says whether they can be trusted (Vehtari, Simpson, Gelman, Yao & Gabry 2024).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from bayesimpute.arrays import Array

#: Draws that a Pareto tail needs: five in a fifth of them.
FEWEST = 25
#: Shape above which an importance-sampling estimate is unreliable.
LARGE_K = 0.7


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Weights that take each observation out of a sample of its posterior.

    Attributes
    ----------
    log_weights
        Normalised, (draw, row).
    pareto_k
        Shape of the tail, (row,).
    """

    log_weights: Array
    pareto_k: Array

    def log_score(self, log_likelihood: Array) -> Array:
        """Log predictive density of each observation left out, (row,).

        Parameters
        ----------
        log_likelihood
            Of each draw, (draw, row).
        """
        return np.asarray(logsumexp(self.log_weights + log_likelihood, axis=0))


def leave_one_out(log_likelihood: Array) -> LeftOut:
    """Weights for leaving out each observation in turn.

    Parameters
    ----------
    log_likelihood
        Log density of what the posterior has learnt from each row, (draw, row).
    """
    from arviz_stats.base import array_stats

    weights, k = array_stats.psislw(log_likelihood, axis=0)  # draws last
    return LeftOut(np.ascontiguousarray(weights.T), k)
