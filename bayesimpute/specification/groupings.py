"""Several groupings of the rows: which there are, and what lies in what."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from bayesimpute.data.table import ClusterIndex, Table, lies_within
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.specification.specification import Grouping, Log, Target, Term, nearest
from bayesimpute.wording import listed


def checked_groupings(given: Any, table: Table, events: Log | None = None) -> tuple[str, ...]:
    """Read ``cluster=``: the groupings, that of most clusters first.

    Parameters
    ----------
    given
        A column, several, or None; ``"school/class"`` are schools, and classes whose ids count
        anew in each school.
    table
        The data.
    events
        Gets what lies in what.

    Raises
    ------
    DataError
        If an id is missing, a grouping has one cluster only, or two groupings are the same.
    SpecificationError
        If there is no such column.
    """
    if given is None:
        return ()
    several = isinstance(given, Sequence) and not isinstance(given, str)
    names: list[str] = []
    for each in given if several else (given,):
        if not isinstance(each, str):
            raise SpecificationError(
                f"cluster={given!r} must be a column, or a list of columns, such as "
                "['school', 'class']."
            )
        if each in table.variables:
            names.append(each)
            continue
        parts = each.split("/")
        for part in parts if len(parts) > 1 else (*parts, ""):
            if part not in table.variables:
                raise SpecificationError(
                    f"cluster={each!r} is no column of the data.{nearest(each, table.variables)}"
                )
        joined = [":".join(parts[: depth + 1]) for depth in range(len(parts))]
        for name in joined[1:]:
            if name in table.variables:
                raise SpecificationError(f"cluster={each!r}: {taken(name)}")
        names += joined
    if len(set(names)) < len(names):
        raise SpecificationError(f"cluster={given!r} names a column twice; name each once.")
    if len(names) == 1 and not several and given in table.variables:
        table.clusters(given)
        return (given,)
    names = in_order(names, table)
    check_groupings(names, table)
    if events is not None and len(names) > 1:
        _say_what_lies_in_what(names, table, events)
    return tuple(names)


def taken(name: str) -> str:
    """Say that clusters by several columns have the name of another column."""
    return f"the clusters by both would be called {name!r}, as another column is; rename that one."


def in_order(names: Iterable[str], table: Table) -> list[str]:
    """Give the grouping of most clusters first; of equally many that named first."""
    return sorted(names, key=lambda name: -table.clusters(name).n)


def check_groupings(names: Sequence[str], table: Table, target: str = "") -> None:
    """Refuse groupings whose effects cannot be told from each other or from residuals.

    Raises
    ------
    DataError
        Naming the columns and what to do.
    """
    of = f" in the model of {target!r}" if target else ""
    for name in names:
        clusters = table.clusters(name)
        if clusters.n < 2:
            raise DataError(
                f"Cluster variable {name!r} has a single cluster{of}; leave it out of the "
                "groupings."
            )
        if clusters.n == table.n_rows:
            raise DataError(
                f"Cluster variable {name!r} has another value in every row, so clusters cannot be "
                f"told from residuals{of}; give the variable that groups rows."
            )
    for first, second in combinations(names, 2):
        one, other = table.clusters(first), table.clusters(second)
        if lies_within(one, other) and lies_within(other, one):
            raise DataError(
                f"Cluster variables {first!r} and {second!r} divide the rows in the same way, so "
                f"their effects cannot be told apart{of}; name one of them."
            )


def _say_what_lies_in_what(names: Sequence[str], table: Table, events: Log) -> None:
    found = {name: table.clusters(name) for name in names}
    sentences, hint = [], ""
    for inner, outer in combinations(names, 2):
        if lies_within(found[inner], found[outer]):
            sentences.append(f"each {inner} lies in one {outer}")
        else:
            sentences.append(f"{inner} and {outer} are crossed")
            hint = (
                " If ids count anew in each cluster of another grouping, write "
                "cluster='school/class'."
            )
    sizes = listed([f"{clusters.n:,} of {name!r}" for name, clusters in found.items()])
    message = f"Clusters: {sizes}; {listed(sentences)}. Models have a random intercept for each."
    events.info("", "groupings", message + hint)


def placed_terms(
    terms: Sequence[Term], groupings: Sequence[Grouping]
) -> tuple[tuple[Term, ...], bool, tuple[Grouping, ...]]:
    """Say in the terms what varies by the first grouping; gives its intercept and the others."""
    first, *others = groupings
    slopes = dict(first.slopes)
    placed = tuple(
        replace(
            term,
            random=term.label in slopes,
            random_part=slopes.get(term.label, 0),
            cluster_mean=term.cluster_mean or term.label in first.means,
        )
        for term in terms
    )
    return placed, first.intercept, tuple(others)


def above(unit: ClusterIndex, groupings: Sequence[Grouping], table: Table) -> tuple[Grouping, ...]:
    """Keep the groupings in which each cluster of a unit lies."""
    return tuple(each for each in groupings if lies_within(unit, table.clusters(each.name)))


def averaging(target: Target, labels: Collection[str], table: Table) -> str | None:
    """Name the largest clusters within which rows of a model see each other's values of terms.

    Parameters
    ----------
    target
        Of the model.
    labels
        Of the terms.
    table
        The data.

    Returns
    -------
    str or None
        None where a row sees its own values only.

    Raises
    ------
    SpecificationError
        If rows see each other by the means of crossed clusters.
    """
    names = [each.name for each in target.effects if set(each.means) & set(labels)]
    if target.level == 2 and target.cluster is not None:
        names.append(target.cluster)
    if not names:
        return None
    *others, largest = in_order(dict.fromkeys(names), table)
    for name in others:
        if not lies_within(table.clusters(name), table.clusters(largest)):
            raise SpecificationError(
                f"Model of {target.name!r}: it takes means of {', '.join(labels)} by {name!r} and "
                f"by {largest!r}, which are crossed; in imputation compatible with an analysis "
                "take means by one of them, or on='conditional'."
            )
    return largest
