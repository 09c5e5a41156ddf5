"""Multilevel multiple imputation by chained equations; every conditional model is a PyMC model.

``import bayesimpute as bi`` loads nothing heavy: each public name loads its module at first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayesimpute import simulate
    from bayesimpute.analysis import fit
    from bayesimpute.errors import (
        AnalysisError,
        BayesimputeError,
        DataError,
        FileFormatError,
        ImputationWarning,
        SamplingError,
        SpecificationError,
    )
    from bayesimpute.imputation import impute
    from bayesimpute.plots.estimates import plot_estimates
    from bayesimpute.plots.estimates_table import compare_estimates
    from bayesimpute.plots.prior import plot_prior_predictive
    from bayesimpute.pooling.pooled import Pooled, pool
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
    # errors
    "AnalysisError",
    "BayesimputeError",
    "DataError",
    "FileFormatError",
    "ImputationWarning",
    # impute
    "Imputations",
    # analyse
    "Pooled",
    # specify
    "Role",
    "SamplingError",
    "SpecificationError",
    "Suggestions",
    "__version__",
    "ampute",
    # wrap a method
    "by_group",
    "compare_estimates",
    "delta",
    "fit",
    "fixed_clusters",
    "impute",
    "make_method",
    "make_predictors",
    "only_where",
    "open",
    "plot_estimates",
    "plot_prior_predictive",
    "pool",
    "prior_predictive",
    "priors",
    "quickpred",
    "sensitivity",
    "simulate",
    "squeeze",
    "suggest_methods",
]

_HOME = {
    "AnalysisError": "bayesimpute.errors:AnalysisError",
    "BayesimputeError": "bayesimpute.errors:BayesimputeError",
    "DataError": "bayesimpute.errors:DataError",
    "FileFormatError": "bayesimpute.errors:FileFormatError",
    "ImputationWarning": "bayesimpute.errors:ImputationWarning",
    "SamplingError": "bayesimpute.errors:SamplingError",
    "SpecificationError": "bayesimpute.errors:SpecificationError",
    "Role": "bayesimpute.roles:Role",
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
    "fit": "bayesimpute.analysis:fit",
    "Pooled": "bayesimpute.pooling.pooled:Pooled",
    "pool": "bayesimpute.pooling.pooled:pool",
    "priors": "bayesimpute.prior.parameters:priors",
    "prior_predictive": "bayesimpute.prior.predictive:prior_predictive",
    "plot_estimates": "bayesimpute.plots.estimates:plot_estimates",
    "compare_estimates": "bayesimpute.plots.estimates_table:compare_estimates",
    "plot_prior_predictive": "bayesimpute.plots.prior:plot_prior_predictive",
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
