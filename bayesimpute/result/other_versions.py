"""A run that goes on under other versions of the packages that draw its numbers."""

from collections.abc import Mapping
from dataclasses import replace

from bayesimpute.engine.history import History
from bayesimpute.events import Event
from bayesimpute.result.tree import versions


def changed_versions(before: Mapping[str, str]) -> list[str]:
    """``"numpy 2.1 → 2.2"`` for each package whose version is another now."""
    now = versions()
    return [
        f"{name} {version} → {now[name]}"
        for name, version in before.items()
        if name in now and version != now[name]
    ]


def noted_versions(history: History, before: Mapping[str, str]) -> History:
    """Give the history with an event if versions differ from those it was made with.

    Parameters
    ----------
    history
        Of a run that is about to go on.
    before
        Package -> version it was made with; of a package that was not recorded none is known.
    """
    changed = changed_versions(before)
    if not changed or not history.iterations:
        return history
    event = Event(
        "warning",
        "imputation",
        "",
        "other versions",
        f"From iteration {history.iterations + 1} on, chains were run with other versions: "
        f"{', '.join(changed)}. Values may differ in their last bits, and so in their draws, from "
        "those of one run; they are draws of the same posterior.",
        iteration=history.iterations + 1,
    )
    return replace(history, events=(*history.events, event))
