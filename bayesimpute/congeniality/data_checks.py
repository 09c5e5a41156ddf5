"""Columns of an analysis that no model can make right, and clusters that a model ignores.

Effects of clusters on the outcome, which the random intercepts of a predictor do not follow.
In ``y ~ x + (1 | g)`` the effect of a cluster on y has nothing to do with x. Given y, x then
follows y less that effect, so that the intercept of a cluster in the model of x goes with the mean
of y there. Random intercepts are taken to have nothing to do with y: the slope of y comes out as
an average of that within clusters, which is right, and that of cluster means, which is smaller
because these tell of effects of clusters instead (Mundlak 1978, Econometrica 46: 69; Hausman 1978,
Econometrica 46: 1251). The second weighs much where clusters tell little of their own intercepts,
being small.

Columns that hold a product or function of others and are imputed as variables of their own.
"Just another variable": the imputed product is then not the product of what was imputed. With
values missing at random that is biased (Seaman, Bartlett & White 2012), however good the models of
all columns are, so that such a column is read as what it holds, not as one more predictor.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from itertools import product as every

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute.congeniality.analysis_formula import Analysis, columns_in
from bayesimpute.congeniality.imputation_model import (
    ImputationModel,
    evaluated,
    given,
    numeric_columns,
)
from bayesimpute.data.table import Kind, Table
from bayesimpute.findings import Finding
from bayesimpute.roles import Role
from bayesimpute.specification.aliases import MATCHING, MATCHING_OF_CLUSTERS
from bayesimpute.specification.expressions import quoted
from bayesimpute.specification.specification import Passive, Specification, Target, computed_from

Floats = npt.NDArray[np.float64]

#: Part of a coefficient that may get lost.
WORTH = 0.08
#: Standard errors that the slope within clusters must be away from 0.
CLEARLY = 3.0


def lost_to_cluster_means(
    model: ImputationModel, outcome: str, cluster: str, others: tuple[str, ...] = ()
) -> float:
    """Foretell what part of a predictor's coefficient its random intercepts lose.

    Weights of the slopes within and between clusters are those of generalised least squares,
    imputed rows count by their share. Over 20 to 24 data sets each, half of the predictor missing,
    clusters of 3 to 5, a yes or no predictor: .07, .16 and .26 foretold where the effects of
    clusters were a fifth, a half and four fifths of the variance, and .03, .16 and .33 lost; .13
    and .07 at a half in clusters of 8, .08 and .04 in clusters of 20, there .10 and .15 at four
    fifths. A normal predictor with an effect of half a SD of the rest: .23 and .29 at four fifths;
    with one of a whole SD: .05 and .01 at a half, .09 and .13 at four fifths. With the
    cluster mean of the outcome as predictor at most .02 was lost, by the analysis itself at most
    .04 in 10 iterations and .01 in 70, with Monte-Carlo errors of about .02.

    Parameters
    ----------
    model
        Of the predictor.
    outcome
        Column of numbers.
    cluster
        Grouping column.
    others
        Columns of numbers that the outcome depends on besides.

    Returns
    -------
    float
        Part of 1; 0 where the predictor clearly has no effect, or nothing tells.
    """
    clusters, table = model.clusters(cluster), model.specification.table
    if clusters is None:
        return 0.0
    missing = table.missing(model.name)
    y = _residuals(table, outcome, others)
    seen = np.isfinite(y)
    t = _variance_between(y[seen], clusters.codes[seen])
    both = seen & ~missing
    if t == 0.0 or not both.any():
        return 0.0
    codes = clusters.codes[both]
    sizes = np.bincount(codes)
    sizes = sizes[sizes > 0]
    within = int(sizes.sum() - len(sizes))
    own = _centred(y[both], codes)
    explained = max(
        _squared_correlation(own, _centred(column[both], codes))
        for column in _columns(table, model)
    )
    if explained * within < CLEARLY**2 or explained >= 1:
        return 0.0
    spread = 1 + sizes * t * explained / (1 - explained)
    kept = 1 - (sizes * t / spread).sum() / (within + ((1 + sizes * t) / spread).sum())
    # the coefficient is the covariance by the variance of what is imputed, of slope and residual
    variance = kept**2 * explained + 1 - explained + (1 - kept) ** 2 * explained
    return max(0.0, float((1 - kept / variance) * missing.mean()))


def _residuals(table: Table, outcome: str, others: tuple[str, ...]) -> Floats:
    """Outcome less its regression on others, NaN where one of them is missing."""
    y = np.array(table.values[outcome], dtype=np.float64)
    design = np.column_stack([np.ones(len(y)), *(table.values[name] for name in others)])
    known = np.isfinite(y) & np.isfinite(design).all(axis=1)
    if known.sum() <= design.shape[1]:
        return np.full(len(y), np.nan)
    coefficients = np.linalg.lstsq(design[known], y[known], rcond=None)[0]
    return np.asarray(np.where(known, y - design @ coefficients, np.nan))


def _variance_between(values: Floats, codes: npt.NDArray[np.int64]) -> float:
    """Variance between clusters by that within, from the analysis of variance; 0 at least."""
    sizes = np.bincount(codes)
    sizes = sizes[sizes > 0]
    n, k = sizes.sum(), len(sizes)
    if k < 2 or n == k:
        return 0.0
    within = (_centred(values, codes) ** 2).sum() / (n - k)
    between = (((values - values.mean()) ** 2).sum() - within * (n - k)) / (k - 1)
    if within <= 0:
        return 0.0
    return max(0.0, float((between / within - 1) * (k - 1) / (n - (sizes**2).sum() / n)))


def _columns(table: Table, model: ImputationModel) -> list[Floats]:
    """Numbers of the predictor, or a column of 0 and 1 for each of its categories."""
    values = table.values[model.name]
    if table.variables[model.name].kind is Kind.NUMERIC:
        return [values]
    return [
        np.asarray(values == code, dtype=np.float64)
        for code in np.unique(values[~np.isnan(values)])
    ]


def _centred(values: Floats, codes: npt.NDArray[np.int64]) -> Floats:
    """Values less the mean of their cluster."""
    sums, sizes = np.bincount(codes, values), np.maximum(np.bincount(codes), 1)
    return np.asarray(values - (sums / sizes)[codes])


def _squared_correlation(one: Floats, other: Floats) -> float:
    scale = (one @ one) * (other @ other)
    return float((one @ other) ** 2 / scale) if scale > 0 else 0.0


#: Largest error, in SDs of the column, up to which it holds a function: it may have been rounded.
EXACT = 1e-3
#: Rows beyond the number of coefficients that it takes to believe it.
MARGIN = 10
#: Rows the first look is taken at; all rows are looked at before anything is believed.
FIRST_LOOK = 1000
#: Rows a category has to have to be one that a number was cut into.
EACH = 5
#: Categories with more levels have no products looked for.
MOST_LEVELS = 10

type Columns = list[np.ndarray]


def as_if_computed(analysis: Analysis, specification: Specification) -> Specification:
    """Give the specification in which columns that hold a function of others are computed.

    Parameters
    ----------
    analysis
        Whose columns are looked at.
    specification
        As it is.

    Returns
    -------
    Specification
        The same one if there is no such column.
    """
    held = dict(_held(analysis, specification))
    if not held:
        return specification
    return replace(specification, targets={**specification.targets, **held})


def just_another_variable(
    specification: Specification, computed: Specification
) -> Iterator[Finding]:
    """Say of each column that :func:`as_if_computed` has changed what it holds."""
    for name, target in computed.targets.items():
        if target is specification.targets[name] or not isinstance(target, Passive):
            continue
        table, exactly = specification.table, is_exactly(specification, target)
        but = "a straight line" if _number(table, name) else "its labels"
        if exactly:
            advice = f"method[{name!r}] = '~ I({target.expression})'"
        else:
            advice = (
                f"df = df.drop(columns={name!r})  # and write {target.expression} in the analysis"
            )
        yield Finding(
            "warning",
            name,
            "a function of others imputed as a variable of its own",
            f"Where it is known, {name!r} is {target.expression}"
            f"{'' if exactly else f', up to {but}'}.",
            "Imputed as just another variable it is not the function of the values beside it, "
            "which is biased where values are missing at random (Seaman, Bartlett & White 2012, "
            "BMC Med Res Methodol 12: 46).",
            advice,
        )


def _held(analysis: Analysis, specification: Specification) -> Iterator[tuple[str, Passive]]:
    """Incomplete predictors of the analysis that are functions of others, and of which."""
    table, outcome = specification.table, columns_in(analysis.outcome, analysis.names)
    predictors = [n for n in analysis.names if n in table.variables and n not in outcome]
    latest_first = sorted(predictors, key=list(table.variables).index, reverse=True)
    found: dict[str, Passive] = {}
    for name in latest_first:  # what is computed usually stands behind what it is computed from
        target = specification.targets.get(name)
        if not isinstance(target, Target):
            continue
        second = [
            n for n in table.variables
            if n != name and n not in outcome and n not in found
            and (n in predictors or not table.missing(n).any())
            and name not in computed_from(n, specification.targets)
        ]  # fmt: skip
        first = [n for n in second if n in predictors and _number(table, n)]
        known = np.flatnonzero(~table.missing(name))
        look = known[:: max(1, len(known) // FIRST_LOOK)]
        for _, inputs in _readings(table, look, name, first, second):
            everywhere = _readings(table, known, name, inputs[:1], inputs)
            expression = next((text for text, read in everywhere if read == inputs), None)
            if expression is not None:
                found[name] = Passive(name, expression, inputs)
                yield name, found[name]
                break


def _readings(
    table: Table, rows: np.ndarray, name: str, first: Sequence[str], second: Sequence[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Functions of one column or of two that a column is in some rows, and their columns."""
    values = {n: table.values[n][rows] for n in {name, *first, *second}}
    wanted = values[name]
    for a in first:
        if steps := _steps(wanted, a, values[a]):
            yield steps, (a,)
    if not _number(table, name):
        return
    for a in first:
        for expression, curve in _curves(a, values[a]).items():
            if given(wanted, [values[a]], [curve], EXACT, MARGIN):
                yield expression, (a,)
    for a, b in every(first, second):
        if a == b:
            continue
        if _number(table, b):
            lines, products = [values[a], values[b]], [values[a] * values[b]]
        else:
            indicators = _indicators(table, b, values[b])
            lines, products = [values[a], *indicators], [values[a] * each for each in indicators]
        if products and given(wanted, lines, products, EXACT, MARGIN):
            yield f"{quoted(a)} * {quoted(b)}", (a, b)
        elif _number(table, b) and (text := _powers(wanted, {n: values[n] for n in (a, b)})):
            yield text, (a, b)


def _steps(wanted: np.ndarray, name: str, values: np.ndarray) -> str:
    """Categories that a column of numbers was cut into, as sum of steps; empty for none."""
    known = np.isfinite(values) & np.isfinite(wanted)
    levels, sizes = np.unique(wanted[known], return_counts=True)
    few = not 2 <= len(levels) <= MOST_LEVELS or sizes.min() < EACH
    if few or len(np.unique(values[known])) <= 2 * MOST_LEVELS:
        return ""
    parts = [values[known & (wanted == level)] for level in levels]
    ranges = sorted((part.min(), part.max()) for part in parts)
    pairs = [(below[1], above[0]) for below, above in pairwise(ranges)]
    if any(top >= bottom for top, bottom in pairs):
        return ""
    return " + ".join(f"({quoted(name)} > {(top + bottom) / 2:.6g})" for top, bottom in pairs)


def _number(table: Table, name: str) -> bool:
    return table.variables[name].kind is Kind.NUMERIC


def _curves(name: str, values: np.ndarray) -> Mapping[str, np.ndarray]:
    """Functions of one column that are often put into data."""
    column = quoted(name)
    seen = values[~np.isnan(values)]
    curves = {f"{column} ** {k}": values**k for k in (2, 3)}
    with np.errstate(all="ignore"):
        if seen.size and np.abs(seen).max() < 500:
            curves[f"exp({column})"] = np.exp(values)
        if seen.size and seen.min() > 0:
            curves[f"log({column})"] = np.log(values)
        if seen.size and seen.min() >= 0:
            curves[f"sqrt({column})"] = np.sqrt(values)
        if seen.size and np.abs(seen).min() > 0:
            curves[f"1 / {column}"] = 1 / values
    return curves


def _indicators(table: Table, name: str, codes: np.ndarray) -> Columns:
    """Columns of 0 and 1 for a category; none where there are too many to look at."""
    variable = table.variables[name]
    levels = np.unique(codes[~np.isnan(codes)])
    if not 2 <= len(variable.categories) <= MOST_LEVELS or variable.kind is Kind.OTHER:
        return []
    return [np.where(np.isnan(codes), np.nan, codes == level) for level in levels[1:]]


def _powers(wanted: np.ndarray, factors: Mapping[str, np.ndarray]) -> str:
    """Product of powers of two columns, such as a ratio, that a column is; empty for none."""
    columns = [wanted, *factors.values()]
    if any(np.isnan(values).all() or np.nanmin(values) <= 0 for values in columns):
        return ""
    logs = [np.log(values) for values in columns]
    own = given(logs[0], [], logs[1:], EXACT, MARGIN)
    if not own or given(wanted, [], columns[1:], EXACT, MARGIN):
        return ""
    known = np.isfinite(np.column_stack(logs)).all(axis=1)
    design = np.column_stack([np.ones(known.sum()), *(each[known] for each in logs[1:])])
    exponents = np.linalg.lstsq(design, logs[0][known], rcond=None)[0][1:].round(2)
    raised = zip(factors, exponents, strict=True)
    return " * ".join(quoted(n) if k == 1 else f"{quoted(n)} ** {k:g}" for n, k in raised if k)


def is_exactly(specification: Specification, held: Passive) -> bool:
    """Whether a column is what an expression gives, and not only up to shift and scale."""
    table = specification.table
    if not _number(table, held.name):
        return False
    computed = evaluated(held.expression, numeric_columns(table))
    if computed is None:  # a product with a category
        return False
    both = np.isfinite(computed) & np.isfinite(table.values[held.name])
    return np.allclose(computed[both], table.values[held.name][both], rtol=1e-3)


def unknown_names(analysis: Analysis, specification: Specification) -> Iterator[Finding]:
    """Names of the formula that are no column."""
    for name in analysis.names:
        if name not in specification.table.variables and name.startswith("latent_mean("):
            wanted = analysis.formula.replace(quoted(name), name)
            cluster = specification.cluster
            given = "" if cluster is None else f"cluster={cluster!r}, "
            yield Finding(
                "error",
                name,
                "a latent mean that is not imputed",
                f"{name!r} is in the formula and has no values.",
                "No chained equation has the mean that the values of a cluster are around; it is "
                "imputed as a variable of clusters by the analysis (Lüdtke et al. 2008, Psychol "
                "Methods 13: 203).",
                f"imp = bi.impute(df, {given}analysis={wanted!r})",
            )
        elif name not in specification.table.variables:
            yield Finding(
                "error",
                name,
                "not in the imputed data",
                f"{name!r} is in the formula and no column of the data.",
                "What the imputation models have not seen is unrelated to what they impute.",
                f"Add {name!r} to the data before bi.impute; if it is computed from incomplete "
                "columns, with a method that says how, such as '~ I(weight / height**2)'.",
            )


def left_missing(analysis: Analysis, specification: Specification) -> Iterator[Finding]:
    """Incomplete columns of the analysis without a method."""
    table = specification.table
    for name in analysis.names:
        if name in table.variables and name not in specification.targets:
            missing = int(table.missing(name).sum())
            if missing:
                yield Finding(
                    "error",
                    name,
                    "incomplete and not imputed",
                    f"{missing:,} of {table.n_rows:,} values of {name!r} stay missing.",
                    "The analysis would lose these rows, imputed values of the others included.",
                    f"method[{name!r}] = {MATCHING!r}",
                )


def stale_means(analysis: Analysis, specification: Specification) -> Iterator[Finding]:
    """Columns that hold the cluster means of what was observed of an incomplete variable."""
    table = specification.table
    groups = dict.fromkeys(name for group in analysis.groups for name in group)
    for cluster in groups:
        if cluster not in table.variables or table.missing(cluster).any():
            continue
        clusters = table.clusters(cluster)
        for name in analysis.names:
            if name not in table.variables or table.variables[name].kind is not Kind.NUMERIC:
                continue
            values = table.values[name]
            if name in groups or not clusters.is_level2(values):
                continue
            for other, target in specification.targets.items():
                column = table.values[other]
                if (
                    other == name
                    or not isinstance(target, Target)
                    or table.variables[other].kind is not Kind.NUMERIC
                    or clusters.is_level2(column)
                ):
                    continue
                means = pd.Series(column).groupby(clusters.codes).transform("mean").to_numpy()
                both = np.isfinite(means) & np.isfinite(values)
                if both.sum() >= 3 and np.allclose(means[both], values[both], rtol=1e-9):
                    keyword = name if name.isidentifier() else "cluster_mean"
                    yield Finding(
                        "error",
                        name,
                        "cluster mean of the observed values only",
                        f"{name!r} is the mean of the observed {other!r} by {cluster!r}.",
                        "It ignores the imputed values, so that its coefficient is that of another "
                        "variable (Grund, Lüdtke & Robitzsch 2018, Organ Res Methods 21: 111).",
                        f"Leave {name!r} out of the data, write cluster_mean({other}) in formulas= "
                        f"(code 3 or 4), and compute it in each completed data set: "
                        f"imp.fit(lambda d: model(d.assign({keyword}="
                        f"d.groupby({cluster!r})[{other!r}].transform('mean'))))",
                    )


def row_by_row(model: ImputationModel, analysis: Analysis) -> Finding | None:
    """Find a variable of the analysis' clusters that gets one value a row."""
    for cluster in (name for group in analysis.groups for name in group):
        if (
            cluster in model.columns
            and model.target.level == 1
            and model.is_of_clusters(model.name, cluster)
        ):
            return Finding(
                "error",
                model.name,
                "a variable of clusters imputed row by row",
                f"{model.name!r} never varies within {cluster!r} where it is observed.",
                "Rows of one cluster get different values: its relations between clusters are "
                "drawn towards 0 and its standard error is too small.",
                f"method[{model.name!r}] = {MATCHING_OF_CLUSTERS!r}  # with cluster={cluster!r}",
            )
    return None


def without_clusters(model: ImputationModel, analysis: Analysis) -> Iterator[tuple[str, Finding]]:
    """Find groupings of the analysis that a model has no effects of.

    Yields
    ------
    cluster, finding
        Cluster to add to the model, ``""`` if none can be; the code that adds it is still to be
        put behind the finding's advice.
    """
    name, own = model.name, model.target.cluster
    groups = [kept for group in analysis.groups
              if (kept := [c for c in group if c in model.columns and c != name])]  # fmt: skip
    lacking = [group for group in groups if not any(model.clustered(c) for c in group)]
    for group in lacking:
        cluster = group[-1]
        if own in group:
            finding = Finding(
                "error",
                name,
                "no random intercept",
                f"The model of {name!r} has slopes by {own!r} and no intercept.",
                "Imputed rows of a cluster share no level.",
                "",
            )
            yield own, finding
        elif own is None and len(lacking) == len(groups) and group is lacking[0]:
            finding = Finding(
                "error",
                name,
                "clusters are ignored",
                f"The analysis has effects of {cluster!r}, the model of {name!r} has none.",
                "Imputed rows of a cluster share nothing: the variance between clusters and "
                "standard errors come out too small (Lüdtke, Robitzsch & Grund 2017, Psychol "
                "Methods 22: 141; Drechsler 2015, J Educ Behav Stat 40: 69).",
                f"bi.impute(..., cluster={cluster!r})  # for all models; or for this one\n",
            )
            yield cluster, finding
        else:
            finding = Finding(
                "warning",
                name,
                "a grouping of the analysis is not in its model",
                f"The model of {name!r} has clusters of {own or groups[0][-1]!r}, the analysis "
                f"also of {cluster!r}.",
                "Imputed rows of one of its clusters share nothing, and its variance comes out too "
                "small.",
                f"predictors.loc[{name!r}, {cluster!r}] = {int(Role.CLUSTER)}  # effects of "
                "several groupings",
            )
            yield "", finding
