"""Where chains of one joint distribution start: at the values of rows that are most alike.

A random value has nothing to do with what it predicts. Chains of an analysis would have to find the
relation again against all their missing values, which takes them ten iterations and more where it
is a curve: a value borrowed from a row with nearly the same outcome and other predictors has it.
"""

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.method import Array
from bayesimpute.specification.joint_order import sources_of
from bayesimpute.specification.specification import Specification, Target

#: Rows of which one is borrowed from: few, so that they are alike; several, so that chains differ.
DONORS = 5


def borrowed(specification: Specification, name: str, rng: np.random.Generator) -> Array | None:
    """Borrow a value for each live cell from one of the rows that are most alike in what is known.

    Parameters
    ----------
    specification
        Of one joint distribution.
    name
        A variable with live cells.
    rng
        Of the chain.

    Returns
    -------
    numpy.ndarray or None
        (live row,); None where there is nothing to compare rows by, or nothing to borrow.
    """
    from scipy.spatial import KDTree

    target, table = specification.targets[name], specification.table
    assert isinstance(target, Target)
    column, live = specification.known[name], specification.live_rows(name)
    rows = np.flatnonzero(live)
    seen = np.flatnonzero(~np.isnan(column) & ~specification.ignore)
    features = _features(specification, name)
    if not seen.size or not features.shape[1]:
        return None
    if target.level == 2 and target.cluster is not None:
        codes = table.clusters(target.cluster).codes
        features = np.column_stack([np.bincount(codes, each) for each in features.T])
        features /= np.bincount(codes)[:, None]
        seen = seen[np.unique(codes[seen], return_index=True)[1]]
        wanted, back = np.unique(codes[rows], return_inverse=True)
        donors = codes[seen]
    else:
        wanted, back, donors = rows, np.arange(rows.size), seen
    count = min(DONORS, seen.size)
    near = KDTree(features[donors]).query(features[wanted], k=range(1, count + 1))[1]
    chosen = near[np.arange(wanted.size), rng.integers(count, size=wanted.size)]
    return np.asarray(column[seen[chosen]][back])


def _features(specification: Specification, name: str) -> Array:
    """Columns by which rows are compared, (row, feature): all that share a model with a variable.

    Numbers in SDs, categories as indicators; a missing value is at the mean.
    """
    targets, table = specification.targets, specification.table
    models = {key: each for key, each in targets.items() if isinstance(each, Target)}
    related = sources_of(models[name], targets, table.variables)
    for other, model in models.items():
        sources = sources_of(model, targets, table.variables)
        if name in sources:
            related |= {other, *sources}
    related -= {name, *(model.cluster for model in models.values() if model.cluster)}
    blocks = []
    for other, variable in table.variables.items():
        column = specification.known[other]
        known = ~np.isnan(column)
        if other not in related or variable.kind is Kind.OTHER or not known.any():
            continue
        if variable.kind is Kind.NUMERIC:
            block = column[:, None] / (column[known].std() or 1.0)
        else:
            block = (column[:, None] == np.arange(len(variable.categories))).astype(float)
        mean = block[known].mean(axis=0)
        blocks.append(np.where(known[:, None], block - mean, 0.0))
    return np.hstack(blocks) if blocks else np.empty((table.n_rows, 0))
