"""The models of a run held against an analysis of its completed data."""

from bayesimpute.arguments import checked
from bayesimpute.congeniality.check import check
from bayesimpute.findings import Findings
from bayesimpute.result.restored import require_callables
from bayesimpute.result.run import Run


@checked
def congenial(run: Run, formula: str) -> Findings:
    """List what an analysis asks for and the imputation models do not hold.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    formula
        The analysis, as for `fit`; ``cluster_mean(x)`` is the cluster mean of x.

    Returns
    -------
    Findings
        As `bayesimpute.congenial` gives it; empty if the models hold all.
    """
    require_callables(run.specification)
    return check(formula, run.specification)
