r"""The linear predictor that the readable PyMC models share.

.. math::
    η_{ij} = \text{intercept} + (x_{ij} - \bar x)β + (z_{ij} - \bar z) b_j,\quad
    b_j \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd)),\quad C \sim LKJ(2)

For unordered categories there is one such predictor for each category but the reference, and C
joins the effects of all of them. Effects of different random parts of a formula are independent:
then C has such a matrix for each part, and zeros elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesimpute.errors import SpecificationError
from bayesimpute.method import Array, Design
from bayesimpute.sampling.correlation import CorrelationBlocks
from bayesimpute.sampling.gaussian import Units, blocks_of
from bayesimpute.sampling.priors import attach, lkj_eta


@dataclass(frozen=True)
class Defaults:
    """Default priors of the linear predictor, for predictors with SD 1 and a unit of the target.

    Attributes
    ----------
    intercept_mean, intercept_sd
        Of the normal prior of the intercept; `intercept_sd` None where the model has none.
    beta_sd
        SD of the normal prior of a coefficient.
    effect_scale
        Scale of the half-normal prior of each SD between clusters.
    """

    intercept_mean: float = 0.0
    intercept_sd: float | None = 2.5
    beta_sd: float = 2.5
    effect_scale: float = 1.0


def plain_units(design: Design) -> Units:
    """Units of a design whose target is counted or categorical: it has no unit of its own."""
    units = Units.of(design)
    return Units(0.0, 1.0, units.centre_x, units.scale_x, units.centre_z, units.scale_z)


def linear_predictor(
    design: Design,
    units: Units,
    priors: Mapping[str, Any],
    defaults: Defaults,
    categories: tuple[str, ...] = (),
) -> Any:
    """Add coefficients, effects and data to the current PyMC model; returns η.

    Parameters
    ----------
    design
        Rows with an observed target.
    units
        Of the design the kernel has been built with.
    priors
        The user's, by parameter.
    defaults
        Of the others.
    categories
        Labels of the categories but the reference; empty for a single predictor a row. The model
        must have a dim ``"category"`` then.

    Returns
    -------
    pytensor.tensor.TensorVariable
        (row,), or (row, category).
    """
    import pymc as pm
    import pytensor.tensor as pt

    def prior(name: str, default: Any, dims: Any = None) -> Any:
        return attach(priors.get(name, default), name, dims)

    several = ("category",) if categories else ()
    eta: Any = pt.zeros(()) + units.centre_y
    if defaults.intercept_sd is not None:
        default = pm.Normal.dist(
            units.centre_y + units.scale_y * defaults.intercept_mean,
            units.scale_y * defaults.intercept_sd,
        )
        eta = prior("intercept", default, several or None)
    if design.predictors:
        x = pm.Data("x", design.x, dims=("row", "predictor"))
        scale: Array = defaults.beta_sd * units.scale_y / units.scale_x
        size = np.broadcast_to(scale[:, None], (len(scale), len(categories)))
        default = pm.Normal.dist(0.0, size if categories else scale)
        eta = eta + (x - units.centre_x) @ prior("beta", default, ("predictor", *several))
    cluster = pm.Data("cluster_index", design.cluster, dims="row")
    if not design.random_effects:
        return (
            eta
            if eta.ndim > len(several)
            else eta + pt.zeros_like(cluster)[:, *[None] * len(several)]
        )
    z = pm.Data("z", design.z, dims=("row", "random_effect"))
    scale = defaults.effect_scale * units.scale_y / units.scale_z
    sd = pt.stack(
        [
            prior(f"sd_{effect}", pm.HalfNormal.dist(float(s)), several or None)
            for effect, s in zip(design.random_effects, scale, strict=True)
        ]
    )
    q, equations = len(design.random_effects), max(len(categories), 1)
    if categories:
        pm.modelcontext(None).add_coord("category_effect", np.arange(q * equations))
    effects = "category_effect" if categories else "random_effect"
    standard = pm.Normal("standard_effect", dims=("cluster", effects))
    names = [f"{e}[{c}]" if c else e for c in categories or ("",) for e in design.random_effects]
    standard = correlated(standard, names, blocks_of(design) * equations, priors)
    if categories:
        # effects of one category stand next to each other
        by_category = standard.reshape((design.n_clusters, equations, q)) * sd.T
        effect = pm.Deterministic(
            "effect", by_category, dims=("cluster", "category", "random_effect")
        )
        return eta + ((z - units.centre_z)[:, None, :] * effect[cluster]).sum(axis=-1)
    effect = pm.Deterministic("effect", standard * sd, dims=("cluster", "random_effect"))
    return eta + ((z - units.centre_z) * effect[cluster]).sum(axis=-1)


def correlated(
    standard: Any, names: Sequence[str], blocks: Sequence[int], priors: Mapping[str, Any]
) -> Any:
    """Give independent effects the correlations of their blocks, each LKJ(2) or as in `priors`.

    The model holds the matrix as ``correlation``.

    Parameters
    ----------
    standard
        Standard normal, (cluster, effect).
    names
        Of the effects.
    blocks
        Number of the block of each.
    priors
        The user's; of another family than LKJ only where all effects are in one block.

    Raises
    ------
    SpecificationError
        If a prior of another family would correlate what is independent.
    """
    import pymc as pm
    import pytensor.tensor as pt

    if not CorrelationBlocks(blocks, 2.0).count:
        return standard
    given, places = priors.get("correlation"), np.asarray(blocks)
    eta, several = lkj_eta(given, 2.0), len(set(blocks)) > 1
    if eta is None and several:
        raise SpecificationError(
            f"priors: {', '.join(names)} are not all in one random part, so their correlations "
            "take pm.LKJCorr.dist(n=2, eta=…); put them in one part for another family."
        )
    factor = pt.eye(len(blocks))
    for block in np.unique(places):
        own = np.flatnonzero(places == block)
        if len(own) > 1:
            name = f"correlation_factor[{names[own[0]]}]" if several else "correlation_factor"
            prior = given if eta is None else pm.LKJCorr.dist(n=len(own), eta=eta)
            # PyMC's LKJCorr is a Cholesky factor
            factor = pt.set_subtensor(factor[np.ix_(own, own)], attach(prior, name))
    pm.Deterministic("correlation", factor @ factor.T)
    return standard @ factor.T
