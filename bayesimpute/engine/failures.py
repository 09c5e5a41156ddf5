"""What ends a run early: the user's own code, a worker, Ctrl-C; each said in a sentence."""

from dataclasses import replace
from pathlib import Path

from bayesimpute.engine.history import History
from bayesimpute.errors import BayesimputeError, ImputationWarning, SamplingError, warn
from bayesimpute.events import Event

#: What the user's functions may raise. ``sys.exit()`` in one of them is a failure of it as any
#: other, or it would end a worker, or the whole session; Ctrl-C is not.
FAILURES = (Exception, SystemExit)


def said(error: BaseException) -> str:
    """Text of an error; with its kind, which says more than the text, if it is not our own."""
    text = " ".join(str(error).split())
    if isinstance(error, BayesimputeError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def of_memory(error: BaseException) -> bool:
    """Whether memory ran out, in one of the causes: no fault of a model, so nothing to keep."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return True
        cause = cause.__cause__
    return False


def tuning_failed(target: str, error: BaseException) -> SamplingError:
    """Give the error of a model that cannot be built or tuned, before any imputation."""
    return SamplingError(
        f"target {target!r}: its model could not be tuned (while adapting, before the first "
        f"imputation): {said(error)}. Look at imp.equations() for what the model is; a simpler one "
        "or tighter priors (priors=) may help."
    )


class StoppedWarning(ImputationWarning):
    """Ctrl-C ended a run early, and what is finished was returned."""


def warn_of_stop(of: str, what: str, done: int, wanted: int, folder: Path | None) -> None:
    """Say that Ctrl-C ended a series of runs, such as ``"points"`` of ``"sensitivity"``."""
    again = (
        "folder= would have kept them to go on from"
        if folder is None
        else f"the same call goes on from folder {folder.name!r}, bit for bit"
    )
    warn(
        f"{of}: stopped by Ctrl-C after {done} of {wanted} {what}, which is what is returned; "
        f"{again}.",
        StoppedWarning,
    )


class Stopped(KeyboardInterrupt):
    """Ctrl-C after all chains have finished an iteration.

    Attributes
    ----------
    history
        Up to the last iteration that all chains have finished.
    """

    def __init__(self, history: History, wanted: int) -> None:
        done = history.iterations
        message = (
            f"Stopped by Ctrl-C after {done} of {wanted} iterations, which is what is returned; "
            f"imp.extend({wanted - done}) goes on to the same bits as a run that was not stopped."
        )
        super().__init__(message)
        event = Event("warning", "imputation", "", "stopped", message, iteration=done)
        self.history = replace(history, events=(*history.events, event))

    def finished(self) -> History:
        """Give what is finished, with a warning."""
        warn(str(self), StoppedWarning)
        return self.history
