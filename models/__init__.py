"""Conditional imputation models, one readable PyMC model a file: ``bayesimpute.models``."""

if __name__ != "bayesimpute.models":
    raise ImportError(
        "This folder is the package bayesimpute.models: write `from bayesimpute.models import ...` "
        f"(it was imported as {__name__!r}, which would make a second copy of every class)."
    )
