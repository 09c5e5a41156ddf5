"""From the user's words to a frozen specification, everything checked before any work."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.events import Event
from bayesimpute.interchange import Origin
from bayesimpute.roles import Role
from bayesimpute.sampling.priors import check_distribution
from bayesimpute.specification.blocks import form_blocks
from bayesimpute.specification.cells import cells_wanted, rows_ignored
from bayesimpute.specification.compatible import checked_analyses, joined
from bayesimpute.specification.defaults import default_predictors
from bayesimpute.specification.groupings import checked_groupings
from bayesimpute.specification.identities import identities_of, passive_text
from bayesimpute.specification.joint_order import joint_order, sources_of, with_live
from bayesimpute.specification.latent_means import around
from bayesimpute.specification.leftovers import gap_events, idle_events
from bayesimpute.specification.monitor import checked_monitors
from bayesimpute.specification.order import passive_order, visit_order
from bayesimpute.specification.predictors import (
    check_predictors,
    check_rows,
    effective_row,
)
from bayesimpute.specification.requests import (
    Request,
    asked_for,
    by_column,
    choose_methods,
    default_events,
    method_name,
    option_blocks,
    passive_methods,
    without_complete,
)
from bayesimpute.specification.specification import Passive, Specification, Target
from bayesimpute.specification.survival import check_models
from bayesimpute.specification.targets import build_target
from bayesimpute.specification.wrapped import alias_events, stays_missing
from bayesimpute.wording import listed

NOTHING = Event(
    "info",
    "specification",
    "",
    "nothing imputed",
    "where= asks for no cell: the data come back as they are, gaps included.",
)


def _not_numbers(origin: Origin) -> Event:
    """Say that NaN, which is a value of polars and Arrow, is taken as missing."""
    return Event(
        "info",
        "specification",
        origin.not_numbers[0],
        "NaN is missing",
        f"NaN in {listed(origin.not_numbers)} is taken as missing, as null is; completed data have "
        "null where a value stays missing.",
    )


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
    table = Table.from_frame(df, dates=asked_for(method))
    clusters, events = checked_groupings(cluster, table)
    if origin is not None and origin.not_numbers:
        events = [*events, _not_numbers(origin)]
    in_part = analysis is not None and on == "analysis" and predictors is not None
    request = Request(
        clusters,
        check_predictors(predictors, table) if predictors is not None and not in_part else None,
        by_column(formulas, table, "formulas"),
        by_column(priors, table, "priors"),
        by_column(post, table, "post"),
        option_blocks(model_options, table),
        rows=check_rows(predictors, table) if in_part else None,
    )
    for name, distributions in request.priors.items():
        if not isinstance(distributions, Mapping):
            raise SpecificationError(
                f"priors of {name!r} must be a dict from parameter to distribution, such as "
                "{'sigma': pm.HalfNormal.dist(1)}."
            )
        for parameter, distribution in distributions.items():
            check_distribution(name, parameter, distribution)
    monitors = checked_monitors(monitor, table)
    cells = cells_wanted(where, table)
    ignored = rows_ignored(ignore, table)
    analyses, joint = checked_analyses(analysis, family, on, table, request, method, written or {})
    if joint is not None:
        request, method = joined(request, joint, where, visit_sequence), joint.methods
        events.extend(joint.events)
    chosen = choose_methods(method, table, cells, request, joint.order if joint else ())
    if not chosen:
        events.append(NOTHING)
    events.extend(alias_events(chosen))

    passives = passive_methods(chosen, table)
    staying = stays_missing(chosen, table)
    plan = identities_of(table, chosen, method, cells, request, [*passives, *staying])
    passives |= plan.passives
    events.extend(
        default_events(method, {n: c for n, c in chosen.items() if n not in plan.passives}, table)
    )
    chosen |= {name: passive_text(each.expression) for name, each in plan.passives.items()}
    events.extend(plan.events)
    order = passive_order(passives)
    for passive in passives.values():
        for name in passive.inputs:
            if (staying.get(name, False) & table.missing(name)).any():
                raise SpecificationError(
                    f"Passive method of {passive.name!r} uses {name!r}, which its method leaves "
                    f"missing in some rows; give the bi.only_where of {name!r} an otherwise=."
                )
    unimputed = [
        name
        for name in table.incomplete()
        if (name not in chosen and table.variables[name].kind is not Kind.OTHER)
        or (staying.get(name, False) & table.missing(name)).any()
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
        targets[name], more = build_target(
            name, chosen_method, table, request, ignored, defaults, passives, unimputed
        )
        informed = plan.informed(targets[name])
        targets[name] = around(informed, table) if isinstance(informed, Target) else informed
        events.extend(more)
    request, idle = without_complete(request, targets, table)
    events.extend(idle)
    for name in (*request.formulas, *request.priors, *request.post):
        if not isinstance(targets.get(name), Target):
            raise SpecificationError(
                f"{name!r} is named in formulas, priors or post, but no model imputes it; models "
                f"impute {', '.join(k for k, v in targets.items() if isinstance(v, Target))}."
            )
    for option in request.model_options.get("*", {}):
        models = [t for t in targets.values() if isinstance(t, Target)]
        if not any(option in t.options for t in models):
            raise SpecificationError(
                f"model_options: no method of this run has an option {option!r}; each has its own, "
                "such as donors (pmm), heteroscedastic (normal), transitions, tune."
            )
    if targets:
        events.extend(gap_events(table, targets))
    if request.predictors is None:
        events.extend(idle_events(table, table.columns_of(clusters)))
    sequence, more = visit_order(visit_sequence, targets, table)
    targets, sequence, blocks = form_blocks(targets, sequence)
    events.extend(blocks)
    if joint is not None:
        sources = {k: sources_of(v, targets) for k, v in targets.items() if isinstance(v, Target)}
        check_models(sources, analyses)
        sequence = joint_order(targets, joint.order)
    matrix = pd.DataFrame(
        int(Role.NONE), index=list(table.variables), columns=list(table.variables)
    )
    for name, target in targets.items():
        if isinstance(target, Target):
            row = effective_row(
                target.terms, table.columns_of(target.clusters), list(table.variables)
            )
            matrix.loc[name] = pd.Series(row)
    nowhere = np.zeros(table.n_rows, dtype=bool)
    specification = Specification(
        table=table,
        targets=targets,
        visit_sequence=sequence,
        passive_order=order,
        where={name: cells[name] & ~staying.get(name, nowhere) for name in targets},
        ignore=ignored,
        methods={name: method_name(chosen.get(name, "")) for name in table.variables},
        predictors=matrix,
        events=(*events, *more),
        monitors=monitors,
        analyses=analyses,
        origin=origin,
    )
    return specification if joint is None else with_live(specification)
