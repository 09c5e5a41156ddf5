"""Calibration of the selection models: their prior, run forward by other means than the sampler."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pymc as pm
from scipy.special import ndtri

from bayesimpute.data.table import Kind
from bayesimpute.method import Design
from bayesimpute.registry import resolve
from bayesimpute.simulate.calibration import Calibration
from bayesimpute.simulate.scenario import Scenario

#: Narrower than the defaults, so that nearly all data have both seen and unseen rows.
PRIORS = {
    "beta": pm.Normal.dist(0, 0.7),
    "selection_intercept": pm.Normal.dist(0.3, 0.5),
    "selection_beta": pm.Normal.dist(0, 0.7),
}
CLUSTERS, ROWS = 8, 20
#: Columns in the outcome: x1, x2; in the selection: x1, x3. The intercepts and x1 vary by cluster.
EQUATIONS = ("both", "outcome", "selection")


@dataclass(frozen=True)
class Task:
    method: str
    pattern: str
    draws: int = 15
    thin: int = 2
    seed: int = 1
    independent: bool = False  # of the intercepts, the slopes of x1 are


def reference(task):
    rng = np.random.default_rng(0)
    n = CLUSTERS * ROWS
    two = task.pattern != "single level"
    cluster = np.repeat(np.arange(CLUSTERS), ROWS) if two else np.zeros(n, dtype=int)
    x = rng.normal(size=(n, 3))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    binary = task.method.endswith("binary")
    y = np.resize([0.0, 1.0] if binary else [-1.0, 1.0], n)
    z = np.column_stack([np.ones(n), x[:, 0]]) if two else np.empty((n, 0))
    return Design(
        "y", Kind.BINARY if binary else Kind.NUMERIC, ("no", "yes") if binary else (), y, x,
        ("x1", "x2", "x3"), z, ("intercept", "x1") if two else (), cluster,
        CLUSTERS if two else 1, np.ones(n, bool), np.zeros(n, bool), usable=np.ones(n, bool),
        equations_x=EQUATIONS, equations_z=("both", "both") if two else (),
        blocks_z=(0, 1) if task.independent else (),
    )  # fmt: skip


class Prior:
    def __init__(self, task, number):
        self.task, self.design = task, reference(task)
        self.binary = task.method.endswith("binary")
        self.robust = task.method.endswith("robust")
        self.two = task.pattern != "single level"
        self.size = 5 if self.binary else 6
        self.blocks = np.zeros(self.size, int)
        self.blocks[[1, 3]] = task.independent
        self.lkj = np.zeros((number, self.size, self.size))
        for k in np.unique(self.blocks):
            own = np.flatnonzero(self.blocks == k)
            lkj = pm.LKJCorr.dist(n=len(own), eta=2.0)
            drawn = pm.draw(lkj, number, random_seed=11 + k, mode="FAST_COMPILE")
            self.lkj[:, own[:, None], own] = drawn

    def draw(self, number, rng):
        design, n = self.design, len(self.design.y)
        truth = {"intercept": rng.normal(0, 2.5), "selection_intercept": rng.normal(0.3, 0.5)}
        beta, gamma = rng.normal(0, 0.7, 2), rng.normal(0, 0.7, 2)
        truth |= {"beta[x1]": beta[0], "beta[x2]": beta[1]}
        truth |= {"selection_beta[x1]": gamma[0], "selection_beta[x3]": gamma[1]}
        log_sigma, t = 0.0 if self.binary else rng.normal(), rng.normal()
        truth |= {"rho": np.tanh(t)} | ({} if self.binary else {"sigma": np.exp(log_sigma)})
        outcome = truth["intercept"] + design.x[:, :2] @ beta
        selection = truth["selection_intercept"] + design.x[:, [0, 2]] @ gamma
        log_sigma, t = np.full(n, log_sigma), np.full(n, t)
        if self.two:
            further = ("atanh_rho",) if self.binary else ("log_sigma", "atanh_rho")
            names = ("sd_intercept", "sd_x1", "selection_sd_intercept", "selection_sd_x1",
                     *(f"sd_{name}" for name in further))  # fmt: skip
            # of intercepts 1; by default slopes, and what else varies, have half of that
            scale = np.where(np.isin(np.arange(self.size), (0, 2)), 1, 0.5)
            sd = scale * abs(rng.normal(size=self.size))
            truth |= dict(zip(names, sd, strict=True))
            effect = rng.normal(size=(CLUSTERS, self.size)) @ (sd[:, None] * self.lkj[number]).T
            own = np.tanh(t[0] + effect[:, -1])
            truth |= {f"cluster_rho[{j}]": own[j] for j in range(CLUSTERS)}
            effect = effect[design.cluster]
            outcome = outcome + (effect[:, :2] * design.z).sum(axis=1)
            selection = selection + (effect[:, 2:4] * design.z).sum(axis=1)
            t = t + effect[:, -1]
            if not self.binary:
                log_sigma = log_sigma + effect[:, 4]
            matrix = self.lkj[number] @ self.lkj[number].T
            row, column = np.tril_indices(self.size, -1)
            same = self.blocks[row] == self.blocks[column]
            for k, value in enumerate(matrix[row[same], column[same]]):
                truth[f"correlation[{k}]"] = value
        u = ndtri(rng.random(n))
        e = np.tanh(t) * u + rng.normal(size=n) / np.cosh(t)
        if self.robust:
            nu = truth["nu"] = rng.gamma(2.0, 10.0)
            root = np.sqrt(rng.chisquare(nu, n) / nu)
            e, u = e / root, u / root
        y = outcome + np.exp(log_sigma) * e
        return truth, (y > 0).astype(float) if self.binary else y, selection + u > 0

    def structural(self, seen):
        """Seen rows after two whole clusters have been left out of the study."""
        if self.task.pattern != "systematic":
            return seen
        return seen & (self.design.cluster >= 2)


def quantities(kernel, parameters, values):
    named = {}
    for name, labels in kernel.labels.items():
        if name == "correlation":
            labels = tuple(map(str, range(len(labels))))
        flat = np.ravel(parameters[name])
        named |= {f"{name}[{label}]" if labels else name: value
                  for label, value in zip(labels or ("",), flat, strict=True)}  # fmt: skip
    return named | imputed(values)


def imputed(values):
    """Of the unseen values; ranks and squares see what means do not."""
    return {
        "imputed mean": values.mean(), "imputed first": values[0], "imputed last": values[-1],
        "imputed square": (values**2).mean(),
    }  # fmt: skip


def replicate(kernel, prior, task, number):
    streams = np.random.SeedSequence(task.seed, spawn_key=(number,)).spawn(3)
    data, moves, ties = (np.random.default_rng(stream) for stream in streams)
    while True:  # the prior given that something is seen, and something not, in the first cluster
        truth, y, seen = prior.draw(number, data)
        seen = prior.structural(seen)
        if 5 <= seen.sum() <= len(seen) - 5 and (
            not prior.binary or 0 < y[seen].sum() < seen.sum()
        ):
            break
    design = replace(prior.design, **{"y": np.where(seen, y, 0.0), "fit": seen, "draw": ~seen})
    truth |= imputed(y[~seen])
    adaptation = kernel.adapt(design, moves)
    visit = kernel.visit(design, adaptation, kernel.start(adaptation, moves), moves, True)
    drawn = []
    for _ in range(task.draws):
        for _ in range(task.thin):
            visit = kernel.visit(design, adaptation, visit.state, moves, False)
        drawn.append(quantities(kernel, visit.parameters, visit.values))
    table = pd.DataFrame(drawn)
    assert set(table) == set(truth), set(table) ^ set(truth)
    below = {name: int((table[name] < truth[name] - 1e-9).sum()
                       + ties.integers(0, 1 + (abs(table[name] - truth[name]) <= 1e-9).sum()))
             for name in truth}  # fmt: skip
    return below, {name: table[name].autocorr() for name in truth}


def run(task, numbers, total):
    prior = Prior(task, max(total, 2))
    method = resolve(task.method)
    kernel = method.kernel(prior.design, PRIORS, method.options)
    return [replicate(kernel, prior, task, number) for number in numbers]


def calibrate(task, replicates, executor, chunks):
    parts = [range(k, replicates, chunks) for k in range(chunks)]
    done = [executor.submit(run, task, part, replicates) for part in parts]
    found = [each for future in done for each in future.result()]
    return Calibration(
        task.method, Scenario("sporadic"), pd.DataFrame([ranks for ranks, _ in found]), task.draws,
        pd.DataFrame([lag for _, lag in found]).mean(), 0, task.seed,
    )  # fmt: skip
