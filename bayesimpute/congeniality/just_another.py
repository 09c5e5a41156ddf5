"""Columns that hold a product or function of others and are imputed as variables of their own.

"Just another variable": the imputed product is then not the product of what was imputed. With
values missing at random that is biased (Seaman, Bartlett & White 2012), however good the models of
all columns are, so that such a column is read as what it holds, not as one more predictor.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from itertools import product as every

import numpy as np

from bayesimpute.congeniality.analysis_formula import Analysis, columns_in
from bayesimpute.congeniality.imputation_model import given
from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.findings import Finding
from bayesimpute.specification.expressions import evaluate, quoted
from bayesimpute.specification.specification import Passive, Specification, Target, computed_from

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
    numbers = {n: values for n, values in table.values.items() if _number(table, n)}
    try:
        computed = np.asarray(evaluate(held.expression, numbers), dtype=float)
    except SpecificationError:  # a product with a category
        return False
    both = np.isfinite(computed) & np.isfinite(table.values[held.name])
    return np.allclose(computed[both], table.values[held.name][both], rtol=1e-3)
