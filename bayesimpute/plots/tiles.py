"""What pictures made of tiles share: names that fit, captions, keys of colours."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.plots import style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

#: Inches a character of the 8-point font is wide, on average.
CHARACTER = 0.072
#: Longer names are cut.
LONGEST = 24


def inches(ax: "Axes") -> tuple[float, float]:
    """Width and height of the axes, before the layout has made room for names."""
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    return box.width / dpi, box.height / dpi


def names_room(names: Iterable[str]) -> float:
    """Inches that upright names above, or names beside the tiles take at most."""
    return CHARACTER * min(max(map(len, names)), LONGEST) + 0.1


def text_room(characters: int, width: float, entries: int) -> float:
    """Inches that a caption and the key below it take in so many inches of width, amply."""
    lines = np.ceil(characters * CHARACTER * 0.85 / max(width, 1.5)) + 1
    return 0.16 * float(lines + np.ceil(entries * 1.4 / max(width, 1.5)) + 1)


def shortened(name: str, most: int = LONGEST) -> str:
    """Cut out the middle of a long name: what tells names apart is at their start or end."""
    if len(name) <= most:
        return name
    tail = (most - 1) // 3
    return f"{name[: most - 1 - tail]}…{name[len(name) - tail :]}"


def tile_colours(ax: "Axes", colours: np.ndarray, *, left: float = 0.0, tile: float = 1.0) -> None:
    """Draw tiles (row, column, RGB or RGBA): column j from ``left + tile · j``, row i from i − ½.

    Where tiles are large enough white lines keep them apart.
    """
    rows, columns = colours.shape[:2]
    wide, high = inches(ax)
    x_span, y_span = abs(np.ptp(ax.get_xlim())), abs(np.ptp(ax.get_ylim()))
    smallest = 72 * min(wide * tile / x_span, high / y_span)
    ax.pcolormesh(
        left + tile * np.arange(columns + 1), np.arange(rows + 1) - 0.5, colours,
        edgecolors="white" if smallest > 4 else "none", linewidth=min(1.2, smallest / 12),
    )  # fmt: skip


def bare(ax: "Axes") -> None:
    """Remove frame and tick marks: tiles are their own frame."""
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, colors=style.GREY, labelsize=8)


def names_above(
    ax: "Axes", at: Sequence[float] | np.ndarray, names: Sequence[str], room: float
) -> None:
    """Write names of columns above the tiles, upright where they do not fit side by side.

    Parameters
    ----------
    ax
        Where.
    at
        x of each name.
    names
        As many.
    room
        Inches each has.
    """
    texts = [shortened(name) for name in names]
    above = ax.secondary_xaxis("top")
    above.spines[:].set_visible(False)
    size = float(np.clip(72 * room * 0.85, 5, 8))
    upright = max(map(len, texts)) * CHARACTER > room
    above.set_xticks(
        list(at), texts, rotation=90 if upright else 0, ha="center", va="bottom",
        fontsize=size if upright else 8, color="black",
    )  # fmt: skip
    above.tick_params(length=0, pad=2)


def finish(
    ax: "Axes",
    text: str,
    entries: "Sequence[tuple[str, Any]]" = (),
    left: Sequence[str] = (),
    right: Sequence[str] = (),
    *,
    pale: Sequence[bool] = (),
    colour: str = "black",
) -> None:
    """Write what stands beside and below the tiles, in sizes that fit.

    The layout of the figure is settled in between, for sizes to be known: call this last.

    Parameters
    ----------
    ax
        Where; row k is at y = k.
    text
        Caption below, broken into lines as wide as the axes.
    entries
        Texts and colours of the key below the caption.
    left, right
        Texts of the rows, as large as fits, and where none fits, of every so many; none by
        default.
    pale
        Rows whose left text is in a lighter grey.
    colour
        Of the left texts.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    rows = len(left)
    beside = None
    if left:
        ax.set_yticks(range(rows), left, fontsize=fitting(inches(ax)[1], rows)[0])
    if right:
        beside = ax.secondary_yaxis("right")
        beside.spines[:].set_visible(False)
        beside.set_yticks(range(rows), right, fontsize=8)
        beside.tick_params(length=0, pad=3, colors=style.GREY)
    caption(ax, text)
    drawn = key(ax, entries) if entries else None
    figure.draw_without_rendering()
    caption(ax, text)
    if drawn is not None:
        drawn.remove()
        key(ax, entries)
    if not left:
        return
    size, every = fitting(inches(ax)[1], rows)
    at = list(range(0, rows, every))
    ax.set_yticks(at, [left[k] for k in at], fontsize=size)
    for label, k in zip(ax.get_yticklabels(), at, strict=True):
        label.set_color("#999999" if len(pale) and pale[k] else colour)
    if beside is not None:
        beside.set_yticks(at, [right[k] for k in at], fontsize=size)


def fitting(room: float, n: int) -> tuple[float, int]:
    """Font size for n lines in so many inches, and every how many-eth line can be written."""
    points = 72 * room / max(n, 1)
    if points >= 5.5:
        return min(8.0, 0.88 * points), 1
    return 5.0, int(np.ceil(5.5 / points))


def caption(ax: "Axes", text: str) -> None:
    """Write a caption below the axes, broken into lines as wide as the axes."""
    width = max(24, int(inches(ax)[0] / (CHARACTER * 0.85)))
    lines = [part for line in text.split("\n") for part in textwrap.wrap(line, width)]
    ax.set_xlabel("\n".join(lines), fontsize=8, color=style.GREY, loc="left")


def key(ax: "Axes", entries: "Sequence[tuple[str, Any]]") -> "Artist":
    """Explain colours below the caption: a square and a text each, in as few lines as fit.

    Parameters
    ----------
    ax
        Axes that have a caption already.
    entries
        Text and colour. A colour ``None`` is an empty square with a black frame.

    Returns
    -------
    matplotlib.artist.Artist
    """
    from matplotlib.offsetbox import AnnotationBbox, DrawingArea, HPacker, TextArea, VPacker
    from matplotlib.patches import Rectangle

    room = inches(ax)[0]
    lines: list[list[Any]] = [[]]
    used = 0.0
    for text, colour in entries:
        needed = 0.25 + len(text) * CHARACTER * 0.85
        if lines[-1] and used + needed > room:
            lines.append([])
            used = 0.0
        used += needed
        square = DrawingArea(9, 8)
        drawn = {"facecolor": "none", "edgecolor": "black"} if colour is None else {"color": colour}
        square.add_artist(Rectangle((0.5, 0), 8, 8, linewidth=1, **drawn))
        written = TextArea(text, textprops={"fontsize": 8, "color": style.GREY})
        lines[-1].append(HPacker(children=[square, written], pad=0, sep=3, align="baseline"))
    rows: list[Any] = [HPacker(children=line, pad=0, sep=9, align="baseline") for line in lines]
    box = VPacker(children=rows, pad=0, sep=2, align="left")
    return ax.add_artist(
        AnnotationBbox(
            box, (0, 0), xybox=(0, -3), xycoords=ax.xaxis.label, boxcoords="offset points",
            box_alignment=(0, 1), frameon=False, pad=0, annotation_clip=False,
        )
    )  # fmt: skip
