"""Latent cluster means: ``latent_mean(x)`` in an analysis.

The mean of x over the rows of a cluster that happen to be there measures the cluster with error,
and a contextual effect on it is drawn towards 0 (Lüdtke et al. 2008, Psychological Methods 13,
203-229). The latent mean is a variable of clusters that is missing everywhere: it has a model among
clusters, and x is distributed around it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd

from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.registry import resolve
from bayesimpute.specification.aliases import NUMBER
from bayesimpute.specification.expressions import quoted
from bayesimpute.specification.specification import Specification, Target, models_of
from bayesimpute.wrappers.base import innermost, method_text

_CALL = re.compile(r"(?<!`)\blatent_mean\(\s*(`[^`]+`|[^()`]+?)\s*\)")
#: SD of the prior of the intercept around the latent mean, in SDs of x: it is 0.
NO_INTERCEPT = 1e-5


def with_latent_means(
    analysis: str | Sequence[str], df: pd.DataFrame
) -> tuple[str | list[str], pd.DataFrame]:
    """Give an analysis and data in which each latent mean is a column, missing everywhere.

    Examples
    --------
    >>> df = pd.DataFrame({"g": [1, 1, 2], "x": [0.0, 1, 3], "y": [1.0, 2, 3]})
    >>> text, more = with_latent_means("y ~ x + latent_mean(x) + (1 | g)", df)
    >>> text, list(more.columns)
    ('y ~ x + `latent_mean(x)` + (1 | g)', ['g', 'x', 'y', 'latent_mean(x)'])
    """
    texts = [analysis] if isinstance(analysis, str) else list(analysis)
    calls = (call for text in texts if isinstance(text, str) for call in _CALL.finditer(text))
    names = dict.fromkeys(call[1].strip("`") for call in calls)
    for name in names:
        if name not in df.columns:
            raise SpecificationError(f"analysis: there is no column {name!r} for latent_mean().")
    if names:
        df = df.assign(**{latent_name(name): float("nan") for name in names})
    written = [with_columns(text) if isinstance(text, str) else text for text in texts]
    return (written[0] if isinstance(analysis, str) else written), df


def with_columns(formula: str) -> str:
    """Write the latent means of a formula as columns."""
    return _CALL.sub(lambda call: quoted(latent_name(call[1].strip("`"))), formula)


def latent_name(name: str) -> str:
    """Column that holds the latent mean of a variable."""
    return f"latent_mean({name})"


def mean_of(name: str, table: Table) -> str | None:
    """Variable whose latent mean a column is: one of that name without any value."""
    of = name.removeprefix("latent_mean(").removesuffix(")")
    known = of in table.variables and name == latent_name(of)
    return of if known and table.missing(name).all() else None


def latent_means(table: Table) -> dict[str, str]:
    """Give the columns that are latent means, with their variables."""
    return {name: of for name in table.variables if (of := mean_of(name, table)) is not None}


def around(target: Target, table: Table) -> Target:
    """Give the model of a variable around its latent mean.

    Raises
    ------
    SpecificationError
        If the variable has no cluster means, or its model is another than the normal one.
    """
    name, latent = target.name, latent_name(target.name)
    if latent not in table.variables or mean_of(latent, table) is None:
        return target
    method = resolve(innermost(target.method))
    numeric = table.variables[name].kind is Kind.NUMERIC
    if not (numeric and getattr(method, "around_means", False)):
        raise SpecificationError(
            f"latent_mean({name}): {name!r} must be a number with a normal model "
            f"(method={{{name!r}: {NUMBER!r}}}), not {method_text(target.method)}."
        )
    if target.cluster is None or target.level == 2:
        raise SpecificationError(
            f"latent_mean({name}): {name!r} has no rows within clusters; give cluster=, or write "
            f"{name} itself if it is of clusters."
        )
    if any(term.random for term in target.terms):
        raise SpecificationError(
            f"latent_mean({name}): with random slopes in the model of {name!r} a cluster has no "
            "one mean; leave them out of its formula."
        )
    return without_intercept(replace(target, around=latent, random_intercept=False), table)


def without_intercept(target: Target, table: Table) -> Target:
    """Give the model of the difference to a latent mean, whose intercept is 0."""
    import pymc as pm

    spread = float(table.frame[target.name].std())
    none = pm.Normal.dist(0.0, NO_INTERCEPT * spread)
    return replace(target, priors={**target.priors, "intercept": none})


def without_fixed_priors(specification: Specification) -> Specification:
    """Leave out the priors that :func:`without_intercept` gives: they follow from the rest."""

    def without(target: Target) -> Target:
        return replace(target, priors={k: p for k, p in target.priors.items() if k != "intercept"})

    return _around_changed(specification, without)


def with_fixed_priors(specification: Specification) -> Specification:
    """Put them back."""
    return _around_changed(specification, lambda each: without_intercept(each, specification.table))


def _around_changed(
    specification: Specification, change: Callable[[Target], Target]
) -> Specification:
    models = models_of(specification.targets)
    changed = {name: change(target) for name, target in models.items() if target.around}
    return replace(specification, targets={**specification.targets, **changed})
