"""Predictor matrix as coloured tiles, every code explained."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, checked
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style, tiles
from bayesimpute.roles import Role
from bayesimpute.wording import did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Fixed is sky blue and random yellow, a cluster mean makes either darker; a selection model's own
#: codes are pinks. All from Okabe & Ito (2008), tinted.
COLOURS = {
    Role.OUTCOME_ONLY: "#CC79A7",
    Role.SELECTION_ONLY: "#EBC9DC",
    Role.CLUSTER: "#444444",
    Role.NONE: "#F1F1F1",
    Role.FIXED: "#C3E4F7",
    Role.RANDOM: "#FBE3A6",
    Role.FIXED_WITH_MEAN: "#56B4E9",
    Role.RANDOM_WITH_MEAN: "#E69F00",
}
MEANINGS = {
    Role.OUTCOME_ONLY: "outcome equation only",
    Role.SELECTION_ONLY: "selection equation only",
    Role.CLUSTER: "cluster",
    Role.NONE: "not used",
    Role.FIXED: "fixed effect",
    Role.RANDOM: "fixed and random effect",
    Role.FIXED_WITH_MEAN: "fixed effect and cluster mean",
    Role.RANDOM_WITH_MEAN: "fixed and random effect and cluster mean",
}
TILE = 0.36


@checked
def plot_predictors(
    predictors: Any,
    method: "Mapping[str, Any] | pd.Series[Any] | None" = None,
    *,
    ax: "Axes | None" = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Predictor matrix: a row says what each column does in the model of one target.

    Parameters
    ----------
    predictors
        Row = target, column = predictor, codes as in :class:`~bayesimpute.Role`, such as
        ``bi.make_predictors(df)`` or ``imp.predictors``. It need not be square.
    method
        Target -> method, such as ``bi.make_method(df)``, written beside the rows (default: none).
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; by default what the matrix needs.

    Returns
    -------
    matplotlib.figure.Figure
        A colour for each code in the matrix, with its meaning below. The diagonal, and the rows
        of targets whose method is ``""``, which is no model, are pale.

    Raises
    ------
    SpecificationError
        If this is no frame, is empty, or holds anything but the codes of
        :class:`~bayesimpute.Role`; if `method` names none of the rows.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> df = bi.simulate.simulate_popularity(seed=1).incomplete
    >>> figure = bi.plot_predictors(bi.make_predictors(df, cluster="school"), bi.make_method(df))
    """
    codes = _codes(predictors)
    targets = [str(label) for label in predictors.index]
    names = [str(label) for label in predictors.columns]
    methods = _methods(method, targets)
    rows, columns = codes.shape
    if ax is None:
        wide = 1.8 + TILE * columns + (1.3 if methods else 0)
        wide = float(np.clip(wide, 3.5, 13))
        below = tiles.text_room(30, wide - 1.8, len(np.unique(codes)) + 1)
        default = wide, float(min(tiles.names_room(names) + TILE * rows + below, 13))
        figure, grid = style.subplots(1, 1, figsize or default)
        ax = grid[0, 0]
    else:
        figure = cast("Figure", ax.get_figure(root=True))
    assert ax is not None
    ax.set_xlim(0, columns)
    ax.set_ylim(rows - 0.5, -0.5)
    ax.set_aspect("equal")
    tiles.bare(ax)
    modelled = np.array([methods.get(target, "?") != "" for target in targets])
    unused = _unused(targets, names, modelled)
    colours = _tiles(ax, codes, unused)
    above = tiles.names_above(ax, np.arange(columns) + 0.5, names)
    ax.set_xticks([])
    present = [role for role in Role if (codes == role).any()]
    entries = [(f"{_written(role)} {MEANINGS[role]}", COLOURS[role]) for role in present]
    right = [tiles.shortened(methods.get(target, "")) for target in targets] if methods else []
    left = [tiles.shortened(target) for target in targets]
    pale = [not used for used in modelled]
    text = "row: target, column: predictor"
    tiles.finish(ax, text, entries, left, right, pale=pale, columns=[above])
    figure.draw_without_rendering()
    _write(ax, codes, unused, colours)
    return figure


def _codes(predictors: Any) -> np.ndarray:
    if not isinstance(predictors, pd.DataFrame):
        raise SpecificationError(
            "plot_predictors draws a DataFrame of codes, row = target, such as "
            f"bi.make_predictors(df); this is a {type(predictors).__name__}. Of a result: "
            "imp.plot_predictors()."
        )
    if predictors.empty:
        raise SpecificationError("plot_predictors: the matrix has no cells.")
    known = {int(role) for role in Role}
    cells = predictors.to_numpy(dtype=object)
    for i, j in np.ndindex(*cells.shape):
        if cells[i, j] not in known:  # 2.0 is, 1.5 and NaN are not
            raise SpecificationError(
                f"plot_predictors: {cells[i, j]!r} in row {str(predictors.index[i])!r}, column "
                f"{str(predictors.columns[j])!r} is no code; codes are "
                f"{', '.join(f'{int(r)} ({r.name})' for r in Role)}."
            )
    return cells.astype(int)


def _methods(
    method: "Mapping[str, Any] | pd.Series[Any] | None", targets: list[str]
) -> dict[str, str]:
    if method is None:
        return {}
    if not hasattr(method, "items"):
        raise SpecificationError(
            "plot_predictors: method= is a mapping target -> name, such as bi.make_method(df), "
            f"not {method!r}."
        )
    methods = {str(target): _named(chosen) for target, chosen in method.items()}
    if methods and not any(target in methods for target in targets):
        first = next(iter(methods))
        raise SpecificationError(
            f"plot_predictors: method= names {first!r} and none of the rows."
            f"{did_you_mean(first, targets)}"
        )
    return methods


def _named(method: Any) -> str:
    """Name of a method; a user's own function has that of the function."""
    if isinstance(method, str):
        return method
    return str(getattr(method, "__name__", type(method).__name__))


def _unused(targets: list[str], names: list[str], modelled: np.ndarray) -> np.ndarray:
    """Cells that no model reads: the diagonal and rows without a method, bool (row, column)."""
    diagonal = np.array(targets)[:, None] == np.array(names)[None, :]
    return np.asarray(diagonal | ~modelled[:, None])


def _tiles(ax: "Axes", codes: np.ndarray, unused: np.ndarray) -> np.ndarray:
    """Draw the tiles; gives their colours."""
    from matplotlib.colors import to_rgb

    colours = np.array([[to_rgb(COLOURS[Role(code)]) for code in row] for row in codes])
    colours[unused] = 1 - 0.35 * (1 - colours[unused])
    tiles.tile_colours(ax, colours)
    return colours


def _write(ax: "Axes", codes: np.ndarray, unused: np.ndarray, colours: np.ndarray) -> None:
    """Write the codes, unless tiles are too small for them: colours and key say as much."""
    size = tiles.font_inside(ax, max(tiles.ems(_written(int(code))) for code in codes.ravel()))
    if not size:
        return
    for i, j in np.ndindex(*codes.shape):
        if unused[i, j] and codes[i, j] == Role.NONE:
            continue
        dark = style.luminance(colours[i, j]) < 0.45
        pale = unused[i, j] or codes[i, j] == Role.NONE
        ax.text(
            j + 0.5, i, _written(int(codes[i, j])), ha="center", va="center", fontsize=size,
            color="white" if dark else "#777777" if pale else "black",
        )  # fmt: skip


def _written(code: int) -> str:
    return str(int(code)).replace("-", "−")
