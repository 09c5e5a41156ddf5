"""The errors and warnings a user can meet, under one base class."""

import warnings
from pathlib import Path

from bayesimpute.wording import visible


class BayesimputeError(Exception):
    """Base of every error this package raises on purpose."""

    def __str__(self) -> str:
        return visible(super().__str__())


class DataError(BayesimputeError, ValueError):
    """The data frame cannot be imputed as it is; the text names the variable and the remedy."""


class SpecificationError(BayesimputeError, ValueError):
    """Methods, predictors, formulas or other arguments contradict each other or the data."""


class SamplingError(BayesimputeError, RuntimeError):
    """A conditional model could not be sampled; the text names target, imputation, iteration."""


class FileFormatError(BayesimputeError, ValueError):
    """A file is not a result of this package, or is damaged."""


class WritingError(BayesimputeError, OSError):
    """A file could not be written; the text says why, and what was there before is unchanged."""


class AnalysisError(BayesimputeError, ValueError):
    """An analysis of completed data could not be fitted or pooled."""


class ImputationWarning(UserWarning):
    """Something was done automatically that the user should know; also in ``imp.events``."""


def warn(message: str, category: type[Warning] = ImputationWarning) -> None:
    """Warn, as if from the line outside this package that called it.

    Parameters
    ----------
    message
        What the user should know.
    category
        :class:`ImputationWarning`, or a subclass.
    """
    warnings.warn(visible(message), category, skip_file_prefixes=(str(Path(__file__).parent),))
