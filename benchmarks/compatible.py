"""Does imputation compatible with the analysis do what chained equations cannot? One command.

``python benchmarks/compatible.py [--designs square ...] [--replicates 200] [--keep]``

Simulates data in which an incomplete predictor stands in an interaction, a power, a random slope
or another term without a conditional model (compatible_designs.py), and fits the same analysis to
the complete data, to imputations by chained equations (the default call), and to imputations
compatible with it. Prints a Markdown table; ``table.csv`` in the folder has all terms, and every
finished replicate lies beside it: started again, it goes on.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from compatible_designs import DESIGNS, Design
from markdown import table as markdown_table
from results import add_keep, keep

import bayesimpute as bi
from bayesimpute.simulate import Replicates

COMPLETE, CHAINED, COMPATIBLE = "complete data", "chained equations", "compatible"


def study(design: Design, chosen: argparse.Namespace, folder: Path, pool: ProcessPoolExecutor) -> (
    Replicates
):  # fmt: skip
    """Run one design, or go on with it."""
    return bi.simulate.replicate(
        design.simulate,
        {
            COMPLETE: None,
            CHAINED: {
                "on": "conditional",
                "method": {"y": design.outcome} if design.outcome else None,
            },
            COMPATIBLE: {"on": "analysis", "method": dict(design.method) or None},
        },
        design.analysis,
        replicates=chosen.replicates,
        seed=chosen.seed,
        impute={**design.arguments(), "m": chosen.m, "iterations": chosen.iterations},
        family=design.family,
        executor=pool,
        folder=folder,
    )


def tidy(found: Replicates, name: str, design: Design) -> pd.DataFrame:
    """Measure performance of the terms with a truth, with the bias against complete data."""
    table = found.performance()
    against = found.performance(control=COMPLETE)
    table["bias_to_complete"] = against["bias"]
    table["bias_to_complete_mcse"] = against["bias_mcse"]
    seconds = found.estimates.groupby("method")["seconds"].median()
    table["median_seconds"] = table["method"].map(seconds)
    table.insert(0, "design", name)
    table["truth"] = table["term"].map(dict(design.truth))
    return table[table["term"].isin(list(design.truth))]


def summary(table: pd.DataFrame) -> str:
    """Write a Markdown table; Monte-Carlo standard errors are in brackets."""
    measures = {
        "bias": "bias",
        "bias_to_complete": "bias to complete data",
        "coverage": "coverage",
        "model_se": "model SE",
        "empirical_se": "empirical SE",
    }
    rows = [
        [
            row["design"],
            row["term"],
            row["method"],
            row["n"],
            *(with_error(row[name], row[f"{name}_mcse"]) for name in measures),
            row["median_seconds"],
        ]
        for row in table.sort_values(["design", "term"], kind="stable").to_dict("records")
    ]
    return markdown_table(["design", "term", "method", "n", *measures.values(), "median s"], rows)


def with_error(value: float, error: float) -> str:
    """Write a measure and its Monte-Carlo standard error."""
    if pd.isna(value):
        return "–"
    return f"{value:.3f}" if pd.isna(error) else f"{value:.3f} ({error:.3f})"


def missed(table: pd.DataFrame) -> list[str]:
    """Where compatible imputation is farther from complete data than chance explains.

    Targets: bias within 0.02 of that of complete data, coverage of 92 to 98 %; a miss is one by
    more than two Monte-Carlo standard errors.
    """
    said = []
    for row in table[table["method"] == COMPATIBLE].to_dict("records"):
        where = f"{row['design']}, {row['term']}"
        if abs(row["bias_to_complete"]) - 2 * row["bias_to_complete_mcse"] > 0.02:
            said.append(f"{where}: bias to complete data {row['bias_to_complete']:.3f}")
        error = 2 * np.sqrt(0.95 * 0.05 / row["n"])
        if not pd.isna(row["coverage"]) and not 0.92 - error < row["coverage"] < 0.98 + error:
            said.append(f"{where}: coverage {row['coverage']:.3f}")
    return said


#: Bias to complete data up to which the site does not name a term.
NOTEWORTHY = 0.02


def keep_all(table: pd.DataFrame, m: int, iterations: int) -> None:
    """Keep bias and coverage of all terms, and those that are farthest from complete data."""
    sets = int(table["n"].max())
    settings = f"{sets} data sets each, m = {m}, {iterations} iterations"
    rows: list[list[str]] = []
    for key, own in table.groupby(["design", "term"], sort=False):
        by_method: dict[Any, Any] = own.set_index("method").to_dict("index")
        line = [f"{key[0]}: {key[1]} ({by_method[COMPLETE]['truth']:g})"]
        for method in (COMPLETE, CHAINED, COMPATIBLE):
            cover = by_method[method]["coverage"]
            bias = f"{by_method[method]['bias']:.3f}"
            line.append(bias if pd.isna(cover) else f"{bias}, {cover:.2f}")
        rows.append(line)
    keep(
        "compatible", "terms",
        f"Designs with an incomplete predictor, {settings}: bias, and coverage of 95 % intervals. "
        f"Monte-Carlo standard errors of bias up to {table['bias_mcse'].max():.3f}.",
        ["term (truth)", COMPLETE, CHAINED, COMPATIBLE], rows,
    )  # fmt: skip
    ours = table[table["method"] == COMPATIBLE]
    far = ours[ours["bias_to_complete"].abs() > NOTEWORTHY]
    covered = 100 * ours["coverage"].dropna()
    keep(
        "compatible", "farthest",
        "All designs: where the bias of compatible imputation to the complete data is beyond "
        f"{NOTEWORTHY}.",
        ["term (truth)", "bias to complete data (standard error)"],
        [
            [f"{row['design']}: {row['term']} ({row['truth']:g})",
             with_error(row["bias_to_complete"], row["bias_to_complete_mcse"])]
            for row in far.to_dict("records")
        ],
        {"designs": table["design"].nunique(), "data_sets": sets,
         "coverage_least": float(covered.min()), "coverage_most": float(covered.max())},
    )  # fmt: skip


def main() -> int:
    """Run, write and print; status 1 if a target is missed or a method failed."""
    parser = argparse.ArgumentParser(
        description="Compatible imputation, chained equations and complete data side by side."
    )
    parser.add_argument("--designs", nargs="+", choices=list(DESIGNS), default=list(DESIGNS))
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--m", type=int, default=10, help="imputations")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path("compatible"))
    add_keep(parser)
    chosen = parser.parse_args()
    if chosen.keep and len(chosen.designs) < len(DESIGNS):
        parser.error("--keep is for all designs")
    tables, failures = [], []
    with ProcessPoolExecutor(chosen.workers, mp_context=get_context("spawn")) as pool:
        for name in chosen.designs:
            found = study(DESIGNS[name], chosen, chosen.folder / name.replace(" ", "-"), pool)
            tables.append(tidy(found, name, DESIGNS[name]))
            failures += [f"{name}: {each}" for each in found.failures.to_dict("records")]
            print(f"{summary(tables[-1])}\n", file=sys.stderr, flush=True)
    table = pd.concat(tables, ignore_index=True)
    table.to_csv(chosen.folder / "table.csv", index=False)
    text = summary(table)
    (chosen.folder / "table.md").write_text(text + "\n", encoding="utf-8")
    print(f"\n{text}\n\nMonte-Carlo standard errors are in brackets.")
    if chosen.keep:
        keep_all(table, chosen.m, chosen.iterations)
    misses = missed(table)
    for line in [f"missed: {each}" for each in misses] + [f"failed: {each}" for each in failures]:
        print(line)
    return 1 if misses or failures else 0


if __name__ == "__main__":
    sys.exit(main())
