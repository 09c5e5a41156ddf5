"""Passive variables: computed anew where what they are made of has changed."""

from collections.abc import Iterable

import numpy as np

from bayesimpute.errors import SamplingError
from bayesimpute.method import Array
from bayesimpute.specification.expressions import evaluate
from bayesimpute.specification.specification import Passive, Specification


def update_passive(
    specification: Specification, values: dict[str, Array], changed: Iterable[str]
) -> list[str]:
    """Re-evaluate passive variables that depend on `changed`; returns those re-evaluated.

    Raises
    ------
    SamplingError
        If an expression gives a value that is not finite.
    """
    stale = set(changed)
    updated = []
    for name in specification.passive_order:
        passive = specification.targets[name]
        assert isinstance(passive, Passive)
        if stale.isdisjoint(passive.inputs):
            continue
        column = specification.known[name]
        cells = np.isnan(column)
        result = np.broadcast_to(evaluate(passive.expression, values), column.shape)
        bad = cells & ~np.isfinite(result)
        if bad.any():
            row = specification.table.frame.index[specification.table.rows[bad.argmax()]]
            raise SamplingError(
                f"passive variable {name!r}: {passive.expression} is not a finite number in row "
                f"{row!r}; keep its inputs in range with post=, or impute {name!r} by a model."
            )
        values[name] = np.where(cells, result, column)
        stale.add(name)
        updated.append(name)
    return updated
