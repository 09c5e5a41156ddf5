"""``imp.report``: all sections in order, one page, one file."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

from bayesimpute.arguments import checked
from bayesimpute.files import check_target, place, write
from bayesimpute.html import Html, join, tag
from bayesimpute.report.analyses import analyses as analyses_section
from bayesimpute.report.analyses import check_sensitivity
from bayesimpute.report.analyses import sensitivity as sensitivity_section
from bayesimpute.report.content import Content, Section, counted, seeds_of
from bayesimpute.report.data import data, gaps, predictors
from bayesimpute.report.models import models, priors, selection
from bayesimpute.report.origin import events, origin
from bayesimpute.report.paper import methods, reporting
from bayesimpute.report.quality import chains, diagnosis, values
from bayesimpute.report.quality import checks as checks_section
from bayesimpute.result.restored import made_elsewhere, without_models
from bayesimpute.result.run import Run

#: In the order of the page.
SECTIONS = (
    Section("data", "Data", data),
    Section("gaps", "What is missing", gaps),
    Section("models", "Models", models),
    Section("priors", "Priors", priors),
    Section("predictors", "Predictors", predictors),
    Section("diagnosis", "Diagnosis", diagnosis),
    Section("convergence", "Convergence", chains),
    Section("values", "Observed and imputed values", values),
    Section("checks", "Checks of the models", checks_section),
    Section("selection", "Not missing at random", selection),
    Section("analyses", "Analyses", analyses_section),
    Section("sensitivity", "Sensitivity", sensitivity_section),
    Section("methods", "Methods, for a paper", methods),
    Section("reporting", "What to report", reporting),
    Section("events", "Events", events),
    Section("origin", "Reproduction", origin),
)

#: Those of models and chains, which imputations made elsewhere, or derived, do not have.
OF_MODELS = ("models", "priors", "predictors", "convergence", "checks", "selection", "origin")


@checked
def report(
    run: Run,
    path: str | PathLike[str],
    analyses: Mapping[str, Any] | None = None,
    title: str | None = None,
    *,
    checks: bool = False,
    reasons: str | None = None,
    assumptions: str | None = None,
    sensitivity: Any = None,
    written_at: str | None = None,
) -> Path:
    """Write one self-contained HTML page about an imputation.

    The page needs no network and has no scripts; pictures and styles are in it, equations are
    MathML. The file is written beside its final place and then renamed, so that an interrupted
    report leaves what was there before.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    path
        File to write; an existing one is replaced.
    analyses
        Label -> analysis: what ``imp.fit(…)`` gives (pooled here), a
        :class:`~bayesimpute.Pooled`, or a frame with estimate, conf_low and conf_high. Analyses
        of the complete cases or of other imputations may be among them.
    title
        Heading; by default what was imputed.
    checks
        Whether to add the checks that draw anew and so take time. Default False.
    reasons, assumptions
        Text of the authors: why values are missing, and what speaks for the assumption that the
        models make of it. They go into the paragraph for the Methods and the checklist of
        reporting items, where nothing is stated without them (default None).
    sensitivity
        What ``bi.sensitivity`` gave, or label -> result of several. Default None.
    written_at
        Time shown as that of the report; by default now, UTC. With a fixed text the same result
        gives the same bytes.

    Returns
    -------
    pathlib.Path
        Where it is.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    SpecificationError
        If `analyses` is no mapping, `sensitivity` no result of ``bi.sensitivity``, or the path is
        a folder.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> imp = bi.impute(study.incomplete, cluster="school", seed=1)  # doctest: +SKIP
    >>> fits = imp.fit("popular ~ texp + sex + (1 | school)")  # doctest: +SKIP
    >>> imp.report("out.html", analyses={"MAR": fits})  # doctest: +SKIP
    PosixPath('out.html')
    """
    path = place(path)
    check_target(path)
    now = datetime.now(UTC).isoformat(timespec="seconds") if written_at is None else written_at
    labelled = {str(label): analysis for label, analysis in (analyses or {}).items()}
    doubts = check_sensitivity(sensitivity)
    content = Content(run, labelled, checks, now, reasons, assumptions, doubts)
    write(path, page(content, title).encode())
    return path


def page(content: Content, title: str | None = None) -> str:
    """Whole page as text."""
    run = content.run
    targets = content.imputed
    what = ", ".join(targets) if len(targets) <= 4 else f"{len(targets)} variables"
    heading = f"Multiple imputation of {what}" if title is None else title
    without = without_models(run.specification)
    shown = [s for s in SECTIONS if s.anchor not in OF_MODELS or not without]
    built = [(section, section.build(content)) for section in shown]
    filled = [(section, inside) for section, inside in built if inside]
    contents = [
        tag("li", tag("a", section.title, href=f"#{section.anchor}")) for section, _ in filled
    ]
    body = [
        tag("h1", heading),
        _lead(content),
        tag("nav", tag("ol", *contents), aria_label="Contents"),
        *(
            tag("section", tag("h2", section.title), inside, id=section.anchor)
            for section, inside in filled
        ),
        tag("footer", f"bayesimpute {run.versions.get('bayesimpute', '')}. This page is "
            "complete in itself: it loads nothing and runs nothing."),
    ]  # fmt: skip
    head = [
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        # without this a browser asks the server, or the folder, for an icon
        Html('<link rel="icon" href="data:,">'),
        tag("title", heading),
        tag("style", Html(files("bayesimpute.report").joinpath("page.css").read_text("utf-8"))),
    ]
    parts = [tag("head", *head), tag("body", tag("main", *body))]
    return f"<!DOCTYPE html>\n{tag('html', *parts, lang='en')}\n"


def _lead(content: Content) -> Html:
    run = content.run
    n, columns = content.given.shape
    cells = sum(int(run.specification.where[name].sum()) for name in content.imputed)
    warned = sum(event.severity != "info" for event in run.history.events)
    noted = f" {counted(warned, 'warning')}: see Events." if warned else ""
    how = "chained equations of Bayesian models"
    if without_models(run.specification):
        how = "Bayesian models"
    elif run.specification.live is not None:
        how = "Bayesian models compatible with the analysis"
    how = f"by {how}, {counted(run.iterations, 'iteration')}"
    made = f"Imputed {run.created_at}"
    seed = f"; {seeds_of(run)}"
    if made_elsewhere(run.specification):
        how, made, seed = "made by another program", f"Taken in {run.created_at}", ""
    return join(
        [
            tag(
                "p",
                f"m = {run.m} imputations of {cells:,} cells in {n:,} rows and "
                f"{columns:,} columns, {how}.{noted}",
                class_="lead",
            ),
            tag("p", f"{made}; report {content.written_at}{seed}.", class_="note"),
        ]
    )  # fmt: skip
