"""What the sections are made from: the run and its analyses, small parts, and pictures."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bayesimpute.analysis import Fits
from bayesimpute.diagnose.diagnosis import diagnose
from bayesimpute.errors import BayesimputeError
from bayesimpute.html import Html, tag
from bayesimpute.pooling.pooled import Pooled
from bayesimpute.result.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bayesimpute.findings import Findings


#: Pictures of variables in one section; with more variables the rest is named.
MOST_PICTURES = 24


@dataclass(frozen=True, eq=False)
class Content:
    """What a report is about.

    Attributes
    ----------
    run
        The result of ``bi.impute``.
    analyses
        Label -> analysis, in the order they are shown.
    checks
        Whether the checks that draw anew are made.
    written_at
        Time of the report, or empty.
    """

    run: Run
    analyses: Mapping[str, Any]
    checks: bool
    written_at: str

    @cached_property
    def findings(self) -> "Findings":
        """What ``imp.diagnose`` finds, with the analyses of these imputations."""
        return diagnose(self.run, [*filter(self._is_pooled, self.analyses.values())] or None)

    def _is_pooled(self, analysis: Any) -> bool:
        m = len(analysis) if isinstance(analysis, Fits) else getattr(analysis, "m", None)
        return isinstance(analysis, Fits | Pooled) and m == self.run.m > 1


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes
    ----------
    anchor
        Its id.
    title
        Its heading.
    build
        Gives its content; empty if there is nothing to say.
    """

    anchor: str
    title: str
    build: Callable[[Content], Html]


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, in the plural unless it is one.

    Examples
    --------
    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def paragraph(*content: Any) -> Html:
    """Paragraph of text."""
    return tag("p", *content)


def note(*content: Any) -> Html:
    """Small print."""
    return tag("p", *content, class_="note")


def subheading(*content: Any) -> Html:
    """Heading within a section."""
    return tag("h3", *content)


def scroll(*content: Any) -> Html:
    """Content that may be wider than the page."""
    return tag("div", *content, class_="scroll")


def folded(summary: str, *content: Any) -> Html:
    """Content that opens on demand; printed all the same."""
    return tag("details", tag("summary", summary), *content)


def left_out(names: Sequence[str], what: str) -> Html:
    """Say which variables have no picture here, empty if all have."""
    if not names:
        return Html("")
    return note(f"Left out, to keep the page small: {what} of {', '.join(names)}.")


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
