"""Multilevel multiple imputation by chained equations; every conditional model is a PyMC model.

``import bayesimpute as bi`` loads nothing heavy: each public name, listed in ``__init__.pyi``,
loads its module at first use.
"""

import lazy_loader

_load, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return globals().setdefault(name, version("bayesimpute"))
    if name not in __all__:
        raise AttributeError(f"module 'bayesimpute' has no attribute {name!r}")
    return _load(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
