"""One visual grammar: observed is blue, imputed vermillion, drawn from a prior green."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.errors import SpecificationError
from bayesimpute.wording import nearest, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008), Color Universal Design; they also differ in lightness, for print in grey.
OBSERVED = "#0072B2"
IMPUTED = "#D55E00"
PRIOR = "#009E73"
GREY = "#555555"
#: What is missing is what will be imputed.
MISSING = IMPUTED
#: Where observed cells are areas beside missing ones: the same blue, lighter, so that the gaps are
#: what is seen first, in grey print too.
OBSERVED_AREA = "#9CC6E0"
#: Colours of the column `seen` of a tidy frame, as seaborn takes them.
PALETTE = {"observed": OBSERVED, "imputed": IMPUTED}
#: For values on both sides of zero: Color Brewer, safe for colour-blind readers, and neither of
#: the two colours that mean observed and imputed.
DIVERGING = "PRGn"
#: Width of a character on average, in font sizes, and the fewest that are left of a name.
CHARACTER, SHORTEST = 0.55, 6


def subplots(
    rows: int, columns: int, figsize: tuple[float, float], **options: Any
) -> "tuple[Figure, np.ndarray]":
    """Make a figure and its axes (rows, columns), shown once in notebooks and by ``plt.show()``."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        rows, columns, figsize=figsize, squeeze=False, layout="constrained", **options
    )
    if "inline" in mpl.get_backend():
        plt.close(figure)  # a notebook shows the returned figure; left open it would come twice
    return figure, axes


def tidy(ax: "Axes") -> None:
    """Remove what carries no information: upper and right frame; small grey ticks."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(colors=GREY, labelsize=8)
    # a power of ten that ticks leave out stands above them, and not above the panel, as legends do
    ax.yaxis.get_offset_text().set(x=-0.01, horizontalalignment="right", fontsize=8, color=GREY)


def literal(text: Any) -> str:
    r"""Text that matplotlib draws as it is: a dollar in a name begins no formula.

    Examples
    --------
    >>> print(literal("US$, CA$"))
    US\$, CA\$
    """
    return visible(text).replace("$", r"\$")


def cut(text: str, most: int = 18) -> str:
    """Cut out the middle of a long name: what tells names apart is at their start or end.

    Examples
    --------
    >>> cut("satisfaction with travel, 2021", 16)
    'satisfacti… 2021'
    """
    if len(text) <= most:
        return text
    tail = (most - 1) // 3 if most > 12 else 0  # of very few characters the start says more
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def cut_apart(names: Sequence[str], most: int = 18) -> list[str]:
    """Cut names as `cut`; of those that would read the same, what they share is cut out.

    Examples
    --------
    >>> cut_apart(["did you like it in 2020, at home", "did you like it in 2021, at home"])
    ['did y…0, at home', 'did y…1, at home']
    """
    texts = [cut(name, most) for name in names]
    same: dict[str, list[int]] = {}
    for k, text in enumerate(texts):
        same.setdefault(text, []).append(k)
    for at in same.values():
        first, last = (end(names[k] for k in at) for end in (min, max))
        if first != last:
            pairs = enumerate(zip(first, last, strict=False))
            start = next((k for k, (a, b) in pairs if a != b), len(first))
            for k in at:
                texts[k] = cut(f"{names[k][:5]}…{names[k][start:]}", most)
    return texts


def letters(inches: float, size: float) -> int:
    """Characters that a line of so many inches holds in a font of so many points."""
    return max(int(72 * inches / (CHARACTER * size)), SHORTEST)


def fitted(text: Any, size: float, inches: float) -> str:
    """Text as `literal`, cut to what a line of so many inches holds in a font of so many points."""
    return literal(cut(visible(text), letters(inches, size)))


def title(ax: "Axes", text: Any, size: float = 11, **options: Any) -> None:
    """Write a title above the left end of the panel that is no longer than the panel is wide."""
    ax.set_title(fitted(text, size, extent(ax)[0]), fontsize=size, loc="left", **options)


def extent(ax: "Axes") -> tuple[float, float]:
    """Width and height of a panel in inches."""
    box = ax.get_window_extent()
    dpi = ax.figure.dpi
    return box.width / dpi, box.height / dpi


def lay_out(figure: "Figure") -> None:
    """Give panels the room that their texts leave them."""
    engine = figure.get_layout_engine()
    if engine is None:
        figure.draw_without_rendering()
    else:  # as drawing begins
        engine.execute(figure)
        for ax in figure.axes:
            ax.apply_aspect()


def tones(base: str, low: float, high: float, n: int) -> list[tuple[float, float, float]]:
    """Give n tones of a colour: mixed with black by up to −low, with white by up to high."""
    from matplotlib.colors import to_rgb

    own = np.array(to_rgb(base))
    steps = np.linspace(low, high, n) if n > 1 else np.zeros(1)
    mixed = [own * (1 + step) if step < 0 else own + (1 - own) * step for step in steps]
    return [(float(r), float(g), float(b)) for r, g, b in mixed]


def shades(n: int) -> list[tuple[float, float, float]]:
    """Give n tones of the imputed colour, light to dark, so that single chains can be followed."""
    return tones(IMPUTED, -0.55, 0.45, n)[::-1]


def check_imputed(name: str, imputed: Iterable[str], columns: Iterable[str]) -> None:
    """Raise unless a variable was imputed.

    Raises
    ------
    SpecificationError
        Naming the nearest column, or the variables that were imputed.
    """
    imputed, columns = list(imputed), list(columns)
    if name in imputed:
        return
    if name in columns:
        raise SpecificationError(
            f"Variable {name!r} was not imputed; imputed were {', '.join(imputed) or 'none'}."
        )
    raise SpecificationError(f"There is no variable {name!r} in the data{nearest(name, columns)}")
