"""Designs of models on new rows, columns and units as the models were fitted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bayesimpute.design import DesignBuilder, Effects
from bayesimpute.errors import DataError
from bayesimpute.method import Array, Design
from bayesimpute.new_rows.frame import Rows
from bayesimpute.new_rows.learnt import Learnt, mean_columns
from bayesimpute.sampling.row_draws import NEW
from bayesimpute.specification.screening import stays_missing
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.specification.survival import indicator


@dataclass(frozen=True, eq=False)
class NewDesigns:
    """Designs of all models on new rows.

    Attributes
    ----------
    builders
        By target; blocks by their first member.
    means
        Target, and position of a grouping -> columns of cluster means, and their values in each
        cluster of the rows: as in the run, NaN for new clusters, (cluster of a chain, column).
    chains
        How many times the rows are there.
    """

    builders: Mapping[str, DesignBuilder]
    means: Mapping[tuple[str, int], tuple[slice, Array]]
    chains: int

    @classmethod
    def of(
        cls,
        specification: Specification,
        learnt: Learnt,
        new: Rows,
        names: Iterable[str],
        values: Mapping[str, Array],
    ) -> "NewDesigns":
        """Prepare the designs.

        Parameters
        ----------
        specification
            That of the run, on new rows.
        learnt, new
            What was learnt, and the rows.
        names
            Of the models that are wanted.
        values
            The rows completed in any way: what cannot change is taken from them.
        """
        builders = {
            name: _on_new_rows(specification, learnt.bench.builders[name]).settled(values)
            for name in names
        }
        means = {}
        for (name, position), known in learnt.means.items():
            if name in builders:
                grouping = builders[name].effects[position].grouping.name
                numbers = new.clusters[grouping].numbers
                found = np.where((numbers == NEW)[:, None], np.nan, known[:, numbers])
                columns = mean_columns(builders[name], position)
                means[name, position] = columns, found.reshape(-1, known.shape[2])
        return cls(builders, means, learnt.chains)

    def build(self, name: str, values: Mapping[str, Array]) -> Design:
        """Give the design of a model on completed rows."""
        builder = self.builders[name]
        design = builder.build(values)
        if not builder.effects:
            rows = np.arange(len(design.y))
            design = replace(design, cluster=rows // (len(rows) // self.chains))
        for position, each in enumerate(builder.effects):
            if (name, position) in self.means:
                columns, known = self.means[name, position]
                trained, x = known[each.codes], design.x.copy()
                x[:, columns] = np.where(np.isnan(trained), x[:, columns], trained)
                design = replace(design, x=x)
        return design


def _on_new_rows(specification: Specification, trained: DesignBuilder) -> DesignBuilder:
    """Give the builder of a target for new rows: columns are those that the model was fitted to."""
    table, target = specification.table, trained.target
    known = specification.known[target.name]
    clusters = table.clusters(target.cluster) if target.cluster else None
    observed, live = ~np.isnan(known), specification.live_rows(target.name)
    staying = stays_missing({target.name: target.method}, table)
    left = staying.get(target.name, np.zeros(table.n_rows, dtype=bool))
    cells = ~(observed | left | live)
    fit, draw, usable = observed | live, cells, np.ones(table.n_rows, dtype=bool)
    if target.level == 2 and clusters is not None:

        def of_clusters(rows: np.ndarray) -> np.ndarray:
            return np.bincount(clusters.codes[rows], minlength=clusters.n) > 0

        fit, seen, wanted = of_clusters(fit), of_clusters(observed | live), of_clusters(cells)
        draw, live = wanted & ~seen, of_clusters(live)
        usable = np.ones(clusters.n, dtype=bool)
    effects = []
    for each in trained.effects:
        of_rows = table.clusters(each.grouping.name)
        codes = of_rows.codes
        if target.level == 2 and clusters is not None:
            codes = codes[clusters.first_rows]
        effects.append(Effects(each.grouping, of_rows, codes))
    builder = replace(
        trained,
        table=table,
        clusters=clusters,
        effects=tuple(effects),
        fit=fit,
        draw=draw,
        usable=usable,
        live=live if live.any() else None,
        cells=cells,
        known=known,
        asked=tuple(None for _ in trained.asked),
        indicators={
            option: _event(specification, target, target.options[option])
            for option in trained.indicators
        },
        members=tuple(_on_new_rows(specification, member) for member in trained.members),
        frame=None,
    )
    open_columns = {name for name, values in specification.known.items() if np.isnan(values).any()}
    moving = [place for place in builder.places() if open_columns & place.term.columns]
    return replace(builder, changing=tuple(moving))


def _event(specification: Specification, target: Target, column: str) -> Array:
    """Whether times end with the event, (row,); a time that is not known will."""
    table = specification.table
    values = table.values[column]
    unknown = np.isnan(values) & np.isnan(specification.known[target.name])
    last = 1.0  # of two categories, too, the later one is the event
    filled = {**table.values, column: np.where(unknown, last, values)}
    try:
        return indicator(replace(table, values=filled), column)
    except DataError as error:
        raise DataError(f"impute_new: {error}") from None
