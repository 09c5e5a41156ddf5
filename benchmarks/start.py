"""What a user waits for: the import, the first run ever on a machine, and every later run.

``python benchmarks/start.py [--runs 3] [--methods normal poisson] [--keep]``

Each run is a whole Python process that imputes the popularity case (m = 20, 10 iterations) where a
model of numbers is asked for, else a small table (m = 2, 3 iterations). The first one finds no
compile cache of PyTensor or Numba: both are led into a fresh folder, which the later runs then
find filled. (Python's own bytecode is written when pip installs.) Seconds on the clock need a
machine for themselves; those of the processor are given, too.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from markdown import table
from popularity import ITERATIONS, M
from results import add_keep, keep

HERE = Path(__file__).resolve().parent
IMPORT = """
from time import perf_counter
start = perf_counter()
import bayesimpute
print(perf_counter() - start)
"""
IMPUTE = """
from popularity import impute, load
impute(load()[1], {method!r}, seed=1)
"""
#: One column of each kind, by an effect of clusters and a predictor.
SMALL = """
import numpy as np, pandas as pd, bayesimpute as bi
rng = np.random.default_rng(1)
cluster = np.repeat(np.arange(12), 20)
x = rng.normal(size=240)
eta = 0.6 * x + rng.normal(0, 0.7, 12)[cluster]
noise = eta + rng.logistic(size=240)
order = pd.CategoricalDtype(["low", "middle", "high"], ordered=True)
column = dict(
    number=eta + rng.normal(size=240),
    two=(noise > 0) * 1.0,
    ordered=pd.cut(noise, [-99, -1, 1, 99], labels=order.categories).astype(order),
    categories=pd.Categorical(rng.choice(list("abc"), 240)),
    count=rng.poisson(np.exp(0.3 + 0.4 * eta)) * 1.0,
    positive=rng.gamma(2.0, np.exp(0.4 * eta)),
    proportion=1 / (1 + np.exp(-noise)),
)[{column!r}]
data = pd.DataFrame(dict(cluster=cluster, x=x, y=column, z=rng.normal(size=240)))
data["y"] = data["y"].mask(rng.random(240) < 0.15)
predictors = bi.make_predictors(data, cluster="cluster")
if {method!r}.startswith("heckman"):
    predictors.loc["y", "z"] = bi.Role.SELECTION_ONLY
bi.impute(
    data, cluster="cluster", method=dict(y={method!r}), predictors=predictors, m=2, iterations=3,
    seed=1, progress=False,
)
"""
POPULARITY = ("normal", "pmm")
COLUMNS = {
    "logistic": "two",
    "ordinal": "ordered",
    "categorical": "categories",
    "poisson": "count",
    "negative_binomial": "count",
    "gamma": "positive",
    "beta": "proportion",
    "normal.robust": "number",
    "heckman": "number",
}


def caches_in(folder: Path) -> dict[str, str]:
    """Environment of a process whose compile caches all lie in `folder`."""
    flags = [os.environ.get("PYTENSOR_FLAGS", ""), f"base_compiledir={folder / 'pytensor'}"]
    return {
        **os.environ,
        "PYTENSOR_FLAGS": ",".join(flag for flag in flags if flag),
        "NUMBA_CACHE_DIR": str(folder / "numba"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "PYTHONPATH": str(HERE),
    }


def run(code: str, environment: dict[str, str]) -> tuple[float, float, str]:
    """Seconds of the whole process, on the clock and of the processor, and what it printed."""
    start, before = perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return perf_counter() - start, processor, done.stdout


def process_of(method: str) -> str:
    """Code of a process that imputes by a method."""
    if method in POPULARITY:
        return IMPUTE.format(method=method)
    return SMALL.format(method=method, column=COLUMNS[method])


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="Cold and warm start of whole processes.")
    parser.add_argument("--runs", type=int, default=3, help="later runs per method")
    methods = [*POPULARITY, *COLUMNS]
    parser.add_argument("--methods", nargs="+", default=methods, choices=methods)
    add_keep(parser)
    given = parser.parse_args()
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        environment = caches_in(Path(folder))
        found = [run(IMPORT, environment) for _ in range(given.runs + 1)]
        first, *later = (float(printed) for _, _, printed in found)
        rows.append(["import bayesimpute", first, "", statistics.median(later), ""])
    for method in given.methods:
        with tempfile.TemporaryDirectory() as folder:
            environment = caches_in(Path(folder))
            first_ever, *others = (
                run(process_of(method), environment)[:2] for _ in range(given.runs + 1)
            )
            medians = map(statistics.median, zip(*others, strict=True))
            rows.append([f"whole process, {method}", *first_ever, *medians])
    print(f"### Start: m = {M}, {ITERATIONS} iterations, {os.cpu_count()} cores, seconds\n")
    headings = ["first ever (no caches)", "processor", f"later (median of {given.runs})"]
    header = ["what", *headings, "processor"]
    print(table(header, rows))
    if given.keep:
        processes = [row for row in rows if row[2] != ""]
        firsts, laters = ([float(str(row[k])) for row in processes] for k in (1, 3))
        values = {
            "first_least": min(firsts), "first_most": max(firsts),
            "later_least": min(laters), "later_most": max(laters),
        }  # fmt: skip
        what = f"Seconds of a whole Python process, m = {M}, {ITERATIONS} iterations."
        keep("start", "processes", what, header, rows, values)


if __name__ == "__main__":
    main()
