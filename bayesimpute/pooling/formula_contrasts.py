"""Columns that stand for a categorical variable: indicators, and other contrasts by name."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import nearest
from bayesimpute.pooling.formula_arguments import bound, labels
from bayesimpute.specification.formula_terms import Factor

Array = NDArray[np.float64]

_CONTRAST = re.compile(r"\s*([\w.]+)\s*(?:\(\s*(?:(?:reference|base)\s*=\s*)?(.*?)\s*\))?\s*")
#: Other names of the same contrasts.
_ALIASES = {
    "contr.treatment": "Treatment",
    "contr.sum": "Sum",
    "contr.helmert": "Helmert",
    "contr.poly": "Poly",
}


@dataclass(frozen=True)
class Coding:
    """How categories become columns.

    Attributes
    ----------
    contrast
        ``"Treatment"``, ``"Sum"``, ``"Helmert"``, ``"Poly"`` or ``"Diff"``.
    reference
        Label of the category left out of treatment contrasts; None for the first.
    levels
        Labels in another order, or None.
    """

    contrast: str = "Treatment"
    reference: str | None = None
    levels: tuple[str, ...] | None = None


def coding_of(factor: Factor) -> Coding:
    """Read the arguments of C(), factor() and relevel().

    Raises
    ------
    AnalysisError
        An argument they have not, or a contrast that is not known.
    """
    if factor.function == "relevel":
        given = bound(factor, ("ref",))
        if "ref" not in given:
            raise AnalysisError(f"{factor.label}: relevel() needs ref, as relevel(x, ref = 'b').")
        return Coding(reference=labels(factor, "ref", given["ref"])[0])
    given = bound(factor, ("levels",) if factor.function == "factor" else ("contrast", "levels"))
    levels = labels(factor, "levels", given["levels"]) if "levels" in given else None
    match = _CONTRAST.fullmatch(given.get("contrast", "Treatment"))
    name = _ALIASES.get(match[1], match[1]) if match else given["contrast"]
    if match is None or name not in _CONTRASTS or (match[2] and name != "Treatment"):
        raise AnalysisError(
            f"{factor.label}: the contrast {given['contrast']!r} is not known"
            f"{nearest(name, [*_CONTRASTS, *_ALIASES])}"
        )
    reference = labels(factor, "reference", match[2])[0] if match[2] else None
    return Coding(name, reference, levels)


def contrast_columns(
    label: str, coding: Coding, levels: tuple[str, ...]
) -> tuple[tuple[str, ...], Array]:
    """Suffixes of the labels, and values (levels, columns)."""
    if coding.contrast != "Treatment":
        return _CONTRASTS[coding.contrast](levels)
    left_out = 0
    if coding.reference is not None:
        if coding.reference not in levels:
            raise AnalysisError(
                f"{label}: {coding.reference!r} is no category{nearest(coding.reference, levels)}"
            )
        left_out = levels.index(coding.reference)
    kept = [i for i in range(len(levels)) if i != left_out]
    return tuple(levels[i] for i in kept), np.eye(len(levels))[:, kept]


def _sum(levels: tuple[str, ...]) -> tuple[tuple[str, ...], Array]:
    values = np.vstack([np.eye(len(levels) - 1), -np.ones(len(levels) - 1)])
    return tuple(f"S.{level}" for level in levels[:-1]), values


def _helmert(levels: tuple[str, ...]) -> tuple[tuple[str, ...], Array]:
    n = len(levels)
    values = np.array([[-1.0 if i <= j else (j + 1.0) * (i == j + 1) for j in range(n - 1)]
                       for i in range(n)])  # fmt: skip
    return tuple(f"H.{level}" for level in levels[1:]), values


def _polynomial(levels: tuple[str, ...]) -> tuple[tuple[str, ...], Array]:
    n = len(levels)
    scores = np.arange(n) - (n - 1) / 2
    q, r = np.linalg.qr(np.vander(scores, n, increasing=True))
    names = (".Linear", ".Quadratic", ".Cubic", *(f"^{k}" for k in range(4, n)))
    return names[: n - 1], (q * np.sign(np.diagonal(r)))[:, 1:]


def _difference(levels: tuple[str, ...]) -> tuple[tuple[str, ...], Array]:
    n = len(levels)
    values = np.array([[(k / n if i >= k else k / n - 1) for k in range(1, n)] for i in range(n)])
    return tuple(f"D.{level}" for level in levels[:-1]), values


def _treatment(levels: tuple[str, ...]) -> tuple[tuple[str, ...], Array]:
    return levels[1:], np.eye(len(levels))[:, 1:]


_CONTRASTS: Mapping[str, Callable[[tuple[str, ...]], tuple[tuple[str, ...], Array]]] = {
    "Treatment": _treatment,
    "Sum": _sum,
    "Helmert": _helmert,
    "Poly": _polynomial,
    "Diff": _difference,
}
