r"""Gamma conditional model of positive, skewed numbers: costs, durations, concentrations.

Model
-----
For row i in cluster j, with predictors and random slopes centred at their observed means,

.. math::
    \log μ_{ij} = \text{intercept} + x_{ij}β + z_{ij} b_j,\quad
    b_j \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd))

    y_{ij} \sim \operatorname{Gamma}(\text{mean } μ_{ij},\ \text{SD } μ_{ij}\,\text{variation})

The SD is in proportion to the mean (McCullagh & Nelder 1989, ch. 8).

Priors
------
==================  ===========================================================
``intercept``       Normal(log of the mean of y, 2.5)
``beta``            Normal(0, 1 / s_x)
``sd_intercept``    HalfNormal(1)
``sd_<slope>``      HalfNormal(0.5 / s_x)
``correlation``     LKJCorr(eta=2)
``variation``       HalfNormal(1): the coefficient of variation; 1 is that of an exponential
==================  ===========================================================

Draw
----
1. β, the b_j, the scales and the variation move by :mod:`bayesimpute.sampling.linear`.
2. A missing value is drawn from its distribution.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bayesimpute.errors import SpecificationError
from bayesimpute.method import Array, Design, Words
from bayesimpute.models.counts import LogLinear
from bayesimpute.sampling.linear_model import calm_priors
from bayesimpute.sampling.variance_shares import VarianceShare


def share_gamma(draws: Mapping[str, Array]) -> Array:
    """τ² / (τ² + ln(1 + variation²)), on the log scale (Nakagawa et al. 2017, table 2)."""
    between = draws["sd_intercept"] ** 2
    return np.asarray(between / (between + np.log1p(draws["variation"] ** 2)))


class Gamma(LogLinear):
    """Gamma model of a positive target.

    Options
    -------
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"cost": "gamma"}  # bi.impute(df, cluster="hospital", method=method)
    """

    words = Words(
        r"$y \sim \operatorname{Gamma}(μ_$row, \text{SD v·mean}) \\ "
        r"\log\;μ_$row = $predictor \\ $effects",
        "Values are positive and skewed, their SD in proportion to their mean (gamma); the "
        "logarithm of the mean depends linearly on {x}",
        "A missing value is drawn from that distribution.",
        name="gamma regression with a log link",
    )
    share = VarianceShare(share_gamma, "on the log scale")

    @staticmethod
    def distribution(eta: Any, variation: Any) -> Any:
        """Give positive numbers by the logarithm of their mean, and their variation around it."""
        import pymc as pm

        shape = variation**-2
        return pm.Gamma.dist(alpha=shape, beta=shape * pm.math.exp(-eta))

    def positive(self) -> Mapping[str, Any]:
        """Give the extra: the coefficient of variation."""
        return {"variation": 1.0}

    def calibration(self, data: str) -> Mapping[str, Any]:
        """Give typical values, and priors under which means stay in bounds."""
        typical = (0.3, 0.7, 1.1, 1.6, 2.2, 3.0, 4.1, 5.9, 9.0, 16.0)
        return {"typical": typical, "priors": calm_priors(data, 1.0, 0.5)}

    def check(self, design: Design, options: Mapping[str, Any]) -> None:
        """Refuse observed values that are not positive."""
        y = design.y[design.fit]
        bad = ~(y > 0)
        if bad.any():
            raise SpecificationError(
                f"{design.target!r} has {int(bad.sum())} observed value(s) that are not positive, "
                f"such as {y[bad][0]:g}; a gamma distribution has none. Use 'pmm' or 'normal'."
            )

    def values(
        self, likelihood: Any, design: Design, options: Mapping[str, Any], units: Any
    ) -> Callable[..., Any]:
        """Draw positive numbers; one that rounds to 0 is the number next to it."""
        drawn = super().values(likelihood, design, options, units)
        return lambda *given: np.maximum(drawn(*given), np.nextafter(0.0, 1.0))
