"""Automatic actions, recorded: nothing the engine decides by itself stays silent."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pandas as pd

from bayesimpute.wording import visible


@dataclass(frozen=True)
class Event:
    """One automatic action.

    Attributes
    ----------
    severity
        ``"info"``, ``"warning"`` or ``"error"``.
    stage
        ``"specification"``, ``"adaptation"`` or ``"imputation"``.
    variable
        Target the action concerns; empty for the whole run.
    action
        What was done, one short word or two: ``"predictor dropped"``.
    message
        A sentence for people: what, why, and what to do about it.
    imputation, iteration
        Where in the run, counted from 1; 0 when before the run.
    """

    severity: str
    stage: str
    variable: str
    action: str
    message: str
    imputation: int = 0
    iteration: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", visible(self.message))


COLUMNS = tuple(Event.__dataclass_fields__)


def events_table(events: Iterable[Event]) -> pd.DataFrame:
    """One row an event, in the order they happened."""
    return pd.DataFrame([asdict(event) for event in events], columns=list(COLUMNS))
