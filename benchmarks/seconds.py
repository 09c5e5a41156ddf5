"""Seconds of whole runs in a warm process, by one core and by two.

``python benchmarks/seconds.py [--rounds 5] [--keep]``

The popularity case, FamOb of the obesity data by ``logistic``, its weight by ``heckman`` and the
six variables of IMPACT; both numbers of cores take turns. Needs the paper's data, and a machine on
which nothing else runs.
"""

import argparse
import statistics
from collections.abc import Callable
from time import perf_counter

import pandas as pd
from categories import ITERATIONS, M, impact, obesity, shared
from markdown import table
from popularity import impute as popularity
from popularity import load
from results import add_keep, keep
from selection import impute as selection
from selection import one_target

import bayesimpute as bi

Case = Callable[[int, int], bi.Imputations]


def cases() -> dict[str, Case]:
    """Give what is timed: functions of seed and number of cores."""
    popmis = load()[1]
    weight = one_target(pd.read_csv(shared("obesity.csv")))
    return {
        "popmis, `normal`": lambda seed, cores: popularity(popmis, "normal", seed, cores=cores),
        "popmis, `pmm`": lambda seed, cores: popularity(popmis, "pmm", seed, cores=cores),
        "FamOb, `logistic`": obesity,
        "weight, `heckman`": lambda seed, cores: selection(weight, "heckman", seed, cores),
        "IMPACT": impact,
    }


def seconds(case: Case, rounds: int) -> tuple[float, float]:
    """Give medians with one core and with two, the first call of each apart."""
    taken: dict[int, list[float]] = {1: [], 2: []}
    for seed in range(rounds + 1):
        for cores, spent in taken.items():
            start = perf_counter()
            case(seed, cores)
            spent.append(perf_counter() - start)
    one, two = (statistics.median(spent[1:]) for spent in taken.values())
    return one, two


def main() -> None:
    """Time everything and print a Markdown table."""
    parser = argparse.ArgumentParser(description="Seconds of warm runs by one core and two.")
    parser.add_argument("--rounds", type=int, default=5)
    add_keep(parser)
    chosen = parser.parse_args()
    if not shared("obesity.csv").is_file():
        print("The data are not here: set BAYESIMPUTE_SHARED to the folder with data/.")
        return
    rows = [[name, *seconds(case, chosen.rounds)] for name, case in cases().items()]
    header = ["", "`cores=1`", "two cores"]
    print(table(header, rows))
    if chosen.keep:
        what = (
            f"Seconds in a warm process, medians of {chosen.rounds}, both columns in turns: popmis "
            "(2,000 pupils, 100 schools, 42 % missing; m = 20, 10 iterations), FamOb of the "
            "obesity data by `logistic`, its weight by `heckman`, and IMPACT's six variables "
            f"(m = {M}, {ITERATIONS} iterations)."
        )
        keep("seconds", "warm", what, header, rows)


if __name__ == "__main__":
    main()
