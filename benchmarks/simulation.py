"""The published simulation of values missing not at random (Muñoz et al. 2023), in one command.

``python benchmarks/simulation.py [--rho 0.6 ...] [--rows 100] [--replicates 40] [--keep]``

Simulates clusters whose outcome is seen or not because of what it is (the design is that of
bi.simulate.simulate_selection), imputes at random and by selection models, and compares. Prints a
Markdown table, and writes ``table.csv``, ``table.md`` and a figure into the folder, with every
finished replicate beside them: started again, it goes on.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
from markdown import table as markdown_table
from results import add_keep, keep

import bayesimpute as bi
from bayesimpute.registry import METHODS
from bayesimpute.simulate import Replicates

COMPLETE = "complete data"
ANALYSIS = "y ~ x1 + x2 + (1 | cluster) + (0 + x1 | cluster) + (0 + x2 | cluster)"

#: Method of the outcome by name of the result, for numbers and for two values.
OUTCOME = {"at random": "normal", "heckman": "heckman", "heckman.robust": "heckman.robust"}
BINARY = {"at random": "logistic", "heckman": "heckman.binary"}

#: Bias and coverage that were published for 2l.2stage.heckman, by ρ, clusters and rows.
PUBLISHED = {
    (0.0, 10, 1000): ("0.011, 0.002, 0.004", "0.92, 0.90, 0.94"),
    (0.6, 10, 1000): ("−0.056, −0.094, 0.055", "0.93, 0.92, 0.93"),
    (0.9, 10, 1000): ("−0.095, −0.132, 0.076", "0.94, 0.92, 0.93"),
    (0.6, 10, 100): ("0.046, −0.145, 0.050", "0.94, 0.95, 0.95"),
    (0.6, 100, 1000): ("−0.069, −0.090, 0.044", "0.85, 0.79, 0.93"),
}
TERMS = ["(Intercept)", "x1", "x2"]

HELP = f"""The analysis is {ANALYSIS},
linear, or with --binary a probit model as the truth is (slow: ten seconds and more a fit, and a
replicate has m of them for each method that imputes). Its degrees of freedom are clusters - 1 for
every method, because all three coefficients vary by cluster: what few clusters can tell of their
mean does not grow with the rows in them. Complete cases have lost whole clusters too, and keep
these degrees of freedom all the same. With --errors "skewed t" the errors have no mean of zero, so
that the intercept is not what the published truth says: look at the bias against complete data."""


def available(binary: bool) -> dict[str, str]:
    """Methods of this version by the name of their result."""
    wanted = BINARY if binary else OUTCOME
    return {name: method for name, method in wanted.items() if method in METHODS}


def arguments(name: str, method: str) -> dict[str, Any]:
    """Give ``bi.impute`` its arguments: x3 is in the selection equation, or nowhere."""
    if name == "at random":
        return {"method": {"y": method}, "formulas": {"y": "y ~ x1 + x2 + (1 + x1 + x2 | cluster)"}}
    return {
        "method": {"y": method},
        "formulas": {"y": "y ~ x1 + x2 + x3 + (1 + x1 + x2 + x3 | cluster)"},
        "model_options": {"y": {"selection_only": ("x3",)}},
    }


def study(rho: float, chosen: argparse.Namespace, pool: ProcessPoolExecutor) -> Replicates:
    """Run one correlation, or go on with it."""
    simulate = partial(
        bi.simulate.simulate_selection,
        clusters=chosen.clusters,
        rows=chosen.rows,
        rho=rho,
        binary=chosen.binary,
        errors=chosen.errors,
        self_masking=chosen.self_masking,
    )
    imputing = available(chosen.binary)
    methods = {
        name: arguments(name, imputing[name]) if name in imputing else None
        for name in chosen.methods
    }
    family = None
    if chosen.binary:
        from mixedlm.families import Binomial

        family = Binomial("probit")
    return bi.simulate.replicate(
        simulate,
        methods,
        ANALYSIS,
        replicates=chosen.replicates,
        seed=chosen.seed,
        impute={"m": chosen.m, "iterations": chosen.iterations},
        dfcom=chosen.clusters - 1,
        family=family,
        executor=pool,
        folder=chosen.folder / f"rho-{rho:g}",
    )


def tidy(found: Replicates, rho: float) -> pd.DataFrame:
    """Measure performance, with the bias against complete data beside that against the truth."""
    table = found.performance()
    if COMPLETE in found.methods:
        against = found.performance(control=COMPLETE)
        table["bias_to_complete"] = against["bias"]
        table["bias_to_complete_mcse"] = against["bias_mcse"]
    seconds = found.estimates.groupby("method")["seconds"].median()
    table["median_seconds"] = table["method"].map(seconds)
    table.insert(0, "rho", rho)
    return table


def summary(table: pd.DataFrame) -> str:
    """Write a Markdown table; Monte-Carlo standard errors are in brackets."""
    measures = {
        "bias": "bias",
        "bias_to_complete": "bias to complete data",
        "empirical_se": "empirical SE",
        "model_se": "model SE",
        "rmse": "RMSE",
        "coverage": "coverage",
        "width": "width",
    }
    measures = {name: title for name, title in measures.items() if name in table}
    rows = [
        [
            row["rho"],
            row["method"],
            row["term"],
            row["n"],
            *(with_error(row[name], row[f"{name}_mcse"]) for name in measures),
            row["median_seconds"],
        ]
        for row in table.to_dict("records")
    ]
    header = ["ρ", "method", "term", "n", *measures.values(), "median s"]
    return markdown_table(header, rows)


def with_error(value: float, error: float) -> str:
    """Write a measure and its Monte-Carlo standard error."""
    if pd.isna(value):
        return "–"
    return f"{value:.3f}" if pd.isna(error) else f"{value:.3f} ({error:.3f})"


def keep_design(rho: float, table: pd.DataFrame, chosen: argparse.Namespace) -> None:
    """Keep the published design at one correlation: bias to complete data, coverage, published."""
    found: dict[Any, Any] = table.set_index(["method", "term"]).to_dict("index")

    def three(method: str, measure: str, digits: int) -> str:
        return ", ".join(f"{found[method, term][measure]:.{digits}f}" for term in TERMS)

    bias, coverage = PUBLISHED.get((rho, chosen.clusters, chosen.rows), ("", ""))
    size = f"{chosen.clusters} × {chosen.rows}"
    keep(
        "simulation", f"published {rho:g} {chosen.clusters}x{chosen.rows}",
        "Bias against the analysis of the complete data, and coverage of 95 % intervals, of "
        "intercept, x1 and x2 by `heckman`; the coverage of the same analysis of the complete "
        "data; and what was published for `2l.2stage.heckman`.",
        ["ρ, rows", "bias", "coverage", COMPLETE, "published bias", "published coverage",
         "data sets"],
        [[f"{rho:g}, {size}", three("heckman", "bias_to_complete", 3),
          three("heckman", "coverage", 2), three(COMPLETE, "coverage", 2), bias, coverage,
          int(table["n"].max())]],
    )  # fmt: skip


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="The published simulation of values missing not at random.", epilog=HELP
    )
    parser.add_argument("--rho", type=float, nargs="+", default=[0.6], help="error correlations")
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--rows", type=int, default=100, help="in each cluster (published: 1000)")
    parser.add_argument("--replicates", type=int, default=40, help="(published: 500)")
    parser.add_argument("--errors", choices=["normal", "skewed t"], default="normal")
    parser.add_argument("--self-masking", action="store_true", help="y hides itself")
    parser.add_argument("--binary", action="store_true", help="outcome 1 where y > 0")
    parser.add_argument("--m", type=int, default=10, help="imputations")
    parser.add_argument(
        "--iterations", type=int, default=2,
        help="only y is incomplete: few do; with --self-masking, where the data say little of rho "
        "and chains are slow, 60",
    )  # fmt: skip
    parser.add_argument("--methods", nargs="+", help="default: all there are")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path("simulation"))
    add_keep(parser)
    chosen = parser.parse_args()
    known = [COMPLETE, "complete cases", *available(chosen.binary)]
    chosen.methods = chosen.methods or known
    for name in chosen.methods:
        if name not in known:
            parser.error(f"there is no method {name!r}; there are {', '.join(map(repr, known))}")
    departs = chosen.binary or chosen.self_masking or chosen.errors != "normal"
    if chosen.keep and (departs or not {COMPLETE, "heckman"} <= set(chosen.methods)):
        parser.error("--keep is for the published design, with complete data and heckman")
    return chosen


def write(tables: Sequence[pd.DataFrame], folder: Path) -> str:
    """Write both tables; give the readable one."""
    together = pd.concat(tables, ignore_index=True)
    together.to_csv(folder / "table.csv", index=False)
    # variance components have no truth here; the file has them
    text = summary(together[together["coverage"].notna()])
    (folder / "table.md").write_text(text + "\n", encoding="utf-8")
    return text


def main() -> int:
    """Run, write and print; status 1 if a method failed in any replicate, 2 if none could run."""
    chosen = parsed()
    tables, failures = [], []
    with ProcessPoolExecutor(chosen.workers, mp_context=get_context("spawn")) as pool:
        for rho in chosen.rho:
            try:
                found = study(rho, chosen, pool)
            except bi.BayesimputeError as error:
                print(error, file=sys.stderr)
                return 2
            tables.append(tidy(found, rho))
            if chosen.keep:
                keep_design(rho, tables[-1], chosen)
            failures += [f"ρ = {rho:g}: {each}" for each in found.failures.to_dict("records")]
            name = "figure.png" if len(chosen.rho) == 1 else f"figure-rho-{rho:g}.png"
            found.plot().savefig(chosen.folder / name, dpi=150)
    print(f"\n{write(tables, chosen.folder)}\n")
    print("Monte-Carlo standard errors are in brackets; n counts the replicates with an estimate.")
    print(f"Tables and figure are in {chosen.folder}/")
    for failure in failures:
        print(f"failed: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
