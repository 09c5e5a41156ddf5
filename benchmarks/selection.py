"""Seconds for values missing because of what they are, and R's speed on the same machine.

``python benchmarks/selection.py [--keep]``

Weight of the obesity data (2,111 people, five regions, one without any weight) by ``heckman``,
``heckman.robust`` and, above 85 kg or not, ``heckman.binary``; m = 5, 5 iterations; intercept and
slopes of gender, height, age and family history vary by region in both equations, as they do in
micemd's ``2l.2stage.heckman``. Gaps in these predictors are filled before, so that one target is
timed.

micemd is not in Debian. Where R is, mice's ``2l.bin`` of ``categories.py`` is timed in the same
run: on one machine it took 31 s and ``2l.2stage.heckman`` 45 s, so 45/31 times its time now is
what micemd would take here, printed as an estimate. The data lie beside the checkout or in the
folder ``BAYESIMPUTE_SHARED`` names; without them the simulated survey takes their place.
"""

import argparse
import statistics
from time import perf_counter

import pandas as pd
from categories import ITERATIONS, ROUNDS, M, seconds_of_r, shared
from markdown import table
from results import add_keep, keep

import bayesimpute as bi

#: Seconds of micemd's 2l.2stage.heckman for one of mice's 2l.bin, measured on one machine.
MICEMD_FOR_2L_BIN = 45 / 31
FORMULA = (
    "Weight ~ Gender + Height + Age + FamOb + Time + (1 + Gender + Height + Age + FamOb | Cluster)"
)


def one_target(data: pd.DataFrame) -> pd.DataFrame:
    """Leave gaps in weight only."""
    filled = {name: data[name].mean() for name in ("Height", "Age")} | {"FamOb": "yes"}
    return data.drop(columns="BMI").fillna(filled)


def impute(data: pd.DataFrame, method: str, seed: int, cores: int | None = None) -> bi.Imputations:
    """Impute weight by one of the selection models."""
    return bi.impute(
        data,
        m=M,
        iterations=ITERATIONS,
        method={"Weight": method},
        formulas={"Weight": FORMULA},
        model_options={"Weight": {"selection_only": ("Time",)}},
        seed=seed,
        cores=cores,
        progress=False,
    )


def main() -> None:
    """Time everything and print a Markdown table."""
    parser = argparse.ArgumentParser(description="Seconds of selection models.")
    add_keep(parser)
    chosen = parser.parse_args()
    real = shared("obesity.csv").is_file()
    whole = pd.read_csv(shared("obesity.csv")) if real else None
    data = bi.simulate.simulate_obesity(seed=1).incomplete if whole is None else whole
    data = one_target(data)
    heavy = data.assign(Weight=(data["Weight"] > 85).where(data["Weight"].notna()).astype(float))
    r = seconds_of_r(1) if real else None
    rows: list[list[object]] = []
    for method in ("heckman", "heckman.robust", "heckman.binary"):
        seconds = []
        for seed in range(1 + ROUNDS):
            start = perf_counter()
            impute(heavy if method == "heckman.binary" else data, method, seed)
            seconds.append(perf_counter() - start)
        first, *warm = seconds
        ours = statistics.median(warm)
        peer = "" if r is None else f"{r * MICEMD_FOR_2L_BIN / ours:.0f}×"
        rows.append([method, f"{ours:.2f}", f"{first:.2f}", peer])
    if r is not None:
        rows.append(["R, 2l.bin", f"{r:.2f}", "", ""])
    header = ["method", "seconds", "first call", "faster than micemd, estimated"]
    print(table(header, rows))
    if chosen.keep:
        what = (
            "Weight of the obesity data (2,111 rows, five regions, intercept and four slopes in "
            f"both equations), m = {M}, {ITERATIONS} iterations. micemd's `2l.2stage.heckman` took "
            "45/31 of R's `2l.bin` where both were timed; the last column follows from that."
        )
        keep("selection", "seconds", what, header, rows)


if __name__ == "__main__":
    main()
