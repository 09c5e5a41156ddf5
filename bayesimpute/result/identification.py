"""How far the data, and not the prior, speak of the correlation between outcome and selection."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.engine.history import History
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.wrappers.base import innermost

#: Below this contraction the data have hardly moved ρ; above this overlap neither.
LITTLE_CONTRACTION, MUCH_OVERLAP = 0.3, 0.7
#: Posterior means of an exclusion restriction further from 0 than this many SDs are strong.
STRONG = 3.0

COLUMNS = (
    "variable", "exclusion", "strength", "rho", "5%", "95%", "contraction", "overlap", "verdict",
)  # fmt: skip


def identification(specification: Specification, history: History) -> pd.DataFrame:
    """One row for each selection model; see :meth:`bayesimpute.Imputations.identification`."""
    rows = []
    for name, target in specification.targets.items():
        if not isinstance(target, Target) or innermost(target.method) not in (
            "heckman",
            "heckman.binary",
        ):
            continue
        drawn = {
            key: _second_half(values) for key, values in history.parameters.get(name, {}).items()
        }
        excluded = tuple(term.label for term in target.terms if term.equation == "selection")
        rows.append(_row(name, target, excluded, drawn, history.labels.get(name, {})))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _second_half(values: np.ndarray) -> np.ndarray:
    """Draws after the chains have settled, chains one after the other."""
    kept = values[:, values.shape[1] // 2 :]
    return kept.reshape(-1, *kept.shape[2:])


def _row(
    name: str,
    target: Target,
    excluded: tuple[str, ...],
    drawn: Mapping[str, np.ndarray],
    labels: Mapping[str, tuple[str, ...]],
) -> tuple[Any, ...]:
    strength = np.nan
    if excluded and "selection_beta" in drawn:
        at = [
            k
            for k, label in enumerate(labels["selection_beta"])
            if any(label == term or label.startswith(f"{term}[") for term in excluded)
        ]
        beta = drawn["selection_beta"][:, at]
        strength = float((np.abs(beta.mean(axis=0)) / beta.std(axis=0)).max()) if at else np.nan
    if "rho" not in drawn:
        rho = target.options["rho"]
        return (name, ", ".join(excluded), strength, rho, rho, rho, np.nan, np.nan, "ρ is fixed")
    mean, sd = _prior(target)
    t = np.arctanh(np.clip(drawn["rho"], -1 + 1e-12, 1 - 1e-12))
    contraction = float(1 - t.var() / sd**2)
    overlap = _overlap(t, mean, sd)
    if contraction < LITTLE_CONTRACTION or overlap > MUCH_OVERLAP:
        verdict = "the data say little of ρ: its prior decides; try fixed values (rho=)"
    elif not excluded:
        verdict = "ρ is known through the normal shape of the errors alone"
    elif strength < STRONG:
        verdict = "the exclusion restriction is weak"
    else:
        verdict = "the data speak of ρ"
    quantiles = np.quantile(drawn["rho"], [0.05, 0.95])
    return (
        name, ", ".join(excluded), strength, float(drawn["rho"].mean()), float(quantiles[0]),
        float(quantiles[1]), contraction, overlap, verdict,
    )  # fmt: skip


def _prior(target: Target) -> tuple[float, float]:
    """Mean and SD of the normal prior of atanh ρ."""
    from bayesimpute.sampling.priors import normal_moments
    from bayesimpute.sampling.selection_kernel import DEFAULTS

    moments = normal_moments(target.priors.get("atanh_rho"), 1, 0.0, DEFAULTS.atanh_rho_sd)
    assert moments is not None  # the kernel takes no other
    return float(moments[0][0]), float(moments[1][0])


def _overlap(t: np.ndarray, mean: float, sd: float) -> float:
    """Area under both densities, the posterior's by a kernel estimate."""
    from scipy import stats

    if t.std() == 0 or len(t) < 3:
        return 0.0
    grid = np.linspace(min(t.min(), mean - 5 * sd), max(t.max(), mean + 5 * sd), 2001)
    both = np.minimum(stats.norm.pdf(grid, mean, sd), stats.gaussian_kde(t)(grid))
    return float(np.trapezoid(both, grid))
