"""From the user's words to a frozen specification, everything checked before any work.

The order of visits and of passive variables, and targets that one model imputes together, are
decided here; :func:`specify` calls everything else.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.interchange import Origin
from bayesimpute.registry import resolve
from bayesimpute.roles import Role
from bayesimpute.specification import requests
from bayesimpute.specification.compatible import checked_analyses, joined
from bayesimpute.specification.defaults import default_predictors
from bayesimpute.specification.groupings import checked_groupings
from bayesimpute.specification.identities import identities_of, passive_text
from bayesimpute.specification.joint_order import joint_order, sources_of, with_live
from bayesimpute.specification.latent_means import around
from bayesimpute.specification.screening import say_renamed, stays_missing
from bayesimpute.specification.specification import (
    Grouping,
    Log,
    Passive,
    Specification,
    Target,
    Term,
    computed_from,
    models_of,
    sources_first,
)
from bayesimpute.specification.survival import check_models
from bayesimpute.specification.targets import build_target
from bayesimpute.wording import listed
from bayesimpute.wrappers.base import innermost, layers, method_text
from bayesimpute.wrappers.delta import Delta
from bayesimpute.wrappers.only_where import OnlyWhere


def passive_order(passives: Mapping[str, Passive]) -> tuple[str, ...]:
    """Order passive variables, inputs before what depends on them.

    Raises
    ------
    SpecificationError
        If they depend on each other in a circle, which it names.
    """

    def refusal(circle: list[str]) -> str:
        return (
            f"Passive variables depend on each other in a cycle: {' → '.join(circle)}. Impute one "
            "of them by a model instead."
        )

    sources = {n: [each for each in p.inputs if each in passives] for n, p in passives.items()}
    return tuple(sources_first(sources, refusal))


def visit_order(
    wanted: str | Sequence[str] | None,
    targets: Mapping[str, Target | Passive],
    table: Table,
    events: Log,
) -> tuple[str, ...]:
    """Sequence of one iteration.

    Parameters
    ----------
    wanted
        ``"roman"`` (column order), ``"arabic"`` (the reverse), ``"monotone"`` (fewest missing
        first), ``"revmonotone"``, or names, which may repeat. None: column order, but for what
        conditions read, which is visited before what depends on them.
    targets
        What is imputed.
    table
        The data.
    events
        Gets the columns that are passed over, as in mice, since they are not imputed, and
        conditions on what is visited later.

    Raises
    ------
    SpecificationError
        If a name is no column, a target is never visited, or the word is unknown.
    """
    conditions = _conditions(targets, table)
    if wanted is None:
        try:
            return tuple(sources_first(conditions, str))
        except SpecificationError:  # of a circle nothing is first
            pass
    sequence = _asked_order("roman" if wanted is None else wanted, targets, table, events)
    last = {name: position for position, name in enumerate(sequence)}
    for name, read in conditions.items():
        later = [each for each in read if last[each] > last[name]]
        if later:
            events.warning(
                name,
                "condition visited later",
                f"{name!r} is imputed by a condition on {listed(later)}, visited after it: in "
                "completed data they may disagree. Let visit_sequence name it after them, if they "
                "do not depend on it in turn.",
            )
    return sequence


def _conditions(targets: Mapping[str, Target | Passive], table: Table) -> dict[str, list[str]]:
    """Models whose values decide, by a condition, whether another has one: name -> names."""
    models, found = models_of(targets), {}
    for name, target in models.items():
        read = {
            column
            for wrapper in layers(target.method)
            if isinstance(wrapper, OnlyWhere)
            for column in wrapper.open_columns(name, table)
        }
        read = read.union(*(computed_from(column, targets) for column in read))
        found[name] = [other for other in models if other in read and other != name]
    return found


def _asked_order(
    wanted: str | Sequence[str],
    targets: Mapping[str, Target | Passive],
    table: Table,
    events: Log,
) -> tuple[str, ...]:
    """Sequence of one iteration as it was asked for."""
    names = list(models_of(targets))
    by_missing = sorted(names, key=lambda name: int(table.missing(name).sum()))
    words = {
        "roman": names,
        "arabic": names[::-1],
        "monotone": by_missing,
        "revmonotone": by_missing[::-1],
    }
    if isinstance(wanted, str):
        if wanted not in words:
            raise SpecificationError(
                f"visit_sequence={wanted!r} must be one of {', '.join(words)}, or a list of "
                "columns."
            )
        return tuple(words[wanted])
    wanted = list(wanted)
    for name in wanted:
        if isinstance(targets.get(name), Passive):
            message = f"{name!r} is passive: it is computed right after each of its inputs."
            events.info(name, "not visited", message)
        elif name not in table.variables:
            raise SpecificationError(
                f"visit_sequence names {name!r}, which is no column of the data; models impute "
                f"{', '.join(names)}."
            )
    passed_over = [name for name in dict.fromkeys(wanted) if name not in targets]
    if passed_over:
        events.info(
            "",
            "not visited",
            f"visit_sequence names {listed(passed_over)}, of which no cell is imputed by a model: "
            "passed over.",
        )
    left_out = [name for name in names if name not in wanted]
    if left_out:
        raise SpecificationError(
            f"visit_sequence never visits {left_out[0]!r}; add it, or set its method to ''."
        )
    return tuple(name for name in wanted if name in names)


def form_blocks(
    targets: Mapping[str, Target | Passive],
    sequence: Sequence[str],
    known: Container[str],
    events: Log,
) -> tuple[dict[str, Target | Passive], tuple[str, ...]]:
    """Join the targets of one joint method, cluster variable and level into a block.

    Parameters
    ----------
    targets
        What is imputed, each decided by itself.
    sequence
        Order of visits.
    known
        Columns of the data.
    events
        Gets what was joined.

    Returns
    -------
    targets
        Members of a block with the block's predictors: those of any member, but no member.
    sequence
        Order of visits, in which a block is visited where its first member was.

    Raises
    ------
    SpecificationError
        If a member has a wrapper that a block cannot have, or members' options contradict.
    """
    models = models_of(targets)
    blocks: dict[tuple[tuple[str, ...], int], list[str]] = {}
    for name in dict.fromkeys(sequence):
        target = models[name]
        if getattr(resolve(innermost(target.method)), "block", False):
            blocks.setdefault((target.clusters, target.level), []).append(name)
    joined = dict(targets)
    passives = {k: v for k, v in targets.items() if isinstance(v, Passive)}
    followers: set[str] = set()
    for block in blocks.values():
        members = [models[name] for name in block]
        for member in members:
            _check_wrappers(member)
        computed = [n for n in passives if not computed_from(n, passives).isdisjoint(block)]
        _check_random_parts(members)
        terms = _terms_of(members, {*block, *computed}, known)
        options = _options_of(members)
        for member in members:
            joined[member.name] = replace(
                member,
                terms=terms,
                options=options,
                random_intercept=any(each.random_intercept for each in members),
                block=tuple(block),
                groupings=_groupings_of(members, {term.label for term in terms}),
            )
        followers |= set(block[1:])
        labels = ", ".join(term.label for term in terms) or "none"
        left_out = f"; {', '.join(computed)} are computed from them" if computed else ""
        events.info(
            block[0],
            "joint block",
            f"{', '.join(block)} are imputed together and do not predict each other "
            f"otherwise{left_out}. Predictors of all: {labels}.",
        )
    return joined, tuple(name for name in sequence if name not in followers)


def _check_wrappers(member: Target) -> None:
    for wrapper in layers(member.method):
        if not isinstance(wrapper, Delta):
            raise SpecificationError(
                f"Method {str(wrapper)!r} of {member.name!r}: a joint block is one model of all "
                "its variables, which can only be shifted (bi.delta); impute "
                f"{member.name!r} by a method of its own, or impute the groups in separate runs."
            )


def _check_random_parts(members: Sequence[Target]) -> None:
    """Refuse formulas that do not agree on which effects are independent."""
    parts = {
        member.name: {term.label: term.random_part for term in member.terms if term.random}
        for member in members
    }
    if any(number for own in parts.values() for number in own.values()):
        first = members[0].name
        for name, own in parts.items():
            if own != parts[first]:
                raise SpecificationError(
                    f"formulas of {first!r} and {name!r}: a joint block has one structure of "
                    "effects by cluster; where some of them are independent, give all its "
                    "variables the same random parts."
                )


def _terms_of(
    members: Sequence[Target], excluded: set[str], known: Container[str]
) -> tuple[Term, ...]:
    terms: dict[str, Term] = {}
    for term in (term for member in members for term in member.terms):
        if excluded.isdisjoint(term.read_columns(known)):
            old = terms.get(term.label)
            terms[term.label] = term if old is None else old.and_also(term)
    return tuple(terms.values())


def _groupings_of(members: Sequence[Target], labels: set[str]) -> tuple[Grouping, ...]:
    """Say what varies by each further grouping in the model of any member."""
    found: dict[str, Grouping] = {}
    for each in (grouping for member in members for grouping in member.groupings):
        known = found.get(each.name, Grouping(each.name, False))
        slopes = {**dict(known.slopes), **dict(each.slopes)}
        found[each.name] = Grouping(
            each.name,
            known.intercept or each.intercept,
            tuple((label, part) for label, part in slopes.items() if label in labels),
            tuple(label for label in dict.fromkeys([*known.means, *each.means]) if label in labels),
        )
    return tuple(found.values())


def _options_of(members: Sequence[Target]) -> dict[str, object]:
    options: dict[str, object] = {}
    for member in members:
        for option, value in member.options.items():
            if options.setdefault(option, value) != value:
                raise SpecificationError(
                    f"model_options: {option}={value!r} of {member.name!r} contradicts "
                    f"{option}={options[option]!r} of another variable of its joint block; a "
                    "block has one value."
                )
    return options


def specify(
    df: pd.DataFrame,
    cluster: str | Sequence[str] | None = None,
    method: Mapping[str, Any] | str | None = None,
    predictors: pd.DataFrame | None = None,
    formulas: Mapping[str, str] | None = None,
    priors: Mapping[str, Mapping[str, Any]] | None = None,
    post: Mapping[str, Any] | None = None,
    where: Any = None,
    ignore: Any = None,
    visit_sequence: str | Sequence[str] | None = None,
    model_options: Mapping[Any, Mapping[str, Any]] | None = None,
    monitor: Mapping[str, Any] | None = None,
    analysis: str | Sequence[str] | None = None,
    family: Any = None,
    on: str = "analysis",
    written: Mapping[str, str] | None = None,
    origin: Origin | None = None,
) -> Specification:
    """Check everything and decide everything that is decided before the first draw.

    Parameters are those of :func:`bayesimpute.impute`; `written` gives formulas of analyses as
    their models have them, where these differ, `origin` what the frame was.

    Returns
    -------
    Specification

    Raises
    ------
    DataError
        If the data cannot be imputed as they are.
    SpecificationError
        If the arguments contradict each other or the data.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, None]})
    >>> specify(df).visit_sequence
    ('y',)
    """
    table = Table.from_frame(df, dates=requests.asked_for(method))
    log = Log()
    clusters = checked_groupings(cluster, table, log)
    if origin is not None and origin.not_numbers:  # NaN is a value of polars and Arrow
        log.info(
            origin.not_numbers[0],
            "NaN is missing",
            f"NaN in {listed(origin.not_numbers)} is taken as missing, as null is; completed data "
            "have null where a value stays missing.",
        )
    in_part = analysis is not None and on == "analysis" and predictors is not None
    request = requests.Request(
        clusters,
        requests.check_predictors(predictors, table)
        if predictors is not None and not in_part
        else None,
        requests.by_column(formulas, table, "formulas"),
        requests.by_column(priors, table, "priors"),
        requests.by_column(post, table, "post"),
        requests.option_blocks(model_options, table),
        rows=requests.check_rows(predictors, table) if in_part else None,
    )
    requests.check_priors(request.priors)
    monitors = requests.checked_monitors(monitor, table)
    cells = requests.cells_wanted(where, table)
    ignored = requests.rows_ignored(ignore, table)
    analyses, joint = checked_analyses(analysis, family, on, table, request, method, written or {})
    if joint is not None:
        request, method = joined(request, joint, where, visit_sequence), joint.methods
        log += joint.events
    chosen = requests.choose_methods(method, table, cells, request, joint.order if joint else ())
    if not chosen:
        message = "where= asks for no cell: the data come back as they are, gaps included."
        log.info("", "nothing imputed", message)
    say_renamed(chosen, log)

    passives = requests.passive_methods(chosen, table)
    staying = stays_missing(chosen, table)
    plan = identities_of(table, chosen, method, cells, request, [*passives, *staying])
    passives |= plan.passives
    requests.say_defaults(
        method, [name for name in chosen if name not in plan.passives], table, log
    )
    chosen |= {name: passive_text(each.expression) for name, each in plan.passives.items()}
    log += plan.events
    order = passive_order(passives)
    open_in_part = {n for n, rows in staying.items() if (rows & table.missing(n)).any()}
    for passive in passives.values():
        for name in passive.inputs:
            if name in open_in_part:
                raise SpecificationError(
                    f"Passive method of {passive.name!r} uses {name!r}, which its method leaves "
                    f"missing in some rows; give the bi.only_where of {name!r} an otherwise=."
                )
    unimputed = [
        name
        for name in table.incomplete()
        if (name not in chosen and table.variables[name].kind is not Kind.OTHER)
        or name in open_in_part
    ]
    defaults = None
    if request.predictors is None:
        defaults = joint.predictors if joint else default_predictors(table, clusters)
    defaults = plan.without_circles(defaults)
    request = replace(request, predictors=plan.without_circles(request.predictors))
    targets: dict[str, Target | Passive] = {}
    for name, chosen_method in chosen.items():
        if name in passives:
            targets[name] = passives[name]
            continue
        built, more = build_target(
            name, chosen_method, table, request, ignored, defaults, passives, unimputed
        )
        targets[name] = around(plan.informed(built), table)
        log += more
    models = models_of(targets)
    request = requests.without_complete(request, targets, table, log)
    for name in (*request.formulas, *request.priors, *request.post):
        if name not in models:
            raise SpecificationError(
                f"{name!r} is named in formulas, priors or post, but no model imputes it; models "
                f"impute {', '.join(models)}."
            )
    idle = [name for name in request.model_options if name not in (*models, "*")]
    if idle:
        message = f"model_options names {listed(idle)}, which no model imputes: passed over."
        log.info("", "options not used", message)
    for option in request.model_options.get("*", {}):
        if not any(option in each.options for each in models.values()):
            raise SpecificationError(
                f"model_options: no method of this run has an option {option!r}; each has its own, "
                "such as donors (pmm), heteroscedastic (normal), transitions, tune."
            )
    if targets:
        requests.say_gaps(table, targets, log)
    if request.predictors is None:
        requests.say_idle(table, table.columns_of(clusters), log)
    passed_over = Log()  # said last
    sequence = visit_order(visit_sequence, targets, table, passed_over)
    targets, sequence = form_blocks(targets, sequence, table.variables, log)
    if joint is not None:
        models = models_of(targets)
        sources = {n: sources_of(t, targets, table.variables) for n, t in models.items()}
        check_models(sources, analyses)
        sequence = joint_order(targets, joint.order, table.variables)
    names = list(table.variables)
    matrix = pd.DataFrame(int(Role.NONE), index=names, columns=names)
    for name, target in models_of(targets).items():
        row = requests.effective_row(target.terms, table.columns_of(target.clusters), names)
        matrix.loc[name] = pd.Series(row)
    nowhere = np.zeros(table.n_rows, dtype=bool)
    specification = Specification(
        table=table,
        targets=targets,
        visit_sequence=sequence,
        passive_order=order,
        where={name: cells[name] & ~staying.get(name, nowhere) for name in targets},
        ignore=ignored,
        methods={name: method_text(chosen.get(name, "")) for name in table.variables},
        predictors=matrix,
        events=(*log, *passed_over),
        monitors=monitors,
        analyses=analyses,
        origin=origin,
    )
    return specification if joint is None else with_live(specification)
