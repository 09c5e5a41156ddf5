"""Selection models: true parameters, ρ among them, and unseen values rank uniformly."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.calibration.heckman_scenario import Task, calibrate


def found(method, pattern, replicates, **changes):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        return calibrate(Task(method, pattern, **changes), replicates, executor, 2)


def test_a_few_replicates():
    result = found("heckman", "systematic", 12, draws=7, thin=1)
    assert result.ok, result.table


@pytest.mark.sbc
@pytest.mark.parametrize("pattern", ["sporadic", "systematic", "single level"])
@pytest.mark.parametrize("method", ["heckman", "heckman.binary", "heckman.robust"])
def test_many_replicates(method, pattern):
    result = found(method, pattern, 200)
    print(result.table.to_string())
    assert result.ok, result.table


@pytest.mark.sbc
@pytest.mark.parametrize("method", ["heckman", "heckman.binary"])
def test_independent_slopes(method):
    result = found(method, "systematic", 200, independent=True)
    print(result.table.to_string())
    assert result.ok, result.table
