"""The tests of uniformity have the level they say, and bands agree with them."""

import doctest
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

from bayesimpute.checking.uniformity import band, chi2_p, ecdf, ecdf_p
from bayesimpute.errors import SpecificationError
from bayesimpute.simulate import Calibration, Scenario, sbc, simulate_popularity
from bayesimpute.simulate.calibration import _rank


def calibration(ranks, draws=31):
    frame = pd.DataFrame(ranks)
    return Calibration(
        "normal", Scenario(), frame, draws, frame.astype(float).mean() * 0, 0, seed=1
    )


@pytest.fixture(scope="module")
def uniform():
    return np.random.default_rng(1).integers(0, 32, size=(2000, 100))


@pytest.mark.parametrize("p_value", [chi2_p, ecdf_p])
def test_uniform_ranks_are_refused_as_often_as_the_level_says(p_value, uniform):
    p = np.array([p_value(ranks, 31) for ranks in uniform])
    for level in (0.05, 0.2):
        error = 4 * np.sqrt(level * (1 - level) / len(p))
        assert abs((p < level).mean() - level) < error + 0.005


def test_the_ecdf_leaves_the_band_as_often_as_the_level_says(uniform):
    lower, upper = band(100, 31, 0.1)
    curves = np.array([ecdf(ranks, 31) for ranks in uniform])
    left = ((curves < lower - 1e-9) | (curves > upper + 1e-9)).any(axis=1)
    assert abs(left.mean() - 0.1) < 4 * np.sqrt(0.09 / 2000) + 0.005
    p = np.array([ecdf_p(ranks, 31) for ranks in uniform])
    # the band and the p-value are two sides of one test
    assert (left == (p <= 0.1)).mean() > 0.99


def test_ranks_piled_up_at_an_end_or_at_both_are_refused():
    rng = np.random.default_rng(2)
    low = rng.integers(0, 20, 100)
    both = np.where(rng.random(100) < 0.5, rng.integers(0, 6, 100), rng.integers(26, 32, 100))
    fine = rng.integers(0, 32, 100)
    result = calibration({"low": low, "both": both, "fine": fine})
    assert result.table["uniform"].to_dict() == {"low": False, "both": False, "fine": True}
    assert not result.ok
    assert "not uniform: low, both" in str(result)


def test_equal_values_are_ranked_at_random():
    rng = np.random.default_rng(3)
    share = rng.random(4000)
    ranks = np.array(
        [_rank(float(rng.random() < p), (rng.random(7) < p).astype(float), rng) for p in share]
    )
    assert ecdf_p(ranks, 7) > 0.01
    assert chi2_p(ranks, 7) > 0.01


def test_the_picture_has_a_panel_for_each_quantity_and_names_the_bad_one():
    rng = np.random.default_rng(4)
    result = calibration(
        {"sigma": rng.integers(0, 10, 100), "imputed value": rng.integers(0, 32, 100)}
    )
    figure = result.plot()
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["sigma (not uniform)", "imputed value"]
    line = figure.axes[0].lines[-1].get_ydata()
    assert line.max() > 0.5  # ranks too low: the curve rises above zero


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"pattern": "sporadik"}, "Did you mean 'sporadic'"),
        ({"effects": "slopes"}, "Did you mean 'slope'"),
        ({"pattern": "systematic", "effects": "none"}, "has no clusters"),
        ({"predictors": 0}, "needs a predictor"),
        ({"replicates": 5}, "replicates=5"),
        ({"thin": 0}, "thin=0"),
        ({"missing": 1.5}, "missing=1.5"),
        ({"kind": "count"}, "kind='count'"),
        ({"clusters": 1}, "clusters=1"),
        ({"level": 2}, "level=2"),
        ({"seed": -1}, "seed=-1"),
        ({"executor": 4}, "executor=4"),
        ({"priors": {"sgima": None}}, "sgima"),
        ({"options": {"donors": 3}}, "donors"),
        ({"kind": "nominal"}, "imputes numbers"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(arguments, text):
    with pytest.raises(SpecificationError, match=text):
        sbc("normal", **arguments)


@pytest.mark.parametrize("function", [sbc, simulate_popularity])
def test_the_examples_of_simulate_run(function):
    finder = doctest.DocTestFinder(recurse=False)
    (test,) = finder.find(function, module=import_module(function.__module__))
    runner = doctest.DocTestRunner(verbose=False)
    report = []
    runner.run(test, out=report.append)
    assert runner.tries > 0
    assert runner.failures == 0, "".join(report)
