r"""Student-t conditional model: the normal model for data with outliers.

Model
-----
For row i in cluster j, with predictors and random slopes centred at their observed means,

.. math::
    y_{ij} = \text{intercept} + x_{ij}β + z_{ij} b_j + σ t_{ij},\quad
    b_j \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd)),\quad
    t_{ij} \sim \operatorname{Student}(ν)

An observation far from its mean pulls coefficients and effects less, the more so the smaller ν is
(Lange, Little & Taylor 1989); imputed values have the same tails.

Priors
------
Those of :mod:`bayesimpute.models.normal` for what it has (``intercept, beta, sd_<effect>,
correlation, sigma``), and ``nu`` ~ Gamma(2, 0.1) (Juárez & Steel 2010): mean 20, from Cauchy-like
to normal.

Draw
----
1. β, the b_j, σ, ν and the scales move by :mod:`bayesimpute.sampling.linear`.
2. A missing value is its mean plus σ times a Student-t draw.
"""

from collections.abc import Mapping
from typing import Any

from bayesimpute.data.table import Kind
from bayesimpute.method import Words
from bayesimpute.sampling.linear_model import LinearModel


class Robust(LinearModel):
    """Student-t model of a numeric target.

    Options
    -------
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"weight": "normal.robust"}  # bi.impute(df, cluster="city", method=method)
    """

    words = Words(
        r"$y = $predictor + σ\,t_$row \\ $effects \\ t_$row \sim \operatorname{Student}(ν)",
        "Values follow a Student t distribution, which allows for outliers, "
        "around a mean that depends linearly on {x}",
        "A missing value is drawn from that distribution.",
        name="a linear model with Student t errors",
    )
    kinds = frozenset({Kind.NUMERIC})
    on_scale = True
    scaled = ("sigma",)

    @staticmethod
    def distribution(eta: Any, sigma: Any, nu: Any) -> Any:
        """Give numbers around their mean, now and then far from it."""
        import pymc as pm

        return pm.StudentT.dist(nu=nu, mu=eta, sigma=sigma)

    def positive(self) -> Mapping[str, Any]:
        """Give the extras σ, in units of the target's SD, and ν."""
        import pymc as pm

        return {"sigma": 1.0, "nu": pm.Gamma.dist(2.0, 0.1)}
