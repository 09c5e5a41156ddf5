"""Small designs with known parameters."""

import numpy as np
import pytest

from bayesimpute.data.table import Kind
from bayesimpute.method import Design


def make_design(x, z, y, cluster, n_clusters, fit, draw, kind=Kind.NUMERIC, categories=()):
    return Design(
        "y",
        kind,
        categories,
        y,
        x,
        tuple(f"x{k}" for k in range(x.shape[1])),
        z,
        ("intercept", "slope")[: z.shape[1]],
        cluster,
        n_clusters,
        fit,
        draw,
    )


@pytest.fixture
def two_level():
    """60 rows in 8 clusters with a random slope; every fourth value missing, cluster 7 empty."""
    rng = np.random.default_rng(5)
    cluster = np.repeat(np.arange(8), 10)
    x = rng.normal(size=(80, 1))
    z = np.column_stack([np.ones(80), x])
    effects = rng.normal(size=(8, 2)) * [0.8, 0.4]
    y = 2 + x[:, 0] + (z * effects[cluster]).sum(axis=1) + rng.normal(size=80) * 0.7
    fit = (np.arange(80) % 4 != 0) & (cluster != 7)
    return make_design(x, z, np.where(fit, y, np.nan), cluster, 8, fit, ~fit)
