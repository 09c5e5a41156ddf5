"""Missing cells of new rows, drawn given the parameters of each chain.

Given parameters and effects, rows are independent of each other. In chained equations the missing
cells of a row are visited in turn, each by its own model, from values of a row that is alike; where
one is missing, once. In imputation compatible with an analysis, cells that stand in models of
others are drawn from their model times those, as in the run
(:mod:`bayesimpute.engine.live_cells`), and then all others, which follow from them, once.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayesimpute.engine.bench import Bench
from bayesimpute.engine.designs import Designs
from bayesimpute.engine.live import Live, Standing
from bayesimpute.engine.live_cells import redraw
from bayesimpute.engine.passive import update_passive
from bayesimpute.engine.post import post_processed
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.errors import DataError
from bayesimpute.method import Array, Design, RowDensity
from bayesimpute.new_rows.designs import NewDesigns
from bayesimpute.new_rows.frame import Rows, for_all_chains
from bayesimpute.new_rows.learnt import Learnt, events_of
from bayesimpute.sampling.row_draws import NEW, Positions, RowDraws
from bayesimpute.specification.joint_order import sources_of, with_live
from bayesimpute.specification.screening import stays_missing
from bayesimpute.specification.specification import Specification, Target

#: Rounds over the missing cells of a row: each forgets by the squared partial correlation of two of
#: them, so that after ten a start is forgotten unless that is above .7.
SWEEPS = 10
#: Rows of the run that a row starts from, one of them at random.
NEAREST = 5
#: Where cells are drawn together with the models they stand in, they know each other less well.
LIVE_SWEEPS = 15


@dataclass(frozen=True, eq=False)
class Completed:
    """New rows, completed once for each chain.

    Attributes
    ----------
    specification
        That of the run on these rows.
    values
        Variable -> (row,), one chain after the other.
    """

    specification: Specification
    values: Mapping[str, Array]


def complete(learnt: Learnt, new: Rows, seed: int) -> Completed:
    """Draw what is missing.

    Raises
    ------
    DataError
        If a value is missing that has no model, or that its model cannot draw.
    """
    specification = _on_new_rows(learnt, new)
    targets = _missing_targets(specification)
    _check_predictors(specification, learnt, new)
    draws = _draws(learnt, new, targets, seed)
    rng = stream(seed, Purpose.NEW_ROWS)
    values = _start(specification, learnt, new, rng)
    designs = NewDesigns.of(specification, learnt, new, draws, values)
    if specification.live is None:
        sweeps = SWEEPS if _several(specification, learnt, targets) else 1
        for _ in range(sweeps):
            _sweep(specification, designs, draws, targets, values, rng)
    else:
        bench = _live_bench(specification, learnt, new, designs, draws)
        if bench.live:
            follow = Designs(designs.build, bench.readers, values, keep=True)
            nothing = dict.fromkeys(draws, np.empty(0))
            for _ in range(LIVE_SWEEPS):
                redraw(bench, follow, values, nothing, rng)
        _sweep(specification, designs, draws, targets, values, rng)
    return Completed(specification, values)


def _on_new_rows(learnt: Learnt, new: Rows) -> Specification:
    """Give the specification of the run on new rows, once for each chain."""
    table = for_all_chains(new, learnt)
    nowhere = np.zeros(table.n_rows, dtype=bool)
    trained = learnt.specification
    plain = replace(trained, table=table, ignore=nowhere, live=None)
    methods = {n: t.method for n, t in trained.targets.items() if isinstance(t, Target)}
    staying = stays_missing(methods, table)
    where = {
        name: np.isnan(plain.known[name]) & ~staying.get(name, nowhere) for name in trained.targets
    }
    found = replace(plain, where=where)
    return found if trained.live is None else with_live(found, check=False)


def _missing_targets(specification: Specification) -> list[str]:
    """Models of which a value is missing, in the order of visits; blocks by their first member."""
    found = []
    for name in dict.fromkeys(specification.visit_sequence):
        target = specification.targets[name]
        assert isinstance(target, Target)
        if any(specification.where[member].any() for member in target.block or (name,)):
            found.append(name)
    return found


def _several(specification: Specification, learnt: Learnt, targets: list[str]) -> bool:
    """Whether a missing value is a predictor of another."""
    everywhere = specification.targets
    for name in targets:
        members = learnt.bench.builders[name].members
        for target in [learnt.bench.builders[name].target, *(each.target for each in members)]:
            others = set(targets) - {name}
            others |= {m for other in others for m in learnt.bench.builders[other].target.block}
            if sources_of(target, everywhere) & others:
                return True
    return False


def _check_predictors(specification: Specification, learnt: Learnt, new: Rows) -> None:
    """Refuse gaps that no model fills in columns that models read."""
    events = {
        column for builder in learnt.bench.builders.values() for column in events_of(builder.target)
    }  # of times that are not known they need not be; else it is said where they are read
    gaps = {
        name: int(np.isnan(values).sum())
        for name, values in new.values.items()
        if name not in specification.targets.keys() | events
        and np.isnan(specification.known[name]).any()
    }
    if gaps:
        counted = [f"{name!r} ({count} row{'s' * (count != 1)})" for name, count in gaps.items()]
        raise DataError(
            f"impute_new: {', '.join(counted)} cannot be imputed: a column without gaps when the "
            "imputations were made has no model. Fill these values in, leave the rows out, or "
            "impute again with a row in which the column is missing, so that it gets a model."
        )


def _draws(learnt: Learnt, new: Rows, targets: Iterable[str], seed: int) -> dict[str, RowDraws]:
    """Give the models on the clusters of the rows."""
    joint = learnt.specification.live is not None
    found = {}
    for position, (name, builder) in enumerate(learnt.bench.builders.items()):
        if name not in targets and not (joint and targets):
            continue
        if name in learnt.refused:
            raise DataError(f"impute_new: {name!r} cannot be imputed: {learnt.refused[name]}")
        draws = learnt.draws[name]
        if builder.effects:
            rng = stream(seed, Purpose.NEW_CLUSTERS, position)
            names = [each.grouping.name for each in builder.effects]
            numbers, *further = (new.clusters[each].numbers for each in names)
            try:
                draws = draws.of_clusters(numbers, rng, tuple(further))
            except DataError as error:
                where = _new_cluster(new, names)
                raise DataError(
                    f"impute_new: {name!r} cannot be imputed in {where}: {error}."
                ) from None
        found[name] = draws
    return found


def _new_cluster(new: Rows, names: Iterable[str]) -> str:
    """Say which cluster of some groupings was not in the data."""
    for name in names:
        clusters = new.clusters[name]
        for label, number in zip(clusters.labels, clusters.numbers, strict=True):
            if number == NEW:
                return f"a cluster that was not in the data ({label!r} of {name!r})"
    return "these clusters"


def _start(
    specification: Specification, learnt: Learnt, new: Rows, rng: np.random.Generator
) -> dict[str, Array]:
    """Complete each row by the values of a row of the run that is like it.

    They come from one of the ``NEAREST`` rows in what is seen, as its chain has completed it: near
    to a draw given what is seen, so that little has to be forgotten.
    """
    values = dict(specification.known)
    chains, rows = learnt.chains, len(new.rows)
    donor = np.empty(chains * rows, dtype=np.int64)
    near = _alike(learnt, new)
    for chain in range(chains):
        place = rng.integers(0, near.shape[1], rows)
        donor[chain * rows : (chain + 1) * rows] = near[np.arange(rows), place]
    of_chain = np.repeat(np.arange(chains), rows)
    for name, cells in specification.where.items():
        if cells.any():
            values[name] = np.where(cells, learnt.donors[name][of_chain, donor], values[name])
    update_passive(specification, values, specification.table.variables)
    return values


def _alike(learnt: Learnt, new: Rows) -> Positions:
    """Donors that are nearest to each row in what is seen of it, (row, place)."""
    count = next(iter(learnt.donors.values())).shape[-1]
    distance = np.zeros((len(new.rows), count))
    for name, donors in learnt.donors.items():
        if name not in new.values:
            continue
        own, theirs = new.values[name][:, None], donors if donors.ndim == 1 else donors[0]
        spread = learnt.spread[name]
        if np.isnan(spread):
            with np.errstate(invalid="ignore"):
                apart = np.where(np.isnan(own), 0.0, 2.0 * (own != theirs))
        else:
            apart = np.square((own - theirs) / (spread or 1.0))
        distance += np.nan_to_num(apart)
    nearest = min(NEAREST, count)
    return np.asarray(np.argpartition(distance, nearest - 1, axis=1)[:, :nearest])


def _sweep(
    specification: Specification,
    designs: NewDesigns,
    draws: Mapping[str, RowDraws],
    targets: Iterable[str],
    values: dict[str, Array],
    rng: np.random.Generator,
) -> None:
    """Draw the missing cells of each target by its own model."""
    for name in targets:
        builder = designs.builders[name]
        design = designs.build(name, values)
        if not design.draw.any() and not any(m.draw.any() for m in design.members):
            continue
        changed = []
        for part, drawn in builder.parts(draws[name].draw(design, rng), values):
            drawn = post_processed(part, drawn, values, rng)
            column = values[part.target.name].copy()
            column[part.cells] = drawn
            values[part.target.name] = column
            changed.append(part.target.name)
        update_passive(specification, values, changed)


@dataclass(frozen=True, eq=False)
class _Speaking:
    """A model at drawn parameters in the place of a kernel that is asked for its density."""

    draws: Any

    def log_density(self, design: Design, state: Array, rng: np.random.Generator) -> RowDensity:
        density: RowDensity = self.draws.log_density
        return density


def _live_bench(
    specification: Specification,
    learnt: Learnt,
    new: Rows,
    designs: NewDesigns,
    draws: Mapping[str, RowDraws],
) -> Bench:
    """Give the bench on which cells that stand in other models are drawn."""
    trained = learnt.bench
    live: dict[str, Live] = {}
    for name, cells in (specification.live or {}).items():
        if cells.any():
            with warnings.catch_warnings():  # the spread of one value, which is replaced
                warnings.simplefilter("ignore", RuntimeWarning)
                found = Live.of(specification, designs.builders, trained.kernels, name)
            spread = _spread(learnt.specification, found, name)
            standings = tuple(_apart(each, name, designs, new) for each in found.standings)
            live[name] = replace(found, spread=spread, standings=standings)
    speaking: Any = {name: _Speaking(each) for name, each in draws.items()}
    return replace(
        trained,
        specification=specification,
        builders=designs.builders,
        live=live,
        normal={},
        speaking=speaking,
    )


def _spread(trained: Specification, live: Live, name: str) -> float:
    """SD of the observed values of a variable in the data of the run; of a latent mean, its own."""
    of_mean = [each.name for each in live.standings if each.around]
    return float(np.nanstd(trained.known[(of_mean or [name])[0]]))


def _apart(standing: Standing, name: str, designs: NewDesigns, new: Rows) -> Standing:
    """Leave out what a new row cannot move: means, and values, of clusters that the run knows.

    Raises
    ------
    DataError
        If the mean of a new cluster would move with what is drawn.
    """
    builder = designs.builders[standing.name]
    target = builder.target
    if target.level == 2 and target.cluster is not None:
        if designs.builders[name].target.level == 2:
            return standing
        fresh = new.clusters[target.cluster].numbers == NEW
        return replace(standing, says=standing.says & np.tile(fresh, designs.chains))
    nothing = tuple(slice(0) for _ in builder.effects)
    for position, each in enumerate(builder.effects):
        clusters = new.clusters[each.grouping.name]
        averaged = any(place.means[position].stop for place in standing.places)
        if averaged and (clusters.numbers == NEW).any():
            raise DataError(
                f"impute_new: {name!r} is missing, and the model of {standing.name!r} reads its "
                f"mean in {_new_cluster(new, [each.grouping.name])}, whose mean is not known; "
                "impute it together with the others by bi.impute."
            )
    places = tuple(replace(place, means=nothing) for place in standing.places)
    return replace(standing, places=places)
