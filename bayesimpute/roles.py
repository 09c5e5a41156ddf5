"""The codes of the predictor matrix, equal to the integers mice, miceadds and micemd use."""

from enum import IntEnum


class Role(IntEnum):
    """What a column does in the conditional model of a row's target.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> bi.Role(2).name
    'RANDOM'
    """

    OUTCOME_ONLY = -4
    SELECTION_ONLY = -3
    CLUSTER = -2
    NONE = 0
    FIXED = 1
    RANDOM = 2
    FIXED_WITH_MEAN = 3
    RANDOM_WITH_MEAN = 4
