"""A likelihood that the package does not have, in the lines that one takes."""

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.method import Words
from bayesimpute.sampling.linear_model import LinearModel
from bayesimpute.sampling.textbook import Defaults
from bayesimpute.sampling.variance_shares import VarianceShare


class Weibull(LinearModel):
    """Weibull model of durations."""

    words = Words(
        r"$y \sim \operatorname{Weibull}(\text{scale }μ_$row, k) \\ "
        r"\log\;μ_$row = $predictor \\ $effects",
        "Durations follow a Weibull distribution whose log scale depends linearly on {x}",
        "A missing duration is drawn from that distribution.",
    )
    kinds = frozenset({Kind.NUMERIC})
    share = VarianceShare(
        lambda d: (
            d["sd_intercept"] ** 2 / (d["sd_intercept"] ** 2 + np.pi**2 / 6 / d["shape"] ** 2)
        ),
        "on the log scale",
    )

    @staticmethod
    def distribution(eta, shape):
        """Give durations by the logarithm of their scale."""
        import pymc as pm

        return pm.Weibull.dist(alpha=shape, beta=pm.math.exp(eta))

    def positive(self):
        """Give the extra: the shape, 1 for a constant hazard."""
        import pymc as pm

        return {"shape": pm.Gamma.dist(2.0, 1.0)}

    def defaults(self, design):
        """Centre the intercept at the mean."""
        return Defaults(intercept_mean=float(np.log(design.y[design.fit].mean())), beta_sd=1.0)

    def calibration(self, data):
        """Give typical values, and priors that keep the scale in bounds."""
        import pymc as pm

        priors = {"intercept": pm.Normal.dist(1.0, 0.5), "beta": pm.Normal.dist(0.0, 0.3)}
        priors |= {"sd_intercept": pm.HalfNormal.dist(0.5), "shape": pm.Gamma.dist(20.0, 10.0)}
        return {"typical": (0.3, 0.8, 1.5, 2.2, 3.0, 4.5, 7.0), "priors": priors}
