"""How often each category is imputed: what a chain records of a variable without a mean."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesimpute.method import Array


def shares_of(codes: Array, categories: int) -> Array:
    """Share of the cells in each category.

    Parameters
    ----------
    codes
        (cell,) category codes 0, 1, … as floats. What is no code (of a user's ``post``; refused
        when the data are completed) counts in no category.
    categories
        Number of categories, those never imputed among them.

    Returns
    -------
    ndarray (category,)
        NaN if there is no cell.

    Examples
    --------
    >>> shares_of(np.array([2.0, 0.0, 2.0, 2.0]), 3).tolist()
    [0.25, 0.0, 0.75]
    """
    if not codes.size:
        return np.full(categories, np.nan)
    inside = codes[(codes >= 0) & (codes < categories)]
    whole = inside.astype(np.int64)
    return np.bincount(whole[whole == inside], minlength=categories) / codes.size


def labels_of(categories: Sequence[Any]) -> tuple[str, ...]:
    """Text of each category, by which its share is named; distinct also for 1 and ``"1"``.

    Examples
    --------
    >>> labels_of([False, True]), labels_of([1, "1"])
    (('False', 'True'), ('1', "'1'"))
    """
    texts = tuple(str(label) for label in categories)
    return texts if len(set(texts)) == len(texts) else tuple(repr(label) for label in categories)
