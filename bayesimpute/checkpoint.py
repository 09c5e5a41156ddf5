"""Going on from a checkpoint file, if it is of the same run."""

from pathlib import Path
from typing import Any

from bayesimpute.engine.history import History
from bayesimpute.errors import SpecificationError
from bayesimpute.result.opening import open_file
from bayesimpute.result.specification_store import prior_text
from bayesimpute.specification.specification import Specification, Target


def _options(specification: Specification) -> dict[str, dict[str, Any]]:
    """Options of the models, as far as a file can hold them."""
    return {
        name: {
            option: list(value) if isinstance(value, tuple) else value
            for option, value in target.options.items()
            if isinstance(value, bool | int | float | str | tuple | list | None)
        }
        for name, target in specification.targets.items()
        if isinstance(target, Target)
    }


def _priors(specification: Specification) -> dict[str, dict[str, str]]:
    """Priors that the user gave, as text."""
    return {
        name: {parameter: prior_text(prior) for parameter, prior in target.priors.items()}
        for name, target in specification.targets.items()
        if isinstance(target, Target)
    }


def resume_point(
    path: Path, specification: Specification, m: int, seed: int | None
) -> History | None:
    """History stored at `path`, None if there is no file yet.

    Raises
    ------
    SpecificationError
        If the file belongs to another run: other data, models, m or seed.
    """
    if not path.exists():
        return None
    stored = open_file(path)
    old = stored.specification
    differs = [
        what
        for what, same in {
            "data": old.table.frame.equals(specification.table.frame),
            "methods": dict(old.methods) == dict(specification.methods),
            "predictors": old.predictors.equals(specification.predictors),
            "visit_sequence": old.visit_sequence == specification.visit_sequence,
            "model options": _options(old) == _options(specification),
            "priors": _priors(old) == _priors(specification),
            "monitor": list(old.monitors) == list(specification.monitors),
            "m": stored.history.m == m,
            "seed": seed is None or stored.history.seed == seed,
        }.items()
        if not same
    ]
    if differs:
        raise SpecificationError(
            f"checkpoint {path.name!r} is of another run (different: {', '.join(differs)}); "
            "delete it, or name another file."
        )
    return stored.history
