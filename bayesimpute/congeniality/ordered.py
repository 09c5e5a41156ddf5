"""Categories as predictors: where their models cannot follow the analysis.

Given a normal outcome whose mean differs between the categories of x, x follows a softmax with a
slope a category. A cumulative model, or donors by one score, has one slope, and is as good only as
long as the means go up, or down, from category to category.
"""

import numpy as np

from bayesimpute.congeniality.imputation_model import ImputationModel
from bayesimpute.congeniality.predictor_terms import PredictorTerms
from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.specification.expressions import evaluate
from bayesimpute.wrappers.base import declared

#: Standard errors by which two means have to differ to be called different.
CLEARLY = 4.0
#: Observed values a category needs to have a mean.
FEWEST = 10


def has_one_slope(model: ImputationModel) -> bool:
    """Whether a model of more than two categories has one slope for all of them."""
    kind = model.specification.table.variables[model.name].kind
    return kind in declared(model.target.method, "one_slope", ())


def clearly_out_of_order(read: PredictorTerms) -> bool:
    """Whether observed means of the outcome go up and down over the categories of x, not by chance.

    Parameters
    ----------
    read
        Terms of the analysis, with the model of x.
    """
    table, name = read.model.specification.table, read.model.name
    ordered = table.variables[name].kind is Kind.ORDINAL
    if not (ordered and has_one_slope(read.model)):
        return False
    numbers = {n: v for n, v in table.values.items() if table.variables[n].kind is Kind.NUMERIC}
    try:
        outcome = np.asarray(evaluate(read.analysis.outcome, numbers), dtype=float)
    except SpecificationError:  # a category, or a function that formulas do not know
        return False
    known = np.isfinite(outcome) & ~np.isnan(table.values[name])
    groups = [outcome[known & (table.values[name] == code)]
              for code in np.unique(table.values[name][known])]  # fmt: skip
    groups = [values for values in groups if len(values) >= FEWEST]
    if len(groups) < 3:
        return False
    means = np.array([values.mean() for values in groups])
    variances = np.array([values.var(ddof=1) / len(values) for values in groups])
    rises = (means - means[:, None]) / np.sqrt(variances + variances[:, None])
    above = np.triu_indices(len(groups), 1)
    return bool(rises[above].max() > CLEARLY and rises[above].min() < -CLEARLY)
