"""Measured numbers of the site come from ``docs/results``; none is typed into a page."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
RESULTS = DOCS / "results"
PAGES = sorted(
    path
    for path in [ROOT / "README.md", *DOCS.rglob("*.md")]
    if not {"_build", "generated", "notebooks"} & set(path.parts)
)
#: Pages of nothing but measurements: any number is suspect, but for these, which nobody measured.
MEASURED = ["performance.md", "accuracy.md"]
NOT_MEASURED = {"2023": "year of a paper", "95": "level of intervals", "2": "level 2"}
FENCE = re.compile(r"^(`{3,}|:{3,})(\S*)[^\n]*\n(.*?)^\1\s*$", re.DOTALL | re.MULTILINE)
ROLE = re.compile(r"\{measured\}`([^`]+)`")
TABLE = re.compile(r"^```\{measured\} (.+)$", re.MULTILINE)
#: Numbers of a stopwatch, of memory, and of comparisons, and how words give them.
QUANTITY = re.compile(
    r"\d ?(?:s|ms|µs|μs|ns|seconds?|minutes?|MB|GB|×|x)(?![\w-])|\d[\d.,]* times (?!\d)"
    r"|(?:half|quarters?|thirds?) (?:of )?an? (?:second|minute|hour)|times (?:faster|slower)"
)


def loaded(path, name):
    """Import a file that is not in a package, with its folder in sight."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(path.parent), str(ROOT), *sys.path])
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site():
    return loaded(DOCS / "measurements.py", "measurements")


def typed(text):
    """What stands on a page as it is: no code, roles, links or front matter."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = FENCE.sub("", text)
    text = re.sub(r"`[^`\n]*`|\]\([^)]*\)|\$[^$]*\$", " ", text)
    return re.sub(r"^\s*\d+\. ", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("page", MEASURED)
def test_pages_of_measurements_have_no_number_typed(page):
    text = typed((DOCS / page).read_text("utf-8"))
    numbers = re.findall(r"(?<![\w.])\d[\d.,]*\d|(?<![\w.])\d(?![\w])", text)
    assert set(numbers) <= set(NOT_MEASURED)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_has_a_time_a_size_or_a_ratio_typed(page):
    found = [each.group() for each in QUANTITY.finditer(typed(page.read_text("utf-8")))]
    assert not found


def test_a_typed_number_would_be_seen():
    for line in (
        "It takes 3 s.", "0.2 ms a row", "after 10 minutes", "525 MB", "11.3× as fast",
        "a quarter to three quarters of a minute", "half a minute", "is 24 times faster",
    ):  # fmt: skip
        assert QUANTITY.search(typed(line)), line
    for line in ("twice in `3 s`", "m = 20", "{measured}`a/b/c` seconds", "D1 to D4, 95 %"):
        assert not QUANTITY.search(typed(line)), line


def test_what_pages_quote_is_there_and_what_is_there_is_told(site):
    quoted = set()
    for page in PAGES:
        text = page.read_text("utf-8")
        for path in ROLE.findall(text):
            float(site.number(path).replace(",", ""))
            quoted.add(path.rpartition("/")[0])
        for pattern in TABLE.findall(text):
            shown = site.measured(pattern)
            assert "Measured 20" in shown
            quoted.add(pattern)
    for name, part in site.results().items():
        known = {"what", "measured", "header", "rows", "values"}
        assert {"what", "measured"} <= set(part) <= known, name
        assert all(len(row) == len(part["header"]) for row in part.get("rows", []))
        of = {"date", "version", "commit", "processor", "command"}
        assert of <= set(part["measured"]) <= of | {"note"}
        words = part["measured"]["command"].split()
        files = [word for word in words if re.match(r"(benchmarks|tests)/", word)]
        assert files and all((ROOT / file).exists() for file in files), name


def test_a_run_replaces_the_part_it_measured_and_leaves_the_others(tmp_path, site, monkeypatch):
    results = loaded(ROOT / "benchmarks" / "results.py", "benchmark_results")
    monkeypatch.setattr(sys, "argv", ["x/speed.py", "--rounds", "3", "--keep"])
    for part, seconds in {"a": 1.0, "b": 2.0}.items():
        results.keep("speed", part, "What.", ["", "s"], [["x", seconds]], {"n": 7}, tmp_path)
    results.keep("speed", "a", "What.", ["", "s"], [["x", 3.0]], folder=tmp_path)
    held = json.loads((tmp_path / "speed.json").read_text("utf-8"))
    assert [held[part]["rows"] for part in "ab"] == [[["x", "3"]], [["x", "2"]]]
    assert "values" not in held["a"] and held["b"]["values"] == {"n": 7}
    assert held["a"]["measured"]["command"] == "python benchmarks/speed.py --rounds 3"


CALIBRATION = """model,data,replicates,seed,quantity,chi2_p,ecdf_p,autocorrelation,uniform
normal,sporadic,400,1,intercept,0.5,0.03,0.1,True
normal,systematic,200,1,intercept,0.2,0.4,0.1,True
heckman,sporadic,100,1,sigma,0.00001,0.4,0.1,False
"""


def test_the_models_page_has_a_line_a_model_and_not_yet_for_the_others(tmp_path, site, monkeypatch):
    (tmp_path / "calibration.csv").write_text(CALIBRATION, "utf-8")
    monkeypatch.setattr(site, "CALIBRATION", tmp_path / "calibration.csv")
    site.calibrated.cache_clear()
    try:
        lines = {name: site.calibration_of(name) for name in ("normal", "heckman", "beta")}
        table = site.calibration()
    finally:
        site.calibrated.cache_clear()
    assert lines == {
        "normal": "200 to 400 data sets of each of 2 kinds of gaps, 2 quantities, smallest p 0.03: "
        "all uniform",
        "heckman": "100 data sets of each of one kind of gap, 1 quantities, smallest p 1e-05: not "
        "uniform: sigma (sporadic)",
        "beta": "not yet",
    }
    assert "| `heckman` | 1 | 100 | 1 | 1e-05 | not sigma (sporadic) |" in table


def test_calibrated_rows_replace_those_of_the_same_model_and_gaps(tmp_path, monkeypatch):
    calibration = loaded(ROOT / "benchmarks" / "calibration.py", "benchmark_calibration")
    path = tmp_path / "calibration.csv"
    path.write_text(CALIBRATION, "utf-8")
    held = pd.read_csv(path)
    new = held.iloc[[0]].assign(replicates=500)
    other = held.iloc[[0]].assign(model="beta")
    calibration.keep_rows(pd.concat([new, other]), path)
    found = pd.read_csv(path)
    assert found[["model", "data", "replicates"]].to_numpy().tolist() == [
        ["normal", "systematic", 200], ["normal", "sporadic", 500], ["heckman", "sporadic", 100],
        ["beta", "sporadic", 400],
    ]  # fmt: skip
