"""m analyses as arrays: the same terms in the same order, and their complete-data df."""

from collections.abc import Iterable, Mapping, Sequence
from inspect import isroutine
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import Estimates, estimates_from
from bayesimpute.pooling.plain import frames_by_imputation, spelled
from bayesimpute.pooling.pool_input import checked_df
from bayesimpute.pooling.term_names import position_of


def as_estimates(fits: Any) -> tuple[Estimates, ...]:
    """One `Estimates` an imputation, of ``Fits`` or of any collection of analyses.

    Parameters
    ----------
    fits
        What ``imp.fit`` returns; a list of fits, or a dict of them by imputation; one long tidy
        frame in which every term comes once an imputation.

    Examples
    --------
    >>> len(as_estimates([(1.0, [[0.1]]), (1.2, [[0.1]])]))
    2
    """
    given = getattr(fits, "estimates", fits)
    if isinstance(given, pd.DataFrame):
        given = frames_by_imputation(given)
    elif isinstance(given, Mapping) and "estimate" not in spelled(given):
        given = list(given.values())
    if not _is_collection(given):
        raise AnalysisError(
            f"{type(fits).__name__} is no set of fits; give what imp.fit(...) returns, or a list "
            "with the analysis of each completed data set."
        )
    analyses = list(given)
    if not analyses:
        raise AnalysisError("There is no analysis in the list; give one a completed data set.")
    return tuple(_numbered(each, number) for number, each in enumerate(analyses, start=1))


def _is_collection(given: Any) -> bool:
    """Whether there is an analysis an element; other packages' fits and posteriors are none."""
    mixes = callable(getattr(given, "pool", None))  # posteriors, which are mixed and not averaged
    single = isinstance(given, str | bytes | Mapping) or hasattr(given, "_fields")
    return isinstance(given, Iterable) and not single and not mixes


def _numbered(analysis: Any, number: int) -> Estimates:
    try:
        return estimates_from(analysis)
    except AnalysisError as error:
        raise AnalysisError(f"Imputation {number}: {error}") from error


def aligned(estimates: tuple[Estimates, ...]) -> tuple[tuple[str, ...], Array, Array]:
    """Terms of the first analysis, estimates (m, k) and covariances (m, k, k) in their order.

    Raises
    ------
    AnalysisError
        A term is in one analysis and not in another, or the models differ.
    """
    _refuse_other_models(estimates)
    terms = estimates[0].terms
    order = [_positions(terms, each, i) for i, each in enumerate(estimates, start=1)]
    pairs = list(zip(estimates, order, strict=True))
    return (
        terms,
        np.array([each.estimate[at] for each, at in pairs]),
        np.array([each.covariance[np.ix_(at, at)] for each, at in pairs]),
    )


def _positions(terms: tuple[str, ...], each: Estimates, number: int) -> list[int]:
    found = [position_of(term, each.terms) for term in terms]
    order = [position for position in found if position is not None]
    if not len(set(order)) == len(terms) == len(each.terms):
        only = sorted(set(terms) ^ set(each.terms))
        raise AnalysisError(
            f"Imputations 1 and {number} do not have the same terms: {', '.join(only)} is in one "
            "only. A category may be absent from one completed data set; merge rare categories."
        )
    return order


def _refuse_other_models(estimates: tuple[Estimates, ...]) -> None:
    first, *others = (model_kind(each.model) for each in estimates)
    for number, kind in enumerate(others, start=2):
        if kind != first:
            raise AnalysisError(
                f"Imputation {number} was analysed by another model ({', '.join(kind)}) than "
                f"imputation 1 ({', '.join(first)}); fit the same to each."
            )


def model_kind(result: Any) -> tuple[str, ...]:
    """Tell what a fit is a fit of: its class, model, family and link, and kind of covariance.

    Examples
    --------
    >>> model_kind({"estimate": 1.0, "variance": 1.0})
    ('dict',)
    """
    model = getattr(result, "model", None)
    family = getattr(model, "family", getattr(result, "family", None))
    parts = (result, model, family, getattr(family, "link", None))
    names = [type(part).__name__ for part in parts if part is not None and not isroutine(part)]
    covariance = getattr(result, "cov_type", None)
    return (*names, covariance) if isinstance(covariance, str) else tuple(names)


def complete_data_df(estimates: tuple[Estimates, ...], dfcom: float | None = None) -> float:
    """`dfcom` if given, else the smallest residual df of the fits; infinity if one is unknown."""
    if dfcom is not None:
        return checked_df(dfcom)
    known = [each.df_residual for each in estimates if each.df_residual is not None]
    if len(known) < len(estimates) or not min(known) > 0:
        return float("inf")
    return float(min(known))


def several(estimates: Sequence[Any], what: str) -> int:
    """Count the imputations; `what` needs at least two."""
    if len(estimates) < 2:
        raise AnalysisError(
            f"{what} needs at least 2 imputations, because it compares them; there is "
            f"{len(estimates)}."
        )
    return len(estimates)
