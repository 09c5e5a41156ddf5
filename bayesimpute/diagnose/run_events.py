"""Warnings and errors among the events of a run, one finding a fact."""

import ast
import re
from collections.abc import Iterator, Mapping

from bayesimpute.diagnose.examined import Examined, switched
from bayesimpute.diagnose.models import without
from bayesimpute.events import Event
from bayesimpute.findings import Finding
from bayesimpute.specification.aliases import LIKELIHOODS, MATCHING
from bayesimpute.wording import listed

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
        code = f"predictors.loc[{name!r}, {column!r}] = 1"
        return code if known else f"Give {column} no slope by cluster in the formula of {name!r}."
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
