"""Arguments of public functions, held against their annotations before any work.

A signature says what a function takes: ``draws: Count = 500``, ``conf_level: Level = 0.95``.
:func:`checked` reads it and refuses everything else in one sentence that names the function, the
argument, what was given and what is wanted. What only the data can tell (is there such a column?)
the functions check themselves.
"""

import inspect
import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import wraps
from numbers import Integral, Real
from os import PathLike
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal, TypeAliasType, TypeVar, Union, get_args, get_origin

import numpy as np

from bayesimpute.errors import AnalysisError, DataError, SpecificationError
from bayesimpute.interchange import Frame, within
from bayesimpute.wording import did_you_mean

#: Modules that analyse completed data; their refusals are analysis errors.
ANALYSING = ("analysis", "congeniality", "pooling", "posterior")
#: Longest text of a refused value in an error.
LONGEST = 80


@dataclass(frozen=True)
class Within:
    """Bounds of a number, each either allowed itself or not."""

    low: float = -np.inf
    high: float = np.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: Any) -> bool:
        number = float(value)
        above = number > self.low if self.low_open else number >= self.low
        below = number < self.high if self.high_open else number <= self.high
        return above and below

    def __str__(self) -> str:
        if self.low > -np.inf and self.high < np.inf:
            ends = "ends excluded" if self.low_open and self.high_open else "ends included"
            if self.low_open != self.high_open:
                ends = f"{self.low if self.low_open else self.high:g} excluded"
            return f"from {self.low:g} to {self.high:g} ({ends})"
        if self.low == -np.inf and self.high == np.inf:
            return "that is finite"
        if self.low > -np.inf:
            return f"above {self.low:g}" if self.low_open else f"from {self.low:g}"
        return f"below {self.high:g}" if self.high_open else f"up to {self.high:g}"


@dataclass(frozen=True)
class Drawable:
    """Axes of matplotlib, known by what they can do; `several`: also a list or array of them."""

    several: bool = False

    def __contains__(self, value: Any) -> bool:
        each: list[Any] = [value]
        if self.several and not hasattr(value, "get_figure"):
            each = np.array(value, dtype=object).ravel().tolist()
        return bool(each) and all(hasattr(part, "get_figure") for part in each)

    def __str__(self) -> str:
        return "matplotlib Axes" + (", or a list of them" if self.several else "")


#: Where a picture is drawn, if it may be in several places.
type Places = Annotated[Any, Drawable(several=True)]
#: How many of something: a whole number from 1.
type Count = Annotated[int, Within(1)]
#: How many, or none.
type CountOrNone = Annotated[int, Within(0)]
#: Seed of all random numbers.
type Seed = Annotated[int, Within(0)]
#: Share of a whole.
type Share = Annotated[float, Within(0, 1)]
#: Probability of an interval, or level of a test.
type Level = Annotated[float, Within(0, 1, low_open=True, high_open=True)]
#: Number above zero; infinite is one.
type Positive = Annotated[float, Within(0, low_open=True)]
#: Any number but an infinite one.
type Finite = Annotated[float, Within(low_open=True, high_open=True)]
#: Number from zero.
type NotNegative = Annotated[float, Within(0)]
#: Correlation.
type Correlation = Annotated[float, Within(-1, 1)]
#: Width and height of a figure in inches.
type FigureSize = tuple[
    Annotated[float, Within(0.5, 300)],
    Annotated[float, Within(0.5, 300)],
]


#: Another word for an argument -> the word of the signature, where it has that and not the other.
SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(("conf_level", "interval", "level"), "ci_prob"),
    **{
        "data": "df",
        "df": "data",
        "var": "variable",
        "variable": "var",
        "axes": "ax",
        "ax": "axes",
    },
}
#: What functions are called whose public name is one of Python's own.
PUBLIC = {"open_file": "open"}


def checked[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Make a function refuse arguments that its annotations do not allow.

    Parameters
    ----------
    function
        Annotated function or method. ``Any``, and annotations whose names are only known to type
        checkers, allow everything.

    Returns
    -------
    function
        The same, with the same signature.

    Raises
    ------
    DataError
        When called with something else where a data frame is wanted.
    SpecificationError, AnalysisError
        When called with another argument that does not fit; the latter where completed data are
        analysed.
    TypeError
        As any Python function, for arguments it does not have.

    Examples
    --------
    >>> @checked
    ... def repeat(text: str, times: Count = 2) -> str:
    ...     return text * times
    >>> repeat("ab", times=0)
    Traceback (most recent call last):
    bayesimpute.errors.SpecificationError: repeat: times=0 must be a whole number from 1.
    """
    signature, wanted = inspect.signature(function), _wanted(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        known = signature.parameters.keys()
        said = {SYNONYMS.get(name, name): name for name in kwargs.keys() - known}
        said = {name: word for name, word in said.items() if name in known - kwargs.keys()}
        given: Any = {n: each for n, each in kwargs.items() if n not in said.values()}
        given |= {name: kwargs[word] for name, word in said.items()}
        bound = signature.bind(*args, **given)
        for name, value in bound.arguments.items():
            if not _keeps(wanted.get(name)):
                bound.arguments[name] = within(value)
        _check(function, wanted, bound.arguments, said)
        return function(*bound.args, **bound.kwargs)

    return call


def check_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Refuse arguments as a `checked` function does, before it is called with them."""
    plain = inspect.unwrap(function)
    _check(plain, _wanted(plain), given)


def _keeps(hint: Any) -> bool:
    """Whether an annotation asks for frames as they are."""
    return hint is Frame or Frame in get_args(hint)


def _wanted(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotation of each parameter that says something."""
    return {
        name: hint
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
        and (hint := _resolved(parameter.annotation, function)) is not Any
    }


def _check(
    function: Callable[..., Any],
    wanted: Mapping[str, Any],
    given: Mapping[str, Any],
    said: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Refuse what does not fit, by the word that was said for it."""
    for name, hint in wanted.items():
        if name in given and not fits(given[name], hint):
            raise _refusal(function, said.get(name, name), given[name], hint)


def _resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    """Annotation as an object; Any where there is none, or its names are for type checkers."""
    if annotation is inspect.Parameter.empty:
        return Any
    if isinstance(annotation, str):
        home = getattr(function, "__globals__", {})
        try:
            # our own source text, never a user's; matplotlib need not be loaded to check axes
            return eval(annotation, {"Axes": Annotated[Any, Drawable()], **home})
        except (NameError, TypeError):  # a name, or a generic, of type checkers only
            return Any
    return annotation


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is what an annotation asks for."""
    if hint is Any or isinstance(hint, str | TypeVar):
        return True
    if isinstance(hint, TypeAliasType):
        return fits(value, hint.__value__)
    if hint is None or hint is type(None):
        return value is None
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in inner)
    if origin is Annotated:
        return fits(value, inner[0]) and all(value in each for each in inner[1:])
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in inner)
    if origin is not None:
        return _fits_generic(value, origin, inner)
    return _fits_class(value, hint)


def _fits_class(value: Any, kind: type) -> bool:
    if kind is bool:
        return isinstance(value, bool | np.bool_)
    if kind is int:
        return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)
    if kind is float:
        number = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
        return number and not np.isnan(float(value))
    if kind is Executor:  # as those of dask and joblib, which only behave like one
        return callable(getattr(value, "submit", None))
    return isinstance(value, kind)


def _fits_generic(value: Any, origin: Any, inner: tuple[Any, ...]) -> bool:
    if origin is Callable:
        return callable(value)
    if origin is PathLike:
        return isinstance(value, PathLike)
    if not isinstance(origin, type):
        return True  # arrays of NumPy, in all their forms: their functions look at them
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            fits(key, inner[0]) and fits(each, inner[1]) for key, each in value.items()
        )
    if origin is tuple and inner[-1:] != (Ellipsis,):
        several = isinstance(value, tuple | list | np.ndarray) and len(value) == len(inner)
        return several and all(map(fits, value, inner))
    if issubclass(origin, Sequence):
        # pandas' and NumPy's one-dimensional containers are not registered as sequences
        several = isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)
        several = several and getattr(value, "ndim", 1) == 1
        return several and (inner[0] is Any or all(fits(each, inner[0]) for each in value))
    if issubclass(origin, Iterable):
        return isinstance(value, Iterable) and not isinstance(value, str | bytes)
    return isinstance(value, origin)


def _refusal(function: Callable[..., Any], name: str, value: Any, hint: Any) -> Exception:
    if getattr(hint, "__name__", "") in ("DataFrame", "Frame"):
        lazy = "; collect it first" if callable(getattr(value, "collect", None)) else ""
        return DataError(
            f"{function.__name__}: {name} must be a pandas DataFrame (or one of polars, or an "
            f"Arrow table), not {type(value).__name__}{lazy}."
        )
    said = PUBLIC.get(function.__name__, function.__name__)
    plain = isinstance(value, str | bytes | Real | list | tuple | dict | set | None)
    given = reprlib.repr(value)[:LONGEST] if plain else f"<{type(value).__name__}>"
    analysing = function.__module__.startswith(tuple(f"bayesimpute.{each}" for each in ANALYSING))
    error = AnalysisError if analysing else SpecificationError
    meant = did_you_mean(value, _options(hint)) if isinstance(value, str) else ""
    return error(f"{said}: {name}={given} must be {_words(hint)}.{meant}")


def _options(hint: Any) -> list[str]:
    """Texts that an annotation allows one by one."""
    if isinstance(hint, TypeAliasType):
        return _options(hint.__value__)
    if get_origin(hint) in (Union, UnionType):
        return [each for part in get_args(hint) for each in _options(part)]
    texts = get_args(hint) if get_origin(hint) is Literal else ()
    return [each for each in texts if isinstance(each, str)]


def _words(hint: Any) -> str:
    """Put in words what an annotation asks for: ``"a whole number from 1, or None"``."""
    if isinstance(hint, TypeAliasType):
        return _words(hint.__value__)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return ", or ".join(dict.fromkeys(_words(each) for each in inner))
    if origin is Annotated:
        kind = [] if inner[0] is Any else [_words(inner[0])]
        return " ".join([*kind, *(str(each) for each in inner[1:])])
    if origin is Literal:
        *most, last = map(repr, inner)
        return f"{', '.join(most)} or {last}" if most else last
    if origin is tuple and inner[-1:] != (Ellipsis,):
        return f"{len(inner)} values, each {_words(inner[0])}"
    if origin is not None and origin is not Callable and issubclass(origin, Mapping):
        return f"a dict from {_words(inner[0])} to {_words(inner[1])}"
    if origin is not None and origin is not Callable and issubclass(origin, Iterable):
        return f"a list, each {_words(inner[0])}" if inner[0] is not Any else "a list"
    name = getattr(hint, "__name__", str(hint))
    return _WORDS.get(origin or hint, _NAMED.get(name, name))


#: Classes that are known here by their names alone.
_NAMED = {
    "DataFrame": "a pandas DataFrame",
    "ArrowStream": "a frame of polars or Arrow",
    "Run": "a result of bi.impute",
}


_WORDS: Mapping[Any, str] = {
    Any: "anything",
    None: "None",
    type(None): "None",
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Callable: "a function",
    PathLike: "a path",
    Executor: "an executor, which has a submit method",
}
