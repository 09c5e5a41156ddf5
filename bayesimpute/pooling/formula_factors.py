"""Factors of terms, learned from one completed data set and then computed for any rows.

First the arguments of functions of formulas: numbers, truth values, labels, and how categories are
coded. Contrasts with a name of R (``contr.sum``) name their columns as R does, those with a name of
patsy (``Sum``) as patsy does; the numbers are the same, and patsy's.
Then several columns from one: orthogonal polynomials and splines, as R's poly, bs and ns.
What they learn from the data (means, norms, knots) is kept, so that new rows get the same columns.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesimpute.arrays import Array
from bayesimpute.data.table import Table
from bayesimpute.errors import AnalysisError, SpecificationError
from bayesimpute.specification.expressions import (
    canonical,
    evaluate,
    names_in,
    quoted,
    unquoted,
    with_category_codes,
)
from bayesimpute.specification.formula_terms import MEANS, Factor, split_at, tokens_of
from bayesimpute.wording import nearest

_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)L?")
_TRUTH = {"True": True, "TRUE": True, "T": True, "False": False, "FALSE": False, "F": False}


def bound(factor: Factor, names: tuple[str, ...]) -> Mapping[str, str]:
    """Texts of the arguments after the first, by name; `names` in their order.

    Raises
    ------
    AnalysisError
        An argument the function has not, or one given twice.
    """
    given = factor.arguments[1:]
    if len(given) > len(names):
        raise AnalysisError(f"{factor.label}: {factor.function}() takes one column and "
                            f"{', '.join(names) or 'nothing else'}.")  # fmt: skip
    found = dict(zip(names, given, strict=False))
    for name, text in factor.options:
        if name not in names:
            raise AnalysisError(
                f"{factor.label}: {factor.function}() has no argument {name!r}"
                f"{nearest(name, names) if names else '; a column is all it takes.'}"
            )
        if name in found:
            raise AnalysisError(f"{factor.label}: {name} is given twice.")
        found[name] = text
    return found


def whole(factor: Factor, name: str, text: str, least: int, most: int) -> int:
    """Whole number from `least` to `most`."""
    number = _number(text)
    if number is None or number != int(number) or not least <= number <= most:
        raise AnalysisError(
            f"{factor.label}: {name} is {text}; it must be a whole number from {least} to {most}."
        )
    return int(number)


def truth(factor: Factor, name: str, text: str) -> bool:
    """Read TRUE or FALSE, as R or Python write them."""
    if text.strip() not in _TRUTH:
        raise AnalysisError(f"{factor.label}: {name} is {text}; it is TRUE or FALSE.")
    return _TRUTH[text.strip()]


def numbers(factor: Factor, name: str, text: str) -> tuple[float, ...]:
    """One number, or several as c(1, 2) or [1, 2]."""
    found = [_number(part) for part in _parts(text)]
    known = [number for number in found if number is not None]
    if not found or len(known) < len(found):
        raise AnalysisError(f"{factor.label}: {name} is {text}; write numbers, such as c(1, 2).")
    return tuple(known)


def labels(factor: Factor, name: str, text: str) -> tuple[str, ...]:
    """Labels of categories, texts in quotation marks or numbers."""
    found = [_label(part) for part in _parts(text)]
    known = [label for label in found if label is not None]
    if not found or len(known) < len(found):
        raise AnalysisError(f"{factor.label}: {name} is {text}; write labels, such as c('a', 'b').")
    return tuple(known)


def _parts(text: str) -> list[str]:
    """Texts in a list, or the only one."""
    stripped = text.strip()
    for opening, closing in (("c(", ")"), ("[", "]"), ("(", ")")):
        if stripped.startswith(opening) and stripped.endswith(closing):
            inside = stripped[len(opening) : -len(closing)]
            parts = split_at(tokens_of(inside)[:-1], ",")
            return [inside[p[0].start : p[-1].end] if p else "" for p in parts]
    return [stripped]


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text.strip())
    number = float(match[1]) if match else math.inf
    return number if math.isfinite(number) else None


def _label(text: str) -> str | None:
    stripped = text.strip()
    if len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "\"'":
        return unquoted(stripped)
    return stripped if _number(stripped) is not None or stripped in _TRUTH else None


_QUOTED = re.compile(r"\s*(['\"])(contr\.\w+)\1\s*")
_CONTRAST = re.compile(r"\s*(?P<name>[\w.]+)\s*(?:\(\s*(?P<inside>.*?)\s*\))?\s*")
_OF_PATSY = re.compile(r"(?:reference\s*=\s*)?(?P<reference>.+)|")
_OF_R = re.compile(r"(?:n\s*=\s*)?(?P<n>\d+)?\s*(?:(?:^|,)\s*(?:base\s*=\s*)?(?P<base>\d+))?")
#: Contrasts, by patsy's names, whose matrices they have.
_CONTRASTS = ("Treatment", "Sum", "Helmert", "Poly", "Diff")
#: R's names of the same contrasts.
_ALIASES = {
    "contr.treatment": "Treatment",
    "contr.sum": "Sum",
    "contr.helmert": "Helmert",
    "contr.poly": "Poly",
}


@dataclass(frozen=True)
class Coding:
    """How categories become columns.

    Attributes
    ----------
    contrast
        ``"Treatment"``, ``"Sum"``, ``"Helmert"``, ``"Poly"`` or ``"Diff"``.
    reference
        Label of the category left out of treatment contrasts; None for the first.
    levels
        Labels in another order, or None.
    base
        Place of the category left out, from 1, as R counts; None where it is not given.
    count
        Number of categories that the formula says there are, or None.
    as_in_r
        Whether columns are named as R names those of the contrast.
    """

    contrast: str = "Treatment"
    reference: str | None = None
    levels: tuple[str, ...] | None = None
    base: int | None = None
    count: int | None = None
    as_in_r: bool = False


def coding_of(factor: Factor) -> Coding:
    """Read the arguments of C(), factor() and relevel().

    Raises
    ------
    AnalysisError
        An argument they have not, or a contrast that is not known.
    """
    if factor.function == "relevel":
        given = bound(factor, ("ref",))
        if "ref" not in given:
            raise AnalysisError(f"{factor.label}: relevel() needs ref, as relevel(x, ref = 'b').")
        place = int(given["ref"]) if re.fullmatch("[0-9]+", given["ref"]) else None
        return Coding(reference=labels(factor, "ref", given["ref"])[0], base=place)
    known = ("levels",) if factor.function == "factor" else ("contrast", "levels")
    options = tuple(("contrast" if n == "contr" else n, text) for n, text in factor.options)
    given = bound(replace(factor, options=options), known)
    levels = labels(factor, "levels", given["levels"]) if "levels" in given else None
    return replace(_contrast(factor, given.get("contrast", "Treatment")), levels=levels)


def _contrast(factor: Factor, text: str) -> Coding:
    """Read Treatment('b'), "contr.sum" or contr.treatment(3, base = 2)."""
    written = _QUOTED.sub(r"\2", text)
    match = _CONTRAST.fullmatch(written)
    name = match["name"] if match else written
    as_in_r = name in _ALIASES
    inside = (_OF_R if as_in_r else _OF_PATSY).fullmatch((match and match["inside"]) or "")
    contrast = _ALIASES.get(name, name)
    told = {part: said for part, said in (inside.groupdict() if inside else {}).items() if said}
    treatment = contrast == "Treatment"
    if contrast not in _CONTRASTS or inside is None or not (treatment or told.keys() <= {"n"}):
        raise AnalysisError(
            f"{factor.label}: the contrast {text!r} is not known"
            f"{nearest(name, [*_CONTRASTS, *_ALIASES])}"
        )
    return Coding(
        contrast,
        labels(factor, "reference", told["reference"])[0] if "reference" in told else None,
        base=int(told["base"]) if "base" in told else None,
        count=int(told["n"]) if "n" in told else None,
        as_in_r=as_in_r,
    )


def contrast_columns(
    label: str, coding: Coding, levels: tuple[str, ...]
) -> tuple[tuple[str, ...], Array]:
    """Suffixes of the labels, and values (levels, columns)."""
    if coding.count not in (None, len(levels)):
        raise AnalysisError(
            f"{label}: there are {len(levels)} categories, not {coding.count}; leave the number "
            "out. The category left out is said by base = 2 or Treatment('b')."
        )
    if coding.contrast != "Treatment":
        import patsy

        made = getattr(patsy, coding.contrast)().code_without_intercept(list(levels))
        suffixes = tuple(re.sub(r"^\[(.*)\]$", r"\1", each) for each in made.column_suffixes)
        values = np.asarray(made.matrix, dtype=float)
        return _names_of_r(coding.contrast, suffixes) if coding.as_in_r else suffixes, values
    left_out = _left_out(label, coding, levels)
    kept = [i for i in range(len(levels)) if i != left_out]
    return tuple(levels[i] for i in kept), np.eye(len(levels))[:, kept]


def _left_out(label: str, coding: Coding, levels: tuple[str, ...]) -> int:
    """Index of the category that treatment contrasts leave out."""
    if coding.base is not None and not 1 <= coding.base <= len(levels):
        raise AnalysisError(f"{label}: there are {len(levels)} categories, so no {coding.base}.")
    if coding.reference is None:
        return 0 if coding.base is None else coding.base - 1
    if coding.reference not in levels:
        raise AnalysisError(
            f"{label}: {coding.reference!r} is no category{nearest(coding.reference, levels)}"
        )
    found = levels.index(coding.reference)
    if coding.base is not None and coding.base != found + 1:
        raise AnalysisError(
            f"{label}: without quotation marks R takes {coding.base} for a place and leaves out "
            f"{levels[coding.base - 1]!r}; write ref = {levels[coding.base - 1]!r} for that, or "
            f"ref = {coding.reference!r}."
        )
    return found


def _names_of_r(contrast: str, suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Give the suffixes of R: numbers, or .L, .Q, .C, ^4, … of polynomials."""
    if contrast == "Poly":
        return (".L", ".Q", ".C", *suffixes[3:])[: len(suffixes)]
    return tuple(str(k) for k in range(1, len(suffixes) + 1))


@dataclass(frozen=True, eq=False)
class Polynomial:
    """Powers of x, orthogonal in the data that were learned from, or raw.

    Attributes
    ----------
    centers, norms
        Of the three-term recurrence (Kennedy & Gentle 1980, Statistical Computing, 343-344), as
        R's poly keeps them; empty for raw powers.
    degree
        Highest power.
    """

    degree: int
    centers: Array
    norms: Array

    @classmethod
    def learn(cls, label: str, x: Array, degree: int, raw: bool) -> "Polynomial":
        """Learn from data."""
        if degree >= len(np.unique(x)):
            raise AnalysisError(
                f"{label}: degree {degree} needs more than {degree} different values; there are "
                f"{len(np.unique(x))}."
            )
        if raw:
            return cls(degree, np.empty(0), np.empty(0))
        centers, norms = [], [1.0, float(len(x))]
        before, now = np.zeros_like(x), np.ones_like(x)
        for k in range(degree):
            centers.append(float(np.sum(x * now**2) / np.sum(now**2)))
            ratio = norms[-1] / norms[-2] if k else 0.0
            before, now = now, (x - centers[-1]) * now - ratio * before
            norms.append(float(np.sum(now**2)))
        return cls(degree, np.array(centers), np.array(norms))

    def values(self, x: Array) -> Array:
        """(n, degree)."""
        if not len(self.centers):
            return np.column_stack([x**power for power in range(1, self.degree + 1)])
        columns = []
        before, now = np.zeros_like(x), np.ones_like(x)
        for k in range(self.degree):
            ratio = self.norms[k + 1] / self.norms[k] if k else 0.0
            before, now = now, (x - self.centers[k]) * now - ratio * before
            columns.append(now / np.sqrt(self.norms[k + 2]))
        return np.column_stack(columns)


@dataclass(frozen=True, eq=False)
class Spline:
    """B-splines, or natural cubic splines (straight lines outside the boundary).

    Attributes
    ----------
    knots
        With those of the boundary, each of these degree + 1 times.
    degree
        Of the pieces.
    intercept
        Whether the first column is kept.
    natural
        Basis of the splines whose second derivative is 0 at the boundary, (columns, columns − 2);
        None for B-splines.
    """

    knots: Array
    degree: int
    intercept: bool
    natural: Array | None

    @classmethod
    def learn(
        cls,
        label: str,
        x: Array,
        df: int | None,
        inner: tuple[float, ...] | None,
        degree: int,
        intercept: bool,
        boundary: tuple[float, ...] | None,
        natural: bool,
    ) -> "Spline":
        """Place the knots: at quantiles of x, as many as `df` needs, or where they are given."""
        low, high = boundary if boundary is not None else (float(x.min()), float(x.max()))
        if not low < high:
            raise AnalysisError(f"{label}: the boundary knots {low:g} and {high:g} must increase.")
        if inner is None:
            count = 0
            if df is not None:
                count = df - intercept - (1 if natural else degree)
            if count < 0:
                least = int(intercept) + (1 if natural else degree)
                raise AnalysisError(f"{label}: df is {df}; it must be at least {least}.")
            inside = x[(x >= low) & (x <= high)]
            inner = tuple(np.quantile(inside, np.linspace(0, 1, count + 2)[1:-1]).tolist())
        if any(not low < knot < high for knot in inner):
            raise AnalysisError(
                f"{label}: inner knots must lie between {low:g} and {high:g}; a variable with few "
                "different values has too few places for them."
            )
        ends = np.repeat([low, high], degree + 1)
        knots = np.sort(np.concatenate([ends, inner]))
        basis = None
        if natural:
            from scipy.linalg import qr

            bent = _basis(knots, degree, np.array([low, high]), 2)[:, 0 if intercept else 1 :]
            basis = qr(bent.T)[0][:, 2:]
        return cls(knots, degree, intercept, basis)

    def values(self, x: Array) -> Array:
        """(n, columns)."""
        low, high = self.knots[0], self.knots[-1]
        first = 0 if self.intercept else 1
        if self.natural is None:
            return _basis(self.knots, self.degree, x, 0)[:, first:]
        within = np.clip(x, low, high)
        found = _basis(self.knots, self.degree, within, 0)
        found += (x - within)[:, None] * _basis(self.knots, self.degree, within, 1)
        return found[:, first:] @ self.natural


def _basis(knots: Array, degree: int, x: Array, derivative: int) -> Array:
    """B-splines at x, or their derivatives, (n, columns); polynomials go on outside."""
    from scipy.interpolate import BSpline

    n = len(knots) - degree - 1
    made = BSpline(knots, np.eye(n), degree, extrapolate=True)
    return np.asarray(made(x, nu=derivative), dtype=float)


#: Columns of a polynomial or spline.
MOST_COLUMNS = 50
_PATSY = {"include_intercept": "intercept"}


class Learned(Protocol):
    """A factor whose columns can be computed for any rows."""

    def names(self, full: bool) -> tuple[str, ...]:
        """Names of the columns; `full`: one for every category."""

    def values(self, frame: pd.DataFrame, full: bool) -> Array:
        """(row, columns)."""


@dataclass(frozen=True, eq=False)
class Numeric:
    """Numbers: a column, arithmetic, or a basis of several columns."""

    label: str
    text: str
    basis: Polynomial | Spline | None = None
    center: float = 0.0
    scale: float = 1.0
    width: int = 1

    def names(self, full: bool) -> tuple[str, ...]:
        """One name, or numbered ones as in R."""
        if self.width == 1:
            return (self.label,)
        return tuple(f"{self.label}{k}" for k in range(1, self.width + 1))

    def values(self, frame: pd.DataFrame, full: bool) -> Array:
        """(row, columns)."""
        x = (arithmetic(self.label, self.text, frame) - self.center) / self.scale
        return x[:, None] if self.basis is None else self.basis.values(x)


@dataclass(frozen=True, eq=False)
class Categorical:
    """Categories as indicators or other contrasts; those of truth values are 0 and 1."""

    label: str
    text: str
    categories: pd.Index
    suffixes: tuple[str, ...]
    contrast: Array
    labels: tuple[str, ...]

    def names(self, full: bool) -> tuple[str, ...]:
        """Label and category, as in R; of truth values the contrast has the name alone."""
        suffixes = self.labels if full else self.suffixes
        return tuple(f"{self.label}{suffix}" for suffix in suffixes)

    def values(self, frame: pd.DataFrame, full: bool) -> Array:
        """(row, columns)."""
        codes = codes_in(self.label, _column(self.text, frame), self.categories)
        found: Array = (np.eye(len(self.categories)) if full else self.contrast)[codes]
        return found


@dataclass(frozen=True, eq=False)
class ClusterMean:
    """Mean of a column or of arithmetic in the clusters of the completed data."""

    label: str
    group: str
    means: pd.Series

    def names(self, full: bool) -> tuple[str, ...]:
        """One name."""
        return (self.label,)

    def values(self, frame: pd.DataFrame, full: bool) -> Array:
        """Means of the rows' clusters; a column of this name goes before."""
        if self.label in frame.columns:
            return np.asarray(frame[self.label], dtype=float)[:, None]
        found = frame[self.group].map(self.means).to_numpy(dtype=float)
        if np.isnan(found).any():
            raise AnalysisError(
                f"The mean of cluster {frame[self.group].iloc[int(np.argmax(np.isnan(found)))]!r} "
                f"is not known, so that it cannot be predicted; give a column {self.label!r}."
            )
        return found[:, None]


def arithmetic(label: str, text: str, frame: pd.DataFrame) -> Array:
    """Value of an expression in every row, a number.

    Raises
    ------
    AnalysisError
        It is not finite somewhere, or takes categories for numbers.
    """
    names = names_in(text)
    if text in names and isinstance(frame[text].dtype, pd.CategoricalDtype):
        raise AnalysisError(
            f"{label} cannot be computed: {text!r} holds categories; compare it with a label, such "
            f"as {quoted(text)} == {frame[text].cat.categories[-1]!r}, or let the function be."
        )
    try:
        if any(isinstance(frame[name].dtype, pd.CategoricalDtype) for name in names):
            table = Table.from_frame(frame[list(names)].reset_index(drop=True))
            found = evaluate(with_category_codes(text, table), table.values)
        else:
            known = {name: frame[name].to_numpy(dtype=float) for name in names}
            found = evaluate(text, known or {"": np.empty(len(frame))})
    except SpecificationError as error:
        raise AnalysisError(f"{label} cannot be computed: {error}") from error
    if not np.isfinite(found).all():
        raise AnalysisError(
            f"{label} is not finite for {int((~np.isfinite(found)).sum())} rows; transform the "
            "data so that it is defined everywhere."
        )
    return found


def codes_in(label: str, column: pd.Series, categories: pd.Index) -> NDArray[np.intp]:
    """Position of each value among the categories of the data that were fitted."""
    given = pd.Index(np.asarray(column))
    codes = categories.get_indexer(given)
    if (codes < 0).any():
        strange = given.tolist()[int(np.argmin(codes))]
        raise AnalysisError(
            f"{label}: {strange!r} is no category of the data that were fitted; rows with it "
            "cannot be predicted."
        )
    return codes


def check_arguments(factor: Factor) -> None:
    """Raise what is wrong with a factor whatever the data are."""
    if factor.column is None and factor.arguments:
        _LEARNERS[factor.function](factor)


def learn(factor: Factor, frame: pd.DataFrame, cluster: str | None) -> Learned:
    """Learn a factor from completed data.

    Parameters
    ----------
    factor
        Of a formula.
    frame
        Numbers as numbers, categories as categoricals.
    cluster
        Column whose clusters ``cluster_mean`` is of.
    """
    if factor.column is not None and isinstance(frame[factor.column].dtype, pd.CategoricalDtype):
        return _categories(factor.label, factor.text, Coding(), frame)
    if factor.column is not None and frame[factor.column].dtype == bool:
        both = pd.Index([0, 1])
        labels = ("False", "True")
        return Categorical(factor.label, factor.text, both, ("",), np.eye(2)[:, 1:], labels)
    if not factor.arguments:
        arithmetic(factor.label, factor.text, frame)
        return Numeric(factor.label, factor.text)
    if factor.function in MEANS:
        return _cluster_mean(factor, frame, cluster)
    return _LEARNERS[factor.function](factor)(frame)


type _Learner = Callable[[pd.DataFrame], Learned]


def _column_of(text: str, frame: pd.DataFrame) -> pd.Series | None:
    """Give the column that a text is the name of."""
    names = names_in(text)
    return frame[names[0]] if len(names) == 1 and canonical(text) == quoted(names[0]) else None


def _column(text: str, frame: pd.DataFrame) -> pd.Series:
    """Values that are categories: a column, or arithmetic; whole numbers are written as such."""
    values = _column_of(text, frame)
    if values is None:
        values = pd.Series(arithmetic(text, text, frame), index=frame.index)
    if values.dtype.kind not in "fb":
        return values
    return values.astype(int) if (values == values.round()).all() else values


def _categories(label: str, text: str, coding: Coding, frame: pd.DataFrame) -> Categorical:
    column = _column(text, frame)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype("category")
    categories = column.cat.categories
    written = _column_of(text, frame)
    truth_values = written is not None and written.dtype == bool
    named = {each: str(bool(each) if truth_values else each) for each in categories}
    if (levels := coding.levels) is not None:
        absent = [level for level in named.values() if level not in levels]
        if absent:
            raise AnalysisError(f"{label}: levels leaves out {absent[0]!r}, which the data have.")
        categories = pd.Index(sorted(categories, key=lambda each: levels.index(named[each])))
    if len(categories) < 2:
        raise AnalysisError(
            f"{label} has one category only, {named[categories[0]]!r}; leave it out."
        )
    labels = tuple(named[each] for each in categories)
    suffixes, contrast = contrast_columns(label, coding, labels)
    return Categorical(label, text, categories, suffixes, contrast, labels)


def _categorical(factor: Factor) -> _Learner:
    coding = coding_of(factor)
    return partial(_categories, factor.label, factor.arguments[0], coding)


def _scaled(factor: Factor) -> _Learner:
    given = bound(factor, ("center", "scale") if factor.function == "scale" else ())
    center = truth(factor, "center", given["center"]) if "center" in given else True
    scale = factor.function != "center"
    if "scale" in given:
        scale = truth(factor, "scale", given["scale"])

    def learned(frame: pd.DataFrame) -> Learned:
        x = arithmetic(factor.label, factor.arguments[0], frame)
        middle = float(x.mean()) if center else 0.0
        spread = float(np.sqrt(np.sum((x - middle) ** 2) / (len(x) - 1))) if scale else 1.0
        if not spread > 0:
            raise AnalysisError(f"{factor.label} cannot be computed: the values are all the same.")
        return Numeric(factor.label, factor.arguments[0], None, middle, spread)

    return learned


def _polynomial(factor: Factor) -> _Learner:
    given = bound(factor, ("degree", "raw"))
    degree = whole(factor, "degree", given.get("degree", "1"), 1, MOST_COLUMNS)
    raw = truth(factor, "raw", given.get("raw", "FALSE"))

    def learned(frame: pd.DataFrame) -> Learned:
        x = arithmetic(factor.label, factor.arguments[0], frame)
        basis = Polynomial.learn(factor.label, x, degree, raw)
        return Numeric(factor.label, factor.arguments[0], basis, width=degree)

    return learned


def _spline(factor: Factor) -> _Learner:
    natural = factor.function == "ns"
    names = ("df", "knots", *(() if natural else ("degree",)), "intercept", "Boundary.knots")
    # patsy's name of the same argument
    options = tuple((_PATSY.get(name, name), text) for name, text in factor.options)
    given = bound(replace(factor, options=options), names)
    df = whole(factor, "df", given["df"], 1, MOST_COLUMNS) if "df" in given else None
    inner = numbers(factor, "knots", given["knots"]) if "knots" in given else None
    degree = whole(factor, "degree", given.get("degree", "3"), 1, 10)
    intercept = truth(factor, "intercept", given.get("intercept", "FALSE"))
    boundary = None
    if "Boundary.knots" in given:
        boundary = numbers(factor, "Boundary.knots", given["Boundary.knots"])
        if len(boundary) != 2:
            raise AnalysisError(f"{factor.label}: Boundary.knots are two numbers.")

    def learned(frame: pd.DataFrame) -> Learned:
        x = arithmetic(factor.label, factor.arguments[0], frame)
        basis = Spline.learn(factor.label, x, df, inner, degree, intercept, boundary, natural)
        width = basis.values(x[:1]).shape[1]
        return Numeric(factor.label, factor.arguments[0], basis, width=width)

    return learned


def _cluster_mean(factor: Factor, frame: pd.DataFrame, cluster: str | None) -> Learned:
    cluster = factor.arguments[1] if len(factor.arguments) == 2 else cluster
    if cluster is not None and cluster not in frame:
        raise AnalysisError(f"{factor.label}: {cluster!r} groups no random part of the formula.")
    if cluster is None:
        raise AnalysisError(
            f"{factor.label}: of which clusters? The formula has no random part, or several with "
            "different groups; give cluster= or compute the mean as a column."
        )
    column = frame.get(factor.arguments[0])
    if column is not None and isinstance(column.dtype, pd.CategoricalDtype):
        column = column if len(column.cat.categories) > 2 else column.cat.codes.astype(float)
        frame = frame.assign(**{factor.arguments[0]: column})  # of two, the share of the second
    values = arithmetic(factor.label, factor.arguments[0], frame)
    means = (
        pd.Series(values, index=frame.index).groupby(frame[cluster].to_numpy(), sort=False).mean()
    )
    return ClusterMean(factor.label, cluster, means)


def _means(factor: Factor) -> _Learner:
    if len(factor.arguments) != 2:  # of one grouping among several
        bound(factor, ())
    return partial(_cluster_mean, factor, cluster=None)


_LEARNERS: Mapping[str, Callable[[Factor], _Learner]] = {
    **dict.fromkeys(("C", "factor", "relevel"), _categorical),
    **dict.fromkeys(("scale", "center", "standardize"), _scaled),
    **dict.fromkeys(MEANS, _means),
    "poly": _polynomial,
    "bs": _spline,
    "ns": _spline,
}
