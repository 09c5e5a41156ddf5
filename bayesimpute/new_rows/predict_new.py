"""``imp.predict_new(df, fits)``: an analysis asked of rows never seen, gaps and all."""

from typing import Literal

import pandas as pd

from bayesimpute.analysis import Fits
from bayesimpute.arguments import Level, Positive, Seed, checked
from bayesimpute.errors import AnalysisError
from bayesimpute.new_rows.impute_new import impute_new
from bayesimpute.pooling.rubin import Rule
from bayesimpute.result.run import Run


@checked
def predict_new(
    run: Run,
    df: pd.DataFrame,
    fits: Fits,
    ci_prob: Level = 0.95,
    level: Literal["mean", "observation"] = "mean",
    *,
    scale: Literal["response", "link"] = "response",
    dfcom: Positive | None = None,
    rule: Rule = "rubin1987",
    seed: Seed | None = None,
) -> pd.DataFrame:
    """Impute new rows, predict them by the fit of each imputation, and pool row by row.

    As mice's ``predict_mi``, with gaps in the new rows too: what is not known of a row widens its
    interval, as the variance between imputations.

    Parameters
    ----------
    df
        New rows, as for `impute_new`.
    fits
        ``imp.fit(formula)`` of these imputations, in their order.
    ci_prob, level, scale, dfcom, rule
        Of ``fits.predict``.
    seed
        Of `impute_new`.

    Returns
    -------
    pandas.DataFrame
        Index of `df`; estimate, std_error, df, conf_low, conf_high, fmi.

    Raises
    ------
    AnalysisError
        If there are not as many fits as imputations, or a row cannot be predicted.
    DataError
        If a row cannot be imputed.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=100)
    >>> seen, new = study.incomplete.iloc[:900], study.incomplete.iloc[900:]
    >>> imp = bi.impute(seen, cluster="school", m=2, iterations=2, seed=1, progress=False)
    >>> imp.predict_new(new, imp.fit("teachpop ~ popular + sex")).shape
    (100, 6)
    """
    if len(fits) != run.m:
        raise AnalysisError(
            f"predict_new: {len(fits)} fits and {run.m} imputations; give imp.fit(formula) of the "
            "same imputations."
        )
    completed = impute_new(run, df, seed)
    return fits.predict(completed, ci_prob, level, scale=scale, dfcom=dfcom, rule=rule)
