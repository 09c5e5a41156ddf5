"""A small clustered study with known structure."""

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def study():
    """120 pupils in 12 schools; a third of y, some of x, a level-2 variable with gaps."""
    rng = np.random.default_rng(11)
    school = np.repeat(np.arange(12), 10)
    size = rng.normal(size=12)[school]
    x = rng.normal(size=120)
    y = 1 + x + 0.5 * size + 0.7 * rng.normal(size=12)[school] + rng.normal(size=120)
    kind = pd.Categorical.from_codes(rng.integers(0, 3, 120), ["low", "mid", "high"], ordered=True)
    df = pd.DataFrame({"school": [f"s{k}" for k in school], "size": size, "x": x, "y": y})
    df["kind"] = kind
    df.loc[rng.random(120) < 0.3, "y"] = np.nan
    df.loc[school == 3, "y"] = np.nan
    df.loc[rng.random(120) < 0.15, "x"] = np.nan
    df.loc[school == 5, "size"] = np.nan
    df.loc[rng.random(120) < 0.1, "kind"] = None
    return df
