"""With three clusters the SDs between them are hardly known: samplers must not run into walls."""

import numpy as np
import pytest

from bayesimpute.data.table import Kind
from bayesimpute.method import Design
from bayesimpute.registry import resolve
from bayesimpute.sampling import nuts


def three_clusters(seed, binary):
    rng = np.random.default_rng(seed)
    n, cluster = 90, np.repeat(np.arange(3), 30)
    x = rng.normal(size=(n, 2))
    eta = x @ [0.8, -0.4] + 0.5 * rng.normal(size=3)[cluster]
    y = (eta + rng.logistic(size=n) > 0).astype(float) if binary else eta + rng.normal(size=n)
    fit = rng.random(n) < 0.8
    return Design(
        "y", Kind.BINARY if binary else Kind.NUMERIC, ("a", "b") if binary else (), y, x,
        ("x1", "x2"), np.ones((n, 1)), ("intercept",), cluster, 3, fit, ~fit,
    )  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_collapsed_normal_model_has_no_divergences(seed):
    design = three_clusters(seed, binary=False)
    posterior = resolve("normal").kernel(design, {}, resolve("normal").options)._posterior
    rng = np.random.default_rng(seed)
    adaptation = posterior.adapt(design, 300, rng)
    start = posterior.start(adaptation, rng)
    _, record = posterior._nuts.move(posterior.observe(design), start, adaptation, 20, 10_000, rng)
    assert record[nuts.DIVERGING] <= 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_logit_has_hardly_any(seed):
    design = three_clusters(seed, binary=True)
    posterior = resolve("logistic").kernel(design, {}, resolve("logistic").options)._posterior
    rng = np.random.default_rng(seed)
    adaptation = posterior.adapt(design, 60, rng)
    state = posterior.settle(design, adaptation, posterior.start(adaptation, rng), 12, rng)
    _, _, statistics = posterior.draw(design, adaptation, state, 3000, rng)
    assert statistics["diverging"] <= 9  # 0.1 % of 9,000 transitions
