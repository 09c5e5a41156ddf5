"""Compatible imputation against JAGS: the same posterior, and how fast each gets there.

``python benchmarks/jags.py [--cases square ...] [--iterations 4000] [--no-speed] [--keep]``

The joint distribution of an analysis and its covariates is sampled twice: by the chains of
``bi.impute(..., analysis=)`` and by JAGS (Debian: jags, r-cran-rjags), which gets the incomplete
data, the same priors, and a text that is independent of our code (jags_models.py). Means and
quantiles of all parameters, and of mean and SD of the missing values, are compared in units of
their Monte-Carlo error. Where Rscript is not there, nothing is compared, and that is said.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Literal

import arviz
import numpy as np
import numpy.typing as npt
import pandas as pd
from jags_models import CASES, SPEED, Case, Part
from markdown import table as markdown_table
from results import add_keep, keep

import bayesimpute as bi
from bayesimpute.design import DesignBuilder
from bayesimpute.engine.adapt import reference_values
from bayesimpute.method import Design
from bayesimpute.sampling.gaussian import Units
from bayesimpute.specification.specification import Target

Array = npt.NDArray[np.float64]

CHAINS, SEED = 4, 1
#: Iterations of ours left out.
BURN = 200
QUANTILES = (0.05, 0.5, 0.95)
#: With fewer distinct values, such as shares have, quantiles move in steps and are not compared.
MANY = 200
#: Monte-Carlo standard errors that two right answers may differ by.
MOST = 4.0


# --- ours -----------------------------------------------------------------------------------------


def ours(
    case: Case,
    data: pd.DataFrame,
    iterations: int,
    on: Literal["analysis", "conditional"] = "analysis",
) -> tuple[bi.Imputations, float]:
    """Run our chains; gives the processor's seconds too."""
    cluster = "g" if "| g)" in case.analysis else None
    given: dict[str, Any] = {} if on == "conditional" else dict(case.arguments)
    before = process_time()
    imputed = bi.impute(
        data, analysis=case.analysis, cluster=cluster, m=CHAINS, iterations=iterations, seed=SEED,
        cores=1, progress=False, on=on, **given,
    )  # fmt: skip
    return imputed, process_time() - before


def draws_of(imputed: bi.Imputations, case: Case) -> dict[str, Array]:
    """Our draws by variable, parameter and number, (chain, draw)."""
    found = {}
    posterior = imputed.datatree["posterior"]
    for part in case.parts:
        for name in part.parameters:
            # the tree has another name where a summary of the imputed cells is called so
            held = imputed.history.parameters[part.name][name][:, BURN:]
            for k, column in enumerate(np.moveaxis(held.reshape(*held.shape[:2], -1), 2, 0)):
                found[f"{part.name}.{name}[{k}]"] = column
    for part in case.covariates:
        for name in ("mean", "sd"):  # of the missing values
            found[f"{part.name}.{name}"] = posterior[f"{part.name}.{name}"].to_numpy()[:, BURN:]
    return found


# --- JAGS -----------------------------------------------------------------------------------------


def constants(part: Part, design: Design) -> dict[str, Array]:
    """Means and SDs in the priors of one of our models, as its documentation has them."""
    units, v = Units.of(design), part.name
    y = design.y[design.fit]
    normal = part.kind == "normal"
    unit = units.scale_y if normal else 1.0
    logs = part.kind in ("poisson", "gamma")
    middle = units.centre_y if normal else float(np.log(y.mean())) if logs else 0.0
    held: dict[str, Array] = {f"ma.{v}": np.array(middle), f"ta.{v}": np.array(2.5 * unit)}
    if part.terms:
        held[f"cx.{v}"] = units.centre_x
        held[f"tb.{v}"] = (1.0 if logs else 2.5) * unit / units.scale_x
    if part.grouped:
        slopes = [name != "intercept" for name in design.random_effects]
        held[f"ts.{v}"] = np.where(slopes, 0.5, 1.0) * unit / units.scale_z
    if part.slopes:
        held[f"cz.{v}"] = units.centre_z
    if part.kind in ("normal", "gamma"):
        held[f"tr.{v}"] = np.array(unit)
    if part.kind in ("categorical", "ordinal"):
        del held[f"ma.{v}"]
    if part.kind == "ordinal":
        held[f"al.{v}"] = np.ones(len(design.categories))
    return held


def data_of(case: Case, data: pd.DataFrame, imputed: bi.Imputations) -> dict[str, Array]:
    """Everything JAGS is given."""
    specification = imputed.specification
    values = reference_values(specification, SEED)
    held: dict[str, Array] = {"N": np.array(len(data))}
    for part in case.parts:
        target = specification.targets[part.name]
        assert isinstance(target, Target)
        builder = DesignBuilder.of(specification, target)
        held |= constants(part, builder.build(values))
    for name in data.columns.drop("g", errors="ignore"):
        column = data[name]
        held[name] = (
            np.where(column.isna(), np.nan, column.cat.codes.to_numpy() + 1.0)
            if isinstance(column.dtype, pd.CategoricalDtype)
            else column.to_numpy(dtype=np.float64)
        )
    if any(part.grouped for part in case.parts):
        held["g"] = data["g"].to_numpy(dtype=np.float64) + 1.0
        held["J"] = np.array(held["g"].max())
    for part in case.covariates:
        gone = np.flatnonzero(data[part.name].isna())
        held[f"gone.{part.name}"] = gone.astype(np.float64) + 1.0
        if part.rows[1] == "J":
            held[f"gone.{part.name}"] = held["g"][gone]
            held[part.name] = data.groupby("g")[part.name].first().to_numpy()
            held["mx"] = data.groupby("g")["x"].mean().to_numpy()
    text = case.text()
    return {name: column for name, column in held.items() if name in text or name in "NJ"}


def dump(held: Mapping[str, Array]) -> str:
    """Write numbers as R code."""

    def number(x: float) -> str:
        return "NA" if np.isnan(x) else repr(float(x))

    return "\n".join(
        f"`{name}` <- c({', '.join(number(x) for x in np.ravel(column))})"
        for name, column in held.items()
    )


@dataclass(frozen=True)
class Seconds:
    """What sampling took, all chains together, without what comes before it."""

    processor: float
    clock: float


def jags(
    case: Case,
    data: pd.DataFrame,
    imputed: bi.Imputations,
    iterations: int,
    thin: int,
    adapt: int = 1000,
    processes: int = 1,
) -> tuple[dict[str, Array], Seconds]:
    """Sample with JAGS, chains divided among processes; gives draws under our names."""
    wanted = {parameter for part in case.parts for parameter in part.parameters.values()}
    wanted |= {f"{what}.{part.name}" for part in case.covariates for what in ("mm", "ms")}
    monitored = ",".join(sorted({each.split("[")[0] for each in wanted}))
    firsts = range(0, CHAINS, CHAINS // processes)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.jags").write_text(case.text(), encoding="utf-8")
        (Path(folder) / "data.R").write_text(dump(data_of(case, data, imputed)), encoding="utf-8")
        script = str(Path(__file__).with_name("jags.R"))
        each = (CHAINS // processes, adapt, iterations // 10, iterations, thin)
        running = [
            subprocess.Popen(
                ["Rscript", script, folder, monitored, *map(str, (*each, first))],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for first in firsts
        ]  # fmt: skip
        said = [process.communicate() for process in running]
        for process, (_, error) in zip(running, said, strict=True):
            if process.returncode:
                raise RuntimeError(error)
        draws = pd.concat([pd.read_csv(Path(folder) / f"draws{first}.csv") for first in firsts])
    took = np.array([out.split()[-2:] for out, _ in said], dtype=float)
    chains = {column: draws[column].to_numpy().reshape(CHAINS, -1) for column in draws.columns}
    found: dict[str, Array] = {}
    for part in case.covariates:
        found |= {f"{part.name}.mean": chains[f"mm.{part.name}"]}
        found |= {f"{part.name}.sd": chains[f"ms.{part.name}"]}
    for part in case.parts:
        for parameter, theirs in part.parameters.items():
            base = theirs.split("[")[0]
            columns = (
                [theirs] if theirs in chains else [c for c in chains if c.split("[")[0] == base]
            )
            # our beta of categories has those of one predictor side by side
            columns.sort(key=places)
            for k, column in enumerate(columns):
                found[f"{part.name}.{parameter}[{k}]"] = chains[column]
    return found, Seconds(float(took[:, 0].sum()), float(took[:, 1].max()))


def places(column: str) -> list[int]:
    """Read the indices in a name of JAGS's: ``b.y[2,1]``."""
    return [int(k) for k in column.rstrip("]").split("[")[1].split(",")] if "[" in column else []


# --- comparison -----------------------------------------------------------------------------------


def compare(case: str, first: Mapping[str, Array], second: Mapping[str, Array]) -> pd.DataFrame:
    """Compare mean and quantiles of every quantity, in units of their Monte-Carlo errors."""
    if set(first) != set(second):
        raise RuntimeError(f"{case}: {set(first) ^ set(second)} is in one posterior only")
    rows = []
    for name in first:
        steps = len(np.unique(first[name])) < MANY
        for p in (None,) if steps else (None, *QUANTILES):
            values = [statistic(each[name], p) for each in (first, second)]
            errors = [mcse(each[name], p) for each in (first, second)]
            z = (values[0] - values[1]) / float(np.hypot(errors[0], errors[1]))
            rows.append([case, name, "mean" if p is None else f"{100 * p:g} %", *values, z])
    columns = ["case", "quantity", "statistic", "ours", "JAGS", "z"]
    return pd.DataFrame(rows, columns=columns)


def statistic(draws: Array, p: float | None) -> float:
    """Mean, or a quantile."""
    return float(draws.mean() if p is None else np.quantile(draws, p))


def mcse(draws: Array, p: float | None) -> float:
    """Monte-Carlo standard error of the same."""
    if p is None:
        return float(arviz.mcse(draws, method="mean"))
    return float(arviz.mcse(draws, method="quantile", prob=p))


# --- speed ----------------------------------------------------------------------------------------


def effective(draws: Mapping[str, Array]) -> float:
    """Effective draws of the coefficient of the analysis that has fewest: bulk, all chains."""
    names = [name for name in draws if name.startswith(("y.intercept", "y.beta"))]
    return min(float(arviz.ess(draws[name])) for name in names)


def go_on(imputed: bi.Imputations, iterations: int, cores: int) -> tuple[bi.Imputations, Seconds]:
    """Go on with our chains; the seconds are those of iterations, models being there."""
    taken = []
    for count in (1, 1 + iterations):
        before = process_time(), perf_counter()
        longer = imputed.extend(count, progress=False, cores=cores)
        taken.append((process_time() - before[0], perf_counter() - before[1]))
    return longer, Seconds(*(long - short for short, long in zip(*taken, strict=True)))


def speed(iterations: int) -> tuple[list[list[object]], dict[str, float]]:
    """Effective draws a second on data of common size, and milliseconds of an iteration.

    Gives rows of a table, and the ratios that the site quotes. Both are timed after adaptation
    and burn-in, with one core and with all that there are: ours in threads of one process, JAGS's
    chains in processes side by side.
    """
    data = SPEED.data(SEED)
    imputed, _ = ours(SPEED, data, BURN)
    rows: list[list[object]] = []
    values: dict[str, float] = {}
    for cores in sorted({1, min(CHAINS, os.cpu_count() or 1)}):
        longer, our_time = go_on(imputed, iterations, cores)
        theirs, their_time = jags(SPEED, data, imputed, iterations, 1, 100, cores)
        found = effective(draws_of(longer, SPEED)), effective(theirs)
        for how in ("processor", "clock"):
            rates = [
                n / getattr(t, how) for n, t in zip(found, (our_time, their_time), strict=True)
            ]
            rows.append(
                [f"effective draws a second of the {how}, {cores} core(s)", *rates,
                 f"{rates[0] / rates[1]:.1f}x"]
            )  # fmt: skip
            values[f"effective_by_{how}"] = round(rates[0] / rates[1], 1)  # most cores last
    shares = [n / iterations / CHAINS for n in found]
    rows.append(["effective draws an iteration", *shares, f"{shares[0] / shares[1]:.1f}x"])
    taken = [1000 * t.processor / iterations / CHAINS for t in (our_time, their_time)]
    rows.append(["ms an iteration", *taken, f"{taken[1] / taken[0]:.1f}x"])
    chained, _ = ours(SPEED, data, 20, "conditional")
    alone = [go_on(each, 200, 1)[1].processor * 5 / CHAINS for each in (imputed, chained)]
    rows.append(["ms an iteration; chained equations", *alone, f"{alone[0] / alone[1]:.1f}x"])
    values["iteration_to_chained"] = round(alone[0] / alone[1], 1)
    return rows, values


def main() -> int:
    """Run, write and print; status 1 if any quantity differs beyond its Monte-Carlo error."""
    parser = argparse.ArgumentParser(description="Compatible imputation against JAGS.")
    parser.add_argument("--cases", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--iterations", type=int, default=4000, help="of ours, in each chain")
    parser.add_argument("--jags-iterations", type=int, default=20000, help="in each chain")
    parser.add_argument("--speed-iterations", type=int, default=1000, help="of both, when timed")
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--file", type=Path, help="all comparisons go here, CSV")
    add_keep(parser)
    chosen = parser.parse_args()
    if chosen.keep and len(chosen.cases) < len(CASES):
        parser.error("--keep is for all cases")
    if not shutil.which("Rscript"):
        print("R is not installed: no comparison.")
        return 0
    tables, rows = [], []
    for name in chosen.cases:
        case = CASES[name]
        data = case.data(SEED)
        imputed, seconds = ours(case, data, chosen.iterations)
        theirs, taken = jags(case, data, imputed, chosen.jags_iterations, 5)
        table = compare(name, draws_of(imputed, case), theirs)
        tables.append(table)
        worst = table.iloc[int(table["z"].abs().argmax())]
        rows.append(
            [name, len(table), f"{abs(worst['z']):.1f} ({worst['quantity']}, {worst['statistic']})",
             seconds, taken.processor]
        )  # fmt: skip
        print(rows[-1], file=sys.stderr, flush=True)
        if chosen.file is not None:
            pd.concat(tables).to_csv(chosen.file, index=False)
    if rows:
        header = ["case", "compared", "farthest apart, in MCSE", "s, ours", "s, JAGS"]
        print(markdown_table(header, rows))
        if chosen.keep:
            what = "Joint posteriors of analyses and covariates, by `analysis=` and by JAGS."
            farthest = float(max(table["z"].abs().max() for table in tables))
            values = {
                "posteriors": len(tables), "compared": sum(map(len, tables)), "farthest": farthest,
            }  # fmt: skip
            keep("jags", "posteriors", what, header, rows, values)
    if not chosen.no_speed:
        header = ["n = 2,000, 100 clusters", "ours", "JAGS", "ratio"]
        compared, ratios = speed(chosen.speed_iterations)
        print(markdown_table(header, compared))
        if chosen.keep:
            what = "2,000 rows in 100 clusters, two incomplete covariates (normal models)."
            keep("jags", "speed", what, header, compared, ratios)
    apart = [table[table["z"].abs() > MOST] for table in tables]
    found = pd.concat(apart) if apart else pd.DataFrame()
    if len(found):
        print(f"\nApart by more than {MOST:g} Monte-Carlo standard errors:\n{found.to_string()}")
    return 1 if len(found) else 0


if __name__ == "__main__":
    sys.exit(main())
