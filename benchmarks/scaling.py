"""Time and memory from a thousand to a million rows, and up to 100,000 clusters, for one target.

``python benchmarks/scaling.py [--sizes 1000x10 1000000x100000 ...] [--method normal] [--keep]``

Rows x clusters, a random intercept and one random slope, a third of the target missing. Each
size has a process of its own, so that its peak memory is its own. Seconds a chain-iteration come
from the difference of a long and a short `extend` of one chain, which cancels what is done once.
"""

import argparse
import json
import subprocess
import sys
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from markdown import table
from results import add_keep, keep

import bayesimpute as bi

SIZES = ["1000x10", "100000x1000", "1000000x10000", "100000x10000", "1000000x100000"]
SHORT, LONG = 1, 6


def simulate(rows: int, clusters: int) -> pd.DataFrame:
    """Rows in clusters, ``y`` with an effect of ``x`` that varies, a third of it missing."""
    rng = np.random.default_rng(1)
    cluster = np.arange(rows) * clusters // rows
    x = rng.normal(size=rows)
    intercept = rng.normal(0.0, 0.7, size=cluster[-1] + 1)
    slope = rng.normal(0.5, 0.3, size=cluster[-1] + 1)
    y = intercept[cluster] + slope[cluster] * x + rng.normal(size=rows)
    y[rng.random(rows) < 1 / 3] = np.nan
    return pd.DataFrame({"cluster": cluster, "x": x, "y": y})


def peak_megabytes() -> float:
    """Most memory this process has held so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def measure(rows: int, clusters: int, method: str) -> dict[str, float]:
    """Seconds and megabytes at one size; runs in a process of its own."""
    import_module("pymc")  # its memory belongs to the start, not to the rows

    data = simulate(rows, clusters)
    if method == "logistic":
        data["y"] = (data["y"] > 0).astype(float).where(data["y"].notna())
    before = peak_megabytes()
    predictors = pd.DataFrame(0, index=data.columns, columns=data.columns)
    predictors.loc["y", ["cluster", "x"]] = [-2, 2]
    start = perf_counter()
    imputations = bi.impute(
        data,
        m=1,
        iterations=1,
        method={"y": method},
        predictors=predictors,
        seed=1,
        progress=False,
    )
    first = perf_counter() - start
    spent = []
    for iterations in (SHORT, LONG):
        start = perf_counter()
        imputations = imputations.extend(iterations)
        spent.append(perf_counter() - start)
    return {
        "first": first,
        "iteration": (spent[1] - spent[0]) / (LONG - SHORT),
        "before": before,
        "peak": peak_megabytes(),
    }


def measure_apart(size: str, method: str) -> dict[str, Any]:
    """`measure` in a fresh process."""
    command = [sys.executable, __file__, "--one", size, "--method", method]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="Time and memory against the number of rows.")
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="ROWSxCLUSTERS")
    parser.add_argument("--method", choices=["normal", "logistic"], default="normal")
    parser.add_argument("--one", help="one size in this process, as JSON")
    add_keep(parser)
    chosen = parser.parse_args()
    if chosen.one is not None:
        size, clusters = map(int, chosen.one.split("x"))
        print(json.dumps(measure(size, clusters, chosen.method)))
        return
    rows: list[list[object]] = []
    for each in chosen.sizes:
        found = measure_apart(each, chosen.method)
        rows.append(
            [
                *(f"{int(number):,}" for number in each.split("x")),
                found["iteration"],
                found["first"],
                f"{found['before']:.0f}",
                f"{found['peak']:.0f}",
            ]
        )
    print(f"### Scaling: one `{chosen.method}` target, random intercept and slope\n")
    header = [
        "rows",
        "clusters",
        "seconds a chain-iteration",
        "seconds of the first impute()",
        "MB before",
        "MB at the peak",
    ]
    print(table(header, rows))
    if chosen.keep:
        what = f"One `{chosen.method}` target, random intercept and slope."
        keep("scaling", "rows", what, header, rows)


if __name__ == "__main__":
    main()
