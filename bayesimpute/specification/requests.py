"""What the user asked for: methods and arguments by column, checked against the data."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.roles import Role
from bayesimpute.specification.defaults import default_method
from bayesimpute.specification.expressions import names_in, read, with_category_codes
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.leftovers import remedy
from bayesimpute.specification.specification import Passive
from bayesimpute.wording import did_you_mean, listed
from bayesimpute.wrappers.base import Wrapper, method_text


@dataclass(frozen=True)
class Request:
    """What the user asked for, by target; defaults filled in nowhere.

    `clusters` are the groupings of ``cluster=``, that of most clusters first. `analysed` are the
    targets whose formula is an analysis, `rows` those of the predictor matrix that replace what an
    analysis asks for.
    """

    clusters: tuple[str, ...]
    predictors: pd.DataFrame | None
    formulas: Mapping[str, str]
    priors: Mapping[str, Mapping[str, Any]]
    post: Mapping[str, Any]
    model_options: Mapping[Any, Mapping[str, Any]]
    analysed: tuple[str, ...] = ()
    rows: pd.DataFrame | None = None


def choose_methods(
    method: Mapping[str, Any] | str | None,
    table: Table,
    cells: Mapping[str, np.ndarray],
    request: Request,
    modelled: Collection[str] = (),
) -> dict[str, Any]:
    """Choose the method of every column that gets values or is `modelled`, in column order."""
    clusters = set(table.columns_of(request.clusters))
    if request.predictors is not None:
        asked = [name for name, mask in cells.items() if mask.any()]
        coded = request.predictors.loc[asked] == Role.CLUSTER
        clusters |= {str(name) for name in coded.columns[coded.any()]}
    wanted = [
        name
        for name, mask in cells.items()
        if name in modelled
        or (
            mask.any()
            and table.variables[name].kind is not Kind.OTHER
            and not (name in clusters and not table.missing(name).any())
        )
    ]
    if isinstance(method, Mapping):
        for name in method:
            if name not in table.variables:
                raise SpecificationError(
                    f"method names {name!r}, which is no column of the data."
                    f"{nearest(name, table.variables)}"
                )
        given = dict(method)
        for name, value in given.items():
            if value not in ("", None) and table.variables[name].kind is Kind.OTHER:
                raise SpecificationError(
                    f"method gives {value!r} for {name!r} ({table.variables[name].dtype}), which "
                    f"is neither a number nor a category; {remedy(table, name)}."
                )
            if value not in ("", None) and name not in wanted:
                raise SpecificationError(
                    f"method gives {value!r} for {name!r}, which has no cell to impute; leave it "
                    "out, or ask for cells with where=."
                )
    elif method is None or isinstance(method, str | Wrapper) or callable(method):
        given = dict.fromkeys(wanted, method) if method is not None else {}
    else:
        raise SpecificationError(
            f"method must be a dict from column to method, or one method, not "
            f"{type(method).__name__}."
        )
    for name in sorted(clusters):
        if table.missing(name).any():
            table.clusters(name)
    chosen = {
        name: given[name] if name in given else default_method(table, name)[0] for name in wanted
    }
    chosen = {name: value for name, value in chosen.items() if value not in ("", None)}
    if not any(mask.any() for mask in cells.values()) and table.incomplete():
        return {}  # no cell is asked for, as with where="none"
    if not chosen:
        raise DataError(
            "There is nothing to impute: no missing cell has a method. Complete data need no "
            "imputation; observed cells are imputed anew with where=."
        )
    for name, value in chosen.items():
        if table.missing(name).all() and not (is_passive(value) or mean_of(name, table)):
            raise DataError(
                f"Variable {name!r} has no observed value; there is nothing to learn from. Drop "
                "it, or set its method to ''."
            )
    return chosen


def asked_for(method: Any) -> tuple[str, ...]:
    """Columns that a method is named for: dates among them become numbers."""
    if not isinstance(method, Mapping):
        return ()
    return tuple(name for name, value in method.items() if value not in ("", None))


def default_events(method: Any, chosen: Mapping[str, Any], table: Table) -> list[Event]:
    """Say which methods were taken because the user named none, one event a method and reason."""
    if method is not None and not isinstance(method, Mapping):
        return []
    groups: dict[tuple[str, str], list[str]] = {}
    for name in chosen:
        if method is None or name not in method:
            groups.setdefault(default_method(table, name), []).append(name)
    return [
        Event(
            "info",
            "specification",
            names[0] if len(names) == 1 else "",
            "default method",
            f"{listed(names)} by {chosen_method!r}, no method being named: {reason}. "
            "bi.suggest_methods gives reasons.",
        )
        for (chosen_method, reason), names in groups.items()
    ]


def without_complete(
    request: Request, targets: Mapping[str, Any], table: Table
) -> tuple[Request, list[Event]]:
    """Leave out formulas of columns of which no cell is imputed, as mice does, and say so."""
    idle = [name for name in request.formulas if name not in targets]
    if not idle:
        return request, []
    formulas = {name: text for name, text in request.formulas.items() if name not in idle}
    what = "complete" if not any(table.missing(name).any() for name in idle) else "not imputed"
    event = Event(
        "info",
        "specification",
        "",
        "formula not used",
        f"formulas names {listed(idle)}, {what} in these data: no model is made of it.",
    )
    return replace(request, formulas=formulas), [event]


def is_passive(method: Any) -> bool:
    """Whether a method computes a column from others: ``"~ I(a / b)"``."""
    return isinstance(method, str) and method.lstrip().startswith("~")


def passive_methods(chosen: Mapping[str, Any], table: Table) -> dict[str, Passive]:
    """Read the passive methods among the chosen ones.

    Raises
    ------
    SpecificationError
        If an expression does not parse, or reads a column it cannot.
    """
    passives = {}
    for name, value in chosen.items():
        if not is_passive(value):
            continue
        text = value.lstrip()[1:].strip()
        try:
            read(text)
        except SpecificationError as error:
            raise SpecificationError(f"Passive method of {name!r}: {error}") from None
        inputs = names_in(text)
        for column in inputs:
            if column not in table.variables:
                raise SpecificationError(
                    f"Passive method of {name!r}, {value!r}: there is no column {column!r}."
                    f"{nearest(column, table.variables)}"
                )
            if table.missing(column).any() and column not in chosen:
                raise SpecificationError(
                    f"Passive method of {name!r} uses {column!r}, which stays incomplete; give "
                    f"{column!r} a method."
                )
        if name in inputs:
            raise SpecificationError(
                f"Passive method of {name!r} uses {name!r} itself; a cycle cannot be computed."
            )
        if table.variables[name].kind is not Kind.NUMERIC:
            raise SpecificationError(
                f"Passive method of {name!r}: only numeric variables can be computed."
            )
        passives[name] = Passive(name, with_category_codes(text, table), inputs)
    return passives


def option_blocks(given: Any, table: Table) -> Mapping[Any, Mapping[str, Any]]:
    """Options by column, ``"*"`` for every target whose method knows them."""
    if given is None:
        return {}
    for key, block in given.items() if isinstance(given, Mapping) else [("", None)]:
        if not isinstance(block, Mapping):
            raise SpecificationError(
                "model_options must be a dict of dicts, such as {'popular': {'donors': 10}} or "
                "{'*': {'donors': 10}} for every target."
            )
        if key is not None and key != "*" and key not in table.variables:
            raise SpecificationError(
                f"model_options: {key!r} is neither a column nor '*' (all targets)."
                f"{nearest(key, table.variables)}"
            )
    return {"*" if key is None else key: block for key, block in given.items()}


def by_column(given: Any, table: Table, argument: str) -> dict[str, Any]:
    """Check an argument that maps columns to values; None is an empty one."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise SpecificationError(
            f"{argument} must be a dict from column to value, not {type(given).__name__}."
        )
    for name in given:
        if name not in table.variables:
            raise SpecificationError(
                f"{argument} names {name!r}, which is no column of the data."
                f"{nearest(name, table.variables)}"
            )
    return dict(given)


def method_name(method: Any) -> str:
    """Name of a method as the user will read it."""
    return method_text(method)


def nearest(name: Any, known: Mapping[str, Any]) -> str:
    """Sentence with the name nearest to a mistyped one, or else all there are."""
    return did_you_mean(name, known) or f" There are {', '.join(known)}."
