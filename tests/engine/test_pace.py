"""Stretches of iterations: as long as a moment, of any length to the same bits."""

import numpy as np
import pytest

import bayesimpute as bi
from bayesimpute.engine import run
from bayesimpute.engine.pace import MOMENT, Pace
from bayesimpute.engine.streams import Course, Purpose


def test_stretches_are_all_iterations_in_their_order_and_grow_until_they_take_a_moment():
    pace, lengths = Pace(range(5, 1000), steady=False), []
    for stretch in pace:
        lengths.append(len(stretch))
        pace.took(len(stretch), len(stretch) * MOMENT / 20)
    assert lengths[:5] == [1, 2, 4, 8, 16] and max(lengths) == 16
    assert [t for each in map(pace.stretch, range(len(lengths))) for t in each] == [*range(5, 1000)]
    for _ in range(9):
        pace.took(16, 5 * MOMENT)  # of a stretch made before
    assert pace.stretch(len(lengths)) == range(1000, 1000)


def test_slow_iterations_go_one_by_one_and_steady_ones_whatever_they_take():
    for steady, seconds in ((False, 3 * MOMENT), (True, 0.0)):
        pace = Pace(range(6), steady)
        for stretch in pace:
            assert len(stretch) == 1
            pace.took(1, seconds)
    pace = Pace(range(100), steady=False)
    pace.took(1, 0.0)
    pace.took(2, 9 * MOMENT)
    assert len(pace.stretch(0)) == 1


class Uneven(Pace):
    """Stretches of 1, 3, 2 and more iterations, whatever they take."""

    def stretch(self, number):
        self._size = (1, 3, 2, 50)[min(number, 3)]
        return super().stretch(number)


@pytest.mark.parametrize("analysis", [None, "y ~ x * size + (1 | school)"])
def test_bits_and_events_do_not_depend_on_stretches(study, monkeypatch, analysis):
    def fails(values, data, rng):
        if values[0] > 0:
            raise ValueError("no")
        return values

    study = study.drop(columns="kind")
    given = {"m": 2, "iterations": 9, "seed": 3, "progress": False, "on_error": "keep"}
    given |= {"cluster": "school", "analysis": analysis}
    given |= {"post": {"x": fails}} if analysis is None else {}
    found = []
    for kind in (lambda ahead, steady: Pace(ahead, True), Uneven):
        monkeypatch.setattr(run, "Pace", kind)
        found += [bi.impute(study, cores=cores, **given) for cores in (1, 2)]
    first, *others = found
    assert analysis or 1 < (first.events["action"] == "values kept").sum() < 18
    for other in others:
        assert first.events.equals(other.events)
        for target, parameters in first.history.parameters.items():
            for key, values in parameters.items():
                np.testing.assert_array_equal(values, other.history.parameters[target][key])


def test_streams_of_a_course_are_apart_and_the_same_wherever_one_begins():
    one, other = (Course(7, Purpose.LIVE_CELLS, 2) for _ in range(2))
    first = one.at(0).standard_normal(2000)
    one.at(0).integers(3)  # half of a number is left over
    second = one.at(1).standard_normal(2000)
    np.testing.assert_array_equal(second, other.at(1).standard_normal(2000))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    assert not np.isin(first, second).any()
