"""Seconds for 20 imputations of the popularity case, here and in R, taking turns in one run.

``python benchmarks/speed.py [--rounds 3] [--keep]``

Here: a warm process, so the first call is timed apart. R: the ``mice()`` call alone, without
loading packages. Each round runs every method once; R's 2l.norm, the slowest by far, runs in the
first round only. Medians are printed, and how many times longer R's methods take than each of
ours. The pooled estimates stand beside the seconds: speed that imputes nonsense would show.
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

import pandas as pd
from markdown import table
from popularity import ANALYSIS, ITERATIONS, M, impute, load
from results import add_keep, keep

import bayesimpute as bi

R_METHODS = ["2l.pan", "2l.lmer", "2l.pmm", "2l.norm"]
ONCE_IS_ENOUGH = "2l.norm"
OURS = {"normal": 1, "pmm": 1, "normal, 2 processes": 2, "pmm, 2 processes": 2}

Run = tuple[float, tuple[float, ...]]  # seconds; pooled intercept, texp, sex


def timed(call: Callable[[], bi.Imputations]) -> Run:
    """Seconds of the call, and what an analysis of its result says."""
    start = perf_counter()
    imputations = call()
    seconds = perf_counter() - start
    estimates = imputations.fit(ANALYSIS).pool().table["estimate"]
    return seconds, tuple(float(estimates.iloc[i]) for i in range(3))


def run_r(data: Path, method: str, seed: int) -> Run | str:
    """One run of a method of R, or why there was none."""
    script = Path(__file__).with_name("popmis.R")
    command = ["Rscript", str(script), str(data), method, str(M), str(ITERATIONS), "1", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"{method}: {done.stderr.strip().splitlines()[-1]}"
    lines = done.stdout.splitlines()
    results = [line for line in lines if line.startswith(f"{method},")]
    if not results:
        return lines[-1].lstrip("# ")
    seconds, *estimates = (float(number) for number in results[0].split(",")[1:])
    return seconds, tuple(estimates)


@contextmanager
def worker_pool(count: int) -> Iterator[ProcessPoolExecutor | None]:
    """Worker processes that are already running, as a warm start asks for; none for one."""
    if count == 1:
        yield None
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        yield pool


def compare(data: pd.DataFrame, rounds: int) -> tuple[dict[str, list[Run]], list[str]]:
    """All runs by method, in turns, and remarks about what could not be run."""
    runs: dict[str, list[Run]] = defaultdict(list)
    remarks: list[str] = []
    in_r = list(R_METHODS) if shutil.which("Rscript") else []
    if not in_r:
        remarks.append("R is not installed: no comparison.")
    with tempfile.TemporaryDirectory() as folder, worker_pool(2) as pool:
        file = Path(folder) / "data.csv"
        data.to_csv(file, index=False)
        executors = {1: None, 2: pool}
        for name, workers in OURS.items():
            method = name.split(",")[0]
            start = perf_counter()
            impute(data, method, seed=0, executor=executors[workers])
            remarks.append(f"First call, {name}: {perf_counter() - start:.1f} s.")
        for round_ in range(1, rounds + 1):
            for name, workers in OURS.items():
                method = name.split(",")[0]
                runs[name].append(timed(partial(impute, data, method, round_, executors[workers])))
            for method in list(in_r):
                outcome = run_r(file, method, round_)
                if isinstance(outcome, str):
                    remarks.append(outcome)
                    in_r.remove(method)
                    continue
                runs[f"R {method}"].append(outcome)
                if method == ONCE_IS_ENOUGH:
                    in_r.remove(method)
    return runs, remarks


def compared(runs: dict[str, list[Run]]) -> tuple[list[str], list[list[object]]]:
    """Medians, estimates, ratios: header and rows."""
    seconds = {name: statistics.median(run[0] for run in done) for name, done in runs.items()}
    rows: list[list[object]] = []
    for name, done in runs.items():
        estimates = [statistics.mean(run[1][i] for run in done) for i in range(3)]
        slower = [seconds[name] / seconds[ours] for ours in OURS] if name.startswith("R ") else []
        ratios = [f"{ratio:.1f}x" for ratio in slower] or [""] * len(OURS)
        rows.append(
            [name, len(done), seconds[name], *(f"{value:.3f}" for value in estimates), *ratios]
        )
    header = ["method", "runs", "seconds", "intercept", "texp", "sex"]
    header += [f"/ {name}" for name in OURS]
    return header, rows


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="Speed against R's mice on the popularity case.")
    parser.add_argument("--rounds", type=int, default=3, help="how often each method runs")
    add_keep(parser)
    chosen = parser.parse_args()
    label, data = load()
    runs, remarks = compare(data, chosen.rounds)
    header, rows = compared(runs)
    title = f"{label}: m = {M}, {ITERATIONS} iterations, {os.cpu_count()} cores, warm process"
    print("\n".join([f"### {title}", "", table(header, rows), "", *(f"- {r}" for r in remarks)]))
    if chosen.keep:
        what = (
            f"{label}, m = {M}, {ITERATIONS} iterations, all methods taking turns in one run, "
            f"medians of {chosen.rounds}; R's `{ONCE_IS_ENOUGH}` once. Estimates beside."
        )
        keep("speed", "popmis", what, header, rows)


if __name__ == "__main__":
    main()
