"""Figures inside the page: SVG where it is small, else PNG; the same bytes every time."""

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from bayesimpute.errors import BayesimputeError
from bayesimpute.html import Html, tag
from bayesimpute.report.content import note

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Bytes up to which a drawing stays a drawing; one of many thousand points becomes a picture.
LARGEST_SVG = 150_000
#: Dots per inch of pictures: sharp in print at the size they have on the page.
DPI = 160


def picture(draw: "Callable[[], Figure]", words: str) -> Html:
    """Draw a figure and put it into the page.

    Parameters
    ----------
    draw
        Makes the figure, by default settings of matplotlib whatever those of the session are.
    words
        What it shows, for those who do not see it, and as its caption.

    Returns
    -------
    Html
        A ``figure``; a note where the plot says that it cannot be drawn.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt
    from matplotlib import style

    ours = {"svg.hashsalt": "bayesimpute", "svg.fonttype": "path", "figure.dpi": 100}
    with mpl.rc_context(), style.context(["default", ours]), plt.ioff():
        try:
            figure = draw()
        except BayesimputeError as error:
            return note(f"{words}: not drawn. {error}")
        try:
            kind, data = _bytes(figure)
            width = figure.get_size_inches()[0]
        finally:
            plt.close(figure)
    source = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
    image = tag_void("img", src=source, alt=words, style=f"width:{width:.2f}in")
    return tag("figure", image, tag("figcaption", words))


def tag_void(name: str, **attributes: str) -> Html:
    """Element without content."""
    return Html(tag(name, **attributes).removesuffix(f"</{name}>"))


def _bytes(figure: "Figure") -> tuple[str, bytes]:
    """Media type and content."""
    drawing = io.BytesIO()
    figure.savefig(drawing, format="svg", metadata={"Date": None, "Creator": None})
    if drawing.tell() <= LARGEST_SVG:
        return "image/svg+xml", drawing.getvalue()
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=DPI, metadata={"Software": None})
    return "image/png", image.getvalue()
