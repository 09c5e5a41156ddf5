"""Cells of one imputation put into the user's frame."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayesimpute.method import Array
from bayesimpute.specification.specification import Specification


def completed_frame(specification: Specification, imputed: Mapping[str, Array]) -> pd.DataFrame:
    """Give the user's frame with the cells of ``specification.where`` filled in.

    Parameters
    ----------
    specification
        Of the run.
    imputed
        Target -> (n_where,) values of its cells, category codes for categories.

    Returns
    -------
    pandas.DataFrame
        Rows, index, columns, dtypes and categories as in the user's frame. A new frame, free to
        be changed.
    """
    table = specification.table
    frame = table.frame.copy()
    for name, drawn in imputed.items():
        values = np.array(table.values[name], dtype=np.float64)
        values[specification.where[name]] = drawn
        frame[name] = table.decode(name, values)
    return frame
