"""Before imputing: what is missing and where, what follows from what, methods, predictors, priors.

``bi.before.missing_pattern(df)``, ``bi.before.plot_pattern(df)``, and so on; listed in
``before.pyi``, each name loads its module at first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__package__, __file__)
