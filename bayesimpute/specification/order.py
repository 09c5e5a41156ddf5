"""In which order targets are visited and passive variables computed."""

from collections.abc import Mapping, Sequence

from bayesimpute.data.table import Table
from bayesimpute.errors import SpecificationError
from bayesimpute.events import Event
from bayesimpute.specification.specification import Passive, Target
from bayesimpute.wording import listed


def passive_order(passives: Mapping[str, Passive]) -> tuple[str, ...]:
    """Order passive variables, inputs before what depends on them.

    Raises
    ------
    SpecificationError
        If they depend on each other in a circle, which it names.
    """
    ordered: list[str] = []
    path: list[str] = []

    def follow(name: str) -> None:
        if name in ordered:
            return
        if name in path:
            circle = " → ".join([*path[path.index(name) :], name])
            raise SpecificationError(
                f"Passive variables depend on each other in a cycle: {circle}. Impute one of them "
                "by a model instead."
            )
        path.append(name)
        for source in passives[name].inputs:
            if source in passives:
                follow(source)
        path.pop()
        ordered.append(name)

    for name in passives:
        follow(name)
    return tuple(ordered)


def visit_order(
    wanted: str | Sequence[str] | None,
    targets: Mapping[str, Target | Passive],
    table: Table,
) -> tuple[tuple[str, ...], tuple[Event, ...]]:
    """Sequence of one iteration.

    Parameters
    ----------
    wanted
        None or ``"roman"`` (column order), ``"arabic"`` (the reverse), ``"monotone"`` (fewest
        missing first), ``"revmonotone"``, or names, which may repeat.
    targets
        What is imputed.
    table
        The data.

    Columns that are not imputed are passed over, as in mice, and said.

    Raises
    ------
    SpecificationError
        If a name is no column, a target is never visited, or the word is unknown.
    """
    names = [name for name, target in targets.items() if isinstance(target, Target)]
    by_missing = sorted(names, key=lambda name: int(table.missing(name).sum()))
    words = {
        "roman": names,
        "arabic": names[::-1],
        "monotone": by_missing,
        "revmonotone": by_missing[::-1],
    }
    if wanted is None:
        return tuple(names), ()
    if isinstance(wanted, str):
        if wanted not in words:
            raise SpecificationError(
                f"visit_sequence={wanted!r} must be one of {', '.join(words)}, or a list of "
                "columns."
            )
        return tuple(words[wanted]), ()
    sequence = []
    events = []
    passed_over: list[str] = []
    for name in wanted:
        if isinstance(targets.get(name), Passive):
            events.append(
                Event(
                    "info",
                    "specification",
                    name,
                    "not visited",
                    f"{name!r} is passive: it is computed right after each of its inputs.",
                )
            )
        elif name not in table.variables:
            raise SpecificationError(
                f"visit_sequence names {name!r}, which is no column of the data; models impute "
                f"{', '.join(names)}."
            )
        elif name not in names:
            passed_over.append(name)
        else:
            sequence.append(name)
    if passed_over:
        events.append(
            Event(
                "info",
                "specification",
                "",
                "not visited",
                f"visit_sequence names {listed(dict.fromkeys(passed_over))}, of which no cell is "
                "imputed by a model: passed over.",
            )
        )
    left_out = [name for name in names if name not in sequence]
    if left_out:
        raise SpecificationError(
            f"visit_sequence never visits {left_out[0]!r}; add it, or set its method to ''."
        )
    return tuple(sequence), tuple(events)
