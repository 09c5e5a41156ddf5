"""Each target's model as an equation: what its file says in LaTeX, filled in, and as text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Occasion, words_of
from bayesimpute.registry import resolve
from bayesimpute.specification.equation_text import plain
from bayesimpute.specification.linear_predictor import Writer, has_effects, setting_of
from bayesimpute.specification.specification import Passive, Specification, Target
from bayesimpute.wrappers.base import innermost, layers, method_text

_PLACE = re.compile(r"\$([a-z]+)(?:\[(.*?)\])?")


@dataclass(frozen=True, eq=False)
class Equation:
    """The equation of one model.

    Attributes
    ----------
    lines
        LaTeX, in which a character of Unicode's private range stands for each name.
    names
        Those characters -> names.
    """

    lines: tuple[str, ...]
    names: Mapping[str, str]

    def text(self, latex: str) -> str:
        """Write a line, or a part of one, as text."""
        return "".join(self.names.get(character, character) for character in plain(latex))


def equations(specification: Specification) -> dict[str, str]:
    """Give the equation of every target.

    Returns
    -------
    dict
        Target -> text. i counts rows, j clusters.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesimpute.specification.specify import specify
    >>> df = pd.DataFrame({"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, None]})
    >>> equations(specify(df, method="normal"))["y"]
    'y_i = β0 + β1·x_i + ε_i,  ε_i ~ N(0, σ²)'
    """
    return {
        name: f"{name} = {target.expression}"
        if isinstance(target, Passive)
        else _text(specification, target)
        for name, target in specification.targets.items()
    }


def _text(specification: Specification, target: Target) -> str:
    equation = equation_of(specification, target.name)
    if equation is None:
        text = f"{target.name} ~ {method_text(innermost(target.method))}"
    else:
        text = ",  ".join(map(equation.text, equation.lines))
    for wrapper in reversed(list(layers(target.method))):
        text = wrapper.equation(text)
    return text


def template_of(specification: Specification, name: str) -> str:
    """Give what the file of a target's model says, to be filled in; empty if it says nothing."""
    target = specification.targets[name]
    if isinstance(target, Passive):
        return ""
    method = resolve(innermost(target.method))
    words = words_of(method)
    equation = words.equation if words else ""
    if isinstance(equation, str):
        return equation
    clustered = has_effects(target)
    kind = target.kind or specification.table.variables[name].kind
    options = {**method.options, **target.options}
    return equation(
        Occasion(
            options,
            clustered,
            any(each.intercept for each in target.effects) and clustered,
            kind is Kind.NUMERIC,
            kind,
        )
    )


def equation_of(specification: Specification, name: str) -> Equation | None:
    """Fill in the equation of a target; None for a model that only its author knows."""
    target, template = specification.targets[name], template_of(specification, name)
    if isinstance(target, Passive) or not template:
        return None
    writer = Writer(setting_of(specification, target))
    letter, row = writer.name(name), writer.setting.row
    latent = ", ".join(f"{writer.name(member)}^*" for member in target.block)
    options = {**resolve(innermost(target.method)).options, **target.options}
    by = ""

    def filled(place: re.Match[str]) -> str:
        nonlocal by
        what, further = place[1], place[2] or ""
        if what == "predictor":
            by = further
            return writer.predictor(by=by)
        if what == "slopes":
            return writer.predictor(intercept=False)
        if what in ("function", "bend"):
            by = further
            return writer.function("f", what == "function", by)
        if what == "selection":
            return writer.predictor("selection", ("γ", "a"))
        if what == "effects":
            block = rf"\text{{ of }}({latent})" if latent else ""
            return r" \\ ".join(writer.effects_by_cluster(further, block, by))
        if what == "last":
            return rf"\text{{{writer.name(_last(specification, target))}}}"
        known = {"y": f"{letter}_{{{row}}}", "star": f"{letter}^*_{{{row}}}", "name": letter}
        known |= {"row": f"{{{row}}}", "latent": latent}
        if what not in known.keys() | options.keys():
            raise SpecificationError(
                f"words of {method_text(target.method)}: its equation has ${what}, which is "
                "neither an option of the method nor one of the places of bayesimpute.method.Words."
            )
        return known.get(what) or str(options[what])

    lines = _PLACE.sub(filled, template).split(r"\\")
    return Equation(tuple(line.strip() for line in lines if line.strip()), writer.names)


def _last(specification: Specification, target: Target) -> str:
    """Give the label of the last category."""
    categories = specification.table.variables[target.name].categories
    if categories:
        return f"“{categories[-1]}”"
    return f"“{np.nanmax(specification.table.values[target.name]):g}”"
