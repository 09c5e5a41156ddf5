"""How uncertain the variance components of a mixed model are, and intervals of them when pooled.

SDs are taken on the log scale, correlations on Fisher's z = atanh(r), intraclass correlations on
the logit scale. There the likelihood is nearly quadratic and no interval leaves the parameter's
range; nlme has intervals of one fit so (Pinheiro & Bates 2000, §2.4). Standard errors come from the
observed information: second differences of the fit's deviance (the REML criterion where it was
fitted by that) in log SDs and z's, the coefficients profiled out. Rubin's rules combine the
estimates there, and what they give is transformed back.

An SD that a fit puts at 0 has no logarithm, and one that is smaller than its own standard error
(an error above 1 of its logarithm) no quadratic likelihood; so no interval of it is given, and the
others' are those given that it is what it is.
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
from bayesimpute.pooling.likelihood import MixedData, root
from bayesimpute.pooling.reported import is_mixedlm, level_names
from bayesimpute.pooling.rubin import RULES, Combined, Rule, single
from bayesimpute.sampling.variance_shares import LOGISTIC_VARIANCE

Mask = npt.NDArray[np.bool_]

#: SDs below this share of the residual SD, and correlations this near to ±1, are at the boundary.
BOUNDARY = 1e-3
#: Standard error of a logarithm above which an SD is no larger than its own error.
MOST_ERROR = 1.0
#: Steps of the second differences, in log SD and z; longer where the deviance is an iteration's.
STEP, LONG_STEP = 2e-3, 2e-2

#: From each scale back.
SCALES: Mapping[str, Callable[[float], float]] = MappingProxyType(
    {"log": np.exp, "fisher z": np.tanh, "logit": lambda x: 1 / (1 + np.exp(-x))}
)

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
    """

    names: tuple[str, ...]
    scales: tuple[str, ...]
    estimate: Array
    transformed: Array
    std_error: Array


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


def variance_parameters(result: Any) -> VarianceParameters | None:
    """SDs, correlations and ICCs of a fit of mixedlm with their standard errors.

    Parameters
    ----------
    result
        Of ``lmer`` or ``glmer``. None is returned for another fit, one without random effects, or
        with a structured covariance of them.

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
    if not is_mixedlm(result):
        return None
    structures = result.matrices.random_structures
    if not structures or any(each.cov_type != "us" for each in structures):
        return None
    estimated = result.VarCorr()
    levels = result.matrices.category_levels
    parts = [
        _part(str(group), level_names(block.term_names, levels), block.cov, structure.correlated)
        for (group, block), structure in zip(estimated.groups.items(), structures, strict=True)
    ]
    residual = getattr(estimated, "residual", None)
    sigma = None if residual is None else float(residual) ** 0.5
    names, scales, at, fixed = _parameters(parts, sigma)
    errors = _covariance(result, parts, at, fixed)
    latent = sigma is None and _is_logit(result)
    shares = [] if sigma is None and not latent else _shares(parts, names, at, latent)
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
    )


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


def _covariance(result: Any, parts: Sequence[_Part], at: Array, fixed: Mask) -> Array:
    """Inverse of the observed information, coefficients profiled out; NaN for what is fixed."""
    from statsmodels.tools.numdiff import approx_hess3

    free = np.flatnonzero(~fixed)
    generalized = getattr(result, "isGLMM", lambda: False)()
    deviance, step = (
        (_of_glmer(result, parts), LONG_STEP) if generalized else (_of_lmer(result, parts), STEP)
    )

    def moved(values: Array, coefficients: Array | None = None) -> float:
        point = at.copy()
        point[free] = values
        return deviance(point, coefficients) / 2

    base = moved(at[free])  # or the differences would be of two large numbers
    information = approx_hess3(at[free], lambda values: moved(values) - base, epsilon=step)
    if generalized and result.joint_fit:
        # coefficients in standard errors given the random part: their own information is 1
        crossed = np.array(
            [_crossed(moved, at[free], i, step, result.vcov()) for i in range(len(free))]
        )
        information -= crossed @ crossed.T
    found = np.full((len(at), len(at)), np.nan)
    values = np.linalg.eigvalsh(information)
    if np.isfinite(values).all() and values[0] > 0:
        found[np.ix_(free, free)] = np.linalg.inv(information)
    return found


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


def _of_lmer(result: Any, parts: Sequence[_Part]) -> Callable[[Array, Array | None], float]:
    """−2 log-likelihood, or REML criterion, with the coefficients profiled out."""
    data, reml = MixedData.of(result.matrices), bool(result.isREML())
    n, p = data.x.shape

    def deviance(at: Array, _: Array | None) -> float:
        sigma = np.exp(at[-1])
        top, determinant = data.reduced([factor / sigma for factor in _factors(parts, at)])
        if reml:
            determinant += 2 * float(np.sum(np.log(np.abs(np.diagonal(top)[:p]))))
        rows = n - p if reml else n
        return float(2 * rows * at[-1] + determinant + top[p, p] ** 2 / sigma**2)

    return deviance


def _of_glmer(result: Any, parts: Sequence[_Part]) -> Callable[[Array, Array | None], float]:
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
        What mixedlm returned, one a completed data set.
    ci_prob
        Coverage of the intervals.
    rule
        As `bayesimpute.pool` has it; complete-data df are infinite, as nlme takes them.

    Returns
    -------
    DataFrame
        Index ``term``; the columns `COLUMNS`. Empty unless all fits are of mixedlm.
    """
    from scipy import stats

    each = [variance_parameters(fit) for fit in fits]
    found = [one for one in each if one is not None]
    if len(found) < len(each) or len({one.names for one in found}) != 1:
        return pd.DataFrame(columns=list(COLUMNS), index=pd.Index([], name="term"))
    values = np.array([one.transformed for one in found])
    errors = np.array([one.std_error for one in found])
    combined: Combined = (single if len(found) == 1 else RULES[rule])(values, errors**2, np.inf)
    error = np.sqrt(combined.t)
    half = stats.t.ppf((1 + ci_prob) / 2, combined.df) * error
    boundary = np.isnan(errors).sum(axis=0)
    first = found[0]

    def back(numbers: Array) -> list[float]:
        return [float(SCALES[s](number)) for s, number in zip(first.scales, numbers, strict=True)]

    # the logarithm of 0 has no mean: there the mean of the numbers themselves
    plain = np.mean([one.estimate for one in found], axis=0)
    table = {
        "estimate": np.where(boundary > 0, plain, back(combined.estimate)),
        "conf_low": back(combined.estimate - half),
        "conf_high": back(combined.estimate + half),
        "scale": first.scales,
        "std_error": error,
        "df": np.where(boundary > 0, np.nan, combined.df),
        "fmi": np.where(boundary > 0, np.nan, combined.fmi),
        "at_boundary": boundary,
    }
    return pd.DataFrame(table, index=pd.Index(first.names, name="term"))
