"""``imp.impute_new(df)``: rows never seen, completed by the models of a run."""

from dataclasses import replace

import numpy as np
import pandas as pd

from bayesimpute.arguments import Seed, checked
from bayesimpute.interchange import Frame, given, taken
from bayesimpute.new_rows.frame import Rows, read
from bayesimpute.new_rows.learnt import Learnt, learn
from bayesimpute.new_rows.sweeps import Completed, complete
from bayesimpute.result.run import Run

#: Where a run keeps what was learnt: an attribute of the object, so that it goes with it.
_KEPT = "_learnt"


def learnt_of(run: Run) -> Learnt:
    """Give what a run has learnt; worked out at the first call, and kept with the run."""
    held: Learnt | None = vars(run).get(_KEPT)
    if held is None:
        held = vars(run)[_KEPT] = learn(run)
    return held


@checked
def impute_new(run: Run, df: Frame, seed: Seed | None = None) -> list[pd.DataFrame]:
    """Impute rows that the models have never seen, without fitting anything again.

    Each imputation uses the parameters and cluster effects that its chain has ended with, so the m
    frames differ by what is not known of the models as much as by what is not known of the rows.
    Nothing is learnt from the new rows. A row of a cluster that was in the data has the effects of
    that cluster; effects of a new cluster are drawn from the population, and its cluster means are
    those of the new rows.

    The first call takes the models out of the chains, which takes about as long as an iteration;
    further ones take milliseconds. What is needed is in the file that ``imp.to_netcdf`` writes.

    Parameters
    ----------
    df
        Rows with the columns that the imputations were made with. Columns to impute may lack
        altogether, such as the outcome of patients of today; further columns stay as they are.
    seed
        Whole number from 0; the same rows and seed give the same values, before and after
        ``bi.open``. Default, the seed of the run.

    Returns
    -------
    list of pandas.DataFrame
        m completed frames; rows, index and columns of `df`, then columns to impute that it lacked.
        Of polars, or Arrow tables, if `df` is such a one.

    Raises
    ------
    DataError
        If a value is missing that cannot be imputed: in a column that had no gaps when the
        imputations were made, hence has no model, and is read by one; if a category was not
        observed then; if a column lacks. Or if a model cannot be asked of a new cluster: fixed
        effects, and plain PyMC models of your own.
    SpecificationError
        If the result was opened from a file and used callables that were not given again to
        ``bi.open``.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=100)
    >>> seen, new = study.incomplete.iloc[:900], study.incomplete.iloc[900:]
    >>> imp = bi.impute(seen, cluster="school", m=2, iterations=2, seed=1, progress=False)
    >>> completed = imp.impute_new(new)
    >>> len(completed), int(completed[0].isna().sum().sum())
    (2, 0)
    """
    learnt = learnt_of(run)
    frame, origin = taken(df)
    new = read(frame, learnt)
    done = complete(learnt, new, run.seed if seed is None else int(seed))
    return [given(each, origin) for each in _frames(done, new, learnt.chains)]


def _frames(done: Completed, new: Rows, chains: int) -> list[pd.DataFrame]:
    """Put what was drawn into the user's rows, chain by chain."""
    n = len(new.rows)
    # what is missing of the rows, though it may be known of their clusters
    given = {name: np.tile(column, chains) for name, column in new.values.items()}
    table = replace(done.specification.table, values=given)
    whole = table.frame.copy()
    for name in done.specification.where:
        if name in given and np.isnan(given[name]).any():
            whole[name] = table.decode(name, done.values[name])
    return [whole.iloc[k * n : (k + 1) * n].copy() for k in range(chains)]
