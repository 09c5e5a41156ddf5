"""A joint block of a number, two categories and three: truth ranks uniformly among its draws."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.calibration.joint_scenario import Task, calibrate


def found(pattern, replicates, **changes):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        return calibrate(Task(pattern, **changes), replicates, executor, 2)


def test_a_few_replicates():
    result = found("systematic", 12, draws=7, thin=1)
    assert result.ok, result.table


@pytest.mark.sbc
@pytest.mark.parametrize("pattern", ["sporadic", "systematic", "level 2"])
def test_many_replicates(pattern):
    result = found(pattern, 200)
    print(result.table.to_string())
    assert result.ok, result.table
