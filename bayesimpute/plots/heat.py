"""What heat maps share: names around them, and texts inside, in sizes that can be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesimpute.plots import panels, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Longer names are cut.
LONGEST = 24
#: Points of the smallest font, and of a line of it.
LEAST_FONT, LEAST_LINE = 5.0, 5.5
#: Inches a character of the 8-point font is wide, on average.
CHARACTER = 0.072


@dataclass(frozen=True, eq=False)
class Side:
    """Texts along one side of the tiles.

    Attributes
    ----------
    axis
        What they are ticks of: one of ``ax``, or of a secondary axis of it.
    at
        Positions.
    texts
        As many.
    colour
        Of all, or of each.
    each
        Units that every text has.
    upright
        Whether names above are upright even where they fit, as those of other panels.
    """

    axis: Any
    at: np.ndarray
    texts: Sequence[str]
    colour: str | Sequence[str] = "black"
    each: float = 1.0
    upright: bool = False

    def fit(self, points: float, most: float) -> None:
        """Write texts as large as fits into so many points a unit, and at most so many inches."""
        room = points * self.each
        every = max(1, int(np.ceil(LEAST_LINE / room)))
        longest = int(np.clip(most / CHARACTER, style.SHORTEST, LONGEST))
        texts = [style.literal(text) for text in style.cut_apart(self.texts, longest)]
        size = float(np.clip(0.88 * room, LEAST_FONT, 8))
        turned = 0
        if self.axis.axis_name == "x":
            wide = 72 * CHARACTER * max(map(len, texts), default=0)
            turned = 90 if self.upright or wide > room else 0
            every, size = (every, size) if turned else (1, 8.0)
        self.axis.set_ticks(list(self.at)[::every], texts[::every], fontsize=size, rotation=turned)
        colours = [self.colour] * len(texts) if isinstance(self.colour, str) else self.colour
        for label, colour in zip(self.axis.get_ticklabels(), colours[::every], strict=True):
            label.set_color(colour)


def bare(ax: "Axes") -> None:
    """Remove frame and tick marks: tiles are their own frame."""
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, colors=style.GREY, labelsize=8, pad=3)


def beside(ax: "Axes", where: Literal["right", "top"]) -> Any:
    """Give the axis of a further side: ``"right"`` or ``"top"``."""
    made: Any = ax.secondary_yaxis("right") if where == "right" else ax.secondary_xaxis(where)
    bare(made)
    return made.yaxis if where == "right" else made.xaxis


def around(
    ax: "Axes",
    top: Sequence[str],
    left: Sequence[str] = (),
    bottom: Sequence[str] = (),
    right: Sequence[str] = (),
    *,
    colour: str | Sequence[str] = "black",
    upright: bool = False,
) -> list[Side]:
    """Give texts in the middle of columns and rows of tiles; `colour` is that of the left ones."""
    bare(ax)
    at = np.arange(max(map(len, (top, left, right)))) + 0.5
    if not bottom:
        ax.xaxis.tick_top()
    above = beside(ax, "top") if bottom else ax.xaxis
    sides = [Side(above, at[: len(top)], top, upright=upright)]
    if bottom:
        sides.append(Side(ax.xaxis, at[: len(bottom)], bottom, style.GREY))
    if left:
        sides.append(Side(ax.yaxis, at[: len(left)], left, colour))
    if right:
        sides.append(Side(beside(ax, "right"), at[: len(right)], right, style.GREY))
    return sides


def gap(ax: "Axes", rows: int, columns: int) -> float:
    """Points of the white lines between so many tiles."""
    wide, high = style.extent(ax)
    smallest = 72 * min(wide / columns, high / rows)
    return min(1.2, smallest / 12) if smallest > 4 else 0.0


def room(names: Sequence[str]) -> float:
    """Inches that upright names above, or names beside the tiles take at most."""
    return CHARACTER * min(max(map(len, names), default=0), LONGEST) + 0.1


def settle(*maps: tuple["Axes", Sequence[Side], str]) -> tuple[float, float]:
    """Write names and captions of heat maps, in sizes that fit once the figure has its layout.

    Returns
    -------
    tuple
        Points that the smallest tile is wide and high.
    """
    figure: Figure | Any = maps[0][0].get_figure(root=True)
    inside = [text for ax, *_ in maps for text in ax.texts]
    for text in inside:  # they need no room, and hundreds of them take long to lay out
        text.set(in_layout=False, visible=False)
    tile = np.zeros(2)
    for _ in range(4):  # texts take room from the tiles, which bounds the texts
        before, tile = tile, np.min([_fit(*each) for each in maps], axis=0)
        if np.allclose(before, tile, rtol=0.02):
            break
        style.lay_out(figure)
    for text in inside:
        text.set_visible(True)
    return float(tile[0]), float(tile[1])


def _fit(ax: "Axes", sides: Sequence[Side], caption: str) -> np.ndarray:
    """Write everything into the room of the moment; gives the points of a tile."""
    wide, high = style.extent(ax)
    width = max(24, style.letters(wide, 8))
    text = "\n".join(fill(line, width) for line in caption.split("\n"))
    ax.set_xlabel(style.literal(text), fontsize=8, color=style.GREY, loc="left")
    tile = 72 * np.array([wide / np.ptp(ax.get_xlim()), high / np.ptp(ax.get_ylim())])
    figure: Figure | Any = ax.get_figure(root=True)
    place = ax.get_subplotspec()
    share = place.get_position(figure) if place is not None else ax.get_position()
    cell = share.transformed(figure.transFigure + figure.dpi_scale_trans.inverted())
    for side in sides:  # names take a third at most
        beside = side.axis.axis_name == "y"
        side.fit(tile[int(beside)], (cell.width if beside else cell.height) / 3)
    return tile


def write(ax: "Axes", tile: tuple[float, float]) -> bool:
    """Give texts inside tiles a size that fits: to first lines only, or to none, where it must be.

    Returns
    -------
    bool
        Whether they are there.
    """
    lines = [line for text in ax.texts for line in text.get_text().split("\n")]
    wide = {".": 0.4, "−": 0.84}
    widest = max((sum(wide.get(c, 0.64) for c in line) for line in lines), default=1)
    down = max((text.get_text().count("\n") + 1 for text in ax.texts), default=1)
    size = min(8.0, 0.92 * tile[0] / widest, 0.8 * tile[1] / down)
    if size < LEAST_FONT and down > 1:
        for text in ax.texts:
            text.set_text(text.get_text().split("\n")[0])
        return write(ax, tile)
    for text in list(ax.texts):
        if size < LEAST_FONT:
            text.remove()
        else:
            text.set_fontsize(size)
    return size >= LEAST_FONT


def key(drawn: panels.Panels, entries: Sequence[tuple[str, Any]]) -> None:
    """Explain colours: squares above the figure, in a user's figure below the axes."""
    figure, last = drawn.figure, drawn.axes[-1]
    wide = figure.get_figwidth() if drawn.own else style.extent(last)[0]
    longest = max(len(text) for text, _ in entries)
    options: dict[str, Any] = {
        "fontsize": 8, "frameon": False, "labelcolor": style.GREY, "handletextpad": 0.2,
        "columnspacing": 1.0, "borderpad": 0.1, "labelspacing": 0.25,
        "ncols": max(1, min(len(entries), int(wide / (0.3 + 0.062 * longest)))),
    }  # fmt: skip
    handles = [panels.key(colour, "s", markersize=7) for _, colour in entries]
    for handle, (_, colour) in zip(handles, entries, strict=True):
        if colour == "none":
            handle.set(markeredgecolor="black")
    labels = [style.literal(text) for text, _ in entries]
    if drawn.own:
        figure.legend(handles, labels, loc="outside lower left", **options)
    else:
        last.legend(handles, labels, loc="upper left", bbox_to_anchor=(0, -0.15), **options)


def percent(share: float) -> str:
    """Share of a whole, with decimals near its ends."""
    return f"{share:.0%}" if 0.005 <= share <= 0.995 else f"{share:.2%}"
