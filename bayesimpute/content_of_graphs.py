"""A PyMC distribution as text: its graph, every constant in full, a custom density by its own."""

import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any


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
