"""Multilevel multiple imputation by chained equations; every conditional model is a PyMC model.

``import bayesimpute as bi`` loads nothing heavy: each public name, listed in ``__init__.pyi``,
loads its module at first use. What is used in nearly every analysis stands here; the rest is in
``bi.before``, ``bi.pooling`` and ``bi.simulate``, whose names are found here as well.
"""

import lazy_loader

from bayesimpute.interrupts import whole

_load, _, _known = lazy_loader.attach_stub(__name__, __file__)

#: What ``from bayesimpute import *`` brings and ``dir(bi)`` shows.
__all__ = [
    "BayesimputeError", "ImputationWarning", "Imputations", "Role", "__version__", "before",
    "by_group", "compare_estimates", "congenial", "delta", "fit", "fit_posterior",
    "fixed_clusters", "from_completed", "impute", "make_method", "make_predictors", "only_where",
    "plot_estimates", "pool", "pool_posteriors", "pooling", "prior_predictive", "priors",
    "quickpred", "recommend_m", "sensitivity", "simulate", "squeeze", "suggest_methods",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return globals().setdefault(name, version("bayesimpute"))
    if name not in _known:
        raise AttributeError(f"module 'bayesimpute' has no attribute {name!r}")
    with whole():  # a module that Ctrl-C has left half imported fails ever after
        return _load(name)


def __dir__() -> list[str]:
    return sorted([*__all__, "open"])
