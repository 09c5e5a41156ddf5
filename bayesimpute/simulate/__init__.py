"""Simulated truth: studies to recover, and calibration of every conditional model."""

from bayesimpute.simulate.calibration import sbc
from bayesimpute.simulate.popularity import TRUTH, SimulatedStudy, simulate_popularity
from bayesimpute.simulate.ranks import Calibration
from bayesimpute.simulate.scenario import Scenario
from bayesimpute.simulate.selection import simulate_selection

__all__ = [
    "TRUTH",
    "Calibration",
    "Scenario",
    "SimulatedStudy",
    "sbc",
    "simulate_popularity",
    "simulate_selection",
]
