"""A conditional model at drawn parameters: what it gives for rows that it was never fitted to.

A run leaves one draw of parameters and cluster effects for each of its chains. An object here holds
those of all chains for one model, and draws values of any rows from them. The rows come chain by
chain: `Design.cluster` counts clusters across chains, those of the first before those of the
second; without clusters it is the number of the chain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from bayesimpute.errors import SpecificationError
from bayesimpute.method import Adaptation, Array, Design, Kernel

Positions = npt.NDArray[np.int64]
#: Numbers of the clusters of further groupings.
type Further = tuple[Positions, ...]

#: In the place of the number of a cluster that no model has seen.
NEW = -1


@dataclass(frozen=True, eq=False)
class Moment:
    """Where a chain stands with one model.

    Attributes
    ----------
    design
        Its completed data.
    adaptation, state
        Of the kernel.
    rng
        For parameters that the state does not hold: they are drawn given it and the data.
    """

    design: Design
    adaptation: Adaptation
    state: Array
    rng: np.random.Generator


class RowDraws(Protocol):
    """A conditional model at one draw of its parameters and effects for each chain."""

    def draw(self, design: Design, rng: np.random.Generator) -> Array:
        """Draw the target in the `draw` rows of a design, (row,); categories as codes.

        Of a block, values of each member's `draw` rows, one member after the other. `fit` says in
        which rows the target is seen.
        """
        ...

    def of_clusters(
        self, clusters: Positions, rng: np.random.Generator, further: Further = ()
    ) -> Self:
        """Choose the clusters that rows will be of, by their numbers when the model was fitted.

        Effects of each that is ``NEW`` are drawn from the population, chain by chain. `further`
        are those of further groupings, in their order.
        """
        ...

    def beside(self, others: Sequence[Self]) -> Self:
        """Put the draws of further chains behind these."""
        ...


@runtime_checkable
class RowDrawsKernel(Kernel, Protocol):
    """A kernel whose model can be asked of new rows."""

    def row_draws(self, moment: Moment) -> RowDraws:
        """Give the model as one chain has left it."""
        ...


def row_draws(kernel: Kernel, moment: Moment) -> RowDraws:
    """Give the model of any kernel as one chain has left it.

    Raises
    ------
    SpecificationError
        If the kernel is the user's own and does not say.
    """
    if not isinstance(kernel, RowDrawsKernel):
        raise SpecificationError(
            f"The method of {moment.design.target!r} is an object of your own that cannot be asked "
            "of new rows; give its kernel a method row_draws(moment) as described in "
            "bayesimpute.sampling.row_draws, or use a method that has one."
        )
    return kernel.row_draws(moment)


def by_chain(
    chain: Positions, chains: int, draw: Callable[[int, slice], Array], columns: int = 0
) -> Array:
    """Fill an array row by row, one chain after the other.

    Parameters
    ----------
    chain
        Of each row, (row,), ascending.
    chains
        How many there are.
    draw
        Takes a chain and the place of its rows; gives their values.
    columns
        Of each row's value; 0 for a number.
    """
    out = np.empty((len(chain), columns) if columns else len(chain))
    assert (np.diff(chain) >= 0).all()  # else rows would be left as memory was
    ends = np.searchsorted(chain, np.arange(chains + 1)).tolist()
    for k, (first, end) in enumerate(pairwise(ends)):
        if first < end:
            out[first:end] = draw(k, slice(first, end))
    return out


def chosen_effects(
    effects: Array, factor: Array, clusters: Positions, rng: np.random.Generator
) -> Array:
    """Effects of chosen clusters; those of new ones from the population.

    Parameters
    ----------
    effects
        As drawn, (chain, cluster, effect).
    factor
        Factor of their covariance in each chain, (chain, effect, effect).
    clusters
        Numbers of the clusters, ``NEW`` for those that have none, (chosen,).
    rng
        For the new ones.

    Returns
    -------
    numpy.ndarray
        (chain, chosen, effect).
    """
    chosen = effects[:, clusters]
    new = np.flatnonzero(clusters == NEW)
    noise = rng.standard_normal((len(effects), new.size, effects.shape[2]))
    chosen[:, new] = np.einsum("kjb,kab->kja", noise, factor)
    return np.asarray(chosen)
