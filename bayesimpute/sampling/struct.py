"""Groups of arrays that compiled code passes by reference, as one pointer.

A named tuple of thirty arrays goes by value: numba copies it, and counts the references of all
thirty, at every call of every function that is given it. That is slow to run and slower to compile.
"""

from hashlib import sha256
from typing import Any

from numba import types
from numba.experimental import structref


class Struct(structref.StructRefProxy):
    """Base of such groups: a class of annotations, made by the fields in their order.

    Only compiled code reads the fields. It makes such groups, too, as Python's call of the class is
    compiled anew in every process, and a compiled function's call is kept on disk.
    """

    __slots__ = ()

    def __new__(cls, *fields: Any) -> "Struct":
        """Make it of the values of all fields."""
        made: Struct = structref.StructRefProxy.__new__(cls, *fields)
        return made

    def __init_subclass__(cls) -> None:
        """Tell numba of the class."""
        name = f"{cls.__name__}Type"
        own = {"__init__": _with_short_name, "preprocess_fields": _without_literals}
        kind = type(name, (types.StructRef,), own)
        # numba's cache on disk finds the type by its place
        kind.__module__, kind.__qualname__ = cls.__module__, f"{cls.__name__}.kind"
        cls.kind = structref.register(kind)
        structref.define_proxy(cls, cls.kind, list(cls.__annotations__))

    kind: Any = None


def _with_short_name(self: Any, fields: Any) -> None:
    """Name the type by a digest of its fields, which tells it from others as all of them would.

    The name of a function has those of its arguments' types in it: fifty thousand letters for a few
    groups of groups and of functions, written wherever it is called.
    """
    types.StructRef.__init__(self, fields)
    self.name = f"{type(self).__name__}{sha256(self.name.encode()).hexdigest()[:16]}"


def _without_literals(self: Any, fields: Any) -> Any:
    """Let a field take any value of its type, not only the one it was made with."""
    return tuple((name, types.unliteral(kind)) for name, kind in fields)
