"""What the engine hands to everyone else: the chains, finished or to be continued."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bayesimpute.events import Event


@dataclass(frozen=True, eq=False)
class History:
    """Everything m chains produced; chain = imputation, draw = iteration.

    Attributes
    ----------
    m
        Number of chains.
    iterations
        Iterations completed so far.
    imputed
        Target (passive ones too) -> (m, n_where) values of the last iteration, category codes for
        categories; the cells are those of ``Specification.where``, in canonical row order.
    chain_mean
        Target -> (m, iterations) mean of the imputed cells. Category codes count from 1 here, as
        in mice, so that the numbers can be compared.
    chain_sd
        Target -> (m, iterations) standard deviation (ddof 1) of the imputed cells, NaN if there is
        only one.
    chain_share
        Categorical target -> (m, iterations, categories) share of the imputed cells in each
        category, in the order of the variable's categories. Of a file written before shares were
        recorded there are none, and its iterations are NaN when the run goes on.
    parameters
        Target -> parameter -> (m, iterations) or (m, iterations, k) draws.
    labels
        Target -> parameter -> labels of the last axis, ``()`` for a scalar.
    statistics
        Target -> statistic of the sampler (``"diverging"``, ``"tree_size"``, ``"acceptance"``, …)
        -> (m, iterations).
    states
        One resumable state a chain: npz bytes without pickle.
    adaptation
        Adapted kernels, shared by the chains: npz bytes without pickle.
    seed
        Entropy of the run's ``numpy.random.SeedSequence``; may have 128 bits.
    events
        Automatic actions, those of the specification first.
    monitored
        Monitor -> (m, iterations) or (m, iterations, k): what the user's function gave of the
        completed data; NaN where it failed and the run was told to go on.
    monitor_labels
        Monitor -> labels of the last axis, ``()`` for a number.
    further_seeds
        Those of other runs whose chains were put behind the ones of this.
    """

    m: int
    iterations: int
    imputed: Mapping[str, np.ndarray]
    chain_mean: Mapping[str, np.ndarray]
    chain_sd: Mapping[str, np.ndarray]
    parameters: Mapping[str, Mapping[str, np.ndarray]]
    labels: Mapping[str, Mapping[str, tuple[str, ...]]]
    statistics: Mapping[str, Mapping[str, np.ndarray]]
    states: tuple[bytes, ...]
    adaptation: bytes
    seed: int
    events: tuple[Event, ...]
    monitored: Mapping[str, np.ndarray] = field(default_factory=dict)
    monitor_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    chain_share: Mapping[str, np.ndarray] = field(default_factory=dict)
    further_seeds: tuple[int, ...] = ()

    @property
    def variables(self) -> list[str]:
        """Variables of which any cell is imputed."""
        return [name for name, cells in self.imputed.items() if cells.shape[1]]
