"""``imp.diagnose()``: every check in turn, and a sentence on what was checked."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import pandas as pd

from bayesimpute.arguments import Positive, Within, checked
from bayesimpute.congeniality.check import findings_of
from bayesimpute.diagnose import chains, models, values
from bayesimpute.diagnose.examined import Examined, switched, with_role
from bayesimpute.diagnose.models import without
from bayesimpute.diagnostics import FEWEST_DRAWS
from bayesimpute.errors import SpecificationError
from bayesimpute.events import Event
from bayesimpute.findings import Finding, Findings
from bayesimpute.posterior.pooled import imputations_for
from bayesimpute.result.restored import assigned, made_elsewhere, without_models
from bayesimpute.result.run import Run
from bayesimpute.specification.aliases import LIKELIHOODS, MATCHING
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.wording import listed


def uncongenial(run: Examined, fits: Sequence[Any]) -> Iterator[Finding]:
    """Find what the formulas of analyses ask for and the models lack, each lack once.

    Pooled numbers and functions do not say what they ask for.
    """
    said = set()
    for formula in dict.fromkeys(getattr(each, "formula", None) for each in fits):
        for finding in findings_of(formula, run.specification):
            fact = (finding.variable, finding.finding, finding.evidence)
            if fact not in said:
                said.add(fact)
                yield replace(finding, evidence=f"{finding.evidence.rstrip('.')}: {formula}")


#: Monte-Carlo error of a standard error, as a share of it, that is taken to be enough.
WANTED = 0.1


def enough_imputations(run: Examined, fits: Sequence[Any]) -> Iterator[Finding]:
    """Compare m with what the fraction of missing information needs.

    Parameters
    ----------
    run
        The run.
    fits
        Analyses, pooled or not; without any the share of missing values stands in.
    """
    if run.m < 2:
        return
    if not fits:
        table = run.specification.table
        computed = assigned(run.specification)
        names = [n for n in run.targets if n not in computed and not mean_of(n, table)]
        shares = {name: _share_imputed(run, name) for name in names}
        name = max(names, key=lambda each: shares[each], default="")
        share = shares[name] if name else 0.0
        needed = int(imputations_for(share, WANTED)) if name else 0
        if run.m < needed:
            yield Finding(
                "info", name, "few imputations",
                f"m = {run.m}; {100 * share:.0f} % of {name!r} is imputed. If that is the "
                f"missing information of the analysis, {needed} keep the Monte-Carlo error of a "
                f"standard error below {100 * WANTED:.0f} %.",
                "Standard errors and p values change from one seed to the next.",
                f"{run.with_imputations(needed)}  # imp.diagnose(imp.fit(...)): of the analysis",
            )  # fmt: skip
        return
    tables = [(each if hasattr(each, "table") else each.pool()).table for each in fits]
    fmi = pd.concat([table["fmi"].dropna() for table in tables])
    if fmi.empty:
        return
    term, most = str(fmi.index[int(fmi.to_numpy().argmax())]), float(fmi.max())
    needed, strict = (int(imputations_for(most, cv)) for cv in (WANTED, WANTED / 2))
    if run.m < needed:
        yield Finding(
            "warning", term, "few imputations",
            f"m = {run.m}; the fraction of missing information of {term!r} is {most:.2f}. "
            f"{needed} imputations keep the Monte-Carlo error of its standard error at "
            f"{100 * WANTED:.0f} %, {strict} at {50 * WANTED:.0f} %.",
            "Standard errors and p values change from one seed to the next.",
            run.with_imputations(needed), "term",
        )  # fmt: skip
    if most > 0.8:
        yield Finding(
            "warning", term, "hardly any information",
            f"The fraction of missing information of {term!r} is {most:.2f}.",
            "The estimate rests on the imputation model far more than on data.",
            "See with bi.sensitivity how it depends on what is assumed of the missing values.",
            "term",
        )  # fmt: skip


def _share_imputed(run: Examined, name: str) -> float:
    """Share that was missing of the values that a variable has once it is imputed."""
    gone = run.specification.table.missing(name)
    filled = gone & run.specification.where[name]
    return float(filled.sum() / max(int((~gone | filled).sum()), 1))


#: What events that call for attention mean.
CAUSES: Mapping[str, str] = {
    "predictor dropped": "It is constant or an exact combination of other predictors where the "
    "target is seen.",
    "too many categories": "Each category is a coefficient more; names and free text have nothing "
    "to say of other columns, and rare categories little.",
    "slope made fixed": "A predictor without spread inside clusters has no slope by cluster.",
    "cluster mean dropped": "A predictor without spread inside clusters is its own cluster mean.",
    "empty category": "No row to learn from has the category.",
    "no exclusion restriction": "Without a predictor of the selection alone, ρ is known only "
    "through the shape of the errors.",
    "no selection to learn from": "No row that could have been seen is missing.",
    "plain model sampled": "A prior that does not integrate out makes NUTS sample everything.",
    "computed exactly": "Other columns give it exactly, so that a model of it would have no error "
    "to draw.",
    "identity not kept": "A chain draws the columns one by one, each given the others.",
    "nearly exact": "Columns that say nearly the same are rounded, mistyped, or measured twice.",
    "gaps stay": "The dtype of the column is neither number nor category, and no method was asked "
    "for.",
    "values kept": "The model failed at these visits and on_error='keep' left the values as they "
    "were: they are of an earlier iteration.",
    "monitor failed": "The function of monitor= failed on some completed data; NaN stands there.",
}
#: Events to know of though nothing is wrong.
TOLD = ("computed exactly",)
#: Events that other checks say more of.
SAID_ELSEWHERE = ("divergence", "few clusters")
_NAMED_FIRST = re.compile(r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")


def events(run: Examined) -> Iterator[Finding]:
    """Warnings and errors among the events: what is the same of several variables once."""
    grouped: dict[tuple[str, str, str], list[Event]] = {}
    for event in run.history.events:
        wanted = event.severity != "info" or event.action in TOLD
        if wanted and event.action not in SAID_ELSEWHERE:
            grouped.setdefault((event.severity, event.action, _fact(event)), []).append(event)
    for (severity, action, _), same in grouped.items():
        names = list(dict.fromkeys(event.variable for event in same))
        message = same[0].message.rstrip(".")
        own = sum(event.variable == names[0] for event in same)
        more = f" ({own} events in all)" if own > 1 else ""
        also = f" The same in {listed(names[1:], 5)}." if len(names) > 1 else ""
        advice = "\n".join(
            dict.fromkeys(_advice(run, next(e for e in same if e.variable == n)) for n in names)
        )
        evidence = f"{message}.{more}{also}"
        yield Finding(severity, names[0], action, evidence, CAUSES.get(action, ""), advice)


def _fact(event: Event) -> str:
    """Say what an event says whatever variable it is of; that visits failed, of each apart."""
    if event.stage != "specification" or event.action == "gaps stay":
        return event.variable
    return event.message.replace(repr(event.variable), "").partition("(")[0]


def named_first(message: str) -> str:
    """Give the name in quotes that a message starts with, empty without one.

    Examples
    --------
    >>> named_first("'body fat' does not predict 'y': it is constant.")
    'body fat'
    """
    match = _NAMED_FIRST.match(message)
    return str(ast.literal_eval(match[1])) if match else ""


def _advice(run: Examined, event: Event) -> str:
    name, action = event.variable, event.action
    column = named_first(event.message)
    known = column in run.specification.table.variables
    if action == "predictor dropped":
        return without(run, name, column)
    if action in ("slope made fixed", "cluster mean dropped"):
        words = f"Give {column or 'it'} no slope by cluster in the formula of {name!r}."
        return with_role(run, name, column, 1, words)
    if action == "empty category":
        return f"df[{name!r}] = df[{name!r}].cat.remove_unused_categories()"
    if action == "no exclusion restriction":
        return (
            f"Code −3 (bi.Role.SELECTION_ONLY) the predictor of {name!r} that has to do with its "
            "being seen, and not with its value; or compare fixed values of ρ: bi.sensitivity."
        )
    if action == "no selection to learn from":
        plain = LIKELIHOODS[run.kind(name)]
        return switched(run.targets[name], plain)
    if action == "plain model sampled":
        return f"model_options.setdefault({name!r}, {{}})['transitions'] = 20"
    if action == "too many categories" and known:
        return (
            f"df = df.drop(columns={column!r})  # names or free text; or join rare categories, or "
            "make it the cluster"
        )
    if action == "computed exactly":
        return f"df = df.drop(columns={name!r})  # if it is not wanted; else nothing"
    if action in ("identity not kept", "nearly exact"):
        return f"df = df.drop(columns={name!r})  # and compute it from the completed others"
    if action == "gaps stay":
        drop = f"df = df.drop(columns={name!r})"
        dates = run.specification.table.frame[name].dtype.kind in "mM"
        as_numbers = f"method[{name!r}] = {MATCHING!r}  # imputes it as numbers, or\n{drop}"
        return as_numbers if dates else drop
    return f"imp.events[imp.events['action'] == {action!r}]['message'].iloc[0]"


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
        if not ("fmi" in getattr(each, "table", ()) or hasattr(each, "pool")):
            raise SpecificationError(
                f"fits must be an analysis, such as imp.fit('y ~ x') or pooled, or a list of "
                f"these, not {type(each).__name__}."
            )
    examined = Examined.of(run)
    of_values = [
        *values.constant(examined), *values.out_of_range(examined), *values.piled_up(examined),
    ]  # fmt: skip
    if without_models(run.specification):
        how = _ELSEWHERE if made_elsewhere(run.specification) else _DERIVED
        computed = assigned(run.specification)
        imputed = [each for each in of_values if each.variable not in computed]
        return Findings.of(
            [how, *imputed, *enough_imputations(examined, analyses)],
            "Checked: range and spread of the imputed values, and m; nothing of models and chains.",
        )
    found = [
        *chains.too_short(examined), *chains.mixing(examined, r_hat, ess),
        *(finding for check in CHECKS for finding in check(examined)), *of_values,
        *(finding for check in OF_DONORS for finding in check(examined)),
        *uncongenial(examined, analyses), *enough_imputations(examined, analyses),
    ]  # fmt: skip
    return Findings.of(found, _checked(examined, analyses))


#: In the order of their findings, before and after those of the values themselves.
CHECKS = (
    chains.drift, chains.frozen, models.circles, models.twins, models.divergences, events,
    models.collinearity, models.separation, models.few_clusters, models.prior_driven_selection,
    models.nearly_empty,
)  # fmt: skip
OF_DONORS = (values.donors, values.few_donors, values.far_out)


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
    variables = len(run.history.variables)
    amount = "the share of missing values"
    if fits:
        amount = "the analysis given" if len(fits) == 1 else f"the {len(fits)} analyses given"
        amount += ", and what its formula asks of the models"
    return (
        f"Checked: {chain}; divergences and {_counted(len(run.history.events), 'event')}; "
        "predictors (collinearity, loops, separation), clusters, donors and identification of "
        f"{_counted(len(run.targets), 'model')}; range and spread of the imputed values of "
        f"{_counted(variables, 'variable')}"
        + (f"; m = {run.m} against {amount}." if run.m > 1 else ".")
    )
