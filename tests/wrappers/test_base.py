"""Visits to some rows of a design."""

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.method import Adaptation, Design, Visit
from bayesimpute.wrappers.base import RowsKernel, visit_rows

NOTHING = Adaptation(1.0, np.empty(0), np.empty(0), np.empty(0))


class Echo:
    """Gives the positions of the rows it draws; cannot do without any."""

    labels = ()

    def visit(self, design, adaptation, state, rng, first):
        assert design.draw.any()
        return Visit(state, design.y[design.draw], {"rows": float(len(design.y))})


def six_rows(draw):
    rows, draw = np.ones(6, dtype=bool), np.array(draw, dtype=bool)
    none = np.empty((6, 0))
    zero = np.zeros(6, dtype=np.int64)
    return Design("y", Kind.NUMERIC, (), np.arange(6.0), none, (), none, (), zero, 1, rows, draw)


def visited(draw, rows):
    chosen = np.array(rows, dtype=bool)
    rng = np.random.default_rng(1)
    return visit_rows(Echo(), six_rows(draw), chosen, NOTHING, np.empty(0), rng, True)


def test_values_come_back_to_their_rows():
    _, values = visited([0, 1, 1, 0, 1, 1], [1, 1, 0, 0, 0, 1])
    np.testing.assert_array_equal(values, [np.nan, 1, np.nan, np.nan, np.nan, 5])


def test_rows_without_a_draw_still_give_parameters():
    visit, values = visited([0, 0, 1, 0, 0, 0], [1, 1, 0, 0, 0, 1])
    assert visit.parameters["rows"] == 3
    assert np.isnan(values).all()


class Named(Echo):
    """The same with a name for what it counts, and nothing to tune."""

    def __init__(self):
        self.labels = {"rows": ()}

    def adapt(self, design, rng):
        return NOTHING


class Halves:
    """The first three rows, of a group whose name is empty, and the others."""

    def rows(self, design):
        first = np.arange(len(design.y)) < 3
        return {"": first, "b": ~first}


def test_a_group_whose_name_is_empty_is_one_of_several():
    rng = np.random.default_rng(1)
    kernel = RowsKernel(Halves(), {"": Named(), "b": Named()}, np.nan)
    design = six_rows([0, 1, 0, 0, 1, 0])
    tuned = kernel.adapt(design, rng)
    visit = kernel.visit(design, tuned, np.empty(0), rng, True)
    assert list(kernel.labels) == ["rows[]", "rows[b]"] and len(tuned.parts) == 2
    assert visit.parameters == {"rows[]": 3.0, "rows[b]": 3.0}
    np.testing.assert_array_equal(visit.values, [1, 4])
