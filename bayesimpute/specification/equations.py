"""Each target's model as an equation, written from its codes."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from bayesimpute.data.table import Kind
from bayesimpute.method import Words, words_of
from bayesimpute.registry import resolve
from bayesimpute.specification.screening import term_columns
from bayesimpute.specification.specification import Passive, Specification, Target, Term
from bayesimpute.wrappers.base import Wrapper, method_text
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
    clusters = specification.table.clusters(target.cluster)
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
    words = words_of(resolve(target.method))
    if words is None:
        return f"{target.name} ~ {method_text(target.method)}"
    row = "j" if target.level == 2 else ("ij" if target.cluster else "i")
    of = _Predictors(target, of_clusters, row)
    outcome = of.write("outcome")
    selection = of.write("selection", "γ", "a") if "{selection}" in words.equation else ""
    unshifted = outcome.replace("(β0 + b0_j)", "b0_j").removeprefix("β0 + ")
    options = target.options
    by_cluster = bool(options.get("heteroscedastic"))
    return words.equation.format(
        y=f"{target.name}_{row}",
        name=target.name,
        row=row,
        predictor=outcome,
        unshifted="0" if unshifted == "β0" else unshifted,
        selection=selection,
        effects=_effects(of, words),
        variance="σ_j²" if by_cluster else "σ²",
        spread=",  log σ_j ~ N(log σ, ω²)" if by_cluster else "",
        bounds=f"[{options.get('lower', '−∞')}, {options.get('upper', '∞')}]",
        donors=options.get("donors", 5),
        rho=_rho(of),
        latent=", ".join(f"{name}*" for name in target.block),
    )


class _Predictors:
    """Linear predictors of a target, with the effects by cluster met while writing them."""

    def __init__(self, target: Target, of_clusters: frozenset[str], row: str) -> None:
        self.target, self.of_clusters, self.row = target, of_clusters, row
        self.two_level = target.cluster is not None and target.level == 1
        self.effects: list[tuple[str, int]] = []

    def write(self, equation: str, beta: str = "β", letter: str = "b") -> str:
        """Sum of the terms that an equation has."""
        target = self.target
        terms = [term for term in target.terms if term.equation in ("both", equation)]
        numbers = itertools.count()

        def effect(part: int = 0) -> str:
            name = f"{letter}{next(numbers)}_j"
            self.effects.append((name, part))
            return name

        first = f"{beta}0"
        parts = [f"({first} + {effect()})" if self.two_level and target.random_intercept else first]
        count = 1
        for term in terms:
            value = self._value(term)
            if term.fixed and term.random:
                parts.append(f"({beta}{count} + {effect(term.random_part)})·{value}")
            elif term.fixed:
                parts.append(f"{beta}{count}·{value}")
            elif term.random:
                parts.append(f"{effect(term.random_part)}·{value}")
            count += term.fixed
        for term in terms:
            if term.cluster_mean:
                parts.append(f"{beta}{count}·mean({term.label})_j")
                count += 1
        return " + ".join(parts)

    def _value(self, term: Term) -> str:
        constant = term.label in self.of_clusters
        if self.target.level == 2 and not constant:
            return f"mean({term.label})_j"
        return _symbol(term, "j" if constant else self.row)


def _varies(of: _Predictors) -> bool:
    """Whether σ and ρ of a selection model vary by cluster, as its intercepts do."""
    return of.two_level and of.target.random_intercept


def _rho(of: _Predictors) -> str:
    fixed = of.target.options.get("rho")
    if fixed is not None:
        return str(fixed)
    return "ρ_j" if _varies(of) else "ρ"


def _effects(of: _Predictors, words: Words) -> str:
    """Distribution of the effects by cluster; empty without any."""
    if not of.effects:
        return ""
    target, names = of.target, ["b_j"]
    if "{selection}" in words.equation:
        names.append("a_j")
        if _varies(of):
            names += ["log σ_j − log σ"] if Kind.NUMERIC in _kinds(target) else []
            names += ["atanh ρ_j − atanh ρ"] if target.options.get("rho") is None else []
    several = len(of.effects) > 1 or target.block
    written = names[0] if len(names) == 1 else f"({', '.join(names)})"
    text = f",  {written} ~ N(0, {'Ψ' if several else 'τ²'})"
    if len({part for _, part in of.effects}) > 1:
        text += f",  {_independent(of.effects)} independent"
    return text


def _kinds(target: Target) -> frozenset[Kind]:
    kinds: frozenset[Kind] = resolve(target.method).kinds
    return kinds


def _independent(effects: Sequence[tuple[str, int]]) -> str:
    """Effects of different random parts, each part in brackets unless it is of one effect."""
    together: dict[int, list[str]] = {}
    for name, part in effects:
        together.setdefault(part, []).append(name)
    return ", ".join(
        names[0] if len(names) == 1 else f"({', '.join(names)})" for names in together.values()
    )
