"""The gallery has every picture."""

import re
from pathlib import Path

import bayesimpute as bi
from bayesimpute.imputations import Entry, Plots
from tests.public import NAMES

GALLERY = Path(__file__).resolve().parents[2] / "docs" / "gallery.md"
#: What makes a result that draws itself.
MADE_BY = {
    "ModelComparison": "compare_models",
    "Overimputation": "overimpute",
    "Calibration": "sbc",
    "Replicates": "replicate",
}


def test_every_picture_is_in_the_gallery() -> None:
    text = GALLERY.read_text("utf-8")
    code = "".join(re.findall(r"```\{code-cell\} ipython3\n(.*?)```", text, re.DOTALL))
    wanted = [f"bi.{name}(" for name in NAMES if name.startswith("plot_")]
    wanted += [f".plot.{name}(" for name, each in vars(Plots).items() if isinstance(each, Entry)]
    results = [
        name
        for home in (bi, bi.simulate)
        for name in (NAMES if home is bi else dir(home))
        if isinstance(getattr(home, name), type)
        and callable(getattr(home, name).__dict__.get("plot"))
    ]
    wanted += [f"{MADE_BY[name]}(" for name in results] + ["bi.sensitivity("]
    assert [each for each in wanted if each not in code] == []
    assert code.count(").plot()") == len(results) + 1
