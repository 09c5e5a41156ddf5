"""What is compiled is kept on disk, and outlives what it was compiled for."""

import subprocess
import sys

WITH_A_CLASS = """
from typing import NamedTuple
class Pair(NamedTuple):
    first: float
"""
FUNCTION = """
import numba
@numba.njit(cache=True)
def first_of(pair):
    return pair[0]
"""
USE = """
import sys
from functions import first_of
from bayesimpute.sampling.compiled import specialised
import gone
pair = getattr(gone, "Pair", lambda x: (x, x))(1.5)
print(specialised(first_of, pair)(pair))
"""


def test_what_names_classes_that_are_gone_is_compiled_anew(tmp_path):
    (tmp_path / "functions.py").write_text(FUNCTION)
    for classes in (WITH_A_CLASS, ""):
        (tmp_path / "gone.py").write_text(classes)
        run = subprocess.run(
            [sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert run.stdout == "1.5\n", run.stderr
