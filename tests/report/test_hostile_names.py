"""Names from data do no harm, in a page, a notebook or a terminal: every class is met here."""

import ast
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesimpute as bi
from bayesimpute.checking.compare import ModelComparison
from bayesimpute.checking.overimputation import Overimputation
from bayesimpute.cli.show import describe
from bayesimpute.errors import warn
from bayesimpute.events import Event
from bayesimpute.explore.icc import IntraclassCorrelation
from bayesimpute.explore.missing_model import MissingModel
from bayesimpute.findings import Finding, Findings
from bayesimpute.plots.style import literal
from bayesimpute.pooling.model_tests import PooledTest
from bayesimpute.posterior.fitting import PosteriorFits
from bayesimpute.posterior.pooled import pool_posteriors
from bayesimpute.report import page as page_module
from bayesimpute.report.content import Content
from bayesimpute.sensitivity_grid import Sensitivity
from bayesimpute.simulate.calibration import Calibration
from bayesimpute.simulate.performance import Replicates
from bayesimpute.wording import one_line, visible
from tests.report.pages import Page

HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&lt;", "'", "{}", "{0.x}", "%s",
    "$", "</style>", "]]>", "-->", "javascript:alert(1)", "[red]", "[/]", "a`b", "<b onclick=x>",
    "|", "*a*", "[link](javascript:x)", "\x1b[2J\x1b]0;x\x07", "\u202eright", "\u200f", "\x9b1m",
    "\r", "\n!forged\n", "\u2028!forged", "\x08",
)  # fmt: skip
NAME = " ".join(HOSTILE)
#: Nothing of this may reach a screen or a page as it is.
STEERING = set("\x1b\x07\x08\x9b\r\u2028\u202e\u200f")
ROOT = Path(bi.__file__).parent


def table(**columns):
    return pd.DataFrame(columns, index=pd.Index([NAME], name=NAME))


def bare(cls, **attributes):
    """Object with only what its notebook form shows; nothing has to be sampled for it."""
    made = object.__new__(cls)
    for name, value in attributes.items():
        object.__setattr__(made, name, value)
    return made


def imputations():
    y = [None if k % 3 == 0 else float(k % 5) for k in range(20)]
    df = pd.DataFrame({NAME: y, "x": range(20)})
    return bi.impute(df, m=2, iterations=1, method="sample", seed=1, progress=False), df


def objects():
    imp, df = imputations()
    frames = [imp.complete(1), imp.complete(2)]
    fits = bi.fit(
        frames,
        lambda d: {
            "estimates": {NAME: d["x"].mean()},
            "std_errors": {NAME: 1.0},
            "variance_components": {NAME: 1.0},
        },
    )
    pooled = fits.pool()
    draws = np.random.default_rng(1).normal(size=(2, 200))
    posteriors = tuple(
        xr.DataTree.from_dict(
            {"posterior": xr.Dataset({NAME.replace("/", "|"): (("chain", "draw"), draws + k)})}
        )
        for k in range(100)
    )
    grid = pd.DataFrame({"rho": [-0.5, 0.5], "estimate": [-1.0, 1.0], "conf_low": [-2.0, 0.5]})
    grid["conf_high"] = grid["estimate"] + 1
    study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80)
    renamed = study.complete.rename(columns={"popular": NAME})
    named = pd.Series({NAME: 0.1})
    ranks = pd.DataFrame({NAME: np.arange(100) % 20})
    estimates = pd.DataFrame(
        {"replicate": [1, 2], "method": NAME, "term": NAME, "truth": 1.0, "estimate": [0.9, 1.1],
         "std_error": 0.1, "df": 10.0, "conf_low": 0.5, "conf_high": 1.5, "fmi": 0.1,
         "seconds": 1.0}
    )  # fmt: skip
    empty = pd.DataFrame({"replicate": [], "method": [], "error": [], "warning": []})
    finding = Finding("warning", NAME, NAME, NAME, NAME, NAME)
    return [
        imp, fits, fits[0], pooled, bi.compare_estimates({NAME: pooled}),
        PooledTest(1.0, 1.0, 5.0, 0.0, 0.1, NAME, 2, (NAME,), 3.0, (NAME,)),
        PosteriorFits(posteriors, NAME), pool_posteriors(posteriors),
        Findings.of([finding], NAME), bi.suggest_methods(df), Sensitivity(grid, NAME),
        bi.missing_pairs(df),
        bi.deduce(pd.DataFrame({"a<b>": [1.0, None], "x": [1.0, 2.0]}), "`a<b>` = x"),
        bare(IntraclassCorrelation, variable=NAME, cluster=NAME, method="normal", mean=0.1, sd=0.1,
             interval=(0.0, 0.2), conf_level=0.9, reml=0.1, anova=0.1, r_hat=1.0, ess=9.0,
             n_rows=3, n_clusters=2),
        bare(MissingModel, variable=NAME, cluster=NAME, table=table(mean=1.0),
             between=table(sd=1.0), n_rows=3, n_missing=1, n_left_out=0, conf_level=0.9,
             posterior=SimpleNamespace(divergences=0)),
        bare(ModelComparison, variable=NAME, unit="row", table=table(elpd=1.0, large_k=2.0),
             pointwise=table(a=1.0), imputations=2),
        bare(Overimputation, cells=table(a=1.0), table=table(coverage=1.0), level=0.9),
        bi.ampute(renamed, prop=0.3, seed=1),
        bi.simulate.SimulatedStudy(renamed, renamed, {NAME: 1.0}),
        bi.simulate.Selection({NAME: 1.0}, rho=0.5),
        bi.simulate.Scenario(pattern="systematic", options={NAME: NAME}),
        bare(Calibration, method=NAME, scenario=SimpleNamespace(pattern=NAME), ranks=ranks,
             draws=19, autocorrelation=named, level=0.01, seed=1),
        bare(Replicates, estimates=estimates, failures=empty, warnings=empty, methods=(NAME,),
             replicates=2, seed=1, conf_level=0.95),
        bi.delta("normal", -1, where=f"`{NAME.replace('`', '')}` > 0"), bi.by_group("normal", NAME),
        bi.squeeze(0, 1),
    ]  # fmt: skip


OBJECTS = objects()


def with_notebook_form():
    """Names of all classes of the package that define one, read from the source."""
    return {
        node.name
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
        and any(getattr(each, "name", "") == "_repr_html_" for each in node.body)
    }


def test_every_class_with_a_notebook_form_is_tried():
    tried = {base.__name__ for each in OBJECTS for base in type(each).__mro__}
    assert with_notebook_form() <= tried


@pytest.mark.parametrize("made", OBJECTS, ids=lambda each: type(each).__name__)
def test_hostile_names_stay_text(made):
    shown = made._repr_html_()
    assert not STEERING & set(shown)
    page = Page(f"<div>{shown}</div>")
    assert page.problems == [] and page.words.strip()
    assert not {"script", "img", "style", "b>"} & set(page.tags)
    assert "onclick=x>" not in shown and "<a<b>" not in shown
    if "alert" in shown and "…" not in page.words:
        assert "<script>alert(1)<" in page.words


@pytest.mark.parametrize("made", OBJECTS, ids=lambda each: type(each).__name__)
def test_hostile_names_steer_no_terminal(made):
    for shown in (repr(made), str(made)):
        assert not STEERING & set(shown)
        assert not any(line.startswith("!forged") for line in shown.splitlines())
        shown.encode()


@pytest.fixture(scope="module")
def everywhere():
    """A run whose column, cluster, categories, labels of clusters and monitor are hostile."""
    k = np.arange(60)
    df = pd.DataFrame({
        NAME: np.where(k % 3 == 0, np.nan, k % 7), "school" + NAME: [f"{NAME}{j % 6}" for j in k],
        "kind": pd.Series([f"{NAME}{j % 2}" for j in k]).where(k % 5 > 0),
    })  # fmt: skip
    return bi.impute(
        df, m=2, iterations=4, method="sample", cluster="school" + NAME, seed=1, progress=False,
        monitor={"mean " + NAME: lambda frame: float(frame[NAME].mean())},
    )  # fmt: skip


def test_a_report_of_hostile_names_shows_them_and_obeys_none(everywhere, monkeypatch):
    quick = tuple(each for each in page_module.SECTIONS if each.anchor != "priors")
    monkeypatch.setattr(page_module, "SECTIONS", quick)
    fits = everywhere.fit(lambda d: {"estimates": {NAME: 1.0}, "std_errors": {NAME: 0.1}})
    text = page_module.page(Content(everywhere, {NAME: fits}, False, "today"), NAME)
    page = Page(text)
    assert page.problems == [] and not STEERING & set(text)
    assert not {"script", "iframe"} & set(page.tags) and "onclick=x>" not in text
    assert page.words.count("<script>alert(1)</script>") > 10
    assert r"\x1b[2J\x1b]0;x\x07" in page.words and r"\u202eright" in page.words
    assert "[link](javascript:x)" in page.words  # as it is: this is no Markdown


def test_the_command_line_prints_no_name_that_steers_it(everywhere, capsys):
    describe(everywhere)
    print(everywhere.diagnose())
    shown = capsys.readouterr().out
    assert not STEERING & set(shown) and r"\x1b[2J" in shown
    assert not any(line.startswith("!forged") for line in shown.splitlines())


def test_errors_warnings_and_events_steer_no_terminal(everywhere):
    text = "\x1b[2J\u202e\x9b1m"
    for kind in (bi.DataError, bi.SpecificationError, bi.SamplingError, bi.WritingError):
        assert str(kind(text)) == r"\x1b[2J\u202e\x9b1m"
    with pytest.warns(bi.ImputationWarning) as told:
        warn(text)
    assert str(told[0].message) == r"\x1b[2J\u202e\x9b1m"
    assert Event("info", "imputation", NAME, "kept", text).message == r"\x1b[2J\u202e\x9b1m"
    assert not STEERING & set("".join(everywhere.events["message"]))
    assert visible("a\nb\ud800") == "a\nb\\ud800" and one_line("a\n\tb") == r"a\n\tb"
    assert literal("\x1b$") == r"\x1b\$"
