r"""Beta conditional model of proportions: shares, scores between two ends rescaled to 0 and 1.

Model
-----
For row i in cluster j, with predictors and random slopes centred at their observed means,

.. math::
    \operatorname{logit} μ_{ij} = \text{intercept} + x_{ij}β + z_{ij} b_j,\quad
    b_j \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd))

    y_{ij} \sim \operatorname{Beta}(μ_{ij} φ,\ (1 - μ_{ij}) φ),\quad φ = \text{dispersion}^{-2}

(Ferrari & Cribari-Neto 2004). The variance is :math:`μ(1 - μ) / (1 + φ)`.

Priors
------
==================  ===========================================================
``intercept``       Normal(0, 2.5)
``beta``            Normal(0, 2.5 / s_x)
``sd_intercept``    HalfNormal(1)
``sd_<slope>``      HalfNormal(0.5 / s_x)
``correlation``     LKJCorr(eta=2)
``dispersion``      HalfNormal(1): near 0 all are at their mean; at 1 the flattest has φ = 1
==================  ===========================================================

Draw
----
1. β, the b_j, the scales and the dispersion move by :mod:`bayesimpute.sampling.linear`.
2. A missing value is drawn from its distribution.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import expit

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Array, Design, Words
from bayesimpute.sampling.linear_model import LinearModel, calm_priors
from bayesimpute.sampling.variance_shares import VarianceShare


def share_beta(draws: Mapping[str, Array]) -> Array:
    """τ² / (τ² + 1 / (μ (1 − μ) (1 + φ))), on the logit scale by the delta method."""
    between, mean = draws["sd_intercept"] ** 2, expit(draws["intercept"])
    within = 1.0 / (mean * (1.0 - mean) * (1.0 + draws["dispersion"] ** -2))
    return np.asarray(between / (between + within))


class Beta(LinearModel):
    """Beta model of a target between 0 and 1.

    Options
    -------
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"share": "beta"}  # bi.impute(df, cluster="district", method=method)
    """

    words = Words(
        r"$y \sim \operatorname{Beta}(μ_$row, \text{precision φ}) \\ "
        r"\operatorname{logit}\;μ_$row = $predictor \\ $effects",
        "Values lie between 0 and 1 (beta distribution); the log-odds of the mean depend linearly "
        "on {x}",
        "A missing value is drawn from that distribution.",
        name="beta regression",
    )
    kinds = frozenset({Kind.NUMERIC})
    support = (0.0, 1.0)
    share = VarianceShare(share_beta, "on the logit scale")

    @staticmethod
    def distribution(eta: Any, dispersion: Any) -> Any:
        """Give proportions by the log-odds of their mean, and their dispersion around it."""
        import pymc as pm

        mean, precision = pm.math.sigmoid(eta), dispersion**-2
        return pm.Beta.dist(alpha=mean * precision, beta=pm.math.sigmoid(-eta) * precision)

    def positive(self) -> Mapping[str, Any]:
        """Give the extra: the dispersion."""
        return {"dispersion": 1.0}

    def calibration(self, data: str) -> Mapping[str, Any]:
        """Give typical values, and priors under which no proportion rounds to 0 or 1."""
        import pymc as pm

        dispersion = pm.LogNormal.dist(np.log(0.25), 0.3)
        priors = calm_priors(data, 0.0, 0.7, dispersion=dispersion)
        return {"typical": (0.08, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9), "priors": priors}

    def check(self, design: Design, options: Mapping[str, Any]) -> None:
        """Refuse observed values that are not between 0 and 1."""
        y = design.y[design.fit]
        bad = ~((y > 0) & (y < 1))
        if bad.any():
            raise SpecificationError(
                f"{design.target!r} has {int(bad.sum())} observed value(s) that do not lie between "
                f"0 and 1, such as {y[bad][0]:g}; a beta distribution has none. Rescale the "
                "column, or use 'normal.censored' (with lower=0 and upper=1) or 'pmm'."
            )

    def values(
        self, likelihood: Any, design: Design, options: Mapping[str, Any], units: Any
    ) -> Callable[..., Any]:
        """Draw proportions; one that rounds to an end is the number next to it."""
        least, most = np.nextafter(0.0, 1.0), np.nextafter(1.0, 0.0)
        return lambda *given: np.clip(likelihood.values(*given), least, most)
