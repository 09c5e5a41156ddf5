"""Panels of a figure: how many beside each other, titles, one legend outside of them, remarks."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import fill
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SINGLE = (6.0, 3.6)  # inches of a picture with one panel
EACH = (1.9, 1.5)  # inches of one of several
HEAD, LOWEST = 0.7, 0.55  # inches of title and legend, and of a row of panels at the least


@dataclass(frozen=True, eq=False)
class Panels:
    """Figure, one axes for each panel, whether the figure is ours to lay out, panels in a row."""

    figure: "Figure"
    axes: "list[Axes]"
    own: bool
    across: int

    @property
    def single(self) -> bool:
        """Whether there is but one panel."""
        return len(self.axes) == 1

    def outer(self, k: int) -> tuple[bool, bool]:
        """Whether panel k is the lowest of its column, and in the first column; a user's is."""
        if not self.own:
            return True, True
        return k + self.across >= len(self.axes), k % self.across == 0


def panels(
    count: int,
    ax: Any,
    figsize: tuple[float, float] | None,
    *,
    picture: str,
    single: tuple[float, float] = SINGLE,
    each: tuple[float, float] = EACH,
    most: int = 6,
    across: int = 0,
    narrowest: float = 1.2,
    lowest: float = LOWEST,
    head: float = HEAD,
    what: str = "",
    instead: str = "",
    **options: Any,
) -> Panels:
    """Give so many axes: the user's, or those of a new figure.

    Parameters
    ----------
    count
        Number of panels.
    ax
        The user's: one axes, or as many as there are panels in any array shape.
    figsize
        The user's, inches.
    picture
        Name of the function, for messages.
    single, each
        Inches of a figure with one panel, and of each of several.
    most, across
        Panels beside each other: at most; or how many.
    narrowest, lowest
        Inches of one of several panels in a figure of the user's size, its labels included.
    head
        Inches above the panels.
    what, instead
        What has panels, and what else helps where these would be lower, for messages.
    **options
        Of ``plt.subplots``, such as ``sharex``.

    Raises
    ------
    SpecificationError
        If the number of the user's axes does not fit, or panels would be too low to read.
    """
    if ax is not None:
        given = list(np.ravel(np.asarray(ax, dtype=object)))
        if len(given) != count:
            raise SpecificationError(
                f"{picture}(ax=…): {what or f'{count} panel(s)'} need an axes each, not "
                f"{len(given)}{f'; choose {instead}' if instead else ''}."
            )
        drawn = Panels(cast("Figure", given[0].get_figure(root=True)), given, False, 1)
    else:
        widest = most if figsize is None else max(1, min(most, round(figsize[0] / narrowest)))
        if not across:
            across = min(widest, max(3, int(np.ceil(np.sqrt(count * 1.3)))))
            if count == 4:  # three and one look like an accident
                across = 4 if widest >= 4 else min(2, widest)
        across = min(count, across)
        down = -(-count // across)
        size = figsize or (single if count == 1 else (0.4 + each[0] * across, 0.9 + each[1] * down))
        needed = head + lowest * down
        if size[1] < needed - 1e-9:
            panes = f"{count} panels" if count > 1 else "the panel"
            raise SpecificationError(
                f"{picture}(figsize=({size[0]:g}, {size[1]:g})): {panes} would be too low to read; "
                f"give {np.ceil(10 * needed - 1e-6) / 10:.1f} inches of height or more"
                f"{f', or {instead}' if instead else ''}."
            )
        figure, grid = style.subplots(down, across, size, **options)
        for k, unused in enumerate(grid.flat[count:], start=count):
            unused.remove()
            # A shared axis is labelled in the last row only; above a gap the last panel takes over.
            grid.flat[k - across].tick_params(labelbottom=True)
        drawn = Panels(figure, list(grid.flat[:count]), True, across)
    for panel in drawn.axes:
        style.tidy(panel)
    return drawn


def finish(
    drawn: Panels,
    title: str,
    entries: Sequence[tuple[str, Any]] = (),
    *,
    names: Sequence[str] = ("",),
    by: str | None = None,
    x: str = "",
    y: str = "",
    remarks: Sequence[str] = (),
) -> None:
    """Write everything around the panels.

    Parameters
    ----------
    drawn
        The panels.
    title
        What they show.
    entries
        Label and artist of the legend, which stands above everything and covers no data.
    names, by
        What is in each panel, and by what they differ.
    x, y
        Labels of the outer panels.
    remarks
        What a reader has to know: below the panels, on a user's axes below the last one.
    """
    for k, (panel, name) in enumerate(zip(drawn.axes, names, strict=True)):
        if drawn.single:
            lines = -(-len(entries) // _arranged(drawn, entries)[0]) if entries else 0
            text = style.fitted(f"{title}: {name}" if name else title, 11, _room(drawn))
            panel.set_title(text, fontsize=11, loc="left", pad=7 + 14.5 * lines)
        else:
            panel.set_title(style.literal(style.cut(name, 24)), fontsize=9, loc="left", pad=3)
            panel.tick_params(labelsize=7)
        lowest, first = drawn.outer(k)
        size = 9 if drawn.single else 8
        wide, high = style.extent(panel)
        panel.set_xlabel(style.fitted(x, size, wide) if lowest else "", fontsize=size)
        panel.set_ylabel(style.fitted(y, size, high) if first else "", fontsize=size)
    if entries:
        _legend(drawn, title if by is None else f"{title} by {by}", entries)
    remark(drawn, remarks)


def _room(drawn: Panels) -> float:
    """Inches for title and legend: of a single panel those right of what is left of it."""
    wide, first = drawn.figure.get_figwidth(), drawn.axes[0]
    if not drawn.single:
        return wide
    names = max((len(label.get_text()) for label in first.get_yticklabels()), default=0)
    left = 0.45 + 0.062 * names if names else 0.75
    for label in first.get_xticklabels()[:1]:  # a slanted name begins left of the panel
        left = max(left, 0.3 + 0.055 * len(label.get_text()) * bool(label.get_rotation()))
    return wide - left if drawn.own else style.extent(first)[0]


def _arranged(drawn: Panels, entries: Sequence[tuple[str, Any]]) -> tuple[int, bool]:
    """Entries of the legend beside each other, and whether they begin at the left of the panel."""
    lengths = [len(label) + 5 for label, _ in entries]
    room = style.letters(_room(drawn), 8)
    return (len(entries) if sum(lengths) <= room else 1), max(lengths) <= room


def _legend(drawn: Panels, title: str, entries: Sequence[tuple[str, Any]]) -> None:
    labels = [style.literal(label) for label, _ in entries]
    handles = [handle for _, handle in entries]
    columns, left = _arranged(drawn, entries)
    common: dict[str, Any] = {
        "fontsize": 8, "frameon": False, "labelcolor": style.GREY, "columnspacing": 1.2,
        "handlelength": 1.4, "handletextpad": 0.5, "ncols": columns,
    }  # fmt: skip
    if drawn.single:
        drawn.axes[0].legend(
            handles, labels, loc="lower left" if left else "lower right",
            bbox_to_anchor=(0.0 if left else 1.0, 1.0), borderaxespad=0.2, borderpad=0.1, **common,
        )  # fmt: skip
    elif drawn.own:
        drawn.figure.legend(
            handles, labels, loc="outside upper left", alignment="left", title_fontsize=11,
            title=style.fitted(title, 11, drawn.figure.get_figwidth()), **common,
        )  # fmt: skip
    else:
        drawn.axes[0].legend(handles, labels, **common | {"ncols": 1, "fontsize": 7})


def remark(drawn: Panels, sentences: Sequence[str]) -> None:
    """Write below the panels what a reader has to know; on a user's axes below the last one."""
    text = "; ".join(sentence for sentence in sentences if sentence)
    if text and drawn.own:
        text = fill(text, style.letters(drawn.figure.get_figwidth(), 7))
        drawn.figure.supxlabel(style.literal(text), fontsize=7, color=style.GREY, x=0.01, ha="left")
    elif text:
        last = drawn.axes[-1]
        last.set_xlabel(f"{last.get_xlabel()}\n({style.literal(text)})".strip(), fontsize=8)


def key(colour: Any, marker: str = "o", **options: Any) -> Any:
    """Make an entry of a legend: a dot, a square, or with ``marker=""`` a line."""
    from matplotlib.lines import Line2D

    line = "none" if marker else "-"
    return Line2D([], [], color=colour, marker=marker, **{"linestyle": line, **options})


def name_categories(ax: "Axes", names: Sequence[str], axis: str = "x", first: int = 0) -> None:
    """Name the positions first, first + 1, … of an axis; slanted below where that needs room."""
    at = range(first, first + len(names))
    texts = style.cut_apart(names)
    written = [style.literal(text) for text in texts]
    if axis == "y":
        ax.set_yticks(at, written)
        return
    each = style.letters(style.extent(ax)[0], 8) / max(len(texts), 1)
    slanted = any((len(a) + len(b)) / 2 + 1 > each for a, b in pairwise(texts))
    ax.set_xticks(
        at, written, rotation=35 if slanted else 0, ha="right" if slanted else "center",
        rotation_mode="anchor" if slanted else "default",
    )  # fmt: skip
