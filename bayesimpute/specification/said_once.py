"""One event a fact: what is true of a predictor in several models is said once."""

from collections.abc import Sequence
from dataclasses import replace

from bayesimpute.events import Event
from bayesimpute.wording import listed

#: Actions whose reason is a predictor's or the clusters', not the target's.
SHARED = (
    "predictor left out",
    "predictor dropped",
    "too many categories",
    "slope made fixed",
    "cluster mean dropped",
    "cluster added",
    "clusters of one row",
)


def one_a_fact(events: Sequence[Event]) -> tuple[Event, ...]:
    """Join events that differ in the target only; the joint one names all targets.

    Examples
    --------
    >>> first = Event("info", "specification", "x", "predictor left out", "'id' for 'x'")
    >>> [event.message for event in one_a_fact([first, replace(first, variable="y",
    ...                                                        message="'id' for 'y'")])]
    ["'id' for 'x', 'y'"]
    """
    groups: dict[tuple[str, ...], list[Event]] = {}
    for position, event in enumerate(events):
        text = event.message.replace(repr(event.variable), "\0")
        shared = event.action in SHARED and event.variable and "\0" in text
        key = (event.action, text) if shared else (str(position),)
        groups.setdefault(key, []).append(event)
    return tuple(
        replace(
            group[0],
            message=key[1].replace(
                "\0", listed(dict.fromkeys(e.variable for e in group), len(group))
            ),
        )
        if len(group) > 1
        else group[0]
        for key, group in groups.items()
    )
