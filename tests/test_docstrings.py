"""The examples in the docstrings of public names run and print what they say."""

import doctest
import inspect
from importlib import import_module

import pytest

import bayesimpute
from tests.public import NAMES as PUBLIC


def examples(name: str) -> list[doctest.DocTest]:
    value = getattr(bayesimpute, name)
    home = value if inspect.ismodule(value) else import_module(value.__module__)
    found = doctest.DocTestFinder(recurse=True).find(value, f"bi.{name}", module=home)
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_explains_itself(name: str) -> None:
    assert inspect.getdoc(getattr(bayesimpute, name))


@pytest.mark.parametrize("name", PUBLIC)
def test_the_examples_of_a_public_name_run(name: str) -> None:
    runner = doctest.DocTestRunner(
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False
    )
    report: list[str] = []
    for test in examples(name):
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)
