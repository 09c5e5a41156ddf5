"""Going on from a file, if it is of the same run."""

from collections.abc import Sequence
from pathlib import Path

from bayesimpute.errors import SpecificationError
from bayesimpute.imputations import Imputations
from bayesimpute.opening import open_file
from bayesimpute.specification.specification import Fingerprint

#: Differing parts that a refusal names.
MOST_NAMED = 8


def resume_point(
    path: Path, run: Fingerprint, m: int, seed: int | None, iterations: int
) -> Imputations | None:
    """Give what is stored at `path`, None if there is no file yet.

    Parameters
    ----------
    path
        The file.
    run
        Fingerprint of all that decides the numbers of this run.
    m, seed, iterations
        As asked for; `seed` None is any.

    Raises
    ------
    SpecificationError
        If the file belongs to another run, naming what differs, or is further than asked for.
    """
    if not path.exists():
        return None
    stored = open_file(path)
    where = f"checkpoint {path.name!r}"
    if stored.fingerprint is None:
        raise SpecificationError(
            f"{where} was written by an earlier version of bayesimpute, which did not record all "
            "that decides a run's numbers, so it cannot be gone on with here. bi.open reads it, "
            "and extend() goes on; or delete it, or name another file."
        )
    differs = run.differences(stored.fingerprint)
    differs += ["m"] if stored.m != m else []
    differs += ["seed"] if seed not in (None, stored.seed) else []
    if differs:
        raise SpecificationError(
            f"{where} is of another run (different: {_named(differs)}). "
            f"{stored.fingerprint.why_not_compared()}{_of_functions(run, differs)}Delete it, or "
            "name another file."
        )
    if stored.iterations > iterations:
        raise SpecificationError(
            f"{where} holds {stored.iterations} iterations, and iterations={iterations} were asked "
            f"for; ask for at least {stored.iterations}, read it by bi.open({path.name!r}), or "
            "name another file."
        )
    return stored


def _of_functions(run: Fingerprint, differs: Sequence[str]) -> str:
    """How functions are compared, if one of them may be what differs."""
    both = [each for each in differs if each in run.parts]
    if not any(each.startswith(("post", "monitor", "method of")) for each in both):
        return ""
    return "Functions are compared by their code and by the values they hold and read. "


def _named(differs: Sequence[str]) -> str:
    more = f" and {len(differs) - MOST_NAMED} more" if len(differs) > MOST_NAMED else ""
    return ", ".join(differs[:MOST_NAMED]) + more
