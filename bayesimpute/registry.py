"""The one file that names the concrete methods; they load when they are asked for."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from bayesimpute.errors import SpecificationError
from bayesimpute.wording import did_you_mean, listed

METHODS: Mapping[str, str] = MappingProxyType(
    {
        "normal": "bayesimpute.models.normal:Normal",
        "logistic": "bayesimpute.models.logistic:Logistic",
        "ordinal": "bayesimpute.models.ordinal:Ordinal",
        "categorical": "bayesimpute.models.categorical:Categorical",
        "poisson": "bayesimpute.models.counts:Poisson",
        "negative_binomial": "bayesimpute.models.counts:NegativeBinomial",
        "gamma": "bayesimpute.models.gamma:Gamma",
        "beta": "bayesimpute.models.beta:Beta",
        "weibull": "bayesimpute.models.weibull:Weibull",
        "piecewise": "bayesimpute.models.piecewise:Piecewise",
        "normal.robust": "bayesimpute.models.robust:Robust",
        "normal.truncated": "bayesimpute.models.bounded:Truncated",
        "normal.censored": "bayesimpute.models.bounded:Censored",
        "heckman": "bayesimpute.models.heckman:Heckman",
        "heckman.binary": "bayesimpute.models.heckman:HeckmanBinary",
        "heckman.robust": "bayesimpute.models.heckman_robust:HeckmanRobust",
        "joint": "bayesimpute.models.joint:Joint",
        "bart": "bayesimpute.models.bart:Bart",
        "pmm": "bayesimpute.models.pmm:PMM",
        "sample": "bayesimpute.models.sample:Sample",
    }
)
"""Canonical method name -> module and class, imported when first needed."""


def resolve(method: Any) -> Any:
    """Turn a canonical name, a method object or a model builder into a method object.

    Parameters
    ----------
    method
        A key of :data:`METHODS`; an object (or its class) with ``kernel`` and ``model``
        (:class:`bayesimpute.method.Method`); or a function ``builder(design) -> pm.Model``.

    Returns
    -------
    bayesimpute.method.Method

    Raises
    ------
    SpecificationError
        If it is none of these.

    Examples
    --------
    >>> type(resolve("normal")).__name__
    'Normal'
    """
    if isinstance(method, str):
        if method not in METHODS:
            raise SpecificationError(
                f"There is no method {method!r}; there are {listed(METHODS)}."
                f"{did_you_mean(method, METHODS)}"
            )
        module, name = METHODS[method].split(":")
        return getattr(import_module(module), name)()
    if hasattr(method, "kernel") and hasattr(method, "model"):
        return _made(method) if isinstance(method, type) else method
    if callable(method):
        from bayesimpute.sampling.generic import BuilderMethod

        return BuilderMethod(method)
    raise SpecificationError(
        f"method {method!r} is neither a name, nor a function builder(design) -> pm.Model, nor an "
        "object with model() and kernel()."
    )


def _made(kind: type) -> Any:
    """Make a method of the user's class."""
    try:
        return kind()
    except (Exception, SystemExit) as error:  # the user's own code may fail in any way
        raise SpecificationError(
            f"method {kind.__name__}: it cannot be made without arguments "
            f"({type(error).__name__}: {error}); give an object of it, such as {kind.__name__}(…)."
        ) from error
