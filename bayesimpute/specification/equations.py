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
    parts_of: list[int] = []

    def effect(part: int = 0) -> str:
        parts_of.append(part)
        return f"b{len(parts_of) - 1}_j"

    parts = [f"(β0 + {effect()})" if two_level and target.random_intercept else "β0"]
    count = 1
    for term in target.terms:
        if target.level == 2 and term.label not in of_clusters:
            value = f"mean({term.label})_j"
        else:
            value = _symbol(term, "j" if term.label in of_clusters else row)
        if term.fixed and term.random:
            parts.append(f"(β{count} + {effect(term.random_part)})·{value}")
        elif term.fixed:
            parts.append(f"β{count}·{value}")
        elif term.random:
            parts.append(f"{effect(term.random_part)}·{value}")
        count += term.fixed
    for term in target.terms:
        if term.cluster_mean:
            parts.append(f"β{count}·mean({term.label})_j")
            count += 1
    predictor = " + ".join(parts)
    text = _likelihood(target, f"{target.name}_{row}", predictor, row)
    if parts_of:
        text += f",  b_j ~ N(0, {'Ψ' if len(parts_of) > 1 or target.block else 'τ²'})"
    if len(set(parts_of)) > 1:
        text += f",  {_independent(parts_of)} independent"
    if target.method in ("normal", "pmm"):
        text += f",  ε_{row} ~ N(0, {'σ_j²' if target.options.get('heteroscedastic') else 'σ²'})"
    if target.options.get("heteroscedastic"):
        text += ",  log σ_j ~ N(log σ, ω²)"
    if target.method == "pmm":
        text += f";  value of one of the {target.options.get('donors', 5)} nearest donors"
    return text


def _independent(parts_of: list[int]) -> str:
    """Effects of different random parts, each part in brackets unless it is of one effect."""
    together = {
        part: [f"b{k}_j" for k, own in enumerate(parts_of) if own == part] for part in parts_of
    }
    return ", ".join(
        names[0] if len(names) == 1 else f"({', '.join(names)})" for names in together.values()
    )


def _likelihood(target: Target, y: str, predictor: str, row: str) -> str:
    """How a value depends on its linear predictor."""
    unshifted = predictor.replace("(β0 + b0_j)", "b0_j").removeprefix("β0 + ")
    unshifted = "0" if unshifted == "β0" else unshifted
    options = target.options
    bounds = f"[{options.get('lower', '−∞')}, {options.get('upper', '∞')}]"
    match target.method:
        case "logistic":
            return f"logit P({y} = last) = {predictor}"
        case "ordinal":
            return f"logit P({y} ≤ k) = c_k − ({unshifted})"
        case "categorical":
            return f"log P({y} = k)/P({y} = reference) = {predictor}, all by k"
        case "poisson":
            return f"{y} ~ Poisson(μ_{row}),  log μ_{row} = {predictor}"
        case "negative_binomial":
            return f"{y} ~ NegativeBinomial(μ_{row}, φ),  log μ_{row} = {predictor}"
        case "normal.robust":
            return f"{y} = {predictor} + ε_{row},  ε_{row} ~ t(ν, 0, σ)"
        case "normal.truncated":
            return f"{y} ~ N(μ_{row}, σ²) within {bounds},  μ_{row} = {predictor}"
        case "normal.censored":
            return f"{y} = y*_{row} cut off at {bounds},  y*_{row} ~ N({predictor}, σ²)"
        case "heckman" | "heckman.binary" | "heckman.robust":
            outcome = f"{target.name}*_{row}" if target.method == "heckman.binary" else y
            errors = ", t(ν) errors" if target.method == "heckman.robust" else ""
            return (
                f"{outcome} = {predictor} + ε_{row} (without what is in the selection only);  "
                f"seen if γ0 + … + u_{row} > 0,  corr(ε_{row}, u_{row}) = "
                f"{options.get('rho') if options.get('rho') is not None else 'ρ'}{errors}"
            )
        case "joint":
            latent = ", ".join(f"{name}*" for name in target.block)
            return (
                f"{target.name}*_{row} = {predictor} + ε_{row},  ε_{row} of ({latent}) ~ N(0, Σ); "
                "a number is its latent value, a category the interval that it lies in"
            )
        case _:
            return f"{y} = {predictor} + ε_{row}"
