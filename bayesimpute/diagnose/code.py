"""Code of advice: changes of the arguments of ``bi.impute`` that go through."""

from typing import Any

from bayesimpute.specification.aliases import MATCHING, MATCHING_OF_CLUSTERS
from bayesimpute.specification.specification import Target
from bayesimpute.wrappers.base import innermost


def matching(target: Target) -> str:
    """Predictive mean matching at the level of a target."""
    return MATCHING_OF_CLUSTERS if target.level == 2 else MATCHING


def switched(target: Target, method: str, options: dict[str, Any] | None = None) -> str:
    """Give code for another method, without options and priors that only the one so far knows."""
    name, lines = target.name, [f"method[{target.name!r}] = {method!r}"]
    if options:
        lines.append(f"model_options[{name!r}] = {options}")
    elif target.options and method != innermost(target.method):
        lines.append(f"model_options.pop({name!r}, None)")
    if target.priors and method != innermost(target.method):
        lines.append(f"priors.pop({name!r}, None)")
    return "; ".join(lines)
