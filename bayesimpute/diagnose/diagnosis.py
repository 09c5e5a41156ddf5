"""``imp.diagnose()``: every check in turn, and a sentence on what was checked."""

from collections.abc import Sequence
from typing import Annotated, Any

from bayesimpute.arguments import Positive, Within, checked
from bayesimpute.diagnose import (
    chains,
    models,
    run_events,
    values,
)
from bayesimpute.diagnose.analyses import enough_imputations, uncongenial
from bayesimpute.diagnose.examined import Examined
from bayesimpute.diagnostics import FEWEST_DRAWS
from bayesimpute.errors import SpecificationError
from bayesimpute.findings import Finding, Findings
from bayesimpute.result.restored import made_elsewhere, without_models
from bayesimpute.result.run import Run

type AboveOne = Annotated[float, Within(1, low_open=True)]


@checked
def diagnose(
    run: Run, fits: Any = None, r_hat: AboveOne = 1.05, ess: Positive | None = None
) -> Findings:
    """Find what is wrong with this run, why, and what to change, in plain words.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    fits
        An analysis, of `fit` (or pooled), or a list of them: is m enough for its fraction of
        missing information, and do the imputation models hold what its formula asks for?
        Without any the share of missing values stands in.
    r_hat
        R-hat to be reached; default 1.05. What chance and the autocorrelation of chains that
        have met explain in a run as short is no finding.
    ess
        Effective sample size of every quantity to be reached, over all chains. Default none:
        imputations are the last states of independent chains and need no more than that their
        start is forgotten. Give 400 to use the draws of the parameters themselves.

    Returns
    -------
    Findings
        A DataFrame, a row a finding, the worst first: ``severity`` (``"error"``,
        ``"warning"``, ``"info"``), ``variable``, ``finding``, ``evidence`` (numbers),
        ``cause``, ``advice`` (code where possible, with how many more iterations where these
        help), ``about`` (whether ``variable`` names a ``"variable"`` of the data or a ``"term"`` of
        an analysis; empty, of the ``"run"``). Empty, and saying what was checked, if nothing is
        wrong. Its text is ``as_text()``.

    Raises
    ------
    SpecificationError
        `r_hat` or `ess` is no such number.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80)
    >>> imp = bi.impute(study.incomplete, method="sample", m=2, iterations=2, seed=1)
    >>> imp.diagnose().query("severity == 'warning'")["finding"].tolist()
    ['too few iterations to tell']
    """
    analyses = [] if fits is None else list(fits) if isinstance(fits, list | tuple) else [fits]
    for each in analyses:
        if not (hasattr(each, "table") or hasattr(each, "pool")):
            raise SpecificationError(
                f"fits must be an analysis, such as imp.fit('y ~ x') or pooled, or a list of "
                f"these, not {type(each).__name__}."
            )
    examined = Examined.of(run)
    if without_models(run.specification):
        return Findings.of(
            [
                _ELSEWHERE if made_elsewhere(run.specification) else _DERIVED,
                *values.constant(examined),
                *values.out_of_range(examined),
                *values.piled_up(examined),
                *enough_imputations(examined, analyses),
            ],
            "Checked: range and spread of the imputed values, and m; nothing of models and chains.",
        )
    found = [
        *chains.too_short(examined),
        *chains.mixing(examined, r_hat, ess),
        *chains.drift(examined),
        *chains.frozen(examined),
        *models.circles(examined),
        *models.twins(examined),
        *models.divergences(examined),
        *run_events.events(examined),
        *models.collinearity(examined),
        *models.separation(examined),
        *models.few_clusters(examined),
        *models.prior_driven_selection(examined),
        *models.nearly_empty(examined),
        *values.constant(examined),
        *values.out_of_range(examined),
        *values.piled_up(examined),
        *values.donors(examined),
        *values.few_donors(examined),
        *values.far_out(examined),
        *uncongenial(examined, analyses),
        *enough_imputations(examined, analyses),
    ]
    return Findings.of(found, _checked(examined, analyses))


_ELSEWHERE = Finding(
    "info", "", "imputed elsewhere",
    "bi.from_completed took the values in.",
    "How they were made, and whether it had converged, cannot be seen from here.",
    "Look at what the program that made them says; bi.impute(...) imputes and checks here.",
)  # fmt: skip


_DERIVED = Finding(
    "info", "", "columns or rows of a run",
    "assign() or query() made these imputations.",
    "Models and chains are those of the run, with other columns or rows.",
    "imp.diagnose() of the run itself.",
)  # fmt: skip


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def _checked(run: Examined, fits: Sequence[Any]) -> str:
    kept = run.iterations - run.discard
    chain = (
        f"R-hat, ESS, memory of the start and drift of {len(run.quantities)} quantities over "
        f"iterations {run.discard + 1}–{run.iterations} of {run.m} chains"
        if kept >= FEWEST_DRAWS and run.m > 1
        else f"nothing of how the chains mix ({_counted(run.m, 'chain')} of "
        f"{_counted(run.iterations, 'iteration')})"
    )
    variables = len(run.specification.targets)
    amount = "the share of missing values"
    if fits:
        amount = "the analysis given" if len(fits) == 1 else f"the {len(fits)} analyses given"
        amount += ", and what its formula asks of the models"
    return (
        f"Checked: {chain}; divergences and {_counted(len(run.history.events), 'event')}; "
        "predictors (collinearity, loops, separation), clusters, donors and identification of "
        f"{_counted(len(run.targets), 'model')}; range and spread of the imputed values of "
        f"{_counted(variables, 'variable')}; m = {run.m} against {amount}."
    )
