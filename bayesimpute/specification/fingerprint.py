"""By what one specification is told from another: all of it, part by part."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bayesimpute.content import PYTHON, described, digest, fields_that_say_something, other_python
from bayesimpute.specification.specification import Passive, Specification, Target

#: What a field of the specification is called, if not by its own name.
WORDS: Mapping[str, str] = {"table": "data", "passive_order": "order of passive variables"}

#: The same for a field of a target.
WORDS_OF_TARGET: Mapping[str, str] = {
    "terms": "formulas or predictors (terms)",
    "random_intercept": "formulas (random intercept)",
    "options": "model options",
}

#: Texts about decisions, which themselves are in the other fields; what completed data are given.
SAYS_NOTHING = ("events", "origin")


@dataclass(frozen=True)
class Fingerprint:
    """Digest of each part of what decides a run's numbers, by the words for it.

    Attributes
    ----------
    parts
        Words -> digest; what is at its default is left out.
    python
        Version of Python, without which functions cannot be compared.
    """

    parts: Mapping[str, str]
    python: str = field(default=PYTHON)

    def differences(self, other: "Fingerprint") -> list[str]:
        """Words for the parts that differ."""
        words = dict.fromkeys([*self.parts, *other.parts])
        return [each for each in words if self.parts.get(each) != other.parts.get(each)]

    def beside(self, parts: Mapping[str, Any]) -> "Fingerprint":
        """Give this with further parts: words -> what is to be the same."""
        more = {words: digest(described(held))[:16] for words, held in parts.items()}
        return Fingerprint({**self.parts, **more}, self.python)

    def why_not_compared(self) -> str:
        """Sentence on functions of another Python, empty for this one."""
        return other_python(self.python)


def fingerprint(specification: Specification) -> Fingerprint:
    """Take the fingerprint of a specification.

    It goes over the fields of the data classes themselves, so that none can be forgotten.

    Parameters
    ----------
    specification
        Before the run: what functions hold may change while they are called.

    Returns
    -------
    Fingerprint
        Equal for specifications that give the same numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesimpute.specification.specify import specify
    >>> df = pd.DataFrame({"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, None]})
    >>> one, other = (fingerprint(specify(df, ignore=rows)) for rows in (None, df["x"] > 3))
    >>> other.differences(one)
    ['ignore']
    """
    parts = dict(_parts(specification))
    return Fingerprint({words: digest(text)[:16] for words, text in parts.items()})


def words_of(argument: str, target: str, key: str) -> str:
    """Words for the part that an argument of ``bi.open`` gives again."""
    if argument == "monitor":
        return f"monitor {target!r}"
    name = {"methods": "method", "model_options": "options"}.get(argument, argument)
    return _words(name, target) + (f": {key}" if key else "")


def _parts(specification: Specification) -> Iterator[tuple[str, str]]:
    for name, text in fields_that_say_something(specification).items():
        if name == "targets":
            yield "imputed columns", described(list(specification.targets))
            for target in specification.targets.values():
                yield from _parts_of_target(target)
        elif name == "monitors":
            for monitor, function in specification.monitors.items():
                yield f"monitor {monitor!r}", described(function)
        elif name not in SAYS_NOTHING:
            yield WORDS.get(name, name), text


def _parts_of_target(target: Target | Passive) -> Iterator[tuple[str, str]]:
    if isinstance(target, Passive):
        yield _words("method", target.name), described(target)
        return
    for name, text in fields_that_say_something(target).items():
        if name in ("priors", "options"):  # by name, so that a file's gaps are filled one by one
            for key, held in getattr(target, name).items():
                yield f"{_words(name, target.name)}: {key}", described(held)
        else:
            yield _words(name, target.name), text


def _words(name: str, target: str) -> str:
    return f"{WORDS_OF_TARGET.get(name, name)} of {target!r}"
