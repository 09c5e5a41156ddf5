"""Which rows a joint distribution is learnt from, and which parameters they have."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bayesimpute.design import DesignBuilder
from bayesimpute.engine.live import rows_that_say, seen_within
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Design
from bayesimpute.sampling.textbook import RowModel
from bayesimpute.specification.joint_order import sources_of_term
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.wording import listed
from bayesimpute.wrappers.base import layers
from bayesimpute.wrappers.by_group import ByGroup

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of a model's design that have parameters of their own: all, or those of a group.

    Attributes
    ----------
    label
        Of the group; empty for all rows.
    model
        What the rows are.
    place
        Of each row of the design among those that the model was made for, (row,); −1 for others.
    """

    label: str
    model: RowModel
    place: Positions

    def named(self, what: str) -> str:
        """Name of a parameter, or of something else, of these rows."""
        return f"{what}[{self.label}]" if self.label else what

    def within(self, rows: Positions) -> Positions:
        """Positions among some rows of those that are its own."""
        return np.flatnonzero(self.place[rows] >= 0)


def groups_of_rows(target: Target, design: Design) -> Iterator[tuple[str, Positions]]:
    """Give the rows of a design that have parameters of their own, with their label."""
    for wrapper in layers(target.method):
        if isinstance(wrapper, ByGroup):
            for label, rows in wrapper.rows(design).items():
                yield label, np.flatnonzero(rows)
            return
    yield "", np.arange(len(design.y))


def rows_learnt_from(specification: Specification, builder: DesignBuilder) -> npt.NDArray[np.bool_]:
    """Rows of a model's design that have something to say and are not ignored, (row,) bool."""
    return rows_that_say(specification, builder) & builder.usable


def without_ignored(
    specification: Specification, builders: Mapping[str, DesignBuilder]
) -> Specification:
    """Leave out the missing values of ignored rows: nothing is learnt from them.

    Raises
    ------
    SpecificationError
        If rows that are learnt from depend on such a value, too.
    """
    ignored = specification.ignore
    if not ignored.any():
        return specification
    shared = [name for name in specification.live or {} if _shared(specification, builders, name)]
    if shared:
        raise SpecificationError(
            f"joint_model: missing values of {listed(shared)} belong to clusters in which some "
            "rows are ignored and others are not. The chains draw them given all of these rows, "
            "and learn from the others alone, which no joint distribution does. Ignore whole "
            "clusters, or leave ignore= out."
        )
    live = {name: cells & ~ignored for name, cells in (specification.live or {}).items()}
    return replace(specification, live=live)


def _shared(specification: Specification, builders: Mapping[str, DesignBuilder], name: str) -> bool:
    """Whether an ignored row and one that is not see the same missing value of a variable."""
    ignored, live = specification.ignore, specification.live_rows(name)
    within = []
    own = builders[name]
    if own.target.level == 2 and own.clusters is not None:
        within.append(own.clusters.codes)
    for child in builders.values():
        places = [
            place
            for place in child.places()
            if name in sources_of_term(place.term, specification.targets)
        ]
        cluster = seen_within(specification, child.target, places) if places else None
        if cluster is not None:
            within.append(specification.table.clusters(cluster).codes)
    return any(np.isin(codes[~ignored], codes[live & ignored]).any() for codes in within)
