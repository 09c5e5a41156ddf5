"""Compiled likelihoods called with rows along the first axis, as tests write them."""

import numba
import numpy as np

from bayesimpute.sampling.linear_parts import compiled, curvature


def columns_of(likelihood, y):
    """What a likelihood knows of rows (row,) or (row, column)."""
    make = getattr(likelihood, "columns", np.atleast_2d)
    return np.ascontiguousarray(make(np.asarray(y, dtype=float).T))


def density(likelihood, y, eta, positive, free):
    """Log likelihood, and gradients by eta (row, R), positive and free extras."""
    extra = np.concatenate([positive, free]).astype(float)
    given = (columns_of(likelihood, y), np.ascontiguousarray(eta.T), extra, likelihood.constants)
    value, by_eta, by_extra = call(compiled(likelihood)[0], given)
    return float(value), by_eta.T, *np.split(by_extra, [len(positive)])


def prior(likelihood, intercepts, free):
    """Extra log prior, and gradients by intercepts and free extras."""
    given = (np.array(intercepts, dtype=float), np.array(free, dtype=float), likelihood.constants)
    value, *gradients = call(compiled(likelihood)[2], given)
    return float(value), *gradients


def information(likelihood, y, eta, positive, free):
    """Curvature of each row, (row, R, R)."""
    return curvature(likelihood, columns_of(likelihood, y), eta, positive, free)


@numba.njit(cache=True)
def call(function, given):
    """Call compiled code by its address, as compiled code does."""
    return function(given)
