"""The public names of simulation, each with its home."""

from .ampute import Amputed as Amputed
from .ampute import ampute as ampute
from .ampute_selection import Selection as Selection
from .calibration import sbc as sbc
from .impact import simulate_impact as simulate_impact
from .multilevel import simulate_classes as simulate_classes
from .multilevel import simulate_ratings as simulate_ratings
from .obesity import simulate_obesity as simulate_obesity
from .performance import Replicates as Replicates
from .popularity import TRUTH as TRUTH
from .popularity import SimulatedStudy as SimulatedStudy
from .popularity import simulate_popularity as simulate_popularity
from .ranks import Calibration as Calibration
from .replicates import replicate as replicate
from .scenario import Scenario as Scenario
from .selection import simulate_selection as simulate_selection
