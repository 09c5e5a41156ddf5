"""Calibration of times some of which are censored: drawn by the textbook model, then cut off."""

from dataclasses import replace

import numpy as np
import pandas as pd

from bayesimpute.engine.bench import Bench, model_of
from bayesimpute.registry import resolve
from bayesimpute.simulate.calibration import Calibration
from bayesimpute.simulate.scenario import TARGET, Forward, Scenario, elements

DRAWS, THIN = 15, 2


def censored(design, times, rng):
    """Times as they are seen: each is followed up for a time of its own."""
    limit = rng.exponential(1.5 * np.median(times), len(times))
    event = (times <= limit).astype(float)
    rows = np.ones(len(times), dtype=bool)
    return replace(
        design, y=np.minimum(times, limit), fit=rows, draw=~rows, columns={"event": event}
    )


def named(labels, parameters):
    return {
        f"{name}[{label}]" if own else name: value
        for name, own in labels.items()
        for label, value in zip(
            own or ("",), elements(parameters[name], own, name).tolist(), strict=True
        )
    }


def calibrate(method, replicates, seed=1):
    scenario = Scenario("sporadic", "intercept", **resolve(method).calibration("random intercept"))
    specification = scenario.specification(method, np.random.default_rng(seed))
    values, target = specification.table.values, specification.targets[TARGET]
    bench = Bench.of(specification, values)
    kernel, reference = bench.kernels[TARGET], bench.builders[TARGET].build(values)
    forward = Forward(model_of(specification, target, reference), kernel.labels, len(reference.y))
    ranks, lags = [], []
    for stream in np.random.SeedSequence(seed).spawn(replicates):
        rng = np.random.default_rng(stream)
        truth, times = forward.draw(rng)
        design = censored(reference, times, rng)
        adaptation = kernel.adapt(design, rng)
        visit = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, True)
        drawn = []
        for _ in range(DRAWS):
            for _ in range(THIN):
                visit = kernel.visit(design, adaptation, visit.state, rng, False)
            drawn.append(named(kernel.labels, visit.parameters))
        table = pd.DataFrame(drawn)
        ranks.append((table < pd.Series(named(kernel.labels, truth))).sum())
        lags.append({name: table[name].autocorr() for name in table})
    return Calibration(
        method, scenario, pd.DataFrame(ranks), DRAWS, pd.DataFrame(lags).mean(), 0, seed
    )
