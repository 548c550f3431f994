"""The natural logarithm of 1 + x as Java's StrictMath calculates it, to the last bit, for arrays.

numpy's own differs in the last digit from machine to machine; with this one a customer's numbers are those of Spark.
The method, its constants and its order of operations are those of fdlibm 5.3, s_log1p.c:

    Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved.
    Developed at SunSoft, a Sun Microsystems, Inc. business.
    Permission to use, copy, modify, and distribute this software is freely granted, provided that this notice is
    preserved.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["log1p"]

Floats = NDArray[np.float64]

LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
POLYNOMIAL = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)

PLAIN = 0x3FDA827A << 32
"""Bits of about sqrt(2) - 1: below it 1 + x is not reduced."""
TINY = 0x3E200000 << 32
"""Bits of 2^-29: below it x - x^2 / 2 is exact enough."""
TINIEST = 0x3C900000 << 32
"""Bits of 2^-54: below it the logarithm is x."""
HUGE = 0x43400000 << 32
"""Bits of 2^53: from it on 1 + x is x."""
FRACTION = (1 << 52) - 1
ROOT_2 = 0x6A09E << 32
"""Bits of the fraction of sqrt(2): from it on the half is nearer to 1."""
ONE = 0x3FF << 52
HALF = 0x3FE << 52


def log1p(x: Floats) -> Floats:
    """log(1 + x) of numbers from 0 on, finite; the same bits as StrictMath.log1p."""
    bits = x.view(np.int64)
    reduced, f, k, c = _reduced(x, bits)
    half_square = 0.5 * f
    half_square *= f
    s = f / (2.0 + f)
    z = s * s
    r = z * POLYNOMIAL[-1]
    for coefficient in POLYNOMIAL[-2::-1]:
        r += coefficient
        r *= z
    r += half_square
    r *= s  # s * (hfsq + R)
    low = k * LN2_LOW
    low += c
    low += r
    logged: Floats = k * LN2_HIGH
    logged -= (half_square - low) - f
    plain = ~reduced
    if plain.any():
        logged[plain] = (f - (half_square - r))[plain]
    _near_powers_of_two(logged, reduced, f, k, c)
    tiny = bits < TINY
    if tiny.any():
        small = x[tiny]
        logged[tiny] = np.where(bits[tiny] < TINIEST, small, small - small * small * 0.5)
    return logged


def _reduced(x: Floats, bits: NDArray[np.int64]) -> tuple[NDArray[np.bool_], Floats, Floats, Floats]:
    """Which x are reduced, and f, k and c with 1 + x = 2^k * (1 + f), but for a relative error of c."""
    reduced = bits >= PLAIN
    u = 1.0 + x
    exact = bits >= HUGE
    if exact.any():
        u[exact] = x[exact]
    u_bits = u.view(np.int64)
    exponent = (u_bits >> 52) - 1023
    c = np.where(exponent > 0, 1.0 - (u - x), x - (u - 1.0))
    c /= u
    if exact.any():
        c[exact] = 0.0
    fraction = u_bits & FRACTION
    upper = fraction >= ROOT_2
    exponent += upper
    f: Floats = (fraction | np.where(upper, HALF, ONE)).view(np.float64) - 1.0
    return reduced, np.where(reduced, f, x), np.where(reduced, exponent, 0).astype(np.float64), c


def _near_powers_of_two(logged: Floats, reduced: NDArray[np.bool_], f: Floats, k: Floats, c: Floats) -> None:
    """Where 1 + x is a power of two but for 2^-20, fdlibm takes a shorter series; changes `logged`."""
    near = reduced & (np.abs(f) < 2.0**-19)
    if not near.any():
        return
    near[near] = _upper_fraction_is_zero(f[near])
    f, k, c = f[near], k[near], c[near]
    r = 0.5 * f * f * (1.0 - 0.66666666666666666 * f)
    logged[near] = np.where(f == 0, k * LN2_HIGH + (c + k * LN2_LOW), k * LN2_HIGH - ((r - (k * LN2_LOW + c)) - f))


def _upper_fraction_is_zero(f: Floats) -> NDArray[np.bool_]:
    """fdlibm's `hu == 0`: the 20 upper bits of the fraction of u, or a quarter of what lacks to 2 above sqrt(2)."""
    u = np.where(f >= 0, 1.0 + f, 2.0 * (1.0 + f)).view(np.int64)
    upper = (u & FRACTION) >> 32
    zero: NDArray[np.bool_] = np.where(f >= 0, upper, (0x100000 - upper) >> 2) == 0
    return zero
