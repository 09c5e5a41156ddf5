"""Groups of arrays that compiled code passes by reference."""

from typing import Any

import numba
import numpy as np

from bayesimpute.sampling.compiled import Struct


class Pair(Struct):
    """A number, and anything."""

    first: float
    second: Any


#: Of three groups; the types of the first two are the same.
FIELDS = ((1.0, np.zeros(2)), (2.0, np.ones(3)), (1.0, np.zeros((2, 2))))


def test_groups_are_of_one_type_only_where_all_their_fields_are():
    one, twin, other = (numba.typeof(Pair(*fields)) for fields in FIELDS)
    assert one == twin
    assert hash(one) == hash(twin)
    assert one != other


def test_the_type_of_a_group_of_groups_has_a_short_name():
    inner = Pair(*FIELDS[0])
    assert len(numba.typeof(Pair(1.0, inner)).name) < 40
