"""What is compiled is kept on disk, and outlives what it was compiled for."""

import importlib
import sys

from bayesimpute.sampling.compiled import specialised

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


def imported_anew(name):
    """Import a module as another process would."""
    sys.modules.pop(name, None)
    importlib.invalidate_caches()
    return importlib.import_module(name)


def test_what_names_classes_that_are_gone_is_compiled_anew(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "kept_function.py").write_text(FUNCTION)
    for classes in (WITH_A_CLASS, ""):
        (tmp_path / "kept_class.py").write_text(classes)
        first_of = imported_anew("kept_function").first_of
        pair = getattr(imported_anew("kept_class"), "Pair", lambda x: (x, x))(1.5)
        assert specialised(first_of, pair)(pair) == 1.5
    for name in ("kept_function", "kept_class"):
        monkeypatch.delitem(sys.modules, name)
