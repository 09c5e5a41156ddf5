"""Log-likelihoods of models that were fitted to m data sets, for likelihood-based tests.

Of linear models with random effects or without, of generalized ones, and of models of statsmodels
whose parameters are all coefficients; `likelihood_of` says which belongs to fits of an analysis.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import INTERCEPTS, Estimates
from bayesimpute.pooling.reported import is_mixedlm

#: Tight, because D3 and D4 are differences of log-likelihoods.
OPTIONS = {"gtol": 1e-9, "ftol": 1e-15, "maxiter": 500}


@dataclass(frozen=True, eq=False)
class Likelihood(ABC):
    """One model on m data sets as a function of its parameters, the coefficients last.

    Log-likelihoods come one a data set, as (m,).

    Attributes
    ----------
    names
        Of the p coefficients.
    outcomes
        Of each data set.
    restricted
        Whether the intercept is the only coefficient that is estimated; the others stay at 0.
    """

    names: tuple[str, ...]
    outcomes: tuple[Array, ...]
    restricted: bool = field(default=False, kw_only=True)

    @property
    def free(self) -> NDArray[np.bool_]:
        """Which coefficients are estimated, (p,)."""
        return self._intercept if self.restricted else np.ones(len(self.names), dtype=bool)

    @abstractmethod
    def value(self, k: int, at: Array) -> float:
        """Log-likelihood of data set k."""

    @abstractmethod
    def start(self, k: int) -> Array:
        """Parameters near the maximum of data set k."""

    @abstractmethod
    def climb(self, sets: Sequence[int], start: Array, free: NDArray[np.bool_]) -> Array:
        """Maximum of the sum over data sets, coefficients that are not free as they are."""

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the coefficients that are estimated."""
        return tuple(name for name, free in zip(self.names, self.free, strict=True) if free)

    @property
    def n_parameters(self) -> int:
        """Count all parameters."""
        return len(self.start(0)) - int((~self.free).sum())

    @property
    def average(self) -> Array:
        """Averages of the estimates."""
        return np.asarray(np.mean(self.own, axis=0))

    @cached_property
    def own(self) -> list[Array]:
        """Maximum-likelihood estimates of each data set."""
        return [self.climb([k], self.start(k), self.free) for k in self._sets]

    def maxima(self) -> Array:
        """Evaluate at the estimates of each data set."""
        return self._values(self.own)

    def at_averages(self) -> Array:
        """Evaluate at the averages of the estimates."""
        return self._values([self.average] * len(self._sets))

    def at_average_slopes(self) -> Array:
        """Evaluate with average slopes, all else maximised again."""
        average, free = np.mean(self.own, axis=0), self._intercept & self.free
        return self._values([self.climb([k], average, free) for k in self._sets])

    def at_common_maximum(self) -> Array:
        """Evaluate at the maximum of the stacked data sets."""
        common = self.climb(self._sets, np.mean(self.own, axis=0), self.free)
        return self._values([common] * len(self._sets))

    def intercept_only(self) -> "Likelihood":
        """Leave the intercept as the only coefficient."""
        return replace(self, restricted=True)

    @property
    def _sets(self) -> range:
        return range(len(self.outcomes))

    @property
    def _intercept(self) -> NDArray[np.bool_]:
        return np.array([name in INTERCEPTS for name in self.names])

    def _values(self, parameters: Sequence[Array]) -> Array:
        return np.array([self.value(k, at) for k, at in enumerate(parameters)])


def maximum(negative: Callable[[Array], float], start: Array) -> Array:
    """Where a smooth function is smallest, from a start that is near.

    Parameters
    ----------
    negative
        Minus the log-likelihood, parameters scaled so that steps of 0.1 matter.
    start
        (p,); may be empty.
    """
    from scipy.optimize import minimize

    if not start.size:
        return start
    # Counted from the start, or the stopping rule would be relative to the log-likelihood's size.
    base = negative(start)
    # Central differences: with forward ones the gradient's error moves the optimum by 1e-8.
    found = minimize(
        lambda at: negative(at) - base, start, jac="3-point", method="L-BFGS-B", options=OPTIONS
    )
    return np.asarray(found.x, dtype=float)


def root(covariance: Array) -> Array:
    """L with L L' = Σ, also where Σ is singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


@dataclass(frozen=True)
class RandomPart:
    """A random part of so many levels, where mixedlm has not described one."""

    n_levels: int


@dataclass(frozen=True, eq=False)
class MixedData:
    """Rows of one data set, scaled by the roots of their weights.

    Attributes
    ----------
    x, y
        (n, p), (n,).
    z
        Sparse (n, effects): parts side by side, in each the terms of a level beside each other;
        None without random parts.
    log_weights
        Sum of the logarithms of the weights.
    structures
        The random parts, as mixedlm describes them.
    """

    x: Array
    y: Array
    z: Any = None
    log_weights: float = 0.0
    structures: tuple[Any, ...] = ()

    @classmethod
    def of(cls, matrices: Any) -> "MixedData":
        """Build it from the matrices of a fit of mixedlm."""
        from scipy import sparse

        weights = np.asarray(matrices.weights, dtype=float)
        scale = np.sqrt(weights)
        y = np.asarray(matrices.y, dtype=float) - np.asarray(matrices.offset, dtype=float)
        return cls(
            np.asarray(matrices.X, dtype=float) * scale[:, None],
            y * scale,
            sparse.csc_matrix(sparse.diags(scale) @ matrices.Z),
            float(np.sum(np.log(weights))),
            tuple(matrices.random_structures),
        )

    def reduced(self, blocks: Sequence[Array]) -> tuple[Array, float]:
        """R with R'R = [X y]' V⁻¹ [X y] for V = I + ZΛΛ'Z', and log |V| less the log weights.

        With [X y] = QT, V⁻¹ = I − ZΛ (Λ'Z'ZΛ + I)⁻¹ Λ'Z' and |V| = |Λ'Z'ZΛ + I|: a system as large
        as the number of effects in place of one as large as the number of rows; with one random
        part, one system for each level. `blocks` are the factors of which Λ consists, one (terms,
        terms) a random part.
        """
        basis, top = self.rotated
        if not self.structures:
            return top, -self.log_weights
        one = len(blocks) == 1
        explained, determinant = self._by_level(blocks[0]) if one else self._at_once(blocks)
        lower = np.linalg.cholesky(np.eye(basis.shape[1]) - explained)
        return lower.T @ top, determinant - self.log_weights

    @cached_property
    def rotated(self) -> tuple[Array, Array]:
        """Orthonormal Q and triangular T with [X y] = QT."""
        basis, top = np.linalg.qr(np.column_stack([self.x, self.y]))
        return basis, top

    @cached_property
    def crossed(self) -> Array:
        """Z'Q."""
        return np.asarray(self.z.T @ self.rotated[0])

    @cached_property
    def squared(self) -> Any:
        """Z'Z."""
        return (self.z.T @ self.z).tocsc()

    @cached_property
    def level_squares(self) -> Array:
        """Blocks of Z'Z of the levels of the only random part, (level, term, term)."""
        levels = self.structures[0].n_levels
        squares, terms = self.squared.tocoo(), self.z.shape[1] // levels
        found = np.zeros((levels, terms, terms))
        found[squares.row // terms, squares.row % terms, squares.col % terms] = squares.data
        return found

    def _by_level(self, block: Array) -> tuple[Array, float]:
        inner = block.T @ self.level_squares @ block + np.eye(len(block))
        lower = np.linalg.cholesky(inner)
        crossed = block.T @ self.crossed.reshape(len(inner), len(block), -1)
        half = np.linalg.solve(lower, crossed).reshape(-1, crossed.shape[-1])
        determinant = 2 * np.sum(np.log(np.diagonal(lower, axis1=1, axis2=2)))
        return half.T @ half, float(determinant)

    def _at_once(self, blocks: Sequence[Array]) -> tuple[Array, float]:
        from scipy import sparse
        from scipy.sparse.linalg import splu

        parts = zip(self.structures, blocks, strict=True)
        each = [sparse.kron(sparse.eye(part.n_levels), block) for part, block in parts]
        factors = sparse.block_diag(each).tocsc()
        inner = (factors.T @ self.squared @ factors + sparse.eye(factors.shape[1])).tocsc()
        # Positive definite: no pivoting, and an ordering for symmetric matrices.
        options = {"SymmetricMode": True}
        factor = splu(inner, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
        crossed = np.asarray(factors.T @ self.crossed)
        determinant = float(np.sum(np.log(np.abs(factor.U.diagonal()))))
        return crossed.T @ factor.solve(crossed), determinant


@dataclass(frozen=True, eq=False)
class MixedLikelihood(Likelihood):
    """y ~ N(Xβ, ZΣZ' + σ²W⁻¹) by maximum likelihood, as a function of θ (Σ = σ² L L'), σ², β.

    Without random parts it is the linear model, whose maxima are in closed form.

    Attributes
    ----------
    data
        One a data set.
    theta
        Entries of L to start from, (k,) each.
    """

    data: tuple[MixedData, ...]
    theta: tuple[Array, ...]

    @classmethod
    def of(cls, terms: tuple[str, ...], results: Sequence[Any]) -> "MixedLikelihood":
        """Build it from fits of ``mixedlm.lmer``."""
        data = tuple(MixedData.of(result.matrices) for result in results)
        theta = tuple(np.asarray(result.theta, dtype=float) for result in results)
        return cls(terms, tuple(each.y for each in data), data, theta)

    @classmethod
    def linear(cls, terms: tuple[str, ...], models: Sequence[Any]) -> "MixedLikelihood":
        """Build it from linear models of statsmodels with ``exog`` and ``endog``."""
        data = tuple(
            MixedData(np.asarray(each.exog, dtype=float), np.asarray(each.endog, dtype=float))
            for each in models
        )
        return cls(terms, tuple(each.y for each in data), data, (np.empty(0),) * len(data))

    @property
    def average(self) -> Array:
        """Averages of the estimates; of the random part that of its covariances."""
        own = np.array(self.own)
        variance = own[:, self._k]
        return average_theta(own, self._k, variance / variance.mean(), self.data[0].structures)

    def value(self, k: int, at: Array) -> float:
        """Log-likelihood of data set k."""
        variance, slopes = at[self._k], at[self._k + 1 :]
        top, determinant = self.data[k].reduced(self._blocks(at[: self._k]))
        squares = float(np.sum((top @ np.append(-slopes, 1.0)) ** 2))
        rows = len(self.data[k].y) * np.log(2 * np.pi * variance)
        return float(-0.5 * (rows + determinant + squares / variance))

    def start(self, k: int) -> Array:
        """Fitted θ of data set k; σ² and β follow from it."""
        return np.concatenate([self.theta[k], [1.0], np.zeros(len(self.names))])

    def climb(self, sets: Sequence[int], start: Array, free: NDArray[np.bool_]) -> Array:
        """Maximum of the sum over data sets, over θ with the free β and σ² profiled out."""
        slopes = np.where(free, 0.0, start[self._k + 1 :])
        rows = sum(len(self.data[k].y) for k in sets)

        def solved(theta: Array) -> tuple[Array, float, float]:
            reduced = [self.data[k].reduced(self._blocks(theta)) for k in sets]
            top = np.concatenate([each for each, _ in reduced])
            columns, rest = top[:, :-1][:, free], top @ np.append(-slopes, 1.0)
            scale = np.maximum(np.linalg.norm(columns, axis=0), np.finfo(float).tiny)
            found = np.linalg.lstsq(columns / scale, rest, rcond=None)[0] / scale
            squares = float(np.sum((rest - columns @ found) ** 2))
            return found, squares, sum(determinant for _, determinant in reduced)

        def negative(theta: Array) -> float:
            _, squares, determinant = solved(theta)
            return 0.5 * (rows * np.log(squares) + determinant)

        # At an SD of exactly 0 the gradient is 0 for symmetry's sake: start beside it.
        first = start[: self._k]
        best = maximum(negative, np.where(np.abs(first) < 0.05, first + 0.05, first))
        slopes[free], squares, _ = solved(best)
        return np.concatenate([best, [squares / rows], slopes])

    @property
    def _k(self) -> int:
        return len(self.theta[0])

    def _blocks(self, theta: Array) -> list[Array]:
        return factors_of(theta, self.data[0].structures)


@dataclass(frozen=True, eq=False)
class LaplaceLikelihood(Likelihood):
    """A fit of ``mixedlm.glmer`` as a function of all its parameters: θ (factors of Σ), then β.

    Attributes
    ----------
    results
        What mixedlm returned, one a data set.
    """

    results: tuple[Any, ...]

    @classmethod
    def of(cls, terms: tuple[str, ...], results: Sequence[Any]) -> "LaplaceLikelihood":
        """Build it, unless the approximation leaves the coefficients to the inner iteration."""
        if not all(result.joint_fit for result in results):
            raise AnalysisError(
                "These fits of glmer are of its fast kind, whose likelihood is no function of the "
                "coefficients; fit with the default control, or compare the models by D1."
            )
        outcomes = tuple(np.asarray(result.matrices.y, dtype=float) for result in results)
        return cls(terms, outcomes, tuple(results))

    @property
    def average(self) -> Array:
        """Averages of the estimates; of the random part that of its covariances."""
        own, first = np.array(self.own), self.results[0]
        structures = first.matrices.random_structures
        return average_theta(own, len(first.theta), np.ones(len(own)), structures)

    def value(self, k: int, at: Array) -> float:
        """Log-likelihood of data set k."""
        return self._functions[k](at)

    def start(self, k: int) -> Array:
        """Fitted parameters of data set k."""
        result = self.results[k]
        return np.append(result.theta, np.where(self.free, result.beta, 0.0))

    @cached_property
    def _functions(self) -> list[Callable[[Array], float]]:
        return [_log_likelihood(result) for result in self.results]

    def climb(self, sets: Sequence[int], start: Array, free: NDArray[np.bool_]) -> Array:
        """Maximum of the sum over θ and the free coefficients, in units of standard errors."""
        n_theta = len(start) - len(free)
        columns = np.concatenate([np.arange(n_theta), n_theta + np.flatnonzero(free)])
        within = np.mean([np.asarray(result.vcov()) for result in self.results], axis=0)
        precision = np.linalg.inv(within)[np.ix_(free, free)]
        scale = np.eye(len(columns))
        scale[:n_theta, :n_theta] *= 0.1
        if free.any():
            scale[n_theta:, n_theta:] = np.linalg.cholesky(np.linalg.inv(precision))
        first = np.array(start, dtype=float)
        # At an SD of exactly 0 the gradient is 0 for symmetry's sake: start beside it.
        first[:n_theta] = np.where(np.abs(first[:n_theta]) < 0.01, 0.01, first[:n_theta])

        def at(steps: Array) -> Array:
            moved = first.copy()
            moved[columns] += scale @ steps
            return moved

        found = maximum(
            lambda steps: -sum(self.value(k, at(steps)) for k in sets),
            np.zeros(len(columns)),
        )
        return at(found)


def factors_of(theta: Array, structures: Sequence[Any]) -> list[Array]:
    """Factors L of the covariances of the random parts, from their entries."""
    if not structures:
        return []
    from mixedlm import getL

    return [np.asarray(each) for each in getL(theta, list(structures), as_blocks=True)]


def average_theta(own: Array, k: int, scales: Array, structures: Sequence[Any]) -> Array:
    """Averages of estimates, of θ (the first k) that of the covariances scale · LL'.

    The factor is no estimate that one averages.

    Parameters
    ----------
    own
        Estimates of each data set, (m, parameter).
    k
        Number of entries of θ, which stand first.
    scales
        One a data set, (m,).
    structures
        The random parts, as mixedlm describes them.
    """
    average: Array = own.mean(axis=0)
    factors = [factors_of(theta, structures) for theta in own[:, :k]]
    found: list[float] = []
    for structure, parts in zip(structures, zip(*factors, strict=True), strict=True):
        squares = [scale * part @ part.T for scale, part in zip(scales, parts, strict=True)]
        # Positive semidefinite, so that a variance of 0 is allowed.
        lower = np.linalg.qr(root(np.mean(squares, axis=0)).T, mode="r").T
        lower = lower * np.where(np.diagonal(lower) < 0, -1.0, 1.0)
        at = np.tril_indices(len(lower)) if structure.correlated else np.diag_indices(len(lower))
        found += list(lower[at])
    average[:k] = found
    return average


def _log_likelihood(result: Any) -> Callable[[Array], float]:
    """Build log L as a function of (θ, β); the sign of θ does not matter."""
    deviance = result.as_function("deviance")
    fitted = float(result.logLik())
    reference = float(deviance(np.append(result.theta, result.beta)))
    return lambda at: fitted - 0.5 * (float(deviance(at)) - reference)


#: Families whose log-likelihood has no parameter but the coefficients.
_PLAIN_FAMILIES = ("Binomial", "Poisson", "NegativeBinomial")


def likelihood_of(estimates: tuple[Estimates, ...]) -> Likelihood:
    """Log-likelihoods of OLS, GLM, logit and other discrete models, lmer and glmer fits.

    Raises
    ------
    AnalysisError
        Fits of other models: these cannot be evaluated at parameters that are not their own.
    """
    terms = estimates[0].terms
    for number, each in enumerate(estimates, start=1):
        if each.terms != terms:
            raise AnalysisError(
                f"The terms of imputations 1 and {number} differ or are in another order: {terms} "
                f"and {each.terms}; likelihoods need the same columns everywhere."
            )
    results = [each.model for each in estimates]
    first = results[0]
    if is_mixedlm(first):
        return _of_mixed(terms, results)
    model = getattr(first, "model", None)
    home = type(model).__module__
    if home == "statsmodels.regression.linear_model" and type(model).__name__ == "OLS":
        return MixedLikelihood.linear(terms, [result.model for result in results])
    if home == "statsmodels.genmod.generalized_linear_model":
        return _generalized(estimates, results)
    if home in ("statsmodels.discrete.discrete_model", "statsmodels.miscmodels.ordinal_model"):
        return _newton(estimates, results)
    raise _unknown(type(model if model is not None else first).__name__)


def _unknown(kind: str) -> AnalysisError:
    return AnalysisError(
        f"{kind} does not give its log-likelihood at parameters other than its estimates, which "
        "D3 and D4 need. Use D1, or D2, which needs the test of each data set alone. D3 and D4 "
        "know fits by formula, and OLS, GLM (binomial, Poisson), discrete and ordinal models of "
        "statsmodels."
    )


def _of_mixed(terms: tuple[str, ...], results: list[Any]) -> Likelihood:
    structures = results[0].matrices.random_structures
    if any(structure.cov_type != "us" for structure in structures):
        raise _unknown("lmer with a structured covariance of random effects")
    if getattr(results[0], "isGLMM", lambda: False)():
        family = type(results[0].family).__name__
        if family not in ("Binomial", "Poisson"):
            raise _unknown(f"glmer of the family {family}")
        return LaplaceLikelihood.of(terms, results)
    return MixedLikelihood.of(terms, results)


def _generalized(estimates: tuple[Estimates, ...], results: list[Any]) -> Likelihood:
    model = results[0].model
    family = type(model.family).__name__
    if family == "Gaussian" and type(model.family.link).__name__ == "Identity":
        plain = all(
            np.all(each.model.freq_weights == 1) and np.all(each.model.var_weights == 1)
            and np.allclose(each.fittedvalues, each.model.exog @ each.params)  # no offset
            for each in results
        )  # fmt: skip
        if plain:
            return MixedLikelihood.linear(estimates[0].terms, [each.model for each in results])
    elif family in _PLAIN_FAMILIES:
        return _newton(estimates, results)
    raise _unknown(f"GLM of the family {family}, with this link or these weights,")


def _newton(estimates: tuple[Estimates, ...], results: list[Any]) -> Likelihood:
    models = tuple(result.model for result in results)
    start = np.array([each.estimate for each in estimates])
    for number, (model, each) in enumerate(zip(models, estimates, strict=True), start=1):
        found, said = float(model.loglike(each.estimate)), each.log_likelihood
        if said is None or not np.isclose(found, said, rtol=1e-8):
            raise AnalysisError(
                f"{type(model).__name__} of imputation {number} says its log-likelihood is {said}, "
                f"but at its estimates it is {found:.6g} (a penalty?). Use D1 or D2."
            )
    outcomes = tuple(np.asarray(model.endog, dtype=float) for model in models)
    return StatsmodelsLikelihood(estimates[0].terms, outcomes, models, start)


@dataclass(frozen=True, eq=False)
class StatsmodelsLikelihood(Likelihood):
    """A model whose parameters are all coefficients, maximised by Newton's method.

    Attributes
    ----------
    models
        One a data set, with ``loglike``, ``score`` and ``hessian``.
    estimates
        (m, p), to start from.
    """

    models: tuple[Any, ...]
    estimates: Array

    def value(self, k: int, at: Array) -> float:
        """Log-likelihood of data set k."""
        return float(self.models[k].loglike(at))

    def start(self, k: int) -> Array:
        """Fitted coefficients of data set k."""
        return np.where(self.free, self.estimates[k], 0.0)

    def climb(self, sets: Sequence[int], start: Array, free: NDArray[np.bool_]) -> Array:
        """Maximum of the sum of log-likelihoods over the free parameters, by Newton's method."""
        at, models = np.array(start, dtype=float), [self.models[k] for k in sets]
        if not free.any():
            return at
        value = sum(float(model.loglike(at)) for model in models)
        for _ in range(200):
            score = np.sum([np.asarray(model.score(at)) for model in models], axis=0)[free]
            hessian = np.sum([np.asarray(model.hessian(at)) for model in models], axis=0)
            step = np.linalg.solve(-hessian[np.ix_(free, free)], score)
            gain = float(step @ score)
            if gain < 0:  # not concave here: uphill, at least
                step, gain = score / np.linalg.norm(score), float(np.linalg.norm(score))
            if gain < 1e-12 * (1 + abs(value)):
                at[free] += step  # convergence is quadratic: the last step is worth ten digits
                return at
            for halving in range(40):
                tried = at.copy()
                tried[free] += step / 2**halving
                found = sum(float(model.loglike(tried)) for model in models)
                if found >= value:
                    break
            else:
                return at
            at, value = tried, found
        raise AnalysisError(
            "The likelihood has no maximum that is found in 200 steps (separated categories?); "
            "compare the models by D1 or D2."
        )
