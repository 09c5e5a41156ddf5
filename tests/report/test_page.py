"""The page: complete in itself, harmless, the same bytes again, all or nothing."""

import os

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.analysis import fit
from bayesimpute.report import page as page_module
from bayesimpute.report.analyses import analyses
from bayesimpute.report.content import Content
from bayesimpute.report.models import priors
from bayesimpute.report.page import SECTIONS
from tests.report.pages import Page

EVIL = """<script src="http://evil.example/x.js">alert('&"')</script>"""


#: Priors take seconds to build.
QUICK = tuple(section for section in SECTIONS if section.anchor != "priors")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(page_module, "SECTIONS", QUICK)


def written(imputations, tmp_path, **arguments):
    path = imputations.report(tmp_path / "out.html", written_at="today", **arguments)
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def study():
    return bi.simulate.simulate_popularity(seed=1, schools=8, pupils=160)


@pytest.fixture(scope="module")
def analysed(study):
    """Two analyses, of complete cases and of three completed data sets."""
    frames = [study.complete.assign(popular=study.complete["popular"] + k / 9) for k in range(3)]
    formula = "popular ~ texp + sex + (1 | school)"
    return {
        "complete cases": fit([study.incomplete.dropna()], formula),
        EVIL: fit(frames, formula),
    }


def drawn(df, m=3, iterations=4, **arguments):
    """Imputations that need no compiler: observed values drawn again."""
    return bi.impute(
        df, m=m, iterations=iterations, method="sample", seed=1, progress=False, **arguments
    )


@pytest.fixture(scope="module")
def imputations():
    """Names and labels that would be markup, and mathematics to matplotlib."""
    n = 40
    labels = [EVIL, "a&b", "'c\""]
    df = pd.DataFrame(
        {
            "school": [EVIL + str(k % 4) for k in range(n)],
            "weight": np.arange(n) % 7,
            "<b>$y_1^2$": [None if k % 3 == 0 else float(k) for k in range(n)],
            EVIL: [None if k % 4 == 0 else labels[k % 3] for k in range(n)],
        }
    )
    return drawn(df, cluster="school")


@pytest.fixture(scope="module")
def text(imputations, analysed, tmp_path_factory):
    """One page of it, all sections but priors."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "SECTIONS", QUICK)
        return written(imputations, folder, analyses=analysed, title=EVIL)


def test_a_page_is_well_formed_and_loads_nothing(text):
    page = Page(text)
    assert page.problems == []
    for section in QUICK:
        if section.anchor not in (
            "selection",
            "checks",
            "sensitivity",
        ):  # nothing to say, not asked for
            assert section.anchor in page.ids and section.anchor in page.anchors
    assert len(page.images) >= 5 and all(image.startswith("data:image/") for image in page.images)
    assert {"math", "details", "table"} <= set(page.tags)


def test_names_and_labels_from_data_do_no_harm(text):
    page = Page(text)
    assert page.words.count(EVIL) >= 5  # title, heading, column, category, analysis
    assert "<b>$y_1^2$" in page.words and "<b>" not in text


@pytest.mark.usefixtures("quick")
def test_the_same_result_gives_the_same_bytes(imputations, analysed, text, tmp_path):
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    with mpl.rc_context({"font.size": 22, "axes.facecolor": "red"}):
        before, figures = dict(mpl.rcParams), plt.get_fignums()
        assert written(imputations, tmp_path, analyses=analysed, title=EVIL) == text
        assert dict(mpl.rcParams) == before and plt.get_fignums() == figures


def test_a_report_that_fails_leaves_the_old_one(imputations, tmp_path, monkeypatch):
    path = tmp_path / "out.html"
    path.write_text("old")

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    monkeypatch.setattr(page_module, "SECTIONS", ())
    with pytest.raises(OSError, match="disk full"):
        imputations.report(path)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["out.html"]


def test_a_folder_that_is_not_there_is_said_before_any_work(imputations, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere' to write 'x\.html'"):
        imputations.report(tmp_path / "nowhere" / "x.html")
    with pytest.raises(bi.WritingError, match="is a folder"):
        imputations.report(tmp_path)
    with pytest.raises(bi.SpecificationError, match=r"analyses=\['no label'\] must be a dict"):
        imputations.report(tmp_path / "x.html", analyses=["no label"])


def test_pooled_numbers_are_those_of_the_table(imputations, analysed):
    pooled = analysed[EVIL].pool().table
    page = Page(analyses(Content(imputations, analysed, False, "")))
    for column, places in {"estimate": 4, "fmi": 3, "riv": 3}.items():
        value = pooled.loc["texp", column]
        assert f"{value:.{places}f}" in page.words, column
    assert page.problems == []
    assert "icc(school)" in page.words and "Pooled over m = 3" in page.words
    assert "One data set" in page.words


def test_posteriors_and_objects_of_others_are_shown_without_their_scripts(imputations):
    rng = np.random.default_rng(1)

    class Foreign:
        def _repr_html_(self):
            return EVIL

        def __repr__(self):
            return EVIL

    given = {
        "posterior": bi.pool_posteriors(
            [{"texp": rng.normal(rng.normal(1, 0.05), 0.2, (2, 200))} for _ in range(30)], seed=1
        ),
        "table": pd.DataFrame({"estimate": [1.0], "conf_low": [0.0], "conf_high": [2.0]}, ["texp"]),
        "foreign": Foreign(),
    }
    page = Page(analyses(Content(imputations, given, False, "")))
    assert page.problems == [] and len(page.images) == 1 and EVIL in page.words
    assert "fmi" in page.words and "Side by side" in page.words


@pytest.mark.slow
def test_priors_are_those_of_the_result(study):
    imp = bi.impute(
        study.incomplete, cluster="school", method="normal", m=2, iterations=1, seed=1,
        progress=False,
    )  # fmt: skip
    page = Page(priors(Content(imp, {}, False, "")))
    assert page.problems == []
    for _, row in imp.priors("popular").iterrows():
        assert row["distribution"] in page.words


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_many_variables_and_imputations_stay_small(tmp_path):
    rng = np.random.default_rng(1)
    n = 300
    df = pd.DataFrame({f"v{k}": rng.normal(size=n) for k in range(40)})
    df = df.mask(rng.random(df.shape) < 0.2)
    df["school"], df["weight"] = np.arange(n) % 10, rng.normal(size=n)
    text = written(drawn(df, m=50), tmp_path)
    page = Page(text)
    assert page.problems == [] and len(text) < 10e6
    assert "Left out" in page.words and page.ids.count("values") == 1
