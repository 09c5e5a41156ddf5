"""Many exponentials and logarithms at once, against NumPy's."""

import numpy as np
import pytest

from bayesimpute.sampling.exponentials import LARGEST, exponentials, sum_of_logs


@pytest.mark.parametrize("scale", [1e-9, 1.0, 30.0, 400.0])
def test_exponentials_are_right_to_two_last_bits(scale):
    x = np.clip(scale * np.random.default_rng(1).normal(size=5003), -LARGEST, LARGEST)
    out = np.empty(x.size)
    exponentials(x, out)
    assert np.abs(out / np.exp(x) - 1).max() < 2 * np.finfo(float).eps


def test_what_no_double_holds_is_the_nearest_that_one_does_and_nothing_stays_nothing():
    out = np.empty(4)
    exponentials(np.array([1e5, -np.inf, 0.0, np.nan]), out)
    assert out[:3].tolist() == pytest.approx([np.exp(LARGEST), np.exp(-LARGEST), 1.0], rel=1e-15)
    assert np.isnan(out[3])


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 4000])
def test_logarithms_are_summed_as_numpy_sums_them(size):
    x = np.exp(np.random.default_rng(2).uniform(-650, 700, size))
    assert sum_of_logs(x) == pytest.approx(np.log(x).sum(), rel=1e-13, abs=1e-12)
