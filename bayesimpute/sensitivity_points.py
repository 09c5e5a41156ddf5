"""Points of a sensitivity grid: each from its neighbour's chains, or from a file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bayesimpute.checkpoint import resume_point
from bayesimpute.engine.run import go_on, start
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import warn
from bayesimpute.imputations import Imputations
from bayesimpute.opening import open_file
from bayesimpute.result.run import changed_versions
from bayesimpute.specification.specification import Fingerprint, Specification, fingerprint

NOWHERE = "Points that were finished are lost; folder= keeps them."

type Point = Mapping[str, float | None]


@dataclass(frozen=True)
class Plan:
    """How every point is run.

    Attributes
    ----------
    m, iterations, further
        Chains; iterations of a point by itself, and of one that goes on from its neighbour.
    folder
        Where finished points are kept, or None.
    run
        Arguments of :func:`bayesimpute.engine.run.go_on`: ``executor``, ``progress``, ``cores``.
    """

    m: int
    iterations: int
    further: int
    folder: Path | None
    run: Mapping[str, Any]

    def path(self, k: int) -> Path | None:
        """File of a point."""
        return None if self.folder is None else self.folder / f"point-{k:03d}.nc"

    def seed(self) -> int:
        """Seed of the first point in the folder; a fresh one if there is none."""
        files = [] if self.folder is None else sorted(self.folder.glob("point-*.nc"))
        return open_file(files[0]).seed if files else fresh_seed()

    @property
    def kept(self) -> str:
        """Sentence on where finished points are."""
        if self.folder is None:
            return NOWHERE
        return (
            f"Finished points are in folder {self.folder.name!r}; call again with the same "
            "arguments and a new executor, and the grid goes on there."
        )


def imputed_points(
    points: Sequence[Point], specifications: Sequence[Specification], plan: Plan, seed: int
) -> Iterator[Imputations]:
    """Impute point after point.

    Raises
    ------
    SpecificationError
        If a file in the folder is of another grid, naming what differs.
    SamplingError
        If a model or a worker fails.
    """
    runs = [fingerprint(each) for each in specifications]  # before any function is called
    before: Imputations | None = None
    for k, (point, specification, run) in enumerate(zip(points, specifications, runs, strict=True)):
        # chains go on only where the model has the same parameters
        if (point.get("rho") is None) != (points[k - 1].get("rho") is None):
            before = None
        before = _imputed(specification, _of_point(run, before, plan), before, plan, k, seed)
        yield before


def _warn_of_versions(stored: Imputations) -> None:
    """Warn of a change that a result would have an event of: a grid has none."""
    changed = changed_versions(stored.versions)
    if changed:
        warn(
            f"sensitivity: finished points are of other versions ({', '.join(changed)}). Points "
            "from here on may differ in their last bits, and so in their draws, from those of one "
            "run; name another folder= to run all of them anew."
        )


def _of_point(run: Fingerprint, before: Imputations | None, plan: Plan) -> Fingerprint:
    """Fingerprint of a point: its specification, and where its chains came from."""
    if before is None or before.fingerprint is None:
        return run.beside({"iterations": plan.iterations})
    return run.beside({"further": plan.further, "points before": before.fingerprint.parts})


def _imputed(
    specification: Specification,
    run: Fingerprint,
    before: Imputations | None,
    plan: Plan,
    k: int,
    seed: int,
) -> Imputations:
    wanted = plan.iterations if before is None else before.iterations + plan.further
    path = plan.path(k)
    stored = None if path is None else resume_point(path, run, plan.m, seed, wanted)
    if stored is not None and stored.iterations == wanted:
        _warn_of_versions(stored)
        return replace(stored, specification=specification)
    if before is None:
        history, bench = start(
            specification, plan.m, seed, plan.run.get("executor"), plan.run["cores"]
        )
        history = go_on(
            specification, history, wanted, bench=bench, kept=plan.kept, **plan.run
        )  # fmt: skip
    else:
        history = replace(before.history, events=specification.events)
        history = go_on(specification, history, plan.further, kept=plan.kept, **plan.run)
    imp = Imputations(specification, history, fingerprint=run)
    if path is not None:
        try:
            imp.to_netcdf(path)
        except OSError as error:  # the grid is worth more than its folder
            warn(f"sensitivity: {error} This point is not kept; the grid goes on.")
    return imp
