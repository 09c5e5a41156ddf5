"""How likely a value is to be missing, beside the values: given that, imputed resembles observed.

Of two rows with the same propensity one may be seen and the other not. Where values are missing at
random given the predictors, their distributions agree at the same propensity (van Buuren 2018,
§6.6.3; Raghunathan & Bondarenko 2007), whatever they do over all rows.
"""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.arrays import Array
from bayesimpute.data.table import Kind, Table, indicator_order
from bayesimpute.engine.history import labels_of
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.plots.distribution import MOST_IN_A_STRIP, curve, grid_within, support, vary
from bayesimpute.plots.frames import column_named, completed
from bayesimpute.plots.scatter import numbers_of
from bayesimpute.result.run import Run
from bayesimpute.specification.specification import Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Groups of equal size by propensity of which means are drawn; fewest values of a mean.
GROUPS, FEWEST = 5, 5


@checked
def propensity(run: Run, variable: str, predictors: Sequence[str] | None = None) -> pd.DataFrame:
    """Chance that a value is missing given the completed predictors, by logistic regression.

    Fitted in each imputation by maximum likelihood, and averaged over imputations.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        An imputed variable; some of its values are observed.
    predictors
        Columns; by default those of the variable's model. Clusters are none: what differs between
        them is in the chance as far as predictors tell it.

    Returns
    -------
    pandas.DataFrame
        A row a row of the data, its index: ``propensity``, and ``missing``.

    Raises
    ------
    SpecificationError
        A variable that was not imputed or is missing everywhere, an unknown predictor, or none.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> df = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80).incomplete
    >>> imp = bi.impute(df, m=2, iterations=1, method="sample", seed=1, progress=False)
    >>> found = imp.propensity("popular", ["sex", "texp"])
    >>> bool(abs(found["propensity"].mean() - found["missing"].mean()) < 1e-6)
    True
    """
    table = run.specification.table
    style.check_imputed(variable, run.history.imputed, table.variables)
    missing = table.missing(variable)
    if missing.all() or not missing.any():
        raise SpecificationError(
            f"{variable!r} is missing in {'every row' if missing.all() else 'no row'}: its "
            "propensity to be missing has nothing to compare."
        )
    names = _predictors(run, variable, predictors)
    each = [{n: completed(run, n, k) for n in names} for k in range(1, run.m + 1)]
    chances = [_fitted(table, values, missing) for values in each]
    rows = table.frame.index[table.rows]
    found = pd.DataFrame({"propensity": np.mean(chances, axis=0), "missing": missing}, index=rows)
    order = np.argsort(table.rows)
    return found.iloc[order]


def _predictors(run: Run, variable: str, asked: Sequence[str] | None) -> list[str]:
    table, target = run.specification.table, run.specification.targets[variable]
    if asked is not None:
        names = [asked] if isinstance(asked, str) else list(asked)
        for name in names:
            column_named(name, list(table.variables), "predictors", "propensity")
    else:
        terms = target.terms if isinstance(target, Target) else ()
        read = {name for term in terms for name in term.read_columns(table.variables)}
        names = [n for n in table.variables if n in read]
        if not names:  # a model without predictors
            names = [n for n in table.variables if table.variables[n].kind is not Kind.OTHER]
    known = [
        name
        for name in names
        if name != variable
        and table.variables[name].kind is not Kind.OTHER
        and not np.isnan(completed(run, name, 1)).any()
    ]
    if not known:
        raise SpecificationError(
            f"propensity: {variable!r} has no predictor that is complete once imputed; name some "
            "by predictors=."
        )
    return known


def _fitted(table: Table, values: dict[str, Array], missing: np.ndarray) -> Array:
    """Chances of a logistic regression on numbers and indicators of categories."""
    import statsmodels.api as sm

    columns = [np.ones(len(missing))]
    for name, each in values.items():
        categories = table.variables[name].categories
        if categories:
            own = indicator_order(each, len(categories))[1:]
            columns += [(each == code).astype(float) for code in own]
        elif np.ptp(each) > 0:
            columns.append((each - each.mean()) / each.std())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # chances of 0 and 1, where predictors separate, are right
        model = sm.GLM(missing.astype(float), np.column_stack(columns), sm.families.Binomial())
        return np.asarray(model.fit().fittedvalues, dtype=float)


@checked
def plot_propensity(
    run: Run,
    variable: str,
    predictors: Sequence[str] | None = None,
    *,
    imputation: Any = 1,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Values by the propensity of being missing, observed and imputed; and its two distributions.

    Above, values against the chance that the variable is missing in their row (`propensity`):
    observed blue, of one imputation vermillion; lines join the means of fifths of the rows by
    propensity, where at least 5 values are. If values are missing at random given the predictors
    and the model is right, the lines agree where both are. Below, the distribution of the
    propensity in rows in which the variable is observed and missing: where these hardly overlap,
    imputation is extrapolation.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        An imputed variable. Categories are drawn by their place, spread at random.
    predictors
        Of being missing; by default those of the variable's model.
    imputation
        Which one is drawn, 1 … m (default 1). The propensity is the mean over all.
    ax
        Two axes; by default a new figure.
    figsize
        Inches; (6, 4.8) by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        As `propensity`; no such imputation; a number of axes that does not fit.
    """
    (number,) = numbers_of([imputation], run.m)
    return draw_propensity(
        run, variable, propensity(run, variable, predictors), number, ax, figsize
    )


def draw_propensity(
    run: Run,
    variable: str,
    found: pd.DataFrame,
    number: int = 1,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Draw `plot_propensity` of what `propensity` has found, which takes the time."""
    table = run.specification.table
    order = np.argsort(table.rows)
    # a cell imputed although it was observed keeps its observed value here
    values = np.where(
        table.missing(variable), completed(run, variable, number), table.values[variable]
    )[order]
    chance, gone = found["propensity"].to_numpy(), found["missing"].to_numpy()
    drawn = panels.panels(
        2, ax, figsize or (6, 4.8), picture="plot_propensity", across=1, head=0.9, sharex=True
    )
    above, below = drawn.axes
    categories = labels_of(table.variables[variable].categories)
    _values(above, chance, values, gone, bool(categories))
    if categories:
        panels.name_categories(above, categories, "y")
    parts = [chance[~gone], chance[gone]]
    ends = support(parts, {"lower": 0.0, "upper": 1.0})
    for each, colour in zip(parts, style.PALETTE.values(), strict=True):
        if len(each) > 1 and vary(each):
            curve(below, each, grid_within(parts, ends), ends, color=colour, linewidth=2)
        else:
            below.axvline(float(each[0]), color=colour, linewidth=2)
    below.set_yticks([])
    below.set_ylim(0, None)
    imputed = (gone & ~np.isnan(values)).sum()  # of the missing cells those that where= asked for
    labels = [f"observed ({(~gone).sum():,})", f"imputed ({imputed:,}), imputation {number}"]
    keys = [panels.key(colour) for colour in style.PALETTE.values()]
    panels.finish(
        drawn, f"{variable} by propensity of being missing",
        list(zip(labels, keys, strict=True)), names=[variable, "propensity"],
        x="propensity of being missing",
    )  # fmt: skip
    above.set_ylabel(table.variables[variable].counted, fontsize=8)
    return drawn.figure


def _values(ax: "Axes", chance: Array, values: Array, gone: np.ndarray, places: bool) -> None:
    rng = np.random.default_rng(0)  # a picture can be made again
    ends = np.quantile(chance, np.linspace(0, 1, GROUPS + 1))
    group = np.clip(np.searchsorted(ends, chance, side="right") - 1, 0, GROUPS - 1)
    for part, colour, width in ((~gone, style.OBSERVED, 4.5), (gone, style.IMPUTED, 1.8)):
        rows = np.flatnonzero(part & ~np.isnan(values))
        shown = rng.permutation(rows)[:MOST_IN_A_STRIP]
        spread = rng.uniform(-0.25, 0.25, len(shown)) if places else 0.0
        ax.plot(
            chance[shown], values[shown] + spread, "o", color=colour, markersize=3,
            markeredgewidth=0, alpha=0.45,
        )  # fmt: skip
        inside = [rows[group[rows] == k] for k in range(GROUPS)]
        kept = [each for each in inside if len(each) >= FEWEST]
        at = [(chance[each].mean(), values[each].mean()) for each in kept]
        if at and not places:
            ax.plot(*np.array(at).T, "-o", color=colour, linewidth=width, markersize=width + 2.5)
