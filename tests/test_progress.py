"""Progress in a notebook: one output that is updated and emptied, no ipywidgets needed."""

import sys
from types import ModuleType

import pytest

from bayesimpute import progress


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


def test_a_script_is_silent(capsys):
    with progress.progress_bar(4) as advance:
        advance(4)
    assert capsys.readouterr() == ("", "")
