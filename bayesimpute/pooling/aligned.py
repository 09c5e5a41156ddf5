"""m analyses as arrays: the same terms in the same order, and their complete-data df."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import Estimates, estimates_from
from bayesimpute.pooling.term_names import position_of

Array = NDArray[np.float64]


def as_estimates(fits: Any) -> tuple[Estimates, ...]:
    """One `Estimates` an imputation, of ``Fits`` or of any sequence of analyses.

    Examples
    --------
    >>> len(as_estimates([(1.0, 0.1), (1.2, 0.1)]))
    2
    """
    given = getattr(fits, "estimates", fits)
    if not isinstance(given, Iterable) or isinstance(given, str | bytes):
        raise AnalysisError(
            f"{type(fits).__name__} is no set of fits; give what imp.fit(...) returns, or a list "
            "with the analysis of each completed data set."
        )
    found = tuple(estimates_from(each) for each in given)
    if not found:
        raise AnalysisError("There is no analysis in the list; give one a completed data set.")
    return found


def aligned(estimates: tuple[Estimates, ...]) -> tuple[tuple[str, ...], Array, Array]:
    """Terms of the first analysis, estimates (m, k) and covariances (m, k, k) in their order.

    Raises
    ------
    AnalysisError
        A term is in one analysis and not in another.
    """
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


def complete_data_df(estimates: tuple[Estimates, ...], dfcom: float | None = None) -> float:
    """`dfcom` if given, else the smallest residual df of the fits; infinity if one is unknown."""
    if dfcom is not None:
        if not dfcom > 0:
            raise AnalysisError(
                f"dfcom is {dfcom}; the complete-data degrees of freedom must be positive."
            )
        return float(dfcom)
    known = [each.df_residual for each in estimates if each.df_residual is not None]
    if len(known) < len(estimates) or not min(known) > 0:
        return float("inf")
    return float(min(known))


def several(estimates: tuple[Estimates, ...], what: str) -> int:
    """Count the imputations; `what` needs at least two."""
    if len(estimates) < 2:
        raise AnalysisError(
            f"{what} needs at least 2 imputations, because it compares them; there is "
            f"{len(estimates)}."
        )
    return len(estimates)
