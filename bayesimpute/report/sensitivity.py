"""How far the answer depends on assumptions: results of ``bi.sensitivity``."""

from collections.abc import Mapping
from typing import Any

from bayesimpute.errors import SpecificationError
from bayesimpute.html import Html, frame, join
from bayesimpute.report.content import Content, paragraph, picture, scroll, subheading
from bayesimpute.report.methods import sensitivity_words

#: What a result of ``bi.sensitivity`` has.
PARTS = ("table", "tipping", "axes", "term", "null", "plot")


def check_sensitivity(given: Any) -> dict[str, Any]:
    """Results by label; of a single one its term.

    Raises
    ------
    SpecificationError
        If one is no such result.
    """
    if given is None:
        return {}
    several = isinstance(given, Mapping)
    found = {str(k): v for k, v in given.items()} if several else {"": given}
    for label, each in found.items():
        if not all(hasattr(each, part) for part in PARTS):
            what = f"sensitivity[{label!r}]" if several else "sensitivity="
            raise SpecificationError(
                f"report: {what} is {type(each).__name__}; give what bi.sensitivity(...) returns, "
                "or a dict of them by label."
            )
    return found if several else {f"of {given.term}": given}


def sensitivity(content: Content) -> Html:
    """Picture and table of each; empty without any."""
    parts = []
    said = sensitivity_words(content)
    for (label, each), words in zip(content.sensitivity.items(), said, strict=True):
        figure = picture(each.plot, f"Estimate of {each.term} by assumption, {label}", words)
        parts += [subheading(label), paragraph(words), figure, scroll(frame(each.table))]
    return join(parts)
