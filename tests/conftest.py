"""Data and R numbers that lie beside the checkout, for tests in every folder."""

import json
import os

# Tests run side by side, and a second thread for matrices this small waits at full speed for most
# of its time; numpy reads this when it is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
# What PyTensor evaluates once runs in Python then, whoever has a C compiler, which takes half a
# minute for a loop; nothing of ours needs one. Where each variable was made is for messages of
# PyTensor that nobody reads here, and takes two fifths of the time that a graph takes.
os.environ["PYTENSOR_FLAGS"] = ",".join(
    filter(None, [os.environ.get("PYTENSOR_FLAGS"), "cxx=", "traceback__limit=0"])
)

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared"


def _shared_file(folder: str, name: str) -> Path:
    """Path of a shared file; skips the test without it, or fails it where it must be there."""
    root = Path(os.environ.get("BAYESIMPUTE_SHARED", BESIDE_THE_CHECKOUT))
    path = root / folder / name
    if not path.is_file():
        reason = f"{folder}/{name} is not there: set BAYESIMPUTE_SHARED to the folder with data/"
        if os.environ.get("BAYESIMPUTE_REQUIRE_SHARED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@cache
def _table(folder: str, name: str) -> pd.DataFrame:
    return pd.read_csv(_shared_file(folder, f"{name}.csv"))


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], pd.DataFrame]:
    """`shared_data("popmis")` is a fresh copy of that data set."""
    return lambda name: _table("data", name).copy()


@pytest.fixture(scope="session")
def shared_path() -> Callable[[str], Path]:
    """`shared_path("popmis")` is the file of that data set, for reading it another way."""
    return lambda name: _shared_file("data", f"{name}.csv")


@pytest.fixture(scope="session")
def reference() -> Callable[[str], dict[str, Any]]:
    """`reference("quickpred")` is R's numbers of that file."""
    return lambda name: json.loads(_shared_file("reference", f"{name}.json").read_text("utf-8"))


@pytest.fixture(scope="session")
def reference_table() -> Callable[[str], pd.DataFrame]:
    """`reference_table("nhanes_imputed_long")` is a fresh copy of that table from R."""
    return lambda name: _table("reference", name).copy()


@pytest.fixture(scope="session")
def shared_text() -> Callable[[str], str]:
    """`shared_text("paper.txt")` is the text of that file."""
    return lambda name: _shared_file(".", name).read_text("utf-8")


@pytest.fixture(scope="session")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Two spawned processes for all tests: each imports everything anew, which takes seconds."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        yield executor
