"""Other models of a target than the one that imputes it, as the user describes them."""

from collections.abc import Mapping
from typing import Any

from bayesimpute.data.table import Kind
from bayesimpute.engine.bench import method_of
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.registry import resolve
from bayesimpute.specification.aliases import NORMAL_OF_CLUSTERS
from bayesimpute.specification.requests import Request, by_column
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.specification.targets import build_target
from bayesimpute.specification.wrapped import stays_missing
from bayesimpute.wording import did_you_mean
from bayesimpute.wrappers.base import innermost, method_text

KEYS = ("method", "formula", "options", "priors")


def alternative(
    specification: Specification, target: Target, label: str, description: Any
) -> Target:
    """Decide and check one model of a target.

    Parameters
    ----------
    specification
        Of the run.
    target
        As it is imputed; gives everything that is not described.
    label
        What the user calls the model.
    description
        A formula; a method; or a dict with some of ``method, formula, options, priors``.

    Raises
    ------
    DataError, SpecificationError
        Naming the model and what to do.
    """
    place = f"compare_models: {label!r}: "
    given = _read(description, place)
    if target.block and "method" not in given:
        raise SpecificationError(
            f"{place}{target.name!r} is imputed jointly with others, which is no model of it "
            "alone; give a method, such as {{'method': {NUMBER!r}}}."
        )
    table = specification.table
    method = given.get("method", target.method)
    own = {} if "method" in given else dict(target.options)
    options = {**own, **given.get("options", {})}
    priors = given.get("priors", {} if "method" in given else target.priors)
    formulas = {target.name: given["formula"]} if "formula" in given else {}
    matrix = None if formulas else specification.predictors
    request = Request(
        target.clusters,
        matrix,
        by_column(formulas, table, "formulas"),
        {target.name: priors},
        {},
        {target.name: options},
    )
    staying = stays_missing(
        {k: t.method for k, t in specification.targets.items() if isinstance(t, Target)}, table
    )
    unimputed = [
        name
        for name in table.incomplete()
        if (name not in specification.targets and table.variables[name].kind is not Kind.OTHER)
        or (name in staying and (staying[name] & table.missing(name)).any())
    ]
    try:
        if "formula" not in given and _needs_formula(target, table.variables):
            raise SpecificationError(
                f"{target.name!r} is imputed by a formula with more than plain predictors, which "
                "another model does not take over; give its 'formula' too."
            )
        built, _ = build_target(
            target.name, method, table, request, specification.ignore, None, {}, unimputed
        )
    except (SpecificationError, DataError) as error:
        raise type(error)(f"{place}{error}") from None
    if built.level != target.level:
        raise SpecificationError(
            f"{place}it is a model of level {built.level}, but {target.name!r} is imputed at level "
            f"{target.level}; models of different values cannot be compared. Use a method of that "
            f"level, such as {NORMAL_OF_CLUSTERS!r} for level 2."
        )
    inside = resolve(innermost(built.method))
    if getattr(inside, "block", False):
        raise SpecificationError(
            f"{place}{method_text(inside)!r} models several variables together, which cannot be "
            "compared with models of one."
        )
    if not getattr(inside, "has_likelihood", True) or {**_defaults(built), **built.options}.get(
        getattr(inside, "copied_by", ""), False
    ):
        raise SpecificationError(
            f"{place}{method_text(built.method)!r} copies observed values and has no density that "
            f"could be compared. imp.overimpute({target.name!r}) shows how well it predicts."
        )
    return built


def _defaults(target: Target) -> dict[str, Any]:
    return dict(method_of(target).options)


def _read(description: Any, place: str) -> dict[str, Any]:
    if isinstance(description, str):
        return {"formula" if "~" in description else "method": description}
    if not isinstance(description, Mapping):
        return {"method": description}
    for key in description:
        if key not in KEYS:
            raise SpecificationError(
                f"{place}there is no {key!r} of a model; there are {', '.join(KEYS)}."
                f"{did_you_mean(str(key), KEYS)}"
            )
    for key in ("options", "priors"):
        if key in description and not isinstance(description[key], Mapping):
            raise SpecificationError(
                f"{place}{key} must be a dict, such as {{'heteroscedastic': True}}."
            )
    return dict(description)


def _needs_formula(target: Target, columns: Mapping[str, Any]) -> bool:
    """Whether a row of the predictor matrix does not say all of a target's terms."""
    plain = all(term.label in columns and not term.random_part for term in target.terms)
    further = any(each.slopes or ":" in each.name for each in target.groupings)
    return not plain or (target.level == 1 and not target.random_intercept) or further
