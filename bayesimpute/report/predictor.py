"""The linear predictor of a conditional model as pieces of mathematics."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from bayesimpute.report.mathml import (
    Piece,
    between,
    called,
    count,
    operator,
    row,
    sub,
    subsup,
    sup,
    symbol,
    vector,
)  # fmt: skip
from bayesimpute.specification.screening import term_columns
from bayesimpute.specification.specification import Specification, Target, Term
from bayesimpute.wrappers.base import layers
from bayesimpute.wrappers.fixed_clusters import FixedClusters


@dataclass(frozen=True, eq=False)
class Setting:
    """What the symbols of one target's model depend on.

    Attributes
    ----------
    target
        The target.
    index
        ``("i",)`` for rows without clusters, ``("i", "j")``, or ``("j",)`` for clusters.
    of_clusters
        Labels of terms that never vary within clusters.
    widths
        Columns of each term in the design, by label; a category has several.
    grouped
        Whether the model has effects that vary by cluster.
    fixed_clusters
        Whether clusters have coefficients of their own instead.
    """

    target: Target
    index: tuple[str, ...]
    of_clusters: frozenset[str]
    widths: dict[str, int]
    grouped: bool
    fixed_clusters: bool


def setting_of(specification: Specification, target: Target) -> Setting:
    """Look up what the symbols of a model depend on."""
    of_clusters: frozenset[str] = frozenset()
    columns = {term.label: term_columns(term, specification.table) for term in target.terms}
    if target.cluster is not None:
        clusters = specification.table.clusters(target.cluster)
        of_clusters = frozenset(
            label
            for label, block in columns.items()
            if all(clusters.is_level2(column) for column in block.T)
        )
    two_level = target.cluster is not None and target.level == 1
    fixed = any(isinstance(layer, FixedClusters) for layer in layers(target.method))
    return Setting(
        target,
        ("j",) if target.level == 2 else (("i", "j") if two_level else ("i",)),
        of_clusters,
        {label: block.shape[1] for label, block in columns.items()},
        two_level and not fixed,
        two_level and fixed,
    )


def indices(setting: Setting) -> list[Piece]:
    """Index letters of a row of the model."""
    return [symbol(letter) for letter in setting.index]


def indexed(setting: Setting, *names: Piece) -> Piece:
    """Symbol with the index of a row."""
    return sub(row(*names) if len(names) > 1 else names[0], *indices(setting))


@dataclass(frozen=True, eq=False)
class Effect:
    """An effect by cluster.

    Attributes
    ----------
    piece
        How it is written.
    part
        Number of its random part; effects of different parts are independent.
    wide
        Whether it is a vector, as that of a category is.
    """

    piece: Piece
    part: int
    wide: bool


@dataclass(frozen=True, eq=False)
class Predictor:
    """One linear predictor.

    Attributes
    ----------
    summands
        The first without sign.
    effects
        The effects by cluster that are in it.
    """

    summands: list[Piece]
    effects: list[Effect] = field(default_factory=list)


def linear_predictor(
    setting: Setting,
    equation: str = "outcome",
    letters: tuple[str, str] = ("β", "b"),
    intercept: bool = True,
    by: str | None = None,
) -> Predictor:
    """Write a linear predictor summand by summand.

    Parameters
    ----------
    setting
        Of the target.
    equation
        Only its terms, and those of both equations.
    letters
        Of coefficients, and of effects by cluster.
    intercept
        Whether there is one; cutpoints take its place otherwise.
    by
        A further index of all parameters, for the category.
    """
    target = setting.target
    further = [symbol(by)] if by else []
    found = Predictor([])
    numbers = _count_up()
    coefficients = _count_up(1)

    def effect(wide: bool = False, part: int = 0) -> Piece:
        letter = vector(letters[1]) if wide else symbol(letters[1])
        piece = sub(letter, count(next(numbers)), symbol("j"), *further)
        found.effects.append(Effect(piece, part, wide))
        return piece

    def coefficient(wide: bool, number: int) -> tuple[Piece, Piece]:
        letter = vector(letters[0]) if wide else symbol(letters[0])
        return letter, row(count(number), *further)

    first = [sub(*coefficient(False, 0))] if intercept else []
    if setting.grouped and target.random_intercept:
        first.append(effect())
    if setting.fixed_clusters:
        first.append(sub(symbol("α"), symbol("j"), *further))
    if first:
        found.summands.append(_sum(first))
    terms = [term for term in target.terms if term.equation in ("both", equation)]
    for term in terms:
        wide = setting.widths.get(term.label, 1) > 1
        fixed = coefficient(wide, next(coefficients)) if term.fixed else None
        varying = effect(wide, term.random_part) if term.random and setting.grouped else None
        if fixed or varying:
            found.summands.append(_product(fixed, varying, wide, _value(setting, term)))
    for term in terms:
        if term.cluster_mean:
            wide = setting.widths.get(term.label, 1) > 1
            slope = coefficient(wide, next(coefficients))
            found.summands.append(_product(slope, None, wide, _mean(term)))
    return found


def _count_up(start: int = 0) -> Iterator[int]:
    while True:
        yield start
        start += 1


def _sum(parts: list[Piece]) -> Piece:
    if len(parts) == 1:
        return parts[0]
    return between("(", row(parts[0], operator("+"), *parts[1:]), ")")


def _product(
    fixed: tuple[Piece, Piece] | None, varying: Piece | None, wide: bool, value: Piece
) -> Piece:
    """Coefficient times value; of vectors the scalar product."""
    transposed = symbol("⊤", upright=True)
    if fixed and varying is None and wide:
        slope = subsup(*fixed, transposed)
    else:
        parts = [sub(*fixed)] if fixed else []
        slope = _sum([*parts, varying] if varying is not None else parts)
        slope = sup(slope, transposed) if wide else slope
    return row(slope, operator("\u2009", False), value)


def _value(setting: Setting, term: Term) -> Piece:
    """Value of a term with its index; at level 2 the cluster mean of what varies in clusters."""
    constant = term.label in setting.of_clusters
    if setting.target.level == 2 and not constant:
        return _mean(term)
    index = [symbol("j")] if constant else indices(setting)
    return sub(_name(term), *index)


def _mean(term: Term) -> Piece:
    return sub(called("mean", _name(term, bare=True)), symbol("j"))


def _name(term: Term, bare: bool = False) -> Piece:
    factors = [symbol(part) for part in term.label.split(":")]
    product: list[Piece] = []
    for factor in factors:
        product += [operator("·"), factor] if product else [factor]
    inside = row(*product) if len(product) > 1 else product[0]
    return inside if bare or len(factors) == 1 else between("(", inside, ")")
