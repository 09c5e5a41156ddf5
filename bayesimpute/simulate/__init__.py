"""Simulated truth: studies to recover, and calibration of every conditional model."""

from bayesimpute.simulate.ampute import Amputed
from bayesimpute.simulate.ampute_selection import Selection
from bayesimpute.simulate.calibration import sbc
from bayesimpute.simulate.impact import simulate_impact
from bayesimpute.simulate.obesity import simulate_obesity
from bayesimpute.simulate.performance import Replicates
from bayesimpute.simulate.popularity import TRUTH, SimulatedStudy, simulate_popularity
from bayesimpute.simulate.ranks import Calibration
from bayesimpute.simulate.replicates import replicate
from bayesimpute.simulate.scenario import Scenario
from bayesimpute.simulate.selection import simulate_selection

__all__ = [
    "TRUTH",
    "Amputed",
    "Calibration",
    "Replicates",
    "Scenario",
    "Selection",
    "SimulatedStudy",
    "replicate",
    "sbc",
    "simulate_impact",
    "simulate_obesity",
    "simulate_popularity",
    "simulate_selection",
]
