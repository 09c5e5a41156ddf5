"""What it means that a column follows exactly from others, and how it is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bayesimpute.specification.expressions import quoted

#: Largest distance from an identity, as a share of its terms, that is rounding.
ROUNDING = 1e-8
#: The same where coefficients are shortened: no more than arithmetic itself leaves.
ARITHMETIC = 1e-13


@dataclass(frozen=True)
class Relation:
    """An identity found in the data.

    Attributes
    ----------
    text
        As people write it: ``"total = i1 + i2"``, ``"label ↔ code"``.
    expressions
        Column -> its value from the others; columns it cannot be solved for are not in it.
    names
        All columns of the identity, in column order.
    rows
        Rows in which all of them are known: it holds in every one.
    """

    text: str
    expressions: Mapping[str, str]
    names: tuple[str, ...]
    rows: int

    @property
    def is_code(self) -> bool:
        """Whether values are looked up one by one, and not calculated."""
        return any("where(" in each for each in self.expressions.values())


@dataclass(frozen=True)
class NearRelation:
    """Something that is nearly an identity, and so none.

    Attributes
    ----------
    target
        Column nearly given by the others.
    others
        These.
    r_squared
        Share of its variance they explain.
    deviating, rows
        Rows in which it deviates, of so many.
    """

    target: str
    others: tuple[str, ...]
    r_squared: float
    deviating: int
    rows: int


def linear_relation(
    names: Sequence[str], coefficients: np.ndarray, constant: float, x: np.ndarray
) -> Relation:
    """Write Σ coefficient × column + constant = 0, solved for each column.

    Parameters
    ----------
    names, coefficients, constant
        Of the equation; no coefficient is 0.
    x
        Rows in which it holds, (row, column).
    """
    solved = {}
    for k, name in enumerate(names):
        rest = [j for j in range(len(names)) if j != k]
        solved[name] = _solved(
            [names[j] for j in rest],
            -coefficients[rest] / coefficients[k],
            -constant / coefficients[k],
            x[:, rest],
            x[:, k],
        )
    # people put the sum on the left, and the shorter numbers
    first = min(solved, key=lambda name: (solved[name].count("-"), len(solved[name])))
    return Relation(f"{quoted(first)} = {solved[first]}", solved, tuple(names), len(x))


def _solved(
    names: Sequence[str], slopes: np.ndarray, constant: float, x: np.ndarray, y: np.ndarray
) -> str:
    """Right side for one column, in the shortest numbers that still give it exactly."""
    size = float((np.abs(x) @ np.abs(slopes) + abs(constant) + np.abs(y)).max())
    if abs(constant) < ROUNDING * size:
        constant = 0.0
    for digits in range(1, 16):
        shortest = [_short(float(slope), digits) for slope in slopes]
        rounded = float(f"{constant:.{digits}g}")
        values = sum((column / b if over else column * b) for column, (b, over) in
                     zip(x.T, shortest, strict=True))  # fmt: skip
        if np.abs(values + rounded - y).max() <= ARITHMETIC * size:
            return _written(names, shortest, rounded)
    return _written(names, [(float(slope), False) for slope in slopes], constant)


def _short(slope: float, digits: int) -> tuple[float, bool]:
    """Shorten a slope to so many digits, or its reciprocal (True) if that comes nearer."""
    plain, inverse = float(f"{slope:.{digits}g}"), float(f"{1 / slope:.{digits}g}")
    over = abs(1 / inverse - slope) < abs(plain - slope) * (1 - 1e-3)
    return (inverse, True) if over else (plain, False)


def _written(names: Sequence[str], slopes: Sequence[tuple[float, bool]], constant: float) -> str:
    text = ""
    for name, (number, over) in sorted(
        zip(names, slopes, strict=True), key=lambda part: part[1][0] < 0
    ):
        size = abs(number)
        part = quoted(name)
        if size != 1:
            part = f"{part} / {size:.17g}" if over else f"{_number(size)} * {part}"
            part = part.replace(f"{size:.17g}", _number(size))
        text += _signed(part, number < 0, bool(text))
    if constant:
        text += _signed(_number(abs(constant)), constant < 0, True)
    return text


def _signed(part: str, negative: bool, further: bool) -> str:
    if further:
        return f" - {part}" if negative else f" + {part}"
    return f"-{part}" if negative else part


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and value < 1e15 else repr(value)


def step_expression(source: str, values: np.ndarray, results: np.ndarray) -> str:
    """Expression that gives `results` for the ascending `values` of a column.

    Examples
    --------
    >>> step_expression("code", np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0]))
    'where(code < 2.5, 0, 1)'
    """
    if (results == results[0]).all():
        return _number(float(results[0]))
    changes = np.flatnonzero(np.diff(results)) + 1
    at = int(changes[len(changes) // 2])
    below = step_expression(source, values[:at], results[:at])
    above = step_expression(source, values[at:], results[at:])
    limit = _number(float((values[at - 1] + values[at]) / 2))
    return f"where({quoted(source)} < {limit}, {below}, {above})"
