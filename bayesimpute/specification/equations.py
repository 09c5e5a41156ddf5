"""Each target's model as an equation: what its file says in LaTeX, filled in, and as text.

LaTeX becomes a line of text, for a terminal and to be read aloud; then the linear predictor is
written, then the whole.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Occasion, words_of
from bayesimpute.registry import resolve
from bayesimpute.specification.screening import term_columns
from bayesimpute.specification.specification import Grouping, Passive, Specification, Target, Term
from bayesimpute.wrappers.base import innermost, layers, method_text
from bayesimpute.wrappers.fixed_clusters import FixedClusters

_TOKEN = re.compile(r"(\\[A-Za-z]+) ?|(\\?.)", re.DOTALL)
_SIGNS = {
    r"\sim": "~ ", r"\le": "≤ ", r"\lt": "< ", r"\cdot": "·", r"\,": "·", r"\;": " ", "-": "−",
    r"\infty": "∞", r"\ldots": "…", r"\sqrt": "√", r"\top": "", r"\allowbreak": "",
    r"\log": "log", r"\min": "min", r"\max": "max",
}  # fmt: skip
#: Commands whose argument is written as it is.
_PLAIN = {r"\text", r"\operatorname", r"\mathbf"}


def plain(latex: str) -> str:
    r"""Write LaTeX as text: what :class:`bayesimpute.method.Words` says, and nothing more.

    Examples
    --------
    >>> plain(r"y_{ij} = β_0 + b_{0j} + ε_{ij}"), plain(r"\log\;σ_j \sim N(0, ω^2)")
    ('y_ij = β0 + b0_j + ε_ij', 'log σ_j ~ N(0, ω²)')
    """
    return _read(name or other for name, other in _TOKEN.findall(latex))


def _read(tokens: Iterator[str]) -> str:
    """Read up to the brace that closes the group."""
    text = ""
    for token in tokens:
        if token == "}":
            break
        if token == "_":
            text += _index(_argument(tokens))
        elif token == "^":
            text += _argument(tokens).replace("2", "²")
        elif token == r"\frac":
            text += f"{_argument(tokens)}/{_argument(tokens)}"
        elif token == "{":
            text += _read(tokens)
        elif token not in _PLAIN:
            text += _SIGNS.get(token, token)
    return text


def _argument(tokens: Iterator[str]) -> str:
    token = next(tokens)
    return _read(tokens) if token == "{" else _SIGNS.get(token, token)


def _index(text: str) -> str:
    """Numbers stand at once after their letter, ``β0``; letters after ``_``, ``b0_j``."""
    letters = text.lstrip("0123456789")
    shown = letters if letters.isalnum() or len(letters) < 2 else f"({letters})"
    return text.removesuffix(letters) + (f"_{shown}" if shown else "")


#: Effects of each grouping in turn, of the outcome and of whether it is seen.
LETTERS = {"b": "bdfghl", "a": "avwpqr"}
#: Between two summands: a line may end there.
PLUS = r" \allowbreak + "


@dataclass(frozen=True, eq=False)
class Setting:
    """What the symbols of one target's model depend on.

    Attributes
    ----------
    target
        The target.
    row
        Index of a row: ``"i"`` without clusters or with several groupings, ``"ij"``, or ``"j"``
        where a row is a cluster.
    of_clusters
        Labels of terms that never vary within clusters.
    widths
        Columns of each term in the design, by label; a category has several.
    groupings
        By which effects vary.
    fixed_clusters
        Whether clusters have coefficients of their own instead.
    """

    target: Target
    row: str
    of_clusters: frozenset[str]
    widths: dict[str, int]
    groupings: tuple[Grouping, ...]
    fixed_clusters: bool

    def index(self, grouping: Grouping) -> str:
        """Index of the clusters of a grouping; j are rows where these are clusters."""
        position = self.target.effects.index(grouping)
        return "jklmno"[position + (self.target.level == 2)]


def has_effects(target: Target) -> bool:
    """Whether a model has effects that vary by cluster."""
    return bool(_groupings(target))


def _groupings(target: Target) -> tuple[Grouping, ...]:
    """Say by what effects vary; clusters with coefficients of their own have none."""
    return target.groupings if _fixed_clusters(target) else target.effects


def _fixed_clusters(target: Target) -> bool:
    return any(isinstance(layer, FixedClusters) for layer in layers(target.method))


def setting_of(specification: Specification, target: Target) -> Setting:
    """Look up what the symbols of a model depend on."""
    columns = {term.label: term_columns(term, specification.table) for term in target.terms}
    of_clusters: frozenset[str] = frozenset()
    if target.cluster is not None:
        clusters = specification.table.clusters(target.cluster)
        of_clusters = frozenset(
            label
            for label, block in columns.items()
            if all(clusters.is_level2(column) for column in block.T)
        )
    two_level = target.cluster is not None and target.level == 1
    single = two_level and not target.groupings
    return Setting(
        target,
        "j" if target.level == 2 else ("ij" if single else "i"),
        of_clusters,
        {label: block.shape[1] for label, block in columns.items()},
        _groupings(target),
        two_level and _fixed_clusters(target),
    )


@dataclass(frozen=True, eq=False)
class Writer:
    """Writes linear predictors, and then the distribution of the effects that are in them.

    Attributes
    ----------
    setting
        What the symbols depend on.
    names
        Names of columns by the characters that stand for them, as no name is LaTeX.
    effects
        Effects by cluster written so far, by grouping and random part.
    vectors
        Random parts with an effect that is a vector, as that of a category is.
    """

    setting: Setting
    names: dict[str, str] = field(default_factory=dict)
    effects: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    vectors: set[tuple[int, int]] = field(default_factory=set)

    def name(self, text: str) -> str:
        """Character for a name, from a range that Unicode leaves to private use."""
        known = {name: character for character, name in self.names.items()}
        character = known.get(text, chr(0xF0000 + len(self.names)))
        self.names[character] = text
        return character

    def predictor(
        self,
        equation: str = "outcome",
        letters: tuple[str, str] = ("β", "b"),
        intercept: bool = True,
        by: str = "",
    ) -> str:
        """Write the sum of the terms that an equation has.

        Parameters
        ----------
        equation
            Only its terms, and those of both equations.
        letters
            Of coefficients, and of effects by cluster.
        intercept
            Whether there is one; cutpoints take its place otherwise.
        by
            A further index of all parameters, for the category.
        """
        groupings = self.setting.groupings
        numbers = [itertools.count(int(grouping.intercept)) for grouping in groupings]
        coefficients = itertools.count(1)
        first = self._first(letters, intercept, by)
        summands = [_sum(first)] if first else []
        terms = [t for t in self.setting.target.terms if t.equation in ("both", equation)]

        def slope(term: Term, *further: str) -> str:
            letter = rf"\mathbf{{{letters[0]}}}" if self._wide(term) else letters[0]
            return _sum([f"{letter}_{{{next(coefficients)}{by}}}", *further])

        for term in terms:
            varying = [
                self._effect(letters[1], g, next(numbers[g]), by, part, self._wide(term))
                for g, grouping in enumerate(groupings)
                for label, part in grouping.slopes
                if label == term.label
            ]
            if term.fixed or varying:
                factor = slope(term, *varying) if term.fixed else _sum(varying)
                summands.append(self._product(term, factor, self._value(term)))
        summands += [self._product(t, slope(t), mean) for t, mean in self._means(terms)]
        return PLUS.join(summands) or "0"

    def function(self, letter: str, intercept: bool = True, by: str = "") -> str:
        """Write a function of all predictors, beside intercept and intercepts by cluster.

        Parameters
        ----------
        letter
            Of the function.
        intercept
            Whether there is one; cutpoints take its place otherwise.
        by
            A further index of all parameters, for the category.
        """
        terms = self.setting.target.terms
        arguments = [self._value(term) for term in terms if term.fixed]
        arguments += [mean for _, mean in self._means(terms)]
        index = f"_{{{by}}}" if by else ""
        function = f"{letter}{index}({', '.join(arguments)})"
        return PLUS.join([*self._first(("β", "b"), intercept, by), function])

    def _first(self, letters: tuple[str, str], intercept: bool, by: str) -> list[str]:
        """Write the intercepts: of all, by cluster, and of clusters with coefficients."""
        groupings = enumerate(self.setting.groupings)
        return [
            *([f"{letters[0]}_{{0{by}}}"] if intercept else []),
            *(self._effect(letters[1], g, 0, by) for g, each in groupings if each.intercept),
            *([f"α_{{j{by}}}"] if self.setting.fixed_clusters else []),
        ]

    def _effect(
        self, letters: str, position: int, number: int, by: str, part: int = 0, wide: bool = False
    ) -> str:
        """Write an effect by the clusters of a grouping, and note it."""
        if by or wide:
            self.vectors.add((position, part))
        letter = LETTERS[letters][position]
        letter = rf"\mathbf{{{letter}}}" if wide else letter
        index = self.setting.index(self.setting.groupings[position])
        symbol = f"{letter}_{{{number}{index}{by}}}"
        self.effects.setdefault((position, part), []).append(symbol)
        return symbol

    def _means(self, terms: Sequence[Term]) -> Iterator[tuple[Term, str]]:
        """Write the cluster means that predict."""
        for grouping in self.setting.target.effects:
            for term in terms:
                if term.label in grouping.means:
                    yield term, self._mean(term, self.setting.index(grouping))

    def effects_by_cluster(self, further: str, block: str, by: str) -> list[str]:
        """Distribution of the effects of each random part, a line each.

        Parameters
        ----------
        further
            What else varies with the intercept, around its population mean.
        block
            Variables imputed together, whose effects are correlated.
        by
            Index of categories, if effects are of each.
        """
        lines = []
        groupings = self.setting.groupings
        for (position, part), effects in self.effects.items():
            parts = [other for g, other in self.effects if g == position]
            of_part = str(part) if len(parts) > 1 or part else ""
            if len(self.setting.target.effects) > 1:
                name = self.name(groupings[position].name)
                of_part = f"{name},{of_part}" if of_part else name
            of_part = f"_{{{of_part}}}" if of_part else ""
            if further:
                index = self.setting.index(groupings[position])
                further = re.sub("_[jklmno](?![a-z])", f"_{index}", further)
            shown = effects if len(effects) <= 4 else [*effects[:2], r"\ldots", effects[-1]]
            shown = [*shown, further] if further and part == 0 else shown
            shown = [*shown, rf"\text{{all }}{by}"] if by else shown
            left = shown[0] if len(shown) == 1 else f"({', '.join(shown)})"
            mean, spread = r"\mathbf{0}", f"Ψ{of_part}"
            if further and part == 0:
                mean = r"\text{their population means}"
            elif len(shown) == 1 and not block and (position, part) not in self.vectors:
                mean, spread = "0", f"τ{of_part}^2"
            lines.append(rf"{left}{block} \sim N({mean}, {spread})")
        return lines

    def _wide(self, term: Term) -> bool:
        return self.setting.widths.get(term.label, 1) > 1

    def _product(self, term: Term, slope: str, value: str) -> str:
        """Coefficient times value; of vectors the scalar product."""
        return rf"{slope}^\top\,{value}" if self._wide(term) else rf"{slope}\,{value}"

    def _value(self, term: Term) -> str:
        """Value of a term with its index; at level 2 the mean of what varies in clusters."""
        constant = term.label in self.setting.of_clusters
        if self.setting.target.level == 2 and not constant:
            return self._mean(term)
        factors = self._factors(term)
        inside = f"({factors})" if len(term.factors) > 1 else factors
        return f"{inside}_{{{'j' if constant else self.setting.row}}}"

    def _mean(self, term: Term, index: str = "j") -> str:
        return rf"\operatorname{{mean}}({self._factors(term)})_{index}"

    def _factors(self, term: Term) -> str:
        return r"\cdot ".join(map(self.name, term.parts))


def _sum(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({' + '.join(parts)})"


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
