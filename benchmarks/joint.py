"""A joint block against R's jomo: seconds, effective draws of parameters a second, and the truth.

``python benchmarks/joint.py [--keep]``

A number, a yes/no and three ordered categories in 20 clusters of 50, a quarter of each missing,
the number missing in two whole clusters, the ordered one in a third. jomo runs its defaults (1,000
sweeps of burn-in, 1,000 between imputations), ours 5 chains of 10 iterations. Effective draws are
those of what mixes slowest in jomo, the SD between clusters of the systematically missing number:
of jomo's 1,000 sweeps after burn-in, of our 50 draws.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

import arviz
import numpy as np
import pandas as pd
from markdown import table
from results import add_keep, keep

import bayesimpute as bi

M, ITERATIONS = 5, 10


def simulated() -> pd.DataFrame:
    """SDs between clusters 1.5 (y), 0.6 (s), 0.4 (o); residual correlations 0.5, 0.4, 0.3."""
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(20), 50)
    n = len(cluster)
    x = rng.normal(size=n)
    residual = [[1, 0.5, 0.4], [0.5, 1, 0.3], [0.4, 0.3, 1]]
    latent = rng.multivariate_normal([0, 0, 0], residual, n) + np.outer(x, [0.5, 0.8, 0.3])
    latent += (rng.normal(size=(20, 3)) * [0.5, 0.6, 0.4])[cluster]
    df = pd.DataFrame(
        {
            "cluster": cluster,
            "x": x,
            "y": 10 + 3 * latent[:, 0],
            "s": np.where(latent[:, 1] > 0, "yes", "no"),
            "o": np.array(["a", "b", "c"])[np.digitize(latent[:, 2], [-0.5, 0.6])],
        }
    )
    for name in ("y", "s", "o"):
        df.loc[rng.random(n) < 0.25, name] = None
    df.loc[cluster < 2, "y"] = np.nan
    df.loc[cluster == 2, "o"] = None
    return df


def ours(df: pd.DataFrame, seed: int) -> tuple[float, float]:
    """Seconds, and effective draws of the SD between clusters of y."""
    df = df.assign(o=pd.Categorical(df["o"], ["a", "b", "c"], ordered=True))
    start = perf_counter()
    imp = bi.impute(
        df, cluster="cluster", m=M, iterations=ITERATIONS, seed=seed, progress=False,
        method=dict.fromkeys(("y", "s", "o"), "joint"),
    )  # fmt: skip
    seconds = perf_counter() - start
    drawn = np.asarray(imp.history.parameters["y"]["sd_intercept"])[:, :, 0]
    return seconds, float(arviz.ess(drawn))


def main() -> None:
    """Time both and print a Markdown table."""
    parser = argparse.ArgumentParser(description="A joint block against R's jomo.")
    add_keep(parser)
    chosen = parser.parse_args()
    df = simulated()
    first, _ = ours(df, 0)
    seconds, effective = ours(df, 1)
    rows: list[list[object]] = [
        ["ours, first call", f"{first:.1f}", "", ""],
        ["ours", f"{seconds:.1f}", f"{effective:.0f}", f"{effective / seconds:.1f}"],
    ]
    if shutil.which("Rscript") is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "data.csv"
            df.to_csv(path, index=False)
            script = Path(__file__).with_name("joint.R")
            command = ["Rscript", str(script), str(path), str(M), str(Path(folder) / "sd.csv")]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            (line,) = (t for t in done.stdout.splitlines() if t.startswith("jomo,"))
            theirs = float(line.split(",")[1])
            chain = pd.read_csv(Path(folder) / "sd.csv")["sd"].to_numpy()
        found = float(arviz.ess(chain[None]))
        rows.append(["R jomo", f"{theirs:.1f}", f"{found:.0f}", f"{found / theirs:.1f}"])
    header = ["what", "seconds", "effective draws of sd(y)", "a second"]
    print(table(header, rows))
    if chosen.keep:
        what = (
            "A `joint` block of three variables in 20 clusters of 50, five imputations, R's jomo "
            "with its defaults."
        )
        keep("joint", "seconds", what, header, rows)


if __name__ == "__main__":
    main()
