"""Splines, polynomials and scaled columns of an analysis as arithmetic with numbers in it.

`fit` learns knots, means and norms from each completed data set. A model that is to be compatible
with the analysis while values change needs them once, from the observed values. Polynomials and
scaled columns then span the same columns as those that `fit` makes; so do splines with the same
knots, here as powers and truncated powers (Hastie, Tibshirani & Friedman 2009, §5.2).
"""

from collections.abc import Iterator, Sequence
from itertools import product as every

import numpy as np
import pandas as pd

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.formula_bases import Polynomial, Spline
from bayesimpute.pooling.formula_columns import checked_formula, prepared
from bayesimpute.pooling.formula_factors import Categorical, Numeric, arithmetic, learn
from bayesimpute.specification.expressions import quoted
from bayesimpute.specification.formula_terms import MEANS, Factor, Formula, Product

LEARNED = ("bs", "ns", "poly", "scale", "center", "standardize")
CODED = ("C", "factor", "relevel")


def with_fixed_bases(formula: str, df: pd.DataFrame) -> str:
    """Write a formula so that nothing in it is learned from data.

    Parameters
    ----------
    formula
        An analysis.
    df
        The incomplete data.

    Raises
    ------
    AnalysisError
        If a function cannot be written so.

    Examples
    --------
    >>> df = pd.DataFrame({"y": [1.0, 2, 3, 4], "x": [0.0, 1, 3, np.nan]})
    >>> with_fixed_bases("y ~ poly(x, 2)", df)
    'y ~ 1 + x + I(((x - 1.33333) / 1.52753)**2)'
    """
    read = checked_formula(formula, df.columns)
    if not any(factor.function in (*LEARNED, *CODED) for factor in read.factors):
        return formula
    assert read.response is not None
    parts = [
        f"({_sum(part.terms, part.intercept, df)} {'||' if part.independent else '|'} "
        f"{':'.join(map(quoted, part.groups))})"
        for part in read.random
    ]
    return " + ".join([f"{read.response.text} ~ {_sum(read.terms, read.intercept, df)}", *parts])


def with_observed_knots(formula: Formula, df: pd.DataFrame) -> tuple[str, dict[str, str]]:
    """Write a formula with the knots that `with_fixed_bases` takes, for `fit` to take the same.

    Also gives what each spline was called, by what it is called then.
    """
    text, called = formula.text, {}
    for factor in formula.factors:
        if factor.function in ("bs", "ns"):
            spline = _learned(factor, df).basis
            assert isinstance(spline, Spline)
            low, *inner, high = np.unique(spline.knots)
            given = [
                factor.arguments[0],
                f"knots = c({', '.join(map(repr, map(float, inner)))})" if inner else "",
                "" if factor.function == "ns" else f"degree = {spline.degree}",
                f"Boundary.knots = c({float(low)!r}, {float(high)!r})",
            ]
            written = f"{factor.function}({', '.join(part for part in given if part)})"
            text = text.replace(factor.label, written)
            called[written] = factor.label
    return text, called


def _sum(terms: Sequence[Product], intercept: bool, df: pd.DataFrame) -> str:
    written = ["1" if intercept else "0"]
    for term in terms:
        for factors in every(*(tuple(_alternatives(factor, df)) for factor in term)):
            written.append(":".join(factors))
    return " + ".join(written)


def _alternatives(factor: Factor, df: pd.DataFrame) -> Iterator[str]:
    """Give the columns of a factor, each as arithmetic."""
    if factor.function in CODED:
        name = factor.arguments[0].strip("`")
        coded = name in df.columns and learn(factor, _seen(factor, df), None)
        if not isinstance(coded, Categorical):
            raise AnalysisError(f"{factor.label}: give the data a column of these categories.")
        if pd.api.types.is_numeric_dtype(df[name]) and df[name].nunique() > 2:
            raise AnalysisError(
                f"{factor.label}: {name!r} holds numbers, and is imputed as such; make it a "
                f"category first: df[{name!r}] = df[{name!r}].astype('category')."
            )
        yield quoted(name)
    elif factor.function in LEARNED:
        yield from _columns(factor, df)
    elif factor.function in MEANS:
        yield f"cluster_mean({', '.join(factor.arguments)})"
    else:
        yield factor.text


def _columns(factor: Factor, df: pd.DataFrame) -> Iterator[str]:
    learned, x = _learned(factor, df), factor.arguments[0]
    values = _values(factor, df)
    centre, scale = float(values.mean()), float(values.std(ddof=1))
    standard = f"({x} - {centre:.6g}) / {scale:.6g}"
    basis = learned.basis
    yield x if x in df.columns else f"I({x})"
    if basis is None:
        return
    if isinstance(basis, Polynomial):
        for power in range(2, basis.degree + 1):
            yield f"I(({standard})**{power})"
        return
    if basis.intercept:
        raise AnalysisError(f"{factor.label}: with an intercept of its own; leave intercept= out.")
    low, *inner, high = np.unique(basis.knots).tolist()

    def truncated(knot: float, power: int) -> str:
        return f"maximum(({x} - {knot!r}) / {scale:.6g}, 0)**{power}"

    if basis.natural is None:
        for power in range(2, basis.degree + 1):
            yield f"I(({standard})**{power})"
        for knot in inner:
            yield f"I({truncated(knot, basis.degree)})"
        return

    def bent(knot: float) -> str:
        return f"({truncated(knot, 3)} - {truncated(high, 3)}) / {(high - knot) / scale:.10g}"

    for knot in [low, *inner][:-1]:
        yield f"I({bent(knot)} - {bent([low, *inner][-1])})"


def _learned(factor: Factor, df: pd.DataFrame) -> Numeric:
    learned = learn(factor, _seen(factor, df), None)
    assert isinstance(learned, Numeric)
    return learned


def _seen(factor: Factor, df: pd.DataFrame) -> pd.DataFrame:
    names = tuple(factor.names)
    return prepared(df.dropna(subset=list(names)), names)


def _values(factor: Factor, df: pd.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return arithmetic(factor.label, factor.arguments[0], _seen(factor, df))
