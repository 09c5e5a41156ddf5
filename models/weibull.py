r"""Weibull model of the time to an event, some times censored: a hazard that rises or falls.

Model
-----
For row i in cluster j, with predictors and random slopes centred at their observed means, the
hazard at time t is

.. math::
    \log h_{ij}(t) = η_{ij} + (\text{shape} - 1) \log(t / t_0),\quad
    η_{ij} = \text{intercept} + x_{ij}β + z_{ij} b_j,\quad
    b_j \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd))

so hazards are proportional, β are log hazard ratios, and the effects of clusters are frailties,
normal on the log scale. An observed event at t contributes the density :math:`h(t) S(t)`, a time
censored at t the survival function

.. math::
    S_{ij}(t) = \exp\Bigl(-e^{η_{ij}} \frac{t_0}{\text{shape}} (t / t_0)^{\text{shape}}\Bigr).

:math:`t_0` is the geometric mean of the observed times of events. It only says at which time η is
the log hazard, so that intercept and shape are known nearly independently, and another unit of time
changes nothing but the intercept, by the logarithm of the unit.

Priors
------
==================  ===========================================================
``intercept``       Normal(log of events by total time, 2.5)
``beta``            Normal(0, 1 / s_x): an SD of a predictor hardly more than multiplies
                    the hazard by e² or divides it by that
``sd_intercept``    HalfNormal(1)
``sd_<slope>``      HalfNormal(0.5 / s_x)
``correlation``     LKJCorr(eta=2)
``shape``           LogNormal(0, 0.75): rising and falling hazards alike, 95 % between
                    0.23 and 4.3; 1 is a constant hazard
==================  ===========================================================

Draw
----
1. β, the b_j, the scales and the shape move by :mod:`bayesimpute.sampling.linear`.
2. A missing time is that of an event: where the cumulative hazard reaches a standard exponential
   number. So are replicates (``imp.predictive``), which therefore belong beside a Kaplan-Meier
   curve, and not beside times that are partly censored.
"""

from collections.abc import Mapping
from typing import Any

import numba
import numpy as np

from bayesimpute.method import Array, Design, Words
from bayesimpute.sampling.exponentials import exponentials
from bayesimpute.sampling.hazards import HazardModel, events_of, exposures
from bayesimpute.sampling.linear_model import calm_priors
from bayesimpute.sampling.linear_parts import OneEquation
from bayesimpute.sampling.priors import attach
from bayesimpute.sampling.textbook import Columns, RowModel, linear_predictor


class Weibull(HazardModel):
    """Weibull model of a time to an event.

    Options
    -------
    event
        Column that says whether the time ends with the event (1) or is censored (0); of two
        categories the later one is the event. Default: every time does. An analysis says it
        itself: ``analysis="Surv(time, died) ~ age"``.
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> analysis = "Surv(time, died) ~ age * stage + (1 | centre)"
    >>> # bi.impute(df, cluster="centre", analysis=analysis, family="weibull")
    """

    words = Words(
        r"$y\text{ ends with hazard }h_$row(t) \\ "
        r"\log\;h_$row(t) = $predictor + (k - 1)\;\log(t/t₀) \\ $effects",
        "The hazard of the event is that of a Weibull distribution, rising or falling with a power "
        "of time; its logarithm depends linearly on {x}, and a censored time contributes the "
        "probability of having had no event by then",
        "A missing time is drawn as that of an event.",
        name="Weibull proportional hazards regression",
    )

    def positive(self) -> Mapping[str, Any]:
        """Give the extra: the shape, 1 for a constant hazard."""
        import pymc as pm

        return {"shape": pm.LogNormal.dist(0.0, 0.75)}

    def calibration(self, data: str) -> Mapping[str, Any]:
        """Give typical times, and priors that keep them in bounds."""
        import pymc as pm

        priors = calm_priors(data, -1.0, 0.5, shape=pm.LogNormal.dist(0.3, 0.25))
        return {"typical": (0.3, 0.8, 1.5, 2.2, 3.0, 4.5, 7.0), "priors": priors}

    def row_model(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> RowModel:
        """Add the parameters to the current PyMC model."""
        import pymc as pm
        import pytensor.tensor as pt

        self.check(design, options)
        t0 = typical_time(design)
        eta = linear_predictor(design, self._units(design), priors, self.defaults(design))
        shape = attach(priors.get("shape", self.positive()["shape"]), "shape")

        def logp(time: Any, event: Any, log_hazard: Any, shape: Any) -> Any:
            x = pt.log(time / t0)
            cumulative = pt.exp(log_hazard + shape * x) * t0 / shape
            return event * (log_hazard + (shape - 1) * x) - cumulative

        def dist(event: Any, log_hazard: Any, shape: Any, size: Any) -> Any:
            cumulative = pm.Exponential.dist(1.0, size=log_hazard.shape)
            return t0 * (cumulative * pt.exp(-log_hazard) * shape / t0) ** (1 / shape)

        def distribution(columns: Columns) -> Any:
            return pm.CustomDist.dist(columns.event, eta(columns), shape, logp=logp, dist=dist)

        return RowModel(distribution, design.random_effects)

    def likelihood(
        self, design: Design, options: Mapping[str, Any], units: Any
    ) -> "WeibullLikelihood":
        """Give the density by hand: a censored time has a share of its own."""
        return WeibullLikelihood(typical_time(design), "event" in design.columns)


def typical_time(design: Design) -> float:
    """Geometric mean of the times of events, of the rows fitted to."""
    times = design.y[design.fit][events_of(design)[design.fit] > 0]
    return float(np.exp(np.log(times).mean()))


@numba.njit(cache=True, error_model="numpy", nogil=True)
def weibull_density(arguments: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Log likelihood and its gradient; columns are event and log(t / t0), the constant t0."""
    columns, eta, extra, constants = arguments
    event, x, shape, t0 = columns[0], columns[1], extra[0], constants[0]
    power, cumulative = np.empty(x.size), np.empty(x.size)
    for i in range(x.size):
        power[i] = eta[0, i] + shape * x[i]
    exponentials(power, cumulative)
    value, by_eta, by_shape = 0.0, np.empty(eta.shape), 0.0
    for i in range(x.size):
        hazard = cumulative[i] * t0 / shape
        value += event[i] * (eta[0, i] + (shape - 1.0) * x[i]) - hazard
        by_eta[0, i] = event[i] - hazard
        by_shape += event[i] * x[i] - hazard * (x[i] - 1.0 / shape)
    return np.full((), value), by_eta, np.full(1, by_shape)


class WeibullLikelihood(OneEquation):
    """Times to an event by the log hazard at t0 and a shape."""

    density = staticmethod(weibull_density)

    def __init__(self, t0: float, censored: bool) -> None:
        self.t0 = t0
        self.constants = np.array([t0])
        self.measure = "mixed" if censored else "density"

    def columns(self, y: Array) -> Array:
        """Event and log(t / t0) of each row, (2, row)."""
        return np.vstack([y[1], np.log(np.where(y[0] > 0, y[0], np.nan) / self.t0)])

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log density of each event, log probability of none before each censored time, (row,)."""
        shape, log_hazard = positive[0], eta[:, 0]
        event, x = self.columns(y.T)
        cumulative = np.exp(log_hazard + shape * x) * self.t0 / shape
        found = event * (log_hazard + (shape - 1.0) * x) - cumulative
        return np.where(y[:, 0] > 0, found, -np.inf)

    def values(self, eta: Array, positive: Array, free: Array, rng: np.random.Generator) -> Array:
        """Draw the time of the event."""
        power = exposures(rng, eta[:, 0]) * positive[0] / self.t0
        return np.asarray(self.t0 * power ** (1.0 / positive[0]))
