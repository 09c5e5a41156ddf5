"""The chains of a run held against its joint posterior, sampled as one PyMC model by NUTS."""

from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import Count, CountOrNone, Seed, checked
from bayesimpute.arrays import Array
from bayesimpute.diagnostics import r_hat
from bayesimpute.engine.joint_model import Joint
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import AnalysisError, SpecificationError
from bayesimpute.result.run import Run

#: Quantiles that are compared, by their names in the table.
QUANTILES = {"q5": 0.05, "q50": 0.5, "q95": 0.95}
#: Iterations after the burn-in that a comparison needs.
FEWEST = 20


@checked
def compare_joint(
    imp: Run,
    draws: Count = 1000,
    tune: Count = 1000,
    chains: Count = 4,
    seed: Seed | None = None,
    discard: CountOrNone | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Compare the chains' posterior of all population parameters with the joint model's by NUTS.

    Both are the same distribution, reached in two ways: an independent check of a run, and of the
    package. ``imp.joint_model()`` is sampled by ``pm.sample``, which takes much longer.

    Parameters
    ----------
    imp
        Of a run with ``analysis=``; long chains, such as ``m=8, iterations=400``, tell more.
    draws, tune, chains
        Of ``pm.sample``.
    seed
        Of ``pm.sample``; default, from the operating system.
    discard
        Iterations of the imputation chains to leave out as burn-in; default, their first half.
    options
        Passed on to ``pm.sample``, such as ``nuts_sampler="nutpie"`` or ``target_accept=0.95``.

    Returns
    -------
    pandas.DataFrame
        A row a parameter, named as in ``imp.datatree``; columns in three groups. ``chains`` and
        ``joint``: ``mean``, ``sd``, quantiles ``q5, q50, q95``, ``r_hat``, ``ess`` (the bulk's).
        ``difference``: ``mean, q5, q50, q95`` of the chains minus those of the joint model, in
        Monte-Carlo standard errors, which know of autocorrelation: beyond ±4 hardly by chance.

    Raises
    ------
    SpecificationError
        If the models are no joint distribution, or it cannot be written down
        (:meth:`~bayesimpute.Imputations.joint_model`).
    AnalysisError
        If there are too few iterations.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> import numpy as np
    >>> import pandas as pd
    >>> df = pd.DataFrame({"x": [0.1, np.nan, 1.2, 0.4], "y": [0.0, 1.0, 2.1, 0.7]})
    >>> imp = bi.impute(df, m=2, iterations=40, analysis="y ~ x", seed=1)
    >>> quick = {"draws": 20, "tune": 20, "chains": 2, "cores": 1, "progressbar": False}
    >>> bi.compare_joint(imp, seed=1, **quick).columns.levels[0].tolist()
    ['chains', 'difference', 'joint']
    """
    import pymc as pm

    if imp.specification.live is None:
        raise SpecificationError(
            "compare_joint: imp must be a result of bi.impute(..., analysis=...), "
            "whose models are one joint distribution."
        )
    history = imp.history
    left_out = history.iterations // 2 if discard is None else discard
    if history.iterations - left_out < FEWEST:
        raise AnalysisError(
            f"compare_joint: {history.iterations} iterations, {left_out} of them left out, are too "
            f"few to compare; at least {FEWEST} must be left. Go on with imp.extend(iterations=…)."
        )
    joint = Joint.of(imp.specification, imp.seed)
    with joint.model:
        posterior = pm.sample(
            draws=draws,
            tune=tune,
            chains=chains,
            random_seed=fresh_seed() % 2**32 if seed is None else seed,
            **options,
        )["posterior"]
    rows: dict[str, dict[tuple[str, str], float]] = {}
    for name, parameters in history.parameters.items():
        for parameter, values in parameters.items():
            labels = history.labels[name][parameter]
            theirs = joint.draws_of(name, parameter, labels, posterior)
            if theirs is None:
                continue
            ours = values[:, left_out:].reshape(values.shape[0], -1, theirs.shape[-1])
            for k, label in enumerate(labels or ("",)):
                title = f"{name}.{parameter}" + (f"[{label}]" if label else "")
                rows[title] = _compared(ours[:, :, k], theirs[:, :, k])
    columns = pd.MultiIndex.from_tuples(next(iter(rows.values())))
    return pd.DataFrame([list(row.values()) for row in rows.values()], list(rows), columns)


def _compared(ours: Array, theirs: Array) -> dict[tuple[str, str], float]:
    """Summaries of a parameter by both, (chain, draw) each, and their differences."""
    summaries = [_summary(draws) for draws in (ours, theirs)]
    found = {
        (group, key): value
        for group, (values, _) in zip(("chains", "joint"), summaries, strict=True)
        for key, value in values.items()
    }
    (of_chains, error), (of_joint, other) = summaries
    for key in error:
        spread = float(np.hypot(error[key], other[key]))
        found["difference", key] = (of_chains[key] - of_joint[key]) / spread
    return found


def _summary(draws: Array) -> tuple[dict[str, float], dict[str, float]]:
    """Give what is compared, and its Monte-Carlo standard errors."""
    import arviz

    quantiles = {key: float(np.quantile(draws, p)) for key, p in QUANTILES.items()}
    values = {"mean": float(draws.mean()), "sd": float(draws.std(ddof=1)), **quantiles}
    values |= {"r_hat": r_hat(draws), "ess": float(arviz.ess(draws, method="bulk"))}
    errors = {"mean": float(arviz.mcse(draws, method="mean"))}
    for key, p in QUANTILES.items():
        errors[key] = float(arviz.mcse(draws, method="quantile", prob=p))
    return values, errors
