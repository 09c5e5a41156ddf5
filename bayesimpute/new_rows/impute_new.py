"""``imp.impute_new(df)``: rows never seen, completed by the models of a run.

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
import pandas as pd

from bayesimpute.arguments import Seed, checked
from bayesimpute.design import DesignBuilder, Effects
from bayesimpute.engine.bench import Bench
from bayesimpute.engine.completed import post_processed, update_passive
from bayesimpute.engine.designs import Designs
from bayesimpute.engine.live import Live, Standing
from bayesimpute.engine.live_cells import redraw
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.errors import DataError
from bayesimpute.interchange import Frame, given, taken
from bayesimpute.method import Array, Design, RowDensity
from bayesimpute.new_rows.learnt import (
    UNKNOWN,
    Learnt,
    Rows,
    events_of,
    for_all_chains,
    learn,
    mean_columns,
    read,
)
from bayesimpute.result.run import Run
from bayesimpute.sampling.row_draws import NEW, Positions, RowDraws
from bayesimpute.specification.joint_order import sources_of, with_live
from bayesimpute.specification.screening import stays_missing
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.specification.survival import indicator
from bayesimpute.wording import listed


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
            name: _builder_on_new_rows(specification, learnt.bench.builders[name]).settled(values)
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


def _builder_on_new_rows(specification: Specification, trained: DesignBuilder) -> DesignBuilder:
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
        members=tuple(_builder_on_new_rows(specification, member) for member in trained.members),
        frame=None,
    )
    open_columns = {name for name, values in specification.known.items() if np.isnan(values).any()}
    columns = specification.table.variables
    moving = [
        place
        for place in builder.places()
        if open_columns.intersection(place.term.read_columns(columns))
    ]
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


#: Rounds over the missing cells of a row: each forgets by the squared partial correlation of two of
#: them, so that after ten a start is forgotten unless that is above .7.
SWEEPS = 10
#: Rows of the run that a row starts from, one of them at random.
NEAREST = 5
#: Where cells are drawn together with the models they stand in, they know each other less well.
LIVE_SWEEPS = 15


def complete(learnt: Learnt, new: Rows, seed: int) -> tuple[Specification, Mapping[str, Array]]:
    """Draw what is missing: the specification on these rows, and their values, chain by chain.

    Raises
    ------
    DataError
        If a value is missing that has no model, or that its model cannot draw.
    """
    specification = _on_new_rows(learnt, new)
    targets = _missing_targets(specification)
    _check_predictors(specification, learnt, new)
    _check_coded(specification, learnt, new)
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
    return specification, values


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
    builders, known = learnt.bench.builders, specification.table.variables
    for name in targets:
        others = {m for n in targets if n != name for m in (n, *builders[n].target.block)}
        for each in (builders[name], *builders[name].members):
            if sources_of(each.target, specification.targets, known) & others:
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


def _check_coded(specification: Specification, learnt: Learnt, new: Rows) -> None:
    """Refuse numbers that are none of a model's categories where what is missing is drawn by it."""
    if specification.live is None:  # a value says nothing of its own model's others
        return
    gaps = np.any([cells[: len(new.rows)] for cells in specification.where.values()], axis=0)
    for builder in learnt.bench.builders.values():
        name, coded = builder.target.name, builder.coded
        values = new.values.get(name)
        if not coded.size or values is None:
            continue
        strange = gaps & ~np.isnan(values) & ~np.isin(values, coded)
        if strange.any():
            raise DataError(
                f"impute_new: {name!r} is {values[strange][0]:g} in {int(strange.sum())} row(s) "
                f"with gaps, {UNKNOWN}. Known are {listed(coded.tolist())}."
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
    near = _alike(learnt, new)
    places = np.array([rng.integers(0, near.shape[1], rows) for _ in range(chains)])
    donor = near[np.arange(rows), places].ravel()
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
        wanted = design.draw.any() or any(m.draw.any() for m in design.members)
        # values of clusters that are known from other rows are copied all the same
        of_model = draws[name].draw(design, rng) if wanted else np.empty(0)
        changed = []
        for part, drawn in builder.parts(of_model, values):
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
            # of the observed values in the data of the run; of a latent mean, its own
            around = next((each.name for each in found.standings if each.around), name)
            spread = float(np.nanstd(learnt.specification.known[around]))
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


#: Where a run keeps what was learnt: an attribute of the object, so that it goes with it.
_KEPT = "_learnt"


def learnt_of(run: Run) -> Learnt:
    """Give what a run has learnt; worked out at the first call, and kept with the run."""
    held: Learnt | None = vars(run).get(_KEPT)
    if held is None:
        held = vars(run)[_KEPT] = learn(run)
    return held


@checked
def impute_new(run: Run, df: Frame, seed: Seed | None = None) -> list[pd.DataFrame]:
    """Impute rows that the models have never seen, without fitting anything again.

    Each imputation uses the parameters and cluster effects that its chain has ended with, so the m
    frames differ by what is not known of the models as much as by what is not known of the rows.
    Nothing is learnt from the new rows. A row of a cluster that was in the data has the effects of
    that cluster; effects of a new cluster are drawn from the population, and its cluster means are
    those of the new rows.

    The first call takes the models out of the chains, which takes about as long as an iteration;
    further ones take milliseconds. What is needed is in the file that ``imp.to_netcdf`` writes.

    Parameters
    ----------
    df
        Rows with the columns that the imputations were made with. Columns to impute may lack
        altogether, such as the outcome of patients of today; further columns stay as they are.
    seed
        Whole number from 0; the same rows and seed give the same values, before and after
        ``bi.open``. Default, the seed of the run.

    Returns
    -------
    list of pandas.DataFrame
        m completed frames; rows, index and columns of `df`, then columns to impute that it lacked.
        Of polars, or Arrow tables, if `df` is such a one.

    Raises
    ------
    DataError
        If a value is missing that cannot be imputed: in a column that had no gaps when the
        imputations were made, hence has no model, and is read by one; if a category was not
        observed then; if a column lacks. Or if a model cannot be asked of a new cluster: fixed
        effects, and plain PyMC models of your own.
    SpecificationError
        If the result was opened from a file and used callables that were not given again to
        ``bi.open``.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=100)
    >>> seen, new = study.incomplete.iloc[:900], study.incomplete.iloc[900:]
    >>> imp = bi.impute(seen, cluster="school", m=2, iterations=2, seed=1, progress=False)
    >>> completed = imp.impute_new(new)
    >>> len(completed), int(completed[0].isna().sum().sum())
    (2, 0)
    """
    learnt = learnt_of(run)
    frame, origin = taken(df)
    new = read(frame, learnt)
    specification, drawn = complete(learnt, new, run.seed if seed is None else int(seed))
    # what is missing of the rows, though it may be known of their clusters
    known = {name: np.tile(column, learnt.chains) for name, column in new.values.items()}
    table, n = replace(specification.table, values=known), len(new.rows)
    whole = table.frame.copy()
    for name in specification.where:
        if name in known and np.isnan(known[name]).any():
            whole[name] = table.decode(name, drawn[name])
    whole = whole.copy()  # columns side by side, which slices are many times faster of
    frames = (whole.iloc[k * n : (k + 1) * n].copy() for k in range(learnt.chains))
    return [given(each, origin) for each in frames]
