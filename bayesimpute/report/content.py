"""What the sections are made from: the run and its analyses, small parts, and pictures."""

import base64
import io
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bayesimpute.analysis import Fits, fit
from bayesimpute.diagnose.diagnosis import diagnose
from bayesimpute.errors import AnalysisError, BayesimputeError, ImputationWarning
from bayesimpute.explore.missing_model import missing_tests
from bayesimpute.html import Html, table, tag
from bayesimpute.pooling.formula_design import check_formula
from bayesimpute.pooling.pooled import Pooled
from bayesimpute.posterior.fitting import PosteriorFits
from bayesimpute.result.restored import assigned
from bayesimpute.result.run import Run
from bayesimpute.specification.latent_means import latent_means
from bayesimpute.specification.specification import Specification, Target

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from bayesimpute.findings import Findings


#: Pairs of variables up to which missingness is tested; each takes a millisecond.
MOST_TESTS = 1500
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
    reasons, assumptions
        What the authors say of why values are missing, and of why the assumption is plausible.
    sensitivity
        Label -> result of ``bi.sensitivity``.
    """

    run: Run
    analyses: Mapping[str, Any]
    checks: bool
    written_at: str
    reasons: str | None = None
    assumptions: str | None = None
    sensitivity: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def pooled(self) -> Mapping[str, Any]:
        """The analyses, pooled where they are not."""
        return {label: pooled_of(each) for label, each in self.analyses.items()}

    def formula_columns(self, analysis: Any) -> list[str] | None:
        """Columns that the formula of an analysis of these imputations names, None without one."""
        fitted = isinstance(analysis, Fits) and analysis.formula
        if not fitted or len(analysis) != self.run.m:
            return None
        try:
            return list(check_formula(analysis.formula, self.run.specification.table.frame.columns))
        except AnalysisError:  # of columns that were derived later
            return None

    @cached_property
    def complete_cases(self) -> "Mapping[str, CompleteCases]":
        """Each formula that was fitted to these imputations, fitted to the rows complete in it."""
        given = self.run.specification.table.frame
        latent = latent_means(self.run.specification.table)
        found = {}
        for label, each in self.analyses.items():
            used = self.formula_columns(each)
            if used is not None and self.run.m > 1 and latent.keys().isdisjoint(used):
                rows = given.dropna(subset=used).reset_index(drop=True)
                found[label] = _complete_cases(each, rows)
        return found

    @cached_property
    def given(self) -> "pd.DataFrame":
        """The incomplete data, without columns that nobody gave: latent means, computed ones."""
        specification = self.run.specification
        added = [*latent_means(specification.table), *assigned(specification)]
        return specification.table.frame.drop(columns=added)

    @property
    def imputed(self) -> list[str]:
        """Columns of these data with imputed values."""
        return [name for name in self.run.history.variables if name in self.given]

    @cached_property
    def missing_tests(self) -> "pd.DataFrame | None":
        """Whether what is missing depends on other variables; None where there are too many."""
        specification, given = self.run.specification, self.given
        gone = int(given.isna().any().sum())
        if not gone or gone * given.shape[1] > MOST_TESTS:
            return None
        clusters = [name for name in groupings_of(specification) if name in given.columns]
        return missing_tests(given, clusters or None)

    @cached_property
    def findings(self) -> "Findings":
        """What ``imp.diagnose`` finds, with the analyses of these imputations."""
        return diagnose(self.run, [*filter(self._is_pooled, self.analyses.values())] or None)

    def _is_pooled(self, analysis: Any) -> bool:
        m = len(analysis) if isinstance(analysis, Fits) else getattr(analysis, "m", None)
        return isinstance(analysis, Fits | Pooled) and m == self.run.m > 1


@dataclass(frozen=True, eq=False)
class CompleteCases:
    """An analysis of the rows that are complete in it.

    Attributes
    ----------
    rows
        Their number.
    fits
        None if it could not be fitted.
    error
        Why not; else empty.
    """

    rows: int
    fits: Fits | None = None
    error: str = ""


def _complete_cases(fits: Fits, rows: "pd.DataFrame") -> CompleteCases:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImputationWarning)
            return CompleteCases(len(rows), fit([rows], fits.formula, **fits.options))
    except BayesimputeError as error:
        return CompleteCases(len(rows), error=str(error))


def pooled_of(analysis: Any, ci_prob: float = 0.95) -> Any:
    """Pool what is not: fits by Rubin's rules, posteriors by mixing them."""
    if isinstance(analysis, PosteriorFits):
        return analysis.pool(seed=0)
    if not isinstance(analysis, Fits):
        return analysis
    with warnings.catch_warnings():
        if len(analysis) == 1:  # complete cases: that nothing was imputed is the point
            warnings.filterwarnings("ignore", "Only one imputation", ImputationWarning)
        return analysis.pool(ci_prob=ci_prob)


def groupings_of(specification: Specification) -> list[str]:
    """Clusters that models have, each once."""
    return list(
        dict.fromkeys(
            name
            for target in specification.targets.values()
            if isinstance(target, Target)
            for name in (target.cluster, *(each.name for each in target.groupings))
            if name is not None
        )
    )


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


def seeds_of(run: Run) -> str:
    """Give the seed of a run, or those of several that were put together."""
    seeds = [str(each) for each in (run.seed, *run.history.further_seeds)]
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    return f"seeds {', '.join(seeds[:-1])} and {seeds[-1]}"


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


def grid(columns: Sequence[Any], rows: Iterable[Sequence[Any]], numeric: Any = None) -> Html:
    """Table that may be wider than the page, all columns but the first numeric by default."""
    right = range(1, len(columns)) if numeric is None else numeric
    return scroll(table(columns, rows, right))


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


def picture(draw: "Callable[[], Figure]", words: str, seen: str = "") -> Html:
    """Draw a figure and put it into the page.

    Parameters
    ----------
    draw
        Makes the figure, by default settings of matplotlib whatever those of the session are.
    words
        What it shows: its caption.
    seen
        What is to be seen in it, in numbers, for those who do not see it.

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
            kind, drawing = "image/svg+xml", io.BytesIO()
            figure.savefig(drawing, format="svg", metadata={"Date": None, "Creator": None})
            if drawing.tell() > LARGEST_SVG:
                kind, drawing = "image/png", io.BytesIO()
                figure.savefig(drawing, format="png", dpi=DPI, metadata={"Software": None})
            width = figure.get_size_inches()[0]
        finally:
            plt.close(figure)
    source = f"data:{kind};base64,{base64.b64encode(drawing.getvalue()).decode('ascii')}"
    spoken = f"{words}. {seen}" if seen else words
    image = Html(
        tag("img", src=source, alt=spoken, style=f"width:{width:.2f}in").removesuffix("</img>")
    )
    return tag("figure", image, tag("figcaption", words))
