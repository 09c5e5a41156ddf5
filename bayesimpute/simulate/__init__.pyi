"""The public names of simulation, each with its home."""

from .ampute import Amputed as Amputed
from .ampute import ampute as ampute
from .ampute_selection import Selection as Selection
from .calibration import Calibration as Calibration
from .calibration import sbc as sbc
from .performance import Replicates as Replicates
from .replicates import replicate as replicate
from .scenario import Scenario as Scenario
from .studies import TRUTH as TRUTH
from .studies import SimulatedStudy as SimulatedStudy
from .studies import simulate_classes as simulate_classes
from .studies import simulate_impact as simulate_impact
from .studies import simulate_popularity as simulate_popularity
from .studies import simulate_ratings as simulate_ratings
from .studies_not_at_random import simulate_obesity as simulate_obesity
from .studies_not_at_random import simulate_selection as simulate_selection
