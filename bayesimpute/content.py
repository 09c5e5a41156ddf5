"""What a value is, as text that is the same in every process: functions by what they do.

Two values with the same text decide the same numbers. A function is its code, constants, defaults,
what its closure holds, and what it reads of the user's own modules; neither its file nor its lines
count, nor that it was defined again. Installed packages are known by name: their versions are
recorded beside.
"""

import dis
import functools
import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import pandas as pd

#: Bytecode is of one minor version of Python.
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

#: Longest text of a part; what is longer ends in a digest.
LONGEST = 300

#: Levels of nesting that are looked into.
DEEPEST = 80

SIMPLE = bool | int | float | complex | str | bytes


def described(value: Any) -> str:
    """Text that is the same in every process for what does the same, functions included.

    Parameters
    ----------
    value
        Anything: frames, arrays, functions, objects of classes of the user's.

    Returns
    -------
    str
        Readable at its beginning; long parts end in a digest.

    Examples
    --------
    >>> described({"size": 2, "values": [1.0, None]})
    "{'size': 2, 'values': [1.0, None]}"
    >>> described(lambda x: x + 1) == described(lambda x: x + 2)
    False
    """
    return _Walk()(value)


def shown(value: Any, most: int = 200) -> str:
    """Text of a value; its end as a digest if it is long."""
    return _cut(described(value), most)


def digest(text: str | bytes) -> str:
    """Hash of a text."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def other_python(python: str) -> str:
    """Sentence on functions that were described by another Python, empty for this one."""
    if python == PYTHON:
        return ""
    return (
        f"It was written under Python {python}, and functions cannot be compared with those of "
        f"Python {PYTHON}: go on under the same. "
    )


def fields_that_say_something(value: Any) -> dict[str, str]:
    """Name -> text of the fields of a data class that are not at their default.

    So a field that a later version adds changes nothing of what was written before.
    """
    return _fields(value, _Walk())


@dataclass(frozen=True, eq=False)
class _Walk:
    """One description: what we are inside of, and what has its text already."""

    above: tuple[int, ...] = ()
    known: dict[int, tuple[Any, str]] = field(default_factory=dict)

    def __call__(self, value: Any) -> str:
        if value is None or isinstance(value, SIMPLE):
            return _cut(repr(value), LONGEST)
        if id(value) in self.above:
            return "…"
        if len(self.above) > DEEPEST:
            return f"{type(value).__qualname__}…"
        if id(value) not in self.known:
            inside = replace(self, above=(*self.above, id(value)))
            # the value itself is kept, so that no other gets its id
            self.known[id(value)] = (value, _cut(_described(value, inside), LONGEST))
        return self.known[id(value)][1]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… #{digest(text)[:16]}"


def _described(value: Any, inside: _Walk) -> str:
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, Mapping):
        return "{" + ", ".join(sorted(f"{inside(k)}: {inside(v)}" for k, v in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inside(each) for each in value) + "]"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(inside(each) for each in value)) + "}"
    if isinstance(value, pd.DataFrame | pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        return _frame(value, inside)
    if isinstance(value, np.ndarray):
        return f"array{value.shape}#{digest(array_text(value, inside))[:16]}"
    if isinstance(value, np.dtype | pd.api.extensions.ExtensionDtype):
        return str(value)
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, type):
        return _class(value, inside)
    if isinstance(value, CodeType):
        return f"code#{digest(_code(value, inside))[:16]}"
    if callable(value) or isinstance(value, property | staticmethod | classmethod):
        return _callable(value, inside)
    return _object(value, inside)


def _frame(value: Any, inside: _Walk) -> str:
    """Columns by name, type and cells, and the index: not how pandas holds them."""
    columns: list[tuple[Any, Any]]
    if isinstance(value, pd.DataFrame):
        columns = [(name, value.iloc[:, k]) for k, name in enumerate(value.columns)]
    else:
        columns = [(getattr(value, "name", None), pd.Series(value))]
    index = getattr(value, "index", None)
    if index is not None:
        levels = [(name, index.get_level_values(k)) for k, name in enumerate(index.names)]
        columns += [(name, pd.Series(level)) for name, level in levels]
    content = [f"{inside(name)}: {cells_of(column, inside)}" for name, column in columns]
    return f"{type(value).__name__}{value.shape}#{digest(chr(10).join(content))[:16]}"


def _callable(value: Any, inside: _Walk) -> str:
    if isinstance(value, partial):
        given = [inside(each) for each in value.args]
        given += [f"{name}={inside(each)}" for name, each in sorted(value.keywords.items())]
        return f"{inside(value.func)}({', '.join(given)})"
    if isinstance(value, FunctionType):
        return _function(value, inside)
    if isinstance(value, MethodType):
        return f"{inside(value.__func__)} of {inside(value.__self__)}"
    if inspect.isbuiltin(value):
        held = value.__self__
        owner = "" if held is None or isinstance(held, ModuleType) else f" of {inside(held)}"
        return f"{value.__qualname__}{owner}"
    if isinstance(value, property):
        return f"property{[inside(part) for part in (value.fget, value.fset, value.fdel)]}"
    if isinstance(value, staticmethod | classmethod):
        return f"{type(value).__name__} {inside(value.__func__)}"
    for name in ("__wrapped__", "py_func"):  # of functools.cache, and of numba
        inner = getattr(value, name, None)
        if isinstance(inner, FunctionType):
            return f"{type(value).__qualname__} {inside(inner)}"
    return _object(value, inside)


def _object(value: Any, inside: _Walk) -> str:
    if "pytensor" in sys.modules and is_graph(value):  # a prior
        return f"{type(value).__qualname__}#{digest(graph_text(value, inside))[:16]}"
    if isinstance(value, functools.cached_property):
        return f"cached_property {inside(value.func)}"
    if is_dataclass(value):
        held = ", ".join(f"{name}={text}" for name, text in _fields(value, inside).items())
        return f"{inside(type(value))}({held})"
    try:
        made = value.__reduce_ex__(4)  # what pickle would write
        if isinstance(made, str):
            return made
        make, arguments, *state = made
        parts = [inside(make), inside(arguments)]
        parts += [inside(part if _is_state(part) else list(part)) for part in state]
        return f"{type(value).__qualname__}({', '.join(parts)})"
    except Exception:  # locks, files, connections: nothing that decides a number
        return re.sub(r" at 0x[0-9a-fA-F]+", "", f"{inside(type(value))} {value!r}")


def _is_state(part: Any) -> bool:
    """Whether a part of what pickle would write is no iterator."""
    return part is None or not hasattr(part, "__next__")


def _fields(value: Any, inside: _Walk) -> dict[str, str]:
    said = {}
    for each in fields(value):
        text = inside(getattr(value, each.name))
        default = each.default
        if default is MISSING and each.default_factory is not MISSING:
            default = each.default_factory()
        if default is MISSING or inside(default) != text:
            said[each.name] = text
    return said


def _class(value: type, inside: _Walk) -> str:
    name = f"{value.__module__}.{value.__qualname__}"
    if is_installed(value.__module__):
        return name
    own = {
        key: held
        for key, held in vars(value).items()
        if isinstance(held, FunctionType) or not (key.startswith("__") or key == "_abc_impl")
    }
    return f"{value.__qualname__}#{digest(inside([own, value.__bases__]))[:16]}"


def _function(function: FunctionType, inside: _Walk) -> str:
    cells = [_cell(cell) for cell in function.__closure__ or ()]
    if is_installed(function.__module__):
        return f"{function.__qualname__}{inside(cells) if cells else ''}"
    held = [inside(part) for part in (function.__defaults__, function.__kwdefaults__, cells)]
    held.append(inside({k: v for k, v in vars(function).items() if k != "__wrapped__"}))
    held += _read_by(function, inside)
    text = "\n".join([PYTHON, _code(function.__code__, inside), *held])
    return f"{function.__qualname__}#{digest(text)[:16]}"


def _read_by(function: FunctionType, inside: _Walk) -> list[str]:
    """Say what a function reads of its module, and through it of other modules of the user's."""
    held = []
    attributes = _names(function.__code__)
    for name in sorted(_global_names(function.__code__)):
        used = function.__globals__.get(name)
        if isinstance(used, ModuleType) and not is_installed(used.__name__):
            read = {key: vars(used)[key] for key in attributes if key in vars(used)}
            held.append(f"{name}={inside(read)}")
        elif name in function.__globals__:
            held.append(f"{name}={inside(used)}")
    return held


def is_installed(module: str | None) -> bool:
    """Whether a module belongs to Python, to this package or to another installed one."""
    top = (module or "").partition(".")[0]
    if top in sys.stdlib_module_names or top == "bayesimpute":
        return True
    file = getattr(sys.modules.get(module or ""), "__file__", None)
    return file is not None and bool({"site-packages", "dist-packages"} & set(Path(file).parts))


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return None


def _inner(code: CodeType) -> list[CodeType]:
    return [part for part in code.co_consts if isinstance(part, CodeType)]


def _names(code: CodeType) -> set[str]:
    return set(code.co_names).union(*map(_names, _inner(code)))


def _global_names(code: CodeType) -> set[str]:
    own = {
        str(step.argval)
        for step in dis.get_instructions(code)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    return own.union(*map(_global_names, _inner(code)))


def _code(code: CodeType, inside: _Walk) -> str:
    """Instructions, names and constants; not the file, nor the lines in it."""
    constants = [
        _code(part, inside) if isinstance(part, CodeType) else inside(part)
        for part in code.co_consts
    ]
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return f"{code.co_code.hex()} {names} {constants}"


def array_text(values: np.ndarray, inside: Callable[[Any], str]) -> bytes:
    """Type, shape and values of an array; one NaN is as any other, and −0 is 0.

    Parameters
    ----------
    values
        Of any type.
    inside
        Text of an element that is an object.
    """
    head = f"{values.dtype} {values.shape} ".encode()
    if values.dtype.hasobject:
        return head + " ".join(inside(each) for each in values.ravel().tolist()).encode()
    if values.dtype.kind in "fc":
        values = values + 0  # no negative zeros
        values = np.where(np.isnan(values), np.asarray(np.nan, values.dtype), values)
    return head + np.ascontiguousarray(values).tobytes()


def cells_of(column: "pd.Series[Any]", inside: Callable[[Any], str]) -> str:
    """Type and cells of a column, missing ones alike whatever marks them."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        codes = array_text(column.cat.codes.to_numpy(), inside).hex()
        return f"category {dtype.ordered} {cells_of(pd.Series(dtype.categories), inside)} {codes}"
    if isinstance(dtype, np.dtype) and not dtype.hasobject:
        return array_text(column.to_numpy(), inside).hex()
    if not isinstance(dtype, np.dtype) and pd.api.types.infer_dtype(column) == "string":
        # each text once: there may be few
        which, distinct = pd.factorize(column)
        texts = np.array([*map(inside, distinct), ""], dtype=object)
        return f"{dtype} {'|'.join(texts[which])}"
    missing = column.isna().to_numpy()
    cells = column.to_numpy(dtype=object)
    text = ("" if gone else inside(cell) for cell, gone in zip(cells, missing, strict=True))
    return f"{dtype} {'|'.join(text)}"


def is_graph(value: Any) -> bool:
    """Whether a value is a variable of PyTensor."""
    import pytensor

    return isinstance(value, pytensor.graph.basic.Variable)


def graph_text(variable: Any, inside: Callable[[Any], str], custom: bool = True) -> str:
    """Text of a graph.

    Parameters
    ----------
    variable
        Its end, such as ``pm.Normal.dist(0, 1)``.
    inside
        Text of what the graph holds.
    custom
        Whether densities that the user wrote are looked into.
    """
    import pytensor
    from pytensor.graph.traversal import ancestors

    parts = [pytensor.dprint(variable, file="str")]
    pending, nodes = [variable], []
    while pending:
        for each in ancestors([pending.pop()]):
            nodes.append(each)
            pending += getattr(getattr(each.owner, "op", None), "inner_outputs", ())
    for each in nodes:
        if each.owner is None:
            parts += _leaf(each, inside)
        elif custom and _made_by_user(type(each.owner.op)):
            parts += _custom(each, inside)
    return "\n".join(parts)


def _leaf(variable: Any, inside: Callable[[Any], str]) -> list[str]:
    """Value of a constant or shared variable; printing a graph shortens long arrays."""
    from pytensor.compile.sharedvalue import SharedVariable
    from pytensor.graph.basic import Constant
    from pytensor.tensor.random.type import RandomType

    if isinstance(variable.type, RandomType):
        return []  # a density has no use for generators
    if isinstance(variable, Constant):
        return [inside(variable.data)]
    return [inside(variable.get_value())] if isinstance(variable, SharedVariable) else []


def _made_by_user(kind: type) -> bool:
    """Whether a class was made by a call, such as that of ``pm.CustomDist``."""
    return getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is not kind


def _custom(variable: Any, inside: Callable[[Any], str]) -> list[str]:
    """Functions the class holds, and the density they give."""
    import pymc as pm

    held = [inside(f) for f in vars(type(variable.owner.op)).values() if type(f) is FunctionType]
    try:
        density = pm.logp(variable, variable.type("value"))
    except Exception:  # an output that has none, such as the generator's next state
        return held
    return [*held, graph_text(density, inside, custom=False)]
