"""What the phrasebook says is written here runs, and nothing of the tutorial is left out."""

import re
import warnings
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import bayesimpute as bi

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "phrasebook"
PAGES = {path.stem: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.md"))}


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)


@pytest.fixture
def quickly(monkeypatch, tmp_path):
    """Two chains of two iterations whatever the page asks for; files go nowhere."""
    monkeypatch.chdir(tmp_path)
    whole = bi.impute

    def impute(df, cluster=None, m=20, iterations=10, **options):
        options = {"progress": False, "cores": 1, **options}
        return whole(df, cluster, m=min(m, 2), iterations=min(iterations, 2), **options)

    monkeypatch.setattr(bi, "impute", impute)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # short runs of few clusters warn, as they should
        yield
    plt.close("all")


def test_the_tutorial_runs(quickly):
    names = {}
    for block in blocks("paper", "python"):
        exec(compile(block, "paper.md", "exec"), names)
        plt.close("all")


#: Lines of the tutorial that R prints.
PRINTED = re.compile(
    r"\d|Class:|# Intraclass|Adjusted|Unadjusted|term m|df |school|popular |texp |sex |\""
)
#: How its text reads where letters went astray.
ASTRAY = {"ggmmice": "ggmice", "ggmgice": "ggmice", "21.pmm": "2l.pmm"}


def squeezed(text):
    for wrong, right in ASTRAY.items():
        text = text.replace(wrong, right)
    return re.sub(r"\s", "", text)


def test_every_line_of_the_tutorial_stands_in_the_phrasebook(shared_text):
    paper = shared_text("paper.txt")
    cases = paper[paper.index("4.1. Setup") : paper.index("5. Conclusion")]
    lines = []
    for block in re.findall(r"```\n(.*?)```", cases, re.DOTALL):
        prompted = [
            re.sub(r"^(R>|\+)", "", each) for each in re.findall(r"^(?:R>|\+).*", block, re.M)
        ]
        lines += prompted or [
            each for each in block.splitlines() if not PRINTED.match(each.strip())
        ]
    page = squeezed("".join(blocks("paper", "r")))
    assert len(lines) > 140
    assert [each for each in lines if squeezed(each) not in page] == []
