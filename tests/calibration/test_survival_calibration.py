"""Times to an event, many of them censored: true parameters rank uniformly."""

import pytest

from tests.calibration.survival_scenario import calibrate


@pytest.mark.parametrize("method", ["weibull", "piecewise"])
def test_a_few_replicates(method):
    found = calibrate(method, 15)
    assert found.ok, found.table


@pytest.mark.sbc
@pytest.mark.parametrize("method", ["weibull", "piecewise"])
def test_many_replicates(method):
    found = calibrate(method, 200)
    print(found.table.to_string())
    assert found.ok, found.table
