"""Ranks of true parameters and missing values are uniform (Talts et al. 2018)."""

import pytest

SCENARIOS = {
    "sporadic": {},
    "systematic": {"systematic": True},
    "random intercept": {"slope": False},
    "heteroscedastic": {"slope": False, "heteroscedastic": True, "systematic": True},
    "level 2": {"level2": True},
}


def worst(p_values):
    return min(p_values.values()) * len(p_values)  # Bonferroni over quantities


@pytest.mark.parametrize("name", SCENARIOS)
def test_normal_is_calibrated_in_a_small_run(name, calibrate):
    p = calibrate(20 if name == "heteroscedastic" else 40, **SCENARIOS[name])
    assert worst(p) > 0.002, p


@pytest.mark.sbc
@pytest.mark.parametrize("name", SCENARIOS)
def test_normal_is_calibrated(name, calibrate):
    p = calibrate(400, **SCENARIOS[name])
    print(name, {k: round(v, 3) for k, v in p.items()})
    assert worst(p) > 0.01, p


def test_calibration_sees_a_residual_too_small(calibrate):
    p = calibrate(60, residual_bug=0.5)
    assert min(p["first missing"], p["last missing"]) < 0.01


def test_calibration_sees_parameters_that_are_not_drawn(calibrate):
    p = calibrate(40, parameters_kept=True)
    assert p["sigma"] < 0.001


def test_calibration_sees_swapped_clusters(calibrate):
    p = calibrate(100, swap_effects=True, slope=False)
    assert min(p["first missing"], p["last missing"]) < 0.01
