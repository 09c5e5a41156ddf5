"""What pictures made of tiles share: names that fit, captions, keys of colours."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
#: Points of the smallest font, and of a line of it.
LEAST_FONT, LEAST_LINE = 5.0, 5.5


def inches(ax: "Axes") -> tuple[float, float]:
    """Width and height of the axes, before the layout has made room for names."""
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    return box.width / dpi, box.height / dpi


def tile_inches(ax: "Axes") -> tuple[float, float]:
    """Width and height of a unit of both axes, the smaller of them for both if they are equal."""
    wide, high = inches(ax)
    across = wide / abs(float(np.ptp(ax.get_xlim())))
    down = high / abs(float(np.ptp(ax.get_ylim())))
    smaller = min(across, down)
    return (across, down) if ax.get_aspect() == "auto" else (smaller, smaller)


def names_room(names: Iterable[str]) -> float:
    """Inches that upright names above, or names beside the tiles take at most."""
    return CHARACTER * min(max(map(len, names)), LONGEST) + 0.1


def text_room(characters: int, width: float, entries: int) -> float:
    """Inches that a caption and the key below it take in so many inches of width, amply."""
    lines = np.ceil(characters * CHARACTER * 0.85 / max(width, 1.5)) + 1
    return 0.16 * float(lines + np.ceil(entries * 1.4 / max(width, 1.5)) + 1)


def shortened(name: str, most: int = LONGEST) -> str:
    """Cut a name to what stands beside tiles at most."""
    return style.cut(name, most)


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


@dataclass(frozen=True, eq=False)
class Columns:
    """Texts of columns above or below the tiles, written again when the layout has settled.

    Attributes
    ----------
    axis
        What they are ticks of.
    at
        x of each text.
    texts
        As many.
    each
        Units of x that every text has.
    above
        Whether they stand above the tiles.
    upright
        Whether they are upright even where they fit side by side.
    """

    axis: "Axes"
    at: Sequence[float]
    texts: Sequence[str]
    each: float
    above: bool
    upright: bool = False

    def fit(self, ax: "Axes") -> None:
        """Write the texts as large as fits, and where none fits every so many."""
        points = 72 * tile_inches(ax)[0] * self.each
        upright = self.upright or max(map(len, self.texts)) * CHARACTER * 72 > points
        kept: list[int] = []
        for k, place in enumerate(self.at):
            if not kept or (place - self.at[kept[-1]]) / self.each * points >= LEAST_LINE:
                kept.append(k)
        self.axis.set_xticks(
            [self.at[k] for k in kept], [style.literal(self.texts[k]) for k in kept],
            color="black" if self.above else style.GREY, rotation=90 if upright else 0,
            ha="center", va="bottom" if self.above else "top",
            fontsize=float(np.clip(0.85 * points, LEAST_FONT, 8)) if upright else 8,
        )  # fmt: skip


def names_above(
    ax: "Axes",
    at: Sequence[float] | np.ndarray,
    names: Sequence[str],
    each: float = 1.0,
    *,
    upright: bool = False,
) -> Columns:
    """Write names of columns above the tiles, upright where they do not fit side by side.

    Parameters
    ----------
    ax
        Where.
    at
        x of each name.
    names
        As many.
    each
        Units of x that every name has, a tile by default.
    upright
        Whether they are upright even where they fit, as those of other axes.

    Returns
    -------
    Columns
        For `finish`, which writes them again in the size that then fits.
    """
    axis: Any = ax.secondary_xaxis("top")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0, pad=2)
    texts = [shortened(name) for name in names]
    columns = Columns(axis, [float(place) for place in at], texts, each, True, upright)
    columns.fit(ax)
    return columns


def texts_below(ax: "Axes", at: Sequence[float] | np.ndarray, texts: Sequence[str]) -> Columns:
    """Write numbers of columns below the tiles, as `names_above` does above them."""
    columns = Columns(ax, [float(place) for place in at], list(texts), 1.0, above=False)
    columns.fit(ax)
    return columns


def finish(
    ax: "Axes",
    text: str,
    entries: "Sequence[tuple[str, Any]]" = (),
    left: Sequence[str] = (),
    right: Sequence[str] = (),
    *,
    pale: Sequence[bool] = (),
    colour: str = "black",
    columns: Sequence[Columns] = (),
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
    columns
        Texts above and below, to be written in the size that fits.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    beside = None
    if right:
        beside = ax.secondary_yaxis("right")
        beside.spines[:].set_visible(False)
        beside.tick_params(length=0, pad=3, colors=style.GREY)
    drawn = None
    for settled in (False, True, True):  # texts take room from the tiles, which bounds the texts
        if settled:
            figure.draw_without_rendering()
        for each in columns:
            each.fit(ax)
        if left:
            size, every = fitting(inches(ax)[1], len(left))
            at = list(range(0, len(left), every))
            ax.set_yticks(at, [style.literal(left[k]) for k in at], fontsize=size)
            for label, k in zip(ax.get_yticklabels(), at, strict=True):
                label.set_color("#999999" if len(pale) and pale[k] else colour)
            if beside is not None:
                beside.set_yticks(at, [style.literal(right[k]) for k in at], fontsize=size)
        caption(ax, text)
        if drawn is not None:
            drawn.remove()
        drawn = key(ax, entries) if entries else None


def fitting(room: float, n: int) -> tuple[float, int]:
    """Font size for n lines in so many inches, and every how many-eth line can be written."""
    points = 72 * room / max(n, 1)
    if points >= LEAST_LINE:
        return min(8.0, 0.88 * points), 1
    return LEAST_FONT, int(np.ceil(LEAST_LINE / points))


def font_inside(ax: "Axes", ems: float) -> float:
    """Points of a text so many ems wide that fits a tile, 0 if none that can be read does.

    The layout has to be settled: before, the tiles have not their size.
    """
    wide, high = tile_inches(ax)
    points = 72 * min(0.92 * wide / ems, 0.9 * high)
    return min(8.0, points) if points >= LEAST_FONT else 0.0


def ems(text: str) -> float:
    """Width of digits and signs in widths of the font (DejaVu Sans)."""
    return sum({".": 0.32, "−": 0.84, ",": 0.32}.get(letter, 0.64) for letter in text)


def caption(ax: "Axes", text: str) -> None:
    """Write a caption below the axes, broken into lines as wide as the axes."""
    width = max(24, int(inches(ax)[0] / (CHARACTER * 0.85)))
    lines = [part for line in text.split("\n") for part in textwrap.wrap(line, width)]
    ax.set_xlabel(style.literal("\n".join(lines)), fontsize=8, color=style.GREY, loc="left")


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
