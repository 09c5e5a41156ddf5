"""Keeps what was measured where the site takes it from, ``docs/results/NAME.json``.

A file has *parts*, each measured by one run of one script: ``what`` was measured, a table
(``header`` and ``rows``, written as they are shown), single ``values`` for sentences, and
``measured``: date, version, commit, processor, and command. A run replaces the parts that it
measures, and leaves the others as they are. Scripts do so when they are called with ``--keep``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markdown import cell

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "results"


def add_keep(parser: argparse.ArgumentParser) -> None:
    """Give a script the option ``--keep``."""
    parser.add_argument(
        "--keep", action="store_true",
        help="write the numbers into docs/results/, from where the site has them",
    )  # fmt: skip


def keep(
    name: str,
    part: str,
    what: str,
    header: Sequence[str] = (),
    rows: Iterable[Sequence[object]] = (),
    values: Mapping[str, float] | None = None,
    folder: Path = FOLDER,
) -> None:
    """Write a part of a file of results; its other parts stay.

    Parameters
    ----------
    name, part
        Name of the file, usually that of the script, and of the part.
    what
        What was measured, in whole sentences of Markdown: data, settings, number of runs.
    header, rows
        Table, if there is one.
    values
        Numbers that sentences of the site quote, by name.
    folder
        Where the file is.
    """
    path = folder / f"{name}.json"
    held: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    held[part] = {"what": what, "measured": circumstances()}
    if header:
        held[part] |= {"header": list(header), "rows": [[cell(c) for c in row] for row in rows]}
    if values:
        held[part]["values"] = dict(values)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def circumstances() -> dict[str, str]:
    """Say when, of what, on what, and by which command something was measured."""
    script, words = Path(sys.argv[0]).name, [word for word in sys.argv[1:] if word != "--keep"]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "version": version("bayesimpute"),
        "commit": commit(),
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "command": " ".join(["python", f"benchmarks/{script}", *words]),
    }


def commit() -> str:
    """Name the commit that is checked out, with a + where files differ from it."""
    if not (ROOT / ".git").exists():
        return "unknown"
    ask = ["git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--dirty=+"]
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def processor() -> str:
    """Name the processor."""
    known = Path("/proc/cpuinfo")
    if known.is_file():
        for line in known.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
