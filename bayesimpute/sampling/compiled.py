"""Machine code: functions called without the interpreter's lock, and what is passed to them.

Functions go as arguments, by their address (:class:`Callable`); groups of arrays by reference, as
one pointer (:class:`Struct`): a named tuple of thirty arrays goes by value, and numba copies it,
and counts the references of all thirty, at every call of every function that is given it. That is
slow to run and slower to compile.

For the time that compiling takes, elements are put into arrays one by one: where an array goes into
another, or is indexed by one, numba compiles seconds of text for an error about their shapes; and
small loops stand in place of ``max`` and ``searchsorted`` of arrays.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
from numba import types
from numba.core import event
from numba.experimental import structref

from bayesimpute import interrupts


class _Compiling(event.Listener):
    """Let Ctrl-C wait for the function that numba is compiling.

    LLVM calls Python back through ctypes, where an exception is printed and lost: KeyboardInterrupt
    too, and then numba misses what it should have been told and fails with an error of its own.
    Elsewhere within a function KeyboardInterrupt comes out, but leaves numba's tables half filled,
    and the next function fails.
    """

    def on_start(self, _: event.Event) -> None:
        """Wait from here on: numba takes its lock."""
        interrupts.begin()

    def on_end(self, _: event.Event) -> None:
        """Answer here: the lock is free again, unless it is that of a step within a step."""
        interrupts.end()


event.register("numba:compiler_lock", _Compiling())

#: Without the wrappers by which Python or other machine code call it: a small function takes less.
_PART: dict[str, Any] = {
    "error_model": "numpy",
    "nogil": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


def part_of[Function](function: Function, **options: Any) -> Function:
    """Compile a function as a part of something else; it is not kept on disk by itself.

    Only machine code can call it. `options` are numba's.
    """
    made: Function = numba.njit(**_PART, **options)(function)
    return made


def compile_for(function: Any, arguments: tuple[Any, ...]) -> None:
    """Compile a function for arguments of some types, or take what is kept on disk.

    What another version kept there may name classes that are gone: numba fails on reading it, and
    would for ever, so it is thrown away.
    """
    try:
        function.compile(arguments)
    except (AttributeError, ImportError):
        if function.stats.cache_path is None:
            raise
        kept = Path(function.stats.cache_path)
        for index in kept.glob(f"*.{function.__name__}-*.nbi"):
            index.unlink(missing_ok=True)
        function.compile(arguments)


class Callable(types.WrapperAddressProtocol):
    """A function that compiled code takes as an argument, of one type for all of one signature.

    Parameters
    ----------
    machine_code
        A function compiled by numba.
    arguments
        Numba's types of its arguments.
    """

    def __init__(self, machine_code: Any, arguments: tuple[Any, ...]) -> None:
        compile_for(machine_code, arguments)
        (self._signature,) = (s for s in machine_code.nopython_signatures if s.args == arguments)
        compiled = machine_code.get_compile_result(self._signature)
        name = compiled.fndesc.llvm_cfunc_wrapper_name
        self._machine_code = machine_code  # kept alive as long as its address is
        self._address = compiled.library.get_pointer_to_function(name)

    @classmethod
    def for_example(cls, machine_code: Any, *example: Any) -> "Callable":
        """Take a function for arguments of the types of an example."""
        return cls(machine_code, tuple(map(numba.typeof, example)))

    @classmethod
    def of_pytensor(cls, function: Any) -> "Callable":
        """Take a function of PyTensor, compiled for numba and called once.

        Compiled code calls it with *one* tuple of its inputs, and gets a tuple of its outputs. It
        holds no state: what PyTensor allocates between calls is not used this way, so threads may
        share it.
        """
        machine_code = function.vm.jit_fn
        (signature,) = machine_code.nopython_signatures
        return cls(machine_code, signature.args)

    def __call__(self, *arguments: Any) -> Any:
        """Call it from Python."""
        return self._machine_code(*arguments)

    def __wrapper_address__(self) -> int:
        """Address of the machine code, for numba."""
        return int(self._address)

    def signature(self) -> Any:
        """Types of its arguments and result, for numba."""
        return self._signature


_VECTOR = types.Array(types.float64, 1, "C")


def density_of(function: Any, data: Any) -> Callable:
    """Give a compiled ``density(position, data, gradient) -> value`` for such data.

    Parameters
    ----------
    function
        A function compiled by numba.
    data
        An example: of the types that all data will have.
    """
    return Callable(function, (_VECTOR, numba.typeof(data), _VECTOR))


def specialised(function: Any, *example: Any) -> Any:
    """Give a compiled function for arguments of the types of an example, and for no others.

    Numba works out the type of every named tuple at every call, which takes longer than most of
    what is called. Here it is done once; whoever calls the result sees to the types.
    """
    arguments = tuple(map(numba.typeof, example))
    compile_for(function, arguments)
    (signature,) = (s for s in function.nopython_signatures if s.args == arguments)
    return function.get_compile_result(signature).entry_point


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
