"""Formulas of the site, as MathML that browsers draw themselves."""

from latex2mathml.converter import convert


def mathml(latex: str, display: str = "inline") -> str:
    """Write a formula as MathML, underscores of names as such, and ∼ as the relation it is."""
    drawn = convert(latex.replace(r"\_", "_"), display=display)
    return drawn.replace("<mi>&#x0007E;</mi>", "<mo>∼</mo>")
