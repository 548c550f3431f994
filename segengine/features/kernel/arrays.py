"""Exact arithmetic on numpy arrays of whole numbers: runs, sums, rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    from segengine.features.kernel.plan import Plan

Integers = NDArray[np.int64]
Marks = NDArray[np.bool_]

MISSING = np.iinfo(np.int64).min
NEVER = np.iinfo(np.int64).max


def numbers(lines: pa.Table, name: str, missing: int) -> Integers:
    """A bigint column as an array of its own, with a number where it is null."""
    values: Integers = np.array(lines[name].fill_null(missing).to_numpy(), dtype=np.int64)
    return values


def changes(values: Integers) -> Marks:
    """Whether a value differs from the one before; true for the first."""
    changes = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes


def by_pair(group: Integers, groups: int, value: Integers) -> Integers:
    """An order in which groups rise, and equal values of a group stand together; ties and values are in any order.

    `group` is from 0 to below `groups`. One sort of a number made of both is many times faster than a sort by two keys.
    """
    bits = max(1, (groups - 1).bit_length())
    key = (group.astype(np.uint64) << np.uint64(64 - bits)) | (value.view(np.uint64) >> np.uint64(bits))
    by: Integers = np.argsort(key)
    same, value = ~changes(key[by].view(np.int64)), value[by]
    if (same & changes(value)).any():  # two values of a group share the bits that there was room for
        by = np.lexsort((value[np.argsort(by)], group))
    return by


def by_pair_in_order(group: Integers, value: Integers) -> Integers:
    """The order by group, then by value; ties are in any order."""
    if not len(group):
        return group
    low = int(value.min())
    bits = (int(value.max()) - low).bit_length()
    if bits + int(group.max()).bit_length() > 62:
        return np.lexsort((value, group))
    by: Integers = np.argsort((group << bits) | (value - low))
    return by


def counted(marks: Marks) -> Integers:
    return marks.astype(np.int64)


def half_up(values: NDArray[np.float64]) -> Integers:
    """Rounded to whole numbers, halves away from zero."""
    whole = np.trunc(values)
    return (whole + np.where(np.abs(values - whole) >= 0.5, np.sign(values), 0.0)).astype(np.int64)


def exact_sums(values: Integers, starts: Integers) -> Integers:
    """Exact sums of the runs from each of `starts` (the first is 0) on; OverflowError when one needs over 64 bits."""
    if not len(starts):
        return np.zeros(0, dtype=np.int64)
    if not values.any():
        return np.zeros(len(starts), dtype=np.int64)
    upto = np.cumsum(values)[np.append(starts[1:], len(values)) - 1]  # it may wrap around; differences do not care
    sums: Integers = np.diff(upto, prepend=0)
    largest = max(abs(int(values.max())), abs(int(values.min())))
    if largest * len(values) >= NEVER and np.abs(np.add.reduceat(values.astype(np.float64), starts)).max() > 9.2e18:
        raise OverflowError("ARITHMETIC_OVERFLOW: a sum does not fit into 64 bits")
    return sums


def added(one: Integers, other: Integers) -> Integers:
    sums = one + other
    if (((one ^ sums) & (other ^ sums)) < 0).any():
        raise OverflowError("ARITHMETIC_OVERFLOW: a sum does not fit into 64 bits")
    return sums


def together(parts: Sequence[tuple[Integers, ...]]) -> tuple[Integers, ...]:
    """Parts of several arrays each, one after the other."""
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def local(moments_us: Integers, plan: Plan) -> Integers:
    """Microseconds since 1970 on the wall clock of the zone."""
    span = np.searchsorted(plan.changes_us, moments_us, side="right") - 1
    clock: Integers = moments_us + plan.offsets_us[np.maximum(span, 0)]
    return clock
