"""Simulation-based calibration of a kernel, by the engine's own path."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytest
from scipy import stats

from bayesimpute.data.table import Kind
from bayesimpute.method import Design
from bayesimpute.models.normal import Normal

#: Priors on the data's scale: the defaults look at the data, which calibration must not.
PRIORS = {
    "intercept": pm.Normal.dist(0, 1),
    "beta": pm.Normal.dist(0, 1),
    "sd_intercept": pm.HalfNormal.dist(0.8),
    "sd_x": pm.HalfNormal.dist(0.6),
    "sigma": pm.HalfNormal.dist(1),
    "sd_log_sigma": pm.HalfNormal.dist(0.5),
}
RANKS = 31  # draws a replicate; ranks are 0 … RANKS


@dataclass(frozen=True)
class Scenario:
    """A design to calibrate on."""

    clusters: int = 8
    rows: int = 12
    slope: bool = True
    heteroscedastic: bool = False
    systematic: bool = False
    level2: bool = False
    residual_bug: float = 1.0  # draws of missing values get this multiple of the residual SD
    swap_effects: bool = False
    parameters_kept: bool = False


def simulate(scenario: Scenario, rng: np.random.Generator):
    """Parameters from the prior, then data; returns design, truth and the true missing values."""
    level2 = scenario.level2
    clusters = 1 if level2 else scenario.clusters
    n = 30 if level2 else scenario.clusters * scenario.rows
    cluster = (
        np.zeros(n, dtype=np.int64) if level2 else np.repeat(np.arange(clusters), scenario.rows)
    )
    x = rng.normal(size=(n, 1))
    fit = rng.random(n) > 0.3
    if scenario.systematic:
        fit &= cluster < clusters - 2
    centre = x[fit].mean(axis=0)
    truth = {"intercept": rng.normal(), "beta": rng.normal(size=1), "sigma": abs(rng.normal())}
    names: tuple[str, ...] = ()
    effects = np.zeros((clusters, 0))
    if not level2:
        names = ("intercept", "x")[: 1 + scenario.slope]
        truth["sd_intercept"] = 0.8 * abs(rng.normal())
        sd = [truth["sd_intercept"]]
        root = np.eye(len(names))
        if scenario.slope:
            truth["sd_x"] = 0.6 * abs(rng.normal())
            sd.append(truth["sd_x"])
            r = 2 * rng.beta(2, 2) - 1  # LKJ(2) of two effects
            truth["correlation"] = np.array([r])
            root = np.array([[1, 0], [r, np.sqrt(1 - r * r)]])
        effects = rng.normal(size=(clusters, len(names))) @ root.T * sd
    z = np.column_stack([np.ones(n), x])[:, : len(names)]
    shift = np.append(0.0, centre)[: len(names)]
    residual = np.full(clusters, truth["sigma"])
    if scenario.heteroscedastic:
        truth["sd_log_sigma"] = 0.5 * abs(rng.normal())
        residual = residual * np.exp(truth["sd_log_sigma"] * rng.normal(size=clusters))
    y = (
        truth["intercept"]
        + (x - centre) @ truth["beta"]
        + ((z - shift) * effects[cluster]).sum(axis=1)
        + residual[cluster] * rng.normal(size=n)
    )
    design = Design(
        "y",
        Kind.NUMERIC,
        (),
        np.where(fit, y, np.nan),
        x,
        ("x",),
        z,
        names,
        cluster,
        clusters,
        fit,
        ~fit,
    )
    return design, truth, y[~fit]


def ranks_of_one(scenario: Scenario, seed: int) -> dict[str, int]:
    """Rank of each true quantity among its posterior draws, one replicate."""
    rng = np.random.default_rng([seed, 20])
    design, truth, missing = simulate(scenario, rng)
    names = {"intercept", "beta", "sigma", *(f"sd_{e}" for e in design.random_effects)}
    if scenario.heteroscedastic:
        names.add("sd_log_sigma")
    options = {**Normal.options, "heteroscedastic": scenario.heteroscedastic, "tune": 200}
    kernel = Normal().kernel(design, {k: PRIORS[k] for k in sorted(names)}, options)
    adaptation = kernel.adapt(design, rng)
    visit = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, True)
    kept = visit.parameters
    below: dict[str, int] = {}
    chosen = {"first missing": 0, "last missing": len(missing) - 1}
    for _ in range(RANKS):
        for _ in range(4 if scenario.heteroscedastic else 2):
            visit = kernel.visit(design, adaptation, visit.state, rng, False)
        values = visit.values
        if scenario.swap_effects:
            values = values[::-1]
        mean = values.mean()
        values = mean + (values - mean) * scenario.residual_bug
        parameters = kept if scenario.parameters_kept else visit.parameters
        for name, value in truth.items():
            drawn = np.ravel(parameters[name])[0]
            below[name] = below.get(name, 0) + int(drawn < np.ravel(value)[0])
        for name, k in chosen.items():
            below[name] = below.get(name, 0) + int(values[k] < missing[k])
    return below


def uniformity(ranks: np.ndarray) -> float:
    """p-value of uniform ranks: the smaller of a χ² test in 8 bins and an ECDF test, doubled."""
    count = np.bincount(ranks * 8 // (RANKS + 1), minlength=8)
    spread = (ranks + np.random.default_rng(0).random(len(ranks))) / (RANKS + 1)
    return float(
        min(1.0, 2 * min(stats.chisquare(count).pvalue, stats.kstest(spread, "uniform").pvalue))
    )


@pytest.fixture(scope="session")
def calibrate() -> Callable[..., dict[str, float]]:
    """`calibrate(replicates, **scenario)` gives the p-value of every quantity."""

    def run(replicates: int, **changes: object) -> dict[str, float]:
        scenario = Scenario(**changes)
        all_ranks = [ranks_of_one(scenario, seed) for seed in range(replicates)]
        return {
            name: uniformity(np.array([ranks[name] for ranks in all_ranks]))
            for name in all_ranks[0]
        }

    return run
