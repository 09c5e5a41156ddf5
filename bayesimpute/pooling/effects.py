"""Average marginal effects of the variables of a formula, pooled over imputations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import Estimates, as_estimates, complete_data_df
from bayesimpute.pooling.formula_design import ModelDesign
from bayesimpute.pooling.pooled import pool
from bayesimpute.pooling.predictions import inverse_link, new_frames
from bayesimpute.pooling.rubin import Rule
from bayesimpute.specification.formula_terms import unique
from bayesimpute.wording import did_you_mean, listed

#: Step of a derivative by a number, in its SDs; and of the derivative of a link.
STEP = 1e-4


@dataclass(frozen=True, eq=False)
class Effects:
    """Average marginal effects of each imputation.

    Attributes
    ----------
    names
        ``"age"``, or ``"sex: girl − boy"``, (k,).
    estimates, covariances
        (m, k) and (m, k, k).
    dfcom
        Complete-data degrees of freedom.
    """

    names: tuple[str, ...]
    estimates: Array
    covariances: Array
    dfcom: float

    def pooled(self, ci_prob: float = 0.95, rule: Rule = "rubin1987") -> pd.DataFrame:
        """Pool by Rubin's rules: estimate, std_error, df, conf_low, conf_high, fmi by effect."""
        table = pool(
            self.estimates, self.covariances, self.dfcom, terms=self.names, ci_prob=ci_prob,
            rule=rule,
        ).table  # fmt: skip
        shown = ["estimate", "std_error", "df", "conf_low", "conf_high", "fmi"]
        return table[shown].rename_axis("effect")


def effects_by_imputation(
    fits: Any, newdata: Any, variables: Sequence[str] | None = None, dfcom: float | None = None
) -> Effects:
    """Average marginal effects of each fit over rows: see ``Fits.average_effects``.

    Raises
    ------
    AnalysisError
        Fits of no formula with coefficients, or a variable that the formula, or a frame, does not
        have.
    """
    estimates = as_estimates(fits)
    frames = new_frames(newdata, len(estimates))
    known = _variables(estimates[0])
    wanted = (
        known if variables is None else [variables] if isinstance(variables, str) else variables
    )
    for name in wanted:
        if name not in known:
            raise AnalysisError(
                f"The formula has no predictor {name!r}; it has {listed(known)}."
                f"{did_you_mean(name, known)}"
            )
    if not wanted:
        raise AnalysisError(
            "There is no predictor whose effect could be averaged"
            f"{'' if variables is None else ' in variables=[]'}."
        )
    for frame in frames:
        if absent := [name for name in known if name not in frame.columns]:
            raise AnalysisError(
                f"newdata lacks {listed(absent)}; effects are averaged over rows with "
                "all predictors of the formula."
            )
    found = [
        dict(_effects(each, frame, wanted)) for each, frame in zip(estimates, frames, strict=True)
    ]
    names = tuple(found[0])
    if any(tuple(each) != names for each in found):
        raise AnalysisError(
            "The imputations do not have the same categories; merge rare ones, or give newdata."
        )
    values = np.array([[each[name][0] for name in names] for each in found])
    covariances = []
    for each, estimate in zip(found, estimates, strict=True):
        gradients = np.array([each[name][1] for name in names])
        covariances.append(gradients @ estimate.covariance @ gradients.T)
    return Effects(names, values, np.array(covariances), complete_data_df(estimates, dfcom))


def _variables(each: Estimates) -> list[str]:
    """Columns that the fixed part of a formula reads."""
    design = each.design
    kind = type(getattr(each.model, "model", None)).__name__
    if not isinstance(design, ModelDesign) or kind == "PHReg":
        raise AnalysisError(
            "Average effects are of linear and generalized linear models by formula, "
            "imp.fit('y ~ x + z')."
        )
    return list(
        unique(name for term in design.formula.terms for factor in term for name in factor.names)
    )


def _effects(
    each: Estimates, frame: pd.DataFrame, wanted: Sequence[str]
) -> Iterator[tuple[str, tuple[float, Array]]]:
    """Effects of one fit with their gradients by the coefficients."""
    design: ModelDesign = each.design
    inverse = inverse_link(each.model) or (lambda at: at)

    def mean(rows: pd.DataFrame) -> tuple[float, Array]:
        """Average of the expected outcome, and its gradient."""
        made = design.rows(rows)
        x = np.column_stack(list(design.fixed.columns(made).values()))
        at = x @ each.estimate + design.offset(made)
        slope = (inverse(at + STEP) - inverse(at - STEP)) / (2 * STEP)
        return float(inverse(at).mean()), (slope[:, None] * x).mean(axis=0)

    for name in wanted:
        column = frame[name]
        for label, high, low, width in _moved(name, column, design):
            try:
                up, down = (mean(frame.assign(**{name: to})) for to in (high, low))
            except AnalysisError as error:
                raise AnalysisError(
                    f"The effect of {name!r} cannot be averaged: {error} A number that the formula "
                    "takes as categories is made categorical in the data."
                ) from error
            yield label, ((up[0] - down[0]) / width, (up[1] - down[1]) / width)


def _moved(
    name: str, column: "pd.Series[Any]", design: ModelDesign
) -> Iterator[tuple[str, Any, Any, float]]:
    """Label, two values of a column between which the effect is, and by what to divide it."""
    if name in design.categories:
        first, *others = design.categories[name]
        for other in others:
            yield f"{name}: {other} − {first}", other, first, 1.0
    elif pd.api.types.is_bool_dtype(column.dtype):
        yield f"{name}: True − False", True, False, 1.0
    else:
        values = column.astype(float)
        spread = float(values.std())  # none of a constant, NaN of one row
        step = STEP * (spread if spread > 0 else 1.0)
        yield name, values + step, values - step, 2 * step
