"""Labels of points that cover neither each other nor the points."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Points (1/72 inch) between a point and its label that are tried, and directions (degrees);
#: earlier ones are preferred.
DISTANCES = (5.0, 9.0, 14.0, 20.0, 28.0, 38.0, 50.0, 65.0, 80.0, 100.0, 125.0, 155.0, 190.0)
DIRECTIONS = (0, 180, 90, 270, 45, 315, 135, 225, *range(15, 360, 15))
#: From this distance on a line leads from the point to its label.
FAR = 14.0
#: Costs beside that of covering, which is 1 and up: lying on a drawn line, a leader that crosses
#: something, being as near to another point, each point of distance, each step in the order of
#: directions.
ON_LINE, CROSSED, MISLEADING, DISTANCE, RANK = 0.25, 0.4, 0.15, 0.006, 0.0006


def text_width(text: str, size: float) -> float:
    """Width of the widest line in points, in the font of the moment.

    Examples
    --------
    >>> text_width("share", 10) < text_width("share of", 10)
    True
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(size=size)
    lines = [style.literal(line) for line in text.split("\n") if line.strip()]
    return max((TextPath((0, 0), line, prop=font).get_extents().width for line in lines), default=0)


def label_points(
    ax: "Axes",
    x: np.ndarray,
    y: np.ndarray,
    texts: Sequence[str],
    *,
    lines: Sequence[np.ndarray] = (),
    size: float = 8,
) -> None:
    """Write a label beside each point, where it covers least.

    Points are labelled one after the other, those with the least room first, each at the nearest
    place around it at which its label covers no point, no earlier label, and does not leave the
    axes.
    The layout of the figure is settled first; places are kept in points from there on.

    Parameters
    ----------
    ax
        Axes with its limits set.
    x, y
        Coordinates of the points (point,).
    texts
        A label each, possibly of several lines.
    lines
        What else is drawn: arrays (vertex, 2) in the axes' coordinates, rather not to be covered.
    size
        Of the font.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    pixel = figure.dpi / 72
    at = ax.transData.transform(np.column_stack([x, y]))
    frame = np.array(ax.get_window_extent().extents)
    extents = []
    for text in texts:
        drawn = ax.text(0, 0, style.literal(text), fontsize=size)
        extent = drawn.get_window_extent()
        extents.append((extent.width + 2 * pixel, extent.height + pixel))
        drawn.remove()
    vertices = [ax.transData.transform(line) for line in lines]
    along = np.vstack([_dense(line) for line in vertices]) if vertices else np.zeros((0, 2))
    room = [_free_places(k, at, extents[k], frame, pixel) for k in range(len(at))]
    placed = _Placed()
    places: dict[int, tuple[np.ndarray, np.ndarray, bool]] = {}
    for k in sorted(range(len(texts)), key=lambda k: (room[k], -at[k, 1])):
        others = np.delete(at, k, axis=0)
        best, box, centre, distance = np.inf, np.zeros(4), at[k], 0.0
        for away in DISTANCES:
            if DISTANCE * away >= best:
                break
            for rank, angle in enumerate(DIRECTIONS):
                tried, middle = _box(at[k], extents[k], away * pixel, np.deg2rad(angle))
                cost = DISTANCE * away + RANK * rank
                cost += _inside(tried, at, 4 * pixel).sum() + placed.covered(tried)
                cost += 5 * _outside(tried, frame)
                cost += ON_LINE * bool(_inside(tried, along, pixel).any())
                if len(others):
                    cost += MISLEADING * bool(_gaps(tried, others).min() <= away * pixel)
                if away >= FAR and cost < best:
                    leader = np.linspace(at[k], np.clip(at[k], tried[:2], tried[2:]), 40)
                    cost += CROSSED * placed.crossed(leader, others, pixel)
                if cost < best:
                    best, box, centre, distance = cost, tried, middle, away
        leads = distance >= FAR
        ends = np.clip(at[k], box[:2], box[2:])
        placed.add(box, np.linspace(at[k], ends, 40) if leads else None)
        places[k] = (centre - at[k]) / pixel, (ends - box[:2]) / (box[2:] - box[:2]), leads
    for k, (offset, start, leads) in sorted(places.items()):
        side = float(np.sign(np.round(offset[0])))
        line = {
            "arrowstyle": "-",
            "color": style.GREY,
            "linewidth": 0.6,
            "shrinkA": 0,
            "shrinkB": 3,
        }
        note = ax.annotate(
            style.literal(texts[k]), (x[k], y[k]), xytext=tuple(offset), textcoords="offset points",
            ha="center", va="center", fontsize=size,
            multialignment={1.0: "left", -1.0: "right"}.get(side, "center"),
            arrowprops={**line, "relpos": tuple(start)} if leads else None,
        )  # fmt: skip
        note.set_in_layout(False)


class _Placed:
    """Labels written so far, and the lines that lead to them, in pixels."""

    def __init__(self) -> None:
        self.boxes = np.zeros((0, 4))
        self.leaders = np.zeros((0, 2))

    def add(self, box: np.ndarray, leader: np.ndarray | None) -> None:
        self.boxes = np.vstack([self.boxes, box])
        if leader is not None:
            self.leaders = np.vstack([self.leaders, leader])

    def covered(self, box: np.ndarray) -> float:
        """3 and up for each label that a box overlaps, and what it hides of a leader."""
        width = np.minimum(box[2], self.boxes[:, 2]) - np.maximum(box[0], self.boxes[:, 0])
        height = np.minimum(box[3], self.boxes[:, 3]) - np.maximum(box[1], self.boxes[:, 1])
        over = (width > 0) & (height > 0)
        area = (box[2] - box[0]) * (box[3] - box[1])
        hidden = bool(_inside(box, self.leaders, 1.0).any())
        return float((over * (3 + 4 * width * height / area)).sum()) + CROSSED * hidden

    def crossed(self, leader: np.ndarray, points: np.ndarray, pixel: float) -> int:
        """Things a leader runs through: labels, other points, other leaders."""
        through = sum(bool(_inside(box, leader, 0.0).any()) for box in self.boxes)
        start = leader[2:, None]  # its own point may be covered by a neighbour
        if len(points):
            through += int((np.hypot(*(start - points).T) < 4 * pixel).any(axis=1).sum())
        if len(self.leaders):
            through += int((np.hypot(*(start - self.leaders).T) < 1.5 * pixel).any())
        return through


def _box(
    point: np.ndarray, extent: tuple[float, float], distance: float, angle: float
) -> tuple[np.ndarray, np.ndarray]:
    """Box (left, bottom, right, top) whose border is so far from the point, and its centre."""
    direction = np.array([np.cos(angle), np.sin(angle)])
    centre = point + direction * (distance + np.abs(direction) * np.array(extent) / 2)
    half = np.array(extent) / 2
    return np.concatenate([centre - half, centre + half]), centre


def _inside(box: np.ndarray, points: np.ndarray, margin: float) -> np.ndarray:
    return (
        (points[:, 0] > box[0] - margin) & (points[:, 0] < box[2] + margin)
        & (points[:, 1] > box[1] - margin) & (points[:, 1] < box[3] + margin)
    )  # fmt: skip


def _free_places(
    k: int, at: np.ndarray, extent: tuple[float, float], frame: np.ndarray, pixel: float
) -> int:
    """Places around a point at which its label covers no point and does not leave the axes."""
    boxes = [
        _box(at[k], extent, away * pixel, np.deg2rad(angle))[0]
        for away in DISTANCES[:5]
        for angle in DIRECTIONS[:8]
    ]
    free = [not _inside(box, at, 4 * pixel).any() and not _outside(box, frame) for box in boxes]
    return sum(free)


def _gaps(box: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How far each point is from a box."""
    return np.hypot(*(points - np.clip(points, box[:2], box[2:])).T)


def _outside(box: np.ndarray, frame: np.ndarray) -> float:
    beyond = max(frame[0] - box[0], frame[1] - box[1], box[2] - frame[2], box[3] - frame[3])
    return 1 + beyond / 20 if beyond > 0 else 0.0


def _dense(line: np.ndarray) -> np.ndarray:
    """Points along a line of several vertices."""
    share = np.linspace(0, 1, 200)[:, None]
    pieces = pairwise(line)
    return np.vstack([start + share * (end - start) for start, end in pieces])
