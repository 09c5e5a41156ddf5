"""A joint block of a number, two categories and three: truth ranks uniformly among its draws."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from tests.calibration.joint_scenario import Task, calibrate


def test_a_few_replicates():
    with ThreadPoolExecutor(1) as here:  # to compile takes longer than to draw
        result = calibrate(Task("systematic", draws=7, thin=1), 12, here, 1)
    assert result.ok, result.table


@pytest.mark.sbc
@pytest.mark.parametrize("pattern", ["sporadic", "systematic", "level 2"])
def test_many_replicates(pattern):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        result = calibrate(Task(pattern), 200, executor, 2)
    print(result.table.to_string())
    assert result.ok, result.table
