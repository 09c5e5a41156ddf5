"""Each target's model as an equation, written from its codes."""

from dataclasses import replace

from bayesimpute.data.clusters import cluster_index
from bayesimpute.specification.screening import term_columns
from bayesimpute.specification.specification import Passive, Specification, Target, Term
from bayesimpute.wrappers.base import Wrapper
from bayesimpute.wrappers.fixed_clusters import FixedClusters


def equations(specification: Specification) -> dict[str, str]:
    """Give the equation of every target.

    Returns
    -------
    dict
        Target -> text. i counts rows, j clusters.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesimpute.specification.specify import specify
    >>> df = pd.DataFrame({"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, None]})
    >>> equations(specify(df, method="normal"))["y"]
    'y_i = β0 + β1·x_i + ε_i,  ε_i ~ N(0, σ²)'
    """
    return {
        name: f"{name} = {target.expression}"
        if isinstance(target, Passive)
        else _model(target, _of_clusters(specification, target))
        for name, target in specification.targets.items()
    }


def _of_clusters(specification: Specification, target: Target) -> frozenset[str]:
    """Labels of the terms that never vary within clusters, written with the index j."""
    if target.cluster is None:
        return frozenset()
    clusters = cluster_index(specification.table, target.cluster)
    return frozenset(
        term.label
        for term in target.terms
        if all(clusters.is_level2(column) for column in term_columns(term, specification.table).T)
    )


def _symbol(term: Term, row: str) -> str:
    """``sex_ij``; a product in parentheses."""
    product = "·".join(term.label.split(":"))
    return f"({product})_{row}" if len(term.factors) > 1 else f"{product}_{row}"


def _model(target: Target, of_clusters: frozenset[str]) -> str:
    if isinstance(target.method, Wrapper):
        inside = replace(target, method=target.method.method)
        if isinstance(target.method, FixedClusters) and target.cluster is not None:
            of_cluster = Term(target.cluster, (target.cluster,))
            inside = replace(
                inside, cluster=None, random_intercept=False, terms=(*target.terms, of_cluster)
            )
        return target.method.equation(_model(inside, of_clusters))
    if target.method == "sample":
        return f"{target.name} ~ its observed values, with Dirichlet shares"
    if not isinstance(target.method, str):
        return f"{target.name} ~ {getattr(target.method, '__name__', target.method)}"
    row = "j" if target.level == 2 else ("ij" if target.cluster else "i")
    two_level = target.cluster is not None and target.level == 1
    effects: list[str] = []

    def effect() -> str:
        effects.append(f"b{len(effects)}_j")
        return effects[-1]

    parts = [f"(β0 + {effect()})" if two_level and target.random_intercept else "β0"]
    count = 1
    for term in target.terms:
        if target.level == 2 and term.label not in of_clusters:
            value = f"mean({term.label})_j"
        else:
            value = _symbol(term, "j" if term.label in of_clusters else row)
        if term.fixed and term.random:
            parts.append(f"(β{count} + {effect()})·{value}")
        elif term.fixed:
            parts.append(f"β{count}·{value}")
        elif term.random:
            parts.append(f"{effect()}·{value}")
        count += term.fixed
    for term in target.terms:
        if term.cluster_mean:
            parts.append(f"β{count}·mean({term.label})_j")
            count += 1
    residual = "σ_j²" if target.options.get("heteroscedastic") else "σ²"
    text = f"{target.name}_{row} = {' + '.join(parts)} + ε_{row}"
    if effects:
        text += f",  b_j ~ N(0, {'Ψ' if len(effects) > 1 else 'τ²'})"
    text += f",  ε_{row} ~ N(0, {residual})"
    if target.options.get("heteroscedastic"):
        text += ",  log σ_j ~ N(log σ, ω²)"
    if target.method == "pmm":
        text += f";  value of one of the {target.options.get('donors', 5)} nearest donors"
    return text
