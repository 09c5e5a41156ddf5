"""Selection models: true parameters, ρ among them, and unseen values rank uniformly."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from tests.calibration.heckman_scenario import Task, calibrate


def found(method, pattern, **changes):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        return calibrate(Task(method, pattern, **changes), 200, executor, 2)


def test_a_few_replicates():
    with ThreadPoolExecutor(1) as here:  # to compile takes longer than to draw
        result = calibrate(Task("heckman", "systematic", draws=7, thin=1), 12, here, 1)
    assert result.ok, result.table


@pytest.mark.sbc
@pytest.mark.parametrize("pattern", ["sporadic", "systematic", "single level"])
@pytest.mark.parametrize("method", ["heckman", "heckman.binary", "heckman.robust"])
def test_many_replicates(method, pattern):
    result = found(method, pattern)
    print(result.table.to_string())
    assert result.ok, result.table


@pytest.mark.sbc
@pytest.mark.parametrize("method", ["heckman", "heckman.binary"])
def test_independent_slopes(method):
    result = found(method, "systematic", independent=True)
    print(result.table.to_string())
    assert result.ok, result.table
