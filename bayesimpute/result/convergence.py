"""Evidence that the chains of a run have converged, as numbers."""

import pandas as pd

from bayesimpute import diagnostics as evidence
from bayesimpute.arguments import CountOrNone, checked
from bayesimpute.engine.shares import labels_of
from bayesimpute.result.run import Run


@checked
def convergence(run: Run, parameter: str = "mean") -> pd.DataFrame:
    """Autocorrelation and potential scale reduction by variable and iteration, as mice has.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    parameter
        ``"mean"`` (default, as in mice) or ``"sd"`` of the imputed cells; ``"share"``: of the
        imputed cells in each category, a row ``variable[category]`` and iteration;
        ``"monitor"``: what ``monitor=`` of ``bi.impute`` follows; ``"all"``: all of these.
    """
    history, variables = run.history, run.specification.table.variables
    monitored = evidence.by_element(history.monitored, history.monitor_labels)
    labels = {name: labels_of(variables[name].categories) for name in history.chain_share}
    shares = evidence.by_element(history.chain_share, labels)
    return evidence.convergence(history.chain_mean, history.chain_sd, parameter, monitored, shares)


@checked
def diagnostics(run: Run, discard: CountOrNone = 0) -> pd.DataFrame:
    """R-hat, effective sample sizes, Monte Carlo errors and divergences of every quantity.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    discard
        First iterations to leave out; see `bayesimpute.diagnostics.diagnostics`.
    """
    return evidence.diagnostics(run.datatree, discard)
