"""From a formula and completed data to columns of numbers: fixed part, random parts, offset.

They are named as R names them; the contrasts of C() as `formula_factors` says.

Splines, polynomials and scaled columns can also be written as arithmetic with numbers in it.
`fit` learns knots, means and norms from each completed data set. A model that is to be compatible
with the analysis while values change needs them once, from the observed values. Polynomials and
scaled columns then span the same columns as those that `fit` makes; so do splines with the same
knots, here as powers and truncated powers (Hastie, Tibshirani & Friedman 2009, §5.2).
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from itertools import product as every
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError, SpecificationError
from bayesimpute.pooling.formula_factors import (
    Categorical,
    Learned,
    Numeric,
    Polynomial,
    Spline,
    arithmetic,
    check_arguments,
    learn,
)
from bayesimpute.specification.expressions import quoted
from bayesimpute.specification.formula_reader import read_formula
from bayesimpute.specification.formula_terms import (
    MEANS,
    Factor,
    Formula,
    Product,
    key_of,
    label_of,
    lacking_margins,
    unique,
)
from bayesimpute.wording import nearest


def checked_formula(formula: str, columns: Iterable[str]) -> Formula:
    """Read a formula; an error says where it does not parse or which column is not there.

    Parameters
    ----------
    formula
        ``"y ~ x"`` or ``"y ~ x + (1 | g)"``.
    columns
        Of the completed data.

    Examples
    --------
    >>> checked_formula("y ~ . + (1 | g)", ["g", "x", "y", "z"]).predictors
    ('x', 'z')
    """
    known = list(columns)
    read, _ = analysis_formula(formula, known)
    for name in read.names:
        if name not in known:
            raise AnalysisError(
                f"The formula {formula!r} names {name!r}, which is no column of the data"
                f"{nearest(name, known)}"
            )
    return read


def analysis_formula(formula: str, columns: Iterable[str]) -> tuple[Formula, Factor]:
    """Read a formula, with its outcome; an error says what no data can make right.

    Parameters
    ----------
    formula
        ``"y ~ x"`` or ``"y ~ x + (1 | g)"``.
    columns
        Of the data; that the formula names others is left to the caller.

    Examples
    --------
    >>> analysis_formula("log(y) ~ x", ["x", "y"])[1].label
    'log(y)'
    """
    try:
        read = read_formula(formula, [name for name in columns if isinstance(name, str)])
    except SpecificationError as error:
        raise AnalysisError(f"The formula {formula!r} cannot be used: {error}") from error
    if read.response is None or not read.response.names:
        raise AnalysisError(
            f"The formula {formula!r} does not parse: write the outcome left of the ~."
        )
    for factor in (read.response,) * (read.event is None) + (*read.factors,):
        check_arguments(factor)
    _check_sides(read, read.response)
    return read, read.response


def check_formula(formula: str, columns: pd.Index) -> tuple[str, ...]:
    """Columns a formula uses; an error names the one that is not there and its nearest name.

    Examples
    --------
    >>> check_formula("y ~ log(x) + (1 | g)", pd.Index(["g", "x", "y", "z"]))
    ('y', 'x', 'g')
    """
    return checked_formula(formula, columns).names


def _check_sides(read: Formula, response: Factor) -> None:
    """Refuse an outcome that predicts itself, and formulas that leave nothing to estimate."""
    if read.event is not None:
        for name in response.names:
            if name in (*read.predictors, *read.groups):
                raise AnalysisError(
                    f"The formula {read.text!r} has {name!r}, part of its outcome, right of the ~, "
                    "too; take it out there."
                )
    parts = [(part.terms, part.intercept) for part in read.random]
    for terms, _ in [(read.terms, True), *parts]:
        for term in terms:
            if response.key in {factor.key for factor in term}:
                raise AnalysisError(
                    f"The formula {read.text!r} has {response.label!r} on both sides of the ~ "
                    f"({label_of(term)}); take it out of the right one."
                )
    if not read.intercept and not read.terms:
        raise AnalysisError(
            f"The formula {read.text!r} leaves no coefficient to estimate; write y ~ 1 for the "
            "mean. That all coefficients of a model are 0 is tested by fits.test([...])."
        )
    for (terms, intercept), part in zip(parts, read.random, strict=True):
        if not terms and not intercept:
            raise AnalysisError(
                f"The formula {read.text!r} has a random part of {':'.join(part.groups)!r} "
                "without an effect; write (1 | g) or (0 + x | g)."
            )


def prepared(frame: pd.DataFrame, used: tuple[str, ...], ids: Collection[str] = ()) -> pd.DataFrame:
    """Keep the columns used, as numbers or categories; missing values are an error.

    Dates may be `ids` of clusters, of which no number is asked.
    """
    columns = {}
    for name in used:
        gaps = int(frame[name].isna().sum())
        if gaps:
            raise AnalysisError(
                f"{name!r} still has {gaps} missing values after imputation; impute it, or drop "
                "those rows yourself by fitting a callable: lambda data: model(data.dropna())."
            )
        label = name in ids and _is_of_time(frame[name].dtype)
        columns[name] = frame[name].astype("category") if label else plain(name, frame[name])
    return pd.DataFrame(columns, index=frame.index, columns=pd.Index(list(used)))


def plain(name: str, column: pd.Series) -> pd.Series:
    """Numbers and truth values as numpy has them, all else as categories."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return column.astype(bool)
    if pd.api.types.is_numeric_dtype(column.dtype):
        kind = column.dtype.kind
        if kind == "c":
            raise AnalysisError(f"{name!r} holds complex numbers; take their parts as columns.")
        values = column.to_numpy(column.to_numpy().dtype if kind in "iuf" else float)
        if not np.isfinite(values).all():
            raise AnalysisError(f"{name!r} holds infinite values; recode them first.")
        return pd.Series(values, index=column.index)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories()
    if _is_of_time(column.dtype):
        raise AnalysisError(
            f"{name!r} holds {column.dtype}; an analysis needs numbers, such as days since a date."
        )
    return column.astype("category")


def _is_of_time(dtype: Any) -> bool:
    return dtype.kind in "mM" or isinstance(dtype, pd.PeriodDtype)


def categories_of(frame: pd.DataFrame) -> dict[str, pd.Index]:
    """Categories of the columns that have any."""
    return {
        str(name): frame[name].cat.categories
        for name in frame.columns
        if isinstance(frame[name].dtype, pd.CategoricalDtype)
    }


def new_rows(
    frame: pd.DataFrame, used: Iterable[str], categories: Mapping[str, pd.Index]
) -> pd.DataFrame:
    """Columns of new rows, with the categories of the data that were fitted."""
    columns = {}
    for name in used:
        if name not in frame.columns:
            raise AnalysisError(
                f"The model names {name!r}, which is no column of the new rows"
                f"{nearest(name, frame.columns)}"
            )
        column = frame[name]
        gaps = int(column.isna().sum())
        if gaps:
            raise AnalysisError(
                f"{name!r} of the new rows has {gaps} missing values; fill them, or impute the new "
                "rows with the data and give the completed frames."
            )
        if name in categories:
            values = pd.Categorical(np.asarray(column), categories=categories[name])
            if (values.codes < 0).any():
                strange = column.tolist()[int(np.argmin(values.codes))]
                raise AnalysisError(
                    f"{name!r}: {strange!r} is no category of the data that were fitted; rows "
                    "with it cannot be predicted."
                )
            column = pd.Series(values, index=frame.index)
        columns[name] = column if name in categories else plain(name, column)
    return pd.DataFrame(columns, index=frame.index).reset_index(drop=True)


INTERCEPT = "(Intercept)"


@dataclass(frozen=True, eq=False)
class TermColumns:
    """The columns of one term.

    Attributes
    ----------
    label
        As written.
    key
        What the term is.
    factors
        Of the term.
    codings
        In each the factors of a product, and whether a categorical one has all categories.
    """

    label: str
    key: frozenset[str]
    factors: tuple[Learned, ...]
    codings: tuple[tuple[tuple[int, bool], ...], ...]

    def names(self) -> list[str]:
        """Names of the columns, the first factor varying fastest."""
        found = []
        for coding in self.codings:
            products: list[tuple[str, ...]] = [()]
            for index, full in coding:
                names = self.factors[index].names(full)
                products = [(*before, name) for name in names for before in products]
            found += [":".join(parts) for parts in products]
        return found

    @property
    def width(self) -> int:
        """Count the columns."""
        return sum(
            math.prod(len(self.factors[index].names(full)) for index, full in coding)
            for coding in self.codings
        )

    def values(self, frame: pd.DataFrame) -> Array:
        """(row, columns)."""
        n = len(frame)
        found = []
        for coding in self.codings:
            product = np.ones((n, 1))
            for index, full in coding:
                columns = self.factors[index].values(frame, full)
                product = (columns[:, :, None] * product[:, None, :]).reshape(n, -1)
            found.append(product)
        return np.hstack(found) if found else np.empty((n, 0))


@dataclass(frozen=True, eq=False)
class LinearDesign:
    """Terms of one linear predictor, in the order of the formula."""

    intercept: bool
    terms: tuple[TermColumns, ...]

    def columns(self, frame: pd.DataFrame) -> dict[str, Array]:
        """Values of each column by name, the intercept first."""
        found = {INTERCEPT: np.ones(len(frame))} if self.intercept else {}
        for term in self.terms:
            for name, values in zip(term.names(), term.values(frame).T, strict=True):
                if name in found:
                    raise AnalysisError(
                        f"Two terms have a column {name!r}; rename a variable or a category."
                    )
                found[name] = values
        return found


def linear_design(
    terms: Sequence[Product],
    intercept: bool,
    frame: pd.DataFrame,
    cluster: str | None = None,
) -> LinearDesign:
    """Learn the terms of a linear predictor from completed data.

    Categories get contrasts where terms before, main effects first, have what they would repeat,
    and one column each elsewhere, so that no column repeats others.

    Parameters
    ----------
    terms
        Of a formula.
    intercept
        Whether there is one.
    frame
        Numbers as numbers, categories as categoricals.
    cluster
        Column whose clusters ``cluster_mean`` is of.
    """
    known: dict[str, Learned] = {}
    for term in terms:
        for factor in term:
            if factor.key not in known:
                known[factor.key] = learn(factor, frame, cluster)
    codings = _codings(terms, intercept, known)
    made = []
    for term in terms:
        factors = tuple(known[f.key] for f in term)
        made.append(TermColumns(label_of(term), key_of(term), factors, codings[key_of(term)]))
    width = intercept + sum(term.width for term in made)
    if width > len(frame):
        # before they are built: an interaction of many categories would fill the memory
        raise AnalysisError(f"{width} coefficients but only {len(frame)} rows; use fewer terms.")
    return LinearDesign(intercept, tuple(term for term in made if term.codings))


def by_order(terms: Collection[Product]) -> list[Product]:
    """Sort main effects first, as R orders terms."""
    return sorted(terms, key=len)


def _codings(
    terms: Sequence[Product], intercept: bool, known: Mapping[str, Learned]
) -> dict[frozenset[str], tuple[tuple[tuple[int, bool], ...], ...]]:
    """Codings of each term.

    A categorical factor with all categories is the sum of the constant and its contrasts; a term
    is what remains of such sums after those before it (of the same numeric factors).
    """
    present: dict[frozenset[str], set[frozenset[str]]] = {
        frozenset(): {frozenset()} if intercept else set()
    }
    found = {}
    for term in by_order(terms):
        categorical = [f.key for f in term if isinstance(known[f.key], Categorical)]
        numeric = key_of(term) - set(categorical)
        spanned = present.setdefault(numeric, set())
        margins = [
            frozenset(chosen)
            for size in range(len(categorical) + 1)
            for chosen in combinations(categorical, size)
        ]
        new = [margin for margin in margins if margin not in spanned]
        spanned.update(new)
        position = {factor.key: i for i, factor in enumerate(term)}
        found[key_of(term)] = tuple(
            tuple(
                (position[f.key], f.key in full)
                for f in term
                if f.key in numeric or f.key in margin
            )
            for margin, full in _merged(new)
        )
    return found


def _merged(margins: Sequence[frozenset[str]]) -> list[tuple[frozenset[str], frozenset[str]]]:
    """Merge a margin into one with a factor more, which then has all categories."""
    pieces: list[tuple[frozenset[str], frozenset[str]]] = [(m, frozenset()) for m in margins]
    merged = True
    while merged:
        merged = False
        for short, long in combinations(range(len(pieces)), 2):
            (margin, full), (larger, whole) = pieces[short], pieces[long]
            extra = larger - margin
            if len(extra) == 1 and margin < larger and full == whole:
                pieces[long] = (larger, whole | extra)
                del pieces[short]
                merged = True
                break
    return pieces


@dataclass(frozen=True, eq=False)
class ModelDesign:
    """How a formula becomes columns, learned from one completed data set.

    Attributes
    ----------
    formula
        Taken apart.
    fixed, random
        Columns of the parts.
    categories
        Of the columns that have any.
    cluster
        Column whose clusters cluster means are of.
    """

    formula: Formula
    fixed: LinearDesign
    random: tuple[LinearDesign, ...]
    categories: Mapping[str, pd.Index]
    cluster: str | None

    @classmethod
    def learn(cls, formula: Formula, data: pd.DataFrame, cluster: str | None) -> "ModelDesign":
        """Learn from prepared data."""
        fixed = linear_design(formula.terms, formula.intercept, data, cluster)
        random = tuple(
            linear_design(part.terms, part.intercept, data, cluster) for part in formula.random
        )
        return cls(formula, fixed, random, categories_of(data), cluster)

    def offset(self, data: pd.DataFrame) -> Array:
        """Sum of the offsets, (row,)."""
        total = np.zeros(len(data))
        for factor in self.formula.offsets:
            total += arithmetic(f"offset({factor.label})", factor.text, data)
        return total

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Columns of new rows that the model needs, checked."""
        needed: list[str] = []
        given: dict[str, Array] = {}
        for factor in self.formula.factors:
            if factor.function not in MEANS:
                needed += factor.names
            elif factor.label in frame.columns:
                given[factor.label] = frame[factor.label].to_numpy(dtype=float)
            elif self.cluster in frame.columns:
                needed.append(str(self.cluster))
            else:
                raise AnalysisError(
                    f"The model names {factor.label!r}, which new rows tell by a column of that "
                    f"name, or by {self.cluster!r} of clusters in the data."
                )
        return new_rows(frame, unique(needed), self.categories).assign(**given)

    def all_columns(self, data: pd.DataFrame) -> dict[str, Array]:
        """Columns of the fixed and random parts without intercepts, each once."""
        found = self.fixed.columns(data)
        for effects in self.random:
            found |= effects.columns(data)
        return {name: values for name, values in found.items() if name != INTERCEPT}


def cluster_of_means(formula: Formula, cluster: str | None) -> str | None:
    """Column whose clusters ``cluster_mean`` is of: that of the random part, or `cluster`."""
    single = unique(part.groups[0] for part in formula.random if len(part.groups) == 1)
    if len(single) == 1 and cluster not in single:
        return single[0]
    return cluster if not single or cluster in single else None


def asks_for_means(formula: Formula) -> Factor | None:
    """Give the first cluster mean of a formula."""
    return next((factor for factor in formula.factors if factor.function in MEANS), None)


def model_data(
    formula: Formula, frame: pd.DataFrame, cluster: str | None
) -> tuple[pd.DataFrame, str | None]:
    """Columns of completed data that a formula uses, and the column its cluster means are of."""
    means = cluster_of_means(formula, cluster)
    used = [*formula.names, *([means] if means and asks_for_means(formula) else [])]
    factors = [*formula.factors, *([formula.response] if formula.response else [])]
    modelled = {name for factor in factors for name in factor.names}
    return prepared(frame, unique(used), set(used) - modelled), means


LEARNED = ("bs", "ns", "poly", "scale", "center", "standardize")
CODED = ("C", "factor", "relevel")


def with_fixed_bases(formula: str, df: pd.DataFrame) -> str:
    """Write a formula so that nothing in it is learned from data.

    A term that ``fit`` gives all categories, as x:s has without x, is written with its margins:
    models code categories against a reference, whatever else is there.

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
    >>> with_fixed_bases("y ~ x:s", df.assign(s=["a", "b", "b", "a"]))
    'y ~ 1 + x + x:s'
    """
    read = checked_formula(formula, df.columns)
    margins = _margins(read, df)
    learned = any(factor.function in (*LEARNED, *CODED) for factor in read.factors)
    if not learned and not margins:
        return formula
    assert read.response is not None
    parts = [
        f"({_sum(part.terms, part.intercept, df)} {'||' if part.independent else '|'} "
        f"{':'.join(map(quoted, part.groups))})"
        for part in read.random
    ]
    terms = by_order([*margins, *read.terms])
    _check_products(terms)
    offsets = [f"offset({factor.text})" for factor in read.offsets]
    fixed = _sum(terms, read.intercept, df)
    return " + ".join([f"{read.response.text} ~ {fixed}", *offsets, *parts])


def _check_products(terms: Sequence[Product]) -> None:
    """Refuse products of which a constant by which a function is moved would make other columns."""
    known = {key_of(term) for term in terms}
    for term in terms:
        for factor in term:
            rest = tuple(each for each in term if each.key != factor.key)
            if factor.function in LEARNED and rest and key_of(rest) not in known:
                raise AnalysisError(
                    f"{label_of(term)}: a product with {factor.function}() needs "
                    f"{label_of(rest)!r} as a term of its own; write {label_of(rest)} * "
                    f"{factor.label}, or compute the column before imputing."
                )


def _margins(read: Formula, df: pd.DataFrame) -> list[Product]:
    """Terms within others that `fit` gives all categories in their place."""
    categorical = {
        factor.key
        for term in read.terms
        for factor in term
        if factor.function in CODED
        or (factor.column is not None and not _is_number(df[factor.column]))
    }
    factors = {factor.key: factor for factor in read.factors}
    keys = [[factor.key for factor in term] for term in read.terms]
    lacking = lacking_margins(keys, categorical, read.intercept)
    return [tuple(factors[key] for key in term) for term in lacking]


def _is_number(column: pd.Series) -> bool:
    of = pd.api.types
    return of.is_numeric_dtype(column.dtype) and not of.is_bool_dtype(column.dtype)


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
            text = _as_labelled(factor.label).sub(written.replace("\\", r"\\"), text)
            called[written] = factor.label
    return text, called


def _as_labelled(label: str) -> re.Pattern[str]:
    """Match what stands in a formula for a label, whose backticks and some blanks are left out."""
    signs = map(re.escape, re.sub(r"[\s`]", "", label))
    return re.compile(r"(?<![\w.])" + r"[\s`]*".join(signs))


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
        yield from _arithmetic_columns(factor, df)
    elif factor.function in MEANS:
        yield f"cluster_mean({', '.join(factor.arguments)})"
    else:
        yield factor.text


def _arithmetic_columns(factor: Factor, df: pd.DataFrame) -> Iterator[str]:
    learned, x = _learned(factor, df), factor.arguments[0]
    values = _seen_values(factor, df)
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


def _seen_values(factor: Factor, df: pd.DataFrame) -> Array:
    return arithmetic(factor.label, factor.arguments[0], _seen(factor, df))
