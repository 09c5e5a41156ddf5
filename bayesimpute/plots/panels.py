"""Panels of a figure: how many beside each other, one legend outside of them, remarks below."""

from collections.abc import Sequence
from dataclasses import dataclass
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
LEGEND = 4.8  # a narrower panel has the entries of its legend under one another


@dataclass(frozen=True, eq=False)
class Panels:
    """Figure, one axes for each panel, and whether the figure is ours to lay out."""

    figure: "Figure"
    axes: "list[Axes]"
    own: bool

    @property
    def single(self) -> bool:
        """Whether there is but one panel."""
        return len(self.axes) == 1


def panels(
    count: int,
    ax: Any,
    figsize: tuple[float, float] | None,
    *,
    picture: str,
    single: tuple[float, float] = SINGLE,
    each: tuple[float, float] = EACH,
    most: int = 6,
    narrowest: float = 1.2,
    lowest: float = LOWEST,
    instead: str = "fewer groups=",
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
    most
        Panels beside each other.
    narrowest
        Inches of one of several panels in a figure of the user's size.
    lowest
        Inches of a row of several panels at the least, its labels included.
    instead
        What else helps where panels would be lower, for messages.
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
                f"{picture}(ax=…): {count} panel(s) need an axes each, not {len(given)}."
            )
        figure = cast("Figure", given[0].get_figure(root=True))
        chosen, own = given, False
    else:
        across = beside(count, figsize, most, narrowest)
        down = -(-count // across)
        size = figsize or (single if count == 1 else (0.4 + each[0] * across, 0.9 + each[1] * down))
        if count > 1:
            check_height(size, HEAD + lowest * down, f"{count} panels", picture, instead)
        figure, grid = style.subplots(down, across, size, **options)
        chosen, own = list(grid.ravel()[:count]), True
        for k, unused in enumerate(grid.ravel()[count:], start=count):
            unused.set_axis_off()
            # A shared axis is labelled in the last row only; above a gap the last panel takes over.
            grid.ravel()[k - across].tick_params(labelbottom=True)
    for panel in chosen:
        style.tidy(panel)
    return Panels(figure, chosen, own)


def beside(
    count: int, figsize: tuple[float, float] | None, most: int = 6, narrowest: float = 1.2
) -> int:
    """Give the number of panels beside each other; parameters as those of `panels`."""
    widest = most if figsize is None else max(2, min(most, round(figsize[0] / narrowest)))
    if count == 4:  # three and one look like an accident
        return 4 if widest >= 4 else 2
    return min(count, max(min(3, widest), min(widest, int(np.ceil(np.sqrt(count * 1.3))))))


def check_height(
    size: tuple[float, float], needed: float, what: str, picture: str, instead: str = ""
) -> None:
    """Refuse a figure in which panels would be too low to read.

    Raises
    ------
    SpecificationError
        Naming the height, in inches, that is needed.
    """
    if size[1] < needed - 1e-9:
        raise SpecificationError(
            f"{picture}(figsize=({size[0]:g}, {size[1]:g})): {what} would be too low to read; give "
            f"{np.ceil(10 * needed - 1e-6) / 10:.1f} inches of height or more"
            f"{f', or {instead}' if instead else ''}."
        )


def titles(drawn: Panels, title: str, names: Sequence[str]) -> None:
    """Title a single panel by what it shows, several by their group."""
    if drawn.single:
        text = f"{title}: {names[0]}" if names[0] else title
        pad = 36 if _narrow(drawn) else 22
        style.title(drawn.axes[0], text, pad=pad)
        return
    for panel, name in zip(drawn.axes, names, strict=True):
        panel.set_title(style.literal(shortened(name, 24)), fontsize=9, loc="left", pad=3)
        panel.tick_params(labelsize=7)


def legend(drawn: Panels, title: str, entries: Sequence[tuple[str, Any]]) -> None:
    """Put one legend above everything, so that it covers no data.

    Parameters
    ----------
    drawn
        The panels.
    title
        What all of several panels show.
    entries
        Label and artist.
    """
    labels, handles = (
        [style.literal(label) for label, _ in entries],
        [handle for _, handle in entries],
    )
    common: dict[str, Any] = {
        "fontsize": 8,
        "frameon": False,
        "labelcolor": style.GREY,
        "ncols": len(entries),
    }
    spacing = {"columnspacing": 1.2, "handlelength": 1.4, "handletextpad": 0.5}
    if _narrow(drawn):
        common["ncols"] = 1
    if drawn.single:
        drawn.axes[0].legend(
            handles, labels, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2,
            borderpad=0.1, **common, **spacing,
        )  # fmt: skip
    elif drawn.own:
        drawn.figure.legend(
            handles, labels, loc="outside upper left", alignment="left", title_fontsize=11,
            title=style.fitted(title, 11, drawn.figure.get_figwidth()), **common, **spacing,
        )  # fmt: skip
    else:
        drawn.axes[0].legend(handles, labels, **common | {"ncols": 1, "fontsize": 7})


def remark(drawn: Panels, sentences: Sequence[str]) -> None:
    """Write below the panels what a reader has to know; on a user's axes below the last one."""
    text = "; ".join(sentence for sentence in sentences if sentence)
    if not text:
        return
    if drawn.own:
        drawn.figure.supxlabel(style.literal(text), fontsize=7, color=style.GREY, x=0.01, ha="left")
        return
    last = drawn.axes[-1]
    above = last.get_xlabel()
    last.set_xlabel(
        f"{above}\n({style.literal(text)})" if above else f"({style.literal(text)})", fontsize=8
    )


def label_outer(drawn: Panels, x: str = "", y: str = "") -> None:
    """Label the axes of the outer panels only, with the same words."""
    for panel in drawn.axes:
        lowest, leftmost = outer(drawn, panel)
        size = 9 if drawn.single else 8
        wide, high = style.extent(panel)
        if x and lowest:
            panel.set_xlabel(style.fitted(x, size, wide), fontsize=size)
        if y and leftmost:
            panel.set_ylabel(style.fitted(y, size, high), fontsize=size)


def outer(drawn: Panels, panel: "Axes") -> tuple[bool, bool]:
    """Whether a panel is the lowest of its column, and whether it is in the first column.

    A user's axes are both: how they are arranged is not known.
    """
    own = panel.get_subplotspec()
    if not drawn.own or own is None:
        return True, True
    others = [other.get_subplotspec() for other in drawn.axes]
    lowest = not any(
        other is not None
        and other.colspan.start == own.colspan.start
        and other.rowspan.start > own.rowspan.start
        for other in others
    )
    return lowest, own.is_first_col()


def shortened(text: str, most: int = 18) -> str:
    """Cut a long label; those of one variable often differ at their end only."""
    return style.cut(text, most)


def _narrow(drawn: Panels) -> bool:
    """Whether two entries of a legend do not fit beside each other."""
    width = drawn.figure.get_figwidth()
    if drawn.single:
        width *= drawn.axes[0].get_position().width
    return bool(width < (LEGEND * 0.775 if drawn.single else LEGEND * 0.75))
