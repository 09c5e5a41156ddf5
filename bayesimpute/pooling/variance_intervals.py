"""How uncertain the variance components of a mixed model are, and intervals of them when pooled.

SDs are taken on the log scale, correlations on Fisher's z = atanh(r), intraclass correlations on
the logit scale. There the likelihood is nearly quadratic and no interval leaves the parameter's
range; nlme has intervals of one fit so (Pinheiro & Bates 2000, §2.4). Standard errors come from the
observed information: second differences of the fit's deviance (the REML criterion where it was
fitted by that) in log SDs and z's, the coefficients profiled out. Rubin's rules combine the
estimates there, and what they give is transformed back.

An SD that a fit puts at 0 has no logarithm, and one that is smaller than its own standard error
(an error above 1 of its logarithm) no quadratic likelihood; so no interval of it is given, and the
others' are those given that it is what it is. Where the information is still not positive definite,
the fit is not at a maximum, or the data do not tell the parameters apart: none has an interval.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute.arrays import Array
from bayesimpute.pooling.formula_design import INTERCEPT
from bayesimpute.pooling.likelihood import MixedData, RandomPart, root
from bayesimpute.pooling.reported import (
    STATSMODELS_GROUP,
    is_mixedlm,
    is_statsmodels_mixed,
    level_names,
)
from bayesimpute.pooling.rubin import RULES, Combined, Rule, single
from bayesimpute.sampling.variance_shares import LOGISTIC_VARIANCE

Mask = npt.NDArray[np.bool_]

#: SDs below this share of the residual SD, and correlations this near to ±1, are at the boundary.
BOUNDARY = 1e-3
#: Standard error of a logarithm above which an SD is no larger than its own error.
MOST_ERROR = 1.0
#: Information that is no more than the rounding of second differences.
NO_INFORMATION = 1e-4
#: Steps of the second differences, in log SD and z; longer where the deviance is an iteration's.
STEP, LONG_STEP = 2e-3, 2e-2

#: From each scale back.
SCALES: Mapping[str, Callable[[float], float]] = MappingProxyType(
    {"log": np.exp, "fisher z": np.tanh, "logit": lambda x: 1 / (1 + np.exp(-x))}
)

type Deviance = Callable[[Array, Array | None], float]

COLUMNS = ("estimate", "conf_low", "conf_high", "scale", "std_error", "df", "fmi", "at_boundary")


@dataclass(frozen=True, eq=False)
class VarianceParameters:
    """SDs, correlations and ICCs of one fit on their scales; every attribute is (k,).

    Attributes
    ----------
    names
        ``"sd((Intercept) | school)"``, ``"cor((Intercept), sex | school)"``, ``"sigma"``,
        ``"icc(school)"``.
    scales
        Keys of `SCALES`.
    estimate
        On the natural scale.
    transformed, std_error
        On the scale; errors are NaN at the boundary.
    at_boundary
        Whether an SD is 0 or smaller than its standard error, a correlation ±1. Errors of what is
        not there are NaN, too, if the information is not positive definite.
    """

    names: tuple[str, ...]
    scales: tuple[str, ...]
    estimate: Array
    transformed: Array
    std_error: Array
    at_boundary: Mask


@dataclass(frozen=True, eq=False)
class _Part:
    """One random part: its group, terms, and their covariance as SDs and correlations."""

    group: str
    terms: tuple[str, ...]
    sds: Array
    correlations: Array
    correlated: bool

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(len(self.terms)), 2)) if self.correlated else []

    def factor(self, log_sds: Array, z: Array) -> Array:
        """L with L L' the covariance."""
        correlation = np.eye(len(self.terms))
        for (i, j), value in zip(self.pairs, np.tanh(z), strict=True):
            correlation[i, j] = correlation[j, i] = value
        return np.exp(log_sds)[:, None] * root(correlation)


@dataclass(frozen=True, eq=False)
class _Fit:
    """What is needed of a fit, whichever package made it.

    `deviance` is a function of log SDs and z's of the parts in turn, then log σ, and of how far the
    coefficients are moved, where these are not profiled out; `vcov` then is their covariance.
    """

    parts: Sequence[_Part]
    sigma: float | None
    deviance: Deviance
    step: float = STEP
    vcov: Any = None
    latent: bool = False
    converged: bool = True


def variance_parameters(result: Any) -> VarianceParameters | None:
    """SDs, correlations and ICCs of a mixed model with their standard errors.

    Parameters
    ----------
    result
        Of ``lmer`` or ``glmer`` of mixedlm, or of ``MixedLM`` of statsmodels. None is returned for
        another fit, one without random effects, with a structured covariance of them, or with
        parameters that were held fixed or penalised.

    Examples
    --------
    >>> import mixedlm
    >>> sleep = mixedlm.lmer("Reaction ~ Days + (1 | Subject)", mixedlm.load_sleepstudy())
    >>> found = variance_parameters(sleep)
    >>> found.names
    ('sd((Intercept) | Subject)', 'sigma', 'icc(Subject)')
    >>> found.std_error.round(2)
    array([0.18, 0.06, 0.38])
    """
    fit = (
        _from_mixedlm(result)
        if is_mixedlm(result)
        else _from_statsmodels(result)
        if is_statsmodels_mixed(result)
        else None
    )
    if fit is None:
        return None
    names, scales, at, fixed = _parameters(fit.parts, fit.sigma)
    errors, weak = _covariance(fit, names, at, fixed)
    gaussian = fit.sigma is not None
    shares = _shares(fit.parts, names, at, fit.latent) if gaussian or fit.latent else []
    gradients = np.vstack([np.eye(len(at)), *(gradient for *_, gradient in shares)])
    spread = np.sqrt(np.einsum("ij,jk,ik->i", gradients, np.nan_to_num(errors), gradients))
    known = ~np.isnan(np.diagonal(errors))
    own = [*range(len(at)), *(position for _, position, *_ in shares)]
    # a residual SD has no boundary, and an ICC has that of its SD
    beyond = np.array([names[i].startswith("sd(") for i in own]) & (
        np.append(spread[: len(at)], [spread[i] for i in own[len(at) :]]) > MOST_ERROR
    )
    spread[~known[own] | beyond] = np.nan
    transformed = np.append(at, [value for _, _, value, _ in shares])
    scales += ["logit"] * len(shares)
    natural = [
        float(SCALES[scale](value)) for scale, value in zip(scales, transformed, strict=True)
    ]
    return VarianceParameters(
        (*names, *(name for name, *_ in shares)),
        tuple(scales),
        np.array(natural),
        transformed,
        spread,
        (fixed | weak)[own] | beyond,
    )


def _from_mixedlm(result: Any) -> _Fit | None:
    structures = result.matrices.random_structures
    if not structures or any(each.cov_type != "us" for each in structures):
        return None
    estimated = result.VarCorr()
    levels = result.matrices.category_levels
    parts = [
        _part(str(group), level_names(block.term_names, levels), block.cov, structure.correlated)
        for (group, block), structure in zip(estimated.groups.items(), structures, strict=True)
    ]
    if getattr(result, "isGLMM", lambda: False)():
        vcov = result.vcov() if result.joint_fit else None
        latent = _is_logit(result)
        return _Fit(parts, None, _of_glmer(result, parts), LONG_STEP, vcov, latent)
    data, sigma = MixedData.of(result.matrices), float(estimated.residual) ** 0.5
    return _Fit(parts, sigma, _of_linear(data, bool(result.isREML()), parts))


def _from_statsmodels(result: Any) -> _Fit | None:
    """Random effects of the groups, and variance components within them, as random parts."""
    model = result.model
    penalised = model.fe_pen is not None or model.re_pen is not None
    held = getattr(result, "freepat", True)  # which fit_regularized does not say
    if penalised or held is not None:
        return None
    codes, groups = pd.factorize(np.asarray(model.groups))
    parts, columns, structures = [], [], []
    if model.k_re:
        effects = np.asarray(model.exog_re, dtype=float)
        names = [
            INTERCEPT if (column == 1).all() else str(name)
            for name, column in zip(model.data.exog_re_names, effects.T, strict=True)
        ]
        parts.append(_part(STATSMODELS_GROUP, names, result.cov_re, correlated=True))
        columns.append(_by_group(effects, codes))
        structures.append(RandomPart(len(groups)))
    for k, name in enumerate(model.exog_vc.names):
        blocks = dict(zip(model.group_labels, model.exog_vc.mats[k], strict=True))
        each = _stacked([blocks[group] for group in groups], codes)
        indicators = np.asarray(each.sum(axis=1)).ravel()
        term, group = (INTERCEPT, name) if (indicators == 1).all() else (name, STATSMODELS_GROUP)
        parts.append(_part(str(group), [str(term)], [[result.vcomp[k]]], correlated=True))
        columns.append(each)
        structures.append(RandomPart(each.shape[1]))
    if not parts:
        return None
    from scipy import sparse

    data = MixedData(
        np.asarray(model.exog, dtype=float),
        np.asarray(model.endog, dtype=float),
        sparse.hstack(columns, format="csc"),
        structures=tuple(structures),
    )
    deviance = _of_linear(data, bool(result.reml), parts)
    return _Fit(
        parts, float(result.scale) ** 0.5, deviance, converged=bool(result.converged)
    )  # fmt: skip


def _by_group(effects: Array, codes: npt.NDArray[np.int64]) -> Any:
    """Columns of random effects, (row, group × term), the terms of a group beside each other."""
    from scipy import sparse

    rows, terms = effects.shape
    at = codes[:, None] * terms + np.arange(terms)
    width = (int(codes.max()) + 1) * terms
    values = (effects.ravel(), (np.repeat(np.arange(rows), terms), at.ravel()))
    return sparse.csc_matrix(values, shape=(rows, width))


def _stacked(blocks: Sequence[Any], codes: npt.NDArray[np.int64]) -> Any:
    """Columns of which each group has its own, its rows where they are in the data."""
    from scipy import sparse

    order = np.argsort(codes, kind="stable")  # rows of a group are in the order of the data
    together = sparse.block_diag([sparse.csr_matrix(np.asarray(each)) for each in blocks], "csr")
    return together[np.argsort(order)].tocsc()


def _part(group: str, terms: Sequence[str], covariance: Any, correlated: bool) -> _Part:
    matrix = np.asarray(covariance, dtype=float)
    sds = np.sqrt(np.maximum(np.diagonal(matrix), 0.0))
    scale = np.where(sds > 0, sds, 1.0)
    return _Part(group, tuple(terms), sds, matrix / np.outer(scale, scale), correlated)


def _parameters(
    parts: Sequence[_Part], sigma: float | None
) -> tuple[list[str], list[str], Array, Mask]:
    """Names, scales and values of the parameters, and which are at the boundary."""
    unit = 1.0 if sigma is None else sigma
    names, scales, at, fixed = [], [], [], []
    for part in parts:
        zero = part.sds < BOUNDARY * unit
        names += [f"sd({term} | {part.group})" for term in part.terms]
        scales += ["log"] * len(part.terms)
        at += list(np.log(np.maximum(part.sds, 1e-8 * unit)))
        fixed += list(zero)
        pairs = part.pairs
        within = part.correlations[np.ix_(~zero, ~zero)]
        # with a singular correlation matrix none of its correlations can go any way
        singular = len(within) > 1 and np.linalg.eigvalsh(within)[0] < BOUNDARY
        for i, j in pairs:
            names.append(f"cor({part.terms[i]}, {part.terms[j]} | {part.group})")
            scales.append("fisher z")
            at.append(float(np.arctanh(np.clip(part.correlations[i, j], -1 + 1e-9, 1 - 1e-9))))
            fixed.append(bool(singular or zero[i] or zero[j]))
    if sigma is not None:
        names, scales, at, fixed = (
            [*names, "sigma"],
            [*scales, "log"],
            [*at, np.log(sigma)],
            [*fixed, False],
        )
    return names, scales, np.array(at, dtype=float), np.array(fixed, dtype=bool)


def _is_logit(result: Any) -> bool:
    link = getattr(result.family, "link", None)
    return (type(result.family).__name__, type(link).__name__) == ("Binomial", "LogitLink")


def _shares(
    parts: Sequence[_Part], names: Sequence[str], at: Array, latent: bool
) -> list[tuple[str, int, float, Array]]:
    """ICC of each factor: name, position of its SD, logit, and gradient by log SDs.

    Of a `latent` variable behind a logit, whose error has the variance π²/3.
    """
    groups = [part.group for part in parts if INTERCEPT in part.terms]
    positions = [names.index(f"sd({INTERCEPT} | {group})") for group in groups]
    every = positions if latent else [*positions, len(names) - 1]
    variances = np.exp(2 * at)
    found = []
    for group, own in zip(groups, positions, strict=True):
        others = [i for i in every if i != own]
        rest = float(variances[others].sum()) + (LOGISTIC_VARIANCE if latent else 0.0)
        gradient = np.zeros(len(at))
        gradient[others] = -2 * variances[others] / rest
        gradient[own] = 2.0
        found.append((f"icc({group})", own, float(2 * at[own] - np.log(rest)), gradient))
    return found


def _covariance(fit: _Fit, names: Sequence[str], at: Array, fixed: Mask) -> tuple[Array, Mask]:
    """Inverse of the observed information, coefficients profiled out; NaN for what is fixed.

    And which SDs are taken for fixed, too: if the information is not positive definite, those of
    which it has less than an SD that is as large as its standard error.
    """
    found, weak = np.full((len(at), len(at)), np.nan), np.zeros(len(at), dtype=bool)
    if not fit.converged:
        return found, weak
    free = np.flatnonzero(~fixed)
    information = _information(fit, at, free)
    if not _is_positive(information) and np.isfinite(information).all():
        own = np.diagonal(information)
        weak[free] = [
            names[int(i)].startswith("sd(") and each < MOST_ERROR**-2
            for i, each in zip(free, own, strict=True)
        ]
        kept = ~weak[free]
        free, information = free[kept], information[np.ix_(kept, kept)]
    if _is_positive(information):
        found[np.ix_(free, free)] = np.linalg.inv(information)
    return found, weak


def _is_positive(information: Array) -> bool:
    return bool(
        np.isfinite(information).all() and (np.linalg.eigvalsh(information) > NO_INFORMATION).all()
    )


def _information(fit: _Fit, at: Array, free: npt.NDArray[np.int64]) -> Array:
    """Second differences of half the deviance, by the free parameters."""
    from statsmodels.tools.numdiff import approx_hess3

    def moved(values: Array, coefficients: Array | None = None) -> float:
        point = at.copy()
        point[free] = values
        return fit.deviance(point, coefficients) / 2

    base = moved(at[free])  # or the differences would be of two large numbers
    information = approx_hess3(at[free], lambda values: moved(values) - base, epsilon=fit.step)
    if fit.vcov is not None:
        # coefficients in standard errors given the random part: their own information is 1
        crossed = np.array(
            [_crossed(moved, at[free], i, fit.step, fit.vcov) for i in range(len(free))]
        )
        information -= crossed @ crossed.T
    return np.asarray(information)


def _crossed(
    moved: Callable[[Array, Array], float], at: Array, i: int, step: float, vcov: Any
) -> Array:
    """Second derivatives by parameter i and each coefficient, in standard errors."""
    away = step * np.eye(len(at))[i]
    units = 0.1 * np.linalg.cholesky(np.asarray(vcov, dtype=float)).T
    each = [
        moved(at + away, unit) - moved(at + away, -unit)
        - moved(at - away, unit) + moved(at - away, -unit)
        for unit in units
    ]  # fmt: skip
    return np.array(each) / (4 * step * 0.1)


def _factors(parts: Sequence[_Part], at: Array) -> list[Array]:
    found, position = [], 0
    for part in parts:
        middle = position + len(part.terms)
        end = middle + len(part.pairs)
        found.append(part.factor(at[position:middle], at[middle:end]))
        position = end
    return found


def _of_linear(data: MixedData, reml: bool, parts: Sequence[_Part]) -> Deviance:
    """−2 log-likelihood, or REML criterion, with the coefficients profiled out."""
    n, p = data.x.shape

    def deviance(at: Array, _: Array | None) -> float:
        sigma = np.exp(at[-1])
        top, determinant = data.reduced([factor / sigma for factor in _factors(parts, at)])
        if reml:
            determinant += 2 * float(np.sum(np.log(np.abs(np.diagonal(top)[:p]))))
        rows = n - p if reml else n
        return float(2 * rows * at[-1] + determinant + top[p, p] ** 2 / sigma**2)

    return deviance


def _of_glmer(result: Any, parts: Sequence[_Part]) -> Deviance:
    """Laplace's deviance as mixedlm has it, the coefficients moved by so much."""
    own = result.as_function("deviance")

    def deviance(at: Array, coefficients: Array | None) -> float:
        theta: list[float] = []
        for part, factor in zip(parts, _factors(parts, at), strict=True):
            lower = np.linalg.qr(factor.T, mode="r").T  # the sign of a column does not matter
            rows = np.tril_indices if part.correlated else np.diag_indices
            theta += list(lower[rows(len(lower))])
        if not result.joint_fit:
            return float(own(np.array(theta)))
        beta = np.asarray(result.beta) + (0.0 if coefficients is None else coefficients)
        return float(own(np.append(theta, beta)))

    return deviance


def pooled_parameters(
    fits: Sequence[Any], ci_prob: float = 0.95, rule: Rule = "rubin1987"
) -> pd.DataFrame:
    """Pool SDs, correlations and ICCs of m fits on their scales.

    Parameters
    ----------
    fits
        What mixedlm or ``MixedLM`` of statsmodels returned, one a completed data set.
    ci_prob
        Coverage of the intervals.
    rule
        As `bayesimpute.pool` has it; complete-data df are infinite, as nlme takes them.

    Returns
    -------
    DataFrame
        Index ``term``; the columns `COLUMNS`. Empty unless all fits have variance components.
        Without an interval, and not at its boundary, is what the information of a fit does not
        tell.
    """
    from scipy import stats

    each = [variance_parameters(fit) for fit in fits]
    found = [one for one in each if one is not None]
    if len(found) < len(each) or len({one.names for one in found}) != 1:
        return pd.DataFrame(columns=list(COLUMNS), index=pd.Index([], name="term"))
    values = np.array([one.transformed for one in found])
    errors = np.array([one.std_error for one in found])
    combine = single if len(found) == 1 else RULES[rule].combine
    combined: Combined = combine(values, errors**2, np.inf)
    error = np.sqrt(combined.t)
    half = stats.t.ppf((1 + ci_prob) / 2, combined.df) * error
    boundary = np.sum([one.at_boundary for one in found], axis=0)
    unknown = np.isnan(errors).any(axis=0)
    first = found[0]

    def back(numbers: Array) -> list[float]:
        with np.errstate(over="ignore"):  # with a degree of freedom an SD may be up to infinity
            return [float(SCALES[s](each)) for s, each in zip(first.scales, numbers, strict=True)]

    # the logarithm of 0 has no mean: there the mean of the numbers themselves
    plain = np.mean([one.estimate for one in found], axis=0)
    table = {
        "estimate": np.where(unknown, plain, back(combined.estimate)),
        "conf_low": back(combined.estimate - half),
        "conf_high": back(combined.estimate + half),
        "scale": first.scales,
        "std_error": error,
        "df": np.where(unknown, np.nan, combined.df),
        "fmi": np.where(unknown, np.nan, combined.fmi),
        "at_boundary": boundary,
    }
    return pd.DataFrame(table, index=pd.Index(first.names, name="term"))


def component_intervals(random_effects: pd.DataFrame) -> pd.DataFrame:
    """Take intervals of SDs and ICCs to the variances and ICCs that mitml's names are of.

    Parameters
    ----------
    random_effects
        Of `pooled_parameters`.

    Returns
    -------
    DataFrame
        Index as in ``Pooled.variance_components``; columns ``scale``, and on it ``middle`` and
        ``std_error`` of the interval, ``df`` and ``fmi``. Of what has an interval only:
        covariances have none.

    Examples
    --------
    >>> import mixedlm
    >>> sleep = mixedlm.lmer("Reaction ~ Days + (1 | Subject)", mixedlm.load_sleepstudy())
    >>> list(component_intervals(pooled_parameters([sleep])).index)
    ['Intercept~~Intercept|Subject', 'Residual~~Residual', 'ICC|Subject']
    """
    rows = {}
    for term, row in random_effects[random_effects["conf_low"].notna()].iterrows():
        name, estimate = _component(str(term)), float(row["estimate"])
        if name is None:
            continue
        twice = (
            2.0 if row["scale"] == "log" else 1.0
        )  # of the logarithm of an SD that of its square
        middle = np.log(estimate) if row["scale"] == "log" else np.log(estimate / (1 - estimate))
        rows[name] = {
            "scale": row["scale"],
            "middle": twice * middle,
            "std_error": twice * row["std_error"],
            "df": row["df"],
            "fmi": row["fmi"],
        }
    columns = ["scale", "middle", "std_error", "df", "fmi"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _component(term: str) -> str | None:
    """``"sd((Intercept) | school)"`` is the root of ``"Intercept~~Intercept|school"``."""
    if term == "sigma":
        return "Residual~~Residual"
    kind, _, inside = term.removesuffix(")").partition("(")
    if kind == "icc":
        return f"ICC|{inside}"
    if kind != "sd":
        return None
    effect, _, group = inside.rpartition(" | ")
    name = "Intercept" if effect == INTERCEPT else effect
    return f"{name}~~{name}|{group}"
