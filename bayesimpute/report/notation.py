"""Each conditional model in mathematical notation: its equations, with all that is random."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.html import Html, join, tag
from bayesimpute.method import words_of
from bayesimpute.registry import resolve
from bayesimpute.report.mathml import (
    Piece,
    between,
    called,
    count,
    listed,
    math,
    operator,
    plus,
    row,
    sub,
    subsup,
    sup,
    symbol,
    vector,
    words,
)  # fmt: skip
from bayesimpute.report.predictor import (
    Effect,
    Predictor,
    Setting,
    indexed,
    indices,
    linear_predictor,
    setting_of,
)  # fmt: skip
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.wrappers.base import innermost

#: Letters that fit on a line; longer sums go on below.
LINE = 90

type Line = list[Piece]


@dataclass(frozen=True, eq=False)
class Model:
    """What the equations of a method are written from."""

    setting: Setting
    name: Piece
    categories: tuple[Any, ...]
    options: Mapping[str, Any]
    ordered: bool
    linked: tuple[str, ...]


def equation_lines(specification: Specification, name: str) -> list[list[Line]] | None:
    """Equations of a target, each in the lines it takes; None for a method without any.

    A model builder of the user's own has equations that only its author knows.
    """
    target = specification.targets[name]
    if not isinstance(target, Target):
        return None
    words = words_of(resolve(innermost(target.method)))
    write = None if words is None else WRITERS.get(words.notation)
    if write is None:
        return None
    variable = specification.table.variables[name]
    kind = target.kind or variable.kind
    categories: tuple[Any, ...] = variable.categories
    if not categories and kind is not Kind.NUMERIC:
        values = specification.table.values[name]
        categories = tuple(f"{v:g}" for v in np.unique(values[~np.isnan(values)]))
    setting = setting_of(specification, target)
    ordered, linked = kind is not Kind.NUMERIC, words.linked if words else ()
    model = Model(setting, symbol(name), categories, target.options, ordered, linked)
    return write(model)


def equations_html(specification: Specification, name: str, text: str) -> Html:
    """Equations of a target as MathML, `text` read aloud in their place; empty without any."""
    equations = equation_lines(specification, name)
    if equations is None:
        return Html("")
    drawn = []
    for k, lines in enumerate(equations):
        for number, line in enumerate(lines):
            look = "line more" if number else "line"
            spoken = (text if k == 0 else "") if number == 0 else ""
            drawn.append(tag("div", math(line, spoken or None), class_=look))
    return tag("div", join(drawn), class_="equations")


def _broken(left: Line, relation: str, summands: Sequence[Piece]) -> list[Line]:
    """Lines of ``left = a + b + …``, broken before a plus sign."""
    lines: list[Line] = [[*left, operator(relation)]]
    used = sum(piece.width for piece in lines[0])
    for k, summand in enumerate(summands):
        if used + summand.width > LINE and k:
            lines.append([])
            used = 4.0
        if k:
            lines[-1].append(plus())
        lines[-1].append(summand)
        used += summand.width + 3
    return lines


def _normal(mean: Piece, variance: Piece) -> Piece:
    return called("N", mean, variance)


def _zero() -> Piece:
    return count(0)


def _square(letter: str, *index: Piece) -> Piece:
    if not index:
        return sup(symbol(letter), count(2))
    return subsup(symbol(letter), row(*index), count(2))


def _by_part(*predictors: Predictor) -> dict[int, list[Effect]]:
    """Effects by cluster of each random part, over several predictors."""
    found: dict[int, list[Effect]] = {}
    for predictor in predictors:
        for effect in predictor.effects:
            found.setdefault(effect.part, []).append(effect)
    return found


def _pieces(effects: Sequence[Effect]) -> list[Piece]:
    return [effect.piece for effect in effects]


def _effects(parts: Mapping[int, Sequence[Effect]]) -> list[list[Line]]:
    """Distribution of the effects by cluster, those of each random part by themselves."""
    lines: list[list[Line]] = []
    for part, effects in parts.items():
        index = [count(part)] if len(parts) > 1 or part else []
        shown = _pieces(effects)
        shown = shown if len(shown) <= 4 else [shown[0], shown[1], words("…"), shown[-1]]
        left = shown[0] if len(shown) == 1 else between("(", listed(shown), ")")
        if len(effects) == 1 and not effects[0].wide:
            spread = _normal(_zero(), _square("τ", *index))
        else:
            spread = _normal(vector("0"), _psi(index))
        lines.append([[left, operator("∼"), spread]])
    return lines


def _psi(index: Sequence[Piece]) -> Piece:
    return sub(symbol("Ψ"), *index) if index else symbol("Ψ")


def _error(m: Model) -> Piece:
    return indexed(m.setting, symbol("ε"))


def _gaussian(m: Model) -> list[list[Line]]:
    predictor = linear_predictor(m.setting)
    y = indexed(m.setting, m.name)
    lines = [_broken([y], "=", [*predictor.summands, _error(m)]), *_effects(_by_part(predictor))]
    by_cluster = bool(m.options.get("heteroscedastic")) and m.setting.grouped
    variance = _square("σ", symbol("j")) if by_cluster else _square("σ")
    lines.append([[_error(m), operator("∼"), _normal(_zero(), variance)]])
    if by_cluster:
        log = row(symbol("log"), operator("\u2009", False), sub(symbol("σ"), symbol("j")))
        centre = row(symbol("log"), operator("\u2009", False), symbol("σ"))
        lines.append([[log, operator("∼"), _normal(centre, _square("ω"))]])
    return lines


def _robust(m: Model) -> list[list[Line]]:
    predictor = linear_predictor(m.setting)
    scaled = row(symbol("σ"), operator("\u2009", False), indexed(m.setting, symbol("t")))
    y = indexed(m.setting, m.name)
    student = called("Student", symbol("ν"))
    return [
        _broken([y], "=", [*predictor.summands, scaled]),
        *_effects(_by_part(predictor)),
        [[indexed(m.setting, symbol("t")), operator("∼"), student]],
    ]


def _bounds(m: Model) -> tuple[Piece, Piece]:
    low, high = m.options.get("lower"), m.options.get("upper")
    return (
        words("−∞" if low is None else f"{low:g}"),
        words("∞" if high is None else f"{high:g}"),
    )


def _truncated(m: Model) -> list[list[Line]]:
    predictor = linear_predictor(m.setting)
    y, mean = indexed(m.setting, m.name), indexed(m.setting, symbol("μ"))
    low, high = _bounds(m)
    given = row(low, operator("≤"), y, operator("≤"), high)
    return [
        [[y, operator("∼"), _normal(mean, _square("σ")), words("  given "), given]],
        _broken([mean], "=", predictor.summands),
        *_effects(_by_part(predictor)),
    ]


def _star(m: Model) -> Piece:
    return subsup(m.name, row(*indices(m.setting)), operator("*", False))


def _censored(m: Model) -> list[list[Line]]:
    predictor = linear_predictor(m.setting)
    y, mean = indexed(m.setting, m.name), indexed(m.setting, symbol("μ"))
    low, high = _bounds(m)
    cut = called("min", called("max", _star(m), low), high)
    return [
        [[y, operator("="), cut]],
        [[_star(m), operator("∼"), _normal(mean, _square("σ"))]],
        _broken([mean], "=", predictor.summands),
        *_effects(_by_part(predictor)),
    ]


def _chance(m: Model, relation: str, value: Piece) -> Piece:
    return called("P", row(indexed(m.setting, m.name), operator(relation), value))


def _logistic(m: Model) -> list[list[Line]]:
    predictor = linear_predictor(m.setting)
    label = words(f"“{m.categories[-1]}”" if m.categories else "1")
    left = [symbol("logit"), operator("\u2009", False), _chance(m, "=", label)]
    return [_broken(left, "=", predictor.summands), *_effects(_by_part(predictor))]


def _ordinal(m: Model) -> list[list[Line]]:
    predictor = linear_predictor(m.setting, intercept=False)
    eta, k = indexed(m.setting, symbol("η")), symbol("k")
    left = [symbol("logit"), operator("\u2009", False), _chance(m, "≤", k)]
    lines = [[[*left, operator("="), sub(symbol("c"), k), operator("−"), eta]]]
    summands = predictor.summands or [_zero()]
    return [*lines, _broken([eta], "=", summands), *_effects(_by_part(predictor))]


def _categorical(m: Model) -> list[list[Line]]:
    predictor = linear_predictor(m.setting, by="k")
    k = symbol("k")
    odds = tag(
        "mfrac", _chance(m, "=", k).markup, _chance(m, "=", words("reference")).markup
    )  # one fraction: nothing else here needs one
    left = [
        symbol("log"),
        operator("\u2009", False),
        Piece(odds, _chance(m, "=", words("reference")).width),
    ]
    parts = _by_part(predictor)
    lines = [_broken(left, "=", predictor.summands)]
    for part, effects in parts.items():
        each = between("(", listed([*map(row, _pieces(effects)), row(words("all "), k)]), ")")
        psi = _psi([count(part)] if len(parts) > 1 else [])
        lines.append([[each, operator("∼"), _normal(vector("0"), psi)]])
    return lines


def _linked_mean(m: Model, link: str, predictor: Predictor) -> list[Line]:
    left = [symbol(link), operator("\u2009", False), indexed(m.setting, symbol("μ"))]
    return _broken(left, "=", predictor.summands)


def _linked(m: Model) -> list[list[Line]]:
    predictor = linear_predictor(m.setting)
    y, mean = indexed(m.setting, m.name), indexed(m.setting, symbol("μ"))
    link, distribution, *further = m.linked
    return [
        [[y, operator("∼"), called(distribution, mean, *map(words, further))]],
        _linked_mean(m, link, predictor),
        *_effects(_by_part(predictor)),
    ]


def _negative_binomial(m: Model) -> list[list[Line]]:
    predictor = linear_predictor(m.setting)
    y, mean = indexed(m.setting, m.name), indexed(m.setting, symbol("μ"))
    multiplier = indexed(m.setting, symbol("g"))
    rate = row(mean, operator("\u2009", False), multiplier)
    gamma = called("Gamma", words("mean 1"), row(words("SD "), symbol("φ")))
    return [
        [[y, operator("∼"), called("Poisson", rate)]],
        [[multiplier, operator("∼"), gamma]],
        _linked_mean(m, "log", predictor),
        *_effects(_by_part(predictor)),
    ]


def _hazard(m: Model) -> list[list[Line]]:
    predictor = linear_predictor(m.setting)
    hazard = row(indexed(m.setting, symbol("h")), between("(", symbol("t"), ")"))
    left = [symbol("log"), operator("\u2009", False), hazard]
    baseline, *further = m.linked
    return [
        [[indexed(m.setting, m.name), words(" ends with hazard "), hazard]],
        _broken(left, "=", [*predictor.summands, words(baseline)]),
        *([[words(each)]] for each in further),
        *_effects(_by_part(predictor)),
    ]


def _sample(m: Model) -> list[list[Line]]:
    k, w = symbol("k"), symbol("w")
    share = row(count(1), operator("/", False), symbol("K"))
    dirichlet = called("Dirichlet", listed([share, words("…"), share]))
    return [
        [[_chance(m, "=", sub(symbol("v"), k)), operator("="), sub(w, k)]],
        [[between("(", listed([sub(w, count(1)), words("…"), sub(w, symbol("K"))]), ")"),
          operator("∼"), dirichlet]],
    ]  # fmt: skip


def _selection(m: Model, binary: bool = False, robust: bool = False) -> list[list[Line]]:
    grouped = m.setting.grouped
    outcome = linear_predictor(m.setting)
    seen = linear_predictor(m.setting, "selection", ("γ", "a"))
    rho_fixed = m.options.get("rho")
    spread = m.setting.target.random_intercept and bool(outcome.effects)  # of log σ and atanh ρ
    j = [symbol("j")] if spread else []
    sigma = sub(symbol("σ"), *j) if j else symbol("σ")
    rho = sub(symbol("ρ"), *j) if j else symbol("ρ")
    e, u = indexed(m.setting, symbol("e")), indexed(m.setting, symbol("u"))
    y = indexed(m.setting, m.name)
    if robust:
        root = Piece(tag("msqrt", indexed(m.setting, symbol("w")).markup), 4)
        e_term, u_term = row(e, operator("/", False), root), row(u, operator("/", False), root)
    else:
        e_term, u_term = e, u
    left = _star(m) if binary else y
    error = e_term if binary else row(sigma, operator("\u2009", False), e_term)
    lines = [_broken([left], "=", [*outcome.summands, error])]
    if binary:
        label = words(f"“{m.categories[-1]}”" if m.categories else "1")
        lines.append([[y, operator("="), label, words("  if "), left, operator(">"), _zero()]])
    score = indexed(m.setting, symbol("s"))
    lines.append(_broken([score], "=", [*seen.summands, u_term]))
    lines.append([[y, words(" is seen if "), score, operator(">"), _zero()]])
    correlation = words(f"{rho_fixed:g}") if rho_fixed is not None else rho
    lines.append(
        [[between("(", listed([e, u]), ")"), operator("∼"),
          called("N", vector("0"), row(words("SDs 1, correlation "), correlation))]]
    )  # fmt: skip
    if robust:
        half = row(symbol("ν"), operator("/", False), count(2))
        weight = indexed(m.setting, symbol("w"))
        lines.append([[weight, operator("∼"), called("Gamma", half, half)]])
    parts = _by_part(outcome, seen)
    if grouped and spread:
        further = []
        if not binary:
            further.append(row(symbol("log"), operator("\u2009", False), sigma))
        if rho_fixed is None:
            further.append(row(symbol("atanh"), operator("\u2009", False), rho))
        varying = listed([*_pieces(parts.pop(0)), *further])
        psi = _psi([count(0)] if parts else [])
        lines.append(
            [[between("(", varying, ")"), operator("∼"),
              called("N", words("their population means"), psi)]]
        )  # fmt: skip
    return lines + _effects(parts)


def _joint(m: Model) -> list[list[Line]]:
    predictor = linear_predictor(m.setting, intercept=not m.ordered)
    star, y = _star(m), indexed(m.setting, m.name)
    lines = [_broken([star], "=", [*predictor.summands, _error(m)])]
    if m.ordered:
        k = symbol("k")
        below = sub(symbol("c"), row(k, operator("−", False), count(1)))
        lines.append(
            [[y, operator("="), k, words("  if "), below, operator("<"), star, operator("≤"),
              sub(symbol("c"), k)]]
        )  # fmt: skip
    else:
        lines.append([[y, operator("="), star]])
    block = m.setting.target.block
    others = ", ".join(block)
    parts = _by_part(predictor)
    for part, effects in parts.items():
        of = [listed(_pieces(effects)), words(f" of {others}")] if len(parts) > 1 else []
        psi = _psi([count(part)] if of else [])
        lines.append(
            [[*(of or [words("effects of "), words(others)]), operator("∼"),
              _normal(vector("0"), psi)]]
        )  # fmt: skip
    lines.append(
        [[sub(symbol("ε"), *indices(m.setting)), words(f" of {others}"), operator("∼"),
          _normal(vector("0"), symbol("Σ"))]]
    )  # fmt: skip
    return lines


#: The ``notation`` of a method's words -> what writes it; without one the text is shown.
WRITERS: Mapping[str, Callable[[Model], list[list[Line]]]] = {
    "gaussian": _gaussian,
    "normal.robust": _robust,
    "normal.truncated": _truncated,
    "normal.censored": _censored,
    "logistic": _logistic,
    "ordinal": _ordinal,
    "categorical": _categorical,
    "linked": _linked,
    "negative_binomial": _negative_binomial,
    "hazard": _hazard,
    "sample": _sample,
    "heckman": _selection,
    "heckman.binary": lambda m: _selection(m, binary=True),
    "heckman.robust": lambda m: _selection(m, robust=True),
    "joint": _joint,
}
