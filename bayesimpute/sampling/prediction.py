"""Asking any kernel what it says of the rows it is fitted to."""

from dataclasses import replace

import numpy as np

from bayesimpute.method import Adaptation, Array, Design, Kernel, Prediction, PredictiveKernel


def predict(
    kernel: Kernel,
    design: Design,
    adaptation: Adaptation,
    state: Array,
    rng: np.random.Generator,
    first: bool,
    by_cluster: bool = False,
) -> Prediction:
    """Give a kernel's own prediction, or that of a visit to the observed rows.

    A kernel without ``predict`` knows values only, and no density of them.
    """
    if isinstance(kernel, PredictiveKernel):
        return kernel.predict(design, adaptation, state, rng, first, by_cluster)
    asked = replace(
        design,
        draw=design.fit,
        shift=None,
        members=tuple(replace(m, draw=m.fit, shift=None) for m in design.members),
    )
    visit = kernel.visit(asked, adaptation, state, rng, first)
    return Prediction(visit.state, visit.values, visit.parameters, statistics=visit.statistics)
