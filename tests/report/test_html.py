"""The small HTML module, and how public objects introduce themselves in a notebook."""

import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute import html
from tests.report.pages import Page

EVIL = """<script>alert("x")</script> & 'y'"""


def test_text_is_escaped_once_and_markup_is_left_alone():
    inner = html.tag("b", EVIL)
    outer = html.tag("p", inner, title=EVIL)
    assert "<script" not in outer and "&amp;amp;" not in outer and "<b>" in outer
    assert Page(outer).words == EVIL


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (-0.000012345, "−1.234e−05"), (123456.7, "123,457"), (1234.56, "1,234.6"),
        (float("inf"), "∞"), (float("nan"), "–"), (12.0, "12"), (0.5, "0.5"),
    ],
)  # fmt: skip
def test_numbers_have_four_significant_digits(value, text):
    assert html.number(value) == text


def test_a_long_frame_says_how_much_is_left_out():
    shown = html.frame(pd.DataFrame({EVIL: range(50)}), most=10)
    page = Page(shown)
    assert page.problems == [] and page.tags.count("tr") == 11
    assert "40 more rows" in page.words and EVIL in page.words


def public_objects():
    study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80)
    complete = study.complete.rename(columns={"popular": "a<b"})
    fits = bi.fit([study.complete, study.complete], "popular ~ sex")
    grid = pd.DataFrame({"rho": [-0.5, 0.5], "estimate": [-1.0, 1.0], "conf_low": [-2.0, 0.5]})
    from bayesimpute.sensitivity_grid import Sensitivity

    grid["conf_high"] = grid["estimate"] + 1
    return {
        "study": study,
        "amputed": bi.ampute(complete, prop=0.3, seed=1),
        "fits": fits,
        "estimates": fits[0],
        "pooled": fits.pool(),
        "suggestions": bi.suggest_methods(study.incomplete, cluster="school"),
        "delta": bi.delta("normal", -1),
        "by group": bi.by_group("normal", "a<b"),
        "squeeze": bi.squeeze(0, 1),
        "selection": bi.simulate.Selection({"a<b": 1.0}, rho=0.5),
        "scenario": bi.simulate.Scenario(pattern="systematic"),
        "sensitivity": Sensitivity(grid, "a<b"),
    }


OBJECTS = public_objects()


@pytest.mark.parametrize("name", OBJECTS)
def test_a_public_object_has_a_well_formed_notebook_form(name):
    shown = OBJECTS[name]._repr_html_()
    page = Page(shown)
    assert page.problems == [] and page.words.strip()
    assert "a<b" not in shown
