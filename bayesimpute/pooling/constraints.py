"""Functions of parameters, written as text or as Python, with their covariances."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from bayesimpute.arguments import Level, Positive, checked
from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError, SpecificationError
from bayesimpute.pooling.estimates import (
    aligned,
    as_estimates,
    complete_data_df,
    position_of,
    several,
)
from bayesimpute.pooling.model_tests import PooledTest, joint_test
from bayesimpute.pooling.pooled import Pooled, pool
from bayesimpute.pooling.rubin import Rule
from bayesimpute.specification.expressions import evaluate, names_in
from bayesimpute.wording import nearest

#: A function of the estimates: text, or Python from a Series by term to a number or several.
Constraint = str | Callable[[pd.Series], Any]

#: Step of the derivatives, in standard errors.
STEP = 0.01


@checked
def test_constraints(
    fits: Any,
    constraints: Constraint | Sequence[Constraint],
    method: Literal["D1", "D2"] = "D1",
    dfcom: Positive | None = None,
) -> PooledTest:
    """Test whether functions of the parameters are all zero.

    Each imputation gives the value of the functions and, by the delta method, their covariance
    J U J'; these are pooled as estimates are. As mitml's ``testConstraints``.

    Parameters
    ----------
    fits
        Of ``imp.fit(...)``, or a list with the analysis of each completed data set.
    constraints
        ``"b1 - b2"``, ``"b1 = b2"``, ``"log(b3 / b4)"``: arithmetic on terms, each zero under the
        hypothesis. Terms that are no plain names go in backquotes (``"`sex:age` - 1"``);
        ``Intercept`` is the intercept. Or functions from a Series of estimates by term to a
        number or a sequence of numbers.
    method
        ``"D1"`` (default, Wald; Li, Raghunathan & Rubin 1991) or ``"D2"`` (from the χ² of each
        imputation; Li, Meng, Raghunathan & Rubin 1991).
    dfcom
        Complete-data df of D1; None (default) takes the smallest residual df of the fits,
        ``float("inf")`` is mitml's default.

    Returns
    -------
    PooledTest

    Raises
    ------
    AnalysisError
        A constraint names no term, is not finite, or follows from the others.

    Notes
    -----
    Derivatives are central differences of the fourth order with steps of a hundredth of a standard
    error: exact for linear functions, and to about 1e-9 for smooth ones.

    Examples
    --------
    >>> import pandas as pd
    >>> u = pd.DataFrame([[0.1, 0.0], [0.0, 0.1]], ["x", "z"], ["x", "z"])
    >>> fits = [(pd.Series({"x": x, "z": 2.0}), u) for x in (1.0, 1.2, 0.9)]
    >>> test_constraints(fits, "x = z / 2")
    Pooled test (D1, m = 3): x - z / 2 = 0
    F(1, 50.4) = 0.007, p = 0.9331, riv = 0.249
    """
    estimates = as_estimates(fits)
    several(estimates, "A test of constraints")
    names, values, covariances = _transformed(fits, constraints)
    _refuse_dependent(names, covariances)
    hypothesis = tuple(f"{name} = 0" for name in names)
    complete = complete_data_df(estimates, dfcom)
    return joint_test(values, covariances, method, hypothesis, complete)


# Else pytest takes it for a test wherever it is imported by its name.
test_constraints.__test__ = False  # type: ignore[attr-defined]


@checked
def constraint_estimates(
    fits: Any,
    constraints: Constraint | Sequence[Constraint],
    dfcom: Positive | None = None,
    ci_prob: Level = 0.95,
    rule: Rule = "rubin1987",
) -> Pooled:
    """Pool functions of the parameters: estimate, standard error and interval of each.

    Parameters
    ----------
    fits, constraints, dfcom
        As in `test_constraints`.
    ci_prob
        Coverage of the intervals.
    rule
        As in `pool`.

    Returns
    -------
    Pooled
        One term a function.

    Examples
    --------
    >>> import pandas as pd
    >>> u = pd.DataFrame([[0.1, 0.0], [0.0, 0.1]], ["x", "z"], ["x", "z"])
    >>> fits = [(pd.Series({"x": x, "z": 2.0}), u) for x in (1.0, 1.2, 0.9)]
    >>> constraint_estimates(fits, "x / z").table["estimate"].round(3)
    term
    x / z    0.517
    Name: estimate, dtype: float64
    """
    names, values, covariances = _transformed(fits, constraints)
    complete = complete_data_df(as_estimates(fits), dfcom)
    return pool(values, covariances, complete, terms=names, ci_prob=ci_prob, rule=rule)


def _transformed(fits: Any, constraints: Any) -> tuple[list[str], Array, Array]:
    """Names of the c functions, their values (m, c) and covariances (m, c, c)."""
    terms, q, u = aligned(as_estimates(fits))
    single = isinstance(constraints, str) or callable(constraints)
    listed = [constraints] if single else list(constraints)
    if not listed:
        raise AnalysisError("Give at least one constraint, such as 'b1 - b2' or a function.")
    if not np.isfinite(u).all():
        raise AnalysisError(
            "Functions of several parameters need covariance matrices, and these analyses give "
            "standard errors only; return (estimates, covariance) from the analysis."
        )
    made = [_function(each, terms, q) for each in listed]
    functions = [function for _, function in made]

    def values(points: Array) -> Array:
        return np.column_stack([function(points) for function in functions])

    with np.errstate(all="ignore"):  # what is not finite is said below
        at = values(q)
        slopes = _derivatives(values, q, np.sqrt(np.diagonal(u, axis1=1, axis2=2)))
    names = [name for names, _ in made for name in names]
    for wrong in np.argwhere(~np.isfinite(at) | ~np.isfinite(slopes).all(axis=-1)):
        raise AnalysisError(
            f"{names[wrong[1]]!r} or its derivative is not a finite number in imputation "
            f"{wrong[0] + 1}."
        )
    return names, at, slopes @ u @ np.swapaxes(slopes, 1, 2)


def _derivatives(values: Callable[[Array], Array], q: Array, errors: Array) -> Array:
    """(m, c, k), by f' = [8 (f₊₁ − f₋₁) − (f₊₂ − f₋₂)] / 12h."""
    slopes = []
    for term in range(q.shape[1]):
        steps = np.where(errors[:, term] > 0, STEP * errors[:, term], 1e-4)
        at = {}
        for multiple in (-2, -1, 1, 2):
            moved = q.copy()
            moved[:, term] += multiple * steps
            at[multiple] = values(moved)
        slopes.append((8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * steps[:, None]))
    return np.stack(slopes, axis=-1)


def _function(
    constraint: Constraint, terms: tuple[str, ...], q: Array
) -> tuple[list[str], Callable[[Array], Array]]:
    """Names and values (points, c) of a constraint at points (points, k)."""
    if isinstance(constraint, str):
        return _written(constraint, terms)

    def values(points: Array) -> Array:
        rows = [np.ravel(constraint(pd.Series(point, index=list(terms)))) for point in points]
        return np.array(rows, dtype=float)

    name = getattr(constraint, "__name__", "function").replace("<lambda>", "function")
    size = values(q[:1]).shape[1]
    return [name] if size == 1 else [f"{name}[{i}]" for i in range(size)], values


def _written(text: str, terms: tuple[str, ...]) -> tuple[list[str], Callable[[Array], Array]]:
    expression = _difference(text, terms)
    whole = position_of(expression, terms)
    at: dict[str, int] = {} if whole is None else {expression: whole}
    for name in names_in(expression) if whole is None else ():
        position = position_of(name, terms)
        if position is None:
            raise AnalysisError(
                f"The constraint {text!r} names {name!r}, which is no term"
                f"{nearest(name, terms)} A term that is no plain name goes in backquotes, "
                "as `sex:age`."
            )
        at[name] = position

    def values(points: Array) -> Array:
        columns = {name: points[:, position] for name, position in at.items()}
        try:
            return evaluate(expression, columns or {"": points[:, 0]})
        except SpecificationError as error:
            raise AnalysisError(f"The constraint {text!r} cannot be read: {error}") from error

    values(np.ones((1, len(terms))))
    return [expression], values


def _difference(text: str, terms: tuple[str, ...]) -> str:
    """Write ``"a = b"`` as ``"a - (b)"``; an = within backquotes is part of a name."""
    stripped = text.strip()
    if position_of(stripped, terms) is not None:
        return stripped
    sides = re.split(r"(?<![<>=!])==?(?!=)(?=(?:[^`]*`[^`]*`)*[^`]*$)", stripped)
    if len(sides) == 1:
        return stripped
    if len(sides) > 2 or not all(side.strip() for side in sides):
        raise AnalysisError(f"The constraint {text!r} needs one = with something on both sides.")
    left, right = sides[0].strip(), sides[1].strip()
    if right in ("0", "0.0"):
        return left
    return f"{left} - ({right})" if re.search("[-+]", right) else f"{left} - {right}"


def _refuse_dependent(names: list[str], covariances: Array) -> None:
    for number, covariance in enumerate(covariances, start=1):
        scale = np.sqrt(np.diagonal(covariance))
        for name, each in zip(names, scale, strict=True):
            if not each > 0:
                raise AnalysisError(
                    f"{name!r} has a variance of 0 in imputation {number}: it depends on no "
                    "parameter, or the model fits perfectly. Leave it out."
                )
        if np.linalg.eigvalsh(covariance / np.outer(scale, scale)).min() < 1e-10:
            raise AnalysisError(
                f"The constraints {names} follow from each other; leave out what others imply."
            )
