"""Arguments of functions of formulas: numbers, truth values, labels, and how categories are coded.

Contrasts with a name of R (``contr.sum``) name their columns as R does, those with a name of
patsy (``Sum``) as patsy does; the numbers are the same, and patsy's.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.specification.expressions import unquoted
from bayesimpute.specification.formula_terms import Factor, split_at, tokens_of
from bayesimpute.wording import nearest

_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)L?")
_TRUTH = {"True": True, "TRUE": True, "T": True, "False": False, "FALSE": False, "F": False}


def bound(factor: Factor, names: tuple[str, ...]) -> Mapping[str, str]:
    """Texts of the arguments after the first, by name; `names` in their order.

    Raises
    ------
    AnalysisError
        An argument the function has not, or one given twice.
    """
    given = factor.arguments[1:]
    if len(given) > len(names):
        raise AnalysisError(f"{factor.label}: {factor.function}() takes one column and "
                            f"{', '.join(names) or 'nothing else'}.")  # fmt: skip
    found = dict(zip(names, given, strict=False))
    for name, text in factor.options:
        if name not in names:
            raise AnalysisError(
                f"{factor.label}: {factor.function}() has no argument {name!r}"
                f"{nearest(name, names) or '; a column is all it takes.'}"
            )
        if name in found:
            raise AnalysisError(f"{factor.label}: {name} is given twice.")
        found[name] = text
    return found


def whole(factor: Factor, name: str, text: str, least: int, most: int) -> int:
    """Whole number from `least` to `most`."""
    number = _number(text)
    if number is None or number != int(number) or not least <= number <= most:
        raise AnalysisError(
            f"{factor.label}: {name} is {text}; it must be a whole number from {least} to {most}."
        )
    return int(number)


def truth(factor: Factor, name: str, text: str) -> bool:
    """Read TRUE or FALSE, as R or Python write them."""
    if text.strip() not in _TRUTH:
        raise AnalysisError(f"{factor.label}: {name} is {text}; it is TRUE or FALSE.")
    return _TRUTH[text.strip()]


def numbers(factor: Factor, name: str, text: str) -> tuple[float, ...]:
    """One number, or several as c(1, 2) or [1, 2]."""
    found = [_number(part) for part in _parts(text)]
    known = [number for number in found if number is not None]
    if not found or len(known) < len(found):
        raise AnalysisError(f"{factor.label}: {name} is {text}; write numbers, such as c(1, 2).")
    return tuple(known)


def labels(factor: Factor, name: str, text: str) -> tuple[str, ...]:
    """Labels of categories, texts in quotation marks or numbers."""
    found = [_label(part) for part in _parts(text)]
    known = [label for label in found if label is not None]
    if not found or len(known) < len(found):
        raise AnalysisError(f"{factor.label}: {name} is {text}; write labels, such as c('a', 'b').")
    return tuple(known)


def _parts(text: str) -> list[str]:
    """Texts in a list, or the only one."""
    stripped = text.strip()
    for opening, closing in (("c(", ")"), ("[", "]"), ("(", ")")):
        if stripped.startswith(opening) and stripped.endswith(closing):
            inside = stripped[len(opening) : -len(closing)]
            parts = split_at(tokens_of(inside)[:-1], ",")
            return [inside[p[0].start : p[-1].end] if p else "" for p in parts]
    return [stripped]


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text.strip())
    number = float(match[1]) if match else math.inf
    return number if math.isfinite(number) else None


def _label(text: str) -> str | None:
    stripped = text.strip()
    if len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "\"'":
        return unquoted(stripped)
    return stripped if _number(stripped) is not None or stripped in _TRUTH else None


_QUOTED = re.compile(r"\s*(['\"])(contr\.\w+)\1\s*")
_CONTRAST = re.compile(r"\s*(?P<name>[\w.]+)\s*(?:\(\s*(?P<inside>.*?)\s*\))?\s*")
_OF_PATSY = re.compile(r"(?:reference\s*=\s*)?(?P<reference>.+)|")
_OF_R = re.compile(r"(?:n\s*=\s*)?(?P<n>\d+)?\s*(?:(?:^|,)\s*(?:base\s*=\s*)?(?P<base>\d+))?")
#: Contrasts, by patsy's names, whose matrices they have.
_CONTRASTS = ("Treatment", "Sum", "Helmert", "Poly", "Diff")
#: R's names of the same contrasts.
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
    base
        Place of the category left out, from 1, as R counts; None where it is not given.
    count
        Number of categories that the formula says there are, or None.
    as_in_r
        Whether columns are named as R names those of the contrast.
    """

    contrast: str = "Treatment"
    reference: str | None = None
    levels: tuple[str, ...] | None = None
    base: int | None = None
    count: int | None = None
    as_in_r: bool = False


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
        place = int(given["ref"]) if re.fullmatch("[0-9]+", given["ref"]) else None
        return Coding(reference=labels(factor, "ref", given["ref"])[0], base=place)
    known = ("levels",) if factor.function == "factor" else ("contrast", "levels")
    options = tuple(("contrast" if n == "contr" else n, text) for n, text in factor.options)
    given = bound(replace(factor, options=options), known)
    levels = labels(factor, "levels", given["levels"]) if "levels" in given else None
    return replace(_contrast(factor, given.get("contrast", "Treatment")), levels=levels)


def _contrast(factor: Factor, text: str) -> Coding:
    """Read Treatment('b'), "contr.sum" or contr.treatment(3, base = 2)."""
    written = _QUOTED.sub(r"\2", text)
    match = _CONTRAST.fullmatch(written)
    name = match["name"] if match else written
    as_in_r = name in _ALIASES
    inside = (_OF_R if as_in_r else _OF_PATSY).fullmatch((match and match["inside"]) or "")
    contrast = _ALIASES.get(name, name)
    told = {part: said for part, said in (inside.groupdict() if inside else {}).items() if said}
    treatment = contrast == "Treatment"
    if contrast not in _CONTRASTS or inside is None or not (treatment or told.keys() <= {"n"}):
        raise AnalysisError(
            f"{factor.label}: the contrast {text!r} is not known"
            f"{nearest(name, [*_CONTRASTS, *_ALIASES])}"
        )
    return Coding(
        contrast,
        labels(factor, "reference", told["reference"])[0] if "reference" in told else None,
        base=int(told["base"]) if "base" in told else None,
        count=int(told["n"]) if "n" in told else None,
        as_in_r=as_in_r,
    )


def contrast_columns(
    label: str, coding: Coding, levels: tuple[str, ...]
) -> tuple[tuple[str, ...], Array]:
    """Suffixes of the labels, and values (levels, columns)."""
    if coding.count not in (None, len(levels)):
        raise AnalysisError(
            f"{label}: there are {len(levels)} categories, not {coding.count}; leave the number "
            "out. The category left out is said by base = 2 or Treatment('b')."
        )
    if coding.contrast != "Treatment":
        import patsy

        made = getattr(patsy, coding.contrast)().code_without_intercept(list(levels))
        suffixes = tuple(re.sub(r"^\[(.*)\]$", r"\1", each) for each in made.column_suffixes)
        values = np.asarray(made.matrix, dtype=float)
        return _names_of_r(coding.contrast, suffixes) if coding.as_in_r else suffixes, values
    left_out = _left_out(label, coding, levels)
    kept = [i for i in range(len(levels)) if i != left_out]
    return tuple(levels[i] for i in kept), np.eye(len(levels))[:, kept]


def _left_out(label: str, coding: Coding, levels: tuple[str, ...]) -> int:
    """Index of the category that treatment contrasts leave out."""
    if coding.base is not None and not 1 <= coding.base <= len(levels):
        raise AnalysisError(f"{label}: there are {len(levels)} categories, so no {coding.base}.")
    if coding.reference is None:
        return 0 if coding.base is None else coding.base - 1
    if coding.reference not in levels:
        raise AnalysisError(
            f"{label}: {coding.reference!r} is no category{nearest(coding.reference, levels)}"
        )
    found = levels.index(coding.reference)
    if coding.base is not None and coding.base != found + 1:
        raise AnalysisError(
            f"{label}: without quotation marks R takes {coding.base} for a place and leaves out "
            f"{levels[coding.base - 1]!r}; write ref = {levels[coding.base - 1]!r} for that, or "
            f"ref = {coding.reference!r}."
        )
    return found


def _names_of_r(contrast: str, suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Give the suffixes of R: numbers, or .L, .Q, .C, ^4, … of polynomials."""
    if contrast == "Poly":
        return (".L", ".Q", ".C", *suffixes[3:])[: len(suffixes)]
    return tuple(str(k) for k in range(1, len(suffixes) + 1))
