"""What a user waits for: the import, the first run ever on a machine, and every later run.

``python benchmarks/start.py [--runs 3]``

Each run is a whole Python process that imputes the popularity case (m = 20, 10 iterations). The
first one finds no compile cache of PyTensor or Numba: both are led into a fresh folder, which the
later runs then find filled. (Python's own bytecode is written when pip installs.)
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from markdown import table
from popularity import ITERATIONS, M

HERE = Path(__file__).resolve().parent
IMPORT = """
from time import perf_counter
start = perf_counter()
import bayesimpute
print(perf_counter() - start)
"""
IMPUTE = """
from popularity import impute, load
impute(load()[1], {method!r}, seed=1)
"""


def caches_in(folder: Path) -> dict[str, str]:
    """Environment of a process whose compile caches all lie in `folder`."""
    flags = [os.environ.get("PYTENSOR_FLAGS", ""), f"base_compiledir={folder / 'pytensor'}"]
    return {
        **os.environ,
        "PYTENSOR_FLAGS": ",".join(flag for flag in flags if flag),
        "NUMBA_CACHE_DIR": str(folder / "numba"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "PYTHONPATH": str(HERE),
    }


def run(code: str, environment: dict[str, str]) -> tuple[float, str]:
    """Seconds of the whole process, and what it printed."""
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return perf_counter() - start, done.stdout


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="Cold and warm start of whole processes.")
    parser.add_argument("--runs", type=int, default=3, help="later runs per method")
    runs = parser.parse_args().runs
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        environment = caches_in(Path(folder))
        imports = [float(run(IMPORT, environment)[1]) for _ in range(runs + 1)]
        rows.append(["import bayesimpute", imports[0], statistics.median(imports[1:])])
    for method in ("normal", "pmm"):
        with tempfile.TemporaryDirectory() as folder:
            environment = caches_in(Path(folder))
            code = IMPUTE.format(method=method)
            first, *later = (run(code, environment)[0] for _ in range(runs + 1))
            rows.append([f"whole process, {method}", first, statistics.median(later)])
    print(f"### Start: m = {M}, {ITERATIONS} iterations, {os.cpu_count()} cores, seconds\n")
    print(table(["what", "first ever (no caches)", f"later (median of {runs})"], rows))


if __name__ == "__main__":
    main()
