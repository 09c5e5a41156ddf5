"""Factors of terms, learned from one completed data set and then computed for any rows."""

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
from bayesimpute.pooling.formula_arguments import (
    Coding,
    bound,
    coding_of,
    contrast_columns,
    numbers,
    truth,
    whole,
)
from bayesimpute.pooling.formula_bases import Polynomial, Spline
from bayesimpute.specification.expressions import (
    canonical,
    evaluate,
    names_in,
    quoted,
    with_category_codes,
)
from bayesimpute.specification.formula_terms import MEANS, Factor

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
        raise AnalysisError(
            f"{label}: {given[int(np.argmin(codes))]!r} is no category of the data that were "
            "fitted; rows with it cannot be predicted."
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


def _named(text: str, frame: pd.DataFrame) -> pd.Series | None:
    """Give the column that a text is the name of."""
    names = names_in(text)
    return frame[names[0]] if len(names) == 1 and canonical(text) == quoted(names[0]) else None


def _column(text: str, frame: pd.DataFrame) -> pd.Series:
    """Values that are categories: a column, or arithmetic; whole numbers are written as such."""
    values = _named(text, frame)
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
    written = _named(text, frame)
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
