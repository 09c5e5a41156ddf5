"""Clusters as fixed effects: an indicator column each, in place of the random effects."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from bayesimpute.arguments import checked
from bayesimpute.errors import DataError, SamplingError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.method import Design, Kernel
from bayesimpute.sampling.row_draws import NEW, Further, Moment, Positions
from bayesimpute.wrappers.base import (
    Options,
    Scope,
    Wrapped,
    WrappedKernel,
    Wrapper,
    inner_kernel,
    method_text,
    wrappable,
)


@checked
def fixed_clusters(method: Any) -> "FixedClusters":
    """Impute with a fixed effect for each cluster in place of a random intercept.

    Nothing is borrowed between clusters: for few, large clusters, or where the clusters are all
    there are rather than a sample of many. The reference is the cluster with the most observed
    values of the target.

    Parameters
    ----------
    method
        Name of a method, a method object, a function ``builder(design) -> pm.Model``, or another
        wrapper.

    Returns
    -------
    FixedClusters
        For ``method={"target": ...}`` in a run with ``cluster=``. The coefficients are reported
        with those of the predictors, as ``school[12]``.

    Raises
    ------
    SpecificationError
        If `method` is no method.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> print(bi.fixed_clusters("normal"))
    fixed_clusters(normal)
    """
    return FixedClusters(wrappable("fixed_clusters", method))


@dataclass(frozen=True, repr=False)
class FixedClusters(Wrapper):
    """The method :func:`fixed_clusters` gives.

    Attributes
    ----------
    cluster
        Cluster column of the model, decided by the specification.
    """

    cluster: str = field(default="cluster", compare=False)

    def __str__(self) -> str:
        return f"fixed_clusters({method_text(self.method)})"

    def decided(self, scope: Scope) -> tuple[Self, tuple[Event, ...]]:
        """Check that every cluster with something to impute has something observed."""
        place = f"fixed_clusters of {scope.target!r}: "
        if scope.level == 2:
            raise SpecificationError(
                f"{place}it has one value a cluster, which an effect of the cluster would be all "
                "there is to explain; use the method without fixed_clusters."
            )
        if scope.clusters is None or scope.cluster is None:
            raise SpecificationError(
                f"{place}its model has no clusters; give cluster=, or code the cluster −2 in the "
                "predictors."
            )
        if scope.slopes:
            raise SpecificationError(
                f"{place}the slope of {scope.slopes[0]!r} varies by cluster (code 2 or 4), which "
                "fixed effects leave no room for; use code 1, or the method without fixed_clusters."
            )
        clusters = scope.clusters
        observed = np.bincount(clusters.codes[scope.fit], minlength=clusters.n)
        wanted = np.bincount(clusters.codes[scope.draw], minlength=clusters.n)
        empty = [str(clusters.labels[j]) for j in np.flatnonzero((wanted > 0) & (observed == 0))]
        if empty:
            shown = ", ".join(empty[:5]) + (", …" if len(empty) > 5 else "")
            raise DataError(
                f"{place}{scope.target!r} has no observed value in {len(empty)} cluster(s) of "
                f"{scope.cluster!r}{scope.place} ({shown}), whose fixed effect cannot be known; "
                "use the method without fixed_clusters, which draws it from the other clusters."
            )
        decided, events = super().decided(scope)
        return replace(decided, cluster=scope.cluster), events

    def model(self, design: Design, priors: Options, options: Options) -> Any:
        """Build the textbook model with an indicator column a cluster."""
        return super().model(self._with(design, _own_columns(design)), priors, options)

    def kernel(self, design: Design, priors: Options, options: Options) -> Kernel:
        """Build the kernel of the method inside, with an indicator column a cluster."""
        columns = _own_columns(design)
        inside = inner_kernel(self.method, self._with(design, columns), priors, options)
        return FixedKernel(inside, self, columns, np.unique(design.cluster))

    def _with(self, design: Design, columns: npt.NDArray[np.int64]) -> Design:
        """Give the design with indicator columns and without random effects."""
        names = tuple(f"{self.cluster}[{design.cluster_labels[j]}]" for j in columns)
        indicators = (design.cluster[:, None] == columns).astype(float)
        placed = design.equations_x or ("both",) * len(design.predictors)
        return replace(
            design,
            x=np.hstack([design.x, indicators]),
            predictors=(*design.predictors, *names),
            z=np.empty((len(design.y), 0)),
            random_effects=(),
            equations_x=(*placed, *("both",) * len(names)),
            equations_z=(),
            blocks_z=(),
        )


def _own_columns(design: Design) -> npt.NDArray[np.int64]:
    """Clusters with a column: all that have rows, without the one most often observed."""
    observed = np.bincount(design.cluster[design.fit], minlength=design.n_clusters)
    present = np.flatnonzero(np.bincount(design.cluster, minlength=design.n_clusters))
    return present[present != observed.argmax()].astype(np.int64)


class FixedKernel(WrappedKernel):
    """A kernel that sees the clusters as indicator columns, which are no effects."""

    effects_inside = False

    def __init__(
        self,
        inside: Kernel,
        wrapper: FixedClusters,
        columns: npt.NDArray[np.int64],
        present: npt.NDArray[np.int64],
    ) -> None:
        super().__init__(inside)
        self._wrapper = wrapper
        self._columns = columns
        self._present = present

    def seen(self, design: Design, rng: Generator) -> Design:
        """Give the design with indicator columns."""
        # rows come and go where a condition on incomplete columns chooses them
        observed = np.bincount(design.cluster[design.fit], minlength=design.n_clusters)
        wanted = np.bincount(design.cluster[design.draw], minlength=design.n_clusters)
        new = ~np.isin(np.arange(design.n_clusters), self._present)
        unknown = np.flatnonzero((wanted > 0) & (observed == 0) | (observed > 0) & new)
        if len(unknown):
            raise SamplingError(
                f"{design.target!r} is not always observed in cluster "
                f"{design.cluster_labels[unknown[0]]!r} in the rows that the condition chooses, so "
                "a fixed effect cannot be known there; leave fixed_clusters out"
            )
        return self._wrapper._with(design, self._columns)

    def rows_seen(self, rows: Design, rng: Generator) -> Design:
        """Give rows their indicator columns, be they of any clusters."""
        return self._wrapper._with(rows, self._columns)

    def row_draws(self, moment: Moment) -> "FixedDraws":
        """Give the model of new rows of the same clusters."""
        inside, count = self.draws_inside(moment), moment.design.n_clusters
        name = self._wrapper.cluster
        return FixedDraws(inside, self._columns, np.arange(count), name, count)


@dataclass(frozen=True, eq=False)
class FixedDraws(Wrapped):
    """A model that sees clusters as indicator columns.

    Attributes
    ----------
    columns
        Numbers of the clusters that have a column.
    clusters
        Numbers that rows' clusters had when the model was fitted, (cluster,).
    name
        Of the column of clusters.
    fitted
        How many there were.
    """

    columns: Positions
    clusters: Positions
    name: str
    fitted: int

    def of_clusters(self, clusters: Positions, rng: Generator, further: Further = ()) -> Self:
        """Choose clusters.

        Raises
        ------
        DataError
            If one is new.
        """
        if (clusters == NEW).any():
            raise DataError(
                f"fixed_clusters knows the effects of the clusters of {self.name!r} that it was "
                "fitted to, and of no others"
            )
        # inside, the numbers of these clusters stay; those of further groupings are chosen there
        inside = self.inside.of_clusters(np.arange(self.fitted), rng, further)
        return replace(self, inside=inside, clusters=clusters)

    def seen(self, design: Design) -> Design:
        """Give the design that the model inside gets."""
        chain, within = np.divmod(design.cluster, len(self.clusters))
        number = self.clusters[within]
        indicators = (number[:, None] == self.columns).astype(float)
        return replace(
            design,
            x=np.hstack([design.x, indicators]),
            z=np.empty((len(design.y), 0)),
            cluster=chain * self.fitted + number,
        )
