"""Multilevel multiple imputation by chained equations; every conditional model is a PyMC model.

``import bayesimpute as bi`` loads nothing heavy: each public name loads its module at first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayesimpute import simulate
    from bayesimpute.analysis import fit
    from bayesimpute.checking.compare import ModelComparison
    from bayesimpute.checking.overimputation import Overimputation
    from bayesimpute.congeniality.check import congenial
    from bayesimpute.errors import (
        AnalysisError,
        BayesimputeError,
        DataError,
        FileFormatError,
        ImputationWarning,
        SamplingError,
        SpecificationError,
        WritingError,
    )
    from bayesimpute.explore.complete_cases import complete_cases, incomplete_cases
    from bayesimpute.explore.deduce import Deduction, deduce
    from bayesimpute.explore.flux import flux
    from bayesimpute.explore.hazard import nelsonaalen
    from bayesimpute.explore.icc import IntraclassCorrelation, icc
    from bayesimpute.explore.missing_model import MissingModel, missing_model
    from bayesimpute.explore.missingness_tests import missing_tests
    from bayesimpute.explore.pairs import MissingPairs, missing_pairs
    from bayesimpute.explore.pattern import missing_pattern
    from bayesimpute.explore.summary import missing_summary
    from bayesimpute.imputation import impute
    from bayesimpute.plots.correlation import plot_corr
    from bayesimpute.plots.estimates import plot_estimates
    from bayesimpute.plots.estimates_table import compare_estimates
    from bayesimpute.plots.flux import plot_flux
    from bayesimpute.plots.fmi import plot_fmi
    from bayesimpute.plots.missing_by import plot_missing_by
    from bayesimpute.plots.missing_map import plot_miss
    from bayesimpute.plots.pattern import plot_pattern
    from bayesimpute.plots.predictors import plot_predictors
    from bayesimpute.plots.prior import plot_prior_predictive
    from bayesimpute.plots.xy_missing import plot_xy
    from bayesimpute.pooling.adapters_predictions import pool_predictions
    from bayesimpute.pooling.anova import pool_anova
    from bayesimpute.pooling.constraints import constraint_estimates, test_constraints
    from bayesimpute.pooling.correlation import pool_correlation, pool_covariance
    from bayesimpute.pooling.model_tests import D1, D2, D3, D4
    from bayesimpute.pooling.pooled import Pooled, pool
    from bayesimpute.pooling.pooled_test import PooledTest
    from bayesimpute.pooling.r_squared import pool_r_squared
    from bayesimpute.pooling.statistics_tests import pool_chi2, pool_F
    from bayesimpute.posterior.compare_joint import compare_joint
    from bayesimpute.posterior.fitting import PosteriorFits, fit_posterior
    from bayesimpute.posterior.pooled import PooledPosterior, pool_posteriors
    from bayesimpute.posterior.recommend import recommend_m
    from bayesimpute.prior.parameters import priors
    from bayesimpute.prior.predictive import prior_predictive
    from bayesimpute.result.imputations import Imputations
    from bayesimpute.result.opening import open_file as open
    from bayesimpute.roles import Role
    from bayesimpute.sensitivity_grid import sensitivity
    from bayesimpute.simulate.ampute import ampute
    from bayesimpute.specification.defaults import make_method, make_predictors
    from bayesimpute.specification.post import squeeze
    from bayesimpute.specification.quickpred import quickpred
    from bayesimpute.specification.suggest import Suggestions, suggest_methods
    from bayesimpute.wrappers.by_group import by_group
    from bayesimpute.wrappers.delta import delta
    from bayesimpute.wrappers.fixed_clusters import fixed_clusters
    from bayesimpute.wrappers.only_where import only_where

    __version__: str

__all__ = [
    "D1",
    "D2",
    "D3",
    "D4",
    "AnalysisError",
    "BayesimputeError",
    "DataError",
    "Deduction",
    "FileFormatError",
    "ImputationWarning",
    "Imputations",
    "IntraclassCorrelation",
    "MissingModel",
    "MissingPairs",
    "ModelComparison",
    "Overimputation",
    "Pooled",
    "PooledPosterior",
    "PooledTest",
    "PosteriorFits",
    "Role",
    "SamplingError",
    "SpecificationError",
    "Suggestions",
    "WritingError",
    "__version__",
    "ampute",
    "by_group",
    "compare_estimates",
    "compare_joint",
    "complete_cases",
    "congenial",
    "constraint_estimates",
    "deduce",
    "delta",
    "fit",
    "fit_posterior",
    "fixed_clusters",
    "flux",
    "icc",
    "impute",
    "incomplete_cases",
    "make_method",
    "make_predictors",
    "missing_model",
    "missing_pairs",
    "missing_pattern",
    "missing_summary",
    "missing_tests",
    "nelsonaalen",
    "only_where",
    "open",
    "plot_corr",
    "plot_estimates",
    "plot_flux",
    "plot_fmi",
    "plot_miss",
    "plot_missing_by",
    "plot_pattern",
    "plot_predictors",
    "plot_prior_predictive",
    "plot_xy",
    "pool",
    "pool_F",
    "pool_anova",
    "pool_chi2",
    "pool_correlation",
    "pool_covariance",
    "pool_posteriors",
    "pool_predictions",
    "pool_r_squared",
    "prior_predictive",
    "priors",
    "quickpred",
    "recommend_m",
    "sensitivity",
    "simulate",
    "squeeze",
    "suggest_methods",
    "test_constraints",
]

_HOME = {
    "AnalysisError": "bayesimpute.errors:AnalysisError",
    "BayesimputeError": "bayesimpute.errors:BayesimputeError",
    "DataError": "bayesimpute.errors:DataError",
    "FileFormatError": "bayesimpute.errors:FileFormatError",
    "ImputationWarning": "bayesimpute.errors:ImputationWarning",
    "SamplingError": "bayesimpute.errors:SamplingError",
    "SpecificationError": "bayesimpute.errors:SpecificationError",
    "WritingError": "bayesimpute.errors:WritingError",
    "Role": "bayesimpute.roles:Role",
    "missing_pattern": "bayesimpute.explore.pattern:missing_pattern",
    "missing_pairs": "bayesimpute.explore.pairs:missing_pairs",
    "MissingPairs": "bayesimpute.explore.pairs:MissingPairs",
    "flux": "bayesimpute.explore.flux:flux",
    "complete_cases": "bayesimpute.explore.complete_cases:complete_cases",
    "incomplete_cases": "bayesimpute.explore.complete_cases:incomplete_cases",
    "missing_summary": "bayesimpute.explore.summary:missing_summary",
    "icc": "bayesimpute.explore.icc:icc",
    "IntraclassCorrelation": "bayesimpute.explore.icc:IntraclassCorrelation",
    "missing_tests": "bayesimpute.explore.missingness_tests:missing_tests",
    "missing_model": "bayesimpute.explore.missing_model:missing_model",
    "MissingModel": "bayesimpute.explore.missing_model:MissingModel",
    "nelsonaalen": "bayesimpute.explore.hazard:nelsonaalen",
    "deduce": "bayesimpute.explore.deduce:deduce",
    "Deduction": "bayesimpute.explore.deduce:Deduction",
    "make_method": "bayesimpute.specification.defaults:make_method",
    "make_predictors": "bayesimpute.specification.defaults:make_predictors",
    "quickpred": "bayesimpute.specification.quickpred:quickpred",
    "Suggestions": "bayesimpute.specification.suggest:Suggestions",
    "suggest_methods": "bayesimpute.specification.suggest:suggest_methods",
    "squeeze": "bayesimpute.specification.post:squeeze",
    "by_group": "bayesimpute.wrappers.by_group:by_group",
    "delta": "bayesimpute.wrappers.delta:delta",
    "fixed_clusters": "bayesimpute.wrappers.fixed_clusters:fixed_clusters",
    "only_where": "bayesimpute.wrappers.only_where:only_where",
    "impute": "bayesimpute.imputation:impute",
    "Imputations": "bayesimpute.result.imputations:Imputations",
    "open": "bayesimpute.result.opening:open_file",
    "ModelComparison": "bayesimpute.checking.compare:ModelComparison",
    "Overimputation": "bayesimpute.checking.overimputation:Overimputation",
    "congenial": "bayesimpute.congeniality.check:congenial",
    "fit": "bayesimpute.analysis:fit",
    "Pooled": "bayesimpute.pooling.pooled:Pooled",
    "pool": "bayesimpute.pooling.pooled:pool",
    "PooledTest": "bayesimpute.pooling.pooled_test:PooledTest",
    "D1": "bayesimpute.pooling.model_tests:D1",
    "D2": "bayesimpute.pooling.model_tests:D2",
    "D3": "bayesimpute.pooling.model_tests:D3",
    "D4": "bayesimpute.pooling.model_tests:D4",
    "test_constraints": "bayesimpute.pooling.constraints:test_constraints",
    "constraint_estimates": "bayesimpute.pooling.constraints:constraint_estimates",
    "pool_F": "bayesimpute.pooling.statistics_tests:pool_F",
    "pool_anova": "bayesimpute.pooling.anova:pool_anova",
    "pool_chi2": "bayesimpute.pooling.statistics_tests:pool_chi2",
    "pool_correlation": "bayesimpute.pooling.correlation:pool_correlation",
    "pool_covariance": "bayesimpute.pooling.correlation:pool_covariance",
    "pool_r_squared": "bayesimpute.pooling.r_squared:pool_r_squared",
    "pool_predictions": "bayesimpute.pooling.adapters_predictions:pool_predictions",
    "compare_joint": "bayesimpute.posterior.compare_joint:compare_joint",
    "PosteriorFits": "bayesimpute.posterior.fitting:PosteriorFits",
    "fit_posterior": "bayesimpute.posterior.fitting:fit_posterior",
    "PooledPosterior": "bayesimpute.posterior.pooled:PooledPosterior",
    "pool_posteriors": "bayesimpute.posterior.pooled:pool_posteriors",
    "recommend_m": "bayesimpute.posterior.recommend:recommend_m",
    "plot_fmi": "bayesimpute.plots.fmi:plot_fmi",
    "priors": "bayesimpute.prior.parameters:priors",
    "prior_predictive": "bayesimpute.prior.predictive:prior_predictive",
    "plot_estimates": "bayesimpute.plots.estimates:plot_estimates",
    "compare_estimates": "bayesimpute.plots.estimates_table:compare_estimates",
    "plot_corr": "bayesimpute.plots.correlation:plot_corr",
    "plot_flux": "bayesimpute.plots.flux:plot_flux",
    "plot_miss": "bayesimpute.plots.missing_map:plot_miss",
    "plot_missing_by": "bayesimpute.plots.missing_by:plot_missing_by",
    "plot_pattern": "bayesimpute.plots.pattern:plot_pattern",
    "plot_predictors": "bayesimpute.plots.predictors:plot_predictors",
    "plot_prior_predictive": "bayesimpute.plots.prior:plot_prior_predictive",
    "plot_xy": "bayesimpute.plots.xy_missing:plot_xy",
    "sensitivity": "bayesimpute.sensitivity_grid:sensitivity",
    "simulate": "bayesimpute.simulate",
    "ampute": "bayesimpute.simulate.ampute:ampute",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        value: object = import_module("importlib.metadata").version("bayesimpute")
    elif name in _HOME:
        module, _, attribute = _HOME[name].partition(":")
        value = import_module(module)
        if attribute:
            value = getattr(value, attribute)
    else:
        raise AttributeError(f"module 'bayesimpute' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
