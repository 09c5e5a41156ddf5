"""The columns of completed data that an analysis formula uses, checked and made plain."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from bayesimpute.errors import AnalysisError, SpecificationError
from bayesimpute.pooling.formula_factors import check_arguments
from bayesimpute.specification.formula_reader import read_formula
from bayesimpute.specification.formula_terms import Factor, Formula, label_of
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


def prepared(frame: pd.DataFrame, used: tuple[str, ...]) -> pd.DataFrame:
    """Keep the columns used, as numbers or categories; missing values are an error."""
    columns = {}
    for name in used:
        gaps = int(frame[name].isna().sum())
        if gaps:
            raise AnalysisError(
                f"{name!r} still has {gaps} missing values after imputation; impute it, or drop "
                "those rows yourself by fitting a callable: lambda data: model(data.dropna())."
            )
        columns[name] = plain(name, frame[name])
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
    if column.dtype.kind in "mM" or isinstance(column.dtype, pd.PeriodDtype):
        raise AnalysisError(
            f"{name!r} holds {column.dtype}; an analysis needs numbers, such as days since a date."
        )
    return column.astype("category")


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
                strange = column.iloc[int(np.argmin(values.codes))]
                raise AnalysisError(
                    f"{name!r}: {strange!r} is no category of the data that were fitted; rows "
                    "with it cannot be predicted."
                )
            column = pd.Series(values, index=frame.index)
        columns[name] = column if name in categories else plain(name, column)
    return pd.DataFrame(columns, index=frame.index).reset_index(drop=True)
