"""Which missing values stand in models of other variables, and where."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bayesimpute.data.table import Kind
from bayesimpute.design import DesignBuilder, Place
from bayesimpute.errors import SpecificationError
from bayesimpute.method import DensityKernel, Kernel, has_density
from bayesimpute.specification.aliases import BOUNDED, NUMBER
from bayesimpute.specification.groupings import averaging
from bayesimpute.specification.joint_order import selects, sources_of_term
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.wrappers.base import method_text

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Standing:
    """A model in which a variable stands.

    Attributes
    ----------
    name
        Its target.
    places
        Where the columns are that depend on the variable.
    around
        Whether its linear predictor has the variable as it is, besides.
    says
        Rows of its design that have a value to speak of, or speak without, (row,) bool.
    """

    name: str
    places: tuple[Place, ...]
    around: bool
    says: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Live:
    """The live cells of one variable.

    Attributes
    ----------
    waves
        Cells that are drawn at once, rows (of a level-2 variable clusters), one wave after another.
    standings
        Models that the variable stands in.
    spread
        SD of the observed values.
    gaussian
        Whether all log densities are quadratic in the value.
    """

    waves: tuple[Positions, ...]
    standings: tuple[Standing, ...]
    spread: float
    gaussian: bool

    @classmethod
    def of(
        cls,
        specification: Specification,
        builders: Mapping[str, DesignBuilder],
        kernels: Mapping[str, Kernel],
        name: str,
    ) -> "Live":
        """Find where a variable stands.

        Raises
        ------
        SpecificationError
            If its model, or one it stands in, has no density.
        """
        targets, builder = specification.targets, builders[name]
        target = builder.target
        standings, averaged, curved = [], [], False
        number = specification.table.variables[name].kind is Kind.NUMERIC and target.kind is None
        for other, child in builders.items():
            places = tuple(
                place
                for place in child.places()
                if name in sources_of_term(place.term, targets, specification.table.variables)
            )
            around = child.target.around == name
            if (places or around) and other != name:
                curved |= number and not all(_is_linear(p, name, specification) for p in places)
                says = rows_that_say(specification, child)
                standings.append(Standing(other, places, around, says))
                within = seen_within(specification, child.target, places)
                if within is not None and not (target.level == 2 and within == target.cluster):
                    averaged.append(specification.table.clusters(within).codes)
        rows = specification.live_rows(name)
        if target.level == 2:
            assert builder.clusters is not None
            cells, owner = np.unique(builder.clusters.codes[rows], return_inverse=True)
        else:
            cells = np.flatnonzero(rows)
            owner = np.arange(cells.size)
        waves: tuple[Positions, ...] = (cells,) if cells.size else ()
        if averaged and cells.size:
            waves = _apart(cells, owner, [codes[rows] for codes in averaged])
        gaussian = number and not curved
        if waves:
            for other in (name, *(each.name for each in standings)):
                kernel = kernels[other]
                if not (isinstance(kernel, DensityKernel) and has_density(kernel)):
                    raise SpecificationError(
                        f"Method {method_text(builders[other].target.method)!r} of {other!r} gives "
                        "no density of its values, which imputation compatible with an analysis "
                        f"needs for the missing values of {name!r}; use a model that has one, or "
                        "on='conditional'."
                    )
                gaussian &= kernel.gaussian
                if other == name and kernel.measure == "mixed":
                    raise SpecificationError(
                        f"Method {method_text(target.method)!r} of {name!r} gives some values a "
                        "probability and others a density, and cannot be drawn together with the "
                        f"models that it stands in; use {BOUNDED!r} or {NUMBER!r}, or "
                        "on='conditional'."
                    )
        of_mean = [each.name for each in standings if each.around]  # name is a latent mean
        spread = float(np.nanstd(specification.known[(of_mean or [name])[0]]))
        return cls(waves, tuple(standings), spread, gaussian)


def seen_within(
    specification: Specification, target: Target, places: Iterable[Place]
) -> str | None:
    """Name the clusters within which rows of a model see each other's values; None if none do."""
    return averaging(target, [place.term.label for place in places], specification.table)


def rows_that_say(specification: Specification, child: DesignBuilder) -> npt.NDArray[np.bool_]:
    """Rows of a model's design whose value is known or live, or that speak without one."""
    name = child.target.name
    rows = ~np.isnan(specification.known[name]) | specification.live_rows(name)
    if selects(child.target):
        rows = np.ones(len(rows), dtype=bool)
    if child.target.level == 2 and child.clusters is not None:
        return np.asarray(np.bincount(child.clusters.codes[rows], minlength=child.clusters.n) > 0)
    return rows


def _is_linear(place: Place, name: str, specification: Specification) -> bool:
    """Whether a term is linear in a variable: a number that is one of its factors, as such."""
    if specification.table.variables[name].kind is not Kind.NUMERIC:
        return False
    others = list(place.term.factors)
    if name not in others:
        return False
    others.remove(name)
    rest = replace(place.term, factors=tuple(others))
    return name not in sources_of_term(rest, specification.targets, specification.table.variables)


def _apart(
    cells: Positions, owner: Positions, averaging: Sequence[Positions]
) -> tuple[Positions, ...]:
    """Waves of cells no two of which are in one cluster that a model takes the mean of.

    Parameters
    ----------
    cells
        To be divided.
    owner
        Position of the cell that each live row holds, (live row,).
    averaging
        Cluster of each of these rows, in each model with means.
    """
    firsts = np.cumsum([0, *(codes.max() + 1 for codes in averaging)])
    pairs = np.unique(
        np.concatenate(
            [
                np.column_stack([owner, codes + first])
                for codes, first in zip(averaging, firsts[:-1], strict=True)
            ]
        ),
        axis=0,
    )
    free = np.zeros(firsts[-1], dtype=np.int64)  # first wave that each cluster has no cell in
    turn = np.empty(len(cells), dtype=np.int64)
    ends = np.searchsorted(pairs[:, 0], np.arange(1, len(cells)))
    for cell, clusters in enumerate(np.split(pairs[:, 1], ends)):
        turn[cell] = free[clusters].max()
        free[clusters] = turn[cell] + 1
    return tuple(cells[turn == k] for k in range(turn.max() + 1))
