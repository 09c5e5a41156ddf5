"""What a study is, as text that is the same in every process: functions by what they do."""

import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import pandas as pd


def shown(value: Any, most: int = 200) -> str:
    """Text of a value; its end as a digest if it is long."""
    text = _described(value)
    return text if len(text) <= most else f"{text[:most]}… #{digest(text)[:16]}"


def digest(text: str | bytes) -> str:
    """Hash of a text."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def _described(value: Any, above: tuple[int, ...] = ()) -> str:
    """Text that is the same in every process for what does the same, functions included."""
    if id(value) in above:
        return "…"
    inside = partial(_described, above=(*above, id(value)))
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, Mapping):
        return "{" + ", ".join(sorted(f"{inside(k)}: {inside(v)}" for k, v in value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inside(each) for each in value) + "]"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(inside(each) for each in value)) + "}"
    if isinstance(value, pd.DataFrame | pd.Series):
        frame = pd.DataFrame(value)
        content = f"{inside(frame.to_dict('split'))} {[str(dtype) for dtype in frame.dtypes]}"
        return f"{type(value).__name__}{value.shape}#{digest(content)[:16]}"
    if isinstance(value, np.ndarray):
        content = f"{value.dtype} {inside(value.tolist())}"
        return f"array{value.shape}#{digest(content)[:16]}"
    if isinstance(value, partial):
        given = [inside(each) for each in value.args]
        given += [f"{name}={inside(each)}" for name, each in sorted(value.keywords.items())]
        return f"{inside(value.func)}({', '.join(given)})"
    if isinstance(value, FunctionType):
        return f"{value.__qualname__}#{digest(_program(value, inside))[:16]}"
    if isinstance(value, MethodType):
        return f"{inside(value.__func__)} of {inside(value.__self__)}"
    if inspect.isclass(value) or inspect.isbuiltin(value) or inspect.ismodule(value):
        return str(getattr(value, "__qualname__", getattr(value, "__name__", value)))
    return _object(value, inside)


def _object(value: Any, inside: Callable[[Any], str]) -> str:
    kind = type(value).__qualname__
    if "pytensor" in sys.modules:
        import pytensor

        if isinstance(value, pytensor.graph.basic.Variable):
            # a prior: its graph, constants included
            return f"{kind}#{digest(pytensor.dprint(value, file='str'))[:16]}"
    if is_dataclass(value):
        held = {each.name: getattr(value, each.name) for each in fields(value)}
        return f"{kind}{inside(held)}"
    if hasattr(value, "__dict__"):
        call = inspect.getattr_static(type(value), "__call__", None)
        program = inside(call) if isinstance(call, FunctionType) else ""
        return f"{kind}{inside(vars(value))}{program}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _program(function: FunctionType, inside: Callable[[Any], str]) -> str:
    """Give a function's code, what it holds, and what it uses of its own module."""
    cells = [_cell(cell) for cell in function.__closure__ or ()]
    held = [inside(part) for part in (function.__defaults__, function.__kwdefaults__, cells)]
    for name in sorted(_names(function.__code__)):
        used = function.__globals__.get(name)
        same = getattr(used, "__module__", None) == function.__module__
        if isinstance(used, bool | int | float | str | list | tuple | dict | partial) or (
            same and isinstance(used, FunctionType)
        ):
            held.append(f"{name}={inside(used)}")
    return _code(function.__code__) + "\n".join(held)


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return None


def _names(code: CodeType) -> set[str]:
    inner = [_names(part) for part in code.co_consts if isinstance(part, CodeType)]
    return set(code.co_names).union(*inner)


def _code(code: CodeType) -> str:
    """Instructions, names and constants; not the file, nor the lines in it."""
    constants = [
        _code(part) if isinstance(part, CodeType) else _described(part) for part in code.co_consts
    ]
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return f"{code.co_code.hex()} {names} {constants}"
