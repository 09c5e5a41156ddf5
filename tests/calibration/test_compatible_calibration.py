"""Joint distributions of an analysis and its covariates: truths rank uniformly among the draws."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from bayesimpute.engine import live_cells
from tests.calibration.compatible_scenario import SPECS, calibrate


def test_a_few_replicates_and_that_they_see_a_missing_factor(monkeypatch):
    found = calibrate("square", 12, draws=7, thin=1)
    assert found.ok, found.table

    def silent(self, candidate, which):
        return np.zeros(len(candidate))

    monkeypatch.setattr(live_cells._Child, "log_density", silent)
    assert not calibrate("square", 12, draws=7, thin=1).ok


@pytest.mark.sbc
@pytest.mark.parametrize("name", SPECS)
def test_many_replicates(name):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        result = calibrate(name, 200, executor.map)
        print(result.table.to_string())
        if not result.ok:  # one of a hundred that are right; data not seen before decide
            result = calibrate(name, 400, executor.map, first=200)
            print(result.table.to_string())
    assert result.ok, result.table
