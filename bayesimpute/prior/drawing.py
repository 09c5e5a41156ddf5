"""Draws of a PyMC model's variables from their joint prior."""

import warnings
from typing import Any

import numpy as np

from bayesimpute.engine.failures import FAILURES, said
from bayesimpute.errors import SamplingError


def drawn_variables(
    target: str, variables: list[Any], draws: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Draw variables of one model jointly, forwards, (draw, …) each.

    Not by ``pm.sample_prior_predictive``, which writes to the log and knows neither the rows nor
    the categories of the user's data.

    Raises
    ------
    SamplingError
        If a distribution has no draws, or they are no numbers.
    """
    import pymc as pm

    if not variables:
        return []
    try:
        with warnings.catch_warnings():
            # a distribution may draw in Python
            warnings.filterwarnings("ignore", "Numba will use object mode", UserWarning)
            drawn = pm.draw(variables, draws=draws, random_seed=int(rng.integers(2**31)))
    except FAILURES as error:
        raise SamplingError(
            f"target {target!r}: nothing can be drawn from its priors: {said(error)}. A prior must "
            "be a proper distribution (not pm.Flat), and tight enough for the model to be a number."
        ) from error
    return [np.asarray(values).reshape(draws, *np.shape(values)[1:]) for values in drawn]
