"""Several groupings: coverage with three levels, subjects by items, and what a grouping costs.

``python benchmarks/groupings.py [--replicates 200] [--parts three crossed speed] [--keep]``

Three levels: pupils in classes in schools, values missing at each level; the same data imputed with
two levels, and complete data, beside. Subjects by items: each item rated by each subject, 30 %
missing; a model without items beside. Monte-Carlo errors in brackets. Speed: processor seconds, in
one run, of a model of one grouping and of two.
"""

import argparse
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from markdown import table
from results import add_keep, keep

import bayesimpute as bi

type Pair = tuple[pd.DataFrame, pd.DataFrame]

SCHOOLS, CLASSES, PUPILS = 40, 4, 8
SUBJECTS, ITEMS = 60, 40
M, ITERATIONS = 10, 10
FIXED = {"(Intercept)": 1.0, "x": 0.5, "kind": 0.4, "size": 0.3}
VARIANCES = {"school": 0.36, "class": 0.25, "subject": 0.64, "item": 0.36, "Residual": 1.0}


def three_levels(rng: np.random.Generator) -> Pair:
    """Complete data of three levels, and the same with gaps."""
    classes = np.repeat(np.arange(SCHOOLS * CLASSES), PUPILS)
    school, rows = classes // CLASSES, len(classes)
    df = pd.DataFrame({"school": school, "class": classes})
    df["size"] = rng.normal(size=SCHOOLS)[school]
    df["kind"] = rng.normal(size=SCHOOLS * CLASSES)[classes] + 0.3 * df["size"]
    df["x"] = rng.normal(size=rows) + 0.5 * rng.normal(size=SCHOOLS)[school]
    df["y"] = FIXED["(Intercept)"] + sum(FIXED[name] * df[name] for name in ("x", "kind", "size"))
    df["y"] += 0.6 * rng.normal(size=SCHOOLS)[school] + rng.normal(size=rows)
    df["y"] += 0.5 * rng.normal(size=SCHOOLS * CLASSES)[classes]
    gone = df.copy()
    gone.loc[rng.random(rows) < 0.2, "x"] = np.nan
    chance = 0.35 / (1 + np.exp(0.5 - df["x"]))  # by what is seen
    whole = (rng.random(SCHOOLS * CLASSES) < 0.05)[classes]
    gone.loc[((rng.random(rows) < chance) & gone["x"].notna()) | whole, "y"] = np.nan
    gone.loc[(rng.random(SCHOOLS * CLASSES) < 0.2)[classes], "kind"] = np.nan
    gone.loc[(rng.random(SCHOOLS) < 0.15)[school], "size"] = np.nan
    return df, gone


def ratings(rng: np.random.Generator) -> Pair:
    """Each item rated by each subject, and the same with gaps."""
    subject, item = (each.ravel() for each in np.indices((SUBJECTS, ITEMS)))
    df = pd.DataFrame({"subject": subject, "item": item})
    df["y"] = FIXED["(Intercept)"] + 0.8 * rng.normal(size=SUBJECTS)[subject]
    df["y"] += 0.6 * rng.normal(size=ITEMS)[item] + rng.normal(size=len(df))
    return df, df.assign(y=df["y"].where(rng.random(len(df)) > 0.3))


#: Simulation, analysis, and by how values are completed the groupings of the model.
PARTS: dict[str, tuple[Callable[[np.random.Generator], Pair], str, dict[str, Any]]] = {
    "three": (
        three_levels,
        "y ~ x + kind + size + (1 | class) + (1 | school)",
        {"three levels": ["school", "class"], "two levels": "class"},
    ),
    "crossed": (
        ratings,
        "y ~ 1 + (1 | subject) + (1 | item)",
        {"subjects and items": ["subject", "item"], "subjects only": "subject"},
    ),
}


#: What the site says was measured.
WHAT = {
    "three": (
        f"{{replicates}} data sets of {SCHOOLS * CLASSES * PUPILS:,} pupils in {SCHOOLS * CLASSES} "
        f"classes in {SCHOOLS} schools, values missing at each level, m = {M}, {ITERATIONS} "
        "iterations, analysed with both groupings: bias (Monte-Carlo standard error), and coverage "
        "of 95 % intervals; of variances the relative bias."
    ),
    "crossed": (
        f"{{replicates}} data sets, {SUBJECTS} subjects rate {ITEMS} items, 30 % missing: the same."
    ),
    "speed": "Processor time of a model with two groupings, in times that of one.",
}


def replicate(task: tuple[str, int]) -> list[dict[str, Any]]:
    """Estimates of one data set, by how it was completed."""
    part, seed = task
    simulate, analysis, ways = PARTS[part]
    complete, gone = simulate(np.random.default_rng([seed, len(part)]))
    found = rows_of("complete data", bi.fit([complete, complete], analysis))
    for way, cluster in ways.items():
        method = {name: "normal" for name in gone.columns[gone.isna().any()]}
        imp = bi.impute(
            gone, cluster=cluster, method=method, m=M, iterations=ITERATIONS, seed=seed, cores=1,
            progress=False,
        )  # fmt: skip
        found += rows_of(way, imp.fit(analysis))
    return found


def rows_of(way: str, fits: Any) -> list[dict[str, Any]]:
    """Give fixed effects with their intervals, then variances."""
    pooled = fits.pool()
    rows = [
        {"way": way, "of": name, "off": row["estimate"] - FIXED[name],
         "covered": row["conf_low"] <= FIXED[name] <= row["conf_high"]}
        for name, row in pooled.table.iterrows()
    ]  # fmt: skip
    for name, value in pooled.variance_components.items():
        grouping = str(name).partition("|")[2] or "Residual"
        if not str(name).startswith("ICC"):
            rows.append(
                {"way": way, "of": f"variance, {grouping}", "off": value / VARIANCES[grouping] - 1}
            )
    return rows


def simulated(part: str, replicates: int, workers: int) -> tuple[list[str], list[list[str]]]:
    """Bias and coverage; of variances the relative bias."""
    with ProcessPoolExecutor(workers) as executor:
        tasks = [(part, seed) for seed in range(replicates)]
        found = pd.DataFrame([row for rows in executor.map(replicate, tasks) for row in rows])
    shown: list[list[str]] = []
    ways = list(dict.fromkeys(found["way"]))
    for of, own in found.groupby("of", sort=False):
        line = [str(of)]
        for way in ways:
            each = own[own["way"] == way]
            error = each["off"].std() / np.sqrt(len(each))
            cover = "" if each["covered"].isna().all() else f", {each['covered'].mean():.3f}"
            line.append(f"{each['off'].mean():.3f} ({error:.3f}){cover}")
        shown.append(line)
    return ["bias, coverage; of variances relative bias", *ways], shown


def seconds(df: pd.DataFrame, cluster: Any, iterations: int) -> npt.NDArray[np.float64]:
    """Of a run of four chains, and of a chain-iteration."""
    times = []
    for count in (1, 1, 1 + iterations):  # the first one compiles
        start = process_time()
        bi.impute(
            df, cluster=cluster, method={"y": "normal"}, m=4, iterations=count, seed=1, cores=1,
            progress=False,
        )  # fmt: skip
        times.append(process_time() - start)
    return np.array([times[2], (times[2] - times[1]) / iterations / 4])


def speed() -> tuple[list[str], list[list[str]]]:
    """Ratios to a model of one grouping."""
    rng, rows = np.random.default_rng(1), []
    shapes = {
        "1,000 classes in 100 schools": (np.repeat(np.arange(1000), 20), 10, 30),
        "10,000 classes in 1,000 schools": (np.repeat(np.arange(10_000), 100), 10, 3),
        "2,000 × 200 crossed": (np.repeat(np.arange(2000), 200), None, 5),
    }
    for name, (first, within, iterations) in shapes.items():
        second = np.tile(np.arange(200), 2000) if within is None else first // within
        df = pd.DataFrame({"first": first, "second": second, "x": rng.normal(size=len(first))})
        df["y"] = 0.5 * df["x"] + rng.normal(size=len(df)) + rng.normal(size=first.max() + 1)[first]
        df["y"] += rng.normal(size=second.max() + 1)[second]
        df.loc[rng.random(len(df)) < 0.2, "y"] = np.nan
        one, two = (seconds(df, c, iterations) for c in ("first", ["first", "second"]))
        rows.append([name, f"{len(df):,}", *(f"{each:.2f}" for each in two / one), f"{two[1]:.3f}"])
    head = ["", "rows", "run, times one grouping", "chain-iteration, times", "its seconds"]
    return head, rows


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--parts", nargs="+", default=["three", "crossed", "speed"])
    add_keep(parser)
    options = parser.parse_args()
    for part in options.parts:
        header, rows = (
            speed() if part == "speed" else simulated(part, options.replicates, options.workers)
        )
        print(table(header, rows), "\n", flush=True)
        if options.keep:
            what = WHAT[part].format(replicates=options.replicates)
            keep("groupings", part, what, header, rows)


if __name__ == "__main__":
    main()
