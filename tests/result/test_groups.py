"""``imp.plot`` and ``imp.check``: each entry is the function itself, and explains its arguments."""

import inspect

import pandas as pd
import pytest

from bayesimpute.imputations import Checks, Entry, Group, Imputations, Plots
from bayesimpute.result.run import Run

ENTRIES = [
    (group, name)
    for group in (Plots, Checks)
    for name, entry in vars(group).items()
    if isinstance(entry, Entry)
]
#: Entries that are older than the groups, and are methods of the result too.
OLD = {
    "density", "strip", "box", "xy", "trace", "chains", "ppc", "loo_pit", "predictors",
    "prior_predictive", "convergence", "diagnostics", "identification", "predictive", "overimpute",
    "compare_models", "congenial",
}  # fmt: skip
ALIASES = {
    name: f"plot_{name}" if group is Plots else name for group, name in ENTRIES if name in OLD
}


@pytest.fixture
def imp(make_imputations):
    return make_imputations(pd.DataFrame({"x": [1.0, 2.0, None, 4.0, 2.5, 1.5]}), {"x": "pmm"})


def test_no_older_name_is_lost():
    assert ALIASES.keys() == OLD


def test_a_group_names_its_entries(imp):
    for group, name in ENTRIES:
        shown = imp.plot if group is Plots else imp.check
        assert isinstance(shown, Group)
        assert name in repr(shown)
        assert name in dir(shown)


@pytest.mark.parametrize(("group", "name"), ENTRIES)
def test_an_entry_is_the_function_and_its_help_explains_every_argument(imp, group, name):
    bound = getattr(imp.plot if group is Plots else imp.check, name)
    function = getattr(group, name)
    assert bound.__func__ is function
    assert bound.__self__ is imp
    _, *parameters = inspect.signature(function).parameters
    assert list(inspect.signature(bound).parameters) == parameters
    said = inspect.getdoc(bound)
    assert not [each for each in parameters if each not in said], "arguments without a word"
    if name in ALIASES:
        assert getattr(imp, ALIASES[name]) == bound


def test_pictures_and_checks_know_the_run_only(imp):
    run = Run(imp.specification, imp.history)
    assert not isinstance(run, Imputations)
    assert Plots(run).density("x").axes
    pd.testing.assert_frame_equal(Checks(run).diagnostics(), imp.diagnostics())
    pd.testing.assert_frame_equal(run.complete(2), imp.complete(2))
