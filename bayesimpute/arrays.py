"""Types of arrays, by what they hold."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
