"""The analysis models a formula can name: lmer, glmer (mixedlm), OLS, GLM, Cox (statsmodels).

The packages get columns of numbers that were computed here, never the text of a formula: theirs
would be run as code, and knows neither all names nor all functions.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import Estimates, estimates_from, explained
from bayesimpute.pooling.formula_design import (
    INTERCEPT,
    LinearDesign,
    ModelDesign,
    checked_formula,
    model_data,
)
from bayesimpute.pooling.formula_factors import Categorical, Numeric, learn
from bayesimpute.specification.formula_terms import Factor, Formula, label_of
from bayesimpute.wording import nearest

FAMILIES = ("gaussian", "binomial", "poisson")


def fit_formula(
    frame: pd.DataFrame,
    formula: str,
    family: Any = None,
    reml: bool = True,
    cluster: str | None = None,
) -> Estimates:
    """Fit the model a formula names to one completed data set.

    Parameters
    ----------
    frame
        Completed data.
    formula
        With a random part ``(1 + x | g)`` mixedlm fits it, else statsmodels; Cox regression if its
        outcome is ``Surv(time, event)``.
    family
        None or ``"gaussian"``, ``"binomial"``, ``"poisson"``, or a family object of the package
        that fits.
    reml
        REML (default) or maximum likelihood, for linear mixed models.
    cluster
        Column whose clusters ``cluster_mean`` is of, where the random part does not say it.
    """
    check_family(family)
    read = checked_formula(formula, frame.columns)
    data, means = model_data(read, frame, cluster)
    assert read.response is not None
    if read.event is not None:
        return _cox(read, read.response, data, family, means)
    outcome = pd.Series(_outcome(read.response, data, family), name=read.response.label)
    if _is_gaussian(family) and not read.offsets and len(outcome) > 1 and np.ptp(outcome) == 0:
        raise AnalysisError(
            f"The outcome {read.response.label!r} is the same in all rows, so that nothing can be "
            "estimated; analyse another."
        )
    design = ModelDesign.learn(read, data, means)
    fitted = (
        _mixed(outcome, design, data, family, reml)
        if read.random
        else _single_level(outcome, design, data, family)
    )
    return replace(fitted, design=design)


def check_family(family: Any) -> None:
    """Refuse an unknown family name, and what is no family at all."""
    if family is not None and not isinstance(family, str) and not hasattr(family, "link"):
        raise AnalysisError(
            f"family={family!r:.60} must be a name such as 'binomial', or a family object of "
            "statsmodels (or of mixedlm, with a random part)."
        )
    if isinstance(family, str) and family.lower() not in FAMILIES:
        raise AnalysisError(
            f"Unknown family {family!r}{nearest(family.lower(), FAMILIES)} For another one "
            "give a family object of statsmodels (or of mixedlm, with a random part)."
        )


def _is_gaussian(family: Any) -> bool:
    return family is None or (isinstance(family, str) and family.lower() == "gaussian")


def _outcome(factor: Factor, data: pd.DataFrame, family: Any) -> Array:
    """Outcome as numbers; of two categories the second is 1, as R has it."""
    if factor.column is not None and data[factor.column].dtype == bool:
        return data[factor.column].to_numpy(dtype=float)
    learned = learn(factor, data, None)
    named = family if isinstance(family, str) else type(family).__name__
    binomial = named.lower() == "binomial"
    if isinstance(learned, Numeric) and learned.width == 1:
        values = learned.values(data, False)[:, 0]
        poisson = named.lower() == "poisson" and len(values) > 0
        if poisson and not (values.min() >= 0 and values.max() > 0):
            raise AnalysisError(
                f"The outcome {factor.label!r} of a Poisson model must be counts from 0, not all "
                f"of them 0; it has values from {values.min():g} to {values.max():g}. Recode it, "
                "or choose another family."
            )
        if binomial and not ((values >= 0) & (values <= 1)).all():
            raise AnalysisError(
                f"The outcome {factor.label!r} of a binomial model must lie between 0 and 1; it "
                f"has values from {values.min():g} to {values.max():g}. Recode it, or make it "
                "categorical."
            )
        return values
    if not isinstance(learned, Categorical):
        raise AnalysisError(f"{factor.label} cannot be an outcome; it must be one number a row.")
    if not binomial or len(learned.categories) != 2:
        raise AnalysisError(
            f"The outcome {factor.label!r} has the categories {list(learned.categories)[:6]}; this "
            f"model needs one that is {'of two categories' if binomial else 'numeric'}."
        )
    return learned.values(data, True)[:, 1]


def _mixed(
    outcome: pd.Series, design: ModelDesign, data: pd.DataFrame, family: Any, reml: bool
) -> Estimates:
    import mixedlm

    chosen = family
    if isinstance(family, str) and not _is_gaussian(family):
        chosen = getattr(mixedlm.families, family.capitalize())()
    if not _is_gaussian(chosen) and not isinstance(chosen, mixedlm.families.Family):
        raise AnalysisError(
            f"family is a {type(family).__name__} of another package; with a random part give "
            "'binomial', 'poisson' or a family of mixedlm.families."
        )
    if _is_gaussian(chosen) and not design.formula.offsets:
        _refuse_constant_within(outcome, design, data)
    fixed = design.fixed.columns(data)
    _refuse_collinear(fixed)
    frame = _frame_for_mixedlm(outcome, design, data)
    text = _text_for_mixedlm(str(outcome.name), design)
    offset = design.offset(data) if design.formula.offsets else None

    fit: Any
    with explained(f"{design.formula.text!r} cannot be fitted"):
        # mixedlm would drop a collinear column and print that to stdout.
        if _is_gaussian(chosen):
            linear = mixedlm.lmerControl(check_rankX="stop")
            fit = mixedlm.lmer(text, frame, REML=reml, control=linear, offset=offset)
        else:
            control = mixedlm.glmerControl(check_rankX="stop")
            fit = mixedlm.glmer(text, frame, family=chosen, control=control, offset=offset)
    return estimates_from(fit)


def _refuse_constant_within(outcome: pd.Series, design: ModelDesign, data: pd.DataFrame) -> None:
    """Refuse a residual variance of 0, of which the likelihood has no maximum."""
    for part in design.formula.random:
        within = outcome.groupby([data[name].to_numpy() for name in part.groups])
        if part.intercept and within.nunique().max() == 1:
            raise AnalysisError(
                f"The outcome {outcome.name!r} is the same in all rows of each "
                f"{':'.join(part.groups)!r}, so that no residual variance is left; analyse one row "
                "of each, without this random part."
            )


def _frame_for_mixedlm(outcome: pd.Series, design: ModelDesign, data: pd.DataFrame) -> pd.DataFrame:
    columns: dict[str, Any] = {str(outcome.name): outcome.to_numpy()}
    for name, values in design.all_columns(data).items():
        if name in columns:
            raise AnalysisError(f"A term has the name of the outcome, {name!r}; rename one.")
        columns[name] = values
    for name in design.formula.groups:
        group = data[name].to_numpy()
        if name in columns and not np.array_equal(columns[name], group):
            raise AnalysisError(f"A term has the name of a grouping column, {name!r}; rename one.")
        columns[name] = data[name].array
    return pd.DataFrame(columns)


def _text_for_mixedlm(outcome: str, design: ModelDesign) -> str:
    parts = [
        f"({_sum(effects)} {'||' if part.independent else '|'} "
        f"{':'.join(map(_quoted, part.groups))})"
        for part, effects in zip(design.formula.random, design.random, strict=True)
    ]
    return f"{_quoted(outcome)} ~ {' + '.join([_sum(design.fixed), *parts])}"


def _sum(design: LinearDesign) -> str:
    names = [name for term in design.terms for name in term.names()]
    return " + ".join(["1" if design.intercept else "0", *map(_quoted, names)])


def _quoted(name: str) -> str:
    """Name in backticks, as mixedlm reads them."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _single_level(
    outcome: pd.Series, design: ModelDesign, data: pd.DataFrame, family: Any
) -> Estimates:
    import statsmodels.api as sm

    made = design.fixed.columns(data)
    _refuse_collinear(made)
    columns = pd.DataFrame(made)
    offset = design.offset(data) if design.formula.offsets else None

    with explained(f"{design.formula.text!r} cannot be fitted"):
        if _is_gaussian(family):
            model = sm.OLS(outcome if offset is None else outcome - offset, columns)
        else:
            named = isinstance(family, str)
            chosen = getattr(sm.families, family.capitalize())() if named else family
            model = sm.GLM(outcome, columns, family=chosen, offset=offset)
        fit = model.fit()
    return estimates_from(fit)


def _cox(
    read: Formula, response: Factor, data: pd.DataFrame, family: Any, cluster: str | None
) -> Estimates:
    """Cox regression, ties by Efron's method as in R."""
    import statsmodels.api as sm

    if family is not None:
        raise AnalysisError(
            f"{response.label} is fitted by Cox regression, which has no family; leave family= out."
        )
    if read.random:
        plain, group = " + ".join(map(label_of, read.terms)) or "1", read.groups[0]
        time, event = response.names
        raise AnalysisError(
            f"{read.text!r}: Cox regression by a formula has no random part. Standard errors that "
            f"allow for {group!r}, of hazard ratios averaged over it: from lifelines import "
            f"CoxPHFitter; imp.fit(lambda data: CoxPHFitter().fit(data, {time!r}, {event!r}, "
            f"cluster_col={group!r}, formula={plain!r})). Of a run with analysis= the parameters "
            "of this model itself, frailties among them, are in imp.datatree."
        )
    status, times = _events(response, data), _times(response, data)
    # a formula without intercept, too, has categories coded against it: the baseline hazard is one
    design = ModelDesign.learn(replace(read, intercept=True), data, cluster)
    made = design.fixed.columns(data)
    _refuse_collinear(made)
    columns = pd.DataFrame({name: values for name, values in made.items() if name != INTERCEPT})
    if columns.empty:
        raise AnalysisError(
            f"{read.text!r} leaves no coefficient to estimate: Cox regression has no intercept."
        )
    offset = design.offset(data) if read.offsets else None
    model = sm.PHReg(times, columns, status=status, ties="efron", offset=offset)
    with explained(f"{read.text!r} cannot be fitted"):
        fit = model.fit()
    return estimates_from(fit)


def _times(response: Factor, data: pd.DataFrame) -> Array:
    name = response.names[0]
    if not pd.api.types.is_numeric_dtype(data[name].dtype):
        raise AnalysisError(f"{response.label}: the time {name!r} must be a number.")
    times = data[name].to_numpy(dtype=float)
    if not (times >= 0).all():
        raise AnalysisError(f"{response.label}: the time {name!r} is negative in some rows.")
    return times


def _events(response: Factor, data: pd.DataFrame) -> Array:
    """1 where a time ends with the event; of two categories the second is the event."""
    name = response.names[1]
    column = data[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        if len(column.cat.categories) != 2:
            raise AnalysisError(
                f"{response.label}: {name!r} has the categories {list(column.cat.categories)[:6]}; "
                "it must have two, of which the later is the event."
            )
        return np.asarray(column.cat.codes, dtype=float)
    values = column.to_numpy(dtype=float)
    if not np.isin(values, (0.0, 1.0)).all():
        raise AnalysisError(
            f"{response.label}: {name!r} must be 0 and 1, or True and False; it has values from "
            f"{values.min():g} to {values.max():g}."
        )
    if not values.any():
        raise AnalysisError(f"{response.label}: {name!r} has no event.")
    return values


def _refuse_collinear(columns: Mapping[str, Array]) -> None:
    """Refuse what statsmodels would answer with a pseudo-inverse, without a word."""
    x = np.column_stack(list(columns.values()))
    scaled = x / np.maximum(np.linalg.norm(x, axis=0), np.finfo(float).tiny)
    diagonal = np.abs(np.diagonal(np.linalg.qr(scaled, mode="r")))
    if len(x) < x.shape[1]:
        raise AnalysisError(f"{x.shape[1]} coefficients but only {len(x)} rows; use fewer terms.")
    if diagonal.min() < 1e-10:
        raise AnalysisError(
            f"{list(columns)[int(np.argmin(diagonal))]!r} is a linear combination of the other "
            "predictors (or constant); leave it out."
        )
