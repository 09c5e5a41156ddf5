"""Columns of a model's rows at values of which some are symbols of PyTensor.

They are those of :class:`~bayesimpute.design.DesignBuilder`, and follow it term by term.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.design import DesignBuilder
from bayesimpute.sampling.textbook import Columns
from bayesimpute.specification.expressions import evaluate, evaluate_symbols, names_in
from bayesimpute.specification.joint_order import sources_of
from bayesimpute.specification.specification import Passive, Specification, Term

Positions = npt.NDArray[np.int64]
#: Variable -> (row,) of the data: numbers, or a PyTensor vector.
Values = Mapping[str, Any]


def is_symbol(values: Any) -> bool:
    """Whether values are a symbol, and no numbers."""
    return not isinstance(values, np.ndarray)


def columns_of(
    specification: Specification,
    builder: DesignBuilder,
    values: Values,
    rows: Positions,
    averaged: Values | None = None,
) -> Columns:
    """Give the columns of chosen rows of a model's design.

    Parameters
    ----------
    specification
        Of the run.
    builder
        Of the model.
    values
        Of all rows of the data.
    rows
        Positions in the design: rows of the data, or clusters for a level-2 target.
    averaged
        Values that means of clusters are taken of, where these are others.
    """
    target, clusters = builder.target, builder.clusters
    level2 = target.level == 2 and clusters is not None
    means = any(term.cluster_mean for term in target.terms) and clusters is not None
    whole = level2 or means
    chosen = np.arange(len(builder.table.rows)) if whole else rows
    needed = sources_of(target, specification.targets)
    given = _with_passive(specification, values, needed, chosen)
    other = given
    if averaged is not None and whole:
        other = _with_passive(specification, averaged, needed, chosen)
    x: list[Any] = []
    z: list[Any] = [] if level2 or clusters is None else [_intercepts(builder, len(chosen))]
    in_mean: list[Any] = []
    for term in target.terms:
        block = _block(builder, term, other if level2 else given, len(chosen))
        if term.fixed:
            x.append(block)
        if term.random and not level2:
            z.append(block)
        if term.cluster_mean and not level2 and clusters is not None:
            in_mean.append(
                _means(builder, _block(builder, term, other, len(chosen)))[clusters.codes]
            )
    if level2:
        fixed = _beside(x, len(chosen))
        at = np.zeros(len(rows), dtype=np.int64)
        return Columns(_means(builder, fixed)[rows], np.empty((len(rows), 0)), at)
    cluster = np.zeros(len(chosen), dtype=np.int64)
    if clusters is not None:
        cluster = clusters.codes[chosen]
    blocks = (_beside([*x, *in_mean], len(chosen)), _beside(z, len(chosen)), cluster)
    return Columns(*(block[rows] if whole else block for block in blocks))


def _intercepts(builder: DesignBuilder, rows: int) -> Any:
    """Column of ones of the random intercept, if there is one."""
    return np.ones((rows, int(builder.target.random_intercept)))


def _with_passive(
    specification: Specification, values: Values, needed: set[str], rows: Positions
) -> dict[str, Any]:
    """Take rows of the columns needed, passive ones computed from the others."""
    given = {name: column[rows] for name, column in values.items() if name in needed}
    for name in specification.passive_order:
        passive = specification.targets[name]
        if name in given and isinstance(passive, Passive):
            inputs = {one: given[one] for one in names_in(passive.expression)}
            given[name] = _computed(passive.expression, inputs, specification.known[name][rows])
    return given


def _computed(expression: str, inputs: Mapping[str, Any], known: Any) -> Any:
    """Value of a passive variable: as it is known, or computed."""
    import pytensor.tensor as pt

    missing = np.isnan(known)
    if any(map(is_symbol, inputs.values())):
        return pt.where(missing, evaluate_symbols(expression, inputs), np.nan_to_num(known))
    return np.where(missing, evaluate(expression, inputs), known)


def _block(builder: DesignBuilder, term: Term, values: Values, rows: int) -> Any:
    """Columns of one term, (row, column)."""
    import pytensor.tensor as pt

    own = {name: values[name] for name in term.columns if name in values}
    if not any(map(is_symbol, own.values())):
        return builder.columns(term, own)[1]
    block: Any = np.ones((rows, 1))
    for factor in term.factors:
        if factor in builder.levels:
            codes = builder.levels[factor][1:]
            part = np.column_stack([values[factor] == code for code in codes]).astype(float)
        else:
            part = evaluate_symbols(factor, own)[:, None]
        block = pt.as_tensor_variable(block)[:, :, None] * part[:, None, :]
        block = block.reshape((rows, block.shape[1] * block.shape[2]))
    return block


def _means(builder: DesignBuilder, block: Any) -> Any:
    """Mean of each column by cluster, (cluster, column)."""
    import pytensor.tensor as pt

    clusters = builder.clusters
    assert clusters is not None
    block = pt.as_tensor_variable(block)
    total = pt.zeros((clusters.n, block.shape[1]))
    return pt.inc_subtensor(total[clusters.codes], block) / clusters.sizes[:, None]


def _beside(blocks: list[Any], rows: int) -> Any:
    """Columns side by side: numbers if all are."""
    import pytensor.tensor as pt

    if not any(map(is_symbol, blocks)):
        return np.hstack(blocks) if blocks else np.empty((rows, 0))
    return pt.concatenate([pt.as_tensor_variable(block) for block in blocks], axis=1)
