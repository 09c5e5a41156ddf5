"""What models of times to an event share: events and censored times, priors, what they refuse."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.method import Array, Design
from bayesimpute.sampling.gaussian import Units
from bayesimpute.sampling.linear_model import LinearModel
from bayesimpute.sampling.textbook import (
    Columns,
    Defaults,
    data_columns,
    observed_model,
    plain_units,
)
from bayesimpute.sampling.variance_shares import VarianceShare

#: A time so many times the mean of the data is not drawn: the model has left them far behind.
FAR = 1e12


def events_of(design: Design) -> Array:
    """1 where a row's time ends with the event, 0 where it is censored, (row,).

    Without a column of events every time is one.
    """
    return np.asarray(design.columns.get("event", np.ones(len(design.y))), dtype=float)


def rate_of(design: Design) -> float:
    """Events by total time, of the rows fitted to."""
    return float(events_of(design)[design.fit].sum() / design.y[design.fit].sum())


@dataclass(frozen=True, eq=False)
class EventUnits(Units):
    """Units of a design whose target is a time that may be censored."""

    def y(self, design: Design) -> Array:
        """Time, and 1 where it ends with the event, (row, 2)."""
        return np.column_stack([design.y, events_of(design)])


def share_hazard(draws: Mapping[str, Array]) -> Array:
    """τ² / (τ² + π²/6), the variance of the log cumulative baseline hazard at the event."""
    between = draws["sd_intercept"] ** 2
    return np.asarray(between / (between + np.pi**2 / 6))


class HazardModel(LinearModel):
    """A model in which the logarithm of the hazard of an event is linear.

    Options
    -------
    event
        Column that says whether the time ends with the event (1) or is censored (0); of two
        categories the later one is the event. Default: every time does.
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.
    """

    kinds = frozenset({Kind.NUMERIC})
    options: Mapping[str, Any] = MappingProxyType({"event": None, "transitions": 4, "tune": 60})
    #: Options that name a column of two values: ``design.columns`` has it, as 0 and 1, under the
    #: name of the option.
    indicators = ("event",)
    support = (0.0, math.inf)
    share = VarianceShare(share_hazard, "on the scale of the log hazard")

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model on the rows with an observed time."""

        def columns(seen: Design) -> Columns:
            import pymc as pm

            event = pm.Data("event", events_of(seen), dims="row")
            return replace(data_columns(seen), event=event)

        return observed_model(design, self, priors, options, columns)

    def defaults(self, design: Design) -> Defaults:
        """Centre the intercept at the log of the overall rate."""
        return Defaults(intercept_mean=float(np.log(rate_of(design))), beta_sd=1.0)

    def check(self, design: Design, options: Mapping[str, Any]) -> None:
        """Refuse times that are not positive, data without an event, gaps in censored times."""
        if "event" in design.columns and design.draw.any():
            raise SpecificationError(
                f"{design.target!r}: times some of which are censored are not imputed, as whether "
                "they would be is part of them; leave them out of where=."
            )
        y = design.y[design.fit]
        bad = ~(y > 0)
        if bad.any():
            raise SpecificationError(
                f"{design.target!r} has {int(bad.sum())} observed value(s) that are not positive, "
                f"such as {y[bad][0]:g}; the time to an event is. If it is rounded down, give "
                "such rows half a unit; rows without any time at risk say nothing and can go."
            )
        if not events_of(design)[design.fit].any():
            raise SpecificationError(
                f"{design.target!r}: no row that may be used has the event, so that nothing can "
                "be learnt of its hazard."
            )

    def values(
        self, likelihood: Any, design: Design, options: Mapping[str, Any], units: Any
    ) -> Callable[..., Any]:
        """Draw times of events, unless the model is asked for impossible ones."""
        limit = FAR * float(design.y[design.fit].mean())

        def drawn(*given: Any) -> Array:
            times = np.asarray(likelihood.values(*given))
            if not times.max(initial=0.0) < limit:
                raise SamplingError(
                    f"a time near {times.max():.0e} is drawn, far beyond all that are observed: "
                    "the log-linear hazard is nearly 0 there; check the predictors, or use "
                    "tighter priors"
                )
            return times

        return drawn

    def _units(self, design: Design) -> Units:
        plain = plain_units(design)
        return EventUnits(0.0, 1.0, plain.centre_x, plain.scale_x, plain.centre_z, plain.scale_z)


def exposures(rng: np.random.Generator, log_hazard: Array) -> Array:
    """Cumulative baseline hazard at the event, drawn for each row, (row,)."""
    return np.asarray(rng.standard_exponential(len(log_hazard)) * np.exp(-log_hazard))
