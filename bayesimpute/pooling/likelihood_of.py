"""Which log-likelihood belongs to the fits of an analysis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.adapters import is_mixedlm
from bayesimpute.pooling.estimates import Estimates
from bayesimpute.pooling.likelihood import Likelihood
from bayesimpute.pooling.likelihood_mixed import LaplaceLikelihood, MixedLikelihood

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
        return _mixed(terms, results)
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


def _mixed(terms: tuple[str, ...], results: list[Any]) -> Likelihood:
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
    return StatsmodelsLikelihood(
        estimates[0].terms, np.ones(start.shape[1], dtype=bool), models, start
    )


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

    @property
    def outcomes(self) -> tuple[Array, ...]:
        """Outcome of each data set."""
        return tuple(np.asarray(model.endog, dtype=float) for model in self.models)

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
