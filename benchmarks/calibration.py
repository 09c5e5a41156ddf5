"""Simulation-based calibration of every model on every kind of gap; a table and a figure.

``python benchmarks/calibration.py [--models normal ...] [--replicates 400] [--keep]``

Selection models and joint blocks are calibrated by the scenarios of ``tests/calibration``: their
data have two equations, or several targets.

Writes ``table.md``, ``table.csv`` and ``figure.png`` into a folder (``--folder``), and with
``--keep`` the rows of the models that were run into ``docs/results/calibration.csv``, from where
the site has them. Ends with status 1 if any
quantity is not uniform, at a level that all of the matrix shares (if every sampler is right, that
happens in one run of twenty), or if a method fails.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import pandas as pd
from markdown import table as markdown_table
from results import FOLDER, ROOT, add_keep

import bayesimpute as bi
from bayesimpute.simulate import Calibration
from bayesimpute.simulate.calibration import Cell, matrix, matrix_panels

sys.path.insert(0, str(ROOT))

heckman_scenario, joint_scenario = (
    import_module(f"tests.calibration.{name}_scenario") for name in ("heckman", "joint")
)

LEVEL = 0.05
PATTERNS = {
    "heckman": ("sporadic", "systematic", "single level"),
    "heckman.binary": ("sporadic", "systematic", "single level"),
    "heckman.robust": ("sporadic", "systematic", "single level"),
    "joint": ("sporadic", "systematic", "level 2"),
}


@dataclass(frozen=True)
class Job:
    """What is calibrated: a model on some data."""

    model: str
    data: str
    run: Callable[[int, int, ProcessPoolExecutor, int], Calibration]

    def __str__(self) -> str:
        return f"{self.model}, {self.data}"


def jobs() -> list[Job]:
    """Give the matrix of models of one variable, then models with scenarios of their own."""
    return [_of_cell(cell) for cell in matrix()] + [
        _of_scenario(model, pattern) for model, patterns in PATTERNS.items() for pattern in patterns
    ]


def _of_cell(cell: Cell) -> Job:
    def run(replicates: int, seed: int, pool: ProcessPoolExecutor, workers: int) -> Calibration:
        return bi.simulate.sbc(
            cell.method, replicates=replicates, seed=seed, executor=pool, **cell.arguments
        )

    return Job(cell.model, cell.data, run)


def _of_scenario(model: str, pattern: str) -> Job:
    def run(replicates: int, seed: int, pool: ProcessPoolExecutor, workers: int) -> Calibration:
        if model == "joint":
            task, calibrate = joint_scenario.Task(pattern, seed=seed), joint_scenario.calibrate
        else:
            task = heckman_scenario.Task(model, pattern, seed=seed)
            calibrate = heckman_scenario.calibrate
        found: Calibration = calibrate(task, replicates, pool, workers)
        return found

    return Job(model, pattern, run)


def tidy(results: Mapping[Job, Calibration]) -> pd.DataFrame:
    """One row a model, data and quantity."""
    return pd.concat(
        [
            result.table.reset_index().assign(
                model=cell.model, data=cell.data, replicates=len(result.ranks), seed=result.seed
            )
            for cell, result in results.items()
        ],
        ignore_index=True,
    )[
        [
            "model",
            "data",
            "replicates",
            "seed",
            "quantity",
            "chi2_p",
            "ecdf_p",
            "autocorrelation",
            "uniform",
        ]
    ]


def keep_rows(table: pd.DataFrame, path: Path = FOLDER / "calibration.csv") -> None:
    """Put rows into the kept table, in place of those of the same model and data."""
    if path.is_file():
        held = pd.read_csv(path)
        cells = ["model", "data"]
        known = pd.MultiIndex.from_frame(held[cells])
        others = held[~known.isin(pd.MultiIndex.from_frame(table[cells]))]
        order = {name: place for place, name in enumerate(dict.fromkeys(held["model"]))}
        table = pd.concat([others, table], ignore_index=True).sort_values(
            "model", kind="stable", key=lambda names: names.map(order).fillna(len(order))
        )
    table.to_csv(path, index=False)


def summary(results: Mapping[Job, Calibration], failed: Mapping[Job, str]) -> str:
    """Write a Markdown table with one row a model and data."""
    rows: list[list[object]] = []
    for cell, result in results.items():
        found = result.table
        bad = found.index[~found["uniform"]]
        rows.append(
            [
                cell.model,
                cell.data,
                len(result.ranks),
                len(found),
                float(found["chi2_p"].min()),
                float(found["ecdf_p"].min()),
                float(found["autocorrelation"].max()),
                result.divergences,
                f"**no**: {', '.join(bad)}" if len(bad) else "yes",
            ]
        )
    rows += [
        [cell.model, cell.data, *["–"] * 6, f"**failed**: {reason}"]
        for cell, reason in failed.items()
    ]
    header = [
        "model",
        "data",
        "replicates",
        "quantities",
        "smallest χ² p",
        "smallest ECDF p",
        "largest lag-1 autocorrelation",
        "divergences",
        "uniform",
    ]
    return markdown_table(header, rows)


def main() -> int:
    """Run, write and print."""
    cells = jobs()
    models = list(dict.fromkeys(cell.model for cell in cells))
    parser = argparse.ArgumentParser(description="Simulation-based calibration of all models.")
    parser.add_argument("--models", nargs="+", choices=models, default=models)
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path("calibration"))
    add_keep(parser)
    chosen = parser.parse_args()
    cells = [cell for cell in cells if cell.model in chosen.models]
    results: dict[Job, Calibration] = {}
    failed: dict[Job, str] = {}
    with ProcessPoolExecutor(chosen.workers, mp_context=get_context("spawn")) as pool:
        for cell in cells:
            start = perf_counter()
            try:
                found = cell.run(chosen.replicates, chosen.seed, pool, chosen.workers)
                results[cell] = replace(found, level=LEVEL / len(cells))
                verdict = "uniform" if results[cell].ok else "NOT UNIFORM"
            except bi.BayesimputeError as error:  # the other cells are still worth their time
                failed[cell] = verdict = str(error)
            print(f"{cell}: {verdict}, {perf_counter() - start:.0f} s", flush=True)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    text = summary(results, failed)
    (chosen.folder / "table.md").write_text(text + "\n", encoding="utf-8")
    if results:
        tidy(results).to_csv(chosen.folder / "table.csv", index=False)
        if chosen.keep:
            keep_rows(tidy(results))
        figure = matrix_panels({str(cell): result for cell, result in results.items()})
        figure.savefig(chosen.folder / "figure.png", dpi=150)
    print(f"\n{text}\n\nTables and figure are in {chosen.folder}/")
    return 1 if failed or not all(result.ok for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
