"""A progress bar where someone watches, silence elsewhere."""

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from bayesimpute.wording import one_line

#: Seconds between two updates of a notebook's output.
PAUSE = 0.25
#: Letters of a name that are shown.
LONGEST = 30


class Advance(Protocol):
    """What is called with the units that are done, and with what is being done now."""

    def __call__(self, units: int, doing: str = "") -> None:
        """Show it."""


def silent(units: int, doing: str = "") -> None:
    """Show nothing."""


def name_shown(name: str) -> str:
    """Give the name of a column as part of a line, its end left out if it is long."""
    text = one_line(name)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


@contextmanager
def progress_bar(
    total: int,
    enabled: bool | None = None,
    doing: str = "imputing",
    units: str = "chain-iterations",
    estimate: bool = True,
) -> Iterator[Advance]:
    """Show progress: by rich in a terminal, by HTML's own bar in a notebook.

    Parameters
    ----------
    total
        Units of work.
    enabled
        None: only in a terminal or a notebook.
    doing
        What is done.
    units
        What is counted.
    estimate
        Whether units take about the same time each, so that the time left can be estimated from
        those that are done.

    Yields
    ------
    callable
        ``advance(units, doing)``.
    """
    notebook = "ipykernel" in sys.modules
    if enabled is None:
        enabled = sys.stderr.isatty() or notebook
    if not enabled or total < 1:
        yield silent
        return
    shown = _in_notebook if notebook else _in_terminal
    with shown(total, doing, units, estimate) as advance:
        yield advance


@contextmanager
def _in_terminal(total: int, doing: str, units: str, estimate: bool) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(units),
        TimeElapsedColumn(),
    ]
    if estimate:
        columns += [TextColumn("passed,"), TimeRemainingColumn(), TextColumn("left")]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(doing, total=total)

        def advance(units: int, doing: str = "") -> None:
            progress.update(task, advance=units, description=doing or None)

        yield advance


@contextmanager
def _in_notebook(total: int, doing: str, units: str, estimate: bool) -> Iterator[Advance]:
    """Update one output, and empty it at the end; rich would need ipywidgets for that."""
    from IPython.display import HTML, display

    started = shown = time.monotonic()
    done, said = 0, doing

    def bar() -> HTML:
        passed = time.monotonic() - started
        left = f", about {passed * (total - done) / done:.0f} s left" if estimate and done else ""
        return HTML(
            f"<progress value='{done}' max='{total}'></progress> {html.escape(said)}: {done} of "
            f"{total} {units}, {passed:.0f} s{left}"
        )

    handle = display(bar(), display_id=True)

    def advance(units: int, doing: str = "") -> None:
        nonlocal done, shown, said
        done += units
        news = doing not in ("", said)
        said = doing or said
        if news or time.monotonic() - shown > PAUSE:
            shown = time.monotonic()
            handle.update(bar())

    try:
        yield advance
    finally:
        handle.update(HTML(""))
