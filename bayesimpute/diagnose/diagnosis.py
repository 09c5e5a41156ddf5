"""``imp.diagnose()``: every check in turn, and a sentence on what was checked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bayesimpute.diagnose import (
    chains,
    empty_clusters,
    loops,
    models,
    precision,
    run_events,
    values,
)
from bayesimpute.diagnose.analyses import uncongenial
from bayesimpute.diagnose.run import Run
from bayesimpute.diagnostics import FEWEST_DRAWS
from bayesimpute.errors import SpecificationError
from bayesimpute.findings import Findings

if TYPE_CHECKING:
    from bayesimpute.result.imputations import Imputations


def diagnose(
    imputations: "Imputations", fits: Any = None, r_hat: float = 1.05, ess: float | None = None
) -> Findings:
    """Find what is wrong with a run; see :meth:`bayesimpute.Imputations.diagnose`."""
    if not r_hat > 1:
        raise SpecificationError(f"r_hat={r_hat!r} must be a number above 1, such as 1.05.")
    if ess is not None and not ess > 0:
        raise SpecificationError(f"ess={ess!r} must be a number above 0, or None.")
    analyses = [] if fits is None else list(fits) if isinstance(fits, list | tuple) else [fits]
    for each in analyses:
        if not (hasattr(each, "table") or hasattr(each, "pool")):
            raise SpecificationError(
                f"fits must be an analysis, such as imp.fit('y ~ x') or pooled, or a list of "
                f"these, not {type(each).__name__}."
            )
    run = Run(imputations.specification, imputations.history, imputations.datatree)
    found = [
        *chains.too_short(run),
        *chains.mixing(run, r_hat, ess),
        *chains.drift(run),
        *chains.frozen(run),
        *loops.circles(run),
        *loops.twins(run),
        *models.divergences(run),
        *run_events.events(run),
        *models.collinearity(run),
        *models.separation(run),
        *models.few_clusters(run),
        *models.prior_driven_selection(run),
        *models.nearly_empty(run),
        *values.constant(run),
        *values.out_of_range(run),
        *values.piled_up(run),
        *values.donors(run),
        *empty_clusters.few_donors(run),
        *empty_clusters.far_out(run),
        *uncongenial(run, analyses),
        *precision.enough_imputations(run, analyses),
    ]
    return Findings.of(found, _checked(run, analyses))


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def _checked(run: Run, fits: Sequence[Any]) -> str:
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
