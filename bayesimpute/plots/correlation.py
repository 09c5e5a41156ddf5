"""Heat map of pairwise associations, in total, within and between clusters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.data.encoding import Kind, encode
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import heat, panels, style
from bayesimpute.plots.frames import drawn_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Part = Literal["total", "within", "between"]
#: Nominal variables with more categories are names, not variables.
MOST_CATEGORIES = 30


@dataclass(frozen=True, eq=False)
class Column:
    """One variable as columns of numbers.

    Attributes
    ----------
    name
        Of the variable.
    values
        float64 (row, k): the number itself, 0 and 1, the position of an ordered category, or an
        indicator for each nominal category; NaN in the whole row where missing.
    nominal
        Whether it is a set of indicators, which has no sign.
    """

    name: str
    values: np.ndarray
    nominal: bool

    @property
    def observed(self) -> np.ndarray:
        """Rows with a value, bool (row,)."""
        return ~np.isnan(self.values[:, 0])


def association_columns(
    frame: pd.DataFrame, names: Sequence[str]
) -> tuple[list[Column], dict[str, str]]:
    """Variables that can be associated, and of each of the others why it cannot.

    Parameters
    ----------
    frame
        As `bayesimpute.plots.frames.named_frame` gives it.
    names
        Which columns.

    Returns
    -------
    tuple
        Columns, and name -> reason.

    Raises
    ------
    DataError
        If a number is infinite.
    """
    columns, left_out = [], {}
    for name in names:
        variable, values = encode(frame[name])
        seen = values[~np.isnan(values)]
        nominal = variable.kind is Kind.NOMINAL
        if variable.kind is Kind.OTHER and len(seen):
            left_out[name] = f"{variable.dtype} is neither number nor category"
        elif not len(seen):
            left_out[name] = "no value"
        elif np.ptp(seen) == 0:
            left_out[name] = "constant"
        elif nominal and len(np.unique(seen)) > MOST_CATEGORIES:
            left_out[name] = f"{len(np.unique(seen))} categories"
        else:
            shown = values[:, None]
            if nominal:
                shown = np.where(np.isnan(shown), np.nan, shown == np.unique(seen)[None, :])
            columns.append(Column(name, shown, nominal))
    return columns, left_out


def associations(
    columns: Sequence[Column], part: Part = "total", clusters: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""Associate pairs, each from the rows in which both are observed.

    With the cross-products :math:`S` of the two variables' columns, the association is

    .. math:: \sqrt{\operatorname{tr}(S_{xx}^{-} S_{xy} S_{yy}^{-} S_{yx}) / \min(k_x, k_y)}

    where :math:`k` are ranks. Of two numbers this is the absolute Pearson correlation (whose sign
    is kept), of a number and a nominal variable the correlation ratio η, of two nominal variables
    Cramér's V. The cross-products are those of the values around their mean ("total"), around the
    means of their clusters ("within"), or of the cluster means, each counted with its number of
    rows ("between"), so that total = within + between.

    Parameters
    ----------
    columns
        As `association_columns` gives them.
    part
        Which of the three.
    clusters
        Cluster number of each row, int (row,); not needed for "total".

    Returns
    -------
    tuple
        Associations (variable, variable), NaN where a variable does not vary in the part or there
        are no more rows, rows within clusters, or clusters than a perfect fit needs; and number of
        rows of each pair, int (variable, variable).

    References
    ----------
    Pillai (1955), Annals of Mathematical Statistics 26, 117-121 (the trace); Cramér (1946),
    Mathematical Methods of Statistics, section 21.9; within and between: Snijders & Bosker (2012),
    Multilevel Analysis, section 3.6.
    """
    n = len(columns)
    found, counts = np.full((n, n), np.nan), np.zeros((n, n), dtype=int)
    for i, a in enumerate(columns):
        for j, b in enumerate(columns[: i + 1]):
            both = a.observed & b.observed
            counts[i, j] = counts[j, i] = both.sum()
            if counts[i, j] == 0:
                continue
            ids = None if clusters is None else np.unique(clusters[both], return_inverse=True)[1]
            x, spare = _deviations(a.values[both], part, ids)
            y, _ = _deviations(b.values[both], part, ids)
            signed = not (a.nominal or b.nominal)
            found[i, j] = found[j, i] = _association(x, y, spare, signed)
    return found, counts


def _deviations(
    values: np.ndarray, part: Part, clusters: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """Values around what the part takes away, and their degrees of freedom.

    What is left of a variable that does not vary is exactly 0 and no remainder of rounding.
    """
    overall = values - values.mean(axis=0)
    scale = np.abs(overall).max(axis=0)
    if part == "total" or clusters is None:
        return overall, len(values) - 1
    sizes = np.bincount(clusters)
    means = np.array([np.bincount(clusters, column) / sizes for column in overall.T]).T
    kept = overall - means[clusters] if part == "within" else means * np.sqrt(sizes)[:, None]
    kept[:, np.abs(kept).max(axis=0) <= 1e-9 * scale] = 0.0
    return kept, len(values) - len(sizes) if part == "within" else len(sizes) - 1


def _association(x: np.ndarray, y: np.ndarray, spare: int, signed: bool) -> float:
    bases = [_basis(x), _basis(y)]
    ranks = [basis.shape[1] for basis in bases]
    if min(ranks) == 0 or spare <= max(ranks):
        return np.nan
    squared = float(np.sum((bases[0].T @ bases[1]) ** 2)) / min(ranks)
    size = min(np.sqrt(squared), 1.0)
    return float(np.copysign(size, x[:, 0] @ y[:, 0])) if signed else float(size)


def _basis(columns: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the columns' span; no column where they are all 0."""
    lengths = np.linalg.norm(columns, axis=0)
    varying = columns[:, lengths > 0] / lengths[lengths > 0]
    if varying.shape[1] <= 1:
        return varying
    vectors, values, _ = np.linalg.svd(varying, full_matrices=False)
    return np.asarray(vectors[:, values > 1e-8 * values.max()])


PARTS: tuple[Part, ...] = ("total", "within", "between")
#: Inches below which panels do not stand side by side, and a tile of the default figure is.
NARROWEST, TILE = 2.2, 0.42


@checked
def plot_corr(
    df: pd.DataFrame,
    variables: Sequence[Any] | Any | None = None,
    cluster: Any = None,
    part: Literal["total", "within", "between", "all"] | None = None,
    *,
    counts: bool = False,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Correlations of every two variables, each from the rows in which both are observed.

    Numbers, two-valued variables (second value against the first) and ordered categories (by
    position) have Pearson correlations. Variables with unordered categories are marked by an
    asterisk and have a measure without sign: the correlation ratio η with a number, Cramér's V
    with each other. Constants, dates and labels with over 30 categories are left out, and the
    caption says so.

    With clusters a correlation is made of two: that of the deviations from the cluster means
    (within), and that of the cluster means, counted with their numbers of rows (between). The two
    may differ in sign, and an imputation model without clusters sees only the total.

    Parameters
    ----------
    df
        Any frame; it is not changed.
    variables
        Which columns, in this order; by default all but the cluster variable.
    cluster
        Column of cluster ids.
    part
        ``"total"``, ``"within"``, ``"between"``, or ``"all"``: the three side by side (one under
        the other in a narrow figure). By default all with clusters, and the total without.
    counts
        Whether the number of rows of each pair is written under its correlation, where there is
        room (default False).
    ax
        Where to draw, for ``"all"`` three axes in any array shape; by default a new figure.
    figsize
        Inches; by default what the number of variables needs.

    Returns
    -------
    matplotlib.figure.Figure
        Grey tiles: a variable that does not vary in that part, or too few rows or clusters.
        Where tiles have no room for numbers, a bar of colours stands beside them.

    Raises
    ------
    DataError
        If there is nothing to draw, or a number is infinite.
    SpecificationError
        If a column or a part does not exist, a part needs clusters, fewer than two variables are
        left, the number of axes does not fit, or `figsize` is too small to read anything.

    References
    ----------
    See `bayesimpute.plots.correlation.associations` for the formula.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=20, pupils=200)
    >>> figure = bi.plot_corr(study.incomplete, cluster="school")
    >>> [panel.get_title(loc="left") for panel in figure.axes]
    ['total', 'within school', 'between school']
    """
    parts = _parts(part, cluster)
    frame, codes, clusters = drawn_columns(df, variables, cluster, "plot_corr")
    chosen = list(frame.columns)
    columns, left_out = association_columns(frame, chosen)
    if len(columns) < 2:
        why = "; ".join(f"{name!r}: {reason}" for name, reason in left_out.items())
        raise SpecificationError(
            "plot_corr needs two variables that vary."
            + (f" Left out were {why}." if why else f" There is only {chosen[0]!r}.")
        )
    names = [f"{c.name}*" if c.nominal else c.name for c in columns]
    n = len(parts)
    side = 0.5 + heat.room(names) + TILE * max(len(names), 4)
    width = min(side * n, 13)
    beside = (figsize[0] if figsize else width) / n >= NARROWEST
    drawn = panels.panels(
        n, ax, figsize, picture="plot_corr", single=(width, width + 0.5),
        each=(width / n - 0.4 / n, width / n - 0.4), across=n if beside else 1, head=0.3,
        lowest=1.7, instead="one part=, or fewer variables=",
    )  # fmt: skip
    captions = [f"{len(clusters)} clusters." if one == "between" else "" for one in parts]
    captions[0] = " ".join([*_notes([c.nominal for c in columns], left_out), captions[0]]).strip()
    sides = []
    for panel, one in zip(drawn.axes, parts, strict=True):
        values, rows = associations(columns, one, codes)
        sides.append(
            _map(panel, values, rows if counts else None, names, n > 1 and max(map(len, names)) > 2)
        )
        if cluster is not None:
            of = "" if one == "total" else f" {cluster}"
            style.title(panel, f"{one}{of}", 10)
    tile = heat.settle(*zip(drawn.axes, sides, captions, strict=True))
    if not all([heat.write(panel, tile) for panel in drawn.axes]):
        bar = drawn.figure.colorbar(
            drawn.axes[0].collections[0], ax=drawn.axes, shrink=0.7, aspect=30, pad=0.02
        )
        bar.ax.tick_params(labelsize=7, colors=style.GREY)
    return drawn.figure


def _parts(part: str | None, cluster: Any) -> tuple[Part, ...]:
    if part is None:
        return PARTS if cluster is not None else ("total",)
    if part != "total" and cluster is None:
        raise SpecificationError(f"plot_corr: part={part!r} needs cluster=, a column of ids.")
    return PARTS if part == "all" else (cast("Part", part),)


def _map(
    ax: "Axes", values: np.ndarray, rows: np.ndarray | None, names: list[str], upright: bool
) -> list[heat.Side]:
    import seaborn as sns

    words = np.array([[_number(float(value)) for value in row] for row in values], dtype=object)
    if rows is not None:
        words = words + "\n" + rows.astype(str).astype(object)
    own = np.eye(len(names), dtype=bool)
    shown = {
        "cbar": False,
        "square": True,
        "linewidths": heat.gap(ax, *values.shape),
        "fmt": "",
        "ax": ax,
    }
    sns.heatmap(
        values, mask=own | np.isnan(values), vmin=-1, vmax=1, cmap=style.DIVERGING, annot=words,
        **shown,
    )  # fmt: skip
    unknown = np.isnan(values) & ~own
    if unknown.any():
        sns.heatmap(
            np.zeros_like(values), mask=~unknown, cmap=["#EDEDED"], annot=words, vmin=0, vmax=1,
            **shown,
        )  # fmt: skip
    return heat.around(ax, names, names, upright=upright)


def _number(value: float) -> str:
    """Two decimals without the leading zero, which is the same in every tile."""
    if np.isnan(value):
        return "–"
    text = f"{abs(value):.2f}"
    shown = text.removeprefix("0") if text != "1.00" else "1"
    return f"−{shown}" if value < 0 and float(text) > 0 else shown


def _notes(nominal: Sequence[bool], left_out: Mapping[str, str]) -> list[str]:
    notes = []
    if any(nominal):
        two = ", Cramér's V with each other" if sum(nominal) > 1 else ""
        notes.append(f"* unordered categories: correlation ratio η with numbers{two}, no sign.")
    if left_out:
        shown = [f"{style.cut(name, heat.LONGEST)} ({why})" for name, why in left_out.items()]
        more = f" and {len(shown) - 6} more" if len(shown) > 6 else ""
        notes.append(f"Left out: {', '.join(shown[:6])}{more}.")
    return notes
