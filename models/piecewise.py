r"""Piecewise-constant hazard of an event, some times censored: as Cox's model, of any shape.

Model
-----
Time is cut into K intervals, within which the hazard is constant. For row i in cluster j, with
predictors and random slopes centred at their observed means, the hazard at time t in interval k is

.. math::
    \log h_{ij}(t) = η_{ij} + \text{departure}_k,\quad \sum_k \text{departure}_k = 0,\quad
    η_{ij} = \text{intercept} + x_{ij}β + z_{ij} b_j,\quad
    b_j \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd))

so hazards are proportional, β are log hazard ratios, and the effects of clusters are frailties,
normal on the log scale (Friedman 1982, Annals of Statistics 10, 101-113). An observed event at t
contributes the density :math:`h(t) S(t)`, a time censored at t the survival function

.. math::
    S_{ij}(t) = \exp\Bigl(-e^{η_{ij}} \sum_k e^{\text{departure}_k} \,
    \text{time spent in interval } k \text{ until } t\Bigr).

``log_hazard`` is intercept + departure: the log hazard of each interval at mean predictors.

The cutpoints are quantiles of the observed times of events, so that all intervals are known about
equally well: one interval for 10 events, at least 2 and at most 10 (``intervals`` or ``cutpoints``
in ``model_options`` say it otherwise). An interval ends with its cutpoint; the last one has no end.
Coefficients hardly depend on their number: with 5, 10 or 20 they differed by little more than a
tenth of their standard errors.

Priors
------
==================  ===========================================================
``intercept``       Normal(log of events by total time, 2.5)
``departure``       ZeroSumNormal(1.5): 95 % within a factor 20 of the mean. Each alike and not a
                    random walk: intervals hold ten events or more, so that neighbours
                    need not lend each other strength, and a hazard may jump
``beta``            Normal(0, 1 / s_x): an SD of a predictor hardly more than multiplies
                    the hazard by e² or divides it by that
``sd_intercept``    HalfNormal(1)
``sd_<slope>``      HalfNormal(0.5 / s_x)
``correlation``     LKJCorr(eta=2)
==================  ===========================================================

Draw
----
1. The departures move in an orthonormal basis of all that sum to zero, where they are independent a
   priori, and nearly so given the data; β, the b_j and the scales by
   :mod:`bayesimpute.sampling.linear`.
2. A missing time is that of an event: where the cumulative hazard reaches a standard exponential
   number. So are replicates (``imp.predictive``), which therefore belong beside a Kaplan-Meier
   curve, and not beside times that are partly censored.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numba
import numpy as np
from scipy.linalg import helmert

from bayesimpute.errors import SpecificationError
from bayesimpute.method import Array, Design, Parameters, Words
from bayesimpute.sampling.compiled import part_of
from bayesimpute.sampling.exponentials import exponentials
from bayesimpute.sampling.hazards import HazardModel, events_of, exposures
from bayesimpute.sampling.linear_kernel import Family
from bayesimpute.sampling.linear_model import calm_priors
from bayesimpute.sampling.linear_parts import OneEquation, Point
from bayesimpute.sampling.priors import attach, value_of
from bayesimpute.sampling.textbook import Columns, RowModel, linear_predictor

#: SD of the default prior of the departures.
DEPARTURE_SD = 1.5
#: Events for each interval, and fewest and most intervals, by default.
EVENTS_EACH, FEWEST, MOST = 10, 2, 10


class Piecewise(HazardModel):
    """Model of a time to an event with a piecewise-constant hazard.

    Options
    -------
    event
        Column that says whether the time ends with the event (1) or is censored (0); of two
        categories the later one is the event. Default: every time does. An analysis says it
        itself: ``analysis="Surv(time, died) ~ age"``.
    intervals
        Number of intervals, of about equally many events each. Default: one for 10 events, from 2
        to 10; fewer where times are tied.
    cutpoints
        Times between the intervals, in place of quantiles.
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> analysis = "Surv(time, died) ~ age * stage + (1 | centre)"
    >>> # bi.impute(df, cluster="centre", analysis=analysis)
    """

    words = Words(
        r"$y\text{ ends with hazard }h_$row(t) \\ "
        r"\log\;h_$row(t) = $predictor + a_k \\ t\text{ in interval }k \\ $effects",
        "The hazard of the event is constant within each interval of time and free between them; "
        "its logarithm depends linearly on {x}, and a censored time contributes the probability of "
        "having had no event by then",
        "A missing time is drawn as that of an event.",
        name="proportional hazards regression with a piecewise constant hazard",
    )
    options: Mapping[str, Any] = MappingProxyType(
        {**HazardModel.options, "intervals": None, "cutpoints": None}
    )

    def calibration(self, data: str) -> Mapping[str, Any]:
        """Give typical times, cutpoints, and priors that keep times in bounds."""
        import pymc as pm

        priors = calm_priors(data, -1.0, 0.5, departure=pm.ZeroSumNormal.dist(0.5, shape=3))
        typical = (0.3, 0.8, 1.5, 2.2, 3.0, 4.5, 7.0)
        return {"typical": typical, "priors": priors, "options": {"intervals": 3}}

    def check(self, design: Design, options: Mapping[str, Any]) -> None:
        """Refuse impossible times and cutpoints."""
        super().check(design, options)
        cutpoints_of(design, options)

    def row_model(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> RowModel:
        """Add the parameters to the current PyMC model."""
        import pymc as pm
        import pytensor.tensor as pt

        self.check(design, options)
        cutpoints = cutpoints_of(design, options)
        start, end = np.append(0.0, cutpoints), np.append(cutpoints, np.inf)
        model = pm.modelcontext(None)
        model.add_coord("interval", labels_of(cutpoints))
        eta = linear_predictor(design, self._units(design), priors, self.defaults(design))
        departure = pt.zeros(1)
        if len(cutpoints):
            default = pm.ZeroSumNormal.dist(DEPARTURE_SD, shape=len(start))
            departure = attach(priors.get("departure", default), "departure", "interval")
        pm.Deterministic("log_hazard", model["intercept"] + departure, dims="interval")

        def logp(time: Any, event: Any, eta: Any, departure: Any) -> Any:
            spent = pt.clip(time[:, None], start, end) - start  # (row, interval)
            cumulative = pt.exp(eta) * (spent * pt.exp(departure)).sum(axis=1)
            at = departure[pt.searchsorted(cutpoints, time)]
            return event * (eta + at) - cumulative

        def dist(event: Any, eta: Any, departure: Any, size: Any) -> Any:
            left = pm.Exponential.dist(1.0, size=eta.shape) * pt.exp(-eta)
            total = pt.zeros_like(eta)
            for k in range(len(start)):
                spent = pt.minimum(left * pt.exp(-departure[k]), end[k] - start[k])
                total, left = total + spent, left - spent * pt.exp(departure[k])
            return total

        def distribution(columns: Columns) -> Any:
            return pm.CustomDist.dist(
                columns.event, eta(columns), departure,
                logp=logp, dist=dist, signature="(n),(n),(k)->(n)",
            )  # fmt: skip

        return RowModel(distribution, design.random_effects)

    def likelihood(
        self, design: Design, options: Mapping[str, Any], units: Any
    ) -> "PiecewiseLikelihood":
        """Give the density by hand: a censored time has a share of its own."""
        cutpoints = cutpoints_of(design, options)
        return PiecewiseLikelihood(cutpoints, DEPARTURE_SD, "event" in design.columns)

    def family(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Family:
        """Give the family with the hazards as further parameters.

        Raises
        ------
        SpecificationError
            If the prior of the departures is of another family, or another number of intervals.
        """
        plain = super().family(design, priors, options)
        cutpoints = cutpoints_of(design, options)
        spread = _spread(design, priors.get("departure"), len(cutpoints) + 1)
        likelihood = PiecewiseLikelihood(cutpoints, spread, "event" in design.columns)
        return replace(
            plain,
            likelihood=likelihood,
            extra=likelihood.parameters,
            extra_labels={"log_hazard": tuple(labels_of(cutpoints))},
            other_priors=("departure",) if len(cutpoints) else (),
        )


def cutpoints_of(design: Design, options: Mapping[str, Any]) -> Array:
    """Give the times between the intervals, (K − 1,), ascending.

    Raises
    ------
    SpecificationError
        If options say what cannot be.
    """
    given, number = options["cutpoints"], options["intervals"]
    place = f"model_options of {design.target!r}"
    times = design.y[design.fit][events_of(design)[design.fit] > 0]
    if given is not None:
        if number is not None:
            raise SpecificationError(f"{place}: give intervals or cutpoints, not both.")
        try:
            found = np.asarray(given, dtype=float)
        except (TypeError, ValueError):
            found = np.empty(0)
        if found.ndim != 1 or not found.size or not (np.diff(found, prepend=0.0) > 0).all():
            raise SpecificationError(
                f"{place}: cutpoints={given!r} must be ascending times above 0, such as (1, 2, 5)."
            )
        if not np.isfinite(found).all():
            raise SpecificationError(f"{place}: a cutpoint is not finite; the last has no end.")
        return found
    if number is None:
        number = min(max(len(times) // EVENTS_EACH, FEWEST), MOST)
    elif not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise SpecificationError(f"{place}: intervals={number!r} must be a whole number from 1.")
    # times of events themselves, so that with ties, too, each interval holds one
    levels = np.arange(1, number) / number
    found = np.unique(np.quantile(times, levels, method="inverted_cdf"))
    return np.asarray(found[found < times.max()])


def labels_of(cutpoints: Array) -> list[str]:
    """Intervals in words.

    Examples
    --------
    >>> labels_of(np.array([1.5, 4]))
    ['until 1.5', '1.5 to 4', 'from 4']
    """
    ends = [f"{cut:.6g}" for cut in cutpoints]
    if not ends:
        return ["all time"]
    between = [f"{low} to {high}" for low, high in pairwise(ends)]
    return [f"until {ends[0]}", *between, f"from {ends[-1]}"]


def _spread(design: Design, prior: Any, intervals: int) -> float:
    """SD of the departures' prior.

    Raises
    ------
    SpecificationError
        If it is of another family, or of another number of intervals.
    """
    if prior is None:
        return DEPARTURE_SD
    op = type(getattr(prior.owner, "op", None)).__name__ if hasattr(prior, "owner") else ""
    if op != "ZeroSumNormalRV" or prior.type.ndim != 1:
        raise SpecificationError(
            f"priors of {design.target!r}: the prior of 'departure' must be a zero-sum normal, "
            f"pm.ZeroSumNormal.dist(1.5, shape={intervals})."
        )
    sigma, size = value_of(prior.owner.inputs[-2]), prior.type.shape[0]
    if size != intervals:
        raise SpecificationError(
            f"priors of {design.target!r}: that of 'departure' is for {size} intervals, the model "
            f"has {intervals}: pm.ZeroSumNormal.dist(1.5, shape={intervals})."
        )
    return float(sigma.item())


@part_of
def _departures(free: Array, constants: Array) -> Array:
    """Departures that sum to zero, from their coordinates, (K,)."""
    intervals = free.size + 1
    departure = np.zeros(intervals)
    basis = constants[intervals:].reshape((free.size, intervals))
    for a in range(free.size):
        for k in range(intervals):
            departure[k] += basis[a, k] * free[a]
    return departure


@numba.njit(cache=True, error_model="numpy", nogil=True)
def piecewise_density(arguments: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Log likelihood and its gradient.

    Columns are event, number of the interval, and time spent in it; constants the prior's SD, the
    cutpoints, and the basis of the departures.
    """
    columns, eta, free, constants = arguments
    event, spent, rows, intervals = columns[0], columns[2], eta.shape[1], free.size + 1
    departure = _departures(free, constants)
    hazard = np.exp(departure)
    # at the start of each interval, the cumulative hazard; before[k] is the length of the last one
    start, before = np.zeros(intervals), np.zeros(intervals)
    for k in range(1, intervals):
        before[k] = constants[k] - (constants[k - 1] if k > 1 else 0.0)
        start[k] = start[k - 1] + hazard[k - 1] * before[k]
    ratio = np.empty(rows)
    exponentials(eta[0], ratio)
    value, by_eta = 0.0, np.empty(eta.shape)
    events, inside, reached = np.zeros(intervals), np.zeros(intervals), np.zeros(intervals)
    for i in range(rows):
        k = int(columns[1, i])
        cumulative = ratio[i] * (start[k] + hazard[k] * spent[i])
        value += event[i] * (eta[0, i] + departure[k]) - cumulative
        by_eta[0, i] = event[i] - cumulative
        events[k] += event[i]
        inside[k] += ratio[i] * spent[i]
        reached[k] += ratio[i]
    # rows that end in a later interval have spent all of this one
    by_departure, later = np.empty(intervals), 0.0
    for k in range(intervals - 1, -1, -1):
        if k + 1 < intervals:
            later += reached[k + 1]
            inside[k] += before[k + 1] * later
        by_departure[k] = events[k] - hazard[k] * inside[k]
    by_free = np.zeros(free.size)
    basis = constants[intervals:].reshape((free.size, intervals))
    for a in range(free.size):
        for k in range(intervals):
            by_free[a] += basis[a, k] * by_departure[k]
    return np.full((), value), by_eta, by_free


@numba.njit(cache=True, error_model="numpy", nogil=True)
def departure_prior(arguments: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Log prior of the departures' coordinates: independent normal, of one SD."""
    intercepts, free, constants = arguments
    precision = 1.0 / (constants[0] * constants[0])
    value, by_free = 0.0, np.empty(free.size)
    for a in range(free.size):
        value -= 0.5 * precision * free[a] * free[a]
        by_free[a] = -precision * free[a]
    return np.full((), value), np.zeros(intercepts.size), by_free


class PiecewiseLikelihood(OneEquation):
    """Times to an event by a hazard that is constant in intervals.

    Free parameters are coordinates of the departures in an orthonormal basis of all that sum to
    zero, so that independent ones with one SD are a zero-sum normal vector.
    """

    density = staticmethod(piecewise_density)
    extra_prior = staticmethod(departure_prior)

    def __init__(self, cutpoints: Array, spread: float, censored: bool) -> None:
        self.cutpoints = cutpoints
        self.free = len(cutpoints)
        self.basis = helmert(len(cutpoints) + 1)
        self.constants = np.concatenate([[spread], cutpoints, self.basis.ravel()])
        self.measure = "mixed" if censored else "density"
        self._start = np.append(0.0, cutpoints)

    def columns(self, y: Array) -> Array:
        """Event, number of the interval, and time spent in it, (3, row)."""
        interval = np.searchsorted(self.cutpoints, y[0])
        return np.vstack([y[1], interval, y[0] - self._start[interval]])

    def _hazards(self, free: Array) -> tuple[Array, Array, Array]:
        """Departures, hazards, and cumulative hazards at the start of each interval, at η = 0."""
        departure = free @ self.basis
        hazard = np.exp(departure)
        start = np.append(0.0, np.cumsum(hazard[:-1] * np.diff(self._start)))
        return departure, hazard, start

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log density of each event, log probability of none before each censored time, (row,)."""
        event, interval, spent = self.columns(y.T)
        k, log_ratio = interval.astype(np.int64), eta[:, 0]
        departure, hazard, start = self._hazards(free)
        cumulative = np.exp(log_ratio) * (start[k] + hazard[k] * spent)
        found = event * (log_ratio + departure[k]) - cumulative
        return np.where(y[:, 0] > 0, found, -np.inf)

    def values(self, eta: Array, positive: Array, free: Array, rng: np.random.Generator) -> Array:
        """Draw the time of the event."""
        _, hazard, start = self._hazards(free)
        cumulative = exposures(rng, eta[:, 0])
        k = np.searchsorted(start, cumulative, side="right") - 1
        return np.asarray(self._start[k] + (cumulative - start[k]) / hazard[k])

    def parameters(self, point: Point) -> Parameters:
        """Log hazard of each interval at mean predictors."""
        departure, _, _ = self._hazards(point.free)
        return {"log_hazard": point.beta[0, 0] + departure}
