"""The analysis models a formula can name: lmer, glmer (mixedlm), OLS and GLM (statsmodels)."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import Estimates, estimates_from, nearest
from bayesimpute.pooling.formula_columns import check_formula, prepared, with_derived_columns
from bayesimpute.pooling.variance_components import level_names

FAMILIES = ("gaussian", "binomial", "poisson")


def fit_formula(
    frame: pd.DataFrame, formula: str, family: Any = None, reml: bool = True
) -> Estimates:
    """Fit the model a formula names to one completed data set.

    Parameters
    ----------
    frame
        Completed data.
    formula
        With a random part ``(1 + x | g)`` mixedlm fits it, else statsmodels. ``log(x)`` and the
        like, ``I(x**2)`` and ``factor(x)`` work in both.
    family
        None or ``"gaussian"``, ``"binomial"``, ``"poisson"``, or a family object of the package
        that fits.
    reml
        REML (default) or maximum likelihood, for linear mixed models.
    """
    check_family(family)
    used = check_formula(formula, frame.columns)
    data = prepared(frame, used)
    data = _with_coded_outcome(data, formula.split("~")[0].strip(" `"), family)
    mixed = "|" in formula
    text, data = with_derived_columns(data, formula, "`{}`" if mixed else 'Q("{}")')
    return (_mixed if mixed else _single_level)(data, text, family, reml)


def check_family(family: Any) -> None:
    """Refuse an unknown family name."""
    if isinstance(family, str) and family.lower() not in FAMILIES:
        raise AnalysisError(
            f"Unknown family {family!r}{nearest(family.lower(), FAMILIES)} For another one give a "
            "family object of statsmodels (or of mixedlm, with a random part)."
        )


def _named(family: Any) -> str:
    return family.lower() if isinstance(family, str) else type(family).__name__.lower()


def _is_gaussian(family: Any) -> bool:
    return family is None or (isinstance(family, str) and family.lower() == "gaussian")


def _with_coded_outcome(frame: pd.DataFrame, name: str, family: Any) -> pd.DataFrame:
    """Code a two-category outcome as 0/1 with the second category as 1, as R has it."""
    if name not in frame.columns:
        return frame
    outcome, binomial = frame[name], _named(family) == "binomial"
    if pd.api.types.is_numeric_dtype(outcome.dtype):
        if binomial and not outcome.between(0, 1).all():
            raise AnalysisError(
                f"The outcome {name!r} of a binomial model must lie between 0 and 1; it has values "
                f"from {outcome.min():g} to {outcome.max():g}. Recode it, or make it categorical."
            )
        return frame
    codes = outcome.astype("category").cat
    if not binomial or len(codes.categories) != 2:
        raise AnalysisError(
            f"The outcome {name!r} has the categories {list(codes.categories)[:6]}; this model "
            f"needs one that is {'of two categories' if binomial else 'numeric'}."
        )
    return frame.assign(**{name: codes.codes.astype(float)})


def _mixed(frame: pd.DataFrame, formula: str, family: Any, reml: bool) -> Estimates:
    import mixedlm

    chosen = family
    if isinstance(family, str) and not _is_gaussian(family):
        chosen = getattr(mixedlm.families, family.capitalize())()
    if not _is_gaussian(chosen) and not isinstance(chosen, mixedlm.families.Family):
        raise AnalysisError(
            f"family is a {type(family).__name__} of another package; with a random part give "
            "'binomial', 'poisson' or a family of mixedlm.families."
        )
    design = _explained(lambda: mixedlm.lFormula(formula, frame), formula).matrices
    _refuse_collinear(design.X, level_names(design.fixed_names, design.category_levels))

    def run() -> Any:
        # mixedlm would drop a collinear column and print that to stdout.
        if _is_gaussian(chosen):
            linear = mixedlm.lmerControl(check_rankX="stop")
            return mixedlm.lmer(formula, frame, REML=reml, control=linear)
        generalized = mixedlm.glmerControl(check_rankX="stop")
        return mixedlm.glmer(formula, frame, family=chosen, control=generalized)

    return estimates_from(_explained(run, formula))


def _single_level(frame: pd.DataFrame, formula: str, family: Any, reml: bool) -> Estimates:
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    def build() -> Any:
        if _is_gaussian(family):
            return smf.ols(formula, frame)
        chosen = getattr(sm.families, family.capitalize())() if isinstance(family, str) else family
        return smf.glm(formula, frame, family=chosen)

    model = _explained(build, formula)
    _refuse_collinear(model.exog, [r_name(name) for name in model.exog_names])
    found = estimates_from(_explained(model.fit, formula))
    return replace(found, terms=tuple(r_name(term) for term in found.terms))


def _explained(run: Callable[[], Any], formula: str) -> Any:
    try:
        return run()
    except AnalysisError:
        raise
    except Exception as error:
        reason = str(error.args[0] if error.args else error).split("\n")[0]
        raise AnalysisError(f"{formula!r} cannot be fitted: {reason}") from error


def _refuse_collinear(x: np.ndarray, names: list[str]) -> None:
    """Refuse what statsmodels would answer with a pseudo-inverse, without a word."""
    scaled = x / np.maximum(np.linalg.norm(x, axis=0), np.finfo(float).tiny)
    diagonal = np.abs(np.diagonal(np.linalg.qr(scaled, mode="r")))
    if len(x) < x.shape[1]:
        raise AnalysisError(f"{x.shape[1]} coefficients but only {len(x)} rows; use fewer terms.")
    if diagonal.min() < 1e-10:
        raise AnalysisError(
            f"{names[int(np.argmin(diagonal))]!r} is a linear combination of the other predictors "
            "(or constant); leave it out."
        )


def r_name(term: str) -> str:
    """``"Intercept"``, ``"sex[T.male]"`` of patsy as R names them, and as lmer fits do."""
    if term == "Intercept":
        return "(Intercept)"
    return re.sub(r"\[(?:T\.)?([^\]]*)\]", r"\1", re.sub(r'Q\("([^"]*)"\)', r"\1", term))
