"""A progress bar where someone watches, silence elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Seconds between two updates of a notebook's output.
PAUSE = 0.25

Advance = Callable[[int], None]


@contextmanager
def progress_bar(total: int, enabled: bool | None = None) -> Iterator[Advance]:
    """Show progress: by rich in a terminal, by HTML's own bar in a notebook.

    Parameters
    ----------
    total
        Units of work.
    enabled
        None: only in a terminal or a notebook.

    Yields
    ------
    callable
        ``advance(units)``.
    """
    notebook = "ipykernel" in sys.modules
    if enabled is None:
        enabled = sys.stderr.isatty() or notebook
    if not enabled or total < 1:
        yield lambda units: None
        return
    with _in_notebook(total) if notebook else _in_terminal(total) as advance:
        yield advance


@contextmanager
def _in_terminal(total: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("imputing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("chain-iterations"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("imputing", total=total)
        yield lambda units: progress.advance(task, units)


@contextmanager
def _in_notebook(total: int) -> Iterator[Advance]:
    """Update one output, and empty it at the end; rich would need ipywidgets for that."""
    from IPython.display import HTML, display

    started = shown = time.monotonic()
    done = 0

    def bar() -> HTML:
        passed = time.monotonic() - started
        return HTML(
            f"<progress value='{done}' max='{total}'></progress> imputing: {done} of {total} "
            f"chain-iterations, {passed:.0f} s"
        )

    handle = display(bar(), display_id=True)

    def advance(units: int) -> None:
        nonlocal done, shown
        done += units
        if time.monotonic() - shown > PAUSE:
            shown = time.monotonic()
            handle.update(bar())

    try:
        yield advance
    finally:
        handle.update(HTML(""))
