"""What was decided automatically, and the call that makes the imputations again."""

from collections.abc import Mapping

from bayesimpute.data.table import Table
from bayesimpute.events import Event
from bayesimpute.html import Html, join, tag
from bayesimpute.report.content import (
    Content,
    counted,
    folded,
    grid,
    groupings_of,
    note,
    paragraph,
    seeds_of,
)
from bayesimpute.result.run import Run
from bayesimpute.specification.expressions import quoted
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.screening import stays_missing
from bayesimpute.specification.specification import Log, Passive, Specification, Target
from bayesimpute.specification.specify import visit_order

#: Lines shown, and shown unfolded.
MOST, MOST_OPEN = 300, 25


def events(content: Content) -> Html:
    """Every automatic action; the same one in several imputations is one line."""
    happened = content.run.history.events
    if not happened:
        return paragraph("Nothing was decided automatically, and nothing went wrong.")
    alike: dict[tuple[str, ...], list[Event]] = {}
    for event in happened:
        said = event.severity, event.stage, event.variable, event.action, event.message
        alike.setdefault(said, []).append(event)
    order = {"error": 0, "warning": 1, "info": 2}
    lines = sorted(alike.values(), key=lambda same: order.get(same[0].severity, 3))
    rows = []
    for event, *others in lines[:MOST]:
        mark = tag("span", event.severity, class_=f"severity {event.severity}")
        place = ""
        if event.imputation and not others:
            place = f" (imputation {event.imputation}, iteration {event.iteration})"
        message = event.message + place
        rows.append((mark, event.variable, event.action, 1 + len(others), message))
    serious = sum(event.severity != "info" for event in happened)
    shown = grid(["severity", "variable", "what", "times", "message"], rows, (3,))
    if len(rows) > MOST_OPEN:
        shown = folded(counted(len(rows), "action"), shown)
    left = len(lines) - len(rows)
    return join(
        [
            paragraph(
                f"{counted(len(happened), 'automatic action')}, {serious:,} of them warnings or "
                f"errors. The same one in several imputations is one line."
            ),
            shown,
            note(f"{counted(left, 'further line')} in imp.events.") if left else "",
        ]
    )


def call_text(run: Run) -> tuple[str, list[str]]:
    """Write a call equivalent to the one that was made, and what has to be put in by hand.

    The specification is what the call led to: default methods and predictors are written out.

    Parameters
    ----------
    run
        The result of ``bi.impute``.

    Returns
    -------
    str
        Python; the user's frame is ``df``, and ``predictors`` the matrix.
    list of str
        Objects that are known by their text only.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80)
    >>> imp = bi.impute(
    ...     study.incomplete, cluster="school", m=2, iterations=1, seed=1, progress=False
    ... )
    >>> print(call_text(imp)[0])
    imp = bi.impute(
        df,
        m=2,
        iterations=1,
        seed=1,
        method={'popular': 'pmm'},
        predictors=predictors,
    )
    """
    specification = run.specification
    targets = {n: t for n, t in specification.targets.items() if isinstance(t, Target)}
    by_hand: list[str] = []
    arguments: dict[str, str] = {
        "m": str(run.m),
        "iterations": str(run.iterations),
        "seed": str(run.seed),
        "method": _pairs(_methods(specification, by_hand)),
        "predictors": "predictors",
    }
    # ids that count anew in other clusters
    groupings = groupings_of(specification)
    inner = [n for n in groupings if not any(other.startswith(f"{n}:") for other in groupings)]
    table = specification.table
    if any(name not in table.variables for name in groupings):
        arguments["cluster"] = repr(["/".join(table.columns_of([name])) for name in inner])
    formulas = {
        n: repr(_formula(t, table)) for n, t in targets.items() if t.needs_formula(table.variables)
    }
    outcomes = {each.outcome: repr(each.family) for each in specification.analyses}
    if outcomes:
        texts = [each.formula for each in specification.analyses]
        arguments["analysis"] = repr(texts[0] if len(texts) == 1 else texts)
        arguments["family"] = _pairs(outcomes)
        if specification.live is None:
            arguments["on"] = repr("conditional")
        else:
            formulas = {name: text for name, text in formulas.items() if name not in outcomes}
    if formulas:
        arguments["formulas"] = _pairs(formulas)
    if options := {n: repr(dict(t.options)) for n, t in targets.items() if t.options}:
        arguments["model_options"] = _pairs(options)
    code: dict[str, list[str]] = {}
    for name, target in targets.items():
        priors = [key for key in target.priors if not (target.around and key == "intercept")]
        if priors:
            code.setdefault("priors", []).append(f"priors of {name}: {', '.join(priors)}")
        if target.post is not None:
            text = getattr(target.post, "__name__", str(target.post))
            code.setdefault("post", []).append(f"post of {name}: {text}")
    arguments |= dict.fromkeys(code, "…")
    if run.history.further_seeds:  # a call each, put together by imp.bind
        arguments |= {"m": "…", "seed": "…"}
        by_hand.append(
            f"m and seed of each of the runs that imp.bind has put together ({seeds_of(run)}; "
            "Events say which imputations are whose)"
        )
    by_hand += [text for texts in code.values() for text in texts]
    # a block is at its first member
    order = visit_order(None, specification.targets, specification.table, Log())
    order = tuple(n for n in order if not targets[n].block or targets[n].block[0] == n)
    if specification.visit_sequence != order and specification.live is None:
        arguments["visit_sequence"] = repr(list(specification.visit_sequence))
    by_hand += _cells_by_hand(specification)
    lines = [f"    {name}={value}," for name, value in arguments.items()]
    return "\n".join(["imp = bi.impute(", "    df,", *lines, ")"]), by_hand


def _pairs(texts: Mapping[str, str]) -> str:
    """Write a dictionary, one entry a line if there are several; values as they are."""
    if len(texts) == 1:
        ((name, text),) = texts.items()
        return f"{{{name!r}: {text}}}"
    inside = "".join(f"\n        {name!r}: {text}," for name, text in texts.items())
    return f"{{{inside}\n    }}"


def _methods(specification: Specification, by_hand: list[str]) -> dict[str, str]:
    """Write the method by column as Python; objects are dots, and named in `by_hand`."""
    written = {}
    for name, asked in specification.methods.items():
        target = specification.targets.get(name)
        if mean_of(name, specification.table) is not None:
            continue  # the analysis names it
        if target is None:
            if specification.table.missing(name).any():
                written[name] = "''"
        elif isinstance(target, Passive) and target.found:
            continue  # it is found again
        elif isinstance(target, Passive) or isinstance(target.method, str):
            written[name] = repr(asked)
        else:
            written[name] = "…"
            by_hand.append(f"method of {name}: {asked}")
    return written


def _cells_by_hand(specification: Specification) -> list[str]:
    """Say where cells or rows were chosen by the user."""
    table = specification.table
    found = []
    methods = {n: t.method for n, t in specification.targets.items() if isinstance(t, Target)}
    staying = stays_missing(methods, table)
    for name, cells in specification.where.items():
        target = specification.targets[name]
        settled = cells | staying[name] if name in staying else cells
        left = int((table.missing(name) & ~settled).sum())
        if left:
            found.append(f"where: {counted(left, 'missing cell')} of {name}, left missing")
        observed = int((cells & ~table.missing(name)).sum())
        if observed and not isinstance(target, Passive):
            found.append(f"where: {counted(observed, 'observed cell')} of {name}, imputed anew")
    if specification.ignore.any():
        rows = counted(int(specification.ignore.sum()), "row")
        found.append(f"ignore: {rows} no model is fitted to")
    if specification.monitors:
        found.append(f"monitor: {', '.join(map(str, specification.monitors))}")
    return found


def _formula(target: Target, table: Table) -> str:
    terms = {
        term.label: ":".join(
            quoted(part) if part in table.variables else part for part in term.parts
        )
        for term in target.terms
    }
    fixed = [terms[term.label] for term in target.terms if term.fixed]
    brackets = []
    for position, each in enumerate(target.effects):
        group = ":".join(map(quoted, table.columns_of([each.name])))
        first = position == 0 and target.level == 1
        fixed += [
            f"cluster_mean({terms[label]}{'' if first else f', {group}'})" for label in each.means
        ]
        parts: dict[int, list[str]] = {0: ["1"]} if each.intercept else {}
        for label, part in each.slopes:
            parts.setdefault(part, ["0"]).append(terms[label])
        brackets += [f"({' + '.join(own)} | {group})" for own in parts.values()]
    return " + ".join([f"{quoted(target.name)} ~ {' + '.join(fixed) or '1'}", *brackets])


def origin(content: Content) -> Html:
    """Run, versions, call."""
    run = content.run
    call, by_hand = call_text(run)
    facts = [
        ("imputations (m)", f"{run.m}"),
        ("iterations", f"{run.iterations}"),
        ("seed", seeds_of(run).partition(" ")[2]),
        ("imputed at", run.created_at),
        *(("report written at", content.written_at) for _ in [0] if content.written_at),
    ]
    parts = [
        grid(["run", ""], facts, ()),
        grid(["package", "version"], run.versions.items(), ()),
        paragraph(
            "The same data, specification, seed and versions give the same bits, whatever the "
            "number of processes. This call is equivalent to the one that was made:"
        ),
        tag("pre", tag("code", call)),
    ]
    if by_hand:
        parts.append(
            note(
                "Objects of Python that a text cannot hold, to be put in by hand: ",
                "; ".join(by_hand), ".",
            )
        )  # fmt: skip
    matrix = run.predictors
    parts.append(
        folded(
            "Predictor matrix, to be read by pandas.read_csv(…, index_col=0)",
            tag("pre", tag("code", matrix.to_csv())),
        )
    )
    parts.append(note("imp.to_netcdf(path) keeps data, chains and specification in one file."))
    return join(parts)
