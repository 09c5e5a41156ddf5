"""Predictor matrix as coloured tiles, every code explained."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, checked
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import heat, panels
from bayesimpute.roles import Role
from bayesimpute.wording import did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colour and meaning of each code. Fixed is sky blue and random yellow, a cluster mean makes either
#: darker; a selection model's own codes are pinks. All from Okabe & Ito (2008), tinted.
ROLES = {
    Role.OUTCOME_ONLY: ("#CC79A7", "outcome equation only"),
    Role.SELECTION_ONLY: ("#EBC9DC", "selection equation only"),
    Role.CLUSTER: ("#444444", "cluster"),
    Role.NONE: ("#F1F1F1", "not used"),
    Role.FIXED: ("#C3E4F7", "fixed effect"),
    Role.RANDOM: ("#FBE3A6", "fixed and random effect"),
    Role.FIXED_WITH_MEAN: ("#56B4E9", "fixed effect and cluster mean"),
    Role.RANDOM_WITH_MEAN: ("#E69F00", "fixed and random effect and cluster mean"),
}
COLOURS = {role: colour for role, (colour, _) in ROLES.items()}
MEANINGS = {role: meaning for role, (_, meaning) in ROLES.items()}
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
    import seaborn as sns

    codes = _codes(predictors)
    targets = [str(label) for label in predictors.index]
    names = [str(label) for label in predictors.columns]
    methods = _methods(method, targets)
    rows, columns = codes.shape
    wide = float(np.clip(1.8 + TILE * columns + (1.3 if methods else 0), 3.5, 13))
    present = [role for role in Role if (codes == role).any()]
    high = heat.room(names) + TILE * rows + 0.6 + 0.16 * len(present)
    drawn = panels.panels(
        1, ax, figsize, picture="plot_predictors", single=(wide, float(min(high, 13)))
    )
    (ax,) = drawn.axes
    modelled = np.array([methods.get(target, "?") != "" for target in targets])
    unused = (np.array(targets)[:, None] == np.array(names)) | ~modelled[:, None]
    words = np.array([[_written(code) for code in row] for row in codes])
    sns.heatmap(
        np.searchsorted(list(Role), codes), cmap=list(COLOURS.values()), vmin=-0.5,
        vmax=len(ROLES) - 0.5, alpha=np.where(unused, 0.35, 1.0), square=True,
        linewidths=heat.gap(ax, rows, columns),
        annot=np.where(unused & (codes == Role.NONE), "", words), fmt="", cbar=False, ax=ax,
    )  # fmt: skip
    for text, pale in zip(ax.texts, unused.ravel(), strict=True):
        text.set_color("#777777" if pale else text.get_color())
    dark = ["black" if used else "#999999" for used in modelled]
    right = [methods.get(target, "") for target in targets] if methods else []
    sides = heat.around(ax, names, targets, right=right, colour=dark)
    heat.key(drawn, [(f"{_written(role)} {MEANINGS[role]}", COLOURS[role]) for role in present])
    heat.write(ax, heat.settle((ax, sides, "row: target, column: predictor")))
    return drawn.figure


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
    methods = {
        str(target): chosen
        if isinstance(chosen, str)
        else str(getattr(chosen, "__name__", type(chosen).__name__))
        for target, chosen in method.items()
    }
    if methods and not any(target in methods for target in targets):
        first = next(iter(methods))
        raise SpecificationError(
            f"plot_predictors: method= names {first!r} and none of the rows."
            f"{did_you_mean(first, targets)}"
        )
    return methods


def _written(code: int) -> str:
    return str(int(code)).replace("-", "−")
