"""What the phrasebook says is written here runs, and nothing of the tutorial is left out."""

import re
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import bayesimpute as bi

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "phrasebook"
PAGES = {path.stem: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.md"))}


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)


def briefly(whole):
    def impute(df, cluster=None, m=20, iterations=10, **options):
        options = {"progress": False, **options}
        return whole(df, cluster, m=min(m, 3), iterations=min(iterations, 4), **options)

    return impute


@pytest.fixture
def quickly(monkeypatch, tmp_path):
    """Three chains of four iterations whatever the page asks for; files go nowhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bi, "impute", briefly(bi.impute))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # short runs of few clusters warn, as they should
        yield
    plt.close("all")


def rows(page):
    """Cells of the body rows of a page's tables; `\\|` in a cell is a bar."""
    found = []
    for line in PAGES[page].splitlines():
        if line.startswith("| ") and not line.startswith("| --"):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            found.append([cell.strip().replace("\\|", "|") for cell in cells])
    return found


def phrases(page):
    """Code of the second column."""
    return [code for row in rows(page) for code in re.findall(r"`([^`]+)`", row[1])]


@pytest.fixture(scope="module")
def objects():
    """What the phrasebook's first page makes, by short runs."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(bi, "impute", briefly(bi.impute))
        names = {}
        for block in (
            *blocks("index", "python"),
            *blocks("mice", "python"),
            *blocks("others", "python"),
        ):
            exec(compile(block, "index.md", "exec"), names)
    return names


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


@pytest.mark.parametrize("page", [page for page in PAGES if phrases(page)])
def test_what_is_written_here_runs(page, quickly, objects):
    names = dict(objects)
    for phrase in phrases(page):
        try:
            exec(compile(phrase, f"{page}.md", "single"), names)
        except Exception as error:
            raise AssertionError(f"{page}.md: {phrase}") from error
        plt.close("all")


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
