"""What benchmarks have kept in ``results/``, as Markdown: the site types no measured number."""

import json
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

RESULTS = Path(__file__).resolve().parent / "results"
CALIBRATION = RESULTS / "calibration.csv"
#: Probability that any rank of the whole table is called not uniform, if every sampler is right.
LEVEL = 0.05


@cache
def calibrated() -> pd.DataFrame:
    """Give what ``make sbc`` found, a row a model: data sets, quantities, smallest p, verdict."""
    if not CALIBRATION.is_file():
        return pd.DataFrame()
    table = pd.read_csv(CALIBRATION)
    table["p"] = table[["chi2_p", "ecdf_p"]].min(axis=1)
    cells = table.groupby(["model", "data"])
    # Bonferroni: two tests of each quantity, and as many tables as there are models and gaps
    level = LEVEL / len(cells) / (2 * cells["p"].transform("size"))
    table["off"] = table["p"] < level
    return pd.DataFrame(
        {model: _verdict(own) for model, own in table.groupby("model", sort=False)}
    ).T


def _verdict(own: pd.DataFrame) -> dict[str, Any]:
    """Sum up the rows of one model."""
    counts = own.groupby("data")["replicates"].first()
    least, most = counts.min(), counts.max()
    off = own[own["off"]]
    return {
        "kinds": len(counts),
        "sets": f"{least}" if least == most else f"{least} to {most}",
        "quantities": len(own),
        "smallest": own["p"].min(),
        "off": "; ".join(f"{row.quantity} ({row.data})" for row in off.itertuples()),
    }


def calibration_of(name: str) -> str:
    """Say in one line whether the truth ranked uniformly among the draws of a method."""
    table = calibrated()
    if name not in table.index:
        return "not yet"
    found = table.loc[name]
    gaps = "one kind of gap" if found["kinds"] == 1 else f"{found['kinds']} kinds of gaps"
    verdict = f"not uniform: {found['off']}" if found["off"] else "all uniform"
    return (
        f"{found['sets']} data sets of each of {gaps}, {found['quantities']} quantities, smallest "
        f"p {found['smallest']:.2g}: {verdict}"
    )


def calibration() -> str:
    """Give a table of what ``make sbc`` found, a row a model."""
    table = calibrated()
    if table.empty:
        return "Not yet."
    rows = ["| method | kinds of gaps | data sets of each | quantities | smallest p | uniform |"]
    rows.append("| --- | --- | --- | --- | --- | --- |")
    for name, found in table.iterrows():
        verdict = f"not {found['off']}" if found["off"] else "all"
        rows.append(
            f"| `{name}` | {found['kinds']} | {found['sets']} | {found['quantities']} | "
            f"{found['smallest']:.2g} | {verdict} |"
        )
    return "\n".join(rows)


@cache
def results() -> dict[str, dict[str, Any]]:
    """Give what benchmarks have kept, by file and part: ``"speed/popmis"``."""
    return {
        f"{path.stem}/{name}": part
        for path in sorted(RESULTS.glob("*.json"))
        for name, part in json.loads(path.read_text("utf-8")).items()
    }


def measured(pattern: str) -> str:
    """Give what was measured, a table if there is one, and how: when, of what, on what, by what.

    Parts whose names fit the pattern and whose tables have the same columns make one table.
    """
    parts = [part for name, part in results().items() if fnmatchcase(name, pattern)]
    if not parts:
        raise KeyError(f"nothing in docs/results/ is called {pattern!r}")
    blocks: list[str] = list(dict.fromkeys(part["what"] for part in parts))
    header = parts[0].get("header")
    if header:
        assert all(part["header"] == header for part in parts)
        lines = [header, ["---"] * len(header), *(row for part in parts for row in part["rows"])]
        blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    said = dict.fromkeys(_circumstances(part["measured"]) for part in parts)
    blocks.append(f":::{{div}} measured\n{' '.join(said)}\n:::")
    return "\n\n".join(blocks)


def _circumstances(of: dict[str, str]) -> str:
    note = f", {of['note']}" if "note" in of else ""
    return (
        f"Measured {of['date']}, version {of['version']} (commit {of['commit']}), processor: "
        f"{of['processor']}; `{of['command']}`{note}."
    )


def number(path: str) -> str:
    """Give one number: ``"jags/posteriors/compared"``, or ``"…:.1f"`` with a format."""
    place, _, form = path.partition(":")
    part, _, name = place.rpartition("/")
    return format(results()[part]["values"][name], form or "g")
