"""Seconds for variables that are no numbers, here and in R, in one run.

``python benchmarks/categories.py [--keep]``

- one binary target with random intercept and slopes (FamOb of the obesity data): ``logistic``
  against mice's ``2l.bin``, m = 5, 5 iterations;
- six incomplete variables of 11,022 patients in 15 studies (IMPACT): categorical, ordinal and four
  logistic models, m = 5, 5 iterations.

Ours in a warm process, the first call apart. The data lie beside the checkout or in the folder
``BAYESIMPUTE_SHARED`` names; without them nothing is timed.
"""

import argparse
import os
import shutil
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pandas as pd
from markdown import table
from results import add_keep, keep

import bayesimpute as bi

M, ITERATIONS, ROUNDS = 5, 5, 3
IMPACT_METHODS = {
    "pupil": "categorical",
    "ct": "ordinal",
    **dict.fromkeys(("hypots", "tsah", "edh", "hypox"), "logistic"),
}


def shared(name: str) -> Path:
    """Path of a data file that is not ours to ship."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    return Path(os.environ.get("BAYESIMPUTE_SHARED", beside)) / "data" / name


def obesity(seed: int, cores: int | None = None) -> bi.Imputations:
    """Impute FamOb from Time and Gender, both with slopes by cluster, as R does."""
    data = pd.read_csv(shared("obesity.csv"))[["Cluster", "Time", "Gender", "FamOb"]]
    formula = {"FamOb": "FamOb ~ Time + Gender + (1 + Time + Gender | Cluster)"}
    return bi.impute(
        data,
        m=M,
        iterations=ITERATIONS,
        method={"FamOb": "logistic"},
        formulas=formula,
        seed=seed,
        cores=cores,
        progress=False,
    )


def impact(seed: int, cores: int | None = None) -> bi.Imputations:
    """Impute all incomplete variables of IMPACT, each by its own likelihood."""
    # "None" is a category of pupil, not a missing value
    data = pd.read_csv(shared("impact_incomplete.csv"), keep_default_na=False, na_values=[""])
    data["ct"] = pd.Categorical(data["ct"], ["I/II", "III", "IV/V"], ordered=True)
    return bi.impute(
        data, cluster="name", m=M, iterations=ITERATIONS, method=IMPACT_METHODS, seed=seed,
        cores=cores, progress=False,
    )  # fmt: skip


def seconds_of(call: Callable[[int], bi.Imputations]) -> list[float]:
    """Seconds of the first call and of the warm ones after it."""
    out = []
    for seed in range(1 + ROUNDS):
        start = perf_counter()
        call(seed)
        out.append(perf_counter() - start)
    return out


def seconds_of_r(seed: int) -> float | None:
    """Seconds of mice's 2l.bin, None without R or lme4."""
    if shutil.which("Rscript") is None:
        return None
    script = Path(__file__).with_name("categories.R")
    command = ["Rscript", str(script), str(shared("obesity.csv")), str(M), str(ITERATIONS)]
    done = subprocess.run([*command, str(seed)], capture_output=True, text=True, check=True)
    lines = [text for text in done.stdout.splitlines() if text.startswith("2l.bin,")]
    return float(lines[0].split(",")[1]) if lines else None


def main() -> None:
    """Time everything and print a Markdown table."""
    parser = argparse.ArgumentParser(description="Seconds for variables that are no numbers.")
    add_keep(parser)
    chosen = parser.parse_args()
    if not shared("obesity.csv").is_file():
        print("The data are not here: set BAYESIMPUTE_SHARED to the folder with data/.")
        return
    rows: list[list[object]] = []
    r = seconds_of_r(1)
    first, *warm = seconds_of(obesity)
    ours = statistics.median(warm)
    rows.append(["FamOb, logistic", f"{ours:.2f}", f"{first:.2f}"])
    if r is not None:
        rows.append([f"FamOb, R 2l.bin ({r / ours:.0f} times ours)", f"{r:.2f}", ""])
    first, *warm = seconds_of(impact)
    rows.append(["IMPACT, six variables", f"{statistics.median(warm):.2f}", f"{first:.2f}"])
    header = ["what", "seconds", "first call"]
    print(table(header, rows))
    if chosen.keep:
        what = (
            f"m = {M}, {ITERATIONS} iterations, in one run: FamOb of the obesity data with random "
            f"intercept and slopes, and IMPACT's six incomplete variables; medians of {ROUNDS}."
        )
        keep("categories", "seconds", what, header, rows)


if __name__ == "__main__":
    main()
