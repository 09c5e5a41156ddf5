"""The one file that names the conditional models in ``models/``."""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from bayesimpute.errors import SpecificationError
from bayesimpute.specification.wording import did_you_mean, listed

METHODS: Mapping[str, str] = MappingProxyType(
    {
        "normal": "bayesimpute.models.normal:Normal",
        "pmm": "bayesimpute.models.pmm:PMM",
        "sample": "bayesimpute.models.sample:Sample",
    }
)
"""Canonical method name -> module and class, imported when first needed."""


def resolve(method: Any) -> Any:
    """Give the method object a name stands for; objects and model builders pass unchanged.

    Parameters
    ----------
    method
        A name of `METHODS`; an object with ``model`` and ``kernel`` (see
        :class:`bayesimpute.method.Method`); or a function ``builder(design) -> pm.Model``.

    Returns
    -------
    object
        A method, or the builder itself.

    Raises
    ------
    SpecificationError
        If the name is unknown or the object is neither a method nor callable.

    Examples
    --------
    >>> resolve("normal").__class__.__name__
    'Normal'
    """
    if isinstance(method, str):
        if method not in METHODS:
            raise SpecificationError(
                f"There is no method '{method}'.{did_you_mean(method, METHODS)} "
                f"Available are {listed(METHODS)}."
            )
        module, name = METHODS[method].split(":")
        return getattr(import_module(module), name)()
    if is_method(method) or is_builder(method):
        return method
    raise SpecificationError(
        f"A method is a name ({listed(METHODS)}), an object with 'model' and 'kernel', or a "
        f"function from a design to a PyMC model, not {type(method).__name__}."
    )


def is_method(method: Any) -> bool:
    """Whether an object (not a class) follows the conditional-model protocol."""
    return not isinstance(method, type) and hasattr(method, "model") and hasattr(method, "kernel")


def is_builder(method: Any) -> bool:
    """Whether this is a function ``builder(design) -> pm.Model``."""
    return isinstance(method, Callable) and not isinstance(method, type)  # type: ignore[arg-type]
