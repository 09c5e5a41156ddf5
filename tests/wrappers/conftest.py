"""A small study with two arms, schools and gaps, and a user's own model."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest


def own_model(design):
    """Linear regression, as a user would write it."""
    with pm.Model(coords=design.coords) as model:
        x = pm.Data("x", design.x, dims=("row", "predictor"))
        y = pm.Data("y", design.y, dims="row")
        intercept = pm.Normal("intercept", 0, 10)
        slope = pm.Normal("slope", 0, 10, dims="predictor")
        sigma = pm.HalfNormal("sigma", 5)
        pm.Normal("value", intercept + x @ slope, sigma, observed=y, dims="row")
    return model


@pytest.fixture(scope="session")
def builder():
    return own_model


@pytest.fixture(scope="session")
def trial():
    """400 pupils in 8 schools: in arm a y rises with x, in arm b it falls from another height."""
    rng = np.random.default_rng(31)
    n = 400
    school = np.repeat(np.arange(8), n // 8)
    arm = np.where(rng.random(n) < 0.5, "a", "b")
    x = rng.normal(size=n)
    sex = pd.Categorical(np.where(rng.random(n) < 0.5, "female", "male"))
    effect = 0.5 * rng.normal(size=8)[school]
    y = np.where(arm == "a", 1 + 2 * x, 11 - x) + effect + rng.normal(size=n)
    df = pd.DataFrame({"school": [f"s{k}" for k in school], "arm": arm, "x": x, "sex": sex, "y": y})
    df.loc[rng.random(n) < 0.3, "y"] = np.nan
    return df
