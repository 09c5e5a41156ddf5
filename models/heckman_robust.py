r"""Hierarchical selection model with heavy tails: outliers, and selection that forgives them.

Model
-----
That of :mod:`bayesimpute.models.heckman`, but the errors of outcome and selection are bivariate
Student t: both are divided by the root of one weight of their row,

.. math::
    y_{ij} = \text{intercept} + x_{ij}β + z_{ij} b_j + σ_j e_{ij} / \sqrt{w_{ij}}

    y_{ij} \text{ is seen if } \text{selection\_intercept} + x_{ij}γ + z_{ij} a_j
    + u_{ij} / \sqrt{w_{ij}} > 0

    (e, u) \sim N\Bigl(0, \begin{pmatrix}1 & ρ_j\\ ρ_j & 1\end{pmatrix}\Bigr),\quad
    w_{ij} \sim \operatorname{Gamma}(ν/2, ν/2)

(Marchenko & Genton 2012, here with effects by cluster). The normal model takes an outlier for
evidence of selection; this one lets ν say how much of one it is. σ is a scale: the SD is
σ √(ν/(ν − 2)) where ν > 2.

Priors
------
Those of :mod:`bayesimpute.models.heckman`, and ``nu`` ~ Gamma(2, 0.1) (Juárez & Steel 2010), as in
:mod:`bayesimpute.models.robust`.

Draw
----
1. ν moves with the weights integrated out, the weights are drawn given it, and given the weights
   the four linear predictors move as in the normal model.
2. For an unseen value the selection's error u is drawn below its threshold from its t distribution,
   and the outcome given it, which is t with ν + 1 degrees of freedom; that is exact.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesimpute.method import Design, Occasion, Words
from bayesimpute.models.heckman import (
    Heckman,
    Predictors,
    log_normal_share,
    selection_equation,
)
from bayesimpute.sampling.priors import attach
from bayesimpute.sampling.selection import StudentSelectionLikelihood


def _equation(occasion: Occasion) -> str:
    sd, weight = "σ_j" if occasion.intercept else "σ", r"/\sqrt{w_$row}"
    outcome = rf"$y = $predictor + {sd}\,e_$row{weight}"
    weights = r" \\ w_$row \sim \operatorname{Gamma}(ν/2, ν/2)\text{, so that errors are }t(ν)"
    return selection_equation(occasion, outcome, weight, sd) + weights


class HeckmanRobust(Heckman):
    """Selection model of a numeric target with Student-t errors.

    Options
    -------
    rho, selection_only, outcome_only, select_whole_clusters, pmm, donors, transitions, tune
        As for :class:`~bayesimpute.models.heckman.Heckman`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"income": "heckman.robust"}  # bi.impute(df, cluster=..., method=method)
    """

    words = Words(
        _equation,
        "Not missing at random: whether a value is seen depends on the value "
        "itself, through Student t errors of outcome and selection that correlate"
        " by ρ. Predictors: {x}",
        "A missing value is drawn given that it was not seen.",
        name="a Heckman selection model with Student t errors",
    )
    likelihood = StudentSelectionLikelihood

    def positive(self) -> Mapping[str, Any]:
        """Give the default prior of ν."""
        return {"nu": _nu()}

    def _latent(self, design: Design, counted: Any, priors: Mapping[str, Any]) -> Any:
        """Give the root of each row's weight, (row,)."""
        import pymc as pm
        import pytensor.tensor as pt

        nu = attach(priors.get("nu", _nu()), "nu")
        held = np.flatnonzero(counted)
        weight = pm.Gamma("weight", nu / 2, nu / 2, shape=held.size)
        return pt.set_subtensor(pt.ones(len(design.y))[held], pt.sqrt(weight))

    def _outcome(self, at: Predictors, latent: Any) -> Any:
        """Distribution of values, given their weights."""
        import pymc as pm
        import pytensor.tensor as pt

        return pm.Normal.dist(at.outcome, pt.exp(at.log_sigma) / latent)

    def _selection(self, at: Predictors, latent: Any, values: Any, known: float) -> Any:
        """Log probability of being seen or not, given value and weight."""
        import pytensor.tensor as pt

        e = latent * (values - at.outcome) / pt.exp(at.log_sigma)
        t = at.atanh_rho
        return log_normal_share(known * (latent * at.selection * pt.cosh(t) + e * pt.sinh(t)))

    def _unseen(self, at: Predictors, latent: Any) -> Any:
        """Log probability of not being seen, given the weight."""
        return log_normal_share(-latent * at.selection)


def _nu() -> Any:
    """Prior of ν."""
    import pymc as pm

    return pm.Gamma.dist(2.0, 0.1)
