"""lme4-style formulas of conditional models, parsed by formulae."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from bayesimpute.errors import SpecificationError
from bayesimpute.specification.expressions import names_in
from bayesimpute.specification.specification import Term

MEAN = "cluster_mean"


@dataclass(frozen=True)
class ParsedFormula:
    """Right-hand side of a formula.

    Attributes
    ----------
    terms
        In order of appearance.
    cluster
        Grouping column of the random part, None without one.
    random_intercept
        Whether the random part has an intercept.
    """

    terms: tuple[Term, ...]
    cluster: str | None
    random_intercept: bool


def parse_formula(formula: str, target: str, columns: Iterable[str]) -> ParsedFormula:
    """Read ``popular ~ texp * sex + cluster_mean(sex) + (1 + sex | school)``.

    Parameters
    ----------
    formula
        Main effects, interactions, numeric functions of columns, ``cluster_mean(x)``, and one
        random part.
    target
        Its left-hand side must be this column.
    columns
        Columns of the data.

    Returns
    -------
    ParsedFormula

    Raises
    ------
    SpecificationError
        If it does not parse, names an unknown column, has another outcome or no intercept, or
        more than one grouping variable.
    """
    from formulae import model_description

    def fail(what: str) -> SpecificationError:
        return SpecificationError(f"Formula of {target!r}, {formula!r}: {what}")

    if not isinstance(formula, str):
        raise fail("a formula must be text like 'y ~ x + (1 | school)'.")
    try:
        parsed: Any = model_description(formula)
    except Exception as error:
        raise fail(
            f"it does not parse ({error}). Write it like '{target} ~ x1 + x2 + (1 + x1 | school)'."
        ) from None
    if parsed.response is None:
        raise fail(f"it has no left-hand side; begin it with '{target} ~'.")
    if parsed.response.term.name != target:
        raise fail(f"its outcome is {parsed.response.term.name!r}, not {target!r}.")

    terms: dict[str, Term] = {}
    groups: list[str] = []
    intercept = random_intercept = False
    for part in parsed.terms:
        kind = type(part).__name__
        if kind == "Intercept":
            intercept = True
        elif kind == "Term":
            _add(terms, _term(part))
        elif kind == "GroupSpecificTerm":
            groups.append(part.factor.name)
            if type(part.expr).__name__ == "Intercept":
                random_intercept = True
            elif type(part.expr).__name__ == "Term":
                _add(terms, replace(_term(part.expr), fixed=False, random=True))
    if not intercept:
        raise fail("a conditional model has an intercept; remove '0 +' or '- 1'.")
    if len(set(groups)) > 1:
        raise fail(f"it has {len(set(groups))} grouping variables; one is possible.")

    known = list(columns)
    used = [
        name
        for term in terms.values()
        for factor in term.factors
        for name in ((factor,) if factor in known else names_in(factor))
    ]
    for name in [*used, *groups]:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise fail(f"there is no column {name!r}.{hint}")
        if name == target:
            raise fail(f"{target!r} cannot predict itself; remove it from the right-hand side.")
    return ParsedFormula(tuple(terms.values()), groups[0] if groups else None, random_intercept)


def _add(terms: dict[str, Term], term: Term) -> None:
    """Merge with what is said elsewhere in the formula of the same term."""
    old = terms.get(term.label)
    if old is not None:
        term = replace(
            term,
            fixed=old.fixed or term.fixed,
            random=old.random or term.random,
            cluster_mean=old.cluster_mean or term.cluster_mean,
        )
    terms[term.label] = term


def _term(part: Any) -> Term:
    factors = [component.name for component in part.components]
    if len(factors) == 1 and factors[0].startswith(f"{MEAN}(") and factors[0].endswith(")"):
        inner = factors[0][len(MEAN) + 1 : -1].strip()
        return Term(inner, (inner,), fixed=False, cluster_mean=True)
    return Term(":".join(factors), tuple(factors))
