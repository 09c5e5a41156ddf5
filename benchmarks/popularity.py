"""The case that is timed: pupils in schools, 42 % of the popularity scores missing.

The paper's data (popmis.csv) where they are at hand, else the simulated study of the demo.
"""

import os
from concurrent.futures import Executor
from pathlib import Path

import pandas as pd

import bayesimpute as bi

COLUMNS = ["school", "popular", "sex", "texp"]
ANALYSIS = "popular ~ texp + sex + (1 | school)"
M = 20
ITERATIONS = 10


def load() -> tuple[str, pd.DataFrame]:
    """Where the data are from, and the table with the columns `COLUMNS`."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    path = Path(os.environ.get("BAYESIMPUTE_SHARED", beside)) / "data" / "popmis.csv"
    if path.is_file():
        return "popmis.csv", pd.read_csv(path)[COLUMNS]
    study = bi.simulate.simulate_popularity(seed=1)
    return "simulated study", study.incomplete[COLUMNS]


def impute(
    data: pd.DataFrame,
    method: str,
    seed: int,
    executor: Executor | None = None,
    cores: int | None = None,
) -> bi.Imputations:
    """Impute popularity from the school, sex with a random slope, and experience, as R does."""
    predictors = pd.DataFrame(0, index=COLUMNS, columns=COLUMNS)
    predictors.loc["popular", ["school", "sex", "texp"]] = [-2, 2, 1]
    return bi.impute(
        data,
        m=M,
        iterations=ITERATIONS,
        method={"popular": method},
        predictors=predictors,
        seed=seed,
        executor=executor,
        cores=cores,
        progress=False,
    )
