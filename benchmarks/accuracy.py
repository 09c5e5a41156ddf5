"""Pooled answers, convergence and checks on the paper's data, as the site has them.

``python benchmarks/accuracy.py [--parts pooled r-hat impact overimputation mixed] [--keep]``

popmis (2,000 pupils in 100 schools) beside its complete data; R-hat of short runs over seeds;
IMPACT (11,022 patients in 15 studies) beside the published odds; every observed cell of IMPACT
predicted without itself; a posterior mixed over 100 imputations beside Rubin's rules. The data lie
beside the checkout or in the folder ``BAYESIMPUTE_SHARED`` names. Draws follow from seeds, so that
the numbers are the same on any machine but for rounding.
"""

import argparse
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
from categories import IMPACT_METHODS, shared
from markdown import table
from popularity import ANALYSIS, ITERATIONS, M, impute, load
from results import add_keep, keep

import bayesimpute as bi

POPMIS = f"popmis (2,000 pupils, 100 schools, 42 % missing; m = {M}, {ITERATIONS} iterations)"
IMPACT = "IMPACT (11,022 patients in 15 studies, six incomplete variables)"
IMPACT_ANALYSIS = "mort ~ type + age + motor_score + pupil + ct + (1 | name)"
#: The published pooled table: log-odds and standard error.
PUBLISHED = {
    "typeRCT": (-0.347, 0.179), "age": (0.032, 0.002), "motor_score3": (-0.576, 0.070),
    "motor_score4": (-0.892, 0.072), "motor_score5/6": (-1.272, 0.074),
    "pupilNone": (1.311, 0.074), "pupilOne": (0.661, 0.077), "ctIII": (0.783, 0.075),
    "ctIV/V": (0.786, 0.095), "(Intercept)": (-2.257, 0.335),
}  # fmt: skip
LIMIT = 1.05

Part = tuple[str, list[str], list[list[object]], Mapping[str, float]]


def pooled() -> Part:
    """Pool the analysis of complete and of imputed data."""
    data = load()[1]
    complete = pd.read_csv(shared("popular_complete.csv"))
    found: dict[str, dict[str, str]] = {}
    fits = {"complete data": bi.fit([complete, complete], ANALYSIS)}
    runs = {method: impute(data, method, seed=1) for method in ("normal", "pmm")}
    fits |= {f"`{method}`": run.fit(ANALYSIS) for method, run in runs.items()}
    for name, fit in fits.items():
        answer = fit.pool()
        estimate, components = answer.table["estimate"], answer.variance_components
        found[name] = {
            "intercept": f"{estimate['(Intercept)']:.3f}",
            "texp": f"{estimate['texp']:.3f}",
            "sex (SE)": f"{estimate['sex']:.3f} ({answer.table['std_error']['sex']:.3f})",
            "school variance": f"{components['Intercept~~Intercept|school']:.3f}",
            "residual variance": f"{components['Residual~~Residual']:.3f}",
        }
    for method, run in runs.items():
        largest = run.extend(10).diagnostics()["r_hat"].max()
        found[f"`{method}`"]["largest R-hat with 20 iterations"] = f"{largest:.3f}"
    rows = pd.DataFrame(found).fillna("")
    what = f"Pooled answers of {POPMIS}, seed 1; sex has a random slope in the imputation model."
    return what, ["", *rows.columns], [[name, *row] for name, row in rows.T.items()], {}


def r_hat() -> Part:
    """Give the largest R-hat of runs of three lengths, over seeds."""
    data = load()[1]
    values: dict[str, float] = {}
    rows: list[list[object]] = []
    for iterations, seeds in {10: 40, 20: 10, 40: 10}.items():
        largest = np.array(
            [
                bi.impute(
                    data, cluster="school", method="normal", m=M, iterations=iterations, seed=seed,
                    progress=False,
                ).diagnostics()["r_hat"].max()
                for seed in range(1, seeds + 1)
            ]
        )  # fmt: skip
        above = f"{np.mean(largest > LIMIT):.0%}"
        rows.append([iterations, seeds, *(f"{f(largest):.3f}" for f in (np.median, np.max)), above])
    what = (
        f"Largest R-hat, bulk and folded, of all quantities of popmis by `normal`, m = {M}, over "
        "seeds."
    )
    header = ["iterations", "seeds", "median", "largest", f"above {LIMIT}"]
    return what, header, rows, values


def impact_run(m: int, iterations: int, age: bool = False) -> bi.Imputations:
    """Impute IMPACT, each variable by its own likelihood; with gaps in age too if asked for."""
    # "None" is a category of pupil, not a missing value
    data = pd.read_csv(shared("impact_incomplete.csv"), keep_default_na=False, na_values=[""])
    data["ct"] = pd.Categorical(data["ct"], ["I/II", "III", "IV/V"], ordered=True)
    method = dict(IMPACT_METHODS)
    if age:
        data["age"] = data["age"].mask(np.random.default_rng(1).random(len(data)) < 0.1)
        method["age"] = "normal"
    return bi.impute(
        data, cluster="name", m=m, iterations=iterations, method=method, seed=1, progress=False
    )


def impact() -> Part:
    """Compare log-odds with the published ones, and give R-hat of two lengths."""
    short = impact_run(20, 10)
    longer = short.extend(10)
    values = {
        "quantities": float(longer.diagnostics()["r_hat"].notna().sum()),
        "r_hat_10": float(short.diagnostics()["r_hat"].max()),
        "r_hat_20": float(longer.diagnostics()["r_hat"].max()),
    }
    answer = longer.fit(IMPACT_ANALYSIS, family="binomial").pool().table
    rows: list[list[object]] = []
    for term, (estimate, error) in PUBLISHED.items():
        ours = answer.loc[term]
        off = abs(ours["estimate"] - estimate) / error
        rows.append(
            [f"`{term}`", f"{ours['estimate']:.3f} ({ours['std_error']:.3f})",
             f"{estimate:.3f} ({error:.3f})", f"{off:.2f}"]
        )  # fmt: skip
    values["farthest"] = max(float(str(row[-1])) for row in rows)
    what = (
        f"{IMPACT}, m = 20, 20 iterations: pooled log-odds of `{IMPACT_ANALYSIS}` with their "
        "standard errors, the published ones, and how many of their standard errors lie between."
    )
    return what, ["", "here", "published", "apart"], rows, values


def overimputation() -> Part:
    """Predict every observed cell of IMPACT without itself."""
    found = impact_run(5, 10, age=True).overimpute(seed=1)
    by_study = 100 * found.by_cluster()["coverage"].loc["age"]
    values = {"least": float(by_study.min()), "most": float(by_study.max())}
    rows: list[list[object]] = [
        [f"`{name}`", f"`{row['method']}`", int(row["n"]), f"{100 * row['coverage']:.1f} %"]
        for name, row in found.table.iterrows()
    ]
    what = (
        f"{IMPACT} and a tenth of the ages removed, m = 5, 10 iterations: how many observed cells "
        f"the intervals of {100 * found.level:.0f} % hold, each cell predicted without itself."
    )
    return what, ["variable", "method", "cells", "held"], rows, values


def mixed_model(data: pd.DataFrame) -> Any:
    """Give the analysis of popmis as a PyMC model."""
    with pm.Model() as model:
        x = pm.Data("x", data[["texp", "sex"]].to_numpy(float))
        school = pm.Data("school", pd.factorize(data["school"])[0])
        intercept = pm.Normal("intercept", 5, 5)
        texp = pm.Normal("texp", 0, 1)
        sex = pm.Normal("sex", 0, 2)
        spread = pm.HalfNormal("sd_school", 1)
        effect = pm.Normal("effect", 0, 1, shape=data["school"].nunique())
        sigma = pm.HalfNormal("sigma", 1)
        mean = intercept + texp * x[:, 0] + sex * x[:, 1] + spread * effect[school]
        score = pm.Data("y", data["popular"].to_numpy(float))
        pm.Normal("score", mean, sigma, observed=score)
    return model


def mixed() -> Part:
    """Mix the posteriors of a hundred imputations."""
    run = impute(load()[1], "normal", seed=1).more(100)
    names = {"intercept": "(Intercept)", "texp": "texp", "sex": "sex"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few draws a chain, of which there are two hundred
        posterior = run.fit_posterior(mixed_model, draws=300, tune=300, chains=2, seed=1)
        mixture: dict[Any, Any] = posterior.pool(names=list(names)).table.to_dict("index")
    rules: dict[Any, Any] = run.fit(ANALYSIS).pool().table.to_dict("index")
    rows: list[list[object]] = [
        [name, f"{mixture[name]['mean']:.4f} ({mixture[name]['sd']:.4f})",
         f"{rules[term]['estimate']:.4f} ({rules[term]['std_error']:.4f})",
         f"{mixture[name]['fmi']:.3f}", f"{rules[term]['fmi']:.3f}"]
        for name, term in names.items()
    ]  # fmt: skip
    header = ["", "mixed: mean (SD)", "Rubin: estimate (SE)", "mixed: fmi", "Rubin: fmi"]
    what = f"popmis, m = 100, {ITERATIONS} iterations, `normal`: `{ANALYSIS}`."
    return what, header, rows, {}


PARTS: dict[str, Callable[[], Part]] = {
    "pooled": pooled, "r-hat": r_hat, "impact": impact, "overimputation": overimputation,
    "mixed": mixed,
}  # fmt: skip


def main() -> None:
    """Run the parts asked for, print Markdown tables and keep them."""
    parser = argparse.ArgumentParser(description="Accuracy on the paper's data.")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    add_keep(parser)
    chosen = parser.parse_args()
    if not shared("popular_complete.csv").is_file():
        print("The data are not here: set BAYESIMPUTE_SHARED to the folder with data/.")
        return
    for name in chosen.parts:
        what, header, rows, values = PARTS[name]()
        print(f"\n{what}\n\n{table(header, rows)}\n\n{dict(values)}", flush=True)
        if chosen.keep:
            keep("accuracy", name, what, header, rows, values)


if __name__ == "__main__":
    main()
