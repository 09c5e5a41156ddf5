"""Divergences and effective draws where clusters are few: ``python benchmarks/few_clusters.py``.

With two to six clusters the SDs between them are hardly known, and their posterior has a wall
below and a long tail above, in which steps that suit its middle are too long. Penguins (344 birds
on three islands, simulated near the data of Palmer station), the weight of the obesity data (five
regions, one without any weight) by selection models, and small simulated data, one incomplete
variable each (of ``joint``, two). Four chains; ESS is that of all population parameters, beside the
number of draws.

``python benchmarks/few_clusters.py heckman`` runs the cases whose name has that word only.
"""

import sys
from collections.abc import Iterator
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
from categories import shared
from markdown import table
from selection import FORMULA, one_target

import bayesimpute as bi
from bayesimpute.registry import resolve

M, ITERATIONS = 4, 150
#: Moves of a sweep; of the collapsed normal model there is one.
MOVES = 3
COLLAPSED = ("normal", "pmm", "sample")
#: Island, species, birds; then mean and SD of bill length, bill depth, flipper and mass.
BIRDS = (
    ("Biscoe", "Adelie", 44), ("Dream", "Adelie", 56), ("Torgersen", "Adelie", 52),
    ("Dream", "Chinstrap", 68), ("Biscoe", "Gentoo", 124),
)  # fmt: skip
SIZES = {
    "Adelie": ((38.8, 18.3, 190.0, 3700.0), (2.1, 1.0, 6.0, 320.0)),
    "Chinstrap": ((48.8, 18.4, 196.0, 3733.0), (2.4, 0.8, 6.0, 300.0)),
    "Gentoo": ((47.5, 15.0, 217.0, 5076.0), (2.4, 0.7, 5.0, 330.0)),
}
MALE = (1.9, 0.7, 3.5, 330.0)


def penguins(seed: int) -> pd.DataFrame:
    """Birds like those of Palmer station, with as many gaps."""
    rng = np.random.default_rng(seed)
    rows: list[list[object]] = []
    for island, species, count in BIRDS:
        mean, sd = SIZES[species]
        for _ in range(count):
            male = rng.integers(0, 2)
            size = rng.normal()
            sizes = [
                m + (2 * male - 1) * shift + s * (0.5 * size + 0.87 * rng.normal())
                for m, s, shift in zip(mean, sd, MALE, strict=True)
            ]
            sizes = np.round(sizes, 1).tolist()
            rows.append([species, island, *sizes, ("female", "male")[male], 2007 + len(rows) % 3])
    columns = ["species", "island", "bill_length", "bill_depth", "flipper", "mass", "sex", "year"]
    df = pd.DataFrame(rows, columns=columns)
    df.loc[[100, 300], columns[2:6]] = np.nan
    df.loc[rng.choice(len(df), 11, replace=False), "sex"] = None
    return df


def small(kind: str, clusters: int, rows: int, between: float, seed: int = 1) -> pd.DataFrame:
    """One outcome, a fifth of it missing, two predictors, the slope of the first by cluster."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(clusters), rows)
    n = len(g)
    x1, x2 = rng.normal(size=(2, n))
    effects = rng.normal(size=(clusters, 2)) * [between, between / 2]
    eta = 0.5 * x1 - 0.3 * x2 + effects[g, 0] + effects[g, 1] * x1
    latent = eta + rng.logistic(size=n)
    y: Any = {
        "number": eta + rng.normal(size=n),
        "binary": np.where(latent > 0, "yes", "no").astype(object),
        "ordered": np.digitize(latent, [-1.0, 1.0]).astype(float),
        "nominal": np.array(["a", "b", "c"], dtype=object)[
            np.argmax(np.column_stack([0 * eta, eta, -eta]) + rng.gumbel(size=(n, 3)), axis=1)
        ],
        "count": rng.poisson(np.exp(0.5 * eta + 0.5)).astype(float),
        "bounded": np.clip(eta + rng.normal(size=n), -1.0, 1.0),
    }[kind]
    df = pd.DataFrame({"g": g, "x1": x1, "x2": x2, "y": y})
    if kind == "ordered":
        labels = {0.0: "low", 1.0: "middle", 2.0: "high"}
        df["y"] = pd.Categorical(df["y"].map(labels), ["low", "middle", "high"], ordered=True)
    df["u"] = eta + rng.normal(size=n)
    df.loc[rng.random(n) < 0.2, "y"] = None
    return df


SLOPE = {"formulas": {"y": "y ~ x1 + x2 + (1 + x1 | g)"}}


def cases() -> Iterator[tuple[str, pd.DataFrame, dict[str, Any]]]:
    """Name, data and arguments of each case."""
    for seed in (1, 2):
        yield f"penguins {seed}, defaults", penguins(seed), {"cluster": "island"}
    every = dict.fromkeys(["bill_length", "bill_depth", "flipper", "mass"], "normal")
    yield "penguins, normal", penguins(1), {"cluster": "island", "method": every}
    real = shared("obesity.csv").is_file()
    whole = pd.read_csv(shared("obesity.csv")) if real else None
    data = one_target(bi.simulate.simulate_obesity(seed=1).incomplete if whole is None else whole)
    heavy = data.assign(Weight=(data["Weight"] > 85).where(data["Weight"].notna()).astype(float))
    options = {"model_options": {"Weight": {"selection_only": ("Time",)}}}
    plain = "Weight ~ Gender + Height + Age + FamOb + Time + (1 | Cluster)"
    for method in ("heckman", "heckman.robust", "heckman.binary"):
        df = heavy if method == "heckman.binary" else data
        for name, formula in {"intercept": plain, "slopes": FORMULA}.items():
            yield f"obesity, {name}", df, {
                "method": {"Weight": method}, "formulas": {"Weight": formula}, **options,
            }  # fmt: skip
    small_cases: dict[str, tuple[str, int, int, float, dict[str, Any]]] = {
        "normal": ("number", 2, 20, 0.5, {"cluster": "g"}),
        "normal.robust": ("number", 3, 20, 0.5, SLOPE),
        "logistic": ("binary", 3, 20, 0.5, SLOPE),
        "ordinal": ("ordered", 3, 20, 0.5, {"cluster": "g"}),
        "categorical": ("nominal", 2, 30, 0.5, {"cluster": "g"}),
        "poisson": ("count", 4, 15, 1.0, SLOPE),
        "negative_binomial": ("count", 3, 20, 0.1, {"cluster": "g"}),
        "normal.censored": ("bounded", 4, 25, 0.5, SLOPE),
        "heckman": ("number", 3, 60, 0.5, {"cluster": "g"}),
        "heckman.binary": ("binary", 4, 60, 0.5, {"cluster": "g"}),
        "joint": ("number", 4, 20, 0.5, {"cluster": "g"}),
    }
    for method, (kind, clusters, rows, between, arguments) in small_cases.items():
        df = small(kind, clusters, rows, between)
        more: dict[str, Any] = {"method": {"y": method}}
        if method == "normal.censored":
            more["model_options"] = {"y": {"lower": -1.0, "upper": 1.0}}
        if method == "joint":
            df.loc[df.index % 5 == 0, "u"] = None
            more = {"method": {"y": "joint", "u": "joint"}}
        yield f"{clusters} clusters", df.drop(columns="u") if method != "joint" else df, {
            **arguments, **more,
        }  # fmt: skip
    for method in ("normal", "logistic"):
        for clusters in (2, 3, 5):
            df = small("number" if method == "normal" else "binary", clusters, 200, 3.0)
            yield f"{clusters} large, far apart", df.drop(columns="u"), {
                **SLOPE, "method": {"y": method},
            }  # fmt: skip


def measured(imp: bi.Imputations) -> Iterator[tuple[str, str, float, float, float, str, float]]:
    """Target, method, transitions, % diverging, % of visits, and the parameter of least ESS."""
    found = imp.diagnostics()
    parameters = found[~found["quantity"].isin(["mean", "sd"])]
    for name, statistics in imp.history.statistics.items():
        diverging = statistics.get("diverging")
        if diverging is None:
            continue
        method = str(imp.method[name])
        target: Any = imp.specification.targets[name]
        options = {**resolve(method).options, **target.options}
        transitions = diverging.size * int(options["transitions"])
        transitions *= 1 if method in COLLAPSED else MOVES
        share = 100 * float(diverging.sum()) / transitions
        own = parameters[parameters["variable"].str.split("+").map(lambda v, n=name: n in v)]
        own = own.dropna(subset="ess_bulk").sort_values("ess_bulk")
        least = own.iloc[0] if len(own) else None
        worst = "" if least is None else str(least["quantity"])
        ess = float("nan") if least is None else float(least["ess_bulk"]) / diverging.size
        visits = 100 * float((diverging > 0).mean())
        yield name, method, float(transitions), share, visits, worst, ess


def main() -> None:
    """Run the cases and print a Markdown table."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    rows: list[list[object]] = []
    for name, df, arguments in cases():
        if wanted not in f"{name} {arguments.get('method', '')}":
            continue
        start = process_time()
        imp = bi.impute(
            df, m=M, iterations=ITERATIONS, seed=1, cores=1, progress=False, **arguments
        )
        seconds = process_time() - start
        for target, method, count, share, visits, worst, ess in measured(imp):
            rows.append(
                [name, target, method, f"{count:.0f}", f"{share:.3f}", f"{visits:.1f}", worst, ess,
                 seconds]
            )  # fmt: skip
            print(rows[-1], file=sys.stderr, flush=True)
    header = ["data", "variable", "method", "transitions", "% diverging", "% of visits",
              "least ESS", "ESS a draw", "seconds"]  # fmt: skip
    print(table(header, rows))


if __name__ == "__main__":
    main()
