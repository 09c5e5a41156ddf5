"""Callables a file cannot hold: what stands in their place, and how they are given again."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar

from bayesimpute.data.table import Kind
from bayesimpute.engine.history import History
from bayesimpute.errors import SpecificationError
from bayesimpute.specification.aliases import look_up
from bayesimpute.specification.requests import checked_monitors
from bayesimpute.specification.specification import (
    Fingerprint,
    Passive,
    Specification,
    Target,
    fingerprint,
    words_of,
)
from bayesimpute.wrappers.base import Wrapper, method_text

#: In the place of a method of imputations that were made by another program.
ELSEWHERE = "elsewhere"
#: In the place of methods where columns or rows are others than those of the run.
DERIVED = "derived"
#: What stands for the method of a column that was computed from completed data.
ASSIGNED = "assigned"


#: Why there is nothing to ask.
WITHOUT_MODELS = {
    ELSEWHERE: (
        "These imputations were made elsewhere (bi.from_completed), so there are no models and no "
        "chains here that could be asked or gone on with; complete, fit, pictures of the values "
        "and report work. Impute by bi.impute for the rest."
    ),
    DERIVED: (
        "assign() or query() made these imputations from those of a run, whose models are of other "
        "columns or rows; ask the run itself for models and chains."
    ),
}


@dataclass(frozen=True)
class NotStored:
    """Stands where the user's own object was: a file holds its text only, never its code."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def __name__(self) -> str:
        """Name by which people know it."""
        return self.text

    # In the place of a method it is one, of which nothing is known.
    kinds: ClassVar[frozenset[Kind]] = frozenset(Kind)
    options: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def model(self, *_: Any) -> Any:
        """Raise: the code is not here."""
        raise SpecificationError(f"The code of method {self.text!r} is not in the file.")

    kernel = model


@dataclass(frozen=True)
class Gap:
    """One place that has to be given again: argument of ``bi.open``, target, key."""

    argument: str
    target: str
    key: str
    text: str

    def __str__(self) -> str:
        inner = f"{{{self.key!r}: …}}" if self.key else "…"  # a monitor stands for a target
        return f"{self.argument}={{{self.target!r}: {inner}}} (was {self.text})"


def gaps(specification: Specification) -> Iterator[Gap]:
    """Every place of a specification where an object could not be stored."""
    for name, target in specification.targets.items():
        if isinstance(target, Passive):
            continue
        if _has_gap(target.method):
            text = getattr(target.method, "text", specification.methods[name])
            yield Gap("methods", name, "", text)
        if isinstance(target.post, NotStored):
            yield Gap("post", name, "", target.post.text)
        for argument, mapping in (("priors", target.priors), ("model_options", target.options)):
            for key, held in mapping.items():
                if isinstance(held, NotStored):
                    yield Gap(argument, name, key, held.text)


def monitor_gaps(specification: Specification) -> Iterator[Gap]:
    """Every monitor that could not be stored; models do without, chains do not."""
    for name, held in specification.monitors.items():
        if isinstance(held, NotStored):
            yield Gap("monitor", name, "", held.text)


def made_elsewhere(specification: Specification) -> bool:
    """Whether the imputations were made by another program, so that nothing is known of models."""
    return any(gap.text == ELSEWHERE for gap in gaps(specification))


def in_given_steps(specification: Specification, history: History) -> Specification:
    """Let dates that were imputed elsewhere come out as they were given."""
    if not made_elsewhere(specification):
        return specification
    return replace(specification, table=specification.table.in_steps_of(history.imputed))


def assigned(specification: Specification) -> list[str]:
    """Columns that ``imp.assign`` has computed from completed data: no model imputes them."""
    if not without_models(specification):
        return []
    return [name for name, method in specification.methods.items() if method == ASSIGNED]


def without_models(specification: Specification) -> bool:
    """Whether there are completed data only: nothing that made them can be asked."""
    return any(gap.text in WITHOUT_MODELS for gap in gaps(specification))


def require_one_run(history: History, what: str) -> None:
    """Raise if chains are of several runs, each with units and tuning of its own.

    Raises
    ------
    SpecificationError
        With what was asked for.
    """
    if history.further_seeds:
        raise SpecificationError(
            f"{what}: these are imputations of several runs, put together by bind; {what} is for "
            "each of the runs, and bind for what comes out."
        )


def require_callables(specification: Specification) -> None:
    """Raise if models cannot be built because callables were not given again.

    Raises
    ------
    SpecificationError
        Naming each argument of ``bi.open`` that is needed.
    """
    _require(gaps(specification))


def require_to_extend(specification: Specification) -> None:
    """Raise if chains cannot go on because callables, monitors too, were not given again.

    Raises
    ------
    SpecificationError
        Naming each argument of ``bi.open`` that is needed.
    """
    _require([*gaps(specification), *monitor_gaps(specification)])


def _require(missing: Iterable[Gap]) -> None:
    needed = list(missing)
    for text, words in WITHOUT_MODELS.items():
        if any(gap.text == text for gap in needed):
            raise SpecificationError(words)
    if needed:
        raise SpecificationError(
            "This result was opened from a file, which holds no code; to extend it, give again: "
            "bi.open(path, " + ", ".join(map(str, needed)) + ")."
        )


def give_again(
    specification: Specification,
    methods: Mapping[str, Any],
    priors: Mapping[str, Mapping[str, Any]],
    post: Mapping[str, Any],
    model_options: Mapping[str, Mapping[str, Any]],
    monitor: Mapping[str, Callable[..., Any]],
    run: Fingerprint | None = None,
) -> Specification:
    """Put the user's objects back in their places.

    Raises
    ------
    SpecificationError
        If an argument names something that was stored, or was never there: only what a file could
        not hold may be given, since anything else would change the model in the middle of a run.
        If it is not what the run used, by the fingerprint `run`.
    """
    every = [*gaps(specification), *monitor_gaps(specification)]
    missing = [gap for gap in every if gap.text not in WITHOUT_MODELS]
    given = {"methods": methods, "post": post, "monitor": monitor}
    by_key = {"priors": priors, "model_options": model_options}
    places = [(argument, name, "") for argument, each in given.items() for name in each]
    places += [
        (a, n, key) for a, each in by_key.items() for n, keys in each.items() for key in keys
    ]
    needed = {(gap.argument, gap.target, gap.key) for gap in missing}
    for argument, name, key in places:
        if (argument, name, key) not in needed:
            lacking = sorted(repr(target) for other, target, _ in needed if other == argument)
            place = f"{name!r}" + (f" → {key!r}" if key else "")
            raise SpecificationError(
                f"bi.open({argument}=…) names {place}, for which the file already holds what was "
                f"used; give only what it could not hold: {', '.join(lacking) or 'nothing'}."
            )

    def with_objects(target: Target | Passive) -> Target | Passive:
        if isinstance(target, Passive):
            return target
        name, method = target.name, target.method
        return replace(
            target,
            method=_filled(name, method, methods[name]) if name in methods else method,
            post=post.get(name, target.post),
            priors={**target.priors, **priors.get(name, {})},
            options={**target.options, **model_options.get(name, {})},
        )

    targets = {name: with_objects(target) for name, target in specification.targets.items()}
    monitors = {**specification.monitors, **checked_monitors(monitor, specification.table)}
    filled = replace(specification, targets=targets, monitors=monitors)
    left = [*gaps(filled), *monitor_gaps(filled)]
    again = [gap for gap in missing if gap not in left]
    if again and run is not None and not run.why_not_compared():
        differences = run.differences(fingerprint(filled))
        for gap in again:
            words = words_of(gap.argument, gap.target, gap.key)
            if words in differences:
                raise SpecificationError(
                    f"bi.open({gap.argument}=…): the {words} is not what the run used (was "
                    f"{gap.text}); its code, constants or what it reads differ. Give it as it was; "
                    "for another one, start a new run."
                )
    return filled


def _has_gap(held: Any) -> bool:
    """Whether something is, or holds, what a file could not."""
    if isinstance(held, Wrapper):
        return any(_has_gap(getattr(held, field.name)) for field in fields(held))
    if isinstance(held, tuple):
        return any(map(_has_gap, held))
    return isinstance(held, NotStored)


def _filled(target: str, held: Any, given: Any, place: str = "method") -> Any:
    """Put the parts of a method that were given again into the gaps of the stored one.

    Raises
    ------
    SpecificationError
        If the method given differs where the file holds what was used.
    """
    if isinstance(held, NotStored):
        return given
    if isinstance(held, tuple) and isinstance(given, tuple) and len(held) == len(given):
        return tuple(_filled(target, a, b, place) for a, b in zip(held, given, strict=True))
    if isinstance(held, Wrapper) and type(held) is type(given):
        said = [field.name for field in fields(held) if field.compare]  # the rest the data decided
        parts = {n: _filled(target, getattr(held, n), getattr(given, n), n) for n in said}
        return replace(held, **parts)
    same = held == given
    if isinstance(held, str) and isinstance(given, str) and place == "method":
        same = look_up(given, target).method == held
    if not same:
        raise SpecificationError(
            f"bi.open(methods=…): the method of {target!r} has {method_text(given)!r} where the "
            f"file has {method_text(held)!r}; give the method of the run again as it was."
        )
    return held
