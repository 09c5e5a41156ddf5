"""A progress bar where someone watches, silence elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(total: int, enabled: bool | None = None) -> Iterator[Callable[[int], None]]:
    """Show progress by rich.

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
    if enabled is None:
        enabled = sys.stderr.isatty() or "ipykernel" in sys.modules
    if not enabled or total < 1:
        yield lambda units: None
        return
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
