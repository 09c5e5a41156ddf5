"""Which log-likelihood belongs to the fits of an analysis."""

from typing import Any

import numpy as np

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import Estimates
from bayesimpute.pooling.likelihood import Likelihood
from bayesimpute.pooling.likelihood_laplace import LaplaceLikelihood
from bayesimpute.pooling.likelihood_linear import LinearLikelihood
from bayesimpute.pooling.likelihood_mixed import MixedLikelihood
from bayesimpute.pooling.likelihood_statsmodels import StatsmodelsLikelihood

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
    if all(hasattr(first, name) for name in ("fixef", "vcov", "VarCorr")):
        return _mixed(terms, results)
    model = getattr(first, "model", None)
    home = type(model).__module__
    if home == "statsmodels.regression.linear_model" and type(model).__name__ == "OLS":
        return LinearLikelihood.of(terms, [result.model for result in results])
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
            and not np.any(each.model._offset_exposure)
            for each in results
        )  # fmt: skip
        if plain:
            return LinearLikelihood.of(estimates[0].terms, [each.model for each in results])
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
