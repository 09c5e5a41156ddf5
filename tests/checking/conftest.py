"""Small designs of every kind, and what a textbook model says of their rows."""

import numpy as np
import pytest

from bayesimpute.data.table import Kind
from bayesimpute.method import Design

CLUSTERS, EACH = 6, 12


def design_of(y, kind=Kind.NUMERIC, categories=(), clustered=True, seed=3):
    """72 rows in 6 clusters with a random slope; every fifth value missing, cluster 5 empty."""
    rng = np.random.default_rng(seed)
    n = CLUSTERS * EACH
    cluster = np.repeat(np.arange(CLUSTERS), EACH)
    x = rng.normal(size=(n, 2))
    fit = (np.arange(n) % 5 != 0) & (cluster != 5)
    z = np.column_stack([np.ones(n), x[:, :1]]) if clustered else np.empty((n, 0))
    return Design(
        "y",
        kind,
        categories,
        np.where(fit, y, np.nan),
        x,
        ("x0", "x1"),
        z,
        ("intercept", "x0") if clustered else (),
        cluster if clustered else np.zeros(n, dtype=np.int64),
        CLUSTERS if clustered else 1,
        fit,
        ~fit,
        tuple(range(CLUSTERS)) if clustered else (),
    )


def targets():
    """A target of each kind, made from the design's own predictors."""
    rng = np.random.default_rng(3)
    n = CLUSTERS * EACH
    cluster = np.repeat(np.arange(CLUSTERS), EACH)
    x = rng.normal(size=(n, 2))
    rng = np.random.default_rng(4)
    effect = rng.normal(size=(CLUSTERS, 2)) * 0.5
    eta = 0.8 * x[:, 0] - 0.5 * x[:, 1] + effect[cluster, 0] + effect[cluster, 1] * x[:, 0]
    return {
        "number": 5 + 2 * (eta + rng.normal(size=n)),
        "binary": (eta + rng.logistic(size=n) > 0).astype(float),
        "codes": np.digitize(eta + rng.logistic(size=n), [-1.0, 0.5]).astype(float),
        "counts": rng.poisson(np.exp(0.5 + 0.4 * eta)).astype(float),
        "positive": np.exp(0.5 + 0.4 * eta) * rng.gamma(2, 0.5, n),
        "share": rng.beta(4 / (1 + np.exp(-eta)), 4 / (1 + np.exp(eta))),
    }


@pytest.fixture(scope="session")
def made():
    """`made("number")` is a design with such a target."""
    values = targets()

    def design(which, clustered=True):
        kinds = {
            "binary": (Kind.BINARY, ("no", "yes")),
            "codes": (Kind.NOMINAL, ("a", "b", "c")),
            "ordered": (Kind.ORDINAL, ("low", "mid", "high")),
        }
        y = values["codes" if which == "ordered" else which]
        return design_of(y, *kinds.get(which, (Kind.NUMERIC, ())), clustered=clustered)

    return design
