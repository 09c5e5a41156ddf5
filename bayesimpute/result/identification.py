"""How far the data, and not the prior, speak of the correlation between outcome and selection."""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute.engine.history import History
from bayesimpute.errors import ImputationWarning
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.wrappers.base import innermost

Array = npt.NDArray[np.float64]

#: Below this contraction the data have hardly moved ρ; above this overlap neither.
LITTLE_CONTRACTION, MUCH_OVERLAP = 0.3, 0.7
#: Posterior means of an exclusion restriction further from 0 than this many SDs are strong.
STRONG = 3.0
#: Rows of a cluster that make its ρ less uncertain by no more than this add little to the others'.
LITTLE_OF_ITS_OWN = 0.1
#: With fewer draws than this no one is warned: contraction and overlap are themselves estimates.
ENOUGH_DRAWS = 50
#: Draws of the prior of a cluster's ρ, which has no closed form.
PRIOR_DRAWS = 4000

COLUMNS = (
    "variable", "cluster", "exclusion", "strength", "rho", "5%", "95%", "contraction", "overlap",
    "own", "verdict",
)  # fmt: skip
PRIOR_DECIDES = "the data say little of ρ: its prior decides; try fixed values (rho=)"


def identification(specification: Specification, history: History) -> pd.DataFrame:
    """One row for each selection model and each of its clusters.

    See :meth:`bayesimpute.Imputations.identification`.
    """
    rows = [row for name in _selection_models(specification) for row in
            _rows(name, specification, history)]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def warn_of_prior(specification: Specification, history: History) -> None:
    """Warn where the draws of ρ are those of its prior.

    Warns
    -----
    ImputationWarning
        Naming the variable and what to do.
    """
    if history.m * (history.iterations - history.iterations // 2) < ENOUGH_DRAWS:
        return
    for name in _selection_models(specification):
        row = next(_rows(name, specification, history))
        if row[-1] == PRIOR_DECIDES:
            warnings.warn(
                f"The data say little of ρ of {name!r}, the correlation of its outcome and its "
                f"selection (contraction {row[7]:.2f}, overlap with the prior {row[8]:.2f}): what "
                "is imputed rests on the prior. See imp.identification(), and bi.sensitivity(...) "
                "for the answer at fixed values of ρ.",
                ImputationWarning,
                stacklevel=3,
            )


def _selection_models(specification: Specification) -> list[str]:
    return [
        name
        for name, target in specification.targets.items()
        if isinstance(target, Target) and str(innermost(target.method)).startswith("heckman")
    ]


def _second_half(values: Array) -> Array:
    """Draws after the chains have settled, chains one after the other."""
    kept = values[:, values.shape[1] // 2 :]
    return kept.reshape(-1, *kept.shape[2:])


def _rows(name: str, specification: Specification, history: History) -> Iterator[tuple[Any, ...]]:
    """Rows of one selection model: the population of clusters first, then each cluster."""
    target = specification.targets[name]
    assert isinstance(target, Target)
    labels = history.labels.get(name, {})
    drawn = {key: _second_half(values) for key, values in history.parameters.get(name, {}).items()}
    excluded = tuple(term.label for term in target.terms if term.equation == "selection")
    strength = _strength(excluded, drawn, labels)
    start = (", ".join(excluded), strength)
    if "rho" not in drawn:
        rho = target.options.get("rho")
        yield (name, None, *start, rho, rho, rho, *3 * (np.nan,), "ρ is fixed")
        return
    prior, by_cluster = _prior_draws(target)
    numbers = _compared(drawn["rho"], prior)
    verdict = _verdict(*numbers[-2:], excluded, strength)
    yield (name, None, *start, *numbers, np.nan, verdict)
    each = drawn.get("cluster_rho", np.empty((0, 0)))
    for k, label in enumerate(labels.get("cluster_rho", ())):
        numbers = _compared(each[:, k], by_cluster)
        own = _own(each[:, k], drawn["rho"], drawn["sd_atanh_rho"])
        verdict = (
            "its ρ is that of all clusters: its own rows add little"
            if own < LITTLE_OF_ITS_OWN
            else "its own rows speak of its ρ"
        )
        yield (name, label, *start, *numbers, own, verdict)


def _own(cluster: Array, population: Array, sd: Array) -> float:
    """Share of a cluster's spread around the population that its own rows have removed."""
    away = _unbounded(cluster) - _unbounded(population)
    return float(1 - away.var() / (sd**2).mean())


def _unbounded(rho: Array) -> Array:
    return np.arctanh(np.clip(rho, -1 + 1e-12, 1 - 1e-12))


def _strength(
    excluded: tuple[str, ...], drawn: Mapping[str, Array], labels: Mapping[str, tuple[str, ...]]
) -> float:
    """Largest |mean| / SD of the coefficients of what is in the selection only."""
    at = [
        k
        for k, label in enumerate(labels.get("selection_beta", ()))
        if any(label == term or label.startswith(f"{term}[") for term in excluded)
    ]
    if not at:
        return np.nan
    beta = drawn["selection_beta"][:, at]
    return float((np.abs(beta.mean(axis=0)) / beta.std(axis=0)).max())


def _compared(rho: Array, prior: Array) -> tuple[float, float, float, float, float]:
    """Mean and 90 % interval of ρ, contraction and overlap of atanh ρ."""
    t = _unbounded(rho)
    low, high = np.quantile(rho, [0.05, 0.95])
    contraction = float(1 - t.var() / prior.var())
    return float(rho.mean()), float(low), float(high), contraction, _overlap(t, prior)


def _little(contraction: float, overlap: float) -> bool:
    return contraction < LITTLE_CONTRACTION or overlap > MUCH_OVERLAP


def _verdict(contraction: float, overlap: float, excluded: tuple[str, ...], strength: float) -> str:
    if _little(contraction, overlap):
        return PRIOR_DECIDES
    if not excluded:
        return "ρ is known through the shape of the errors alone"
    return "the exclusion restriction is weak" if strength < STRONG else "the data speak of ρ"


def _prior_draws(target: Target) -> tuple[Array, Array]:
    """Draws of the prior of atanh ρ, of the population and of a cluster."""
    from bayesimpute.sampling.priors import normal_moments
    from bayesimpute.sampling.selection_kernel import DEFAULTS

    moments = normal_moments(target.priors.get("atanh_rho"), 1, 0.0, DEFAULTS.atanh_rho_sd)
    assert moments is not None  # the kernel takes no other
    rng = np.random.default_rng(0)
    population = moments[0][0] + moments[1][0] * rng.normal(size=PRIOR_DRAWS)
    spread = target.priors.get("sd_atanh_rho")
    if spread is None:
        sd = DEFAULTS.spread_scale * np.abs(rng.normal(size=PRIOR_DRAWS))
    else:
        import pymc as pm

        sd = np.asarray(pm.draw(spread, PRIOR_DRAWS, random_seed=0), dtype=float)
    return population, population + sd * rng.normal(size=PRIOR_DRAWS)


def _overlap(t: Array, prior: Array) -> float:
    """Area under both densities, by kernel estimates."""
    from scipy import stats

    if t.std() == 0 or len(t) < 3:
        return 0.0
    low, high = np.quantile(prior, [0.001, 0.999])
    grid = np.linspace(min(t.min(), low), max(t.max(), high), 501)
    both = np.minimum(stats.gaussian_kde(prior)(grid), stats.gaussian_kde(t)(grid))
    return float(np.trapezoid(both, grid))
