"""Calibration of a joint block: its prior, run forward by other means than its sampler."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import pymc as pm

from bayesimpute.data.table import Kind
from bayesimpute.method import Design
from bayesimpute.models.joint import Joint
from bayesimpute.simulate.calibration import Calibration
from bayesimpute.simulate.scenario import Scenario

#: Categories of each member: a number, two categories, three ordered ones.
CATEGORIES = ((), ("no", "yes"), ("low", "middle", "high"))
NAMES = ("y", "s", "o")
OPTIONS = {"transitions": 4, "tune": 60}
PRIORS = {name: {"beta": pm.Normal.dist(0, 0.7)} for name in NAMES}
CLUSTERS, ROWS = 8, 12


@dataclass(frozen=True)
class Task:
    pattern: str
    draws: int = 15
    thin: int = 2
    seed: int = 1


def reference(pattern):
    rng = np.random.default_rng(0)
    two = pattern != "level 2"
    n = CLUSTERS * ROWS if two else 40
    cluster = np.repeat(np.arange(CLUSTERS), ROWS) if two else np.zeros(n, dtype=int)
    x = np.column_stack([rng.normal(size=n), rng.integers(0, 2, n)])
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    y = np.resize([-1.0, 1.0], n)
    design = Design(
        "y", Kind.NUMERIC, (), y, x, ("a", "b"), np.ones((n, 1 if two else 0)),
        ("intercept",) if two else (), cluster, CLUSTERS if two else 1, np.ones(n, bool),
        np.zeros(n, bool),
    )  # fmt: skip
    kinds = (Kind.NUMERIC, Kind.BINARY, Kind.ORDINAL)
    members = tuple(
        replace(design, **{"target": name, "kind": kind, "categories": labels,
                  "y": np.resize(np.arange(max(len(labels), 2.0)), n) if labels else y})
        for name, kind, labels in zip(NAMES, kinds, CATEGORIES, strict=True)
    )  # fmt: skip
    return replace(design, **{"members": members})


class Prior:
    """Draws of parameters and data; correlations come from PyMC."""

    def __init__(self, pattern, number):
        self.design = reference(pattern)
        self.two = pattern != "level 2"
        draw = partial(pm.draw, pm.LKJCorr.dist(n=3, eta=2.0), number, mode="FAST_COMPILE")
        self.lkj, self.residual_lkj = draw(random_seed=11), draw(random_seed=12)

    def draw(self, number, rng):
        design = self.design
        n = len(design.y)
        beta = rng.normal(0, 0.7, (3, 2))
        intercept = rng.normal(0, 2.5)
        sigma = abs(rng.normal())
        factor = self.residual_lkj[number]
        noise = rng.normal(size=(n, 3)) @ (np.array([sigma, 1, 1])[:, None] * factor).T
        latent = design.x @ beta.T + noise
        latent[:, 0] += intercept
        truth = {"intercept[y]": intercept, "sigma[y]": sigma}
        if self.two:
            sd = abs(rng.normal(size=3))
            effects = rng.normal(size=(CLUSTERS, 3)) @ (sd[:, None] * self.lkj[number]).T
            latent += effects[design.cluster]
            truth |= {f"sd_intercept[{name}]": s for name, s in zip(NAMES, sd, strict=True)}
        values = [latent[:, 0]]
        for k, labels in enumerate(CATEGORIES[1:], 1):
            ends = _normal(np.cumsum(rng.dirichlet(np.ones(len(labels))))[:-1])
            values.append(np.searchsorted(ends, latent[:, k]).astype(float))
            truth |= {f"cutpoints[{NAMES[k]}: {i}]": end for i, end in enumerate(ends)}
        for j, x in enumerate(design.predictors):
            truth |= {f"beta[{x}: {name}]": beta[k, j] for k, name in enumerate(NAMES)}
        matrix = factor @ factor.T
        below = np.tril_indices(3, -1)
        pairs = [f"{NAMES[b]}~{NAMES[a]}" for a, b in zip(*below, strict=True)]
        truth |= {f"residual_correlation[{p}]": c
                  for p, c in zip(pairs, matrix[below], strict=True)}  # fmt: skip
        if self.two:
            own = (self.lkj[number] @ self.lkj[number].T)[below]
            effects = ["~".join(f"intercept[{name}]" for name in pair.split("~")) for pair in pairs]
            truth |= {f"correlation[{p}]": c for p, c in zip(effects, own, strict=True)}
        return truth, values

    def hide(self, pattern, rng):
        n = len(self.design.y)
        gone = rng.random((3, n)) < 0.25
        if pattern == "systematic":
            for k in range(3):
                gone[k] |= self.design.cluster % 4 == k
        return gone


def _normal(share):
    from scipy.stats import norm

    return norm.ppf(share)


def with_gaps(design, values, gone):
    """Data of one replicate; what is hidden is filled at random, as a chain would."""
    members = tuple(
        replace(member, **{"y": np.where(hidden, 0.0, value), "fit": ~hidden,
                  "draw": hidden})
        for member, value, hidden in zip(design.members, values, gone, strict=True)
    )  # fmt: skip
    return replace(design, **{"members": members, "fit": (~gone).any(axis=0),
                     "draw": gone.any(axis=0)})  # fmt: skip


def quantities(kernel, parameters, values, gone):
    named = {}
    cutpoints = [f"{NAMES[1]}: 0", f"{NAMES[2]}: 0", f"{NAMES[2]}: 1"]
    for name, labels in kernel.labels.items():
        labels = cutpoints if name == "cutpoints" else labels
        named |= {f"{name}[{label}]": v
                  for label, v in zip(labels, parameters[name], strict=True)}  # fmt: skip
    named |= imputed(values, gone)
    return named


def imputed(values, gone):
    """Means of what is imputed, products within rows, and the first value of each member."""
    full = np.full(gone.shape, np.nan)
    full[gone] = np.concatenate(values)
    out = {f"imputed mean {name}": np.nanmean(full[k]) for k, name in enumerate(NAMES)}
    out |= {f"imputed first {name}": full[k][gone[k]][0] for k, name in enumerate(NAMES)}
    both = gone[0] & gone[2]
    out["imputed product y o"] = np.sum(full[0, both] * full[2, both])
    return out


def replicate(kernel, prior, task, number):
    streams = np.random.SeedSequence(task.seed, spawn_key=(number,)).spawn(3)
    data, moves, ties = (np.random.default_rng(stream) for stream in streams)
    truth, values = prior.draw(number, data)
    gone = prior.hide(task.pattern, data)
    design = with_gaps(prior.design, values, gone)
    truth |= imputed([value[hidden] for value, hidden in zip(values, gone, strict=True)], gone)
    adaptation = kernel.adapt(design, moves)
    visit = kernel.visit(design, adaptation, kernel.start(adaptation, moves), moves, True)
    drawn = []
    for _ in range(task.draws):
        for _ in range(task.thin):
            visit = kernel.visit(design, adaptation, visit.state, moves, False)
        split = np.split(visit.values, np.cumsum(gone.sum(axis=1))[:-1])
        drawn.append(quantities(kernel, visit.parameters, split, gone))
    table = pd.DataFrame(drawn)
    assert set(table) == set(truth), set(table) ^ set(truth)
    below = {name: int((table[name] < truth[name] - 1e-9).sum()
                       + ties.integers(0, 1 + (abs(table[name] - truth[name]) <= 1e-9).sum()))
             for name in truth}  # fmt: skip
    return below, {name: table[name].autocorr() for name in truth}


def run(task, numbers, total):
    prior = Prior(task.pattern, total)
    kernel = Joint().kernel(prior.design, PRIORS, OPTIONS)
    return [replicate(kernel, prior, task, number) for number in numbers]


def calibrate(task, replicates, executor, chunks):
    parts = [range(k, replicates, chunks) for k in range(chunks)]
    done = [executor.submit(run, task, part, replicates) for part in parts]
    found = [each for future in done for each in future.result()]
    return Calibration(
        "joint", Scenario("sporadic"), pd.DataFrame([ranks for ranks, _ in found]), task.draws,
        pd.DataFrame([lag for _, lag in found]).mean(), 0, task.seed,
    )  # fmt: skip
