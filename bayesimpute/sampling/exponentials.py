"""Exponentials and logarithms of many numbers, several at a time.

The system's library takes one number at a time, and most of the time of the gradient of a logit
goes there. Written out, a processor computes four or eight together, right to the last bit or two.
"""

import math

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_PER_LOG_2 = 1.0 / math.log(2.0)
#: log 2 in two parts, of which the first times a whole number is exact.
_LOG_2, _REST = 0.693145751953125, 1.42860682030941723212e-6
#: A number is rounded to a whole one, found in the last bits of the sum, by adding this.
_ROUND = 1.5 * 2.0**52
_C2, _C3, _C4, _C5, _C6, _C7, _C8, _C9, _C10, _C11, _C12, _C13 = (
    1.0 / math.factorial(k) for k in range(2, 14)
)


#: Beyond this, up or down, a double holds no exponential.
LARGEST = 708.0


@numba.njit(error_model="numpy", nogil=True, fastmath={"contract"})
def exponentials(x: Array, out: Array) -> None:
    """Exponentials of x into `out`, two arrays, (n,); beyond ±708 those of ±708.

    ``x = k log 2 + r`` with k whole and ``|r| ≤ log 2 / 2``, whose exponential is a short series;
    ``2^k`` is a matter of the exponent's bits.

    Examples
    --------
    >>> out = np.empty(3)
    >>> exponentials(np.array([-1.0, 0.0, 1.0]), out)
    >>> out.round(4).tolist()
    [0.3679, 1.0, 2.7183]
    """
    power = np.empty(x.size)
    bits = power.view(np.int64)
    for i in range(x.size):
        t = min(max(x[i], -LARGEST), LARGEST)
        power[i] = t * _PER_LOG_2 + _ROUND
        k = power[i] - _ROUND
        r = (t - k * _LOG_2) - k * _REST
        p = _C13 * r + _C12
        p = p * r + _C11
        p = p * r + _C10
        p = p * r + _C9
        p = p * r + _C8
        p = p * r + _C7
        p = p * r + _C6
        p = p * r + _C5
        p = p * r + _C4
        p = p * r + _C3
        p = p * r + _C2
        out[i] = 1.0 + (r + r * r * p)
    for i in range(x.size):
        bits[i] = (bits[i] + 1023) << 52
    for i in range(x.size):
        out[i] *= power[i]


#: So many mantissas between 1 and 2 have a product that a double holds.
_PRODUCT = 512
_EXPONENT, _MANTISSA = 52, (1 << 52) - 1
_ONE = 1023 << 52


@numba.njit(error_model="numpy", nogil=True, fastmath={"contract", "reassoc"})
def sum_of_logs(x: Array) -> float:
    """Sum of the logarithms of positive numbers, (n,), none below 1e-307.

    Exponents are added, mantissas multiplied: one logarithm serves hundreds of numbers.

    Examples
    --------
    >>> round(sum_of_logs(np.array([1.0, 2.0, 5.0])), 12) == round(math.log(10.0), 12)
    True
    """
    bits, exponents, total = x.view(np.int64), 0, 0.0
    for first in range(0, x.size, _PRODUCT):
        part = bits[first : first + _PRODUCT]
        kept = np.empty(part.size, dtype=np.int64)
        mantissas, product = kept.view(np.float64), 1.0
        for i in range(part.size):
            exponents += part[i] >> _EXPONENT
            kept[i] = (part[i] & _MANTISSA) | _ONE
        for i in range(part.size):
            product *= mantissas[i]
        total += np.log(product)
    return total + (exponents - 1023 * x.size) * math.log(2.0)
