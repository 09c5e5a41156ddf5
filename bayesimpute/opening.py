"""Files of a run: opened, or why they cannot be; and gone on with, if they are of the same run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from bayesimpute.arguments import checked
from bayesimpute.data.table import Table
from bayesimpute.errors import FileFormatError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.files import place
from bayesimpute.imputations import Imputations
from bayesimpute.interchange import ARROW, POLARS
from bayesimpute.result import restored
from bayesimpute.result.codec import Arrays, as_now, check_frame, check_run, decode, forms
from bayesimpute.result.frame_store import decode_frame, parse
from bayesimpute.result.storage import read_arrays, read_zarr
from bayesimpute.specification.latent_means import with_fixed_priors
from bayesimpute.specification.specification import Fingerprint

#: How a zip file begins.
ZIP = b"PK"


@checked
def open_file(
    path: str | PathLike[str],
    *,
    methods: Mapping[str, Any] | None = None,
    priors: Mapping[str, Mapping[str, Any]] | None = None,
    post: Mapping[str, Any] | None = None,
    model_options: Mapping[str, Mapping[str, Any]] | None = None,
    monitor: Mapping[str, Any] | None = None,
) -> Imputations:
    """Open a result written by ``imp.to_netcdf`` or ``imp.to_zarr``; public as ``bi.open``.

    Parameters
    ----------
    path
        The file.
    methods, priors, post, model_options
        Target -> the user's own object, or (`priors`, `model_options`) target -> name -> object:
        code the file could not hold. Needed for ``extend`` and ``model`` only; completing,
        fitting, diagnosing and plotting work without.
    monitor
        Name -> function, those of the run. Needed for ``extend`` only.

    Returns
    -------
    Imputations
        Equal to the one that was written.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is not such a file, is damaged, or was written by a newer version.
    SpecificationError
        If an argument gives something the file already holds, or a function that is not that of
        the run.

    Examples
    --------
    >>> imp.to_netcdf("popularity.nc")  # doctest: +SKIP
    >>> bi.open("popularity.nc").m  # doctest: +SKIP
    20
    """
    path = place(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{str(path)!r} {what}; give a file written by imp.to_netcdf().")
    with path.open("rb") as file:
        packed = file.read(len(ZIP)) == ZIP
    arrays = read_zarr(path) if packed else read_arrays(path)
    try:
        imputations = _restore(arrays)
    except FileFormatError:
        raise
    except Exception as problem:  # whatever a damaged file leads to, the user gets one sentence
        raise FileFormatError(
            f"{str(path)!r} is damaged: its contents do not fit together "
            f"({type(problem).__name__}: {' '.join(str(problem)[:300].split())}). "
            "Write it again with imp.to_netcdf()."
        ) from problem
    specification = restored.give_again(
        imputations.specification,
        methods or {},
        priors or {},
        post or {},
        model_options or {},
        monitor or {},
        imputations.fingerprint,
    )
    return replace(imputations, specification=specification)


#: As it is called in public.
open = open_file


def _restore(arrays: Arrays) -> Imputations:
    """Rebuild the result; `arrays` is emptied, so that little is held twice."""
    text = arrays.pop("description")
    if text.dtype != np.uint8:
        raise ValueError("its description is no text")
    description = as_now(parse(text.tobytes()), arrays)
    del text
    columns, found = description.pop("frame"), forms(arrays)
    frame = decode_frame(columns, arrays)
    # looked at before the table is made, which holds every label once more
    check_frame(frame, columns, found)
    table = Table.from_frame(frame, dates=description["specification"]["targets"].keys())
    del frame
    imputations: Imputations = decode(description, Imputations, arrays, table)
    for name in arrays:
        raise ValueError(f"array {name!r} is not as it is written")
    specification = with_fixed_priors(imputations.specification)
    specification = restored.in_given_steps(specification, imputations.history)
    imputations = replace(imputations, specification=specification)
    imputations = _without_library(imputations)
    check_run(imputations.specification, imputations.history)
    return imputations


def _without_library(imputations: Imputations) -> Imputations:
    """Say, where the library of the user's frame is not installed, that frames are of pandas."""
    origin = imputations.specification.origin
    if origin is None:
        return imputations
    if origin.kind not in (POLARS, ARROW):
        raise ValueError(f"{origin.kind!r:.60} is no kind of frame")
    if origin.available:
        origin.fields()  # which may be none
        return imputations
    event = Event(
        "info", "run", "", "frames of pandas",
        f"A {origin.kind} frame was imputed, and {origin.kind} or pyarrow is not installed here: "
        "completed data are pandas DataFrames.",
    )  # fmt: skip
    history = imputations.history
    if event in history.events:
        return imputations
    return replace(imputations, history=replace(history, events=(*history.events, event)))


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
