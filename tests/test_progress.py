"""Progress in a notebook: one output that is updated and emptied, no ipywidgets needed."""

import sys
from types import ModuleType

import pandas as pd
import pytest

from bayesimpute import progress
from bayesimpute.imputation import impute


class Handle:
    def __init__(self, first):
        self.shown = [first.data]

    def update(self, html):
        self.shown.append(html.data)


@pytest.fixture
def notebook(monkeypatch):
    handles = []

    def display(html, display_id):
        assert display_id
        handles.append(Handle(html))
        return handles[-1]

    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(progress, "PAUSE", -1.0)
    return handles


def test_a_notebook_sees_a_bar_that_is_gone_at_the_end(notebook):
    with progress.progress_bar(4) as advance:
        advance(1)
        advance(3)
    (handle,) = notebook
    assert "value='0' max='4'" in handle.shown[0]
    assert "1 of 4" in handle.shown[1] and "4 of 4" in handle.shown[2]
    assert handle.shown[-1] == ""


def test_it_is_gone_after_an_error_too(notebook):
    with pytest.raises(ZeroDivisionError), progress.progress_bar(4):
        _ = 1 / 0
    assert notebook[0].shown[-1] == ""


@pytest.mark.parametrize(("total", "enabled"), [(4, False), (0, None)])
def test_nothing_is_shown_when_not_wanted_or_nothing_to_do(notebook, total, enabled):
    with progress.progress_bar(total, enabled) as advance:
        advance(1)
    assert notebook == []


def test_a_notebook_sees_what_is_done_and_the_time_left_once_it_can_be_known(notebook, monkeypatch):
    clock = iter(range(0, 100, 2))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.progress_bar(3, doing="<1>", units="steps", estimate=False) as advance:
        advance(1, "compiling <x>")
    assert "&lt;1&gt;" in notebook[0].shown[0] and "compiling &lt;x&gt;" in notebook[0].shown[1]
    assert not any("left" in text for text in notebook[0].shown)
    with progress.progress_bar(4) as advance:
        advance(2)
    before, after, _ = notebook[1].shown
    assert "left" not in before and "s left" in after


def test_a_run_says_which_model_is_compiled_before_it_imputes(notebook, monkeypatch):
    frame = pd.DataFrame({"x": [1.0, None, 3, 4], "[red]y": [1.0, 2, None, 4]})
    imp = impute(frame, m=1, iterations=1, seed=1, method="sample", progress=True)
    models, iterations = notebook
    said = " ".join(models.shown)
    assert "compiling the model of x: 0 of 6 steps" in said
    assert "the sampler of [red]y" in said and models.shown[-1] == ""
    assert "chain-iterations" in iterations.shown[0]
    imp.extend(1, progress=True)
    assert "compiling the model of x" in notebook[2].shown[1]


def test_a_terminal_sees_the_same(monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress.progress_bar(2, True, "[x] is compiled") as advance:
        advance(1, progress.name_shown("[y]\n" * 20))
    said = capsys.readouterr().err
    assert "[x] is compiled" in said and "…" in said


def test_a_script_is_silent(capsys):
    with progress.progress_bar(4) as advance:
        advance(4)
    assert capsys.readouterr() == ("", "")
