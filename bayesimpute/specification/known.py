"""Missing cells that follow from known ones."""

from collections.abc import Mapping, Sequence

import numpy as np

from bayesimpute.specification.expressions import evaluate


def fill_known(
    values: Mapping[str, np.ndarray], expressions: Mapping[str, Sequence[str]]
) -> Mapping[str, np.ndarray]:
    """Fill cells that expressions give, until nothing more follows.

    Parameters
    ----------
    values
        Variable -> (row,), NaN where missing; not written to.
    expressions
        Variable -> what gives it where its inputs are known.

    Returns
    -------
    dict
        The columns, the same arrays where nothing follows.

    Examples
    --------
    >>> import numpy as np
    >>> columns = {"kg": np.array([np.nan, 2.0]), "g": np.array([1000.0, np.nan])}
    >>> fill_known(columns, {"kg": ("g / 1000",)})["kg"].tolist()
    [1.0, 2.0]
    """
    filled = dict(values)
    more = bool(expressions)
    while more:
        more = False
        for name, texts in expressions.items():
            for text in texts:
                gaps = np.isnan(filled[name])
                if not gaps.any():
                    break
                result = evaluate(text, filled)
                follows = gaps & np.isfinite(result)
                if follows.any():
                    filled[name] = np.where(follows, result, filled[name])
                    more = True
    return filled
